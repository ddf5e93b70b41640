package middleware_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A site is a web application with a provider, over real HTTP.
type site struct {
	provider *oidctest.Provider
	login    *middleware.Login
	handler  http.Handler // of all requests; a test may replace it before the first one
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

// testKeys are those of every site, so that two of them can be replicas.
var testKeys = []clientauth.Secret{"a key of the tests, and of nothing else"}

// newSite starts an application with a provider of its own. The functions change the
// configuration of its Login.
func newSite(t *testing.T, configure ...func(*middleware.LoginConfig)) *site {
	t.Helper()
	return newSiteAt(t, oidctest.Start(t, fastKeys, stoppedClock), configure...)
}

// newSiteAt is newSite with a provider that is there.
func newSiteAt(t *testing.T, p *oidctest.Provider, configure ...func(*middleware.LoginConfig)) *site {
	t.Helper()
	s := &site{provider: p}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.url = &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}
	cfg := middleware.LoginConfig{
		Client: newClient(t, p, ""), PublicURL: s.url.String(), Keys: testKeys,
		Logger: slog.New(slog.NewTextHandler(s, nil)), Now: p.Now,
		Pages: middleware.LoginPages{Edit: func(_ *http.Request, page *middleware.Page) { assertKnown(t, page) }},
	}
	for _, f := range configure {
		f(&cfg)
	}
	var err error
	s.login, err = middleware.NewLogin(cfg)
	require.NoError(t, err)
	s.handler = s.login.Handler(s.pages())
	return s
}

// assertKnown checks that a program can tell what a page is about, and what can be done: other
// words go by the kinds.
func assertKnown(t *testing.T, p *middleware.Page) {
	assert.Contains(t, middleware.PageKinds(), p.Kind)
	for _, a := range p.Actions {
		assert.Contains(t, []middleware.PageActionKind{
			middleware.ActionProvider, middleware.ActionLogIn, middleware.ActionTryAgain, middleware.ActionStartPage, middleware.ActionLogOut, middleware.ActionStay,
		}, a.Kind, p.Kind)
		assert.Equal(t, a.Kind == middleware.ActionProvider, a.Provider != "", p.Kind)
	}
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
	jar  http.CookieJar
	http *http.Client
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar := oidctest.NewCookieJar()
	// Not the default one, whose idle connections every httptest.Server that closes closes.
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, s, jar, &http.Client{
		Jar: jar, Transport: transport,
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
	return b.send(method, path, http.NoBody, headers...)
}

func (b *browser) send(method, path string, body io.Reader, headers ...string) reply {
	b.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.site.url.String() + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	require.NoError(b.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if r.Header["Sec-Fetch-Mode"] == nil && r.Header["Accept"] == nil {
		r.Header.Set("Accept", "text/html") // of a person
	}
	res, err := b.http.Do(r)
	require.NoError(b.t, err)
	read, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return reply{res, string(read)}
}

func (b *browser) get(path string, headers ...string) reply {
	b.t.Helper()
	return b.do(http.MethodGet, path, headers...)
}

// post sends a form.
func (b *browser) post(path string, form url.Values, headers ...string) reply {
	b.t.Helper()
	headers = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	return b.send(http.MethodPost, path, strings.NewReader(form.Encode()), headers...)
}

// begin starts a login and returns where the provider sends the browser back to.
func (b *browser) begin(username, returnTo string) string {
	b.t.Helper()
	path := "/login"
	if returnTo != "" {
		path += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return b.beginAt(path, username)
}

// beginAt is begin at any path that leads to the provider.
func (b *browser) beginAt(path, username string) string {
	b.t.Helper()
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

// flowCookies are those of logins under way, and of those that ended a while ago.
func (b *browser) flowCookies() map[string]string {
	flows := map[string]string{}
	for name, value := range b.cookies() {
		if strings.HasPrefix(name, flowPrefix) {
			flows[name] = value
		}
	}
	return flows
}

// Names of cookies on loopback; on https "__Host-" comes before them. A session that is
// sealed may have more cookies, whose names begin with sessionName.
const (
	sessionName = "oidckit_session"
	flowPrefix  = "oidckit_login_"
)

// sessionCookies are all that a session has.
func (b *browser) sessionCookies() map[string]string {
	found := map[string]string{}
	for name, value := range b.cookies() {
		if strings.HasPrefix(name, sessionName) {
			found[name] = value
		}
	}
	return found
}

// requirePage checks that res is a page for people, with all its headers.
func requirePage(t *testing.T, status int, res reply) {
	t.Helper()
	require.Equal(t, status, res.StatusCode, res.body)
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.NotContains(t, res.body, "<script")
}

// requireRedirect checks where a browser is sent to: a path, on the host where it is, or a URL.
func requireRedirect(t *testing.T, to string, res reply) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
	own := res.Request.URL.Scheme + "://" + res.Request.URL.Host + "/"
	if strings.HasPrefix(to, "/") && strings.HasPrefix(res.location(), own) {
		to = strings.TrimSuffix(own, "/") + to
	}
	require.Equal(t, to, res.location())
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
}
