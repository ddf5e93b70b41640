package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
)

// withoutSession is a browser as it sends another site's form: without the cookies of the
// session, which are SameSite=Lax.
func (v *visitor) withoutSession() *visitor {
	c := v.copy()
	for name := range c.cookies {
		if strings.HasPrefix(name, "__Host-oidckit_session") {
			delete(c.cookies, name)
		}
	}
	return c
}

// logInByForm logs in where the provider answers by a form, at two replicas if there are as many.
func (v *visitor) logInByForm(username string) {
	v.f.t.Helper()
	_, answer, _ := strings.Cut(v.begin(0, username), "?")
	r := httptest.NewRequestWithContext(v.f.t.Context(), http.MethodPost, fleetURL+"/callback", strings.NewReader(answer))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	end := v.withoutSession().send(1, r)
	require.Equal(v.f.t, http.StatusSeeOther, end.Code, end.Body.String())
	v.take(end)
}

// F15: the session of before a login ends with it, also where the callback comes without its
// cookie: somebody else may know it.
func TestF15_FormPostEndsTheSessionOfBefore(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2, func(c *middleware.LoginConfig) { c.FormPost = true })
		v := f.visitor()
		v.logInByForm("alice")
		v.require(http.StatusOK, 0)
		before := v.copy()
		f.visitor().logInByForm("alice") // another browser's login ends nothing here
		before.copy().require(http.StatusOK, 0)
		v.logInByForm("alice")
		v.require(http.StatusOK, 0)
		before.copy().require(http.StatusUnauthorized, 0)
		before.copy().require(http.StatusUnauthorized, 1)
		time.Sleep(30 * time.Minute)
		v.require(http.StatusOK, 1)
		before.require(http.StatusUnauthorized, 0)
	})
}

// F15: a login that does not work out ends nothing.
func TestF15_FailedFormPostEndsNothing(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1, func(c *middleware.LoginConfig) { c.FormPost = true })
		v := f.visitor()
		v.logInByForm("alice")
		_, answer, _ := strings.Cut(v.begin(0, "alice"), "?")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, fleetURL+"/callback", strings.NewReader(strings.Replace(answer, "code=", "error=access_denied&x=", 1)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusForbidden, v.withoutSession().send(0, r).Code)
		v.require(http.StatusOK, 0)
	})
}

// F16: cookies of another Login of the host are none of ours, whatever its CookieName.
func TestF16_CookieNamesThatGoOnAsOursDo(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *middleware.LoginConfig) { c.CookieName = "app" })
	b := s.browser(t)
	others := []string{"app_login_session", "app_login_session_1", "app_login_guard", "app_login_login_" + strings.Repeat("x", 16)}
	for _, name := range others {
		b.set(name, "of another Login")
	}
	for range 8 {
		b.get("/login")
	}
	for _, name := range others {
		require.Contains(t, b.cookies(), name)
	}
	require.Len(t, b.cookies(), len(others)+5)
}
