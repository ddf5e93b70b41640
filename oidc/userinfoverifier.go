package oidc

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit"
)

// UserInfoVerifierConfig says whose tokens the userinfo endpoint is asked with.
type UserInfoVerifierConfig struct {
	// Verifier judges tokens first, and those that it refuses are sent to nobody. It takes
	// tokens of the Client's provider alone. Required.
	Verifier BoundVerifier
	// Cache keeps answers, as it does for introspection; the zero value keeps none. What
	// changes about a person, such as a group that they leave, counts here once the answer
	// is MaxAge old. The token itself is judged each time.
	Cache IntrospectionCacheConfig
}

// A UserInfoVerifier verifies access tokens, and asks the provider's userinfo endpoint for
// the person (OpenID Connect Core section 5.3): for an API that decides by groups or roles
// which access tokens do not have. What the answer says is in [AccessToken.UserInfo]. It is
// safe for concurrent use.
//
// The token of whoever calls the API is sent to the provider that issued it, and to nobody
// else. Use it where userinfo is needed, and Verifier itself for all other routes.
type UserInfoVerifier struct {
	client  *Client
	tokens  BoundVerifier
	answers *introspectionCache
}

// NewUserInfoVerifier returns a verifier that asks as c does: how userinfo must be signed,
// for example, is a matter of its ClientConfig. It does no I/O; errors are about cfg alone.
func NewUserInfoVerifier(c *Client, cfg UserInfoVerifierConfig) (*UserInfoVerifier, error) {
	switch {
	case c == nil || c.provider == nil:
		return nil, errors.New("oidc: NewUserInfoVerifier needs a Client that NewClient made")
	case cfg.Verifier == nil:
		return nil, errors.New("oidc: UserInfoVerifierConfig.Verifier is required")
	}
	answers, err := newIntrospectionCache(cfg.Cache, c.provider)
	if err != nil {
		return nil, errors.New("oidc: UserInfoVerifierConfig.Cache: " + err.Error())
	}
	answers.of = "userinfo"
	return &UserInfoVerifier{client: c, tokens: cfg.Verifier, answers: answers}, nil
}

// Verify verifies a token as Verifier does, whose errors it hands on, and asks for userinfo.
// An answer for another "sub" than the token's is an *[Error] with [ReasonSubject], and a
// token that the provider does not take is one with [ReasonRevoked]. Where the provider
// gives this token no userinfo (403; the scope "openid" is missing, mostly), the error
// answers errors.Is for oidckit.ErrForbidden. An outage answers errors.Is for
// oidckit.ErrUnavailable, and so does an answer that is no userinfo: of another status, without
// "sub", or signed or encrypted otherwise than it must be. Userinfo that cannot be had is never none. A nil or zero verifier
// refuses everything.
func (v *UserInfoVerifier) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	return v.VerifyBound(ctx, raw, nil)
}

// VerifyBound is Verify with a prover, which Verifier asks. A token that is bound to a key is
// refused with [ReasonBinding], proved or not: the endpoint wants a proof too, which its
// client alone can make.
func (v *UserInfoVerifier) VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error) {
	if v == nil || v.client == nil {
		return nil, errors.New("oidc: UserInfoVerifier was not made by NewUserInfoVerifier")
	}
	token, err := v.tokens.VerifyBound(ctx, raw, prove)
	if err != nil {
		return nil, err
	}
	if err := v.checkOurs(token); err != nil {
		return nil, err
	}
	asked, err := v.answers.get(ctx, raw, func(ctx context.Context) (*AccessToken, error) { return v.ask(ctx, raw, token) })
	if err != nil {
		return nil, err
	}
	known := *token
	known.UserInfo = asked.UserInfo
	return &known, nil
}

// checkOurs keeps tokens of others from the provider.
func (v *UserInfoVerifier) checkOurs(token *AccessToken) error {
	switch {
	case token == nil || !v.client.provider.issuers.mayBe(token.Issuer):
		return errors.New("oidc: UserInfoVerifierConfig.Verifier takes tokens of another provider than the Client's")
	case !token.Confirmation.IsZero():
		return bound("nobody but its client can ask for userinfo with it")
	}
	return nil
}

// ask returns the token with what the provider says of its person.
func (v *UserInfoVerifier) ask(ctx context.Context, raw string, token *AccessToken) (*AccessToken, error) {
	info, err := v.client.userInfoOf(ctx, &oauth2.Token{AccessToken: raw, TokenType: "Bearer"}, token.Subject)
	var refusal *ResponseError
	switch {
	case err == nil:
		return &AccessToken{Expiry: token.Expiry, UserInfo: info.Claims}, nil
	case !errors.As(err, &refusal):
		return nil, blamed(err)
	case refusal.inTrouble():
		return nil, err
	case refusal.Code == "invalid_token": // Ipsilon writes 400 where RFC 6750 section 3.1 has 401
		return nil, &Error{Reason: ReasonRevoked, Err: refusal}
	case refusal.Status == http.StatusForbidden:
		return nil, noUserInfoError{refusal}
	case refusal.Status == http.StatusUnauthorized:
		return nil, err
	}
	return nil, &oidckit.UnavailableError{What: "userinfo", Err: refusal, RetryAfter: refusal.RetryAfter}
}

// blamed returns an error for what is wrong with an answer: whoever called the API has not
// written it. His token is to blame only if the answer is of somebody else.
func blamed(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Reason == ReasonSubject && e.Err == nil {
		return err
	}
	return unavailable("userinfo", errors.New(err.Error())) // which is no longer a verdict on a token
}

// noUserInfoError says that a good token gets no userinfo.
type noUserInfoError struct{ refusal *ResponseError }

func (e noUserInfoError) Error() string {
	return "oidc: no userinfo for this token: " + e.refusal.Error()
}

func (e noUserInfoError) Unwrap() error { return e.refusal }

func (e noUserInfoError) Is(target error) bool { return target == oidckit.ErrForbidden }
