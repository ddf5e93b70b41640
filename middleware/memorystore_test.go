package middleware_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
)

func has(t *testing.T, m *middleware.MemoryStore, token string) bool {
	t.Helper()
	_, ok, err := m.Find(token)
	require.NoError(t, err)
	return ok
}

func TestMemoryStoreForgetsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewMemoryStore(10)
		require.NoError(t, m.Commit("k", []byte("v"), time.Now().Add(time.Minute)))
		time.Sleep(time.Minute - time.Nanosecond)
		require.True(t, has(t, m, "k"))
		time.Sleep(time.Nanosecond)
		require.False(t, has(t, m, "k"))
		require.NoError(t, m.Commit("k", []byte("v"), time.Now().Add(time.Minute)))
		require.True(t, has(t, m, "k"))
	})
}

func TestMemoryStoreHasAClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	m := middleware.NewMemoryStore(10)
	m.Now = func() time.Time { return now }
	require.NoError(t, m.Commit("k", nil, now.Add(time.Minute)))
	require.True(t, has(t, m, "k"))
	now = now.Add(time.Minute)
	require.False(t, has(t, m, "k"))
}

// When it is full, what has expired goes first, then what expires first; what is new stays,
// though it may be what expires before all others.
func TestMemoryStoreIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 100
		m := middleware.NewMemoryStore(most)
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		for i := range 3 * most {
			require.NoError(t, m.Commit(fmt.Sprint("long ", i), nil, in(time.Hour+time.Duration(i)*time.Second)))
		}
		for i := range 3 * most {
			require.Equal(t, i >= 2*most, has(t, m, fmt.Sprint("long ", i)), i)
		}
		require.NoError(t, m.Commit("short", nil, in(time.Second)))
		require.True(t, has(t, m, "short"))
		require.False(t, has(t, m, fmt.Sprint("long ", 2*most)))
		require.NoError(t, m.Commit(fmt.Sprint("long ", 2*most+1), nil, in(3*time.Hour)))
		require.True(t, has(t, m, "short"), "what takes the place of its own needs no other")

		time.Sleep(2 * time.Second)
		require.NoError(t, m.Commit("new", nil, in(time.Second)))
		require.True(t, has(t, m, fmt.Sprint("long ", 2*most+2)), "in place of what had expired")
		time.Sleep(4 * time.Hour)
		require.NoError(t, m.Commit("new", nil, in(time.Second)))
		require.Equal(t, 1, m.Len(), "what has expired is not kept until there is no room")
	})
}

func TestMemoryStoreReplacesAndDeletes(t *testing.T) {
	t.Parallel()
	m := middleware.NewMemoryStore(10)
	later := time.Now().Add(time.Hour)
	require.NoError(t, m.Delete("k"), "nothing there")
	require.NoError(t, m.Commit("k", []byte("1"), later))
	require.NoError(t, m.Commit("k", []byte("2"), later))
	b, _, err := m.FindCtx(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "2", string(b))
	require.NoError(t, m.Commit("k", []byte("3"), time.Now().Add(-time.Second)))
	require.False(t, has(t, m, "k"), "kept until a time that has been")
	require.NoError(t, m.Commit("k", []byte("4"), later))
	require.NoError(t, m.DeleteCtx(t.Context(), "k"))
	require.False(t, has(t, m, "k"))
}

func TestMemoryStoreCopies(t *testing.T) {
	t.Parallel()
	m := middleware.NewMemoryStore(10)
	given := []byte("alice")
	require.NoError(t, m.CommitCtx(t.Context(), "k", given, time.Now().Add(time.Hour)))
	clear(given)
	got, _, err := m.Find("k")
	require.NoError(t, err)
	require.Equal(t, "alice", string(got))
	clear(got)
	got, _, err = m.Find("k")
	require.NoError(t, err)
	require.Equal(t, "alice", string(got))
}

func TestMemoryStoreHasRoom(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { middleware.NewMemoryStore(0) })
	require.Panics(t, func() { middleware.NewMemoryStore(-1) })
}

func TestMemoryStoreLockEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewMemoryStore(10)
		unlock, err := m.Lock(t.Context(), "k", time.Minute)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = m.Lock(ctx, "k", time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		unlock()
		_, err = m.Lock(t.Context(), "k", time.Minute)
		require.NoError(t, err)
	})
}

func TestMemoryStoreHasNoGoroutineAtRest(t *testing.T) { //nolint:paralleltest // it counts goroutines
	before := runtime.NumGoroutine()
	m := middleware.NewMemoryStore(1000)
	for i := range 2000 {
		require.NoError(t, m.Commit(fmt.Sprint(i), nil, time.Now().Add(time.Hour)))
	}
	unlock, err := m.Lock(t.Context(), "k", time.Minute)
	require.NoError(t, err)
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	unlock()
}
