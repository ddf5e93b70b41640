package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"sync"
)

var errSignature = errors.New("bench: wrong signature")

// NewLimit returns what no verifier can do without: the hash of the signing input
// and the primitive. Key, input and signature are decoded beforehand.
func NewLimit(k *Key, token string) (func() error, error) {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return nil, err
	}
	input := []byte(token[:dot])
	switch public := k.public().(type) {
	case nil:
		return limitHMAC(k.Secret(), input, signature), nil
	case *rsa.PublicKey:
		return limitRSA(public, k.Algorithm, input, signature), nil
	case *ecdsa.PublicKey:
		return limitECDSA(public, input, signature)
	case ed25519.PublicKey:
		return func() error { return verified(ed25519.Verify(public, input, signature)) }, nil
	}
	return nil, fmt.Errorf("bench: no primitive for %s", k.Algorithm)
}

func verified(ok bool) error {
	if !ok {
		return errSignature
	}
	return nil
}

func limitHMAC(secret, input, signature []byte) func() error {
	type state struct {
		mac hash.Hash
		sum [sha256.Size]byte
	}
	pool := sync.Pool{New: func() any { return &state{mac: hmac.New(sha256.New, secret)} }}
	return func() error {
		s, _ := pool.Get().(*state) // it holds nothing else
		defer pool.Put(s)
		s.mac.Reset()
		s.mac.Write(input)
		return verified(hmac.Equal(s.mac.Sum(s.sum[:0]), signature))
	}
}

func limitRSA(public *rsa.PublicKey, algorithm string, input, signature []byte) func() error {
	if algorithm == "PS256" {
		// RFC 7518 section 3.5: the salt is as long as the hash.
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return func() error {
			sum := sha256.Sum256(input)
			return rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, options)
		}
	}
	return func() error {
		sum := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
	}
}

func limitECDSA(public *ecdsa.PublicKey, input, signature []byte) (func() error, error) {
	half := len(signature) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
	})
	return func() error {
		sum := sha256.Sum256(input)
		return verified(ecdsa.VerifyASN1(public, sum[:], der))
	}, err
}
