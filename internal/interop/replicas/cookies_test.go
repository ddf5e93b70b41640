package replicas_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

// copyCookies gives one browser the cookies that the other sends to target.
func copyCookies(t *testing.T, to, from *interop.Browser, target string) {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	cookies := from.Client.Jar.Cookies(u)
	require.NotEmpty(t, cookies)
	for _, c := range cookies {
		c.Path, c.Secure = "/", true
	}
	to.Client.Jar.SetCookies(u, cookies)
}
