package interop_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

var webappReady = regexp.MustCompile(`^The application is at (http://\S+)$`)

func TestWebapp(t *testing.T) {
	bin := interop.BuildExample(t, "webapp")
	for _, id := range []string{"app-basic", "app-public"} {
		t.Run(id, func(t *testing.T) {
			address := interop.FreeAddress(t)
			base := "http://" + address
			op := interop.StartOP(t, []string{base + "/callback"}, interop.WithPostLogoutRedirectURIs(base+"/"))
			client := op.Client(t, id)
			p := interop.Run(t, bin, "-listen", address, "-issuer", op.Issuer,
				"-client-id", client.ID, "-client-secret", client.Secret)
			require.Equal(t, base, p.Wait(webappReady)[1])
			walkThrough(t, op, base)
		})
	}
}

// walkThrough is what a person does at the application.
func walkThrough(t *testing.T, op *interop.OP, base string) {
	t.Helper()
	browser := op.NewBrowser()
	me := func() answer { return visit(t, browser, base+"/me") }
	require.Equal(t, http.StatusUnauthorized, me().status, "nobody is logged in yet")

	home, err := browser.Visit(t.Context(), base+"/login", "alice")
	require.NoError(t, err)
	defer home.Body.Close()
	require.Equal(t, http.StatusOK, home.StatusCode)
	require.Equal(t, base+"/", home.Request.URL.String())

	got := me()
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	user := got.json(t)
	require.Equal(t, op.Issuer, user["iss"])
	require.Equal(t, "alice", user["sub"])
	require.Equal(t, "Alice Adams", user["name"])
	require.Equal(t, []any{"admin", "user"}, user["roles"])
	require.NotContains(t, user["claims"], "realm_access", "it is at userinfo alone")
	require.Contains(t, user["userinfo"], "realm_access")

	other := op.NewBrowser()
	require.Equal(t, http.StatusUnauthorized, visit(t, other, base+"/me").status, "another browser has no session")

	end, err := browser.Logout(t.Context(), base+"/logout")
	require.NoError(t, err)
	defer end.Body.Close()
	require.Equal(t, http.StatusOK, end.StatusCode)
	require.Equal(t, base+"/", end.Request.URL.String())
	require.Equal(t, http.StatusUnauthorized, me().status)

	// The provider's session ended too: it asks again who is there.
	again := visit(t, browser, base+"/login")
	require.Contains(t, again.body, "Sign in")
}

func visit(t *testing.T, browser *interop.Browser, target string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	return send(t, browser.Client, req)
}

func TestWebappShowsADeniedLogin(t *testing.T) {
	address := interop.FreeAddress(t)
	base := "http://" + address
	op := interop.StartOP(t, []string{base + "/callback"})
	client := op.Client(t, "app-basic")
	interop.Run(t, interop.BuildExample(t, "webapp"), "-listen", address, "-issuer", op.Issuer,
		"-client-id", client.ID, "-client-secret", client.Secret).Wait(webappReady)

	browser := op.NewBrowser()
	form, err := browser.Visit(t.Context(), base+"/login", "nobody")
	require.NoError(t, err)
	defer form.Body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, form.Request.URL.String(), strings.NewReader("cancel=yes"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusForbidden, send(t, browser.Client, req).status)
	require.Equal(t, http.StatusUnauthorized, visit(t, browser, base+"/me").status)
}
