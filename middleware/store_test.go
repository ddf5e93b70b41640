package middleware_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/seal"
	"github.com/oidckit/oidckit/middleware"
)

// The interfaces of github.com/alexedwards/scs/v2 as they are there, which is no dependency.
type (
	scsStore interface {
		Delete(token string) (err error)
		Find(token string) (b []byte, found bool, err error)
		Commit(token string, b []byte, expiry time.Time) (err error)
	}
	scsCtxStore interface {
		scsStore
		DeleteCtx(ctx context.Context, token string) (err error)
		FindCtx(ctx context.Context, token string) (b []byte, found bool, err error)
		CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) (err error)
	}
)

// Stores fit both ways round without a line of code between them.
var (
	_ scsStore         = middleware.Store(nil)
	_ middleware.Store = scsStore(nil)
	_ middleware.Store = scsCtxStore(nil)
	_ scsCtxStore      = (*middleware.MemoryStore)(nil)
)

func sharedKeys(t testing.TB, secrets ...string) *seal.Ring {
	t.Helper()
	var raw [][]byte
	for _, s := range secrets {
		raw = append(raw, []byte(s))
	}
	keys, err := seal.New(raw...)
	require.NoError(t, err)
	return keys
}

const (
	olderSecret = "an older secret of the program"
	newerSecret = "a newer secret of the program"
)

// withoutContexts hides all but the three methods of a Store.
type withoutContexts struct{ middleware.Store }

func TestStoreKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]middleware.Store{
		"with contexts":    middleware.NewMemoryStore(10),
		"without contexts": withoutContexts{middleware.NewMemoryStore(10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := middleware.NewSharedStore(store, seal.Random(), time.Now)
			require.NoError(t, shared.Commit(t.Context(), "k", []byte("alice"), time.Now().Add(time.Hour)))
			plain, ok, err := shared.Find(t.Context(), "k")
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "alice", string(plain))

			require.NoError(t, shared.Remove(t.Context(), "k"))
			_, ok, err = shared.Find(t.Context(), "k")
			require.NoError(t, err)
			require.False(t, ok)
		})
	}
}

// F17 for stores: who can write to one cannot make a session out of what is there.
func TestF17_WhatAStoreKeepsIsSealedForItsName(t *testing.T) {
	t.Parallel()
	store := middleware.NewMemoryStore(10)
	expiry := time.Now().Add(time.Hour)
	shared := middleware.NewSharedStore(store, sharedKeys(t, olderSecret), time.Now)
	require.NoError(t, shared.Commit(t.Context(), "alice", []byte("tokens of alice"), expiry))
	raw, _, err := store.Find("alice")
	require.NoError(t, err)
	require.NotContains(t, string(raw), "tokens of alice")

	find := func(s middleware.SharedStore, key string) (string, bool) {
		plain, ok, err := s.Find(t.Context(), key)
		require.NoError(t, err, "not found, rather than an outage")
		return string(plain), ok
	}
	newer := middleware.NewSharedStore(store, sharedKeys(t, newerSecret, olderSecret), time.Now)
	plain, ok := find(newer, "alice")
	require.True(t, ok, "by the older key")
	require.Equal(t, "tokens of alice", plain)

	_, ok = find(middleware.NewSharedStore(store, sharedKeys(t, newerSecret), time.Now), "alice")
	require.False(t, ok, "its key was dropped")
	require.NoError(t, store.Commit("mallory", raw, expiry))
	_, ok = find(shared, "mallory")
	require.False(t, ok, "moved to another name")
	require.NoError(t, store.Commit("alice", []byte("garbage"), expiry))
	_, ok = find(shared, "alice")
	require.False(t, ok, "garbage")
}

// hangs is how long a call takes that hangs. Tests in a bubble wait for its end.
const hangs = time.Minute

// A hungStore answers when it is told to, and counts calls.
type hungStore struct {
	middleware.Store
	calls atomic.Int32
	hung  atomic.Bool
	err   atomic.Pointer[error]
}

func (s *hungStore) Find(token string) (b []byte, found bool, err error) {
	s.calls.Add(1)
	if s.hung.Load() {
		time.Sleep(hangs)
	}
	if err := s.err.Load(); err != nil {
		return nil, false, *err
	}
	return s.Store.Find(token)
}

func (s *hungStore) fail(err error) { s.err.Store(&err) }

func newHungStore() *hungStore { return &hungStore{Store: middleware.NewMemoryStore(10)} }

func TestAStoreThatHangsIsLeftAfterTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(hangs)
		store := newHungStore()
		store.hung.Store(true)
		shared := middleware.NewSharedStore(store, seal.Random(), time.Now)
		began := time.Now()
		_, ok, err := shared.Find(t.Context(), "k")
		require.False(t, ok)
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, middleware.StoreTimeout, time.Since(began))
		require.ErrorIs(t, shared.Status(), context.DeadlineExceeded)
	})
}

// A ctxStore has the forms with contexts, and waits for their end.
type ctxStore struct{ middleware.Store }

func (ctxStore) FindCtx(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

func (ctxStore) CommitCtx(ctx context.Context, _ string, _ []byte, _ time.Time) error {
	<-ctx.Done()
	return ctx.Err()
}

func (ctxStore) DeleteCtx(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStoreWithContextsIsGivenThem(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, middleware.SharedStore) error{
		"find": func(ctx context.Context, s middleware.SharedStore) error {
			_, _, err := s.Find(ctx, "k")
			return err
		},
		"commit": func(ctx context.Context, s middleware.SharedStore) error {
			return s.Commit(ctx, "k", nil, time.Now())
		},
		"remove": func(ctx context.Context, s middleware.SharedStore) error { return s.Remove(ctx, "k") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := middleware.NewSharedStore(ctxStore{}, seal.Random(), time.Now)
				began := time.Now()
				err := call(t.Context(), shared)
				require.ErrorIs(t, err, oidckit.ErrUnavailable)
				require.Equal(t, middleware.StoreTimeout, time.Since(began))
			})
		})
	}
}

// One caller tries a store that failed, every two seconds; the others do not hang with it.
func TestAStoreThatFailedIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(hangs)
		down := errors.New("connection refused")
		store := newHungStore()
		store.fail(down)
		shared := middleware.NewSharedStore(store, seal.Random(), time.Now)
		find := func() error {
			_, _, err := shared.Find(t.Context(), "k")
			return err
		}
		require.NoError(t, shared.Status())
		require.ErrorIs(t, find(), down)
		for range 10 {
			err := find()
			require.ErrorIs(t, err, down)
			var unavailable *oidckit.UnavailableError
			require.ErrorAs(t, err, &unavailable)
			require.Positive(t, unavailable.RetryAfter)
		}
		require.EqualValues(t, 1, store.calls.Load())
		require.ErrorIs(t, shared.Status(), down)

		time.Sleep(middleware.StorePause)
		store.hung.Store(true)
		go func() { _ = find() }()
		synctest.Wait()
		require.ErrorIs(t, find(), down, "while another one tries")
		require.EqualValues(t, 2, store.calls.Load())

		time.Sleep(middleware.StoreTimeout) // of the one who tried
		store.hung.Store(false)
		store.err.Store(nil)
		time.Sleep(middleware.StorePause)
		require.NoError(t, find())
		require.NoError(t, shared.Status())
		require.NoError(t, find(), "at once")
	})
}

// A caller who leaves cuts no call short: what it comes to counts for all others.
func TestACallerWhoLeavesSaysNothingAboutTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(hangs)
		left, cancel := context.WithCancel(t.Context())
		cancel()
		store := newHungStore()
		shared := middleware.NewSharedStore(store, seal.Random(), time.Now)
		require.NoError(t, shared.Commit(left, "k", []byte("v"), time.Now().Add(time.Hour)))
		plain, ok, err := shared.Find(left, "k")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "v", string(plain))
		require.NoError(t, shared.Remove(left, "k"))

		store.hung.Store(true)
		began := time.Now()
		_, _, err = shared.Find(left, "k")
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		require.Equal(t, middleware.StoreTimeout, time.Since(began))
		require.Error(t, shared.Status(), "the store did not answer, whoever asked")
		store.hung.Store(false)
		time.Sleep(middleware.StorePause)
		_, _, err = shared.Find(left, "k")
		require.NoError(t, err)
		require.NoError(t, shared.Status(), "the one who tries learns how it is")
	})
}

type panickingStore struct{ middleware.Store }

func (panickingStore) Find(string) ([]byte, bool, error) { panic("a bug of the store") }

// net/http recovers from panics of handlers. One in a goroutine of ours would end the program.
func TestAPanicOfAStoreIsTheCallers(t *testing.T) {
	t.Parallel()
	shared := middleware.NewSharedStore(panickingStore{}, seal.Random(), time.Now)
	require.PanicsWithValue(t, "a bug of the store", func() { _, _, _ = shared.Find(t.Context(), "k") })
}

func TestASharedStoreIsShared(t *testing.T) {
	t.Parallel()
	shared := middleware.NewSharedStore(withoutContexts{middleware.NewMemoryStore(10)}, seal.Random(), time.Now)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_ = shared.Commit(t.Context(), "k", []byte("v"), time.Now().Add(time.Hour))
			_, _, _ = shared.Find(t.Context(), "k")
			_ = shared.Status()
		})
	}
	all.Wait()
	require.NoError(t, shared.Status())
}
