package strictjson

import (
	"math/bits"
	"unicode/utf8"
)

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
