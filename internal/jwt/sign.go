package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
)

// A Signer makes compact JWSs with one key and one algorithm. It is safe for
// concurrent use if its key is.
type Signer struct {
	name   string
	a      *algorithm
	key    crypto.Signer
	secret *Secret
	size   int // of a coordinate of the curve, in bytes; 0 if it is no ECDSA key
}

// NewSigner returns a signer with a private key, wherever that is: key only has to
// sign. The algorithm must fit its public key.
func NewSigner(alg string, key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, errors.New("there is no key")
	}
	public := key.Public()
	if !Fits(alg, public) {
		return nil, &Error{Reason: KeyMisfit}
	}
	return &Signer{name: alg, a: algorithms[alg], key: key, size: coordinateSize(public)}, nil
}

// NewHMACSigner returns a signer with a secret, which is copied. It must be as long as the
// hash (RFC 7518 section 3.2).
func NewHMACSigner(alg string, secret []byte) (*Signer, error) {
	s := NewSecret(secret)
	if !Fits(alg, s) {
		return nil, &Error{Reason: KeyMisfit}
	}
	return &Signer{name: alg, a: algorithms[alg], secret: s}, nil
}

// Algorithm returns the "alg" that signatures are made with.
func (s *Signer) Algorithm() string { return s.name }

// Public returns the public key, or nil if the key is a secret.
func (s *Signer) Public() crypto.PublicKey {
	if s.key == nil {
		return nil
	}
	return s.key.Public()
}

// Sign returns the compact JWS of a header, which is the text of a JSON object that
// names Algorithm, and a payload.
func (s *Signer) Sign(header, payload []byte) (string, error) {
	encoding := base64.RawURLEncoding
	token := make([]byte, 0, encoding.EncodedLen(len(header))+encoding.EncodedLen(len(payload))+2+700) // a signature of 4096 bits
	token = encoding.AppendEncode(token, header)
	token = append(token, '.')
	token = encoding.AppendEncode(token, payload)
	signature, err := s.sign(token)
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(encoding.AppendEncode(token, signature)), nil
}

func (s *Signer) sign(signed []byte) ([]byte, error) {
	switch {
	case s.secret != nil:
		return s.secret.sum(s.a.hash, signed, nil), nil
	case isEdDSA(s.name): // hashes by itself (RFC 8037 section 3.1)
		return s.key.Sign(rand.Reader, signed, crypto.Hash(0))
	}
	t := Token{signed: signed}
	digest := t.hash(s.a.hash)
	if s.a.pss {
		return s.key.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.a.hash})
	}
	signature, err := s.key.Sign(rand.Reader, digest, s.a.hash)
	if err != nil || s.size == 0 {
		return signature, err
	}
	return fromASN1(signature, s.size)
}

func coordinateSize(public crypto.PublicKey) int {
	k, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return 0
	}
	return (k.Params().BitSize + 7) / 8
}

// fromASN1 writes the ECDSA signature of a crypto.Signer as a JWS has it: r and s at
// full length (RFC 7518 section 3.4).
func fromASN1(der []byte, size int) ([]byte, error) {
	var number struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &number)
	fits := func(n *big.Int) bool { return n != nil && n.Sign() > 0 && n.BitLen() <= size*8 }
	if err != nil || len(rest) > 0 || !fits(number.R) || !fits(number.S) {
		return nil, errors.New("the key made no ECDSA signature in ASN.1")
	}
	signature := make([]byte, 2*size)
	number.R.FillBytes(signature[:size])
	number.S.FillBytes(signature[size:])
	return signature, nil
}
