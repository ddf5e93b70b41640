package oidc

import (
	"context"
	"fmt"
	"net/url"

	"golang.org/x/oauth2"
)

// JWTBearer gets an access token for an assertion: a JWT of somebody whom the provider
// trusts, about whoever the token shall be for (RFC 7523 section 2.1). As the client
// proves itself besides, its method may be clientauth.None, where the provider takes the
// assertion alone. The scope is that of [WithScopes].
//
// An assertion that the provider does not take is an *[Error] with [ReasonRevoked];
// other refusals are a *[ResponseError]; an outage answers errors.Is for
// oidckit.ErrUnavailable.
func (c *Client) JWTBearer(ctx context.Context, assertion string, options ...Option) (*oauth2.Token, error) {
	if err := checkSendable(assertion); err != nil {
		return nil, fmt.Errorf("oidc: the assertion: %w", err)
	}
	return c.requestGrant(ctx, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion},
	}, options)
}

// JWTBearerSource returns a source of what [Client.JWTBearer] returns. The function gives
// the assertion of each request: an assertion lives for minutes.
func (c *Client) JWTBearerSource(assertion func(context.Context) (string, error), options ...Option) *GrantSource {
	return c.newGrantSource(func(ctx context.Context) (*oauth2.Token, error) {
		a, err := assertion(ctx)
		if err != nil {
			return nil, err
		}
		return c.JWTBearer(ctx, a, options...)
	})
}
