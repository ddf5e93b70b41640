package middleware

import (
	"context"
	"sync"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/seal"
)

// storeTimeout is how long one call of a store may take. storePause is for how long a store
// that failed is left alone: where it hangs, not every request is to hang with it.
const (
	storeTimeout = 2 * time.Second
	storePause   = 2 * time.Second
)

// storeName is what an *[oidckit.UnavailableError] of the Store says that is missing.
const storeName = "session store"

// A sharedStore is a Store as sessions use it: sealed, limited in time, and with locks. Its
// errors answer errors.Is for oidckit.ErrUnavailable. It is safe for concurrent use.
type sharedStore struct {
	store  contextStore
	locker locker // nil if the Store has none
	keys   *seal.Ring
	now    func() time.Time
	// instant stores neither wait nor fail, and need no limits: these cost more than they do.
	instant bool

	mu    sync.Mutex
	last  error     // of the last call, nil if it worked
	pause time.Time // until then nobody tries
}

func newSharedStore(store Store, keys *seal.Ring, now func() time.Time) *sharedStore {
	s := &sharedStore{store: withContext(store), keys: keys, now: now}
	s.locker, _ = store.(locker)
	_, s.instant = store.(*MemoryStore)
	return s
}

// sealedForStore is the purpose of what stores keep.
const sealedForStore = "store"

// find returns what is kept under key. What cannot be opened, because its key was dropped or
// it was not written by us, is as good as nothing: ok is false.
func (s *sharedStore) find(ctx context.Context, key string) (plain []byte, ok bool, err error) {
	sealed, ok, err := s.findRaw(ctx, key)
	if err != nil || !ok {
		return nil, false, err
	}
	plain, _, err = s.keys.Open(sealedForStore, key, sealed)
	if err != nil {
		return nil, false, nil //nolint:nilerr // not found, as said above
	}
	return plain, true, nil
}

// commit keeps plain under key until expiry.
func (s *sharedStore) commit(ctx context.Context, key string, plain []byte, expiry time.Time) error {
	return s.commitRaw(ctx, key, s.keys.Seal(sealedForStore, key, plain), expiry)
}

// remove drops what is kept under key.
func (s *sharedStore) remove(ctx context.Context, key string) error {
	return s.call(ctx, func(ctx context.Context) error { return s.store.DeleteCtx(ctx, key) })
}

func (s *sharedStore) findRaw(ctx context.Context, key string) (b []byte, ok bool, err error) {
	err = s.call(ctx, func(ctx context.Context) (err error) {
		b, ok, err = s.store.FindCtx(ctx, key)
		return err
	})
	return b, ok, err
}

func (s *sharedStore) commitRaw(ctx context.Context, key string, b []byte, expiry time.Time) error {
	return s.call(ctx, func(ctx context.Context) error { return s.store.CommitCtx(ctx, key, b, expiry) })
}

// status is the last failure, nil if the store is well.
func (s *sharedStore) status() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// call does something with the store, unless it failed a moment ago. Who hangs up neither cuts it
// short nor has all others wait for the next one to find out how the store is: it is over soon
// enough.
func (s *sharedStore) call(ctx context.Context, do func(context.Context) error) error {
	if s.instant {
		return do(ctx)
	}
	if err := s.mayTry(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return s.judge(do(ctx))
}

// mayTry returns the last failure for as long as the store is left alone. Then one caller
// tries, and the others go on being refused until it knows.
func (s *sharedStore) mayTry() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil
	}
	now := s.now()
	if now.Before(s.pause) {
		return s.last
	}
	s.pause = now.Add(storePause)
	return nil
}

// judge notes how a call went.
func (s *sharedStore) judge(err error) error {
	if err != nil {
		err = &oidckit.UnavailableError{What: storeName, Err: err, RetryAfter: storePause}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
	if err != nil {
		s.pause = s.now().Add(storePause)
	}
	return err
}
