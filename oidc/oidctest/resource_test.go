package oidctest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// TestStepUp: who has authenticated in another way is sent to do it again (RFC 9470).
func TestStepUp(t *testing.T) {
	p := start(t)
	server := httptest.NewServer(p.Protect(oidctest.ResourceConfig{Audience: api, ACRValues: []string{"gold", "silver"}}, http.NotFoundHandler()))
	t.Cleanup(server.Close)
	ask := func(acr string) *http.Response {
		at := token(t, p, codeForm(code(t, p, "resource", api, "acr_values", acr))).str("access_token")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+at)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	resp := ask("bronze")
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Contains(t, resp.Header.Get("WWW-Authenticate"), `error="insufficient_user_authentication", acr_values="gold silver"`)
	require.Equal(t, http.StatusNotFound, ask("silver gold").StatusCode, "let in")
}

func TestProtect(t *testing.T) {
	p := start(t)
	server := httptest.NewServer(p.Protect(
		oidctest.ResourceConfig{Audience: api, Scopes: []string{"read"}, MaxAge: 60},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, oidctest.ResourceClaims(r)["sub"])
		}),
	))
	t.Cleanup(server.Close)
	ask := func(authorization string, proofs ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/things?x=y", nil)
		require.NoError(t, err)
		req.Header["Authorization"] = []string{authorization}
		req.Header["Dpop"] = proofs
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	right := p.AccessToken("alice", api, "read", "write")
	require.Equal(t, http.StatusOK, ask("Bearer "+right).StatusCode)
	require.Equal(t, http.StatusUnauthorized, ask("Bearer "+p.AccessToken("alice", other, "read")).StatusCode, "audience")
	resp := ask("Bearer " + p.AccessToken("alice", api, "write"))
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Contains(t, resp.Header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="read"`)

	at := proven(t, p, codeForm(code(t, p, "resource", api, "scope", "read")), tokenProof(t, p, ecKey(), nil)).str("access_token")
	require.Equal(t, http.StatusOK, ask("DPoP "+at, proof(t, p, ecKey(), "GET", server.URL+"/things", ath(at))).StatusCode)
	resp = ask("DPoP "+at, proof(t, p, ecKey(), "GET", issuer+"/things", ath(at)))
	require.Contains(t, resp.Header.Get("WWW-Authenticate"), "htu")
	require.Equal(t, http.StatusUnauthorized, ask("Bearer "+at).StatusCode)

	p.Advance(2 * time.Minute)
	resp = ask("Bearer " + right)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Contains(t, resp.Header.Get("WWW-Authenticate"), `error="insufficient_user_authentication", max_age="60"`)
}
