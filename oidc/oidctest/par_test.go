package oidctest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// as sends a form to an endpoint as the default client.
func as(t *testing.T, p *oidctest.Provider, path string, form url.Values) answer {
	t.Helper()
	req := postRequest(t, p.Issuer()+path, form)
	req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
	return do(t, p, req)
}

// pushed pushes a right request and returns what the browser is sent with.
func pushed(t *testing.T, p *oidctest.Provider) string {
	t.Helper()
	a := as(t, p, "/par", request())
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.True(t, strings.HasPrefix(a.str("request_uri"), "urn:ietf:params:oauth:request_uri:"))
	require.EqualValues(t, 60, a.json["expires_in"])
	return issuer + "/authorize?" + url.Values{"client_id": {"client"}, "request_uri": {a.str("request_uri")}}.Encode()
}

func TestPushedRequest(t *testing.T) {
	p := start(t, func(c *oidctest.Config) { c.RequirePushedAuthorizationRequests = true })
	u, err := p.Login(t.Context(), pushed(t, p), "alice")
	require.NoError(t, err)
	require.Equal(t, "a state & more", u.Query().Get("state"))
	require.Equal(t, http.StatusOK, token(t, p, codeForm(u.Query().Get("code"))).status)

	q := login(t, p, request(), "alice")
	require.Equal(t, "invalid_request", q.Get("error"))
	require.Equal(t, "the request must be pushed", q.Get("error_description"))
}

func TestPushedRequestOfOneClient(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.RequirePushedAuthorizationRequests = true
		c.Clients = []oidctest.Client{client}
	})
	require.Equal(t, "the request must be pushed", login(t, p, request(), "alice").Get("error_description"))
	require.NotEmpty(t, pushed(t, p))
}

func TestPushedRequestIsRefused(t *testing.T) {
	p := start(t)
	for name, test := range map[string]struct {
		want    string
		changes []string
	}{
		"request_uri":         {"invalid_request", []string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}},
		"no client_id":        {"invalid_request", []string{"client_id", ""}},
		"no PKCE":             {"invalid_request", []string{"code_challenge", ""}},
		"redirect_uri":        {"invalid_request", []string{"redirect_uri", "https://evil.example/"}},
		"response_type":       {"unsupported_response_type", []string{"response_type", "token"}},
		"another client's id": {"invalid_request", []string{"client_id", "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := as(t, p, "/par", request(test.changes...))
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, test.want, a.str("error"))
		})
	}
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/par", request()).status, "nobody")
	require.Equal(t, http.StatusCreated, as(t, p, "/par", request("prompt", "none")).status, "asked when the browser comes")
}

func TestRequestURIIsRefused(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		second := oidctest.DefaultClient()
		second.ID = "second"
		c.Clients = []oidctest.Client{oidctest.DefaultClient(), second}
	})
	refused := func(target, want string) {
		t.Helper()
		a := get(t, p, target)
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Contains(t, a.body, want)
	}
	used := pushed(t, p)
	require.Equal(t, http.StatusOK, get(t, p, used).status)
	refused(used, "used before")

	refused(strings.Replace(pushed(t, p), "client_id=client", "client_id=second", 1), "another client")
	refused(pushed(t, p)+"&scope=openid", "nothing else")
	refused(pushed(t, p)+"&client_id=client", "nothing else")
	refused(issuer+"/authorize?client_id=client&request_uri=urn:ietf:params:oauth:request_uri:guess", "unknown")
	late := pushed(t, p)
	p.Advance(time.Minute)
	refused(late, "expired")
}

// TestRequestURISurvivesAWrongPassword, and only until the login is done.
func TestRequestURISurvivesAWrongPassword(t *testing.T) {
	p := start(t)
	_, query, _ := strings.Cut(pushed(t, p), "?")
	require.Equal(t, http.StatusBadRequest, post(t, p, "/login", form("authorization", query)).status, "never shown")
	require.Equal(t, http.StatusOK, get(t, p, issuer+"/authorize?"+query).status)
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/login", form("authorization", query, "password", "x")).status)
	require.Equal(t, http.StatusSeeOther, post(t, p, "/login", form("authorization", query)).status)
	require.Equal(t, http.StatusBadRequest, post(t, p, "/login", form("authorization", query)).status)

	_, query, _ = strings.Cut(pushed(t, p), "?")
	require.Equal(t, http.StatusOK, get(t, p, issuer+"/authorize?"+query).status)
	require.Equal(t, http.StatusSeeOther, post(t, p, "/login", form("authorization", query, "cancel", "yes")).status)
	require.Equal(t, http.StatusBadRequest, post(t, p, "/login", form("authorization", query)).status)
}
