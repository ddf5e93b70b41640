package refresh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidckit/oidckit"
)

// A Config says where a value comes from and how long it lives. All durations
// must be set.
type Config[T any] struct {
	// What names the value in errors: "verification keys".
	What string
	// Fetch gets the value anew and says how long it is fresh.
	Fetch func(ctx context.Context) (value T, freshFor time.Duration, err error)
	// Timeout ends a Fetch.
	Timeout time.Duration
	// Cooldown is the distance between two calls of Renew that fetch, and between
	// attempts after a failure. While there is no copy at all the latter starts
	// at a second and doubles up to Cooldown, so that a program that started
	// before its provider is soon well.
	Cooldown time.Duration
	// MaxStale is how long a copy serves after it stopped being fresh.
	MaxStale time.Duration
	Now      func() time.Time
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
	lastErr  error
}

type held[T any] struct {
	value      T
	freshUntil time.Time
}

type flight struct {
	done chan struct{}
	err  error
}

// ErrTooSoon is the answer of Renew while its budget is spent.
var ErrTooSoon = errors.New("refresh: asked again too soon")

// New returns a value that has not been fetched.
func New[T any](cfg Config[T]) *Value[T] { return &Value[T]{cfg: cfg} }

// Get returns the copy while it serves, and waits for a first one otherwise.
// Errors are of type *oidckit.UnavailableError.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	var zero T
	now := v.cfg.Now()
	if h := v.current.Load(); h != nil && now.Before(h.freshUntil.Add(v.cfg.MaxStale)) {
		return v.serve(ctx, h, now)
	}
	f, wait := v.start(now, v.backoff)
	if f == nil {
		return zero, v.unavailable(v.lastError(), wait)
	}
	if err := f.wait(ctx); err != nil {
		return zero, v.unavailable(err, v.retryAfter())
	}
	return v.current.Load().value, nil
}

// grace is how long a copy that is no longer fresh serves without a question. One
// that lay unused for longer may be far from the truth: a key that was withdrawn
// hours ago must not open a door once more.
const grace = time.Minute

// serve gives a copy away, and a newer one if that can be had: at once if the copy
// has just stopped being fresh or the source is in trouble, else after the fetch. A
// caller who does not wait gets no copy: hanging up must not be a way to an old key.
func (v *Value[T]) serve(ctx context.Context, h *held[T], now time.Time) (T, error) {
	if now.Before(h.freshUntil) {
		return h.value, nil
	}
	trouble := v.inTrouble(now)
	f, _ := v.start(now, v.backoff)
	if f == nil || trouble || now.Before(h.freshUntil.Add(grace)) {
		return h.value, nil
	}
	switch err := f.wait(ctx); {
	case err == nil:
		return v.current.Load().value, nil
	case ctx.Err() != nil:
		var zero T
		return zero, v.unavailable(err, v.retryAfter())
	}
	return h.value, nil
}

// inTrouble reports whether the source failed not long ago.
func (v *Value[T]) inTrouble(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failures > 0 && now.Sub(v.attempt) < v.cfg.Cooldown+grace
}

// Renew asks for a copy newer than the one Get returned. ErrTooSoon means that
// the copy was fetched not long ago and stands; other errors, also of an attempt
// not long ago, are of type *oidckit.UnavailableError.
func (v *Value[T]) Renew(ctx context.Context) (T, error) {
	var zero T
	f, wait := v.start(v.cfg.Now(), v.budget)
	if f == nil {
		if err := v.lastError(); err != nil {
			return zero, v.unavailable(err, wait)
		}
		return zero, ErrTooSoon
	}
	if err := f.wait(ctx); err != nil {
		return zero, v.unavailable(err, v.retryAfter())
	}
	return v.current.Load().value, nil
}

// start joins the fetch that is under way or begins one. It returns nil and the
// time to wait if it is too soon for that.
func (v *Value[T]) start(now time.Time, tooSoon func(now time.Time) time.Duration) (*flight, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flight != nil {
		return v.flight, 0
	}
	if wait := tooSoon(now); wait > 0 {
		return nil, wait
	}
	f := &flight{done: make(chan struct{})}
	v.flight, v.attempt = f, now
	go v.fetch(f)
	return f, 0
}

// backoff is how long a source that failed is left alone. The caller holds the
// lock.
func (v *Value[T]) backoff(now time.Time) time.Duration {
	if v.failures == 0 {
		return 0
	}
	distance := v.cfg.Cooldown
	if v.current.Load() == nil {
		distance = min(distance, time.Second<<min(v.failures-1, 16))
	}
	return distance - now.Sub(v.attempt)
}

// budget is how long until Renew may fetch again, and spends it if it may now.
// The caller holds the lock.
func (v *Value[T]) budget(now time.Time) time.Duration {
	if wait := v.cfg.Cooldown - now.Sub(v.renewal); !v.renewal.IsZero() && wait > 0 {
		return wait
	}
	v.renewal = now
	return 0
}

func (v *Value[T]) fetch(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), v.cfg.Timeout)
	defer cancel()
	value, freshFor, err := v.cfg.Fetch(ctx)

	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		v.current.Store(&held[T]{value: value, freshUntil: v.cfg.Now().Add(freshFor)})
		v.failures = 0
	} else {
		v.failures++
	}
	v.lastErr, f.err, v.flight = err, err, nil
	close(f.done)
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Value[T]) lastError() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lastErr
}

func (v *Value[T]) retryAfter() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return max(0, v.backoff(v.cfg.Now()))
}

func (v *Value[T]) unavailable(cause error, retryAfter time.Duration) error {
	if cause == nil {
		cause = ErrTooSoon
	}
	return &oidckit.UnavailableError{What: v.cfg.What, Err: cause, RetryAfter: retryAfter}
}
