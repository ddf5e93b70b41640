package jwe

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/oidckit/oidckit/internal/jwt"
)

// A Key decrypts. It prints its secrets: whoever holds one hides it. The zero Key
// fits no token.
type Key struct {
	ID         string   // "kid", or empty
	Algorithms []string // the values of "alg" it is used for
	enc        string   // of a shared secret: the only value of "enc"
	material   any      // *rsa.PrivateKey, *ecdsa.PrivateKey or []byte
	curve      ecdh.Curve
}

// NewKey returns a key of an *rsa.PrivateKey, an *ecdsa.PrivateKey or an
// *ecdh.PrivateKey on a NIST curve. An empty algorithm means each that fits.
func NewKey(private crypto.PrivateKey, id, algorithm string) (Key, error) {
	k, err := newKey(private)
	if err != nil {
		return Key{}, err
	}
	k.ID = id
	switch {
	case algorithm == "":
	case slices.Contains(k.Algorithms, algorithm):
		k.Algorithms = []string{algorithm}
	default:
		return Key{}, fmt.Errorf("the key does not fit the algorithm %q, use one of %v", algorithm, k.Algorithms)
	}
	return k, nil
}

func newKey(private crypto.PrivateKey) (Key, error) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return newRSA(private)
	case *ecdsa.PrivateKey:
		return newEC(private)
	case *ecdh.PrivateKey:
		return newECDH(private)
	}
	return Key{}, fmt.Errorf("%T is no private key that can decrypt, use RSA or an elliptic curve", private)
}

func newRSA(private *rsa.PrivateKey) (Key, error) {
	malformed := errors.New("malformed RSA private key")
	if private == nil || !complete(private) { // without its numbers it would panic later
		return Key{}, malformed
	}
	if err := jwt.CheckRSA(&private.PublicKey); err != nil {
		return Key{}, err
	}
	if private.Validate() != nil || !inverse(private) {
		return Key{}, malformed
	}
	return Key{Algorithms: forRSA, material: private}, nil
}

// inverse reports whether the private exponent undoes the public one. Go 1.25.0 does not
// look at it if the other numbers are there.
func inverse(k *rsa.PrivateKey) bool {
	one := big.NewInt(1)
	for _, prime := range k.Primes {
		less := new(big.Int).Sub(prime, one)
		de := new(big.Int).Mul(k.D, big.NewInt(int64(k.E)))
		if de.Mod(de, less).Cmp(one) != 0 {
			return false
		}
	}
	return true
}

func newEC(private *ecdsa.PrivateKey) (Key, error) {
	if private == nil || !complete(private) {
		return Key{}, errors.New("malformed EC private key")
	}
	d, err := private.ECDH()
	if err != nil {
		return Key{}, errors.New("EC private key on another curve than P-256, P-384 and P-521, or malformed")
	}
	if q, err := private.PublicKey.ECDH(); err != nil || !d.PublicKey().Equal(q) {
		return Key{}, errors.New("the EC private key belongs to another public key")
	}
	return Key{Algorithms: forEC, material: private, curve: d.Curve()}, nil
}

func complete(private crypto.PrivateKey) bool {
	return (&jose.JSONWebKey{Key: private}).Valid()
}

// newECDH makes the key what go-jose knows.
func newECDH(private *ecdh.PrivateKey) (Key, error) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if private != nil && private.Curve() == curves[curve.Params().Name] {
			k, _ := ecdsa.ParseRawPrivateKey(curve, private.Bytes()) // nil, if it could fail
			return newEC(k)
		}
	}
	return Key{}, errors.New("ECDH private key on another curve than P-256, P-384 and P-521")
}

// NewDirectKey returns a key of a shared secret that is the content-encryption
// key itself, of one algorithm.
func NewDirectKey(secret []byte, id, enc string) (Key, error) {
	c, ok := contents[enc]
	if !ok {
		return Key{}, fmt.Errorf("unknown content encryption %q, use one of %v", enc, slices.Sorted(maps.Keys(contents)))
	}
	if len(secret) != c.key {
		return Key{}, fmt.Errorf("a secret of %d bytes, %s needs %d", len(secret), enc, c.key)
	}
	return Key{ID: id, Algorithms: []string{direct}, enc: enc, material: slices.Clone(secret)}, nil
}

// Public returns the public half: an *rsa.PublicKey or *ecdsa.PublicKey, or nil of a
// shared secret, which has none.
func (k Key) Public() crypto.PublicKey {
	if private, ok := k.material.(crypto.Signer); ok {
		return private.Public()
	}
	return nil
}

// fits reports whether the key could have been meant, by all that is public: a
// key is of one type and one size, and is never used as another (RFC 8725
// section 3.1). An encrypted key that is shorter than the modulus would be one
// whose leading zeros were cut off, another spelling of the token.
func (k Key) fits(t *token) bool {
	if !slices.Contains(k.Algorithms, t.alg) {
		return false
	}
	switch material := k.material.(type) {
	case *rsa.PrivateKey:
		return len(t.encryptedKey) == material.Size()
	case *ecdsa.PrivateKey:
		return k.curve == t.ephemeral
	default:
		return k.enc == t.enc
	}
}

// maxTries is how many keys are tried for a token.
const maxTries = 2

// choose returns the keys that fit a token by kid, type and algorithm together.
// A token without "kid" may be for each key that fits. A "kid" that no key has
// may be of a key without one, if that is the only key that fits.
func choose(keys []Key, t *token) []Key {
	var named, nameless, fitting []Key
	for _, k := range keys {
		if !k.fits(t) {
			continue
		}
		fitting = append(fitting, k)
		switch k.ID {
		case "":
			nameless = append(nameless, k)
		case t.kid:
			named = append(named, k)
		}
	}
	switch {
	case t.kid == "":
		named = fitting
	case named == nil && len(fitting) == 1:
		named = nameless
	}
	return named[:min(len(named), maxTries)]
}
