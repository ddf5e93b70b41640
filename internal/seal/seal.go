// Package seal encrypts and authenticates what browsers and stores keep for us: XAES-256-GCM
// (C2SP) with keys that HKDF (RFC 5869) makes of a secret, one for each purpose.
package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
)

// ErrOpen says that the text was not sealed by any key of the ring for this purpose and context, or
// was changed since.
var ErrOpen = errors.New("seal: not sealed by a key of this ring, or changed since")

// MinSecret is how many bytes a secret has at least: what cannot be guessed has 128 bits.
const MinSecret = 16

// A Ring is a list of keys: the first one seals, all of them open. It may be shared.
type Ring struct {
	secrets  [][]byte // pseudorandom keys of RFC 5869, first the one that seals
	purposes sync.Map // string to []sealer, in the order of secrets
}

// New makes a ring of secrets of any length from 16 bytes on, of which each purpose has keys of its own.
func New(secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("seal: no key")
	}
	r := new(Ring)
	for i, secret := range secrets {
		if err := check(secret); err != nil {
			return nil, fmt.Errorf("seal: key %d of %d %w", i+1, len(secrets), err)
		}
		r.secrets = append(r.secrets, must(hkdf.Extract(sha256.New, secret, nil)))
	}
	return r, nil
}

// check finds the secrets that are none: a variable that was not set, a buffer that nobody
// filled. It cannot find all that can be guessed.
func check(secret []byte) error {
	if len(secret) < MinSecret {
		return fmt.Errorf("has %d bytes, and %d are the least", len(secret), MinSecret)
	}
	if bytes.Count(secret, secret[:1]) == len(secret) {
		return errors.New("is one byte over and over")
	}
	return nil
}

// Random makes a ring of one key that nobody else has.
func Random() *Ring {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	return must(New(secret))
}

// Format keeps keys out of whatever prints a Ring.
func (*Ring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("seal.Ring(redacted)")) }

// Seal returns plain, sealed for purpose. It opens in the same context only. Purposes are few
// and the program's own: the keys of each one are kept.
func (r *Ring) Seal(purpose, context string, plain []byte) []byte {
	return r.sealers(purpose)[0].seal(plain, context)
}

// Open returns what was sealed. stale reports that another key than the first one did it.
func (r *Ring) Open(purpose, context string, sealed []byte) (plain []byte, stale bool, err error) {
	for i, s := range r.sealers(purpose) {
		if plain, ok := s.open(sealed, context); ok {
			return plain, i > 0, nil
		}
	}
	return nil, false, ErrOpen
}

func (r *Ring) sealers(purpose string) []sealer {
	if kept, ok := r.purposes.Load(purpose); ok {
		return kept.([]sealer) //nolint:errcheck // nothing else is kept there
	}
	made := make([]sealer, len(r.secrets))
	for i, secret := range r.secrets {
		made[i] = newSealer(must(hkdf.Expand(sha256.New, secret, "oidckit seal 1 "+purpose, idSize+keySize)))
	}
	r.purposes.Store(purpose, made)
	return made
}

// must is for what fails on wrong lengths alone, where the lengths are ours.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
