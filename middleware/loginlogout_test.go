package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// logOut follows a link of ours.
func (b *browser) logOut() reply {
	b.t.Helper()
	return b.get("/logout", "Sec-Fetch-Site", "same-origin")
}

// replay is a request with the cookies of a session that the browser has no more.
func (b *browser) replay(path string, cookies map[string]string) reply {
	b.t.Helper()
	var pairs []string
	for name, value := range cookies {
		pairs = append(pairs, name+"="+value)
	}
	jar := b.http.Jar
	b.http.Jar = nil
	defer func() { b.http.Jar = jar }()
	return b.get(path, "Cookie", strings.Join(pairs, "; "))
}

func TestF20_F21_Logout(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const elsewhere = "http://app.example"
	for _, tt := range []struct {
		name    string
		method  string
		headers []string
		asks    bool
	}{
		{"typed or bookmarked", "GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Dest", "document"}, false},
		{"a link of ours", "GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "document"}, false},
		{"a script of ours", "GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "empty"}, false},
		{"a link elsewhere", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"}, true},
		{"a link of a sibling", "GET", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"a site that lies in Referer", "GET", []string{"Sec-Fetch-Site", "cross-site", "Referer", "OWN/"}, true},
		{"an odd value", "GET", []string{"Sec-Fetch-Site", "x"}, true},
		{"a picture elsewhere", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "image"}, true},
		{"a picture that somebody posted on ours", "GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "image"}, true},
		{"a frame that somebody posted on ours", "GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "iframe"}, true},
		{"a guess of the browser", "GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch;prerender"}, true},
		{"old browser, a link of ours", "GET", []string{"Referer", "OWN/page"}, false},
		{"old browser, a link elsewhere", "GET", []string{"Referer", elsewhere + "/page"}, true},
		{"old browser, our host by another scheme", "GET", []string{"Referer", "https://HOST/page"}, true},
		{"old browser, no sense in Referer", "GET", []string{"Referer", "http://%zz"}, true},
		{"old browser, a Referer without a host", "GET", []string{"Referer", "about:client"}, true},
		{"old browser, a link elsewhere that hides where it is", "GET", nil, true},
		{"program", "POST", nil, false},
		{"a form of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"a form elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"a form of a sibling", "POST", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"old browser, a form of ours", "POST", []string{"Origin", "OWN"}, false},
		{"old browser, a form elsewhere", "POST", []string{"Origin", elsewhere}, true},
		{"old browser, a sandbox", "POST", []string{"Origin", "null"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.browser(t)
			b.logIn("alice")
			id := b.sessionCookies()
			headers := []string{"Accept", "text/html"}
			for _, h := range tt.headers {
				h = strings.ReplaceAll(strings.ReplaceAll(h, "OWN", s.url.String()), "HOST", s.url.Host)
				headers = append(headers, h)
			}
			res := b.do(tt.method, "/logout?post_logout_redirect_uri=https://evil.example&return_to=//evil.example&state=x&id_token_hint=x", headers...)
			if tt.asks {
				requirePage(t, http.StatusOK, res)
				require.Contains(t, res.body, `action="/logout"`)
				require.Contains(t, res.body, `method="post"`)
				require.Empty(t, res.Header.Values("Set-Cookie"))
				require.NotContains(t, res.body, "evil")
				require.Equal(t, aliceSubject, b.who())
				return
			}
			requireRedirect(t, res.location(), res)
			target, err := url.Parse(res.location())
			require.NoError(t, err)
			require.Equal(t, s.provider.Issuer()+string(oidctest.EndSession), target.Scheme+"://"+target.Host+target.Path)
			require.Equal(t, []string{s.url.String() + "/"}, target.Query()["post_logout_redirect_uri"])
			require.NotEmpty(t, target.Query().Get("id_token_hint"))
			require.NotEqual(t, "x", target.Query().Get("id_token_hint"))
			require.False(t, target.Query().Has("state"))
			require.Empty(t, b.sessionCookies())
			require.Equal(t, "nobody", b.replay("/", id).body, "the session itself has ended")
			requireRedirect(t, s.url.String()+"/", b.get(res.location()))
		})
	}
}

// The page that asks must get an Origin through: with no-referrer, browsers that
// send no Sec-Fetch-Site say "Origin: null", and it would ask for ever.
func TestF20_ConfirmPageKeepsOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res := s.browser(t).get("/logout", "Sec-Fetch-Site", "cross-site")
	requirePage(t, http.StatusOK, res)
	require.Equal(t, "same-origin", res.Header.Get("Referrer-Policy"))
}

// Behind a proxy that changes Host, whatever protection the program has of its own.
func TestF20_LogoutGoesByPublicURL(t *testing.T) {
	t.Parallel()
	for _, own := range []*http.CrossOriginProtection{nil, http.NewCrossOriginProtection()} {
		s := newSite(t, func(c *middleware.LoginConfig) { c.CrossOrigin = own })
		for _, tt := range []struct {
			method, header, value string
			asks                  bool
		}{
			{"GET", "Referer", s.url.String() + "/", false},
			{"GET", "Referer", "http://backend/", true},
			{"POST", "Origin", s.url.String(), false},
			{"POST", "Origin", "http://evil.example", true},
		} {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "http://backend/logout", http.NoBody)
			r.Header.Set(tt.header, tt.value)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			require.Equal(t, tt.asks, w.Code == http.StatusOK, "%+v: %d", tt, w.Code)
		}
	}
}

func TestF22_LogoutOfNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.set(sessionName, "old")
	b.set(sessionName+"_1", "old")
	requireRedirect(t, s.url.String()+"/", b.logOut())
	require.Empty(t, b.sessionCookies())
	require.Zero(t, s.provider.Requests(oidctest.Discovery))
}

func TestF21_PostLogoutRedirectURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *middleware.LoginConfig) { c.PostLogoutRedirectURL = "https://client.example/bye" })
	b := s.browser(t)
	b.logIn("alice")
	target, err := url.Parse(b.logOut().location())
	require.NoError(t, err)
	require.Equal(t, "https://client.example/bye", target.Query().Get("post_logout_redirect_uri"))
	requireRedirect(t, "https://client.example/bye", b.logOut())
}

func TestF22_LogoutWhenTheProviderCannotBeTold(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*oidctest.Provider){
		"down":        func(p *oidctest.Provider) { _ = p.Close() },
		"no endpoint": func(p *oidctest.Provider) { p.SetFault(oidctest.Discovery, oidctest.Fault{Body: bareMetadata(p)}) },
	} {
		t.Run(name, func(t *testing.T) {
			store := middleware.NewMemoryStore(100)
			s := newSite(t, in(store))
			b := s.browser(t)
			b.logIn("alice")
			id := b.sessionCookies()

			// The metadata are cached by now: a process that has none yet takes over.
			next, err := middleware.NewLogin(middleware.LoginConfig{
				Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: testKeys, Store: store, Now: s.provider.Now,
				Trace: &middleware.LoginTrace{Step: traceTo(t, middleware.LoggedOut, middleware.LogoutNotTold)},
			})
			require.NoError(t, err)
			s.login, s.handler = next, next.Handler(whoever)
			breakIt(s.provider)

			res := b.logOut()
			if name == "down" { // whoever uses the browser next may be logged in again
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				require.Contains(t, res.body, "Logged out in this browser only")
			} else {
				requireRedirect(t, s.url.String()+"/", res)
			}
			require.Empty(t, b.sessionCookies())
			s.handler = next.Handler(s.pages())
			require.Equal(t, "nobody", b.replay("/", id).body)
		})
	}
}

// Whoever logs out at one process has logged out at all of them, wherever sessions are kept.
func TestF22_LogoutOnAllReplicas(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		store := middleware.NewMemoryStore(100)
		s := newSite(t, in(store), func(c *middleware.LoginConfig) { c.SealedCookies = sealed })
		other, err := middleware.NewLogin(middleware.LoginConfig{
			Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: testKeys, Store: store, SealedCookies: sealed, Now: s.provider.Now,
		})
		require.NoError(t, err)
		b := s.browser(t)
		b.logIn("alice")
		id := b.sessionCookies()
		own := s.handler
		s.handler = other.Handler(s.pages())
		require.Equal(t, aliceSubject, b.who())
		b.logOut()
		s.handler = own
		require.Equal(t, "nobody", b.replay("/", id).body, "sealed %t", sealed)
	}
}

// The cookies go, whatever happens, and the provider is told what we know.
func TestF22_LogoutWithoutTheStore(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		store := newShakyStore()
		s := newSite(t, in(store), func(c *middleware.LoginConfig) { c.SealedCookies = sealed })
		b := s.browser(t)
		b.logIn("alice")
		store.down.Store(true)
		target, err := url.Parse(b.logOut().location())
		require.NoError(t, err)
		require.Equal(t, s.provider.Issuer()+string(oidctest.EndSession), target.Scheme+"://"+target.Host+target.Path)
		require.Equal(t, sealed, target.Query().Has("id_token_hint"))
		require.Equal(t, oidctest.ClientID, target.Query().Get("client_id"))
		require.Empty(t, b.sessionCookies())
		require.Contains(t, s.logged(), "session store")
	}
}

// Of several providers nobody knows at which it was; the cookies go all the same.
func TestF22_LogoutWithoutTheStoreOfSeveralProviders(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s, second := newSiteOfTwo(t, in(store))
	b := s.browser(t)
	b.logInAt(second, "alice")
	store.down.Store(true)
	requireRedirect(t, s.url.String()+"/", b.logOut())
	require.Empty(t, b.sessionCookies())
}

// newSiteOfTwo is a site where users log in at one of two providers, "one" and "two", which is
// returned.
func newSiteOfTwo(t *testing.T, configure ...func(*middleware.LoginConfig)) (*site, *oidctest.Provider) {
	t.Helper()
	registered := func(id string) func(*oidctest.Config) {
		return func(c *oidctest.Config) {
			client := oidctest.DefaultClient()
			client.RedirectURIs = []string{"http://127.0.0.1/callback/" + id}
			c.Clients = []oidctest.Client{client}
		}
	}
	first := oidctest.Start(t, fastKeys, stoppedClock, registered("one"))
	second := oidctest.Start(t, fastKeys, func(c *oidctest.Config) { c.Now = first.Now }, registered("two"))
	return newSiteAt(t, first, append(configure, func(c *middleware.LoginConfig) {
		c.Providers = []middleware.LoginProvider{{ID: "one", Client: c.Client}, {ID: "two", Client: newClient(t, second, "")}}
		c.Client = nil
	})...), second
}

// logInAt logs in at the second of two providers.
func (b *browser) logInAt(second *oidctest.Provider, username string) {
	b.t.Helper()
	callback, err := second.Login(b.t.Context(), b.get("/login?provider=two").location(), username)
	require.NoError(b.t, err)
	requireRedirect(b.t, "/", b.get(callback.String()))
}

// With several providers the one is told at which the user logged in.
func TestNeeds35_LogoutAtTheProviderOfTheLogin(t *testing.T) {
	t.Parallel()
	s, second := newSiteOfTwo(t)
	b := s.browser(t)
	b.logInAt(second, "alice")
	require.True(t, strings.HasPrefix(b.logOut().location(), second.Issuer()+string(oidctest.EndSession)+"?"))
}

// traceTo is a trace that must have told of each kind by the end of the test.
func traceTo(t *testing.T, kinds ...middleware.LoginStepKind) func(context.Context, middleware.LoginStep) {
	t.Helper()
	var mu sync.Mutex
	var seen []middleware.LoginStepKind
	t.Cleanup(func() { require.Subset(t, seen, kinds) })
	return func(_ context.Context, step middleware.LoginStep) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, step.Kind)
	}
}
