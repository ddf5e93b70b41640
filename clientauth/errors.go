package clientauth

import (
	"context"
	"errors"

	"github.com/oidckit/oidckit"
)

// A Reason is why a client cannot prove itself, for programs to compare.
type Reason string

// The reasons an [Error] can have.
const (
	ReasonConfiguration Reason = "configuration" // a method was put together wrongly
	ReasonMethod        Reason = "method"        // the provider supports none that there are credentials for
	ReasonAlgorithm     Reason = "algorithm"     // the provider does not list it, or it is none for this method
	ReasonAudience      Reason = "audience"      // nothing to make an assertion out to
	ReasonSecret        Reason = "secret"        // empty, or shorter than it must be
	ReasonAssertion     Reason = "assertion"     // what signs or stands in a file is no assertion
	ReasonExpired       Reason = "expired"       // the assertion in a file has expired
	ReasonUnavailable   Reason = "unavailable"   // the secret cannot be read, or the key does not sign
	ReasonRequest       Reason = "request"       // of a [RoundTripper]: this is no request for a token
	ReasonRedirect      Reason = "redirect"      // of a [RoundTripper]: the token endpoint sends elsewhere
	ReasonRepeated      Reason = "repeated"      // of a [RoundTripper]: the code or refresh token was sent before
)

// Error says why a client cannot prove itself: nothing was sent, but for ReasonRedirect.
// It answers errors.Is for [oidckit.ErrUnavailable] if its reason is ReasonUnavailable or
// ReasonExpired: nothing has to change in the program. Its text holds no secret, no
// code and no assertion.
type Error struct {
	Reason Reason
	Err    error // more about it; may be nil

	text string // fixed, but for names of algorithms and methods
}

func (e *Error) Error() string {
	text := "clientauth: " + e.text
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [oidckit.ErrUnavailable] and the reason is an outage.
func (e *Error) Is(target error) bool {
	return target == oidckit.ErrUnavailable && (e.Reason == ReasonUnavailable || e.Reason == ReasonExpired)
}

func problem(reason Reason, text string) error { return &Error{Reason: reason, text: text} }

// unavailable is an outage, unless the caller went away or it was told better already.
func unavailable(ctx context.Context, text string, err error) error {
	var own *Error
	if ctx.Err() != nil || errors.As(err, &own) {
		return err
	}
	return &Error{Reason: ReasonUnavailable, text: text, Err: err}
}
