package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"golang.org/x/oauth2"
)

// storedTokens has the members of the binary form.
type storedTokens struct {
	AccessToken  string       `json:"a"`
	Type         string       `json:"t"`
	RefreshToken string       `json:"r,omitempty"`
	Expiry       time.Time    `json:"e,omitzero"`
	Life         int64        `json:"l,omitempty"` // in seconds
	Scope        string       `json:"s,omitempty"`
	IDToken      string       `json:"i,omitempty"`
	First        *storedLogin `json:"f,omitempty"` // of a refreshed ID token
	Issuer       string       `json:"o,omitempty"`
	ClientID     string       `json:"c,omitempty"`
	Resources    []string     `json:"u,omitempty"`
}

type storedLogin struct {
	Nonce    string    `json:"n,omitempty"`
	AZP      string    `json:"z,omitempty"`
	AuthTime time.Time `json:"t,omitzero"`
}

var errNotTokens = errors.New("oidc: these are no tokens of a login")

// MarshalBinary returns what [Tokens.UnmarshalBinary] reads: tokens for a store of
// sessions. It holds them in the clear. Of the members that the provider sent beyond
// those of oauth2.Token, "scope" and "id_token" are kept.
func (t *Tokens) MarshalBinary() ([]byte, error) {
	if t == nil || t.OAuth2 == nil {
		return nil, errNotTokens
	}
	stored := storedTokens{
		AccessToken: t.OAuth2.AccessToken, Type: t.OAuth2.TokenType, RefreshToken: t.OAuth2.RefreshToken,
		Expiry: t.OAuth2.Expiry, Life: t.OAuth2.ExpiresIn, Issuer: t.issuer, ClientID: t.clientID, Resources: t.resources,
	}
	stored.Scope, _ = t.OAuth2.Extra("scope").(string)
	if t.IDToken != nil {
		stored.IDToken = t.IDToken.raw
		if first := t.IDToken.first; first != nil {
			stored.First = &storedLogin{Nonce: first.nonce, AZP: first.azp, AuthTime: first.authTime}
		}
	}
	return json.Marshal(stored) //nolint:gosec // G117: to be kept is what it is for
}

// UnmarshalBinary reads what MarshalBinary wrote, for [Client.Refresh], [Client.UserInfo]
// and [Client.LogoutURL] to go on with after a restart. The ID token was verified before
// it was stored, is not verified again, and may have expired since: whoever can write to
// the store can say who is logged in. Keep it where nobody else writes, or seal it.
func (t *Tokens) UnmarshalBinary(data []byte) error {
	var stored storedTokens
	if strictjson.Unmarshal(data, &stored) != nil || stored.AccessToken == "" && stored.RefreshToken == "" {
		return errNotTokens
	}
	token := &oauth2.Token{
		AccessToken: stored.AccessToken, TokenType: stored.Type, RefreshToken: stored.RefreshToken,
		Expiry: stored.Expiry, ExpiresIn: stored.Life,
	}
	read := Tokens{
		OAuth2: token.WithExtra(map[string]any{"scope": stored.Scope, "id_token": stored.IDToken}),
		issuer: stored.Issuer, clientID: stored.ClientID, resources: stored.Resources,
	}
	if stored.IDToken != "" {
		var err error
		if read.IDToken, err = restoreIDToken(stored.IDToken); err != nil {
			return errNotTokens
		}
		if f := stored.First; f != nil {
			read.IDToken.first = &loginClaims{nonce: f.Nonce, azp: f.AZP, authTime: f.AuthTime}
		}
	}
	*t = read
	return nil
}

// restoreIDToken reads an ID token that was verified once, with the readers that the
// verifier has.
func restoreIDToken(raw string) (*IDToken, error) {
	parsed, err := jwt.Parse(raw)
	if err != nil {
		return nil, err
	}
	defer parsed.Release()
	if !jwt.Known(parsed.Algorithm) {
		return nil, errNotTokens
	}
	p := payloadOf(parsed)
	id := &IDToken{Claims: p.set, raw: raw, algorithm: parsed.Algorithm}
	if id.Issuer, err = identifier(p, "iss", ReasonIssuer); err != nil {
		return nil, err
	}
	if id.Subject, err = subject(p); err != nil {
		return nil, err
	}
	if id.Audience, err = audience(p); err != nil {
		return nil, err
	}
	if id.Expiry, err = p.time("exp"); err != nil {
		return nil, err
	}
	if id.IssuedAt, err = p.time("iat"); err != nil {
		return nil, err
	}
	id.GoOIDC, err = restoreGoOIDC(parsed, id.Issuer)
	return id, err
}

// restoreGoOIDC has go-oidc read a token, with a key that takes every signature.
func restoreGoOIDC(parsed *jwt.Token, issuer string) (*goidc.IDToken, error) {
	return goidc.NewVerifier(issuer, verifiedBefore(parsed.Payload), &goidc.Config{
		SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: []string{parsed.Algorithm},
	}).Verify(context.Background(), parsed.Compact())
}

// verifiedBefore is the payload of a token that was verified before.
type verifiedBefore string

// VerifySignature implements the KeySet of go-oidc.
func (v verifiedBefore) VerifySignature(context.Context, string) ([]byte, error) {
	return []byte(v), nil
}
