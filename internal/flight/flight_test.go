package flight_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/flight"
)

type valueKey struct{}

// Everybody gets what came of one flight, which the first one's context does not end.
func TestOneFlightForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		var flights atomic.Int32
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, 7))
		join := func(ctx context.Context, key string) *flight.Flight[int] {
			return g.Join(ctx, key, time.Minute, func(ctx context.Context) (int, error) {
				flights.Add(1)
				time.Sleep(time.Second)
				return ctx.Value(valueKey{}).(int), ctx.Err()
			})
		}
		var wg sync.WaitGroup
		first := join(ctx, "a")
		for range 10 {
			wg.Go(func() {
				value, landed, err := join(t.Context(), "a").Wait(t.Context())
				if value != 7 || !landed || err != nil {
					t.Error(value, landed, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		_, landed, err := first.Wait(ctx)
		require.False(t, landed)
		require.ErrorIs(t, err, context.Canceled)
		wg.Wait()
		require.EqualValues(t, 1, flights.Load())

		// What has landed tells everybody, and the next one is another flight.
		value, landed, err := first.Wait(ctx)
		require.Equal(t, 7, value)
		require.True(t, landed)
		require.NoError(t, err)
		_, _, err = join(context.WithValue(t.Context(), valueKey{}, 8), "a").Wait(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, flights.Load())
	})
}

func TestKeysFlyApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[int, int]
		began := time.Now()
		var all []*flight.Flight[int]
		for i := range 5 {
			all = append(all, g.Join(t.Context(), i, time.Minute, func(context.Context) (int, error) { time.Sleep(time.Second); return i, nil }))
		}
		for i, f := range all {
			value, _, err := f.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, value)
		}
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestWorkHasATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := flight.New[int](time.Minute)
		began := time.Now()
		go f.Fly(t.Context(), func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, ctx.Err() }, nil)
		value, landed, err := f.Wait(t.Context())
		require.Equal(t, 1, value)
		require.True(t, landed)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

// Work that looks at no context has nobody wait for ever.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := flight.New[int](time.Minute)
		began := time.Now()
		go f.Fly(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }, nil)
		_, landed, err := f.Wait(t.Context())
		require.False(t, landed)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+time.Second, time.Since(began))
		time.Sleep(time.Hour)
	})
}

func TestLandIsToldBeforeThoseWhoWait(t *testing.T) {
	failure := errors.New("failed")
	for name, tt := range map[string]struct {
		work func(context.Context) (int, error)
		want error
	}{
		"success":            {func(context.Context) (int, error) { return 3, nil }, nil},
		"failure":            {func(context.Context) (int, error) { return 3, failure }, failure},
		"end of a goroutine": {func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, flight.ErrAborted},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := flight.New[int](time.Minute)
				told := make(chan error, 1)
				go f.Fly(t.Context(), tt.work, func(_ int, err error) {
					time.Sleep(time.Second)
					require.False(t, f.Landed())
					told <- err
				})
				_, landed, err := f.Wait(t.Context())
				require.True(t, landed)
				require.Equal(t, tt.want, err)
				require.Equal(t, tt.want, <-told)
			})
		})
	}
}
