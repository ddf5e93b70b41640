package oidc

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
)

// Refresh gets new tokens for the refresh token among old (RFC 6749 section 6), or those
// that somebody got for it with the same options: a client sends a refresh token once,
// however many calls and sources ask, and keeps the answer for a minute if it replaced
// the token (the last 1024 of them, 4 MiB together, and none of more than 64 KiB). A call
// with other options is sent after the one that is under way, with the refresh token
// that came; and so is one with tokens that came from here, however late, unless they
// were stored in between. The end of ctx ends the wait and not the request, so that the
// answer is there for the next call. [Client.Revoke] forgets what was kept.
//
// A provider that rotates refresh tokens makes the old one useless: keep what comes back
// before using it, or have a [TokenSource] do so. What the answer leaves out stays as it
// was. The tokens are for the APIs that the login asked for, unless [WithResource] names
// some of them. A scope that is wider than before is found in Extra("scope") and no error, for it
// may have been narrowed then; beyond [WithScopes] it is one. A new ID token must be of
// the same issuer, person, audience and login (OpenID Connect Core section 12.2);
// without an old one to compare it with, it is left out.
//
// A refresh token that is no longer good is an *[Error] with [ReasonRevoked]; an
// outage answers errors.Is for oidckit.ErrUnavailable. Tokens of another provider or
// client are not sent, and an error. An answer that cannot be used is a *[RefreshError],
// which has the refresh token to go on with.
//
// Nothing is sent twice by itself. An answer that was lost is an outage, and nobody
// knows whether the provider has taken the refresh token for spent. Calling again sends
// it once more, as there is nothing else to try: the answer is new tokens if it had not,
// or if it forgives that for some seconds as many do, and else ReasonRevoked, after
// which the person has to log in.
func (c *Client) Refresh(ctx context.Context, old *Tokens, options ...Option) (*Tokens, error) {
	form, err := c.refreshForm(old, options)
	if err != nil {
		return nil, err
	}
	tokens, _, err := c.refresh(ctx, old, form)
	return tokens, err
}

// refreshForm is the request for new tokens.
func (c *Client) refreshForm(old *Tokens, options []Option) (url.Values, error) {
	if old == nil || old.OAuth2 == nil || old.OAuth2.RefreshToken == "" {
		return nil, errors.New("oidc: there is no refresh token; ask for the scope offline_access")
	}
	if err := c.owns(old); err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.OAuth2.RefreshToken}}
	resources := old.resources
	if len(resources) == 0 { // nobody knows of which login they are
		resources = c.cfg.Resources
	}
	return form, addOptions(form, options, resources)
}

// refresh returns with the tokens whose answer they are from. That is there with an
// error too, if there was an answer.
func (c *Client) refresh(ctx context.Context, old *Tokens, form url.Values) (*Tokens, *refreshment, error) {
	known := old.known()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, unavailable("token", err) // nobody waits, so nothing is spent
		}
		r, answers := c.refreshOnce(form, known) //nolint:contextcheck // the request goes on when ctx ends
		answer, err := r.wait(ctx)
		if answers || !r.landed() {
			tokens, err := c.tokensOf(ctx, old, r, answer, err)
			return tokens, r, err
		}
		known = r.family
	}
}

func (c *Client) tokensOf(ctx context.Context, old *Tokens, r *refreshment, answer *tokenResponse, err error) (*Tokens, error) {
	if err != nil {
		var unusable *unusableResponseError
		if errors.As(err, &unusable) {
			err = &RefreshError{Err: err, refreshToken: cmp.Or(unusable.refreshToken, r.sent())}
		}
		return nil, revokedGrant(err)
	}
	return c.refreshed(ctx, old, r, *answer)
}

// refreshed judges an answer, and fills in what it leaves out.
func (c *Client) refreshed(ctx context.Context, old *Tokens, r *refreshment, answer tokenResponse) (*Tokens, error) {
	answer.RefreshToken = cmp.Or(answer.RefreshToken, r.sent())
	failed := func(err error) error { return &RefreshError{Err: err, refreshToken: answer.RefreshToken} }
	asked := r.form.Get("scope")
	if asked != "" && !within(answer.Scope, asked) {
		return nil, failed(&Error{Reason: ReasonClaim, Claim: "scope", Err: errors.New("wider than what was asked for")})
	}
	if answer.Scope == "" { // RFC 6749 section 5.1: "OPTIONAL, if identical to the scope requested"
		was, _ := old.OAuth2.Extra("scope").(string)
		answer.Scope = cmp.Or(asked, was)
	}
	id, err := c.refreshedIDToken(ctx, old.IDToken, &answer)
	if err != nil {
		return nil, failed(err)
	}
	return r.family.mark(c.tokens(&answer, r.answered, id, old.resources)), nil
}

// within reports whether a scope has no value that the other one has not.
func within(scope, wider string) bool {
	all := strings.Fields(wider)
	return !slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return !slices.Contains(all, s) })
}

func (c *Client) refreshedIDToken(ctx context.Context, old *IDToken, answer *tokenResponse) (*IDToken, error) {
	if answer.IDToken == "" || old == nil {
		return old, nil
	}
	id, err := c.idTokens.verify(ctx, answer.IDToken, func(payload) error { return nil }) // continues compares the nonce
	if err != nil {
		return nil, err
	}
	if err := id.checkAccessTokenHash(answer.AccessToken); err != nil {
		return nil, err
	}
	if err := id.continues(old, c.idTokens.leeway); err != nil {
		return nil, err
	}
	return id, nil
}

// A loginClaims are those of the ID token of a login that later ones may leave out, but
// not change.
type loginClaims struct {
	nonce, azp string    // empty if the token had none
	authTime   time.Time // zero if no token had one
}

// login returns what is known of the login that a token is of.
func (t *IDToken) login() loginClaims {
	if t.first != nil {
		return *t.first
	}
	var l loginClaims
	l.nonce, _ = t.Claims.String(claims.P("nonce"))
	l.azp, _ = t.Claims.String(claims.P("azp"))
	l.authTime, _ = t.Claims.Time(claims.P("auth_time"))
	return l
}

// continues reports in which point a refreshed ID token is not of the login of the old
// one (OpenID Connect Core section 12.2).
func (t *IDToken) continues(old *IDToken, leeway time.Duration) error {
	switch {
	case t.Issuer != old.Issuer:
		return &Error{Reason: ReasonIssuer, Claim: "iss"}
	case t.Subject != old.Subject:
		return &Error{Reason: ReasonSubject, Claim: "sub"}
	case !slices.Equal(slices.Sorted(slices.Values(t.Audience)), slices.Sorted(slices.Values(old.Audience))):
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	// "its iat Claim MUST represent the time that the new ID Token is issued".
	case t.IssuedAt.Before(old.IssuedAt.Add(-leeway)):
		return &Error{Reason: ReasonTooOld, Claim: "iat"}
	}
	login := old.login()
	if err := t.keeps("azp", login.azp, ReasonAuthorizedParty); err != nil {
		return err
	}
	if err := t.keeps("nonce", login.nonce, ReasonNonce); err != nil {
		return err
	}
	at, err := t.Claims.Time(claims.P("auth_time"))
	switch {
	case missing(err):
	case err != nil || !login.authTime.IsZero() && !at.Equal(login.authTime):
		return &Error{Reason: ReasonClaim, Claim: "auth_time", Err: err}
	default:
		login.authTime = at
	}
	t.first = &login
	return nil
}

// keeps reports whether a claim is the one of the login, or left out. "If no azp Claim
// was present in the original ID Token, one MUST NOT be present in the new ID Token";
// and a nonce that nobody sent is of another login.
func (t *IDToken) keeps(claim, was string, reason Reason) error {
	is, err := t.Claims.String(claims.P(claim))
	if !missing(err) && (err != nil || is != was) {
		return &Error{Reason: reason, Claim: claim, Err: err}
	}
	return nil
}
