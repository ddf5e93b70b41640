package strictjson

import (
	"math/bits"
	"strings"
)

// A name is where the name of a member stands, quotes included, with a hash under
// which all names that differ only in case are equal. What is kept in lists has no
// pointers, which the garbage collector would have to look at.
type name struct {
	start, end int
	folded     uint64
	plain      bool
}

// text decodes a name.
func (s *scanner) text(n name) string {
	if !n.plain {
		return unquote(s.data[n.start:n.end])
	}
	return s.data[n.start+1 : n.end-1]
}

// An open object knows where its names begin, and 256 marks: a name whose mark is
// not set is not among them, and most need no second look.
type open struct {
	outer int
	marks [4]uint64
}

func (o *open) mark(folded uint64) (seen bool) {
	word, bit := &o.marks[folded>>62], uint64(1)<<(folded>>56&63)
	seen = *word&bit != 0
	*word |= bit
	return seen
}

// name reads the name of a member and stops at the colon.
func (s *scanner) name(i int) (name, int) {
	if s.at(i) != '"' {
		return name{}, s.fail(i, Syntax)
	}
	n, ok := s.shortName(i)
	if !ok {
		n = s.longName(i)
	}
	if n.end == bad {
		return name{}, bad
	}
	if i = s.skipSpace(n.end); s.at(i) != ':' {
		return name{}, s.fail(i, Syntax)
	}
	return n, i
}

// shortName reads a plain name of less than eight characters, as most are.
func (s *scanner) shortName(i int) (n name, ok bool) {
	if i+9 > len(s.data) {
		return n, false
	}
	x := word(s.data[i+1 : i+9])
	marks := special(x)
	length := bits.TrailingZeros64(marks) / 8 // 8 if there is no mark
	if length == 8 || s.data[i+1+length] != '"' {
		return n, false
	}
	x &= 1<<(8*length) - 1
	folded := s.hashWord(key0^uint64(length), x) //nolint:gosec // G115: below 8
	return name{start: i, end: i + length + 2, folded: folded, plain: true}, true
}

func (s *scanner) longName(i int) name {
	end, plain := s.string(i)
	n := name{start: i, end: end, plain: plain}
	switch {
	case end == bad:
	case plain:
		n.folded = s.hashPlain(s.data[i+1 : end-1])
	default:
		n.folded = s.hashFolded(s.text(n))
	}
	return n
}

// remember refuses a name that the open object has already, in whatever case.
// Two spellings of one name are how a document says one thing to one reader
// and another thing to the next.
func (s *scanner) remember(i int, n name, o *open) bool {
	siblings := s.names[o.outer:]
	if len(siblings) == maxMembers {
		s.fail(i, TooManyMembers)
		return false
	}
	if o.mark(n.folded) {
		for k := range siblings {
			if siblings[k].folded == n.folded && !s.differ(i, siblings[k], n) {
				return false
			}
		}
	}
	s.names = append(s.names, n)
	return true
}

// differ compares two names that have the same hash.
func (s *scanner) differ(i int, a, b name) bool {
	switch x, y := s.text(a), s.text(b); {
	case x == y:
		s.fail(i, DuplicateName)
	case strings.EqualFold(x, y):
		s.fail(i, FoldedName)
	default:
		return true
	}
	return false
}
