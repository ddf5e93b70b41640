package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Confirmation names the keys that a token is bound to (claim "cnf", RFC 7800 section
// 3.1), or those that somebody has proved to have. The zero value is none: a bearer token.
type Confirmation struct {
	// JWKThumbprint is "jkt", the thumbprint of the key of DPoP proofs (RFC 9449 section 6.1).
	JWKThumbprint string
	// CertificateThumbprint is "x5t#S256", of the client's certificate (RFC 8705 section
	// 3.1): see [CertificateThumbprint].
	CertificateThumbprint string
}

// IsZero reports whether no key is named.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// CertificateThumbprint returns the SHA-256 hash of a certificate (RFC 8705 section 3.1), in
// base64url.
func CertificateThumbprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// A Prover finds out what the sender of a verified token has proved to have: the key of a
// DPoP proof, the certificate of the connection. It is also asked about tokens that are
// bound to nothing, and may refuse them. It does not compare: what it returns is compared
// with the token's Confirmation, so that there is no way to forget one. Errors are as
// those of [AccessTokenVerifier.Verify].
type Prover func(ctx context.Context, token *AccessToken) (proven Confirmation, err error)

// confirm lets a token through whose keys were proved, every one of them. Without a
// prover there is no proof: "the protected resource MUST NOT accept a DPoP-bound access
// token as a bearer token" (RFC 9449 section 7.2).
func confirm(ctx context.Context, token *AccessToken, prove Prover) (*AccessToken, error) {
	var proven Confirmation
	if prove != nil {
		var err error
		if proven, err = prove(ctx, token); err != nil {
			return nil, err
		}
	}
	if err := token.Confirmation.checkProven(proven); err != nil {
		return nil, err
	}
	return token, nil
}

// checkProven: thumbprints are no secrets, they stand in the token.
func (c Confirmation) checkProven(proven Confirmation) error {
	switch {
	case c.JWKThumbprint != "" && c.JWKThumbprint != proven.JWKThumbprint:
		return bound("bound to a key (jkt) that was not proved")
	case c.CertificateThumbprint != "" && c.CertificateThumbprint != proven.CertificateThumbprint:
		return bound("bound to a certificate (x5t#S256) that was not proved")
	}
	return nil
}

func bound(why string) error {
	return &Error{Reason: ReasonBinding, Claim: "cnf", Err: errors.New(why)}
}

// confirmation reads "cnf". A member that is not known here would go unchecked, and a "cnf"
// that names nothing binds to something that nobody knows: both are refused.
func confirmation(p payload) (c Confirmation, err error) {
	value, ok := p.members.Get("cnf")
	if !ok {
		return c, nil
	}
	members, err := strictjson.ParseString(value)
	if err != nil {
		return c, bound("it is no object")
	}
	for name, value := range members.All() {
		thumbprint, ok := thumbprintIn(value)
		switch {
		case !ok:
			return Confirmation{}, bound("it has a member that is no SHA-256 thumbprint")
		case name == "jkt":
			c.JWKThumbprint = thumbprint
		case name == "x5t#S256":
			c.CertificateThumbprint = thumbprint
		default:
			return Confirmation{}, bound("it has a member that is not supported")
		}
	}
	if c.IsZero() {
		return c, bound("it names no key")
	}
	return c, nil
}

// thumbprintIn reads 256 bits in base64url, in its one spelling.
func thumbprintIn(value string) (string, bool) {
	s, ok := strictjson.String(value)
	if !ok {
		return "", false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return s, err == nil && len(data) == sha256.Size && len(s) == thumbprintLength
}

const thumbprintLength = 43 // characters: the decoder skips line breaks
