package refresh

import (
	"errors"
	"time"

	"github.com/oidckit/oidckit"
)

var (
	// ErrTooSoon is the answer of Renew while its budget is spent.
	ErrTooSoon = errors.New("refresh: asked again too soon")
	// ErrCrowded is the answer of Renew while too many wait for it.
	ErrCrowded = errors.New("refresh: too many wait for the same answer")

	errImpatient = errors.New("refresh: the source takes too long")
	errPanicked  = errors.New("refresh: a function that the fetch called has panicked")
	errAborted   = errors.New("refresh: the fetch ended without an answer")
)

// tooSoonError is of a budget that was spent on a fetch that failed: nobody can say
// that the copy stands.
type tooSoonError struct{ cause error }

func (e *tooSoonError) Error() string { return e.cause.Error() }

func (e *tooSoonError) Unwrap() error { return e.cause }

func (e *tooSoonError) Is(target error) bool { return target == ErrTooSoon }

func (v *Value[T]) unavailable(cause error, retryAfter time.Duration) error {
	return &oidckit.UnavailableError{What: v.cfg.What, Err: cause, RetryAfter: retryAfter}
}
