package oidctest_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// TestEveryAnswerCanBeChanged: each endpoint that answers an object has its hook.
func TestEveryAnswerCanBeChanged(t *testing.T) {
	p := start(t)
	registered := register(t, p, nil)
	calls := map[oidctest.Endpoint]func() answer{
		oidctest.Discovery:                 func() answer { return get(t, p, issuer+"/.well-known/openid-configuration") },
		oidctest.Token:                     func() answer { return token(t, p, own) },
		oidctest.UserInfo:                  func() answer { return userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid")) },
		oidctest.PushedAuthorization:       func() answer { return as(t, p, "/par", request()) },
		oidctest.Introspection:             func() answer { return introspect(t, p, "client", "x") },
		oidctest.DeviceAuthorization:       func() answer { return device(t, p) },
		oidctest.BackchannelAuthentication: func() answer { return backchannel(t, p, asked()) },
		oidctest.Registration:              func() answer { return register(t, p, nil) },
		oidctest.ClientConfiguration: func() answer {
			return sendJSON(t, p, http.MethodGet, registered.str("registration_client_uri"), registered.str("registration_access_token"), nil)
		},
		oidctest.WebFinger: func() answer {
			return get(t, p, "https://op.example/.well-known/webfinger?resource=acct:alice@op.example")
		},
	}
	for e, call := range calls {
		p.OnAnswer(e, func(answer map[string]any) { answer["changed"] = string(e) })
		require.Equal(t, string(e), call().str("changed"))
		p.OnAnswer(e, nil)
		require.NotContains(t, call().json, "changed")

		p.SetFault(e, oidctest.Fault{Status: http.StatusServiceUnavailable})
		before := p.Requests(e)
		get(t, p, "https://op.example"+map[bool]string{true: "", false: "/realms/demo"}[e == oidctest.WebFinger]+string(e))
		require.Equal(t, before+1, p.Requests(e))
		p.SetFault(e, oidctest.Fault{})
	}
}

func TestOnRequest(t *testing.T) {
	p := start(t)
	var mu sync.Mutex
	seen := map[oidctest.Endpoint]url.Values{}
	p.OnRequest(func(e oidctest.Endpoint, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		defer mu.Unlock()
		seen[e] = r.PostForm
	})
	require.Equal(t, http.StatusOK, token(t, p, own).status, "the body is still there")
	require.Equal(t, "client_credentials", seen[oidctest.Token].Get("grant_type"))
	p.OnRequest(nil)
	as(t, p, "/revoke", url.Values{"token": {"x"}})
	require.NotContains(t, seen, oidctest.Revocation)
}

// TestClientsProveThemselvesEverywhereAlike: the endpoints share one check.
func TestClientsProveThemselvesEverywhereAlike(t *testing.T) {
	p := startAsserting(t)
	for _, path := range []string{"/token", "/par", "/introspect", "/revoke", "/device_authorization", "/bc-authorize"} {
		claims := assertion(p, "pk")
		f := join(own, url.Values{
			"token": {"x"}, "scope": {"openid"}, "login_hint": {"alice"},
		})
		if path == "/token" {
			f = own
		}
		if path == "/par" {
			f = request("client_id", "pk")
			a := post(t, p, path, join(f, asserted(sign(t, "RS256", rsaKey(), nil, with(claims, map[string]any{"aud": issuer + path})))))
			require.Equal(t, "aud of the assertion is not the issuer as a single string", a.str("error_description"), path)
			continue // the client has no redirect URI
		}
		a := post(t, p, path, join(f, asserted(sign(t, "RS256", rsaKey(), nil, with(claims, map[string]any{"aud": issuer + path})))))
		require.Equal(t, http.StatusUnauthorized, a.status, path)
		require.Equal(t, "aud of the assertion is not the issuer as a single string", a.str("error_description"), path)
		a = post(t, p, path, join(f, asserted(sign(t, "RS256", rsaKey(), nil, claims))))
		require.Equal(t, http.StatusOK, a.status, "%s: %s", path, a.body)
		a = post(t, p, path, join(f, asserted(sign(t, "RS256", rsaKey(), nil, claims))))
		require.Equal(t, "jti of the assertion has been used before", a.str("error_description"), path)
		a = post(t, p, path, join(f, asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "old"), map[string]any{"aud": issuer + path})))))
		require.Equal(t, http.StatusOK, a.status, "the endpoint called, by option: %s: %s", path, a.body)
	}
}

// TestMetadataAreTrue: what they name is there.
func TestMetadataAreTrue(t *testing.T) {
	p := start(t, func(c *oidctest.Config) { c.MutualTLS = true })
	a := get(t, p, issuer+"/.well-known/openid-configuration")
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint",
		"pushed_authorization_request_endpoint", "introspection_endpoint", "revocation_endpoint",
		"device_authorization_endpoint", "backchannel_authentication_endpoint", "registration_endpoint",
	} {
		require.NotEqual(t, http.StatusNotFound, get(t, p, a.str(name)).status, name)
	}
	for name, target := range a.json["mtls_endpoint_aliases"].(map[string]any) {
		require.NotEqual(t, http.StatusNotFound, get(t, p, target.(string)).status, name)
		require.Contains(t, a.json, name)
	}
	for _, grantType := range a.json["grant_types_supported"].([]any) {
		said := token(t, p, url.Values{"grant_type": {grantType.(string)}}).str("error")
		require.NotEqual(t, "unsupported_grant_type", said, grantType)
	}
	require.Len(t, a.json["grant_types_supported"], 7)
}
