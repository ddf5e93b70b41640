package jwks

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"slices"

	"github.com/oidckit/oidckit/internal/jwt"
)

// checkPublic refuses what is no public key of a type that is supported, and what
// could be forged.
func checkPublic(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return checkRSA(k)
	case *ecdsa.PublicKey:
		return checkEC(k)
	case ed25519.PublicKey:
		return checkEd25519(k)
	}
	return errUnsupported
}

const maxExponent = 1<<31 - 1

var errLargeRSA = &KeyError{KeyWeak, "RSA key over 8192 bits, or exponent over 31"}

func checkRSA(k *rsa.PublicKey) error {
	switch {
	case k == nil || k.N == nil || k.N.Sign() <= 0:
		return errMalformedKey
	case k.N.BitLen() < jwt.MinRSA:
		return &KeyError{KeyWeak, "RSA key under 2048 bits"}
	case k.N.BitLen() > jwt.MaxRSA || k.E > maxExponent:
		return errLargeRSA
	case k.E < 3 || k.E&1 == 0:
		return &KeyError{KeyWeak, "RSA exponent is even or too small"}
	case hasSmallFactor(k.N):
		return &KeyError{KeyWeak, "RSA modulus with a small factor"}
	case isROCA(k.N):
		return &KeyError{KeyWeak, "RSA key of a generator whose keys can be factored (CVE-2017-15361)"}
	}
	return nil
}

func checkEC(k *ecdsa.PublicKey) error {
	if k == nil || k.Curve == nil || k.X == nil || k.Y == nil {
		return errMalformedKey
	}
	if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, k.Curve) {
		return errUnsupported
	}
	point, err := k.Bytes()
	if err != nil {
		return errMalformedKey
	}
	if _, err := ecdsa.ParseUncompressedPublicKey(k.Curve, point); err != nil {
		return errMalformedKey
	}
	return nil
}

// The field and the curve of Ed25519 (RFC 8032 section 5.1): -x² + y² = 1 + dx²y².
var (
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD     = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), fieldPrime)
		return d.Mod(d.Mul(d, big.NewInt(-121665)), fieldPrime)
	}()
)

// checkEd25519 refuses encodings that are no point, and the points of small order:
// under one of them there are signatures that verify for each message.
func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return errMalformedKey
	}
	encoded := bytes.Clone(k)
	encoded[31] &= 0x7f // the sign of x
	slices.Reverse(encoded)
	y := new(big.Int).SetBytes(encoded)
	if y.Cmp(fieldPrime) >= 0 {
		return errMalformedKey
	}
	one := big.NewInt(1)
	y2 := modP(new(big.Int).Mul(y, y))
	u := modP(new(big.Int).Sub(y2, one))      // y² - 1
	dy2 := modP(new(big.Int).Mul(curveD, y2)) // dy²
	v := modP(new(big.Int).Add(dy2, one))     // dy² + 1; x² = u / v
	// Order 4 is y = 0; order 1 and 2 are y² = 1. Doubling a point of order 8 gives
	// y = 0, which is x² = -y², and with the curve dy⁴ + 2y² - 1 = 0.
	eighth := new(big.Int).Mul(dy2, y2)
	eighth.Add(eighth, y2).Add(eighth, y2).Sub(eighth, one)
	switch {
	case y.Sign() == 0 || u.Sign() == 0 || modP(eighth).Sign() == 0:
		return &KeyError{KeyWeak, "Ed25519 key of small order"}
	case big.Jacobi(modP(u.Mul(u, v)), fieldPrime) != 1:
		return errMalformedKey // u / v has no root
	}
	return nil
}

func modP(n *big.Int) *big.Int { return n.Mod(n, fieldPrime) }
