package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const api, other = "https://api.example", "https://other.example"

func TestCodeAnswers(t *testing.T) {
	p := start(t)
	now := p.Now().Unix()
	a := tokens(t, p)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, "Bearer", a.json["token_type"])
	require.EqualValues(t, 300, a.json["expires_in"])
	require.Equal(t, "openid profile email offline_access", a.json["scope"])
	require.NotEmpty(t, a.str("refresh_token"))

	header, claims := decode(t, a.str("id_token"))
	require.Equal(t, "ES256", header["alg"])
	require.Equal(t, "JWT", header["typ"])
	require.NotEmpty(t, header["kid"])
	for name, want := range map[string]any{
		"iss": issuer, "sub": "248289761001", "aud": "client", "azp": "client", "nonce": "a-nonce",
		"name": "Alice Adams", "email": "alice@example.com", "email_verified": true,
		"https://example.com/roles": []any{"admin", "user"},
	} {
		require.Equal(t, want, claims[name], name)
	}
	require.NotEmpty(t, claims["sid"])
	require.InDelta(t, now, claims["iat"], 2)
	require.InDelta(t, now, claims["auth_time"], 2)
	require.InDelta(t, now+300, claims["exp"], 2)
	sum := sha256.Sum256([]byte(a.str("access_token")))
	require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:16]), claims["at_hash"])

	header, claims = decode(t, a.str("access_token"))
	require.Equal(t, "at+jwt", header["typ"])
	for name, want := range map[string]any{
		"iss": issuer, "sub": "248289761001", "aud": issuer + "/userinfo", "client_id": "client",
		"scope": "openid profile email offline_access",
	} {
		require.Equal(t, want, claims[name], name)
	}
	require.NotEmpty(t, claims["jti"])
	require.NotContains(t, claims, "email")
}

func TestScopesChooseWhatIsAnswered(t *testing.T) {
	p := start(t)
	a := tokens(t, p, "scope", "")
	require.NotContains(t, a.json, "id_token")
	require.NotContains(t, a.json, "refresh_token")
	require.NotContains(t, a.json, "scope")

	a = tokens(t, p, "scope", "openid")
	require.NotContains(t, a.json, "refresh_token")
	_, claims := decode(t, a.str("id_token"))
	require.NotContains(t, claims, "name")
	require.NotContains(t, claims, "email")

	require.NotContains(t, claimsOf(t, tokens(t, p, "nonce", ""), "id_token"), "nonce")
}

func claimsOf(t *testing.T, a answer, token string) map[string]any {
	t.Helper()
	_, claims := decode(t, a.str(token))
	return claims
}

func TestCodeIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		want    string
		advance time.Duration
		changes []string
	}{
		"no code":                  {want: "invalid_request", changes: []string{"code", ""}},
		"unknown code":             {want: "invalid_grant", changes: []string{"code", "guess"}},
		"expired":                  {want: "invalid_grant", advance: time.Minute},
		"no redirect_uri":          {want: "invalid_request", changes: []string{"redirect_uri", ""}},
		"another redirect_uri":     {want: "invalid_grant", changes: []string{"redirect_uri", "http://127.0.0.1/callback"}},
		"no verifier":              {want: "invalid_request", changes: []string{"code_verifier", ""}},
		"short verifier":           {want: "invalid_request", changes: []string{"code_verifier", strings.Repeat("a", 42)}},
		"long verifier":            {want: "invalid_request", changes: []string{"code_verifier", strings.Repeat("a", 129)}},
		"verifier of odd letters":  {want: "invalid_request", changes: []string{"code_verifier", strings.Repeat("+", 43)}},
		"wrong verifier":           {want: "invalid_grant", changes: []string{"code_verifier", strings.Repeat("a", 43)}},
		"the challenge":            {want: "invalid_grant", changes: []string{"code_verifier", challengeOf(verifier)}},
		"resource not granted":     {want: "invalid_target", changes: []string{"resource", other}},
		"no grant_type":            {want: "invalid_request", changes: []string{"grant_type", ""}},
		"unknown grant_type":       {want: "unsupported_grant_type", changes: []string{"grant_type", "password"}},
		"refresh without a token":  {want: "invalid_request", changes: []string{"grant_type", "refresh_token"}},
		"refresh of unknown token": {want: "invalid_grant", changes: []string{"grant_type", "refresh_token", "refresh_token", "guess"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			f := codeForm(code(t, p, "resource", api), test.changes...)
			p.Advance(test.advance)
			a := token(t, p, f)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, test.want, a.str("error"))
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		})
	}
}

func TestCodeIsGoodUntilItExpires(t *testing.T) {
	p := start(t)
	f := codeForm(code(t, p))
	p.Advance(time.Minute - time.Second)
	require.Equal(t, http.StatusOK, token(t, p, f).status)
}

func TestWrongVerifierSpendsTheCode(t *testing.T) {
	p := start(t)
	c := code(t, p)
	require.Equal(t, "invalid_grant", token(t, p, codeForm(c, "code_verifier", strings.Repeat("a", 43))).str("error"))
	require.Equal(t, "invalid_grant", token(t, p, codeForm(c)).str("error"))
}

func TestCodeReuseRevokes(t *testing.T) {
	p := start(t)
	c := code(t, p)
	a := token(t, p, codeForm(c))
	bearer := "Bearer " + a.str("access_token")
	require.Equal(t, http.StatusOK, userinfo(t, p, bearer).status)

	require.Equal(t, "invalid_grant", token(t, p, codeForm(c)).str("error"))
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, bearer).status)
	require.Equal(t, "invalid_grant", token(t, p, refreshForm(a.str("refresh_token"))).str("error"))
}

func TestTokenRequestForm(t *testing.T) {
	p := start(t)
	for name, test := range map[string]struct {
		status int
		change func(*http.Request)
	}{
		"GET":             {http.StatusMethodNotAllowed, func(r *http.Request) { r.Method = http.MethodGet }},
		"JSON":            {http.StatusBadRequest, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }},
		"no content type": {http.StatusBadRequest, func(r *http.Request) { r.Header.Del("Content-Type") }},
		"in the query": {http.StatusBadRequest, func(r *http.Request) {
			r.URL.RawQuery = codeForm("x").Encode()
			r.Body = http.NoBody
			r.ContentLength = 0
		}},
		"charset is fine": {http.StatusOK, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		}},
		"two Basic headers": {http.StatusBadRequest, func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }},
	} {
		t.Run(name, func(t *testing.T) {
			req := postRequest(t, issuer+"/token", codeForm(code(t, p)))
			req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
			test.change(req)
			require.Equal(t, test.status, do(t, p, req).status)
		})
	}
	f := codeForm(code(t, p))
	f.Add("code_verifier", verifier)
	require.Equal(t, "invalid_request", token(t, p, f).str("error"), "duplicate")
}

func TestClientAuthentication(t *testing.T) {
	const secret = "a secret:+%&ü"
	clients := []oidctest.Client{
		{ID: "basic:+", Secret: secret, Scopes: []string{"x"}},
		{ID: "post", Secret: secret, AuthMethod: "client_secret_post"},
		{ID: "public"},
	}
	p := start(t, func(c *oidctest.Config) { c.Clients = clients })
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
	}
	for name, test := range map[string]struct {
		body  []string
		basic func(*http.Request)
		want  string
	}{
		"basic":                      {basic: basic("basic:+", secret)},
		"basic with its client_id":   {basic: basic("basic:+", secret), body: []string{"client_id", "basic:+"}},
		"basic with other client_id": {basic: basic("basic:+", secret), body: []string{"client_id", "post"}, want: "invalid_request"},
		"basic, wrong secret":        {basic: basic("basic:+", "wrong"), want: "invalid_client"},
		"basic, no secret":           {basic: basic("basic:+", ""), want: "invalid_client"},
		"basic, unknown client":      {basic: basic("nobody", secret), want: "invalid_client"},
		"basic, not encoded":         {basic: func(r *http.Request) { r.SetBasicAuth("basic:+", secret) }, want: "invalid_client"},
		"basic, not base64":          {basic: func(r *http.Request) { r.Header.Set("Authorization", "Basic !") }, want: "invalid_client"},
		"another scheme":             {basic: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, want: "invalid_client"},
		"basic by the post client":   {basic: basic("post", secret), want: "invalid_client"},
		"basic by the public client": {basic: basic("public", ""), want: "invalid_client"},
		"post":                       {body: []string{"client_id", "post", "client_secret", secret}},
		"post, wrong secret":         {body: []string{"client_id", "post", "client_secret", "wrong"}, want: "invalid_client"},
		"post by the basic client":   {body: []string{"client_id", "basic:+", "client_secret", secret}, want: "invalid_client"},
		"post by the public client":  {body: []string{"client_id", "public", "client_secret", secret}, want: "invalid_client"},
		"none":                       {body: []string{"client_id", "public"}, want: "unauthorized_client"},
		"none by a confidential one": {body: []string{"client_id", "post"}, want: "invalid_client"},
		"nobody":                     {want: "invalid_client"},
		"basic and post":             {basic: basic("basic:+", secret), body: []string{"client_secret", secret}, want: "invalid_request"},
		"assertion":                  {body: []string{"client_id", "post", "client_assertion", "a.b.c"}, want: "invalid_client"},
		"assertion and secret":       {body: []string{"client_id", "post", "client_secret", secret, "client_assertion", "a.b.c"}, want: "invalid_request"},
		"scope the client has not":   {basic: basic("basic:+", secret), body: []string{"scope", "y"}, want: "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			req := postRequest(t, issuer+"/token", change(url.Values{"grant_type": {"client_credentials"}}, test.body...))
			if test.basic != nil {
				test.basic(req)
			}
			a := do(t, p, req)
			require.Equal(t, test.want, a.str("error"))
			if test.want == "invalid_client" {
				require.Equal(t, http.StatusUnauthorized, a.status)
				require.Equal(t, test.basic != nil, a.header.Get("WWW-Authenticate") != "")
			}
		})
	}
}

func TestPublicClient(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: oidctest.ClientID, RedirectURIs: []string{callback}}}
	})
	a := post(t, p, "/token", codeForm(code(t, p), "client_id", oidctest.ClientID))
	require.Equal(t, http.StatusOK, a.status, a.body)
}

func TestTokensAreBoundToTheClient(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		second := oidctest.DefaultClient()
		second.ID = "second"
		c.Clients = []oidctest.Client{oidctest.DefaultClient(), second}
	})
	asSecond := func(f url.Values) answer {
		req := postRequest(t, issuer+"/token", f)
		req.SetBasicAuth("second", oidctest.ClientSecret)
		return do(t, p, req)
	}
	c := code(t, p)
	require.Equal(t, "invalid_grant", asSecond(codeForm(c)).str("error"))
	a := token(t, p, codeForm(c))
	require.Equal(t, http.StatusOK, a.status, "another's attempt must not spend the code")
	require.Equal(t, "invalid_grant", asSecond(refreshForm(a.str("refresh_token"))).str("error"))
	require.Equal(t, http.StatusOK, token(t, p, refreshForm(a.str("refresh_token"))).status)
}

func TestRefresh(t *testing.T) {
	p := start(t)
	first := tokens(t, p)
	p.Advance(time.Hour)
	a := token(t, p, refreshForm(first.str("refresh_token")))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NotEqual(t, first.str("refresh_token"), a.str("refresh_token"))

	before, after := claimsOf(t, first, "id_token"), claimsOf(t, a, "id_token")
	require.Equal(t, before["auth_time"], after["auth_time"])
	require.Equal(t, before["sid"], after["sid"])
	require.NotContains(t, after, "nonce")
	require.InDelta(t, before["iat"].(float64)+3600, after["iat"], 2)
}

func TestRefreshScope(t *testing.T) {
	p := start(t)
	a := tokens(t, p)
	require.Equal(t, "invalid_scope", token(t, p, refreshForm(a.str("refresh_token"), "scope", "openid admin")).str("error"))

	a = token(t, p, refreshForm(a.str("refresh_token"), "scope", "email"))
	require.Equal(t, "email", a.str("scope"))
	require.NotContains(t, a.json, "id_token")
	require.Equal(t, "email", claimsOf(t, a, "access_token")["scope"])

	// Narrowing is for one token (RFC 6749, section 6): the next may have all again.
	a = token(t, p, refreshForm(a.str("refresh_token")))
	require.Equal(t, "openid profile email offline_access", a.str("scope"))
}

func TestRefreshReuseRevokes(t *testing.T) {
	p := start(t)
	first := tokens(t, p)
	second := token(t, p, refreshForm(first.str("refresh_token")))
	require.Equal(t, http.StatusOK, second.status)

	require.Equal(t, "invalid_grant", token(t, p, refreshForm(first.str("refresh_token"))).str("error"))
	require.Equal(t, "invalid_grant", token(t, p, refreshForm(second.str("refresh_token"))).str("error"))
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+second.str("access_token")).status)
}

func TestRefreshTokenExpires(t *testing.T) {
	p := start(t)
	a := tokens(t, p)
	p.Advance(24*time.Hour - time.Second)
	a = token(t, p, refreshForm(a.str("refresh_token")))
	require.Equal(t, http.StatusOK, a.status, "the last second")
	p.Advance(24 * time.Hour)
	require.Equal(t, "invalid_grant", token(t, p, refreshForm(a.str("refresh_token"))).str("error"))
}

func TestResources(t *testing.T) {
	p := start(t)
	q := request()
	q["resource"] = []string{api, other}
	c := login(t, p, q, "alice").Get("code")
	a := token(t, p, codeForm(c))
	require.Equal(t, []any{api, other}, claimsOf(t, a, "access_token")["aud"])

	a = token(t, p, refreshForm(a.str("refresh_token"), "resource", other))
	require.Equal(t, other, claimsOf(t, a, "access_token")["aud"])
	require.Equal(t, "invalid_target",
		token(t, p, refreshForm(a.str("refresh_token"), "resource", "https://third.example")).str("error"))
	a = token(t, p, refreshForm(a.str("refresh_token")))
	require.Equal(t, []any{api, other}, claimsOf(t, a, "access_token")["aud"])
}

func TestClientCredentials(t *testing.T) {
	p := start(t)
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {api}}
	a := token(t, p, f)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NotContains(t, a.json, "id_token")
	require.NotContains(t, a.json, "refresh_token")
	claims := claimsOf(t, a, "access_token")
	require.Equal(t, "client", claims["sub"])
	require.Equal(t, api, claims["aud"])
	require.Equal(t, "read", claims["scope"])
	require.NotContains(t, claims, "auth_time")

	require.Equal(t, "invalid_scope", token(t, p, change(f, "scope", "openid")).str("error"))
	require.Equal(t, "invalid_target", token(t, p, change(f, "scope", "", "resource", "api")).str("error"))
}

func TestParallelLogins(t *testing.T) {
	p := start(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				u, err := p.Login(t.Context(), issuer+"/authorize?"+request().Encode(), "alice")
				if err != nil {
					t.Error(err)
					return
				}
				a := token(t, p, codeForm(u.Query().Get("code")))
				if a.status != http.StatusOK || userinfo(t, p, "Bearer "+a.str("access_token")).status != http.StatusOK {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				p.Rotate()
				p.Advance(time.Millisecond)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 40, p.Requests(oidctest.Token))
}

func TestOneOfManyRedeemsACode(t *testing.T) {
	p := start(t)
	c := code(t, p)
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for range 8 {
		wg.Go(func() {
			if a := token(t, p, codeForm(c)); a.status == http.StatusOK {
				won <- a.str("access_token")
			}
		})
	}
	wg.Wait()
	close(won)
	require.LessOrEqual(t, len(won), 1)
	for bearer := range won {
		require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+bearer).status, "revoked by the others")
	}
}

// TestOldGrantsAreForgotten has the provider clean up, which must not touch what
// is still valid.
func TestOldGrantsAreForgotten(t *testing.T) {
	p := start(t)
	c := code(t, p)
	a := token(t, p, codeForm(c))
	for range 30 {
		p.Advance(23 * time.Hour)
		code(t, p) // cleans up
		a = token(t, p, refreshForm(a.str("refresh_token")))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	p.Advance(48 * time.Hour)
	code(t, p)
	require.Equal(t, "invalid_grant", token(t, p, refreshForm(a.str("refresh_token"))).str("error"))
	require.Equal(t, "invalid_grant", token(t, p, codeForm(c)).str("error"))
}

func TestUserOfNothingButAName(t *testing.T) {
	p := start(t, func(c *oidctest.Config) { c.Users = []oidctest.User{{Username: "alice"}} })
	a := tokens(t, p)
	claims := claimsOf(t, a, "id_token")
	require.Equal(t, "alice", claims["sub"])
	require.NotContains(t, claims, "name")
	require.NotContains(t, claims, "email_verified")
	require.Equal(t, http.StatusOK, userinfo(t, p, "Bearer "+a.str("access_token")).status)
}

func TestEmptyListsAllowNothing(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.Scopes, client.Resources = []string{}, []string{}
		c.Clients = []oidctest.Client{client}
	})
	require.Equal(t, "invalid_scope", login(t, p, request(), "alice").Get("error"))
	require.Equal(t, "invalid_target", login(t, p, request("scope", "", "resource", api), "alice").Get("error"))
	require.NotEmpty(t, login(t, p, request("scope", ""), "alice").Get("code"))
}
