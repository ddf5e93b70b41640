package oidc

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// Logout describes a logout at the provider. All members are optional.
type Logout struct {
	// IDToken of the login that ends, sent as id_token_hint. One of another provider or
	// client is an error.
	IDToken *IDToken
	// PostLogoutRedirectURL is where the provider sends the browser afterwards,
	// exactly as it is registered.
	PostLogoutRedirectURL string
	// State comes back with the browser. It proves nothing.
	State string
	// LogoutHint tells the provider who is to be logged out, where there is no IDToken:
	// what it understands is between the two.
	LogoutHint string
	// UILocales are languages for the provider's pages, the preferred one first (RFC 5646).
	UILocales []string
}

// LogoutURL returns where to send the browser to log out at the provider (OpenID
// Connect RP-Initiated Logout 1.0 section 2). End the local session first, and
// whatever comes of this. A provider without the endpoint is [ErrNoEndpoint].
func (c *Client) LogoutURL(ctx context.Context, l Logout) (string, error) {
	if err := c.owns(&Tokens{IDToken: l.IDToken}); err != nil {
		return "", err
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if m.EndSessionEndpoint == "" {
		return "", fmt.Errorf("%w: end_session_endpoint", ErrNoEndpoint)
	}
	params := url.Values{"client_id": {c.cfg.ClientID}}
	if l.IDToken != nil {
		params.Set("id_token_hint", l.IDToken.raw)
	}
	if l.PostLogoutRedirectURL != "" {
		params.Set("post_logout_redirect_uri", l.PostLogoutRedirectURL)
	}
	if l.State != "" {
		params.Set("state", l.State)
	}
	if l.LogoutHint != "" {
		params.Set("logout_hint", l.LogoutHint)
	}
	if len(l.UILocales) > 0 {
		params.Set("ui_locales", strings.Join(l.UILocales, " "))
	}
	return withQuery(m.EndSessionEndpoint, params)
}
