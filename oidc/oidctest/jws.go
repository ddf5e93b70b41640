package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256.New
	_ "crypto/sha512" // for crypto.SHA384.New and crypto.SHA512.New
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// algorithm is a JWS "alg" with a key pair (RFC 7518, section 3; RFC 8037). Signing is
// done by hand, because the tokens a test forges are ones no library makes.
type algorithm struct {
	hash     crypto.Hash // also of at_hash
	generate func() (crypto.Signer, error)
	sign     func(key crypto.Signer, hash crypto.Hash, input []byte) ([]byte, error)
}

var algorithms = map[string]algorithm{
	"RS256": {crypto.SHA256, newRSA, signPKCS1},
	"RS384": {crypto.SHA384, newRSA, signPKCS1},
	"RS512": {crypto.SHA512, newRSA, signPKCS1},
	"PS256": {crypto.SHA256, newRSA, signPSS},
	"PS384": {crypto.SHA384, newRSA, signPSS},
	"PS512": {crypto.SHA512, newRSA, signPSS},
	"ES256": {crypto.SHA256, newECDSA(elliptic.P256()), signECDSA},
	"ES384": {crypto.SHA384, newECDSA(elliptic.P384()), signECDSA},
	"ES512": {crypto.SHA512, newECDSA(elliptic.P521()), signECDSA},
	// Ed25519 hashes with SHA-512 inside; at_hash uses the same.
	"EdDSA": {crypto.SHA512, newEd25519, signEd25519},
}

// hmacs are the algorithms that sign with a client's secret.
var hmacs = map[string]crypto.Hash{
	"HS256": crypto.SHA256,
	"HS384": crypto.SHA384,
	"HS512": crypto.SHA512,
}

func newRSA() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func newECDSA(curve elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
}

func newEd25519() (crypto.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

func digest(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

func signPKCS1(key crypto.Signer, hash crypto.Hash, input []byte) ([]byte, error) {
	return key.Sign(rand.Reader, digest(hash, input), hash)
}

func signPSS(key crypto.Signer, hash crypto.Hash, input []byte) ([]byte, error) {
	// RFC 7518, section 3.5: "The size of the salt value is the same size as the
	// hash function output."
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	return key.Sign(rand.Reader, digest(hash, input), opts)
}

func signECDSA(key crypto.Signer, hash crypto.Hash, input []byte) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok { // unreachable: the table pairs generate and sign
		return nil, fmt.Errorf("oidctest: %T is not an ECDSA key", key)
	}
	r, s, err := ecdsa.Sign(rand.Reader, private, digest(hash, input))
	if err != nil {
		return nil, err
	}
	// RFC 7518, section 3.4: R and S as big-endian octets of the curve's size,
	// not the ASN.1 of crypto.Signer.
	size := (private.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature, nil
}

func signEd25519(key crypto.Signer, _ crypto.Hash, input []byte) ([]byte, error) {
	return key.Sign(rand.Reader, input, crypto.Hash(0))
}

func signHMAC(hash crypto.Hash, secret, input []byte) []byte {
	mac := hmac.New(hash.New, secret)
	mac.Write(input)
	return mac.Sum(nil)
}

// compact serializes a JWS (RFC 7515, section 7.1). Of the header it leaves out
// the members that are nil.
func compact(header map[string]any, payload []byte, sign func(input []byte) ([]byte, error)) (string, error) {
	members := map[string]any{}
	for name, v := range header {
		if v != nil {
			members[name] = v
		}
	}
	protected, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	input := encode(protected) + "." + encode(payload)
	signature, err := sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + encode(signature), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// leftHalf is the value of at_hash (OpenID Connect Core 1.0, section 3.1.3.6).
func leftHalf(alg, token string) string {
	hash, ok := hmacs[alg]
	if !ok {
		hash = algorithms[alg].hash
	}
	sum := digest(hash, []byte(token))
	return encode(sum[:len(sum)/2])
}
