package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/fetch"
	"golang.org/x/oauth2"
)

// UserInfo is what the provider says of a person beyond the ID token. The two stand side
// by side: nothing here replaces a claim of the ID token.
type UserInfo struct {
	Subject string // that of the ID token
	Claims  claims.Set
}

// Format prints no more than what it is, with every verb: it is personal data.
func (u UserInfo) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("oidc.UserInfo[redacted]")) }

// LogValue redacts, as Format does.
func (u UserInfo) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(u)) }

// UserInfo asks the userinfo endpoint for the person that tokens are of (OpenID
// Connect Core section 5.3). The answer is JSON or a signed JWT, and may be encrypted for
// ClientConfig.DecryptionKeys besides; with ClientConfig.UserInfoAlgorithms it must be
// signed.
//
// An answer for another "sub" than the ID token's is an *[Error] with [ReasonSubject]: an
// access token that was slipped in is of somebody else. Tokens of another provider or
// client are not sent, and an error. An access token that the provider does not take is
// an *Error with [ReasonRevoked]. A provider without the endpoint is [ErrNoEndpoint]. An
// answer that is neither JSON nor a JWT comes from something in front
// of the provider: it answers errors.Is for oidckit.ErrUnavailable, as an outage does.
func (c *Client) UserInfo(ctx context.Context, tokens *Tokens) (*UserInfo, error) {
	if tokens == nil || tokens.OAuth2 == nil || tokens.IDToken == nil || tokens.IDToken.Subject == "" {
		return nil, errors.New("oidc: UserInfo needs the tokens of a login, ID token included")
	}
	if err := c.owns(tokens); err != nil {
		return nil, err
	}
	return c.userInfoOf(ctx, tokens.OAuth2, tokens.IDToken.Subject)
}

// userInfoOf asks for the person whom somebody we trust has called subject.
func (c *Client) userInfoOf(ctx context.Context, token *oauth2.Token, subject string) (*UserInfo, error) {
	m, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserInfoEndpoint == "" {
		return nil, fmt.Errorf("%w: userinfo_endpoint", ErrNoEndpoint)
	}
	resp, err := c.askUserInfo(ctx, m.UserInfoEndpoint, token)
	switch {
	case err != nil:
		return nil, err
	case resp.Status == http.StatusUnauthorized:
		return nil, refusedToken(resp)
	case resp.Status != http.StatusOK:
		return nil, responseError(resp)
	}
	p, err := c.readUserInfo(ctx, resp)
	if err != nil {
		return nil, err
	}
	// Section 5.3.2: "The sub Claim in the UserInfo Response MUST be verified to
	// exactly match the sub Claim in the ID Token".
	sub, err := p.text("sub")
	if err != nil || sub != subject {
		return nil, &Error{Reason: ReasonSubject, Claim: "sub", Err: err}
	}
	return &UserInfo{Subject: sub, Claims: p.set}, nil
}

// askUserInfo sends the access token, in one place (RFC 6750 section 2).
func (c *Client) askUserInfo(ctx context.Context, endpoint string, token *oauth2.Token) (*fetch.Response, error) {
	typ := canonicalType(token.Type())
	if token.TokenType == "" { // one that lost its type goes with a proof, if the client makes them
		typ = c.tokenType()
	}
	switch {
	case token.AccessToken == "" || !isTokenText(token.AccessToken):
		return nil, errors.New("oidc: UserInfo needs an access token")
	case typ != "Bearer" && typ != "DPoP":
		return nil, errors.New("oidc: UserInfo knows access tokens of the types Bearer and DPoP alone")
	case typ == "DPoP" && c.dpop == nil: // as a bearer token, it would be good for whoever gets hold of it
		return nil, errors.New("oidc: ClientConfig.DPoP is required: the access token is bound to a key")
	}
	method, body := http.MethodGet, ""
	if c.cfg.UserInfoByForm {
		method, body = http.MethodPost, url.Values{"access_token": {token.AccessToken}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("oidc: userinfo_endpoint is not a URL")
	}
	req.Header.Set("Accept", c.userInfoTypes())
	if c.cfg.UserInfoByForm {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		req.Header.Set("Authorization", typ+" "+token.AccessToken)
	}
	if typ == "DPoP" {
		return c.doWithProof(req, token.AccessToken)
	}
	return c.fetch.Do(req)
}

// refusedToken reads a 401 (RFC 6750 section 3): the access token is no longer good,
// unless the answer says that something else is wrong.
func refusedToken(resp *fetch.Response) error {
	re := responseError(resp)
	for _, ch := range challenges(resp.Header) {
		if re.Code == "" {
			re.Code = printable(ch.parameters["error"])
		}
	}
	notTheToken := []string{"use_dpop_nonce", "invalid_dpop_proof", "insufficient_user_authentication"}
	if re.inTrouble() || slices.Contains(notTheToken, re.Code) {
		return re
	}
	return &Error{Reason: ReasonRevoked, Err: re}
}
