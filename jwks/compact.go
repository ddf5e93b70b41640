package jwks

import (
	"crypto"
	"errors"
	"slices"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// VerifyCompact checks the signature of one compact JWS (RFC 7515 section 7.1)
// with the keys of a document, which is a JWK Set or a single JWK, in one of the
// algorithms. It returns the payload, which may be anything; it is the lowest level
// there is, and looks at no claim but "iss", for keys that name an issuer.
//
// With HS algorithms the keys are symmetric ones, and a document that holds any other
// is refused: its secrets are no secrets. Else they are public ones, and secrets and
// private keys are left out. Keys are chosen and left out by the rules of [ParseSet] and
// [Source]: "kid", "alg", "use" and "key_ops" count.
//
// Errors about the token are of type *[Error] or *[KeyNotFoundError] and answer
// errors.Is for oidckit.ErrInvalidToken. Others are about the document
// (*[KeyError], [ErrNoUsableKey]) or about the algorithms ([CheckAlgorithms]).
func VerifyCompact(document []byte, compact string, algorithms ...string) (payload []byte, err error) {
	if err := CheckAlgorithms(algorithms); err != nil {
		return nil, err
	}
	parse := parsePublic
	if jwt.Allows(jwt.Symmetric, algorithms[0]) {
		parse = parseSymmetric
	}
	set, err := parseDocument(string(document), parse)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(set.Skipped, func(s Skipped) bool { return errors.Is(s.Err, errNotSymmetric) }) {
		return nil, errNotSymmetric
	}
	t, err := jwt.ParseSigned(compact)
	if err != nil {
		return nil, err
	}
	defer t.Release()
	if !jwt.Allows(algorithms, t.Algorithm) {
		return nil, errAlgorithm
	}
	// What is no set of claims has no issuer.
	t.Claims, _ = strictjson.ParseString(t.Payload)
	q := queryFor(t)
	if err := try(t, q, match(set.Keys, q)); err != nil {
		return nil, err
	}
	return []byte(t.Payload), nil
}

var errNotSymmetric = &KeyError{KeyUnsupported, "no symmetric key"}

// parseDocument reads a JWK Set or a single JWK.
func parseDocument(text string, parse func(jwk string) (Key, error)) (Set, error) {
	j, err := parseJWK(text)
	if err != nil {
		return Set{}, err
	}
	if _, ok := j.object.Get("keys"); ok {
		return parseMembers(j.object, parse)
	}
	k, err := parse(text)
	if err != nil {
		return Set{}, err
	}
	return Set{Keys: []Key{k}}, nil
}

// parseSymmetric reads a JWK of RFC 7518 section 6.4.
func parseSymmetric(text string) (Key, error) {
	j, err := parseJWK(text)
	if err != nil {
		return Key{}, err
	}
	switch kty, err := j.text("kty"); {
	case err != nil:
		return Key{}, err
	case kty != "oct":
		return Key{}, errNotSymmetric
	}
	if err := j.checkUse(); err != nil {
		return Key{}, err
	}
	secret, err := j.octets("k")
	if err != nil {
		return Key{}, err
	}
	return j.key(secret, newSecret)
}

func newSecret(material crypto.PublicKey, kid, algorithm string) (Key, error) {
	secret, _ := material.([]byte)
	switch {
	case algorithm != "" && !jwt.Allows(jwt.Symmetric, algorithm):
		return Key{}, &KeyError{KeyUnsupported, "the algorithm of the key is no symmetric one"}
	case !jwt.Fits("HS256", secret), algorithm != "" && !jwt.Fits(algorithm, secret):
		return Key{}, &KeyError{KeyWeak, "the key is shorter than the hash (RFC 7518 section 3.2)"}
	}
	return Key{id: kid, algorithm: algorithm, material: jwt.NewSecret(secret)}, nil
}
