package interop_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPDevice(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"grant_types": []string{deviceGrant, "refresh_token"}})
	client, answers := observedClient(t, op, registered, oidc.ClientConfig{Scopes: []string{"openid", "offline_access"}})

	device, err := client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Second, device.Interval)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), device.Expires, time.Minute)
	require.Equal(t, op.Issuer+"/device", device.VerificationURI)
	complete, err := url.Parse(device.VerificationURIComplete)
	require.NoError(t, err)
	require.Equal(t, device.UserCode, complete.Query().Get("user_code"))

	answers.double.Store(true)
	done := await(t, func() (*oidc.Tokens, error) { return client.DeviceTokens(t.Context(), device) })
	require.Equal(t, "slow_down", answers.next(t, op.Issuer+"/token")["error"])
	slowed := time.Now()
	require.Equal(t, "authorization_pending", answers.next(t, op.Issuer+"/token")["error"])
	require.Greater(t, time.Since(slowed), 5*time.Second, "RFC 8628 section 3.5: five seconds more than one")

	require.NoError(t, op.NewBrowser().ApproveDevice(t.Context(), device.VerificationURIComplete, "bob"))
	tokens, err := done()
	require.NoError(t, err)
	require.Equal(t, "bob", tokens.IDToken.Subject)
	info, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	require.Equal(t, "bob", info.Subject)
	_, err = client.Refresh(t.Context(), tokens)
	require.NoError(t, err)
}

func TestOPDeviceThatNobodyLetsIn(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"grant_types": []string{deviceGrant}})
	client, answers := observedClient(t, op, registered, oidc.ClientConfig{})

	denied, err := client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	require.NoError(t, op.NewBrowser().DenyDevice(t.Context(), denied.VerificationURIComplete))
	_, err = client.DeviceTokens(t.Context(), denied)
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	require.Equal(t, "access_denied", answers.next(t, op.Issuer+"/token")["error"])

	abandoned, err := client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := await(t, func() (*oidc.Tokens, error) { return client.DeviceTokens(ctx, abandoned) })
	require.Equal(t, "authorization_pending", answers.next(t, op.Issuer+"/token")["error"])
	cancel()
	_, err = done()
	require.ErrorIs(t, err, context.Canceled)
}

// The key is proven where the tokens are issued; the first proof there has no nonce yet.
func TestOPDeviceWithDPoP(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL}, interop.WithDPoPNonce())
	registered := op.Register(t, interop.Metadata{"grant_types": []string{deviceGrant}, "dpop_bound_access_tokens": true})
	client := clientOf(t, op, registered, oidc.ClientConfig{DPoP: newDPoP(t, "ES256")})
	device, err := client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	require.NoError(t, op.NewBrowser().ApproveDevice(t.Context(), device.VerificationURIComplete, "alice"))
	tokens, err := client.DeviceTokens(t.Context(), device)
	require.NoError(t, err)
	require.Equal(t, "DPoP", tokens.OAuth2.Type())
	requireName(t, client, tokens)
}
