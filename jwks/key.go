package jwks

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Key verifies signatures. Keys are values and may be shared.
type Key struct {
	id        string
	algorithm string
	material  any // as jwt.Fits knows it
}

// NewKey returns a key of an *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey. The kid may be empty. The algorithm (RFC 7518 section 3.1)
// is the only one the key is used for; empty means each that its type fits.
func NewKey(public crypto.PublicKey, kid, algorithm string) (Key, error) {
	if !(&jose.JSONWebKey{Key: public}).Valid() { // without its numbers it would panic later
		return Key{}, fmt.Errorf("jwks: %T is malformed, or no public key that is supported", public)
	}
	if k, ok := public.(*rsa.PublicKey); ok {
		if err := jwt.CheckRSA(k); err != nil {
			return Key{}, fmt.Errorf("jwks: %w", err)
		}
	}
	fits := func(alg string) bool { return jwt.Fits(alg, public) }
	switch {
	case !slices.ContainsFunc(jwt.Asymmetric, fits):
		return Key{}, fmt.Errorf("jwks: %T is no public key that is supported", public)
	case algorithm != "" && !fits(algorithm):
		return Key{}, fmt.Errorf("jwks: the key does not fit the algorithm %q", algorithm)
	}
	return Key{id: kid, algorithm: algorithm, material: public}, nil
}

// ID returns the "kid", or nothing.
func (k Key) ID() string { return k.id }

// Algorithm returns the only algorithm of the key, or nothing if each that fits
// its type will do.
func (k Key) Algorithm() string { return k.algorithm }

// Format prints kid and algorithm with every verb: the key may be a secret.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.Key(%q, %s)", k.id, k.algorithm)
}

func (k Key) fits(algorithm string) bool {
	return (k.algorithm == "" || jwt.Same(k.algorithm, algorithm)) && jwt.Fits(algorithm, k.material)
}

func (k Key) equal(o Key) bool {
	if k.id != o.id || k.algorithm != o.algorithm {
		return false
	}
	public, ok := k.material.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(o.material)
}

// A jwk has the members of a JWK that we look at. "x5c" and its like are not
// among them: a certificate is no reason to trust a key here.
type jwk struct {
	KeyType    string   `json:"kty,omitempty"`
	Use        string   `json:"use,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	KeyID      string   `json:"kid,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
	N          string   `json:"n,omitempty"`
	E          string   `json:"e,omitempty"`
}

// ParseKey reads one public JWK (RFC 7517 section 4). It refuses private and
// symmetric keys, keys that are not for signatures, RSA keys under 2048 or over
// 4096 bits (where go-jose stops), and types, curves and algorithms that are not supported. Errors
// hold nothing of the key.
func ParseKey(data []byte) (Key, error) { return parseKey(string(data)) }

func parseKey(text string) (Key, error) {
	object, err := strictjson.ParseString(text)
	if err != nil {
		return Key{}, fmt.Errorf("jwks: %w", err)
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := object.Get(private); ok {
			return Key{}, errors.New("jwks: private or symmetric key in a public set")
		}
	}
	var j jwk
	if strictjson.Decode(text, &j) != nil {
		return Key{}, errors.New("jwks: a member of the key is of another type")
	}
	switch {
	case j.Use != "" && j.Use != "sig":
		return Key{}, errors.New("jwks: the key is not for signatures")
	case j.Operations != nil && !slices.Contains(j.Operations, "verify"):
		return Key{}, errors.New("jwks: the key is not for verifying")
	}
	public, err := j.public()
	if err != nil {
		return Key{}, err
	}
	return NewKey(public, j.KeyID, j.Algorithm)
}

// public has go-jose build the key, which checks points and lengths. It gets
// nothing but the key itself, so that no other member can spoil it.
func (j jwk) public() (crypto.PublicKey, error) {
	bare, err := json.Marshal(jwk{KeyType: j.KeyType, Curve: j.Curve, X: j.X, Y: j.Y, N: j.N, E: j.E})
	if err != nil {
		return nil, errors.New("jwks: malformed key")
	}
	var parsed jose.JSONWebKey
	if parsed.UnmarshalJSON(bare) != nil || !parsed.Valid() {
		return nil, errors.New("jwks: malformed key, or of a type or curve that is not supported")
	}
	return parsed.Key, nil
}
