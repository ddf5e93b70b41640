package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
)

func getMetadata(t *testing.T, p *middleware.ProtectedResource, method string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(p.Path(), p)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, p.MetadataURL(), http.NoBody))
	return w
}

// RFC 9728 section 3.1.
func TestProtectedResource_WellKnownPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ resource, path, url string }{
		{"https://api.example.com", "/.well-known/oauth-protected-resource", "https://api.example.com/.well-known/oauth-protected-resource"},
		{"https://api.example.com/", "/.well-known/oauth-protected-resource", "https://api.example.com/.well-known/oauth-protected-resource"},
		{"https://api.example.com/resource1", "/.well-known/oauth-protected-resource/resource1", "https://api.example.com/.well-known/oauth-protected-resource/resource1"},
		{"https://api.example.com:8443/a/b", "/.well-known/oauth-protected-resource/a/b", "https://api.example.com:8443/.well-known/oauth-protected-resource/a/b"},
		{"https://api.example.com/a/", "/.well-known/oauth-protected-resource/a/", "https://api.example.com/.well-known/oauth-protected-resource/a/"},
		{"https://api.example.com/a%2Fb", "/.well-known/oauth-protected-resource/a%2Fb", "https://api.example.com/.well-known/oauth-protected-resource/a%2Fb"},
		{"http://127.0.0.1:8080/mcp", "/.well-known/oauth-protected-resource/mcp", "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp"},
	} {
		p := newResource(t, func(c *middleware.ProtectedResourceConfig) { c.Resource = tt.resource })
		require.Equal(t, tt.path, p.Path())
		require.Equal(t, tt.url, p.MetadataURL())
		require.Equal(t, tt.resource, p.Resource())
		w := getMetadata(t, p, http.MethodGet)
		require.Equal(t, 200, w.Code, tt.resource)
		var m map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m))
		require.Equal(t, tt.resource, m["resource"], "byte for byte")
	}
}

func TestProtectedResource_Document(t *testing.T) {
	t.Parallel()
	p := newResource(t, nil)
	require.Equal(t, `200 OK
Access-Control-Allow-Origin: *
Cache-Control: max-age=3600
Content-Type: application/json

{"authorization_servers":["https://id.example.com"],"bearer_methods_supported":["header"],"resource":"https://api.example.com/mcp","scopes_supported":["reports:read","https://example.com/scope/write"]}`,
		onTheWire(getMetadata(t, p, http.MethodGet)))
	require.Equal(t, `204 No Content
Access-Control-Allow-Headers: *
Access-Control-Allow-Methods: GET, HEAD
Access-Control-Allow-Origin: *

`, onTheWire(getMetadata(t, p, http.MethodOptions)))
	require.Equal(t, `405 Method Not Allowed
Access-Control-Allow-Origin: *
Allow: GET, HEAD, OPTIONS
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

Method Not Allowed
`, onTheWire(getMetadata(t, p, http.MethodPost)))

	all := newResource(t, func(c *middleware.ProtectedResourceConfig) {
		*c = middleware.ProtectedResourceConfig{
			Resource: c.Resource, AuthorizationServers: []string{"https://a.example", "https://b.example"},
			Scopes: []string{"s"}, BearerMethods: []string{"header", "body"}, JWKSURI: "https://api.example.com/jwks",
			SigningAlgorithms: []string{"ES256"}, Name: "Reports", Documentation: "https://example.com/doc",
			Policy: "https://example.com/policy", TermsOfService: "https://example.com/tos", CertificateBoundTokens: true,
			DPoPAlgorithms: []string{"ES256"}, RequireDPoP: true, AuthorizationDetailsTypes: []string{"payment"},
			More: map[string]any{"resource_name#fr": "Rapports"},
		}
	})
	require.JSONEq(t, `{
		"resource": "https://api.example.com/mcp", "authorization_servers": ["https://a.example", "https://b.example"],
		"jwks_uri": "https://api.example.com/jwks", "scopes_supported": ["s"], "bearer_methods_supported": ["header", "body"],
		"resource_signing_alg_values_supported": ["ES256"], "resource_name": "Reports", "resource_name#fr": "Rapports",
		"resource_documentation": "https://example.com/doc", "resource_policy_uri": "https://example.com/policy",
		"resource_tos_uri": "https://example.com/tos", "tls_client_certificate_bound_access_tokens": true,
		"authorization_details_types_supported": ["payment"], "dpop_signing_alg_values_supported": ["ES256"],
		"dpop_bound_access_tokens_required": true
	}`, getMetadata(t, all, http.MethodGet).Body.String())
}

func TestNewProtectedResource_Refuses(t *testing.T) {
	t.Parallel()
	for field, changes := range map[string][]func(*middleware.ProtectedResourceConfig){
		"Resource": {
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "api" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "http://api.example.com" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "https://api.example.com/#" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "https://api.example.com/?" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "https://a@api.example.com/" },
			func(c *middleware.ProtectedResourceConfig) { c.Resource = "urn:api" },
		},
		"AuthorizationServers": {
			func(c *middleware.ProtectedResourceConfig) { c.AuthorizationServers = nil },
			func(c *middleware.ProtectedResourceConfig) { c.AuthorizationServers = []string{"id.example.com"} },
		},
		"Audience": {func(c *middleware.ProtectedResourceConfig) { c.Audience = []string{""} }},
		"Scopes": {
			func(c *middleware.ProtectedResourceConfig) { c.Scopes = []string{"a b"} },
			func(c *middleware.ProtectedResourceConfig) { c.Scopes = []string{""} },
			func(c *middleware.ProtectedResourceConfig) { c.Scopes = []string{`a"`} },
			func(c *middleware.ProtectedResourceConfig) { c.Scopes = []string{"é"} },
		},
		"BearerMethods":  {func(c *middleware.ProtectedResourceConfig) { c.BearerMethods = []string{"cookie"} }},
		"JWKSURI":        {func(c *middleware.ProtectedResourceConfig) { c.JWKSURI = "http://api.example.com/jwks" }},
		"Documentation":  {func(c *middleware.ProtectedResourceConfig) { c.Documentation = "doc" }},
		"Policy":         {func(c *middleware.ProtectedResourceConfig) { c.Policy = "javascript:x" }},
		"TermsOfService": {func(c *middleware.ProtectedResourceConfig) { c.TermsOfService = "tos" }},
		"More": {
			func(c *middleware.ProtectedResourceConfig) {
				c.More = map[string]any{"resource": "https://evil.example"}
			},
			func(c *middleware.ProtectedResourceConfig) { c.More = map[string]any{"signed_metadata": "x"} },
			func(c *middleware.ProtectedResourceConfig) { c.More = map[string]any{"jwks_uri": "x"} },
			func(c *middleware.ProtectedResourceConfig) { c.More = map[string]any{"x": func() {}} },
		},
	} {
		for i, change := range changes {
			cfg := middleware.ProtectedResourceConfig{Resource: resourceURL, AuthorizationServers: []string{"https://id.example.com"}}
			change(&cfg)
			_, err := middleware.NewProtectedResource(cfg)
			require.ErrorContains(t, err, "ProtectedResourceConfig."+field, "%s %d", field, i)
		}
	}
}

// A countingSigner makes signatures that can be counted, and fails if it is told to.
type countingSigner struct {
	key   *jwks.SigningKey
	calls int
	err   error
}

func (s *countingSigner) SignJWT(ctx context.Context, typ string, payload []byte) (string, error) {
	s.calls++
	if s.err != nil {
		return "", s.err
	}
	return s.key.SignJWT(ctx, typ, payload)
}

func TestProtectedResource_SignedMetadata(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: private})
	require.NoError(t, err)
	signer, now := &countingSigner{key: key, err: errors.New("secret of the KMS")}, time.Unix(1_800_000_000, 0)
	p := newResource(t, func(c *middleware.ProtectedResourceConfig) {
		c.Signer, c.Now = signer, func() time.Time { return now }
	})
	require.Zero(t, signer.calls, "constructors do no I/O")

	w := getMetadata(t, p, http.MethodGet)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.NotContains(t, onTheWire(w), "secret")

	signer.err = nil
	var document map[string]any
	require.NoError(t, json.Unmarshal(getMetadata(t, p, http.MethodGet).Body.Bytes(), &document))
	text, ok := document["signed_metadata"].(string)
	require.True(t, ok)
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	payload, err := jws.Verify(private.Public())
	require.NoError(t, err)
	delete(document, "signed_metadata")
	document["iss"], document["iat"] = resourceURL, 1_800_000_000
	want, err := json.Marshal(document)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(payload))

	require.Equal(t, 2, signer.calls)
	now = now.Add(59 * time.Minute)
	require.Equal(t, 200, getMetadata(t, p, http.MethodGet).Code)
	require.Equal(t, 2, signer.calls)
	now = now.Add(time.Minute)
	require.Equal(t, 200, getMetadata(t, p, http.MethodHead).Code)
	require.Equal(t, 3, signer.calls, "keys change")
}

// A hanging signer makes nobody wait for longer than they want to.
func TestProtectedResource_SignerHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newResource(t, func(c *middleware.ProtectedResourceConfig) { c.Signer = hangingSigner{} })
		for _, wait := range []time.Duration{time.Hour, time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			go func() {
				w := httptest.NewRecorder()
				p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, p.MetadataURL(), http.NoBody))
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				require.Error(t, ctx.Err(), "it waited no longer than it wanted")
			}()
			synctest.Wait()
		}
		began := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, time.Second, time.Since(began))
	})
}

type hangingSigner struct{}

func (hangingSigner) SignJWT(ctx context.Context, _ string, _ []byte) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// A resource that was not made serves nothing, and no token is for it.
func TestM10_ZeroProtectedResource(t *testing.T) {
	t.Parallel()
	for _, p := range []*middleware.ProtectedResource{{}, nil} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/oauth-protected-resource", http.NoBody))
		require.Equal(t, http.StatusNotFound, w.Code)
	}
	b := &middleware.Bearer{Verifier: onlyGood{}, Resource: &middleware.ProtectedResource{}}
	require.Equal(t, 401, ask(t, b.Handler(reached), request(t.Context(), "Bearer good")).Status)
}

// The origin of the resource is what clients see, if nothing else is configured.
func TestPublicURLOfTheResource(t *testing.T) {
	t.Parallel()
	var seen []middleware.ProofRequest
	b := &middleware.Bearer{Verifier: fakeVerifier{token: tokenFor(resourceURL)}, Resource: newResource(t, nil), Proof: proofs{seen: &seen}}
	require.Equal(t, 200, ask(t, b.Handler(reached), request(t.Context(), "Bearer x")).Status)
	b.Resource = nil
	require.Equal(t, 200, ask(t, b.Handler(reached), request(t.Context(), "Bearer x")).Status)
	require.Equal(t, "https://api.example.com/reports", seen[0].URL)
	require.Empty(t, seen[1].URL)
}
