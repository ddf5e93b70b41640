package oracle_test

import (
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	header  = `{"alg":"$alg","typ":"at+jwt"}`
	payload = `{"iss":"https://op.example","sub":"jane","aud":"api","client_id":"w","jti":"1","iat":1893455990,"exp":1893456300}`
)

// signed is sign with the name of the algorithm for $alg.
func signed(alg, header, payload string) string {
	return sign(alg, strings.ReplaceAll(header, "$alg", alg), payload)
}

var verifiers = []string{"jwks.Verify", "oidc.AccessTokenVerifier"}

// Nothing that is near a valid token is valid.
func TestJ21_NoMutationOfATokenIsAccepted(t *testing.T) {
	t.Parallel()
	for _, alg := range everyAlgorithm {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			ours, raw := newOurs(alg), signed(alg, header, payload)
			require.Equal(t, verifiers, ours.accepts(raw), "the token itself")
			for how, all := range mutations {
				made, every := 0, max(stride[alg], 1)
				for mutant := range all(raw) {
					if made++; made%every != 0 {
						continue
					}
					if by := ours.accepts(mutant); by != nil {
						require.Empty(t, by, "%s: %q", how, mutant)
					}
				}
				require.GreaterOrEqual(t, made, atLeast(how, raw), how)
			}
			require.Equal(t, verifiers, ours.accepts(raw), "the token itself, afterwards")
		})
	}
}

// atLeast is how many mutants of a token there must be: a generator that yields
// nothing would find nothing.
func atLeast(how, raw string) int {
	switch how {
	case "a bit of the text flipped":
		return 8 * len(raw)
	case "a byte of the text dropped", "a byte of the text twice", "the end cut off", "the beginning cut off":
		return len(raw)
	case "a bit of what is encoded flipped":
		return 8 * (len(raw)*6/8 - 3)
	}
	return 9
}

// Each of them makes many texts out of one token.
var mutations = map[string]func(raw string) iter.Seq[string]{
	"a bit of the text flipped":        eachByte(flipped),
	"a byte of the text dropped":       eachByte(func(s string, i int) []string { return []string{s[:i] + s[i+1:]} }),
	"a byte of the text twice":         eachByte(func(s string, i int) []string { return []string{s[:i+1] + s[i:]} }),
	"two neighbours exchanged":         eachByte(exchanged),
	"something put into the text":      eachByte(filled),
	"the end cut off":                  eachByte(func(s string, i int) []string { return []string{s[:i]} }),
	"the beginning cut off":            eachByte(func(s string, i int) []string { return []string{s[i+1:]} }),
	"a bit of what is encoded flipped": eachSegment(inDecoded(flipped)),
	"a byte of what is encoded dropped": eachSegment(inDecoded(func(s string, i int) []string {
		return []string{s[:i] + s[i+1:]}
	})),
	"a byte of what is encoded twice": eachSegment(inDecoded(func(s string, i int) []string { return []string{s[:i+1] + s[i:]} })),
	"a zero before or behind":         eachSegment(aroundDecoded("\x00")),
	"a space before or behind":        eachSegment(aroundDecoded(" ")),
	"another spelling":                eachSegment(spelled),
	"segments moved":                  moved,
	"another form":                    reshaped,
}

func eachByte(mutate func(s string, i int) []string) func(string) iter.Seq[string] {
	return func(s string) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := range len(s) {
				for _, mutant := range mutate(s, i) {
					if mutant != s && !yield(mutant) {
						return
					}
				}
			}
		}
	}
}

func flipped(s string, i int) (all []string) {
	for bit := range 8 {
		b := []byte(s)
		b[i] ^= 1 << bit
		all = append(all, string(b))
	}
	return all
}

func exchanged(s string, i int) []string {
	if i+1 == len(s) {
		return nil
	}
	return []string{s[:i] + s[i+1:i+2] + s[i:i+1] + s[i+2:]}
}

// fillings are what some decoder skips or stops at.
var fillings = []string{"\n", "\r", "\r\n", " ", "\t", "\x00", "\v", "=", ".", "..", "%2E", "%", "\u00a0", "\ufeff", "\u200b", "+", "/", "A", "\x80", ",", ";", `"`}

func filled(s string, i int) (all []string) {
	for _, f := range fillings {
		all = append(all, s[:i]+f+s[i:])
		if i == len(s)-1 {
			all = append(all, s+f)
		}
	}
	return all
}

func eachSegment(mutate func(segment string) []string) func(string) iter.Seq[string] {
	return func(raw string) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i, segment := range strings.Split(raw, ".") {
				for _, mutant := range mutate(segment) {
					parts := strings.Split(raw, ".")
					parts[i] = mutant
					if !yield(strings.Join(parts, ".")) {
						return
					}
				}
			}
		}
	}
}

func decoded(segment string) string { return string(must(base64.RawURLEncoding.DecodeString(segment))) }

func inDecoded(mutate func(s string, i int) []string) func(string) []string {
	return func(segment string) (all []string) {
		s := decoded(segment)
		for i := range len(s) {
			for _, mutant := range mutate(s, i) {
				if mutant != s {
					all = append(all, b64(mutant))
				}
			}
		}
		return all
	}
}

func aroundDecoded(filling string) func(string) []string {
	return func(segment string) []string {
		s := decoded(segment)
		return []string{b64(filling + s), b64(s + filling), b64(filling + s + filling)}
	}
}

// spelled writes a segment in other ways that stand for the same bytes to a decoder that
// is not strict.
func spelled(segment string) (all []string) {
	s := decoded(segment)
	padded := base64.URLEncoding.EncodeToString([]byte(s))
	all = append(all, segment+"=", segment+"==", segment+"===", segment+"====", "="+segment, segment+"\n", padded+"\n")
	for _, other := range []string{padded, base64.StdEncoding.EncodeToString([]byte(s)), base64.RawStdEncoding.EncodeToString([]byte(s))} {
		if other != segment {
			all = append(all, other)
		}
	}
	if segment == "" {
		return all
	}
	// A character whose last bits stand for nothing, with those bits set.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	for unused := 1; unused < 1<<(len(segment)*6%8); unused++ {
		all = append(all, segment[:len(segment)-1]+alphabet[last+unused:last+unused+1])
	}
	// Each single letter more: it stands for no whole byte.
	for i := range alphabet {
		all = append(all, segment+alphabet[i:i+1])
	}
	return all
}

// moved leaves segments out, doubles them and exchanges them.
func moved(raw string) iter.Seq[string] {
	p := strings.Split(raw, ".")
	choices := append(slices.Clone(p), "", b64("{}"), b64(`{"alg":"none"}`))
	return func(yield func(string) bool) {
		for n := 1; n <= 4; n++ {
			for choice := range power(len(choices), n) {
				parts := make([]string, n)
				for i, c := range choice {
					parts[i] = choices[c]
				}
				if mutant := strings.Join(parts, "."); mutant != raw && !yield(mutant) {
					return
				}
			}
		}
	}
}

// power yields all words of n letters out of the first size numbers.
func power(size, n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		word := make([]int, n)
		for {
			if !yield(word) {
				return
			}
			i := n - 1
			for ; i >= 0 && word[i] == size-1; i-- {
				word[i] = 0
			}
			if i < 0 {
				return
			}
			word[i]++
		}
	}
}

// reshaped writes the token as something that is no compact JWS, or around it.
func reshaped(raw string) iter.Seq[string] {
	p := strings.Split(raw, ".")
	flat := fmt.Sprintf(`"protected":%q,"signature":%q`, p[0], p[2])
	return slices.Values([]string{
		fmt.Sprintf(`{"payload":%q,%s}`, p[1], flat),
		fmt.Sprintf(`{"payload":%q,"signatures":[{%s}]}`, p[1], flat),
		fmt.Sprintf(`{"payload":%q,"signatures":[{%s},{%s}]}`, p[1], flat, flat),
		"Bearer " + raw, `"` + raw + `"`, raw + "," + raw, raw + " " + raw, raw + raw, raw + "." + raw, raw + "...." + raw,
		raw + "~", raw + "~~", raw + "#", raw + "?", raw + "%00", strings.ToUpper(raw), strings.ToLower(raw),
		strings.ReplaceAll(raw, ".", "%2E"), strings.ReplaceAll(raw, ".", ".."), strings.ReplaceAll(raw, ".", "\uff0e"), "." + raw, raw + ".",
		b64(raw), raw + strings.Repeat("A", 16<<10), raw + strings.Repeat(".", 16<<10), raw[:0],
	})
}
