package refresh_test

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
	"github.com/oidckit/oidckit/internal/refresh"
)

const (
	fresh    = 10 * time.Minute
	maxStale = time.Hour
	cooldown = 30 * time.Second
	timeout  = 5 * time.Second
	slow     = time.Second  // what a fetch takes
	left     = fresh - slow // of the freshness of a copy that has just come: it counts from the start
)

var errDown = errors.New("down")

// A source counts its fetches; the value is the number of the fetch.
type source struct {
	fetches atomic.Int32
	down    atomic.Bool
	hang    atomic.Bool
}

func (s *source) fetch(ctx context.Context) (int, time.Duration, error) {
	n := int(s.fetches.Add(1))
	wait := time.After(slow)
	if s.hang.Load() {
		wait = nil
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if s.down.Load() {
		return 0, 0, errDown
	}
	return n, fresh, nil
}

// inBubble runs a test in a bubble, where time is ours and a goroutine that is
// left behind is an error.
func inBubble(t *testing.T, f func(t *testing.T, s *source, v *refresh.Value[int])) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		f(t, s, refresh.New(refresh.Config[int]{
			What: "things", Fetch: s.fetch, Timeout: timeout, Cooldown: cooldown, MaxStale: maxStale, Now: time.Now,
		}))
		synctest.Wait()
	})
}

func get(t *testing.T, v *refresh.Value[int]) int {
	t.Helper()
	value, err := v.Get(t.Context())
	require.NoError(t, err)
	return value
}

func requireUnavailable(t *testing.T, err, cause error) *oidckit.UnavailableError {
	t.Helper()
	var e *oidckit.UnavailableError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.ErrorIs(t, err, cause)
	require.Equal(t, "things", e.What)
	return e
}

// settle lets what runs in the background finish.
func settle() { time.Sleep(timeout + time.Millisecond); synctest.Wait() }

func TestStampedeIsOneFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				value, err := v.Get(context.Background())
				if err != nil || value != 1 {
					t.Errorf("got %d, %v", value, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, s.fetches.Load())
		require.Equal(t, 1, get(t, v))
		require.EqualValues(t, 1, s.fetches.Load())
	})
}

func TestK10_CancelledLeaderFailsNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		ctx, cancel := context.WithCancel(context.Background())
		leader := make(chan error, 1)
		go func() { _, err := v.Get(ctx); leader <- err }()
		synctest.Wait()
		follower := make(chan int, 1)
		go func() { value, _ := v.Get(context.Background()); follower <- value }()
		synctest.Wait()
		cancel()
		start := time.Now()
		requireUnavailable(t, <-leader, context.Canceled)
		require.Zero(t, time.Since(start), "the leader waits no longer")
		require.Equal(t, 1, <-follower)
		require.EqualValues(t, 1, s.fetches.Load())
	})
}

func TestCancelledFollowerWaitsNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		leader := make(chan int, 1)
		go func() { value, _ := v.Get(context.Background()); leader <- value }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), slow/2)
		defer cancel()
		_, err := v.Get(ctx)
		requireUnavailable(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, <-leader)
	})
}

// Whoever has a copy at hand gets it, even with a context that has ended.
func TestCopyServesACancelledContext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		value, err := v.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, value)
	})
}

func TestFetchHasATimeLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		s.hang.Store(true)
		start := time.Now()
		_, err := v.Get(context.Background())
		e := requireUnavailable(t, err, context.DeadlineExceeded)
		require.Equal(t, timeout, time.Since(start))
		require.Zero(t, e.RetryAfter, "the attempt took longer than the pause after it")
	})
}

func TestK09_StaleServesWhileItIsFetchedAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		time.Sleep(left - time.Nanosecond)
		require.Equal(t, 1, get(t, v))
		synctest.Wait()
		require.EqualValues(t, 1, s.fetches.Load(), "it is still fresh")

		time.Sleep(time.Nanosecond)
		start := time.Now()
		for range 50 {
			require.Equal(t, 1, get(t, v))
		}
		require.Zero(t, time.Since(start), "nobody waits")
		settle()
		require.EqualValues(t, 2, s.fetches.Load())
		require.Equal(t, 2, get(t, v))
	})
}

func TestNothingRunsWhileNobodyAsks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		time.Sleep(24 * time.Hour)
		require.Zero(t, s.fetches.Load())
		get(t, v)
		time.Sleep(24 * time.Hour)
		require.EqualValues(t, 1, s.fetches.Load())
	})
}

func TestMaxStale(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left + maxStale - time.Nanosecond)
		require.Equal(t, 1, get(t, v))
		settle()
		require.EqualValues(t, 2, s.fetches.Load())

		// Too old, and the source failed not long ago.
		_, err := v.Get(t.Context())
		e := requireUnavailable(t, err, errDown)
		require.Equal(t, cooldown-slow-timeout-time.Millisecond, e.RetryAfter)
		require.EqualValues(t, 2, s.fetches.Load())
		// The pause is over: whoever asks waits for a new one.
		time.Sleep(e.RetryAfter)
		_, err = v.Get(t.Context())
		require.Equal(t, cooldown-slow, requireUnavailable(t, err, errDown).RetryAfter)
		require.EqualValues(t, 3, s.fetches.Load())
		s.down.Store(false)
		time.Sleep(cooldown)
		require.Equal(t, 4, get(t, v))
	})
}

// Who comes late and cannot wait gets the old copy.
func TestK09_LateCallerWhoDoesNotWaitGetsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		time.Sleep(left + time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), slow/2)
		defer cancel()
		_, err := v.Get(ctx)
		requireUnavailable(t, err, context.DeadlineExceeded)
		settle()
		time.Sleep(left + time.Minute)
		start := time.Now()
		require.Equal(t, 3, get(t, v), "who has the time gets the new one, from the end of the minute on")
		require.Equal(t, slow, time.Since(start))
	})
}

func TestMaxStaleEndsOnTheDot(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left + maxStale)
		_, err := v.Get(t.Context())
		requireUnavailable(t, err, errDown)
	})
}

// A success ends the trouble: what lay unused for a while after it is asked for
// first, as ever.
func TestSuccessForgetsFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int32
		v := refresh.New(refresh.Config[int]{
			Fetch: func(context.Context) (int, time.Duration, error) {
				if n := fetches.Add(1); n != 2 {
					return int(n), time.Second, nil // fresh for less than the pause
				}
				return 0, 0, errDown
			},
			Timeout: timeout, Cooldown: cooldown, MaxStale: maxStale, Now: time.Now,
		})
		require.Equal(t, 1, get(t, v))
		time.Sleep(time.Second)
		require.Equal(t, 1, get(t, v))
		synctest.Wait()
		time.Sleep(cooldown)
		require.Equal(t, 1, get(t, v))
		synctest.Wait()
		require.Equal(t, 3, get(t, v))
		time.Sleep(time.Second + time.Minute)
		require.Equal(t, 4, get(t, v))
	})
}

// A copy never serves beyond MaxStale, however short that is.
func TestMaxStaleShorterThanTheGrace(t *testing.T) {
	inBubbleWith(t, func(cfg *refresh.Config[int]) { cfg.MaxStale = time.Second }, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left + time.Second - time.Nanosecond)
		_, ok := v.Peek(time.Now())
		require.True(t, ok)
		time.Sleep(time.Nanosecond)
		_, ok = v.Peek(time.Now())
		require.False(t, ok)
		settle()
		_, err := v.Get(t.Context())
		requireUnavailable(t, err, errDown)
	})
}

// A failure in the background leaves the copy and the source alone for a while.
func TestOutageIsAskedAboutOncePerCooldown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left)
		for range 100 {
			require.Equal(t, 1, get(t, v))
			time.Sleep(cooldown / 10)
		}
		require.InDelta(t, 11, float64(s.fetches.Load()), 1)
		s.down.Store(false)
		time.Sleep(cooldown)
		require.Equal(t, 1, get(t, v))
		settle()
		last := int(s.fetches.Load())
		require.Equal(t, last, get(t, v), "it has healed")
		time.Sleep(time.Minute)
		get(t, v)
		require.EqualValues(t, last, s.fetches.Load())
	})
}

func TestBackoffWithoutACopy(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		s.down.Store(true)
		for i, distance := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			distance *= time.Second
			_, err := v.Get(t.Context())
			e := requireUnavailable(t, err, errDown)
			require.EqualValues(t, i+1, s.fetches.Load())
			require.Equal(t, distance-slow, e.RetryAfter)
			if e.RetryAfter == 0 {
				continue
			}
			time.Sleep(e.RetryAfter - time.Nanosecond)
			start := time.Now()
			_, err = v.Get(t.Context())
			require.Equal(t, time.Nanosecond, requireUnavailable(t, err, errDown).RetryAfter)
			require.Zero(t, time.Since(start), "answered at once")
			require.EqualValues(t, i+1, s.fetches.Load())
			time.Sleep(time.Nanosecond)
		}
		s.down.Store(false)
		require.Equal(t, 9, get(t, v))
	})
}

func TestRenewBudget(t *testing.T) {
	for name, down := range map[string]bool{"success": false, "failure": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
				get(t, v)
				s.down.Store(down)
				renew := func() error { _, err := v.Renew(t.Context()); return err }
				check := func(err error) {
					if down {
						requireUnavailable(t, err, errDown)
						return
					}
					require.NoError(t, err)
				}
				check(renew()) // the first fetch was Get's and costs Renew nothing
				require.EqualValues(t, 2, s.fetches.Load())

				// Counted from the start of the attempt, whatever came of it.
				start := time.Now()
				tooSoon := func(err error) {
					if down { // nobody can say that the copy stands
						requireUnavailable(t, err, errDown)
						return
					}
					require.ErrorIs(t, err, refresh.ErrTooSoon)
				}
				for range 100 {
					tooSoon(renew())
				}
				require.Zero(t, time.Since(start), "never queued")
				time.Sleep(cooldown - slow - time.Nanosecond)
				tooSoon(renew())
				require.EqualValues(t, 2, s.fetches.Load())
				time.Sleep(time.Nanosecond)
				check(renew())
				require.EqualValues(t, 3, s.fetches.Load())

				want := 3
				if down {
					want = 1 // a failure changes nothing
				}
				require.Equal(t, want, get(t, v))
			})
		})
	}
}

func TestRenewJoins(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				value, err := v.Renew(context.Background())
				if err != nil || value != 2 {
					t.Errorf("got %d, %v", value, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 2, s.fetches.Load())

		// A fetch that Get began in the background is joined, too, and costs nothing.
		time.Sleep(left)
		require.Equal(t, 2, get(t, v))
		value, err := v.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, value)
		value, err = v.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, value)
	})
}

func TestRenewEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		ctx, cancel := context.WithTimeout(t.Context(), slow/2)
		defer cancel()
		_, err := v.Renew(ctx)
		requireUnavailable(t, err, context.DeadlineExceeded)
		settle()
		require.Equal(t, 2, get(t, v), "the fetch went on")
	})
}

// A copy that lay unused for longer than the grace is not served before the source
// was asked: what was withdrawn meanwhile must not open a door once more.
func TestK09_UnusedCopyIsRenewedFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		require.Equal(t, 1, get(t, v))
		time.Sleep(left + time.Minute - time.Nanosecond)
		require.Equal(t, 1, get(t, v), "within the grace the old copy serves")
		settle()
		require.Equal(t, 2, get(t, v))

		time.Sleep(left + 2*time.Minute)
		require.Equal(t, 3, get(t, v), "who comes late waits")

		// In an outage the first who comes late waits for the failure, nobody after.
		s.down.Store(true)
		time.Sleep(left + 2*time.Minute)
		require.Equal(t, 3, get(t, v))
		start := time.Now()
		require.Equal(t, 3, get(t, v))
		require.Zero(t, time.Since(start))
	})
}

// A failure of hours ago says nothing about now.
func TestK09_OldTroubleIsNoTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		require.Equal(t, 1, get(t, v))
		s.down.Store(true)
		time.Sleep(left)
		require.Equal(t, 1, get(t, v))
		settle()
		s.down.Store(false)
		time.Sleep(cooldown + time.Minute)
		require.Equal(t, 3, get(t, v))
	})
}
