package jwks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newEC(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

// The keys of the tests: two of each kind, one that signs and one that does not.
var (
	rsaKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
		return [2]*rsa.PrivateKey{must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2048))}
	})
	ec1, ec2 = newEC(elliptic.P256()), newEC(elliptic.P256())
	ec384    = newEC(elliptic.P384())
	edKey    = func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k }()
)

// sign makes a token with go-jose.
func sign(t testing.TB, alg, kid string, key any) string {
	t.Helper()
	return signClaims(t, alg, kid, key, `{"sub":"s"}`)
}

func signClaims(t testing.TB, alg, kid string, key any, payload string) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
	require.NoError(t, err)
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	return must(signed.CompactSerialize())
}

// jwk writes a public key as JSON, with members added or replaced.
func jwk(key any, more map[string]any) string {
	var m map[string]any
	if err := json.Unmarshal(must(json.Marshal(jose.JSONWebKey{Key: key})), &m); err != nil {
		panic(err)
	}
	for name, v := range more {
		if v == nil {
			delete(m, name)
			continue
		}
		m[name] = v
	}
	return string(must(json.Marshal(m)))
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

type with = map[string]any

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func parseSet(t *testing.T, keys ...string) jwks.Static {
	t.Helper()
	s, err := jwks.ParseSet([]byte(set(keys...)))
	require.NoError(t, err)
	return s.Keys
}

func requireNotFound(t *testing.T, err error, about ...any) {
	t.Helper()
	var e *jwks.KeyNotFoundError
	require.ErrorAs(t, err, &e, about...)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable, about...)
}

func requireKeyReason(t *testing.T, err error, want jwks.KeyReason, about ...any) {
	t.Helper()
	var e *jwks.KeyError
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Reason, about...)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, about...)
}

func requireReason(t *testing.T, err error, want jwt.Reason, about ...any) {
	t.Helper()
	var e *jwt.Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Reason, about...)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken, about...)
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	public := &ec1.PublicKey
	for _, tt := range []struct{ document, id, algorithm string }{
		{jwk(public, nil), "", ""},
		{jwk(public, with{"kid": "a", "alg": "ES256", "use": "sig"}), "a", "ES256"},
		{jwk(public, with{"key_ops": []string{"sign", "verify"}}), "", ""},
		{jwk(public, with{"use": "", "kid": "", "alg": ""}), "", ""},
		{jwk(&ec384.PublicKey, with{"alg": "ES384"}), "", "ES384"},
		{jwk(edKey.Public(), with{"alg": "EdDSA"}), "", "EdDSA"},
		{jwk(&rsaKeys()[0].PublicKey, with{"alg": "PS512"}), "", "PS512"},
		// Certificates are not looked at, good or bad (K01).
		{jwk(public, with{"x5c": []string{"no certificate"}, "x5t": 5, "x5u": "http://evil.example", "x5t#S256": nil}), "", ""},
		{jwk(public, with{"unknown": with{"nested": []int{1}}, "iat": 1}), "", ""},
	} {
		key, err := jwks.ParseKey([]byte(tt.document))
		require.NoError(t, err, tt.document)
		require.Equal(t, tt.id, key.ID())
		require.Equal(t, tt.algorithm, key.Algorithm())
	}
}

func TestParseKey_RefusesBrokenDocuments(t *testing.T) {
	t.Parallel()
	good := jwk(&ec1.PublicKey, nil)
	for name, document := range map[string]string{
		"empty": "", "null": "null", "list": "[" + good + "]", "cut": good[:len(good)-1],
		"J22 duplicate":       strings.TrimSuffix(good, "}") + `,"kid":"a","kid":"b"}`,
		"J23 two cases":       strings.TrimSuffix(good, "}") + `,"kid":"a","KID":"b"}`,
		"something behind it": good + good,
	} {
		key, err := jwks.ParseKey([]byte(document))
		require.Error(t, err, name)
		require.Equal(t, jwks.Key{}, key, name)
	}
}

// odd are members of key sets that are in the wild or made by an attacker, and
// none of which may be used. The row of the attack catalogue stands in front.
func odd() map[string]string {
	rsaPublic, ecPublic := &rsaKeys()[0].PublicKey, &ec1.PublicKey
	modulus := func(bits uint) string {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return b64(n.Add(n, big.NewInt(1)).Bytes())
	}
	return map[string]string{
		"J53 post-quantum":        `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`,
		"K01 X25519":              `{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`,
		"K01 Ed448":               `{"kty":"OKP","crv":"Ed448","x":"` + b64(make([]byte, 57)) + `"}`,
		"K01 short Ed25519":       `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`,
		"K01 secp256k1":           jwk(ecPublic, with{"crv": "secp256k1"}),
		"K01 secp256k1 with alg":  jwk(ecPublic, with{"crv": "secp256k1", "alg": "ES256K"}),
		"K01 P-224":               jwk(ecPublic, with{"crv": "P-224"}),
		"K01 no kty":              jwk(ecPublic, with{"kty": nil}),
		"K01 unknown kty":         jwk(ecPublic, with{"kty": "EC2"}),
		"K01 kty in lower case":   jwk(ecPublic, with{"kty": "ec"}),
		"K01 kty is a number":     jwk(ecPublic, with{"kty": 5}),
		"K01 kid is a number":     jwk(ecPublic, with{"kid": 5}),
		"K01 use is a list":       jwk(ecPublic, with{"use": []string{"sig"}}),
		"K01 off the curve":       jwk(ecPublic, with{"y": b64(make([]byte, 32))}),
		"K01 no y":                jwk(ecPublic, with{"y": nil}),
		"K01 short x":             jwk(ecPublic, with{"x": "AAAA"}),
		"K01 point of P-384":      jwk(&ec384.PublicKey, with{"crv": "P-256"}),
		"K01 not base64":          jwk(rsaPublic, with{"n": "!!!"}),
		"K01 no n":                jwk(rsaPublic, with{"n": nil}),
		"K01 no e":                jwk(rsaPublic, with{"e": nil}),
		"K01 empty n":             jwk(rsaPublic, with{"n": ""}),
		"K01 empty object":        `{}`,
		"K01 a number":            `5`,
		"K01 null":                `null`,
		"K01 a string":            `"key"`,
		"K01 a list":              `[]`,
		"J10 RSA 512":             jwk(rsaPublic, with{"n": modulus(512)}),
		"J10 RSA 1024":            jwk(rsaPublic, with{"n": modulus(1024)}),
		"J10 RSA 2047":            jwk(rsaPublic, with{"n": modulus(2047)}),
		"J10 RSA 16384":           jwk(rsaPublic, with{"n": modulus(16384)}),
		"J10 e is 1":              jwk(rsaPublic, with{"e": "AQ"}),
		"J10 e is even":           jwk(rsaPublic, with{"e": "AQAA"}),
		"J10 e is 0":              jwk(rsaPublic, with{"e": "AA"}),
		"K15 e of 64 bytes":       jwk(rsaPublic, with{"e": b64([]byte(strings.Repeat("\x01", 64)))}),
		"K02 secret":              `{"kty":"oct","k":"` + b64(make([]byte, 64)) + `","alg":"HS256"}`,
		"K02 private EC":          jwk(ec1, nil),
		"K02 private RSA":         jwk(rsaKeys()[0], nil),
		"K02 private Ed25519":     jwk(edKey, nil),
		"K02 RSA with p":          jwk(rsaPublic, with{"p": "AA"}),
		"K02 RSA with q":          jwk(rsaPublic, with{"q": "AA"}),
		"K02 RSA with dp":         jwk(rsaPublic, with{"dp": "AA"}),
		"K02 RSA with dq":         jwk(rsaPublic, with{"dq": "AA"}),
		"K02 RSA with qi":         jwk(rsaPublic, with{"qi": "AA"}),
		"K02 RSA with oth":        jwk(rsaPublic, with{"oth": []any{}}),
		"K02 private AKP":         `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","priv":"AAAA"}`,
		"K02 public with k":       jwk(ecPublic, with{"k": "AAAA"}),
		"K03 use enc":             jwk(ecPublic, with{"use": "enc"}),
		"K03 use SIG":             jwk(ecPublic, with{"use": "SIG"}),
		"K03 key_ops":             jwk(ecPublic, with{"key_ops": []string{"encrypt", "wrapKey"}}),
		"K03 key_ops sign":        jwk(ecPublic, with{"key_ops": []string{"sign"}}),
		"K03 key_ops empty":       jwk(ecPublic, with{"key_ops": []string{}}),
		"K03 alg of another type": jwk(ecPublic, with{"alg": "RS256"}),
		"K03 alg of other curve":  jwk(ecPublic, with{"alg": "ES384"}),
		"K03 alg for encryption":  jwk(rsaPublic, with{"alg": "RSA-OAEP"}),
		"K03 alg none":            jwk(rsaPublic, with{"alg": "none"}),
		"K14 RSA for HS256":       jwk(rsaPublic, with{"alg": "HS256"}),
	}
}

func TestK01_OddMembersAreSkipped(t *testing.T) {
	t.Parallel()
	members := odd()
	require.NotEmpty(t, members)
	good := jwk(&ec2.PublicKey, with{"kid": "good"})
	all := []string{}
	for name, member := range members {
		key, err := jwks.ParseKey([]byte(member))
		require.Error(t, err, name)
		require.Equal(t, jwks.Key{}, key, name)

		_, err = jwks.ParseSet([]byte(set(member)))
		require.ErrorIs(t, err, jwks.ErrNoUsableKey, name)

		s, err := jwks.ParseSet([]byte(set(member, good)))
		require.NoError(t, err, name)
		require.Len(t, s.Keys, 1, name)
		require.Equal(t, "good", s.Keys[0].ID(), name)
		require.Len(t, s.Skipped, 1, name)
		require.Zero(t, s.Skipped[0].Index)
		require.Error(t, s.Skipped[0].Err)
		all = append(all, member)
	}
	s, err := jwks.ParseSet([]byte(set(append(all, good)...)))
	require.NoError(t, err)
	require.Len(t, s.Keys, 1)
	require.Len(t, s.Skipped, len(members))
}

func TestK02_ErrorTextHoldsNothingOfTheKey(t *testing.T) {
	t.Parallel()
	_, err := jwks.ParseKey([]byte(jwk(ec1, with{"kid": "MARKER"})))
	require.Error(t, err)
	require.NotContains(t, err.Error(), b64(ec1.D.Bytes()))
	require.NotContains(t, err.Error(), "MARKER")
}

func TestParseSetDocuments(t *testing.T) {
	t.Parallel()
	good := jwk(&ec1.PublicKey, nil)
	for _, document := range []string{`{"keys":[]}`, `{"keys":[{}]}`, `{"keys":[null,5]}`} {
		s, err := jwks.ParseSet([]byte(document))
		require.ErrorIs(t, err, jwks.ErrNoUsableKey, document)
		require.Empty(t, s)
	}
	for _, document := range []string{`{}`, `{"keys":null}`, `{"keys":{}}`, `{"keys":"x"}`, `{"Keys":[` + good + `]}`} {
		s, err := jwks.ParseSet([]byte(document))
		require.Error(t, err, document)
		require.Empty(t, s)
	}
	for _, document := range []string{``, `null`, `[]`, `<html>`, set(good)[:20], set(good) + "x", `{"keys":[` + good + `],"keys":[]}`, `{"keys":[` + good + `],"KEYS":[]}`} {
		s, err := jwks.ParseSet([]byte(document))
		var e *strictjson.Error
		require.ErrorAs(t, err, &e, document)
		require.Empty(t, s)
	}
	s, err := jwks.ParseSet([]byte(`{"issuer":"x","keys":[` + good + `]}`))
	require.NoError(t, err)
	require.Len(t, s.Keys, 1)
}

func TestK15_OnlySoManyKeysAreLookedAt(t *testing.T) {
	t.Parallel()
	good := jwk(&ec1.PublicKey, nil)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = "{}"
	}
	keys[99] = good
	require.Len(t, parseSet(t, keys...), 1)
	keys[99] = "{}"
	_, err := jwks.ParseSet([]byte(set(append(keys, good)...)))
	require.ErrorIs(t, err, jwks.ErrNoUsableKey)
}

// What is large is not read, and costs nobody anything.
func TestK15_LargeNumbersAndCertificates(t *testing.T) {
	t.Parallel()
	public := &rsaKeys()[0].PublicKey
	huge := strings.Repeat("A", 400<<10)
	for name, member := range map[string]string{
		"n": jwk(public, with{"n": "Q" + huge}), "e": jwk(public, with{"e": "Q" + huge}), "x": jwk(&ec1.PublicKey, with{"x": huge}), "Ed25519": jwk(edKey.Public(), with{"x": huge}),
	} {
		s, err := jwks.ParseSet([]byte(set(member, jwkA)))
		require.NoError(t, err, name)
		require.Len(t, s.Keys, 1, name)
		require.Len(t, s.Skipped, 1, name)
	}
	certificates := make([]string, 1000)
	for i := range certificates {
		certificates[i] = strings.Repeat("A", 800)
	}
	key, err := jwks.ParseKey([]byte(jwk(public, with{"kid": "a", "x5c": certificates})))
	require.NoError(t, err)
	require.Equal(t, "a", key.ID())
	many := strings.Repeat(jwkA+",", 9_999) + jwkA
	s, err := jwks.ParseSet([]byte(set(many)))
	require.NoError(t, err)
	require.Len(t, s.Keys, 100)
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		public    any
		algorithm string
		ok        bool
	}{
		{&ec1.PublicKey, "", true}, {&ec1.PublicKey, "ES256", true}, {edKey.Public(), "EdDSA", true}, {&rsaKeys()[0].PublicKey, "RS512", true},
		{&ec1.PublicKey, "ES384", false}, {&ec1.PublicKey, "RS256", false}, {&ec1.PublicKey, "HS256", false}, {&ec1.PublicKey, "none", false},
		{ec1, "", false}, {edKey, "", false}, {rsaKeys()[0], "", false}, {nil, "", false}, {[]byte(strings.Repeat("s", 64)), "", false}, {"key", "", false},
		{ec1.PublicKey, "", false}, {&newEC(elliptic.P224()).PublicKey, "", false},
		{&rsa.PublicKey{}, "", false}, {&rsa.PublicKey{N: big.NewInt(1 << 40), E: 65537}, "", false}, {&rsa.PublicKey{N: rsaKeys()[0].N, E: 2}, "", false},
		{&ecdsa.PublicKey{}, "", false}, {&ecdsa.PublicKey{Curve: elliptic.P256()}, "", false}, {ed25519.PublicKey("short"), "", false},
	} {
		key, err := jwks.NewKey(tt.public, "kid", tt.algorithm)
		require.Equal(t, tt.ok, err == nil, "%T %s", tt.public, tt.algorithm)
		if tt.ok {
			require.Equal(t, "kid", key.ID())
			require.Equal(t, tt.algorithm, key.Algorithm())
			continue
		}
		require.Equal(t, jwks.Key{}, key)
	}
}

func TestVerifyAllAlgorithms(t *testing.T) {
	t.Parallel()
	ec521 := newEC(elliptic.P521())
	private := map[string]any{
		"RS256": rsaKeys()[0], "RS384": rsaKeys()[0], "RS512": rsaKeys()[0], "PS256": rsaKeys()[0], "PS384": rsaKeys()[0], "PS512": rsaKeys()[0],
		"ES256": ec1, "ES384": ec384, "ES512": ec521, "EdDSA": edKey,
	}
	require.Len(t, private, len(jwt.Asymmetric)-1, "EdDSA has two names")
	keys := parseSet(t, jwk(&rsaKeys()[0].PublicKey, nil), jwk(&ec1.PublicKey, nil), jwk(&ec384.PublicKey, nil), jwk(&ec521.PublicKey, nil), jwk(edKey.Public(), nil))
	for alg, key := range private {
		raw := sign(t, alg, "", key)
		payload, err := jwks.Verify(t.Context(), keys, []string{alg}, raw)
		require.NoError(t, err, alg)
		require.Equal(t, `{"sub":"s"}`, string(payload))

		for other := range private {
			if other != alg {
				payload, err = jwks.Verify(t.Context(), keys, []string{other}, raw)
				requireReason(t, err, jwt.Algorithm, alg, other)
				require.Nil(t, payload)
			}
		}
		_, err = jwks.Verify(t.Context(), keys, nil, raw)
		requireReason(t, err, jwt.Algorithm)
	}
	_, err := jwks.Verify(t.Context(), keys, jwt.Asymmetric, "no token")
	requireReason(t, err, jwt.Malformed)
}

// counting tells whether a source was asked.
type counting struct {
	jwks.Source
	asked int
}

func (c *counting) Keys(ctx context.Context, q jwks.Query) ([]jwks.Key, error) {
	c.asked++
	return c.Source.Keys(ctx, q)
}

// What can be refused without a key asks for none.
func TestJ01_RefusedBeforeAKeyIsSought(t *testing.T) {
	t.Parallel()
	src := &counting{Source: parseSet(t, jwk(&ec1.PublicKey, nil))}
	head := func(h string) string { return b64([]byte(h)) + "." + b64([]byte(`{}`)) + ".AAAA" }
	for _, alg := range []string{"none", "None", "NONE", "es256", "ES256 ", "HS256", "RS256", "unknown"} {
		_, err := jwks.Verify(t.Context(), src, []string{"ES256"}, head(`{"alg":"`+alg+`"}`))
		requireReason(t, err, jwt.Algorithm, alg)
	}
	for _, header := range []string{`{}`, `{"alg":null}`, `{"alg":"ES256","crit":[]}`} {
		_, err := jwks.Verify(t.Context(), src, []string{"ES256"}, head(header))
		requireReason(t, err, jwt.Header, header)
	}
	require.Zero(t, src.asked)
	// An allow list that holds what nobody can verify changes nothing.
	_, err := jwks.Verify(t.Context(), src, []string{"none"}, head(`{"alg":"none"}`))
	requireNotFound(t, err)
}

// A matching is a set, a token, and what comes of them.
type matching struct {
	name  string
	keys  []string
	token string
	fails error // an example of the type; nil is success
}

func matchings(t *testing.T) []matching {
	t.Helper()
	rsa1, rsa2 := rsaKeys()[0], rsaKeys()[1]
	a := with{"kid": "a"}
	rs1, rs2, es1, es2 := jwk(&rsa1.PublicKey, a), jwk(&rsa2.PublicKey, a), jwk(&ec1.PublicKey, a), jwk(&ec2.PublicKey, a)
	return []matching{
		{"K04 kid and type", []string{rs1, es1}, sign(t, "ES256", "a", ec1), nil},
		{"K04 same kid, decoys of the same type in front", []string{es2, es1}, sign(t, "ES256", "a", ec1), nil},
		{"K04 same kid, decoy for another alg", []string{jwk(&rsa2.PublicKey, with{"kid": "a", "alg": "PS256"}), jwk(&rsa1.PublicKey, with{"kid": "a", "alg": "RS256"})}, sign(t, "RS256", "a", rsa1), nil},
		{"K04 J05 the key is for another alg", []string{jwk(&rsa1.PublicKey, with{"kid": "a", "alg": "PS256"})}, sign(t, "RS256", "a", rsa1), &jwks.KeyNotFoundError{}},
		{"K04 same kid, other type only", []string{rs1, rs2}, sign(t, "ES256", "a", ec1), &jwks.KeyNotFoundError{}},
		{"K04 same kid, other curve only", []string{jwk(&ec384.PublicKey, a)}, sign(t, "ES256", "a", ec1), &jwks.KeyNotFoundError{}},
		{"K04 right key, other kid", []string{es1}, sign(t, "ES256", "b", ec1), &jwks.KeyNotFoundError{}},
		{"K04 kid in another case", []string{es1}, sign(t, "ES256", "A", ec1), &jwks.KeyNotFoundError{}},
		{"K04 wrong key, right kid", []string{es2}, sign(t, "ES256", "a", ec1), &jwt.Error{}},
		{"K05 token without kid", []string{es2, rs1, es1}, sign(t, "ES256", "", ec1), nil},
		{"K05 token without kid, decoy behind", []string{es1, rs1, es2}, sign(t, "ES256", "", ec1), nil},
		{"K05 token and key without kid", []string{jwk(&ec1.PublicKey, nil)}, sign(t, "ES256", "", ec1), nil},
		{"K05 nothing fits", []string{rs1}, sign(t, "ES256", "", ec1), &jwks.KeyNotFoundError{}},
		{"K06 the only key has no kid", []string{rs1, jwk(&ec1.PublicKey, nil)}, sign(t, "ES256", "b", ec1), nil},
		{"K06 two keys without kid", []string{jwk(&ec1.PublicKey, nil), jwk(&ec2.PublicKey, nil)}, sign(t, "ES256", "b", ec1), &jwks.KeyNotFoundError{}},
		{"K06 another key has a kid", []string{jwk(&ec1.PublicKey, nil), es2}, sign(t, "ES256", "b", ec1), &jwks.KeyNotFoundError{}},
		{"K06 the named key wins", []string{jwk(&ec1.PublicKey, nil), es2}, sign(t, "ES256", "a", ec1), &jwt.Error{}},
	}
}

func TestK04_Decoys(t *testing.T)          { t.Parallel(); testMatchings(t, "K04") }
func TestK05_TokenWithoutKid(t *testing.T) { t.Parallel(); testMatchings(t, "K05") }
func TestK06_KeysWithoutKid(t *testing.T)  { t.Parallel(); testMatchings(t, "K06") }

func testMatchings(t *testing.T, row string) {
	t.Helper()
	found := 0
	for _, tt := range matchings(t) {
		if !strings.HasPrefix(tt.name, row) {
			continue
		}
		found++
		payload, err := jwks.Verify(t.Context(), parseSet(t, tt.keys...), []string{"RS256", "PS256", "ES256"}, tt.token)
		var signature *jwt.Error
		switch {
		case tt.fails == nil:
			require.NoError(t, err, tt.name)
			continue
		case errors.As(tt.fails, &signature):
			requireReason(t, err, jwt.BadSigning, tt.name)
		default:
			requireNotFound(t, err, tt.name)
		}
		require.Nil(t, payload)
	}
	require.NotZero(t, found)
}

// At most a handful of keys is tried for a token.
func TestK05_TriesAreLimited(t *testing.T) {
	t.Parallel()
	var keys jwks.Static
	for range 7 {
		keys = append(keys, must(jwks.NewKey(&ec2.PublicKey, "", "")))
	}
	right := must(jwks.NewKey(&ec1.PublicKey, "", ""))
	token := sign(t, "ES256", "", ec1)
	_, err := jwks.Verify(t.Context(), append(keys, right), []string{"ES256"}, token)
	require.NoError(t, err, "the eighth")
	handful, err := append(keys, keys...).Keys(t.Context(), jwks.Query{Algorithm: "ES256"})
	require.NoError(t, err)
	require.Len(t, handful, 8)
	_, err = jwks.Verify(t.Context(), append(keys, keys[0], right), []string{"ES256"}, token)
	requireReason(t, err, jwt.BadSigning, "the ninth")
	// A source that gives more does not change that.
	_, err = jwks.Verify(t.Context(), everything(append(keys, keys[0], right)), []string{"ES256"}, token)
	requireReason(t, err, jwt.BadSigning)
}

// everything is a source that chooses badly.
type everything []jwks.Key

func (e everything) Keys(_ context.Context, q jwks.Query) ([]jwks.Key, error) {
	if q.Retry {
		return nil, nil
	}
	return e, nil
}

func TestJ05_SourceIsNotTrustedToChoose(t *testing.T) {
	t.Parallel()
	src := everything{must(jwks.NewKey(&rsaKeys()[0].PublicKey, "", "PS256")), must(jwks.NewKey(&ec1.PublicKey, "", ""))}
	_, err := jwks.Verify(t.Context(), src, []string{"RS256"}, sign(t, "RS256", "", rsaKeys()[0]))
	requireNotFound(t, err)
}

func TestStatic(t *testing.T) {
	t.Parallel()
	token := sign(t, "ES256", "", ec1)
	_, err := jwks.Verify(t.Context(), jwks.Static{}, []string{"ES256"}, token)
	requireNotFound(t, err)
	var none jwks.Static
	_, err = jwks.Verify(t.Context(), none, []string{"ES256"}, token)
	requireNotFound(t, err)
	keys, err := parseSet(t, jwk(&ec1.PublicKey, nil)).Keys(t.Context(), jwks.Query{Algorithm: "ES256", Retry: true})
	require.NoError(t, err)
	require.Empty(t, keys, "there is nothing new to try")
	_, err = jwks.Verify(t.Context(), nil, []string{"ES256"}, token)
	requireNotFound(t, err)
	// The zero Key fits nothing.
	_, err = jwks.Verify(t.Context(), jwks.Static{{}}, []string{"ES256"}, token)
	requireNotFound(t, err)
}

func TestJ04_Symmetric(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}
	for alg, size := range sizes {
		secret := []byte(strings.Repeat("s", size))
		src, err := jwks.Symmetric(secret, alg)
		require.NoError(t, err)
		token := sign(t, alg, "any", secret)
		clear(secret) // the source has its own
		_, err = jwks.Verify(t.Context(), src, []string{alg}, token)
		require.NoError(t, err, alg)
		for other := range sizes {
			if other != alg {
				keys, err := src.Keys(t.Context(), jwks.Query{Algorithm: other})
				require.NoError(t, err)
				require.Empty(t, keys, "%s for %s", alg, other)
			}
		}
		_, err = jwks.Symmetric([]byte(strings.Repeat("s", size-1)), alg)
		require.Error(t, err, alg)
		_, err = jwks.Symmetric(nil, alg)
		require.Error(t, err, alg)
	}
	long := []byte(strings.Repeat("s", 64))
	_, err := jwks.Symmetric(long[:32], "HS256", "HS512")
	require.Error(t, err, "one of the algorithms needs more")
	for _, alg := range []string{"RS256", "none", "", "hs256"} {
		_, err := jwks.Symmetric(long, alg)
		require.Error(t, err, alg)
	}
	src, err := jwks.Symmetric(long, "HS256")
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), src, []string{"HS256"}, sign(t, "HS256", "", []byte(strings.Repeat("x", 64))))
	requireReason(t, err, jwt.BadSigning)
}

func TestJ02_PublicKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	keys := parseSet(t, jwk(&rsaKeys()[0].PublicKey, nil))
	token := sign(t, "HS256", "", rsaKeys()[0].N.Bytes())
	_, err := jwks.Verify(t.Context(), keys, []string{"RS256"}, token)
	requireReason(t, err, jwt.Algorithm)
	_, err = jwks.Verify(t.Context(), keys, []string{"RS256", "HS256"}, token)
	requireNotFound(t, err)
}

func TestJ51_KeysRedactThemselves(t *testing.T) {
	t.Parallel()
	const marker = "MARKER-MARKER-MARKER-MARKER-MARKER"
	src, err := jwks.Symmetric([]byte(marker), "HS256")
	require.NoError(t, err)
	keys, err := src.Keys(t.Context(), jwks.Query{Algorithm: "HS256"})
	require.NoError(t, err)
	require.Len(t, keys, 1)
	type holder struct{ source jwks.Source }
	for _, v := range []any{src, keys, keys[0], &keys[0], holder{src}, &holder{src}, jwks.KeySet{Source: src}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			require.NotContains(t, text, marker)
			require.NotContains(t, text, fmt.Sprintf("%x", marker))
			require.NotContains(t, text, "77 65 82 75", "as numbers")
		}
		text, _ := json.Marshal(v) // a function is an error, which is as good
		require.NotContains(t, string(text), marker)
		require.NotContains(t, string(text), base64.StdEncoding.EncodeToString([]byte(marker))[:20])
	}
}

func TestCheckAlgorithms(t *testing.T) {
	t.Parallel()
	for _, good := range [][]string{{"RS256"}, {"HS256"}, jwt.Asymmetric, jwt.Symmetric} {
		require.NoError(t, jwks.CheckAlgorithms(good), good)
	}
	for _, bad := range [][]string{
		nil, {}, {""}, {"none"}, {"RS256", "none"}, {"rs256"}, {"RS256 "}, {"ES256K"}, {"RS256", "HS256"}, {"HS256", "EdDSA"}, append([]string{"HS512"}, jwt.Asymmetric...),
	} {
		require.Error(t, jwks.CheckAlgorithms(bad), bad)
	}
}

func TestKeyNotFoundErrorDoesNotShowTheKeyID(t *testing.T) {
	t.Parallel()
	_, err := jwks.Verify(t.Context(), jwks.Static{}, []string{"ES256"}, sign(t, "ES256", "MARKER", ec1))
	requireNotFound(t, err)
	var e *jwks.KeyNotFoundError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "MARKER", e.KeyID)
	require.Equal(t, "ES256", e.Algorithm)
	require.NotContains(t, err.Error(), "MARKER")
}

// FuzzParseSetNeverYieldsASecret: whatever a document says, what comes out of it
// verifies public-key signatures only, and go-jose agrees about the key.
func FuzzParseSetNeverYieldsASecret(f *testing.F) {
	seeds := []string{set(jwk(&ec1.PublicKey, nil)), set(jwk(&rsaKeys()[0].PublicKey, with{"kid": "a"}), jwk(edKey.Public(), nil)), `{"keys":[]}`}
	for _, member := range odd() {
		seeds = append(seeds, set(member))
	}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := jwks.ParseSet(data)
		if err != nil {
			require.Empty(t, s.Keys)
			return
		}
		require.NotEmpty(t, s.Keys)
		require.LessOrEqual(t, len(s.Keys)+len(s.Skipped), 100)
		for _, alg := range append([]string{"none", ""}, jwt.Symmetric...) {
			keys, err := jwks.Static(s.Keys).Keys(t.Context(), jwks.Query{Algorithm: alg})
			require.NoError(t, err)
			require.Empty(t, keys)
		}
	})
}
