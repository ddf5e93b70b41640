package jwks_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
)

func certificatesOf(t *testing.T) []*x509.Certificate {
	t.Helper()
	return []*x509.Certificate{selfSigned(t, rsaKeys()[0])}
}

// The example of RFC 7638 section 3.1; members that are not of the key, their order and
// their case are without effect.
func TestK16_Thumbprint(t *testing.T) {
	t.Parallel()
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	modulus := new(big.Int).SetBytes(must(jsonBytes(n)))
	got, err := jwks.Thumbprint(&rsa.PublicKey{N: modulus, E: 65537})
	require.NoError(t, err)
	require.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", got)

	for _, key := range []crypto.Signer{ec1, ec384, ec521, edKey} {
		want := must((&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256))
		got, err := jwks.Thumbprint(key.Public())
		require.NoError(t, err)
		require.Equal(t, b64(want), got)
	}
	for _, private := range []any{ec1, edKey, []byte("secret"), nil, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)).Public()} {
		_, err := jwks.Thumbprint(private)
		requireKeyReason(t, err, jwks.KeyUnsupported)
	}
}

// jsonBytes reads base64url by go-jose.
func jsonBytes(s string) ([]byte, error) {
	var k jose.JSONWebKey
	err := json.Unmarshal([]byte(`{"kty":"oct","k":"`+s+`"}`), &k)
	data, _ := k.Key.([]byte)
	return data, err
}

func TestPublicJWK(t *testing.T) {
	t.Parallel()
	certificates := certificatesOf(t)
	for name, tt := range map[string]struct {
		publisher jwks.Publisher
		use, alg  string
		public    any
	}{
		"signs":    {signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "k"}), "sig", "ES256", ec1.Public()},
		"RSA":      {signingKey(t, jwks.SigningKeyConfig{Signer: rsaKeys()[0], KeyID: "k", Algorithm: "PS256", Certificates: certificates}), "sig", "PS256", rsaKeys()[0].Public()},
		"decrypts": {must(jwks.NewDecryptionKey(ec2, "k", "")), "enc", "", ec2.Public()},
		"one alg":  {must(jwks.NewDecryptionKey(rsaKeys()[1], "k", "RSA-OAEP-256")), "enc", "RSA-OAEP-256", rsaKeys()[1].Public()},
	} {
		list, err := tt.publisher.PublicJWKs(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1, name)
		var k jose.JSONWebKey
		require.NoError(t, json.Unmarshal(must(json.Marshal(list[0])), &k), name)
		require.True(t, k.IsPublic(), name)
		require.Equal(t, tt.public, k.Key, name)
		require.Equal(t, []any{tt.use, tt.alg, "k"}, []any{k.Use, k.Algorithm, k.KeyID}, name)
		if name == "RSA" {
			require.True(t, k.Certificates[0].Equal(certificates[0]))
			require.NotEmpty(t, k.CertificateThumbprintSHA256)
		}
	}
	require.Equal(t, "null", string(must(json.Marshal(jwks.PublicJWK{}))))
}

// A publisher of one's own makes no keys: it passes those on that it has.
type publisher struct {
	keys []jwks.PublicJWK
	err  error
}

func (p publisher) PublicJWKs(context.Context) ([]jwks.PublicJWK, error) { return p.keys, p.err }

func TestPublicSet(t *testing.T) {
	t.Parallel()
	a, b := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"}), signingKey(t, jwks.SigningKeyConfig{Signer: edKey, KeyID: "b"})
	text, err := jwks.PublicSet(t.Context(), b, publisher{keys: []jwks.PublicJWK{{}, a.JWK()}})
	require.NoError(t, err)
	require.JSONEq(t, `{"keys":[`+b.JWK().String()+`,`+a.JWK().String()+`]}`, string(text))
	text, err = jwks.PublicSet(t.Context())
	require.NoError(t, err)
	require.Equal(t, `{"keys":[]}`, string(text))
	cause := errors.New("gone")
	_, err = jwks.PublicSet(t.Context(), a, publisher{err: cause})
	require.ErrorIs(t, err, cause)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	a, b := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"}), signingKey(t, jwks.SigningKeyConfig{Signer: edKey, KeyID: "b"})
	keys := must(jwks.NewSigningKeys(a))
	h := jwks.Handler(keys)
	ask := func(method, ifNoneMatch string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/jwks.json", nil)
		r.Header.Set("If-None-Match", ifNoneMatch)
		h.ServeHTTP(w, r)
		return w
	}
	w := ask(http.MethodGet, "")
	etag := w.Header().Get("ETag")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, string(must(jwks.PublicSet(t.Context(), a))), w.Body.String())
	require.Equal(t, "application/jwk-set+json", w.Header().Get("Content-Type"))
	require.Equal(t, "public, max-age=300", w.Header().Get("Cache-Control"))
	require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.NotEmpty(t, etag)

	w = ask(http.MethodHead, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Zero(t, w.Body.Len())
	require.Equal(t, etag, w.Header().Get("ETag"))
	w = ask(http.MethodGet, etag)
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Zero(t, w.Body.Len())

	require.NoError(t, keys.Set(a, b))
	w = ask(http.MethodGet, etag)
	require.Equal(t, http.StatusOK, w.Code, "the keys of the moment")
	require.NotEqual(t, etag, w.Header().Get("ETag"))

	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "X"} {
		w = ask(method, "")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		require.NotContains(t, w.Body.String(), `"keys"`)
	}
}

func TestHandler_PublisherFails(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	jwks.Handler(publisher{err: errors.New("marker")}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("ETag"))
	require.NotContains(t, w.Body.String(), "marker")
}

// What a Remote reads is what a Handler serves.
func TestHandler_IsReadByRemote(t *testing.T) {
	t.Parallel()
	k := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"})
	server := httptest.NewServer(jwks.Handler(k, must(jwks.NewDecryptionKey(ec2, "e", ""))))
	defer server.Close()
	remote, err := jwks.NewRemote(jwks.RemoteConfig{URL: server.URL})
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), remote, []string{"ES256"}, must(k.SignJWT(t.Context(), "", []byte(`{}`))))
	require.NoError(t, err)
	require.Equal(t, map[jwks.KeyReason]int{jwks.KeyUse: 1}, remote.Status().Skipped)
}
