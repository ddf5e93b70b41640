package strictjson

import (
	"math"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"
)

// What a document may hold. Tokens and metadata of real providers stay far
// below; a document above them is made to cost time or memory.
const (
	maxDepth   = 16
	maxMembers = 512 // in one object
	maxNumber  = 32  // characters
)

// A scanner checks a document in one pass. Its methods take the position of what
// they read and return the position behind it, or bad after fail; positions travel
// in registers, which is much of why this is fast.
type scanner struct {
	data  string
	depth int
	names []name   // of all objects that are open, the innermost last
	top   []member // of the outermost
	found chains   // of top
	odd   bool     // a name at the top is not lower-case ASCII
	err   *Error
}

const bad = -1

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

// scanners keep the lists, so that a document costs no more than its Object.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

func parse(data string) (Object, error) {
	s, _ := scanners.Get().(*scanner)
	defer s.release()
	s.data = data
	if s.document() == bad {
		return Object{}, s.err
	}
	return Object{text: data, members: append([]member(nil), s.top...), chains: s.found, odd: s.odd}, nil
}

// release forgets the document: nothing of it may live on in a pool.
func (s *scanner) release() {
	*s = scanner{names: s.names[:0], top: s.top[:0]}
	scanners.Put(s)
}

func (s *scanner) fail(i int, r Reason) int {
	s.err = &Error{Reason: r, Offset: i}
	return bad
}

// at returns a byte, or 0 at the end. A zero byte is valid nowhere, so the two
// need not be told apart.
func (s *scanner) at(i int) byte {
	if i < len(s.data) {
		return s.data[i]
	}
	return 0
}

func (s *scanner) skipSpace(i int) int {
	for i < len(s.data) && s.data[i] <= ' ' {
		switch s.data[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

func (s *scanner) document() int {
	i := s.skipSpace(0)
	if len(s.data) > math.MaxInt32 {
		return s.fail(0, TooLarge)
	}
	if s.at(i) != '{' {
		return s.fail(i, NotObject)
	}
	if i = s.object(i); i == bad {
		return bad
	}
	if i = s.skipSpace(i); i != len(s.data) {
		return s.fail(i, Syntax)
	}
	return i
}

func (s *scanner) value(i int) int {
	switch c := s.at(i); {
	case c == '"':
		end, _ := s.string(i)
		return end
	case c == '{':
		return s.object(i)
	case c == '[':
		return s.array(i)
	case c == '-' || isDigit(c):
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return s.fail(i, Syntax)
}

func (s *scanner) literal(i int, word string) int {
	if !strings.HasPrefix(s.data[i:], word) {
		return s.fail(i, Syntax)
	}
	return i + len(word)
}

// enter steps into an object or a list, and says whether it is empty.
func (s *scanner) enter(i int, closing byte) (next int, empty bool) {
	if s.depth == maxDepth {
		return s.fail(i, TooDeep), false
	}
	i = s.skipSpace(i + 1)
	if s.at(i) == closing {
		return i + 1, true
	}
	s.depth++
	return i, false
}

// next steps over the comma between two elements, or over the closing bracket.
func (s *scanner) next(i int, closing byte) (next int, more bool) {
	i = s.skipSpace(i)
	switch s.at(i) {
	case ',':
		return s.skipSpace(i + 1), true
	case closing:
		s.depth--
		return i + 1, false
	}
	return s.fail(i, Syntax), false
}

func (s *scanner) array(i int) int {
	i, done := s.enter(i, ']')
	for more := !done && i != bad; more; {
		if i = s.value(i); i == bad {
			return bad
		}
		i, more = s.next(i, ']')
	}
	return i
}

func (s *scanner) object(i int) int {
	var o open
	o.outer = len(s.names)
	i, done := s.enter(i, '}')
	for more := !done && i != bad; more; {
		if i = s.member(i, &o); i == bad {
			return bad
		}
		i, more = s.next(i, '}')
	}
	s.names = s.names[:o.outer]
	return i
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

func (s *scanner) member(i int, o *open) int {
	n, i := s.name(i)
	if i == bad || !s.remember(i, n, o) {
		return bad
	}
	start := s.skipSpace(i + 1)
	end := s.value(start)
	if end != bad && s.depth == 1 {
		m := place(n, start, end)
		s.found.add(s.text(n), len(s.top), &m)
		s.top = append(s.top, m)
	}
	return end
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
	return name{start: i, end: i + length + 2, folded: s.hashWord(key0^uint64(length), x), plain: true}, true
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

func (s *scanner) number(i int) int {
	start := i
	if s.at(i) == '-' {
		i++
	}
	if s.at(i) == '0' {
		i++
	} else if i = s.digits(i); i == bad {
		return bad
	}
	if s.at(i) == '.' {
		if i = s.digits(i + 1); i == bad {
			return bad
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		if c := s.at(i + 1); c == '+' || c == '-' {
			i++
		}
		if i = s.digits(i + 1); i == bad {
			return bad
		}
	}
	if i-start > maxNumber {
		return s.fail(i, LongNumber)
	}
	return i
}

// digits reads one digit or more.
func (s *scanner) digits(i int) int {
	start := i
	for isDigit(s.at(i)) {
		i++
	}
	if i == start {
		return s.fail(i, Syntax)
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Eight bytes at a time: ones has a 1 in each, highs the highest bit of each.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// word returns eight bytes of s, the first of them lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// special marks the bytes of x that end a run of plain ones: quotes, backslashes,
// control characters, non-ASCII. The lowest mark is exact; a borrow can set false
// ones above it.
func special(x uint64) uint64 {
	quote, backslash := x^'"'*ones, x^'\\'*ones
	return (x | (quote - ones) | (backslash - ones) | (x - ' '*ones)) & highs
}

// string reads a string, and says whether it is plain: ASCII without escapes.
func (s *scanner) string(i int) (end int, plain bool) {
	data := s.data
	plain = true
	for i++; i < len(data); {
		if i+8 <= len(data) {
			marks := special(word(data[i : i+8]))
			if marks == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(marks) / 8
		}
		switch c := data[i]; {
		case c == '"':
			return i + 1, plain
		case c < ' ':
			return s.fail(i, Syntax), false
		case c == '\\':
			plain = false
			if i = s.escape(i); i == bad {
				return bad, false
			}
		case c < utf8.RuneSelf:
			i++
		default:
			plain = false
			r, size := utf8.DecodeRuneInString(data[i:])
			if r == utf8.RuneError && size == 1 {
				return s.fail(i, InvalidUnicode), false
			}
			i += size
		}
	}
	return s.fail(i, Syntax), false
}

func (s *scanner) escape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		_, size := decodeUnicodeEscape(s.data[i:])
		switch {
		case size == 0:
			return s.fail(i, Syntax)
		case size < 0:
			return s.fail(i, InvalidUnicode)
		}
		return i + size
	}
	return s.fail(i, Syntax)
}
