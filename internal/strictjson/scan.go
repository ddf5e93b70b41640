package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// What a document may hold. Tokens and metadata of real providers stay far
// below; a document above them is made to cost time or memory.
const (
	maxDepth   = 16
	maxMembers = 512 // in one object
	maxNumber  = 32  // characters
)

// A scanner checks a document in one pass.
type scanner struct {
	data  []byte
	pos   int
	depth int
	names []name // of all objects that are open, the innermost last
	top   []Member
}

// A name is the name of a member: decoded, with a hash under which all names
// that differ only in case are equal.
type name struct {
	decoded []byte
	folded  uint64
}

func (s *scanner) fail(r Reason) error { return &Error{Reason: r, Offset: s.pos} }

func (s *scanner) skipSpace() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end. A zero byte is valid nowhere,
// so the two need not be told apart.
func (s *scanner) peek() byte {
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) document() error {
	s.skipSpace()
	if s.peek() != '{' {
		return s.fail(NotObject)
	}
	if err := s.object(); err != nil {
		return err
	}
	s.skipSpace()
	if s.pos != len(s.data) {
		return s.fail(Syntax)
	}
	return nil
}

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '"':
		return s.string()
	case c == '{':
		return s.object()
	case c == '[':
		return s.array()
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.fail(Syntax)
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return s.fail(Syntax)
	}
	s.pos += len(word)
	return nil
}

// enter steps into an object or a list, and says whether it is empty.
func (s *scanner) enter(closing byte) (empty bool, err error) {
	if s.depth++; s.depth > maxDepth {
		return false, s.fail(TooDeep)
	}
	s.pos++
	s.skipSpace()
	if s.peek() != closing {
		return false, nil
	}
	s.pos++
	s.depth--
	return true, nil
}

// next steps over the comma between two elements, or over the closing bracket.
func (s *scanner) next(closing byte) (more bool, err error) {
	s.skipSpace()
	switch s.peek() {
	case ',':
		s.pos++
		s.skipSpace()
		return true, nil
	case closing:
		s.pos++
		s.depth--
		return false, nil
	}
	return false, s.fail(Syntax)
}

func (s *scanner) array() error {
	if empty, err := s.enter(']'); empty || err != nil {
		return err
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		if more, err := s.next(']'); !more || err != nil {
			return err
		}
	}
}

func (s *scanner) object() error {
	if empty, err := s.enter('}'); empty || err != nil {
		return err
	}
	outer := len(s.names)
	defer func() { s.names = s.names[:outer] }()
	for {
		if err := s.member(outer); err != nil {
			return err
		}
		if more, err := s.next('}'); !more || err != nil {
			return err
		}
	}
}

func (s *scanner) member(outer int) error {
	start := s.pos
	if s.peek() != '"' {
		return s.fail(Syntax)
	}
	if err := s.string(); err != nil {
		return err
	}
	decoded := unquote(s.data[start:s.pos])
	if err := s.remember(decoded, outer); err != nil {
		return err
	}
	s.skipSpace()
	if s.peek() != ':' {
		return s.fail(Syntax)
	}
	s.pos++
	s.skipSpace()
	start = s.pos
	if err := s.value(); err != nil {
		return err
	}
	if s.depth == 1 {
		s.top = append(s.top, Member{name: decoded, Value: s.data[start:s.pos]})
	}
	return nil
}

// remember refuses a name that the open object has already, in whatever case.
// Two spellings of one name are how a document says one thing to one reader
// and another thing to the next.
func (s *scanner) remember(decoded []byte, outer int) error {
	n := name{decoded: decoded, folded: foldedHash(decoded)}
	siblings := s.names[outer:]
	if len(siblings) == maxMembers {
		return s.fail(TooManyMembers)
	}
	for _, o := range siblings {
		if o.folded != n.folded {
			continue
		}
		if bytes.Equal(o.decoded, decoded) {
			return s.fail(DuplicateName)
		}
		if bytes.EqualFold(o.decoded, decoded) {
			return s.fail(FoldedName)
		}
	}
	s.names = append(s.names, n)
	return nil
}

func (s *scanner) number() error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if s.digits() == 0 {
		return s.fail(Syntax)
	}
	if s.peek() == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.fail(Syntax)
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return s.fail(Syntax)
		}
	}
	if s.pos-start > maxNumber {
		return s.fail(LongNumber)
	}
	return nil
}

func (s *scanner) digits() (n int) {
	for isDigit(s.peek()) {
		s.pos++
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) string() error {
	s.pos++
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.fail(Syntax)
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return s.fail(InvalidUnicode)
			}
			s.pos += size
		}
	}
	return s.fail(Syntax)
}

func (s *scanner) escape() error {
	if s.pos+1 == len(s.data) {
		return s.fail(Syntax)
	}
	switch s.data[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		_, size := decodeUnicodeEscape(s.data[s.pos:])
		if size == 0 {
			return s.fail(Syntax)
		}
		if size < 0 {
			return s.fail(InvalidUnicode)
		}
		s.pos += size
		return nil
	}
	return s.fail(Syntax)
}
