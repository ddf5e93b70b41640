package middleware_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A site is a web application with a provider, over real HTTP.
type site struct {
	provider *oidctest.Provider
	login    *middleware.Login
	url      *url.URL
	mu       sync.Mutex
	log      bytes.Buffer
}

func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// newSite starts an application. The functions change its Login before it is used.
func newSite(t *testing.T, configure ...func(*middleware.Login)) *site {
	t.Helper()
	s := &site{provider: oidctest.Start(t, fastKeys, stoppedClock)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.url = &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}
	s.login = &middleware.Login{
		Client: newClient(t, s.provider, s.url.String()+"/callback"),
		Logger: slog.New(slog.NewTextHandler(s, nil)), Now: s.provider.Now,
	}
	for _, f := range configure {
		f(s.login)
	}
	server.Config.Handler = s.login.Handler(s.pages())
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// fastKeys spares each test the making of an RSA key.
func fastKeys(c *oidctest.Config) { c.Algorithm = "ES256" }

// stoppedClock moves by Advance alone.
func stoppedClock(c *oidctest.Config) {
	now := time.Now()
	c.Now = func() time.Time { return now }
}

func newClient(t *testing.T, p *oidctest.Provider, redirectURL string) *oidc.Client {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer(), Now: p.Now, HTTPClient: p.HTTPClient()})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: redirectURL,
	})
	require.NoError(t, err)
	return client
}

// pages shows who is logged in at every path, and nobody else at /private.
func (s *site) pages() http.Handler {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session, ok := middleware.SessionFrom(r.Context()); ok {
			_, _ = io.WriteString(w, session.Subject())
			return
		}
		_, _ = io.WriteString(w, "nobody")
	})
	mux := http.NewServeMux()
	mux.Handle("/", who)
	mux.Handle("/private/", s.login.RequireLogin(who))
	return mux
}

// A browser keeps cookies and shows every redirect.
type browser struct {
	t    *testing.T
	site *site
	jar  *cookiejar.Jar
	http *http.Client
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, s, jar, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A reply is a response whose body has been read.
type reply struct {
	*http.Response
	body string
}

func (r reply) location() string { return r.Header.Get("Location") }

func (b *browser) do(method, path string, headers ...string) reply {
	b.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.site.url.String() + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, http.NoBody)
	require.NoError(b.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	res, err := b.http.Do(r)
	require.NoError(b.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return reply{res, string(body)}
}

func (b *browser) get(path string, headers ...string) reply {
	b.t.Helper()
	return b.do(http.MethodGet, path, headers...)
}

// begin starts a login and returns where the provider sends the browser back to.
func (b *browser) begin(username, returnTo string) string {
	b.t.Helper()
	path := "/login"
	if returnTo != "" {
		path += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	res := b.get(path)
	require.Equal(b.t, http.StatusSeeOther, res.StatusCode, res.body)
	callback, err := b.site.provider.Login(b.t.Context(), res.location(), username)
	require.NoError(b.t, err)
	return callback.String()
}

func (b *browser) logIn(username string) {
	b.t.Helper()
	res := b.get(b.begin(username, ""))
	require.Equal(b.t, http.StatusSeeOther, res.StatusCode, res.body)
	require.Equal(b.t, "/", res.location())
}

func (b *browser) who() string { b.t.Helper(); return b.get("/").body }

func (b *browser) cookies() map[string]string {
	all := map[string]string{}
	for _, c := range b.jar.Cookies(b.site.url) {
		all[c.Name] = c.Value
	}
	return all
}

func (b *browser) set(name, value string) {
	b.jar.SetCookies(b.site.url, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

func (b *browser) flowCookies() map[string]string {
	flows := b.cookies()
	delete(flows, sessionName)
	return flows
}

const sessionName = "oidckit_session"

// requirePage checks that res is a page for people, with all its headers.
func requirePage(t *testing.T, status int, res reply) {
	t.Helper()
	require.Equal(t, status, res.StatusCode, res.body)
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
		res.Header.Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.NotContains(t, res.body, "<script")
}

func requireRedirect(t *testing.T, to string, res reply) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
	require.Equal(t, to, res.location())
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
}

func TestF42Login(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	require.Equal(t, "nobody", b.who())

	start := b.get("/login")
	requireRedirect(t, start.location(), start)
	require.True(t, strings.HasPrefix(start.location(), s.provider.Issuer()+string(oidctest.Authorization)+"?"))
	callback, err := s.provider.Login(t.Context(), start.location(), "alice")
	require.NoError(t, err)
	require.Len(t, b.flowCookies(), 1)

	requireRedirect(t, "/", b.get(callback.String()))
	require.Equal(t, aliceSubject, b.who())
	require.Empty(t, b.flowCookies())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
	require.Equal(t, 1, s.provider.Requests(oidctest.UserInfo))
	require.Empty(t, s.logged())
	require.Equal(t, "nobody", s.browser(t).who(), "another browser")
}

func TestSession(t *testing.T) {
	var got *middleware.Session
	s := newSite(t)
	s.provider.OnIDToken(func(_, c map[string]any) { delete(c, "name"); c["odd"] = 1 })
	s.provider.OnUserInfo(func(c map[string]any) { c["odd"] = "text" })
	h := s.login.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = middleware.SessionFrom(r.Context())
	}))
	b := s.browser(t)
	b.logIn("alice")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.AddCookie(&http.Cookie{Name: sessionName, Value: b.cookies()[sessionName]})
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.NotNil(t, got)
	require.Equal(t, s.provider.Issuer(), got.Issuer())
	require.Equal(t, aliceSubject, got.Subject())
	require.Equal(t, aliceSubject, got.UserInfo.Subject)

	name, err := got.String(claims.P("name"))
	require.NoError(t, err, "of the userinfo, if the ID token has none")
	require.Equal(t, "Alice Adams", name)
	_, err = got.String(claims.P("odd"))
	require.Error(t, err, "what is wrong in the ID token is not looked for elsewhere")
	_, err = got.String(claims.P("nowhere"))
	require.True(t, claims.IsMissing(err))
	roles, err := got.Strings(claims.P("realm_access", "roles"))
	require.NoError(t, err)
	require.Equal(t, []string{"admin", "user"}, roles)
}

func TestSessionWithoutUserInfoLacksClaims(t *testing.T) {
	s := &middleware.Session{Tokens: &oidc.Tokens{IDToken: &oidc.IDToken{}}}
	_, err := s.String(claims.P("name"))
	require.True(t, claims.IsMissing(err))
	_, err = s.Strings(claims.P("roles"))
	require.True(t, claims.IsMissing(err))
}

func TestWithoutUserInfo(t *testing.T) {
	s := newSite(t, func(l *middleware.Login) { l.WithoutUserInfo = true })
	b := s.browser(t)
	b.logIn("bob")
	require.Equal(t, bobSubject, b.who())
	require.Zero(t, s.provider.Requests(oidctest.UserInfo))
}

// localPaths is F12: where a login may end. Whatever a browser could take for an
// address elsewhere becomes "/".
var localPaths = []struct{ target, want string }{
	{"", "/"},
	{"/", "/"},
	{"/private/a", "/private/a"},
	{"/private/", "/private/"},
	{"/a?b=c&d=e%20f", "/a?b=c&d=e%20f"},
	{"/?a=b", "/?a=b"},
	{"/a?b=\\c", "/"},
	{"/a?next=https://evil.example", "/a?next=https://evil.example"},
	{"/a%20b", "/a%20b"},
	{"/a:b@c;d", "/a:b@c;d"},
	{"/a#fragment", "/a"},
	{"/%C3%A9", "/%C3%A9"},
	{"//evil.example", "/"},
	{"///evil.example", "/"},
	{"////evil.example", "/"},
	{"/\\evil.example", "/"},
	{"\\/evil.example", "/"},
	{"\\\\evil.example", "/"},
	{"/\t/evil.example", "/"},
	{"/\n/evil.example", "/"},
	{"/\r\nLocation: https://evil.example", "/"},
	{"\t//evil.example", "/"},
	{" /evil", "/"},
	{"/a b", "/"},
	{"/a\x00b", "/"},
	{"/a\x7f", "/"},
	{"/é", "/"},
	{"/／evil.example", "/"},
	{"/.evil.example", "/.evil.example"},
	{"/./\\evil.example", "/"},
	{"/.//evil.example", "/"},
	{"/..//evil.example", "/"},
	{"/./evil", "/"},
	{"/a/../b", "/"},
	{"/a/..//evil.example", "/"},
	{"/%2f/evil.example", "/"},
	{"/%2f", "/"},
	{"/%2fevil.example", "/"},
	{"/%2Fevil.example", "/"},
	{"/%5cevil.example", "/"},
	{"/%5Cevil.example", "/"},
	{"/a%2f%2fevil", "/"},
	{"/%2e%2e/evil", "/"},
	{"/%2e/%5cevil", "/"},
	{"/%zz", "/"},
	{"/%0d%0aX:y", "/"},
	{"/%09/evil.example", "/"},
	{"/a%00", "/"},
	{"/a%7f", "/"},
	{"/a%20", "/a%20"},
	{"https://evil.example", "/"},
	{"HTTPS://evil.example/", "/"},
	{"https:evil.example", "/"},
	{"https:/evil.example", "/"},
	{"https:///evil.example", "/"},
	{"javascript:alert(1)", "/"},
	{"data:text/html,x", "/"},
	{"evil.example", "/"},
	{"@evil.example", "/"},
	{"?a=b", "/"},
	{"#a", "/"},
	{".", "/"},
	{"../x", "/"},
}

func TestF12ReturnTo(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	for _, tt := range localPaths {
		t.Run(tt.target, func(t *testing.T) {
			requireRedirect(t, tt.want, b.get(b.begin("alice", tt.target)))
		})
	}
}

func TestF14ReturnToOwnPaths(t *testing.T) {
	for _, own := range [][2]string{{"", ""}, {"/in", "/out"}} {
		s := newSite(t, func(l *middleware.Login) { l.LoginPath, l.LogoutPath = own[0], own[1] })
		b := s.browser(t)
		in, out := "/login", "/logout"
		if own[0] != "" {
			in, out = own[0], own[1]
		}
		for _, target := range []string{in, out, "/callback", in + "?return_to=/x", out + "?x", "/callback?state=x", "/%63allback", strings.Replace(out, "o", "%6f", 1) + "?x", in + "#x"} {
			res := b.get(in + "?" + url.Values{"return_to": {target}}.Encode())
			callback, err := s.provider.Login(t.Context(), res.location(), "alice")
			require.NoError(t, err)
			requireRedirect(t, "/", b.get(callback.String()))
		}
	}
}

// A cookie of more than 4096 bytes is dropped by browsers, and the login with it.
func TestF19LongReturnToFitsACookie(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{"/a?" + strings.Repeat("x", 6000), "/a?" + strings.Repeat("&", 1500), "/a?" + strings.Repeat("x", 1019), "/a?" + strings.Repeat("x", 1020)} {
		b := s.browser(t)
		res := b.get("/login?" + url.Values{"return_to": {target}}.Encode())
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		require.Len(t, res.Header.Values("Set-Cookie"), 1)
		require.Less(t, len(res.Header.Get("Set-Cookie")), 4096)
		callback, err := s.provider.Login(t.Context(), res.location(), "alice")
		require.NoError(t, err)
		want := "/"
		if len(target)+len(`""`) <= 1024 {
			want = target
		}
		requireRedirect(t, want, b.get(callback.String()))
	}
}

func TestF15SessionFixation(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.set(sessionName, "known-to-the-attacker")
	b.logIn("alice")
	first := b.cookies()[sessionName]
	require.NotEqual(t, "known-to-the-attacker", first)
	require.GreaterOrEqual(t, len(first), 43)

	b.logIn("bob")
	second := b.cookies()[sessionName]
	require.NotEqual(t, first, second)
	require.Equal(t, bobSubject, b.who())
	b.set(sessionName, first)
	require.Equal(t, "nobody", b.who(), "the session of before has ended")
}

func TestF47TwoTabs(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	one, two := b.begin("alice", "/one"), b.begin("bob", "/two")
	require.Len(t, b.flowCookies(), 2)
	requireRedirect(t, "/two", b.get(two))
	require.Equal(t, bobSubject, b.who())
	requireRedirect(t, "/one", b.get(one))
	require.Equal(t, aliceSubject, b.who())
	require.Empty(t, b.flowCookies())
}

func TestF47BackButtonWhenLoggedIn(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/one")
	requireRedirect(t, "/one", b.get(callback))
	id := b.cookies()[sessionName]
	requireRedirect(t, "/", b.get(callback))
	require.Equal(t, id, b.cookies()[sessionName])
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

func TestF05ReplayedCallback(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	kept := b.flowCookies()
	requireRedirect(t, "/", b.get(callback))

	thief := s.browser(t)
	requirePage(t, http.StatusBadRequest, thief.get(callback))
	for name, value := range kept {
		thief.set(name, value)
	}
	requirePage(t, http.StatusBadRequest, thief.get(callback))
	require.Empty(t, thief.flowCookies())
	require.Equal(t, "nobody", thief.who())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
	require.Equal(t, aliceSubject, b.who())
}

// F04 login CSRF and F16, F17 what can be done with cookies: no login, and no
// request to the provider.
func TestF04F16F17FlowCookie(t *testing.T) {
	flip := func(s string) string {
		if s[20] == 'A' {
			return s[:20] + "B" + s[21:]
		}
		return s[:20] + "A" + s[21:]
	}
	tests := []struct {
		name   string
		change func(t *testing.T, b *browser, name, value string)
	}{
		{"F04 none", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "") }},
		{"F04 of another login", func(t *testing.T, b *browser, name, _ string) {
			b.jar, _ = cookiejar.New(nil)
			b.http.Jar = b.jar
			b.begin("alice", "")
		}},
		{"F17 of another login, under this name", func(t *testing.T, b *browser, name, _ string) {
			other := b.site.browser(t)
			other.begin("alice", "")
			for _, value := range other.flowCookies() {
				b.set(name, value)
			}
		}},
		{"F16 tampered", func(_ *testing.T, b *browser, name, value string) { b.set(name, flip(value)) }},
		{"F16 cut", func(_ *testing.T, b *browser, name, value string) { b.set(name, value[:len(value)-4]) }},
		{"F16 too short", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "AAAA") }},
		{"F16 no base64", func(_ *testing.T, b *browser, name, _ string) { b.set(name, "!!!") }},
		{"F16 padded", func(_ *testing.T, b *browser, name, value string) { b.set(name, value+"=") }},
		{"F17 of another process", func(t *testing.T, b *browser, name, _ string) {
			// The same client, state and name, and another key.
			l := &middleware.Login{Client: b.site.login.Client}
			w := httptest.NewRecorder()
			l.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody))
			b.set(name, w.Result().Cookies()[0].Value)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser(t)
			callback := b.begin("alice", "")
			for name, value := range b.flowCookies() {
				tt.change(t, b, name, value)
			}
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Equal(t, "nobody", b.who())
			require.Zero(t, s.provider.Requests(oidctest.Token))
		})
	}
}

// A sealed cookie is bound to its name: one of another login is as good as none,
// which a browser that is logged in sees, for it is sent on.
func TestF17SwappedCookieIsNone(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	callback := b.begin("bob", "")
	other := s.browser(t)
	other.begin("bob", "")
	for name := range b.flowCookies() {
		for _, value := range other.flowCookies() {
			b.set(name, value)
		}
	}
	requireRedirect(t, "/", b.get(callback))
	require.Equal(t, aliceSubject, b.who())
	require.Equal(t, 1, s.provider.Requests(oidctest.Token))
}

// The last character of base64 may have bits that nobody reads. A cookie has one
// spelling all the same.
func TestF16OneSpellingOfACookie(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tried := 0
	for _, returnTo := range []string{"/", "/a", "/aa", "/aaa"} {
		s := newSite(t)
		b := s.browser(t)
		callback := b.begin("alice", returnTo)
		for name, value := range b.flowCookies() {
			b.set(name, value+"*") // what comes before it is whole, if its length is right
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Zero(t, s.provider.Requests(oidctest.Token))
			if len(value)%4 == 0 {
				continue
			}
			tried++
			last := len(value) - 1
			b.set(name, value[:last]+string(alphabet[strings.IndexByte(alphabet, value[last])^1]))
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Zero(t, s.provider.Requests(oidctest.Token))
		}
	}
	require.Positive(t, tried)
}

// Two cookies of one name: one was planted, by a sibling host for instance.
func TestF16CookiePlantedTwice(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	for name, value := range b.flowCookies() {
		b.http.Jar = nil
		both := name + "=" + value + "; " + name + "=planted"
		requirePage(t, http.StatusBadRequest, b.get(callback, "Cookie", both))
		requirePage(t, http.StatusBadRequest, b.get(callback, "Cookie", name+"=planted; "+name+"="+value))
		requirePage(t, http.StatusBadRequest, b.get(callback, "Cookie", name+"="+value+"; "+name+"="+value))
		require.Zero(t, s.provider.Requests(oidctest.Token))
		requireRedirect(t, "/", b.get(callback, "Cookie", name+"="+value))
	}

	c := s.browser(t)
	c.logIn("alice")
	id := sessionName + "=" + c.cookies()[sessionName]
	c.http.Jar = nil
	require.Equal(t, aliceSubject, c.get("/", "Cookie", id).body)
	require.Equal(t, "nobody", c.get("/", "Cookie", id+"; "+sessionName+"=planted").body)
	require.Equal(t, "nobody", c.get("/", "Cookie", sessionName+"=planted; "+id).body)
	require.Equal(t, "nobody", c.get("/", "Cookie", sessionName+"=").body)
}

// A flow cookie is no session, whoever calls it one.
func TestF17FlowCookieAsSession(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.begin("alice", "")
	for _, value := range b.flowCookies() {
		b.set(sessionName, value)
	}
	require.Equal(t, "nobody", b.who())
}

func TestF05F09F10CallbackParameters(t *testing.T) {
	tests := []struct {
		name   string
		change func(url.Values)
		status int
	}{
		{"F05 no state", func(v url.Values) { v.Del("state") }, 400},
		{"F05 empty state", func(v url.Values) { v.Set("state", "") }, 400},
		{"F05 state of nobody", func(v url.Values) { v.Set("state", "x") }, 400},
		{"F05 long state", func(v url.Values) { v.Set("state", strings.Repeat("x", 100_000)) }, 400},
		{"F10 state twice", func(v url.Values) { v.Add("state", v.Get("state")) }, 400},
		{"F10 code twice", func(v url.Values) { v.Add("code", "x") }, 400},
		{"F01 other iss", func(v url.Values) { v.Set("iss", "https://evil.example") }, 400},
		{"F01 no iss", func(v url.Values) { v.Del("iss") }, 400},
		{"no code", func(v url.Values) { v.Del("code") }, 400},
		{"F09 code and error", func(v url.Values) { v.Set("error", "access_denied") }, 400},
		{"F09 access denied", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("error_description", "<script>alert(1)</script>")
		}, 403},
		{"F09 error of the provider", func(v url.Values) { v.Del("code"); v.Set("error", "temporarily_unavailable") }, 503},
		{"F09 another error", func(v url.Values) { v.Del("code"); v.Set("error", "<b>") }, 400},
		{"F09 error without a good state", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("state", "x")
		}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser(t)
			callback, err := url.Parse(b.begin("alice", ""))
			require.NoError(t, err)
			v := callback.Query()
			tt.change(v)
			callback.RawQuery = v.Encode()
			res := b.get(callback.String())
			requirePage(t, tt.status, res)
			require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
			require.NotContains(t, res.body, "<script>")
			require.NotContains(t, res.body, "<b>")
			require.Contains(t, res.body, `action="/login" method="get"`)
			require.Equal(t, tt.status == 503, res.Header.Get("Retry-After") != "")
			require.Equal(t, "nobody", b.who())
			require.Zero(t, s.provider.Requests(oidctest.Token))
			require.Contains(t, s.logged(), "reason=")
			if code := v.Get("code"); len(code) > 1 {
				require.NotContains(t, s.logged(), code)
			}
		})
	}
}

func TestMalformedCallbackQuery(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	requirePage(t, http.StatusBadRequest, b.get(callback+"&x=%zz"))
	requirePage(t, http.StatusBadRequest, b.get(callback+"&a;b"))
	require.Zero(t, s.provider.Requests(oidctest.Token))
	require.Equal(t, "nobody", b.who())
}

func TestF05FlowExpires(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	s.provider.Advance(oidc.FlowLifetime)
	requirePage(t, http.StatusBadRequest, b.get(callback))
	require.Zero(t, s.provider.Requests(oidctest.Token))
}

func TestF11Methods(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	for _, tt := range []struct{ path, method, allow string }{
		{callback, http.MethodHead, "GET"},
		{callback, http.MethodPost, "GET"},
		{callback, http.MethodPut, "GET"},
		{callback, http.MethodOptions, "GET"},
		{"/login", http.MethodHead, "GET"},
		{"/login", http.MethodPost, "GET"},
		{"/logout", http.MethodHead, "GET, POST"},
		{"/logout", http.MethodDelete, "GET, POST"},
	} {
		res := b.do(tt.method, tt.path)
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
		require.Equal(t, tt.allow, res.Header.Get("Allow"))
		require.Empty(t, res.Header.Values("Set-Cookie"))
	}
	require.Zero(t, s.provider.Requests(oidctest.Token))
	requireRedirect(t, "/", b.get(callback))
	require.Equal(t, aliceSubject, b.who())
}

func TestProviderDown(t *testing.T) {
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
			s := newSite(t)
			b := s.browser(t)
			path := "/login"
			if !tt.atStart {
				path = b.begin("alice", "")
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
			b.logIn("alice")
			require.Equal(t, aliceSubject, b.who())
		})
	}
}

func TestBadAnswersMakeNoSession(t *testing.T) {
	for name, bend := range map[string]func(*oidctest.Provider){
		"nonce":    func(p *oidctest.Provider) { p.OnIDToken(func(_, c map[string]any) { c["nonce"] = "x" }) },
		"audience": func(p *oidctest.Provider) { p.OnIDToken(func(_, c map[string]any) { c["aud"] = "x" }) },
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
			s := newSite(t)
			b := s.browser(t)
			callback := b.begin("alice", "")
			bend(s.provider)
			requirePage(t, http.StatusBadRequest, b.get(callback))
			require.Equal(t, "nobody", b.who())
			require.NotContains(t, b.cookies(), sessionName)
			require.Equal(t, 1, s.provider.Requests(oidctest.Token))
		})
	}
}

// The client is at fault, and neither the user nor the provider.
func TestConfigurationErrorIs500(t *testing.T) {
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
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	callback := b.begin("bob", "")
	requirePage(t, http.StatusForbidden, b.get(strings.Replace(callback, "code=", "error=access_denied&x=", 1)))
	require.Equal(t, aliceSubject, b.who())
}

func TestF46RequireLogin(t *testing.T) {
	s := newSite(t)
	const path = "/private/a?b=c&d"
	tests := []struct {
		name     string
		method   string
		headers  []string
		redirect bool
	}{
		{"navigation", "GET", []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, true},
		{"navigation without Accept", "GET", []string{"Sec-Fetch-Mode", "navigate"}, true},
		{"old browser", "GET", []string{"Accept", "text/html,*/*"}, true},
		{"fetch", "GET", []string{"Sec-Fetch-Mode", "cors"}, false},
		{"fetch that wants HTML", "GET", []string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, false},
		{"websocket", "GET", []string{"Sec-Fetch-Mode", "websocket", "Accept", "text/html"}, false},
		{"program", "GET", nil, false},
		{"program that wants JSON", "GET", []string{"Accept", "application/json"}, false},
		{"form", "POST", []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := s.browser(t).do(tt.method, path, tt.headers...)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			if tt.redirect {
				requireRedirect(t, "/login?return_to=%2Fprivate%2Fa%3Fb%3Dc%26d", res)
				return
			}
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			require.Equal(t, "application/json", res.Header.Get("Content-Type"))
			require.JSONEq(t, `{"error":"login_required","login_url":"/login"}`, res.body)
		})
	}
	b := s.browser(t)
	start := b.get(b.get(path, "Accept", "text/html").location())
	callback, err := s.provider.Login(t.Context(), start.location(), "alice")
	require.NoError(t, err)
	requireRedirect(t, path, b.get(callback.String()))
	require.Equal(t, aliceSubject, b.get(path).body)
}

// RequireLogin without Handler in front lets nobody through, and says to the log
// whose mistake it is.
func TestM10RequireLoginAlone(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/private/", http.NoBody)
	r.AddCookie(&http.Cookie{Name: sessionName, Value: b.cookies()[sessionName]})
	w := httptest.NewRecorder()
	s.login.RequireLogin(s.pages()).ServeHTTP(w, r)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, s.logged(), "RequireLogin")

	w = httptest.NewRecorder()
	(&middleware.Login{}).Handler(s.pages()).ServeHTTP(w, r)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	_, ok := middleware.SessionFrom(t.Context())
	require.False(t, ok)
}

func TestF20F21Logout(t *testing.T) {
	host := "http://app.example"
	tests := []struct {
		name    string
		method  string
		headers []string
		asks    bool
	}{
		{"typed or bookmarked", "GET", []string{"Sec-Fetch-Site", "none"}, false},
		{"a link of ours", "GET", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"a link elsewhere", "GET", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"a link of a sibling", "GET", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"a site that lies in Referer", "GET", []string{"Sec-Fetch-Site", "cross-site", "Referer", "OWN/"}, true},
		{"an odd value", "GET", []string{"Sec-Fetch-Site", "x"}, true},
		{"old browser, a link of ours", "GET", []string{"Referer", "OWN/page"}, false},
		{"old browser, a link elsewhere", "GET", []string{"Referer", host + "/page"}, true},
		{"old browser, no sense in Referer", "GET", []string{"Referer", "http://%zz"}, true},
		{"old browser, a Referer without a host", "GET", []string{"Referer", "about:client"}, true},
		{"program", "GET", nil, false},
		{"a form of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"a form elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"a form of a sibling", "POST", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"old browser, a form of ours", "POST", []string{"Origin", "OWN"}, false},
		{"old browser, a form elsewhere", "POST", []string{"Origin", host}, true},
		{"old browser, a sandbox", "POST", []string{"Origin", "null"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser(t)
			b.logIn("alice")
			id := b.cookies()[sessionName]
			for i, h := range tt.headers {
				tt.headers[i] = strings.Replace(h, "OWN", s.url.String(), 1)
			}
			res := b.do(tt.method, "/logout?post_logout_redirect_uri=https://evil.example&return_to=//evil.example", tt.headers...)
			if tt.asks {
				requirePage(t, http.StatusOK, res)
				require.Contains(t, res.body, `action="/logout" method="post"`)
				require.Empty(t, res.Header.Values("Set-Cookie"))
				require.Equal(t, aliceSubject, b.who())
				return
			}
			requireRedirect(t, res.location(), res)
			target, err := url.Parse(res.location())
			require.NoError(t, err)
			require.Equal(t, s.provider.Issuer()+string(oidctest.EndSession), target.Scheme+"://"+target.Host+target.Path)
			require.Equal(t, []string{s.url.String() + "/"}, target.Query()["post_logout_redirect_uri"])
			require.NotEmpty(t, target.Query().Get("id_token_hint"))
			require.NotContains(t, b.cookies(), sessionName)
			b.set(sessionName, id)
			require.Equal(t, "nobody", b.who(), "the session itself has ended")
			requireRedirect(t, s.url.String()+"/", b.get(res.location()))
		})
	}
}

// The page that asks must get an Origin through: with no-referrer, browsers that
// send no Sec-Fetch-Site say "Origin: null", and it would ask for ever.
func TestF20ConfirmPageKeepsOrigin(t *testing.T) {
	s := newSite(t)
	res := s.browser(t).get("/logout", "Sec-Fetch-Site", "cross-site")
	requirePage(t, http.StatusOK, res)
	require.Equal(t, "same-origin", res.Header.Get("Referrer-Policy"))
}

func TestLogoutOfNobody(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.set(sessionName, "old")
	requireRedirect(t, "/", b.get("/logout"))
	require.NotContains(t, b.cookies(), sessionName)
}

func TestPostLogoutRedirectURL(t *testing.T) {
	s := newSite(t, func(l *middleware.Login) { l.PostLogoutRedirectURL = "https://client.example/" })
	b := s.browser(t)
	b.logIn("alice")
	target, err := url.Parse(b.get("/logout").location())
	require.NoError(t, err)
	require.Equal(t, "https://client.example/", target.Query().Get("post_logout_redirect_uri"))
}

// bareMetadata are those of a provider without userinfo and logout.
func bareMetadata(p *oidctest.Provider) string {
	return strings.ReplaceAll(`{"issuer":"ISS","authorization_endpoint":"ISS/authorize","token_endpoint":"ISS/token",`+
		`"jwks_uri":"ISS/jwks","response_types_supported":["code"],"subject_types_supported":["public"],`+
		`"id_token_signing_alg_values_supported":["ES256"]}`, "ISS", p.Issuer())
}

func TestNoUserInfoEndpoint(t *testing.T) {
	s := newSite(t)
	s.provider.SetFault(oidctest.Discovery, oidctest.Fault{Body: bareMetadata(s.provider)})
	b := s.browser(t)
	b.logIn("alice")
	require.Equal(t, aliceSubject, b.who())
	require.Zero(t, s.provider.Requests(oidctest.UserInfo))
}

func TestF22LogoutWhenTheProviderCannotBeTold(t *testing.T) {
	for name, breakIt := range map[string]func(*oidctest.Provider){
		"down":        func(p *oidctest.Provider) { _ = p.Close() },
		"no endpoint": func(p *oidctest.Provider) { p.SetFault(oidctest.Discovery, oidctest.Fault{Body: bareMetadata(p)}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(l *middleware.Login) { l.WithoutUserInfo = true })
			b := s.browser(t)
			b.logIn("alice")
			id := b.cookies()[sessionName]

			// The metadata are cached by now: a client that has none yet takes over.
			s.login.Client = newClient(t, s.provider, s.url.String()+"/callback")
			breakIt(s.provider)

			requireRedirect(t, "/", b.get("/logout"))
			require.NotContains(t, b.cookies(), sessionName)
			b.set(sessionName, id)
			require.Equal(t, "nobody", b.who())
			require.Contains(t, s.logged(), "reason=")
			require.NotContains(t, s.logged(), id)
		})
	}
}

func TestSessionExpires(t *testing.T) {
	for _, lifetime := range []time.Duration{0, time.Hour} {
		s := newSite(t, func(l *middleware.Login) { l.SessionLifetime = lifetime })
		if lifetime == 0 {
			lifetime = 8 * time.Hour
		}
		b := s.browser(t)
		b.logIn("alice")
		b.http.Jar = nil // which would drop the cookie itself
		id := sessionName + "=" + b.cookies()[sessionName]
		s.provider.Advance(lifetime - 1)
		require.Equal(t, aliceSubject, b.get("/", "Cookie", id).body)
		s.provider.Advance(1)
		require.Equal(t, "nobody", b.get("/", "Cookie", id).body)
		// Nor does it come back once sessions that have expired were looked for.
		s.browser(t).logIn("bob")
		s.provider.Advance(-time.Second)
		require.Equal(t, "nobody", b.get("/", "Cookie", id).body)
	}
}

// Looking for sessions that have expired leaves the others alone.
func TestSessionsOfOthersStay(t *testing.T) {
	s := newSite(t)
	alice, bob := s.browser(t), s.browser(t)
	alice.logIn("alice")
	s.provider.Advance(time.Hour)
	bob.logIn("bob")
	require.Equal(t, aliceSubject, alice.who())
	require.Equal(t, bobSubject, bob.who())
}

// The key of the cookies is not the one that a forgotten random source leaves.
func TestF48CookieKey(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.begin("alice", "")
	block, err := aes.NewCipher(make([]byte, 32))
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	require.NotEmpty(t, b.flowCookies())
	for name, value := range b.flowCookies() {
		sealed, err := base64.RawURLEncoding.DecodeString(value)
		require.NoError(t, err)
		_, err = aead.Open(nil, nil, sealed, []byte(name))
		require.Error(t, err)
	}
}

func TestF16F18CookieAttributes(t *testing.T) {
	for _, tt := range []struct {
		redirectURL, prefix, attributes string
	}{
		{"http://127.0.0.1:8080/callback", "", "; HttpOnly; SameSite=Lax"},
		{"https://client.example/callback", "__Host-", "; HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(tt.redirectURL, func(t *testing.T) {
			p := oidctest.Start(t, fastKeys)
			l := &middleware.Login{Client: newClient(t, p, tt.redirectURL), Now: p.Now}
			h := l.Handler(http.NotFoundHandler())
			exchange := func(target string, cookies ...string) (*http.Response, []string) {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
				for _, c := range cookies {
					pair, _, _ := strings.Cut(c, ";")
					r.Header.Add("Cookie", pair)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				res := w.Result()
				require.NoError(t, res.Body.Close())
				return res, res.Header.Values("Set-Cookie")
			}
			res, flow := exchange("/login")
			require.Len(t, flow, 1)
			require.Regexp(t, `^`+tt.prefix+`oidckit_login_[A-Za-z0-9_-]{16}=[A-Za-z0-9_-]+; Path=/; Max-Age=1800`+tt.attributes+`$`, flow[0])
			callback, err := p.Login(t.Context(), res.Header.Get("Location"), "alice")
			require.NoError(t, err)
			res, set := exchange(callback.RequestURI(), flow...)
			require.Equal(t, http.StatusSeeOther, res.StatusCode)
			require.Len(t, set, 2)
			name, _, _ := strings.Cut(flow[0], "=")
			require.Equal(t, name+"=; Path=/; Max-Age=0"+tt.attributes, set[0])
			require.Regexp(t, `^`+tt.prefix+`oidckit_session=[A-Za-z0-9_-]{43}; Path=/; Max-Age=28800`+tt.attributes+`$`, set[1])
			_, set = exchange("/logout", set[1])
			require.Equal(t, []string{tt.prefix + "oidckit_session=; Path=/; Max-Age=0" + tt.attributes}, set)
		})
	}
}

// On https a cookie without the prefix counts for nothing: anybody may have set it.
func TestF16CookieWithoutPrefix(t *testing.T) {
	p := oidctest.Start(t, fastKeys)
	l := &middleware.Login{Client: newClient(t, p, "https://client.example/callback")}
	h := l.Handler(http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody))
	callback, err := p.Login(t.Context(), w.Header().Get("Location"), "alice")
	require.NoError(t, err)
	pair, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, callback.RequestURI(), http.NoBody)
	r.Header.Set("Cookie", strings.TrimPrefix(pair, "__Host-"))
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Zero(t, p.Requests(oidctest.Token))
}

func TestF19ManyFlows(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	b.set("unrelated", "kept")
	var callbacks []string
	for range 8 {
		callbacks = append(callbacks, b.begin("alice", ""))
	}
	require.Len(t, b.flowCookies(), 8+1)
	last := b.begin("alice", "")
	require.Len(t, b.flowCookies(), 1+1)
	require.Contains(t, b.cookies(), "unrelated")
	requirePage(t, http.StatusBadRequest, b.get(callbacks[7]))
	requireRedirect(t, "/", b.get(last))
}

func TestPagesEscape(t *testing.T) {
	s := newSite(t, func(l *middleware.Login) {
		l.LoginPath, l.LogoutPath = `/in"><script>alert(1)</script>`, `/out"><script>`
	})
	b := s.browser(t)
	requirePage(t, http.StatusBadRequest, b.get("/callback?state=%3Cscript%3E&error=%3Cscript%3E"))
	requirePage(t, http.StatusOK, b.get((&url.URL{Path: `/out"><script>`}).EscapedPath(), "Sec-Fetch-Site", "cross-site"))
}

func TestLoggerGetsTheReasonAndNoSecret(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	s.provider.OnIDToken(func(_, c map[string]any) { c["nonce"] = "nonce-of-the-attacker" })
	requirePage(t, http.StatusBadRequest, b.get(callback))
	require.Contains(t, s.logged(), string(oidc.ReasonNonce))
	u, err := url.Parse(callback)
	require.NoError(t, err)
	for _, secret := range []string{u.Query().Get("code"), u.Query().Get("state"), oidctest.ClientSecret, "nonce-of-the-attacker", "eyJ", aliceSubject} {
		require.NotContains(t, s.logged(), secret)
	}
}

// Whoever leaves ends his own wait: nothing is left running, nobody logged in.
func TestCancelledCallback(t *testing.T) {
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
	s.login.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	require.GreaterOrEqual(t, w.Code, 400)
	for _, c := range w.Header().Values("Set-Cookie") {
		require.False(t, strings.HasPrefix(c, sessionName))
	}
}

func TestConcurrentLogins(t *testing.T) {
	s := newSite(t)
	var wg sync.WaitGroup
	for range 8 {
		b := s.browser(t)
		wg.Go(func() {
			res := b.get("/login")
			callback, err := s.provider.Login(t.Context(), res.location(), "alice")
			if err == nil {
				b.get(callback.String())
				b.get("/logout")
			}
		})
	}
	wg.Wait()
}

// FuzzLocalPath: whatever return_to says, the login ends on this host and not at
// a path of the login's own, as RFC 3986 has it and as browsers read it.
func FuzzLocalPath(f *testing.F) {
	for _, tt := range localPaths {
		f.Add(tt.target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		requireLocal(t, middleware.LocalPath(target))
		require.Equal(t, middleware.LocalPath(target), middleware.LocalPath(middleware.LocalPath(target)))
	})
}

func requireLocal(t *testing.T, got string) {
	t.Helper()
	base, err := url.Parse("https://app.example/callback")
	require.NoError(t, err)
	// Browsers drop tabs and newlines, and take a backslash for a slash.
	seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(got)
	for _, text := range []string{got, seen} {
		ref, err := url.Parse(text)
		require.NoError(t, err)
		u := base.ResolveReference(ref)
		require.Equal(t, "https", u.Scheme)
		require.Equal(t, "app.example", u.Host)
		require.Nil(t, u.User)
		require.True(t, strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"))
		// A proxy that decodes and cleans must not make it lead away either.
		decoded := strings.ReplaceAll(u.Path, "\\", "/")
		require.False(t, strings.HasPrefix(decoded, "//"))
	}
	for i := range len(got) {
		require.True(t, got[i] > 0x20 && got[i] < 0x7f)
	}
}

// Paths that hide each other or the start page are a mistake that is told, not a
// loop that is lived.
func TestPathsMustDiffer(t *testing.T) {
	p := oidctest.Start(t)
	for name, tt := range map[string]struct {
		redirectPath  string
		login, logout string
		status        int
	}{
		"good":                       {"/callback", "", "", http.StatusOK},
		"callback is the start page": {"/", "", "", http.StatusInternalServerError},
		"callback without a path":    {"", "", "", http.StatusInternalServerError},
		"login is the callback":      {"/login", "", "", http.StatusInternalServerError},
		"logout is the callback":     {"/logout", "", "", http.StatusInternalServerError},
		"login is logout":            {"/callback", "/x", "/x", http.StatusInternalServerError},
		"login is the start page":    {"/callback", "/", "", http.StatusInternalServerError},
		"logout is the start page":   {"/callback", "", "/", http.StatusInternalServerError},
		"login is no path":           {"/callback", "login", "", http.StatusInternalServerError},
		"logout is a host":           {"/callback", "", "//evil.example", http.StatusInternalServerError},
		"login has a query":          {"/callback", "/login?x", "", http.StatusInternalServerError},
	} {
		l := &middleware.Login{Client: newClient(t, p, "http://127.0.0.1"+tt.redirectPath), LoginPath: tt.login, LogoutPath: tt.logout}
		w := httptest.NewRecorder()
		l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		require.Equal(t, tt.status, w.Code, name)
	}
}

// A session of one Login opens nothing that another guards.
func TestRequireLoginIsOfOneLogin(t *testing.T) {
	admin := newSite(t)
	customers := newSite(t)
	panel := admin.login.RequireLogin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := middleware.SessionFrom(r.Context())
		require.True(t, ok)
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

// A client may have no RedirectURL, and then logs nobody in.
func TestLoginNeedsARedirectURL(t *testing.T) {
	s := &site{provider: oidctest.Start(t)}
	op, err := oidc.NewProvider(oidc.Config{Issuer: s.provider.Issuer()})
	require.NoError(t, err)
	client, err := oidc.NewClient(op, oidc.ClientConfig{ClientID: oidctest.ClientID})
	require.NoError(t, err)
	l := &middleware.Login{Client: client, Logger: slog.New(slog.NewTextHandler(s, nil))}
	w := httptest.NewRecorder()
	l.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, s.logged(), "oidc.ClientConfig.RedirectURL")
}
