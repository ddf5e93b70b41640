package presets

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Hint says what is likely to be wrong if a verifier or mapper with this preset returned
// err, and what to do about it: for the log and the operator, never for the client. It is
// empty if nothing is known, or err is nil.
//
// With the token that was refused, Hint knows more; "" is fine. Nobody has verified it:
// what it says chooses among the fixed texts of the preset, and does nothing else. No part
// of it is in the hint.
func (p Preset) Hint(err error, token string) string {
	if err == nil {
		return ""
	}
	f := newFailure(err, token)
	for _, h := range p.hints {
		if h.when(f) {
			return h.text
		}
	}
	return ""
}

// A hint is what to say about some failures.
type hint struct {
	when func(*failure) bool
	text string
}

// A failure is what hints go by.
type failure struct {
	reason      oidc.Reason // of a verifier
	missing     string      // the claim that a verifier or mapper did not find
	overage     bool        // a list that is not in the token
	unavailable bool        // the provider did not answer

	opaque          bool // a token, and no JWS
	raw             string
	header, payload claims.Set // of a token that nobody has verified
}

func newFailure(err error, token string) *failure {
	f := &failure{raw: token, unavailable: errors.Is(err, oidckit.ErrUnavailable)}
	var refused *oidc.Error
	if errors.As(err, &refused) {
		f.reason = refused.Reason
		if refused.Reason == oidc.ReasonClaim || refused.Reason == oidc.ReasonSubject {
			f.missing = refused.Claim
		}
	}
	var unread *claims.Error
	if errors.As(err, &unread) && claims.IsMissing(err) {
		f.missing = unread.Claim
	}
	var overage *claims.OverageError
	f.overage = errors.As(err, &overage)
	f.read(token)
	return f
}

// longest is the longest token that is looked into, as verifiers have it.
const longest = 16 << 10

// read looks into a token that nobody has verified.
func (f *failure) read(token string) {
	if token == "" || len(token) > longest {
		return
	}
	parts := strings.Split(token, ".")
	f.header = decode(parts[0])
	if len(parts) == 3 {
		f.payload = decode(parts[1])
	}
	f.opaque = len(parts) != 3 || f.text(f.header, "alg") == ""
}

// decode is the zero Set if there is no object.
func decode(part string) claims.Set {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return claims.Set{}
	}
	set, err := claims.Parse(data)
	if err != nil {
		return claims.Set{}
	}
	return set
}

// text is empty if there is no such string.
func (f *failure) text(set claims.Set, name string) string {
	s, err := set.String(claims.P(name))
	if err != nil {
		return ""
	}
	return s
}

// says reports whether the token itself says so.
func (f *failure) says(name, value string) bool { return f.text(f.payload, name) == value }

// has reports whether the claim is in the token itself.
func (f *failure) has(name string) bool { return f.payload.Has(claims.P(name)) }

// isFor reports whether the token says that it is for one of these.
func (f *failure) isFor(audiences ...string) bool {
	for _, a := range audiences {
		if ok, err := f.payload.Contains(claims.P("aud"), a); ok && err == nil {
			return true
		}
	}
	return false
}

// because is the condition of a hint for refusals of these kinds.
func because(reasons ...oidc.Reason) func(*failure) bool {
	return func(f *failure) bool { return slices.Contains(reasons, f.reason) }
}

// without is the condition of a hint for claims that are not there.
func without(names ...string) func(*failure) bool {
	return func(f *failure) bool { return slices.Contains(names, f.missing) }
}

func isOpaque(f *failure) bool { return f.opaque }

func hasOverage(f *failure) bool { return f.overage }
