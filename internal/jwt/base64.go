package jwt

import "encoding/binary"

// invalid marks characters outside the alphabet in the tables below.
const invalid = 1 << 24

// Four tables give the bits of a character for each place in a group of four (RFC
// 4648 section 5). One character costs one load, and the alphabet is checked on
// the way: the decoder of the standard library is slower and skips line breaks.
var sextet0, sextet1, sextet2, sextet3 = sextets(18), sextets(12), sextets(6), sextets(0)

func sextets(shift int) *[256]uint32 {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var table [256]uint32
	for i := range table {
		table[i] = invalid
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = uint32(i) << shift
	}
	return &table
}

// Decode decodes base64url in its one spelling, as [Parse] does: of a JWE's parts, and
// of the numbers of a JWK (RFC 7515 section 2).
func Decode(s string) (data []byte, ok bool) { return decode(nil, s) }

// decodedLen is how many bytes n characters stand for.
func decodedLen(n int) int { return n * 6 / 8 }

// decode appends what s stands for to dst, which must be empty. It takes one
// spelling only: no padding, no line breaks, no bits set behind the last byte.
func decode(dst []byte, s string) (_ []byte, ok bool) {
	n := decodedLen(len(s))
	if cap(dst) < n+8 { // whole words are written
		dst = make([]byte, 0, n+8)
	}
	buf, out := dst[:n+8], 0
	t0, t1, t2, t3 := sextet0, sextet1, sextet2, sextet3
	var seen uint32
	for len(s) >= 8 {
		high := t0[s[0]] | t1[s[1]] | t2[s[2]] | t3[s[3]]
		low := t0[s[4]] | t1[s[5]] | t2[s[6]] | t3[s[7]]
		seen |= high | low
		binary.BigEndian.PutUint64(buf[out:], uint64(high)<<40|uint64(low)<<16)
		out += 6
		s = s[8:]
	}
	if len(s) >= 4 {
		v := t0[s[0]] | t1[s[1]] | t2[s[2]] | t3[s[3]]
		seen |= v
		binary.BigEndian.PutUint32(buf[out:], v<<8)
		out += 3
		s = s[4:]
	}
	var rest uint32 // the last two or three characters
	switch len(s) {
	case 0:
	case 2:
		rest = t0[s[0]] | t1[s[1]]
		buf[out] = byte(rest >> 16) //nolint:gosec // G115: what is cut off is judged below
		rest &^= 0xff << 16         // what is left must not be set
	case 3:
		rest = t0[s[0]] | t1[s[1]] | t2[s[2]]
		buf[out], buf[out+1] = byte(rest>>16), byte(rest>>8) //nolint:gosec // G115: as above
		rest &^= 0xffff << 8
	default:
		return nil, false
	}
	return buf[:n], seen&invalid == 0 && rest == 0
}
