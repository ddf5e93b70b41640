package strictjson

import (
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// An Object is a checked JSON object: no name occurs twice in it or in any
// object inside it, all text is Unicode, nothing follows it. Its values are parts of
// the text it was parsed from. The zero Object has no members.
type Object struct {
	text    string
	members []member
	chains  chains
	odd     bool // some name is not lower-case ASCII
}

// A member is where one stands in the text.
type member struct {
	name, nameEnd   int32 // without quotes
	value, valueEnd int32
	escaped         bool // the name has to be decoded
	next            uint8
}

func place(n name, start, end int) member {
	return member{ //nolint:gosec // G115: no document is longer
		name: int32(n.start) + 1, nameEnd: int32(n.end) - 1, value: int32(start), valueEnd: int32(end), escaped: !n.plain,
	}
}

func (o *Object) name(m *member) string {
	if m.escaped {
		return unquote(o.text[m.name-1 : m.nameEnd+1])
	}
	return o.text[m.name:m.nameEnd]
}

// Parse is [ParseString] for a copy of data.
func Parse(data []byte) (Object, error) { return parse(string(data)) }

// ParseString checks data, which must be one JSON object, and indexes its members.
// Errors are of type *Error.
func ParseString(data string) (Object, error) { return parse(data) }

// Get returns the value of the member with exactly this name.
func (o *Object) Get(name string) (value string, ok bool) {
	for i := o.chains[link(name)]; i != 0; {
		m := &o.members[i-1]
		if o.name(m) == name {
			return o.text[m.value:m.valueEnd], true
		}
		i = m.next
	}
	for i := maxChained; i < len(o.members); i++ {
		if m := &o.members[i]; o.name(m) == name {
			return o.text[m.value:m.valueEnd], true
		}
	}
	return "", false
}

// All yields names and values in the order of the document.
func (o *Object) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range o.members {
			m := &o.members[i]
			if !yield(o.name(m), o.text[m.value:m.valueEnd]) {
				return
			}
		}
	}
}

// HasFolded reports whether a member has one of these lower-case ASCII names in
// another case.
func (o *Object) HasFolded(names []string) bool {
	return o.odd && slices.ContainsFunc(o.members, func(m member) bool {
		name := o.name(&m)
		length := utf8.RuneCountInString(name)
		return !isLower(name) && slices.ContainsFunc(names, func(n string) bool {
			return len(n) == length && strings.EqualFold(name, n) // the names are ASCII
		})
	})
}

// isLower reports whether a name is ASCII without capitals, which folds to no
// other lower-case name.
func isLower(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// String decodes a value that is a string.
func String(value string) (s string, ok bool) {
	if Kind(value) != '"' {
		return "", false
	}
	return unquote(value), true
}

// Kind tells the type of a value by a character: '{', '[', '"', '0' for all
// numbers, 't' for both booleans, 'n' for null. It is 0 for no value.
func Kind(value string) byte {
	if value == "" {
		return 0
	}
	switch c := value[0]; {
	case c == '-' || isDigit(c):
		return '0'
	case c == 'f':
		return 't'
	default:
		return c
	}
}

// Unmarshal checks data as Parse does and decodes it into v, matching names
// exactly.
func Unmarshal(data []byte, v any) error {
	text := string(data)
	if _, err := parse(text); err != nil {
		return err
	}
	return Decode(text, v)
}

// Decode decodes a value that was checked before, matching names exactly.
// Numbers that land in an interface keep their text. Members that v has no place for
// are left out.
func Decode(value string, v any) error {
	d := josejson.NewDecoder(strings.NewReader(value))
	d.SetNumberType(josejson.UnmarshalJSONNumber)
	return d.Decode(v)
}
