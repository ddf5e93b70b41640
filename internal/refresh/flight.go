package refresh

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/oidckit/oidckit"
)

// A flight is a fetch that is under way, or the end of one.
type flight struct {
	done    chan struct{}
	waiters int // of Renew; the lock of the Value guards it

	// What follows is set before done is closed.
	err        error
	retryAfter time.Duration
}

// maxWaiters is how many callers wait for a newer copy. Whoever makes up keys
// decides how many there would be.
const maxWaiters = 1000

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitPatiently is wait for who has a copy to go on with.
func (f *flight) waitPatiently(ctx context.Context) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-end.C:
		return errImpatient
	}
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// get joins the fetch that is under way or begins one. It returns nil and the time
// to wait if it is too soon for that.
func (v *Value[T]) get(now time.Time) (*flight, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flight == nil {
		if wait := v.backoff(now); wait > 0 {
			return nil, wait
		}
		v.launch(now)
	}
	return v.flight, 0
}

// renew is get for who needs a newer copy. Each flight it returns is to be left.
func (v *Value[T]) renew(now time.Time) (f *flight, joined bool, wait time.Duration, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	joined = v.flight != nil
	switch wait = v.budget(now); {
	case joined && v.flight.waiters >= maxWaiters:
		return nil, true, 0, ErrCrowded
	case joined:
	case v.askedToWait(now) > 0:
		return nil, false, v.askedToWait(now), &tooSoonError{v.lastErr}
	case wait > 0 && v.lastErr != nil:
		return nil, false, wait, &tooSoonError{v.lastErr}
	case wait > 0:
		return nil, false, wait, ErrTooSoon
	default:
		v.renewal = now
		v.launch(now)
	}
	v.flight.waiters++
	return v.flight, joined, 0, nil
}

func (v *Value[T]) leave(f *flight) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f.waiters--
}

// askedToWait is for how long a source that failed wants to be left alone, by
// everybody. The caller holds the lock.
func (v *Value[T]) askedToWait(now time.Time) time.Duration {
	if v.failures == 0 || !v.asked {
		return 0
	}
	return v.backoff(now)
}

// backoff is how long a source that failed is left alone. The caller holds the
// lock.
func (v *Value[T]) backoff(now time.Time) time.Duration {
	if v.failures == 0 {
		return 0
	}
	return v.pause - now.Sub(v.attempt)
}

// budget is how long until Renew may fetch again. The caller holds the lock.
func (v *Value[T]) budget(now time.Time) time.Duration {
	if v.renewal.IsZero() {
		return 0
	}
	return v.cfg.Cooldown - now.Sub(v.renewal)
}

// launch begins a fetch. The caller holds the lock.
func (v *Value[T]) launch(now time.Time) {
	if h := v.current.Load(); h != nil {
		v.quiet(h, v.servesUntil(h, v.inTrouble(now)))
	}
	v.flight, v.attempt = &flight{done: make(chan struct{})}, now
	go v.fetch(v.flight)
}

// quiet says until when nothing is to be done about a copy. The caller holds the
// lock.
func (v *Value[T]) quiet(h *held[T], until time.Time) {
	next := *h
	next.quietUntil = until
	v.current.Store(&next)
}

func (v *Value[T]) fetch(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), v.cfg.Timeout)
	defer cancel()
	var value T
	var freshFor time.Duration
	err := errAborted // stays if Fetch ends its goroutine
	defer func() {
		// Fetch runs functions of the program. What panics there for a request that
		// somebody sent must not end the process, as it would not in a handler.
		if recover() != nil {
			err = errPanicked
		}
		v.land(f, value, freshFor, err)
	}()
	value, freshFor, err = v.cfg.Fetch(ctx)
}

// land ends a flight.
func (v *Value[T]) land(f *flight, value T, freshFor time.Duration, err error) {
	v.mu.Lock()
	if err == nil {
		v.succeed(value, freshFor)
	} else {
		v.fail(f, err)
	}
	v.lastErr, f.err, v.flight = err, err, nil
	close(f.done)
	v.mu.Unlock()
	if v.cfg.Done != nil {
		defer func() { _ = recover() }() // what came of the fetch is in place
		v.cfg.Done(value, err)
	}
}

func (v *Value[T]) succeed(value T, freshFor time.Duration) {
	v.failures, v.pause = 0, 0
	due := v.attempt.Add(freshFor)
	if v.cfg.Jitter {
		due = v.attempt.Add(portion(freshFor, 0.8, 0.9))
	}
	v.current.Store(&held[T]{value: value, fetched: v.attempt, freshUntil: v.attempt.Add(freshFor), due: due, quietUntil: due})
}

// maxRetryAfter is how much of what a source asks for it gets.
const maxRetryAfter = time.Minute

func (v *Value[T]) fail(f *flight, err error) {
	v.failures++
	h := v.current.Load()
	v.pause = v.cfg.Cooldown
	if h == nil {
		v.pause = min(v.pause, time.Second<<min(v.failures-1, 16))
	}
	if v.cfg.Jitter {
		v.pause = portion(v.pause, 0.8, 1)
	}
	if v.cfg.RetryAfter != nil {
		wish := min(v.cfg.RetryAfter(err), maxRetryAfter)
		v.asked = wish > 0
		v.pause = max(v.pause, wish)
	}
	v.follow(err)
	f.retryAfter = max(0, v.backoff(v.cfg.Now()))
	if h != nil {
		v.quiet(h, later(h.due, v.attempt.Add(v.pause), h.freshUntil.Add(v.cfg.MaxStale)))
	}
}

// follow takes over the pause of another Value that this one depends on, as keys do on
// metadata: asking earlier asks nobody, and asking later waits for nothing.
func (v *Value[T]) follow(err error) {
	var u *oidckit.UnavailableError
	if errors.As(err, &u) && u.RetryAfter > 0 {
		v.pause = v.cfg.Now().Sub(v.attempt) + min(u.RetryAfter, maxRetryAfter)
	}
}

// later returns the later one of a and b, but no time after end.
func later(a, b, end time.Time) time.Time {
	if a.Before(b) {
		a = b
	}
	if end.Before(a) {
		return end
	}
	return a
}

// portion returns a random part of d between two shares of it.
func portion(d time.Duration, from, to float64) time.Duration {
	return time.Duration(float64(d) * (from + (to-from)*rand.Float64())) //nolint:gosec // G404: nobody gains by guessing it
}

func (v *Value[T]) lastError() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lastErr == nil {
		return ErrTooSoon
	}
	return v.lastErr
}

// A State is how a value fares.
type State[T any] struct {
	Value      T         // the last good copy, whether it serves or not
	Attempt    time.Time // start of the last fetch
	Success    time.Time // start of the one that brought the copy; zero if there is none
	FreshUntil time.Time
	Err        error // of the last fetch that has ended
}

// State returns how v fares.
func (v *Value[T]) State() State[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := State[T]{Attempt: v.attempt, Err: v.lastErr}
	if h := v.current.Load(); h != nil {
		s.Value, s.Success, s.FreshUntil = h.value, h.fetched, h.freshUntil
	}
	return s
}
