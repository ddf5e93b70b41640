package strictjson

import (
	"bytes"
	"iter"
	"slices"
	"unicode/utf8"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// An Object is a checked JSON object: no name occurs twice in it or in any
// object inside it, all text is Unicode, nothing follows it. It aliases the
// bytes it was parsed from. The zero Object has no members.
type Object struct {
	members []Member
}

// A Member is one member of an Object.
type Member struct {
	name  []byte
	Value []byte // as it is written
}

// Parse checks data, which must be one JSON object, and indexes its members.
// Errors are of type *Error.
func Parse(data []byte) (Object, error) {
	s := scanner{data: data}
	if err := s.document(); err != nil {
		return Object{}, err
	}
	return Object{members: s.top}, nil
}

// Get returns the value of the member with exactly this name.
func (o Object) Get(name string) (value []byte, ok bool) {
	for i := range o.members {
		if string(o.members[i].name) == name {
			return o.members[i].Value, true
		}
	}
	return nil, false
}

// All yields names and values in the order of the document.
func (o Object) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, m := range o.members {
			if !yield(string(m.name), m.Value) {
				return
			}
		}
	}
}

// HasFolded reports whether a member has one of these lower-case names in
// another case.
func (o Object) HasFolded(names []string) bool {
	for i := range o.members {
		if n := o.members[i].name; !isLower(n) && slices.ContainsFunc(names, func(name string) bool {
			return bytes.EqualFold(n, []byte(name))
		}) {
			return true
		}
	}
	return false
}

// isLower reports whether a name is ASCII without capitals, which folds to no
// other lower-case name.
func isLower(name []byte) bool {
	for _, c := range name {
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// String decodes a value that is a string.
func String(value []byte) (s string, ok bool) {
	if Kind(value) != '"' {
		return "", false
	}
	return string(unquote(value)), true
}

// Kind tells the type of a value by a character: '{', '[', '"', '0' for all
// numbers, 't' for both booleans, 'n' for null. It is 0 for no value.
func Kind(value []byte) byte {
	if len(value) == 0 {
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

// Elements returns the elements of a value that is a list.
func Elements(value []byte) (elements [][]byte, ok bool) {
	if Kind(value) != '[' {
		return nil, false
	}
	s := scanner{data: value}
	if empty, err := s.enter(']'); empty || err != nil {
		return nil, err == nil
	}
	for {
		start := s.pos
		if s.value() != nil {
			return nil, false
		}
		elements = append(elements, value[start:s.pos])
		more, err := s.next(']')
		if err != nil {
			return nil, false
		}
		if !more {
			return elements, true
		}
	}
}

// Unmarshal checks data as Parse does and decodes it into v, matching names
// exactly. Members that v has no place for are left out.
func Unmarshal(data []byte, v any) error {
	if _, err := Parse(data); err != nil {
		return err
	}
	return Decode(data, v)
}

// Decode decodes a value that was checked before, matching names exactly.
// Numbers that land in an interface keep their text.
func Decode(value []byte, v any) error {
	d := josejson.NewDecoder(bytes.NewReader(value))
	d.SetNumberType(josejson.UnmarshalJSONNumber)
	return d.Decode(v)
}
