package jwt

import (
	"strings"
	"sync"

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
	Parameters
	Payload string            // decoded; the bytes that are signed
	Claims  strictjson.Object // of the payload, if [Parse] or [ParseProof] made the token
	JWK     string            // of the header, if [ParseProof] made the token; not looked at

	raw    string
	head   string // the header as it is encoded
	signed []byte // header and payload as they are encoded
	sig    []byte // decoded
	buffer []byte // for the payload
	digest [64]byte
	der    [144]byte // an ECDSA signature in ASN.1
}

// tokens keeps the buffers of tokens that were released.
var tokens = sync.Pool{New: func() any { return new(Token) }}

// Release gives the buffers back. After it the token must not be used; Parameters,
// Payload and Claims that were copied from it stay good.
func (t *Token) Release() {
	*t = Token{signed: t.signed[:0], sig: t.sig[:0], buffer: t.buffer[:0]}
	tokens.Put(t)
}

// Parse takes a compact JWS apart whose payload is a set of claims (RFC 7519). It
// accepts canonical base64url without padding and nothing around it: one token has
// one spelling (RFC 7515 section 2). All errors are of type *Error.
func Parse(raw string) (*Token, error) {
	t, err := ParseSigned(raw)
	if err != nil {
		return nil, err
	}
	if err := t.readClaims(); err != nil {
		t.Release()
		return nil, err
	}
	return t, nil
}

// ParseSigned is [Parse] for a payload of any kind.
func ParseSigned(raw string) (*Token, error) {
	head, body, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	t, _ := tokens.Get().(*Token)
	if err := t.read(raw, head, body, sig); err != nil {
		t.Release()
		return nil, err
	}
	return t, nil
}

// Compact returns the token as it was given to [Parse].
func (t *Token) Compact() string { return t.raw }

func (t *Token) read(raw, head, body, sig string) (err error) {
	if err := t.readHeader(head); err != nil {
		return err
	}
	return t.readParts(raw, head, body, sig)
}

func (t *Token) readParts(raw, head, body, sig string) (err error) {
	t.raw = raw
	if t.buffer, err = decodeSegment(t.buffer, body); err != nil {
		return err
	}
	t.Payload = string(t.buffer)
	if t.sig, err = decodeSegment(t.sig, sig); err != nil {
		return err
	}
	t.signed = append(t.signed[:0], raw[:len(head)+1+len(body)]...)
	return nil
}

func (t *Token) readClaims() (err error) {
	if t.Claims, err = strictjson.ParseString(t.Payload); err != nil {
		return &Error{Reason: Payload, Err: err}
	}
	if t.Claims.HasFolded(registeredClaims) {
		return &Error{Reason: Payload, Detail: "a registered claim in another case"}
	}
	return nil
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
		return "", "", "", &Error{Reason: Encrypted, Detail: "this is a JWE, and it is not decrypted here"}
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

func decodeSegment(dst []byte, s string) ([]byte, error) {
	data, ok := decode(dst[:0], s)
	if !ok {
		return dst, &Error{Reason: Malformed, Detail: "not canonical base64url"}
	}
	return data, nil
}

// registeredClaims decide whether and for whom a token is good. One of them in
// another case ("ISS", "ſub") is read by some as the claim and by others as none.
var registeredClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr",
	"at_hash", "c_hash", "s_hash", "sid", "events", "cnf", "act", "scope", "scp", "client_id",
}
