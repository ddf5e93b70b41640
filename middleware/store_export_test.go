package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/oidckit/oidckit/internal/seal"
)

// Times of stores and locks.
const (
	StoreTimeout  = storeTimeout
	StorePause    = storePause
	LockTTL       = lockTTL
	LockHold      = lockHold
	LockWindow    = lockWindow
	MaxCookieLine = maxCookieLine
	MaxChunks     = maxChunks
)

// A SharedStore is a sharedStore, for what cannot be seen from outside: times and locks.
type SharedStore struct{ s *sharedStore }

func NewSharedStore(store Store, keys *seal.Ring, now func() time.Time) SharedStore {
	return SharedStore{newSharedStore(store, keys, now)}
}

func (s SharedStore) Find(ctx context.Context, key string) ([]byte, bool, error) {
	return s.s.find(ctx, key)
}

func (s SharedStore) Commit(ctx context.Context, key string, plain []byte, expiry time.Time) error {
	return s.s.commit(ctx, key, plain, expiry)
}

func (s SharedStore) Remove(ctx context.Context, key string) error { return s.s.remove(ctx, key) }

func (s SharedStore) Lock(ctx context.Context, key string) (func(), error) { return s.s.lock(ctx, key) }

func (s SharedStore) Status() error { return s.s.status() }

// Len is how many entries there are, expired or not.
func (m *MemoryStore) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(len(m.entries), len(m.expiry))
}

// A CookieLogin has what cookies need of a Login, which fuzzing makes by the thousand.
type CookieLogin struct{ l *Login }

func NewCookieLogin(cfg LoginConfig, origin string, secure bool, keys *seal.Ring) CookieLogin {
	return CookieLogin{&Login{cfg: cfg, origin: origin, secure: secure, keys: keys}}
}

func (c CookieLogin) Set(w http.ResponseWriter, r *http.Request, name, purpose string, plain []byte, life time.Duration, sameSite http.SameSite) error {
	return c.l.setSealed(w, r, name, purpose, plain, life, sameSite)
}

func (c CookieLogin) Get(r *http.Request, name, purpose string) (plain []byte, stale, ok bool) {
	return c.l.getSealed(r, name, purpose)
}

func (c CookieLogin) Drop(w http.ResponseWriter, r *http.Request, name string) {
	c.l.dropSealed(w, r, name)
}
