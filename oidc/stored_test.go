package oidc_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func storedAndRead(t testing.TB, tokens *oidc.Tokens) *oidc.Tokens {
	t.Helper()
	data, err := tokens.MarshalBinary()
	require.NoError(t, err)
	var read oidc.Tokens
	require.NoError(t, read.UnmarshalBinary(data))
	return &read
}

func TestStoredTokens(t *testing.T) {
	op, client, tokens := setupOffline(t)
	op.Advance(time.Hour) // the ID token has expired
	read := storedAndRead(t, tokens)

	want, got := tokens.OAuth2, read.OAuth2
	require.Equal(t, want.AccessToken, got.AccessToken)
	require.Equal(t, want.RefreshToken, got.RefreshToken)
	require.Equal(t, want.TokenType, got.TokenType)
	require.True(t, want.Expiry.Equal(got.Expiry))
	require.EqualValues(t, 300, got.ExpiresIn)
	require.Equal(t, want.Extra("scope"), got.Extra("scope"))
	require.Equal(t, want.Extra("id_token"), got.Extra("id_token"))
	id, old := read.IDToken, tokens.IDToken
	require.Equal(t, []any{old.Issuer, old.Subject, old.Audience, old.Raw()}, []any{id.Issuer, id.Subject, id.Audience, id.Raw()})
	require.True(t, old.Expiry.Equal(id.Expiry))
	require.True(t, old.IssuedAt.Equal(id.IssuedAt))
	var claims, oldClaims, goOIDC map[string]any
	require.NoError(t, id.Claims.Decode(&claims))
	require.NoError(t, old.Claims.Decode(&oldClaims))
	require.Equal(t, oldClaims, claims)
	require.NoError(t, id.GoOIDC.Claims(&goOIDC))
	require.Equal(t, claims["sub"], goOIDC["sub"])
	require.NoError(t, id.GoOIDC.VerifyAccessToken(got.AccessToken))
	require.Equal(t, old.GoOIDC, id.GoOIDC)

	// They go on as those of before would.
	target, err := client.LogoutURL(t.Context(), oidc.Logout{IDToken: id})
	require.NoError(t, err)
	u, err := url.Parse(target)
	require.NoError(t, err)
	require.Equal(t, old.Raw(), u.Query().Get("id_token_hint"))
	next, err := refresh(t, client, read)
	require.NoError(t, err)
	require.NotEqual(t, old.Raw(), next.IDToken.Raw())
	op.OnIDToken(func(_, claims map[string]any) { claims["sub"] = "bob" })
	_, err = refresh(t, client, storedAndRead(t, next))
	requireRefused(t, err, oidc.ReasonSubject, "sub")
}

func TestStoredTokens_WithoutIDToken(t *testing.T) {
	read := storedAndRead(t, &oidc.Tokens{OAuth2: &oauth2.Token{AccessToken: "a", TokenType: "DPoP"}})
	require.Nil(t, read.IDToken)
	require.Equal(t, "DPoP", read.OAuth2.TokenType)
	require.True(t, read.OAuth2.Expiry.IsZero())
	require.Empty(t, read.OAuth2.Extra("id_token"))

	for _, tokens := range []*oidc.Tokens{nil, {}} {
		_, err := tokens.MarshalBinary()
		require.Error(t, err)
	}
}

func TestStoredTokens_Malformed(t *testing.T) {
	op, _, tokens := setupOffline(t)
	data, err := tokens.MarshalBinary()
	require.NoError(t, err)
	raw := tokens.IDToken.Raw()
	sign := func(header, changes object) string {
		data, err := json.Marshal(object{"a": "a", "i": op.Sign(with(object{"typ": "JWT"}, header), with(idClaims(op), changes))})
		require.NoError(t, err)
		return string(data)
	}
	var read oidc.Tokens
	require.NoError(t, read.UnmarshalBinary([]byte(sign(nil, nil))))
	for name, data := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "no token": "{}", "cut": string(data[:len(data)-1]),
		"more":          string(data) + "{}",
		"member twice":  `{"a":"a","a":"b"}`,
		"other case":    `{"A":"a"}`,
		"odd time":      `{"a":"a","e":"soon"}`,
		"no ID token":   `{"a":"a","i":"x"}`,
		"JWE":           `{"a":"a","i":"a.b.c.d.e"}`,
		"unsigned":      `{"a":"a","i":"` + raw[:strings.LastIndex(raw, ".")+1] + `"}`,
		"no such alg":   sign(object{"alg": "none"}, nil),
		"no issuer":     sign(nil, object{"iss": nil}),
		"no subject":    sign(nil, object{"sub": nil}),
		"no audience":   sign(nil, object{"aud": nil}),
		"no exp":        sign(nil, object{"exp": nil}),
		"no iat":        sign(nil, object{"iat": nil}),
		"iat a text":    sign(nil, object{"iat": "now"}),
		"claims twice":  sign(nil, object{"ISS": issuer}),
		"not of goOIDC": sign(nil, object{"_claim_names": object{"x": "y"}}),
	} {
		t.Run(name, func(t *testing.T) {
			var read oidc.Tokens
			require.Error(t, read.UnmarshalBinary([]byte(data)))
			require.Nil(t, read.OAuth2)
			require.Nil(t, read.IDToken)
		})
	}
}

func TestG10_StoredTokensPrintNothing(t *testing.T) {
	op, client := setup(t)
	read := storedAndRead(t, mustLogin(t, op, newClient(t, client.Provider(), offline)))
	text, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, `"[redacted]"`, string(text))
	require.Equal(t, "oidc.Tokens[redacted]", fmt.Sprintf("%#v", read))
}
