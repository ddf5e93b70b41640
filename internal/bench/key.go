package bench

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are those that are measured.
func Algorithms() []string { return []string{"HS256", "RS256", "PS256", "ES256", "EdDSA"} }

// A Key signs tokens.
type Key struct {
	ID        string
	Algorithm string
	private   any // []byte for HS256
}

// NewKey makes a key. RSA keys have 2048 bits.
func NewKey(id, algorithm string) (*Key, error) {
	private, err := newPrivate(algorithm)
	return &Key{ID: id, Algorithm: algorithm, private: private}, err
}

func newPrivate(algorithm string) (any, error) {
	switch algorithm {
	case "HS256":
		secret := make([]byte, 32)
		_, err := rand.Read(secret)
		return secret, err
	case "RS256", "RS384", "PS256", "RSA-OAEP":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("bench: no keys for %s", algorithm)
}

// Secret returns the secret of a HS256 key, and nil of any other.
func (k *Key) Secret() []byte {
	secret, _ := k.private.([]byte)
	return secret
}

// public returns the public key, and nil if the key is a secret.
func (k *Key) public() any {
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		return &private.PublicKey
	case *ecdsa.PrivateKey:
		return &private.PublicKey
	case ed25519.PrivateKey:
		return private.Public()
	}
	return nil
}

// jwk describes the public key; x5c says whether with a certificate.
func (k *Key) jwk(x5c bool) (jose.JSONWebKey, error) {
	j := jose.JSONWebKey{Key: k.public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
	if k.Algorithm == "RSA-OAEP" {
		j.Use = "enc"
	}
	if !x5c {
		return j, nil
	}
	certificate, err := certify(j.Key)
	j.Certificates = []*x509.Certificate{certificate}
	return j, err
}

// standing are the keys that stand beside the signing key in every set, as in a
// provider's: one for encryption and one that is retired, which has another
// algorithm, so that there is a good key that no verifier here may accept.
var standing = sync.OnceValues(func() ([]*Key, error) {
	encryption, err1 := NewKey("encryption", "RSA-OAEP")
	retired, err2 := NewKey("retired", "RS384")
	return []*Key{encryption, retired}, errors.Join(err1, err2)
})

// Retired returns the key of another algorithm that every Document holds.
func Retired() (*Key, error) {
	keys, err := standing()
	if err != nil {
		return nil, err
	}
	return keys[1], nil
}

// Document returns a JWK Set of the standing keys, with their certificates, and
// of the given ones.
func Document(keys ...*Key) ([]byte, error) {
	old, err := standing()
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	for i, k := range append(slices.Clip(old), keys...) {
		j, err := k.jwk(i < len(old))
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// authority signs the certificates.
var authority = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, 2048)
})

// certify makes a certificate for a key, for "x5c".
func certify(public any) (*x509.Certificate, error) {
	ca, err := authority()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "id.example.com"}, NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, ca)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
