package interop_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func offline(t *testing.T, op *interop.OP) (*oidc.Client, *wire, *oidc.Tokens) {
	t.Helper()
	cfg := configure(t, op, "app-basic")
	cfg.Scopes = []string{"openid", "offline_access"}
	client, wire := newClient(t, op, cfg)
	tokens := logIn(t, op, client, "alice")
	require.NotEmpty(t, tokens.OAuth2.RefreshToken)
	return client, wire, tokens
}

func TestRefreshRotates(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, _, first := offline(t, op)

	second, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	third, err := client.Refresh(t.Context(), second)
	require.NoError(t, err)
	require.NotEqual(t, first.OAuth2.RefreshToken, second.OAuth2.RefreshToken)
	require.NotEqual(t, second.OAuth2.RefreshToken, third.OAuth2.RefreshToken)
	require.NotEqual(t, second.OAuth2.AccessToken, third.OAuth2.AccessToken)
	require.Equal(t, "alice", third.IDToken.Subject)
	require.True(t, third.OAuth2.Valid())
	_, err = client.UserInfo(t.Context(), third)
	require.NoError(t, err)

	// A call that comes late gets what its token became. Nothing is sent for it.
	late, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, third.OAuth2.RefreshToken, late.OAuth2.RefreshToken)
	// Another process, a thief's perhaps, knows nothing of that.
	thief, _ := newClient(t, op, configure(t, op, "app-basic"))
	_, err = thief.Refresh(t.Context(), first)
	requireReason(t, oidc.ReasonRevoked, err)
	_, err = client.Refresh(t.Context(), third)
	requireReason(t, oidc.ReasonRevoked, err) // the provider took the family for stolen
	_, err = client.UserInfo(t.Context(), third)
	requireReason(t, oidc.ReasonRevoked, err)
}

func TestRefreshKeepsTheResource(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	cfg := configure(t, op, "app-basic")
	cfg.Scopes, cfg.Resources = []string{"openid", "offline_access", "reports:read"}, []string{apiTest}
	client, wire := newClient(t, op, cfg)
	first := logIn(t, op, client, "alice")
	require.Equal(t, []string{apiTest}, (*wire.form.Load())["resource"], "RFC 8707 section 2.2")
	tokens, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, "refresh_token", wire.form.Load().Get("grant_type"))
	require.Equal(t, []string{apiTest}, (*wire.form.Load())["resource"])
	checkAPIToken(t, op, tokens.OAuth2.AccessToken)
}

func TestRefreshInAnOutageChangesNothing(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, _, tokens := offline(t, op)
	op.Stop()
	_, err := client.Refresh(t.Context(), tokens)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
}

func TestTokenSourceRefreshesOnce(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, wire, tokens := offline(t, op)
	good, err := client.TokenSource(tokens).Token()
	require.NoError(t, err)
	require.Equal(t, tokens.OAuth2.AccessToken, good.AccessToken)
	require.EqualValues(t, 1, wire.tokenRequests.Load(), "of the login")

	stale := *tokens.OAuth2
	stale.Expiry = time.Now().Add(-time.Minute)
	source := client.TokenSource(&oidc.Tokens{OAuth2: &stale, IDToken: tokens.IDToken})
	var group sync.WaitGroup
	got := make([]*oauth2.Token, 8)
	errs := make([]error, len(got))
	for i := range got {
		group.Go(func() { got[i], errs[i] = source.Token() })
	}
	group.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0].AccessToken, got[i].AccessToken)
	}
	require.NotEqual(t, stale.AccessToken, got[0].AccessToken)
	require.EqualValues(t, 2, wire.tokenRequests.Load())
}

// This provider takes a refresh token that comes twice for stolen, and revokes all: see TestRefreshRotates.
func TestOPRefreshIsSentOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client, wire, first := offline(t, op)
	var group sync.WaitGroup
	got := make([]*oidc.Tokens, 8)
	errs := make([]error, len(got))
	for i := range got {
		group.Go(func() { got[i], errs[i] = client.Refresh(t.Context(), first) })
	}
	group.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0].OAuth2.RefreshToken, got[i].OAuth2.RefreshToken)
	}
	require.EqualValues(t, 2, wire.tokenRequests.Load(), "one is of the login")
	_, err := client.Refresh(t.Context(), got[0])
	require.NoError(t, err)
}

func TestOPTokensAreKeptBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client, wire, tokens := offline(t, op)
	tokens.OAuth2.Expiry = time.Now().Add(-time.Minute)
	var kept []byte
	full := errors.New("the disk is full")
	failing := full
	source, err := client.NewTokenSource(oidc.TokenSourceConfig{Tokens: tokens, Persist: func(_ context.Context, tokens *oidc.Tokens) error {
		if failing != nil {
			return failing
		}
		var err error
		kept, err = tokens.MarshalBinary()
		return err
	}})
	require.NoError(t, err)
	_, err = source.Token()
	require.ErrorIs(t, err, full)
	failing = nil
	access, err := source.Token()
	require.NoError(t, err)
	require.EqualValues(t, 2, wire.tokenRequests.Load(), "the new tokens were not lost: nothing was sent for the second try")

	// After a restart.
	var restored oidc.Tokens
	require.NoError(t, restored.UnmarshalBinary(kept))
	require.Equal(t, access.AccessToken, restored.OAuth2.AccessToken)
	require.Equal(t, "alice", restored.IDToken.Subject)
	fresh, _ := newClient(t, op, configure(t, op, "app-basic"))
	next, err := fresh.Refresh(t.Context(), &restored)
	require.NoError(t, err)
	require.Equal(t, "alice", next.IDToken.Subject)
	target, err := fresh.LogoutURL(t.Context(), oidc.Logout{IDToken: restored.IDToken})
	require.NoError(t, err)
	require.Contains(t, target, "id_token_hint=")
}
