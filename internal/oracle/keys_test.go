package oracle_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/oidckit/oidckit/internal/jwt"
)

// The keys are the same in every process: fuzzing runs in processes of its own,
// and a token of another process's key would be refused there for that alone.

// A keyPair is what signs tokens of one algorithm, and what verifies them.
type keyPair struct{ private, public any }

var keys = sync.OnceValue(func() map[string]keyPair {
	all := map[string]keyPair{}
	rsaKey := fixedRSA()
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		all[alg] = keyPair{rsaKey, &rsaKey.PublicKey}
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key := fixedEC(curve)
		all[alg] = keyPair{key, &key.PublicKey}
	}
	ed := ed25519.NewKeyFromSeed(expand("Ed25519", 32))
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		all[alg] = keyPair{ed, ed.Public()}
	}
	for _, alg := range jwt.Symmetric {
		all[alg] = keyPair{secret(), secret()}
	}
	return all
})

// everyAlgorithm is in one order always: fuzzing counts into it.
var everyAlgorithm = slices.Concat(jwt.Asymmetric, jwt.Symmetric)

func secret() []byte { return expand("secret", 64) }

// expand derives bytes from a name.
func expand(name string, n int) (out []byte) {
	for i := 0; len(out) < n; i++ {
		sum := sha512.Sum512(fmt.Appendf(nil, "oidckit oracle %s %d", name, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func fixedEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	scalar := expand(curve.Params().Name, (curve.Params().BitSize+7)/8)
	scalar[0] = 0 // below the order of each curve
	return must(ecdsa.ParseRawPrivateKey(curve, scalar))
}

// fixedRSA is a key of 2048 bits. How far its primes are from where they were
// sought is written here, so that nobody has to seek them again.
func fixedRSA() *rsa.PrivateKey {
	p, q := fixedPrime("p", distanceP), fixedPrime("q", distanceQ)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		panic(err)
	}
	return key
}

const distanceP, distanceQ = 8, 1350

func fixedPrime(name string, distance int64) *big.Int {
	start := expand(name, 128)
	start[0] |= 0xc0
	start[127] |= 1
	return new(big.Int).Add(new(big.Int).SetBytes(start), big.NewInt(distance))
}

// signature signs as RFC 7518 section 3 and RFC 8037 say, with the standard library alone.
func signature(alg string, signed []byte) []byte {
	switch key := keys()[alg].private.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			return must(rsa.SignPSS(rand.Reader, key, jwt.Hash(alg), digest(alg, signed), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(nil, key, jwt.Hash(alg), digest(alg, signed)))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest(alg, signed))
		if err != nil {
			panic(err)
		}
		size := (key.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return must(key.Sign(nil, signed, crypto.Hash(0)))
	case []byte:
		return mac(alg, key, signed)
	}
	panic("no key for " + alg)
}

func mac(alg string, key, signed []byte) []byte {
	h := hmac.New(jwt.Hash(alg).New, key)
	h.Write(signed)
	return h.Sum(nil)
}

func digest(alg string, signed []byte) []byte {
	h := jwt.Hash(alg).New()
	h.Write(signed)
	return h.Sum(nil)
}

// sign makes a compact JWS with a good signature, whatever header and payload are.
func sign(alg, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(signature(alg, []byte(input))))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
