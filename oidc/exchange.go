package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// The types of token that RFC 8693 section 3 names. A provider may have others, which are
// URIs too.
const (
	TokenTypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"  //nolint:gosec // G101: a name
	TokenTypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token" //nolint:gosec // G101: a name
	TokenTypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"      //nolint:gosec // G101: a name
	TokenTypeJWT          = "urn:ietf:params:oauth:token-type:jwt"           //nolint:gosec // G101: a name
	TokenTypeSAML1        = "urn:ietf:params:oauth:token-type:saml1"         //nolint:gosec // G101: a name
	TokenTypeSAML2        = "urn:ietf:params:oauth:token-type:saml2"         //nolint:gosec // G101: a name
)

// A TokenExchange says which token is to be exchanged for which (RFC 8693 section 2.1).
// Without an ActorToken the new token is the subject's alone (impersonation); with one
// it says that the actor acts for the subject (delegation). It prints as nothing.
type TokenExchange struct {
	// SubjectToken is whom the new token is about; SubjectTokenType is its type. Both
	// are required.
	SubjectToken, SubjectTokenType string
	// ActorToken is who will use it. It needs its type.
	ActorToken, ActorTokenType string
	// RequestedTokenType is the type that the new token must have. Empty leaves it to
	// the provider.
	RequestedTokenType string
	// Audiences are the names, at the provider, of the services that the new token is
	// for. Those that are known by a URI can be named with [WithResource].
	Audiences []string
}

// Format prints that it is an exchange, with every verb.
func (e TokenExchange) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.TokenExchange[redacted]"))
}

// MarshalText redacts, in JSON and in logs.
func (e TokenExchange) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

func (e TokenExchange) form() (url.Values, error) {
	if err := checkSendable(e.SubjectToken); err != nil {
		return nil, fmt.Errorf("oidc: TokenExchange.SubjectToken: %w", err)
	}
	if e.SubjectTokenType == "" {
		return nil, errors.New("oidc: TokenExchange.SubjectTokenType is required: TokenTypeAccessToken or another one")
	}
	// RFC 8693 section 2.1: actor_token_type "is REQUIRED when the actor_token parameter
	// is present in the request but MUST NOT be included otherwise".
	if (e.ActorToken == "") != (e.ActorTokenType == "") {
		return nil, errors.New("oidc: TokenExchange.ActorToken and ActorTokenType go together")
	}
	form := url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {e.SubjectToken}, "subject_token_type": {e.SubjectTokenType},
	}
	if e.ActorToken != "" {
		if err := checkSendable(e.ActorToken); err != nil {
			return nil, fmt.Errorf("oidc: TokenExchange.ActorToken: %w", err)
		}
		form["actor_token"], form["actor_token_type"] = []string{e.ActorToken}, []string{e.ActorTokenType}
	}
	if e.RequestedTokenType != "" {
		form["requested_token_type"] = []string{e.RequestedTokenType}
	}
	if len(e.Audiences) > 0 {
		form["audience"] = slices.Clone(e.Audiences)
	}
	return form, nil
}

// An ExchangedToken is what a token was exchanged for. It prints as nothing.
type ExchangedToken struct {
	// IssuedTokenType is what the token is, whatever its name below: see
	// [TokenTypeAccessToken].
	IssuedTokenType string
	// Token has it in AccessToken. Its type is "N_A" if it is none for the Authorization
	// header. Nothing is verified of a token that is an ID token.
	Token *oauth2.Token
}

// Format prints that it is a token, with every verb.
func (t ExchangedToken) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.ExchangedToken[redacted]"))
}

// MarshalText redacts, in JSON and in logs.
func (t ExchangedToken) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// TokenExchange exchanges a token for another one (RFC 8693). Scope and resources of the
// new token are those of [WithScopes], and of [WithResource] or ClientConfig.Resources.
//
// A token that the provider does not take is an *[Error] with [ReasonRevoked] if the
// provider says invalid_grant; RFC 8693 would have it say invalid_request, which may
// mean other things and is a *[ResponseError]. An answer whose token is of another type
// than RequestedTokenType, or of none, is an *Error with [ReasonType]. An outage answers
// errors.Is for oidckit.ErrUnavailable.
func (c *Client) TokenExchange(ctx context.Context, e TokenExchange, options ...Option) (*ExchangedToken, error) {
	form, err := e.form()
	if err != nil {
		return nil, err
	}
	if err := addOptions(form, options, c.cfg.Resources); err != nil {
		return nil, err
	}
	answer, err := c.requestAnyToken(ctx, form)
	if err != nil {
		return nil, revokedGrant(err)
	}
	if err := c.checkIssued(answer, form.Get("requested_token_type")); err != nil {
		return nil, err
	}
	return &ExchangedToken{IssuedTokenType: answer.IssuedType, Token: c.granted(answer, form)}, nil
}

// notApplicable is the token_type of what is no access token (RFC 8693 section 2.2.1).
const notApplicable = "N_A"

func (c *Client) checkIssued(t *tokenResponse, requested string) error {
	switch {
	case t.IssuedType == "":
		return &Error{Reason: ReasonType, Claim: "issued_token_type", Err: errors.New("missing")}
	case requested != "" && t.IssuedType != requested:
		return &Error{Reason: ReasonType, Claim: "issued_token_type", Err: errors.New("not the requested one")}
	case t.IssuedType != TokenTypeAccessToken && strings.EqualFold(t.TokenType, notApplicable):
		t.TokenType = notApplicable
		return nil
	}
	return t.checkType(c.tokenType())
}

// TokenExchangeSource returns a source of access tokens of [Client.TokenExchange]. The
// function says what is exchanged in each request, so that the subject token is a fresh
// one. For a token that Kubernetes keeps in a file:
//
//	source := client.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) {
//		token, err := os.ReadFile("/var/run/secrets/tokens/provider")
//		return oidc.TokenExchange{
//			SubjectToken: strings.TrimSpace(string(token)), SubjectTokenType: oidc.TokenTypeJWT,
//		}, err
//	})
//
// An answer that is no access token is an *[Error] with [ReasonType]: its IssuedTokenType must
// be [TokenTypeAccessToken] or [TokenTypeJWT], and its token_type one for requests.
func (c *Client) TokenExchangeSource(exchange func(context.Context) (TokenExchange, error), options ...Option) *GrantSource {
	return c.newGrantSource(func(ctx context.Context) (*oauth2.Token, error) {
		e, err := exchange(ctx)
		if err != nil {
			return nil, err
		}
		issued, err := c.TokenExchange(ctx, e, options...)
		if err != nil {
			return nil, err
		}
		if err := issued.checkAccess(); err != nil {
			return nil, err
		}
		return issued.Token, nil
	})
}

// checkAccess: a refresh or ID token must not go to an API, whatever its token_type says.
func (t *ExchangedToken) checkAccess() error {
	switch {
	case t.IssuedTokenType != TokenTypeAccessToken && t.IssuedTokenType != TokenTypeJWT:
		return &Error{Reason: ReasonType, Claim: "issued_token_type", Err: errors.New("no access token")}
	case t.Token.TokenType == notApplicable:
		return &Error{Reason: ReasonType, Claim: "token_type", Err: errors.New("no access token")}
	}
	return nil
}
