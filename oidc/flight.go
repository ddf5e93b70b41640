package oidc

import (
	"context"
	"errors"
	"time"
)

// A flight is work that several may wait for, and that goes on when nobody does: a
// refresh token that was sent is spent, whoever has hung up.
type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func newFlight[T any]() *flight[T] { return &flight[T]{done: make(chan struct{})} }

// flightTime bounds the work as a whole. Each request of it has the time limit of all
// requests (10 s).
const flightTime = 30 * time.Second

var (
	errPanicked = errors.New("oidc: a function that was called to get a token has panicked")
	errAborted  = errors.New("oidc: the work ended without a result")
)

// fly does the work, for which it has a context of its own. land is told what came of it
// before those who wait are.
func (f *flight[T]) fly(work func(context.Context) (T, error), land func(T, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTime)
	defer cancel()
	f.err = errAborted // stays if the work ends its goroutine
	defer close(f.done)
	defer func() {
		// Work calls functions of the program. What panics there must not end the process:
		// in the goroutine of a request it would not.
		if recover() != nil {
			f.err = errPanicked
		}
		land(f.value, f.err)
	}()
	f.value, f.err = work(ctx)
}

// wait returns what came of the work. The end of ctx ends the wait alone.
func (f *flight[T]) wait(ctx context.Context) (value T, err error) {
	if f.landed() {
		return f.value, f.err
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return value, unavailable("token", ctx.Err())
	}
}

// landed reports whether the work has ended.
func (f *flight[T]) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
