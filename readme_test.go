package oidckit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// The functions of the README, which the examples and tests below run.

func newAPI(issuer string, reports http.Handler) (http.Handler, error) {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer})
	if err != nil {
		return nil, err
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{"https://api.example.com"}})
	if err != nil {
		return nil, err
	}
	bearer := &middleware.Bearer{Verifier: verifier}
	return bearer.Handler(reports, middleware.RequireScopes("reports:read")), nil
}

func newApp(issuer, publicURL string, secret, key clientauth.Secret, app http.Handler) (http.Handler, error) {
	provider, err1 := oidc.NewProvider(oidc.Config{Issuer: issuer})
	client, err2 := oidc.NewClient(provider, oidc.ClientConfig{ClientID: "client", ClientSecret: secret})
	login, err3 := middleware.NewLogin(middleware.LoginConfig{Client: client, PublicURL: publicURL, Keys: []clientauth.Secret{key}})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return login.Handler(login.RequireLogin(app)), nil
}

func newKeyClient(provider *oidc.Provider, mux *http.ServeMux) (*oidc.Client, error) {
	key, err := keystore.Load(keystore.Config{Path: "client.p12", StorePassword: keystore.PasswordFile("client.p12.password"), Alias: "client", KeyID: "2026-01"})
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /jwks.json", jwks.Handler(key))
	return oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: "client", ClientAuth: clientauth.PrivateKeyJWT(key), RedirectURL: "https://app.example.com/callback",
	})
}

func newReportsClient(client *oidc.Client, api string) (*http.Client, error) {
	source := client.ClientCredentialsSource(oidc.WithScopes("reports:read"), oidc.WithResource(api))
	transport, err := client.APITransport(oidc.APITransportConfig{Source: source, Allowed: []string{api}})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport}, nil
}

// whoIsThere answers with whoever the middleware found.
func whoIsThere(w http.ResponseWriter, r *http.Request) {
	if p, ok := middleware.PrincipalFrom(r.Context()); ok {
		fmt.Fprintf(w, "hello %s with %v", p.Subject, p.Scopes)
	}
}

func Example_api() {
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	api, err := newAPI(provider.Issuer(), http.HandlerFunc(whoIsThere))
	if err != nil {
		panic(err)
	}
	for _, scope := range []string{"reports:read", "other"} {
		r := httptest.NewRequest(http.MethodGet, "/reports", nil)
		r.Header.Set("Authorization", "Bearer "+provider.AccessToken("alice", "https://api.example.com", scope))
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()+w.Header().Get("WWW-Authenticate")))
	}
	// Output:
	// 200 hello 248289761001 with [reports:read]
	// 403 Forbidden
	// Bearer error="insufficient_scope", scope="reports:read"
}

func Example_login() {
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	server := httptest.NewUnstartedServer(nil)
	defer server.Close()
	server.Config.Handler, err = newApp(provider.Issuer(), "http://"+server.Listener.Addr().String(),
		oidctest.ClientSecret, "a key that all processes share, of 16 bytes or more", http.HandlerFunc(whoIsThere))
	if err != nil {
		panic(err)
	}
	server.Start()

	// A browser goes to the login, logs in at the provider, and comes back.
	fmt.Println(get(provider.Browser("alice"), server.URL+"/").Status)
	// Output:
	// 200 OK
}

func get(c *http.Client, target string) *http.Response {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		panic(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	return resp
}

// The provider fetches the key where the README puts it.
func TestREADME_KeyClient(t *testing.T) {
	store, err := os.ReadFile("jwks/keystore/testdata/stores/openssl-leaf.p12")
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("client.p12", store, 0o600))
	require.NoError(t, os.WriteFile("client.p12.password", []byte("store-password\n"), 0o600))
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	op := oidctest.Start(t, func(cfg *oidctest.Config) {
		cfg.Clients = []oidctest.Client{{
			ID: "client", AuthMethod: "private_key_jwt", JWKSURI: server.URL + "/jwks.json",
			RedirectURIs: []string{"https://app.example.com/callback"},
		}}
	})
	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	require.NoError(t, err)
	client, err := newKeyClient(provider, mux)
	require.NoError(t, err)
	flow, err := client.Begin(t.Context())
	require.NoError(t, err)
	callback, err := op.Login(t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(t, err)
	_, err = client.Finish(t.Context(), flow, callback.Query())
	require.NoError(t, err)
}

// The API is the README's own, but for its address.
func TestREADME_ReportsClient(t *testing.T) {
	op := oidctest.Start(t)
	server := httptest.NewUnstartedServer(nil)
	api := "http://" + server.Listener.Addr().String()
	server.Config.Handler = op.Protect(oidctest.ResourceConfig{Audience: api, Scopes: []string{"reports:read"}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, oidctest.ResourceClaims(r)["client_id"]) }))
	server.Start()
	defer server.Close()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret})
	require.NoError(t, err)
	reports, err := newReportsClient(client, api)
	require.NoError(t, err)
	for range 2 {
		resp := get(reports, api+"/reports")
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

// What the README shows is what the examples above run.
func TestREADMEShowsWhatRuns(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		require.Contains(t, string(source), string(block[1]))
		// Without the frame of the function it is ten lines at most.
		require.LessOrEqual(t, strings.Count(string(block[1]), "\n"), 10+2)
	}
}
