package interop_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

// Two providers: what the first one says of carol is from the second one (OpenID Connect Core section 5.6.2). Its signed
// userinfo serves for both kinds: handed on as it is, and to be fetched.
func TestOPClaimsOfAnotherProvider(t *testing.T) {
	t.Parallel()
	op, other := interop.StartOP(t, []string{callbackURL}), interop.StartOP(t, []string{callbackURL})
	there := other.Register(t, interop.Metadata{"userinfo_signed_response_alg": "ES256"})
	accessToken := logIn(t, other, clientOf(t, other, there, oidc.ClientConfig{}), "alice").OAuth2.AccessToken
	signed := ask(t, http.DefaultClient, other.Issuer+"/me", url.Values{"access_token": {accessToken}}).body
	require.NoError(t, op.SetAccount(t.Context(), "carol", map[string]any{
		"email":        "carol@example.test",
		"_claim_names": map[string]any{"name": "handed on", "preferred_username": "elsewhere"},
		"_claim_sources": map[string]any{
			"handed on": map[string]any{"JWT": signed},
			"elsewhere": map[string]any{"endpoint": other.Issuer + "/me", "access_token": accessToken},
		},
	}))
	here := op.Register(t, nil)
	sourced := func(sources ...oidc.ClaimSource) (aggregated, distributed oidc.SourcedClaims) {
		client := clientOf(t, op, here, oidc.ClientConfig{ClaimSources: sources})
		tokens := logIn(t, op, client, "carol")
		info, err := client.UserInfo(t.Context(), tokens)
		require.NoError(t, err)
		a, err := client.AggregatedClaims(t.Context(), info.Claims)
		require.NoError(t, err)
		d, err := client.DistributedClaims(t.Context(), info.Claims)
		require.NoError(t, err)
		require.Len(t, a, 1)
		require.Len(t, d, 1)
		return a[0], d[0]
	}
	text := func(set claims.Set, name string) string {
		value, err := set.String(claims.P(name))
		require.NoError(t, err)
		return value
	}

	trusted := oidc.ClaimSource{
		Provider: newProvider(t, oidc.Config{Issuer: other.Issuer}), Endpoints: []string{other.Issuer + "/me"}, Audience: []string{there.ID},
	}
	aggregated, distributed := sourced(trusted)
	require.NoError(t, aggregated.Err)
	require.Equal(t, other.Issuer, aggregated.Issuer)
	require.Equal(t, "Alice Adams", text(aggregated.Claims, "name"))
	require.NoError(t, distributed.Err)
	require.Equal(t, other.Issuer, distributed.Issuer)
	require.Equal(t, "alice", text(distributed.Claims, "preferred_username"))
	require.False(t, distributed.Claims.Has(claims.P("name")), "that is not what is to be had there")

	aggregated, distributed = sourced()
	require.Empty(t, aggregated.Issuer)
	require.Equal(t, "Alice Adams", text(aggregated.Unverified, "name"))
	require.False(t, aggregated.Claims.Has(claims.P("name")))
	require.ErrorIs(t, distributed.Err, oidc.ErrUntrustedSource)

	trusted.Audience = nil
	aggregated, distributed = sourced(trusted)
	for _, s := range []oidc.SourcedClaims{aggregated, distributed} {
		requireReason(t, oidc.ReasonAudience, s.Err) // it was made for another client
		require.False(t, s.Claims.Has(claims.P("name")))
	}
}
