package strictjson

import (
	"math"
	"strings"
	"sync"
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
