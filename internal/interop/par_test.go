package interop_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPPushedAuthorizationRequest(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"require_pushed_authorization_requests": true})
	pushing := clientOf(t, op, registered, oidc.ClientConfig{
		PushedAuthorizationRequests: true, Resources: []string{apiTest, otherTest}, Scopes: []string{"openid", "reports:read"},
	})

	flow, err := pushing.Begin(t.Context(), oidc.WithLoginHint("alice"))
	require.NoError(t, err)
	target, err := url.Parse(flow.AuthorizationURL)
	require.NoError(t, err)
	require.Len(t, target.Query(), 2)
	require.Equal(t, registered.ID, target.Query().Get("client_id"))
	require.Contains(t, target.Query().Get("request_uri"), "urn:ietf:params:oauth:request_uri:")

	back, err := op.Login(t.Context(), flow.AuthorizationURL)
	require.NoError(t, err)
	tokens, err := pushing.Finish(t.Context(), flow, back.Query())
	require.NoError(t, err)
	require.Equal(t, "alice", tokens.IDToken.Subject)
	_, err = strict(t, oidc.Config{Issuer: op.Issuer}, apiTest).Verify(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)

	back, err = op.Login(t.Context(), flow.AuthorizationURL)
	require.NoError(t, err)
	require.Equal(t, "invalid_request_uri", back.Query().Get("error"), "it is good once")
	_, err = pushing.Begin(t.Context(), oidc.WithResource("https://unknown.test"))
	requireCode(t, "invalid_target", err)

	// One that is not told to push, and a provider whose metadata do not say it either.
	plain := clientOf(t, op, registered, oidc.ClientConfig{})
	flow, callback := begin(t, op, plain, "alice")
	_, err = plain.Finish(t.Context(), flow, callback)
	var refused *oidc.AuthorizationError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_request", refused.Code, "the provider wants this client's requests pushed")
}

func TestOPMetadataDemandPushedRequests(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL}, interop.WithRequiredPAR())
	client := clientOf(t, op, op.Register(t, nil), oidc.ClientConfig{})
	flow, err := client.Begin(t.Context(), oidc.WithLoginHint("alice"))
	require.NoError(t, err)
	require.Contains(t, flow.AuthorizationURL, "request_uri=")
	back, err := op.Login(t.Context(), flow.AuthorizationURL)
	require.NoError(t, err)
	tokens, err := client.Finish(t.Context(), flow, back.Query())
	require.NoError(t, err)
	require.Equal(t, "alice", tokens.IDToken.Subject)
}
