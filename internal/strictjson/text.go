package strictjson

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUnicodeEscape reads \uXXXX, or a surrogate pair of two of them, at the
// start of data. Size is 0 for bad syntax and -1 for half a surrogate pair,
// which no reader can turn into text without inventing something.
func decodeUnicodeEscape(data string) (r rune, size int) {
	r, ok := hex4(data)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(data[6:])
	if !ok {
		return 0, -1
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, -1
	}
	return r, 12
}

func hex4(data string) (r rune, ok bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	for k := 2; k < 6; k++ {
		c := data[k]
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a string that has passed the scanner, quotes included. It
// copies only where there is something to decode.
func unquote(quoted string) string {
	raw := quoted[1 : len(quoted)-1]
	i := strings.IndexByte(raw, '\\')
	if i < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		switch {
		case raw[i] != '\\':
			out = append(out, raw[i])
			i++
		case raw[i+1] == 'u':
			r, size := decodeUnicodeEscape(raw[i:])
			out = utf8.AppendRune(out, r)
			i += size
		default:
			out = append(out, unescape(raw[i+1]))
			i += 2
		}
	}
	return string(out)
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
