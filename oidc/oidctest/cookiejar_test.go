package oidctest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestCookieJarKeepsSecureCookiesOfThisMachine(t *testing.T) {
	t.Parallel()
	for target, kept := range map[string]int{
		"http://127.0.0.1:8080/": 1, "http://localhost:8080/": 1, "http://[::1]:8080/": 1,
		"https://app.example/": 1, "http://app.example/": 0, "http://localhost.example/": 0,
	} {
		u, err := url.Parse(target)
		require.NoError(t, err)
		jar := oidctest.NewCookieJar()
		jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode}})
		require.Len(t, jar.Cookies(u), kept, target)
	}
}
