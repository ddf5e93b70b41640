package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// ParseSigningKey reads one private JWK (RFC 7517 section 4): RSA, EC or OKP with
// Ed25519. Its "use" must be "sig" and its "key_ops" must have "sign", where they are
// present. Without "alg" it signs as an empty Algorithm of [SigningKeyConfig] says;
// certificates in it are not looked at. Errors are of type *KeyError and hold nothing
// of the key but its "alg".
func ParseSigningKey(jwk []byte) (*SigningKey, error) { return parseSigning(string(jwk)) }

// ParseSigningKeys reads a JWK Set of private keys (RFC 7517 section 5), as
// [ParseSigningKey] reads each. It leaves out keys that are for encryption by their
// "use" or "key_ops". Any other member that is no signing key is an error, of type
// *KeyError, that says which: the set is our own. No key at all is
// [ErrNoUsableKey], more than 100 members are an error.
func ParseSigningKeys(set []byte) ([]*SigningKey, error) {
	object, err := strictjson.Parse(set)
	if err != nil {
		return nil, &KeyError{KeyMalformed, err.Error()} // which holds nothing of the text
	}
	value, _ := object.Get("keys")
	if strictjson.Kind(value) != '[' {
		return nil, &KeyError{KeyMalformed, `"keys" is missing or no list`}
	}
	var keys []*SigningKey
	i := 0
	for member := range strictjson.Elements(value) {
		if i == maxKeys {
			return nil, &KeyError{KeyMalformed, "a set of more than 100 keys"}
		}
		key, err := parseSigning(member)
		switch {
		case err == nil:
			keys = append(keys, key)
		case reasonOf(err) != KeyUse:
			return nil, fmt.Errorf("jwks: keys[%d]: %w", i, err)
		}
		i++
	}
	if len(keys) == 0 {
		return nil, ErrNoUsableKey
	}
	return keys, nil
}

func parseSigning(text string) (*SigningKey, error) {
	j, err := parseJWK(text)
	if err != nil {
		return nil, err
	}
	if err := j.checkPrivate(); err != nil {
		return nil, err
	}
	var members privateJWK
	if strictjson.Decode(text, &members) != nil {
		return nil, &KeyError{KeyMalformed, "a member of the key is of another type"}
	}
	if err := members.checkSigns(); err != nil {
		return nil, err
	}
	signer, err := members.signer()
	if err != nil {
		return nil, err
	}
	if members.Algorithm != "" && !jwt.Fits(members.Algorithm, signer.Public()) {
		return nil, &KeyError{KeyUnsupported, "the algorithm " + quoted(members.Algorithm) + " of the key is unknown, or does not fit its type"}
	}
	key, err := NewSigningKey(SigningKeyConfig{Signer: signer, Algorithm: members.Algorithm, KeyID: members.KeyID})
	if err != nil {
		return nil, err
	}
	if err := key.try(); err != nil {
		return nil, err
	}
	return key, nil
}

func (j jwk) checkPrivate() error {
	kty, err := j.text("kty")
	if err != nil {
		return err
	}
	if _, ok := j.object.Get("k"); ok || kty == "oct" {
		return &KeyError{KeySymmetric, "symmetric key in a place for private ones"}
	}
	if _, ok := j.object.Get("oth"); ok {
		return &KeyError{KeyUnsupported, "an RSA key of more than two primes"}
	}
	if _, ok := j.object.Get("d"); !ok {
		return &KeyError{KeyMalformed, "public key in a place for private ones"}
	}
	return nil
}

// checkSigns: RFC 7517 sections 4.2 and 4.3.
func (j privateJWK) checkSigns() error {
	switch {
	case j.Use != "" && j.Use != "sig":
		return &KeyError{KeyUse, "the key is not for signatures"}
	case j.Operations != nil && !slices.Contains(j.Operations, "sign"):
		return &KeyError{KeyUse, "the key is not for signing"}
	}
	return nil
}

func (j privateJWK) signer() (crypto.Signer, error) {
	private, err := j.private()
	if err != nil {
		return nil, &KeyError{KeyMalformed, "malformed key, or of a type, curve or size that is not supported"}
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		if !fitsPrimes(k) {
			return nil, &KeyError{KeyMalformed, "the numbers of the key do not belong together"}
		}
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errUnsupported
}

// fitsPrimes reports whether "d" belongs to "e" and the primes (RFC 8017 section 3.2).
// Signing uses the primes alone, and Go before 1.26 does not look.
func fitsPrimes(k *rsa.PrivateKey) bool {
	one := big.NewInt(1)
	for _, prime := range k.Primes {
		order := new(big.Int).Sub(prime, one)
		product := new(big.Int).Mul(k.D, big.NewInt(int64(k.E)))
		if product.Mod(product, order).Cmp(one) != 0 {
			return false
		}
	}
	return true
}

// try signs once: the public and the private numbers of a JWK need not belong
// together, and then nobody could verify what the key signs.
func (k *SigningKey) try() error {
	compact, err := k.signer().Sign([]byte(k.header+"}"), []byte("{}"))
	if err != nil {
		return &KeyError{KeyMalformed, "the key cannot sign"}
	}
	t, err := jwt.Parse(compact)
	if err != nil {
		return &KeyError{KeyMalformed, "the key cannot sign"}
	}
	defer t.Release()
	if t.Verify(k.public) != nil {
		return &KeyError{KeyMalformed, "the private key belongs to another public key"}
	}
	return nil
}
