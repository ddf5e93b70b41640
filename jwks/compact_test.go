package jwks_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"hash"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
)

func hmacOf(alg string, secret, message []byte) []byte {
	h := hmac.New(map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg], secret)
	h.Write(message)
	return h.Sum(nil)
}

// spellings of a public key, as an attacker may think that somebody keeps it.
func spellings(t *testing.T, k *rsa.PublicKey) map[string][]byte {
	t.Helper()
	pkix := must(x509.MarshalPKIXPublicKey(k))
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	return map[string][]byte{
		"PEM": text, "PEM without newline": []byte(strings.TrimSpace(string(text))), "DER": pkix,
		"PKCS#1":     pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(k)}),
		"PKCS#1 DER": x509.MarshalPKCS1PublicKey(k), "JWK": []byte(jwk(k, nil)), "n": k.N.Bytes(), "n in base64url": []byte(b64(k.N.Bytes())),
	}
}

const octSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func oct(more string) string { return `{"kty":"oct","k":"` + b64([]byte(octSecret)) + `"` + more + `}` }

func TestVerifyCompact(t *testing.T) {
	t.Parallel()
	secret := []byte(octSecret)
	for name, tt := range map[string]struct{ document, compact, algorithm string }{
		"one JWK":                {jwkA, signA(t), "ES256"},
		"a set":                  {set(jwkB, jwkA), signA(t), "ES256"},
		"a set with odd members": {set(`{"kty":"AKP"}`, `5`, jwkA), signA(t), "ES256"},
		"no kid in the token":    {jwkA, sign(t, "ES256", "", ec1), "ES256"},
		"no kid in the key":      {jwk(&ec1.PublicKey, nil), signA(t), "ES256"},
		"decoys":                 {set(jwk(&ec2.PublicKey, with{"kid": "a"}), jwkA), signA(t), "ES256"},
		"RSA":                    {jwk(&rsaKeys()[0].PublicKey, with{"alg": "PS384"}), sign(t, "PS384", "x", rsaKeys()[0]), "PS384"},
		"symmetric":              {oct(""), sign(t, "HS256", "", secret), "HS256"},
		"symmetric set":          {set(oct(`,"kid":"b"`), oct(`,"kid":"a","alg":"HS512","use":"sig","key_ops":["sign","verify"]`)), sign(t, "HS512", "a", secret), "HS512"},
	} {
		payload, err := jwks.VerifyCompact([]byte(tt.document), tt.compact, tt.algorithm)
		require.NoError(t, err, name)
		require.Equal(t, `{"sub":"s"}`, string(payload), name)

		// And with one bit of the signature changed.
		last := tt.compact[len(tt.compact)-10]
		forged := tt.compact[:len(tt.compact)-10] + string(last^1) + tt.compact[len(tt.compact)-9:]
		payload, err = jwks.VerifyCompact([]byte(tt.document), forged, tt.algorithm)
		require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
		require.Nil(t, payload, name)
	}
}

// Secrets that stand beside public keys verify nothing; public keys beside which a
// secret stands do.
func TestK02_VerifyCompact_SecretsBesidePublicKeys(t *testing.T) {
	t.Parallel()
	document := []byte(set(oct(`,"kid":"s"`), jwkA))
	payload, err := jwks.VerifyCompact(document, sign(t, "HS256", "s", []byte(octSecret)), "HS256")
	var e *jwks.KeyError
	require.ErrorAs(t, err, &e)
	require.Equal(t, jwks.KeyUnsupported, e.Reason)
	require.Nil(t, payload)
	_, err = jwks.VerifyCompact(document, signA(t), "ES256")
	require.NoError(t, err)
}

func TestVerifyCompact_AnyPayload(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"text", "5", "[]", `{"a":1,"a":2}`, "\x00\xff", `{"iss":5}`, strings.Repeat("x", 4000)} {
		payload, err := jwks.VerifyCompact([]byte(jwkA), signClaims(t, "ES256", "a", ec1, want), "ES256")
		require.NoError(t, err)
		require.Equal(t, want, string(payload))
		if want != `{"iss":5}` {
			_, err = jwks.Verify(t.Context(), parseSet(t, jwkA), []string{"ES256"}, signClaims(t, "ES256", "a", ec1, want))
			requireReason(t, err, jwks.ReasonPayload, "a token has claims")
		}
	}
}

func TestVerifyCompact_RefusesTokens(t *testing.T) {
	t.Parallel()
	x := func([]byte) []byte { return []byte("x") }
	for name, tt := range map[string]struct {
		compact string
		reason  jwks.Reason
	}{
		"empty": {"", jwks.ReasonMalformed}, "two parts": {"a.b", jwks.ReasonMalformed}, "base64": {"a=.b.c", jwks.ReasonMalformed},
		"JWE": {"a.b.c.d.e", jwks.ReasonEncrypted}, "too large": {strings.Repeat("a", 17<<10), jwks.ReasonTooLarge},
		"no JSON": {compact(`x`, `{}`, x), jwks.ReasonHeader}, "crit": {compact(`{"alg":"ES256","crit":["x"]}`, `{}`, x), jwks.ReasonHeader},
		"its own key": {compact(`{"alg":"ES256","jwk":{}}`, `{}`, x), jwks.ReasonHeader},
		"none":        {compact(`{"alg":"none"}`, `{}`, x), jwks.ReasonAlgorithm}, "another alg": {sign(t, "ES384", "a", ec384), jwks.ReasonAlgorithm},
		"HMAC": {sign(t, "HS256", "a", []byte(octSecret)), jwks.ReasonAlgorithm}, "signature": {sign(t, "ES256", "a", ec2), jwks.ReasonSignature},
	} {
		payload, err := jwks.VerifyCompact([]byte(jwkA), tt.compact, "ES256")
		var e *jwks.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, tt.reason, e.Reason, name)
		require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
		require.Nil(t, payload, name)
	}
	for name, tt := range map[string]struct{ document, compact string }{
		"other kid":  {jwkA, sign(t, "ES256", "b", ec1)},
		"other alg":  {jwk(&rsaKeys()[0].PublicKey, with{"alg": "PS256"}), sign(t, "RS256", "", rsaKeys()[0])},
		"other type": {jwkA, sign(t, "RS256", "a", rsaKeys()[0])},
	} {
		_, err := jwks.VerifyCompact([]byte(tt.document), tt.compact, "ES256", "RS256", "PS256")
		requireNotFound(t, err, name)
	}
	_, err := jwks.VerifyCompact([]byte(oct(`,"alg":"HS512"`)), sign(t, "HS256", "", []byte(octSecret)), "HS256", "HS512")
	requireNotFound(t, err)
	_, err = jwks.VerifyCompact([]byte(oct(`,"kid":"a"`)), sign(t, "HS256", "b", []byte(octSecret)), "HS256")
	requireNotFound(t, err)
}

func TestVerifyCompact_RefusesDocuments(t *testing.T) {
	t.Parallel()
	for document, reason := range map[string]jwks.KeyReason{
		"": jwks.KeyMalformed, "null": jwks.KeyMalformed, "[" + jwkA + "]": jwks.KeyMalformed, jwkA + "x": jwks.KeyMalformed,
		jwk(ec1, nil): jwks.KeyPrivate, jwk(&ec1.PublicKey, with{"use": "enc"}): jwks.KeyUse, oct(""): jwks.KeySymmetric, `{}`: jwks.KeyUnsupported,
	} {
		_, err := jwks.VerifyCompact([]byte(document), signA(t), "ES256")
		requireKeyReason(t, err, reason, document)
	}
	hs := sign(t, "HS256", "", []byte(octSecret))
	for document, reason := range map[string]jwks.KeyReason{
		"": jwks.KeyMalformed, jwkA: jwks.KeyUnsupported, jwk(ec1, nil): jwks.KeyUnsupported, `{"kty":5}`: jwks.KeyMalformed,
		oct(`,"use":"enc"`): jwks.KeyUse, oct(`,"key_ops":["sign"]`): jwks.KeyUse, oct(`,"alg":"RS256"`): jwks.KeyUnsupported, oct(`,"alg":"dir"`): jwks.KeyUnsupported,
		oct(`,"kid":5`): jwks.KeyMalformed, oct(`,"alg":5`): jwks.KeyMalformed, `{"kty":"oct"}`: jwks.KeyMalformed, `{"kty":"oct","k":""}`: jwks.KeyMalformed, `{"kty":"oct","k":"AA=="}`: jwks.KeyMalformed,
		`{"kty":"oct","k":"` + b64([]byte(octSecret)) + `\n"}`: jwks.KeyMalformed,
	} {
		_, err := jwks.VerifyCompact([]byte(document), hs, "HS256")
		requireKeyReason(t, err, reason, document)
	}
	for _, algorithm := range []string{"ES256", "HS256"} {
		for _, document := range []string{`{"keys":[]}`, set(`{}`), set(jwk(ec1, nil))} {
			_, err := jwks.VerifyCompact([]byte(document), signA(t), algorithm)
			require.ErrorIs(t, err, jwks.ErrNoUsableKey, document)
		}
		_, err := jwks.VerifyCompact([]byte(`{"keys":{}}`), signA(t), algorithm)
		require.Error(t, err)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	}
}

func TestVerifyCompact_Algorithms(t *testing.T) {
	t.Parallel()
	for _, algorithms := range [][]string{nil, {}, {"none"}, {""}, {"ES256", "HS256"}, {"HS256", "ES256"}, {"ES256", "unknown"}} {
		payload, err := jwks.VerifyCompact([]byte(jwkA), signA(t), algorithms...)
		require.Error(t, err, algorithms)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, algorithms)
		require.Nil(t, payload)
	}
}

// FuzzVerifyCompactAcceptsOnlyWhatASignerMade: under a document of the fuzzer's
// choice, what is accepted verifies in the same way through a Source, and a token of
// somebody else's making never does under a key that is fixed.
func FuzzVerifyCompactAcceptsOnlyWhatASignerMade(f *testing.F) {
	good := sign(f, "ES256", "a", ec1)
	f.Add([]byte(jwkA), good)
	f.Add([]byte(set(jwkB, jwkA)), sign(f, "ES256", "b", ec2))
	f.Add([]byte(jwk(edKey.Public(), nil)), sign(f, "EdDSA", "", edKey))
	f.Add([]byte(oct("")), sign(f, "HS256", "", []byte(octSecret)))
	f.Add([]byte(jwk(&rsaKeys()[0].PublicKey, with{"alg": "RS256"})), sign(f, "RS256", "", rsaKeys()[0]))
	for _, member := range odd() {
		f.Add([]byte(member), good)
	}
	f.Fuzz(func(t *testing.T, document []byte, compact string) {
		payload, err := jwks.VerifyCompact([]byte(jwkC), compact, jwt.Asymmetric...)
		require.Error(t, err, "nothing here was signed with it")
		require.Nil(t, payload)
		payload, err = jwks.VerifyCompact(document, compact, jwt.Asymmetric...)
		if err != nil {
			require.Nil(t, payload)
			return
		}
		var keys jwks.Static
		if s, err := jwks.ParseSet(document); err == nil {
			keys = s.Keys
		} else {
			keys = jwks.Static{must(jwks.ParseKey(document))}
		}
		if _, err := strictjson.Parse(payload); err != nil {
			return // a token has claims
		}
		_, err = jwks.Verify(t.Context(), keys, jwt.Asymmetric, compact)
		var e *jwks.Error
		require.True(t, err == nil || errors.As(err, &e) && e.Reason == jwks.ReasonPayload)
	})
}
