package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
)

// An algorithm is a row of RFC 7518 section 3.1, RFC 8037 or RFC 9864: what is
// hashed how, and which keys fit.
type algorithm struct {
	hash crypto.Hash
	fits func(key any) bool
	pss  bool
}

var algorithms = map[string]*algorithm{
	"RS256":   {hash: crypto.SHA256, fits: fitsRSA},
	"RS384":   {hash: crypto.SHA384, fits: fitsRSA},
	"RS512":   {hash: crypto.SHA512, fits: fitsRSA},
	"PS256":   {hash: crypto.SHA256, fits: fitsRSA, pss: true},
	"PS384":   {hash: crypto.SHA384, fits: fitsRSA, pss: true},
	"PS512":   {hash: crypto.SHA512, fits: fitsRSA, pss: true},
	"ES256":   {hash: crypto.SHA256, fits: fitsEC(elliptic.P256())},
	"ES384":   {hash: crypto.SHA384, fits: fitsEC(elliptic.P384())},
	"ES512":   {hash: crypto.SHA512, fits: fitsEC(elliptic.P521())},
	"EdDSA":   {hash: crypto.SHA512, fits: fitsEd25519},
	"Ed25519": {hash: crypto.SHA512, fits: fitsEd25519},
	"HS256":   {hash: crypto.SHA256, fits: fitsHMAC(crypto.SHA256)},
	"HS384":   {hash: crypto.SHA384, fits: fitsHMAC(crypto.SHA384)},
	"HS512":   {hash: crypto.SHA512, fits: fitsHMAC(crypto.SHA512)},
}

// Asymmetric lists the algorithms that a provider's public key verifies.
var Asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// Symmetric lists the algorithms that are keyed by a shared secret.
var Symmetric = []string{"HS256", "HS384", "HS512"}

// Known reports whether alg is an algorithm of this package. "none" is not.
func Known(alg string) bool { return algorithms[alg] != nil }

// Same reports whether two names are of one algorithm. "EdDSA" leaves the curve
// open, which is Ed25519 here always; RFC 9864 gives it that name.
func Same(a, b string) bool { return a == b || isEdDSA(a) && isEdDSA(b) }

func isEdDSA(alg string) bool { return alg == "EdDSA" || alg == "Ed25519" }

// Allows reports whether alg is one of the allowed algorithms, by either name.
func Allows(allowed []string, alg string) bool {
	for _, a := range allowed {
		if Same(a, alg) {
			return true
		}
	}
	return false
}

// Hash returns the hash function of a known algorithm. It is also the one of
// at_hash (OpenID Connect Core section 3.1.3.6). For EdDSA that is SHA-512.
func Hash(alg string) crypto.Hash { return algorithms[alg].hash }

// Fits reports whether a signature of the algorithm can be checked with key: an
// *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, *[Secret] or []byte of the
// right size and curve.
func Fits(alg string, key any) bool {
	a := algorithms[alg]
	return a != nil && a.fits(key)
}

// Bounds of RSA moduli, in bits: shorter ones are not safe (RFC 7518 section 3.3), and
// with longer ones a single verification is an attack.
const (
	MinRSA = 2048
	MaxRSA = 8192
)

// CheckRSA refuses moduli that are too short to be safe (RFC 7518 section 3.3)
// or so long that one verification is an attack, and exponents that are none.
func CheckRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < MinRSA:
		return errors.New("RSA key shorter than 2048 bits")
	case bits > MaxRSA:
		return errors.New("RSA key longer than 8192 bits")
	case key.E < 3 || key.E&1 == 0:
		return errors.New("RSA exponent is even or too small")
	}
	return nil
}

func fitsRSA(key any) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && CheckRSA(k) == nil
}

func fitsEC(curve elliptic.Curve) func(any) bool {
	return func(key any) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == curve
	}
}

func fitsEd25519(key any) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && len(k) == ed25519.PublicKeySize
}

// A secret shorter than the hash is refused (RFC 7518 section 3.2).
func fitsHMAC(hash crypto.Hash) func(any) bool {
	return func(key any) bool {
		switch k := key.(type) {
		case *Secret:
			return len(k.key) >= hash.Size()
		case []byte:
			return len(k) >= hash.Size()
		}
		return false
	}
}
