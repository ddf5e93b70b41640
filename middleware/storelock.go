package middleware

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/oidckit/oidckit"
)

// A locker is a Store that has locks. Lock waits until nobody else has the lock of this name
// or ctx ends. Whoever does not unlock loses it after ttl.
type locker interface {
	Lock(ctx context.Context, token string, ttl time.Duration) (unlock func(), err error)
}

const (
	// lockTTL is when a lock is taken from a process that died with it.
	lockTTL = 30 * time.Second
	// lockHold is how long the holder may rely on it. What is left of lockTTL is for writes
	// that are under way (two calls of storeTimeout) and for clocks that differ by seconds.
	lockHold = 20 * time.Second
	// lockWindow is how long looking and taking may last together, and how long one waits
	// to see who took it last.
	lockWindow = 200 * time.Millisecond
	// lockPoll is when one looks again whether a lock is free, and the most that this grows to.
	lockPoll    = 50 * time.Millisecond
	lockPollMax = 500 * time.Millisecond
)

// lock waits for the lock of this name until ctx ends; give it one that does. The holder has
// it for at most lockHold. Nothing else must be kept under key. With a Store that has no
// locks of its own it takes lockWindow longer.
//
// Find and Commit are enough for that (Fischer's algorithm): see that it is free, write a
// name, wait for as long as others may take between these two, and see who wrote last. It
// does not matter how fast the store is: who took longer knows it, and does not count. What
// the store must do is find what a Commit that has returned put there.
func (s *sharedStore) lock(ctx context.Context, key string) (unlock func(), err error) {
	if s.locker != nil {
		return s.lockByStore(ctx, key)
	}
	for poll := lockPoll; ; poll = min(poll*3/2, lockPollMax) {
		began := time.Now() // the monotonic clock, whatever that of the Login is
		won, err := s.tryLock(ctx, key, began)
		if err != nil {
			return nil, err
		}
		if won {
			return sync.OnceFunc(func() { s.unlock(context.WithoutCancel(ctx), key, began) }), nil
		}
		if err := sleep(ctx, poll/2+mathrand.N(poll)); err != nil { //nolint:gosec // G404: it keeps those who wait apart, and is no secret
			return nil, err
		}
	}
}

func (s *sharedStore) lockByStore(ctx context.Context, key string) (unlock func(), err error) {
	if err := s.mayTry(); err != nil {
		return nil, err
	}
	unlock, err = s.locker.Lock(ctx, key, lockTTL)
	if err != nil && ctx.Err() != nil { // others have it for long, which says nothing about the store
		return nil, &oidckit.UnavailableError{What: "lock of the session", Err: err, RetryAfter: storePause}
	}
	return unlock, s.judge(err)
}

// tryLock reports whether the lock is ours. The names need no seal: they say nothing, and who
// can write them can remove them too.
func (s *sharedStore) tryLock(ctx context.Context, key string, began time.Time) (won bool, err error) {
	if _, held, err := s.findRaw(ctx, key); err != nil || held {
		return false, err
	}
	name := rand.Text()
	if err := s.commitRaw(ctx, key, []byte(name), s.now().Add(lockTTL)); err != nil {
		return false, err
	}
	if time.Since(began) > lockWindow {
		// Somebody may have waited in vain to see our name, and hold the lock. They remove it
		// with their own; or else it goes after lockTTL.
		return false, nil
	}
	if err := sleep(ctx, lockWindow+time.Millisecond); err != nil {
		return false, err
	}
	last, _, err := s.findRaw(ctx, key)
	return err == nil && string(last) == name, err
}

// unlock removes whoever's name is there: nobody else can hold the lock yet. After lockHold
// somebody might, when the removal arrives.
func (s *sharedStore) unlock(ctx context.Context, key string, began time.Time) {
	if time.Since(began) < lockHold {
		_ = s.remove(ctx, key) // status has the error, and the lock goes after lockTTL
	}
}

// sleep is for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &oidckit.UnavailableError{What: "lock of the session", Err: ctx.Err(), RetryAfter: storePause}
	}
}
