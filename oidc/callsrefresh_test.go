package oidc_test

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// F30: a provider of several names answers a refresh under the one that the login had.
func TestF30_RefreshedIDTokenOfAnotherName(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op, func(c *oidc.Config) { c.IssuerAliases = []string{"https://id2.example"} }), offline)
	old := mustLogin(t, op, client)
	op.OnIDToken(func(_, claims map[string]any) { claims["iss"] = "https://id2.example" })
	_, err := refresh(t, client, old)
	requireRefused(t, err, oidc.ReasonIssuer, "iss")
}

// F30: an auth_time that is no time is none, also if the old token had none to compare it
// with.
func TestF30_MalformedAuthTime(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), offline)
	op.OnIDToken(func(_, claims map[string]any) { delete(claims, "auth_time") })
	old := mustLogin(t, op, client)
	for _, malformed := range []any{"1936785600", null, []int{1}} {
		op.OnIDToken(func(_, claims map[string]any) { claims["auth_time"] = malformed })
		tokens, err := refresh(t, client, old)
		requireRefused(t, err, oidc.ReasonClaim, "auth_time")
		require.Nil(t, tokens)
		op.OnIDToken(func(_, claims map[string]any) { delete(claims, "auth_time") })
		old = mustLogin(t, op, client)
	}
}

// F30: what one source could use in part only, another one has used, and keeps as a whole.
func TestF30_PartsThatWereKeptAreNotAll(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), offline)
	old := mustLogin(t, op, client)
	op.OnIDToken(func(_, claims map[string]any) { claims["sub"] = "bob" })
	var kept []*oidc.Tokens
	keep := func(_ context.Context, tokens *oidc.Tokens) error {
		kept = append(kept, tokens)
		return nil
	}
	_, err := persisting(t, client, expired(old), keep).Token()
	requireRefused(t, err, oidc.ReasonSubject, "sub")
	require.Len(t, kept, 1)
	require.Equal(t, old.OAuth2.AccessToken, kept[0].OAuth2.AccessToken)
	require.NotEqual(t, old.OAuth2.RefreshToken, kept[0].OAuth2.RefreshToken)

	without := expired(old)
	without.IDToken = nil // nothing to compare with
	token, err := persisting(t, client, without, keep).Token()
	require.NoError(t, err)
	require.Len(t, kept, 2)
	require.Equal(t, token.AccessToken, kept[1].OAuth2.AccessToken)
	require.NotEqual(t, old.OAuth2.AccessToken, token.AccessToken)
}

// F34: what oauth2.Token has a field for is not there a second time, where it could be
// another one, and nothing but 200 is a grant.
func TestF34_MembersAndStatus(t *testing.T) {
	t.Parallel()
	good := object{"access_token": "a", "token_type": "bearer", "refresh_token": "r", "expires_in": 60, "further": "x", "scope": "s"}
	s := &standIn{replies: map[string]func(*http.Request, string) reply{
		"/token": inTurn(reply{body: good}, reply{status: 201, body: good}, reply{status: 202, body: good}, reply{status: 204, body: good}),
	}}
	c := newClient(t, s.in(t, newOP(t)))
	token, err := c.ClientCredentials(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Bearer", token.TokenType)
	require.Equal(t, "x", token.Extra("further"))
	for _, name := range []string{"access_token", "token_type", "refresh_token", "expires_in"} {
		require.Nil(t, token.Extra(name), name)
	}
	for range 3 {
		_, err := c.ClientCredentials(t.Context())
		var re *oidc.ResponseError
		require.ErrorAs(t, err, &re)
	}
}

// F30: a clock that was put back makes no old token good while new ones wait to be kept.
func TestF30_ClockIsPutBack(t *testing.T) {
	t.Parallel()
	e, client := scripted(t, rotating)
	old := tokensWith("R1")
	old.OAuth2.Expiry = e.clock().Add(time.Second)
	calls := 0
	source := persisting(t, client, old, func(context.Context, *oidc.Tokens) error { calls++; return errStoreDown })
	for i := range 2 {
		_, err := source.Token()
		require.ErrorIs(t, err, errStoreDown)
		require.Equal(t, i+1, calls)
		e.advance(-time.Hour)
	}
}

// A request has one scope.
func TestOptions_OneScope(t *testing.T) {
	t.Parallel()
	e, client := scripted(t, rotating)
	_, err := client.ClientCredentials(t.Context(), oidc.WithScopes("a"), oidc.WithScopes("b"))
	require.Error(t, err)
	_, err = client.Refresh(t.Context(), tokensWith("R1"), oidc.WithScopes("a"), oidc.WithParameter("scope", "b"))
	require.Error(t, err)
	require.Zero(t, e.requests())
	_, err = client.ClientCredentials(t.Context(), oidc.WithParameter("x", "1"), oidc.WithParameter("x", "2"))
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, e.last()["x"], "others may repeat")
}

// P01: a Bearer token goes without a proof: it would tell the API of a key that the token
// is not bound to.
func TestP01_BearerTokenWithoutProof(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	tokens := mustLogin(t, op, newClient(t, newProvider(t, op)))
	r, via := record(op)
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	_, err := newClient(t, newProvider(t, op, via), func(c *oidc.ClientConfig) { c.DPoP = d }).UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	requests, _ := r.sent(oidctest.UserInfo)
	require.Len(t, requests, 1)
	require.Empty(t, requests[0].Header.Values("DPoP"))
	require.Equal(t, "Bearer "+tokens.OAuth2.AccessToken, requests[0].Header.Get("Authorization"))
}

// F30: a store that hangs holds up those who wait for it no longer than a refresh may take.
func TestF30_StoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, client := scripted(t, rotating)
		hung, entered := make(chan struct{}), make(chan struct{})
		first := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error {
			close(entered)
			<-hung
			return nil
		})
		go func() { _, _ = first.Token() }()
		<-entered
		began := time.Now()
		_, err := persisting(t, client, tokensWith("R1"), func(context.Context, *oidc.Tokens) error { return nil }).Token()
		var unkept *oidc.PersistError
		require.ErrorAs(t, err, &unkept)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(began))
		close(hung)
		synctest.Wait()
	})
}

// Tokens in a store whose ID token nobody can have signed were never stored by us.
func TestStoredTokens_OfNoAlgorithm(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for alg, ok := range map[string]bool{"ES256": true, "none": false} {
		stored, err := json.Marshal(object{"a": "access", "t": "Bearer", "i": op.Sign(object{"alg": alg}, idClaims(op))})
		require.NoError(t, err)
		require.Equal(t, ok, new(oidc.Tokens).UnmarshalBinary(stored) == nil, alg)
	}
}
