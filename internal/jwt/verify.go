package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"errors"
	"math/big"
)

// An algorithm is a row of RFC 7518 section 3.1 or RFC 8037: what is hashed
// how, and which keys fit.
type algorithm struct {
	hash   crypto.Hash
	fits   func(key any) bool
	verify func(a *algorithm, key any, signed, signature []byte) bool
}

var algorithms = map[string]*algorithm{
	"RS256": {crypto.SHA256, fitsRSA, verifyPKCS1v15},
	"RS384": {crypto.SHA384, fitsRSA, verifyPKCS1v15},
	"RS512": {crypto.SHA512, fitsRSA, verifyPKCS1v15},
	"PS256": {crypto.SHA256, fitsRSA, verifyPSS},
	"PS384": {crypto.SHA384, fitsRSA, verifyPSS},
	"PS512": {crypto.SHA512, fitsRSA, verifyPSS},
	"ES256": {crypto.SHA256, fitsEC(elliptic.P256()), verifyECDSA},
	"ES384": {crypto.SHA384, fitsEC(elliptic.P384()), verifyECDSA},
	"ES512": {crypto.SHA512, fitsEC(elliptic.P521()), verifyECDSA},
	"EdDSA": {crypto.SHA512, fitsEd25519, verifyEd25519},
	"HS256": {crypto.SHA256, fitsHMAC(crypto.SHA256), verifyHMAC},
	"HS384": {crypto.SHA384, fitsHMAC(crypto.SHA384), verifyHMAC},
	"HS512": {crypto.SHA512, fitsHMAC(crypto.SHA512), verifyHMAC},
}

// Asymmetric lists the algorithms that a provider's public key verifies.
var Asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Symmetric lists the algorithms that are keyed by a shared secret.
var Symmetric = []string{"HS256", "HS384", "HS512"}

// Known reports whether alg is an algorithm of this package. "none" is not.
func Known(alg string) bool { return algorithms[alg] != nil }

// Hash returns the hash function of a known algorithm. It is also the one of
// at_hash (OpenID Connect Core section 3.1.3.6). For EdDSA that is SHA-512.
func Hash(alg string) crypto.Hash { return algorithms[alg].hash }

// Fits reports whether a signature of the algorithm can be checked with key:
// an *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte of the right
// size and curve.
func Fits(alg string, key any) bool {
	a := algorithms[alg]
	return a != nil && a.fits(key)
}

// Verify checks the signature of t with key. The algorithm is the one that the
// header names: whoever calls has compared it with an allow list, and the type
// of the key must fit, so that a public key is never an HMAC secret
// (CVE-2015-9235). Errors are of type *Error.
func (t *Token) Verify(key any) error {
	a := algorithms[t.Algorithm]
	if a == nil {
		return &Error{Reason: Algorithm}
	}
	if !a.fits(key) {
		return &Error{Reason: KeyMisfit}
	}
	if !a.verify(a, key, t.signed, t.signature) {
		return &Error{Reason: BadSigning}
	}
	return nil
}

func (a *algorithm) digest(signed []byte) []byte {
	h := a.hash.New()
	h.Write(signed)
	return h.Sum(nil)
}

// CheckRSA refuses moduli that are too short to be safe (RFC 7518 section 3.3)
// or so long that one verification is an attack, and exponents that are none.
func CheckRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < 2048:
		return errors.New("RSA key shorter than 2048 bits")
	case bits > 8192:
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
		k, ok := key.([]byte)
		return ok && len(k) >= hash.Size()
	}
}

func verifyPKCS1v15(a *algorithm, key any, signed, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && rsa.VerifyPKCS1v15(k, a.hash, a.digest(signed), signature) == nil
}

// The salt is as long as the hash, no other length (RFC 7518 section 3.5).
func verifyPSS(a *algorithm, key any, signed, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
	return ok && rsa.VerifyPSS(k, a.hash, a.digest(signed), signature, opts) == nil
}

// A signature is r and s at full length, not ASN.1 (RFC 7518 section 3.4).
func verifyECDSA(a *algorithm, key any, signed, signature []byte) bool {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	size := (k.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(k, a.digest(signed), r, s)
}

func verifyEd25519(_ *algorithm, key any, signed, signature []byte) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && ed25519.Verify(k, signed, signature)
}

func verifyHMAC(a *algorithm, key any, signed, signature []byte) bool {
	k, ok := key.([]byte)
	mac := hmac.New(a.hash.New, k)
	mac.Write(signed)
	return ok && hmac.Equal(mac.Sum(nil), signature)
}
