package oidc_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func TestEncryptedIDToken_HintIsTheTokenInside(t *testing.T) {
	op := newOP(t)
	ours := newRecipient(t)
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.DecryptionKeys = []jwks.DecryptionKey{ours.key} })
	tokens, _, err := loginForged(t, op, client, attack{forge: func(op *oidctest.Provider, h, c object) string { return ours.encrypt(t, op.Sign(h, c)) }})
	require.NoError(t, err)
	target, err := client.LogoutURL(t.Context(), oidc.Logout{IDToken: tokens.IDToken})
	require.NoError(t, err)
	u, _ := url.Parse(target)
	require.Len(t, bytes.Split([]byte(u.Query().Get("id_token_hint")), []byte(".")), 3, "a JWS, which the provider can read")
}

func TestG10_LogoutTokenIsRedacted(t *testing.T) {
	op := newOP(t)
	lt, err := newLogoutVerifier(t, newProvider(t, op)).Verify(t.Context(), op.Sign(nil, logoutClaims(op)))
	require.NoError(t, err)
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "token", lt)
	require.NotContains(t, b.String(), marker)
}

func TestG10_AccessTokenIsRedacted(t *testing.T) {
	op := newOP(t)
	at, err := newVerifier(t, newProvider(t, op)).Verify(t.Context(), signAccess(op, nil))
	require.NoError(t, err)
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "token", at)
	require.NotContains(t, fmt.Sprintf("%+v", at)+b.String(), marker)
}

func TestG10_IDTokenIsRedacted(t *testing.T) {
	op := newOP(t)
	id, err := newIDVerifier(t, newProvider(t, op)).Verify(t.Context(), op.Sign(nil, idClaims(op)), "")
	require.NoError(t, err)
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "token", id, "value", *id)
	require.NotContains(t, b.String(), marker)
}

func TestJ14_OneVerifierForATenant(t *testing.T) {
	op := newOP(t)
	_, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{
		newVerifier(t, newTemplate(t, op, tenants(tenantA)), audience(apiA)), newVerifier(t, newTemplate(t, op, tenants(tenantA)), audience(apiB)),
	}})
	require.Error(t, err)
}

func TestCache_MaxTokensHoldsWhateverMaxBytes(t *testing.T) {
	r := newCacheRig(t, func(c *oidc.AccessTokenConfig) { c.Cache = oidc.TokenCacheConfig{MaxTokens: 1, MaxBytes: 1 << 40} })
	raws := make([]string, 20)
	for i := range raws {
		raws[i] = r.sign(object{"x": i})
		r.miss(t, raws[i])
	}
	require.Eventually(t, func() bool { // the cache forgets in the background
		hits := 0
		for _, raw := range raws {
			if _, hit, _ := r.verify(t, raw); hit {
				hits++
			}
		}
		return hits <= 1
	}, 10*time.Second, time.Millisecond)
}

func TestJ42_EmptyNonceIsOne(t *testing.T) {
	op := newOP(t)
	err := judgeID(t, newIDVerifier(t, newProvider(t, op)), "")(t.Context(), op.Sign(nil, with(idClaims(op), object{"nonce": ""})))
	requireRefused(t, err, oidc.ReasonNonce, "nonce")
}

func TestMaxAge_IsBounded(t *testing.T) {
	p := newProvider(t, newOP(t))
	for _, age := range []time.Duration{-1, math.MaxInt64} { // which would overflow with the leeway
		_, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{Audience: []string{api}, MaxAge: age})
		require.Error(t, err)
	}
}

func TestJ34_OneClientIsNotAllOfSeveral(t *testing.T) {
	op := newOP(t)
	_, err := oidc.NewAccessTokenVerifier(newProvider(t, op), oidc.AccessTokenConfig{Audience: []string{"a", "b"}, AudienceClaim: "client_id", RequireAllAudiences: true})
	require.Error(t, err)
}

func TestJ36_CommonIsNoTenant(t *testing.T) {
	op := newOP(t)
	_, err := oidc.NewProvider(templateConfig(t, op, tenants("common")))
	require.Error(t, err)
}
