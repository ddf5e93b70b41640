package jwks

import (
	"context"
	"fmt"
	"slices"

	"github.com/oidckit/oidckit/internal/jwt"
)

// A Source gives the keys of one issuer. It must be safe for concurrent use.
type Source interface {
	// Keys returns keys that fit the query, at most a handful. No fitting key is
	// a *KeyNotFoundError, or an empty answer; keys that cannot be had at the
	// moment are an error that answers errors.Is for oidckit.ErrUnavailable.
	//
	// A Query with Retry follows one whose keys did not verify the signature: a
	// provider may have replaced a key under the same "kid". The source then
	// returns only keys that it did not return before.
	//
	// The answer belongs to the source and must not be changed.
	Keys(ctx context.Context, q Query) ([]Key, error)
}

// A Query describes a token to a [Source].
type Query struct {
	KeyID     string // "kid", may be empty
	Algorithm string // "alg", on the caller's allow list
	Retry     bool   // the keys of the first answer did not fit
}

// maxTries is how many keys are tried for a token.
const maxTries = 8

// match chooses by kid, key type and algorithm together. A token without "kid"
// may be of each key that fits. A "kid" that no key has may be of a key without
// one, if that is the only key that fits.
func match(keys []Key, q Query) []Key {
	found := choose(keys, func(k *Key) bool {
		return (q.KeyID == "" || k.id == q.KeyID) && k.fits(q.Algorithm)
	})
	if len(found) > 0 || q.KeyID == "" {
		return found
	}
	fitting := choose(keys, func(k *Key) bool { return k.fits(q.Algorithm) })
	if len(fitting) == 1 && fitting[0].id == "" {
		return fitting
	}
	return nil
}

// choose returns the keys that fit, at most as many as are tried. One key, as there
// nearly always is, is given as the part of keys that it is: nothing is allocated.
func choose(keys []Key, fits func(*Key) bool) (chosen []Key) {
	for i := range keys {
		switch {
		case !fits(&keys[i]):
		case chosen == nil:
			chosen = keys[i : i+1 : i+1]
		case len(chosen) == maxTries:
			return chosen
		default:
			chosen = append(chosen, keys[i])
		}
	}
	return chosen
}

// Static holds keys that never change. The zero Static has none.
type Static []Key

// Keys implements [Source].
func (s Static) Keys(_ context.Context, q Query) ([]Key, error) {
	if q.Retry {
		return nil, nil
	}
	return match(s, q), nil
}

// Symmetric returns a source for tokens in HS256, HS384 or HS512 that are keyed
// by a secret which issuer and reader share (OpenID Connect Core section 10.1). A
// secret shorter than the hash of one of the algorithms is an error (RFC 7518
// section 3.2).
func Symmetric(secret []byte, algorithms ...string) (Source, error) {
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

// verify checks the signature of t with the keys of src.
func verify(ctx context.Context, src Source, t *jwt.Token) error {
	q := Query{KeyID: t.KeyID, Algorithm: t.Algorithm}
	if src == nil {
		return &KeyNotFoundError{KeyID: q.KeyID, Algorithm: q.Algorithm}
	}
	keys, err := src.Keys(ctx, q)
	if err != nil {
		return err
	}
	tried := try(t, keys)
	if tried == nil {
		return nil
	}
	// The key may have been replaced; ask once more. A source that has no answer
	// leaves the first finding: the signature is not that of the key we know.
	q.Retry = true
	if keys, err = src.Keys(ctx, q); err == nil && len(keys) > 0 {
		return try(t, keys)
	}
	return tried
}

func try(t *jwt.Token, keys []Key) (err error) {
	for i := range keys[:min(len(keys), maxTries)] {
		if !keys[i].fits(t.Algorithm) {
			continue
		}
		if err = t.Verify(keys[i].material); err == nil {
			return nil
		}
	}
	if err == nil {
		err = &KeyNotFoundError{KeyID: t.KeyID, Algorithm: t.Algorithm}
	}
	return err
}
