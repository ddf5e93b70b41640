package strictjson

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUnicodeEscape reads \uXXXX, or a surrogate pair of two of them, at the
// start of data. Size is 0 for bad syntax and -1 for half a surrogate pair,
// which no reader can turn into text without inventing something.
func decodeUnicodeEscape(data []byte) (r rune, size int) {
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

func hex4(data []byte) (r rune, ok bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	for _, c := range data[2:6] {
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
func unquote(quoted []byte) []byte {
	raw := quoted[1 : len(quoted)-1]
	i := 0
	for i < len(raw) && raw[i] != '\\' {
		i++
	}
	if i == len(raw) {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if raw[i+1] == 'u' {
			r, size := decodeUnicodeEscape(raw[i:])
			out = utf8.AppendRune(out, r)
			i += size
			continue
		}
		out = append(out, unescape(raw[i+1]))
		i += 2
	}
	return out
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

// foldedHash hashes a name so that names equal under Unicode case folding have
// equal hashes: "iss", "ISS" and "iſſ" are one. It is FNV-1a over runes.
func foldedHash(name []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := 0; i < len(name); {
		r, size := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(name[i:])
		}
		h = (h ^ uint64(uint32(fold(r)))) * prime //nolint:gosec // G115: a rune of valid UTF-8 is not negative
		i += size
	}
	return h
}

// fold returns the smallest of the runes that r is equal to in another case.
// For the ASCII letters, K and S included, that is the capital one.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	return least
}
