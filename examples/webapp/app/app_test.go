package app_test

import (
	"context"
	"encoding/json"
	"flag"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/webapp/app"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// start runs the program as a user would, until the test is over.
func start(t *testing.T, addr string, args ...string) (base string) {
	t.Helper()
	return startWith(t, app.Options{}, addr, args...)
}

func startWith(t *testing.T, o app.Options, addr string, args ...string) (base string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, append([]string{"-listen", addr}, args...), o) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool {
		select {
		case err := <-done:
			done <- err
			return true
		default:
		}
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		return err == nil && c.Close() == nil
	}, 10*time.Second, 5*time.Millisecond)
	return "http://" + addr
}

type browser struct {
	t    *testing.T
	http *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar := oidctest.NewCookieJar()
	return &browser{t, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

type reply struct {
	*http.Response
	body string
}

func (b *browser) do(method, target string, form url.Values) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Accept", "text/html")
	if strings.HasSuffix(target, "/me") {
		r.Header.Set("Accept", "application/json")
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host) // its own pages have the forms
	}
	res, err := b.http.Do(r)
	require.NoError(b.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return reply{res, string(body)}
}

func (b *browser) get(target string) reply { b.t.Helper(); return b.do(http.MethodGet, target, nil) }

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// submit sends the form of a page as a browser does.
func (b *browser) submit(page reply, fields url.Values) reply {
	b.t.Helper()
	action := formAction.FindStringSubmatch(page.body)
	require.NotNil(b.t, action, page.body)
	target, err := page.Request.URL.Parse(html.UnescapeString(action[1]))
	require.NoError(b.t, err)
	for _, m := range hidden.FindAllStringSubmatch(page.body, -1) {
		fields.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return b.do(http.MethodPost, target.String(), fields)
}

type me struct {
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	Name     string         `json:"name"`
	Roles    []string       `json:"roles"`
	Claims   map[string]any `json:"claims"`
	UserInfo map[string]any `json:"userinfo"`
	Error    string         `json:"error"`
	LoginURL string         `json:"login_url"`
}

func (b *browser) me(base string) (int, me) {
	b.t.Helper()
	res := b.get(base + "/me")
	require.Equal(b.t, "application/json", res.Header.Get("Content-Type"))
	require.Equal(b.t, "no-store", res.Header.Get("Cache-Control"))
	var m me
	require.NoError(b.t, json.Unmarshal([]byte(res.body), &m), res.body)
	return res.StatusCode, m
}

// The program with its own provider, by nothing but what a browser does.
func TestLoginAndLogout(t *testing.T) {
	base := start(t, freeAddress(t))
	b := newBrowser(t)
	home := b.get(base + "/")
	require.Equal(t, http.StatusOK, home.StatusCode)
	require.Contains(t, home.body, "You are not logged in")
	require.Contains(t, home.body, `href="/login"`)
	status, m := b.me(base)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "login_required", m.Error)
	require.NotEmpty(t, m.LoginURL)

	page := b.get(base + "/login")
	require.Equal(t, http.StatusOK, page.StatusCode)
	issuer := page.Request.URL.Scheme + "://" + page.Request.URL.Host
	require.NotEqual(t, base, issuer)
	wrong := b.submit(page, url.Values{"username": {"alice"}, "password": {"wrong"}})
	require.Equal(t, http.StatusUnauthorized, wrong.StatusCode)
	home = b.submit(wrong, url.Values{"username": {"alice"}, "password": {"wonderland"}})
	require.Equal(t, base+"/", home.Request.URL.String())
	require.Contains(t, home.body, "Hello, Alice Adams")
	requireHeaders(t, home)

	status, m = b.me(base)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, issuer, m.Issuer)
	require.Equal(t, "248289761001", m.Subject)
	require.Equal(t, "Alice Adams", m.Name)
	require.Equal(t, []string{"admin", "user"}, m.Roles)
	require.Equal(t, m.Subject, m.Claims["sub"])
	require.Equal(t, "alice@example.com", m.UserInfo["email"])

	status, _ = newBrowser(t).me(base)
	require.Equal(t, http.StatusUnauthorized, status, "another browser")

	require.Equal(t, http.StatusOK, b.get(base+"/admin").StatusCode)
	require.Equal(t, http.StatusOK, b.get(base+"/account").StatusCode)
	note := b.do(http.MethodPost, base+"/note", url.Values{"note": {"<b>milk</b>"}})
	require.Contains(t, note.body, "&lt;b&gt;milk&lt;/b&gt;")
	require.NotContains(t, note.body, "<b>")

	out := b.do(http.MethodPost, base+"/logout", url.Values{})
	require.Equal(t, base+"/", out.Request.URL.String(), "back from the provider")
	require.Contains(t, out.body, "You are not logged in")
	status, _ = b.me(base)
	require.Equal(t, http.StatusUnauthorized, status)
}

func requireHeaders(t *testing.T, r reply) {
	t.Helper()
	require.Equal(t, "text/html; charset=utf-8", r.Header.Get("Content-Type"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
		r.Header.Get("Content-Security-Policy"))
}

func TestScopes(t *testing.T) {
	base := start(t, freeAddress(t), "-scopes", "openid")
	b := newBrowser(t)
	b.submit(b.get(base+"/login"), url.Values{"username": {"alice"}, "password": {"wonderland"}})
	status, m := b.me(base)
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, m.Claims, "email")
	require.Equal(t, "alice", m.Name, "the preferred_username, without the scope profile")
}

func TestCancelledLogin(t *testing.T) {
	base := start(t, freeAddress(t))
	b := newBrowser(t)
	res := b.submit(b.get(base+"/login"), url.Values{"cancel": {"yes"}})
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.NotContains(t, res.body, "Hello")
	status, _ := b.me(base)
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestRoutes(t *testing.T) {
	base := start(t, freeAddress(t))
	b := newBrowser(t)
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", 200},
		{http.MethodPost, "/", 405},
		{http.MethodGet, "/me", 401},
		{http.MethodPost, "/me", 405},
		{http.MethodPost, "/note", 401},
		{http.MethodGet, "/healthz", 200},
		{http.MethodGet, "/readyz", 200},
		{http.MethodGet, "/elsewhere", 404},
		{http.MethodGet, "/callback?code=x", 400},
		{http.MethodHead, "/callback?state=x&code=y", 405},
	} {
		require.Equal(t, tt.want, b.do(tt.method, base+tt.path, nil).StatusCode, tt.method+" "+tt.path)
	}
}

// A provider of one's own, down at first: the program starts, and heals.
func TestOtherProvider(t *testing.T) {
	addr := freeAddress(t)
	base := "http://" + addr
	user := oidctest.User{Username: "eve", Password: "x", Name: `<script>alert("name")</script>`, Claims: map[string]any{
		"roles.here": map[string]any{"all": []string{`<b>`}},
	}}
	p := oidctest.Start(t, func(c *oidctest.Config) {
		c.Users = []oidctest.User{user, {Username: "plain", Password: "x"}}
		c.Clients[0].RedirectURIs = []string{base + "/callback"}
		c.Clients[0].PostLogoutRedirectURIs = []string{base + "/"}
	})
	p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	require.Equal(t, base, start(t, addr, "-issuer", p.Issuer(), "-client-id", oidctest.ClientID,
		"-client-secret", oidctest.ClientSecret, "-roles-claim", `roles\.here.all`, "-public-url", base+"/"))
	b := newBrowser(t)
	require.Equal(t, http.StatusOK, b.get(base+"/").StatusCode)
	down := b.get(base + "/login")
	require.Equal(t, http.StatusServiceUnavailable, down.StatusCode)
	require.NotEmpty(t, down.Header.Get("Retry-After"))

	p.SetFault(oidctest.Discovery, oidctest.Fault{})
	var page reply
	require.Eventually(t, func() bool { // the pause after a failed discovery is in real time here
		page = b.get(base + "/login")
		return page.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	home := b.submit(page, url.Values{"username": {"eve"}, "password": {"x"}})
	require.Contains(t, home.body, "Hello, &lt;script&gt;")
	require.NotContains(t, home.body, "<script")
	require.NotContains(t, home.body, "<b>")
	_, m := b.me(base)
	require.Equal(t, []string{"<b>"}, m.Roles)
	require.Equal(t, user.Name, m.Name)

	// Somebody without roles and a name has none and a subject.
	b = newBrowser(t)
	b.submit(b.get(base+"/login"), url.Values{"username": {"plain"}, "password": {"x"}})
	res := b.get(base + "/me")
	require.Contains(t, res.body, `"roles":null`)
	require.Equal(t, http.StatusForbidden, b.get(base+"/admin").StatusCode)
	require.Contains(t, res.body, `"name":"plain"`)
}

// With a file of keys, sessions outlive the program, and keys can be replaced.
func TestKeysFile(t *testing.T) {
	addr, keys := freeAddress(t), filepath.Join(t.TempDir(), "keys")
	base := "http://" + addr
	provider := oidctest.Start(t, func(c *oidctest.Config) { c.Clients[0].RedirectURIs = []string{base + "/callback"} })
	args := []string{"-issuer", provider.Issuer(), "-client-id", oidctest.ClientID, "-client-secret", oidctest.ClientSecret, "-keys-file", keys}
	b := newBrowser(t)
	for i, text := range []string{"the first secret\n", "the second secret\nthe first secret\n", "the third secret"} {
		require.NoError(t, os.WriteFile(keys, []byte(text), 0o600))
		t.Run(text, func(t *testing.T) {
			start(t, addr, args...)
			if i == 0 {
				b.submit(b.get(base+"/login"), url.Values{"username": {"alice"}, "password": {"wonderland"}})
			}
			status, _ := b.me(base)
			require.Equal(t, i < 2, status == http.StatusOK)
		})
	}
}

// The provider posts its answer.
func TestFormPost(t *testing.T) {
	base := start(t, freeAddress(t), "-form-post")
	b := newBrowser(t)
	posting := b.submit(b.get(base+"/login"), url.Values{"username": {"alice"}, "password": {"wonderland"}})
	home := b.submit(posting, url.Values{})
	require.Contains(t, home.body, "Hello, Alice Adams")
}

func TestOptions(t *testing.T) {
	var word string
	o := app.Options{
		Flags: func(f *flag.FlagSet) { f.StringVar(&word, "word", "", "") },
		Login: func(c *middleware.LoginConfig) error { c.LoginPath = "/" + word; return nil },
	}
	base := startWith(t, o, freeAddress(t), "-word", "enter")
	page := newBrowser(t).get(base + "/enter")
	require.NotEqual(t, base, page.Request.URL.Scheme+"://"+page.Request.URL.Host)

	o.Login = func(*middleware.LoginConfig) error { return os.ErrInvalid }
	require.ErrorIs(t, app.Run(t.Context(), []string{"-listen", "127.0.0.1:0"}, o), os.ErrInvalid)
}

func TestMistakes(t *testing.T) {
	quiet(t)
	empty, weak := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "weak")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	require.NoError(t, os.WriteFile(weak, []byte("weak"), 0o600))
	for _, args := range [][]string{
		{"-issuer", "https://id.example"},
		{"-client-id", "x"},
		{"-roles-claim", ""},
		{"-nonsense"},
		{"-keys-file", "not there"},
		{"-keys-file", empty},
		{"-keys-file", weak},
		{"-listen", "not an address"},
		{"-issuer", "http://id.example", "-client-id", "x"},
		{"-issuer", "nonsense", "-client-id", "x"},
		{"-issuer", "https://id.example", "-client-id", "x", "-public-url", "http://shop.example"},
		{"-public-url", "no URL"},
	} {
		require.Error(t, app.Run(t.Context(), append([]string{"-listen", "127.0.0.1:0"}, args...), app.Options{}), args)
	}
}

// quiet keeps the usage of package flag out of the test's output.
func quiet(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	stderr := os.Stderr
	os.Stderr = null
	t.Cleanup(func() { os.Stderr = stderr; _ = null.Close() })
}

// What a new application has to read is short.
func TestTwoHundredLines(t *testing.T) {
	lines := 0
	for _, pattern := range []string{"../*.go", "*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				lines += strings.Count(string(text), "\n")
			}
		}
	}
	require.NotZero(t, lines)
	require.LessOrEqual(t, lines, 200)
}
