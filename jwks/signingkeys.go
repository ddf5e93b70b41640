package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/oidckit/oidckit/internal/jwt"
)

// SigningKeys are keys of our own while they change: one signs, all are published. A
// key is published before it is used, because others keep the set for a while, and
// stays until all that it signed is past:
//
//	keys.Set(old, next) // others learn of next; until their caches have ended ([PublishedFor], or as long as they say)
//	keys.Set(next, old) // next signs; until what old signed has expired
//	keys.Set(next)      // old is withdrawn
//
// It is safe for concurrent use.
type SigningKeys struct {
	set atomic.Pointer[signingSet]
}

// A signingSet is replaced, never changed.
type signingSet struct {
	keys []*SigningKey // the first one signs
}

// NewSigningKeys returns keys of which current signs. Two keys must not have the same
// "kid", or none, nor be the same key with another algorithm (RFC 8725 section 3.8):
// nobody could tell them apart.
func NewSigningKeys(current *SigningKey, also ...*SigningKey) (*SigningKeys, error) {
	s := &SigningKeys{}
	if err := s.Set(current, also...); err != nil {
		return nil, err
	}
	return s, nil
}

// Set replaces all keys at once. Its errors are those of [NewSigningKeys]; they
// change nothing.
func (s *SigningKeys) Set(current *SigningKey, also ...*SigningKey) error {
	keys := append([]*SigningKey{current}, also...)
	if err := checkSigningKeys(keys); err != nil {
		return err
	}
	s.set.Store(&signingSet{keys})
	return nil
}

func checkSigningKeys(keys []*SigningKey) error {
	for i, k := range keys {
		if k == nil || k.signer == nil {
			return errNoSigningKey
		}
		for _, other := range keys[:i] {
			switch {
			case k.ID() == "" || other.ID() == "":
				return errors.New("jwks: one of several signing keys has no KeyID: set one, Thumbprint makes some")
			case k.ID() == other.ID():
				return fmt.Errorf("jwks: two signing keys have the KeyID %s: give each its own", quoted(k.ID()))
			case samePublic(k, other):
				return fmt.Errorf("jwks: the signing keys %s and %s are the same key: make another one", quoted(other.ID()), quoted(k.ID()))
			}
		}
	}
	return nil
}

func samePublic(a, b *SigningKey) bool {
	return Key{material: a.public}.Equal(Key{material: b.public})
}

// all returns the keys, of which there are none if s was not made.
func (s *SigningKeys) all() []*SigningKey {
	if s == nil {
		return nil
	}
	if set := s.set.Load(); set != nil {
		return set.keys
	}
	return nil
}

// SignJWT is [SigningKey.SignJWT] of the current key.
func (s *SigningKeys) SignJWT(ctx context.Context, typ string, payload []byte) (compact string, err error) {
	return s.Current().SignJWT(ctx, typ, payload)
}

// Current returns the key that signs; nil if s was not made by [NewSigningKeys].
func (s *SigningKeys) Current() *SigningKey {
	if keys := s.all(); len(keys) > 0 {
		return keys[0]
	}
	return nil
}

// All returns the keys, the current one first.
func (s *SigningKeys) All() []*SigningKey { return slices.Clone(s.all()) }

// Find returns the first key with this "kid" and this algorithm, the current one
// before the others. What is empty is not compared. It returns nil if there is none.
func (s *SigningKeys) Find(kid, algorithm string) *SigningKey {
	for _, k := range s.all() {
		if (kid == "" || k.ID() == kid) && (algorithm == "" || jwt.Same(k.Algorithm(), algorithm)) {
			return k
		}
	}
	return nil
}

// PublicJWKs implements [Publisher].
func (s *SigningKeys) PublicJWKs(context.Context) ([]PublicJWK, error) {
	keys := s.all()
	if len(keys) == 0 {
		return nil, errNoSigningKey
	}
	list := make([]PublicJWK, len(keys))
	for i, k := range keys {
		list[i] = k.jwk
	}
	return list, nil
}

// Format prints kids and algorithms with every verb.
func (s *SigningKeys) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.SigningKeys%v", s.all())
}

// LogValue implements [slog.LogValuer], like Format.
func (s *SigningKeys) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalText implements [encoding.TextMarshaler], like Format: keys are no text.
func (s *SigningKeys) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(s)), nil }
