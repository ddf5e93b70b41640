package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Each mistake is told when the program starts, and by the name of the field.
func TestNewLogin_Mistakes(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys)
	client := newClient(t, p, "")
	one := middleware.LoginProvider{ID: "one", Client: client}
	several := func(list ...middleware.LoginProvider) func(*middleware.LoginConfig) {
		return func(c *middleware.LoginConfig) { c.Client, c.Providers = nil, list }
	}
	for name, tt := range map[string]struct {
		field  string // "" if it is none
		change func(*middleware.LoginConfig)
	}{
		"good":                     {"", func(*middleware.LoginConfig) {}},
		"no URL":                   {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "" }},
		"plain http":               {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "http://app.example" }},
		"plain http on loopback":   {"", func(c *middleware.LoginConfig) { c.PublicURL = "http://localhost:8080" }},
		"no scheme":                {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "app.example" }},
		"user in the URL":          {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://a@app.example" }},
		"query in the URL":         {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example?a" }},
		"empty query in the URL":   {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example/?" }},
		"fragment in the URL":      {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example#" }},
		"dots in the URL":          {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example/a/../b" }},
		"encoded path in the URL":  {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example/%61" }},
		"two slashes in the URL":   {"PublicURL", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example//a" }},
		"path in the URL":          {"", func(c *middleware.LoginConfig) { c.PublicURL = "https://app.example/a/b/" }},
		"no keys":                  {"Keys", func(c *middleware.LoginConfig) { c.Keys = nil }},
		"short key":                {"Keys", func(c *middleware.LoginConfig) { c.Keys = []clientauth.Secret{"fifteen bytes.."} }},
		"short second key":         {"Keys", func(c *middleware.LoginConfig) { c.Keys = append(testKeys[:1:1], "short") }},
		"both kinds of keys":       {"EphemeralKeys", func(c *middleware.LoginConfig) { c.EphemeralKeys = true }},
		"key of the process":       {"", func(c *middleware.LoginConfig) { c.Keys, c.EphemeralKeys = nil, true }},
		"no client":                {"Client", func(c *middleware.LoginConfig) { c.Client = nil }},
		"client and providers":     {"Client", func(c *middleware.LoginConfig) { c.Providers = []middleware.LoginProvider{one} }},
		"nothing to choose":        {"Choose", func(c *middleware.LoginConfig) { c.Choose = func(*http.Request) string { return "" } }},
		"one provider":             {"", several(one)},
		"two of one ID":            {"Providers[1].ID", several(one, one)},
		"no ID":                    {"Providers[0].ID", several(middleware.LoginProvider{Client: client})},
		"long ID":                  {"Providers[0].ID", several(middleware.LoginProvider{ID: strings.Repeat("a", 33), Client: client})},
		"upper case in an ID":      {"Providers[0].ID", several(middleware.LoginProvider{ID: "One", Client: client})},
		"slash in an ID":           {"Providers[0].ID", several(middleware.LoginProvider{ID: "a/b", Client: client})},
		"provider without client":  {"Providers[1].Client", several(one, middleware.LoginProvider{ID: "two"})},
		"redirect URL that fits":   {"", func(c *middleware.LoginConfig) { c.Client = newClient(t, p, "https://app.example/callback") }},
		"other redirect URL":       {"Client", func(c *middleware.LoginConfig) { c.Client = newClient(t, p, "https://app.example/callback/") }},
		"redirect URL of another":  {"Providers[0].Client", several(middleware.LoginProvider{ID: "one", Client: newClient(t, p, "https://app.example/callback")})},
		"redirect URL of this one": {"", several(middleware.LoginProvider{ID: "one", Client: newClient(t, p, "https://app.example/callback/one")})},
		"odd cookie name":          {"CookieName", func(c *middleware.LoginConfig) { c.CookieName = "a b" }},
		"long cookie name":         {"CookieName", func(c *middleware.LoginConfig) { c.CookieName = strings.Repeat("a", 33) }},
		"plain page after logout":  {"PostLogoutRedirectURL", func(c *middleware.LoginConfig) { c.PostLogoutRedirectURL = "http://app.example/" }},
		"path after logout":        {"PostLogoutRedirectURL", func(c *middleware.LoginConfig) { c.PostLogoutRedirectURL = "/bye" }},
		"negative lifetime":        {"Lifetime", func(c *middleware.LoginConfig) { c.Lifetime = -1 }},
		"negative idle lifetime":   {"IdleLifetime", func(c *middleware.LoginConfig) { c.IdleLifetime = -1 }},
		"negative revalidation":    {"RevalidateEvery", func(c *middleware.LoginConfig) { c.RevalidateEvery = -1 }},
		"negative outage":          {"OutageLimit", func(c *middleware.LoginConfig) { c.OutageLimit = -1 }},
		"idle for longer":          {"IdleLifetime", func(c *middleware.LoginConfig) { c.Lifetime, c.IdleLifetime = time.Hour, 2*time.Hour }},
		"idle longer than default": {"IdleLifetime", func(c *middleware.LoginConfig) { c.IdleLifetime = 9 * time.Hour }},
		"shorter than idle":        {"", func(c *middleware.LoginConfig) { c.Lifetime = time.Minute }},
		"login is the start page":  {"LoginPath", func(c *middleware.LoginConfig) { c.LoginPath = "/" }},
		"no path":                  {"LoginPath", func(c *middleware.LoginConfig) { c.LoginPath = "login" }},
		"query in a path":          {"LoginPath", func(c *middleware.LoginConfig) { c.LoginPath = "/login?x" }},
		"fragment in a path":       {"LogoutPath", func(c *middleware.LoginConfig) { c.LogoutPath = "/logout#x" }},
		"host in a path":           {"LogoutPath", func(c *middleware.LoginConfig) { c.LogoutPath = "//evil.example" }},
		"dots in a path":           {"CallbackPath", func(c *middleware.LoginConfig) { c.CallbackPath = "/a/../b" }},
		"slash at the end":         {"CallbackPath", func(c *middleware.LoginConfig) { c.CallbackPath = "/callback/" }},
		"encoded path":             {"SessionPath", func(c *middleware.LoginConfig) { c.SessionPath = "/a%62" }},
		"path that needs encoding": {"SessionPath", func(c *middleware.LoginConfig) { c.SessionPath = `/"><script>` }},
		"login is the callback":    {"CallbackPath", func(c *middleware.LoginConfig) { c.CallbackPath = "/login" }},
		"logout is the callback":   {"CallbackPath", func(c *middleware.LoginConfig) { c.LogoutPath = "/callback" }},
		"login is logout":          {"LogoutPath", func(c *middleware.LoginConfig) { c.LoginPath, c.LogoutPath = "/x", "/x" }},
		"initiation is login":      {"InitiateLoginPath", func(c *middleware.LoginConfig) { c.InitiateLoginPath = "/login" }},
		"session is logout":        {"SessionPath", func(c *middleware.LoginConfig) { c.SessionPath = "/logout" }},
		"back channel is logout":   {"BackChannelLogoutPath", func(c *middleware.LoginConfig) { c.BackChannelLogoutPath = "/logout" }},
		"front channel is logout": {"FrontChannelLogoutPath", func(c *middleware.LoginConfig) {
			c.FrontChannelLogout, c.FrontChannelLogoutPath = true, "/logout"
		}},
		"no front channel": {"", func(c *middleware.LoginConfig) { c.FrontChannelLogoutPath = "/logout" }},
		"callback of a provider is another route": {"CallbackPath", func(c *middleware.LoginConfig) {
			c.Client, c.Providers, c.CallbackPath, c.LoginPath = nil, []middleware.LoginProvider{one}, "/c", "/c/one"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := middleware.LoginConfig{Client: client, PublicURL: "https://app.example", Keys: testKeys}
			tt.change(&cfg)
			l, err := middleware.NewLogin(cfg)
			if tt.field == "" {
				require.NoError(t, err)
				require.NotNil(t, l)
				return
			}
			require.Nil(t, l)
			require.Regexp(t, `^middleware: LoginConfig\.`+regexp.QuoteMeta(tt.field)+`[: ]`, err.Error())
			for _, key := range cfg.Keys {
				require.NotContains(t, err.Error(), string(key))
			}
		})
	}
	require.Zero(t, p.Requests(oidctest.Discovery), "nobody is asked")
}

// F43, needs 19: neither Host nor any forwarded header decides where the provider sends
// the browser back to, nor whether cookies are secure.
func TestF43_Needs19_PublicURLAloneDecides(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys)
	for public, want := range map[string]string{
		"https://client.example":      "https://client.example/callback",
		"https://client.example/":     "https://client.example/callback",
		"https://client.example/a/b":  "https://client.example/a/b/callback",
		"https://client.example/a/b/": "https://client.example/a/b/callback",
	} {
		l, err := middleware.NewLogin(middleware.LoginConfig{Client: newClient(t, p, ""), PublicURL: public, Keys: testKeys})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://evil.example/login", http.NoBody)
		for _, header := range []string{"X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded-Server", "X-Original-Host"} {
			r.Header[header] = []string{"evil.example"}
		}
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("X-Forwarded-Prefix", "/evil")
		r.Header.Set("Forwarded", "host=evil.example;proto=http")
		w := httptest.NewRecorder()
		if want == "https://client.example/callback" {
			l.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
			require.Equal(t, http.StatusSeeOther, w.Code)
			require.Equal(t, want, queryOf(t, w.Header().Get("Location")).Get("redirect_uri"))
			require.True(t, strings.HasPrefix(w.Header().Get("Set-Cookie"), "__Host-"))
			continue
		}
		// With a path the login is below it, whether or not a proxy has taken that away.
		for _, path := range []string{"/a/b/login", "/login"} {
			r.URL.Path = path
			w = httptest.NewRecorder()
			l.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
			require.Equal(t, http.StatusSeeOther, w.Code)
			require.Equal(t, want, queryOf(t, w.Header().Get("Location")).Get("redirect_uri"))
		}
	}
}
