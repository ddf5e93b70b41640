package exchange

import "github.com/oidckit/oidckit"

// A Reason is why there was no token, for programs to compare and count.
type Reason string

// The reasons an [Error] can have.
const (
	ReasonToken     Reason = "token"     // the verifier refuses the subject token; Err says why
	ReasonSelf      Reason = "self"      // it is a token of our own
	ReasonDelegated Reason = "delegated" // it has passed through two others already ("act")
	ReasonPolicy    Reason = "policy"    // no rule is for it
	ReasonReplayed  Reason = "replayed"  // it was exchanged before
	ReasonExpired   Reason = "expired"   // nothing is left of its time
	ReasonClaims    Reason = "claims"    // what is to be copied of it is too large, or unusable
	ReasonAlgorithm Reason = "algorithm" // no key signs with the algorithm that was asked for
	ReasonAudience  Reason = "audience"  // the audience that was asked for is not among those of the rule
	ReasonRequest   Reason = "request"   // the request is malformed
	ReasonLimit     Reason = "limit"     // too many requests
)

// Error says why there is no token. It answers errors.Is for oidckit.ErrForbidden if no
// rule is for the token ([ReasonPolicy]), for oidckit.ErrInvalidToken if the token is at
// fault otherwise, and for neither if it is the request. Its text holds nothing of the
// token.
type Error struct {
	Reason Reason
	Detail string // fixed text; may be empty
	Err    error  // may be nil
}

func (e *Error) Error() string {
	text := "exchange: refused: " + string(e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is maps the reason to a sentinel of the module.
func (e *Error) Is(target error) bool {
	switch e.Reason {
	case ReasonPolicy:
		return target == oidckit.ErrForbidden
	case ReasonAlgorithm, ReasonAudience, ReasonRequest, ReasonLimit:
		return false
	}
	return target == oidckit.ErrInvalidToken
}
