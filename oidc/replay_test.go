package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// remembering takes the memory that a verifier has by itself.
func remembering(c *oidc.LogoutTokenConfig) { c.Replay = nil }

// F23: a logout token is good once, for as long as it is good at all.
func TestF23_ReplayedLogoutToken(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	provider := newProvider(t, op)
	judge := judgeLogout(t, newLogoutVerifier(t, provider, remembering))
	sign := func(jti string, changes object) string {
		return op.Sign(nil, with(with(logoutClaims(op), object{"jti": jti}), changes))
	}
	first := sign("1", object{"exp": start.Add(time.Hour).Unix()})
	require.NoError(t, judge(t.Context(), first))
	requireRefused(t, judge(t.Context(), first), oidc.ReasonReplayed, "jti")
	requireRefused(t, judge(t.Context(), sign("1", object{"sub": "another"})), oidc.ReasonReplayed, "jti")
	require.NoError(t, judge(t.Context(), sign("2", nil)))

	// What is refused uses nothing up: neither what is wrong nor what nobody signed.
	requireRefused(t, judge(t.Context(), sign("3", object{"aud": "other"})), oidc.ReasonAudience, "aud")
	requireRefused(t, judge(t.Context(), forgeSignature(sign("3", nil))), oidc.ReasonSignature, "")
	require.NoError(t, judge(t.Context(), sign("3", nil)))

	// Until it is too old by itself: MaxAge and Leeway after iat.
	op.Advance(6 * time.Minute)
	requireRefused(t, judge(t.Context(), first), oidc.ReasonReplayed, "jti")
	op.Advance(1)
	requireRefused(t, judge(t.Context(), first), oidc.ReasonTooOld, "iat")
}

// F23: one token for two clients comes to each of them; those of two issuers have nothing to
// do with each other.
func TestF23_ReplayIsByIssuerAndClient(t *testing.T) {
	t.Parallel()
	store := &sharedStore{}
	shared := func(id string) func(*oidc.LogoutTokenConfig) {
		return func(c *oidc.LogoutTokenConfig) { c.ClientID, c.Replay = id, store }
	}
	op, other := newOP(t), newOP(t, func(c *oidctest.Config) { c.Issuer = "https://other.example" })
	raw := op.Sign(nil, with(logoutClaims(op), object{"aud": []string{"a", "b"}}))
	for _, id := range []string{"a", "b"} {
		judge := judgeLogout(t, newLogoutVerifier(t, newProvider(t, op), shared(id)))
		require.NoError(t, judge(t.Context(), raw))
		requireRefused(t, judge(t.Context(), raw), oidc.ReasonReplayed, "jti")
	}
	foreign := other.Sign(nil, with(logoutClaims(other), object{"aud": "a"}))
	require.NoError(t, judgeLogout(t, newLogoutVerifier(t, newProvider(t, other), shared("a")))(t.Context(), foreign))
	// Another process, with the same store.
	again := judgeLogout(t, newLogoutVerifier(t, newProvider(t, op), shared("a")))
	requireRefused(t, again(t.Context(), raw), oidc.ReasonReplayed, "jti")

	// What is known by two names together is not known by others that spell the same.
	spelled := op.Sign(nil, with(logoutClaims(op), object{"aud": "ab", "jti": "c"}))
	require.NoError(t, judgeLogout(t, newLogoutVerifier(t, newProvider(t, op), shared("ab")))(t.Context(), spelled))
	spelled = op.Sign(nil, with(logoutClaims(op), object{"aud": "a", "jti": "bc"}))
	require.NoError(t, again(t.Context(), spelled))

	require.Len(t, store.keys, 5)
	for key, until := range store.keys {
		require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, key)
		require.False(t, until.Before(start.Add(2*time.Minute+time.Minute)), "as long as it is accepted")
		require.False(t, until.After(start.Add(3*time.Minute+time.Second)), "and no longer than needed")
	}
	clear(store.keys)
	require.NoError(t, again(t.Context(), op.Sign(nil, with(logoutClaims(op), object{"aud": "a", "exp": start.Add(time.Hour).Unix()}))))
	for _, until := range store.keys {
		require.True(t, until.Equal(start.Add(6*time.Minute+time.Second)), "MaxAge and Leeway after iat")
	}
}

type sharedStore struct{ keys map[string]time.Time }

func (s *sharedStore) Once(_ context.Context, key string, until time.Time) (bool, error) {
	if _, ok := s.keys[key]; ok {
		return false, nil
	}
	if s.keys == nil {
		s.keys = map[string]time.Time{}
	}
	s.keys[key] = until
	return true, nil
}

// F23: a store that does not answer makes no token good, and none bad.
func TestF23_ReplayStoreIsDown(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op), func(c *oidc.LogoutTokenConfig) { c.Replay = brokenStore{} })
	token, err := v.Verify(t.Context(), op.Sign(nil, logoutClaims(op)))
	require.Nil(t, token)
	requireUnavailable(t, err)
	require.ErrorIs(t, err, errStore)
}

var errStore = errors.New("the store is down")

type brokenStore struct{}

func (brokenStore) Once(context.Context, string, time.Time) (bool, error) { return true, errStore }

// F23, P03: a full memory forgets nothing that is still good.
func TestF23_ReplayMemoryIsFull(t *testing.T) {
	t.Parallel()
	const most = 1 << 16
	now := start
	memory := oidc.NewReplayMemory(func() time.Time { return now })
	once := func(i int, life time.Duration) (bool, error) {
		return memory.Once(t.Context(), strconv.Itoa(i), now.Add(life))
	}
	for i := range most {
		if first, err := once(i, time.Minute*time.Duration(1+i%2)); !first || err != nil {
			require.NoError(t, err, i)
			require.True(t, first, i)
		}
	}
	first, err := once(most, time.Minute)
	require.Error(t, err)
	require.False(t, first)
	for i := range 2 {
		first, err = once(i, time.Minute)
		require.NoError(t, err)
		require.False(t, first)
	}
	now = now.Add(time.Minute) // half of them go
	first, err = once(most, time.Minute)
	require.NoError(t, err)
	require.True(t, first)
	first, err = once(1, time.Minute)
	require.NoError(t, err)
	require.False(t, first)
}

// F23: of callers at one time exactly one is the first.
func TestF23_ReplayRace(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op), remembering)
	raw := op.Sign(nil, logoutClaims(op))
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), raw); err == nil {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, first.Load())
}

// F20, F22: the URL of a logout says whose it is and for whom, and an outage is one.
func TestF22_LogoutURLInAnOutage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op))
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	target, err := client.LogoutURL(t.Context(), oidc.Logout{})
	require.Empty(t, target)
	requireUnavailable(t, err)
	m := metadataOf(op)
	m.EndSessionEndpoint = ""
	_, err = newClient(t, newProvider(t, op, withMetadata(m))).LogoutURL(t.Context(), oidc.Logout{})
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
}

func TestF20_LogoutURLNamesTheClientAndTheLogin(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	target, err := client.LogoutURL(t.Context(), oidc.Logout{
		IDToken: tokens.IDToken, PostLogoutRedirectURL: "https://client.example/", State: "a&b=c d",
		LogoutHint: "alice@example.com", UILocales: []string{"fr-CA", "fr", "en"},
	})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"client_id": {oidctest.ClientID}, "id_token_hint": {tokens.IDToken.Raw()}, "post_logout_redirect_uri": {"https://client.example/"},
		"state": {"a&b=c d"}, "logout_hint": {"alice@example.com"}, "ui_locales": {"fr-CA fr en"},
	}, queryOf(t, target))
	// The provider takes it without asking.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	c := op.HTTPClient()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Less(t, resp.StatusCode, 400, fmt.Sprint(resp.StatusCode))
}
