package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// IDTokenConfig is what a relying party trusts: together with its Provider, the whole
// policy for the ID tokens of one issuer. A [Client] has one of its own.
type IDTokenConfig struct {
	// ClientID must be in "aud". Required.
	ClientID string
	// TrustedAudiences may stand beside ClientID in "aud"; any other makes the token
	// refused.
	TrustedAudiences []string

	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and
	// EdDSA. HS algorithms need Keys of jwks.Symmetric, and never stand with others.
	Algorithms []string
	// Keys, if not nil, are used in place of the provider's.
	Keys jwks.Source

	// Leeway is how far clocks may differ: default 60 s, at most 5 min. It counts
	// for "exp", "nbf", "iat" and MaxAge.
	Leeway time.Duration
	// MaxAge is how long after "iat" a token is good, however long the provider
	// lets it live; 0 is no limit of our own, ten years are the most.
	MaxAge time.Duration
	// RequiredClaims must be in the token and not null.
	RequiredClaims []claims.Path
	// Policy is as in [AccessTokenConfig].
	Policy claims.Policy

	// DecryptionKeys open encrypted tokens (OpenID Connect Core section 10.2). With
	// them, tokens that are not encrypted are refused.
	DecryptionKeys []jwks.DecryptionKey
	// InsecureAllowUnencrypted accepts both, if there are DecryptionKeys.
	InsecureAllowUnencrypted bool
}

// An IDTokenVerifier verifies the ID tokens that one provider issued to one client.
// It is safe for concurrent use.
type IDTokenVerifier struct {
	trust
	cfg IDTokenConfig
}

// NewIDTokenVerifier returns a verifier for ID tokens. It does no I/O; errors are
// about cfg alone.
func NewIDTokenVerifier(p *Provider, cfg IDTokenConfig) (*IDTokenVerifier, error) {
	v, err := newIDTokenVerifier("IDTokenConfig", p, cfg)
	if err != nil {
		return nil, err
	}
	if err := v.checkAlgorithms("IDTokenConfig.Algorithms"); err != nil {
		return nil, err
	}
	return v, nil
}

func newIDTokenVerifier(name string, p *Provider, cfg IDTokenConfig) (*IDTokenVerifier, error) {
	t, err := newTrust(name, trust{
		provider: p, keys: cfg.Keys, algorithms: cfg.Algorithms, leeway: cfg.Leeway, maxAge: cfg.MaxAge,
		required: cfg.RequiredClaims, policy: cfg.Policy, decryption: cfg.DecryptionKeys, plain: cfg.InsecureAllowUnencrypted,
	})
	if err != nil {
		return nil, err
	}
	if !isIdentifier(cfg.ClientID) {
		return nil, fmt.Errorf("oidc: %s.ClientID is required", name)
	}
	cfg.TrustedAudiences = slices.Clone(cfg.TrustedAudiences)
	return &IDTokenVerifier{trust: t, cfg: cfg}, nil
}

// Verify verifies an ID token (OpenID Connect Core section 3.1.3.7). The nonce is the
// one of the authorization request; without one, a token that has a nonce is refused.
// An error is an *[Error] if the token is at fault, and answers errors.Is for
// oidckit.ErrUnavailable if it could not be judged. A nil or zero verifier refuses
// everything.
func (v *IDTokenVerifier) Verify(ctx context.Context, raw, nonce string) (*IDToken, error) {
	if v == nil || v.provider == nil {
		return nil, errors.New("oidc: IDTokenVerifier was not made by NewIDTokenVerifier")
	}
	return v.verify(ctx, raw, func(p payload) error { return checkNonce(p, nonce) })
}

// VerifyIDToken verifies an ID token that was issued to this client, as
// [IDTokenVerifier.Verify] does. Logins use [Client.Finish], which calls this.
func (c *Client) VerifyIDToken(ctx context.Context, raw, nonce string) (*IDToken, error) {
	if c == nil {
		return nil, errors.New("oidc: Client was not made by NewClient")
	}
	return c.idTokens.Verify(ctx, raw, nonce)
}

func (v *IDTokenVerifier) verify(ctx context.Context, raw string, nonce func(payload) error) (*IDToken, error) {
	parsed, err := v.open(raw)
	if err != nil {
		return nil, err
	}
	defer parsed.Release()
	p := payloadOf(parsed)
	r, err := v.judge(parsed, p, nonce)
	if err != nil {
		return nil, err
	}
	verified, err := v.runGoOIDC(ctx, parsed, r)
	if err != nil {
		return nil, err
	}
	if err := v.checkRequired(p.set); err != nil {
		return nil, err
	}
	return &IDToken{
		Issuer: r.issuer, Subject: r.subject, Audience: r.audience, Expiry: r.expiry, IssuedAt: r.issuedAt,
		Claims: p.set, GoOIDC: verified, raw: parsed.Compact(), algorithm: parsed.Algorithm,
	}, nil
}

// judge makes every check but that of the signature.
func (v *IDTokenVerifier) judge(parsed *jwt.Token, p payload, nonce func(payload) error) (registered, error) {
	if err := v.checkAlgorithm(parsed.Algorithm); err != nil {
		return registered{}, err
	}
	if typ := mediaType(parsed.Type); typ != "" && typ != "jwt" {
		return registered{}, &Error{Reason: ReasonType, Claim: "typ"}
	}
	// A logout token has events, and must not be taken for an ID token (OpenID
	// Connect Back-Channel Logout section 2.4).
	if p.has("events") {
		return registered{}, &Error{Reason: ReasonType, Claim: "events"}
	}
	if err := checkKind(p, "id"); err != nil {
		return registered{}, err
	}
	r, err := v.readRegistered(p, v.provider.now(), true)
	if err != nil {
		return r, err
	}
	if r.subject, err = subject(p); err != nil {
		return r, err
	}
	if r.issuedAt.IsZero() {
		return r, &Error{Reason: ReasonClaim, Claim: "iat"}
	}
	if err := v.checkAudience(p, r.audience); err != nil {
		return r, err
	}
	return r, nonce(p)
}

// checkAudience follows OpenID Connect Core section 3.1.3.7, 3 to 5: we are in
// the audience, nobody is whom we do not trust, and the token is issued to us.
func (v *IDTokenVerifier) checkAudience(p payload, audience []string) error {
	if !slices.Contains(audience, v.cfg.ClientID) {
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	for _, a := range audience {
		if a != v.cfg.ClientID && !slices.Contains(v.cfg.TrustedAudiences, a) {
			return &Error{Reason: ReasonAudience, Claim: "aud", Err: errors.New("holds an audience that is not trusted")}
		}
	}
	azp, err := p.text("azp")
	if missing(err) && len(audience) == 1 {
		return nil
	}
	if err != nil || azp != v.cfg.ClientID {
		return &Error{Reason: ReasonAuthorizedParty, Claim: "azp", Err: err}
	}
	return nil
}

func checkNonce(p payload, nonce string) error {
	if nonce == "" && !p.has("nonce") {
		return nil
	}
	got, err := p.text("nonce")
	if nonce == "" || err != nil || subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) != 1 {
		return &Error{Reason: ReasonNonce, Claim: "nonce", Err: err}
	}
	return nil
}

// runGoOIDC lets go-oidc verify the token with our keys. What it checks, we have
// checked more strictly; it has the last word all the same, so that nothing it
// refuses is ever accepted here. Its errors are texts, hence keyCheck keeps ours.
func (v *IDTokenVerifier) runGoOIDC(ctx context.Context, parsed *jwt.Token, r registered) (*goidc.IDToken, error) {
	check := &keyCheck{verifier: v, parsed: parsed}
	verifier := goidc.NewVerifier(r.issuer, check, &goidc.Config{
		ClientID:             v.cfg.ClientID,
		SupportedSigningAlgs: []string{parsed.Algorithm}, // it is on our list
		Now:                  func() time.Time { return earlier(v.provider.now(), r.expiry.Truncate(time.Second)) },
	})
	verified, err := verifier.Verify(ctx, parsed.Compact())
	switch {
	case check.err != nil:
		return nil, check.err
	case err != nil:
		return nil, &Error{Reason: ReasonMalformed, Err: errors.New("go-oidc refuses it")}
	}
	return verified, nil
}

// earlier is the clock that go-oidc gets: it knows no leeway for "exp", which it
// reads without fractions, and five minutes for "nbf". An earlier clock than this
// would eat those up.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

type keyCheck struct {
	verifier *IDTokenVerifier
	parsed   *jwt.Token
	err      error
}

// VerifySignature implements the KeySet of go-oidc.
func (k *keyCheck) VerifySignature(ctx context.Context, _ string) ([]byte, error) {
	k.err = k.verifier.checkSignature(ctx, k.parsed)
	return []byte(k.parsed.Payload), k.err
}
