package jwt

import (
	"encoding/base64"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// Limits on what is decoded before a signature was checked.
const (
	MaxSize       = 16 << 10 // of a whole token, in bytes
	maxHeaderSize = 2 << 10  // of the decoded header
	maxKeyID      = 256
)

// A Token is a parsed compact JWS (RFC 7515 section 7.1) whose signature has
// not been checked.
type Token struct {
	Algorithm string // "alg"
	KeyID     string // "kid", or empty
	Type      string // "typ", or empty
	Payload   []byte // decoded; the bytes that are signed
	Claims    strictjson.Object
	signed    []byte // header and payload as they are encoded
	signature []byte
}

// Parse takes a compact JWS apart. It accepts canonical base64url without
// padding and nothing around it: one token has one spelling (RFC 7515 section
// 2). All errors are of type *Error.
func Parse(raw string) (*Token, error) {
	head, body, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	header, err := decodeSegment(head)
	if err != nil {
		return nil, err
	}
	t := &Token{signed: []byte(raw[:len(head)+1+len(body)])}
	if err := t.readHeader(header); err != nil {
		return nil, err
	}
	if t.Payload, err = decodeSegment(body); err != nil {
		return nil, err
	}
	if t.signature, err = decodeSegment(sig); err != nil {
		return nil, err
	}
	if t.Claims, err = strictjson.Parse(t.Payload); err != nil {
		return nil, &Error{Reason: Payload, Err: err}
	}
	if t.Claims.HasFolded(registeredClaims) {
		return nil, &Error{Reason: Payload, Detail: "a registered claim in another case"}
	}
	return t, nil
}

// split counts before it cuts, so that a megabyte of dots costs one scan
// (CVE-2025-27144, CVE-2025-30204).
func split(raw string) (head, body, sig string, err error) {
	if len(raw) > MaxSize {
		return "", "", "", &Error{Reason: TooLarge}
	}
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return "", "", "", &Error{Reason: Encrypted, Detail: "this is a JWE, and no decryption key is configured"}
	default:
		return "", "", "", &Error{Reason: Malformed, Detail: "a compact JWS has three parts"}
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, sig, _ = strings.Cut(rest, ".")
	if head == "" || body == "" || sig == "" {
		return "", "", "", &Error{Reason: Malformed, Detail: "empty part"}
	}
	return head, body, sig, nil
}

// decodeSegment decodes base64url. The decoder of the standard library skips
// line breaks, hence the scan; Strict refuses set bits behind the last byte.
func decodeSegment(s string) ([]byte, error) {
	for i := range len(s) {
		if !isBase64URL(s[i]) {
			return nil, &Error{Reason: Malformed, Detail: "not base64url"}
		}
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "not canonical base64url"}
	}
	return data, nil
}

func isBase64URL(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// refusedHeaders change what a signature means or where its key comes from.
// None of them has a place in a token for us: "crit" because no extension is
// understood here (RFC 7515 section 4.1.11), "b64" (RFC 7797), "zip" (JWE
// only), "cty" because tokens do not nest (RFC 7519 section 5.2), "jwk" because
// a token cannot vouch for its own key (CVE-2018-0114). "jku", "x5u", "x5c" and
// "x5t" are never looked at; good tokens carry them.
var refusedHeaders = []string{"crit", "b64", "zip", "cty", "jwk"}

var headerNames = []string{"alg", "kid", "typ"}

// registeredClaims decide whether and for whom a token is good. One of them in
// another case ("ISS", "ſub") is read by some as the claim and by others as none.
var registeredClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr",
	"at_hash", "c_hash", "s_hash", "sid", "events", "cnf", "act", "scope", "scp", "client_id",
}

func (t *Token) readHeader(data []byte) error {
	if len(data) > maxHeaderSize {
		return &Error{Reason: TooLarge, Detail: "header"}
	}
	header, err := strictjson.Parse(data)
	if err != nil {
		return &Error{Reason: Header, Err: err}
	}
	for _, name := range refusedHeaders {
		if _, ok := header.Get(name); ok {
			return &Error{Reason: Header, Detail: name + " is not supported"}
		}
	}
	if header.HasFolded(headerNames) {
		return &Error{Reason: Header, Detail: "a registered parameter in another case"}
	}
	for name, field := range map[string]*string{"alg": &t.Algorithm, "kid": &t.KeyID, "typ": &t.Type} {
		if *field, err = headerString(header, name); err != nil {
			return err
		}
	}
	if t.Algorithm == "" {
		return &Error{Reason: Header, Detail: "alg is missing"}
	}
	return nil
}

func headerString(header strictjson.Object, name string) (string, error) {
	value, ok := header.Get(name)
	if !ok {
		return "", nil
	}
	s, ok := strictjson.String(value)
	if !ok || !isPrintable(s) || len(s) > maxKeyID {
		return "", &Error{Reason: Header, Detail: name + " is not a short printable string"}
	}
	return s, nil
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}
