package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

var errStoreDown = errors.New("the store is down")

func persisting(t testing.TB, c *oidc.Client, tokens *oidc.Tokens, persist func(context.Context, *oidc.Tokens) error) *oidc.TokenSource {
	t.Helper()
	source, err := c.NewTokenSource(oidc.TokenSourceConfig{Tokens: tokens, Persist: persist})
	require.NoError(t, err)
	return source
}

func TestNewTokenSource_NeedsTokens(t *testing.T) {
	_, client := scripted(t, rotating)
	for _, tokens := range []*oidc.Tokens{nil, {}} {
		_, err := client.NewTokenSource(oidc.TokenSourceConfig{Tokens: tokens})
		require.Error(t, err)
	}
}

func TestNewTokenSource_Options(t *testing.T) {
	e, client := scripted(t, rotating)
	options := []oidc.Option{oidc.WithResource(api)}
	source, err := client.NewTokenSource(oidc.TokenSourceConfig{Tokens: tokensWith("R1"), Options: options})
	require.NoError(t, err)
	options[0] = oidc.WithResource("https://other.example")
	_, err = source.Token()
	require.NoError(t, err)
	require.Equal(t, []string{api}, e.last()["resource"])
}

// The new tokens are kept before anybody gets them, once for all who wait, in several
// sources.
func TestF30_PersistedBeforeUse(t *testing.T) {
	e, client := scripted(t, rotating)
	var calls atomic.Int32
	var kept atomic.Pointer[oidc.Tokens]
	var source *oidc.TokenSource
	persist := func(ctx context.Context, tokens *oidc.Tokens) error {
		_, limited := ctx.Deadline()
		require.True(t, limited)
		require.Equal(t, "R1", source.Tokens().OAuth2.RefreshToken, "not in use yet")
		calls.Add(1)
		kept.Store(tokens)
		return nil
	}
	old := tokensWith("R1")
	source = persisting(t, client, old, persist)
	other := persisting(t, client, old, persist)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s := []*oidc.TokenSource{source, other}[i%2]
			token, err := s.TokenContext(t.Context())
			if err != nil || kept.Load() == nil || token.AccessToken != kept.Load().OAuth2.AccessToken {
				t.Errorf("%v: a token that was not kept", err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, calls.Load())
	require.Equal(t, 1, e.requests())
	require.Equal(t, "R1+", kept.Load().OAuth2.RefreshToken)
	require.Equal(t, "R1+", source.Tokens().OAuth2.RefreshToken)
}

// Also where the refresh token stays there are new tokens to keep, at each refresh.
func TestF30_PersistedAtEachRefresh(t *testing.T) {
	e, client := scripted(t, func(url.Values) object {
		return object{"access_token": "a", "token_type": "Bearer", "expires_in": 300}
	})
	calls := 0
	source := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error { calls++; return nil })
	for i := range 3 {
		_, err := source.Token()
		require.NoError(t, err)
		require.Equal(t, i+1, calls)
		e.advance(time.Hour)
	}
}

func TestF30_PersistFails(t *testing.T) {
	e, client := scripted(t, rotating)
	fail, calls := true, 0
	source := persisting(t, client, tokensWith("R1"), func(_ context.Context, tokens *oidc.Tokens) error {
		calls++
		require.Equal(t, "access-for-R1", tokens.OAuth2.AccessToken)
		if fail {
			return errStoreDown
		}
		return nil
	})
	for i := range 3 {
		token, err := source.Token()
		require.Nil(t, token)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, errStoreDown)
		var unkept *oidc.PersistError
		require.ErrorAs(t, err, &unkept)
		require.Equal(t, "R1", source.Tokens().OAuth2.RefreshToken)
		require.Equal(t, i+1, calls, "it is tried again before anything else")
		e.advance(time.Hour) // the client has forgotten the answer, the source has not
	}
	e.advance(-3 * time.Hour)
	fail = false
	token, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "access-for-R1", token.AccessToken)
	require.Equal(t, "R1+", source.Tokens().OAuth2.RefreshToken)
	require.Equal(t, 4, calls)
	require.Equal(t, 1, e.requests())
}

// An old token that has some seconds left does not hide that the new ones are not kept.
func TestF30_PersistFailsBeforeTheEnd(t *testing.T) {
	e, client := scripted(t, rotating)
	old := tokensWith("R1")
	old.OAuth2.Expiry = e.clock().Add(5 * time.Second)
	source := persisting(t, client, old, func(context.Context, *oidc.Tokens) error { return errStoreDown })
	for range 2 {
		_, err := source.Token()
		require.ErrorIs(t, err, errStoreDown)
	}
}

// What one source could not keep, another one has: keeping it once more could overwrite
// what came after it.
func TestF30_PersistedByAnotherSource(t *testing.T) {
	e, client := scripted(t, rotating)
	calls := 0
	broken := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error { calls++; return errStoreDown })
	_, err := broken.Token()
	require.ErrorIs(t, err, errStoreDown)
	_, err = persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error { return nil }).Token()
	require.NoError(t, err)
	_, err = broken.Token()
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	require.Equal(t, 1, e.requests())
}

// Tokens that come to be kept late must not overwrite what came after them: those of a
// refresh that somebody else has gone on from, or of an error whose tokens somebody took.
func TestF30_LatePersistOverwritesNothing(t *testing.T) {
	for name, goOn := range map[string]func(*testing.T, *scriptedEndpoint, *oidc.Client, *oidc.PersistError, func(context.Context, *oidc.Tokens) error) string{
		"taken from the error": func(t *testing.T, e *scriptedEndpoint, c *oidc.Client, unkept *oidc.PersistError, persist func(context.Context, *oidc.Tokens) error) string {
			tokens := storedAndRead(t, unkept.Tokens()) // in another store, for another source
			e.advance(6 * time.Minute)                  // the client has forgotten them
			_, err := persisting(t, c, tokens, persist).Token()
			require.NoError(t, err)
			return "R1++"
		},
		"gone on from": func(t *testing.T, _ *scriptedEndpoint, c *oidc.Client, _ *oidc.PersistError, persist func(context.Context, *oidc.Tokens) error) string {
			tokens, err := c.Refresh(t.Context(), tokensWith("R1"), oidc.WithScopes("a"))
			require.NoError(t, err)
			require.NoError(t, persist(t.Context(), tokens))
			return "R1++"
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, client := scripted(t, rotating)
			store, down := "R1", true
			persist := func(_ context.Context, tokens *oidc.Tokens) error {
				if down {
					return errStoreDown
				}
				store = tokens.OAuth2.RefreshToken
				return nil
			}
			source := persisting(t, client, tokensWith("R1"), persist)
			_, err := source.Token()
			var unkept *oidc.PersistError
			require.ErrorAs(t, err, &unkept)
			down = false
			want := goOn(t, e, client, unkept, persist)
			require.Equal(t, want, store)
			_, err = source.Token()
			require.NoError(t, err)
			require.Equal(t, want, store, "the store holds a refresh token that is spent")
			sentOnce(t, e)
		})
	}
}

// Tokens of one login are kept one after the other, so that the last ones stay.
func TestF30_PersistInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := scripted(t, rotating)
		var kept []string
		persist := func(_ context.Context, tokens *oidc.Tokens) error {
			if tokens.OAuth2.RefreshToken == "R1+" {
				time.Sleep(5 * time.Second)
			}
			kept = append(kept, tokens.OAuth2.RefreshToken)
			return nil
		}
		first := persisting(t, client, tokensWith("R1"), persist)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = first.Token() })
		synctest.Wait()
		second, err := client.NewTokenSource(oidc.TokenSourceConfig{
			Tokens: tokensWith("R1"), Persist: persist, Options: []oidc.Option{oidc.WithScopes("a")},
		})
		require.NoError(t, err)
		_, err = second.Token()
		require.NoError(t, err)
		wg.Wait()
		require.Equal(t, []string{"R1+", "R1++"}, kept)
	})
}

// What is left of an answer that one source could not use is not all of it: the tokens of
// another source, for which it is good, are kept all the same; and not the other way round.
func TestF30_AllIsPersistedAfterAPart(t *testing.T) {
	for name, partFirst := range map[string]bool{"part first": true, "all first": false} {
		t.Run(name, func(t *testing.T) {
			op, client, old := setupOffline(t)
			flow, err := client.Begin(t.Context())
			require.NoError(t, err)
			callback, err := op.Login(t.Context(), flow.AuthorizationURL, "bob")
			require.NoError(t, err)
			bob, err := finish(t, client, flow, callback.Query())
			require.NoError(t, err)
			op.Advance(time.Hour)
			var kept []*oidc.Tokens
			persist := func(_ context.Context, tokens *oidc.Tokens) error {
				kept = append(kept, tokens)
				return nil
			}
			part := func() {
				_, err := persisting(t, client, &oidc.Tokens{OAuth2: old.OAuth2, IDToken: bob.IDToken}, persist).Token()
				requireRefused(t, err, oidc.ReasonSubject, "sub")
			}
			all := func() {
				_, err := persisting(t, client, old, persist).Token()
				require.NoError(t, err)
			}
			if partFirst {
				part()
				part()
				require.Len(t, kept, 1)
				require.Equal(t, old.OAuth2.AccessToken, kept[0].OAuth2.AccessToken)
				all()
				require.Len(t, kept, 2)
			} else {
				all()
				part()
				require.Len(t, kept, 1)
			}
			last := kept[len(kept)-1]
			require.NotEqual(t, old.OAuth2.AccessToken, last.OAuth2.AccessToken)
			require.Equal(t, old.IDToken.Subject, last.IDToken.Subject)
		})
	}
}

// A store that hangs and looks at no context does not have its callers wait for ever.
func TestF30_PersistHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, client := scripted(t, rotating)
		release := make(chan struct{})
		calls := 0
		source := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error {
			calls++
			<-release
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := source.TokenContext(ctx)
		requireUnavailable(t, err)
		require.Equal(t, time.Second, time.Since(began))
		_, err = source.Token()
		requireUnavailable(t, err)
		require.Equal(t, 31*time.Second, time.Since(began), "30 s, and one to say what went wrong")
		_, err = source.Token()
		requireUnavailable(t, err)
		require.Equal(t, 31*time.Second, time.Since(began))
		close(release)
		synctest.Wait()
		token, err := source.Token()
		require.NoError(t, err)
		require.Equal(t, "access-for-R1", token.AccessToken)
		require.Equal(t, 1, calls)
		require.Equal(t, 1, e.requests())
	})
}

func TestF30_PersistPanics(t *testing.T) {
	e, client := scripted(t, rotating)
	first := true
	source := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error {
		if first {
			first = false
			panic(marker)
		}
		return nil
	})
	_, err := source.Token()
	require.Error(t, err)
	require.NotContains(t, err.Error(), marker)
	token, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "access-for-R1", token.AccessToken)
	require.Equal(t, 1, e.requests())
}

// An answer that cannot be used has a refresh token that must not be lost.
func TestF30_RefreshTokenOfAnUnusableAnswerIsPersisted(t *testing.T) {
	for name, storeDown := range map[string]bool{"kept at once": false, "kept later": true} {
		t.Run(name, func(t *testing.T) {
			bad := true
			e, client := scripted(t, func(form url.Values) object {
				if bad {
					return with(rotating(form), object{"token_type": "mac"})
				}
				return rotating(form)
			})
			down := storeDown
			var kept []string
			source := persisting(t, client, tokensWith("R1"), func(_ context.Context, tokens *oidc.Tokens) error {
				if down {
					return errStoreDown
				}
				kept = append(kept, tokens.OAuth2.AccessToken+" "+tokens.OAuth2.RefreshToken)
				return nil
			})
			_, err := source.Token()
			if storeDown {
				require.ErrorIs(t, err, errStoreDown)
			} else {
				requireRefused(t, err, oidc.ReasonMalformed, "")
			}
			bad, down = false, false
			e.advance(time.Second)
			token, err := source.Token()
			require.NoError(t, err)
			require.Equal(t, "access-for-R1+", token.AccessToken)
			require.Equal(t, []string{marker + " R1+", "access-for-R1+ R1++"}, kept)
			require.Equal(t, 2, e.requests())
		})
	}
}

// After a failure nothing is sent for a moment, or for as long as the provider says.
func TestF30_FailuresAreNotHammered(t *testing.T) {
	for name, tt := range map[string]struct {
		answer object
		pause  time.Duration
	}{
		"refused":           {object{"error": "invalid_client"}, time.Second},
		"in trouble":        {object{"error": "temporarily_unavailable"}, time.Second},
		"unusable":          {object{"access_token": "a", "token_type": "mac"}, time.Second},
		"asked to wait":     {object{"Retry-After": "30"}, 30 * time.Second},
		"asked for an hour": {object{"Retry-After": "3600"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			failing := true
			e, client := scripted(t, func(form url.Values) object {
				if failing {
					return tt.answer
				}
				return rotating(form)
			})
			source := client.TokenSource(tokensWith("R1"))
			_, err := source.Token()
			require.Error(t, err)
			e.advance(tt.pause - 1)
			_, again := source.Token()
			require.Equal(t, err, again)
			require.Equal(t, 1, e.requests())
			failing = false
			e.advance(1)
			_, err = source.Token()
			require.NoError(t, err)
		})
	}
}

// In an outage the old token serves to its end, and not beyond it.
func TestF30_OldTokenInAnOutage(t *testing.T) {
	op, client, old := setupOffline(t)
	source := client.TokenSource(old)
	op.Advance(5*time.Minute - 5*time.Second)
	op.SetFault(oidctest.Token, oidctest.Fault{Status: 503})
	for range 2 { // by itself, and in the pause
		token, err := source.Token()
		require.NoError(t, err)
		require.Equal(t, old.OAuth2.AccessToken, token.AccessToken)
	}
	require.Equal(t, 2, op.Requests(oidctest.Token))
	op.Advance(5*time.Second - 1)
	_, err := source.Token()
	require.NoError(t, err)
	op.Advance(1)
	for range 2 {
		_, err = source.Token()
		requireUnavailable(t, err)
	}

	// A refusal is none.
	op, client, old = setupOffline(t)
	op.Advance(5*time.Minute - 5*time.Second)
	op.SetFault(oidctest.Token, oidctest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`})
	_, err = client.TokenSource(old).Token()
	requireRefused(t, err, oidc.ReasonRevoked, "")
}

func TestF30_RefusedRefreshTokenIsNotSentAgain(t *testing.T) {
	e, client := scripted(t, func(url.Values) object { return object{"error": "invalid_grant"} })
	source := client.TokenSource(tokensWith("R1"))
	for range 3 {
		_, err := source.Token()
		requireRefused(t, err, oidc.ReasonRevoked, "")
		e.advance(time.Hour)
	}
	require.Equal(t, 1, e.requests())
}

func TestTokenSource_TokenContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client, old := setupOffline(t)
		op.Advance(time.Hour)
		source := client.TokenSource(old)
		op.SetFault(oidctest.Token, oidctest.Fault{Delay: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := source.TokenContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireUnavailable(t, err)
		require.Equal(t, time.Second, time.Since(began))
		_, err = source.TokenContext(t.Context())
		require.NoError(t, err, "what the other one waited for")
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Equal(t, 2, op.Requests(oidctest.Token))
	})
}

// Ten seconds would be half of the life of this one.
func TestTokenSource_ShortLife(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object { return with(rotating(form), object{"expires_in": 20}) })
	source := client.TokenSource(tokensWith("R1"))
	first, err := source.Token()
	require.NoError(t, err)
	e.advance(16*time.Second - 1)
	token, err := source.Token()
	require.NoError(t, err)
	require.Same(t, first, token)
	e.advance(1)
	token, err = source.Token()
	require.NoError(t, err)
	require.Equal(t, "R1++", token.RefreshToken)
}

// The answer that another source got may have expired: its refresh token has not.
func TestTokenSource_KeptAnswerHasExpired(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object { return with(rotating(form), object{"expires_in": 20}) })
	_, err := client.TokenSource(tokensWith("R1")).Token()
	require.NoError(t, err)
	e.advance(30 * time.Second)
	token, err := client.TokenSource(tokensWith("R1")).Token()
	require.NoError(t, err)
	require.Equal(t, "access-for-R1+", token.AccessToken)
	require.Equal(t, 2, e.requests())
}

// What has expired when it comes is not asked for again at once.
func TestF30_AnswersThatHaveExpired(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object { return with(rotating(form), object{"expires_in": 0}) })
	source := client.TokenSource(tokensWith("R1"))
	for i := range 3 {
		for range 10 {
			_, err := source.Token()
			requireRefused(t, err, oidc.ReasonExpired, "")
		}
		require.Equal(t, i+1, e.requests())
		e.advance(time.Second)
	}
	sentOnce(t, e)
}

func TestTokenSource_PrintsNothing(t *testing.T) {
	_, client := scripted(t, rotating)
	var source oauth2.TokenSource = client.TokenSource(tokensWith(marker))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, source), marker)
	}
}
