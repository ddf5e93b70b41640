package oidc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestJ34_AnyAudienceIsSaidAloud(t *testing.T) {
	t.Parallel()
	op, err := oidctest.New(oidctest.Config{Issuer: "https://op.example", Algorithm: "ES256"})
	require.NoError(t, err)
	p := newProvider(t, op)
	v, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{InsecureAnyAudience: true, InsecureAllowUntyped: true})
	require.NoError(t, err)
	sign := func(aud any) string {
		claims := map[string]any{"iss": op.Issuer(), "sub": "s", "aud": aud, "exp": time.Now().Unix() + 60}
		if aud == nil {
			delete(claims, "aud")
		}
		return op.Sign(map[string]any{"alg": "ES256", "typ": "JWT"}, claims)
	}
	token, err := v.Verify(t.Context(), sign([]string{"a", "b"}))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, token.Audience)
	for _, aud := range []any{nil, "", []string{}, []string{"a", ""}, 7} {
		_, err = v.Verify(t.Context(), sign(aud))
		var e *oidc.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, oidc.ReasonAudience, e.Reason, "%v", aud)
	}
	for _, cfg := range []oidc.AccessTokenConfig{{Audience: []string{"a"}}, {RequireAllAudiences: true}, {AudienceClaim: "azp"}} {
		cfg.InsecureAnyAudience = true
		_, err = oidc.NewAccessTokenVerifier(p, cfg)
		require.ErrorContains(t, err, "AccessTokenConfig.InsecureAnyAudience")
	}
	_, err = oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{})
	require.ErrorContains(t, err, "AccessTokenConfig.Audience")
}

func TestD06_TimeLimitOfAProvider(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]oidctest.Endpoint{"metadata": oidctest.Discovery, "keys": oidctest.JWKS} {
		synctest.Test(t, func(t *testing.T) {
			op, err := oidctest.New(oidctest.Config{Issuer: "https://op.example"})
			require.NoError(t, err)
			op.SetFault(fault, oidctest.Fault{Hang: true})
			p := newProvider(t, op, func(c *oidc.Config) { c.Timeout = 25 * time.Second })
			began := time.Now()
			requireUnavailable(t, p.Ready(t.Context()))
			require.Equal(t, 25*time.Second, time.Since(began), name)
		})
	}
	_, err := oidc.NewProvider(oidc.Config{Issuer: "https://op.example", Timeout: time.Hour})
	require.ErrorContains(t, err, "Config.Timeout")
	_, err = discovery.New(discovery.Config{Issuer: "https://op.example", Timeout: -1})
	require.ErrorContains(t, err, "Config.Timeout")
}

func TestK09_KeysAreFreshAsLongAsWeSay(t *testing.T) {
	t.Parallel()
	for set, fetches := range map[time.Duration]int{0: 1, 40 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			op, err := oidctest.New(oidctest.Config{Issuer: "https://op.example", Algorithm: "ES256"})
			require.NoError(t, err)
			p := newProvider(t, op, func(c *oidc.Config) { c.KeysMaxFresh = set })
			require.NoError(t, p.Ready(t.Context()))
			time.Sleep(40 * time.Second)
			require.NoError(t, p.Ready(t.Context()))
			synctest.Wait()
			require.Equal(t, fetches, op.Requests(oidctest.JWKS), "%v", set)
		})
	}
}
