package middleware_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

var (
	navigate  = []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}
	program   = []string{"Accept", "*/*"}
	fetch     = []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"}
	roleClaim = claims.P("realm_access", "roles")
)

// guard puts handlers behind RequireLogin, at their paths.
func (s *site) guard(require map[string][]middleware.Requirement) {
	mux := http.NewServeMux()
	mux.Handle("/", s.pages())
	for path, r := range require {
		mux.Handle(path, s.login.RequireLogin(whoever, r...))
	}
	s.handler = s.login.Handler(mux)
}

// whoever says who is asking by PrincipalFrom.
var whoever = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p, ok := middleware.PrincipalFrom(r.Context())
	if !ok {
		_, _ = io.WriteString(w, "nobody")
		return
	}
	if _, ok := p.Session(); ok {
		_, _ = io.WriteString(w, "session ")
	}
	_, _ = io.WriteString(w, p.Subject)
})

// A shakyStore is one of this process, which can be down.
type shakyStore struct {
	middleware.Store
	down atomic.Bool
}

func newShakyStore() *shakyStore { return &shakyStore{Store: middleware.NewMemoryStore(1000)} }

var errShaky = errors.New("the store is down")

func (s *shakyStore) Find(token string) ([]byte, bool, error) {
	if s.down.Load() {
		return nil, false, errShaky
	}
	return s.Store.Find(token)
}

func (s *shakyStore) Commit(token string, b []byte, expiry time.Time) error {
	if s.down.Load() {
		return errShaky
	}
	return s.Store.Commit(token, b, expiry)
}

func (s *shakyStore) Delete(token string) error {
	if s.down.Load() {
		return errShaky
	}
	return s.Store.Delete(token)
}

// in keeps sessions in a store.
func in(store middleware.Store) func(*middleware.LoginConfig) {
	return func(c *middleware.LoginConfig) { c.Store = store }
}

func TestF46_RequireLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const path = "/private/a?b=c&d"
	for _, tt := range []struct {
		name     string
		method   string
		headers  []string
		redirect bool
	}{
		{"navigation", "GET", navigate, true},
		{"navigation without Accept", "GET", []string{"Sec-Fetch-Mode", "navigate"}, true},
		{"old browser", "GET", []string{"Accept", "text/html,*/*"}, true},
		{"fetch", "GET", fetch, false},
		{"fetch that wants HTML", "GET", []string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, false},
		{"websocket", "GET", []string{"Sec-Fetch-Mode", "websocket", "Accept", "text/html"}, false},
		{"picture", "GET", []string{"Sec-Fetch-Mode", "no-cors", "Accept", "text/html"}, false},
		{"program", "GET", program, false},
		{"program that says nothing", "GET", []string{"Accept", ""}, false},
		{"old browser, two fields", "GET", []string{"Accept", "application/json", "Accept", "Text/HTML"}, true},
		{"program that wants JSON", "GET", []string{"Accept", "application/json"}, false},
		{"fetch that posts", "POST", fetch, false},
		{"program that posts", "POST", program, false},
		{"fetch that deletes", "DELETE", append([]string{"Accept", "text/html"}, fetch...), false},
		{"old script that deletes", "DELETE", []string{"Accept", "text/html"}, false},
		{"preflight", "OPTIONS", []string{"Accept", "*/*", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := s.browser(t).do(tt.method, path, tt.headers...)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Contains(t, res.Header.Values("Vary"), "Cookie")
			if tt.redirect {
				requireRedirect(t, "/login?return_to=%2Fprivate%2Fa%3Fb%3Dc%26d", res)
				return
			}
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			require.Equal(t, "application/json", res.Header.Get("Content-Type"))
			require.NotEmpty(t, res.Header.Get("WWW-Authenticate"))
			require.JSONEq(t, `{"error":"login_required","login_url":"`+s.url.String()+`/login"}`, res.body)
		})
	}
	// It ends where it was going.
	b := s.browser(t)
	requireRedirect(t, path, b.get(b.beginAt(b.get(path, navigate...).location(), "alice")))
	require.Equal(t, aliceSubject, b.get(path).body)
}

// Somebody who has filled in a form for an hour is told that it was not saved, and comes back to
// the page that it is on.
func TestF46_FormAfterTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		name, referer, returnTo string
	}{
		{"page of ours", "OWN/articles/new?id=7", "/articles/new?id=7"},
		{"another site", "https://evil.example/private/", ""},
		{"another port", "http://127.0.0.1:1/private/", ""},
		{"our host after a name", "http://user@HOST/x", "/x"},
		{"none", "", ""},
		{"no URL", "http://%zz", ""},
		{"the logout", "OWN/logout?x", ""},
		{"what browsers could take for another host", "OWN//evil.example", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			referer := strings.ReplaceAll(strings.ReplaceAll(tt.referer, "OWN", s.url.String()), "HOST", s.url.Host)
			res := s.browser(t).post("/private/", url.Values{"text": {"long"}}, append([]string{"Referer", referer}, navigate...)...)
			requirePage(t, http.StatusUnauthorized, res)
			require.NotEmpty(t, res.Header.Get("WWW-Authenticate"))
			want := `href="` + s.url.String() + `/login"`
			if tt.returnTo != "" {
				want = `href="` + s.url.String() + `/login?return_to=` + url.QueryEscape(tt.returnTo) + `"`
			}
			require.Contains(t, res.body, want)
			require.NotContains(t, res.body, "evil")
		})
	}
}

// RequireLogin without Handler in front lets nobody through, and says to the log
// whose mistake it is.
func TestM10_RequireLoginAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	for name, h := range map[string]http.Handler{
		"RequireLogin": s.login.RequireLogin(s.pages()),
		"Either":       middleware.Either(&middleware.Bearer{}, s.login, s.pages()),
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/private/", http.NoBody)
		for name, value := range b.sessionCookies() {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusInternalServerError, w.Code, name)
		require.NotContains(t, w.Body.String(), aliceSubject, name)
	}
	require.Contains(t, s.logged(), "RequireLogin")
	_, ok := middleware.SessionFrom(t.Context())
	require.False(t, ok)
	_, ok = middleware.PrincipalFrom(t.Context())
	require.False(t, ok)
}

// Handler alone lets everybody through, and makes nobody a principal that nothing has asked for.
func TestM10_HandlerAloneRequiresNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.handler = s.login.Handler(whoever)
	b := s.browser(t)
	require.Equal(t, "nobody", b.who())
	b.logIn("alice")
	require.Equal(t, "nobody", b.who())
}

// A session of one Login opens nothing that another guards.
func TestRequireLoginIsOfOneLogin(t *testing.T) {
	t.Parallel()
	named := func(name string) func(*middleware.LoginConfig) {
		return func(c *middleware.LoginConfig) { c.CookieName = name }
	}
	admin, customers := newSite(t, named("admin")), newSite(t, named("customers"))
	panel := admin.login.RequireLogin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := middleware.SessionFrom(r.Context())
		require.True(t, ok)
		p, ok := middleware.PrincipalFrom(r.Context())
		require.True(t, ok)
		require.Equal(t, s.Issuer(), p.Issuer)
		_, _ = io.WriteString(w, s.Issuer())
	}))
	for name, both := range map[string]http.Handler{
		"admin outside": admin.login.Handler(customers.login.Handler(panel)),
		"admin inside":  customers.login.Handler(admin.login.Handler(panel)),
	} {
		for _, tt := range []struct {
			site   *site
			status int
		}{{customers, http.StatusUnauthorized}, {admin, http.StatusOK}} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/panel", http.NoBody)
			b := tt.site.browser(t)
			b.logIn("alice")
			for _, c := range b.jar.Cookies(tt.site.url) {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			both.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code, name)
			if tt.status == http.StatusOK {
				require.Equal(t, admin.provider.Issuer(), w.Body.String(), name)
			}
		}
	}
}

// Nobody is sent to log in because we do not know who it is: that would lead in a circle, or
// have somebody log in who is logged in.
func TestF46_OutageIsNoLogin(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSite(t, in(store))
	b := s.browser(t)
	b.logIn("alice")
	store.down.Store(true)
	for _, headers := range [][]string{navigate, fetch, nil} {
		res := b.get("/private/", headers...)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, res.body)
		require.NotEmpty(t, res.Header.Get("Retry-After"))
		require.Empty(t, res.Header.Values("Set-Cookie"), "the session is not lost")
		require.NotContains(t, res.body, errShaky.Error())
	}
	require.Equal(t, "nobody", b.get("/").body, "what needs no login goes on")
	store.down.Store(false)
	s.provider.Advance(time.Minute)
	require.Equal(t, aliceSubject, b.get("/private/").body)
}

func TestRequireLoginWithRoles(t *testing.T) {
	t.Parallel()
	mapper, err := claims.NewMapper(claims.Mapping{Roles: claims.ListClaim{Paths: []claims.Pattern{pattern(t, "realm_access.roles")}}})
	require.NoError(t, err)
	s := newSite(t, func(c *middleware.LoginConfig) { c.Mapper = mapper })
	s.guard(map[string][]middleware.Requirement{
		"/admin":    {middleware.RequireUser(), middleware.RequireRole(roleClaim, "admin")},
		"/any":      {middleware.RequireAnyRole(roleClaim, "editor", "user")},
		"/mapped":   {middleware.RequireMappedRoles("admin", "user")},
		"/machine":  {middleware.RequireMachine()},
		"/audience": {middleware.RequireAudience("https://api.example.com")},
		"/client":   {middleware.RequireAudience(oidctest.ClientID), middleware.RequireScopes("openid")},
		"/scope":    {middleware.RequireScopes("write"), middleware.RequireACR("gold")},
		"/none":     {middleware.Requirement{}},
		"/outage": {middleware.RequireFunc(func(*middleware.Principal) error {
			return &oidckit.UnavailableError{What: "rights", RetryAfter: 7 * time.Second, Err: oidckit.ErrInvalidToken}
		})},
	})
	s.provider.OnTokenResponse(func(r map[string]any) { r["scope"] = "openid" })
	alice, bob := s.browser(t), s.browser(t)
	alice.logIn("alice")
	bob.logIn("bob")
	for _, tt := range []struct {
		b      *browser
		path   string
		status int
	}{
		{alice, "/admin", 200},
		{bob, "/admin", 403},
		{alice, "/any", 200},
		{bob, "/any", 200},
		{alice, "/mapped", 200},
		{bob, "/mapped", 403},
		{alice, "/machine", 403},
		{alice, "/audience", 403}, // a session is no token that could be invalid
		{alice, "/client", 200},
		{alice, "/scope", 403}, // a login in another way would not give it either
		{alice, "/none", 403},
		{alice, "/outage", 503},
		{s.browser(t), "/admin", 401},
		{s.browser(t), "/outage", 401},
	} {
		res := tt.b.get(tt.path, program...)
		require.Equal(t, tt.status, res.StatusCode, tt.path)
		switch tt.status {
		case 200:
			require.Equal(t, "session "+map[*browser]string{alice: aliceSubject, bob: bobSubject}[tt.b], res.body)
			require.Equal(t, "private", res.Header.Get("Cache-Control"))
		case 503:
			require.Equal(t, "7", res.Header.Get("Retry-After"))
		default:
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		}
	}
	requirePage(t, http.StatusForbidden, bob.get("/admin", navigate...))
	require.Contains(t, s.logged(), "admin", "the log says which")
	require.NotContains(t, bob.get("/admin", navigate...).body, "admin", "the page does not")
	require.Equal(t, bobSubject, bob.who(), "and is logged in as before")
}

func pattern(t *testing.T, text string) claims.Pattern {
	t.Helper()
	p, err := claims.ParsePattern(text)
	require.NoError(t, err)
	return p
}

// Who has to log in otherwise is sent to do that, and comes back.
func TestRequireLoginStepsUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	acr := "silver"
	s.provider.OnIDToken(func(_, c map[string]any) { c["acr"] = acr })
	s.guard(map[string][]middleware.Requirement{
		"/pay":   {middleware.RequireACR("gold", "platinum"), middleware.RequireMaxAge(5 * time.Minute)},
		"/fresh": {middleware.RequireMaxAge(0)},
	})
	b := s.browser(t)
	requireRedirect(t, "/login?return_to=%2Fpay", b.get("/pay", navigate...)) // nobody logs in first
	b.logIn("alice")

	start := b.get("/pay?to=bob", navigate...)
	requireRedirect(t, "/login?acr_values=gold+platinum&max_age=300&return_to=%2Fpay%3Fto%3Dbob", start)
	res := b.get("/pay", fetch...)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.JSONEq(t, `{"error":"insufficient_user_authentication","login_url":"`+s.url.String()+`/login?acr_values=gold+platinum\u0026max_age=300"}`, res.body)
	res = b.post("/pay", nil, append([]string{"Referer", s.url.String() + "/cart"}, navigate...)...)
	requirePage(t, http.StatusUnauthorized, res)
	require.Equal(t, []string{"Cookie"}, res.Header["Www-Authenticate"])
	require.Contains(t, res.body, `href="`+s.url.String()+`/login?acr_values=gold&#43;platinum&amp;max_age=300&amp;return_to=%2Fcart"`)

	toProvider := b.get(start.location()).location()
	asked, err := url.Parse(toProvider)
	require.NoError(t, err)
	require.Equal(t, "gold platinum", asked.Query().Get("acr_values"))
	require.Equal(t, "300", asked.Query().Get("max_age"))
	acr = "gold"
	callback, err := s.provider.Login(t.Context(), toProvider, "alice")
	require.NoError(t, err)
	requireRedirect(t, "/pay?to=bob", b.get(callback.String()))
	require.Equal(t, "session "+aliceSubject, b.get("/pay").body)

	s.provider.Advance(2 * time.Minute)
	requireRedirect(t, "/login?max_age=0&return_to=%2Ffresh", b.get("/fresh", navigate...))
	require.Equal(t, "session "+aliceSubject, b.get("/pay").body)
	s.provider.Advance(5 * time.Minute)
	require.Equal(t, http.StatusUnauthorized, b.get("/pay", program...).StatusCode)
}

// A step-up is at the provider of the session: another one has never seen the user.
func TestRequireLoginStepsUpAtTheProvider(t *testing.T) {
	t.Parallel()
	s, second := newSiteOfTwo(t)
	s.guard(map[string][]middleware.Requirement{"/pay": {middleware.RequireACR("gold")}})
	b := s.browser(t)
	b.logInAt(second, "alice")
	requireRedirect(t, "/login?acr_values=gold&provider=two&return_to=%2Fpay", b.get("/pay", navigate...))
}

// F20: what another site makes a browser send counts for nothing, if it is not safe and has a
// session.
func TestF20_RequestsOfOtherSites(t *testing.T) {
	t.Parallel()
	trusted := http.NewCrossOriginProtection()
	require.NoError(t, trusted.AddTrustedOrigin("https://friend.example"))
	for name, configure := range map[string]func(*middleware.LoginConfig){
		"default": func(*middleware.LoginConfig) {},
		"own":     func(c *middleware.LoginConfig) { c.CrossOrigin = trusted },
	} {
		s := newSite(t, configure)
		reached := 0
		s.handler = s.login.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
		b := s.browser(t)
		b.logIn("alice")
		friend := name == "own"
		for _, tt := range []struct {
			name    string
			method  string
			headers []string
			passes  bool
		}{
			{"a link elsewhere", "GET", []string{"Sec-Fetch-Site", "cross-site"}, true},
			{"a form of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, true},
			{"typed", "POST", []string{"Sec-Fetch-Site", "none"}, true},
			{"a form elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, false},
			{"a form of a sibling", "POST", []string{"Sec-Fetch-Site", "same-site"}, false},
			{"fetch elsewhere", "DELETE", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
			{"a site that lies", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", s.url.String()}, !friend}, // no browser says that
			{"a friend", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://friend.example"}, friend},
			{"old browser", "POST", []string{"Origin", s.url.String()}, true},
			{"old browser, elsewhere", "POST", []string{"Origin", "https://evil.example"}, false},
			{"old browser, sandbox", "POST", []string{"Origin", "null"}, false},
			{"program", "POST", nil, true},
			{"WebSocket of ours", "GET", []string{"Upgrade", "websocket", "Origin", s.url.String()}, true},
			{"WebSocket elsewhere", "GET", []string{"Upgrade", "websocket", "Origin", "https://evil.example"}, false},
			{"WebSocket elsewhere, new browser", "GET", []string{"Upgrade", "WebSocket", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		} {
			reached = 0
			res := b.do(tt.method, "/form", append([]string{"Accept", "text/html"}, tt.headers...)...)
			if tt.passes {
				require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", name, tt.name)
				require.Equal(t, 1, reached)
				continue
			}
			require.Zero(t, reached, "%s: %s", name, tt.name)
			requirePage(t, http.StatusForbidden, res)
			require.Contains(t, res.Header.Values("Vary"), "Cookie")

			// It is the session that must not be used; nobody's requests are the program's own.
			require.Equal(t, http.StatusOK, s.browser(t).do(tt.method, "/form", tt.headers...).StatusCode, tt.name)
			// A cookie that is no session might be one tomorrow.
			other := s.browser(t)
			other.set(sessionName, "x")
			require.Equal(t, http.StatusForbidden, other.do(tt.method, "/form", tt.headers...).StatusCode, tt.name)
		}
	}
}

// A proxy may have changed Host, and PublicURL tells what browsers see.
func TestF20_OriginIsThatOfPublicURL(t *testing.T) {
	t.Parallel()
	var own *http.CrossOriginProtection
	for _, protection := range []*http.CrossOriginProtection{nil, http.NewCrossOriginProtection()} {
		own = protection
		s := newSite(t, func(c *middleware.LoginConfig) { c.CrossOrigin = own })
		b := s.browser(t)
		b.logIn("alice")
		for origin, status := range map[string]int{s.url.String(): 200, "http://backend:8080": 200, "https://evil.example": 403} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://backend:8080/", http.NoBody)
			for _, c := range b.jar.Cookies(s.url) {
				r.AddCookie(c)
			}
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, origin)
		}
	}
}

// Another site must not keep a session from idling.
func TestF20_RefusedRequestsDoNotKeepTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	for range 8 {
		s.provider.Advance(8 * time.Minute)
		res := b.do(http.MethodPost, "/", "Sec-Fetch-Site", "cross-site")
		require.Equal(t, http.StatusForbidden, res.StatusCode)
		require.Empty(t, res.Header.Values("Set-Cookie"))
	}
	require.Equal(t, "nobody", b.who())
}

// F44: what is guarded is the handler, whatever a path may be spelled like.
func TestF44_PathsGuardNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	mux, reached := http.NewServeMux(), 0
	secret := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })
	mux.Handle("/private/", s.login.RequireLogin(secret))
	mux.Handle("/private/admin", s.login.RequireLogin(secret, middleware.RequireRole(roleClaim, "admin")))
	s.handler = s.login.Handler(mux)
	bob := s.browser(t)
	bob.logIn("bob")
	for _, path := range []string{
		"/private/", "/private/x", "/private/?a=/login", "/private/%3flogin", "/private/;login", "/%70rivate/", "/private/%2e%2e/private/",
		"/login/../private/", "/login/%2e%2e/private/", "/private//x", "/private/x%00", "/private/login", "/private/callback", "/private/logout",
		"/private/admin", "/private/%61dmin", "/private/admin?x",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "LOGIN"} {
			r := httptest.NewRequestWithContext(t.Context(), method, "http://app.example"+path, http.NoBody)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			require.Zero(t, reached, "%s %s", method, path)
		}
		if strings.Contains(path, "dmin") {
			require.Equal(t, http.StatusForbidden, bob.get(path).StatusCode)
			require.Zero(t, reached, path)
		}
	}
}

// The application below a path of its host, whether or not the proxy takes that path away, and
// whatever handlers in between take away.
func TestRequireLoginComesBackBelowPublicURL(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys, stoppedClock)
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, p, ""), PublicURL: "https://example.com/app", Keys: testKeys, Now: p.Now})
	require.NoError(t, err)
	mux := http.NewServeMux()
	for _, base := range []string{"", "/app"} {
		mux.Handle(base+"/private/", http.StripPrefix(base+"/private", l.RequireLogin(whoever)))
	}
	h := l.Handler(mux)
	for _, path := range []string{"/app/private/x%20y?z", "/private/x%20y?z"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, "https://example.com/app/login?return_to=%2Fapp%2Fprivate%2Fx%2520y%3Fz", w.Header().Get("Location"), path)
		r.Header.Del("Accept")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.JSONEq(t, `{"error":"login_required","login_url":"https://example.com/app/login"}`, w.Body.String())
	}
}

// Needs 39: whatever path a stranger makes somebody ask for, the login ends here.
func TestNeeds39_RequireLoginComesBackHere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := s.login.Handler(s.login.RequireLogin(whoever))
	for _, target := range []string{
		"//evil.example", "//evil.example/%2f..", "/%5cevil.example", "/%09/evil.example", "/a//evil.example", "/..//evil.example", "http://evil.example/", "/x?return_to=//evil.example",
		"/logout", "/login/session",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		u, err := url.ParseRequestURI(target)
		require.NoError(t, err)
		r.URL = u
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		to, err := url.Parse(w.Header().Get("Location"))
		require.NoError(t, err)
		if to.Path == "/login" {
			requireLocal(t, to.Query().Get("return_to"))
			require.False(t, strings.HasPrefix(to.Query().Get("return_to"), "//"), target)
		}
	}
}

// Needs 40: what a script gets is what it can read: no redirect, and where to send the user.
func TestNeeds40_ScriptsGet401(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		res := b.do(method, "/private/api", fetch...)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.Empty(t, res.location())
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.Empty(t, res.Header.Values("Set-Cookie"))
	}
	require.Zero(t, s.provider.Requests(oidctest.Discovery))
}

// Needs 32: an account is issuer and subject, and an address is no more than what the provider
// says of it.
func TestNeeds32_IssuerAndSubjectAreTheAccount(t *testing.T) {
	t.Parallel()
	mapper, err := claims.NewMapper(claims.Mapping{Email: claims.TextClaim{Paths: []claims.Path{claims.P("email")}}})
	require.NoError(t, err)
	s := newSite(t, func(c *middleware.LoginConfig) { c.Mapper = mapper })
	var keys []string
	s.handler = s.login.Handler(s.login.RequireLogin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session, _ := middleware.SessionFrom(r.Context())
		p, _ := middleware.PrincipalFrom(r.Context())
		require.Equal(t, session.Issuer()+session.Subject(), p.Issuer+p.Subject)
		id, err := session.Identity(r.Context())
		require.NoError(t, err)
		require.Equal(t, "same@example.com", id.Email)
		require.Equal(t, p.Subject == aliceSubject, id.EmailVerified)
		keys = append(keys, p.Issuer+" "+p.Subject)
	})))
	change := func(c map[string]any) { c["email"] = "same@example.com" }
	s.provider.OnIDToken(func(_, c map[string]any) { change(c) })
	s.provider.OnUserInfo(change)
	for _, user := range []string{"alice", "bob"} {
		b := s.browser(t)
		b.logIn(user)
		b.get("/")
	}
	require.Equal(t, []string{s.provider.Issuer() + " " + aliceSubject, s.provider.Issuer() + " " + bobSubject}, keys)
}

// A handler that never asks for the principal has it made by nobody; one that does has one that
// stays what it is.
func TestPrincipalOfASession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var got *middleware.Principal
	s.handler = s.login.Handler(s.login.RequireLogin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = middleware.PrincipalFrom(r.Context())
		again, _ := middleware.PrincipalFrom(r.Context())
		require.Same(t, got, again)
	})))
	b := s.browser(t)
	b.logIn("alice")
	b.get("/")
	require.NotNil(t, got)
	session, ok := got.Session()
	require.True(t, ok)
	require.Equal(t, s.provider.Issuer(), got.Issuer)
	require.Equal(t, aliceSubject, got.Subject)
	require.Equal(t, oidctest.ClientID, got.ClientID)
	require.Equal(t, []string{oidctest.ClientID}, got.Audience)
	require.True(t, got.Expiry.Equal(session.Expires()))
	require.False(t, got.IssuedAt.IsZero())
	require.Equal(t, session.Claims().Raw(), got.Claims.Raw())
	require.Equal(t, oidc.Confirmation{}, got.Confirmation)
}

// What cannot be judged any more is no reason to refuse somebody for good.
func TestSessionOfAnotherVersionLogsInAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		require []middleware.Requirement
		status  int
	}{
		{nil, http.StatusOK}, // nobody asks for its claims
		{[]middleware.Requirement{middleware.RequireRole(roleClaim, "admin")}, http.StatusUnauthorized},
		{[]middleware.Requirement{middleware.RequireUser()}, http.StatusUnauthorized},
	} {
		w := httptest.NewRecorder()
		h := middleware.HandlerOfAnotherVersion(s.login, s.login.RequireLogin(reached, tt.require...))
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		require.Equal(t, tt.status, w.Code)
	}
}

// A slice that the program changes later changes no rule.
func TestRequireLoginKeepsItsRequirements(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	strict := []middleware.Requirement{middleware.RequireMachine()}
	guarded := s.login.RequireLogin(reached, strict...)
	either := middleware.Either(&middleware.Bearer{}, s.login, reached, strict...)
	strict[0] = middleware.RequireUser()
	b := s.browser(t)
	b.logIn("alice")
	for _, h := range []http.Handler{guarded, either} {
		s.handler = s.login.Handler(h)
		require.Equal(t, http.StatusForbidden, b.get("/").StatusCode)
	}
}

// F20: a form of another site comes without the cookie that SameSite=Lax withholds, and so is
// nobody's. Whoever is logged in is not told that his session has ended.
func TestF20_FormOfAnotherSiteWithoutItsCookie(t *testing.T) {
	t.Parallel()
	var told steps
	called := 0
	s := newSite(t, told.trace, func(c *middleware.LoginConfig) {
		c.Unauthenticated = func(http.ResponseWriter, *http.Request, string) { called++ }
	})
	for name, headers := range map[string][]string{
		"browser":     {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"},
		"sibling":     {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"},
		"old browser": {"Origin", "https://evil.example", "Accept", "text/html"},
	} {
		res := s.browser(t).post("/private/", url.Values{"to": {"bob"}}, headers...)
		requirePage(t, http.StatusForbidden, res)
		require.ErrorIs(t, told.last(t).Err, middleware.ErrCrossSite, name)
		require.ErrorIs(t, told.last(t).Err, oidckit.ErrForbidden, name)
	}
	require.Zero(t, called)
	s.browser(t).post("/private/", nil, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
	require.Equal(t, 1, called)
}

// F46, needs 40: who is a person and who is a program is the same for every answer.
func TestF46_Needs40_PeopleAndPrograms(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSite(t, in(store))
	s.guard(map[string][]middleware.Requirement{"/admin": {middleware.RequireRole(roleClaim, "admin")}})
	bob := s.browser(t)
	bob.logIn("bob")
	for _, tt := range []struct {
		headers []string
		person  bool
	}{
		{navigate, true},
		{[]string{"Sec-Fetch-Mode", "navigate", "Accept", "application/json"}, true},
		{[]string{"Accept", "Text/HTML"}, true},
		{[]string{"Accept", "application/json", "Accept", "text/html"}, true},
		{fetch, false},
		{[]string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, false},
		{program, false},
		{[]string{"Accept", "application/json, */*"}, false},
		{[]string{"Accept", ""}, false},
	} {
		store.down.Store(false)
		s.provider.Advance(time.Minute) // the store is tried again
		html := "text/html; charset=utf-8"
		nobody, forbidden := s.browser(t).get("/admin", tt.headers...), bob.get("/admin", tt.headers...)
		store.down.Store(true)
		outage := bob.get("/admin", tt.headers...)
		require.Equal(t, http.StatusForbidden, forbidden.StatusCode)
		require.Equal(t, http.StatusServiceUnavailable, outage.StatusCode)
		require.Equal(t, tt.person, nobody.StatusCode == http.StatusSeeOther, tt.headers)
		require.Equal(t, tt.person, forbidden.Header.Get("Content-Type") == html, tt.headers)
		require.Equal(t, tt.person, outage.Header.Get("Content-Type") == html, tt.headers)
	}
}

// Needs 40: a preflight has no cookie. It passes where the program says so, and nothing else
// does with it.
func TestNeeds40_Preflight(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin", "https://spa.example", "Access-Control-Request-Method", "POST", "Sec-Fetch-Mode", "cors"}
	for _, pass := range []bool{true, false} {
		s := newSite(t, func(c *middleware.LoginConfig) { c.PassPreflight = pass })
		want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[pass]
		require.Equal(t, want, s.browser(t).do(http.MethodOptions, "/private/", preflight...).StatusCode)
		for _, headers := range [][]string{preflight[:2], preflight[2:], append([]string{"Authorization", "Basic x"}, preflight...)} {
			require.Equal(t, http.StatusUnauthorized, s.browser(t).do(http.MethodOptions, "/private/", append([]string{"Sec-Fetch-Mode", "cors"}, headers...)...).StatusCode)
		}
		require.Equal(t, http.StatusUnauthorized, s.browser(t).do(http.MethodGet, "/private/", preflight...).StatusCode)
		// Without Handler in front nobody passes.
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/private/", http.NoBody)
		r.Header.Set("Origin", "https://spa.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		s.login.RequireLogin(reached).ServeHTTP(w, r)
		require.Equal(t, http.StatusInternalServerError, w.Code)
	}
}

// Needs 40: the answer to who has to log in may be the program's own.
func TestNeeds40_Unauthenticated(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *middleware.LoginConfig) {
		c.Unauthenticated = func(w http.ResponseWriter, _ *http.Request, loginURL string) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, loginURL)
		}
	})
	s.guard(map[string][]middleware.Requirement{"/pay": {middleware.RequireACR("gold")}, "/admin": {middleware.RequireRole(roleClaim, "admin")}})
	own := s.url.String()
	b := s.browser(t)
	answers := func(want string, res reply) {
		require.Equal(t, http.StatusTeapot, res.StatusCode)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(t, own+want, res.body)
	}
	answers("/login?return_to=%2Fpay%3Fa%3Db", b.get("/pay?a=b", navigate...))
	answers("/login", b.get("/pay?a=b", fetch...))
	answers("/login?return_to=%2Fcart", b.post("/pay", nil, append([]string{"Referer", own + "/cart"}, navigate...)...))
	b.logIn("bob")
	answers("/login?acr_values=gold&return_to=%2Fpay", b.get("/pay", navigate...))
	requirePage(t, http.StatusForbidden, b.get("/admin", navigate...))
}
