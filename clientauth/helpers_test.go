package clientauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/jwt"
)

const (
	clientID      = "client"
	issuer        = "https://op.example"
	tokenEndpoint = "https://op.example/token"
)

var provider = clientauth.Provider{Issuer: issuer, TokenEndpoint: tokenEndpoint}

// newRequest is one to the token endpoint.
func newRequest() *clientauth.Request {
	return &clientauth.Request{ClientID: clientID, Endpoint: tokenEndpoint, Provider: provider, Header: http.Header{}, Form: url.Values{}}
}

func authenticate(t testing.TB, m clientauth.Method) *clientauth.Request {
	t.Helper()
	r := newRequest()
	require.NoError(t, m.Authenticate(t.Context(), r))
	return r
}

func refuse(t testing.TB, m clientauth.Method, r *clientauth.Request, want clientauth.Reason) {
	t.Helper()
	requireReason(t, m.Authenticate(t.Context(), r), want)
	require.Empty(t, r.Form["client_assertion"])
	require.Empty(t, r.Form["client_secret"])
	require.Empty(t, r.Header["Authorization"])
}

func requireReason(t testing.TB, err error, want clientauth.Reason) {
	t.Helper()
	var e *clientauth.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, e.Error())
}

// forCall asks as package oidc does.
func forCall(t testing.TB, m clientauth.Method) clientauth.Method {
	t.Helper()
	if c, ok := m.(clientauth.Chooser); ok {
		chosen, err := c.For(provider)
		require.NoError(t, err)
		return chosen
	}
	return m
}

func renew(t testing.TB, m clientauth.Method) (changed bool, err error) {
	t.Helper()
	return m.(clientauth.Renewer).Renew(t.Context())
}

// onlySigns hides all of a key but what a crypto.Signer must have, as a KMS does.
type onlySigns struct{ key crypto.Signer }

func (k onlySigns) Public() crypto.PublicKey { return k.key.Public() }

func (k onlySigns) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return k.key.Sign(r, digest, o)
}

// signer is a Signer as jwks.SigningKey is one.
type signer struct {
	*jwt.Signer
	kid string
	mu  sync.Mutex
	typ []string // that it was asked for
}

func (s *signer) SignJWT(_ context.Context, typ string, payload []byte) (string, error) {
	s.mu.Lock()
	s.typ = append(s.typ, typ)
	s.mu.Unlock()
	header := map[string]string{"alg": s.Algorithm(), "kid": s.kid}
	if typ != "" {
		header["typ"] = typ
	}
	text, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	return s.Sign(text, payload)
}

// signerFunc is a Signer that does as it is told.
type signerFunc func(ctx context.Context, typ string, payload []byte) (string, error)

func (f signerFunc) SignJWT(ctx context.Context, typ string, payload []byte) (string, error) {
	return f(ctx, typ, payload)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

var keys = map[string]func() crypto.Signer{
	"R": func() crypto.Signer { return rsaKey() },
	"P": func() crypto.Signer { return rsaKey() },
	"E": sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }),
	"3": sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) }),
	"5": sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) }),
	"D": sync.OnceValue(func() crypto.Signer { _, key, err := ed25519.GenerateKey(rand.Reader); return must(key, err) }),
}

// keyFor has one key for each kind of algorithm.
func keyFor(alg string) crypto.Signer {
	switch alg {
	case "ES384":
		return keys["3"]()
	case "ES512":
		return keys["5"]()
	case "EdDSA":
		return keys["D"]()
	}
	return keys[alg[:1]]()
}

func newSigner(alg string) *signer {
	return &signer{Signer: must(jwt.NewSigner(alg, onlySigns{keyFor(alg)})), kid: "k1"}
}

// assertionOf verifies the assertion of a request with go-jose, and returns what it says.
func assertionOf(t testing.TB, r *clientauth.Request, alg string, key any) (header jose.Header, claims map[string]any) {
	t.Helper()
	require.Empty(t, r.Header, "nothing in the header")
	require.Equal(t, clientID, r.Form.Get("client_id"))
	require.Equal(t, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", r.Form.Get("client_assertion_type"))
	require.Len(t, r.Form["client_assertion"], 1)
	return verify(t, r.Form.Get("client_assertion"), alg, key)
}

func verify(t testing.TB, assertion, alg string, key any) (header jose.Header, claims map[string]any) {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	require.NoError(t, err)
	payload, err := parsed.Verify(key)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(payload, &claims))
	return parsed.Signatures[0].Protected, claims
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// newFile returns the path of a new file.
func newFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, text)
	return path
}

// newCertificate returns a certificate that signs itself, and both parts in PEM.
func newCertificate(t testing.TB, name string) (certificate tls.Certificate, certPEM, keyPEM string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	certPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
	return must(tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))), certPEM, keyPEM
}

// compact joins what need not be signed to be parsed.
func compact(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	text, err := newSigner("ES256").SignJWT(t.Context(), "", payload)
	require.NoError(t, err)
	return text
}

func longSecret() clientauth.Secret { return clientauth.Secret(strings.Repeat("s", 64)) }
