package oidckit

import (
	"errors"
	"fmt"
	"time"
)

// The four things a caller can do about an error. Test for them with
// [errors.Is]. Where an outage has a cause that answers to another one, test for
// ErrUnavailable first.
var (
	// ErrInvalidToken: the token is at fault. Refuse it; an API says 401.
	ErrInvalidToken = errors.New("oidckit: invalid token")

	// ErrForbidden: who asks is known, and may not do this. An API says 403.
	ErrForbidden = errors.New("oidckit: forbidden")

	// ErrUnavailable: the question could not be judged, because something that
	// is needed to judge it did not answer. Nothing is wrong with the token.
	// Try again later; an API says 503. See [UnavailableError].
	ErrUnavailable = errors.New("oidckit: unavailable")

	// ErrInvalidCallback: this authorization response cannot finish this login.
	// Start the login again.
	ErrInvalidCallback = errors.New("oidckit: invalid callback")
)

// UnavailableError says what could not be had, and when to ask again. It
// answers [errors.Is] for [ErrUnavailable] and for whatever Err answers to.
type UnavailableError struct {
	// What is missing, in words: "provider metadata", "verification keys".
	What string
	// Err is the cause. It holds no response body.
	Err error
	// RetryAfter is how long until asking again can help. Zero means unknown.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("oidckit: %s unavailable: %v", e.What, e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrUnavailable].
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }
