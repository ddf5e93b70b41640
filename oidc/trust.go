package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// trust is what all verifiers have in common: whose tokens are good, signed how, and
// for how long. It stands together in one value per issuer, so that no issuer's
// tokens are ever judged by another's rules.
type trust struct {
	provider   *Provider
	keys       jwks.Source
	algorithms []string
	leeway     time.Duration
	maxAge     time.Duration // 0 is no limit
	required   []claims.Path
	policy     claims.Policy // zero is none
	decryption []jwks.DecryptionKey
	plain      bool // tokens that are not encrypted are good although decryption is set
}

// Limits of Leeway: how far the clocks of provider and reader may differ.
const (
	defaultLeeway = time.Minute
	maxLeeway     = 5 * time.Minute
)

// newTrust fills in the defaults of t and checks it. The name is that of the
// configuration, for errors.
func newTrust(name string, t trust) (trust, error) {
	if t.provider == nil || t.provider.now == nil {
		return t, fmt.Errorf("oidc: %s needs a provider that NewProvider made", name)
	}
	if t.keys == nil {
		t.keys = t.provider.keys
	}
	t.algorithms = slices.Clone(t.algorithms)
	if len(t.algorithms) == 0 {
		t.algorithms = slices.Clone(jwt.Asymmetric)
	}
	t.required, t.decryption = slices.Clone(t.required), slices.Clone(t.decryption)
	switch {
	case t.leeway == 0:
		t.leeway = defaultLeeway
	case t.leeway < 0 || t.leeway > maxLeeway:
		return t, fmt.Errorf("oidc: %s.Leeway must be between 0 and 5 min", name)
	}
	if t.maxAge < 0 || t.maxAge > longestLife {
		return t, fmt.Errorf("oidc: %s.MaxAge must be between 0, which is no limit, and ten years", name)
	}
	if slices.ContainsFunc(t.decryption, func(k jwks.DecryptionKey) bool { return len(k.Algorithms()) == 0 }) {
		return t, fmt.Errorf("oidc: %s.DecryptionKeys has one that was not made by package jwks", name)
	}
	if t.plain && len(t.decryption) == 0 {
		return t, fmt.Errorf("oidc: %s.InsecureAllowUnencrypted goes with DecryptionKeys", name)
	}
	if slices.ContainsFunc(t.required, claims.Path.IsZero) {
		return t, fmt.Errorf("oidc: %s.RequiredClaims has an empty path", name)
	}
	return t, nil
}

// checkAlgorithms reports why the allow list cannot be used with these keys.
func (t *trust) checkAlgorithms(field string) error {
	if err := jwks.CheckAlgorithms(t.algorithms); err != nil {
		return fmt.Errorf("oidc: %s: %w", field, err)
	}
	if t.provider.remote && t.keys == t.provider.keys && slices.Contains(jwt.Symmetric, t.algorithms[0]) {
		return fmt.Errorf("oidc: %s: HS algorithms need keys of jwks.Symmetric; the provider's own are public", field)
	}
	return nil
}

// open parses a token, after decryption if it is encrypted.
func (t *trust) open(raw string) (*jwt.Token, error) {
	if len(t.decryption) > 0 {
		var err error
		if raw, err = t.decrypt(raw); err != nil {
			return nil, err
		}
	}
	parsed, err := jwt.Parse(raw)
	if err != nil {
		return nil, refused(err)
	}
	return parsed, nil
}

func (t *trust) decrypt(raw string) (string, error) {
	if !jwe.IsEncrypted(raw) {
		return raw, t.checkPlain()
	}
	inner, err := jwks.Decrypt(t.decryption, raw)
	if err != nil {
		return "", refused(err)
	}
	return inner, nil
}

// checkPlain judges a token that is not encrypted: what was agreed to be encrypted is
// refused otherwise (OpenID Connect Core section 3.1.3.7, 1).
func (t *trust) checkPlain() error {
	if len(t.decryption) > 0 && !t.plain {
		return &Error{Reason: ReasonEncryption, Err: errors.New("not encrypted, though decryption keys are configured")}
	}
	return nil
}

func (t *trust) checkAlgorithm(alg string) error {
	if !jwt.Allows(t.algorithms, alg) {
		return algorithmRefused(alg)
	}
	return nil
}

func payloadOf(parsed *jwt.Token) payload {
	return payload{members: parsed.Claims, set: claims.FromVerified(parsed.Payload, parsed.Claims)}
}

func (t *trust) checkSignature(ctx context.Context, parsed *jwt.Token) error {
	if err := jwks.VerifyParsed(ctx, t.keys, t.algorithms, parsed); err != nil {
		return refused(err)
	}
	return nil
}

func (t *trust) checkAge(issuedAt, now time.Time) error {
	switch {
	case t.maxAge == 0:
	case issuedAt.IsZero():
		return &Error{Reason: ReasonClaim, Claim: "iat", Err: errors.New("missing, and MaxAge is set")}
	case now.After(issuedAt.Add(t.maxAge + t.leeway)):
		return &Error{Reason: ReasonTooOld, Claim: "iat"}
	}
	return nil
}

func (t *trust) checkRequired(set claims.Set) error {
	for _, path := range t.required {
		if !set.Has(path) {
			return &Error{Reason: ReasonClaim, Claim: path.String(), Err: errors.New("required by the configuration, and missing or null")}
		}
	}
	return t.checkPolicy(set)
}

// checkPolicy: what a policy of the issuer's refuses is none of our tokens, whoever signed
// it, and no question of rights.
func (t *trust) checkPolicy(set claims.Set) error {
	if t.policy.IsZero() {
		return nil
	}
	err := t.policy.Check(set)
	var unmet *claims.PolicyError
	if errors.As(err, &unmet) {
		return &Error{Reason: ReasonPolicy, Claim: unmet.Claim, Err: errors.New(unmet.Error())}
	}
	return err
}

// checkKind compares the claims by which some providers tell their kinds of token
// apart: Keycloak's typ (Bearer, ID, Refresh) and Cognito's token_use (access, id).
func checkKind(p payload, kinds ...string) error {
	for _, name := range [...]string{"typ", "token_use"} {
		if !p.has(name) {
			continue
		}
		kind, err := p.text(name)
		if err != nil || !slices.Contains(kinds, strings.ToLower(kind)) {
			return &Error{Reason: ReasonType, Claim: name}
		}
	}
	return nil
}

// mediaType brings a "typ" header to the form in which types are compared (RFC 7515
// section 4.1.9).
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}
