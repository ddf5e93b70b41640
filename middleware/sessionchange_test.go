package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A realm has moved, or the program is configured for another one, whose client has the same ID.
func TestF17_SessionOfAnotherIssuer(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		at := func(cfg oidc.Config) func(*middleware.LoginConfig) {
			return func(c *middleware.LoginConfig) {
				cfg.Now, cfg.HTTPClient = f.op.Now, f.op.HTTPClient()
				provider, err := oidc.NewProvider(cfg)
				require.NoError(t, err)
				c.Client, err = oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret})
				require.NoError(t, err)
			}
		}
		f.add(m, at(oidc.Config{Issuer: "https://another.example"}))
		f.add(m, at(oidc.Config{Issuer: "https://another.example", IssuerAliases: []string{f.op.Issuer()}}))
		v := f.visitor()
		require.Equal(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code)
		v.copy().require(http.StatusUnauthorized, 1)
		v.copy().require(http.StatusOK, 2)
		v.copy().require(http.StatusOK, 0)
	})
}

// While a version with one more provider is rolled out, those of before leave its sessions alone.
func TestF17_SessionOfAProviderToCome(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 0)
		with := func(ids ...string) func(*middleware.LoginConfig) {
			return func(c *middleware.LoginConfig) {
				c.Client = nil
				for _, id := range ids {
					c.Providers = append(c.Providers, middleware.LoginProvider{ID: id, Client: f.newClient()})
				}
			}
		}
		f.add(m, with("old"))
		f.add(m, with("old", "new"))
		v := f.visitor()
		v.cookies = middleware.CookiesOfSession(f.apps[1], "new", f.tokens())
		v.require(http.StatusUnauthorized, 0)
		v.require(http.StatusOK, 1)
		require.Empty(t, f.stepsOf(middleware.SessionEnded))
	})
}

// Sessions that were ended, or would have, do not come back when later ones may last longer.
func TestF22_LongerLifetimeBringsNobodyBack(t *testing.T) {
	for name, end := range map[string]func(v *visitor){
		"logged out": func(v *visitor) { v.logOut(0) },
		"expired":    func(*visitor) {},
	} {
		t.Run(name, func(t *testing.T) {
			inSharedModes(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 1)
				f.add(m, func(c *middleware.LoginConfig) { c.Lifetime, c.IdleLifetime = 24*time.Hour, 12*time.Hour })
				f.op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
				v := f.visitor()
				require.Equal(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code)
				require.True(t, v.require(http.StatusOK, 1).session.Expires().Equal(time.Now().Add(8*time.Hour)))
				thief := v.copy()
				end(v)
				time.Sleep(9 * time.Hour)
				thief.require(http.StatusUnauthorized, 1)
			})
		})
	}
}

// A role that was taken away does not stay because the userinfo that says so cannot be read.
func TestNeeds37_UserInfoThatCannotBeRead(t *testing.T) {
	boss := middleware.RequireRole(claims.P("my_roles"), "boss")
	for name, tt := range map[string]struct {
		spoil func(f *fleet)
		ends  time.Duration // at most, after the refresh that was due
	}{
		"too large":       {func(f *fleet) { f.op.OnUserInfo(func(c map[string]any) { c["bio"] = strings.Repeat("x", 4<<20) }) }, 0},
		"too big to keep": {func(f *fleet) { f.op.OnUserInfo(func(c map[string]any) { c["bio"] = strings.Repeat("x", 1<<16) }) }, 0},
		"no JSON object":  {func(f *fleet) { f.op.SetFault(oidctest.UserInfo, oidctest.Fault{Body: `{"sub":1,"sub":2}`}) }, 0},
		"forbidden": {func(f *fleet) {
			f.op.SetFault(oidctest.UserInfo, oidctest.Fault{Status: http.StatusForbidden, Body: `{"error":"insufficient_scope"}`})
		}, 0},
		"down": {func(f *fleet) { f.op.SetFault(oidctest.UserInfo, oidctest.Fault{Status: http.StatusBadGateway}) }, time.Hour},
		"a proxy's page": {func(f *fleet) {
			f.op.SetFault(oidctest.UserInfo, oidctest.Fault{Body: "<html>", ContentType: "text/html"})
		}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 1)
				f.op.OnUserInfo(func(c map[string]any) { c["my_roles"] = []string{"boss"} })
				f.front[0] = f.apps[0].Handler(f.apps[0].RequireLogin(http.HandlerFunc(show), boss))
				v := f.visitor()
				v.logIn("alice")
				v.require(http.StatusOK, 0)
				time.Sleep(accessLife)
				tt.spoil(f)
				failed := time.Now()
				for time.Since(failed) < tt.ends {
					require.Equal(t, http.StatusOK, v.get(0, "/").Code, time.Since(failed))
					time.Sleep(accessLife / 5)
				}
				require.Equal(t, http.StatusForbidden, v.get(0, "/").Code)

				f.op.SetFault(oidctest.UserInfo, oidctest.Fault{})
				f.op.OnUserInfo(func(c map[string]any) { c["my_roles"] = []string{"boss"} })
				time.Sleep(accessLife)
				v.require(http.StatusOK, 0)
			})
		})
	}
}

// An outage that has ended counts for nothing in the next one. Where access tokens live long, the
// userinfo is asked for again when the time of an outage is over.
func TestNeeds37_UserInfoDownTwice(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1, func(c *middleware.LoginConfig) {
			c.Lifetime, c.IdleLifetime = 100*time.Hour, 50*time.Hour
			c.RevalidateEvery = 10 * time.Hour
		})
		f.op.OnTokenResponse(func(r map[string]any) { r["expires_in"] = 864000 })
		f.op.OnUserInfo(func(c map[string]any) { c["nickname"] = "Ali" })
		v := f.visitor()
		v.logIn("alice")
		knows := func(want bool) {
			t.Helper()
			require.Equal(t, want, v.require(http.StatusOK, 0).session.UserInfo() != nil)
		}
		down := func(is bool) {
			fault := oidctest.Fault{}
			if is {
				fault.Status = http.StatusBadGateway
			}
			f.op.SetFault(oidctest.UserInfo, fault)
		}
		for range 2 {
			down(true)
			time.Sleep(10 * time.Hour)
			knows(true)
			time.Sleep(59 * time.Minute)
			knows(true)
			down(false)
			time.Sleep(time.Minute)
			knows(true) // by asking again
		}
		down(true)
		time.Sleep(10 * time.Hour)
		knows(true)
		time.Sleep(time.Hour)
		knows(false)
		down(false)
		time.Sleep(10 * time.Hour)
		knows(true)
		require.Len(t, f.refreshes(), 7)
	})
}

// A configuration without userinfo has none of before.
func TestNeeds37_UserInfoOfBefore(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		f.add(serverSide, func(c *middleware.LoginConfig) { c.WithoutUserInfo = true })
		v := f.visitor()
		require.Equal(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code)
		require.NotNil(t, v.require(http.StatusOK, 0).session.UserInfo())
		time.Sleep(accessLife)
		require.Nil(t, v.require(http.StatusOK, 1).session.UserInfo())
		require.Nil(t, v.require(http.StatusOK, 0).session.UserInfo())
	})
}
