package claims

import (
	"errors"

	"github.com/oidckit/oidckit"
)

// A Reason is what is wrong with a claim.
type Reason string

// The reasons an [Error] can have.
const (
	Missing   Reason = "missing"         // no such member
	Null      Reason = "null"            // the member is null
	Empty     Reason = "empty"           // an empty string where something must be said
	WrongType Reason = "of another type" // not of the JSON type that was asked for
	Malformed Reason = "malformed"       // of the right type, with a value that cannot be one
	Mismatch  Reason = "another one"     // not the one that the ID token has
)

// Error says which claim could not be read and why. It never holds the value of
// a claim. It answers errors.Is for [oidckit.ErrInvalidToken]: a token without
// the claim that a decision needs cannot be judged in favour of its bearer.
type Error struct {
	Claim  string // the path, as [Path.String] writes it
	Reason Reason
	Found  string // with WrongType, the JSON type that is there: object, array, string, number, boolean, null
	Source Source // where a [Mapper] looked for the claim; empty with errors of a [Set]
	Hint   string // what to do about it, if something is known; fixed text and names only
}

func (e *Error) Error() string {
	text := "claims: " + e.Claim + " is " + string(e.Reason)
	if e.Source != "" {
		text += " in " + string(e.Source)
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Is reports whether target is [oidckit.ErrInvalidToken].
func (e *Error) Is(target error) bool { return target == oidckit.ErrInvalidToken }

// IsMissing reports whether err says that a claim is not there or null, as
// opposed to unreadable. An [OverageError] says neither.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Reason == Missing || e.Reason == Null)
}

// in adds to an error where the claim was looked for.
func in(source Source, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Source = source
	return &named
}
