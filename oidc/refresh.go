package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/oidckit/oidckit/claims"
	"golang.org/x/oauth2"
)

// Refresh gets new tokens for the refresh token among old (RFC 6749 section 6).
// A provider that rotates refresh tokens makes the old one useless: keep what
// comes back before using it. What the answer leaves out stays as it was. A new
// ID token must be of the same issuer, person, audience and login (OpenID Connect
// Core section 12.2); without an old one to compare it with, it is left out.
//
// A refresh token that is no longer good is an *[Error] with [ReasonRevoked]; an
// outage answers errors.Is for oidckit.ErrUnavailable. An answer that cannot be used
// is a *[RefreshError], which has the refresh token to go on with.
func (c *Client) Refresh(ctx context.Context, old *Tokens) (*Tokens, error) {
	if old == nil || old.OAuth2 == nil || old.OAuth2.RefreshToken == "" {
		return nil, errors.New("oidc: there is no refresh token; ask for the scope offline_access")
	}
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {old.OAuth2.RefreshToken},
		"resource": slices.Clone(c.cfg.Resources),
	}
	answer, err := c.requestToken(ctx, form)
	if err != nil {
		var re *ResponseError
		var unusable *unusableResponseError
		switch {
		case errors.As(err, &re) && re.refusesGrant():
			return nil, &Error{Reason: ReasonRevoked, Err: err}
		case errors.As(err, &unusable):
			return nil, &RefreshError{Err: err, refreshToken: cmp.Or(unusable.refreshToken, old.OAuth2.RefreshToken)}
		}
		return nil, err
	}
	if answer.RefreshToken == "" {
		answer.RefreshToken = old.OAuth2.RefreshToken
	}
	if answer.Scope == "" {
		answer.Scope, _ = old.OAuth2.Extra("scope").(string)
	}
	id, err := c.refreshedIDToken(ctx, old.IDToken, answer)
	if err != nil {
		return nil, &RefreshError{Err: err, refreshToken: answer.RefreshToken}
	}
	raw := ""
	if id != nil {
		raw = id.raw
	}
	return &Tokens{OAuth2: answer.oauth2(c.provider.now(), raw), IDToken: id}, nil
}

// RefreshError says that the provider answered a refresh, and that the answer
// cannot be used: it is malformed, or its ID token is refused or could not be judged.
// The refresh token that was sent may be spent by now.
type RefreshError struct {
	// Err is why; the error answers errors.Is and errors.As for it.
	Err error

	refreshToken string
}

func (e *RefreshError) Error() string {
	return "oidc: the answer to a refresh cannot be used: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *RefreshError) Unwrap() error { return e.Err }

// RefreshToken returns the refresh token to go on with.
func (e *RefreshError) RefreshToken() string { return e.refreshToken }

// Format prints the text alone, with every verb.
func (e RefreshError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

func (c *Client) refreshedIDToken(ctx context.Context, old *IDToken, answer *tokenResponse) (*IDToken, error) {
	if answer.IDToken == "" || old == nil {
		return old, nil
	}
	id, err := c.idTokens.verify(ctx, answer.IDToken, func(payload) error { return nil }) // sameLogin compares the nonce
	if err != nil {
		return nil, err
	}
	if err := id.checkAccessTokenHash(answer.AccessToken); err != nil {
		return nil, err
	}
	if err := id.sameLogin(old); err != nil {
		return nil, err
	}
	return id, nil
}

// sameLogin reports in which point a refreshed ID token is not of the login that
// it continues.
func (t *IDToken) sameLogin(old *IDToken) error {
	switch {
	case t.Issuer != old.Issuer:
		return &Error{Reason: ReasonIssuer, Claim: "iss"}
	case t.Subject != old.Subject:
		return &Error{Reason: ReasonSubject, Claim: "sub"}
	case !slices.Equal(slices.Sorted(slices.Values(t.Audience)), slices.Sorted(slices.Values(old.Audience))):
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	// "nonce" and "auth_time" may be left out; if they are there they are the old ones.
	nonce, errNonce := t.Claims.String(claims.P("nonce"))
	oldNonce, errOldNonce := old.Claims.String(claims.P("nonce"))
	if !missing(errNonce) && (errNonce != nil || errOldNonce == nil && nonce != oldNonce) {
		return &Error{Reason: ReasonNonce, Claim: "nonce"}
	}
	authTime, errTime := t.Claims.Time(claims.P("auth_time"))
	oldAuthTime, errOldTime := old.Claims.Time(claims.P("auth_time"))
	if !missing(errTime) && (errTime != nil || errOldTime == nil && !authTime.Equal(oldAuthTime)) {
		return &Error{Reason: ReasonClaim, Claim: "auth_time"}
	}
	return nil
}

// A TokenSource gives the access token of a login while it is good, and then
// refreshes it, one at a time. It is an oauth2.TokenSource, and safe for concurrent
// use. Make one for a login and share it: two of them would spend one refresh token
// twice.
type TokenSource struct {
	client *Client
	mu     sync.Mutex
	tokens *Tokens
}

// TokenSource returns a source that begins with tokens.
func (c *Client) TokenSource(tokens *Tokens) *TokenSource {
	return &TokenSource{client: c, tokens: tokens}
}

// expiryMargin keeps a token from expiring on its way.
const expiryMargin = 10 * time.Second

// Token returns an access token that is good for some seconds more. A refresh has
// the time limit of every request (10 s), for this interface has no context. Its
// errors are those of [Client.Refresh].
func (s *TokenSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil || s.tokens.OAuth2 == nil {
		return nil, errors.New("oidc: TokenSource was made without tokens")
	}
	expiry := s.tokens.OAuth2.Expiry
	if expiry.IsZero() || s.client.provider.now().Add(expiryMargin).Before(expiry) {
		return s.tokens.OAuth2, nil
	}
	tokens, err := s.client.Refresh(context.Background(), s.tokens)
	var unusable *RefreshError
	if errors.As(err, &unusable) {
		// The old refresh token is spent. The next call goes on with the new one.
		s.tokens = &Tokens{OAuth2: &oauth2.Token{RefreshToken: unusable.refreshToken, Expiry: expiry}, IDToken: s.tokens.IDToken}
	}
	if err != nil {
		return nil, err
	}
	s.tokens = tokens
	return tokens.OAuth2, nil
}

// Tokens returns the tokens of the last refresh, to be kept: a provider that
// rotates refresh tokens takes no older one.
func (s *TokenSource) Tokens() *Tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}
