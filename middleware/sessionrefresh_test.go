package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// inBubbleOf is synctest.Test: all clocks are that of the bubble.
func inBubbleOf(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t)
		synctest.Wait()
	})
}

// accessLife is how long access tokens of oidctest live, and beforeEnd how long before their end
// they are replaced: a tenth.
const (
	accessLife = 5 * time.Minute
	beforeEnd  = accessLife / 10
)

// requireSentOnce checks that no refresh token was sent twice: oidctest would take it for a
// thief's, as providers do.
func (f *fleet) requireSentOnce(refreshes int) {
	f.t.Helper()
	sent := f.refreshes()
	require.Len(f.t, sent, refreshes)
	slices.Sort(sent)
	require.Len(f.t, slices.Compact(sent), refreshes)
}

func TestNeeds15_ParallelRequestsOverReplicasRefreshOnce(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 3)
		v := f.visitor()
		v.logIn("alice")
		f.op.SetFault(oidctest.Token, oidctest.Fault{Delay: time.Second})
		before := v.require(http.StatusOK, 0).token()
		for round := range 3 {
			time.Sleep(accessLife)
			tokens := make([]string, 30)
			var wg sync.WaitGroup
			for i := range tokens {
				tab := v.copy() // all of them come with the cookies of before
				wg.Go(func() {
					if a := tab.get(i, "/"); a.Code == http.StatusOK {
						tokens[i] = a.token()
					}
					if i == 7 {
						v.mu.Lock()
						defer v.mu.Unlock()
						v.cookies = tab.cookies
					}
				})
			}
			wg.Wait()
			require.NotContains(t, tokens, "", "nobody is logged out")
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(tokens))), 1, "losers have the winner's tokens")
			require.NotEqual(t, before, tokens[0])
			before = tokens[0]
			f.requireSentOnce(round + 1)
		}
		require.Len(t, f.stepsOf(middleware.SessionRefreshed), 3)
	})
}

// The cookie of a response that was lost, or came after a newer one, is good for minutes.
func TestNeeds15_CookieOfBeforeTheRefresh(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		old := v.copy()
		time.Sleep(accessLife)
		fresh := v.require(http.StatusOK, 0).token()
		time.Sleep(accessLife/2 + beforeEnd)
		require.Equal(t, fresh, old.copy().require(http.StatusOK, 1).token())
		f.requireSentOnce(1)

		// And if the fresh one is due as well by then, the refresh goes on from there.
		time.Sleep(accessLife / 2)
		require.NotEqual(t, fresh, old.require(http.StatusOK, 1).token())
		f.requireSentOnce(2)
		v.require(http.StatusOK, 0)
		f.requireSentOnce(2)
	})
}

// A caller who hangs up ends its own wait: the refresh token is spent, and the answer is kept.
func TestNeeds15_WhoHangsUpLosesNoTokens(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(accessLife)
		f.op.SetFault(oidctest.Token, oidctest.Fault{Delay: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			gone := v.copy()
			gone.send(0, httptest.NewRequestWithContext(ctx, http.MethodGet, fleetURL+"/", http.NoBody))
		})
		time.Sleep(500 * time.Millisecond)
		cancel()
		wg.Wait()
		time.Sleep(2 * time.Second)
		v.require(http.StatusOK, 1)
		f.requireSentOnce(1)
	})
}

// A provider that takes its time has nobody wait for it who can do without.
func TestNeeds15_SlowRefreshHoldsNobodyUp(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0).token()
		time.Sleep(accessLife)
		f.op.SetFault(oidctest.Token, oidctest.Fault{Delay: 8 * time.Second})
		asked := time.Now()
		require.Equal(t, before, v.require(http.StatusOK, 0).token())
		require.Equal(t, middleware.Patience, time.Since(asked))
		time.Sleep(8 * time.Second)
		require.NotEqual(t, before, v.require(http.StatusOK, 0).token())
		f.requireSentOnce(1)
	})
}

// Two processes that refresh without a lock would spend each other's refresh token: without the
// Store, nobody asks.
func TestNeeds15_NoRefreshWithoutTheLock(t *testing.T) {
	for _, m := range modes {
		if !m.shared || !m.sealed {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				v.logIn("alice")
				time.Sleep(accessLife)
				f.store.set(func(s *faultyStore) { s.down = true })
				v.require(http.StatusOK, 0)
				v.require(http.StatusOK, 1)
				require.Empty(t, f.refreshes())
				f.store.set(func(s *faultyStore) { s.down = false })
				time.Sleep(middleware.StorePause)
				v.require(http.StatusOK, 1)
				v.require(http.StatusOK, 0)
				f.requireSentOnce(1)
			})
		})
	}
}

// Of a session in the store, nobody knows without it: that is no logout.
func TestNeeds15_StoreDownIsUnavailable(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 2)
		v := f.visitor()
		v.logIn("alice")
		f.store.set(func(s *faultyStore) { s.down = true })
		a := v.require(http.StatusServiceUnavailable, 0)
		require.NotEmpty(t, a.Header().Get("Retry-After"))
		require.Empty(t, a.Result().Cookies())
		f.store.set(func(s *faultyStore) { s.down = false })
		time.Sleep(middleware.StorePause)
		v.require(http.StatusOK, 0)
	})
}

// What the provider replaced is written down before it is used anywhere.
func TestF30_KeptBeforeUsed(t *testing.T) {
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
				time.Sleep(accessLife)
				var mu sync.Mutex
				var events []string
				note := func(e string) { mu.Lock(); defer mu.Unlock(); events = append(events, e) }
				f.op.OnRequest(func(e oidctest.Endpoint, _ *http.Request) { note(string(e)) })
				f.store.set(func(s *faultyStore) { s.onCommit = func() { note("kept") } })
				v.require(http.StatusOK, 0)
				mu.Lock()
				defer mu.Unlock()
				token, use := slices.Index(events, string(oidctest.Token)), slices.Index(events, string(oidctest.UserInfo))
				require.GreaterOrEqual(t, token, 0)
				require.Greater(t, use, token)
				require.Contains(t, events[token:use], "kept")
			})
		})
	}
}

// The store took nothing of what came of a refresh. It is not used, and not lost.
func TestNeeds16_CommitFailsAfterTheRefresh(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0).token()
		time.Sleep(accessLife)
		f.op.OnTokenResponse(func(map[string]any) { f.store.set(func(s *faultyStore) { s.noCommit = true }) })
		require.Equal(t, before, v.require(http.StatusOK, 0).token(), "that of before is what others have as well")
		f.requireSentOnce(1)
		require.Len(t, f.stepsOf(middleware.SessionNotRefreshed), 1)
		require.ErrorIs(t, f.stepsOf(middleware.SessionNotRefreshed)[0].Err, errStoreDown)

		f.op.OnTokenResponse(nil)
		f.store.set(func(s *faultyStore) { s.noCommit = false })
		time.Sleep(2 * time.Minute) // package oidc has forgotten the answer by now
		require.NotEqual(t, before, v.require(http.StatusOK, 0).token())
		f.requireSentOnce(1)
	})
}

// Sealed sessions have it in their cookies, whatever the store does.
func TestNeeds16_CommitFailsAfterTheRefreshOfSealedSession(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, mode{shared: true, sealed: true, locks: true}, 2)
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0).token()
		time.Sleep(accessLife)
		f.op.OnTokenResponse(func(map[string]any) { f.store.set(func(s *faultyStore) { s.noCommit = true }) })
		fresh := v.require(http.StatusOK, 0).token()
		require.NotEqual(t, before, fresh)
		require.Equal(t, fresh, v.require(http.StatusOK, 1).token())
		f.requireSentOnce(1)
	})
}

// A refresh that was under way when the user logged out does not bring the session back.
func TestF22_LogoutDuringARefresh(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		thief := v.copy()
		time.Sleep(accessLife)
		f.op.SetFault(oidctest.Token, oidctest.Fault{Delay: time.Second})
		var wg sync.WaitGroup
		tab := v.copy()
		wg.Go(func() { tab.get(0, "/") })
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, http.StatusSeeOther, v.logOut(1).Code)
		wg.Wait()
		require.Len(t, f.refreshes(), 1)
		tab.require(http.StatusUnauthorized, 0)
		thief.require(http.StatusUnauthorized, 1)
	})
}

func refusedGrant() oidctest.Fault {
	return oidctest.Fault{Status: http.StatusBadRequest, Body: `{"error":"invalid_grant"}`}
}

func TestNeeds36_RefusalEndsTheSession(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 3)
		v := f.visitor()
		v.logIn("alice")
		other := v.copy()
		time.Sleep(accessLife)
		f.op.SetFault(oidctest.Token, refusedGrant())
		v.require(http.StatusUnauthorized, 0)
		require.Empty(t, v.sessionCookies())
		ended := f.stepsOf(middleware.SessionEnded)
		require.Len(t, ended, 1)
		require.NotEmpty(t, ended[0].Flow)
		var refused *oidc.Error
		require.ErrorAs(t, ended[0].Err, &refused)
		require.Equal(t, oidc.ReasonRevoked, refused.Reason)

		f.op.SetFault(oidctest.Token, oidctest.Fault{})
		other.copy().require(http.StatusUnauthorized, 1)
		other.require(http.StatusUnauthorized, 2)
		require.Len(t, f.refreshes(), 1, "it has ended for good")
	})
}

// A brokenLock is a Store whose lock everybody has at once.
type brokenLock struct{ *faultyStore }

func (brokenLock) Lock(context.Context, string, time.Duration) (func(), error) {
	return func() {}, nil
}

// Whoever got there without a lock has the session's new tokens: the refusal is of the old ones.
func TestNeeds15_RefusalOfAnOldToken(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		inBubbleOf(t, func(t *testing.T) {
			f := newFleet(t, mode{}, 0)
			for range 2 {
				f.add(mode{shared: true, sealed: sealed}, func(c *middleware.LoginConfig) { c.Store = brokenLock{f.store} })
			}
			v := f.visitor()
			v.logIn("alice")
			time.Sleep(accessLife)
			f.op.SetFault(oidctest.Token, oidctest.Fault{Delay: time.Second})
			codes, tokens := make([]int, 2), make([]string, 2)
			var wg sync.WaitGroup
			for i := range codes {
				tab := v.copy()
				wg.Go(func() { a := tab.get(i, "/"); codes[i], tokens[i] = a.Code, a.token() })
				time.Sleep(500 * time.Millisecond)
			}
			wg.Wait()
			require.Len(t, f.refreshes(), 2)
			require.Equal(t, []int{http.StatusOK, http.StatusOK}, codes)
			require.Equal(t, tokens[0], tokens[1])
			require.Empty(t, f.stepsOf(middleware.SessionEnded))
		})
	}
}

func TestNeeds36_OutageEndsNothing(t *testing.T) {
	for name, fault := range map[string]oidctest.Fault{
		"503":         {Status: http.StatusServiceUnavailable},
		"429":         {Status: http.StatusTooManyRequests},
		"hangs":       {Hang: true},
		"no JSON":     {Body: "<html>", ContentType: "text/html"},
		"no response": {Empty: true},
		// Ours to mend, and nothing against the user.
		"invalid_client": {Status: http.StatusUnauthorized, Body: `{"error":"invalid_client"}`},
		"malformed":      {Body: `{"access_token":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 2)
				v := f.visitor()
				v.logIn("alice")
				before := v.require(http.StatusOK, 0)
				f.op.SetFault(oidctest.Token, fault)
				due := time.Now().Add(accessLife - beforeEnd)
				for time.Now().Before(due.Add(time.Hour - 5*time.Minute)) {
					time.Sleep(4 * time.Minute)
					require.Equal(t, before.token(), v.require(http.StatusOK, 1).token())
				}
				require.NotEmpty(t, f.stepsOf(middleware.SessionNotRefreshed))
				require.Error(t, f.stepsOf(middleware.SessionNotRefreshed)[0].Err)

				time.Sleep(time.Until(due.Add(time.Hour)))
				a := v.require(http.StatusServiceUnavailable, 0)
				require.NotEmpty(t, a.Header().Get("Retry-After"))
				require.NotEmpty(t, v.sessionCookies())

				f.op.SetFault(oidctest.Token, oidctest.Fault{})
				time.Sleep(middleware.LongestPause)
				require.NotEqual(t, before.token(), v.require(http.StatusOK, 0).token())
			})
		})
	}
}

// In an outage, not each request asks; and a provider that asks for time gets some.
func TestNeeds36_PauseAfterFailure(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(accessLife)
		f.op.SetFault(oidctest.Token, oidctest.Fault{Status: http.StatusServiceUnavailable})
		v.require(http.StatusOK, 0)
		time.Sleep(middleware.RefreshPause - time.Nanosecond)
		v.require(http.StatusOK, 0)
		require.Len(t, f.refreshes(), 1)
		time.Sleep(time.Nanosecond)
		v.require(http.StatusOK, 0)
		require.Len(t, f.refreshes(), 2)
	})
}

// A user who is there does not idle while the provider is down.
func TestNeeds36_OutageIsNoReasonToIdle(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1, func(c *middleware.LoginConfig) { c.OutageLimit = 4 * time.Hour })
		v := f.visitor()
		v.logIn("alice")
		f.op.SetFault(oidctest.Token, oidctest.Fault{Status: http.StatusServiceUnavailable})
		for range 5 {
			time.Sleep(40 * time.Minute)
			v.require(http.StatusOK, 0)
		}
	})
}

// Access tokens that live long say nothing of whether the user may still be here.
func TestNeeds36_RevalidateEvery(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1, func(c *middleware.LoginConfig) { c.RevalidateEvery = 10 * time.Minute })
		f.op.OnTokenResponse(func(r map[string]any) { r["expires_in"] = 86400 })
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(10*time.Minute - time.Second)
		v.require(http.StatusOK, 0)
		require.Empty(t, f.refreshes())
		f.op.OnIDToken(func(_, c map[string]any) { c["groups"] = []string{"of-tomorrow"} })
		time.Sleep(time.Second)
		s := v.require(http.StatusOK, 0).session
		f.requireSentOnce(1)
		groups, err := s.Strings(claims.P("groups"))
		require.NoError(t, err)
		require.Equal(t, []string{"of-tomorrow"}, groups)
		require.True(t, s.Refreshed().Equal(time.Now()))
	})
}

// Without a refresh token there is nobody to ask.
func TestNeeds36_WithoutARefreshToken(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		f.op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		v := f.visitor()
		v.logIn("alice")
		for range 10 {
			time.Sleep(45 * time.Minute)
			v.require(http.StatusOK, 0)
		}
		require.Empty(t, f.refreshes())
	})
}

func TestNeeds37_RefreshAhead(t *testing.T) {
	for name, tt := range map[string]struct{ life, due time.Duration }{
		"a tenth":          {accessLife, accessLife - beforeEnd},
		"at most a minute": {20 * time.Minute, 19 * time.Minute},
		"of a moment":      {time.Second, time.Second},
		"come expired":     {0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, serverSide, 1)
				f.op.OnTokenResponse(func(r map[string]any) { r["expires_in"] = tt.life.Seconds() })
				v := f.visitor()
				v.logIn("alice")
				time.Sleep(tt.due - time.Nanosecond)
				v.require(http.StatusOK, 0)
				require.Empty(t, f.refreshes())
				time.Sleep(time.Nanosecond)
				v.require(http.StatusOK, 0)
				require.Len(t, f.refreshes(), 1)
			})
		})
	}
}

func TestNeeds37_AnswerWithoutIDToken(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0)
		f.op.OnTokenResponse(func(r map[string]any) { delete(r, "id_token") })
		f.op.OnUserInfo(func(c map[string]any) { c["nickname"] = "Ali" })
		for range 3 {
			time.Sleep(accessLife)
			a := v.require(http.StatusOK, 1)
			require.NotEqual(t, before.token(), a.token())
			require.Equal(t, before.session.Claims().Raw(), a.session.Claims().Raw())
			require.Equal(t, before.session.Refreshed(), a.session.Refreshed(), "the claims are as old as they were")
			nickname, err := a.session.String(claims.P("nickname"))
			require.NoError(t, err, "the userinfo is asked again")
			require.Equal(t, "Ali", nickname)
		}
		f.requireSentOnce(3)
	})
}

// What the answer leaves out stays as it was, the refresh token too.
func TestNeeds37_AnswerWithoutRefreshToken(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2, func(c *middleware.LoginConfig) { c.WithoutUserInfo = true }) // for which "another" is no token
		v := f.visitor()
		v.logIn("alice")
		f.op.SetFault(oidctest.Token, oidctest.Fault{Body: `{"access_token":"another","token_type":"Bearer","expires_in":300}`})
		for n := range 3 {
			time.Sleep(accessLife)
			require.Equal(t, "another", v.require(http.StatusOK, n).token())
		}
		sent := f.refreshes()
		require.Len(t, sent, 3)
		require.Len(t, slices.Compact(sent), 1)
	})
}

// An answer that cannot be used has a refresh token all the same, and that of before is spent.
func TestF30_RefreshTokenOfAnUnusableAnswer(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 2)
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0).token()
		time.Sleep(accessLife)
		f.op.OnTokenResponse(func(r map[string]any) { r["token_type"] = "mac" })
		require.Equal(t, before, v.require(http.StatusOK, 0).token())
		f.op.OnTokenResponse(nil)
		time.Sleep(2 * time.Minute)
		require.NotEqual(t, before, v.require(http.StatusOK, 1).token())
		f.requireSentOnce(2)
	})
}

// The answer to a refresh must be of the person and login of the session (OpenID Connect Core
// section 12.2).
func TestF30_AnswerForSomebodyElse(t *testing.T) {
	for claim, change := range map[string]any{"sub": "mallory", "nonce": "another", "azp": "another", "auth_time": 1, "aud": []string{oidctest.ClientID, "another"}} {
		t.Run(claim, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 1)
				v := f.visitor()
				v.logIn("alice")
				thief := v.copy()
				time.Sleep(accessLife)
				f.op.OnIDToken(func(_, c map[string]any) { c[claim] = change })
				v.require(http.StatusUnauthorized, 0)
				f.op.OnIDToken(nil)
				thief.require(http.StatusUnauthorized, 0)
				require.Len(t, f.stepsOf(middleware.SessionEnded), 1)
				require.ErrorIs(t, f.stepsOf(middleware.SessionEnded)[0].Err, oidckit.ErrInvalidToken)
			})
		})
	}
}

// An ID token whose signature cannot be judged, or is wrong, says nothing of the user.
func TestF30_AnswerThatCannotBeVerified(t *testing.T) {
	for name, spoil := range map[string]func(f *fleet){
		"signature": func(f *fleet) { f.op.OnIDToken(func(h, _ map[string]any) { h["alg"] = "none" }) },
		"expired":   func(f *fleet) { f.op.OnIDToken(func(_, c map[string]any) { c["exp"] = 1 }) },
		"keys":      func(f *fleet) { f.op.Rotate(); f.op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503}) },
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, m mode) {
				f := newFleet(t, m, 1)
				v := f.visitor()
				v.logIn("alice")
				before := v.require(http.StatusOK, 0)
				time.Sleep(accessLife)
				spoil(f)
				a := v.require(http.StatusOK, 0)
				require.Equal(t, before.token(), a.token())
				f.op.OnIDToken(nil)
				f.op.SetFault(oidctest.JWKS, oidctest.Fault{})
				time.Sleep(2 * time.Minute)
				require.NotEqual(t, before.token(), v.require(http.StatusOK, 0).token())
				f.requireSentOnce(2)
			})
		})
	}
}

func TestNeeds31_UserInfoOfSomebodyElse(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		swap := func(c map[string]any) { c["sub"] = "mallory" }
		v := f.visitor()
		f.op.OnUserInfo(swap)
		require.NotEqual(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code)
		require.Empty(t, v.sessionCookies())

		f.op.OnUserInfo(nil)
		v.logIn("alice")
		f.op.OnUserInfo(swap)
		time.Sleep(accessLife)
		v.require(http.StatusUnauthorized, 0)
		ended := f.stepsOf(middleware.SessionEnded)
		require.Len(t, ended, 1)
		var refused *oidc.Error
		require.ErrorAs(t, ended[0].Err, &refused)
		require.Equal(t, oidc.ReasonSubject, refused.Reason)
	})
}

// Userinfo that cannot be had is as old as it was.
func TestNeeds37_UserInfoDownAtRefresh(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newFleet(t, m, 1)
		f.op.OnUserInfo(func(c map[string]any) { c["nickname"] = "Ali" })
		v := f.visitor()
		v.logIn("alice")
		before := v.require(http.StatusOK, 0)
		f.op.SetFault(oidctest.UserInfo, oidctest.Fault{Status: http.StatusBadGateway})
		time.Sleep(accessLife)
		a := v.require(http.StatusOK, 0)
		require.NotEqual(t, before.token(), a.token())
		require.Equal(t, before.session.UserInfo().Claims.Raw(), a.session.UserInfo().Claims.Raw())
		require.ErrorIs(t, f.stepsOf(middleware.SessionRefreshed)[0].Err, oidckit.ErrUnavailable)
	})
}

func TestNeeds37_WithoutUserInfo(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1, func(c *middleware.LoginConfig) { c.WithoutUserInfo = true })
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(accessLife)
		require.Nil(t, v.require(http.StatusOK, 0).session.UserInfo())
		require.Zero(t, f.op.Requests(oidctest.UserInfo))
		f.requireSentOnce(1)
	})
}

// A panic in a function of the program ends neither the process nor the session.
func TestRefreshThatPanics(t *testing.T) {
	inBubbleOf(t, func(t *testing.T) {
		f := newFleet(t, serverSide, 1)
		v := f.visitor()
		v.logIn("alice")
		time.Sleep(accessLife)
		f.store.set(func(s *faultyStore) { s.onCommit = func() { panic("a bug") } })
		v.require(http.StatusOK, 0)
		f.store.set(func(s *faultyStore) { s.onCommit = nil })
		time.Sleep(time.Minute)
		v.require(http.StatusOK, 0)
	})
}
