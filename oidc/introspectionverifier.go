package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
)

// IntrospectionVerifierConfig is what an API trusts of the tokens that it asks the provider
// about.
type IntrospectionVerifierConfig struct {
	// Audience names this API; one of them must be in "aud" of the answer. Required.
	Audience []string
	// InsecureAllowNoAudience accepts answers without "aud", for providers that say a token is
	// active only to those it is for. With any other, a token for another API is taken. An
	// "aud" that is there is judged still.
	InsecureAllowNoAudience bool
	// RequiredClaims must be in the answer and not null.
	RequiredClaims []claims.Path
	// Policy is as in [AccessTokenConfig].
	Policy claims.Policy
	// Cache keeps answers; the zero value keeps none.
	Cache IntrospectionCacheConfig
}

// IntrospectionCacheConfig bounds a cache of answers. The zero value is no cache: each
// request with a token asks the provider, but requests that come with the same token while
// one asks wait for its answer.
//
// A token that the provider revokes is good here for as long as its answer is kept. That
// a token is no good is kept for 5 s at most, in a place of 1,000 such answers: strangers
// invent tokens without end. What the provider did not answer is never kept. The cache
// holds no tokens, only what an HMAC makes of them.
type IntrospectionCacheConfig struct {
	// MaxTokens is how many answers are kept; default 10,000 if MaxAge is set.
	MaxTokens int
	// MaxAge is how long an answer is kept, but never beyond the "exp" of the token; default
	// 60 s if MaxTokens is set, at most 10 min.
	MaxAge time.Duration
}

// An IntrospectionVerifier verifies access tokens, opaque ones above all, by asking the
// provider about them (RFC 7662). It is safe for concurrent use.
type IntrospectionVerifier struct {
	client  *Client
	cfg     IntrospectionVerifierConfig
	answers *introspectionCache
}

// NewIntrospectionVerifier returns a verifier that asks with c.Introspect: whether answers
// must be signed (RFC 9701) is a matter of ClientConfig.SignedIntrospection. It does no I/O;
// errors are about cfg alone.
func NewIntrospectionVerifier(c *Client, cfg IntrospectionVerifierConfig) (*IntrospectionVerifier, error) {
	if c == nil || c.provider == nil {
		return nil, errors.New("oidc: NewIntrospectionVerifier needs a Client that NewClient made")
	}
	cfg.Audience, cfg.RequiredClaims = slices.Clone(cfg.Audience), slices.Clone(cfg.RequiredClaims)
	if len(cfg.Audience) == 0 || !allIdentifiers(cfg.Audience) {
		return nil, errors.New("oidc: IntrospectionVerifierConfig.Audience must name this API, without empty names")
	}
	if slices.ContainsFunc(cfg.RequiredClaims, claims.Path.IsZero) {
		return nil, errors.New("oidc: IntrospectionVerifierConfig.RequiredClaims has an empty path")
	}
	answers, err := newIntrospectionCache(cfg.Cache, c.provider)
	if err != nil {
		return nil, fmt.Errorf("oidc: IntrospectionVerifierConfig.Cache: %w", err)
	}
	return &IntrospectionVerifier{client: c, cfg: cfg, answers: answers}, nil
}

// Verify asks the provider about an access token. One that is bound to a key is refused with
// [ReasonBinding]: see VerifyBound. An error is an *[Error] if the token is at fault, with
// [ReasonRevoked] if it is not active; one that answers errors.Is for
// oidckit.ErrUnavailable, or any other, says nothing about it. A nil or zero verifier
// refuses everything.
func (v *IntrospectionVerifier) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	return v.VerifyBound(ctx, raw, nil)
}

// VerifyBound is Verify for tokens that may be bound to keys, as
// [AccessTokenVerifier.VerifyBound] is. "cnf" is then a member of the answer (RFC 9449 section
// 6.2, RFC 8705 section 3.2).
func (v *IntrospectionVerifier) VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error) {
	if v == nil || v.client == nil {
		return nil, errors.New("oidc: IntrospectionVerifier was not made by NewIntrospectionVerifier")
	}
	if err := checkSendable(raw); err != nil {
		return nil, err
	}
	token, err := v.answers.get(ctx, raw, func(ctx context.Context) (*AccessToken, error) { return v.ask(ctx, raw) })
	if err != nil {
		return nil, err
	}
	return confirm(ctx, token, prove)
}

func (v *IntrospectionVerifier) ask(ctx context.Context, raw string) (*AccessToken, error) {
	answer, err := v.client.introspect(ctx, raw)
	if err != nil {
		return nil, err
	}
	i, err := v.client.judgeIntrospection(answer)
	if err != nil {
		return nil, err
	}
	return v.judge(i, answer)
}

// judge finds out whether an active token is an access token for this API.
func (v *IntrospectionVerifier) judge(i *Introspection, p payload) (*AccessToken, error) {
	if err := i.checkKind(p); err != nil {
		return nil, err
	}
	if err := v.checkAudience(i); err != nil {
		return nil, err
	}
	issuer, err := v.identify(i)
	if err != nil {
		return nil, err
	}
	if err := v.checkRequired(i.Claims); err != nil {
		return nil, err
	}
	var cnf Confirmation
	if i.Bound { // a null is nothing here, as it is for all members
		if cnf, err = confirmation(p); err != nil {
			return nil, err
		}
	}
	// The type says that there is a key, and nobody says which: anybody could use the token.
	if strings.EqualFold(i.TokenType, "DPoP") && cnf.JWKThumbprint == "" {
		return nil, bound("a token of type DPoP, without cnf.jkt")
	}
	return &AccessToken{
		Issuer: issuer, Subject: i.Subject, ClientID: i.ClientID, Audience: slices.Clip(i.Audience), Scopes: slices.Clip(i.Scopes),
		Expiry: i.Expiry, IssuedAt: i.IssuedAt, Confirmation: cnf, Claims: i.Claims,
	}, nil
}

// identify: a person is somebody's. The provider is who was asked, so an answer need not
// name it, unless it stands for many.
func (v *IntrospectionVerifier) identify(i *Introspection) (issuer string, err error) {
	provider := v.client.provider
	switch {
	case i.Subject == "":
		return "", &Error{Reason: ReasonSubject, Claim: "sub", Err: errors.New("the answer does not name the subject")}
	case i.Issuer != "":
		return i.Issuer, nil
	case provider.issuers.isTemplate():
		return "", &Error{Reason: ReasonIssuer, Claim: "iss", Err: errors.New("the answer does not name the tenant")}
	}
	return provider.issuer, nil
}

func (v *IntrospectionVerifier) checkRequired(set claims.Set) error {
	t := trust{required: v.cfg.RequiredClaims, policy: v.cfg.Policy}
	return t.checkRequired(set)
}

// checkKind: the provider knows refresh tokens and ID tokens too, and says that they are
// active (RFC 7662 section 2.1).
func (i *Introspection) checkKind(p payload) error {
	if i.TokenType != "" && !strings.EqualFold(i.TokenType, "Bearer") && !strings.EqualFold(i.TokenType, "DPoP") {
		return &Error{Reason: ReasonType, Claim: "token_type"}
	}
	for _, name := range notAccessTokens {
		if p.present(name) {
			return &Error{Reason: ReasonType, Claim: name, Err: errOtherKind}
		}
	}
	return checkKind(p, "bearer", "access", "dpop")
}

func (v *IntrospectionVerifier) checkAudience(i *Introspection) error {
	switch {
	case len(i.Audience) == 0 && v.cfg.InsecureAllowNoAudience:
		return nil
	case !slices.ContainsFunc(v.cfg.Audience, func(a string) bool { return slices.Contains(i.Audience, a) }):
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	return nil
}
