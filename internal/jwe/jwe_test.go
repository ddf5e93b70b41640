package jwe_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/jwt"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newEC(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

var (
	rsaKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
		return [2]*rsa.PrivateKey{must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2048))}
	})
	ec256, other256 = newEC(elliptic.P256()), newEC(elliptic.P256())
	ec384, ec521    = newEC(elliptic.P384()), newEC(elliptic.P521())
	secret          = []byte(strings.Repeat("s", 32)) // for A256GCM
)

var (
	rsaAlgs = []string{"RSA-OAEP-256", "RSA-OAEP"}
	ecAlgs  = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
	encs    = map[string]int{"A128GCM": 16, "A192GCM": 24, "A256GCM": 32, "A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64}
)

const inner = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln" // has the form of a JWS, which is all that is looked at

func key(private any) jwe.Key       { return must(jwe.NewKey(private, "", "")) }
func keys(private ...any) []jwe.Key { return mapped(private, key) }
func directKeys() []jwe.Key         { return []jwe.Key{must(jwe.NewDirectKey(secret, "", "A256GCM"))} }
func b64(b []byte) string           { return base64.RawURLEncoding.EncodeToString(b) }
func unb64(s string) []byte         { return must(base64.RawURLEncoding.DecodeString(s)) }
func random(n int) []byte           { b := make([]byte, n); _, _ = rand.Read(b); return b }
func parts(raw string) []string     { return strings.Split(raw, ".") }
func headerOf(raw string) string    { return string(unb64(parts(raw)[0])) }
func with(raw string, i int, part string) string {
	p := parts(raw)
	p[i] = part
	return strings.Join(p, ".")
}

func mapped[A, B any](in []A, f func(A) B) (out []B) {
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

// object has go-jose encrypt, who knows nothing of us.
func object(t testing.TB, alg, enc, kid string, key any, plaintext string, opts *jose.EncrypterOptions) *jose.JSONWebEncryption {
	t.Helper()
	recipient := jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: key, KeyID: kid}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(enc), recipient, opts)
	require.NoError(t, err)
	return must(encrypter.Encrypt([]byte(plaintext)))
}

func encrypt(t testing.TB, alg, enc, kid string, key any) string {
	t.Helper()
	return must(object(t, alg, enc, kid, key, inner, (&jose.EncrypterOptions{}).WithContentType("JWT")).CompactSerialize())
}

// seal makes a token in A256GCM with whatever header and encrypted key it is given.
func seal(header string, encryptedKey, cek []byte, plaintext string) string {
	gcm := must(cipher.NewGCM(must(aes.NewCipher(cek))))
	iv := random(12)
	sealed := gcm.Seal(nil, iv, []byte(plaintext), []byte(b64([]byte(header))))
	text, tag := sealed[:len(plaintext)], sealed[len(plaintext):]
	return strings.Join(mapped([][]byte{[]byte(header), encryptedKey, iv, text, tag}, b64), ".")
}

const directHeader = `{"alg":"dir","enc":"A256GCM"}`

// direct makes a good token for directKeys, but for the header and the content.
func direct(header, plaintext string) string { return seal(header, nil, secret, plaintext) }

func wrap(public *rsa.PublicKey, cek []byte) []byte {
	return must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, cek, nil))
}

// refused checks the contract of all errors of the package.
func refused(t testing.TB, raw string, keys []jwe.Key, want jwt.Reason, about ...any) {
	t.Helper()
	got, err := jwe.Decrypt(raw, keys)
	require.Empty(t, got, about...)
	var e *jwt.Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Reason, about...)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable, about...)
	if want == jwt.Decryption { // E10
		require.Equal(t, &jwt.Error{Reason: jwt.Decryption}, err, about...)
	}
}

func accepted(t testing.TB, raw string, keys []jwe.Key, about ...any) {
	t.Helper()
	got, err := jwe.Decrypt(raw, keys)
	require.NoError(t, err, about...)
	require.Equal(t, inner, got, about...)
}

func TestDecryptWhatGoJoseEncrypted(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	all := keys(private, ec256, ec384, ec521)
	for enc, size := range encs {
		t.Run(enc, func(t *testing.T) {
			t.Parallel()
			for _, alg := range rsaAlgs {
				accepted(t, encrypt(t, alg, enc, "", &private.PublicKey), all, alg)
			}
			for _, k := range []*ecdsa.PrivateKey{ec256, ec384, ec521} {
				for _, alg := range ecAlgs {
					raw := encrypt(t, alg, enc, "", &k.PublicKey)
					accepted(t, raw, all, alg)
					accepted(t, raw, keys(must(k.ECDH())), alg)
				}
			}
			shared := random(size)
			accepted(t, encrypt(t, "dir", enc, "", shared), []jwe.Key{must(jwe.NewDirectKey(shared, "", enc))})
		})
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	weak := &rsa.PrivateKey{}
	require.NoError(t, json.Unmarshal([]byte("{}"), weak))
	swapped := *ec256
	swapped.PublicKey = other256.PublicKey
	broken := *rsaKeys()[0]
	broken.D, broken.Precomputed = rsaKeys()[1].D, rsa.PrecomputedValues{}
	for name, private := range map[string]any{
		"nil": nil, "nil RSA": (*rsa.PrivateKey)(nil), "nil EC": (*ecdsa.PrivateKey)(nil), "nil ECDH": (*ecdh.PrivateKey)(nil),
		"empty RSA": weak, "empty EC": &ecdsa.PrivateKey{}, "public RSA": &rsaKeys()[0].PublicKey, "public EC": &ec256.PublicKey,
		"secret": secret, "P-224": newEC(elliptic.P224()), "X25519": must(ecdh.X25519().GenerateKey(rand.Reader)),
		"EC with another public key": &swapped, "RSA with another D": &broken,
		"RSA 1024": parsePrivate(t, rsa1024),
	} {
		got, err := jwe.NewKey(private, "", "")
		require.Error(t, err, name)
		require.Zero(t, got, name)
	}
	require.Equal(t, rsaAlgs, key(rsaKeys()[0]).Algorithms)
	require.Equal(t, ecAlgs, key(ec521).Algorithms)
	for _, alg := range []string{"RSA1_5", "dir", "A128KW", "A256GCMKW", "PBES2-HS256+A128KW", "RS256", "RSA-OAEP-384", "none", "rsa-oaep", " "} {
		for _, private := range []any{rsaKeys()[0], ec256} {
			_, err := jwe.NewKey(private, "", alg)
			require.Error(t, err, alg)
		}
	}
	_, err := jwe.NewKey(ec256, "", "RSA-OAEP")
	require.Error(t, err)
	_, err = jwe.NewKey(rsaKeys()[0], "", "ECDH-ES")
	require.Error(t, err)
}

// rsa1024 comes from openssl; crypto/rsa makes none.
const rsa1024 = `{"kty":"RSA","e":"AQAB","n":"uu6hLCzBQlZXXu8XSEzCWSrn4hWUqUfwAoWYT9kLmZXv_Ythfw7giMefw5pTgdcGqGSqKOzhKctdegf3KkjrDAT-gNa1KT3y_lriG5eJpJnnBMGivi647pYOS_lZc5UY3EDCw0dMYRtOVg6QPoE4JIdThIOFgJk-UeVt_W08svM","d":"oI0UILzPwAooQIFZnd9PjQYs4yFl7X67xW64wtvH-sGsvjdYJajBcLkDnxyNXJcyQK809rF9MkhYoNb2knrOZKoKg8MdRLiqaUemzHHjwVnDiN3pMws_dAjyh6larWIrgXoNp_Lo29UmSwaaUH6w9wdBB1GN3p8qdggcY9Hj8wE","p":"9fAlWVdmqymS6rP08WxsKwKBgj4di9heqYVppy0-2NyZfOjtYiuhtyJPRhzuoCSCPSX8bRTGt-dD-XABxDiSzQ","q":"wpR63SAEQada6QxwwrYXstYXsGSyJzthdZnWHVT_oOgfqlAl8BzARgk-B0xZObPFi49pcLj8Clcaf8YwIlvcvw"}`

func parsePrivate(t testing.TB, jwk string) any {
	t.Helper()
	var k jose.JSONWebKey
	require.NoError(t, json.Unmarshal([]byte(jwk), &k))
	return k.Key
}

func TestNewDirectKey(t *testing.T) {
	t.Parallel()
	for enc, size := range encs {
		k, err := jwe.NewDirectKey(random(size), "k", enc)
		require.NoError(t, err, enc)
		require.Equal(t, "k", k.ID)
		for _, bad := range []int{0, size - 1, size + 1, 2 * size} {
			_, err = jwe.NewDirectKey(random(bad), "k", enc)
			require.Error(t, err, enc)
		}
	}
	for _, enc := range []string{"", "dir", "A128KW", "a128gcm", "C20P"} {
		for _, size := range []int{0, 32} {
			_, err := jwe.NewDirectKey(random(size), "", enc)
			require.Error(t, err, enc)
		}
	}
	mutable := slices.Clone(secret)
	k := must(jwe.NewDirectKey(mutable, "", "A256GCM"))
	clear(mutable)
	accepted(t, direct(directHeader, inner), []jwe.Key{k}, "the secret is copied")
}

func TestE01_RSA15IsRefused(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	refused(t, encrypt(t, "RSA1_5", "A256GCM", "", &private.PublicKey), keys(private, ec256), jwt.Algorithm)
}

// A key is used for what it is made for, whatever the header says.
func TestE02_TheKeysAreTheAllowList(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	asymmetric := keys(private, ec256)
	sealed := direct(directHeader, inner)
	accepted(t, sealed, directKeys())
	refused(t, sealed, asymmetric, jwt.Algorithm, "dir is never by default")
	refused(t, sealed, nil, jwt.Algorithm)
	refused(t, sealed, []jwe.Key{{}}, jwt.Algorithm)
	refused(t, seal(directHeader, nil, private.N.Bytes()[:32], inner), asymmetric, jwt.Algorithm, "a public key is no secret")

	rsaToken, ecToken := encrypt(t, "RSA-OAEP", "A256GCM", "", &private.PublicKey), encrypt(t, "ECDH-ES", "A256GCM", "", &ec256.PublicKey)
	refused(t, rsaToken, keys(ec256), jwt.Algorithm)
	refused(t, ecToken, keys(private), jwt.Algorithm)
	refused(t, rsaToken, directKeys(), jwt.Algorithm)
	refused(t, rsaToken, []jwe.Key{must(jwe.NewKey(private, "", "RSA-OAEP-256"))}, jwt.Algorithm)
	refused(t, ecToken, []jwe.Key{must(jwe.NewKey(ec256, "", "ECDH-ES+A128KW"))}, jwt.Algorithm)
	refused(t, ecToken, keys(ec384), jwt.KeyMisfit)
	refused(t, ecToken, []jwe.Key{must(jwe.NewKey(ec256, "", "ECDH-ES+A128KW")), key(other256)}, jwt.Decryption, "the other key's algorithm")
	refused(t, encrypt(t, "dir", "A128CBC-HS256", "", secret), directKeys(), jwt.KeyMisfit, "another enc for the same secret")

	everything := append(directKeys(), asymmetric...)
	for _, alg := range []string{"A256KW", "A256GCMKW"} {
		refused(t, encrypt(t, alg, "A256GCM", "", secret), everything, jwt.Algorithm, alg)
	}
	for _, alg := range []string{"none", "DIR", "Dir", "RSA-OAEP-512", "ECDH-1PU", "RS256"} {
		refused(t, direct(`{"alg":"`+alg+`","enc":"A256GCM"}`, inner), everything, jwt.Algorithm, alg)
	}
	for _, enc := range []string{"A256gcm", "A256CTR", "XC20P", "none", "A512GCM"} {
		refused(t, direct(`{"alg":"dir","enc":"`+enc+`"}`, inner), everything, jwt.Algorithm, enc)
	}
}

func TestE03_PasswordsAreRefused(t *testing.T) {
	t.Parallel()
	recipient := jose.Recipient{Algorithm: jose.PBES2_HS256_A128KW, Key: secret, PBES2Count: 1000}
	raw := must(must(must(jose.NewEncrypter(jose.A256GCM, recipient, nil)).Encrypt([]byte(inner))).CompactSerialize())
	everything := append(directKeys(), keys(ec256)...)
	refused(t, raw, everything, jwt.Header)
	refused(t, direct(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM"}`, inner), everything, jwt.Algorithm)
	for _, member := range []string{`"p2c":2147483647`, `"p2s":""`} {
		refused(t, direct(`{"alg":"dir","enc":"A256GCM",`+member+`}`, inner), everything, jwt.Header, member)
	}
}

func TestE04_CompressionIsRefused(t *testing.T) {
	t.Parallel()
	compressed := object(t, "dir", "A256GCM", "", secret, strings.Repeat("a", 1<<20)+".b.c", &jose.EncrypterOptions{Compression: jose.DEFLATE})
	raw := must(compressed.CompactSerialize())
	require.Less(t, len(raw), 2<<10)
	refused(t, raw, directKeys(), jwt.Header)
	for _, zip := range []string{`"DEF"`, `""`, `null`, `"none"`} {
		refused(t, direct(`{"alg":"dir","enc":"A256GCM","zip":`+zip+`}`, inner), directKeys(), jwt.Header, zip)
	}
}

func TestE05_TheEncryptedKeyHasOneLength(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	all := append(directKeys(), keys(private, ec256)...)
	for _, alg := range ecAlgs[1:] {
		for enc, size := range encs {
			raw := encrypt(t, alg, enc, "", &ec256.PublicKey)
			require.Len(t, unb64(parts(raw)[1]), size+8)
			for _, n := range []int{0, 1, 7, 8, 15, 16, size, size + 7, size + 9, size + 16, 4096} {
				if n != size+8 {
					refused(t, with(raw, 1, b64(random(n))), all, jwt.Malformed, alg, enc, n)
				}
			}
		}
	}
	for _, alg := range rsaAlgs {
		raw := encrypt(t, alg, "A128GCM", "", &private.PublicKey)
		refused(t, with(raw, 1, ""), all, jwt.Malformed, alg)
		for _, n := range []int{1, 32, 255, 257, 512} {
			refused(t, with(raw, 1, b64(random(n))), all, jwt.KeyMisfit, alg, n)
		}
	}
	for _, raw := range []string{encrypt(t, "ECDH-ES", "A128GCM", "", &ec256.PublicKey), direct(directHeader, inner)} {
		accepted(t, raw, all)
		refused(t, with(raw, 1, b64(random(24))), all, jwt.Malformed)
	}
}

// An RSA ciphertext that begins with a zero is the same number without it.
func TestE05_AnEncryptedKeyKeepsItsLeadingZeros(t *testing.T) {
	t.Parallel()
	private, cek := rsaKeys()[0], random(32)
	wrapped := []byte{1}
	for wrapped[0] != 0 {
		wrapped = wrap(&private.PublicKey, cek)
	}
	raw := seal(`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`, wrapped, cek, inner)
	accepted(t, raw, keys(private))
	refused(t, with(raw, 1, b64(wrapped[1:])), keys(private), jwt.KeyMisfit)
	refused(t, with(raw, 1, b64(append([]byte{0}, wrapped...))), keys(private), jwt.KeyMisfit)
}

func TestE06_AnEphemeralKeyIsOnTheCurveOfOurs(t *testing.T) {
	t.Parallel()
	all := keys(ec256, ec384, rsaKeys()[0])
	point := must(other256.PublicKey.ECDH()).Bytes()
	x, y := b64(point[1:33]), b64(point[33:])
	zeros, ones := b64(make([]byte, 32)), b64([]byte(strings.Repeat("\xff", 32)))
	for _, alg := range []string{"ECDH-ES", "ECDH-ES+A128KW"} {
		raw := encrypt(t, alg, "A256GCM", "", &ec256.PublicKey)
		for name, epk := range map[string]string{
			"none":                "",
			"null":                `null`,
			"a string":            `"EC"`,
			"a list":              `[]`,
			"empty":               `{}`,
			"off the curve":       `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + x + `"}`,
			"zero":                `{"kty":"EC","crv":"P-256","x":"` + zeros + `","y":"` + zeros + `"}`,
			"beyond the field":    `{"kty":"EC","crv":"P-256","x":"` + ones + `","y":"` + ones + `"}`,
			"no y":                `{"kty":"EC","crv":"P-256","x":"` + x + `"}`,
			"no x and no y":       `{"kty":"EC","crv":"P-256"}`,
			"short":               `{"kty":"EC","crv":"P-256","x":"` + x[:40] + `","y":"` + y[:40] + `"}`,
			"x takes of y":        `{"kty":"EC","crv":"P-256","x":"` + b64(point[1:34]) + `","y":"` + b64(point[34:]) + `"}`,
			"padded":              `{"kty":"EC","crv":"P-256","x":"` + x + `=","y":"` + y + `"}`,
			"numbers":             `{"kty":"EC","crv":"P-256","x":5,"y":5}`,
			"point of P-256":      `{"kty":"EC","crv":"P-384","x":"` + x + `","y":"` + y + `"}`,
			"secp256k1":           `{"kty":"EC","crv":"secp256k1","x":"` + x + `","y":"` + y + `"}`,
			"no crv":              `{"kty":"EC","x":"` + x + `","y":"` + y + `"}`,
			"no kty":              `{"crv":"P-256","x":"` + x + `","y":"` + y + `"}`,
			"X25519":              `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`,
			"kty OKP":             `{"kty":"OKP","crv":"P-256","x":"` + x + `","y":"` + y + `"}`,
			"private":             `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","d":"` + x + `"}`,
			"with a certificate":  `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","x5c":[]}`,
			"x twice":             `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","x":"` + x + `"}`,
			"a name in two cases": `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","X":"` + x + `"}`,
		} {
			header := `{"alg":"` + alg + `","enc":"A256GCM","epk":` + epk + `}`
			if epk == "" {
				header = `{"alg":"` + alg + `","enc":"A256GCM"}`
			}
			refused(t, with(raw, 0, b64([]byte(header))), all, jwt.Header, alg, name)
		}
		good := `{"alg":"` + alg + `","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}}`
		refused(t, with(raw, 0, b64([]byte(good))), all, jwt.Decryption, "the form is right, the key another")
	}
	refused(t, encrypt(t, "ECDH-ES", "A256GCM", "", &ec521.PublicKey), all, jwt.KeyMisfit, "no key on that curve")
	epk := `"epk":{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`
	refused(t, direct(`{"alg":"dir","enc":"A256GCM",`+epk+`}`, inner), directKeys(), jwt.Header, "dir has no epk")
}

func TestE07_WithoutASignatureInsideItIsNothing(t *testing.T) {
	t.Parallel()
	for _, plaintext := range []string{
		"", `{"iss":"https://op.example","sub":"s"}`, "text", "one.dot", "a.b.c.d", inner + ".", strings.Repeat(".", 1000), "\x00\xff",
	} {
		refused(t, direct(directHeader, plaintext), directKeys(), jwt.Decryption, plaintext)
	}
}

func TestE08_OnlyTheCompactSerialization(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	all := keys(private, ec256)
	one := object(t, "RSA-OAEP", "A256GCM", "", &private.PublicKey, inner, nil)
	recipients := []jose.Recipient{{Algorithm: jose.RSA_OAEP, Key: &private.PublicKey}, {Algorithm: jose.ECDH_ES_A128KW, Key: &ec256.PublicKey}}
	many := must(must(jose.NewMultiEncrypter(jose.A256GCM, recipients, nil)).Encrypt([]byte(inner)))
	for _, raw := range []string{one.FullSerialize(), many.FullSerialize(), `{"a":"....","b":1}`, "{....}", "[....]"} {
		refused(t, raw, all, jwt.Malformed, raw)
	}
}

// Of IV and tag every length but one is refused. go-jose takes a longer tag for
// the end of the ciphertext, which would give a token many spellings.
func TestE09_IVAndTagHaveOneLength(t *testing.T) {
	t.Parallel()
	for enc, size := range encs {
		shared := random(size)
		all := []jwe.Key{must(jwe.NewDirectKey(shared, "", enc))}
		raw := encrypt(t, "dir", enc, "", shared)
		accepted(t, raw, all, enc)
		for _, i := range []int{2, 4} {
			part := unb64(parts(raw)[i])
			for n := range part {
				refused(t, with(raw, i, b64(part[:n])), all, jwt.Malformed, enc, i, n)
			}
			refused(t, with(raw, i, b64(append(part, 0))), all, jwt.Malformed, enc, i)
		}
		text, tag := unb64(parts(raw)[3]), unb64(parts(raw)[4])
		for n := range text {
			shifted := with(with(raw, 3, b64(text[:n])), 4, b64(append(slices.Clone(text[n:]), tag...)))
			refused(t, shifted, all, jwt.Malformed, enc, n)
		}
	}
}

// Whatever a private key has to find out is answered in the same words.
func TestE10_OneErrorForEveryDecryption(t *testing.T) {
	t.Parallel()
	private, cek := rsaKeys()[0], random(32)
	all := append(directKeys(), keys(private, ec256)...)
	header := `{"alg":"RSA-OAEP-256","enc":"A256GCM"}`
	good := seal(header, wrap(&private.PublicKey, cek), cek, inner)
	accepted(t, good, all)
	kw, agreed, shared := encrypt(t, "ECDH-ES+A128KW", "A128CBC-HS256", "", &ec256.PublicKey), encrypt(t, "ECDH-ES", "A128GCM", "", &ec256.PublicKey), direct(directHeader, inner)
	for name, raw := range map[string]string{
		"RSA: no OAEP":                with(good, 1, b64(random(256))[:341]+"A"),
		"RSA: zero":                   with(good, 1, b64(make([]byte, 256))),
		"RSA: above modulus":          with(good, 1, b64([]byte(strings.Repeat("\xff", 256)))),
		"RSA: other key":              seal(header, wrap(&rsaKeys()[1].PublicKey, cek), cek, inner),
		"RSA: other hash":             seal(`{"alg":"RSA-OAEP","enc":"A256GCM"}`, wrap(&private.PublicKey, cek), cek, inner),
		"RSA: other CEK":              seal(header, wrap(&private.PublicKey, random(32)), cek, inner),
		"RSA: short CEK":              seal(header, wrap(&private.PublicKey, cek[:16]), cek, inner),
		"RSA: empty CEK":              seal(header, wrap(&private.PublicKey, nil), cek, inner),
		"RSA: long CEK":               seal(header, wrap(&private.PublicKey, random(64)), cek, inner),
		"RSA: IV":                     with(good, 2, b64(random(12))),
		"RSA: text":                   with(good, 3, b64(random(len(inner)))),
		"RSA: no text":                with(good, 3, ""),
		"RSA: tag":                    with(good, 4, b64(random(16))),
		"RSA: header":                 with(good, 0, b64([]byte(header+" "))),
		"RSA: no JWS":                 seal(header, wrap(&private.PublicKey, cek), cek, "claims"),
		"RSA: nested":                 seal(header, wrap(&private.PublicKey, cek), cek, good),
		"ECDH-ES+A128KW: key":         with(kw, 1, b64(random(40))),
		"ECDH-ES+A128KW: tag":         with(kw, 4, b64(random(16))),
		"ECDH-ES+A128KW: text":        with(kw, 3, b64(random(47))), // no whole blocks
		"ECDH-ES+A128KW: for another": encrypt(t, "ECDH-ES+A128KW", "A128CBC-HS256", "", &other256.PublicKey),
		"ECDH-ES: for another":        encrypt(t, "ECDH-ES", "A128GCM", "", &other256.PublicKey),
		"ECDH-ES: text":               with(agreed, 3, b64(random(len(inner)))),
		"ECDH-ES: apu":                with(agreed, 0, b64([]byte(strings.TrimSuffix(headerOf(agreed), "}")+`,"apu":"AAAA"}`))),
		"dir: text":                   with(shared, 3, b64(random(len(inner)))),
		"dir: other secret":           seal(directHeader, nil, cek, inner),
	} {
		refused(t, raw, all, jwt.Decryption, name)
	}
}

func TestJ19_DotsTellJWEFromJWS(t *testing.T) {
	t.Parallel()
	raw := direct(directHeader, inner)
	require.True(t, jwe.IsEncrypted(raw))
	require.False(t, jwe.IsEncrypted(inner))
	for _, other := range []string{"", "a", "...", ".....", inner, raw + ".", "." + raw, strings.Repeat(".", jwt.MaxSize)} {
		require.False(t, jwe.IsEncrypted(other))
		refused(t, other, directKeys(), jwt.Malformed)
	}
	big := direct(directHeader, strings.Repeat("a", jwt.MaxSize)+".b.c")
	require.False(t, jwe.IsEncrypted(big), "it is refused by the parser of JWS, for its size")
	refused(t, big, directKeys(), jwt.TooLarge)
	refused(t, strings.Repeat(".", 1<<20), directKeys(), jwt.TooLarge)
}

func TestJ20_TokensNestOnce(t *testing.T) {
	t.Parallel()
	once := direct(directHeader, inner)
	refused(t, direct(directHeader, once), directKeys(), jwt.Decryption)
	for _, cty := range []string{"JWT", "jwt", "Jwt"} {
		accepted(t, direct(`{"alg":"dir","enc":"A256GCM","cty":"`+cty+`"}`, inner), directKeys(), cty)
	}
	for _, cty := range []string{`"JWE"`, `"JWS"`, `"application/jwt"`, `"JWT "`, `""`, `null`, `5`, `["JWT"]`} {
		refused(t, direct(`{"alg":"dir","enc":"A256GCM","cty":`+cty+`}`, inner), directKeys(), jwt.Header, cty)
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 257)
	for _, header := range []string{
		`{"alg":"dir","enc":"A256GCM","typ":"JWT","iss":"https://op.example","kid":"unknown","jku":"https://evil.example","x5u":5}`,
		` {"enc" : "A256GCM", "alg":"dir"} `,
		`{"alg":"dir","enc":"A256GCM","kid":"` + long[1:] + `"}`,
		`{"alg":"dir","enc":"A256GCM","kid":"ü"}`,
		`{"alg":"dir","enc":"A256GCM","a":"` + strings.Repeat("a", (2<<10)-37) + `"}`,
	} {
		accepted(t, direct(header, inner), directKeys(), header)
	}
	for header, reason := range map[string]jwt.Reason{
		``:                                 jwt.Header,
		`null`:                             jwt.Header,
		`[]`:                               jwt.Header,
		`{}`:                               jwt.Algorithm,
		`{"alg":"dir"}`:                    jwt.Algorithm,
		`{"enc":"A256GCM"}`:                jwt.Algorithm,
		`{"alg":null,"enc":"A256GCM"}`:     jwt.Header,
		`{"alg":["dir"],"enc":"A256GCM"}`:  jwt.Header,
		`{"alg":"","enc":"A256GCM"}`:       jwt.Header,
		`{"alg":"dir","enc":5}`:            jwt.Header,
		`{"alg":"dir","enc":""}`:           jwt.Header,
		`{"alg":"dir","enc":"A256GCM"} {}`: jwt.Header,
		`{"alg":"dir","enc":"A256GCM","alg":"dir"}`:                                                                      jwt.Header,
		`{"alg":"dir","enc":"A256GCM","x":{"a":1,"a":1}}`:                                                                jwt.Header,
		`{"alg":"dir","enc":"A256GCM","ENC":"A128GCM"}`:                                                                  jwt.Header,
		`{"alg":"dir","enc":"A256GCM","Zip":"DEF"}`:                                                                      jwt.Header,
		`{"alg":"dir","enc":"A256GCM","\u212aid":"a"}`:                                                                   jwt.Header,
		`{"alg":"dir","enc":"A256GCM","crit":["exp"],"exp":1}`:                                                           jwt.Header,
		`{"alg":"dir","enc":"A256GCM","crit":[]}`:                                                                        jwt.Header,
		`{"alg":"dir","enc":"A256GCM","b64":true}`:                                                                       jwt.Header,
		`{"alg":"dir","enc":"A256GCM","jwk":` + string(must(json.Marshal(jose.JSONWebKey{Key: &ec256.PublicKey}))) + `}`: jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":5}`:                                                                          jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":""}`:                                                                         jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":"` + long + `"}`:                                                             jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":"a\nb"}`:                                                                     jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":"\u007f"}`:                                                                   jwt.Header,
		`{"alg":"dir","enc":"A256GCM","kid":"\ud800"}`:                                                                   jwt.Header,
		`{"alg":"dir","enc":"A256GCM","x5c":["no certificate"]}`:                                                         jwt.Header, // go-jose's
		`{"alg":"dir","enc":"A256GCM","a":"` + strings.Repeat("a", 2<<10) + `"}`:                                         jwt.TooLarge,
	} {
		refused(t, direct(header, inner), directKeys(), reason, header)
	}
}

func TestKeysAreChosenByKid(t *testing.T) {
	t.Parallel()
	named := func(k *ecdsa.PrivateKey, kid string) jwe.Key { return must(jwe.NewKey(k, kid, "")) }
	raw := func(kid string) string { return encrypt(t, "ECDH-ES", "A256GCM", kid, &ec256.PublicKey) }
	a, b := named(ec256, "a"), named(other256, "b")
	accepted(t, raw("a"), []jwe.Key{b, a})
	accepted(t, raw(""), []jwe.Key{b, a}, "no kid: each is tried")
	accepted(t, raw("a"), []jwe.Key{named(other256, "a"), a}, "two of the same kid")
	accepted(t, raw("x"), []jwe.Key{named(ec256, "")}, "the only key, without kid")
	accepted(t, raw("x"), []jwe.Key{named(ec256, ""), key(ec384), key(rsaKeys()[0])}, "the only one that fits")
	refused(t, raw("b"), []jwe.Key{b, a}, jwt.Decryption, "the kid decides")
	refused(t, raw("x"), []jwe.Key{b, a}, jwt.KeyMisfit)
	refused(t, raw("x"), []jwe.Key{a}, jwt.KeyMisfit, "it has another name")
	refused(t, raw("x"), []jwe.Key{named(ec256, ""), b}, jwt.KeyMisfit, "not the only one")
	refused(t, raw("A"), []jwe.Key{a}, jwt.KeyMisfit)
	rsaNamed := must(jwe.NewKey(rsaKeys()[0], "a", ""))
	refused(t, raw("a"), []jwe.Key{rsaNamed, b}, jwt.KeyMisfit, "the kid of a key of another type")
}

func TestE05_AtMostTwoKeysAreTried(t *testing.T) {
	t.Parallel()
	raw := encrypt(t, "ECDH-ES", "A256GCM", "", &ec256.PublicKey)
	others := []jwe.Key{key(other256)}
	accepted(t, raw, append(slices.Clone(others), key(ec256)))
	refused(t, raw, append(slices.Clone(others), key(other256), key(ec256)), jwt.Decryption)
}

// spellings are other ways to write a token that lenient readers take for it.
func spellings(raw string) map[string]string {
	out := map[string]string{
		"space before": " " + raw, "space behind": raw + " ", "line behind": raw + "\n", "BOM": "\ufeff" + raw, "Bearer": "Bearer " + raw,
	}
	for i, part := range parts(raw) {
		for name, s := range map[string]string{
			"padding": part + "=", "line break": part + "\n", "line break inside": "\r" + part, "tab": part + "\t", "escape": part + "%2E", "plus": part + "+",
			"one letter more": part + "A", "four letters more": part + "AAAA",
		} {
			out[fmt.Sprintf("%s %d", name, i)] = with(raw, i, s)
		}
		if n := len(part); n%4 != 0 { // bits stand behind the last byte
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, part[n-1])
			out[fmt.Sprintf("trailing bits %d", i)] = with(raw, i, part[:n-1]+alphabet[last+1:last+2])
		}
	}
	return out
}

func TestJ21_OneTokenOneSpelling(t *testing.T) {
	t.Parallel()
	for raw, all := range map[string][]jwe.Key{
		direct(directHeader, inner):                                         directKeys(),
		encrypt(t, "ECDH-ES+A256KW", "A192CBC-HS384", "", &ec521.PublicKey): keys(ec521),
		encrypt(t, "RSA-OAEP", "A128GCM", "", &rsaKeys()[0].PublicKey):      keys(rsaKeys()[0]),
	} {
		accepted(t, raw, all)
		for name, other := range spellings(raw) {
			got, err := jwe.Decrypt(other, all)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
			require.Empty(t, got, name)
		}
	}
}

// A whole class of attacks at once: no token that differs in one bit, or lacks
// one byte, or has one more, is accepted.
func TestJ21_EveryChangedTokenIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		alg, enc        string
		private, public any
	}{
		{"ECDH-ES", "A128GCM", ec256, &ec256.PublicKey},
		{"ECDH-ES+A128KW", "A128CBC-HS256", ec256, &ec256.PublicKey},
		{"RSA-OAEP-256", "A256GCM", rsaKeys()[0], &rsaKeys()[0].PublicKey},
	} {
		t.Run(tt.alg, func(t *testing.T) {
			t.Parallel()
			raw, all := encrypt(t, tt.alg, tt.enc, "", tt.public), keys(tt.private)
			accepted(t, raw, all)
			for i := range len(raw) {
				bits := []byte{1, 2, 4, 8, 16, 32, 64, 128}
				if tt.private == any(rsaKeys()[0]) {
					bits = bits[i%6 : i%6+1] // RSA takes its time
				}
				for _, bit := range bits {
					changed := []byte(raw)
					changed[i] ^= bit
					_, err := jwe.Decrypt(string(changed), all)
					require.ErrorIs(t, err, oidckit.ErrInvalidToken, "byte %d, bit %d", i, bit)
				}
				_, err := jwe.Decrypt(raw[:i]+raw[i+1:], all)
				require.ErrorIs(t, err, oidckit.ErrInvalidToken, "without byte %d", i)
			}
		})
	}
}

func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		`{"alg":"MARKER","enc":"A256GCM"}`, `{"alg":"dir","enc":"MARKER"}`, `{"alg":"dir","enc":"A256GCM","cty":"MARKER"}`,
		`{"alg":"dir","enc":"A256GCM","x5c":["MARKER"]}`, `{"alg":"dir","enc":"A256GCM","nonce":["MARKER"]}`, `{"alg":"dir","enc":"A256GCM","epk":"MARKER"}`,
		`{"MARKER":1,"MARKER":2}`,
	} {
		_, err := jwe.Decrypt(direct(header, inner), directKeys())
		require.Error(t, err, header)
		require.NotContains(t, err.Error(), "MARKER")
	}
}

// FuzzDecryptAcceptsOneSpelling: what is accepted is the one text that its parts
// are encoded to, and go-jose reads the same in it. The key is a shared secret, so
// that the corpus stays good from one process to the next.
func FuzzDecryptAcceptsOneSpelling(f *testing.F) {
	private := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), secret))
	all := append(directKeys(), keys(private)...)
	seeds := []string{direct(directHeader, inner), direct(`{"alg":"dir","enc":"A256GCM","cty":"JWT","kid":"a"}`, inner), inner, "....", ""}
	for _, alg := range ecAlgs {
		seeds = append(seeds, encrypt(f, alg, "A128CBC-HS256", "", &private.PublicKey))
	}
	for _, raw := range spellings(seeds[0]) {
		seeds = append(seeds, raw)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := jwe.Decrypt(raw, all)
		if err != nil {
			require.ErrorIs(t, err, oidckit.ErrInvalidToken)
			require.Empty(t, got)
			return
		}
		again := mapped(parts(raw), func(part string) string { return b64(unb64(part)) })
		require.Equal(t, raw, strings.Join(again, "."))
		algs := mapped(append([]string{"dir"}, ecAlgs...), func(alg string) jose.KeyAlgorithm { return jose.KeyAlgorithm(alg) })
		parsed, err := jose.ParseEncryptedCompact(raw, algs, []jose.ContentEncryption{jose.A256GCM, jose.A128CBC_HS256})
		require.NoError(t, err)
		var k any = private
		if parsed.Header.Algorithm == "dir" {
			k = secret
		}
		require.Equal(t, got, string(must(parsed.Decrypt(k))))
		require.True(t, jwe.IsEncrypted(raw))
		require.Equal(t, 2, strings.Count(got, "."))
	})
}
