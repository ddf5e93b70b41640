package middleware_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// steps collects what the Trace of a Login is told.
type steps struct {
	mu  sync.Mutex
	all []middleware.LoginStep
}

func (s *steps) trace(c *middleware.LoginConfig) {
	c.Trace = &middleware.LoginTrace{Step: func(_ context.Context, step middleware.LoginStep) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, step)
	}}
}

func (s *steps) kinds() (kinds []middleware.LoginStepKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.all {
		kinds = append(kinds, step.Kind)
	}
	return kinds
}

// last is the step of before, whose reason a test looks at.
func (s *steps) last(t *testing.T) middleware.LoginStep {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotEmpty(t, s.all)
	return s.all[len(s.all)-1]
}

func queryOf(t *testing.T, raw string) url.Values {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u.Query()
}

func formPost(c *middleware.LoginConfig) { c.FormPost = true }

// posted is what the browser posts where a provider answers by a form.
func (b *browser) posted(callback string, headers ...string) reply {
	b.t.Helper()
	u, err := url.Parse(callback)
	require.NoError(b.t, err)
	form := u.Query()
	u.RawQuery = ""
	return b.post(u.String(), form, headers...)
}

// F42: the code leaves no trace in the address bar, in caches or in what a browser tells the
// next site. F06, F07, F08, needs 33 and 34: PKCE, state and nonce are in every login.
func TestF42_Needs33_Needs34_Login(t *testing.T) {
	t.Parallel()
	var told steps
	s := newSite(t, told.trace)
	b := s.browser(t)
	require.Equal(t, "nobody", b.who())

	start := b.get("/login")
	requireRedirect(t, start.location(), start)
	require.True(t, strings.HasPrefix(start.location(), s.provider.Issuer()+string(oidctest.Authorization)+"?"))
	asked := queryOf(t, start.location())
	require.Equal(t, "S256", asked.Get("code_challenge_method"))
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		require.Len(t, asked.Get(name), 43, name)
	}
	require.False(t, asked.Has("response_mode"))
	callback, err := s.provider.Login(t.Context(), start.location(), "alice")
	require.NoError(t, err)
	require.Len(t, b.flowCookies(), 1)

	requireRedirect(t, "/", b.get(callback.String()))
	require.Equal(t, aliceSubject, b.who())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
	require.Equal(t, 1, s.provider.Requests(oidctest.UserInfo))
	require.Equal(t, []middleware.LoginStepKind{middleware.LoginStarted, middleware.LoginFinished}, told.kinds())
	require.NotEmpty(t, told.all[0].Flow)
	require.Equal(t, told.all[0].Flow, told.all[1].Flow, "the steps of a login have one name")
	require.Equal(t, "nobody", s.browser(t).who(), "another browser")
}

// F06: a code that was somebody else's is of no use in another login, whose verifier is another.
func TestF06_InjectedCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	victim, attacker := s.browser(t), s.browser(t)
	stolen := queryOf(t, victim.begin("alice", "")).Get("code")
	callback, err := url.Parse(attacker.begin("bob", ""))
	require.NoError(t, err)
	v := callback.Query()
	v.Set("code", stolen)
	callback.RawQuery = v.Encode()
	requirePage(t, http.StatusBadRequest, attacker.get(callback.String()))
	require.Equal(t, "nobody", attacker.who())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// F07: PKCE is there whatever the provider's metadata say of it, or do not say.
func TestF07_Needs33_PKCEWhateverTheMetadataSay(t *testing.T) {
	t.Parallel()
	for _, methods := range []string{"", `"code_challenge_methods_supported":["plain"],`, `"code_challenge_methods_supported":[],`} {
		s := newSite(t)
		s.provider.SetFault(oidctest.Discovery, oidctest.Fault{Body: strings.Replace(bareMetadata(s.provider), "{", "{"+methods, 1)})
		b := s.browser(t)
		asked := queryOf(t, b.get("/login").location())
		require.Equal(t, "S256", asked.Get("code_challenge_method"))
		require.Len(t, asked.Get("code_challenge"), 43)
		require.NotEqual(t, asked.Get("code_challenge"), queryOf(t, b.get("/login").location()).Get("code_challenge"))
	}
}

// F08: a nonce that is missing or empty is not the one of the login.
func TestF08_Needs34_Nonce(t *testing.T) {
	t.Parallel()
	for _, nonce := range []any{nil, "", "x", 1, []string{"x"}} {
		var told steps
		s := newSite(t, told.trace)
		b := s.browser(t)
		s.provider.OnIDToken(func(_, c map[string]any) {
			c["nonce"] = nonce
			if nonce == nil {
				delete(c, "nonce")
			}
		})
		requirePage(t, http.StatusBadRequest, b.get(b.begin("alice", "")))
		var refused *oidc.Error
		require.ErrorAs(t, told.last(t).Err, &refused)
		require.Equal(t, oidc.ReasonNonce, refused.Reason)
		require.Empty(t, b.sessionCookies())
	}
}

// F44: a path is a route of ours if it is that path, and else a page like any other: nothing
// is skipped for what looks like one.
func TestF44_RoutesAreExact(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{
		"/login/", "/LOGIN", "/login;x", "/login%2f", "/login%3f", "//login", "/x/login", "/login/session/", "/login/initiatex", "/callback/x", "/logout/frontchannel", "/logout%00",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RequestURI = path
		var err error
		r.URL, err = url.ParseRequestURI(path)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		s.login.Handler(s.login.RequireLogin(http.NotFoundHandler())).ServeHTTP(w, r)
		require.Equal(t, http.StatusUnauthorized, w.Code, path)
	}
}

func TestWithoutUserInfo(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *middleware.LoginConfig) { c.WithoutUserInfo = true })
	b := s.browser(t)
	b.logIn("bob")
	require.Equal(t, bobSubject, b.who())
	require.Zero(t, s.provider.Requests(oidctest.UserInfo))
}

// bareMetadata are those of a provider without userinfo and logout.
func bareMetadata(p *oidctest.Provider) string {
	return strings.ReplaceAll(`{"issuer":"ISS","authorization_endpoint":"ISS/authorize","token_endpoint":"ISS/token",`+
		`"jwks_uri":"ISS/jwks","response_types_supported":["code"],"subject_types_supported":["public"],`+
		`"id_token_signing_alg_values_supported":["ES256"]}`, "ISS", p.Issuer())
}

func TestNoUserInfoEndpoint(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.provider.SetFault(oidctest.Discovery, oidctest.Fault{Body: bareMetadata(s.provider)})
	b := s.browser(t)
	b.logIn("alice")
	require.Equal(t, aliceSubject, b.who())
	require.Zero(t, s.provider.Requests(oidctest.UserInfo))
}

// F47, needs 17: two tabs do not disturb each other.
func TestF47_Needs17_TwoTabs(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(*middleware.LoginConfig){"query": func(*middleware.LoginConfig) {}, "form_post": formPost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, mode)
			w := newWindow(t, s.login, s.url.String())
			one, two := w.begin("/one", s.provider, "alice"), w.begin("/two", s.provider, "bob")
			require.Equal(t, "/two", w.answer(two).Header.Get("Location"))
			require.Equal(t, bobSubject, w.who())
			require.Equal(t, "/one", w.answer(one).Header.Get("Location"))
			require.Equal(t, aliceSubject, w.who())
			require.Equal(t, 2, s.provider.Requests(oidctest.Token))
		})
	}
}

// A window is a browser with all the cookies of a host, Secure or not, whatever the site is
// that makes it send a request: what SameSite does is looked at in the cookies themselves.
type window struct {
	t       *testing.T
	handler http.Handler
	public  string
	cookies map[string]*http.Cookie
}

func newWindow(t *testing.T, l *middleware.Login, public string) *window {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session, ok := middleware.SessionFrom(r.Context()); ok {
			_, _ = w.Write([]byte(session.Subject()))
			return
		}
		_, _ = w.Write([]byte("nobody"))
	})
	return &window{t, l.Handler(who), public, map[string]*http.Cookie{}}
}

func (w *window) do(method, target string, form url.Values) *http.Response {
	w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = w.public + target
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range w.cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	w.t.Cleanup(func() { _ = res.Body.Close() })
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(w.cookies, c.Name)
			continue
		}
		w.cookies[c.Name] = c
	}
	return res
}

func (w *window) get(target string) *http.Response { return w.do(http.MethodGet, target, nil) }

// begin returns the URL of the callback, which has the parameters in its query whatever the
// response mode is.
func (w *window) begin(returnTo string, p *oidctest.Provider, username string) string {
	w.t.Helper()
	res := w.get("/login?" + url.Values{"return_to": {returnTo}}.Encode())
	require.Equal(w.t, http.StatusSeeOther, res.StatusCode)
	callback, err := p.Login(w.t.Context(), res.Header.Get("Location"), username)
	require.NoError(w.t, err)
	if queryOf(w.t, res.Header.Get("Location")).Get("response_mode") == "form_post" {
		callback.Fragment = "form_post"
	}
	return callback.String()
}

// answer brings a callback as the provider would have the browser do.
func (w *window) answer(callback string) *http.Response {
	w.t.Helper()
	callback, mode, _ := strings.Cut(callback, "#")
	if mode == "" {
		return w.get(callback)
	}
	u, err := url.Parse(callback)
	require.NoError(w.t, err)
	form := u.Query()
	u.RawQuery = ""
	return w.do(http.MethodPost, u.String(), form)
}

func (w *window) who() string {
	w.t.Helper()
	res := w.get("/")
	buf := make([]byte, 100)
	n, _ := res.Body.Read(buf)
	return string(buf[:n])
}

// F18, F16, needs 18: cookies of logins are Lax, and None only where the provider has the
// browser post; by https they have the prefix that keeps other hosts from setting them.
func TestF18_Needs18_SameSiteByResponseMode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, public, prefix string
		formPost             bool
		sameSite             http.SameSite
		secure               bool
	}{
		{"query, https", "https://client.example", "__Host-", false, http.SameSiteLaxMode, true},
		{"form_post, https", "https://client.example", "__Host-", true, http.SameSiteNoneMode, true},
		{"query, loopback", "http://127.0.0.1:8080", "", false, http.SameSiteLaxMode, false},
		{"form_post, loopback", "http://127.0.0.1:8080", "", true, http.SameSiteNoneMode, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.Start(t, fastKeys)
			l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, p, ""), PublicURL: tt.public, Keys: testKeys, FormPost: tt.formPost})
			require.NoError(t, err)
			w := newWindow(t, l, tt.public)
			res := w.get("/login")
			require.Equal(t, tt.formPost, queryOf(t, res.Header.Get("Location")).Get("response_mode") == "form_post")
			require.Len(t, res.Cookies(), 1)
			require.Equal(t, 35*60, res.Cookies()[0].MaxAge, "a bit longer than the flow, to tell where it was to end")
			callback := w.begin("/x", p, "alice")
			done := w.answer(callback)
			require.Equal(t, "/x", done.Header.Get("Location"))
			require.Equal(t, aliceSubject, w.who())
			flows := 0
			for _, c := range append(res.Cookies(), done.Cookies()...) {
				require.True(t, strings.HasPrefix(c.Name, tt.prefix+"oidckit_"), c.Name)
				require.True(t, c.HttpOnly)
				require.Equal(t, "/", c.Path)
				require.Empty(t, c.Domain)
				if strings.HasPrefix(c.Name, tt.prefix+sessionName) {
					require.NotEqual(t, http.SameSiteNoneMode, c.SameSite, "that of a session is no other site's business")
					require.Equal(t, tt.prefix != "", c.Secure)
					continue
				}
				flows++
				require.Equal(t, tt.sameSite, c.SameSite, c.Name)
				require.Equal(t, tt.secure, c.Secure, c.Name)
				require.Positive(t, c.MaxAge)
			}
			require.GreaterOrEqual(t, flows, 2)
		})
	}
}

// On https a cookie without the prefix counts for nothing: anybody may have set it.
func TestF16_CookieWithoutPrefix(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys)
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, p, ""), PublicURL: "https://client.example", Keys: testKeys})
	require.NoError(t, err)
	w := newWindow(t, l, "https://client.example")
	callback := w.begin("/x", p, "alice")
	for name, c := range w.cookies {
		delete(w.cookies, name)
		c.Name = strings.TrimPrefix(name, "__Host-")
		w.cookies[c.Name] = c
	}
	require.NotEqual(t, "/x", w.answer(callback).Header.Get("Location"))
	require.Zero(t, p.Requests(oidctest.Token))
}

// requireFresh checks that a callback that belongs to no login began one, at the start page's.
func requireFresh(t *testing.T, res reply) {
	t.Helper()
	requireRedirect(t, "/login?restart=1&return_to=%2F", res)
}

// F04 login CSRF, and F16 and F17 what can be done with cookies: no login of somebody else's,
// no request to the provider. The browser may log in itself, once.
func TestF04_F16_F17_AttemptCookie(t *testing.T) {
	t.Parallel()
	flip := func(s string) string {
		if s[20] == 'A' {
			return s[:20] + "B" + s[21:]
		}
		return s[:20] + "A" + s[21:]
	}
	login := func(t *testing.T, s *site, change func(*middleware.LoginConfig)) *middleware.Login {
		cfg := middleware.LoginConfig{Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: testKeys}
		change(&cfg)
		l, err := middleware.NewLogin(cfg)
		require.NoError(t, err)
		return l
	}
	foreign := func(change func(*middleware.LoginConfig)) func(*testing.T, *browser, string, string) {
		return func(t *testing.T, b *browser, name, _ string) {
			// A login of another application, in the cookie of this one.
			w := httptest.NewRecorder()
			login(t, b.site, change).Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody))
			b.set(name, w.Result().Cookies()[0].Value)
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, b *browser, name, value string)
	}{
		{"F04 none", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "") }},
		{"F04 of another login", func(t *testing.T, b *browser, name, _ string) {
			b.jar = oidctest.NewCookieJar()
			b.http.Jar = b.jar
			b.begin("alice", "")
		}},
		{"F17 of another login, under this name", func(t *testing.T, b *browser, name, _ string) {
			other := b.site.browser(t)
			other.begin("alice", "/elsewhere")
			for _, value := range other.flowCookies() {
				b.set(name, value)
			}
		}},
		{"F16 tampered", func(_ *testing.T, b *browser, name, value string) { b.set(name, flip(value)) }},
		{"F16 cut", func(_ *testing.T, b *browser, name, value string) { b.set(name, value[:len(value)-4]) }},
		{"F16 too short", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "AAAA") }},
		{"F16 no base64", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "!!!") }},
		{"F16 padded", func(_ *testing.T, b *browser, name, value string) { b.set(name, value+"=") }},
		{"F17 of another process with a key of its own", foreign(func(c *middleware.LoginConfig) { c.Keys, c.EphemeralKeys = nil, true })},
		{"F17 of another application with the same keys", foreign(func(c *middleware.LoginConfig) { c.PublicURL = "https://other.example" })},
		{"F17 of another Login with the same keys", foreign(func(c *middleware.LoginConfig) { c.CookieName = "other" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.browser(t)
			callback := b.begin("alice", "/wanted")
			for name, value := range b.flowCookies() {
				tt.change(t, b, name, value)
			}
			requireFresh(t, b.get(callback))
			require.Equal(t, "nobody", b.who())
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Equal(t, "nobody", b.who())
			require.Zero(t, s.provider.Requests(oidctest.Token))
		})
	}
}

// F05: a callback is answered once, by whatever process.
func TestF05_ReplayAtAnotherReplica(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/wanted")
	requireRedirect(t, "/wanted", b.get(callback))
	b.lose()
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: testKeys, Now: s.provider.Now})
	require.NoError(t, err)
	s.handler = l.Handler(http.NotFoundHandler())
	requireRedirect(t, "/login?restart=1&return_to=%2Fwanted", b.get(callback))
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// F12, F14: where a login ends is looked at again when it does: meanwhile it may have become
// a path of ours.
func TestF12_F14_ReturnToIsCheckedWhenUsed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/wanted")
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: testKeys, Now: s.provider.Now, LoginPath: "/wanted"})
	require.NoError(t, err)
	s.handler = l.Handler(http.NotFoundHandler())
	requireRedirect(t, "/", b.get(callback))
}

// F19: a login that no cookie has room for is told, and does not get lost.
func TestF19_FlowTooLargeForACookie(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer(), HTTPClient: p.HTTPClient()})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, Resources: []string{"https://api.example/" + strings.Repeat("x", 3000)}})
	require.NoError(t, err)
	b := newSiteAt(t, p, func(c *middleware.LoginConfig) { c.Client = client }).browser(t)
	res := b.get("/login")
	requirePage(t, http.StatusInternalServerError, res)
	require.Empty(t, res.Header.Values("Set-Cookie"))
}

// F17: an application has its own logins, and not those of another that has the same keys and
// the same client.
func TestF17_AttemptOfAnotherApplication(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, s.provider, ""), PublicURL: other.url.String(), Keys: testKeys, Now: s.provider.Now})
	require.NoError(t, err)
	here, there := newWindow(t, s.login, s.url.String()), newWindow(t, l, other.url.String())
	callback := here.begin("/wanted", s.provider, "alice")
	there.cookies = here.cookies
	require.NotEqual(t, "/wanted", there.answer(strings.Replace(callback, s.url.Host, other.url.Host, 1)).Header.Get("Location"))
	require.Equal(t, "nobody", there.who())
	require.Zero(t, s.provider.Requests(oidctest.Token))
}

// F17: the key that sealed the cookie of a login may be replaced meanwhile.
func TestF17_AttemptSurvivesARotationOfKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/wanted")
	for _, keys := range [][]clientauth.Secret{{"another key of the tests"}, {"another key of the tests", testKeys[0]}} {
		l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, s.provider, ""), PublicURL: s.url.String(), Keys: keys, Now: s.provider.Now})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, callback, http.NoBody)
		for name, value := range b.flowCookies() {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		l.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		require.Equal(t, len(keys) == 2, w.Header().Get("Location") == "/wanted")
	}
}

// The last character of base64 may have bits that nobody reads. A cookie has one
// spelling all the same.
func TestF16_OneSpellingOfACookie(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tried := 0
	for _, returnTo := range []string{"/", "/a", "/aa", "/aaa"} {
		s := newSite(t)
		b := s.browser(t)
		callback := b.begin("alice", returnTo)
		for name, value := range b.flowCookies() {
			b.set(name, value+"*") // what comes before it is whole, if its length is right
			requireFresh(t, b.get(callback))
			if len(value)%4 == 0 {
				continue
			}
			tried++
			last := len(value) - 1
			b.set(name, value[:last]+string(alphabet[strings.IndexByte(alphabet, value[last])^1]))
			requirePage(t, http.StatusBadRequest, b.get(callback))
		}
		require.Zero(t, s.provider.Requests(oidctest.Token))
	}
	require.Positive(t, tried)
}

// Two cookies of one name: one was planted, by a sibling host for instance.
func TestF16_CookiePlantedTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/wanted")
	for name, value := range b.flowCookies() {
		b.http.Jar = nil
		for _, both := range []string{
			name + "=" + value + "; " + name + "=planted", name + "=planted; " + name + "=" + value, name + "=" + value + "; " + name + "=" + value,
		} {
			requireFresh(t, b.get(callback, "Cookie", both))
		}
		require.Zero(t, s.provider.Requests(oidctest.Token))
		requireRedirect(t, "/wanted", b.get(callback, "Cookie", name+"="+value))
	}
}

// A cookie of a login is no session, whoever calls it one.
func TestF17_AttemptAsSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.begin("alice", "")
	for _, value := range b.flowCookies() {
		b.set(sessionName, value)
	}
	require.Equal(t, "nobody", b.who())
}

// F19, needs 17: five logins at a time, of which the oldest give way. What is over goes first.
func TestF19_Needs17_OldestAttemptsGiveWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.set("unrelated", "kept")
	b.set(flowPrefix+"unreadable______", "x")
	requireRedirect(t, "/over", b.get(b.begin("alice", "/over")))
	var callbacks []string
	for range 5 {
		s.provider.Advance(time.Second)
		callbacks = append(callbacks, b.begin("alice", "/wanted"))
		require.LessOrEqual(t, len(b.flowCookies()), 5)
	}
	require.Contains(t, b.cookies(), "unrelated")
	require.NotContains(t, b.cookies(), flowPrefix+"unreadable______")
	require.Len(t, b.flowCookies(), 5)
	s.provider.Advance(time.Second)
	callbacks = append(callbacks, b.begin("alice", "/wanted"))
	require.Len(t, b.flowCookies(), 5)
	requireRedirect(t, "/", b.get(callbacks[0]))
	for _, callback := range callbacks[1:] {
		requireRedirect(t, "/wanted", b.get(callback))
	}
	require.Equal(t, 6, s.provider.Requests(oidctest.Token))
}

// Those that are over go before those that are under way, however new they are.
func TestF19_AttemptsThatAreOverGoFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	oldest := b.begin("alice", "/oldest")
	for range 3 {
		s.provider.Advance(time.Second)
		b.begin("alice", "")
	}
	s.provider.Advance(time.Second)
	requireRedirect(t, "/over", b.get(b.begin("alice", "/over")))
	require.Len(t, b.flowCookies(), 5)
	b.begin("alice", "")
	require.Len(t, b.flowCookies(), 5)
	requireRedirect(t, "/oldest", b.get(oldest))
}

// A browser that brings a thousand of our cookies is not answered by a thousand headers.
func TestF19_ManyPlantedAttempts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody)
	for i := range 1000 {
		r.AddCookie(&http.Cookie{Name: flowPrefix + strings.Repeat("x", 1+i%40) + string(rune('a'+i%26)), Value: "x"})
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.LessOrEqual(t, len(w.Header().Values("Set-Cookie")), 21)
}

// F05, F09, F10, F01: what is wrong with a callback is found before anything is sent, and
// told on a page that does not repeat it.
func TestF05_F09_F10_CallbackParameters(t *testing.T) {
	t.Parallel()
	twice := func(name string) func(url.Values) {
		return func(v url.Values) { v.Add(name, "x"); v[name] = append(v[name], "x") }
	}
	tests := []struct {
		name   string
		change func(url.Values)
		status int
	}{
		{"F05 no state", func(v url.Values) { v.Del("state") }, 400},
		{"F05 empty state", func(v url.Values) { v.Set("state", "") }, 400},
		{"F05 long state", func(v url.Values) { v.Set("state", strings.Repeat("x", 20_000)) }, 400},
		{"F05 state that none of ours is as long as", func(v url.Values) { v.Set("state", strings.Repeat("x", 129)) }, 400},
		{"F10 state twice", func(v url.Values) { v.Add("state", v.Get("state")) }, 400},
		{"F10 code twice", func(v url.Values) { v.Add("code", "x") }, 400},
		{"F10 iss twice", func(v url.Values) { v.Add("iss", v.Get("iss")) }, 400},
		{"F10 error twice", twice("error"), 400},
		{"F10 description twice", twice("error_description"), 400},
		{"F01 other iss", func(v url.Values) { v.Set("iss", "https://evil.example") }, 400},
		{"F01 no iss", func(v url.Values) { v.Del("iss") }, 400},
		{"no code", func(v url.Values) { v.Del("code") }, 400},
		{"F09 code and error", func(v url.Values) { v.Set("error", "access_denied") }, 400},
		{"F41 ID token of another kind of answer", func(v url.Values) { v.Set("id_token", "x") }, 400},
		{"F41 response of another kind of answer", func(v url.Values) { v.Set("response", "x") }, 400},
		{"F09 access denied", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("error_description", "<script>alert(1)</script>")
		}, 403},
		{"F09 login required", func(v url.Values) { v.Del("code"); v.Set("error", "login_required") }, 403},
		{"F09 error of the provider", func(v url.Values) { v.Del("code"); v.Set("error", "temporarily_unavailable") }, 503},
		{"F09 another error", func(v url.Values) { v.Del("code"); v.Set("error", "<b>") }, 400},
		{"F09 error without a good state", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("state", "x")
		}, 400},
	}
	for _, tt := range tests {
		for name, mode := range map[string]func(*middleware.LoginConfig){"query": func(*middleware.LoginConfig) {}, "form_post": formPost} {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				var told steps
				s := newSite(t, mode, told.trace)
				w := newWindow(t, s.login, s.url.String())
				callback, err := url.Parse(w.begin("/wanted", s.provider, "alice"))
				require.NoError(t, err)
				v := callback.Query()
				tt.change(v)
				callback.RawQuery = v.Encode()
				res := w.answer(callback.String())
				require.Equal(t, tt.status, res.StatusCode)
				require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
				require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
				require.Equal(t, tt.status == 503, res.Header.Get("Retry-After") != "")
				require.Equal(t, "nobody", w.who())
				require.Zero(t, s.provider.Requests(oidctest.Token))
				require.Equal(t, middleware.LoginFailed, told.last(t).Kind)
				require.Error(t, told.last(t).Err)
				if code := v.Get("code"); len(code) > 1 {
					require.NotContains(t, s.logged(), code)
				}
			})
		}
	}
}

func TestF10_MalformedCallback(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	requirePage(t, http.StatusBadRequest, b.get(callback+"&x=%zz"))
	requirePage(t, http.StatusBadRequest, b.get(callback+"&a;b"))
	requirePage(t, http.StatusBadRequest, b.get(callback+"&x="+strings.Repeat("x", 64<<10)))
	require.Zero(t, s.provider.Requests(oidctest.Token))
	requireRedirect(t, "/", b.get(callback))
}

// F10, F41: where a form was asked for, the body counts alone, and it must be a form of a
// bounded size.
func TestF10_F41_FormPostIsReadFromTheBody(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, tt := range map[string]struct {
		contentType string
		body        func(answer string) string
		query       func(answer string) string
		good        bool
	}{
		"form":                 {form, same, blank, true},
		"form with a charset":  {form + "; charset=UTF-8", same, blank, true},
		"other query":          {form, same, func(string) string { return "code=x&state=x&iss=x&error=access_denied" }, true},
		"malformed query":      {form, same, func(string) string { return "%zz;" }, true},
		"query in its place":   {form, blank, same, false},
		"code in the query":    {form, func(a string) string { return strings.Replace(a, "code=", "x=", 1) }, same, false},
		"no content type":      {"", same, blank, false},
		"JSON":                 {"application/json", same, blank, false},
		"multipart":            {"multipart/form-data; boundary=x", same, blank, false},
		"malformed":            {form, func(a string) string { return a + "&x=%zz" }, blank, false},
		"64 KiB":               {form, func(a string) string { return a + "&x=" + strings.Repeat("x", 64<<10-len(a)-3) }, blank, true},
		"one byte more":        {form, func(a string) string { return a + "&x=" + strings.Repeat("x", 64<<10-len(a)-2) }, blank, false},
		"parameter that is in": {form, func(a string) string { return a + "&" + a }, blank, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, formPost)
			w := newWindow(t, s.login, s.url.String())
			callback, err := url.Parse(w.begin("/wanted", s.provider, "alice"))
			require.NoError(t, err)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callback", strings.NewReader(tt.body(callback.RawQuery)))
			r.URL.RawQuery = tt.query(callback.RawQuery)
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			for _, c := range w.cookies {
				r.AddCookie(c)
			}
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			require.Equal(t, tt.good, rec.Header().Get("Location") == "/wanted", rec.Code)
			if !tt.good {
				require.Equal(t, http.StatusBadRequest, rec.Code)
				require.Zero(t, s.provider.Requests(oidctest.Token))
			}
		})
	}
}

func same(s string) string { return s }
func blank(string) string  { return "" }

// F11, F41: each route has its methods, and no other uses a login up: not what looks at a
// link, and not an answer in another way than it was asked for.
func TestF11_Methods(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode     func(*middleware.LoginConfig)
		callback []string
	}{
		"query":     {func(*middleware.LoginConfig) {}, []string{http.MethodGet}},
		"form_post": {formPost, []string{http.MethodGet, http.MethodPost}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.mode)
			w := newWindow(t, s.login, s.url.String())
			callback := w.begin("/wanted", s.provider, "alice")
			at, _, _ := strings.Cut(callback, "#")
			for target, allowed := range map[string][]string{
				at: tt.callback, "/login": {http.MethodGet}, "/login/session": {http.MethodGet},
				"/login/initiate": {http.MethodGet, http.MethodPost},
			} {
				for _, method := range []string{
					http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "PROPFIND", "get",
				} {
					if strings.Contains(strings.Join(allowed, " "), method) {
						continue
					}
					res := w.do(method, target, nil)
					require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, method+" "+target)
					require.Equal(t, strings.Join(allowed, ", "), res.Header.Get("Allow"))
					require.Empty(t, res.Header.Values("Set-Cookie"))
				}
			}
			if name == "form_post" {
				require.Equal(t, http.StatusBadRequest, w.get(at).StatusCode, "a code in the query")
			}
			require.Zero(t, s.provider.Requests(oidctest.Token))
			require.Equal(t, "/wanted", w.answer(callback).Header.Get("Location"))
			require.Equal(t, aliceSubject, w.who())
		})
	}
}

func TestProviderDown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		down    oidctest.Endpoint
		atStart bool
	}{
		{"discovery", oidctest.Discovery, true},
		{"token", oidctest.Token, false},
		{"keys", oidctest.JWKS, false},
		{"userinfo", oidctest.UserInfo, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.browser(t)
			path := "/login?return_to=/wanted"
			if !tt.atStart {
				path = b.begin("alice", "/wanted")
			}
			s.provider.SetFault(tt.down, oidctest.Fault{Status: 502, Body: "secret of the provider"})
			res := b.get(path)
			requirePage(t, http.StatusServiceUnavailable, res)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.NotContains(t, res.body, "secret of the provider")
			require.NotContains(t, s.logged(), "secret of the provider")
			require.Equal(t, "nobody", b.who())
			s.provider.SetFault(tt.down, oidctest.Fault{})
			s.provider.Advance(2 * time.Minute)
			if !tt.atStart { // whoever reloads the page is sent to log in for where he was going
				requireRedirect(t, "/login?restart=1&return_to=%2Fwanted", b.get(path))
			}
			b.logIn("alice")
			require.Equal(t, aliceSubject, b.who())
		})
	}
}

func TestBadAnswersMakeNoSession(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*oidctest.Provider){
		"F08 nonce": func(p *oidctest.Provider) { p.OnIDToken(func(_, c map[string]any) { c["nonce"] = "x" }) },
		"audience":  func(p *oidctest.Provider) { p.OnIDToken(func(_, c map[string]any) { c["aud"] = "x" }) },
		"issuer": func(p *oidctest.Provider) {
			p.OnIDToken(func(_, c map[string]any) { c["iss"] = "https://evil.example" })
		},
		"alg none":    func(p *oidctest.Provider) { p.OnIDToken(func(h, _ map[string]any) { h["alg"] = "none" }) },
		"no ID token": func(p *oidctest.Provider) { p.OnTokenResponse(func(r map[string]any) { delete(r, "id_token") }) },
		"at_hash":     func(p *oidctest.Provider) { p.OnIDToken(func(_, c map[string]any) { c["at_hash"] = "x" }) },
		"F27 sub":     func(p *oidctest.Provider) { p.OnUserInfo(func(c map[string]any) { c["sub"] = bobSubject }) },
		"F27 no sub":  func(p *oidctest.Provider) { p.OnUserInfo(func(c map[string]any) { delete(c, "sub") }) },
		"userinfo 401": func(p *oidctest.Provider) {
			p.SetFault(oidctest.UserInfo, oidctest.Fault{Status: 401, Body: `{"error":"invalid_token"}`})
		},
		"invalid_grant": func(p *oidctest.Provider) {
			p.SetFault(oidctest.Token, oidctest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.browser(t)
			callback := b.begin("alice", "")
			bend(s.provider)
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Equal(t, "nobody", b.who())
			require.Empty(t, b.sessionCookies())
			require.Equal(t, 1, s.provider.Requests(oidctest.Token))
		})
	}
}

// The client is at fault, and neither the user nor the provider.
func TestConfigurationErrorIs500(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	s.provider.SetFault(oidctest.Token, oidctest.Fault{Status: 401, Body: `{"error":"invalid_client","error_description":"secret"}`})
	res := b.get(callback)
	requirePage(t, http.StatusInternalServerError, res)
	require.NotContains(t, res.body, "secret")
	require.Contains(t, s.logged(), "invalid_client")
}

// A failed login leaves the session of before alone.
func TestFailedLoginKeepsTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	callback := b.begin("bob", "")
	requirePage(t, http.StatusForbidden, b.get(strings.Replace(callback, "code=", "error=access_denied&x=", 1)))
	require.Equal(t, aliceSubject, b.who())
}

// Whoever leaves ends his own wait: nothing is left running, nobody logged in.
func TestCancelledCallback(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, callback, http.NoBody)
	for name, value := range b.flowCookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	require.GreaterOrEqual(t, w.Code, 400)
	for _, c := range w.Header().Values("Set-Cookie") {
		require.False(t, strings.HasPrefix(c, sessionName))
	}
}

func TestConcurrentLogins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var wg sync.WaitGroup
	for range 8 {
		b := s.browser(t)
		wg.Go(func() {
			res := b.get("/login")
			callback, err := s.provider.Login(t.Context(), res.location(), "alice")
			if err == nil {
				b.get(callback.String())
				b.logOut()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8, s.provider.Requests(oidctest.Token))
}

// What a step-up asks for is asked of the provider, and checked in the ID token.
func TestStartWithACRAndMaxAge(t *testing.T) {
	t.Parallel()
	var told steps
	s := newSite(t, told.trace)
	b := s.browser(t)
	res := b.get("/login?acr_values=gold+silver&max_age=60")
	asked := queryOf(t, res.location())
	require.Equal(t, "gold silver", asked.Get("acr_values"))
	require.Equal(t, "60", asked.Get("max_age"))
	s.provider.OnIDToken(func(_, c map[string]any) { c["acr"] = "bronze" })
	callback, err := s.provider.Login(t.Context(), res.location(), "alice")
	require.NoError(t, err)
	requirePage(t, http.StatusForbidden, b.get(callback.String()))
	var refused *oidc.Error
	require.ErrorAs(t, told.last(t).Err, &refused)
	require.Equal(t, oidc.ReasonAuthentication, refused.Reason)
	require.Equal(t, "nobody", b.who())

	for _, bad := range []string{"max_age=-1", "max_age=x", "max_age=99999999999", "acr_values=+", "acr_values=%0d", "acr_values=a%00", "acr_values=%C3%A9", "acr_values=" + strings.Repeat("x", 513)} {
		requirePage(t, http.StatusBadRequest, b.get("/login?"+bad))
	}
}

func anyClient(t testing.TB) *oidc.Client {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: "https://id.example"})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: "client"})
	require.NoError(t, err)
	return client
}

// requireAbout compares a JSON object, whose times may be cut to seconds.
func requireAbout(t *testing.T, got string, want map[string]any) {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(got), &object))
	for name, value := range want {
		text, isTime := value.(string)
		if isTime = isTime && strings.HasSuffix(name, "_at"); !isTime {
			require.Equal(t, value, object[name], name)
			continue
		}
		wanted, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		found, err := time.Parse(time.RFC3339, object[name].(string))
		require.NoError(t, err)
		require.WithinDuration(t, wanted, found, time.Second, name)
	}
	require.Len(t, object, len(want))
}
