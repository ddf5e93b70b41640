package middleware_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// openTabs starts as many logins at the same time as a browser does that opens its tabs of
// before: none has the cookie of another. It returns where the provider is asked, by the name of
// the login's cookie.
func (b *browser) openTabs(n int, returnTo string) map[string]string {
	b.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	asked := map[string]string{}
	for range n {
		wg.Go(func() {
			w := httptest.NewRecorder()
			path := "/login?" + url.Values{"return_to": {returnTo}}.Encode()
			b.site.handler.ServeHTTP(w, httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, path, http.NoBody))
			mu.Lock()
			defer mu.Unlock()
			for _, c := range w.Result().Cookies() {
				asked[c.Name] = w.Header().Get("Location")
				b.set(c.Name, c.Value)
			}
		})
	}
	wg.Wait()
	require.Len(b.t, b.flowCookies(), n)
	return asked
}

// attemptBytes is what the logins under way add to a request.
func (b *browser) attemptBytes() (size int) {
	for name, value := range b.flowCookies() {
		size += len(name + "=" + value + "; ")
	}
	return size
}

// F19, needs 17: whatever the browser does next, what it has too much of goes, and what is left
// leads to where it was to lead.
func TestF19_Needs17_TabsThatBeginTogether(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*browser, map[string]string){
		"a page":        func(b *browser, _ map[string]string) { b.get("/", navigate...) },
		"a guarded one": func(b *browser, _ map[string]string) { b.get("/private/", navigate...) },
		"a login":       func(b *browser, _ map[string]string) { b.get("/login") },
		"a callback": func(b *browser, asked map[string]string) {
			for _, at := range asked { // any of them
				callback, err := b.site.provider.Login(b.t.Context(), at, "alice")
				require.NoError(b.t, err)
				requireRedirect(b.t, "/wanted", b.get(callback.String()))
				return
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.browser(t)
			asked := b.openTabs(20, "/wanted")
			require.Empty(t, b.get("/", fetch...).Header.Values("Set-Cookie"), "a page with many fetches")
			next(b, asked)
			require.LessOrEqual(t, b.attemptBytes(), 6<<10)
			require.Len(t, b.flowCookies(), 5)
			finished := 0
			for name := range b.flowCookies() {
				at, ok := asked[name]
				if !ok {
					continue // the one that next began
				}
				callback, err := s.provider.Login(t.Context(), at, "alice")
				require.NoError(t, err)
				requireRedirect(t, "/wanted", b.get(callback.String()))
				finished++
			}
			require.GreaterOrEqual(t, finished, 4)
		})
	}
}

// Requests that come at the same time drop the same logins, and not all of them.
func TestF19_Needs17_RequestsTogetherDropTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.openTabs(20, "/wanted")
	had := b.jar.Cookies(s.url)
	for range 8 {
		rand.Shuffle(len(had), func(i, j int) { had[i], had[j] = had[j], had[i] })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		for _, c := range had {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		b.jar.SetCookies(s.url, w.Result().Cookies())
	}
	require.Len(t, b.flowCookies(), 5)
}

// Few large ones are too many as well.
func TestF19_Needs17_BytesOfAttempts(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("x", 900)
	s := newSite(t)
	b := s.browser(t)
	b.openTabs(5, long)
	require.Greater(t, b.attemptBytes(), 6<<10)
	b.get("/", navigate...)
	require.LessOrEqual(t, b.attemptBytes(), 6<<10)
	require.Greater(t, len(b.flowCookies()), 1)

	one := s.browser(t)
	for range 5 {
		s.provider.Advance(time.Second)
		callback := one.begin("alice", long)
		require.LessOrEqual(t, one.attemptBytes(), 6<<10)
		requireRedirect(t, long, one.get(callback))
		require.LessOrEqual(t, one.attemptBytes(), 6<<10)
	}
}

// Two providers of one application, and a Choose that names another than the callback is of:
// the user is asked, and is not sent to log in where he has no account.
func TestF01_StrayCallbackOfAnotherTenant(t *testing.T) {
	t.Parallel()
	s, first, second := twoProviders(t, func(c *middleware.LoginConfig) {
		c.Choose = func(r *http.Request) string {
			if r.URL.Path == "/" {
				return "first"
			}
			return ""
		}
	})
	b := s.browser(t)
	res := b.get("/callback/second?state=x&code=x")
	requireRedirect(t, "/login?provider=second&restart=1&return_to=%2F", res)
	res = b.get(res.location())
	requirePage(t, http.StatusBadRequest, res)
	require.Contains(t, res.body, `href="/login"`, "he may log in where he is")
	require.Empty(t, b.flowCookies())

	b = s.browser(t)
	res = b.get("/callback/first?state=x&code=x")
	b.beginWith(first, res.location(), "alice")

	// Where Choose leaves it open, the callback says it.
	b = s.browser(t)
	callback := b.beginWith(second, "/login?provider=second&return_to=/both", "alice")
	s.provider.Advance(oidc.FlowLifetime)
	second.Advance(oidc.FlowLifetime)
	res = b.get(callback)
	requireRedirect(t, "/login?provider=second&restart=1&return_to=%2Fboth", res)
}

// Needs 19: whoever comes by another host of ours is sent to that of PublicURL first, where the
// cookie of the login is when he comes back.
func TestNeeds19_WhoeverComesByAnotherHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	other := "http://localhost:" + s.url.Port()
	for _, path := range []string{"/private/", "/private/x?y=z"} {
		to := s.url.String() + "/login?return_to=" + url.QueryEscape(path)
		requireRedirect(t, to, b.get(other+path, navigate...))
		requireRedirect(t, path, b.get(b.beginAt(to, "alice")))
		b.lose()
	}
	require.Equal(t, 2, s.provider.Requests(oidctest.Token))
	require.JSONEq(t, `{"error":"login_required","login_url":"`+s.url.String()+`/login"}`, b.get(other+"/private/", fetch...).body)
	res := b.post(other+"/private/", nil, navigate...)
	requirePage(t, http.StatusUnauthorized, res)
	require.Contains(t, res.body, `href="`+s.url.String()+`/login"`)
}

// Needs 35: some have the provider send browsers back to the callback after a logout. Without
// any parameter it is no answer, and leads to the start page.
func TestNeeds35_CallbackWithoutParameters(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		configure      func(*middleware.LoginConfig)
		base, callback string
	}{
		"default":                {func(*middleware.LoginConfig) {}, "", "/callback"},
		"form_post":              {formPost, "", "/callback"},
		"the path of Deploy":     {func(c *middleware.LoginConfig) { c.CallbackPath = "/login/external-login" }, "", "/login/external-login"},
		"a PublicURL with path":  {func(c *middleware.LoginConfig) { c.PublicURL += "/app" }, "/app", "/app/callback"},
		"both":                   {func(c *middleware.LoginConfig) { c.PublicURL += "/app"; c.CallbackPath = "/login/external-login" }, "/app", "/app/login/external-login"},
		"a proxy takes the path": {func(c *middleware.LoginConfig) { c.PublicURL += "/app" }, "/app", "/callback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiteAt(t, oidctest.Start(t, fastKeys, stoppedClock, func(c *oidctest.Config) {
				client := oidctest.DefaultClient()
				client.RedirectURIs = []string{"http://127.0.0.1" + tt.base + strings.TrimPrefix(tt.callback, tt.base)}
				c.Clients = []oidctest.Client{client}
			}), tt.configure)
			b := s.browser(t)
			requireRedirect(t, tt.base+"/", b.get(tt.callback, navigate...))
			callback := b.beginAt(tt.base+"/login", "alice")
			if name == "form_post" {
				b.posted(callback)
			} else {
				b.get(callback)
			}
			require.NotEmpty(t, b.sessionCookies())
			requireRedirect(t, tt.base+"/", b.get(tt.callback, navigate...)) // logged in as he is
			require.NotEmpty(t, b.sessionCookies())
		})
	}
}
