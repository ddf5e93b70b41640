package jwks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/oidckit/oidckit/internal/jwt"
)

// Verify parses a compact JWS strictly and checks its signature with the keys of
// src, in one of the allowed algorithms. It returns the payload, which is one
// JSON object, or nothing and an error: one that answers errors.Is for
// oidckit.ErrInvalidToken if the token is at fault, for oidckit.ErrUnavailable if
// the keys cannot be had. It does not look at the claims, but at "iss" to leave out
// keys that are for another issuer (see [Key.Issuer]).
func Verify(ctx context.Context, src Source, algorithms []string, raw string) (payload []byte, err error) {
	t, err := jwt.Parse(raw)
	if err != nil {
		return nil, err
	}
	defer t.Release()
	if err := VerifyParsed(ctx, src, algorithms, t); err != nil {
		return nil, err
	}
	return []byte(t.Payload), nil
}

// VerifyParsed is [Verify] for a token that another package of this module has
// parsed already. Programs call [Verify].
func VerifyParsed(ctx context.Context, src Source, algorithms []string, t *jwt.Token) error {
	if !jwt.Allows(algorithms, t.Algorithm) {
		return errAlgorithm
	}
	return verify(ctx, src, t)
}

// CheckAlgorithms reports why algorithms cannot be an allow list: it is empty,
// has an unknown member ("none" is one), or mixes secrets with public keys, which
// is how a public key becomes an HMAC secret (RFC 8725 section 3.1).
func CheckAlgorithms(algorithms []string) error {
	symmetric := 0
	for _, alg := range algorithms {
		switch {
		case slices.Contains(jwt.Symmetric, alg):
			symmetric++
		case !slices.Contains(jwt.Asymmetric, alg):
			return fmt.Errorf("jwks: unknown algorithm %q", alg)
		}
	}
	switch {
	case len(algorithms) == 0:
		return errors.New("jwks: no algorithm is allowed")
	case symmetric != 0 && symmetric != len(algorithms):
		return errors.New("jwks: HS algorithms and public-key algorithms never stand together")
	}
	return nil
}

// A KeySet makes a [Source] a KeySet of github.com/coreos/go-oidc/v3/oidc, so
// that a program can use the one with the other. go-oidc makes texts of errors: who has
// to tell an outage from a bad token wraps VerifySignature and keeps its error.
type KeySet struct {
	Source Source
	// Algorithms are the allowed ones, none of them means none.
	Algorithms []string
}

// VerifySignature implements the interface of go-oidc, by [Verify].
func (s KeySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	return Verify(ctx, s.Source, s.Algorithms, raw)
}
