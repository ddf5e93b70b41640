package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"github.com/oidckit/oidckit/jwks"
)

// GenerateKeys makes keys that nobody keeps, one for each algorithm: for trials and tests, and
// for programs all of whose tokens may end with them. Their kids are their thumbprints.
func GenerateKeys(algorithms ...string) (StaticKeys, error) {
	var keys StaticKeys
	for _, alg := range algorithms {
		signer, err := generate(alg)
		if err != nil {
			return nil, err
		}
		kid, err := jwks.Thumbprint(signer.Public())
		if err != nil {
			return nil, err
		}
		key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: signer, Algorithm: alg, KeyID: kid})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("exchange: there are no keys for %.20q: use RS256, ES256 or the like", alg)
}
