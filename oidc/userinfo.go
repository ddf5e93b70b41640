package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/oidckit/oidckit/claims"
)

// UserInfo is what the provider says of a person beyond the ID token.
type UserInfo struct {
	Subject string
	Claims  claims.Set
}

// UserInfo asks the userinfo endpoint for the person that tokens are of (OpenID
// Connect Core section 5.3). An answer for another "sub" than the ID token's is an
// *[Error] with [ReasonSubject]: an access token that was slipped in is of somebody
// else. An access token that the provider does not take is an *Error with
// [ReasonRevoked]. A provider without the endpoint is [ErrNoEndpoint].
func (c *Client) UserInfo(ctx context.Context, tokens *Tokens) (*UserInfo, error) {
	if tokens == nil || tokens.OAuth2 == nil || tokens.IDToken == nil {
		return nil, errors.New("oidc: UserInfo needs the tokens of a login, ID token included")
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserInfoEndpoint == "" {
		return nil, fmt.Errorf("%w: userinfo_endpoint", ErrNoEndpoint)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.UserInfoEndpoint, nil)
	if err != nil {
		return nil, errors.New("oidc: userinfo_endpoint is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+tokens.OAuth2.AccessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := c.provider.fetch.Do(req)
	switch {
	case err != nil:
		return nil, err
	case resp.Status == http.StatusUnauthorized:
		re := responseError(resp)
		if re.inTrouble() {
			return nil, re
		}
		return nil, &Error{Reason: ReasonRevoked, Err: re}
	case resp.Status != http.StatusOK:
		return nil, responseError(resp)
	case !resp.Is("application/json"):
		return nil, &Error{Reason: ReasonMalformed, Err: errors.New("the userinfo response is not JSON")}
	}
	return parseUserInfo(resp.Body, tokens.IDToken.Subject)
}

func parseUserInfo(body []byte, subject string) (*UserInfo, error) {
	set, err := claims.Parse(body)
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Err: err}
	}
	// Section 5.3.2: "The sub Claim in the UserInfo Response MUST be verified to
	// exactly match the sub Claim in the ID Token".
	sub, err := set.String(claims.P("sub"))
	if err != nil || sub != subject {
		return nil, &Error{Reason: ReasonSubject, Claim: "sub", Err: err}
	}
	return &UserInfo{Subject: sub, Claims: set}, nil
}
