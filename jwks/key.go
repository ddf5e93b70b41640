package jwks

import (
	"crypto"
	"fmt"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/jwt"
)

// A Key verifies signatures. Keys are values and may be shared.
type Key struct {
	id        string
	algorithm string
	issuer    string
	material  any // as jwt.Fits knows it
}

// NewKey returns a key of an *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey, which must not be changed afterwards. The kid may be empty. The
// algorithm (RFC 7518 section 3.1) is the only one the key is used for; empty means
// each that its type fits. Errors are of type *KeyError: RSA keys under 2048 or over
// 8192 bits, among others, are refused.
func NewKey(public crypto.PublicKey, kid, algorithm string) (Key, error) {
	if err := checkPublic(public); err != nil {
		return Key{}, err
	}
	if algorithm != "" && !jwt.Fits(algorithm, public) {
		return Key{}, &KeyError{KeyUnsupported, "the algorithm of the key is unknown, or does not fit its type"}
	}
	return Key{id: kid, algorithm: algorithm, material: public}, nil
}

// ID returns the "kid", or nothing.
func (k Key) ID() string { return k.id }

// Algorithm returns the only algorithm of the key, or nothing if each that fits
// its type will do.
func (k Key) Algorithm() string { return k.algorithm }

// Issuer returns the "issuer" of the JWK, or nothing: a member of Microsoft's key
// sets, which serve many issuers. A key that has one verifies the tokens of that
// issuer alone. It may have the placeholder {tenantid}.
func (k Key) Issuer() string { return k.issuer }

// Format prints kid and algorithm with every verb: the key may be a secret.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.Key(%q, %s)", k.id, k.algorithm)
}

// fits compares key type and algorithm, and the issuer of a key that has one: keys
// belong to an issuer (RFC 8725 section 3.8).
func (k Key) fits(algorithm, issuer string) bool {
	return (k.algorithm == "" || jwt.Same(k.algorithm, algorithm)) && jwt.Fits(algorithm, k.material) &&
		(k.issuer == "" || isOf(k.issuer, issuer))
}

const tenantPlaceholder = "{tenantid}"

// isOf reports whether issuer is the one that pattern names, or one of those. A
// tenant is one segment of the path.
func isOf(pattern, issuer string) bool {
	before, after, ok := strings.Cut(pattern, tenantPlaceholder)
	if !ok {
		return issuer == pattern
	}
	rest, ok := strings.CutPrefix(issuer, before)
	tenant, found := strings.CutSuffix(rest, after)
	return ok && found && tenant != "" && !strings.Contains(tenant, "/")
}

// Equal reports whether two keys are the same in all: material, kid, algorithm and
// issuer. A [Source] of one's own needs it to answer a Query with Retry.
func (k Key) Equal(o Key) bool {
	if k.id != o.id || k.algorithm != o.algorithm || k.issuer != o.issuer {
		return false
	}
	public, ok := k.material.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(o.material)
}

// missing counts those of keys that are not among others.
func missing(keys, others []Key) (n int) {
	for _, k := range keys {
		if !slices.ContainsFunc(others, k.Equal) {
			n++
		}
	}
	return n
}
