package middleware_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func framed(c *middleware.LoginConfig) { c.FrontChannelLogout = true }

// requireFrame checks the page that a provider frames.
func requireFrame(t *testing.T, origin string, res reply) {
	t.Helper()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "+origin, res.Header.Get("Content-Security-Policy"))
	require.Empty(t, res.Header.Get("X-Frame-Options"))
}

// F25: anybody can frame the page, and so it ends the session that is meant and no other.
func TestF25_FrontChannelLogout(t *testing.T) {
	t.Parallel()
	s := newSite(t, framed)
	sid := "one"
	withSID(s.provider, &sid)
	iss := s.provider.Issuer()
	for _, tt := range []struct {
		name  string
		query string
		ends  bool
		frame bool // the provider may frame it
	}{
		{"both", url.Values{"iss": {iss}, "sid": {"one"}}.Encode(), true, true},
		{"both and more", url.Values{"iss": {iss}, "sid": {"one"}, "x": {"y"}}.Encode(), true, true},
		{"neither", "", false, false},
		{"no iss", "sid=one", false, false},
		{"no sid", url.Values{"iss": {iss}}.Encode(), false, true},
		{"a guess", url.Values{"iss": {iss}, "sid": {"two"}}.Encode(), false, true},
		{"an empty sid", url.Values{"iss": {iss}, "sid": {""}}.Encode(), false, true},
		{"another issuer", url.Values{"iss": {"https://evil.example"}, "sid": {"one"}}.Encode(), false, false},
		{"twice", url.Values{"iss": {iss}, "sid": {"one", "one"}}.Encode(), false, true},
		{"two issuers", url.Values{"iss": {iss, "https://evil.example"}, "sid": {"one"}}.Encode(), false, false},
		{"broken", url.Values{"iss": {iss}, "sid": {"one"}}.Encode() + "&x=%zz", false, false},
		{"something for the header", url.Values{"iss": {"https://evil.example; script-src *"}, "sid": {"one"}}.Encode(), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.browser(t)
			b.logIn("alice")
			kept := b.sessionCookies()
			res := b.get("/logout/frontchannel?"+tt.query, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "iframe")
			origin := "'none'"
			if tt.frame {
				origin = iss
			}
			requireFrame(t, origin, res)
			if tt.ends {
				require.Empty(t, b.sessionCookies())
				require.Equal(t, "nobody", b.replay("/", kept).body)
				return
			}
			require.Empty(t, res.Header.Values("Set-Cookie"))
			require.Equal(t, aliceSubject, b.who())
		})
	}
	// Nobody learns whether anybody was logged in.
	good := "/logout/frontchannel?" + url.Values{"iss": {iss}, "sid": {"one"}}.Encode()
	b := s.browser(t)
	b.logIn("alice")
	require.Equal(t, b.get(good).body, s.browser(t).get(good).body)

	for _, method := range []string{"POST", "HEAD"} {
		require.Equal(t, http.StatusMethodNotAllowed, b.do(method, good).StatusCode)
	}
}

// A session without sid is ended by no sid, nor by none.
func TestF25_SessionWithoutSID(t *testing.T) {
	t.Parallel()
	s := newSite(t, framed)
	s.provider.OnIDToken(func(_, c map[string]any) { delete(c, "sid") })
	b := s.browser(t)
	b.logIn("alice")
	for _, query := range []url.Values{{"iss": {s.provider.Issuer()}}, {"iss": {s.provider.Issuer()}, "sid": {""}}, {"iss": {s.provider.Issuer()}, "sid": {"x"}}} {
		b.get("/logout/frontchannel?" + query.Encode())
	}
	require.Equal(t, aliceSubject, b.who())
}

func TestF25_OffByDefault(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sid := "one"
	withSID(s.provider, &sid)
	b := s.browser(t)
	b.logIn("alice")
	res := b.get("/logout/frontchannel?" + url.Values{"iss": {s.provider.Issuer()}, "sid": {"one"}}.Encode())
	require.Equal(t, aliceSubject, res.body, "it is a path of the application's own")
	require.Equal(t, aliceSubject, b.who())
}

// Of several providers each may frame its own logout.
func TestF25_FramersOfSeveralProviders(t *testing.T) {
	t.Parallel()
	s, second := newSiteOfTwo(t, framed)
	for _, p := range []*oidctest.Provider{s.provider, second} {
		requireFrame(t, p.Issuer(), s.browser(t).get("/logout/frontchannel?"+url.Values{"iss": {p.Issuer()}, "sid": {"x"}}.Encode()))
	}
}

func TestF25_OutageOfTheStore(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSite(t, framed, in(store))
	sid := "one"
	withSID(s.provider, &sid)
	b := s.browser(t)
	b.logIn("alice")
	store.down.Store(true)
	b.get("/logout/frontchannel?" + url.Values{"iss": {s.provider.Issuer()}, "sid": {"one"}}.Encode())
	require.Contains(t, s.logged(), string(middleware.LogoutRefused))
}
