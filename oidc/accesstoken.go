package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// AccessTokenConfig is what an API trusts: together with its Provider, the whole
// policy for the tokens of one issuer.
type AccessTokenConfig struct {
	// Audience names this API, as access tokens do in "aud"; one of them must be
	// in the token. Required: a token for another API is not for this one.
	Audience []string
	// RequireAllAudiences asks for every one of Audience in the token.
	RequireAllAudiences bool
	// AudienceClaim is the claim that is compared with Audience; default "aud". It is
	// "client_id" or "azp" for providers whose access tokens name no API, such as
	// Cognito: Audience then lists the clients that are trusted. "aud" may be missing
	// in such tokens.
	AudienceClaim string
	// InsecureAnyAudience takes tokens for anybody, in place of Audience: for a program that
	// hands the audience on or has a Policy that judges it, and is no API by itself. "aud"
	// must be there all the same.
	InsecureAnyAudience bool

	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and
	// EdDSA. HS algorithms need a Provider whose Keys are symmetric, and never
	// stand with others.
	Algorithms []string

	// Leeway is how far clocks may differ: default 60 s, at most 5 min. It counts
	// for "exp", "nbf", "iat" and MaxAge.
	Leeway time.Duration
	// MaxAge is how long after "iat" a token is good, however long the provider
	// lets it live; 0 is no limit of our own, ten years are the most. With it, "iat" is
	// required.
	MaxAge time.Duration
	// RequiredClaims must be in the token and not null.
	RequiredClaims []claims.Path
	// Policy says whose tokens are ours at all, wherever the program takes them: an issuer
	// that signs for strangers too, such as that of GitHub Actions, needs one (see package
	// claims/ci). A token that does not satisfy it is refused with [ReasonPolicy], after its
	// signature was checked; with a Cache, once for each token. The zero Policy is none.
	Policy claims.Policy

	// DecryptionKeys open encrypted tokens (JWE, RFC 7516). With them, tokens that are
	// not encrypted are refused.
	DecryptionKeys []jwks.DecryptionKey
	// InsecureAllowUnencrypted accepts both, if there are DecryptionKeys.
	InsecureAllowUnencrypted bool

	// InsecureAllowUntyped accepts tokens whose header has no "typ", or "JWT",
	// for providers that do not follow RFC 9068: Keycloak, Entra ID, AD FS, Okta, Auth0
	// (unless the API is set to the RFC 9068 profile), Cognito, and CI services such as
	// GitHub Actions and GitLab. The members that RFC 9068 requires are then optional, all
	// but iss, sub, aud and exp. Tokens that show what else they are (a nonce, at_hash or events claim,
	// another typ) are refused still; an ID token that shows nothing is not.
	InsecureAllowUntyped bool

	// Cache keeps tokens that were verified; the zero value keeps none.
	Cache TokenCacheConfig
}

// An AccessToken is a verified access token: what an API knows about a request.
// It does not hold the token itself, which is nobody else's business. It may be
// shared, and must not be changed: with a cache, requests with one token get one
// AccessToken.
type AccessToken struct {
	Issuer   string
	Subject  string // unique within Issuer only
	ClientID string // "client_id" or "azp", empty if the token has neither
	Audience []string
	Scopes   []string // of "scope" and "scp"
	Expiry   time.Time
	IssuedAt time.Time // zero if the token does not say
	// Confirmation names the keys that the token is bound to, all of which were proved.
	Confirmation Confirmation
	Claims       claims.Set
	// UserInfo is what the provider says of the person besides, if a [UserInfoVerifier]
	// asked it; else the zero Set, which has no claims.
	UserInfo claims.Set
}

// Format prints the issuer with every verb: the rest is personal data.
func (t AccessToken) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.AccessToken(%s)", t.Issuer)
}

// LogValue redacts, as Format does.
func (t AccessToken) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// An AccessTokenVerifier verifies the access tokens of one provider for one API.
// It is safe for concurrent use.
type AccessTokenVerifier struct {
	trust
	cfg   AccessTokenConfig
	cache *tokenCache // nil if there is none
}

// NewAccessTokenVerifier returns a verifier for JWT access tokens (RFC 9068). It
// does no I/O; errors are about cfg alone.
func NewAccessTokenVerifier(p *Provider, cfg AccessTokenConfig) (*AccessTokenVerifier, error) {
	t, err := newTrust("AccessTokenConfig", trust{
		provider: p, algorithms: cfg.Algorithms, leeway: cfg.Leeway, maxAge: cfg.MaxAge, required: cfg.RequiredClaims, policy: cfg.Policy,
		decryption: cfg.DecryptionKeys, plain: cfg.InsecureAllowUnencrypted,
	})
	if err != nil {
		return nil, err
	}
	if err := t.checkAlgorithms("AccessTokenConfig.Algorithms"); err != nil {
		return nil, err
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	if cfg.InsecureAnyAudience && (len(cfg.Audience) > 0 || cfg.RequireAllAudiences || cfg.AudienceClaim != "") {
		return nil, errors.New("oidc: AccessTokenConfig.InsecureAnyAudience stands in place of Audience, RequireAllAudiences and AudienceClaim: set either")
	}
	if !cfg.InsecureAnyAudience && (len(cfg.Audience) == 0 || !allIdentifiers(cfg.Audience)) {
		return nil, errors.New("oidc: AccessTokenConfig.Audience must name this API, without empty names")
	}
	if !slices.Contains([]string{"", "aud", "client_id", "azp"}, cfg.AudienceClaim) {
		return nil, errors.New(`oidc: AccessTokenConfig.AudienceClaim must be "aud", "client_id" or "azp"`)
	}
	if cfg.RequireAllAudiences && len(cfg.Audience) > 1 && cfg.AudienceClaim != "" && cfg.AudienceClaim != "aud" {
		return nil, errors.New("oidc: AccessTokenConfig.RequireAllAudiences: AudienceClaim names one client, and cannot be all of Audience")
	}
	v := &AccessTokenVerifier{trust: t, cfg: cfg}
	if v.cache, err = newTokenCache(cfg.Cache, t.keys); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify verifies a JWT access token (RFC 9068 section 4). One that is bound to a key is
// refused with [ReasonBinding]: see VerifyBound. An error is an *[Error] if the token is at
// fault, and answers errors.Is for oidckit.ErrUnavailable if it could not be judged. A nil
// or zero verifier refuses everything.
func (v *AccessTokenVerifier) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	return v.VerifyBound(ctx, raw, nil)
}

// VerifyBound is Verify for tokens that may be bound to keys (RFC 9449 section 6, RFC 8705
// section 3): those that prove returns must be all that the token names. The prover is
// asked each time, a cached token notwithstanding, and only about a token that is good in
// all else. A nil prover proves nothing.
func (v *AccessTokenVerifier) VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error) {
	if v == nil || v.provider == nil {
		return nil, errors.New("oidc: AccessTokenVerifier was not made by NewAccessTokenVerifier")
	}
	now := v.provider.now()
	token, r := v.recall(ctx, raw, now)
	if token != nil {
		return confirm(ctx, token, prove)
	}
	parsed, err := v.open(raw)
	if err != nil {
		return nil, err
	}
	defer parsed.Release()
	return v.verifyAndKeep(ctx, parsed, now, request{raw, r, prove})
}

// A request is a token on its way through a verifier.
type request struct {
	raw     string
	receipt receipt
	prove   Prover
}

// recall looks into the cache. Encrypted tokens are not in it: whoever knows the inner
// one can encrypt it in endless ways, each of them another token.
func (v *AccessTokenVerifier) recall(ctx context.Context, raw string, now time.Time) (*AccessToken, receipt) {
	if len(v.decryption) > 0 {
		return nil, receipt{}
	}
	return v.cache.get(ctx, raw, now)
}

func (v *AccessTokenVerifier) verifyAndKeep(ctx context.Context, parsed *jwt.Token, now time.Time, r request) (*AccessToken, error) {
	token, err := v.verifyParsed(ctx, parsed, now, r.prove != nil)
	if err != nil {
		return nil, err
	}
	v.cache.put(r.raw, token, r.receipt, now, v.goodUntil(token))
	return confirm(ctx, token, r.prove)
}

// verifyParsed looks at the signature last but for what only a friend could have
// written: everything before can only refuse, and a token that is refused makes
// nobody fetch keys.
func (v *AccessTokenVerifier) verifyParsed(ctx context.Context, parsed *jwt.Token, now time.Time, mayBeBound bool) (*AccessToken, error) {
	p := payloadOf(parsed)
	r, err := v.judge(parsed, p, now)
	if err != nil {
		return nil, err
	}
	// A token that is bound to a key is no bearer token: without the proof, whoever stole
	// it could use it (RFC 9449 section 7.2, RFC 8705 section 3).
	cnf, err := confirmation(p)
	if err != nil {
		return nil, err
	}
	if !mayBeBound && !cnf.IsZero() {
		return nil, cnf.checkProven(Confirmation{})
	}
	if err := v.checkSignature(ctx, parsed); err != nil {
		return nil, err
	}
	if err := v.checkRequired(p.set); err != nil {
		return nil, err
	}
	token := &AccessToken{
		Issuer: r.issuer, Subject: r.subject, Audience: r.audience,
		Expiry: r.expiry, IssuedAt: r.issuedAt, Confirmation: cnf, Claims: p.set,
	}
	if token.Scopes, err = p.set.Scopes(); err != nil {
		return nil, &Error{Reason: ReasonClaim, Claim: "scope", Err: err}
	}
	if err := v.checkRest(token, p); err != nil {
		return nil, err
	}
	// Whoever appends to a list gets one of his own.
	token.Scopes, token.Audience = slices.Clip(token.Scopes), slices.Clip(token.Audience)
	return token, nil
}

func (v *AccessTokenVerifier) judge(parsed *jwt.Token, p payload, now time.Time) (registered, error) {
	if err := v.checkAlgorithm(parsed.Algorithm); err != nil {
		return registered{}, err
	}
	if err := v.checkType(parsed.Type, p); err != nil {
		return registered{}, err
	}
	r, err := v.readRegistered(p, now, v.audienceClaim() == "aud")
	if err != nil {
		return r, err
	}
	if r.subject, err = subject(p); err != nil {
		return r, err
	}
	if err := v.checkAudience(p, r.audience); err != nil {
		return r, err
	}
	return r, nil
}

func (v *AccessTokenVerifier) audienceClaim() string {
	if v.cfg.AudienceClaim == "" {
		return "aud"
	}
	return v.cfg.AudienceClaim
}

func (v *AccessTokenVerifier) checkAudience(p payload, audience []string) error {
	if v.cfg.InsecureAnyAudience {
		return nil // it was read, so it is there
	}
	claim := v.audienceClaim()
	if claim != "aud" {
		client, err := identifier(p, claim, ReasonAudience)
		if err != nil {
			return err
		}
		audience = []string{client}
	}
	in := func(a string) bool { return slices.Contains(audience, a) }
	if v.cfg.RequireAllAudiences {
		if slices.ContainsFunc(v.cfg.Audience, func(a string) bool { return !in(a) }) {
			return &Error{Reason: ReasonAudience, Claim: claim}
		}
		return nil
	}
	if !slices.ContainsFunc(v.cfg.Audience, in) {
		return &Error{Reason: ReasonAudience, Claim: claim}
	}
	return nil
}

// notAccessTokens are claims that only other kinds of token have: ID tokens,
// logout tokens and security events.
var notAccessTokens = []string{"nonce", "at_hash", "c_hash", "s_hash", "events"}

func (v *AccessTokenVerifier) checkType(typ string, p payload) error {
	switch mediaType(typ) {
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
		if p.present(name) {
			return &Error{Reason: ReasonType, Claim: name, Err: errOtherKind}
		}
	}
	return checkKind(p, "bearer", "access", "dpop") // Keycloak names the type of the token
}

// errOtherKind helps with Keycloak, which has a mapper that puts the nonce into
// access tokens.
var errOtherKind = errors.New("a claim of other kinds of token; if it is an access token all the same, have the provider leave the claim out")

var errUntyped = errors.New("not marked as an access token (at+jwt, RFC 9068); if the provider never does so, set InsecureAllowUntyped")

// checkRest looks at what RFC 9068 section 2.2 requires besides. Where it is optional,
// it still has to be what it is called.
func (v *AccessTokenVerifier) checkRest(token *AccessToken, p payload) error {
	strict := !v.cfg.InsecureAllowUntyped
	if strict && token.IssuedAt.IsZero() {
		return &Error{Reason: ReasonClaim, Claim: "iat"}
	}
	if strict || p.has("jti") {
		if _, err := identifier(p, "jti", ReasonClaim); err != nil {
			return err
		}
	}
	return v.readClient(token, p)
}

// readClient reads who the token was issued to.
func (v *AccessTokenVerifier) readClient(token *AccessToken, p payload) (err error) {
	name := "client_id"
	if v.cfg.InsecureAllowUntyped && !p.present(name) {
		if name = "azp"; !p.present(name) {
			return nil
		}
	}
	token.ClientID, err = identifier(p, name, ReasonClaim)
	return err
}
