package middleware_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestNeeds36_RevocationEndsItsSessions(t *testing.T) {
	alice := oidctest.DefaultUsers()[0].Subject
	for name, tt := range map[string]struct {
		revoke middleware.Revocation
		ends   bool
	}{
		"subject":                    {middleware.Revocation{Subject: alice}, true},
		"sid":                        {middleware.Revocation{SessionID: sessionID}, true},
		"both":                       {middleware.Revocation{Subject: alice, SessionID: sessionID}, true},
		"another subject":            {middleware.Revocation{Subject: "mallory"}, false},
		"another sid":                {middleware.Revocation{SessionID: "another"}, false},
		"sid of another subject":     {middleware.Revocation{Subject: "mallory", SessionID: sessionID}, false},
		"subject with another sid":   {middleware.Revocation{Subject: alice, SessionID: "another"}, false},
		"subject of another issuer":  {middleware.Revocation{Issuer: "https://another.example", Subject: alice}, false},
		"sid of another issuer":      {middleware.Revocation{Issuer: "https://another.example", SessionID: sessionID}, false},
		"subject as sid":             {middleware.Revocation{SessionID: alice}, false},
		"sid as subject":             {middleware.Revocation{Subject: sessionID}, false},
		"what runs into one another": {middleware.Revocation{Issuer: "https://op.example" + alice[:1], Subject: alice[1:]}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				v.logIn("alice")
				revoke := tt.revoke
				revoke.Issuer = cmp.Or(revoke.Issuer, f.op.Issuer())
				require.NoError(t, f.apps[0].Revoke(t.Context(), revoke))
				if !tt.ends {
					v.require(http.StatusOK, 1)
					return
				}
				v.require(http.StatusUnauthorized, len(f.apps)-1)
				require.Empty(t, v.sessionCookies())
				require.Len(t, f.stepsOf(middleware.SessionEnded), 1)
			})
		})
	}
}

// A revocation lasts as long as any session that it ends could.
func TestNeeds36_RevocationLasts(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2, func(c *middleware.LoginConfig) { c.IdleLifetime = 8 * time.Hour })
		f.op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		v := f.visitor()
		v.logIn("alice")
		require.NoError(t, f.apps[0].Revoke(t.Context(), middleware.Revocation{Issuer: f.op.Issuer(), SessionID: sessionID}))
		time.Sleep(8*time.Hour - time.Second)
		v.require(http.StatusUnauthorized, 0)
		require.Len(t, f.stepsOf(middleware.SessionEnded), 1, "it was not the end of its life")
	})
}

// Two revocations of one sid both count, and so do two of one subject.
func TestNeeds36_RevokeTwice(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		iss := f.op.Issuer()
		for _, r := range []middleware.Revocation{{Issuer: iss, SessionID: sessionID}, {Issuer: iss, SessionID: sessionID, Subject: "mallory"}} {
			require.NoError(t, f.apps[0].Revoke(t.Context(), r))
		}
		v.require(http.StatusUnauthorized, 0)
	})
}

// By subject, those that began so far: the user may log in again.
func TestNeeds36_LoginAfterRevocationOfTheSubject(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		before := v.copy()
		require.NoError(t, f.apps[0].Revoke(t.Context(), middleware.Revocation{Issuer: f.op.Issuer(), Subject: v.require(http.StatusOK, 0).session.Subject()}))
		time.Sleep(time.Second)
		v.logIn("alice")
		v.require(http.StatusOK, 1)
		before.require(http.StatusUnauthorized, 1)
	})
}

func TestNeeds36_RevocationThatSaysNothing(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		for _, r := range []middleware.Revocation{{}, {Issuer: "https://op.example"}, {Subject: "alice"}, {SessionID: sessionID}} {
			err := f.apps[0].Revoke(t.Context(), r)
			require.Error(t, err)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
		}
		f.store.set(func(s *faultyStore) { s.down = true })
		err := f.apps[0].Revoke(t.Context(), middleware.Revocation{Issuer: "https://op.example", Subject: "alice"})
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
	})
}

// The provider logs the user out while the browser is on its way back here.
func TestF24_LogoutOvertakesTheCallback(t *testing.T) {
	for name, token := range map[string][2]string{"sid": {"", sessionID}, "subject": {"alice", ""}, "both": {"alice", sessionID}} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 3)
				v := f.visitor()
				callback := v.begin(0, "alice")
				// The ID token is of the moment in which the code is redeemed; the logout that came
				// before is of the same second.
				require.Equal(t, http.StatusOK, f.backChannel(1, token[0], token[1]))
				require.NotEqual(t, http.StatusSeeOther, v.get(2, callback).Code)
				require.Empty(t, v.sessionCookies())
				v.require(http.StatusUnauthorized, 0)
				failed := f.stepsOf(middleware.LoginFailed)
				require.Len(t, failed, 1)
				require.ErrorIs(t, failed[0].Err, oidckit.ErrInvalidCallback)
			})
		})
	}
}

// And while the session is being stored: after the look at who was logged out, and before the end.
func TestF24_LogoutWhileTheSessionIsStored(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 2)
		v := f.visitor()
		callback := v.begin(0, "alice")
		f.store.set(func(s *faultyStore) {
			s.onCommit = func() {
				f.store.set(func(s *faultyStore) { s.onCommit = nil })
				require.NoError(t, f.apps[1].Revoke(t.Context(), middleware.Revocation{Issuer: f.op.Issuer(), SessionID: sessionID}))
			}
		})
		require.Equal(t, http.StatusSeeOther, v.get(0, callback).Code)
		v.require(http.StatusUnauthorized, 0)
	})
}

func TestF24_BackChannelLogoutEndsTheSessionOnAllReplicas(t *testing.T) {
	for name, token := range map[string][2]string{"sid": {"", sessionID}, "subject": {"alice", ""}, "both": {"alice", sessionID}} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 3)
				v, bob := f.visitor(), f.visitor()
				f.op.OnIDToken(func(_, c map[string]any) { c["sid"] = "that-of-bob" })
				bob.logIn("bob")
				f.op.OnIDToken(func(_, c map[string]any) { c["sid"] = sessionID })
				v.logIn("alice")
				require.Equal(t, http.StatusOK, f.backChannel(0, token[0], token[1]))
				for i := range f.apps {
					v.copy().require(http.StatusUnauthorized, i)
					bob.require(http.StatusOK, i)
				}
			})
		})
	}
}

// A provider whose clock is behind logs out all the same: its times are compared with its own.
func TestF24_ClockOfTheProvider(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": -50 * time.Second, "ahead": 50 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2, func(c *middleware.LoginConfig) { c.Now = time.Now })
				f.op.Advance(off)
				v := f.visitor()
				v.logIn("alice")
				time.Sleep(time.Second)
				require.Equal(t, http.StatusOK, f.backChannel(0, "alice", ""))
				v.require(http.StatusUnauthorized, 1)
				time.Sleep(time.Second)
				v.logIn("alice")
				v.require(http.StatusOK, 1)
			})
		})
	}
}

// Whoever is logged in by a sealed cookie stays so without the store; of the others nobody knows.
func TestF24_StoreDown(t *testing.T) {
	for _, m := range modes {
		if !m.shared {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				v.logIn("alice")
				f.store.set(func(s *faultyStore) { s.down = true })
				want := http.StatusServiceUnavailable
				if m.sealed {
					want = http.StatusOK
				}
				v.require(want, 0)
				require.NotEqual(t, http.StatusOK, f.backChannel(1, "alice", ""), "a logout that was not done is none")
			})
		})
	}
}

// Two processes that end sessions of one user, or of one sid, at the same time: both count.
func TestF24_RevocationsAtOnce(t *testing.T) {
	for name, revoke := range map[string][2]middleware.Revocation{
		"sid":  {{SessionID: sessionID, Subject: "mallory"}, {SessionID: sessionID}},
		"user": {{Subject: oidctest.DefaultUsers()[0].Subject}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			inSharedModes(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				late := f.op.LogoutToken(t.Context(), oidctest.ClientID, "alice", "") // sent before the login
				time.Sleep(10 * time.Second)
				v.logIn("alice")
				time.Sleep(10 * time.Second)
				// Each write takes long enough for the other one to overlap.
				f.store.set(func(s *faultyStore) { s.onCommit = func() { time.Sleep(20 * time.Millisecond) } })
				var all sync.WaitGroup
				for i, one := range revoke {
					all.Go(func() {
						if one == (middleware.Revocation{}) {
							time.Sleep(time.Millisecond)
							require.Equal(t, http.StatusOK, f.backChannelOf(1, late))
							return
						}
						one.Issuer = f.op.Issuer()
						require.NoError(t, f.apps[i].Revoke(t.Context(), one))
					})
				}
				all.Wait()
				v.copy().require(http.StatusUnauthorized, 0)
				v.copy().require(http.StatusUnauthorized, 1)
			})
		})
	}
}

// A logout does not wait for a process that died with the lock.
func TestF24_RevocationWithoutTheLock(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 0)
		f.add(serverSide, func(c *middleware.LoginConfig) { c.Store = deadLock{f.store} })
		v := f.visitor()
		v.logIn("alice")
		began := time.Now()
		require.NoError(t, f.apps[0].Revoke(t.Context(), middleware.Revocation{Issuer: f.op.Issuer(), SessionID: sessionID}))
		require.Equal(t, middleware.StoreTimeout, time.Since(began))
		require.NoError(t, f.apps[0].Status().Store, "the store is well")
		v.require(http.StatusUnauthorized, 0)
	})
}

// Whoever holds the lock for too long overwrites what was noted without it: it is noted once more.
func TestF24_RevocationThatIsOverwritten(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 2)
		late := f.op.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
		time.Sleep(10 * time.Second)
		v, bob := f.visitor(), f.visitor()
		v.logIn("alice")
		bob.logIn("bob")
		f.store.set(func(s *faultyStore) {
			s.onCommit = func() {
				f.store.set(func(s *faultyStore) { s.onCommit = nil })
				revoke := middleware.Revocation{Issuer: f.op.Issuer(), Subject: oidctest.DefaultUsers()[0].Subject}
				require.NoError(t, f.apps[1].Revoke(t.Context(), revoke))
			}
		})
		require.Equal(t, http.StatusOK, f.backChannelOf(0, late))
		v.copy().require(http.StatusUnauthorized, 1)
		time.Sleep(middleware.LockTTL)
		bob.require(http.StatusOK, 1)
		v.copy().require(http.StatusUnauthorized, 0)
	})
}

// A deadLock is a Store whose locks somebody has for ever.
type deadLock struct{ *faultyStore }

func (deadLock) Lock(ctx context.Context, _ string, _ time.Duration) (func(), error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A session that began elsewhere a moment ago, by a clock that is ahead, has begun so far. And one
// that begins after the revocation goes on, by a clock that is behind.
func TestNeeds36_ClocksOfReplicas(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 2 * time.Second, "behind": -2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inSharedModes(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 0)
				f.add(m, func(c *middleware.LoginConfig) { c.Now = func() time.Time { return time.Now().Add(off) } })
				f.add(m)
				v := f.visitor()
				logIn := func() { require.Equal(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code) }
				logIn()
				before := v.copy()
				time.Sleep(time.Second)
				revoke := middleware.Revocation{Issuer: f.op.Issuer(), Subject: oidctest.DefaultUsers()[0].Subject}
				require.NoError(t, f.apps[1].Revoke(t.Context(), revoke))
				before.copy().require(http.StatusUnauthorized, 1)
				logIn()
				v.copy().require(http.StatusOK, 0)
				v.copy().require(http.StatusOK, 1)
				time.Sleep(time.Second)
				require.NoError(t, f.apps[1].Revoke(t.Context(), revoke))
				v.require(http.StatusUnauthorized, 0)
			})
		})
	}
}

// F24: the provider names the session by more than the application was told of it.
func TestF24_LogoutOfASessionWithoutSID(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		f.op.OnIDToken(func(_, c map[string]any) { delete(c, "sid") })
		v, bob := f.visitor(), f.visitor()
		v.logIn("alice")
		bob.logIn("bob")
		f.op.OnIDToken(func(_, c map[string]any) { c["sid"] = "another" })
		elsewhere := f.visitor()
		elsewhere.logIn("alice")
		require.Equal(t, http.StatusOK, f.backChannel(0, "alice", sessionID))
		v.require(http.StatusUnauthorized, 1)
		bob.require(http.StatusOK, 1)
		elsewhere.require(http.StatusOK, 1)
		time.Sleep(time.Second)
		f.op.OnIDToken(func(_, c map[string]any) { delete(c, "sid") })
		v.logIn("alice")
		v.require(http.StatusOK, 1)
	})
}

// F24, F25: a refresh may bring another sid, and a logout names that of the login, or of today.
func TestF24_SIDThatChanges(t *testing.T) {
	for _, sid := range []string{"sid-1", "sid-2"} {
		for name, logOut := range map[string]func(f *fleet, v *visitor) int{
			"back-channel": func(f *fleet, _ *visitor) int { return f.backChannel(0, "alice", sid) },
			"front-channel": func(f *fleet, v *visitor) int {
				return v.get(0, "/logout/frontchannel?"+url.Values{"iss": {f.op.Issuer()}, "sid": {sid}}.Encode()).Code
			},
		} {
			t.Run(sid+" "+name, func(t *testing.T) {
				inEachMode(t, func(t *testing.T, m mode) {
					f := newFleet(t, m, 2, func(c *middleware.LoginConfig) { c.FrontChannelLogout = true })
					n := 0
					f.op.OnIDToken(func(_, c map[string]any) { n++; c["sid"] = fmt.Sprint("sid-", n) })
					v := f.visitor()
					v.logIn("alice")
					time.Sleep(accessLife)
					require.Equal(t, "sid-2", middleware.SIDOf(v.require(http.StatusOK, 0).session))
					thief := v.copy()
					require.Equal(t, http.StatusOK, logOut(f, v))
					thief.require(http.StatusUnauthorized, 1)
				})
			})
		}
	}
}
