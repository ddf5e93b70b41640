package oidc

import (
	"context"
	"net/url"

	"golang.org/x/oauth2"
)

// ClientCredentials gets an access token for the client itself (RFC 6749 section 4.4).
// It asks for no scope but that of [WithScopes]: those of ClientConfig are for logins.
// What the token is for is said by ClientConfig.Resources, [WithResource], or at some
// providers WithParameter("audience", …).
//
// A provider that refuses is a *[ResponseError]; an outage answers errors.Is for
// oidckit.ErrUnavailable. A program that needs the token again and again has a
// [Client.ClientCredentialsSource].
func (c *Client) ClientCredentials(ctx context.Context, options ...Option) (*oauth2.Token, error) {
	return c.requestGrant(ctx, url.Values{"grant_type": {"client_credentials"}}, options)
}

// ClientCredentialsSource returns a source of what [Client.ClientCredentials] returns.
func (c *Client) ClientCredentialsSource(options ...Option) *GrantSource {
	return c.newGrantSource(func(ctx context.Context) (*oauth2.Token, error) {
		return c.ClientCredentials(ctx, options...)
	})
}
