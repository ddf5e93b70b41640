package jwt

import "github.com/oidckit/oidckit/internal/strictjson"

// refusedInProofs are refusedHeaders but for "jwk".
var refusedInProofs = []string{"crit", "b64", "zip", "cty"}

// ParseProof is [Parse] for the one kind of token that brings its own key, in the header
// parameter "jwk": a proof of possession (RFC 9449 section 4.2).
func ParseProof(raw string) (*Token, error) {
	head, body, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	t, _ := tokens.Get().(*Token)
	if err := t.readProof(raw, head, body, sig); err != nil {
		t.Release()
		return nil, err
	}
	return t, nil
}

func (t *Token) readProof(raw, head, body, sig string) (err error) {
	if err := t.readProofHeader(head); err != nil {
		return err
	}
	if err := t.readParts(raw, head, body, sig); err != nil {
		return err
	}
	return t.readClaims()
}

// readProofHeader knows no header from before: each key has its own, and who makes them up
// is a stranger.
func (t *Token) readProofHeader(head string) (err error) {
	if t.buffer, err = decodeSegment(t.buffer, head); err != nil {
		return err
	}
	header, err := strictjson.Parse(t.buffer)
	if err != nil {
		return &Error{Reason: Header, Err: err}
	}
	if t.Parameters, err = readParameters(header, refusedInProofs); err != nil {
		return err
	}
	jwk, ok := header.Get("jwk")
	if !ok || strictjson.Kind(jwk) != '{' {
		return &Error{Reason: Header, Detail: "jwk is missing, or no object"}
	}
	t.JWK = jwk
	return nil
}
