package refresh

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says where a value comes from and how long it lives. All durations
// must be set.
type Config[T any] struct {
	// What names the value in errors: "verification keys".
	What string
	// Fetch gets the value anew and says how long it is fresh.
	Fetch func(ctx context.Context) (value T, freshFor time.Duration, err error)
	// Done, if not nil, is told what Fetch returned, outside of all locks and after
	// it has taken effect. Nobody waits for it.
	Done func(value T, err error)
	// RetryAfter, if not nil, reads from an error of Fetch for how long the source
	// wants to be left alone. It is, up to a minute, whoever asks.
	RetryAfter func(err error) time.Duration
	// Timeout ends a Fetch.
	Timeout time.Duration
	// Cooldown is the distance between two calls of Renew that fetch, and between
	// attempts after a failure. While there is no copy at all the latter starts
	// at a second and doubles up to Cooldown, so that a program that started
	// before its provider is soon well.
	Cooldown time.Duration
	// MaxStale is how long a copy serves after it stopped being fresh.
	MaxStale time.Duration
	// Jitter spreads what a thousand programs would else do in the same second: a
	// copy is due at 80 to 90 % of its freshness, and pauses after failures are up
	// to a fifth shorter.
	Jitter bool
	Now    func() time.Time
}

// A Value is a remote value and its last good copy. It is safe for concurrent
// use.
type Value[T any] struct {
	cfg     Config[T]
	current atomic.Pointer[held[T]]

	mu       sync.Mutex
	flight   *flight
	attempt  time.Time // start of the last fetch
	renewal  time.Time // start of the last fetch that Renew asked for
	failures int       // since the last success
	pause    time.Duration
	asked    bool // the source itself asked for the pause
	lastErr  error
}

// held is what readers see of a copy. It is replaced, never changed.
type held[T any] struct {
	value      T
	fetched    time.Time // start of the fetch
	freshUntil time.Time
	due        time.Time // when a fetch is to replace it
	// quietUntil: before this it serves, and nothing is to be done about it.
	quietUntil time.Time
}

// New returns a value that has not been fetched.
func New[T any](cfg Config[T]) *Value[T] { return &Value[T]{cfg: cfg} }

// Get is [Value.GetAt] now.
func (v *Value[T]) Get(ctx context.Context) (T, error) { return v.GetAt(ctx, v.cfg.Now()) }

// GetAt returns the copy while it serves, and waits for a first one otherwise.
// Errors are of type *oidckit.UnavailableError.
func (v *Value[T]) GetAt(ctx context.Context, now time.Time) (T, error) {
	if value, ok := v.Peek(now); ok {
		return value, nil
	}
	return v.await(ctx, now)
}

// Peek returns the copy if it serves without a wait, and starts a fetch that is
// due.
func (v *Value[T]) Peek(now time.Time) (value T, ok bool) {
	h := v.current.Load()
	switch {
	case h == nil:
		return value, false
	case now.Before(h.quietUntil):
		return h.value, true
	}
	return v.peekDue(now)
}

// grace is how long a copy that is no longer fresh serves without a question. One
// that lay unused for longer may be far from the truth: a key that was withdrawn
// hours ago must not open a door once more.
const grace = time.Minute

func (v *Value[T]) peekDue(now time.Time) (value T, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.current.Load()
	if !now.Before(v.servesUntil(h, v.inTrouble(now))) {
		return value, false
	}
	if v.flight == nil && !now.Before(h.quietUntil) { // else somebody was faster
		v.launch(now)
	}
	return h.value, true
}

// servesUntil is until when a copy serves without a wait: while the source is in
// trouble to its end, else for the grace.
func (v *Value[T]) servesUntil(h *held[T], trouble bool) time.Time {
	if trouble {
		return h.freshUntil.Add(v.cfg.MaxStale)
	}
	return h.freshUntil.Add(min(grace, v.cfg.MaxStale))
}

// patience is how long a fetch may take before the source counts as in trouble. A
// source that hangs must not stop those who have a copy.
const patience = 2 * time.Second

// inTrouble reports whether the source failed not long ago, or does not answer. The
// caller holds the lock.
func (v *Value[T]) inTrouble(now time.Time) bool {
	since := now.Sub(v.attempt)
	return v.failures > 0 && since < v.pause+grace || v.flight != nil && since >= patience
}

// await is for who gets no copy without a wait: there is none that serves, or it
// lay unused for so long that the source is asked first. A caller who does not wait
// gets none: hanging up must not be a way to an old key.
func (v *Value[T]) await(ctx context.Context, now time.Time) (value T, err error) {
	f, wait := v.get(now)
	if f == nil {
		if value, ok := v.Peek(now); ok { // a fetch has failed since we looked
			return value, nil
		}
		return value, v.unavailable(v.lastError(), wait)
	}
	h := v.current.Load()
	serves := h != nil && now.Before(h.freshUntil.Add(v.cfg.MaxStale))
	if serves {
		err = f.waitPatiently(ctx)
	} else {
		err = f.wait(ctx)
	}
	switch {
	case err == nil:
		return v.current.Load().value, nil
	case serves && (f.landed() || err == errImpatient): //nolint:errorlint // our own
		return h.value, nil
	case !f.landed():
		return value, v.unavailable(err, 0)
	}
	return value, v.unavailable(err, f.retryAfter)
}

// Renew is [Value.RenewAt] now.
func (v *Value[T]) Renew(ctx context.Context) (T, error) {
	value, _, err := v.RenewAt(ctx, v.cfg.Now())
	return value, err
}

// RenewAt asks for a copy newer than the one Get returned. It may join a fetch that
// is under way, whose answer may be older than the question. ErrTooSoon itself means
// that the copy was fetched not long ago and stands. Other errors are of type
// *oidckit.UnavailableError: the fetch failed; or it failed not long ago, which
// answers errors.Is for ErrTooSoon; or too many wait for it, ErrCrowded.
func (v *Value[T]) RenewAt(ctx context.Context, now time.Time) (value T, joined bool, err error) {
	f, joined, wait, err := v.renew(now)
	if err != nil {
		if err != ErrTooSoon { //nolint:errorlint // that one is an answer, not an outage
			err = v.unavailable(err, wait)
		}
		return value, joined, err
	}
	defer v.leave(f)
	if err := f.wait(ctx); err != nil {
		if !f.landed() {
			return value, joined, v.unavailable(err, 0)
		}
		return value, joined, v.unavailable(err, f.retryAfter)
	}
	return v.current.Load().value, joined, nil
}
