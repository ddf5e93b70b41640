package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// publicJWK returns a public key as RFC 7638 section 3.3 hashes it: its required members
// alone, in the order of their names. It serves as the JWK itself, too: none of its
// members is private.
func publicJWK(public crypto.PublicKey) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, and both coordinates at full length (RFC 7518 section 6.2.1.2)
		if err != nil {
			return "", err
		}
		size := len(point) / 2
		return fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k.Params().Name, b64(point[1:1+size]), b64(point[1+size:])), nil
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, b64(k)), nil
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, b64(big.NewInt(int64(k.E)).Bytes()), b64(k.N.Bytes())), nil
	}
	return "", fmt.Errorf("no JWK for a %T", public)
}

// digest is base64url of SHA-256, as thumbprints are.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
