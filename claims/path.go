package claims

import "slices"

// A Path leads from a [Set] to a value: a name for each object on the way, or
// the index of a list element in digits. The zero Path leads nowhere: looking it
// up is [Missing]. Paths are values and may be shared. What leads to several
// values is a [Pattern].
type Path struct {
	segments []string
}

// P makes a path of segments, each one member name as it is, dots included.
func P(segments ...string) Path {
	return Path{segments: append([]string(nil), segments...)}
}

// ParsePath reads the text form of a path, as it stands in configuration files:
// "." separates names, "\." is a dot in a name and "\\" a backslash. So
// "realm_access.roles" has two segments and "https://example\.com/roles" has
// one. A text that starts with "/" is a JSON Pointer (RFC 6901). "*" is a name
// like any other; see [ParsePattern]. Errors are of type *[PathError].
func ParsePath(text string) (Path, error) {
	segments, err := parse(text, false)
	if err != nil {
		return Path{}, err
	}
	p := Path{segments: make([]string, len(segments))}
	for i, s := range segments {
		p.segments[i] = s.name
	}
	return p, nil
}

// Escape writes a member name so that [ParsePath] reads it as one segment. An empty
// name, and one that starts with "/", have no such text: [P] takes any name.
func Escape(name string) string { return dotted.escaped(name) }

// String returns a text that [ParsePath] reads as the same path. A path with an
// empty name, or a first name that starts with "/", has only the form of a JSON
// Pointer.
func (p Path) String() string { return write(p.list(), false) }

func (p Path) list() []segment {
	segments := make([]segment, len(p.segments))
	for i, name := range p.segments {
		segments[i].name = name
	}
	return segments
}

// with returns p with one more segment.
func (p Path) with(name string) Path {
	return Path{segments: append(slices.Clip(p.segments), name)}
}

// IsZero reports whether p has no segments.
func (p Path) IsZero() bool { return len(p.segments) == 0 }

// MarshalText writes the text form.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text form, as [ParsePath] does, so that a Path can be
// a field of a configuration file or a command line flag.
func (p *Path) UnmarshalText(text []byte) error {
	parsed, err := ParsePath(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}
