package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// rsaJWK writes numbers as an RSA key.
func rsaJWK(n *big.Int, e int64) string {
	return `{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"` + b64(big.NewInt(e).Bytes()) + `"}`
}

// oddNumber returns a number of so many bits that no small prime divides.
func oddNumber(bits uint) *big.Int {
	for {
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits)))
		n.SetBit(n, int(bits)-1, 1)
		if new(big.Int).GCD(nil, nil, n, small()).Cmp(big.NewInt(1)) == 0 {
			return n
		}
	}
}

var small = sync.OnceValue(func() *big.Int { return primorial(39) })

// primorial returns the product of the first primes.
func primorial(count int) *big.Int {
	product := big.NewInt(1)
	for _, p := range firstPrimes(count) {
		product.Mul(product, big.NewInt(p))
	}
	return product
}

func firstPrimes(count int) (list []int64) {
	for n := int64(2); len(list) < count; n++ {
		if big.NewInt(n).ProbablyPrime(0) {
			list = append(list, n)
		}
	}
	return list
}

func TestJ10_RSASizesAndExponents(t *testing.T) {
	t.Parallel()
	for _, bits := range []uint{2048, 2049, 3072, 4096, 4097, 8191, 8192} {
		_, err := jwks.ParseKey([]byte(rsaJWK(oddNumber(bits), 65537)))
		require.NoError(t, err, bits)
	}
	for _, bits := range []uint{512, 1024, 2047, 8193, 8200, 16384} {
		n := oddNumber(bits)
		_, err := jwks.ParseKey([]byte(rsaJWK(n, 65537)))
		requireKeyReason(t, err, jwks.KeyWeak, bits)
		_, err = jwks.NewKey(&rsa.PublicKey{N: n, E: 65537}, "", "")
		requireKeyReason(t, err, jwks.KeyWeak, bits)
	}
	n := oddNumber(2048)
	for _, e := range []int64{3, 17, 65537, 1<<31 - 1} {
		_, err := jwks.ParseKey([]byte(rsaJWK(n, e)))
		require.NoError(t, err, e)
	}
	for _, e := range []int64{1, 2, 65536, 1<<31 + 1, 1<<32 + 1, 1<<40 + 1} {
		_, err := jwks.ParseKey([]byte(rsaJWK(n, e)))
		requireKeyReason(t, err, jwks.KeyWeak, e)
		_, err = jwks.NewKey(&rsa.PublicKey{N: n, E: int(e)}, "", "")
		requireKeyReason(t, err, jwks.KeyWeak, e)
	}
	// The lowest 64 bits of this one are 65537.
	_, err := jwks.ParseKey([]byte(`{"kty":"RSA","n":"` + b64(n.Bytes()) + `","e":"` + b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1}) + `"}`))
	requireKeyReason(t, err, jwks.KeyWeak)
	for _, factor := range firstPrimes(39) {
		_, err := jwks.ParseKey([]byte(rsaJWK(new(big.Int).Mul(oddNumber(2048), big.NewInt(factor)), 65537)))
		requireKeyReason(t, err, jwks.KeyWeak, factor)
	}
	for _, bad := range []*rsa.PublicKey{nil, {}, {N: big.NewInt(0), E: 65537}, {N: new(big.Int).Neg(n), E: 65537}} {
		_, err := jwks.NewKey(bad, "", "")
		requireKeyReason(t, err, jwks.KeyMalformed)
	}
}

// A key at the upper limit verifies, which go-jose would not even read. It has many
// small primes, so that it is quickly made.
func TestJ10_LargeRSAKeyVerifies(t *testing.T) {
	t.Parallel()
	var n, d *big.Int
	for d == nil { // 65537 divides phi
		n = big.NewInt(1)
		phi, one := big.NewInt(1), big.NewInt(1)
		for range 16 {
			p := must(rand.Prime(rand.Reader, 512))
			n.Mul(n, p)
			phi.Mul(phi, p.Sub(p, one))
		}
		d = new(big.Int).ModInverse(big.NewInt(65537), phi)
	}
	require.Greater(t, n.BitLen(), 8180)
	signed := b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(`{}`))
	digest := sha256.Sum256([]byte(signed))
	info, _ := hex.DecodeString("3031300d060960864801650304020105000420")
	tail := append(info, digest[:]...)
	size := (n.BitLen() + 7) / 8
	em := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, size-3-len(tail))...)
	em = append(append(em, 0), tail...)
	sig := new(big.Int).Exp(new(big.Int).SetBytes(em), d, n).FillBytes(make([]byte, size))
	_, err := jwks.VerifyCompact([]byte(rsaJWK(n, 65537)), signed+"."+b64(sig), "RS256")
	require.NoError(t, err)
}

// With e = 3 whoever finds a cube that begins like a signature has forged one, where
// the end of it is not looked at (Bleichenbacher 2006).
func TestJ10_CubeRootForgery(t *testing.T) {
	t.Parallel()
	n := oddNumber(2048)
	signed := b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(`{}`))
	digest := sha256.Sum256([]byte(signed))
	info, _ := hex.DecodeString("3031300d060960864801650304020105000420")
	prefix := slices.Concat([]byte{0, 1}, slices.Repeat([]byte{0xff}, 8), []byte{0}, info, digest[:])
	target := new(big.Int).SetBytes(append(prefix, slices.Repeat([]byte{0xff}, 256-len(prefix))...))
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), 700)
	for new(big.Int).Sub(high, low).Cmp(big.NewInt(1)) > 0 {
		middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Exp(middle, big.NewInt(3), nil).Cmp(target) <= 0 {
			low = middle
		} else {
			high = middle
		}
	}
	cube := new(big.Int).Exp(low, big.NewInt(3), nil).FillBytes(make([]byte, 256))
	require.Equal(t, prefix, cube[:len(prefix)], "the forgery is one")
	_, err := jwks.VerifyCompact([]byte(rsaJWK(n, 3)), signed+"."+b64(low.FillBytes(make([]byte, 256))), "RS256")
	requireReason(t, err, jwt.BadSigning)
}

// rocaPrime makes a prime as the broken generator did: kM + (65537^a mod M).
func rocaPrime(m *big.Int, bits int) *big.Int {
	for {
		a := must(rand.Int(rand.Reader, m))
		k := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-m.BitLen()+1))))
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		if p.Add(p, k.Mul(k, m)); p.BitLen() == bits && p.Bit(bits-2) == 1 && p.ProbablyPrime(10) {
			return p
		}
	}
}

// For keys of 2048 bits M has 126 primes.
func TestJ10_ROCA(t *testing.T) {
	t.Parallel()
	m := primorial(126)
	n := new(big.Int).Mul(rocaPrime(m, 1024), rocaPrime(m, 1024))
	require.Equal(t, 2048, n.BitLen())
	_, err := jwks.ParseKey([]byte(rsaJWK(n, 65537)))
	requireKeyReason(t, err, jwks.KeyWeak)
	_, err = jwks.NewKey(&rsa.PublicKey{N: n, E: 65537}, "", "")
	requireKeyReason(t, err, jwks.KeyWeak)
	for range 500 {
		_, err := jwks.ParseKey([]byte(rsaJWK(oddNumber(2048), 65537)))
		require.NoError(t, err)
	}
}

// A modulus that looks like one of the broken generator modulo each small prime but
// one is none.
func TestJ10_ROCA_EachPrimeCounts(t *testing.T) {
	t.Parallel()
	m := primorial(39)
	told := 0
	for _, p := range firstPrimes(39) {
		powers := map[int64]bool{}
		for x := int64(65537) % p; !powers[x]; x = x * 65537 % p {
			powers[x] = true
		}
		other := int64(1)
		for powers[other] {
			other++
		}
		if other == p {
			continue // everything is a power
		}
		told++
		// n = 65537^a modulo m/p, and other modulo p.
		rest := new(big.Int).Div(m, big.NewInt(p))
		n := new(big.Int).Exp(big.NewInt(65537), must(rand.Int(rand.Reader, m)), rest)
		for new(big.Int).Mod(n, big.NewInt(p)).Int64() != other {
			n.Add(n, rest)
		}
		high := new(big.Int).Lsh(big.NewInt(1), 2047)
		n.Add(n, high.Add(high, m).Sub(high, new(big.Int).Mod(high, m)))
		require.Equal(t, 2048, n.BitLen())
		_, err := jwks.ParseKey([]byte(rsaJWK(n, 65537)))
		require.NoError(t, err, p)
	}
	require.Equal(t, 17, told, "as many primes say something")
}

func TestK01_NumbersHaveOneSpelling(t *testing.T) {
	t.Parallel()
	n := oddNumber(2048)
	spell := func(n, e string) string { return `{"kty":"RSA","n":"` + n + `","e":"` + e + `"}` }
	good, bytes := b64(n.Bytes()), n.Bytes()
	_, err := jwks.ParseKey([]byte(spell(good, "AQAB")))
	require.NoError(t, err)
	last := len(good) - 1 // of 342 characters, the last one has four bits to spare
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spare := good[:last] + string(alphabet[strings.IndexByte(alphabet, good[last])|1])
	require.NotEqual(t, good, spare)
	for name, k := range map[string]string{
		"zero in front of n": spell(b64(append([]byte{0}, bytes...)), "AQAB"),
		"zero in front of e": spell(good, "AAEAAQ"),
		"padding":            spell(good+"==", "AQAB"),
		"standard alphabet":  spell(strings.Repeat("+/", 171), "AQAB"),
		"line break":         spell(good[:4]+`\n`+good[4:], "AQAB"),
		"carriage return":    spell(good[:4]+`\r`+good[4:], "AQAB"),
		"spare bits":         spell(spare, "AQAB"),
		"empty e":            spell(good, ""),
		"null":               `{"kty":"RSA","n":null,"e":"AQAB"}`,
		"a number":           `{"kty":"RSA","n":5,"e":"AQAB"}`,
	} {
		_, err := jwks.ParseKey([]byte(k))
		requireKeyReason(t, err, jwks.KeyMalformed, name)
	}
}

// Coordinates are as long as the field, with the zeros in front (RFC 7518 section
// 6.2.1.2). In P-521 every other one has some.
func TestK01_ECCoordinatesAreFullLength(t *testing.T) {
	t.Parallel()
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P521()} {
		size := (curve.Params().BitSize + 7) / 8
		var k *ecdsa.PrivateKey
		for x := []byte{1}; x[0] != 0; {
			k = newEC(curve)
			x = k.X.FillBytes(make([]byte, size))
		}
		x, y := k.X.FillBytes(make([]byte, size)), k.Y.FillBytes(make([]byte, size))
		spell := func(x, y []byte) []byte {
			return fmt.Appendf(nil, `{"kty":"EC","crv":%q,"x":%q,"y":%q}`, curve.Params().Name, b64(x), b64(y))
		}
		key, err := jwks.ParseKey(spell(x, y))
		require.NoError(t, err)
		alg := map[int]string{32: "ES256", 66: "ES512"}[size]
		_, err = jwks.Verify(t.Context(), jwks.Static{key}, []string{alg}, sign(t, alg, "", k))
		require.NoError(t, err)
		for _, bad := range [][2][]byte{{x[1:], y}, {append([]byte{0}, x...), y}, {x, append([]byte{0}, y...)}, {x, y[:size-1]}, {y, x}, {make([]byte, size), make([]byte, size)}} {
			_, err := jwks.ParseKey(spell(bad[0], bad[1]))
			requireKeyReason(t, err, jwks.KeyMalformed)
		}
		field := curve.Params().P.FillBytes(make([]byte, size))
		_, err = jwks.ParseKey(spell(field, y))
		requireKeyReason(t, err, jwks.KeyMalformed, "a coordinate outside the field")
	}
}

func TestNewKey_OffTheCurve(t *testing.T) {
	t.Parallel()
	for _, k := range []*ecdsa.PublicKey{
		nil, {}, {Curve: elliptic.P256()}, {Curve: elliptic.P256(), X: ec1.X}, {Curve: elliptic.P256(), X: ec1.X, Y: ec1.X},
		{Curve: elliptic.P256(), X: big.NewInt(0), Y: big.NewInt(0)}, {Curve: elliptic.P256(), X: new(big.Int).Neg(ec1.X), Y: ec1.Y},
		{Curve: elliptic.P256(), X: new(big.Int).Lsh(ec1.X, 300), Y: ec1.Y},
	} {
		_, err := jwks.NewKey(k, "", "")
		requireKeyReason(t, err, jwks.KeyMalformed)
	}
	_, err := jwks.NewKey(&newEC(elliptic.P224()).PublicKey, "", "")
	requireKeyReason(t, err, jwks.KeyUnsupported)
}

// The points of small order in all their spellings, with either sign of x.
func TestJ52_Ed25519PointsOfSmallOrder(t *testing.T) {
	t.Parallel()
	zeros, ones := strings.Repeat("00", 30), strings.Repeat("ff", 30)
	for point, reason := range map[string]jwks.KeyReason{
		"01" + zeros + "00": jwks.KeyWeak, // the identity
		"ec" + ones + "7f":  jwks.KeyWeak, // order 2
		"00" + zeros + "00": jwks.KeyWeak, // order 4
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": jwks.KeyWeak, // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": jwks.KeyWeak, // order 8
		"ed" + ones + "7f": jwks.KeyMalformed, // 0 and 1 once more, over the end of the field
		"ee" + ones + "7f": jwks.KeyMalformed,
		"ff" + ones + "7f": jwks.KeyMalformed,
	} {
		x := must(hex.DecodeString(point))
		for range 2 {
			_, err := jwks.ParseKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"` + b64(x) + `"}`))
			requireKeyReason(t, err, reason, point)
			_, err = jwks.NewKey(ed25519.PublicKey(x), "", "")
			requireKeyReason(t, err, reason, point)
			x[31] ^= 0x80
		}
	}
}

// A value of y that belongs to no point is no key. The square root is the oracle.
func TestJ52_Ed25519PointsOffTheCurve(t *testing.T) {
	t.Parallel()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mul(d, big.NewInt(-121665)).Mod(d, p)
	on, off := 0, 0
	for i := int64(2); i < 60; i++ {
		y2 := big.NewInt(i * i)
		v := new(big.Int).Mul(d, y2)
		v.ModInverse(v.Add(v, big.NewInt(1)), p)
		v.Mul(v, new(big.Int).Sub(y2, big.NewInt(1))).Mod(v, p)
		x := make([]byte, 32)
		x[0] = byte(i)
		_, err := jwks.NewKey(ed25519.PublicKey(x), "", "")
		if new(big.Int).ModSqrt(v, p) == nil {
			off++
			requireKeyReason(t, err, jwks.KeyMalformed, i)
			continue
		}
		on++
		require.NoError(t, err, i)
	}
	require.NotZero(t, on)
	require.NotZero(t, off)
	for range 50 {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		_, err = jwks.NewKey(public, "", "")
		require.NoError(t, err)
	}
}

// "EdDSA" and "Ed25519" are two names of one algorithm (RFC 9864), and of no other
// curve.
func TestJ52_TwoNamesOfEd25519(t *testing.T) {
	t.Parallel()
	names := []string{"EdDSA", "Ed25519"}
	for _, ofKey := range append(names, "") {
		key := jwk(edKey.Public(), with{"alg": ofKey})
		for _, ofToken := range names {
			raw := compact(`{"alg":"`+ofToken+`"}`, `{}`, func(m []byte) []byte { return ed25519.Sign(edKey, m) })
			for _, allowed := range names {
				_, err := jwks.VerifyCompact([]byte(key), raw, allowed)
				require.NoError(t, err, "%s %s %s", ofKey, ofToken, allowed)
			}
			_, err := jwks.VerifyCompact([]byte(key), raw, "ES256")
			requireReason(t, err, jwt.Algorithm)
		}
		_, err := jwks.VerifyCompact([]byte(key), compact(`{"alg":"Ed448"}`, `{}`, func(m []byte) []byte { return ed25519.Sign(edKey, m) }), names...)
		requireReason(t, err, jwt.Algorithm)
	}
	_, err := jwks.ParseKey([]byte(jwk(edKey.Public(), with{"alg": "Ed448"})))
	requireKeyReason(t, err, jwks.KeyUnsupported)
}

// compact makes a compact JWS with whatever stands in it.
func compact(header, payload string, signature func(signed []byte) []byte) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(signature([]byte(signed)))
}

func TestJ52_OctKeyIsNoKeyForRS(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("s", 64))
	oct := `{"kty":"oct","k":"` + b64(secret) + `"}`
	for _, alg := range jwt.Asymmetric {
		_, err := jwks.VerifyCompact([]byte(oct), "a.b.c", alg)
		requireKeyReason(t, err, jwks.KeySymmetric)
		_, err = jwks.VerifyCompact([]byte(set(oct)), "a.b.c", alg)
		require.ErrorIs(t, err, jwks.ErrNoUsableKey)
	}
}

func TestJ06_TheCurveIsFixedByTheAlgorithm(t *testing.T) {
	t.Parallel()
	ec521 := newEC(elliptic.P521())
	keys := map[string]*ecdsa.PrivateKey{"ES256": ec1, "ES384": ec384, "ES512": ec521}
	for alg, right := range keys {
		raw := sign(t, alg, "", right)
		for other, k := range keys {
			_, err := jwks.VerifyCompact([]byte(jwk(&k.PublicKey, nil)), raw, "ES256", "ES384", "ES512")
			if other == alg {
				require.NoError(t, err)
				continue
			}
			requireNotFound(t, err, alg, other)
			_, err = jwks.ParseKey([]byte(jwk(&k.PublicKey, with{"alg": alg})))
			requireKeyReason(t, err, jwks.KeyUnsupported)
		}
	}
	for _, alg := range []string{"ES256K", "Ed448", "ML-DSA-44"} {
		_, err := jwks.VerifyCompact([]byte(jwk(&ec1.PublicKey, nil)), compact(`{"alg":"`+alg+`"}`, `{}`, func([]byte) []byte { return make([]byte, 64) }), "ES256")
		requireReason(t, err, jwt.Algorithm, alg)
		require.Error(t, jwks.CheckAlgorithms([]string{alg}))
	}
}

// The salt is as long as the hash, and no other (RFC 7518 section 3.5).
func TestJ09_PSSSaltLength(t *testing.T) {
	t.Parallel()
	key := []byte(jwk(&rsaKeys()[0].PublicKey, nil))
	for _, salt := range []int{0, 20, 31, 32, 33, 64} {
		raw := compact(`{"alg":"PS256"}`, `{}`, func(m []byte) []byte {
			digest := sha256.Sum256(m)
			return must(rsa.SignPSS(rand.Reader, rsaKeys()[0], crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt}))
		})
		_, err := jwks.VerifyCompact(key, raw, "PS256")
		if salt == 32 {
			require.NoError(t, err)
			continue
		}
		requireReason(t, err, jwt.BadSigning, salt)
	}
}

// One key, one algorithm (RFC 8725 section 3.1).
func TestJ05_OneKeyOneAlgorithm(t *testing.T) {
	t.Parallel()
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	for _, ofKey := range all {
		key := []byte(jwk(&rsaKeys()[0].PublicKey, with{"alg": ofKey}))
		for _, ofToken := range all {
			_, err := jwks.VerifyCompact(key, sign(t, ofToken, "", rsaKeys()[0]), all...)
			if ofToken == ofKey {
				require.NoError(t, err)
				continue
			}
			requireNotFound(t, err, ofKey, ofToken)
		}
	}
	// A signature of one kind under the name of the other.
	head, rest, _ := strings.Cut(sign(t, "PS256", "", rsaKeys()[0]), ".")
	require.NotEmpty(t, head)
	_, err := jwks.VerifyCompact([]byte(jwk(&rsaKeys()[0].PublicKey, nil)), b64([]byte(`{"alg":"RS256"}`))+"."+rest, all...)
	requireReason(t, err, jwt.BadSigning)
}

func TestJ53_UnknownIsSkippedInSetsAndRefusedInTokens(t *testing.T) {
	t.Parallel()
	unknown := []string{
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","kid":"a"}`, `{"kty":"AKP","alg":"ML-DSA-87","pub":""}`, `{"kty":"NEW","kid":"a"}`,
		`{"kty":"OKP","crv":"Ed448","x":"` + b64(make([]byte, 57)) + `"}`, `{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`,
		`{"kty":"OKP"}`, `{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA","alg":"ES256K"}`, jwk(&ec1.PublicKey, with{"alg": "ES256K"}), jwk(&ec1.PublicKey, with{"alg": "unknown"}),
	}
	for _, member := range unknown {
		_, err := jwks.ParseKey([]byte(member))
		requireKeyReason(t, err, jwks.KeyUnsupported, member)
	}
	s, err := jwks.ParseSet([]byte(set(append(unknown, jwkA)...)))
	require.NoError(t, err)
	require.Len(t, s.Keys, 1)
	require.Len(t, s.Skipped, len(unknown))
	for i, skipped := range s.Skipped {
		require.Equal(t, i, skipped.Index)
		require.Equal(t, jwks.KeyUnsupported, skipped.Reason)
	}
	for _, alg := range []string{"ML-DSA-44", "ES256K", "Ed448", "X", "none"} {
		_, err := jwks.Verify(t.Context(), jwks.Static(s.Keys), []string{"ES256"}, compact(`{"alg":"`+alg+`"}`, `{}`, func([]byte) []byte { return []byte("x") }))
		requireReason(t, err, jwt.Algorithm)
	}
}

func TestK03_ForOtherUses(t *testing.T) {
	t.Parallel()
	public := &ec1.PublicKey
	for _, more := range []with{
		{"use": "enc"}, {"use": "SIG"}, {"use": "other"}, {"key_ops": []string{"encrypt"}}, {"key_ops": []string{"sign"}}, {"key_ops": []string{"Verify"}},
		{"key_ops": []string{}}, {"use": "sig", "key_ops": []string{"deriveKey"}}, {"use": "enc", "key_ops": []string{"verify"}},
	} {
		_, err := jwks.ParseKey([]byte(jwk(public, more)))
		requireKeyReason(t, err, jwks.KeyUse, more)
	}
	for _, more := range []with{{"use": 5}, {"use": []string{"sig"}}, {"key_ops": "verify"}, {"key_ops": []any{"verify", 5}}} {
		_, err := jwks.ParseKey([]byte(jwk(public, more)))
		requireKeyReason(t, err, jwks.KeyMalformed, more)
	}
	for _, more := range []with{{"alg": "RS256"}, {"alg": "ECDH-ES"}, {"alg": "ES384"}, {"alg": "HS256"}, {"alg": "none"}} {
		_, err := jwks.ParseKey([]byte(jwk(public, more)))
		requireKeyReason(t, err, jwks.KeyUnsupported, more)
	}
}

// Everything private is refused for that, whatever else is wrong with it.
func TestK02_PrivateAndSymmetricKeys(t *testing.T) {
	t.Parallel()
	for name, member := range odd() {
		if !strings.HasPrefix(name, "K02") {
			continue
		}
		_, err := jwks.ParseKey([]byte(member))
		want := jwks.KeyPrivate
		if strings.Contains(name, "secret") || strings.Contains(name, "with k") {
			want = jwks.KeySymmetric
		}
		requireKeyReason(t, err, want, name)
	}
	_, err := jwks.ParseKey([]byte(`{"kty":"oct"}`))
	requireKeyReason(t, err, jwks.KeySymmetric)
	_, err = jwks.ParseKey([]byte(jwk(&ec1.PublicKey, with{"d": nil, "use": "enc"})))
	requireKeyReason(t, err, jwks.KeyUse)
}

func TestK14_RSAKeyForHMAC(t *testing.T) {
	t.Parallel()
	public := &rsaKeys()[0].PublicKey
	for _, alg := range jwt.Symmetric {
		member := jwk(public, with{"alg": alg})
		_, err := jwks.ParseKey([]byte(member))
		requireKeyReason(t, err, jwks.KeyUnsupported)
		_, err = jwks.NewKey(public, "", alg)
		requireKeyReason(t, err, jwks.KeyUnsupported)
		_, err = jwks.VerifyCompact([]byte(member), sign(t, alg, "", public.N.Bytes()), alg)
		requireKeyReason(t, err, jwks.KeyUnsupported)
	}
}

// A public key in each of its spellings, as the secret of an HMAC.
func TestJ02_PublicKeyInEachSpelling(t *testing.T) {
	t.Parallel()
	public := &rsaKeys()[0].PublicKey
	document := jwk(public, nil)
	for name, secret := range spellings(t, public) {
		for _, alg := range jwt.Symmetric {
			raw := compact(`{"alg":"`+alg+`"}`, `{}`, func(m []byte) []byte { return hmacOf(alg, secret, m) })
			_, err := jwks.VerifyCompact([]byte(document), raw, "RS256")
			requireReason(t, err, jwt.Algorithm, name)
			_, err = jwks.VerifyCompact([]byte(document), raw, alg)
			requireKeyReason(t, err, jwks.KeyUnsupported, name)
			_, err = jwks.VerifyCompact([]byte(document), raw, "RS256", alg)
			require.Error(t, err, "they never stand together")
			_, err = jwks.Verify(t.Context(), parseSet(t, document), []string{alg}, raw)
			requireNotFound(t, err, name)
		}
	}
	x, y := ec1.X.Bytes(), ec1.Y.Bytes()
	raw := compact(`{"alg":"HS256"}`, `{}`, func(m []byte) []byte { return hmacOf("HS256", append(x, y...), m) })
	_, err := jwks.Verify(t.Context(), parseSet(t, jwkA), []string{"ES256", "HS256"}, raw)
	requireNotFound(t, err)
}

func TestJ03_SecretWhereAPublicKeyIsExpected(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("s", 64))
	raw := sign(t, "HS256", "", secret)
	_, err := jwks.Verify(t.Context(), parseSet(t, jwk(&rsaKeys()[0].PublicKey, nil)), []string{"RS256"}, raw)
	requireReason(t, err, jwt.Algorithm)
	src, err := jwks.Symmetric(secret, "HS256")
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), src, []string{"RS256"}, raw)
	requireReason(t, err, jwt.Algorithm)
	_, err = jwks.Verify(t.Context(), src, []string{"RS256"}, sign(t, "RS256", "", rsaKeys()[0]))
	requireNotFound(t, err)
}

func TestJ04_SecretThatNobodyHasSet(t *testing.T) {
	t.Parallel()
	for _, secret := range [][]byte{nil, {}, make([]byte, 64)} {
		_, err := jwks.Symmetric(secret, "HS256")
		require.Error(t, err)
	}
	oct := func(size int, more string) string {
		return `{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte("s"), size)) + `"` + more + `}`
	}
	for _, weak := range []string{oct(31, ""), oct(47, `,"alg":"HS384"`), oct(63, `,"alg":"HS512"`), oct(1, "")} {
		_, err := jwks.VerifyCompact([]byte(weak), "a.b.c", jwt.Symmetric...)
		requireKeyReason(t, err, jwks.KeyWeak, weak)
	}
	// Long enough for one algorithm, and not for the other.
	secret := slices.Repeat([]byte("s"), 32)
	_, err := jwks.VerifyCompact([]byte(oct(32, "")), sign(t, "HS256", "", secret), jwt.Symmetric...)
	require.NoError(t, err)
	_, err = jwks.VerifyCompact([]byte(oct(32, "")), compact(`{"alg":"HS512"}`, `{}`, func(m []byte) []byte { return hmacOf("HS512", secret, m) }), jwt.Symmetric...)
	requireNotFound(t, err)
}
