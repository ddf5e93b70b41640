package interop_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func newDPoP(t *testing.T, alg string) *oidc.DPoP {
	t.Helper()
	proofs, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: privateKey(t, alg), Algorithm: alg})
	require.NoError(t, err)
	return proofs
}

// A login, its refresh, userinfo and an API, all with proofs; and the same where each server wants a nonce of its own.
func TestOPDPoP(t *testing.T) {
	for name, options := range map[string][]interop.Option{"without nonce": nil, "with nonce": {interop.WithDPoPNonce()}} {
		t.Run(name, func(t *testing.T) {
			op := interop.StartOP(t, []string{callbackURL}, options...)
			for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "RS256"} {
				t.Run(alg, func(t *testing.T) {
					useEverywhere(t, op, newDPoP(t, alg))
				})
			}
		})
	}
}

func useEverywhere(t *testing.T, op *interop.OP, proofs *oidc.DPoP) {
	t.Helper()
	row := privateKeyMethod(t, "ES256")
	registered := row.register(t, op, interop.Metadata{"dpop_bound_access_tokens": true})
	client := clientOf(t, op, registered, oidc.ClientConfig{
		ClientAuth: row.method(registered), DPoP: proofs, Scopes: []string{"openid", "profile", "offline_access"},
		PushedAuthorizationRequests: true,
	})
	first := logIn(t, op, client, "alice")
	require.Equal(t, "DPoP", first.OAuth2.Type())
	requireName(t, client, first)
	tokens, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, "DPoP", tokens.OAuth2.Type())
	requireName(t, client, tokens)
	introspection, err := client.Introspect(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)
	require.True(t, introspection.Bound)

	// The userinfo endpoint is the one API here that checks proofs.
	transport, err := client.APITransport(oidc.APITransportConfig{Source: client.TokenSource(tokens), Allowed: []string{op.Issuer + "/me"}})
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, "alice", getMe(t, &http.Client{Transport: transport}, op.Issuer, "").json(t)["sub"])
	}

	for _, resource := range []string{apiTest, otherTest} {
		machine, err := client.ClientCredentials(t.Context(), oidc.WithResource(resource))
		require.NoError(t, err)
		_, payload := decode(t, machine.AccessToken)
		require.Equal(t, map[string]any{"jkt": proofs.Thumbprint()}, payload["cnf"])
	}
}

// Whoever steals tokens has not stolen the key.
func TestOPDPoPBindsToTheKey(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{
		"token_endpoint_auth_method": "none", "dpop_bound_access_tokens": true, "grant_types": []string{"authorization_code", "refresh_token"},
	})
	with := func(proofs *oidc.DPoP) *oidc.Client {
		return clientOf(t, op, registered, oidc.ClientConfig{
			ClientAuth: clientauth.None(), DPoP: proofs, Scopes: []string{"openid", "profile", "offline_access"},
		})
	}
	owner, thief := with(newDPoP(t, "ES256")), with(newDPoP(t, "ES256"))
	tokens := logIn(t, op, owner, "alice")

	_, err := thief.Refresh(t.Context(), tokens)
	requireReason(t, oidc.ReasonRevoked, err)
	_, err = thief.UserInfo(t.Context(), tokens)
	requireReason(t, oidc.ReasonRevoked, err)
	require.Equal(t, http.StatusUnauthorized, getMe(t, http.DefaultClient, op.Issuer, "Bearer "+tokens.OAuth2.AccessToken).status)

	requireName(t, owner, tokens)
	_, err = owner.Refresh(t.Context(), tokens)
	require.NoError(t, err)

	// dpop_jkt (RFC 9449 section 10): the code is the owner's too.
	flow, callback := begin(t, op, owner, "alice")
	sealed, err := flow.MarshalBinary()
	require.NoError(t, err)
	var stolen oidc.Flow
	require.NoError(t, stolen.UnmarshalBinary(sealed))
	_, err = thief.Finish(t.Context(), &stolen, callback)
	requireParameter(t, "code", err)
}

func TestOPDPoPIsDemandedOfTheClient(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"dpop_bound_access_tokens": true})
	client := clientOf(t, op, registered, oidc.ClientConfig{})
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	requireParameter(t, "code", err) // the provider says invalid_grant
}
