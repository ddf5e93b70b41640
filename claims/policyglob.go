package claims

import "strings"

// A glob is a pattern as the texts between its stars, of which there is one more than
// there are stars.
type glob struct {
	parts   []string
	problem string
}

func compileGlob(pattern string) glob {
	var g glob
	var part strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' && part.Len() == 0 && len(g.parts) > 0:
			return glob{problem: `"**" is no pattern: "*" stays within one segment; write "*" between each two separators, or a prefix`}
		case c == '*':
			g.parts = append(g.parts, part.String())
			part.Reset()
		case c == '\\':
			if i++; i == len(pattern) || pattern[i] != '*' && pattern[i] != '\\' {
				return glob{problem: `"\" must be followed by "*" or "\"`}
			}
			part.WriteByte(pattern[i])
		default:
			part.WriteByte(c)
		}
	}
	g.parts = append(g.parts, part.String())
	return g
}

// match reports whether the whole text fits. The first place where the text between two
// stars fits is the only one to look at: a star further left that went on to a later one
// would leave less to those on the right, and cannot cross a separator either.
func (g glob) match(text string) bool {
	rest, ok := strings.CutPrefix(text, g.parts[0])
	for i := 1; ok && i < len(g.parts); i++ {
		rest, ok = skip(rest, g.parts[i], i == len(g.parts)-1)
	}
	return ok && rest == ""
}

// skip lets a star stand for what comes before part, and returns what comes behind it.
func skip(text, part string, last bool) (string, bool) {
	n := len(text) - len(part)
	if !last && n > 0 {
		n = strings.Index(text[1:], part) + 1
	}
	if n < 1 || !strings.HasPrefix(text[n:], part) || strings.ContainsFunc(text[:n], ends) {
		return "", false
	}
	return text[n+len(part):], true
}

// ends reports whether a star ends before r.
func ends(r rune) bool { return r == '/' || r == ':' || r < ' ' || r == 0x7f }
