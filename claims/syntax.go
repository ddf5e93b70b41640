package claims

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A segment is one step of a path: a name, or every member.
type segment struct {
	name  string
	every bool
}

// A syntax is a way to write segments down.
type syntax struct {
	separator, escape byte
	escapes           string // what may follow the escape character; the last one in patterns alone
	meanings          string // what each of them stands for
	emptyNames        bool
}

var (
	dotted  = syntax{separator: '.', escape: '\\', escapes: `.\*`, meanings: `.\*`}
	pointer = syntax{separator: '/', escape: '~', escapes: "10*", meanings: "/~*", emptyNames: true} // RFC 6901
)

// PathError says where the text of a path or pattern is wrong. The text is of the
// configuration, so the error shows it.
type PathError struct {
	Text    string
	Column  int // in characters, from 1
	Problem string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("claims: path %q, column %d: %s", e.Text, e.Column, e.Problem)
}

// parse reads either syntax. In patterns a segment "*" is every member.
func parse(text string, pattern bool) ([]segment, error) {
	if strings.HasPrefix(text, "/") {
		return pointer.split(text, 1, pattern)
	}
	return dotted.split(text, 0, pattern)
}

// split reads the segments of text from start on.
func (x syntax) split(text string, start int, pattern bool) ([]segment, error) {
	var segments []segment
	var name strings.Builder
	for i := start; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == x.separator:
			if i == start && !x.emptyNames {
				return nil, errorAt(text, i, "a name is empty; a dot in a name is written \\.")
			}
			next := segment{name: name.String()}
			if pattern && text[start:i] == "*" {
				next = segment{every: true}
			}
			segments = append(segments, next)
			name.Reset()
			start = i + 1
		case text[i] == x.escape:
			c, ok := x.meaning(text[i+1:], pattern)
			if !ok {
				return nil, errorAt(text, i, x.misuse(pattern))
			}
			name.WriteByte(c)
			i++
		default:
			name.WriteByte(text[i])
		}
	}
	return segments, nil
}

// meaning tells what the character behind an escape stands for.
func (x syntax) meaning(rest string, pattern bool) (byte, bool) {
	if rest == "" {
		return 0, false
	}
	i := strings.IndexByte(x.escapes, rest[0])
	if i < 0 || x.escapes[i] == '*' && !pattern {
		return 0, false
	}
	return x.meanings[i], true
}

func (x syntax) misuse(pattern bool) string {
	allowed := fmt.Sprintf("%q or %q", x.escapes[0], x.escapes[1])
	if pattern {
		allowed = fmt.Sprintf("%q, %s", x.escapes[2], allowed)
	}
	return fmt.Sprintf("%q must be followed by %s", x.escape, allowed)
}

func errorAt(text string, i int, problem string) error {
	return &PathError{Text: text, Column: utf8.RuneCountInString(text[:i]) + 1, Problem: problem}
}

// write is the text of segments that parse reads. What has an empty name, or begins
// with a slash, has only the form of a JSON Pointer.
func write(segments []segment, pattern bool) string {
	x := pointer
	if hasDotted(segments) {
		x = dotted
	}
	var b strings.Builder
	for i, s := range segments {
		if i > 0 || x.emptyNames {
			b.WriteByte(x.separator)
		}
		x.writeSegment(&b, s, pattern)
	}
	return b.String()
}

func hasDotted(segments []segment) bool {
	for _, s := range segments {
		if s.name == "" && !s.every {
			return false
		}
	}
	return len(segments) > 0 && !strings.HasPrefix(segments[0].name, "/")
}

func (x syntax) writeSegment(b *strings.Builder, s segment, pattern bool) {
	switch {
	case s.every:
		b.WriteByte('*')
	case pattern && s.name == "*":
		b.WriteByte(x.escape)
		b.WriteByte('*')
	default:
		b.WriteString(x.escaped(s.name))
	}
}

// escaped writes a name with what would be read otherwise escaped.
func (x syntax) escaped(name string) string {
	if strings.IndexByte(name, x.separator) < 0 && strings.IndexByte(name, x.escape) < 0 {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if k := strings.IndexByte(x.meanings[:2], name[i]); k >= 0 {
			b.WriteByte(x.escape)
			b.WriteByte(x.escapes[k])
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
