package strictjson

import "fmt"

// A Reason is why a document was refused.
type Reason string

// The reasons.
const (
	Syntax         Reason = "syntax error"
	NotObject      Reason = "not an object"
	DuplicateName  Reason = "duplicate member name"
	FoldedName     Reason = "two member names that differ only in case"
	InvalidUnicode Reason = "invalid UTF-8 or lone surrogate"
	TooLarge       Reason = "document too large"
	TooDeep        Reason = "nested too deeply"
	TooManyMembers Reason = "too many members in one object"
	LongNumber     Reason = "number with too many digits"
)

// Error says why and where a document was refused. Its text holds nothing of
// the document.
type Error struct {
	Reason Reason
	Offset int // in bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("json: %s at byte %d", e.Reason, e.Offset)
}
