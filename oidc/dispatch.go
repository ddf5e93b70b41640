package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A BoundVerifier verifies access tokens of some kind; *[AccessTokenVerifier], *[Issuers] and
// *[IntrospectionVerifier] are ones. A nil prover proves nothing.
type BoundVerifier interface {
	VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error)
}

// TokenDispatcherConfig says who judges which tokens.
type TokenDispatcherConfig struct {
	// JWT judges tokens that have the form of a JWT. Required.
	JWT BoundVerifier
	// Opaque judges all others. Required.
	Opaque BoundVerifier
}

// A TokenDispatcher verifies access tokens of a provider that issues JWTs and opaque ones,
// or of two providers. The form alone decides who judges a token: what has three parts or
// more, the first of which is a JSON object, is a JWT, however odd the rest; a JWE is one if
// JWT is an AccessTokenVerifier with DecryptionKeys. Whatever comes of it, the other one is never
// tried: nobody who sends a token that is refused gets a second opinion. It is safe for
// concurrent use.
type TokenDispatcher struct {
	cfg       TokenDispatcherConfig
	encrypted bool
}

// NewTokenDispatcher returns a verifier that chooses between two. Errors name the field.
func NewTokenDispatcher(cfg TokenDispatcherConfig) (*TokenDispatcher, error) {
	if cfg.JWT == nil || cfg.Opaque == nil {
		return nil, errors.New("oidc: TokenDispatcherConfig needs JWT and Opaque; with one of them, no dispatcher is needed")
	}
	v, ok := cfg.JWT.(*AccessTokenVerifier)
	return &TokenDispatcher{cfg: cfg, encrypted: ok && v != nil && len(v.decryption) > 0}, nil
}

// Verify verifies a token as the verifier for its form does. One that is bound to a key is
// refused with [ReasonBinding]: see VerifyBound. A nil or zero dispatcher refuses everything.
func (d *TokenDispatcher) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	return d.VerifyBound(ctx, raw, nil)
}

// VerifyBound is Verify for tokens that may be bound to keys, as
// [AccessTokenVerifier.VerifyBound] is.
func (d *TokenDispatcher) VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error) {
	if d == nil || d.cfg.JWT == nil {
		return nil, errors.New("oidc: TokenDispatcher was not made by NewTokenDispatcher")
	}
	// A JWT that is too long is none that is short enough to be opaque.
	if err := checkSendable(raw); err != nil {
		return nil, err
	}
	if isJWT(raw) || d.encrypted && jwe.IsEncrypted(raw) {
		return d.cfg.JWT.VerifyBound(ctx, raw, prove)
	}
	return d.cfg.Opaque.VerifyBound(ctx, raw, prove)
}

// isJWT looks at the form, and takes whatever begins as a JWT does for one: what was added
// to it, or taken away, is for a strict parser to refuse, and not for a forgiving provider
// to overlook. A JWE has five parts, and a header that says how it is encrypted.
func isJWT(raw string) bool {
	if strings.Count(raw, ".") < 2 {
		return false
	}
	head, _, _ := strings.Cut(raw, ".")
	header, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(head, "="))
	text := strings.TrimLeft(string(header), " \t\r\n")
	if err != nil || !strings.HasPrefix(text, "{") {
		return false
	}
	if strings.Count(raw, ".") != 4 {
		return true
	}
	o, err := strictjson.ParseString(text)
	_, encrypted := o.Get("enc")
	return err != nil || !encrypted
}
