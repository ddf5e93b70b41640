package app_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/webapp/app"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// snippet is the first one of the document as it is there, its indentation lost.
const snippet = `    deploy.security:
    auth:
    providers:
    oidc:
    loginMethodDescription:
    clientId: "<Your client ID>"
    clientSecret: "<Your client secret>"
    issuer: "<Enter the Open ID Provider Issuer>"
    redirectUri: "https://xl-deploy.example.com/login/external-login"
    postLogoutRedirectUri: "https://xl-deploy.example.com/login/external-login"
    rolesClaimName: "<Your roles claim>"
    userNameClaimName: "<Your username claim>"
`

const deployURL = "https://xl-deploy.example.com"

// startDeploy starts a provider, and the application with the snippet, in which the rest
// stands that a test wants.
func startDeploy(t *testing.T, change *strings.Replacer) (*oidctest.Provider, *browser) {
	t.Helper()
	p := oidctest.Start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.AuthMethod, client.RedirectURIs = "client_secret_post", []string{deployURL + "/login/external-login"}
		client.PostLogoutRedirectURIs = []string{deployURL + "/login/external-login", deployURL + "/"}
		c.Clients = []oidctest.Client{client}
	})
	text := strings.NewReplacer("<Your client ID>", oidctest.ClientID, "<Your client secret>", oidctest.ClientSecret,
		"<Enter the Open ID Provider Issuer>", p.Issuer(), "<Your roles claim>", "realm_access.roles",
		"<Your username claim>", "preferred_username").Replace(change.Replace(snippet))
	addr := freeAddress(t)
	start(t, addr, "-config", settingsFile(t, text))
	return p, behindProxy(t, addr)
}

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deploy-oidc.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// behindProxy is a browser to which the application is where its redirectUri says.
func behindProxy(t *testing.T, addr string) *browser {
	t.Helper()
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: addr})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	b := newBrowser(t)
	transport := proxy.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.TLSClientConfig.MinVersion = tls.VersionTLS13
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == "xl-deploy.example.com:443" {
			to = proxy.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	b.http.Transport = transport
	return b
}

var alice = url.Values{"username": {"alice"}, "password": {"wonderland"}}

// A whole login and logout, with the document's own YAML.
func TestDeploy(t *testing.T) {
	p, b := startDeploy(t, strings.NewReplacer())
	require.Contains(t, b.get(deployURL+"/").body, `<a class="button" href="/login">Log in with OpenID Connect</a>`)
	var callback string
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/login/external-login" {
			callback = r.URL.Host + r.URL.Path
		}
		return nil
	}
	page := b.get(deployURL + "/login")
	require.True(t, strings.HasPrefix(page.Request.URL.String(), p.Issuer()), page.Request.URL)
	home := b.submit(page, alice)
	require.Equal(t, "xl-deploy.example.com/login/external-login", callback)
	require.Equal(t, deployURL+"/", home.Request.URL.String())
	require.Contains(t, home.body, "Hello, alice")
	status, me := b.me(deployURL)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "alice", me.Name)
	require.Equal(t, []string{"admin", "user"}, me.Roles)
	require.Equal(t, p.Issuer(), me.Issuer)
	require.Equal(t, http.StatusOK, b.get(deployURL+"/admin").StatusCode)

	callback = ""
	out := b.do(http.MethodPost, deployURL+"/logout", url.Values{})
	require.Equal(t, "xl-deploy.example.com/login/external-login", callback, "postLogoutRedirectUri")
	require.Equal(t, http.StatusOK, out.StatusCode)
	require.Equal(t, deployURL+"/", out.Request.URL.String(), "the page with the link to a login")
	require.Contains(t, out.body, "You are not logged in")
	status, _ = b.me(deployURL)
	require.Equal(t, http.StatusUnauthorized, status)

	// What comes with an answer, even a bad one, is the login's to judge.
	for _, query := range []string{"?code=x", "?state=x", "?state=x&code=y", "?error=access_denied", "?error=access_denied&state=x"} {
		require.NotEqual(t, deployURL+"/", b.get(deployURL+"/login/external-login"+query).Request.URL.String(), query)
	}
}

// Each setting that shows in the application, changed once.
func TestDeploy_Settings(t *testing.T) {
	replace := func(pairs ...string) *strings.Replacer { return strings.NewReplacer(pairs...) }
	t.Run("loginMethodDescription", func(t *testing.T) {
		_, b := startDeploy(t, replace("loginMethodDescription:", "loginMethodDescription: Key & cloak"))
		require.Contains(t, b.get(deployURL+"/").body, "Log in with Key &amp; cloak</a>")
	})
	t.Run("postLogoutRedirectUri", func(t *testing.T) {
		_, b := startDeploy(t, replace(`postLogoutRedirectUri: "https://xl-deploy.example.com/login/external-login"`, `postLogoutRedirectUri: "https://xl-deploy.example.com/"`))
		b.submit(b.get(deployURL+"/login"), alice)
		var path []string
		b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error { path = append(path, r.URL.Path); return nil }
		require.Contains(t, b.do(http.MethodPost, deployURL+"/logout", url.Values{}).body, "You are not logged in")
		require.NotContains(t, path, "/login/external-login")
	})
	t.Run("rolesClaimName", func(t *testing.T) {
		_, b := startDeploy(t, replace("<Your roles claim>", "groups"))
		b.submit(b.get(deployURL+"/login"), alice)
		_, me := b.me(deployURL)
		require.Equal(t, []string{"engineering", "admins"}, me.Roles)
		require.Equal(t, http.StatusForbidden, b.get(deployURL+"/admin").StatusCode)
	})
	t.Run("userNameClaimName", func(t *testing.T) {
		_, b := startDeploy(t, replace("<Your username claim>", "email"))
		require.Contains(t, b.submit(b.get(deployURL+"/login"), alice).body, "Hello, alice@example.com")
	})
	t.Run("userNameClaimName that is not there", func(t *testing.T) {
		_, b := startDeploy(t, replace("<Your username claim>", "nowhere"))
		b.submit(b.get(deployURL+"/login"), alice)
		for _, path := range []string{"/me", "/admin", "/account"} {
			require.Equal(t, http.StatusForbidden, b.get(deployURL+path).StatusCode, path)
		}
	})
	t.Run("scopes", func(t *testing.T) {
		_, b := startDeploy(t, replace("loginMethodDescription:", "scopes: openid"))
		b.submit(b.get(deployURL+"/login"), alice)
		_, me := b.me(deployURL)
		require.NotContains(t, me.Claims, "email")
	})
	t.Run("additionalParameters", func(t *testing.T) {
		_, b := startDeploy(t, replace("loginMethodDescription:", "additionalParameters: {param1: false, param2: str}"))
		query := b.get(deployURL + "/login").Request.URL.Query()
		require.Equal(t, "false", query.Get("param1"))
		require.Equal(t, "str", query.Get("param2"))
	})
	t.Run("clientAuthMethod", func(t *testing.T) {
		_, b := startDeploy(t, replace("loginMethodDescription:", "clientAuthMethod: client_secret_basic"))
		require.NotContains(t, b.submit(b.get(deployURL+"/login"), alice).body, "Hello", "the provider wants client_secret_post")
	})
}

// A redirectUri of this machine says where to listen.
func TestDeploy_Listen(t *testing.T) {
	addr := freeAddress(t)
	base := "http://" + addr
	p := oidctest.Start(t, func(c *oidctest.Config) {
		c.Clients[0].RedirectURIs = []string{base + "/deploy/login/external-login"}
	})
	text := strings.NewReplacer("<Your client ID>", oidctest.ClientID, "<Your client secret>", oidctest.ClientSecret,
		"<Enter the Open ID Provider Issuer>", p.Issuer(), "<Your roles claim>", "groups", "<Your username claim>", "sub",
		"loginMethodDescription:", "clientAuthMethod: client_secret_basic", deployURL, base+"/deploy").Replace(snippet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, []string{"-config", settingsFile(t, text)}, app.Options{}) }()
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		return err == nil && c.Close() == nil
	}, 10*time.Second, 5*time.Millisecond)
	b := newBrowser(t)
	require.Contains(t, b.submit(b.get(base+"/login"), alice).body, "Hello, 248289761001")
	cancel()
	require.NoError(t, <-done)
}

func TestDeploy_Check(t *testing.T) {
	p := oidctest.Start(t, func(c *oidctest.Config) { c.Clients[0].AuthMethod = "client_secret_post" })
	text := strings.NewReplacer("<Your client ID>", oidctest.ClientID, "<Your client secret>", oidctest.ClientSecret,
		"<Enter the Open ID Provider Issuer>", p.Issuer(), "<Your roles claim>", "groups", "<Your username claim>", "sub").Replace(snippet)
	require.NoError(t, app.Run(t.Context(), []string{"-config", settingsFile(t, text), "-check"}, app.Options{}))
	p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	require.ErrorContains(t, app.Run(t.Context(), []string{"-config", settingsFile(t, text), "-check"}, app.Options{}), "are wrong, see the table")
}

func TestDeploy_Mistakes(t *testing.T) {
	quiet(t)
	good := settingsFile(t, strings.NewReplacer("<Your client ID>", "a", "<Your client secret>", "b", "<Enter the Open ID Provider Issuer>", "https://id.example",
		"<Your roles claim>", "groups", "<Your username claim>", "sub").Replace(snippet))
	for _, flag := range [][]string{
		{"-issuer", "https://id.example"}, {"-client-id", "x"}, {"-client-secret", "x"}, {"-scopes", "openid"}, {"-roles-claim", "groups"},
		{"-public-url", "https://app.example"},
	} {
		err := app.Run(t.Context(), append([]string{"-config", good}, flag...), app.Options{})
		require.EqualError(t, err, flag[0]+" is what -config decides: leave the flag out, and write it into the file")
	}
	for want, args := range map[string][]string{
		"no such file":  {"-config", "nowhere.yaml"},
		"add -config":   {"-check"},
		"redirectUri: ": {"-config", changed(t, good, "/login/external-login", "/login")},
		"clientId: is still the placeholder of the document": {"-config", settingsFile(t, snippet)},
		"clientAuthJwt.key-store: ":                          {"-config", changed(t, good, "loginMethodDescription:", "clientAuthMethod: private_key_jwt\nclientAuthJwt: {key-store: nowhere}\n")},
	} {
		require.ErrorContains(t, app.Run(t.Context(), append(args, "-listen", "127.0.0.1:0"), app.Options{}), want)
	}
}

func changed(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return settingsFile(t, strings.NewReplacer(pairs...).Replace(strings.ReplaceAll(string(text), "    ", "")))
}
