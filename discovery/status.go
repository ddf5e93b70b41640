package discovery

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Status tells how a [Remote] fares. Times are zero if there was no such event.
type Status struct {
	Issuer string
	// URL is where the document was found last. It may have a query.
	URL string
	// LastSuccess is when the last good document was asked for, LastAttempt when
	// any was. Until FreshUntil, or a while before, nothing is asked for unless by
	// [Remote.Renew].
	LastSuccess, LastAttempt, FreshUntil time.Time
	// Err is why the last attempt that ended had no success; nil if it had.
	Err error
	// Attempts counts those that ended, Failures those without success since the
	// last that had.
	Attempts, Failures int
}

// Status returns the state. It does no I/O.
func (r *Remote) Status() Status {
	s := r.tally.read()
	state := r.doc.State()
	s.Issuer, s.Err = r.issuer, state.Err
	s.LastSuccess, s.LastAttempt, s.FreshUntil = state.Success, state.Attempt, state.FreshUntil
	return s
}

// tally is the part of a Status that we count ourselves.
type tally struct {
	mu     sync.Mutex
	status Status
}

func (t *tally) read() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

func (t *tally) note(place string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Attempts++
	if err != nil {
		t.status.Failures++
		return
	}
	t.status.URL, t.status.Failures = place, 0
}

// tell logs an error that no caller gets, for the last good document serves.
func (r *Remote) tell(ctx context.Context, err error) {
	if s := r.doc.State(); err != nil && !s.Success.IsZero() {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "provider metadata cannot be renewed, the last good ones serve",
			slog.String("issuer", r.issuer), slog.Time("since", s.Success), slog.Any("error", err))
	}
}
