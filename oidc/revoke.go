package oidc

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/oidckit/oidckit/internal/fetch"
)

// Revoke tells the provider that a token is not needed any more (RFC 7009): a refresh
// token, and with it what was issued for it, or an access token. The hint is
// "refresh_token", "access_token" or empty.
//
// No error means that the token is good no longer, or never was: the provider does not
// tell those apart. A provider that cannot revoke such a token is a *[ResponseError] with
// the code "unsupported_token_type"; one that is in trouble answers errors.Is for
// oidckit.ErrUnavailable, with RetryAfter if it says so, and the token is to be taken for
// good still. Forget it all the same: whoever logs out expects it. An access token that is
// a JWT stays good until it expires for those who do not ask the provider.
//
// Whatever comes of it, [Client.Refresh] gives out no answer any more that it has kept
// and that the token was sent for, or came with.
func (c *Client) Revoke(ctx context.Context, token, hint string, options ...Option) error {
	if err := checkSendable(token); err != nil {
		return err
	}
	defer c.refreshes.revoke(token)
	form := url.Values{"token": {token}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	if err := addParameters(form, options); err != nil {
		return err
	}
	resp, err := c.post(ctx, call{to: revocationEndpoint, form: form})
	switch {
	case err != nil:
		return err
	case resp.Status != http.StatusOK:
		return responseError(resp)
	case isPage(resp):
		return unavailable("revocation", fetch.ErrMediaType)
	}
	return nil
}

// isPage: "The content of the response body is ignored by the client" (RFC 7009 section
// 2.2). But a page for people is of something in front of the endpoint, which has
// revoked nothing.
func isPage(resp *fetch.Response) bool {
	return resp.Is("text/html") && len(bytes.TrimSpace(resp.Body)) > 0
}
