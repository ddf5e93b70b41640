package exchange_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
)

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	return serve(h, httptest.NewRequest(http.MethodGet, target, nil))
}

func TestT17_IssuersThatAreNotOneText(t *testing.T) {
	t.Parallel()
	keys := must(exchange.NewKeys(exchange.KeysConfig{Source: ourKeys}))
	for _, issuer := range []string{
		"", "tokens.example", "http://tokens.example", "https://tokens.example/", "https://tokens.example/a/", "https://tokens.example/a/../b", "https://tokens.example/a/./b",
		"https://tokens.example//a", "https://tokens.example/a%2e", "https://tokens.example?a", "https://tokens.example#a", "https://u@tokens.example", "https://TOKENS.example",
		"https://tokens.example/" + strings.Repeat("a", 250), "ftp://tokens.example", "https://", "https://tokens.example/%2F",
	} {
		_, err := exchange.NewIssuer(exchange.IssuerConfig{Issuer: issuer, Keys: keys})
		require.ErrorContains(t, err, "IssuerConfig.Issuer", issuer)
	}
	for _, issuer := range []string{"https://tokens.example", "https://tokens.example:8443/a/b", "http://127.0.0.1:8080", "http://localhost"} {
		i, err := exchange.NewIssuer(exchange.IssuerConfig{Issuer: issuer, Keys: keys})
		require.NoError(t, err)
		require.Equal(t, issuer, i.Issuer())
		require.Same(t, keys, i.Keys())
	}
	_, err := exchange.NewIssuer(exchange.IssuerConfig{Issuer: "http://tokens.example", Keys: keys, InsecureHTTP: true})
	require.NoError(t, err)
	_, err = exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: keys, TokenEndpoint: "x"})
	require.ErrorContains(t, err, "TokenEndpoint")
	_, err = exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer})
	require.ErrorContains(t, err, "Keys")
}

func TestT22_MetadataAndKeysAreCachedAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.issuer.Handler()
	metadata, keys := get(h, ourIssuer+"/.well-known/openid-configuration"), get(h, ourIssuer+"/.well-known/jwks.json")
	require.Equal(t, http.StatusOK, metadata.Code)
	require.Equal(t, "public, max-age=300", metadata.Header().Get("Cache-Control"))
	require.Equal(t, metadata.Header().Get("Cache-Control"), keys.Header().Get("Cache-Control"))
	require.NotEmpty(t, metadata.Header().Get("ETag"))
	require.Equal(t, "application/jwk-set+json", keys.Header().Get("Content-Type"))
	var m map[string]any
	require.NoError(t, json.Unmarshal(metadata.Body.Bytes(), &m))
	require.Equal(t, map[string]any{
		"issuer": ourIssuer, "jwks_uri": ourIssuer + "/.well-known/jwks.json", "token_endpoint": ourIssuer + "/token",
		"id_token_signing_alg_values_supported": []any{"ES256", "EdDSA"}, "response_types_supported": []any{"id_token"}, "subject_types_supported": []any{"public"},
		"grant_types_supported":                 []any{"urn:ietf:params:oauth:grant-type:token-exchange"},
		"token_endpoint_auth_methods_supported": []any{"none"}, "claims_supported": []any{"iss", "aud", "sub", "exp", "iat", "nbf", "jti"},
	}, m)
	require.Equal(t, http.StatusMethodNotAllowed, serve(h, httptest.NewRequest(http.MethodPost, ourIssuer+"/.well-known/jwks.json", nil)).Code)
	require.Equal(t, http.StatusNotFound, get(h, ourIssuer+"/").Code)
}

func TestIssuer_Path(t *testing.T) {
	t.Parallel()
	keys := must(exchange.NewKeys(exchange.KeysConfig{Source: ourKeys}))
	h := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer + "/a/b", Keys: keys})).Handler()
	for _, path := range []string{"/a/b/.well-known/jwks.json", "/.well-known/jwks.json", "/a/b/.well-known/openid-configuration", "/.well-known/openid-configuration"} {
		w := get(h, ourIssuer+path)
		require.Equal(t, http.StatusOK, w.Code)
		require.NotContains(t, w.Body.String(), "token_endpoint")
	}
}

func TestIssuer_WithoutKeys(t *testing.T) {
	t.Parallel()
	k := newKeyring(t, newKey("ES256", "k"))
	i := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: k.Keys}))
	require.NoError(t, i.Ready(t.Context()))
	k.err = &oidckit.UnavailableError{What: "database", Err: errors.New("down")}
	require.ErrorIs(t, i.Ready(t.Context()), oidckit.ErrUnavailable)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		w := get(i.Handler(), ourIssuer+path)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
	_, err := i.Mint(t.Context(), exchange.Token{Audience: []string{"a"}})
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
}

func TestMint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, err := r.issuer.Mint(t.Context(), exchange.Token{
		Audience: []string{"a", "b"}, Subject: `"quoted"`, Expiry: r.Now().Add(90 * time.Second), Claims: map[string]any{"n": 1, "é": "<&>"},
		Algorithm: "EdDSA", Type: exchange.TypeAccessToken,
	})
	require.NoError(t, err)
	now := float64(r.Now().Unix())
	require.Equal(t, map[string]any{
		"iss": ourIssuer, "aud": []any{"a", "b"}, "sub": `"quoted"`, "exp": now + 90, "iat": now, "nbf": now, "jti": m.ID, "n": 1.0, "é": "<&>",
	}, r.claimsOf(t, m.Compact))
	require.Equal(t, "EdDSA", m.Algorithm)
	other := must(r.issuer.Mint(t.Context(), exchange.Token{Audience: []string{"a"}, Expiry: r.Now().Add(48 * time.Hour)}))
	require.NotEqual(t, m.ID, other.ID)
	require.Equal(t, r.Now().Add(exchange.DefaultLifetime), other.Expiry, "the limit")
	require.NotContains(t, r.claimsOf(t, other.Compact), "sub")
	require.NotContains(t, must(json.Marshal(m)), m.Compact)
	require.NotContains(t, fmt.Sprintf("%+v %#v", m, exchange.Token{Subject: "secret"}), "secret")

	// An API of ours takes it.
	provider := must(oidc.NewProvider(oidc.Config{Metadata: ptr(must(r.issuer.Metadata(t.Context()))), Keys: r.keys, Now: r.Now}))
	v := must(oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{"api"}}))
	at := must(r.issuer.Mint(t.Context(), exchange.Token{
		Audience: []string{"api"}, Subject: "s", Claims: map[string]any{"client_id": "c"}, Type: exchange.TypeAccessToken,
	}))
	token, err := v.Verify(t.Context(), at.Compact)
	require.NoError(t, err)
	require.Equal(t, "s", token.Subject)
}

func ptr[T any](v T) *T { return &v }

func TestMint_Refuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := exchange.Token{Audience: []string{"a"}}
	for name, change := range map[string]func(*exchange.Token){
		"no audience":    func(t *exchange.Token) { t.Audience = nil },
		"empty audience": func(t *exchange.Token) { t.Audience = []string{"a", ""} },
		"no JSON":        func(t *exchange.Token) { t.Claims = map[string]any{"x": func() {}} },
		"a bad typ":      func(t *exchange.Token) { t.Type = `x"y` },
		"iss":            func(t *exchange.Token) { t.Claims = map[string]any{"iss": "x"} },
		"two cases":      func(t *exchange.Token) { t.Claims = map[string]any{"role": "x", "Role": "y"} },
		"Sub":            func(t *exchange.Token) { t.Claims = map[string]any{"Sub": "x"} },
	} {
		token := good
		change(&token)
		_, err := r.issuer.Mint(t.Context(), token)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	for reason, token := range map[exchange.Reason]exchange.Token{
		exchange.ReasonExpired:   {Audience: []string{"a"}, Expiry: r.Now()},
		exchange.ReasonClaims:    {Audience: []string{"a"}, Claims: map[string]any{"x": strings.Repeat("x", 4096)}},
		exchange.ReasonAlgorithm: {Audience: []string{"a"}, Algorithm: "RS256"},
	} {
		_, err := r.issuer.Mint(t.Context(), token)
		require.Equal(t, reason, reasonOf(t, err))
	}
	_, err := r.issuer.Mint(t.Context(), exchange.Token{Audience: []string{"a"}, Subject: strings.Repeat("x", 4096)})
	require.Equal(t, exchange.ReasonClaims, reasonOf(t, err))
	_, err = (&exchange.Issuer{}).Mint(t.Context(), good)
	require.Error(t, err)
	_, err = (*exchange.Issuer)(nil).Mint(t.Context(), good)
	require.Error(t, err)
}

// A key in a KMS that does not answer is an outage.
func TestT23_ASignerThatFails(t *testing.T) {
	t.Parallel()
	broken := must(jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: publicOnly{ourKeys[0].Public()}, KeyID: "kms"}))
	keys := must(exchange.NewKeys(exchange.KeysConfig{Source: exchange.StaticKeys{broken}}))
	i := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: keys}))
	_, err := i.Mint(t.Context(), exchange.Token{Audience: []string{"a"}})
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.ErrorIs(t, err, errSigner)
}
