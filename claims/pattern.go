package claims

import (
	"slices"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Pattern is a path that may fan out over all members of an object, or all
// elements of a list. It leads to as many values as there are, in the order of the
// document. The zero Pattern leads nowhere. Patterns are values and may be shared.
type Pattern struct {
	segments []segment
}

// ParsePattern reads the text form of a pattern: that of a path, in which a whole
// segment "*" fans out. So "resource_access.*.roles" leads to the roles of all
// clients. "\*" is the member of that name, and "~*" in a JSON Pointer. Errors are of
// type *[PathError].
func ParsePattern(text string) (Pattern, error) {
	segments, err := parse(text, true)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{segments: segments}, nil
}

// Pattern returns the pattern that leads where p does, and nowhere else.
func (p Path) Pattern() Pattern { return Pattern{segments: p.list()} }

// Every returns the pattern that fans out where p leads, and goes on from there
// through segments, which are names as in [P]:
//
//	claims.P("resource_access").Every("roles")
func (p Path) Every(segments ...string) Pattern { return p.Pattern().Every(segments...) }

// Every fans out once more, as [Path.Every] does.
func (p Pattern) Every(segments ...string) Pattern {
	list := append(slices.Clone(p.segments), segment{every: true})
	return Pattern{segments: append(list, P(segments...).list()...)}
}

// String returns a text that [ParsePattern] reads as the same pattern.
func (p Pattern) String() string { return write(p.segments, true) }

// IsZero reports whether p has no segments.
func (p Pattern) IsZero() bool { return len(p.segments) == 0 }

// MarshalText writes the text form.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text form, as [ParsePattern] does.
func (p *Pattern) UnmarshalText(text []byte) error {
	parsed, err := ParsePattern(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}

// CollectStrings returns the strings that a pattern leads to, each once, in the
// order of the document. Where the pattern fans out, members that lack what it goes
// on to, or have null there, add nothing; if none has it, that is [Missing], or [Null].
// One value of another type is an error for all of them, as in [Set.Strings]; so is
// fanning out over what is neither an object nor a list.
func (s Set) CollectStrings(p Pattern, opts ...StringsOption) ([]string, error) {
	texts, _, err := s.collect(p, formOf(opts))
	return texts, err
}

// collect returns the strings, and the paths on which they were found.
func (s *Set) collect(p Pattern, f form) ([]string, []Path, error) {
	values, err := s.expand(p)
	if err != nil {
		return nil, nil, err
	}
	var texts union
	paths := make([]Path, len(values))
	for i, v := range values {
		found, err := f.read(v.path, v.text)
		if err != nil {
			return nil, nil, err
		}
		texts.add(found)
		paths[i] = v.path
	}
	return texts.list(), paths, nil
}

// A value is JSON text, and the path that leads to it.
type value struct {
	path Path
	text string
}

// expand returns the values that a pattern leads to.
func (s *Set) expand(p Pattern) ([]value, error) {
	if p.IsZero() {
		return nil, errEmptyPath()
	}
	if first := p.segments[0]; !first.every {
		text, _ := s.object.Get(first.name)
		if err := s.overage(P(first.name), text); err != nil {
			return nil, err
		}
	}
	x := expansion{}
	if err := x.walk(Path{}, s.text()[space(s.text(), 0):], p.segments); err != nil {
		return nil, err
	}
	switch {
	case len(x.found) > 0:
		return x.found, nil
	case x.null:
		return nil, &Error{Claim: p.String(), Reason: Null}
	}
	return nil, &Error{Claim: p.String(), Reason: Missing, Hint: s.hintPattern(p)}
}

func (s *Set) hintPattern(p Pattern) string {
	names := Path{}
	for _, step := range p.segments {
		if step.every {
			return ""
		}
		names = names.with(step.name)
	}
	return s.hint(names)
}

// An expansion collects values; it goes down depth first.
type expansion struct {
	found []value
	null  bool // some were null
}

func (x *expansion) walk(at Path, text string, rest []segment) error {
	switch {
	case strictjson.Kind(text) == 'n':
		x.null = true
		return nil
	case len(rest) == 0:
		x.found = append(x.found, value{path: at, text: text})
		return nil
	case !rest[0].every:
		if inner, ok := walkOf(text).lookup(text, rest[0].name); ok {
			return x.walk(at.with(rest[0].name), inner, rest[1:])
		}
		return nil
	}
	return x.fanOut(at, text, rest[1:])
}

func (x *expansion) fanOut(at Path, text string, rest []segment) error {
	if kind := strictjson.Kind(text); kind != '{' && kind != '[' {
		return wrongType(at, text, "an object or a list, to fan out over")
	}
	for name, inner := range children(text) {
		if err := x.walk(at.with(name), inner, rest); err != nil {
			return err
		}
	}
	return nil
}
