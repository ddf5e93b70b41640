package refresh_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/refresh"
)

// inBubbleWith is inBubble for a configuration of its own.
func inBubbleWith(t *testing.T, change func(*refresh.Config[int]), f func(t *testing.T, s *source, v *refresh.Value[int])) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		cfg := refresh.Config[int]{What: "things", Fetch: s.fetch, Timeout: timeout, Cooldown: cooldown, MaxStale: maxStale, Now: time.Now}
		change(&cfg)
		f(t, s, refresh.New(cfg))
		synctest.Wait()
	})
}

func jitter(cfg *refresh.Config[int]) { cfg.Jitter = true }

func TestPeek(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		peek := func(want int, ok bool) {
			t.Helper()
			value, served := v.Peek(time.Now())
			require.Equal(t, ok, served)
			require.Equal(t, want, value)
		}
		peek(0, false)
		require.Zero(t, s.fetches.Load(), "nobody would get what it fetches")
		get(t, v)
		peek(1, true)
		time.Sleep(left)
		peek(1, true)
		synctest.Wait()
		require.EqualValues(t, 2, s.fetches.Load(), "a fetch that is due begins")
		settle()
		peek(2, true)

		time.Sleep(fresh + time.Minute)
		peek(0, false) // it must be asked for first
		require.EqualValues(t, 2, s.fetches.Load())
		s.down.Store(true)
		require.Equal(t, 2, get(t, v))
		peek(2, true) // in an outage the old copy serves
		time.Sleep(maxStale)
		peek(0, false)

		value, ok := v.Peek(time.Now().Add(-maxStale))
		require.True(t, ok, "the time is the caller's")
		require.Equal(t, 2, value)
		settle()
	})
}

// While a fetch is under way, a copy serves as long as it would without.
func TestPeekDuringAFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.hang.Store(true)
		time.Sleep(left + time.Minute - time.Second)
		_, ok := v.Peek(time.Now())
		require.True(t, ok)
		time.Sleep(time.Second - time.Nanosecond)
		_, ok = v.Peek(time.Now())
		require.True(t, ok)
		time.Sleep(time.Nanosecond)
		_, ok = v.Peek(time.Now())
		require.False(t, ok, "the minute is over")
		require.EqualValues(t, 2, s.fetches.Load())
		settle()
		_, ok = v.Peek(time.Now())
		require.True(t, ok, "the source is in trouble")
	})
}

// A refresh is spread over a tenth of the freshness, well before its end.
func TestJitter_DueBeforeTheEnd(t *testing.T) {
	inBubbleWith(t, jitter, func(t *testing.T, s *source, v *refresh.Value[int]) {
		dues := map[time.Duration]bool{}
		for n := 1; n <= 10; n++ {
			require.Equal(t, n, get(t, v))
			began := v.State().Success
			time.Sleep(time.Until(began.Add(8 * fresh / 10)))
			for int(s.fetches.Load()) == n {
				time.Sleep(time.Second)
				require.Less(t, time.Since(began), 9*fresh/10+2*time.Second)
				require.Equal(t, n, get(t, v))
				synctest.Wait()
			}
			dues[time.Since(began).Truncate(time.Second)] = true
			require.Greater(t, time.Since(began), 8*fresh/10)
			settle()
		}
		require.Greater(t, len(dues), 1, "not always at the same time")
	})
}

func TestJitter_Pauses(t *testing.T) {
	inBubbleWith(t, jitter, func(t *testing.T, s *source, v *refresh.Value[int]) {
		s.down.Store(true)
		pauses := map[time.Duration]bool{}
		for n := 1; n <= 20; n++ {
			_, err := v.Get(t.Context())
			e := requireUnavailable(t, err, errDown)
			require.EqualValues(t, n, s.fetches.Load())
			if n >= 6 {
				require.GreaterOrEqual(t, e.RetryAfter, cooldown*8/10-slow)
				require.LessOrEqual(t, e.RetryAfter, cooldown-slow)
				pauses[e.RetryAfter] = true
			}
			time.Sleep(e.RetryAfter)
		}
		require.Greater(t, len(pauses), 1)
	})
}

// After a failed early refresh the next one comes after the pause, while the copy
// is fresh still.
func TestJitter_FailureIsTriedAgainBeforeTheEnd(t *testing.T) {
	inBubbleWith(t, jitter, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left - fresh/10 + time.Second)
		get(t, v)
		settle()
		require.EqualValues(t, 2, s.fetches.Load())
		time.Sleep(cooldown - timeout)
		get(t, v)
		settle()
		require.EqualValues(t, 3, s.fetches.Load())
	})
}

// A renewal that failed does not bring the refresh forward.
func TestFailedRenewalLeavesTheRefreshWhereItWas(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		_, err := v.Renew(t.Context())
		requireUnavailable(t, err, errDown)
		time.Sleep(2 * cooldown)
		require.Equal(t, 1, get(t, v))
		synctest.Wait()
		require.EqualValues(t, 2, s.fetches.Load())
	})
}

func TestFreshnessCountsFromTheStartOfTheFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		began := time.Now()
		get(t, v)
		state := v.State()
		require.Equal(t, began.Add(fresh), state.FreshUntil)
		require.Equal(t, began, state.Success)
		require.Equal(t, began, state.Attempt)
		require.Equal(t, 1, state.Value)
		require.NoError(t, state.Err)
	})
}

func TestState(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		require.Equal(t, refresh.State[int]{}, v.State())
		s.down.Store(true)
		began := time.Now()
		_, err := v.Get(t.Context())
		require.Error(t, err)
		require.Equal(t, refresh.State[int]{Attempt: began, Err: errDown}, v.State())
		s.down.Store(false)
		time.Sleep(time.Second)
		get(t, v)
		good := v.State()
		require.NoError(t, good.Err)
		s.down.Store(true)
		_, err = v.Renew(t.Context())
		require.Error(t, err)
		bad := v.State()
		require.Equal(t, errDown, bad.Err)
		require.Equal(t, good.Success, bad.Success)
		require.Equal(t, 2, bad.Value)
	})
}

// pauseError is an error whose source asks to be left alone.
type pauseError time.Duration

func (pauseError) Error() string { return "busy" }

func TestRetryAfterOfTheSource(t *testing.T) {
	for name, tt := range map[string]struct{ asks, pause time.Duration }{
		"none": {0, time.Second}, "less": {time.Millisecond, time.Second}, "more": {45 * time.Second, 45 * time.Second}, "too much": {time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var fetches atomic.Int32
			inBubbleWith(t, func(cfg *refresh.Config[int]) {
				cfg.Fetch = func(context.Context) (int, time.Duration, error) {
					fetches.Add(1)
					return 0, 0, pauseError(tt.asks)
				}
				cfg.RetryAfter = func(err error) time.Duration { var p pauseError; _ = errors.As(err, &p); return time.Duration(p) }
			}, func(t *testing.T, _ *source, v *refresh.Value[int]) {
				_, err := v.Get(t.Context())
				require.Equal(t, tt.pause, requireUnavailable(t, err, pauseError(tt.asks)).RetryAfter)
				time.Sleep(tt.pause - time.Nanosecond)
				_, err = v.Get(t.Context())
				require.Error(t, err)
				require.EqualValues(t, 1, fetches.Load())
				time.Sleep(time.Nanosecond)
				_, err = v.Get(t.Context())
				require.Error(t, err)
				require.EqualValues(t, 2, fetches.Load())
			})
		})
	}
}

// While the source is left alone for long, its old copy serves.
func TestLongPauseIsTrouble(t *testing.T) {
	inBubbleWith(t, func(cfg *refresh.Config[int]) {
		cfg.RetryAfter = func(error) time.Duration { return time.Hour }
	}, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		time.Sleep(left)
		get(t, v)
		time.Sleep(2*time.Minute - time.Second)
		start := time.Now()
		require.Equal(t, 1, get(t, v))
		require.Zero(t, time.Since(start))
		settle()
	})
}

// Whoever makes up keys does not decide how many wait.
func TestOnlySoManyWaitForARenewal(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		var wg sync.WaitGroup
		var renewed, crowded, other atomic.Int32
		begin := time.Now()
		for range 1500 {
			wg.Go(func() {
				switch _, _, err := v.RenewAt(context.Background(), time.Now()); {
				case err == nil:
					renewed.Add(1)
				case errors.Is(err, refresh.ErrCrowded) && time.Since(begin) == 0:
					crowded.Add(1)
				default:
					other.Add(1)
				}
			})
		}
		synctest.Wait()
		_, _, err := v.RenewAt(t.Context(), time.Now())
		requireUnavailable(t, err, refresh.ErrCrowded)
		require.Equal(t, 1, get(t, v), "readers of the copy are not concerned")
		wg.Wait()
		require.EqualValues(t, 1000, renewed.Load())
		require.EqualValues(t, 500, crowded.Load())
		require.Zero(t, other.Load())
		require.EqualValues(t, 2, s.fetches.Load())
	})
}

// Who gives up makes room.
func TestWaitersWhoGiveUpMakeRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		ctx, cancel := context.WithCancel(t.Context())
		for range 1000 {
			go func() { _, _, _ = v.RenewAt(ctx, time.Now()) }()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		_, joined, err := v.RenewAt(t.Context(), time.Now())
		require.NoError(t, err)
		require.True(t, joined)
		require.EqualValues(t, 2, s.fetches.Load())
	})
}

// The first copy has no such limit: there is nothing to answer with at once.
func TestEverybodyWaitsForTheFirstCopy(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		var wg sync.WaitGroup
		var failed atomic.Int32
		for range 2000 {
			wg.Go(func() {
				if _, err := v.Get(context.Background()); err != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		require.Zero(t, failed.Load())
		require.EqualValues(t, 1, s.fetches.Load())
	})
}

func TestDoneIsToldWhatCame(t *testing.T) {
	type call struct {
		value int
		err   error
	}
	var calls []call
	var v *refresh.Value[int]
	inBubbleWith(t, func(cfg *refresh.Config[int]) {
		cfg.Done = func(value int, err error) {
			calls = append(calls, call{value, err})
			require.Equal(t, err, v.State().Err, "no lock is held, and it is in place")
		}
	}, func(t *testing.T, s *source, value *refresh.Value[int]) {
		v = value
		get(t, v)
		s.down.Store(true)
		_, err := v.Renew(t.Context())
		require.Error(t, err)
		synctest.Wait()
		require.Equal(t, []call{{1, nil}, {0, errDown}}, calls)
	})
}

// A Fetch that ends its goroutine, as a failing test in a transport does, leaves
// nobody waiting.
func TestFetchThatEndsItsGoroutineFails(t *testing.T) {
	inBubbleWith(t, func(cfg *refresh.Config[int]) {
		cfg.Fetch = func(context.Context) (int, time.Duration, error) { runtime.Goexit(); return 1, fresh, nil }
	}, func(t *testing.T, _ *source, v *refresh.Value[int]) {
		_, err := v.Get(t.Context())
		require.Error(t, err)
		_, err = v.Get(t.Context())
		require.Error(t, err)
	})
}

func TestRenewAtTellsWhetherItJoined(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		_, joined, err := v.RenewAt(t.Context(), time.Now())
		require.NoError(t, err)
		require.False(t, joined)
		time.Sleep(left)
		get(t, v)
		_, joined, err = v.RenewAt(t.Context(), time.Now())
		require.NoError(t, err)
		require.True(t, joined)

		// Too soon after a failure is an outage, and says so.
		time.Sleep(cooldown)
		s.down.Store(true)
		_, _, err = v.RenewAt(t.Context(), time.Now())
		requireUnavailable(t, err, errDown)
		require.NotErrorIs(t, err, refresh.ErrTooSoon)
		_, _, err = v.RenewAt(t.Context(), time.Now())
		requireUnavailable(t, err, errDown)
		require.ErrorIs(t, err, refresh.ErrTooSoon)
	})
}

func TestReadingAllocatesNothing(t *testing.T) {
	now := time.Unix(1e9, 0)
	v := refresh.New(refresh.Config[*int]{
		Fetch: func(context.Context) (*int, time.Duration, error) { return new(int), fresh, nil }, Timeout: timeout,
		Cooldown: cooldown, MaxStale: maxStale, Now: func() time.Time { return now },
	})
	_, err := v.Get(t.Context())
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = v.Get(t.Context()) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = v.Peek(now) }))
}

// A source that hangs stops nobody who has a copy, however long that lay unused.
func TestK08_HangingSourceStopsNobodyWithACopy(t *testing.T) {
	inBubble(t, func(t *testing.T, s *source, v *refresh.Value[int]) {
		require.Equal(t, 1, get(t, v))
		s.hang.Store(true)
		time.Sleep(left + 2*time.Minute)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Get(ctx)
		requireUnavailable(t, err, context.DeadlineExceeded) // hanging up is no way to an old key
		require.Equal(t, 1, get(t, v))
		require.LessOrEqual(t, time.Since(start), 3*time.Second)
		start = time.Now()
		require.Equal(t, 1, get(t, v), "the others do not wait again")
		require.Zero(t, time.Since(start))
		require.EqualValues(t, 2, s.fetches.Load())

		// One that is too old is not served, whatever hangs.
		settle()
		time.Sleep(maxStale)
		_, err = v.Get(t.Context())
		requireUnavailable(t, err, context.DeadlineExceeded)
	})
}

// A value that is made of another one comes back when that does: its own pauses
// would come on top.
func TestD08_PausesOfAnotherAreTakenOver(t *testing.T) {
	inBubbleWith(t, jitter, func(t *testing.T, s *source, inner *refresh.Value[int]) {
		outer := refresh.New(refresh.Config[int]{
			What: "things", Timeout: 2 * timeout, Cooldown: cooldown, MaxStale: maxStale, Jitter: true, Now: time.Now,
			Fetch: func(ctx context.Context) (int, time.Duration, error) {
				value, err := inner.Get(ctx)
				return value, fresh, err
			},
		})
		s.down.Store(true)
		fetches := int32(0)
		for range 4 {
			_, err := outer.Get(t.Context())
			e := requireUnavailable(t, err, errDown)
			require.Greater(t, s.fetches.Load(), fetches, "the source itself was asked")
			fetches = s.fetches.Load()
			time.Sleep(e.RetryAfter)
		}
		s.down.Store(false)
		require.Equal(t, int(fetches)+1, get(t, outer))
	})
}

// What panics in a function of the program ends a fetch and not the process.
func TestG06_PanicsAreFailures(t *testing.T) {
	inBubbleWith(t, func(cfg *refresh.Config[int]) {
		fetch := cfg.Fetch
		cfg.Done = func(int, error) { panic("done") }
		cfg.Fetch = func(ctx context.Context) (int, time.Duration, error) {
			n, freshFor, err := fetch(ctx)
			if n == 1 {
				panic("fetch")
			}
			return n, freshFor, err
		}
	}, func(t *testing.T, s *source, v *refresh.Value[int]) {
		_, err := v.Get(t.Context())
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		time.Sleep(time.Second)
		require.Equal(t, 2, get(t, v))
	})
}

// A copy that serves is given to who found it too old, if the fetch that he would have
// waited for has failed meanwhile.
func TestD08_FailureBetweenLookAndWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		v := refresh.New(refresh.Config[int]{
			What: "things", Timeout: timeout, Cooldown: cooldown, MaxStale: maxStale, Now: time.Now,
			Fetch: func(context.Context) (int, time.Duration, error) {
				if down.Load() {
					return 0, 0, errDown
				}
				return 1, fresh, nil
			},
		})
		get(t, v)
		down.Store(true)
		for range 50 {
			time.Sleep(fresh + 2*time.Minute - time.Second)
			down.Store(false)
			time.Sleep(time.Second)
			get(t, v)
			down.Store(true)
			time.Sleep(fresh + 2*time.Minute)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					_, err := v.Get(t.Context())
					assert.NoError(t, err)
				})
			}
			wg.Wait()
		}
	})
}

// A source that asks to be left alone is, also by those who want a newer copy.
func TestK08_RetryAfterHoldsForRenew(t *testing.T) {
	inBubbleWith(t, func(cfg *refresh.Config[int]) {
		cfg.RetryAfter = func(error) time.Duration { return time.Minute }
	}, func(t *testing.T, s *source, v *refresh.Value[int]) {
		get(t, v)
		s.down.Store(true)
		_, err := v.Renew(t.Context())
		requireUnavailable(t, err, errDown)
		s.down.Store(false)
		time.Sleep(cooldown)
		_, err = v.Renew(t.Context())
		e := requireUnavailable(t, err, refresh.ErrTooSoon)
		require.Greater(t, e.RetryAfter, 25*time.Second)
		require.EqualValues(t, 2, s.fetches.Load())
		time.Sleep(e.RetryAfter)
		value, err := v.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, value)
	})
}
