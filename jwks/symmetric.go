package jwks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidckit/oidckit/internal/jwt"
)

// Symmetric returns a source for tokens in HS256, HS384 or HS512 that are keyed
// by a secret which issuer and reader share (OpenID Connect Core section 10.1). It
// is [Versioned]. A secret shorter than the hash of one of the algorithms is an error
// (RFC 7518 section 3.2), and so is one of zeros alone, which nobody has set.
func Symmetric(secret []byte, algorithms ...string) (Source, error) {
	if len(bytes.Trim(secret, "\x00")) == 0 {
		return nil, errors.New("jwks: the secret is empty, or all its bytes are zero")
	}
	if len(algorithms) == 0 {
		return nil, fmt.Errorf("jwks: Symmetric needs one or more algorithms of %v", jwt.Symmetric)
	}
	keys := make(Static, 0, len(algorithms))
	for _, alg := range algorithms {
		if !slices.Contains(jwt.Symmetric, alg) {
			return nil, fmt.Errorf("jwks: %q is no symmetric algorithm, use one of %v", alg, jwt.Symmetric)
		}
		if !jwt.Fits(alg, secret) {
			return nil, fmt.Errorf("jwks: the secret is shorter than the %d bytes that %s needs", jwt.Hash(alg).Size(), alg)
		}
		keys = append(keys, Key{algorithm: alg, material: jwt.NewSecret(secret)})
	}
	return hidden(func() Static { return keys }), nil
}

// hidden holds keys behind a function, where no printing reaches them: package fmt
// asks no method of what stands in an unexported field.
type hidden func() Static

// Keys implements [Source].
func (h hidden) Keys(ctx context.Context, q Query) ([]Key, error) { return h().Keys(ctx, q) }

// Version implements [Versioned].
func (h hidden) Version(ctx context.Context, now time.Time) (version uint64, ok bool) {
	return h().Version(ctx, now)
}
