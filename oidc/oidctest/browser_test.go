package oidctest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A siteLog is an application that needs a login, and what came to it. It sets a cookie at its
// callback and sends the browser on by a path alone.
type siteLog struct {
	provider *oidctest.Provider
	url      string
	mode     string // response_mode
	accepts  []string
	answers  []url.Values
	methods  []string
	origins  []string
}

// newSite starts it at another host than the provider's: cookies are of hosts.
func newSite(t *testing.T, mode string) *siteLog {
	t.Helper()
	s := &siteLog{mode: mode}
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", s.callback)
	mux.HandleFunc("/", s.page)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	s.provider = oidctest.Start(t, func(c *oidctest.Config) {
		c.Algorithm, c.Clients[0].RedirectURIs = "ES256", []string{s.url + "/callback"}
	})
	return s
}

func (s *siteLog) page(w http.ResponseWriter, r *http.Request) {
	s.accepts = append(s.accepts, r.Header.Get("Accept"))
	if c, err := r.Cookie("user"); err == nil {
		_, _ = io.WriteString(w, c.Value)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "login", Value: "under-way"})
	q := request("redirect_uri", s.url+"/callback", "response_mode", s.mode, "prompt", r.URL.Query().Get("prompt"))
	http.Redirect(w, r, s.provider.Issuer()+"/authorize?"+q.Encode(), http.StatusSeeOther)
}

func (s *siteLog) callback(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.answers, s.methods, s.origins = append(s.answers, r.Form), append(s.methods, r.Method), append(s.origins, r.Header.Get("Origin"))
	if c, err := r.Cookie("login"); err != nil || c.Value != "under-way" || r.Form.Get("code") == "" {
		http.Error(w, r.Form.Get("error"), http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "user", Value: "somebody"})
	http.Redirect(w, r, "account", http.StatusSeeOther)
}

func (s *siteLog) get(t *testing.T, c *http.Client, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestBrowserLogsIn(t *testing.T) {
	for mode, method := range map[string]string{"": http.MethodGet, "query": http.MethodGet, "form_post": http.MethodPost} {
		t.Run(mode, func(t *testing.T) {
			s := newSite(t, mode)
			browser := s.provider.Browser("alice")
			resp, body := s.get(t, browser, "/account")
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, "somebody", body)
			require.Equal(t, s.url+"/account", resp.Request.URL.String())
			require.Equal(t, []string{method}, s.methods)
			require.Equal(t, []string{"text/html", "text/html"}, s.accepts)
			require.Equal(t, "a state & more", s.answers[0].Get("state"))
			if method == http.MethodPost {
				require.Equal(t, []string{s.provider.Issuer()}, s.origins)
			}

			at, err := url.Parse(s.provider.Issuer())
			require.NoError(t, err)
			require.Empty(t, browser.Jar.Cookies(at))

			// It stays logged in, and another browser does not share that.
			_, body = s.get(t, browser, "/account", "Accept", "application/json")
			require.Equal(t, "somebody", body)
			require.Equal(t, "application/json", s.accepts[2])
			require.Len(t, s.answers, 1)
			s.get(t, s.provider.Browser("alice"), "/account")
			require.Len(t, s.answers, 2)
		})
	}
}

func TestBrowserShowsWhatWentWrong(t *testing.T) {
	for _, mode := range []string{"query", "form_post"} {
		s := newSite(t, mode)
		resp, body := s.get(t, s.provider.Browser("alice"), "/account?prompt=none")
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		require.Equal(t, "login_required\n", body)
		require.Equal(t, "/callback", resp.Request.URL.Path)
	}
	s := newSite(t, "")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/account", http.NoBody)
	require.NoError(t, err)
	resp, err := s.provider.Browser("mallory").Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorContains(t, err, `no user "mallory"`)
	require.Empty(t, s.answers)
}

// Who has no name ends at the login page, and may look at what the provider has besides.
func TestBrowserOfNobody(t *testing.T) {
	s := newSite(t, "")
	resp, body := s.get(t, s.provider.Browser(""), "/account")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, body, "<h1>Sign in</h1>")
	require.Empty(t, s.answers)
	require.Equal(t, 1, s.provider.Requests(oidctest.Authorization))
}

// A provider that does not listen is there for the browser, and every redirect can be seen.
func TestBrowserNeedsNoListener(t *testing.T) {
	p := start(t)
	browser := p.Browser("alice")
	var seen []string
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		seen = append(seen, r.URL.Host+r.URL.Path)
		return http.ErrUseLastResponse
	}
	for _, tt := range []struct{ target, seen string }{
		{issuer + "/authorize?" + request().Encode(), "client.example/callback"},
		{issuer + "/.well-known/openid-configuration", ""},
	} {
		seen = nil
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, http.NoBody)
		require.NoError(t, err)
		resp, err := browser.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Empty(t, r.Header, "the caller's request stays as it was")
		if tt.seen == "" {
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Empty(t, seen)
			continue
		}
		require.Equal(t, []string{tt.seen}, seen)
	}
}
