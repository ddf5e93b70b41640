package interop_test

import (
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

	_, err = client.Refresh(t.Context(), first)
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
