package jwe

import (
	"crypto/ecdh"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

const maxHeaderSize = 2 << 10 // decoded, in bytes

// A token is a compact JWE taken apart.
type token struct {
	alg, enc, kid string
	ephemeral     ecdh.Curve // of "epk", nil if alg needs none
	encryptedKey  []byte
}

// IsEncrypted reports whether raw has the five parts of a compact JWE and not
// the three of a JWS (RFC 7516 section 9). Of what is too large to be any of
// them it says no.
func IsEncrypted(raw string) bool {
	return len(raw) <= jwt.MaxSize && strings.Count(raw, ".") == 4
}

// parse judges all of a token that can be judged without a key.
func parse(raw string) (*token, error) {
	parts, err := split(raw)
	if err != nil {
		return nil, err
	}
	t := &token{encryptedKey: parts[1]}
	if err := t.readHeader(parts[0]); err != nil {
		return nil, err
	}
	c := contents[t.enc]
	switch {
	case len(parts[2]) != c.iv:
		return nil, refuse(jwt.Malformed, "the initialization vector is not as long as enc makes it")
	case len(parts[4]) != c.tag:
		return nil, refuse(jwt.Malformed, "the authentication tag is not as long as enc makes it")
	case !t.hasEncryptedKey(c):
		return nil, refuse(jwt.Malformed, "the encrypted key is not as long as alg and enc make it")
	}
	return t, nil
}

// split counts the parts before it cuts.
func split(raw string) (parts [5][]byte, err error) {
	if len(raw) > jwt.MaxSize {
		return parts, refuse(jwt.TooLarge, "")
	}
	if !IsEncrypted(raw) {
		return parts, refuse(jwt.Malformed, "a compact JWE has five parts")
	}
	for i, part := range strings.Split(raw, ".") {
		if parts[i], err = decode(part); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

func decode(s string) ([]byte, error) {
	data, ok := jwt.Decode(s)
	if !ok {
		return nil, refuse(jwt.Malformed, "not canonical base64url")
	}
	return data, nil
}

// hasEncryptedKey reports whether there is an encrypted key exactly where RFC
// 7516 section 5.1 wants one. What AES key wrap makes of a key has one length
// (shorter ones made go-jose panic, CVE-2026-34986); that of RSA is compared with
// the key.
func (t *token) hasEncryptedKey(c content) bool {
	switch {
	case t.alg == direct, t.alg == forEC[0]:
		return len(t.encryptedKey) == 0
	case t.ephemeral != nil:
		return len(t.encryptedKey) == c.key+wrapping
	}
	return len(t.encryptedKey) > 0
}

// refusedHeaders change how a token is read, or who vouches for it. "crit"
// because no extension is understood here (RFC 7516 section 4.1.13), "zip"
// because a small token must not become a large one (CVE-2024-28180), "p2c" and
// "p2s" because they say how long we shall calculate (CVE-2023-50658), "jwk"
// because a token brings no keys, "b64" because it is of JWS (RFC 7797).
var refusedHeaders = []string{"zip", "crit", "b64", "jwk", "p2c", "p2s"}

// readNames are those that this package or go-jose reads (which looks at "x5c"
// in passing, and does nothing with it).
var readNames = append([]string{"alg", "enc", "kid", "cty", "epk", "apu", "apv", "x5c", "iv", "tag"}, refusedHeaders...)

func (t *token) readHeader(data []byte) error {
	if len(data) > maxHeaderSize {
		return refuse(jwt.TooLarge, "header")
	}
	header, err := strictjson.Parse(data)
	if err != nil {
		return &jwt.Error{Reason: jwt.Header, Err: err}
	}
	for _, name := range refusedHeaders {
		if _, ok := header.Get(name); ok {
			return refuse(jwt.Header, name+" is not supported")
		}
	}
	if header.HasFolded(readNames) {
		return refuse(jwt.Header, "a registered parameter in another case")
	}
	if err := t.readStrings(header); err != nil {
		return err
	}
	return t.readEphemeral(header)
}

func (t *token) readStrings(header strictjson.Object) (err error) {
	cty := ""
	for name, field := range map[string]*string{"alg": &t.alg, "enc": &t.enc, "kid": &t.kid, "cty": &cty} {
		if *field, err = headerString(header, name); err != nil {
			return err
		}
	}
	// What is inside must be a JWT, and says so with this word (RFC 7519 section 5.2).
	if cty != "" && !strings.EqualFold(cty, "JWT") {
		return refuse(jwt.Header, "cty is another than JWT")
	}
	if _, ok := contents[t.enc]; !ok {
		return refuse(jwt.Algorithm, "enc is missing or not supported")
	}
	if !slices.Contains(known, t.alg) {
		return refuse(jwt.Algorithm, "alg is missing or not supported")
	}
	return nil
}

// headerString returns a parameter that is a string, or nothing if there is no
// such parameter.
func headerString(header strictjson.Object, name string) (string, error) {
	s, err := jwt.StringParameter(header, name)
	if _, ok := header.Get(name); ok && s == "" && err == nil {
		return "", refuse(jwt.Header, name+" is empty")
	}
	return s, err
}

var curves = map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}

// readEphemeral checks the public key that the sender made for this token. A
// point that is on no curve draws the private key out of us, bit by bit
// (CVE-2016-9121).
func (t *token) readEphemeral(header strictjson.Object) error {
	value, ok := header.Get("epk")
	if ok != slices.Contains(forEC, t.alg) {
		return refuse(jwt.Header, "epk belongs to ECDH-ES, and to nothing else")
	}
	if !ok {
		return nil
	}
	point, curve := readPoint(value)
	if curve == nil {
		return refuse(jwt.Header, "epk is not the bare public key of a supported curve")
	}
	if _, err := curve.NewPublicKey(point); err != nil {
		return refuse(jwt.Header, "epk is not on its curve")
	}
	t.ephemeral = curve
	return nil
}

// readPoint reads a JWK that has nothing but the point: an epk "SHOULD contain
// only the minimum" (RFC 7518 section 4.6.1.1).
func readPoint(jwk string) (uncompressed []byte, curve ecdh.Curve) {
	o, err := strictjson.ParseString(jwk)
	if err != nil {
		return nil, nil
	}
	m := map[string]string{}
	for name, value := range o.All() {
		m[name], _ = strictjson.String(value)
	}
	x, _ := decode(m["x"]) // what is no base64url is nothing, and no point either
	y, _ := decode(m["y"])
	if len(m) != 4 || m["kty"] != "EC" || len(x) != len(y) {
		return nil, nil
	}
	return slices.Concat([]byte{4}, x, y), curves[m["crv"]]
}
