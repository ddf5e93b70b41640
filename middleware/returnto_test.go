package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

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

// F12, needs 39: whatever the link says, the login ends on this host, as the browser reads
// the Location that it gets.
func TestF12_Needs39_ReturnTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	for _, tt := range localPaths {
		t.Run(tt.target, func(t *testing.T) {
			requireRedirect(t, tt.want, b.get(b.begin("alice", tt.target)))
		})
	}
}

// F13: where the login ends is sealed with the login, and the callback has no word in it.
func TestF13_CallbackDoesNotSayWhereTheLoginEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "/one")
	requireRedirect(t, "/one", b.get(callback+"&return_to=/two&target_link_uri=/two"))
	for name, value := range b.flowCookies() {
		require.NotContains(t, name+value, "one")
	}
}

func TestF14_ReturnToOwnPaths(t *testing.T) {
	t.Parallel()
	for name, own := range map[string][2]string{"default": {"/login", "/logout"}, "others": {"/in", "/out"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out := own[0], own[1]
			s := newSite(t, func(c *middleware.LoginConfig) { c.LoginPath, c.LogoutPath, c.FrontChannelLogout = in, out, true })
			b := s.browser(t)
			for _, target := range []string{
				in, out, "/callback", in + "?return_to=/x", out + "?x", "/callback?state=x", in + "#x",
				"/%63allback", strings.Replace(out, "o", "%6f", 1) + "?x", strings.Replace(in, "i", "%69", 1),
				in + "/initiate?iss=x", in + "/session", out + "/backchannel", out + "/frontchannel",
			} {
				requireRedirect(t, "/", b.get(b.beginAt(in+"?"+url.Values{"return_to": {target}}.Encode(), "alice")))
			}
			requireRedirect(t, in+"x", b.get(b.beginAt(in+"?return_to="+in+"x", "alice")))
		})
	}
}

// Below a path of PublicURL the login ends there, and its own paths are so with and without it.
func TestF14_ReturnToBelowThePathOfPublicURL(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, fastKeys, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.RedirectURIs = []string{"http://127.0.0.1/a/b/callback"}
		c.Clients = []oidctest.Client{client}
	})
	s := newSiteAt(t, p, func(c *middleware.LoginConfig) { c.PublicURL += "/a/b" })
	b := s.browser(t)
	for target, want := range map[string]string{
		"": "/a/b/", "/": "/a/b/", "/a/b": "/a/b", "/a/b/": "/a/b/", "/a/b/c?d": "/a/b/c?d", "/c?d": "/a/b/c?d", "/a/c": "/a/b/a/c", "/a/bc": "/a/b/a/bc",
		"/%61/b/c": "/%61/b/c", "/a/b/login": "/a/b/", "/login?x": "/a/b/", "/a/b/%6cogin": "/a/b/", "/%61/b/callback": "/a/b/",
		"/a/b/a/b/logout": "/a/b/", "/a/b/a/b/c": "/a/b/a/b/c", "//evil.example": "/a/b/", "/a/b//evil.example": "/a/b/", "/a/b/../c": "/a/b/",
	} {
		for _, proxied := range []string{"/a/b", ""} {
			callback := b.beginAt(proxied+"/login?"+url.Values{"return_to": {target}}.Encode(), "alice")
			requireRedirect(t, want, b.get(strings.Replace(callback, "/a/b/callback", proxied+"/callback", 1)))
		}
	}
}

// A cookie of more than 4096 bytes is dropped by browsers, and the login with it.
func TestF19_LongReturnToFitsACookie(t *testing.T) {
	t.Parallel()
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

// F12: net/http would clean the path, and make it another than the one that was checked.
func TestF12_LocationIsWrittenAsChecked(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/./\\evil.example", "/a;b=c/d", "/a?b=/../c"} {
		w := httptest.NewRecorder()
		middleware.SeeOther(w, target)
		require.Equal(t, []string{target}, w.Header()["Location"])
	}
}

// FuzzReturnTo: whatever return_to says, the login ends on this host below PublicURL and not
// at a path of the login's own, as RFC 3986 has it and as browsers read it. What was checked
// stays as it is when it is checked again.
func FuzzReturnTo(f *testing.F) {
	shapes := []string{
		"//HOST", "///HOST", "////HOST", "/\\HOST", "\\/HOST", "/\t/HOST", "/\n/HOST", "/%09/HOST", "/%0a/HOST", "/%0d/HOST", "/%5cHOST", "/%2fHOST",
		"/%2f%2fHOST", "/.HOST", "/..//HOST", "/./\\HOST", "/;/HOST", "/;@HOST", "/@HOST", "//@HOST", "//a@HOST", "//HOST%00.app.example",
		"//HOST%23", "//HOST?", "//HOST#", "/〱HOST", "/。HOST", "//HOST%E3%80%82com", "/%E3%80%82HOST", "https:HOST", "https:/HOST", "http:///HOST",
		"javascript:alert(1)//HOST", "/javascript:alert(1)", "data:text/html,HOST", "/%2e%2e/HOST", "/%252f%252fHOST", "/%68ttps://HOST", "/https://HOST",
		"//app.example@HOST", "/\u00a0/HOST", "/ /HOST", "/\x00/HOST", "//[::1]", "//0x7f000001", "/login/../logout", "/a/b/logout", "/a/b/a/b/login",
	}
	for _, shape := range shapes {
		f.Add(strings.ReplaceAll(shape, "HOST", "evil.example"))
	}
	for _, tt := range localPaths {
		f.Add(tt.target)
	}
	var logins []*middleware.Login
	for _, public := range []string{"https://app.example", "https://app.example/a/b"} {
		l, err := middleware.NewLogin(middleware.LoginConfig{Client: anyClient(f), PublicURL: public, EphemeralKeys: true})
		require.NoError(f, err)
		logins = append(logins, l)
	}
	own := []string{"/login", "/logout", "/callback", "/login/session", "/login/initiate", "/logout/backchannel"}
	f.Fuzz(func(t *testing.T, target string) {
		for i, base := range []string{"", "/a/b"} {
			got := middleware.ReturnTo(logins[i], target)
			requireLocal(t, got)
			require.Equal(t, got, middleware.ReturnTo(logins[i], got))
			u, err := url.Parse(got)
			require.NoError(t, err)
			require.True(t, u.Path == base || strings.HasPrefix(u.Path, base+"/"))
			for _, path := range own {
				require.NotEqual(t, path, u.Path)
				require.NotEqual(t, base+path, u.Path)
			}
		}
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
