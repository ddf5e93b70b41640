package oracle_test

import (
	"crypto/x509"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// stricterThanOracles are why we refuse tokens that another library accepts, as
// whyNot names it. TestListedDifferencesAreMet holds the list to what there is.
var stricterThanOracles = map[string]string{
	"JSON: not an object":                                   "claims are an object (RFC 7519 section 7.2); go-jose verifies any payload, as a JWS library does",
	"JSON: syntax error":                                    "the same, and jwx, which stops reading at the end of the first document",
	"JSON: duplicate member name":                           "J22: encoding/json lets the last one win",
	"JSON: two member names that differ only in case":       "J23: encoding/json takes either for the field",
	"JSON: invalid UTF-8 or lone surrogate":                 "J26: encoding/json makes U+FFFD of it, and two subjects one",
	"JSON: nested too deeply":                               "J44: limit",
	"JSON: too many members in one object":                  "J44: limit",
	"JSON: number with too many digits":                     "J44: limit",
	"token: too large: header":                              "J43: limit",
	"token: malformed: a compact JWS has three parts":       "J18: go-jose and go-oidc read the JSON serializations, too",
	"token: malformed: empty part":                          "J16: a token without claims, or a detached payload",
	"token: malformed: not canonical base64url":             "J21: encoding/base64 skips line breaks, go-jose drops white space, jwx takes four alphabets, and most take set unused bits",
	"token: signature":                                      "J48: jwx checks the signature of a header that it has written anew, without the white space around it",
	"token: algorithm: not one of the allowed algorithms":   "J01: jwx goes by the algorithm of the key and does not compare it with a header that says \"none\"",
	"token: header: alg is missing":                         "RFC 7515 section 4.1.1: must be present; jwx goes by the key",
	"token: header: a registered parameter in another case": "J23: as for claims",
	"token: header: kid is not a short printable string":    "J13",
	"token: header: typ is not a short printable string":    "RFC 7515 section 4.1.9: a string; others do not look",
	"token: header: crit is not supported":                  "J15: an empty list, or of what the library happens to know",
	"token: header: b64 is not supported":                   "J16",
	"token: header: zip is not supported":                   "J17",
	"token: header: cty is not supported":                   "J20",
	"token: header: jwk is not supported":                   "J11",
	"token: payload: a registered claim in another case":    "J23",

	"claims: typ, type":          "J40: a header that names another kind of token, or Keycloak's claim that does",
	"claims: token_use, type":    "J40: the same by Cognito",
	"claims: nonce, type":        "J40: of ID tokens",
	"claims: at_hash, type":      "J40: of ID tokens",
	"claims: events, type":       "J40: of logout tokens and security events",
	"claims: sub, subject":       "J37: missing, empty, or with control characters",
	"claims: aud, audience":      "J34: names that are empty or too long, or too many of them",
	"claims: exp, claim":         "J29: out of bounds, or not after iat",
	"claims: exp, expired":       "RFC 7519 section 4.1.4: \"on or after\"; go-oidc accepts a token in the second of its end",
	"claims: iat, claim":         "J29: null, or out of bounds",
	"claims: iat, not yet valid": "J31: go-oidc does not look at it",
	"claims: nbf, claim":         "J30: null, or out of bounds",
	"claims: nbf, not yet valid": "go-oidc allows clocks to differ by five minutes",
	"claims: jti, claim":         "RFC 7519 section 4.1.7: a string; others do not look, or take null",
	"claims: client_id, claim":   "a client that is no text is nobody; others do not look",
	"claims: azp, claim":         "the same where azp is the client",
	"token: too large":           "J43: limit",
	"claims: scope, claim":       "RFC 8693 section 4.2: a string; others do not look",
	"claims: cnf, binding":       "RFC 9449 section 7.2: bound to a key, so no bearer token; others do not look",
}

// An exception is a token that we accept and an oracle refuses, and that is well.
type exception struct {
	oracles string
	claims  bool // it is refused for its claims
	why     string
	holds   func(t taken) bool
}

var exceptions = []exception{
	{"go-jose golang-jwt go-oidc", false, `they do not know "Ed25519", the new name (RFC 9864) of what "EdDSA" is here always`,
		func(t taken) bool { return t.header.text("alg") == "Ed25519" }},
	{"go-jose golang-jwt go-oidc jwx", false, "a parameter that we never look at is a number too large for a float64, which they make of every number",
		func(t taken) bool { return hasHugeNumber(t.header.raw) }},
	{"go-jose go-oidc", false, `they read "nonce" (of ACME, RFC 8555) and "x5c" in every header; here they mean nothing`,
		func(t taken) bool { return t.header.isNoText("nonce") || t.header.isNoChain() }},
	{"jwx", false, "it reads what points to keys in every header; here none of that is followed, and so is not read",
		func(t taken) bool {
			return slices.ContainsFunc([]string{"jku", "x5u", "x5t", "x5t#S256"}, t.header.isNoText) || t.header.isNoChain()
		}},
	{"jwx", false, "it checks the signature of a header that it has written anew, without the white space around it",
		func(t taken) bool { return strings.Trim(t.header.raw, " \t\r\n") != t.header.raw }},
	{"go-oidc", true, "it reads claims of ID tokens that have no meaning in access tokens",
		func(t taken) bool {
			return t.payload.isNoText("nonce") || t.payload.isNoText("at_hash") || t.payload.has("_claim_names") || t.payload.has("_claim_sources")
		}},
	{"jwx", true, "a claim that we never look at is a number too large for a float64, which it makes of every number",
		func(t taken) bool { return hasHugeNumber(t.payload.raw) }},
}

// taken is a token that we accepted, taken apart.
type taken struct{ header, payload object }

type object struct {
	strictjson.Object
	raw string
}

func takeToken(raw string) taken {
	parts := strings.Split(raw, ".")
	part := func(i int) object { return object{must(strictjson.ParseString(decoded(parts[i]))), decoded(parts[i])} }
	return taken{part(0), part(1)}
}

func (o object) has(name string) bool {
	_, ok := o.Get(name)
	return ok
}

func (o object) text(name string) string {
	value, _ := o.Get(name)
	s, _ := strictjson.String(value)
	return s
}

// isNoText reports whether a member is there and neither a string nor null.
func (o object) isNoText(name string) bool {
	value, _ := o.Get(name)
	return !slices.Contains([]byte{0, '"', 'n'}, strictjson.Kind(value))
}

// isNoChain reports whether "x5c" is there and no list of certificates.
func (o object) isNoChain() bool {
	value, ok := o.Get("x5c")
	if !ok || strictjson.Kind(value) != '[' {
		return ok
	}
	for element := range strictjson.Elements(value) {
		text, _ := strictjson.String(element)
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return true
		}
		if _, err := x509.ParseCertificate(der); err != nil {
			return true
		}
	}
	return false
}

// hasHugeNumber looks for a number beyond float64 at any depth.
func hasHugeNumber(value string) bool {
	v, err := readReference(value)
	return err == nil && v.hasHugeNumber()
}

func (v value) hasHugeNumber() bool {
	f, err := strconv.ParseFloat(v.raw, 64)
	if err != nil && math.IsInf(f, 0) {
		return true
	}
	for _, m := range v.members {
		if m.hasHugeNumber() {
			return true
		}
	}
	return slices.ContainsFunc(v.list, value.hasHugeNumber)
}
