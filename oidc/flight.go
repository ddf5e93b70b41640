package oidc

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A flight is work that several may wait for, and that goes on when nobody does: a
// refresh token that was sent is spent, whoever has hung up.
type flight[T any] struct {
	done  chan struct{}
	ends  time.Time // when nobody waits any longer
	value T
	err   error
}

func newFlight[T any]() *flight[T] {
	return &flight[T]{done: make(chan struct{}), ends: time.Now().Add(flightTime + flightGrace)}
}

const (
	// flightTime bounds the work as a whole. Each request of it has the time limit of all
	// requests (10 s).
	flightTime = 30 * time.Second
	// flightGrace is for work to say why it ended with its context. A function of the
	// program that looks at no context would have everybody wait for ever.
	flightGrace = time.Second
)

var errAborted = errors.New("oidc: the work ended without a result")

// fly does the work, for which it has a context of its own. land is told what came of it
// before those who wait are, and logger of a panic.
func (f *flight[T]) fly(logger *slog.Logger, work func(context.Context) (T, error), land func(T, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTime)
	defer cancel()
	f.err = errAborted // stays if the work ends its goroutine
	defer close(f.done)
	defer func() { land(f.value, f.err) }()
	f.value, f.err = guarded(logger, work)(ctx)
}

// wait returns what came of the work. The end of ctx ends the wait alone, and so does
// work that does not end in its time.
func (f *flight[T]) wait(ctx context.Context) (value T, err error) {
	if f.landed() {
		return f.value, f.err
	}
	ctx, cancel := context.WithDeadline(ctx, f.ends)
	defer cancel()
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
