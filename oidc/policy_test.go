package oidc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// T01: an issuer that signs for strangers too is trusted for those tokens alone that the
// policy names, before any route is asked.
func TestT01_PolicyOfAnIssuer(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	policy, err := claims.NewPolicy(claims.Equals(claims.P("repository_id"), "42"))
	require.NoError(t, err)
	signed := func(id any) string {
		return op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"repository_id": id}))
	}
	for name, cache := range map[string]oidc.TokenCacheConfig{"cold": {}, "with a cache": {MaxTokens: 8}} {
		v := newVerifier(t, newProvider(t, op), func(cfg *oidc.AccessTokenConfig) { cfg.Policy, cfg.Cache = policy, cache })
		for range 2 {
			_, err := v.Verify(t.Context(), signed("42"))
			require.NoError(t, err, name)
			for _, id := range []any{"43", nil, 42, []string{"42"}} {
				_, err := v.Verify(t.Context(), signed(id))
				requireRefused(t, err, oidc.ReasonPolicy, "repository_id")
			}
		}
	}
}

// T01: the same for ID tokens.
func TestT01_PolicyForIDTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	policy, err := claims.NewPolicy(claims.Equals(claims.P("hd"), "example.com"))
	require.NoError(t, err)
	v, err := oidc.NewIDTokenVerifier(newProvider(t, op), oidc.IDTokenConfig{ClientID: oidctest.ClientID, Policy: policy})
	require.NoError(t, err)
	tokens := mustLogin(t, op, newClient(t, newProvider(t, op)))
	nonce, err := tokens.IDToken.Claims.String(claims.P("nonce"))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), tokens.IDToken.Raw(), nonce)
	requireRefused(t, err, oidc.ReasonPolicy, "hd")
}
