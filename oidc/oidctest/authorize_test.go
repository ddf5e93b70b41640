package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestAuthorizationAnswers(t *testing.T) {
	p := start(t)
	q := login(t, p, request(), "alice")
	require.NotEmpty(t, q.Get("code"))
	require.Equal(t, "a state & more", q.Get("state"))
	require.Equal(t, issuer, q.Get("iss"))

	q = login(t, p, request("response_mode", "form_post"), "alice")
	require.NotEmpty(t, q.Get("code"))
	require.Equal(t, "a state & more", q.Get("state"))

	q = login(t, p, request("scope", "", "nonce", "", "state", ""), "alice")
	require.NotEmpty(t, q.Get("code"), "plain OAuth")
	require.False(t, q.Has("state"))
}

func TestAuthorizationRedirectsErrors(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.Scopes = []string{"openid", "profile", "email", "offline_access"}
		client.Resources = []string{"https://api.example"}
		c.Clients = []oidctest.Client{client}
	})
	for name, test := range map[string]struct {
		want  string
		query url.Values
	}{
		"response_type missing":       {"invalid_request", request("response_type", "")},
		"response_type token":         {"unsupported_response_type", request("response_type", "token")},
		"response_type hybrid":        {"unsupported_response_type", request("response_type", "code id_token")},
		"response_mode fragment":      {"invalid_request", request("response_mode", "fragment")},
		"no PKCE":                     {"invalid_request", request("code_challenge", "", "code_challenge_method", "")},
		"PKCE method missing":         {"invalid_request", request("code_challenge_method", "")},
		"PKCE plain":                  {"invalid_request", request("code_challenge_method", "plain")},
		"PKCE challenge short":        {"invalid_request", request("code_challenge", challengeOf(verifier)[1:])},
		"PKCE challenge long":         {"invalid_request", request("code_challenge", challengeOf(verifier)+"A")},
		"PKCE challenge not base64":   {"invalid_request", request("code_challenge", "="+challengeOf(verifier)[1:])},
		"duplicate scope":             {"invalid_request", url.Values{"scope": {"openid", "email"}}},
		"duplicate state":             {"invalid_request", url.Values{"state": {"a", "a"}}},
		"duplicate unknown":           {"invalid_request", url.Values{"foo": {"a", "b"}}},
		"duplicate response_mode":     {"invalid_request", url.Values{"response_mode": {"query", "form_post"}}},
		"prompt none":                 {"login_required", request("prompt", "none")},
		"prompt none and login":       {"invalid_request", request("prompt", "none login")},
		"max_age negative":            {"invalid_request", request("max_age", "-1")},
		"max_age a word":              {"invalid_request", request("max_age", "never")},
		"request":                     {"request_not_supported", request("request", "e30.e30.")},
		"request_uri":                 {"request_uri_not_supported", request("request_uri", "urn:x")},
		"scope not allowed":           {"invalid_scope", request("scope", "openid admin")},
		"scope malformed":             {"invalid_scope", request("scope", `openid "quoted"`)},
		"scope with two spaces":       {"invalid_scope", request("scope", "openid  email")},
		"resource relative":           {"invalid_target", request("resource", "api")},
		"resource with fragment":      {"invalid_target", request("resource", "https://api.example#x")},
		"resource not allowed":        {"invalid_target", request("resource", "https://other.example")},
		"response_mode=form_post too": {"login_required", request("prompt", "none", "response_mode", "form_post")},
	} {
		t.Run(name, func(t *testing.T) {
			if test.query.Get("client_id") == "" {
				changed := request()
				maps.Copy(changed, test.query)
				test.query = changed
			}
			u, err := p.Login(t.Context(), issuer+"/authorize?"+test.query.Encode(), "alice")
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(u.String(), callback+"?"))
			require.Equal(t, test.want, u.Query().Get("error"))
			require.Equal(t, issuer, u.Query().Get("iss"))
			require.False(t, u.Query().Has("code"))
			if len(test.query["state"]) == 1 {
				require.Equal(t, "a state & more", u.Query().Get("state"))
			}
		})
	}
}

func TestAuthorizationNeverRedirects(t *testing.T) {
	p := start(t)
	for name, query := range map[string]string{
		"unknown client":         request("client_id", "other").Encode(),
		"no client":              request("client_id", "").Encode(),
		"two clients":            request().Encode() + "&client_id=client",
		"no redirect_uri":        request("redirect_uri", "").Encode(),
		"two redirect_uris":      request().Encode() + "&redirect_uri=https://evil.example/",
		"unregistered":           request("redirect_uri", "https://evil.example/").Encode(),
		"a longer path":          request("redirect_uri", callback+"/more").Encode(),
		"an added query":         request("redirect_uri", callback+"?x=y").Encode(),
		"a port elsewhere":       request("redirect_uri", "https://client.example:8443/callback").Encode(),
		"localhost by name":      request("redirect_uri", "http://localhost:1234/callback").Encode(),
		"other loopback path":    request("redirect_uri", "http://127.0.0.1:1234/other").Encode(),
		"loopback without port":  request("redirect_uri", "http://127.0.0.1:/callback").Encode(),
		"loopback userinfo":      request("redirect_uri", "http://127.0.0.1:80@evil.example/callback").Encode(),
		"loopback port too high": request("redirect_uri", "http://127.0.0.1:65536/callback").Encode(),
		"IPv6, only IPv4 known":  request("redirect_uri", "http://[::1]:1234/callback").Encode(),
		"malformed query":        "client_id=client&%zz",
	} {
		t.Run(name, func(t *testing.T) {
			a := get(t, p, issuer+"/authorize?"+query)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Empty(t, a.header.Get("Location"))
			require.NotContains(t, a.body, "<form")
			_, err := p.Login(t.Context(), issuer+"/authorize?"+query, "alice")
			require.Error(t, err)
		})
	}
}

func TestLoopbackPort(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: oidctest.ClientID, RedirectURIs: []string{
			"http://127.0.0.1/callback", "http://[::1]/callback?a=b",
		}}}
	})
	for _, uri := range []string{
		"http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback",
		"http://[::1]:8080/callback?a=b",
	} {
		u, err := p.Login(t.Context(), issuer+"/authorize?"+request("redirect_uri", uri).Encode(), "alice")
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(u.String(), uri), "%s", u)
		require.NotEmpty(t, u.Query().Get("code"))
	}
}

func TestAuthorizationByPost(t *testing.T) {
	p := start(t)
	a := post(t, p, "/authorize", request("login_hint", "bob<b>"))
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, `value="bob&lt;b&gt;"`)

	req := postRequest(t, issuer+"/authorize?"+request().Encode(), nil)
	req.Header.Set("Content-Type", "text/plain")
	require.Equal(t, http.StatusBadRequest, do(t, p, req).status)
}

var hidden = regexp.MustCompile(`name="authorization" value="([^"]*)"`)

// form is the login form for a valid request.
func form(changes ...string) url.Values {
	return change(url.Values{
		"authorization": {request().Encode()}, "username": {"alice"}, "password": {"wonderland"},
	}, changes...)
}

func TestLoginPage(t *testing.T) {
	p := start(t)
	a := get(t, p, issuer+"/authorize?"+request().Encode())
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, "<strong>client</strong>")
	require.Contains(t, a.body, `action="/realms/demo/login"`)
	require.Regexp(t, hidden, a.body)
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
	require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))

	policy := a.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "form-action", "Chrome would stop the redirect to the client")
	require.Contains(t, policy, hashOf(t, a.body, "style"), "the browser would drop the style")

	// The posted page of form_post has a script besides.
	posted := post(t, p, "/login", form("authorization", request("response_mode", "form_post").Encode()))
	require.Equal(t, http.StatusOK, posted.status)
	require.Contains(t, posted.body, `action="`+callback+`"`)
	require.Contains(t, posted.header.Get("Content-Security-Policy"), hashOf(t, posted.body, "script"))
	require.Contains(t, posted.body, "<button")
}

func hashOf(t *testing.T, page, element string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "<"+element+">")
	require.True(t, ok)
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestLoginForm(t *testing.T) {
	p := start(t)
	a := post(t, p, "/login", form())
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Contains(t, a.header.Get("Location"), callback+"?code=")

	a = post(t, p, "/login", form("cancel", "yes", "password", ""))
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Contains(t, a.header.Get("Location"), "error=access_denied")

	for name, wrong := range map[string]url.Values{
		"wrong password": form("password", "Wonderland"),
		"no password":    form("password", ""),
		"unknown user":   form("username", "mallory"),
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, p, "/login", wrong)
			require.Equal(t, http.StatusUnauthorized, a.status)
			require.Contains(t, a.body, `role="alert"`)
			require.Regexp(t, hidden, a.body)
		})
	}
}

func TestLoginFormChecksTheRequestAgain(t *testing.T) {
	p := start(t)
	for name, query := range map[string]string{
		"redirect_uri": request("redirect_uri", "https://evil.example/").Encode(),
		"malformed":    "%zz",
		"missing":      "",
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, p, "/login", form("authorization", query))
			require.Equal(t, http.StatusBadRequest, a.status)
		})
	}
	a := post(t, p, "/login", form("authorization", request("code_challenge", "").Encode()))
	require.Contains(t, a.header.Get("Location"), "error=invalid_request")
	require.Equal(t, http.StatusMethodNotAllowed, get(t, p, issuer+"/login").status)
}
