package strictjson

import (
	"math/bits"
	"math/rand/v2"
	"unicode"
	"unicode/utf8"
)

// Names that are equal under Unicode case folding have equal hashes: "iss", "ISS"
// and "iſſ" are one. The hash is keyed, so that nobody can write a document whose
// names collide and are compared one by one.

var key0, key1 = rand.Uint64() | 1, rand.Uint64() | 1 //nolint:gosec // G404: ChaCha8 with a seed of the system

func mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x, key1)
	return hi ^ lo
}

// lower sets the bit that tells small ASCII letters from capital ones. Other
// characters may meet too, which costs a comparison.
const lower = 0x20 * ones

// hashPlain hashes an ASCII name, and notes capitals.
func (s *scanner) hashPlain(n string) uint64 {
	h := key0 ^ uint64(len(n))
	rest := n
	for ; len(rest) > 8; rest = rest[8:] {
		h = s.hashWord(h, word(rest[:8]))
	}
	if len(n) >= 8 {
		return s.hashWord(h, word(n[len(n)-8:]))
	}
	var x uint64
	for k := range len(rest) {
		x |= uint64(rest[k]) << (8 * k)
	}
	return s.hashWord(h, x)
}

// hashWord takes the next characters of a name, up to eight, with zeros behind.
func (s *scanner) hashWord(h, x uint64) uint64 {
	if capitals(x) != 0 && s.depth == 1 {
		s.odd = true
	}
	return mix(h, x|lower)
}

// capitals marks the capital letters of eight ASCII characters.
func capitals(x uint64) uint64 {
	return ((x + (0x80-'A')*ones) ^ (x + (0x7f-'Z')*ones)) & highs
}

// hashFolded is hashPlain for any name: it hashes what hashPlain would see if all
// letters were written in their ASCII form, where they have one.
func (s *scanner) hashFolded(n string) uint64 {
	folded := make([]byte, 0, len(n))
	for _, r := range n {
		if r >= utf8.RuneSelf && s.depth == 1 {
			s.odd = true
		}
		folded = utf8.AppendRune(folded, fold(r))
	}
	if isASCII(folded) {
		return s.hashPlain(string(folded))
	}
	h := key0 ^ uint64(len(folded))
	for _, c := range folded {
		h = mix(h, uint64(c))
	}
	return h
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
