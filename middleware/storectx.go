package middleware

import (
	"context"
	"time"
)

// A contextStore is a Store whose calls end with their context, as those stores of scs are
// that have a driver which can.
type contextStore interface {
	FindCtx(ctx context.Context, token string) (b []byte, found bool, err error)
	CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error
	DeleteCtx(ctx context.Context, token string) error
}

func withContext(store Store) contextStore {
	if s, ok := store.(contextStore); ok {
		return s
	}
	return plainStore{store}
}

// A plainStore gives a Store contexts. The caller stops waiting when the context ends; the
// call itself cannot be stopped, and ends when the store's own time limits say so.
type plainStore struct{ store Store }

type foundBytes struct {
	b  []byte
	ok bool
}

func (p plainStore) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	f, err := within(ctx, func() (f foundBytes, err error) {
		f.b, f.ok, err = p.store.Find(token)
		return f, err
	})
	return f.b, f.ok, err
}

func (p plainStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, p.store.Commit(token, b, expiry) })
	return err
}

func (p plainStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, p.store.Delete(token) })
	return err
}

type outcome[T any] struct {
	value    T
	err      error
	panicked any
}

// within waits for do until ctx ends. A panic of do is one of the caller, who may have
// somebody to recover from it: net/http does.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	done := make(chan outcome[T], 1) // room for who comes when nobody waits any more
	go func() {
		var o outcome[T]
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.value, o.err = do()
	}()
	select {
	case o := <-done:
		if o.panicked != nil {
			panic(o.panicked)
		}
		return o.value, o.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}
