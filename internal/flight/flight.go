// Package flight does work that several wait for, and that goes on when nobody does: a refresh
// token that was sent is spent, whoever has hung up.
package flight

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrAborted is the end of work that ended its goroutine, or panicked.
var ErrAborted = errors.New("flight: the work ended without a result")

// grace is for work to say why it ended with its context. Work that looks at no context would
// have everybody wait for ever.
const grace = time.Second

// A Flight is work that is under way, or has ended.
type Flight[T any] struct {
	done  chan struct{}
	limit time.Duration
	ends  time.Time // when nobody waits any longer
	value T
	err   error
}

// New makes a Flight that is to take no longer than limit from now on. It begins with Fly.
func New[T any](limit time.Duration) *Flight[T] {
	return &Flight[T]{done: make(chan struct{}), limit: limit, ends: time.Now().Add(limit + grace)}
}

// Fly does the work, once, with the values of ctx and a time limit of its own. land, if not nil,
// is told what came of it before those who wait are.
func (f *Flight[T]) Fly(ctx context.Context, work func(context.Context) (T, error), land func(T, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.limit)
	defer cancel()
	f.err = ErrAborted // stays if the work does not return
	defer close(f.done)
	if land != nil {
		defer func() { land(f.value, f.err) }()
	}
	f.value, f.err = work(ctx)
}

// Wait returns what came of the work. landed is false if ctx ended first, which ends the wait
// alone, or the work did not end in its time: err is that of the context.
func (f *Flight[T]) Wait(ctx context.Context) (value T, landed bool, err error) {
	if f.Landed() {
		return f.value, true, f.err
	}
	ctx, cancel := context.WithDeadline(ctx, f.ends)
	defer cancel()
	select {
	case <-f.done:
		return f.value, true, f.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// Landed reports whether the work has ended.
func (f *Flight[T]) Landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// A Group has one flight for each key at a time. The zero Group is ready, and safe for
// concurrent use.
type Group[K comparable, T any] struct {
	mu     sync.Mutex
	flying map[K]*Flight[T]
}

// Join returns the flight of key that is under way, or begins one.
func (g *Group[K, T]) Join(ctx context.Context, key K, limit time.Duration, work func(context.Context) (T, error)) *Flight[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.flying[key]; f != nil {
		return f
	}
	if g.flying == nil {
		g.flying = make(map[K]*Flight[T])
	}
	f := New[T](limit)
	g.flying[key] = f
	go f.Fly(ctx, work, func(T, error) { g.leave(key) })
	return f
}

func (g *Group[K, T]) leave(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flying, key)
}
