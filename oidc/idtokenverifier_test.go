package oidc_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func TestIDTokenVerifier(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	raw := op.Sign(nil, with(idClaims(op), object{"nonce": "n"}))
	id, err := newIDVerifier(t, newProvider(t, op)).Verify(t.Context(), raw, "n")
	require.NoError(t, err)
	require.Equal(t, issuer, id.Issuer)
	require.Equal(t, marker+"-alice", id.Subject)
	require.Equal(t, []string{oidctest.ClientID}, id.Audience)
	require.True(t, id.IssuedAt.Equal(start))
	require.True(t, id.Expiry.Equal(start.Add(5*time.Minute)))
	require.Equal(t, raw, id.Raw())
	require.Equal(t, id.Subject, id.GoOIDC.Subject)
	require.Contains(t, string(id.Claims.Raw()), `"nonce":"n"`)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", id, id, id), marker)
}

// Each field of the configuration reaches the check that it is for.
func TestIDTokenVerifier_Config(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	foreign := newOP(t)
	symmetric, err := jwks.Symmetric([]byte(secret), "HS256")
	require.NoError(t, err)
	none := func(*oidc.IDTokenConfig) {}
	trusting := func(c *oidc.IDTokenConfig) { c.TrustedAudiences = []string{api} }
	type config = func(*oidc.IDTokenConfig)
	sign := func(header, changes object) string { return op.Sign(header, with(idClaims(op), changes)) }
	hmac := oidctest.SignHMAC(nil, idClaims(op), []byte(secret))
	both := object{"aud": []string{oidctest.ClientID, api}, "azp": oidctest.ClientID}
	for name, tt := range map[string]struct {
		configure  config
		raw, nonce string
		reason     oidc.Reason
		claim      string
	}{
		"right":               {none, sign(nil, nil), "", "", ""},
		"client":              {func(c *oidc.IDTokenConfig) { c.ClientID = "other" }, sign(nil, nil), "", oidc.ReasonAudience, "aud"},
		"another audience":    {none, sign(nil, both), "", oidc.ReasonAudience, "aud"},
		"trusted audience":    {trusting, sign(nil, both), "", "", ""},
		"trusted, azp":        {trusting, sign(nil, with(both, object{"azp": api})), "", oidc.ReasonAuthorizedParty, "azp"},
		"trusted alone":       {trusting, sign(nil, object{"aud": api}), "", oidc.ReasonAudience, "aud"},
		"algorithm":           {func(c *oidc.IDTokenConfig) { c.Algorithms = []string{"EdDSA"} }, sign(nil, nil), "", oidc.ReasonAlgorithm, ""},
		"keys":                {func(c *oidc.IDTokenConfig) { c.Keys = jwks.Static{keyOf(t, foreign)} }, foreign.Sign(nil, idClaims(op)), "", "", ""},
		"keys, not ours":      {func(c *oidc.IDTokenConfig) { c.Keys = jwks.Static{keyOf(t, foreign)} }, sign(nil, nil), "", oidc.ReasonKey, ""},
		"not those keys":      {none, foreign.Sign(nil, idClaims(op)), "", oidc.ReasonKey, ""},
		"J02 secret":          {func(c *oidc.IDTokenConfig) { c.Keys, c.Algorithms = symmetric, []string{"HS256"} }, hmac, "", "", ""},
		"J02 secret, default": {func(c *oidc.IDTokenConfig) { c.Keys = symmetric }, hmac, "", oidc.ReasonAlgorithm, ""},
		"leeway":              {func(c *oidc.IDTokenConfig) { c.Leeway = time.Second }, sign(nil, object{"iat": start.Unix() + 2}), "", oidc.ReasonNotYetValid, "iat"},
		"default leeway":      {none, sign(nil, object{"iat": start.Unix() + 60}), "", "", ""},
		"iat":                 {none, sign(nil, object{"iat": nil}), "", oidc.ReasonClaim, "iat"},
		"sub":                 {none, sign(nil, object{"sub": nil}), "", oidc.ReasonSubject, "sub"},
		"F08 nonce":           {none, sign(nil, object{"nonce": "n"}), "n", "", ""},
		"F08 nonce, wrong":    {none, sign(nil, object{"nonce": "m"}), "n", oidc.ReasonNonce, "nonce"},
		"F08 nonce, missing":  {none, sign(nil, nil), "n", oidc.ReasonNonce, "nonce"},
		"F08 nonce, unasked":  {none, sign(nil, object{"nonce": "n"}), "", oidc.ReasonNonce, "nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newIDVerifier(t, newProvider(t, op), tt.configure)
			requireVerdict(t, judgeID(t, v, tt.nonce)(t.Context(), tt.raw), tt.reason, tt.claim)
		})
	}

	list := []string{api}
	v := newIDVerifier(t, newProvider(t, op), func(c *oidc.IDTokenConfig) { c.TrustedAudiences = list })
	list[0] = "changed afterwards"
	require.NoError(t, judgeID(t, v, "")(t.Context(), sign(nil, both)))
}

func TestM10_ZeroIDTokenVerifierRefuses(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for name, v := range map[string]*oidc.IDTokenVerifier{"nil": nil, "zero": {}} {
		err := judgeID(t, v, "")(t.Context(), op.Sign(nil, idClaims(op)))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
}

func TestD08_IDTokenVerifierWithoutKeys(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newIDVerifier(t, newProvider(t, op))
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	requireUnavailable(t, judgeID(t, v, "")(t.Context(), op.Sign(nil, idClaims(op))))
	op.SetFault(oidctest.JWKS, oidctest.Fault{})
	op.Advance(2 * time.Second)
	require.NoError(t, judgeID(t, v, "")(t.Context(), op.Sign(nil, idClaims(op))))
}

// A verdict is the set of verifiers that accept a token.
type verdict int

const (
	asID verdict = 1 << iota
	asAccess
	asUntyped
	asLogout
)

// Every kind of token with every verifier. All of them are signed by the provider, for
// us and at the right time: nothing but their kind tells them apart (RFC 8725 section
// 3.12).
func TestJ40_EveryKindWithEveryVerifier(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	event := object{logoutEvent: object{}}
	common := object{"aud": oidctest.ClientID, "sid": "s"}
	ourselves := func(c *oidc.AccessTokenConfig) { c.Audience = []string{oidctest.ClientID} }
	verifiers := map[verdict]struct {
		name  string
		judge func(nonce string) judge
	}{
		asID:      {"ID token", func(nonce string) judge { return judgeID(t, newIDVerifier(t, p), nonce) }},
		asAccess:  {"access token", func(string) judge { return judgeAccess(t, newVerifier(t, p, ourselves)) }},
		asUntyped: {"untyped access token", func(string) judge { return judgeAccess(t, newVerifier(t, p, ourselves, untyped)) }},
		asLogout:  {"logout token", func(string) judge { return judgeLogout(t, newLogoutVerifier(t, p)) }},
	}
	for name, tt := range map[string]struct {
		typ    any
		claims object
		want   verdict
	}{
		"ID token":                       {"JWT", object{"nonce": "n", "at_hash": "x"}, asID},
		"ID token without typ":           {nil, object{"nonce": "n"}, asID},
		"ID token with at_hash alone":    {"JWT", object{"at_hash": "x"}, asID},
		"ID token with c_hash":           {"JWT", object{"c_hash": "x"}, asID},
		"ID token of Keycloak":           {"JWT", object{"typ": "ID"}, asID},
		"ID token of Cognito":            {nil, object{"token_use": "id"}, asID},
		"ID token that shows nothing":    {"JWT", nil, asID | asUntyped}, // the documented limit of InsecureAllowUntyped
		"access token":                   {"at+jwt", nil, asAccess | asUntyped},
		"access token, media type":       {"application/at+jwt", nil, asAccess | asUntyped},
		"access token of Keycloak":       {"JWT", object{"typ": "Bearer"}, asUntyped},
		"access token of Cognito":        {nil, object{"token_use": "access"}, asUntyped},
		"logout token":                   {"logout+jwt", object{"events": event}, asLogout},
		"logout token, untyped":          {"JWT", object{"events": event}, asLogout},
		"logout token without typ":       {nil, object{"events": event}, asLogout},
		"logout token of Keycloak":       {"JWT", object{"events": event, "typ": "Logout"}, asLogout},
		"logout token without its event": {"logout+jwt", nil, 0},
		"logout token with a nonce":      {"JWT", object{"events": event, "nonce": "n"}, 0},
		"refresh token of Keycloak":      {"JWT", object{"typ": "Refresh"}, 0},
		"offline token of Keycloak":      {"JWT", object{"typ": "Offline"}, 0},
		"refresh token of Cognito":       {nil, object{"token_use": "refresh"}, 0},
		"typ of another type":            {"JWT", object{"typ": 1}, 0},
		"token_use null":                 {"JWT", object{"token_use": null}, 0},
		"client assertion":               {"client-authentication+jwt", nil, 0},
		"DPoP proof":                     {"dpop+jwt", object{"htm": "GET", "htu": api}, 0},
		"entity statement":               {"entity-statement+jwt", nil, 0},
		"SD-JWT VC":                      {"vc+sd-jwt", object{"vct": "x"}, 0},
		"SD-JWT VC, new name":            {"dc+sd-jwt", object{"vct": "x"}, 0},
		"security event":                 {"secevent+jwt", object{"events": object{"https://example.com/e": object{}}}, 0},
		"security event, untyped":        {"JWT", object{"events": object{"https://example.com/e": object{}}}, 0},
		"introspection response":         {"token-introspection+jwt", object{"token_introspection": object{"active": true}}, 0},
		"authorization request":          {"oauth-authz-req+jwt", nil, 0},
		"userinfo as a token":            {"JOSE", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := with(with(accessClaims(op), common), tt.claims)
			raw := op.Sign(object{"typ": tt.typ}, claims)
			nonce, _ := claims["nonce"].(string)
			for which, v := range verifiers {
				err := v.judge(nonce)(t.Context(), raw)
				if tt.want&which != 0 {
					require.NoError(t, err, v.name)
					continue
				}
				require.ErrorIs(t, err, oidckit.ErrInvalidToken, v.name)
				var e *oidc.Error
				require.ErrorAs(t, err, &e, v.name)
				require.Equal(t, oidc.ReasonType, e.Reason, "%s: %v", v.name, err)
			}
		})
	}
}

// A DPoP proof brings its key, an SD-JWT its disclosures, a client assertion is of the
// client: none of them is a token of the provider in any reading.
func TestJ40_WhatIsNoTokenOfTheProvider(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	claims := with(accessClaims(op), object{"aud": oidctest.ClientID, "events": object{logoutEvent: object{}}})
	assertion := op.Sign(nil, object{
		"iss": oidctest.ClientID, "sub": oidctest.ClientID, "aud": issuer, "jti": "j", "iat": start.Unix(), "exp": start.Unix() + 60,
	})
	sdJWT := op.Sign(object{"typ": "vc+sd-jwt"}, claims) + "~" + encode([]byte(`["salt","name","x"]`)) + "~"
	proof := op.Sign(object{"typ": "dpop+jwt", "jwk": object{"kty": "EC"}}, claims)
	for name, tt := range map[string]struct {
		raw    string
		reason oidc.Reason
		claim  string
	}{
		"DPoP proof": {proof, oidc.ReasonMalformed, ""},
		"SD-JWT":     {sdJWT, oidc.ReasonMalformed, ""},
	} {
		for _, judge := range []judge{
			judgeID(t, newIDVerifier(t, p), ""), judgeAccess(t, newVerifier(t, p)), judgeAccess(t, newVerifier(t, p, untyped)), judgeLogout(t, newLogoutVerifier(t, p)),
		} {
			t.Run(name, func(t *testing.T) { requireRefused(t, judge(t.Context(), tt.raw), tt.reason, tt.claim) })
		}
	}
	audience := func(c *oidc.AccessTokenConfig) { c.Audience = []string{issuer} }
	requireRefused(t, judgeID(t, newIDVerifier(t, p), "")(t.Context(), assertion), oidc.ReasonIssuer, "iss")
	requireRefused(t, judgeAccess(t, newVerifier(t, p, audience, untyped))(t.Context(), assertion), oidc.ReasonIssuer, "iss")
}
