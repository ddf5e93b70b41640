package middleware_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// F47, needs 17: who goes back to a callback that was used, and is logged in, goes on to where
// he wanted to go.
func TestF47_Needs17_BackButtonWhenLoggedIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/one")
	requireRedirect(t, "/one", b.get(callback))
	session := b.sessionCookies()
	for range 3 {
		requireRedirect(t, "/one", b.get(callback))
		require.Equal(t, session, b.sessionCookies())
	}
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
	// Of what is no login of this browser, nothing is known but that somebody is logged in.
	requireRedirect(t, "/", b.get("/callback?state=x&code=x"))
}

// F47, F05: who goes back and is not logged in begins once more, where he wanted to go, and
// after that is told.
func TestF05_F47_ReplayedCallbackStartsOver(t *testing.T) {
	t.Parallel()
	var told steps
	s := newSite(t, told.trace)
	b := s.browser(t)
	callback := b.begin("alice", "/one")
	kept := b.flowCookies()
	requireRedirect(t, "/one", b.get(callback))
	for name := range b.sessionCookies() {
		b.set(name, "")
	}
	res := b.get(callback)
	requireRedirect(t, "/login?restart=1&return_to=%2Fone", res)
	require.Equal(t, middleware.LoginRestarted, told.last(t).Kind)
	again := b.beginAt(res.location(), "alice")
	requireRedirect(t, "/one", b.get(again))
	require.Equal(t, aliceSubject, b.who())
	require.Equal(t, 2, s.provider.Requests(oidctest.Token))

	// With the cookie of before, which a thief may have, this process remembers the state.
	thief := s.browser(t)
	for name, value := range kept {
		thief.set(name, value)
	}
	requireRedirect(t, "/login?restart=1&return_to=%2Fone", thief.get(callback))
	requirePage(t, http.StatusBadRequest, thief.get(callback))
	require.Equal(t, "nobody", thief.who())
	require.Equal(t, 2, s.provider.Requests(oidctest.Token))
}

// F03: the link of a login that somebody else began makes nobody somebody else.
func TestF03_CallbackOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	callback := s.browser(t).begin("alice", "/one")
	victim := s.browser(t)
	requireFresh(t, victim.get(callback))
	require.Equal(t, "nobody", victim.who())
	victim.logIn("bob")
	requireRedirect(t, "/", victim.get(callback))
	require.Equal(t, bobSubject, victim.who())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// F05, needs 42: a login that took too long begins anew, once, and ends where it was to end.
func TestF05_Needs42_FlowExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	waited := func(b *browser, d time.Duration) reply {
		start := b.get("/login?return_to=/one").location()
		s.provider.Advance(d) // the login form of the provider is open meanwhile
		callback, err := s.provider.Login(t.Context(), start, "alice")
		require.NoError(t, err)
		return b.get(callback.String())
	}
	requireRedirect(t, "/one", waited(s.browser(t), oidc.FlowLifetime-time.Second))
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))

	b := s.browser(t)
	res := waited(b, oidc.FlowLifetime)
	requireRedirect(t, "/login?restart=1&return_to=%2Fone", res)
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
	requireRedirect(t, "/one", b.get(b.beginAt(res.location(), "alice")))
}

// An error that the provider answers is told: beginning anew would get it again.
func TestF09_Needs42_ErrorAnswersDoNotStartOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/one")
	s.provider.Advance(oidc.FlowLifetime)
	late := strings.Replace(callback, "code=", "error=access_denied&x=", 1)
	requirePage(t, http.StatusBadRequest, b.get(late))
	requirePage(t, http.StatusBadRequest, b.get(late))
	requirePage(t, http.StatusBadRequest, b.get("/callback?state=x&error=login_required"))
	require.Zero(t, s.provider.Requests(oidctest.Token))
}

// Needs 42: a browser without cookies is told so after one round, and does not go round.
func TestNeeds42_CookiesOff(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(*middleware.LoginConfig){"query": func(*middleware.LoginConfig) {}, "form_post": formPost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told steps
			s := newSite(t, mode, told.trace)
			b := s.browser(t)
			b.http.Jar = nil
			callback := b.begin("alice", "/one")
			res := b.get(callback)
			if name == "form_post" {
				res = b.posted(callback)
			}
			requireFresh(t, res)
			res = b.get(res.location())
			requireRedirect(t, "/login?restart=2&return_to=%2F", res)
			requirePage(t, http.StatusBadRequest, b.get(res.location()))
			require.Equal(t, middleware.LoginStopped, told.last(t).Kind)
			require.Zero(t, s.provider.Requests(oidctest.Token))
		})
	}
}

// Needs 42: nor does one that keeps some cookies and not those that a form needs, as where
// cookies of SameSite=None are blocked.
func TestNeeds42_CookiesOfLoginsOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, formPost)
	w := newWindow(t, s.login, s.url.String())
	require.Equal(t, "/", w.answer(w.begin("/", s.provider, "alice")).Header.Get("Location"))
	require.Equal(t, aliceSubject, w.who())
	s.provider.Advance(2 * time.Hour) // the cookie of the session stays, and is good for nothing
	target, rounds := "/login", 0
	for rounds = range 10 {
		for name, c := range w.cookies {
			if c.SameSite == http.SameSiteNoneMode {
				delete(w.cookies, name)
			}
		}
		require.NotEmpty(t, w.cookies)
		res := w.get(target)
		if target = res.Header.Get("Location"); strings.HasPrefix(target, s.provider.Issuer()) {
			callback, err := s.provider.Login(t.Context(), target, "alice")
			require.NoError(t, err)
			for name, c := range w.cookies {
				if c.SameSite == http.SameSiteNoneMode {
					delete(w.cookies, name)
				}
			}
			target = w.answer(callback.String() + "#form_post").Header.Get("Location")
		}
		if target == "" {
			require.Equal(t, http.StatusBadRequest, res.StatusCode)
			break
		}
	}
	require.Equal(t, 3, rounds+1, "start, restart, and the cookie that was tried")
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// Somebody who keeps cookies is not told that he does not, for an old link.
func TestNeeds42_RestartWithCookiesLogsIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	res := b.get("/login?restart=1&return_to=/one&max_age=5")
	requireRedirect(t, "/login?max_age=5&restart=2&return_to=%2Fone", res)
	requireRedirect(t, "/one", b.get(b.beginAt(res.location(), "alice")))
	requireRedirect(t, "/two", b.get("/login?restart=1&return_to=/two")) // logged in by now
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// F47, F18: the session does not come with another site's form. The back button finds it all
// the same, time and again.
func TestF18_F47_BackButtonOfAFormPost(t *testing.T) {
	t.Parallel()
	s := newSite(t, formPost)
	w := newWindow(t, s.login, s.url.String())
	callback := w.begin("/one", s.provider, "alice")
	require.Equal(t, "/one", w.answer(callback).Header.Get("Location"))
	for range 3 {
		hidden := map[string]*http.Cookie{}
		for name, c := range w.cookies { // what SameSite=Lax does to a POST of another site
			if c.SameSite != http.SameSiteNoneMode {
				hidden[name] = c
				delete(w.cookies, name)
			}
		}
		require.NotEmpty(t, hidden)
		res := w.answer(callback)
		require.Equal(t, "/login?restart=1&return_to=%2Fone", res.Header.Get("Location"))
		maps.Copy(w.cookies, hidden) // but not to a navigation by GET
		require.Equal(t, "/one", w.get(res.Header.Get("Location")).Header.Get("Location"))
	}
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// lose makes the browser forget its session, as one that the application does not get does.
func (b *browser) lose() {
	for name := range b.sessionCookies() {
		b.set(name, "")
	}
}

// F14, needs 42: who is logged in time and again and never arrives is told, before the
// browser gives up at the twentieth redirect.
func TestNeeds42_LoopGuard(t *testing.T) {
	t.Parallel()
	var told steps
	s := newSite(t, told.trace)
	b := s.browser(t)
	round := func() { requireRedirect(t, "/one", b.get(b.begin("alice", "/one"))); b.lose() }
	for range 3 {
		round()
	}
	res := b.get("/login?return_to=/one")
	requirePage(t, http.StatusTooManyRequests, res)
	require.Equal(t, middleware.LoginStopped, told.last(t).Kind)
	require.Equal(t, 3, s.provider.Requests(oidctest.Token))
	round() // whoever tries again by himself is no machine
}

// What is no circle is let through.
func TestNeeds42_LoopGuardLetsOthersThrough(t *testing.T) {
	t.Parallel()
	for name, once := range map[string]func(t *testing.T, b *browser, i int){
		"who stays logged in": func(t *testing.T, b *browser, _ int) {
			requireRedirect(t, "/one", b.get(b.begin("alice", "/one")))
		},
		"many pages": func(t *testing.T, b *browser, i int) {
			to := "/" + strings.Repeat("x", i+1)
			requireRedirect(t, to, b.get(b.begin("alice", to)))
			b.lose()
		},
		"slowly": func(t *testing.T, b *browser, _ int) {
			requireRedirect(t, "/one", b.get(b.begin("alice", "/one")))
			b.lose()
			b.site.provider.Advance(30 * time.Second)
		},
		"logins that are not finished": func(_ *testing.T, b *browser, _ int) { b.begin("alice", "/one") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSite(t).browser(t)
			for i := range 10 {
				once(t, b, i)
			}
		})
	}
}

// A step-up that never succeeds is a circle too, although somebody is logged in.
func TestNeeds42_LoopGuardOfStepUp(t *testing.T) {
	t.Parallel()
	b := newSite(t).browser(t)
	for range 3 {
		requireRedirect(t, "/one", b.get(b.begin("alice", "/one")))
	}
	requirePage(t, http.StatusTooManyRequests, b.get("/login?return_to=/one&max_age=0"))
}

// twoProviders is a site where users log in at one of two; both have the client.
func twoProviders(t *testing.T, configure ...func(*middleware.LoginConfig)) (s *site, first, second *oidctest.Provider) {
	t.Helper()
	start := func(id string) *oidctest.Provider {
		return oidctest.Start(t, fastKeys, stoppedClock, func(c *oidctest.Config) {
			client := oidctest.DefaultClient()
			client.RedirectURIs = []string{"http://127.0.0.1/callback/" + id}
			c.Clients = []oidctest.Client{client}
		})
	}
	first, second = start("first"), start("second")
	s = newSiteAt(t, first, append([]func(*middleware.LoginConfig){func(c *middleware.LoginConfig) {
		c.Client = nil
		c.Providers = []middleware.LoginProvider{
			{ID: "first", Name: "The First", Client: newClient(t, first, "")}, {ID: "second", Client: newClient(t, second, "")},
		}
	}}, configure...)...)
	return s, first, second
}

// beginWith is begin at one of several providers.
func (b *browser) beginWith(p *oidctest.Provider, path, username string) string {
	b.t.Helper()
	res := b.get(path)
	require.Equal(b.t, http.StatusSeeOther, res.StatusCode, res.body)
	require.True(b.t, strings.HasPrefix(res.location(), p.Issuer()+"/"), res.location())
	callback, err := p.Login(b.t.Context(), res.location(), username)
	require.NoError(b.t, err)
	return callback.String()
}

// F01, F02: each provider has a redirect URL of its own. An answer that comes to that of
// another is refused before anything is sent to either.
func TestF01_F02_MixUp(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(url.Values, *oidctest.Provider){
		"iss of the one that was asked": func(url.Values, *oidctest.Provider) {},
		"iss of the other one":          func(v url.Values, other *oidctest.Provider) { v.Set("iss", other.Issuer()) },
		"no iss":                        func(v url.Values, _ *oidctest.Provider) { v.Del("iss") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told steps
			s, first, second := twoProviders(t, told.trace)
			b := s.browser(t)
			callback, err := url.Parse(b.beginWith(first, "/login?provider=first", "alice"))
			require.NoError(t, err)
			require.Equal(t, "/callback/first", callback.Path)
			callback.Path = "/callback/second"
			v := callback.Query()
			change(v, second)
			callback.RawQuery = v.Encode()
			requirePage(t, http.StatusBadRequest, b.get(callback.String()))
			require.Equal(t, middleware.LoginFailed, told.last(t).Kind)
			require.Equal(t, "nobody", b.who())
			require.Zero(t, first.Requests(oidctest.Token)+second.Requests(oidctest.Token))
		})
	}
	s, first, second := twoProviders(t)
	b := s.browser(t)
	require.Equal(t, http.StatusOK, b.get("/callback").StatusCode, "there is no callback for all")
	// The answer of the first one with the issuer of the second.
	callback := b.beginWith(first, "/login?provider=first", "alice")
	requirePage(t, http.StatusBadRequest, b.get(strings.Replace(callback, url.QueryEscape(first.Issuer()), url.QueryEscape(second.Issuer()), 1)))
	require.Zero(t, first.Requests(oidctest.Token)+second.Requests(oidctest.Token))
}

// Users choose on a page, which leads on to where they were going.
func TestSeveralProviders(t *testing.T) {
	t.Parallel()
	s, first, second := twoProviders(t)
	b := s.browser(t)
	for _, path := range []string{"/login?return_to=/one%3Fa&max_age=5", "/login?return_to=/one%3Fa&max_age=5&provider=", "/login?return_to=/one%3Fa&max_age=5&provider=third"} {
		res := b.get(path)
		requirePage(t, http.StatusOK, res)
		require.Contains(t, res.body, "The First")
		for _, id := range []string{"first", "second"} {
			require.Contains(t, res.body, `href="/login?max_age=5&amp;provider=`+id+`&amp;return_to=%2Fone%3Fa"`)
		}
		require.Empty(t, res.Header.Values("Set-Cookie"))
	}
	requireRedirect(t, "/one?a", b.get(b.beginWith(second, "/login?provider=second&return_to=/one%3Fa", "bob")))
	require.Equal(t, bobSubject, b.who())
	requireRedirect(t, "/", b.get(b.beginWith(first, "/login?provider=first", "alice")))
	require.Equal(t, aliceSubject, b.who())
	// A stray callback begins at the provider that it is of.
	b.lose()
	requireRedirect(t, "/login?provider=second&restart=1&return_to=%2F", b.get("/callback/second?state=x&code=x"))
}

// Choose decides for the request, or for where it leads, and no parameter overrules it.
func TestChooseDecides(t *testing.T) {
	t.Parallel()
	tenant := func(r *http.Request) string {
		if r.Header.Get("X-Bad") != "" {
			return "third"
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if id == "login" || id == "open" {
			return ""
		}
		return id
	}
	s, first, second := twoProviders(t, func(c *middleware.LoginConfig) { c.Choose = tenant })
	b := s.browser(t)
	requireRedirect(t, "/second/x", b.get(b.beginWith(second, "/login?return_to=/second/x", "bob")))
	requireRedirect(t, "/first/x", b.get(b.beginWith(first, "/login?return_to=/first/x&provider=second", "alice")))
	requirePage(t, http.StatusOK, b.get("/login?return_to=/open/x"))
	requireRedirect(t, "/open/x", b.get(b.beginWith(second, "/login?return_to=/open/x&provider=second", "bob")))
	requirePage(t, http.StatusInternalServerError, b.get("/login?return_to=/open/x", "X-Bad", "1"))
	requirePage(t, http.StatusInternalServerError, b.get("/login?return_to=/third/x"))
}

// F26: whoever asks for a login gets one at a provider of ours, and ends within the
// application. Nobody else is asked anything.
func TestF26_InitiatedLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	own, issuer := s.url.String(), s.provider.Issuer()
	for name, tt := range map[string]struct {
		asked url.Values
		want  string // "" is an error page
		hint  string
	}{
		"issuer alone":     {url.Values{"iss": {issuer}}, "/", ""},
		"target":           {url.Values{"iss": {issuer}, "target_link_uri": {own + "/one?a=b%20c#d"}}, "/one?a=b%20c", ""},
		"hint":             {url.Values{"iss": {issuer}, "login_hint": {"alice é"}}, "/", "alice é"},
		"long hint":        {url.Values{"iss": {issuer}, "login_hint": {strings.Repeat("x", 257)}}, "/", ""},
		"odd hint":         {url.Values{"iss": {issuer}, "login_hint": {"a\r\nb"}}, "/", ""},
		"other parameters": {url.Values{"iss": {issuer}, "return_to": {"/two"}, "scope": {"x"}, "prompt": {"none"}}, "/", ""},
		"no issuer":        {url.Values{"target_link_uri": {own + "/one"}}, "", ""},
		"empty issuer":     {url.Values{"iss": {""}}, "", ""},
		"other issuer":     {url.Values{"iss": {"https://evil.example"}}, "", ""},
		"issuer, slash":    {url.Values{"iss": {issuer + "/"}}, "", ""},
		"issuer twice":     {url.Values{"iss": {issuer, issuer}}, "", ""},
		"target twice":     {url.Values{"iss": {issuer}, "target_link_uri": {own, own}}, "", ""},
		"hint twice":       {url.Values{"iss": {issuer}, "login_hint": {"a", "b"}}, "", ""},
		"other host":       {url.Values{"iss": {issuer}, "target_link_uri": {"https://evil.example/one"}}, "/", ""},
		"other port":       {url.Values{"iss": {issuer}, "target_link_uri": {"http://127.0.0.1:1/one"}}, "/", ""},
		"other scheme":     {url.Values{"iss": {issuer}, "target_link_uri": {"https" + strings.TrimPrefix(own, "http") + "/one"}}, "/", ""},
		"user":             {url.Values{"iss": {issuer}, "target_link_uri": {strings.Replace(own, "//", "//a@", 1) + "/one"}}, "/", ""},
		"user that is us":  {url.Values{"iss": {issuer}, "target_link_uri": {own + "@evil.example/one"}}, "/", ""},
		"path":             {url.Values{"iss": {issuer}, "target_link_uri": {"/one"}}, "/", ""},
		"script":           {url.Values{"iss": {issuer}, "target_link_uri": {"javascript:alert(1)"}}, "/", ""},
		"two slashes":      {url.Values{"iss": {issuer}, "target_link_uri": {own + "//evil.example"}}, "/", ""},
		"backslash":        {url.Values{"iss": {issuer}, "target_link_uri": {own + "/\\evil.example"}}, "/", ""},
		"our own route":    {url.Values{"iss": {issuer}, "target_link_uri": {own + "/logout"}}, "/", ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+name, func(t *testing.T) {
				b := s.browser(t)
				var res reply
				if method == http.MethodGet {
					res = b.get("/login/initiate?" + tt.asked.Encode())
				} else {
					res = b.post("/login/initiate?iss=https://evil.example&target_link_uri=x", tt.asked, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Sec-Fetch-Mode", "navigate")
				}
				if tt.want == "" {
					requirePage(t, http.StatusBadRequest, res)
					require.Empty(t, b.flowCookies())
					return
				}
				require.Equal(t, http.StatusSeeOther, res.StatusCode)
				asked := queryOf(t, res.location())
				require.Equal(t, tt.hint, asked.Get("login_hint"))
				require.False(t, asked.Has("prompt"))
				callback, err := s.provider.Login(t.Context(), res.location(), "alice")
				require.NoError(t, err)
				requireRedirect(t, tt.want, b.get(callback.String()))
			})
		}
	}
	require.Equal(t, 1, s.provider.Requests(oidctest.Discovery))
	requirePage(t, http.StatusBadRequest, s.browser(t).send(http.MethodPost, "/login/initiate", strings.NewReader(`{"iss":"x"}`), "Content-Type", "application/json"))
	requirePage(t, http.StatusBadRequest, s.browser(t).get("/login/initiate?iss=%zz"))
}

// F26: with several providers, the issuer says at which of them, and Choose has the last word.
func TestF26_InitiatedLoginAtOneOfSeveral(t *testing.T) {
	t.Parallel()
	s, first, second := twoProviders(t)
	for _, p := range []*oidctest.Provider{first, second} {
		s.browser(t).beginWith(p, "/login/initiate?iss="+url.QueryEscape(p.Issuer()), "alice")
	}
	requirePage(t, http.StatusBadRequest, s.browser(t).get("/login/initiate?iss=https://evil.example"))

	s, first, second = twoProviders(t, func(c *middleware.LoginConfig) { c.Choose = func(*http.Request) string { return "first" } })
	s.browser(t).beginWith(first, "/login/initiate?iss="+url.QueryEscape(first.Issuer()), "alice")
	requirePage(t, http.StatusBadRequest, s.browser(t).get("/login/initiate?iss="+url.QueryEscape(second.Issuer())))
}

// With a path in PublicURL a target is below it.
func TestF26_TargetBelowThePathOfPublicURL(t *testing.T) {
	t.Parallel()
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: anyClient(t), PublicURL: "https://App.example:443/a/b", EphemeralKeys: true})
	require.NoError(t, err)
	for uri, want := range map[string]string{
		"https://app.example/a/b/c?d": "/a/b/c?d", "https://app.example:443/a/b": "/a/b", "HTTPS://APP.EXAMPLE/a/b/c": "/a/b/c",
		"https://app.example/": "/a/b/", "https://app.example/c": "/a/b/", "https://app.example/a/bc": "/a/b/", "https://app.example/a/b/../c": "/a/b/",
		"https://app.example:444/a/b/c": "/a/b/", "https://app.example.evil.example/a/b/c": "/a/b/", "": "/a/b/", "https:app.example/a/b/c": "/a/b/",
	} {
		require.Equal(t, want, middleware.TargetLink(l, uri), uri)
	}
}

// What a script of the application may know of the session, and no more.
func TestSessionInformation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	own := s.url.String()
	b := s.browser(t)
	headers := func(res reply) {
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Resource-Policy"))
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
		require.Empty(t, res.Header.Values("Set-Cookie"))
	}
	res := b.get("/login/session", "Origin", "https://evil.example")
	headers(res)
	require.JSONEq(t, `{"logged_in":false,"login_url":"`+own+`/login"}`, res.body)

	b.logIn("alice")
	now := s.provider.Now().UTC()
	res = b.get("/login/session", "Origin", "https://evil.example")
	headers(res)
	require.Equal(t, http.StatusOK, res.StatusCode)
	at := func(d time.Duration) string {
		text, err := now.Add(d).MarshalText()
		require.NoError(t, err)
		return string(text)
	}
	requireAbout(t, res.body, map[string]any{
		"logged_in": true, "iss": s.provider.Issuer(), "sub": aliceSubject, "login_url": own + "/login", "logout_url": own + "/logout",
		"logged_in_at": at(0), "refreshed_at": at(0), "expires_at": at(8 * time.Hour),
	})
	require.NotContains(t, res.body, "eyJ")

	// Asking for it does not keep the session from idling.
	for range 5 {
		s.provider.Advance(20 * time.Minute)
		res = b.get("/login/session")
	}
	headers(res)
	require.JSONEq(t, `{"logged_in":false,"login_url":"`+own+`/login"}`, res.body)
}

// It names the provider if there are several, and its own paths as browsers see them.
func TestSessionInformationOfSeveralProviders(t *testing.T) {
	t.Parallel()
	s, _, second := twoProviders(t)
	b := s.browser(t)
	b.get(b.beginWith(second, "/login?provider=second", "bob"))
	require.Contains(t, b.get("/login/session").body, `"provider":"second"`)

	l, err := middleware.NewLogin(middleware.LoginConfig{Client: anyClient(t), PublicURL: "https://app.example/a/b", EphemeralKeys: true})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	l.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login/session", http.NoBody))
	require.JSONEq(t, `{"logged_in":false,"login_url":"https://app.example/a/b/login"}`, w.Body.String())
}

// brokenStore is one that does not answer.
type brokenStore struct{ middleware.Store }

func (brokenStore) Find(string) ([]byte, bool, error)      { return nil, false, http.ErrServerClosed }
func (brokenStore) Commit(string, []byte, time.Time) error { return http.ErrServerClosed }

// While it is not known who it is, nobody is told that he is nobody.
func TestSessionStoreDown(t *testing.T) {
	t.Parallel()
	good := newSite(t, func(c *middleware.LoginConfig) { c.Store = middleware.NewMemoryStore(10) })
	bad := newSiteAt(t, good.provider, func(c *middleware.LoginConfig) { c.PublicURL, c.Store = good.url.String(), brokenStore{} })
	b := good.browser(t)
	b.logIn("alice")
	other := good.browser(t)
	callback := other.begin("bob", "/one")
	jar := oidctest.NewCookieJar()
	for _, from := range []*browser{b, other} {
		jar.SetCookies(bad.url, from.jar.Cookies(good.url))
	}
	c := bad.browser(t)
	c.jar, c.http.Jar = jar, jar
	res := c.get("/login/session")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	// The same word wherever a program gets it.
	require.JSONEq(t, `{"error":"sessions_unavailable"}`, res.body)
	require.JSONEq(t, `{"error":"sessions_unavailable"}`, c.get("/private/", fetch...).body)
	require.Contains(t, c.get("/callback?state=x&code=x", program...).body, `"error":"sessions_unavailable"`)

	stray := bad.url.String() + "/callback?state=x&code=x"
	requirePage(t, http.StatusServiceUnavailable, c.get(stray))
	u, err := url.Parse(callback)
	require.NoError(t, err)
	u.Host = bad.url.Host
	res = c.get(u.String())
	requirePage(t, http.StatusServiceUnavailable, res)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
}
