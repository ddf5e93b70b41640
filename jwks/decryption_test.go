package jwks_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

var (
	forRSA = []string{"RSA-OAEP-256", "RSA-OAEP"}
	forEC  = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
)

// encrypt makes a JWE with go-jose.
func encrypt(t testing.TB, alg, enc, kid string, key any, content string) string {
	t.Helper()
	recipient := jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: key, KeyID: kid}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(enc), recipient, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	require.NoError(t, err)
	return must(must(encrypter.Encrypt([]byte(content))).CompactSerialize())
}

func decryptionKey(private any) jwks.DecryptionKey {
	return must(jwks.NewDecryptionKey(private, "", ""))
}

// Signed, encrypted, decrypted, verified.
func TestDecrypt(t *testing.T) {
	t.Parallel()
	signed := sign(t, "ES256", "s", ec1)
	private := rsaKeys()[0]
	secret := []byte(strings.Repeat("s", 48))
	for _, tt := range []struct {
		key    jwks.DecryptionKey
		public any
		algs   []string
	}{
		{decryptionKey(private), &private.PublicKey, forRSA},
		{decryptionKey(ec1), &ec1.PublicKey, forEC},
		{decryptionKey(ec384), &ec384.PublicKey, forEC},
		{decryptionKey(must(ec2.ECDH())), &ec2.PublicKey, forEC},
		{must(jwks.InsecureDirectKey(secret, "", "A192CBC-HS384")), secret, []string{"dir"}},
	} {
		require.Equal(t, tt.algs, tt.key.Algorithms())
		for _, alg := range tt.algs {
			raw := encrypt(t, alg, "A192CBC-HS384", "", tt.public, signed)
			inner, err := jwks.Decrypt([]jwks.DecryptionKey{{}, tt.key}, raw)
			require.NoError(t, err, alg)
			require.Equal(t, signed, inner)
			payload, err := jwks.Verify(t.Context(), parseSet(t, jwk(&ec1.PublicKey, nil)), []string{"ES256"}, inner)
			require.NoError(t, err)
			require.JSONEq(t, `{"sub":"s"}`, string(payload))
			_, err = jwks.Decrypt([]jwks.DecryptionKey{{}}, raw)
			requireReason(t, err, jwt.Algorithm, "the zero key")
		}
	}
}

// What is encrypted for us is not yet from whom it says.
func TestE07_DecryptingVerifiesNothing(t *testing.T) {
	t.Parallel()
	keys := []jwks.DecryptionKey{decryptionKey(ec1)}
	unsigned := b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{"sub":"s"}`)) + "."
	for _, alg := range []string{"none", "ES256"} {
		inner, err := jwks.Decrypt(keys, encrypt(t, "ECDH-ES", "A128GCM", "", &ec1.PublicKey, unsigned))
		require.NoError(t, err)
		_, err = jwks.Verify(t.Context(), parseSet(t, jwk(&ec2.PublicKey, nil)), []string{alg}, inner)
		requireReason(t, err, jwt.Malformed)
	}
	inner, err := jwks.Decrypt(keys, encrypt(t, "ECDH-ES", "A128GCM", "", &ec1.PublicKey, sign(t, "ES256", "", ec1)))
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), parseSet(t, jwk(&ec2.PublicKey, nil)), []string{"ES256"}, inner)
	requireReason(t, err, jwt.BadSigning, "a stranger's signature")
	_, err = jwks.Decrypt(keys, encrypt(t, "ECDH-ES", "A128GCM", "", &ec1.PublicKey, `{"sub":"s"}`))
	requireReason(t, err, jwt.Decryption)
}

func TestDecryptContent(t *testing.T) {
	t.Parallel()
	keys := []jwks.DecryptionKey{decryptionKey(ec1)}
	for _, content := range []string{`{"sub":"s"}`, "a.b.c", "a", ""} {
		got, err := jwks.DecryptContent(keys, encrypt(t, "ECDH-ES", "A128GCM", "", &ec1.PublicKey, content))
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	_, err := jwks.DecryptContent(keys, encrypt(t, "ECDH-ES", "A128GCM", "", &ec2.PublicKey, "a"))
	requireReason(t, err, jwt.Decryption)
	_, err = jwks.DecryptContent(keys, "a.b.c")
	requireReason(t, err, jwt.Malformed)
}

func TestJ19_EachKindOfTokenHasItsEntry(t *testing.T) {
	t.Parallel()
	signed := sign(t, "ES256", "", ec1)
	_, err := jwks.Decrypt([]jwks.DecryptionKey{decryptionKey(ec1)}, signed)
	requireReason(t, err, jwt.Malformed)
	raw := encrypt(t, "ECDH-ES", "A128GCM", "", &ec1.PublicKey, signed)
	_, err = jwks.Verify(t.Context(), parseSet(t, jwk(&ec1.PublicKey, nil)), []string{"ES256"}, raw)
	requireReason(t, err, jwt.Encrypted)
}

func TestNewDecryptionKey(t *testing.T) {
	t.Parallel()
	for _, alg := range forRSA {
		k, err := jwks.NewDecryptionKey(rsaKeys()[0], "a", alg)
		require.NoError(t, err)
		require.Equal(t, []string{alg}, k.Algorithms())
		require.Equal(t, "a", k.ID())
	}
	for _, tt := range []struct {
		private any
		alg     string
	}{
		{rsaKeys()[0], "RSA1_5"}, {rsaKeys()[0], "ECDH-ES"}, {rsaKeys()[0], "RS256"}, {ec1, "RSA-OAEP"}, {ec1, "dir"},
		{nil, ""}, {&ec1.PublicKey, ""}, {edKey, ""}, {newEC(elliptic.P224()), ""}, {must(ecdh.X25519().GenerateKey(rand.Reader)), ""}, {[]byte("secret"), "A256KW"},
	} {
		k, err := jwks.NewDecryptionKey(tt.private, "", tt.alg)
		require.Error(t, err, "%T %s", tt.private, tt.alg)
		require.Empty(t, k.Algorithms())
	}
	_, err := jwks.InsecureDirectKey([]byte("short"), "", "A256GCM")
	require.Error(t, err)
	k := decryptionKey(ec1)
	k.Algorithms()[0] = "RSA1_5"
	require.Equal(t, forEC, k.Algorithms(), "what is handed out is a copy")
}

func TestParseDecryptionKey(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	bare := jwk(private, with{"dp": nil, "dq": nil, "qi": nil})
	for _, tt := range []struct {
		document, id string
		algorithms   []string
		public       any
	}{
		{jwk(private, nil), "", forRSA, &private.PublicKey},
		{bare, "", forRSA, &private.PublicKey},
		{jwk(private, with{"kid": "a", "use": "enc", "alg": "RSA-OAEP"}), "a", forRSA[1:], &private.PublicKey},
		{jwk(private, with{"key_ops": []string{"decrypt"}}), "", forRSA, &private.PublicKey},
		{jwk(private, with{"key_ops": []string{"wrapKey", "unwrapKey"}}), "", forRSA, &private.PublicKey},
		{jwk(ec1, with{"key_ops": []string{"deriveKey"}}), "", forEC, &ec1.PublicKey},
		{jwk(ec384, with{"key_ops": []string{"deriveBits"}, "use": ""}), "", forEC, &ec384.PublicKey},
		{jwk(ec1, with{"alg": "ECDH-ES+A256KW", "x5c": []string{"no certificate"}, "x5t": 5, "exp": 1}), "", forEC[3:], &ec1.PublicKey},
	} {
		k, err := jwks.ParseDecryptionKey([]byte(tt.document))
		require.NoError(t, err)
		require.Equal(t, tt.id, k.ID())
		require.Equal(t, tt.algorithms, k.Algorithms())
		signed := sign(t, "ES256", "", ec2)
		inner, err := jwks.Decrypt([]jwks.DecryptionKey{k}, encrypt(t, tt.algorithms[0], "A256GCM", tt.id, tt.public, signed))
		require.NoError(t, err)
		require.Equal(t, signed, inner)
	}
}

func TestParseDecryptionKey_Refuses(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	good := jwk(ec1, nil)
	for name, document := range map[string]string{
		"empty": "", "null": "null", "list": "[" + good + "]", "cut": good[:len(good)-1], "something behind it": good + good, "no kty": jwk(ec1, with{"kty": nil}),
		"J22 duplicate":         strings.TrimSuffix(good, "}") + `,"kid":"a","kid":"b"}`,
		"J23 two cases":         strings.TrimSuffix(good, "}") + `,"kid":"a","KID":"b"}`,
		"use sig":               jwk(ec1, with{"use": "sig"}),
		"use ENC":               jwk(ec1, with{"use": "ENC"}),
		"key_ops sign":          jwk(ec1, with{"key_ops": []string{"sign"}}),
		"key_ops encrypt":       jwk(private, with{"key_ops": []string{"encrypt", "wrapKey"}}),
		"key_ops empty":         jwk(ec1, with{"key_ops": []string{}}),
		"kid is a number":       jwk(ec1, with{"kid": 5}),
		"public EC":             jwk(&ec1.PublicKey, nil),
		"public RSA":            jwk(&private.PublicKey, nil),
		"shared secret":         jwk([]byte(strings.Repeat("s", 32)), nil),
		"shared secret with d":  jwk([]byte(strings.Repeat("s", 32)), with{"d": "AA"}),
		"Ed25519":               jwk(edKey, nil),
		"X25519":                `{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `","d":"` + b64(make([]byte, 32)) + `"}`,
		"RSA1_5":                jwk(private, with{"alg": "RSA1_5"}),
		"alg of signatures":     jwk(private, with{"alg": "RS256"}),
		"alg of another type":   jwk(ec1, with{"alg": "RSA-OAEP"}),
		"P-224":                 jwk(ec1, with{"crv": "P-224"}),
		"off the curve":         jwk(ec1, with{"y": b64(make([]byte, 32))}),
		"short d":               jwk(ec1, with{"d": "AAAA"}),
		"d is zero":             jwk(ec1, with{"d": b64(make([]byte, 32))}),
		"d of another key":      jwk(&ecdsa.PrivateKey{PublicKey: ec1.PublicKey, D: ec2.D}, nil),
		"RSA without primes":    jwk(private, with{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}),
		"RSA of three primes":   jwk(private, with{"oth": []any{}}),
		"RSA d of another key":  jwk(private, with{"d": b64(rsaKeys()[1].D.Bytes())}),
		"RSA n of another key":  jwk(private, with{"n": b64(rsaKeys()[1].N.Bytes())}),
		"RSA dp of another key": jwk(private, with{"dp": b64(rsaKeys()[1].Precomputed.Dp.Bytes())}),
		"J10 RSA 1024":          weakRSA(),
	} {
		k, err := jwks.ParseDecryptionKey([]byte(document))
		require.Error(t, err, name)
		require.Empty(t, k.Algorithms(), name)
		for _, secret := range []string{b64(private.D.Bytes()), b64(private.Primes[0].Bytes()), private.D.String(), b64(ec1.D.FillBytes(make([]byte, 32))), ec1.D.String()} {
			require.NotContains(t, err.Error(), secret, name)
		}
	}
}

// weakRSA returns a key of 1024 bits, which crypto/rsa neither makes nor takes.
func weakRSA() string {
	one, e := big.NewInt(1), big.NewInt(65537)
	var p, q, d *big.Int
	for d == nil {
		p, q = must(rand.Prime(rand.Reader, 512)), must(rand.Prime(rand.Reader, 512))
		d = new(big.Int).ModInverse(e, new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
	}
	n := new(big.Int).Mul(p, q)
	return fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"AQAB","d":"%s","p":"%s","q":"%s"}`, b64(n.Bytes()), b64(d.Bytes()), b64(p.Bytes()), b64(q.Bytes()))
}

func TestJ51_DecryptionKeysRedactThemselves(t *testing.T) {
	t.Parallel()
	const marker = "MARKER-MARKER-MARKER-MARKER-MARK"
	d := new(big.Int).SetBytes([]byte(marker))
	secrets := []string{marker, fmt.Sprintf("%x", marker), fmt.Sprintf("%X", marker), "77 65 82 75", "0x4d, 0x41", b64([]byte(marker))[:20], d.String()[:20]}
	for _, k := range []jwks.DecryptionKey{
		must(jwks.InsecureDirectKey([]byte(marker), "k", "A256GCM")),
		decryptionKey(must(ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(marker)))),
		{},
	} {
		type holder struct{ key jwks.DecryptionKey }
		for _, v := range []any{k, &k, []jwks.DecryptionKey{k}, map[string]jwks.DecryptionKey{"k": k}, holder{k}, &holder{k}, struct{ Key any }{k}} {
			texts := []string{string(must(json.Marshal(v)))}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				texts = append(texts, fmt.Sprintf(verb, v))
			}
			var log strings.Builder
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", v)
			for _, secret := range secrets {
				require.NotContains(t, strings.Join(append(texts, log.String()), "\n"), secret)
			}
		}
	}
	require.Equal(t, `jwks.DecryptionKey("k", [dir])`, fmt.Sprint(must(jwks.InsecureDirectKey([]byte(marker), "k", "A256GCM"))))
}
