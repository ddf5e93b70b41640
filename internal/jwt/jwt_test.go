package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A pair is a key of one type, and the algorithms that are for it.
type pair struct {
	private, public any
	algorithms      []string
}

var pairs = sync.OnceValue(func() []pair {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	// All but this one are the same in every process: fuzzing runs in others, whose
	// seeds would else be tokens of other keys.
	edPrivate := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("s"), ed25519.SeedSize))
	edPublic, _ := edPrivate.Public().(ed25519.PublicKey)
	secret := []byte(strings.Repeat("s", 64))
	all := []pair{
		{rsaKey, &rsaKey.PublicKey, []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}},
		{edPrivate, edPublic, []string{"EdDSA"}},
		{secret, secret, []string{"HS256", "HS384", "HS512"}},
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		scalar := bytes.Repeat([]byte("s"), (curve.Params().BitSize+7)/8)
		scalar[0] = 0
		k := must(ecdsa.ParseRawPrivateKey(curve, scalar))
		all = append(all, pair{k, &k.PublicKey, []string{alg}})
	}
	return all
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keyFor(alg string) pair {
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	i := slices.IndexFunc(pairs(), func(p pair) bool { return slices.Contains(p.algorithms, alg) })
	return pairs()[i]
}

// allAlgorithms are those that go-jose knows as well.
func allAlgorithms() []string {
	all := slices.Concat(jwt.Asymmetric, jwt.Symmetric)
	return slices.DeleteFunc(all, func(alg string) bool { return alg == "Ed25519" })
}

// sign has go-jose sign, who knows nothing of us.
func sign(t testing.TB, alg string, payload string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: keyFor(alg).private}, opts)
	require.NoError(t, err)
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	return must(signed.CompactSerialize())
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func compact(header, payload string) string {
	return b64(header) + "." + b64(payload) + "." + b64("sig")
}

// signHS256 signs whatever it is given.
func signHS256(header, payload string, secret []byte) string {
	input := b64(header) + "." + b64(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func withSignature(raw string, signature []byte) string {
	return raw[:strings.LastIndexByte(raw, '.')+1] + base64.RawURLEncoding.EncodeToString(signature)
}

func signatureOf(raw string) []byte {
	return must(base64.RawURLEncoding.DecodeString(raw[strings.LastIndexByte(raw, '.')+1:]))
}

// requireReason checks the contract of all errors of the package.
func requireReason(t *testing.T, err error, want jwt.Reason, about ...any) {
	t.Helper()
	var e *jwt.Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Reason, about...)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable, about...)
}

const payload = `{"iss":"https://op.example","sub":"s","aud":["a"],"exp":4102444800}`

func TestVerifyWhatGoJoseSigned(t *testing.T) {
	t.Parallel()
	require.Len(t, allAlgorithms(), 13)
	for _, alg := range allAlgorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			token, err := jwt.Parse(sign(t, alg, payload))
			require.NoError(t, err)
			require.Equal(t, alg, token.Algorithm)
			require.Equal(t, "k", token.KeyID)
			require.Equal(t, "JWT", token.Type)
			require.Equal(t, payload, token.Payload)
			value, ok := token.Claims.Get("sub")
			require.True(t, ok)
			require.Equal(t, `"s"`, value)
			require.NoError(t, token.Verify(keyFor(alg).public))
			require.True(t, jwt.Known(alg))
			require.True(t, jwt.Hash(alg).Available())
			require.True(t, strings.HasSuffix(jwt.Hash(alg).String(), strings.TrimPrefix(alg[2:], "DSA")) || alg == "EdDSA")
		})
	}
	require.Equal(t, crypto.SHA512, jwt.Hash("EdDSA"))
}

// A whole class of attacks at once: no token that differs in one bit, or lacks
// one byte, or has one more, is accepted.
func TestJ21_EveryChangedTokenIsRefused(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} { // one per kind of signature
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			raw, public := sign(t, alg, `{"sub":"s"}`), keyFor(alg).public
			accepted := func(raw string) bool {
				token, err := jwt.Parse(raw)
				return err == nil && token.Verify(public) == nil
			}
			require.True(t, accepted(raw))
			for i := range len(raw) {
				for bit := range 8 {
					changed := []byte(raw)
					changed[i] ^= 1 << bit
					require.False(t, accepted(string(changed)), "bit %d of byte %d", bit, i)
				}
				require.False(t, accepted(raw[:i]+raw[i+1:]), "without byte %d", i)
			}
			for i := range len(raw) + 1 {
				for _, extra := range []string{"\n", "\r", " ", "=", ".", "A", "\x00", "\u00a0"} {
					require.False(t, accepted(raw[:i]+extra+raw[i:]), "%q before byte %d", extra, i)
				}
			}
			require.False(t, accepted("\uFEFF"+raw))
			require.False(t, accepted(strings.ReplaceAll(raw, ".", "%2E")))
		})
	}
}

func TestJ21_OneSpelling(t *testing.T) {
	t.Parallel()
	const header = `{"alg":"HS256"}` // 15 bytes, no spare bits
	good := compact(header, `{"a":"xy"}`)
	_, err := jwt.Parse(good)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	for name, raw := range map[string]string{
		"spare bits in the payload":   parts[0] + "." + strings.TrimSuffix(parts[1], "Q") + "R." + parts[2],
		"spare bits in the signature": parts[0] + "." + parts[1] + ".AB",
		"spare bits in the header":    strings.TrimSuffix(b64(`{"alg":"HS256" }`), "Q") + "R." + parts[1] + "." + parts[2],
		"padding":                     parts[0] + "." + parts[1] + "==." + parts[2],
		"standard alphabet":           parts[0] + "." + parts[1] + ".+/+/",
		"line break in the header":    parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"line break in the payload":   parts[0] + "." + parts[1][:4] + "\r\n" + parts[1][4:] + "." + parts[2],
		"line break in the signature": good + "\n",
		"space":                       good + " ",
		"tab in front":                "\t" + good,
		"byte order mark":             "\uFEFF" + good,
		"no-break space":              good + "\u00a0",
		"one character too many":      parts[0] + "." + parts[1] + ".AAAAA",
		"empty":                       "",
		"one part":                    "abc",
		"two parts":                   parts[0] + "." + parts[1],
		"four parts":                  good + ".YQ",
		"six parts":                   good + ".YQ.YQ.YQ",
		"dots only":                   "..",
	} {
		token, err := jwt.Parse(raw)
		require.Nil(t, token, name)
		requireReason(t, err, jwt.Malformed, name)
	}
}

func TestJ16_EmptyParts(t *testing.T) {
	t.Parallel()
	head, body, sig := b64(`{"alg":"HS256"}`), b64(payload), b64("sig")
	for _, raw := range []string{"." + body + "." + sig, head + ".." + sig, head + "." + body + "."} {
		_, err := jwt.Parse(raw)
		requireReason(t, err, jwt.Malformed, raw)
	}
}

func TestJ18_JSONSerialization(t *testing.T) {
	t.Parallel()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: keyFor("HS256").private}, nil)
	require.NoError(t, err)
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	for _, raw := range []string{
		signed.FullSerialize(),
		`{"payload":"e30","signatures":[{"protected":"e30","header":{"alg":"HS256"},"signature":"AA"}]}`,
		`{"a.b.c":1}`,
	} {
		_, err := jwt.Parse(raw)
		requireReason(t, err, jwt.Malformed, raw)
	}
}

func TestJ19_EncryptedToken(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"a.b.c.d.e", "....", b64(`{"alg":"dir","enc":"A128GCM"}`) + "..AA.AA.AA"} {
		_, err := jwt.Parse(raw)
		requireReason(t, err, jwt.Encrypted, raw)
	}
}

func TestJ43_HugeTokens(t *testing.T) {
	t.Parallel()
	head, sig := b64(`{"alg":"HS256"}`), b64("sig")
	fill := func(size int) string { // a token of exactly so many bytes
		size -= len(head) + len(sig) + 2
		p := `{"a":"` + strings.Repeat("x", size) + `"}`
		return head + "." + b64(p[:size*3/4-2]+`"}`) + "." + sig
	}
	// Sizes that base64 can have are found by trying.
	var atLimit string
	for size := jwt.MaxSize + 8; len(atLimit) == 0; size-- {
		if raw := fill(size); len(raw) <= jwt.MaxSize {
			atLimit = raw
		}
	}
	require.GreaterOrEqual(t, len(atLimit), jwt.MaxSize-3)
	_, err := jwt.Parse(atLimit)
	require.NoError(t, err)

	for name, raw := range map[string]string{
		"one byte over": strings.Repeat("A", jwt.MaxSize+1),
		"a token":       fill(jwt.MaxSize + 100),
		"dots":          strings.Repeat(".", 10<<20),
		"parts":         strings.Repeat("a.", 1e6),
		"one header":    strings.Repeat("A", 1<<20) + ".YQ.YQ",
	} {
		_, err := jwt.Parse(raw)
		requireReason(t, err, jwt.TooLarge, name)
	}
	_, err = jwt.Parse(strings.Repeat(".", jwt.MaxSize))
	requireReason(t, err, jwt.Malformed)
}

func TestJ43_HeaderSize(t *testing.T) {
	t.Parallel()
	header := func(size int) string {
		h := `{"alg":"HS256","x":""}`
		return `{"alg":"HS256","x":"` + strings.Repeat("x", size-len(h)) + `"}`
	}
	_, err := jwt.Parse(compact(header(2<<10), `{}`))
	require.NoError(t, err)
	_, err = jwt.Parse(compact(header(2<<10+1), `{}`))
	requireReason(t, err, jwt.TooLarge)
}

func TestJ43_DotsCostOneScan(t *testing.T) { // not parallel: it counts allocations
	dots := strings.Repeat(".", 10<<20)
	require.Less(t, testing.AllocsPerRun(10, func() { _, _ = jwt.Parse(dots) }), 5.0)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 256)
	for _, header := range []string{
		`{"alg":"HS256"}`,
		`{"alg":"HS256","kid":"","typ":""}`,
		`{"alg":"HS256","kid":"` + long + `"}`,
		`{"alg":"HS256","kid":"../../dev/null'; DROP"}`,
		`{"alg":"HS256","kid":"clé"}`,
		`{"alg":"HS256","x5t":"x","x5c":["x"],"jku":"https://evil.example","x5u":"https://evil.example"}`,
		`{"alg":"HS256","unknown":{"crit":1}}`,
	} {
		_, err := jwt.Parse(compact(header, `{}`))
		require.NoError(t, err, header)
	}
	for row, headers := range map[string][]string{
		"J01": {`{}`, `{"typ":"JWT"}`, `{"alg":""}`, `{"alg":null}`, `{"alg":256}`, `{"alg":["HS256"]}`, `{"alg":true}`, `{"ALG":"HS256"}`, `{"alg":"HS256","Alg":"none"}`},
		"J11": {`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`, `{"alg":"HS256","jwk":null}`},
		"J13": {
			`{"alg":"HS256","kid":"` + long + `k"}`, `{"alg":"HS256","kid":1}`, `{"alg":"HS256","kid":null}`, `{"alg":"HS256","kid":["a"]}`,
			`{"alg":"HS256","kid":{}}`, `{"alg":"HS256","kid":"a\u0000"}`, `{"alg":"HS256","kid":"a\n"}`, `{"alg":"HS256","kid":"\u007f"}`,
			`{"alg":"HS256","kid":"\u001b[2J"}`, `{"alg":"HS256","typ":1}`, `{"alg":"HS256","typ":"a\r\nb"}`,
		},
		"J15": {`{"alg":"HS256","crit":["exp"]}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","crit":["b64"],"b64":true}`, `{"alg":"HS256","crit":null}`, `{"alg":"HS256","crit":["alg"]}`, `{"alg":"HS256","\u0063rit":["x"]}`},
		"J16": {`{"alg":"HS256","b64":false}`, `{"alg":"HS256","b64":true}`},
		"J17": {`{"alg":"HS256","zip":"DEF"}`},
		"J20": {`{"alg":"HS256","cty":"JWT"}`, `{"alg":"HS256","cty":""}`},
		"J22": {`{"alg":"HS256","alg":"none"}`, `{"alg":"HS256","a\u006cg":"none"}`, `{"alg":"HS256","x":{"a":1,"a":2}}`},
		"J24": {"{\"alg\":\"HS256\",\"\u212aid\":\"a\"}", `{"alg":"HS256","KID":"a"}`, `{"alg":"HS256","Typ":"a"}`},
		"J26": {`{"alg":"HS256","kid":"\ud800"}`, "{\"alg\":\"HS256\",\"kid\":\"\xff\"}"},
		"J44": {`{"alg":"HS256","x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`},
		"J45": {`null`, `[]`, `"HS256"`, `1`, ` `},
		"J46": {`{"alg":"HS256"}{}`, `{"alg":"HS256"}x`, "\uFEFF" + `{"alg":"HS256"}`},
	} {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, headers)
			for _, header := range headers {
				// Rightly signed, so that nothing but the header is at fault.
				token, err := jwt.Parse(signHS256(header, `{}`, keyFor("HS256").public.([]byte)))
				require.Nil(t, token, header)
				requireReason(t, err, jwt.Header, header)
				require.NotContains(t, err.Error(), "DROP")
			}
		})
	}
}

// Names that are no algorithms parse, and verify with nothing.
func TestJ01_NoAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"none", "None", "nOnE", "NONE", "none ", "hs256", "HS256 ", "HS1", "ES256K", "Ed448", "ML-DSA-44", "dir", "RSA-OAEP"} {
		token, err := jwt.Parse(compact(`{"alg":"`+alg+`"}`, payload))
		require.NoError(t, err, alg)
		require.False(t, jwt.Known(alg), alg)
		for _, p := range pairs() {
			requireReason(t, token.Verify(p.public), jwt.Algorithm, alg)
			require.False(t, jwt.Fits(alg, p.public), alg)
		}
		requireReason(t, token.Verify(nil), jwt.Algorithm, alg)
	}
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	for row, payloads := range map[string][]string{
		"J22": {`{"iss":"a","iss":"b"}`, `{"iss":"a","i\u0073s":"b"}`, `{"x":[{"a":1,"a":2}]}`},
		"J23": {`{"iss":"a","ISS":"b"}`, `{"ISS":"b"}`, `{"Exp":1}`, `{"AUD":"a"}`, `{"SCOPE":"admin"}`, `{"Client_ID":"x"}`},
		"J24": {`{"ſub":"a"}`, `{"\u017fub":"a"}`, `{"iſs":"a"}`, `{"iſſ":"a"}`, "{\"to\u212aen\":1,\"token\":2}"},
		"J26": {"{\"sub\":\"\xff\"}", `{"sub":"\ud800"}`, "{\"sub\":\"\xc0\x80\"}"},
		"J44": {`{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, `{"exp":` + strings.Repeat("9", 33) + `}`},
		"J45": {`null`, `[]`, `"x"`, `1`, ` `, `[{"sub":"s"}]`},
		"J46": {`{}{}`, `{} x`, "\uFEFF{}"},
	} {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, payloads)
			for _, p := range payloads {
				token, err := jwt.Parse(signHS256(`{"alg":"HS256"}`, p, keyFor("HS256").public.([]byte)))
				require.Nil(t, token, p)
				requireReason(t, err, jwt.Payload, p)
			}
		})
	}
	// Each registered claim has its case.
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr",
		"at_hash", "c_hash", "s_hash", "sid", "events", "cnf", "act", "scope", "scp", "client_id",
	} {
		_, err := jwt.Parse(compact(`{"alg":"HS256"}`, `{"`+name+`":1}`))
		require.NoError(t, err, name)
		_, err = jwt.Parse(compact(`{"alg":"HS256"}`, `{"`+strings.ToUpper(name)+`":1}`))
		requireReason(t, err, jwt.Payload, name)
	}
}

func TestPayloadErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	_, err := jwt.Parse(compact(`{"alg":"HS256"}`, `{"a":1,"a":2}`))
	var cause *strictjson.Error
	require.ErrorAs(t, err, &cause)
	require.Equal(t, strictjson.DuplicateName, cause.Reason)
	_, err = jwt.Parse(compact(`{"alg":"HS256","alg":"HS256"}`, `{}`))
	require.ErrorAs(t, err, &cause)
}

// Every algorithm with every key of another type or size.
func TestJ02_KeyMisfit(t *testing.T) {
	t.Parallel()
	rsaKey := keyFor("RS256").public.(*rsa.PublicKey)
	es := keyFor("ES256").public.(*ecdsa.PublicKey)
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	der := must(x509.MarshalPKIXPublicKey(rsaKey))
	misfits := []any{
		nil, "a string", 1, []byte(nil), *rsaKey, *es, keyFor("RS256").private, keyFor("ES256").private, keyFor("EdDSA").private,
		&p224.PublicKey, ed25519.PublicKey("short"), &rsa.PublicKey{N: big.NewInt(3), E: 3}, &ecdsa.PublicKey{},
	}
	for _, alg := range allAlgorithms() {
		token, err := jwt.Parse(sign(t, alg, payload))
		require.NoError(t, err)
		n := 0
		for _, p := range pairs() {
			if !slices.Contains(p.algorithms, alg) {
				n++
				require.False(t, jwt.Fits(alg, p.public))
				requireReason(t, token.Verify(p.public), jwt.KeyMisfit, alg)
			}
		}
		require.Equal(t, 5, n)
		for _, key := range misfits {
			require.False(t, jwt.Fits(alg, key), "%s %T", alg, key)
			requireReason(t, token.Verify(key), jwt.KeyMisfit, alg)
		}
	}

	// The public key as the secret, in all its encodings. The types keep them apart.
	secrets := [][]byte{
		der, x509.MarshalPKCS1PublicKey(rsaKey), rsaKey.N.Bytes(),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		[]byte(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))),
		must(json.Marshal(jose.JSONWebKey{Key: rsaKey})), append(es.X.Bytes(), es.Y.Bytes()...),
	}
	for _, secret := range secrets {
		token, err := jwt.Parse(signHS256(`{"alg":"HS256"}`, payload, secret))
		require.NoError(t, err)
		for _, alg := range jwt.Asymmetric {
			requireReason(t, token.Verify(keyFor(alg).public), jwt.KeyMisfit, alg)
		}
		requireReason(t, token.Verify(keyFor("HS256").public), jwt.BadSigning)
	}
}

func TestJ04_ShortSecrets(t *testing.T) {
	t.Parallel()
	for alg, size := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		require.True(t, jwt.Fits(alg, make([]byte, size)), alg)
		require.False(t, jwt.Fits(alg, make([]byte, size-1)), alg)
		require.False(t, jwt.Fits(alg, []byte{}), alg)
	}
	token, err := jwt.Parse(signHS256(`{"alg":"HS256"}`, payload, []byte("short")))
	require.NoError(t, err)
	requireReason(t, token.Verify([]byte("short")), jwt.KeyMisfit)
}

// RFC 9864 calls by another name what "EdDSA" is here. It is for keys on that curve only.
func TestJ52_Ed25519IsEdDSA(t *testing.T) {
	t.Parallel()
	k := keyFor("EdDSA")
	private, ok := k.private.(ed25519.PrivateKey)
	require.True(t, ok)
	input := b64(`{"alg":"Ed25519"}`) + "." + b64(payload)
	token, err := jwt.Parse(withSignature(input+".x", ed25519.Sign(private, []byte(input))))
	require.NoError(t, err)
	require.NoError(t, token.Verify(k.public))
	for _, p := range pairs() {
		require.Equal(t, slices.Contains(p.algorithms, "EdDSA"), jwt.Fits("Ed25519", p.public))
	}
	for _, alg := range slices.Concat(jwt.Asymmetric, jwt.Symmetric) {
		isEdDSA := alg == "EdDSA" || alg == "Ed25519"
		require.Equal(t, isEdDSA, jwt.Same(alg, "EdDSA"), alg)
		require.Equal(t, isEdDSA, jwt.Allows([]string{"Ed25519"}, alg), alg)
		require.Equal(t, isEdDSA, jwt.Allows([]string{"EdDSA"}, alg), alg)
		require.True(t, jwt.Same(alg, alg))
		require.False(t, jwt.Allows(nil, alg))
	}
}

// A Secret keeps states from one use to the next; that must not show.
func TestSecretIsReused(t *testing.T) {
	t.Parallel()
	key, ok := keyFor("HS256").public.([]byte)
	require.True(t, ok)
	secret := jwt.NewSecret(key)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				for _, alg := range jwt.Symmetric {
					raw := sign(t, alg, fmt.Sprintf(`{"n":%d}`, i))
					good, err := jwt.Parse(raw)
					if assert.NoError(t, err) {
						assert.NoError(t, good.Verify(secret), alg)
						good.Release()
					}
					bad, err := jwt.Parse(withSignature(raw, make([]byte, jwt.Hash(alg).Size())))
					if assert.NoError(t, err) {
						assert.Error(t, bad.Verify(secret), alg)
						bad.Release()
					}
				}
			}
		})
	}
	wg.Wait()
	require.True(t, secret.Equal(jwt.NewSecret(key)))
	require.False(t, secret.Equal(jwt.NewSecret(key[1:])))
	require.False(t, secret.Equal(key))
}

// A released token leaves nothing in the next one.
func TestReleasedTokensAreForgotten(t *testing.T) {
	t.Parallel()
	long := sign(t, "RS512", `{"iss":"`+strings.Repeat("x", 1000)+`"}`)
	for range 10 {
		token, err := jwt.Parse(long)
		require.NoError(t, err)
		claims := token.Claims
		require.NoError(t, token.Verify(keyFor("RS512").public))
		token.Release()
		short, err := jwt.Parse(sign(t, "ES256", `{"sub":"s"}`))
		require.NoError(t, err)
		require.NoError(t, short.Verify(keyFor("ES256").public))
		require.Equal(t, `{"sub":"s"}`, short.Payload)
		_, ok := short.Claims.Get("iss")
		require.False(t, ok)
		short.Release()
		value, ok := claims.Get("iss")
		require.True(t, ok)
		require.Equal(t, `"`+strings.Repeat("x", 1000)+`"`, value, "what was taken from a token stays")
	}
}

// What is remembered of headers are those of good tokens, and they say the same as
// the first time.
func TestHeadersOfGoodTokensAreRemembered(t *testing.T) {
	secret, ok := keyFor("HS256").public.([]byte)
	require.True(t, ok)
	kid := rand.Text() // not remembered from a former run
	raw := signHS256(`{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`, payload, secret)
	read := func() float64 {
		return testing.AllocsPerRun(100, func() {
			token := must(jwt.Parse(raw))
			if (token.Parameters != jwt.Parameters{Algorithm: "HS256", KeyID: kid, Type: "JWT"}) {
				panic("other parameters")
			}
			token.Release()
		})
	}
	before := read()
	token, err := jwt.Parse(raw)
	require.NoError(t, err)
	require.Error(t, token.Verify(bytes.Repeat([]byte("x"), 32)))
	require.InDelta(t, before, read(), 1, "a bad signature teaches nothing")
	require.NoError(t, token.Verify(secret))
	require.Less(t, read(), before-1)
}

// A signature counts for the algorithm in the header and no other.
func TestJ05_OtherAlgorithmOfTheSameKey(t *testing.T) {
	t.Parallel()
	for _, p := range pairs() {
		for _, signedWith := range p.algorithms {
			raw := sign(t, signedWith, payload)
			for _, claimed := range p.algorithms {
				if claimed == signedWith {
					continue
				}
				_, rest, _ := strings.Cut(raw, ".")
				token, err := jwt.Parse(b64(`{"alg":"`+claimed+`"}`) + "." + rest)
				require.NoError(t, err)
				requireReason(t, token.Verify(p.public), jwt.BadSigning, claimed)
			}
		}
	}
}

func TestJ06_CurveIsFixedByTheAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		for _, other := range []string{"ES256", "ES384", "ES512", "EdDSA"} {
			require.Equal(t, alg == other, jwt.Fits(alg, keyFor(other).public), "%s %s", alg, other)
		}
	}
}

func TestJ07_ECDSAEdgeValues(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		raw := sign(t, alg, payload)
		public := keyFor(alg).public.(*ecdsa.PublicKey)
		size := (public.Params().BitSize + 7) / 8
		good := signatureOf(raw)
		require.Len(t, good, 2*size)
		n := public.Params().N
		pad := func(v *big.Int) []byte { return v.FillBytes(make([]byte, size)) }
		zero, one := make([]byte, size), pad(big.NewInt(1))
		r, s := good[:size], good[size:]
		overlong := slices.Concat([]byte{0}, r, []byte{0}, s)
		der := must(keyFor(alg).private.(*ecdsa.PrivateKey).Sign(rand.Reader, digest(alg, raw), jwt.Hash(alg)))
		for name, signature := range map[string][]byte{
			"r and s zero": slices.Concat(zero, zero), "r zero": slices.Concat(zero, s), "s zero": slices.Concat(r, zero),
			"r is n": slices.Concat(pad(n), s), "s is n": slices.Concat(r, pad(n)), "r and s are n": slices.Concat(pad(n), pad(n)),
			"r and s one": slices.Concat(one, one), "r one, s zero": slices.Concat(one, zero),
			"swapped": slices.Concat(s, r), "one byte short": good[1:], "one byte less": good[:2*size-1],
			"one byte more": append(slices.Clone(good), 0), "zero in front": slices.Concat([]byte{0}, good),
			"both overlong": overlong, "zero before s": slices.Concat(r, []byte{0}, s), "DER": der, "r only": r, "one byte": {0}, "twice": slices.Concat(good, good),
		} {
			token, err := jwt.Parse(withSignature(raw, signature))
			require.NoError(t, err, name)
			requireReason(t, token.Verify(public), jwt.BadSigning, name)
		}
	}
}

func digest(alg, raw string) []byte {
	h := jwt.Hash(alg).New()
	h.Write([]byte(raw[:strings.LastIndexByte(raw, '.')]))
	return h.Sum(nil)
}

func TestJ09_PSSSaltLength(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"PS256", "PS384", "PS512"} {
		raw, key, hash := sign(t, alg, payload), keyFor(alg).private.(*rsa.PrivateKey), jwt.Hash(alg)
		for _, salt := range []int{0, 1, 20, hash.Size() - 1, hash.Size(), hash.Size() + 1, 100} {
			if salt == 0 {
				salt = rsa.PSSSaltLengthAuto // as long as it can be
			}
			signature, err := rsa.SignPSS(rand.Reader, key, hash, digest(alg, raw), &rsa.PSSOptions{SaltLength: salt})
			require.NoError(t, err)
			token, err := jwt.Parse(withSignature(raw, signature))
			require.NoError(t, err)
			if salt == hash.Size() {
				require.NoError(t, token.Verify(&key.PublicKey))
				continue
			}
			requireReason(t, token.Verify(&key.PublicKey), jwt.BadSigning, "salt %d", salt)
		}
	}
}

func TestJ10_RSAKeys(t *testing.T) {
	t.Parallel()
	modulus := func(bits int) *big.Int { // odd, with the top bit set
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.Add(n, big.NewInt(1))
	}
	for _, tt := range []struct {
		bits, e int
		ok      bool
	}{
		{2048, 65537, true}, {2048, 3, true}, {8192, 65537, true}, {3072, 17, true},
		{512, 65537, false}, {1024, 65537, false}, {2047, 65537, false}, {8193, 65537, false}, {16384, 65537, false},
		{2048, 1, false}, {2048, 2, false}, {2048, 65536, false}, {2048, 0, false}, {2048, -3, false},
	} {
		key := &rsa.PublicKey{N: modulus(tt.bits), E: tt.e}
		require.Equal(t, tt.ok, jwt.CheckRSA(key) == nil, "%+v", tt)
		require.Equal(t, tt.ok, jwt.Fits("RS256", key), "%+v", tt)
		require.Equal(t, tt.ok, jwt.Fits("PS256", key), "%+v", tt)
	}
}

// No error shows anything of the token.
func TestErrorTextHoldsNothingOfTheToken(t *testing.T) {
	t.Parallel()
	const marker = "MARKER"
	for _, raw := range []string{
		marker, marker + "!.YQ.YQ", compact(`{"alg":"HS256","kid":"`+marker+`\n"}`, `{}`), compact(`{"`+marker+`":1,"`+marker+`":2}`, `{}`),
		compact(`{"alg":"HS256"}`, `{"`+marker+`":1,"`+marker+`":2}`), compact(`{"alg":"HS256"}`, marker),
	} {
		_, err := jwt.Parse(raw)
		require.Error(t, err)
		require.NotContains(t, err.Error(), marker)
		require.NotContains(t, err.Error(), b64(marker))
	}
	token, err := jwt.Parse(compact(`{"alg":"`+marker+`"}`, `{}`))
	require.NoError(t, err)
	require.NotContains(t, token.Verify(nil).Error(), marker)
}

// FuzzParseHasOneSpelling: what Parse accepts is exactly the canonical encoding
// of what it decoded, go-jose reads it as the same, and an error has no token.
func FuzzParseHasOneSpelling(f *testing.F) {
	seeds := []string{compact(`{"alg":"none"}`, `{}`), "a.b.c.d.e", "..", ""}
	for _, alg := range allAlgorithms() {
		seeds = append(seeds, sign(f, alg, payload))
	}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	algorithms := make([]jose.SignatureAlgorithm, 0, 13)
	for _, alg := range allAlgorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(alg))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := jwt.Parse(raw)
		if err != nil {
			require.Nil(t, token)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken)
			return
		}
		parts := strings.Split(raw, ".")
		require.Len(t, parts, 3)
		for _, part := range parts {
			data, err := base64.RawURLEncoding.DecodeString(part)
			require.NoError(t, err)
			require.Equal(t, part, base64.RawURLEncoding.EncodeToString(data))
		}
		require.Equal(t, parts[1], base64.RawURLEncoding.EncodeToString([]byte(token.Payload)))
		if !jwt.Known(token.Algorithm) {
			return
		}
		// go-jose may refuse more (a "jku" of another type), and never reads another thing.
		if signed, err := jose.ParseSignedCompact(raw, algorithms); err == nil {
			require.Equal(t, token.Algorithm, signed.Signatures[0].Header.Algorithm)
			require.Equal(t, token.KeyID, signed.Signatures[0].Header.KeyID)
			require.Equal(t, []byte(token.Payload), signed.UnsafePayloadWithoutVerification())
			public := keyFor(token.Algorithm).public
			if token.Verify(public) == nil {
				_, err := signed.Verify(public)
				require.NoError(t, err)
			}
		}
	})
}

// FuzzDecodeHasOneSpelling: what is decoded is encoded to the same text again, and
// what the standard library decodes strictly is decoded here.
func FuzzDecodeHasOneSpelling(f *testing.F) {
	for _, s := range []string{"", "AA", "AB", "AAA", "AAB", "AAAA", "AAAAA", "-_-_", "+/+/", "AAAA\n", "A\nAAA", "AA==", "AAA ", "\x80AAA", "AAAAAAAAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := jwt.Decode(s)
		want, err := base64.RawURLEncoding.Strict().DecodeString(s)
		require.Equal(t, err == nil && !strings.ContainsAny(s, "\r\n"), ok)
		if ok {
			require.True(t, bytes.Equal(want, got))
			require.Equal(t, s, base64.RawURLEncoding.EncodeToString(got))
		}
	})
}
