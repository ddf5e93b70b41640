package oidc

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"

	"github.com/oidckit/oidckit/claims"
	"golang.org/x/oauth2"
)

// Refresh gets new tokens for the refresh token among old (RFC 6749 section 6).
// A provider that rotates refresh tokens makes the old one useless: keep what
// comes back before using it. What the answer leaves out stays as it was. A new
// ID token must be of the same issuer, person, audience and login (OpenID Connect
// Core section 12.2).
//
// A refresh token that is no longer good is an *[Error] with [ReasonRevoked]; an
// outage answers errors.Is for oidckit.ErrUnavailable and changes nothing.
func (c *Client) Refresh(ctx context.Context, old *Tokens) (*Tokens, error) {
	if old == nil || old.OAuth2 == nil || old.OAuth2.RefreshToken == "" {
		return nil, errors.New("oidc: there is no refresh token; ask for the scope offline_access")
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.OAuth2.RefreshToken}}
	for _, r := range c.cfg.Resources {
		form.Add("resource", r)
	}
	answer, err := c.requestToken(ctx, form)
	if err != nil {
		var re *ResponseError
		if errors.As(err, &re) && re.Code == "invalid_grant" {
			return nil, &Error{Reason: ReasonRevoked, Err: err}
		}
		return nil, err
	}
	if answer.RefreshToken == "" {
		answer.RefreshToken = old.OAuth2.RefreshToken
	}
	id, err := c.refreshedIDToken(ctx, old.IDToken, answer)
	if err != nil {
		return nil, err
	}
	raw := ""
	if id != nil {
		raw = id.raw
	}
	return &Tokens{OAuth2: answer.oauth2(c.provider.now(), raw), IDToken: id}, nil
}

func (c *Client) refreshedIDToken(ctx context.Context, old *IDToken, answer *tokenResponse) (*IDToken, error) {
	if answer.IDToken == "" {
		return old, nil
	}
	id, err := c.VerifyIDToken(ctx, answer.IDToken, "")
	if err != nil {
		return nil, err
	}
	if err := id.checkAccessTokenHash(answer.AccessToken); err != nil {
		return nil, err
	}
	if old != nil {
		if err := id.sameLogin(old); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// sameLogin reports in which point a refreshed ID token is not of the login that
// it continues.
func (t *IDToken) sameLogin(old *IDToken) error {
	switch {
	case t.Subject != old.Subject:
		return &Error{Reason: ReasonSubject, Claim: "sub"}
	case !slices.Equal(slices.Sorted(slices.Values(t.Audience)), slices.Sorted(slices.Values(old.Audience))):
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	// "nonce" and "auth_time" may be left out; if they are there they are the old ones.
	nonce, errNonce := t.Claims.String(claims.P("nonce"))
	oldNonce, errOldNonce := old.Claims.String(claims.P("nonce"))
	if errNonce == nil && errOldNonce == nil && nonce != oldNonce {
		return &Error{Reason: ReasonNonce, Claim: "nonce"}
	}
	authTime, errTime := t.Claims.Time(claims.P("auth_time"))
	oldAuthTime, errOldTime := old.Claims.Time(claims.P("auth_time"))
	if errTime == nil && errOldTime == nil && !authTime.Equal(oldAuthTime) {
		return &Error{Reason: ReasonClaim, Claim: "auth_time"}
	}
	return nil
}

// TokenSource returns a source that gives the access token of tokens while it is
// good, and then refreshes it, one at a time. It is safe for concurrent use. Each
// refresh is done within fetch limits of its own (10 s), for the interface has
// no context.
func (c *Client) TokenSource(tokens *Tokens) oauth2.TokenSource {
	return oauth2.ReuseTokenSource(tokens.OAuth2, &refresher{client: c, tokens: tokens})
}

// A refresher refreshes at each call.
type refresher struct {
	client *Client
	mu     sync.Mutex
	tokens *Tokens
}

func (r *refresher) Token() (*oauth2.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tokens, err := r.client.Refresh(context.Background(), r.tokens)
	if err != nil {
		return nil, err
	}
	r.tokens = tokens
	return tokens.OAuth2, nil
}
