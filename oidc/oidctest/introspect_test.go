package oidctest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// startPair has a second client, a public one and one with opaque tokens.
func startPair(t *testing.T) *oidctest.Provider {
	return start(t, func(c *oidctest.Config) {
		second, opaque := oidctest.DefaultClient(), oidctest.DefaultClient()
		second.ID, opaque.ID, opaque.OpaqueAccessTokens = "second", "opaque", true
		c.Clients = []oidctest.Client{
			oidctest.DefaultClient(), second, opaque, {ID: "public", RedirectURIs: []string{callback}},
		}
	})
}

func introspect(t *testing.T, p *oidctest.Provider, id, token string) answer {
	t.Helper()
	req := postRequest(t, issuer+"/introspect", url.Values{"token": {token}})
	req.SetBasicAuth(id, oidctest.ClientSecret)
	a := do(t, p, req)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a
}

func TestIntrospection(t *testing.T) {
	p := startPair(t)
	a := tokens(t, p)
	for _, id := range []string{"client", "second"} {
		said := introspect(t, p, id, a.str("access_token"))
		for name, want := range map[string]any{
			"active": true, "token_type": "Bearer", "client_id": "client", "username": "alice", "sub": "248289761001",
			"iss": issuer, "aud": issuer + "/userinfo", "scope": "openid profile email offline_access",
		} {
			require.Equal(t, want, said.json[name], name)
		}
	}
	said := introspect(t, p, "client", a.str("refresh_token"))
	require.Equal(t, true, said.json["active"])
	require.Equal(t, "client", said.json["client_id"])
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "second", a.str("refresh_token")).json)

	next := token(t, p, refreshForm(a.str("refresh_token")))
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "client", a.str("refresh_token")).json, "rotated")
	require.Equal(t, true, introspect(t, p, "client", next.str("refresh_token")).json["active"], "to ask spends nothing")

	for name, odd := range map[string]string{"guess": "x", "ID token": a.str("id_token")} {
		require.Equal(t, map[string]any{"active": false}, introspect(t, p, "client", odd).json, name)
	}
	p.Advance(5 * time.Minute)
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "client", a.str("access_token")).json, "expired")
	p.Advance(24 * time.Hour)
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "client", next.str("refresh_token")).json, "expired")
}

func TestIntrospectionIsRefused(t *testing.T) {
	p := startPair(t)
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/introspect", url.Values{"token": {"x"}}).status)
	a := post(t, p, "/introspect", url.Values{"token": {"x"}, "client_id": {"public"}})
	require.Equal(t, "a public client may not introspect tokens", a.str("error_description"))
	require.Equal(t, "token is missing", as(t, p, "/introspect", nil).str("error_description"))
}

func TestIntrospectionAsJWT(t *testing.T) {
	p := startPair(t)
	req := postRequest(t, issuer+"/introspect", url.Values{"token": {p.AccessToken("alice", api, "read")}})
	req.SetBasicAuth("second", oidctest.ClientSecret)
	req.Header.Set("Accept", "text/plain, application/token-introspection+jwt;q=1")
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["extra"] = "yes" })
	p.OnSignedAnswer(oidctest.Introspection, func(_, claims map[string]any) { claims["odd"] = "yes" })
	a := do(t, p, req)
	require.Equal(t, "application/token-introspection+jwt", a.header.Get("Content-Type"))
	header, claims := decode(t, a.body)
	require.Equal(t, "token-introspection+jwt", header["typ"])
	require.Equal(t, issuer, claims["iss"])
	require.Equal(t, "second", claims["aud"])
	require.Equal(t, "yes", claims["odd"])
	said := claims["token_introspection"].(map[string]any)
	require.Equal(t, true, said["active"])
	require.Equal(t, api, said["aud"])
	require.Equal(t, "yes", said["extra"])
	require.NotContains(t, claims, "sub", "RFC 9701, section 5")
}

func TestOpaqueAccessTokens(t *testing.T) {
	p := startPair(t)
	f := codeForm(code(t, p, "client_id", "opaque"))
	req := postRequest(t, issuer+"/token", f)
	req.SetBasicAuth("opaque", oidctest.ClientSecret)
	a := do(t, p, req)
	require.NotContains(t, a.str("access_token"), ".")
	require.Equal(t, http.StatusOK, userinfo(t, p, "Bearer "+a.str("access_token")).status)
	require.Equal(t, "opaque", introspect(t, p, "second", a.str("access_token")).json["client_id"])
	p.Advance(5 * time.Minute)
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "second", a.str("access_token")).json)
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+a.str("access_token")).status)
}

func TestRevocation(t *testing.T) {
	p := startPair(t)
	a := tokens(t, p)
	f := url.Values{"token": {a.str("access_token")}, "token_type_hint": {"refresh_token"}}
	req := postRequest(t, issuer+"/revoke", f)
	req.SetBasicAuth("second", oidctest.ClientSecret)
	other := do(t, p, req)
	require.Equal(t, http.StatusBadRequest, other.status)
	require.Equal(t, "the token was issued to another client", other.str("error_description"))

	require.Equal(t, http.StatusOK, as(t, p, "/revoke", f).status)
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+a.str("access_token")).status)
	require.Equal(t, map[string]any{"active": false}, introspect(t, p, "client", a.str("access_token")).json)

	next := token(t, p, refreshForm(a.str("refresh_token")))
	require.Equal(t, http.StatusOK, next.status, "the refresh token is still good")
	req = postRequest(t, issuer+"/revoke", url.Values{"token": {next.str("refresh_token")}})
	req.SetBasicAuth("second", oidctest.ClientSecret)
	require.Equal(t, "invalid_grant", do(t, p, req).str("error"))
	require.Equal(t, http.StatusOK, as(t, p, "/revoke", url.Values{"token": {next.str("refresh_token")}}).status)
	require.Equal(t, "invalid_grant", token(t, p, refreshForm(next.str("refresh_token"))).str("error"))
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+next.str("access_token")).status, "RFC 7009, section 2.1")

	require.Equal(t, http.StatusOK, as(t, p, "/revoke", url.Values{"token": {"a guess"}}).status)
	require.Equal(t, "invalid_request", as(t, p, "/revoke", nil).str("error"))
	require.Equal(t, "unsupported_token_type", as(t, p, "/revoke", url.Values{"token": {a.str("id_token")}}).str("error"))
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/revoke", f).status)
}
