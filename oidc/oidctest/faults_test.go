package oidctest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestFaults(t *testing.T) {
	p := start(t)
	jwksURL := issuer + "/jwks"
	for name, test := range map[string]struct {
		fault       oidctest.Fault
		status      int
		body        string
		contentType string
	}{
		"status":          {oidctest.Fault{Status: 503}, 503, `{"error":"temporarily_unavailable","error_description":"the provider has a fault"}`, "application/json"},
		"status and body": {oidctest.Fault{Status: 400, Body: "x", ContentType: "text/plain"}, 400, "x", "text/plain"},
		"odd status":      {oidctest.Fault{Status: 99, Body: "x"}, 200, "x", "application/json"},
		"empty":           {oidctest.Fault{Empty: true}, 200, `{"keys":[]}`, "application/json"},
		"body":            {oidctest.Fault{Body: "<html>"}, 200, "<html>", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			p.SetFault(oidctest.JWKS, test.fault)
			a := get(t, p, jwksURL)
			require.Equal(t, test.status, a.status)
			require.Equal(t, test.body, a.body)
			require.Equal(t, test.contentType, a.header.Get("Content-Type"))
			require.Equal(t, http.StatusOK, get(t, p, issuer+"/.well-known/openid-configuration").status)

			p.SetFault(oidctest.JWKS, oidctest.Fault{})
			require.Len(t, jwks(t, p), 1, "healed")
		})
	}
}

func TestFaultsAtOtherEndpoints(t *testing.T) {
	p := start(t)
	p.SetFault(oidctest.Token, oidctest.Fault{Empty: true})
	a := token(t, p, codeForm("x"))
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)

	p.SetFault(oidctest.Authorization, oidctest.Fault{Status: 500})
	a = get(t, p, issuer+"/authorize")
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	_, err := p.Login(t.Context(), issuer+"/authorize?"+request().Encode(), "alice")
	require.ErrorContains(t, err, "500 Internal Server Error: no redirect")
}

func TestOversized(t *testing.T) {
	p := start(t)
	c := code(t, p)
	for _, e := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS, oidctest.Token, oidctest.UserInfo, oidctest.Authorization} {
		p.SetFault(e, oidctest.Fault{Oversized: true})
	}
	for name, a := range map[string]answer{
		"issuer":       get(t, p, issuer+"/.well-known/openid-configuration"),
		"keys":         get(t, p, issuer+"/jwks"),
		"access_token": token(t, p, codeForm(c)),
		"sub":          userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid")),
	} {
		require.Greater(t, len(a.body), 2<<20)
		require.True(t, json.Valid([]byte(a.body)))
		require.NotEmpty(t, a.json[name], "the right answer, only larger")
	}
	a := get(t, p, issuer+"/authorize?"+request().Encode())
	require.Greater(t, len(a.body), 2<<20)
	require.Contains(t, a.header.Get("Content-Type"), "text/html")
}

func TestRequests(t *testing.T) {
	p := start(t)
	require.Zero(t, p.Requests(oidctest.JWKS))
	get(t, p, issuer+"/jwks")
	p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	get(t, p, issuer+"/jwks")
	post(t, p, "/jwks", nil)
	require.Equal(t, 3, p.Requests(oidctest.JWKS))
	code(t, p)
	require.Equal(t, 1, p.Requests(oidctest.Authorization), "the login form is not a relying party's request")
}

// TestBubble has delays pass in no time, in process and without sockets.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t)
		p.SetFault(oidctest.JWKS, oidctest.Fault{Delay: time.Hour})
		began := time.Now()
		require.Len(t, jwks(t, p), 1)
		require.Equal(t, time.Hour, time.Since(began))

		for name, fault := range map[string]oidctest.Fault{
			"delay": {Delay: time.Hour}, "hang": {Hang: true}, "both": {Delay: time.Second, Hang: true},
		} {
			p.SetFault(oidctest.JWKS, fault)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/jwks", nil)
			require.NoError(t, err)
			began := time.Now()
			_, err = p.HTTPClient().Do(req)
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.Equal(t, time.Minute, time.Since(began), name)
		}
		client := p.HTTPClient()
		client.Timeout = time.Second
		_, err := client.Get(issuer + "/jwks")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestHTTPClientReachesNothingElse(t *testing.T) {
	p := start(t)
	for _, target := range []string{"https://client.example/", "http://op.example/realms/demo/jwks", "https://op.example:8443/realms/demo/jwks"} {
		_, err := p.HTTPClient().Get(target)
		require.Error(t, err, target)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("because")
	cancel(because)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/jwks", nil)
	require.NoError(t, err)
	_, err = p.HTTPClient().Do(req)
	require.ErrorIs(t, err, because)

	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err = p.HTTPClient().Get(issuer + "/jwks")
	require.Error(t, err)
}

func TestMethods(t *testing.T) {
	p := start(t)
	a := post(t, p, "/jwks", nil)
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "GET, HEAD", a.header.Get("Allow"))

	resp, err := p.HTTPClient().Head(issuer + "/jwks")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	req := postRequest(t, issuer+"/token", nil)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20+1))), -1
	require.Equal(t, http.StatusRequestEntityTooLarge, do(t, p, req).status)
}

func TestStart(t *testing.T) {
	tb := &fakeTB{}
	p := oidctest.Start(tb, func(c *oidctest.Config) {
		c.Algorithm = "ES256"
		c.Clients[0].Scopes = []string{"openid"} // the defaults are filled in
	})
	resp, err := http.Get(p.Issuer() + "/jwks")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(body), `"alg":"ES256"`)
	require.NotContains(t, string(body), "RS256", "the client follows Config.Algorithm")
	require.Len(t, jwks(t, p), 1, "in process, too")

	// Close ends even a request that hangs after posting a body.
	p.SetFault(oidctest.Token, oidctest.Fault{Hang: true})
	failed := make(chan error, 1)
	go func() {
		_, err := http.PostForm(p.Issuer()+"/token", codeForm("x"))
		failed <- err
	}()
	require.Eventually(t, func() bool { return p.Requests(oidctest.Token) == 1 }, 5*time.Second, time.Millisecond)
	tb.cleanup()
	require.Error(t, <-failed)
	_, err = http.Get(p.Issuer() + "/jwks")
	require.Error(t, err)

	require.Nil(t, oidctest.Start(tb, func(c *oidctest.Config) { c.Algorithm = "none" }))
	require.True(t, tb.failed)
}

// fakeTB stands for a test that fails or ends.
type fakeTB struct {
	cleanup func()
	failed  bool
}

func (tb *fakeTB) Helper()               {}
func (tb *fakeTB) Cleanup(f func())      { tb.cleanup = f }
func (tb *fakeTB) Fatalf(string, ...any) { tb.failed = true }

func TestListenNamesAReachableIssuer(t *testing.T) {
	p, err := oidctest.Listen(":0", oidctest.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	require.True(t, strings.HasPrefix(p.Issuer(), "http://localhost:"), p.Issuer())
}

func TestHandlerInSomebodysServer(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	p := start(t, func(c *oidctest.Config) { c.Issuer = server.URL + "/idp" })
	mux.Handle("/idp/", p)
	resp, err := http.Get(server.URL + "/idp/.well-known/openid-configuration")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestClock(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	p := start(t, func(c *oidctest.Config) { c.Now = func() time.Time { return at } })
	p.Advance(time.Hour)
	p.Advance(-time.Minute)
	require.Equal(t, at.Add(59*time.Minute), p.Now())
	require.EqualValues(t, p.Now().Unix(), claimsOf(t, tokens(t, p), "id_token")["iat"])
}

func TestLoginFails(t *testing.T) {
	p := start(t)
	good := issuer + "/authorize?" + request().Encode()
	_, err := p.Login(t.Context(), good, "mallory")
	require.Error(t, err)
	_, err = p.Login(t.Context(), "https://other.example/authorize?"+request().Encode(), "alice")
	require.Error(t, err)
	// What the provider's page says is said again.
	_, err = p.Login(t.Context(), issuer+"/authorize?"+request("redirect_uri", "https://evil.example/").Encode(), "alice")
	require.ErrorContains(t, err, "400 Bad Request: The redirect_uri is not registered for this client.")
	// But what a fault sends is not ours.
	p.SetFault(oidctest.Authorization, oidctest.Fault{Status: 400, Body: "<h1>Oops</h1>\n<p>planted</p>", ContentType: "text/html"})
	_, err = p.Login(t.Context(), good, "alice")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "planted")
	p.SetFault(oidctest.Authorization, oidctest.Fault{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Login(ctx, good, "alice")
	require.ErrorIs(t, err, context.Canceled)
}
