package strictjson

import (
	"iter"
	"strings"
)

// Elements yields the elements of a checked value that is a list, and of no other.
func Elements(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if Kind(value) != '[' {
			return
		}
		s := scanner{data: value}
		i, done := s.enter(0, ']')
		for more := !done; more; {
			end := s.skip(i)
			if end == bad || !yield(value[i:end]) {
				return
			}
			i, more = s.next(end, ']')
		}
	}
}

// Member returns a member of a checked value that is an object, and of no other.
func Member(value, name string) (member string, ok bool) {
	if Kind(value) != '{' {
		return "", false
	}
	s := scanner{data: value}
	i, done := s.enter(0, '}')
	for more := !done; more; {
		n, colon := s.name(i)
		if colon == bad {
			break
		}
		start := s.skipSpace(colon + 1)
		end := s.skip(start)
		if end == bad {
			break
		}
		if s.text(n) == name {
			return value[start:end], true
		}
		i, more = s.next(end, '}')
	}
	return "", false
}

// skip returns the end of a checked value. It needs to know nothing but strings and
// brackets. It is bad for what no check has passed.
func (s *scanner) skip(i int) int {
	switch s.at(i) {
	case '"':
		end, _ := s.string(i)
		return end
	case '{', '[':
		return s.skipNested(i)
	}
	for i < len(s.data) && strings.IndexByte(",]} \t\r\n", s.data[i]) < 0 {
		i++
	}
	return i
}

func (s *scanner) skipNested(i int) int {
	for depth := 0; i < len(s.data); {
		switch s.data[i] {
		case '"':
			if i, _ = s.string(i); i == bad {
				return bad
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
	return bad
}
