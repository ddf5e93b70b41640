package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// Verify checks the signature of t with key. The algorithm is the one that the
// header names: whoever calls has compared it with an allow list, and the type
// of the key must fit, so that a public key is never an HMAC secret
// (CVE-2015-9235). Errors are of type *Error.
func (t *Token) Verify(key any) error {
	if err := t.check(key); err != nil {
		return err
	}
	if t.JWK == "" { // a proof has a header that no other token may have
		t.memorize()
	}
	return nil
}

// VerifySignature checks a signature of any bytes, as it stands in a JWS: what the
// published test vectors are about. Errors are of type *Error.
func VerifySignature(algorithm string, key any, signed, signature []byte) error {
	t := Token{Parameters: Parameters{Algorithm: algorithm}, signed: signed, sig: signature}
	return t.check(key)
}

func (t *Token) check(key any) error {
	a := algorithms[t.Algorithm]
	if a == nil {
		return &Error{Reason: Algorithm}
	}
	if !a.fits(key) {
		return &Error{Reason: KeyMisfit}
	}
	if !t.verify(a, key) {
		return &Error{Reason: BadSigning}
	}
	return nil
}

func (t *Token) verify(a *algorithm, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if a.pss {
			return rsa.VerifyPSS(k, a.hash, t.hash(a.hash), t.sig, saltAsLongAsHash) == nil
		}
		return rsa.VerifyPKCS1v15(k, a.hash, t.hash(a.hash), t.sig) == nil
	case *ecdsa.PublicKey:
		der := t.asn1(len(t.sig), (k.Params().BitSize+7)/8)
		return der != nil && ecdsa.VerifyASN1(k, t.hash(a.hash), der)
	case ed25519.PublicKey:
		return ed25519.Verify(k, t.signed, t.sig)
	case *Secret:
		return hmac.Equal(k.sum(a.hash, t.signed, t.digest[:0]), t.sig)
	case []byte:
		return hmac.Equal(NewSecret(k).sum(a.hash, t.signed, t.digest[:0]), t.sig)
	}
	return false
}

// The salt is as long as the hash, no other length (RFC 7518 section 3.5).
var saltAsLongAsHash = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

// hash returns the digest of what is signed.
func (t *Token) hash(h crypto.Hash) []byte {
	switch h {
	case crypto.SHA256:
		sum := sha256.Sum256(t.signed)
		return append(t.digest[:0], sum[:]...)
	case crypto.SHA384:
		sum := sha512.Sum384(t.signed)
		return append(t.digest[:0], sum[:]...)
	default:
		sum := sha512.Sum512(t.signed)
		return append(t.digest[:0], sum[:]...)
	}
}

// asn1 writes a signature, which is r and s at full length (RFC 7518 section 3.4),
// as crypto/ecdsa wants it. It returns nil if the length is another one: two
// spellings of one signature would be two tokens.
func (t *Token) asn1(length, size int) []byte {
	if length != 2*size {
		return nil
	}
	body := appendInteger(t.der[3:3], t.sig[:size])
	body = appendInteger(body, t.sig[size:])
	const sequence, long = 0x30, 0x80
	t.der[0], t.der[1], t.der[2] = sequence, long|1, byte(len(body)) //nolint:gosec // G115: two numbers of 66 bytes at most
	if t.der[2] < long {
		t.der[1] = sequence
		return t.der[1 : 3+len(body)]
	}
	return t.der[:3+len(body)]
}

// appendInteger writes a non-negative number with no more zeros than ASN.1 wants.
func appendInteger(der, number []byte) []byte {
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	const integer, sign = 0x02, 0x80
	length := byte(len(number)) //nolint:gosec // G115: 66 at most
	if number[0] < sign {
		return append(append(der, integer, length), number...)
	}
	return append(append(der, integer, length+1, 0), number...)
}
