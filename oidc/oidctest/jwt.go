package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// members are those of a JSON object. They are found by their exact names, which
// a struct would not do.
type members map[string]json.RawMessage

// text returns a member that is a string, and "" for all else.
func (m members) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// number returns a member that is a number. ok is false if it is something else;
// there is false if it is missing.
func (m members) number(name string) (value float64, there, ok bool) {
	raw, there := m[name]
	if !there {
		return 0, false, true
	}
	var n *float64
	if json.Unmarshal(raw, &n) != nil || n == nil {
		return 0, true, false
	}
	return *n, true, true
}

// values reads the members as a map of plain values.
func (m members) values() map[string]any {
	v := map[string]any{}
	for name, raw := range m {
		var value any
		if json.Unmarshal(raw, &value) == nil {
			v[name] = value
		}
	}
	return v
}

// parsedJWT is a compact JWS whose payload is an object. Nobody has checked its
// signature.
type parsedJWT struct {
	jws            *jose.JSONWebSignature
	header, claims members
}

func (t *parsedJWT) alg() string { return t.header.text("alg") }

// parseJWT reads a compact JWS of one of our algorithms, HS* included.
func parseJWT(token string) (*parsedJWT, bool) {
	header, ok := protectedHeader(token)
	if !ok {
		return nil, false
	}
	jws, err := jose.ParseSignedCompact(token, everyAlgorithm())
	if err != nil {
		return nil, false
	}
	t := &parsedJWT{jws: jws, header: header}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &t.claims) != nil || t.claims == nil {
		return nil, false
	}
	return t, true
}

// protectedHeader decodes the first part of a compact JWS.
func protectedHeader(token string) (members, bool) {
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, false
	}
	var header members
	if json.Unmarshal(raw, &header) != nil || header == nil {
		return nil, false
	}
	return header, true
}

func everyAlgorithm() []jose.SignatureAlgorithm {
	return append(joseAlgorithms(), jose.HS256, jose.HS384, jose.HS512)
}

// asymmetric are our algorithms with a key pair, sorted.
func asymmetric() []string {
	algs := make([]string, 0, len(algorithms))
	for alg := range algorithms {
		algs = append(algs, alg)
	}
	slices.Sort(algs)
	return algs
}
