package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// AccessTokenConfig is what an API trusts.
type AccessTokenConfig struct {
	// Audience names this API, as access tokens do in "aud"; one of them must be
	// in the token. Required: a token for another API is not for this one.
	Audience []string

	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and
	// EdDSA. HS algorithms need a Provider whose Keys are symmetric, and never
	// stand with others.
	Algorithms []string

	// Leeway is how far clocks may differ: default 60 s, at most 5 min. It counts
	// for "exp", "nbf" and "iat".
	Leeway time.Duration

	// InsecureAllowUntyped accepts tokens whose header has no "typ", or "JWT",
	// for providers that do not follow RFC 9068 (Keycloak, Entra ID, Okta). The
	// members that RFC 9068 requires are then optional, all but iss, sub, aud and
	// exp. Tokens that show what else they are (a nonce, at_hash or events claim,
	// another typ) are refused still; an ID token that shows nothing is not.
	InsecureAllowUntyped bool
}

// An AccessToken is a verified access token: what an API knows about a request.
// It does not hold the token itself, which is nobody else's business.
type AccessToken struct {
	Issuer   string
	Subject  string // unique within Issuer only
	ClientID string // "client_id" or "azp", empty if the token has neither
	Audience []string
	Scopes   []string // of "scope" and "scp"
	Expiry   time.Time
	IssuedAt time.Time // zero if the token does not say
	Claims   claims.Set
}

// An AccessTokenVerifier verifies the access tokens of one provider for one API.
// It is safe for concurrent use.
type AccessTokenVerifier struct {
	provider *Provider
	cfg      AccessTokenConfig
}

// NewAccessTokenVerifier returns a verifier for JWT access tokens (RFC 9068). It
// does no I/O; errors are about cfg alone.
func NewAccessTokenVerifier(p *Provider, cfg AccessTokenConfig) (*AccessTokenVerifier, error) {
	if p == nil {
		return nil, errors.New("oidc: NewAccessTokenVerifier needs a provider")
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	if len(cfg.Audience) == 0 || !allIdentifiers(cfg.Audience) {
		return nil, errors.New("oidc: AccessTokenConfig.Audience must name this API, without empty names")
	}
	if cfg.Algorithms = slices.Clone(cfg.Algorithms); len(cfg.Algorithms) == 0 {
		cfg.Algorithms = slices.Clone(jwt.Asymmetric)
	}
	if err := jwks.CheckAlgorithms(cfg.Algorithms); err != nil {
		return nil, fmt.Errorf("oidc: AccessTokenConfig.Algorithms: %w", err)
	}
	if p.remote && slices.Contains(jwt.Symmetric, cfg.Algorithms[0]) {
		return nil, errors.New("oidc: AccessTokenConfig.Algorithms: HS algorithms need a provider with Config.Keys of jwks.Symmetric")
	}
	var err error
	if cfg.Leeway, err = leewayOf(cfg.Leeway); err != nil {
		return nil, err
	}
	return &AccessTokenVerifier{provider: p, cfg: cfg}, nil
}

// Verify verifies a JWT access token (RFC 9068 section 4). An error is an
// *[Error] if the token is at fault, and answers errors.Is for
// oidckit.ErrUnavailable if it could not be judged. A nil or zero verifier
// refuses everything.
func (v *AccessTokenVerifier) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	if v == nil || v.provider == nil {
		return nil, errors.New("oidc: AccessTokenVerifier was not made by NewAccessTokenVerifier")
	}
	parsed, err := jwt.Parse(raw)
	if err != nil {
		return nil, refused(err)
	}
	defer parsed.Release()
	// The signature comes last: everything before can only refuse, and a token
	// that is refused makes nobody fetch keys.
	token, err := v.judge(parsed)
	if err != nil {
		return nil, err
	}
	if err := jwks.VerifyParsed(ctx, v.provider.keys, v.cfg.Algorithms, parsed); err != nil {
		return nil, refused(err)
	}
	return token, nil
}

func (v *AccessTokenVerifier) judge(parsed *jwt.Token) (*AccessToken, error) {
	if !jwt.Allows(v.cfg.Algorithms, parsed.Algorithm) {
		return nil, algorithmRefused(parsed.Algorithm)
	}
	set := claims.FromVerified(parsed.Payload, parsed.Claims)
	if err := v.checkType(parsed.Type, set); err != nil {
		return nil, err
	}
	r, err := readRegistered(set, v.provider.issuer, v.provider.now(), v.cfg.Leeway)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(r.audience, func(a string) bool { return slices.Contains(v.cfg.Audience, a) }) {
		return nil, &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	// A token that is bound to a key is no bearer token: without the proof,
	// whoever stole it could use it (RFC 9449 section 7.2, RFC 8705 section 3).
	if _, bound := parsed.Claims.Get("cnf"); bound {
		return nil, &Error{Reason: ReasonBinding, Claim: "cnf"}
	}
	token := &AccessToken{
		Issuer: r.issuer, Subject: r.subject, Audience: r.audience,
		Expiry: r.expiry, IssuedAt: r.issuedAt, Claims: set,
	}
	if token.Scopes, err = set.Scopes(); err != nil {
		return nil, &Error{Reason: ReasonClaim, Claim: "scope", Err: err}
	}
	if err := v.readClient(token); err != nil {
		return nil, err
	}
	return token, nil
}

// notAccessTokens are claims that only other kinds of token have: ID tokens,
// logout tokens and security events.
var notAccessTokens = []string{"nonce", "at_hash", "c_hash", "s_hash", "events"}

func (v *AccessTokenVerifier) checkType(typ string, set claims.Set) error {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt":
		return nil
	case "", "jwt":
		if !v.cfg.InsecureAllowUntyped {
			return &Error{Reason: ReasonType, Claim: "typ", Err: errUntyped}
		}
	default:
		return &Error{Reason: ReasonType, Claim: "typ"}
	}
	for _, name := range notAccessTokens {
		if set.Has(claims.P(name)) {
			return &Error{Reason: ReasonType, Claim: name, Err: errOtherKind}
		}
	}
	return checkKind(set, "bearer", "access")
}

// checkKind compares the claims by which some providers tell their kinds of token
// apart: Keycloak's typ (Bearer, ID, Refresh) and Cognito's token_use (access, id).
func checkKind(set claims.Set, kinds ...string) error {
	for _, name := range []string{"typ", "token_use"} {
		kind, err := set.String(claims.P(name))
		if !missing(err) && !slices.Contains(kinds, strings.ToLower(kind)) {
			return &Error{Reason: ReasonType, Claim: name}
		}
	}
	return nil
}

// errOtherKind helps with Keycloak, which has a mapper that puts the nonce into
// access tokens.
var errOtherKind = errors.New("a claim of other kinds of token; if it is an access token all the same, have the provider leave the claim out")

var errUntyped = errors.New("not marked as an access token (at+jwt, RFC 9068); if the provider never does so, set InsecureAllowUntyped")

// readClient reads who the token was issued to, and in strict mode the rest of
// what RFC 9068 section 2.2 requires.
func (v *AccessTokenVerifier) readClient(token *AccessToken) (err error) {
	name := "client_id"
	if !token.Claims.Has(claims.P(name)) && v.cfg.InsecureAllowUntyped {
		if name = "azp"; !token.Claims.Has(claims.P(name)) {
			return nil
		}
	}
	if token.ClientID, err = identifier(token.Claims, name, ReasonClaim); err != nil {
		return err
	}
	if v.cfg.InsecureAllowUntyped {
		return nil
	}
	if token.IssuedAt.IsZero() {
		return &Error{Reason: ReasonClaim, Claim: "iat"}
	}
	_, err = identifier(token.Claims, "jti", ReasonClaim)
	return err
}
