package middleware_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/seal"
	"github.com/oidckit/oidckit/middleware"
)

// A slowStore takes its time before and after what it does, and may do it without being able
// to say so.
type slowStore struct {
	memory *middleware.MemoryStore
	delay  func() time.Duration
	lost   func() bool
}

var errAnswerLost = errors.New("answer lost")

func (s *slowStore) around(do func()) error {
	time.Sleep(s.delay())
	do()
	time.Sleep(s.delay())
	if s.lost() {
		return errAnswerLost
	}
	return nil
}

func (s *slowStore) Find(token string) (b []byte, found bool, err error) {
	err = s.around(func() { b, found, _ = s.memory.Find(token) })
	return b, found, err
}

func (s *slowStore) Commit(token string, b []byte, expiry time.Time) error {
	return s.around(func() { _ = s.memory.Commit(token, b, expiry) })
}

func (s *slowStore) Delete(token string) error {
	return s.around(func() { _ = s.memory.Delete(token) })
}

// holders notes who may rely on a lock, and when: from when it has it until it gives it back,
// or until lockHold.
type holders struct {
	mu     sync.Mutex
	until  time.Time // of the present one
	twice  int
	locked int
}

func (h *holders) enter() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Before(h.until) {
		h.twice++
	}
	h.until = now.Add(middleware.LockHold)
	h.locked++
}

func (h *holders) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Now()
}

// Many processes want one lock. However slow the store is and whatever it forgets to answer,
// with clocks that differ and holders that die, no two have it at the same time; and each has
// it in the end.
func TestLockHasOneHolder(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		contenders int
		delay      time.Duration // at most, before and after
		slow       float64       // parts of calls that take half a second
		hangs      float64       // calls that are done after their caller has left
		lost       float64       // answers
		dies       float64       // holders
		own        bool          // locks of the store's own
	}{
		"fast":                      {contenders: 50, delay: 5 * time.Millisecond},
		"as slow as is good":        {contenders: 50, delay: 40 * time.Millisecond, dies: .1},
		"often too slow":            {contenders: 20, delay: 80 * time.Millisecond, dies: .05},
		"mostly too slow":           {contenders: 8, delay: 130 * time.Millisecond},
		"now and then too slow":     {contenders: 50, delay: 5 * time.Millisecond, slow: .1, dies: .05},
		"fast, answers are lost":    {contenders: 50, delay: 5 * time.Millisecond, lost: .05, dies: .05},
		"fast, calls are done late": {contenders: 50, delay: 5 * time.Millisecond, hangs: .05, dies: .05},
		"locks of its own":          {contenders: 50, delay: 5 * time.Millisecond, dies: .1, own: true},
	} {
		for seed := range uint64(2) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					random := &dice{random: rand.New(rand.NewPCG(seed, 1))}
					store := &slowStore{
						memory: middleware.NewMemoryStore(10),
						lost:   func() bool { return random.chance(v.lost) },
						delay: func() time.Duration {
							if random.chance(v.hangs) {
								return middleware.StoreTimeout + time.Second
							}
							if random.chance(v.slow) {
								return time.Second / 2
							}
							return random.upTo(v.delay)
						},
					}
					var of middleware.Store = store
					if v.own {
						of = store.memory
					}
					var held holders
					var all sync.WaitGroup
					for range v.contenders {
						skew := random.upTo(4*time.Second) - 2*time.Second
						shared := middleware.NewSharedStore(of, seal.Random(), func() time.Time { return time.Now().Add(skew) })
						all.Go(func() {
							unlock := lockAgainAndAgain(t, shared)
							held.enter()
							time.Sleep(random.upTo(time.Second))
							if random.chance(v.dies) {
								return
							}
							held.leave()
							unlock()
						})
					}
					all.Wait()
					time.Sleep(hangs) // until all calls are done
					require.Zero(t, held.twice, "two holders")
					require.Equal(t, v.contenders, held.locked)
				})
			})
		}
	}
}

// lockAgainAndAgain goes on after an answer that was lost.
func lockAgainAndAgain(t *testing.T, s middleware.SharedStore) (unlock func()) {
	unlock, err := s.Lock(t.Context(), "lock")
	for ; err != nil; unlock, err = s.Lock(t.Context(), "lock") {
		time.Sleep(middleware.StorePause)
	}
	return unlock
}

// dice are thrown by many.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (d *dice) upTo(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.random.Int64N(int64(most)))
}

func (d *dice) chance(of float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64() < of
}

// lockingStores make stores of both kinds, one for each test: bubbles differ in their time.
var lockingStores = map[string]func() middleware.Store{
	"by Find and Commit": func() middleware.Store { return withoutContexts{middleware.NewMemoryStore(10)} },
	"of its own":         func() middleware.Store { return middleware.NewMemoryStore(10) },
}

// A holder may rely on the lock for lockHold, also when it does not look at the clock.
func TestLockIsTakenFromTheDeadOnly(t *testing.T) {
	t.Parallel()
	for name, newStore := range lockingStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newStore()
				died := middleware.NewSharedStore(store, seal.Random(), time.Now)
				_, err := died.Lock(t.Context(), "lock")
				require.NoError(t, err)
				had := time.Now()

				next := middleware.NewSharedStore(store, seal.Random(), time.Now)
				unlock, err := next.Lock(t.Context(), "lock")
				require.NoError(t, err)
				waited := time.Since(had)
				require.Greater(t, waited, middleware.LockHold)
				require.LessOrEqual(t, waited, middleware.LockTTL+time.Second)

				_, err = next.Lock(t.Context(), "another lock")
				require.NoError(t, err, "names are apart")
				unlock()
				freed := time.Now()
				_, err = died.Lock(t.Context(), "lock")
				require.NoError(t, err)
				require.Less(t, time.Since(freed), time.Second)
			})
		})
	}
}

// Who comes back from a long sleep does not free the lock of who came after.
func TestUnlockIsForTheHolder(t *testing.T) {
	t.Parallel()
	for name, newStore := range lockingStores {
		for when, sleep := range map[string]time.Duration{"late": 2 * middleware.LockTTL, "twice": 0} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					shared := middleware.NewSharedStore(newStore(), seal.Random(), time.Now)
					first, err := shared.Lock(t.Context(), when)
					require.NoError(t, err)
					time.Sleep(sleep)
					if sleep == 0 {
						first()
					}
					_, err = shared.Lock(t.Context(), when)
					require.NoError(t, err)
					first()

					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					_, err = shared.Lock(ctx, when)
					require.ErrorIs(t, err, oidckit.ErrUnavailable, "the second one has it")
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.NoError(t, shared.Status(), "the store is well")
				})
			})
		}
	}
}

func TestUnlockHappensThoughTheRequestIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := middleware.NewSharedStore(withoutContexts{middleware.NewMemoryStore(10)}, seal.Random(), time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		unlock, err := shared.Lock(ctx, "lock")
		require.NoError(t, err)
		cancel()
		unlock()
		began := time.Now()
		_, err = shared.Lock(t.Context(), "lock")
		require.NoError(t, err)
		require.Less(t, time.Since(began), time.Second)
	})
}

// A waiting caller leaves no claim behind that others would have to wait for.
func TestLockOfAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newHungStore()
		down := errors.New("connection refused")
		store.fail(down)
		_, err := middleware.NewSharedStore(store, seal.Random(), time.Now).Lock(t.Context(), "lock")
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		require.ErrorIs(t, err, down)

		shared := middleware.NewSharedStore(brokenLocker{store, down}, seal.Random(), time.Now)
		_, err = shared.Lock(t.Context(), "lock")
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		require.ErrorIs(t, err, down)
		require.ErrorIs(t, shared.Status(), down)
	})
}

type brokenLocker struct {
	middleware.Store
	err error
}

func (b brokenLocker) Lock(context.Context, string, time.Duration) (func(), error) {
	return nil, b.err
}
