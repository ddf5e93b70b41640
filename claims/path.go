package claims

import (
	"fmt"
	"strings"
)

// A Path leads from a [Set] to a value: a name for each object on the way, or
// the index of a list element in digits. The zero Path leads nowhere: looking it
// up is [Missing]. Paths are values and may be shared.
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
// one. A text that starts with "/" is a JSON Pointer (RFC 6901).
func ParsePath(text string) (Path, error) {
	if strings.HasPrefix(text, "/") {
		return parsePointer(text)
	}
	var segments []string
	var segment strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			i++
			if i == len(text) || text[i] != '.' && text[i] != '\\' {
				return Path{}, pathError(text, i, `a backslash must be followed by "." or "\"`)
			}
			segment.WriteByte(text[i])
		case '.':
			if segment.Len() == 0 {
				return Path{}, pathError(text, i+1, "empty name before the dot")
			}
			segments = append(segments, segment.String())
			segment.Reset()
		default:
			segment.WriteByte(c)
		}
	}
	if segment.Len() == 0 {
		return Path{}, pathError(text, len(text)+1, "empty name at the end")
	}
	return Path{segments: append(segments, segment.String())}, nil
}

func parsePointer(text string) (Path, error) {
	segments := strings.Split(text[1:], "/")
	for i, s := range segments {
		for j := range len(s) {
			if s[j] == '~' && (j+1 == len(s) || s[j+1] != '0' && s[j+1] != '1') {
				return Path{}, pathError(text, strings.Index(text, s)+j+1, `in a JSON Pointer "~" must be followed by "0" or "1"`)
			}
		}
		segments[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return Path{segments: segments}, nil
}

func pathError(text string, column int, what string) error {
	return fmt.Errorf("claims: path %q, column %d: %s", text, column, what)
}

// Escape writes a member name so that [ParsePath] reads it as one segment.
func Escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(name)
}

// String returns a text that [ParsePath] reads as the same path. A path with an
// empty name, or a first name that starts with "/", has only the form of a JSON
// Pointer.
func (p Path) String() string {
	dotted := len(p.segments) > 0 && !strings.HasPrefix(p.segments[0], "/")
	escaped := make([]string, len(p.segments))
	for i, s := range p.segments {
		dotted = dotted && s != ""
		escaped[i] = Escape(s)
	}
	if dotted {
		return strings.Join(escaped, ".")
	}
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	return b.String()
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
