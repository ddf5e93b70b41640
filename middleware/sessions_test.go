package middleware_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Who planted a session, or knows the one of before, has nothing of the login.
func TestF15_LoginEndsTheSessionOfBefore(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.cookies["__Host-oidckit_session"] = "planted"
		v.logIn("alice")
		alice := v.require(http.StatusOK, 0)
		require.NotContains(t, v.sessionCookies(), "planted")
		before := v.copy()
		v.logIn("bob")
		require.NotEqual(t, alice.session.Subject(), v.require(http.StatusOK, 1).session.Subject())
		require.NotEqual(t, before.sessionCookies(), v.sessionCookies())
		before.require(http.StatusUnauthorized, 1)
	})
}

// A record of one id is found under that id alone, and by nobody who makes one up.
func TestF15_NobodyElseKnowsTheCookie(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		alice, bob := f.visitor(), f.visitor()
		alice.logIn("alice")
		bob.logIn("bob")
		require.NotEqual(t, alice.require(http.StatusOK, 0).session.Subject(), bob.require(http.StatusOK, 0).session.Subject())
		for _, value := range alice.sessionCookies() {
			require.NotContains(t, bob.sessionCookies(), value)
		}
	})
}

func TestF22_LogoutEndsTheSessionEverywhere(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		thief := v.copy()
		require.NoError(t, f.op.Close()) // whatever becomes of the provider
		require.Equal(t, http.StatusSeeOther, v.logOut(0).Code)
		require.Empty(t, v.sessionCookies())
		thief.require(http.StatusUnauthorized, 1)
	})
}

// The cookies go even if the store cannot be told.
func TestF22_CookiesGoWithoutTheStore(t *testing.T) {
	for _, m := range modes {
		if !m.shared {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, m, 1)
				v := f.visitor()
				v.logIn("alice")
				f.store.set(func(s *faultyStore) { s.down = true })
				v.logOut(0)
				require.Empty(t, v.sessionCookies())
			})
		})
	}
}

func TestSessionLifetimes(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		short := func(c *middleware.LoginConfig) { c.Lifetime, c.IdleLifetime = 2*time.Hour, 20*time.Minute }
		f := newFleet(t, m, 1, short)
		f.op.OnTokenResponse(func(r map[string]any) { r["expires_in"] = 86400 })
		v, idler := f.visitor(), f.visitor()
		v.logIn("alice")
		idler.logIn("bob")
		began := time.Now()
		for time.Since(began) < 2*time.Hour-19*time.Minute {
			time.Sleep(19 * time.Minute)
			s := v.require(http.StatusOK, 0).session
			require.True(t, s.LoggedIn().Equal(began))
			require.True(t, s.Expires().Equal(began.Add(2*time.Hour)))
		}
		time.Sleep(time.Until(began.Add(2*time.Hour - time.Nanosecond)))
		v.require(http.StatusOK, 0)
		time.Sleep(time.Nanosecond)
		v.require(http.StatusUnauthorized, 0)
		if m.sealed { // of one that the store has dropped, nobody knows that it was there
			require.Empty(t, v.sessionCookies())
		}
		idler.require(http.StatusUnauthorized, 0)
	})
}

func TestSessionIdles(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		f.op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(time.Hour - time.Nanosecond)
		v.copy().require(http.StatusOK, 0)
		if m.sealed {
			time.Sleep(time.Nanosecond) // the copy has the cookie that lasts longer
		} else {
			time.Sleep(time.Hour)
		}
		v.require(http.StatusUnauthorized, 0)
		require.Empty(t, f.stepsOf(middleware.SessionEnded), "that is what sessions do")
	})
}

// What only looks at a session does not keep it from idling, and refreshes nothing.
func TestSessionInfoLeavesTheSessionAlone(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		v := f.visitor()
		v.logIn("alice")
		for range 3 {
			time.Sleep(19 * time.Minute)
			a := v.get(0, "/login/session")
			require.Equal(t, http.StatusOK, a.Code)
			require.Contains(t, a.Body.String(), `"logged_in":true`)
			require.Empty(t, a.Result().Cookies())
		}
		require.Empty(t, f.refreshes())
		time.Sleep(3 * time.Minute)
		require.NotContains(t, v.get(0, "/login/session").Body.String(), `"logged_in":true`)
		v.require(http.StatusUnauthorized, 0)
	})
}

// Tokens that no cookies hold are an error that says so, and no session that is lost later.
func TestNeeds20_TokensOfAnySize(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		size := 4000
		f.op.OnUserInfo(func(c map[string]any) { c["pad"] = strings.Repeat("p", size) })
		v := f.visitor()
		v.logIn("alice")
		v.require(http.StatusOK, 0)
		if m.sealed {
			require.Greater(t, len(v.sessionCookies()), 1)
		} else {
			require.Len(t, v.sessionCookies(), 1)
		}

		size = 20_000
		v = f.visitor()
		end := v.get(0, v.begin(0, "alice"))
		if !m.sealed {
			v.require(http.StatusOK, 1)
			return
		}
		require.Equal(t, http.StatusInternalServerError, end.Code)
		require.Empty(t, v.sessionCookies())
		failed := f.stepsOf(middleware.LoginFailed)
		require.Len(t, failed, 1)
		var tooBig *middleware.SessionTooBigError
		require.ErrorAs(t, failed[0].Err, &tooBig)
	})
}

// Tokens that outgrow the cookies in a refresh are told, and good for as long as the answer is kept.
func TestNeeds20_TokensThatOutgrowTheCookies(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, mode{sealed: true}, 1)
		v := f.visitor()
		v.logIn("alice")
		f.op.OnUserInfo(func(c map[string]any) { c["pad"] = strings.Repeat("p", 20_000) })
		time.Sleep(accessLife)
		v.require(http.StatusOK, 0)
		told := f.stepsOf(middleware.SessionNotRefreshed)
		require.Len(t, told, 1)
		var tooBig *middleware.SessionTooBigError
		require.ErrorAs(t, told[0].Err, &tooBig)
		v.require(http.StatusOK, 0)
		f.requireSentOnce(1)
	})
}

// The two steps of a change of keys, one process after the other, log nobody out.
func TestNeeds21_KeysAreReplacedWithoutALogout(t *testing.T) {
	const first, second = clientauth.Secret("the first key of these processes"), clientauth.Secret("the second key of these processes")
	keys := func(k ...clientauth.Secret) func(*middleware.LoginConfig) {
		return func(c *middleware.LoginConfig) { c.Keys = k }
	}
	for _, m := range modes {
		if !m.shared {
			continue // a process without a Store knows its revocations alone, but its cookies are those below
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, m, 0)
				old, knows, uses, done := 0, 1, 2, 3
				f.add(m, keys(first))
				f.add(m, keys(first, second))
				f.add(m, keys(second, first))
				f.add(m, keys(second))
				v := f.visitor()
				end := v.get(old, v.begin(old, "alice"))
				require.Equal(t, http.StatusSeeOther, end.Code)
				v.require(http.StatusOK, knows)
				v.copy().require(http.StatusUnauthorized, done)

				time.Sleep(2 * time.Minute) // after a moment a session in the store is written anew
				v.require(http.StatusOK, uses)
				require.NotEmpty(t, v.require(http.StatusOK, done).session.Subject())
				v.copy().require(http.StatusUnauthorized, old)
				v.require(http.StatusOK, knows)
				require.Empty(t, f.refreshes())
			})
		})
	}
}

// A cookie of another client, provider or kind is none, though the keys are the same.
func TestF17_SessionOfAnotherClient(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		asProvider := func(id string) func(*middleware.LoginConfig) {
			return func(c *middleware.LoginConfig) {
				c.Providers, c.Client = []middleware.LoginProvider{{ID: id, Client: c.Client}}, nil
			}
		}
		f.add(m, asProvider("other"))
		f.add(m, func(c *middleware.LoginConfig) {
			client, err := oidc.NewClient(c.Client.Provider(), oidc.ClientConfig{ClientID: "another", ClientSecret: oidctest.ClientSecret})
			require.NoError(t, err)
			c.Client = client
		})
		f.add(m, func(c *middleware.LoginConfig) { c.SealedCookies = !m.sealed; c.Store = lockingStore{f.store} })
		v := f.visitor()
		end := v.get(0, v.begin(0, "alice"))
		require.Equal(t, http.StatusSeeOther, end.Code)
		v.copy().require(http.StatusOK, 0)
		v.copy().require(http.StatusUnauthorized, 1)
		v.copy().require(http.StatusUnauthorized, 2)
		v.copy().require(http.StatusUnauthorized, 3)
	})
}

// A session of one tenant is none at another one's host.
func TestSessionOfAnotherTenant(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 0)
		f.add(m, func(c *middleware.LoginConfig) {
			c.Providers = []middleware.LoginProvider{{ID: "a", Client: c.Client}, {ID: "b", Client: f.newClient()}}
			c.Client, c.CallbackPath = nil, "/callback"
			c.Choose = func(r *http.Request) string { return r.URL.Query().Get("tenant") }
		})
		// The default client is registered for one redirect URL, without the tenant in it: the
		// session is one of the functions of the package.
		v := f.visitor()
		v.cookies = middleware.CookiesOfSession(f.apps[0], "a", f.tokens())
		require.Equal(t, http.StatusOK, v.get(0, "/?tenant=a").Code)
		require.Equal(t, http.StatusOK, v.get(0, "/").Code)
		require.Equal(t, http.StatusUnauthorized, v.get(0, "/?tenant=b").Code)
		require.Equal(t, http.StatusOK, v.get(0, "/?tenant=a").Code, "it goes on where it belongs")
	})
}

func TestSessionSaysWhoItIs(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		f.op.OnUserInfo(func(c map[string]any) { c["nickname"] = "Ali"; c["odd"] = "text" })
		f.op.OnIDToken(func(_, c map[string]any) { c["sid"] = sessionID; c["odd"] = 1 })
		v := f.visitor()
		v.logIn("alice")
		s := v.require(http.StatusOK, 0).session
		require.Equal(t, f.op.Issuer(), s.Issuer())
		require.Equal(t, s.Tokens().IDToken.Subject, s.Subject())
		require.Equal(t, s.Subject(), s.UserInfo().Subject)
		require.Equal(t, sessionID, middleware.SIDOf(s))
		require.Empty(t, s.Provider())
		require.True(t, s.Refreshed().Equal(time.Now()))
		nickname, err := s.String(claims.P("nickname"))
		require.NoError(t, err, "of the userinfo, if the ID token has none")
		require.Equal(t, "Ali", nickname)
		_, err = s.String(claims.P("odd"))
		require.Error(t, err, "what is wrong in the ID token is not looked for elsewhere")
		require.False(t, claims.IsMissing(err))
		roles, err := s.Strings(claims.P("realm_access", "roles"))
		require.NoError(t, err)
		require.Equal(t, []string{"admin", "user"}, roles)
		identity, err := s.Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, s.Subject(), identity.Subject)
		require.Empty(t, identity.Roles)
		once, twice := s.Tokens(), s.Tokens()
		require.Same(t, once, twice, "read once")

		finished := f.stepsOf(middleware.LoginFinished)
		require.Len(t, finished, 1)
		time.Sleep(accessLife)
		v.require(http.StatusOK, 0)
		require.Equal(t, finished[0].Flow, f.stepsOf(middleware.SessionRefreshed)[0].Flow)
	})
}

func TestSessionHasTheMapper(t *testing.T) {
	mapper, err := claims.NewMapper(claims.Mapping{Roles: claims.ListClaim{Paths: []claims.Pattern{claims.P("realm_access", "roles").Pattern()}}})
	require.NoError(t, err)
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1, func(c *middleware.LoginConfig) { c.Mapper = mapper })
		v := f.visitor()
		v.logIn("alice")
		identity, err := v.require(http.StatusOK, 0).session.Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"admin", "user"}, identity.Roles)
	})
}

func TestZeroSessionIsNobodys(t *testing.T) {
	s := new(middleware.Session)
	require.Empty(t, s.Issuer()+s.Subject()+s.Provider())
	require.Nil(t, s.UserInfo())
	require.Nil(t, s.Tokens().IDToken)
	_, err := s.String(claims.P("name"))
	require.True(t, claims.IsMissing(err))
	_, err = s.Strings(claims.P("roles"))
	require.True(t, claims.IsMissing(err))
	_, err = s.Identity(t.Context())
	require.True(t, claims.IsMissing(err))
}

// Neither tokens nor who it is get into a log by accident.
func TestSessionRedacts(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		v := f.visitor()
		v.logIn("alice")
		s := v.require(http.StatusOK, 0).session
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("x", "pointer", s, "copy", *s, "in", struct{ S *middleware.Session }{s})
		}
		marshalled, err := json.Marshal([]any{s})
		require.NoError(t, err)
		text := log.String() + string(marshalled)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text += fmt.Sprintf(verb+verb+verb, s, *s, []any{s})
			text += fmt.Sprintf(verb, struct{ s middleware.Session }{*s}) // which fmt does not ask
		}
		require.Contains(t, text, "middleware.Session("+f.op.Issuer()+")")
		for _, secret := range []string{s.Subject(), s.Tokens().OAuth2.AccessToken, s.Tokens().OAuth2.RefreshToken, s.Tokens().IDToken.Raw(), "Alice", sessionID} {
			require.NotContains(t, text, secret)
		}
	})
}

// What another version of the module wrote is nobody's, and no panic.
func TestRecordOfAnotherForm(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, mode{sealed: true}, 1)
		v := f.visitor()
		v.logIn("alice")
		good := middleware.RecordOf(v.require(http.StatusOK, 0).session)
		again, ok := middleware.DecodeRecord(good)
		require.True(t, ok)
		require.Equal(t, good, again)
		for i := range good {
			_, ok := middleware.DecodeRecord(good[:i])
			require.False(t, ok, "%d", i)
		}
		_, ok = middleware.DecodeRecord(append(bytes.Clone(good), 0))
		require.False(t, ok)
		other := bytes.Clone(good)
		other[0]++
		_, ok = middleware.DecodeRecord(other)
		require.False(t, ok)

		v.cookies = middleware.CookiesOf(f.apps[0], other)
		v.require(http.StatusUnauthorized, 0)
		require.Empty(t, v.sessionCookies())
		require.Len(t, f.stepsOf(middleware.SessionEnded), 1)
		require.ErrorIs(t, f.stepsOf(middleware.SessionEnded)[0].Err, middleware.ErrUnreadable)

		// Tokens that cannot be read end it when they are needed.
		v.cookies = middleware.CookiesOf(f.apps[0], bytes.Replace(good, []byte(`{"a":`), []byte(`["a":`), 1))
		time.Sleep(accessLife)
		v.require(http.StatusUnauthorized, 0)
		require.Empty(t, f.refreshes())
	})
}

// FuzzRecordHasOneForm: what is read as a record is what would be written for it.
func FuzzRecordHasOneForm(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Concat([]byte{2}, make([]byte, 1+8), []byte{1, 'i'}, make([]byte, 10), []byte{1}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		once, ok := middleware.DecodeRecord(plain)
		if !ok {
			return
		}
		twice, ok := middleware.DecodeRecord(once)
		require.True(t, ok)
		require.Equal(t, once, twice)
	})
}
