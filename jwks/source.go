package jwks

import (
	"context"
	"slices"
	"time"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Source gives the keys of one issuer. It must be safe for concurrent use. See
// [Versioned] for what one can do besides.
type Source interface {
	// Keys returns keys that fit the query, at most a handful. No fitting key is
	// a *KeyNotFoundError, or an empty answer; keys that cannot be had at the
	// moment are an error that answers errors.Is for oidckit.ErrUnavailable.
	//
	// A Query with Retry follows one whose keys did not verify the signature: a
	// provider may have replaced a key under the same "kid". The source then
	// returns only keys that are not among those that were tried ([Key.Equal]). A source
	// that has all its keys at hand can leave this and the choice by kid, type and
	// algorithm to Static(keys).Keys(ctx, q).
	//
	// The answer belongs to the source and must not be changed.
	Keys(ctx context.Context, q Query) ([]Key, error)
}

// A Query describes a token to a [Source].
type Query struct {
	KeyID     string // "kid", may be empty
	Algorithm string // "alg", on the caller's allow list
	// Issuer is the "iss" whose token it is to be, may be empty. Keys that name an
	// issuer are for it alone; see [Key.Issuer].
	Issuer string
	Retry  bool  // the keys of the first answer did not fit
	Tried  []Key // with Retry: the keys of the first answer
}

// Versioned is a [Source] that tells whether what it said still holds: as long as
// it answers with the same version and ok, a signature that one of its keys has
// verified need not be verified again. All sources of this package are Versioned. A
// source that is not verifies as well, but has no place under a cache of tokens.
type Versioned interface {
	Source

	// Version returns a number that changes when a key has left the set, was
	// replaced, or has changed anything of what decides for which tokens it is used.
	// It stays the same when keys are merely added, or were read again and are equal.
	// It must never come back to an earlier number.
	//
	// ok is false if the keys cannot be told at once: they were never read, are too
	// old to be used, or must be asked for first. Version does not wait. It starts
	// what is due in the background, as Keys does, so that a caller who asks for
	// nothing but the version learns of a withdrawn key as soon as any other. It is
	// called for each token, and must be fast. now is the caller's time.
	Version(ctx context.Context, now time.Time) (version uint64, ok bool)
}

// maxTries is how many keys are tried for a token.
const maxTries = 8

// match chooses by kid, key type and algorithm together. A token without "kid"
// may be of each key that fits. A "kid" that no key has may be of a key without
// one, if that is the only key that fits.
func match(keys []Key, q Query) []Key {
	found := choose(keys, func(k *Key) bool {
		return (q.KeyID == "" || k.id == q.KeyID) && k.fits(q.Algorithm, q.Issuer)
	})
	if len(found) > 0 || q.KeyID == "" {
		return found
	}
	fitting := choose(keys, func(k *Key) bool { return k.fits(q.Algorithm, q.Issuer) })
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

// untried returns those of keys that a Retry has not tried yet.
func untried(keys []Key, q Query) []Key {
	if len(q.Tried) == 0 {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return slices.ContainsFunc(q.Tried, k.Equal) })
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

// Version implements [Versioned]: it never changes.
func (s Static) Version(context.Context, time.Time) (version uint64, ok bool) { return 1, true }

// verify checks the signature of t with the keys of src.
func verify(ctx context.Context, src Source, t *jwt.Token) error {
	q := queryFor(t)
	if src == nil {
		return &KeyNotFoundError{KeyID: q.KeyID, Algorithm: q.Algorithm}
	}
	keys, err := src.Keys(ctx, q)
	if err != nil {
		return err
	}
	tried := try(t, q, keys)
	if tried == nil || len(keys) == 0 { // a source that found nothing has done what it could
		return tried
	}
	// The key may have been replaced; ask once more. A source that has no answer
	// leaves the first finding: the signature is not that of the key we know.
	q.Retry, q.Tried = true, keys
	if keys, err = src.Keys(ctx, q); err == nil && len(keys) > 0 {
		return try(t, q, keys)
	}
	return tried
}

// queryFor takes the token's word for its issuer: the signature decides later
// whether it may say so.
func queryFor(t *jwt.Token) Query {
	q := Query{KeyID: t.KeyID, Algorithm: t.Algorithm}
	if value, ok := t.Claims.Get("iss"); ok {
		q.Issuer, _ = strictjson.String(value)
	}
	return q
}

func try(t *jwt.Token, q Query, keys []Key) (err error) {
	for i := range keys[:min(len(keys), maxTries)] {
		if !keys[i].fits(q.Algorithm, q.Issuer) {
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
