package jwks

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A DecryptionKey decrypts tokens that a provider encrypted for us. Its public
// half is published with "use":"enc", its algorithm registered, for example as
// id_token_encrypted_response_alg. It is a value, may be shared, and prints
// without its secret. The zero DecryptionKey decrypts nothing.
type DecryptionKey struct {
	// Behind a function no printing reaches it: package fmt asks no method of what
	// stands in an unexported field.
	hidden func() jwe.Key
}

// NewDecryptionKey returns a key of an *rsa.PrivateKey, or of an
// *ecdsa.PrivateKey or *ecdh.PrivateKey on P-256, P-384 or P-521. X25519 is not
// supported. The kid may be empty. The algorithm (RFC 7518 section 4.1) is the
// only one that the key is used for; empty means each that fits its type:
// RSA-OAEP-256 and RSA-OAEP, or ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A192KW and
// ECDH-ES+A256KW. RSA1_5 is never used, nor are RSA keys under 2048 bits. The key
// must not be changed afterwards.
func NewDecryptionKey(private crypto.PrivateKey, kid, algorithm string) (DecryptionKey, error) {
	return newDecryptionKey(jwe.NewKey(private, kid, algorithm))
}

// InsecureDirectKey returns a key for "alg":"dir" (RFC 7518 section 4.5) in one
// content encryption, like "A256GCM". Whoever can encrypt with a shared secret can
// also decrypt, and one secret encrypts all tokens, for ever. The secret must
// have exactly the length that enc needs; it is copied.
func InsecureDirectKey(secret []byte, kid, enc string) (DecryptionKey, error) {
	return newDecryptionKey(jwe.NewDirectKey(secret, kid, enc))
}

func newDecryptionKey(k jwe.Key, err error) (DecryptionKey, error) {
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("jwks: %w", err)
	}
	return DecryptionKey{hidden: func() jwe.Key { return k }}, nil
}

func (k DecryptionKey) key() jwe.Key {
	if k.hidden == nil {
		return jwe.Key{}
	}
	return k.hidden()
}

// ID returns the "kid", or nothing.
func (k DecryptionKey) ID() string { return k.key().ID }

// Algorithms returns the values of "alg" that the key is used for.
func (k DecryptionKey) Algorithms() []string { return slices.Clone(k.key().Algorithms) }

// Format prints kid and algorithms with every verb.
func (k DecryptionKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.DecryptionKey(%q, %v)", k.ID(), k.Algorithms())
}

// A privateJWK has the members of a private JWK that we look at.
type privateJWK struct {
	KeyType    string   `json:"kty,omitempty"`
	Use        string   `json:"use,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	KeyID      string   `json:"kid,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
	N          string   `json:"n,omitempty"`
	E          string   `json:"e,omitempty"`
	D          string   `json:"d,omitempty"`
	P          string   `json:"p,omitempty"`
	Q          string   `json:"q,omitempty"`
	DP         string   `json:"dp,omitempty"`
	DQ         string   `json:"dq,omitempty"`
	QI         string   `json:"qi,omitempty"`
}

// ParseDecryptionKey reads one private JWK (RFC 7517 section 4), RSA or EC, as
// [NewDecryptionKey] takes it. Its "use" must be "enc" and its "key_ops" must
// have an operation that decrypts, where they are present: a key that signs does
// not decrypt. Errors hold nothing of the key but its "alg".
func ParseDecryptionKey(jwk []byte) (DecryptionKey, error) {
	object, err := strictjson.Parse(jwk)
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("jwks: %w", err)
	}
	if _, ok := object.Get("oth"); ok {
		return DecryptionKey{}, errors.New("jwks: RSA keys of more than two primes are not supported")
	}
	var j privateJWK
	if strictjson.Decode(string(jwk), &j) != nil {
		return DecryptionKey{}, errors.New("jwks: a member of the key is of another type")
	}
	if err := j.checkUse(); err != nil {
		return DecryptionKey{}, err
	}
	private, err := j.private()
	if err != nil {
		return DecryptionKey{}, err
	}
	return NewDecryptionKey(private, j.KeyID, j.Algorithm)
}

// decrypting are the operations of RFC 7517 section 4.3 that a recipient needs.
var decrypting = []string{"decrypt", "unwrapKey", "deriveKey", "deriveBits"}

func (j privateJWK) checkUse() error {
	decrypts := func(operation string) bool { return slices.Contains(decrypting, operation) }
	switch {
	case j.Use != "" && j.Use != "enc":
		return errors.New("jwks: the key is not for encryption")
	case j.Operations != nil && !slices.ContainsFunc(j.Operations, decrypts):
		return errors.New("jwks: the key is not for decrypting")
	}
	return nil
}

// private has go-jose build the key. It gets nothing but the members above, so
// that no other can spoil it, and what it says of a malformed one is left out.
func (j privateJWK) private() (crypto.PrivateKey, error) {
	bare, err := json.Marshal(j)
	if err != nil {
		return nil, errors.New("jwks: malformed key")
	}
	var parsed jose.JSONWebKey
	if parsed.UnmarshalJSON(bare) != nil {
		return nil, errors.New("jwks: malformed key, or of a type, curve or size that is not supported")
	}
	if k, ok := parsed.Key.(*rsa.PrivateKey); ok {
		k.Precompute() // or it would be done for every token
	}
	return parsed.Key, nil
}

// Decrypt returns the compact JWS inside a compact JWE (RFC 7519 section 5.2),
// which is still to be verified: everybody can encrypt for us. The keys are the
// allow list of "alg"; they are chosen by kid, type and algorithm together. The
// content may be in each encryption of RFC 7518 section 5.1, compressed it may
// not be. Errors answer errors.Is for oidckit.ErrInvalidToken, and what only a
// private key can find out is all one error (RFC 7516 section 11.5).
func Decrypt(keys []DecryptionKey, raw string) (inner string, err error) {
	return jwe.Decrypt(raw, bareKeys(keys))
}

// DecryptContent is [Decrypt] for content of any kind. Encryption says nothing about who
// made it: without a signature, something else has to, such as the connection that it
// came over.
func DecryptContent(keys []DecryptionKey, raw string) (content []byte, err error) {
	return jwe.DecryptContent(raw, bareKeys(keys))
}

func bareKeys(keys []DecryptionKey) []jwe.Key {
	bare := make([]jwe.Key, len(keys))
	for i, k := range keys {
		bare[i] = k.key()
	}
	return bare
}
