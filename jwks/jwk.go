package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// ParseKey reads one public JWK (RFC 7517 section 4). It refuses private and
// symmetric keys, keys that are not for signatures, RSA keys under 2048 or over
// 8192 bits and other weak ones, and types, curves and algorithms that are not
// supported. Certificates are not looked at: they are no reason to trust a key here.
// Errors are of type *KeyError and hold nothing of the key.
func ParseKey(data []byte) (Key, error) { return parsePublic(string(data)) }

// A jwk is a JWK whose members were not looked at.
type jwk struct{ object strictjson.Object }

func parseJWK(text string) (jwk, error) {
	object, err := strictjson.ParseString(text)
	if err != nil {
		return jwk{}, &KeyError{KeyMalformed, err.Error()} // which holds nothing of the text
	}
	return jwk{object}, nil
}

// text returns a member that is a string, or nothing: null counts as absent.
func (j jwk) text(name string) (string, error) {
	value, ok := j.object.Get(name)
	if !ok || strictjson.Kind(value) == 'n' {
		return "", nil
	}
	s, ok := strictjson.String(value)
	if !ok {
		return "", &KeyError{KeyMalformed, name + " is no string"}
	}
	return s, nil
}

// privateMembers are those of RFC 7518 sections 6.2.2 and 6.3.2, and of AKP keys.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"}

func (j jwk) checkPublic() error {
	for _, name := range privateMembers {
		if _, ok := j.object.Get(name); ok {
			return &KeyError{KeyPrivate, "private key in a place for public ones"}
		}
	}
	kty, err := j.text("kty")
	if _, ok := j.object.Get("k"); ok || kty == "oct" {
		return &KeyError{KeySymmetric, "symmetric key in a place for public ones"}
	}
	return err
}

// checkUse: RFC 7517 sections 4.2 and 4.3.
func (j jwk) checkUse() error {
	use, err := j.text("use")
	switch {
	case err != nil:
		return err
	case use != "" && use != "sig":
		return &KeyError{KeyUse, "the key is not for signatures"}
	}
	value, ok := j.object.Get("key_ops")
	if !ok || strictjson.Kind(value) == 'n' {
		return nil
	}
	var operations []string
	if strictjson.Decode(value, &operations) != nil {
		return &KeyError{KeyMalformed, "key_ops is no list of strings"}
	}
	if !slices.Contains(operations, "verify") {
		return &KeyError{KeyUse, "the key is not for verifying"}
	}
	return nil
}

func parsePublic(text string) (Key, error) {
	j, err := parseJWK(text)
	if err != nil {
		return Key{}, err
	}
	if err := j.checkPublic(); err != nil {
		return Key{}, err
	}
	if err := j.checkUse(); err != nil {
		return Key{}, err
	}
	public, err := j.public()
	if err != nil {
		return Key{}, err
	}
	return j.key(public, NewKey)
}

// key adds what stands beside the numbers of a key. What is kept is copied: a part
// of the text would keep all of it.
func (j jwk) key(material any, build func(material crypto.PublicKey, kid, alg string) (Key, error)) (Key, error) {
	kid, err := j.text("kid")
	if err != nil {
		return Key{}, err
	}
	alg, err := j.text("alg")
	if err != nil {
		return Key{}, err
	}
	issuer, err := j.text("issuer")
	if err != nil {
		return Key{}, err
	}
	k, err := build(material, strings.Clone(kid), interned(alg))
	if err != nil {
		return Key{}, err
	}
	k.issuer = strings.Clone(issuer)
	return k, nil
}

// interned returns our own copy of the name of an algorithm.
func interned(alg string) string {
	for _, names := range [][]string{jwt.Asymmetric, jwt.Symmetric} {
		if i := slices.Index(names, alg); i >= 0 {
			return names[i]
		}
	}
	return strings.Clone(alg)
}

var (
	errMalformedKey = &KeyError{KeyMalformed, "malformed key"}
	errUnsupported  = &KeyError{KeyUnsupported, "a type or curve that is not supported"}
)

func (j jwk) public() (crypto.PublicKey, error) {
	kty, _ := j.text("kty") // checked before
	crv, err := j.text("crv")
	switch {
	case err != nil:
		return nil, err
	case kty == "RSA":
		return j.rsa()
	case kty == "EC":
		return j.ec(crv)
	case kty == "OKP" && crv == "Ed25519":
		x, err := j.octets("x")
		return ed25519.PublicKey(x), err
	}
	return nil, errUnsupported
}

// octets reads a member in base64url, in its one canonical spelling (RFC 7515
// section 2). It must be there.
func (j jwk) octets(name string) ([]byte, error) {
	s, err := j.text(name)
	if err != nil {
		return nil, err
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(data) == 0 || strings.ContainsAny(s, "\r\n") { // which the decoder skips
		return nil, &KeyError{KeyMalformed, name + " is missing or no base64url"}
	}
	return data, nil
}

// rsa: both numbers have no more octets than they need (RFC 7518 section 6.3.1).
func (j jwk) rsa() (*rsa.PublicKey, error) {
	n, err := j.octets("n")
	if err != nil {
		return nil, err
	}
	e, err := j.octets("e")
	switch {
	case err != nil:
		return nil, err
	case n[0] == 0 || e[0] == 0:
		return nil, &KeyError{KeyMalformed, "RSA number with leading zeros"}
	case len(n) > jwt.MaxRSA/8 || len(e) > 4:
		return nil, errLargeRSA
	}
	exponent := int(new(big.Int).SetBytes(e).Int64()) // negative where an int has 32 bits and it has, too
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// ec: both coordinates are as long as the field (RFC 7518 section 6.2.1.2).
func (j jwk) ec(crv string) (*ecdsa.PublicKey, error) {
	curve := curves[crv]
	if curve == nil {
		return nil, errUnsupported
	}
	x, err := j.octets("x")
	if err != nil {
		return nil, err
	}
	y, err := j.octets("y")
	if err != nil {
		return nil, err
	}
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, errMalformedKey
	}
	const uncompressed = 4
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return nil, errMalformedKey
	}
	return public, nil
}
