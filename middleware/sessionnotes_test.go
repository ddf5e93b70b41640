package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
)

// inSharedModes is inEachMode for those with a Store.
func inSharedModes(t *testing.T, test func(t *testing.T, m mode)) {
	t.Helper()
	for _, m := range modes {
		if m.shared {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				inBubbleOf(t, func(t *testing.T) { test(t, m) })
			})
		}
	}
}

// getAs is get by a caller with a context of its own.
func (v *visitor) getAs(ctx context.Context, replica int, path string) visited {
	return v.send(replica, httptest.NewRequestWithContext(ctx, http.MethodGet, fleetURL+path, http.NoBody))
}

// A caller who hangs up is none the less somebody whose session was ended.
func TestF22_EndedSessionOfACallerWhoHangsUp(t *testing.T) {
	for name, end := range map[string]func(f *fleet, v *visitor){
		"logout":       func(_ *fleet, v *visitor) { v.logOut(0) },
		"back-channel": func(f *fleet, _ *visitor) { f.backChannel(0, "alice", sessionID) },
		"Revoke": func(f *fleet, _ *visitor) {
			require.NoError(f.t, f.apps[0].Revoke(f.t.Context(), middleware.Revocation{Issuer: f.op.Issuer(), SessionID: sessionID}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inSharedModes(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				v.logIn("alice")
				thief := v.copy()
				end(f, v)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				require.Nil(t, thief.getAs(ctx, 1, "/").session)
			})
		})
	}
}

// Whoever hangs up does not make an outage longer for the others.
func TestNeeds15_HangUpsDoNotProlongAnOutage(t *testing.T) {
	inSharedModes(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		v, mallory := f.visitor(), f.visitor()
		v.logIn("alice")
		mallory.logIn("bob")
		f.store.set(func(s *faultyStore) { s.down = true })
		v.get(0, "/")
		f.store.set(func(s *faultyStore) { s.down = false })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 5 {
			time.Sleep(middleware.StorePause + time.Millisecond)
			mallory.copy().getAs(ctx, 0, "/")
			v.require(http.StatusOK, 0)
			require.NoError(t, f.apps[0].Status().Store)
		}
	})
}

// A write that overlaps a logout, and cannot look whether there was one, brings nobody back.
func TestF22_LogoutDuringAWriteThatIsNotLookedAfter(t *testing.T) {
	for name, fail := range map[string]func(f *fleet, cancel func()){
		"hangs up":   func(_ *fleet, cancel func()) { cancel() },
		"store down": func(f *fleet, _ func()) { f.store.set(func(s *faultyStore) { s.down = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, serverSide, 2)
				v := f.visitor()
				v.logIn("alice")
				thief := v.copy()
				time.Sleep(90 * time.Second) // the session is to be written again
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f.store.set(func(s *faultyStore) {
					s.onCommit = func() {
						f.store.set(func(s *faultyStore) { s.onCommit = nil })
						require.Equal(t, http.StatusSeeOther, v.logOut(0).Code)
						f.store.set(func(s *faultyStore) {
							s.afterCommit = func() { f.store.set(func(s *faultyStore) { s.afterCommit = nil }); fail(f, cancel) }
						})
					}
				})
				thief.copy().getAs(ctx, 1, "/")
				f.store.set(func(s *faultyStore) { s.down, s.afterCommit = false, nil })
				time.Sleep(10 * time.Second)
				thief.copy().require(http.StatusUnauthorized, 0)
				thief.copy().require(http.StatusUnauthorized, 1)
			})
		})
	}
}

// A lateStore does what it was told after the caller has left.
type lateStore struct {
	middleware.Store
	mu   sync.Mutex
	hold chan struct{}
}

func (s *lateStore) Commit(token string, b []byte, until time.Time) error {
	s.mu.Lock()
	hold := s.hold
	s.hold = nil
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return s.Store.Commit(token, b, until)
}

func TestF22_WriteThatLandsAfterTheLogout(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		store := &lateStore{Store: middleware.NewMemoryStore(1000)}
		f := newFleet(t, mode{shared: true}, 2, func(c *middleware.LoginConfig) { c.Store = store })
		v := f.visitor()
		v.logIn("alice")
		thief := v.copy()
		time.Sleep(90 * time.Second)
		hold := make(chan struct{})
		store.mu.Lock()
		store.hold = hold
		store.mu.Unlock()
		v.require(http.StatusOK, 1) // it stops waiting for its write
		time.Sleep(middleware.StorePause)
		require.Equal(t, http.StatusSeeOther, v.logOut(0).Code)
		close(hold)
		time.Sleep(time.Second)
		thief.copy().require(http.StatusUnauthorized, 0)
		thief.copy().require(http.StatusUnauthorized, 1)
	})
}

// A logout that the store did not take holds in this process at once, and everywhere once the
// store is back.
func TestF22_LogoutWhileTheStoreIsDown(t *testing.T) {
	for _, down := range []struct {
		name string
		set  func(s *faultyStore, down bool)
	}{
		{"down", func(s *faultyStore, down bool) { s.down = down }},
		{"writes nothing", func(s *faultyStore, down bool) { s.noCommit = down }},
	} {
		t.Run(down.name, func(t *testing.T) {
			inSharedModes(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2)
				v, other := f.visitor(), f.visitor()
				v.logIn("alice")
				other.logIn("bob")
				thief := v.copy()
				f.store.set(func(s *faultyStore) { down.set(s, true) })
				v.logOut(0)
				require.Empty(t, v.sessionCookies())
				told := f.stepsOf(middleware.LoggedOut)
				require.Len(t, told, 1)
				require.ErrorIs(t, told[0].Err, oidckit.ErrUnavailable)
				require.Nil(t, thief.copy().get(0, "/").session)

				f.store.set(func(s *faultyStore) { down.set(s, false) })
				time.Sleep(middleware.StorePause)
				other.require(http.StatusOK, 0) // whoever comes by hands it over
				time.Sleep(middleware.StorePause)
				thief.copy().require(http.StatusUnauthorized, 1)
				thief.copy().require(http.StatusUnauthorized, 0)
			})
		})
	}
}

// The same of the session that a login takes the place of; and the log is told.
func TestF15_LoginWhileTheStoreIsDown(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, mode{sealed: true, shared: true, locks: true}, 2)
		v := f.visitor()
		v.logIn("alice")
		before := v.copy()
		callback := v.begin(0, "alice")
		f.store.set(func(s *faultyStore) { s.down = true })
		require.Equal(t, http.StatusSeeOther, v.get(0, callback).Code)
		f.store.set(func(s *faultyStore) { s.down = false })
		told := f.stepsOf(middleware.LoggedOut)
		require.NotEmpty(t, told)
		require.ErrorIs(t, told[0].Err, oidckit.ErrUnavailable)
		time.Sleep(middleware.StorePause)
		v.require(http.StatusOK, 0)
		v.require(http.StatusOK, 0)
		before.copy().require(http.StatusUnauthorized, 0)
		before.copy().require(http.StatusUnauthorized, 1)
	})
}

// A process that knows of a revocation goes by it while the store is down.
func TestF24_KnownRevocationOutlastsTheStore(t *testing.T) {
	for name, revoke := range map[string]middleware.Revocation{
		"here":  {SessionID: sessionID},
		"there": {SessionID: sessionID},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, mode{sealed: true, shared: true, locks: true}, 2)
				v := f.visitor()
				v.logIn("alice")
				revoke.Issuer = f.op.Issuer()
				require.NoError(t, f.apps[0].Revoke(t.Context(), revoke))
				at := 0
				if name == "there" {
					at = 1
					v.copy().require(http.StatusUnauthorized, at) // it finds out from the store
				}
				f.store.set(func(s *faultyStore) { s.down = true })
				v.copy().require(http.StatusUnauthorized, at)
			})
		})
	}
}

// One user's session that is too large for the store is that user's matter.
func TestNeeds20_SessionTooBigForTheStore(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		f.store.set(func(s *faultyStore) { s.max = 65535 }) // a BLOB of MySQL
		pad := 0
		f.op.OnUserInfo(func(c map[string]any) { c["pad"] = strings.Repeat("p", pad) })
		alice, bob, mallory := f.visitor(), f.visitor(), f.visitor()
		alice.logIn("alice")
		bob.logIn("bob")
		pad = 70_000
		require.Equal(t, http.StatusInternalServerError, mallory.get(0, mallory.begin(0, "bob")).Code)
		alice.require(http.StatusOK, 0)
		failed := f.stepsOf(middleware.LoginFailed)
		require.Len(t, failed, 1)
		var tooBig *middleware.SessionTooBigError
		require.ErrorAs(t, failed[0].Err, &tooBig)
		require.Greater(t, tooBig.Size, tooBig.Max)

		// And in a refresh: the userinfo is left out.
		time.Sleep(accessLife)
		require.Nil(t, bob.require(http.StatusOK, 0).session.UserInfo())
		require.NoError(t, f.apps[0].Status().Store)
		require.ErrorAs(t, f.stepsOf(middleware.SessionRefreshed)[0].Err, &tooBig)

		// Tokens that outgrow the store end the session: the refresh token of before is spent.
		f.op.OnTokenResponse(func(r map[string]any) {
			r["access_token"] = strings.Repeat("a", pad)
			delete(r, "id_token") // which has the hash of another one
		})
		time.Sleep(accessLife)
		bob.require(http.StatusUnauthorized, 0)
		require.NoError(t, f.apps[0].Status().Store)
		require.ErrorAs(t, f.stepsOf(middleware.SessionEnded)[0].Err, &tooBig)
	})
}

// A Store that panics does so in the handler, which net/http recovers from.
func TestAPanicOfAStoreIsTheHandlers(t *testing.T) {
	inSharedModes(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		v := f.visitor()
		v.logIn("alice")
		f.store.set(func(s *faultyStore) { s.panics = true })
		require.PanicsWithValue(t, "a bug of the store", func() { v.get(0, "/") })
		require.PanicsWithValue(t, "a bug of the store", func() { _ = f.apps[0].Ready(t.Context()) })
	})
}
