package claims

import (
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A StringsOption lets [Set.Strings] read one more form of a list. The functions that
// return one say which.
type StringsOption struct{ set func(*form) }

// SplitSpaces lets one string be a list with spaces (U+0020) between. Elements of a
// list stay whole: a group may be called "Domain Users".
func SplitSpaces() StringsOption { return StringsOption{func(f *form) { f.separators += " " }} }

// SplitCommas lets one string be a list with commas between, and spaces around them.
func SplitCommas() StringsOption { return StringsOption{func(f *form) { f.separators += "," }} }

// Field lets the elements be objects, and takes the string from this member of
// each: Field("groupId") of [{"groupId":"a"},{"groupId":"b"}] is a, b.
func Field(name string) StringsOption { return StringsOption{func(f *form) { f.field = &name }} }

// JSONInString lets the list stand in a string, as JSON: "[\"a\",\"b\"]". A string that
// is no JSON is [Malformed].
func JSONInString() StringsOption { return StringsOption{func(f *form) { f.json = true }} }

// Limit takes a list of n or more elements for one that the provider cut off: Okta
// writes no more than 100 groups, and does not say so. It is an *[OverageError] then. A
// limit below 1 is none.
func Limit(n int) StringsOption { return StringsOption{func(f *form) { f.limit = n }} }

// A form is what a list may look like.
type form struct {
	separators string
	field      *string
	json       bool
	limit      int
}

func formOf(opts []StringsOption) (f form) {
	for _, o := range opts {
		if o.set != nil {
			o.set(&f)
		}
	}
	return f
}

// Strings returns the strings that the path leads to. One string stands for a
// list of one, for providers write a list with one element so; anything else
// than a string or a list of strings is an error, never an empty list, unless an
// option says how to read it. An empty list is empty. Errors are of type *[Error], or
// *[OverageError] if the provider left the list out because it is long.
func (s Set) Strings(p Path, opts ...StringsOption) ([]string, error) {
	value, err := s.lookupList(p)
	if err != nil {
		return nil, err
	}
	return formOf(opts).read(p, value)
}

// Contains reports whether want is the string that the path leads to, or one of a list
// of strings, compared exactly. Errors are those of [Set.Strings].
func (s Set) Contains(p Path, want string) (bool, error) {
	value, err := s.lookupList(p)
	if err != nil {
		return false, err
	}
	if text, ok := strictjson.String(value); ok {
		return text == want, nil
	}
	if strictjson.Kind(value) != '[' {
		return false, wrongType(p, value, form{}.want())
	}
	found := false
	for e := range strictjson.Elements(value) {
		text, ok := strictjson.String(e)
		if !ok {
			return false, wrongType(p, e, "a list of strings")
		}
		found = found || text == want
	}
	return found, nil
}

// lookupList is lookup for what a provider may leave out because it is long.
func (s *Set) lookupList(p Path) (string, error) {
	if err := s.leftOut(p); err != nil {
		return "", err
	}
	return s.lookup(p)
}

func (s *Set) leftOut(p Path) error {
	if p.IsZero() {
		return nil
	}
	first, _ := s.object.Get(p.segments[0])
	return s.overage(p, first)
}

// read returns the strings of a value in this form.
func (f form) read(p Path, value string) ([]string, error) {
	value, err := f.unwrap(p, value)
	if err != nil {
		return nil, err
	}
	var texts []string
	switch kind := strictjson.Kind(value); {
	case kind == '[':
		texts, err = f.list(p, value)
	case kind == '"' && f.field == nil:
		text, _ := strictjson.String(value)
		texts = f.split(text)
	case kind == '{' && f.field != nil:
		texts = make([]string, 1)
		texts[0], err = f.element(p, value)
	default:
		err = wrongType(p, value, f.want())
	}
	if err != nil {
		return nil, err
	}
	if f.limit > 0 && len(texts) >= f.limit {
		return nil, &OverageError{Claim: p.String(), Reason: OverageCut}
	}
	return texts, nil
}

func (f form) want() string {
	if f.field != nil {
		return "an object or a list of objects"
	}
	return "a string or a list of strings"
}

func (f form) list(p Path, list string) ([]string, error) {
	texts := []string{}
	for index, e := range elements(list) {
		text, ok := strictjson.String(e)
		if !ok || f.field != nil {
			var err error
			if text, err = f.element(p.with(index), e); err != nil {
				return nil, err
			}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// element reads what is no plain string of a list of strings.
func (f form) element(p Path, e string) (string, error) {
	if f.field == nil {
		return "", wrongType(p, e, "a list of strings")
	}
	if strictjson.Kind(e) != '{' {
		return "", wrongType(p, e, "an object")
	}
	inner, ok := member(e, *f.field)
	text, isText := strictjson.String(inner)
	switch at := p.with(*f.field); {
	case !ok: // not Missing: the list is there, and an element of it would be lost
		return "", &Error{Claim: at.String(), Reason: Malformed, Hint: "an element of the list lacks that member"}
	case !isText:
		return "", wrongType(at, inner, "a string")
	}
	return text, nil
}

func (f form) split(text string) []string {
	if f.separators == "" {
		return []string{text}
	}
	texts := []string{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(f.separators, r) }) {
		if part = strings.Trim(part, " "); part != "" {
			texts = append(texts, part)
		}
	}
	return texts
}

// unwrap returns the JSON that stands in a string.
func (f form) unwrap(p Path, value string) (string, error) {
	text, ok := strictjson.String(value)
	if !f.json || !ok {
		return value, nil
	}
	text = strings.Trim(text, " \t\r\n")
	// strictjson takes objects: the text must be the one member of one.
	object, err := strictjson.ParseString(`{"":` + text + `}`)
	if inner, ok := object.Get(""); err != nil || !ok || inner != text {
		return "", &Error{Claim: p.String(), Reason: Malformed, Hint: "the string holds no JSON"}
	}
	return text, nil
}
