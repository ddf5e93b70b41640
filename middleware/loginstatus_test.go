package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A flawedStore is a map with faults.
type flawedStore struct {
	mu                         sync.Mutex
	kept                       map[string][]byte
	findErr, commitErr, delErr error
	forgets                    bool
}

func (s *flawedStore) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.kept[token]
	return b, ok && !s.forgets, s.findErr
}

func (s *flawedStore) Commit(token string, b []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string][]byte{}
	}
	s.kept[token] = b
	return s.commitErr
}

func (s *flawedStore) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, token)
	return s.delErr
}

func TestReady(t *testing.T) {
	t.Parallel()
	store := &flawedStore{}
	s := newSite(t, func(c *middleware.LoginConfig) { c.Store = store })
	require.Zero(t, s.login.Status().Providers[""].Metadata.Attempts, "nobody is asked before")
	require.NoError(t, s.login.Ready(t.Context()))
	require.Empty(t, store.kept, "what was written is dropped again")
	status := s.login.Status()
	require.Len(t, status.Providers, 1)
	require.Equal(t, 1, status.Providers[""].Metadata.Attempts)
	require.Positive(t, status.Providers[""].Keys.Keys)
	require.NoError(t, status.Store)
}

// A store that answers reads alone is as bad as none.
func TestReady_Store(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]*flawedStore{
		"find":    {findErr: errPlain},
		"commit":  {commitErr: errPlain},
		"delete":  {delErr: errPlain},
		"forgets": {forgets: true},
	} {
		for _, sealed := range []bool{false, true} {
			s := newSite(t, func(c *middleware.LoginConfig) { c.Store, c.SealedCookies = store, sealed })
			err := s.login.Ready(t.Context())
			require.ErrorIs(t, err, oidckit.ErrUnavailable, name)
			var u *oidckit.UnavailableError
			require.ErrorAs(t, err, &u)
			require.Equal(t, "session store", u.What)
			if !store.forgets {
				require.ErrorIs(t, err, errPlain)
				require.ErrorIs(t, s.login.Status().Store, errPlain)
			}
		}
	}
}

func TestReady_WithoutStore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, s.login.Ready(t.Context()))
	require.NoError(t, s.login.Status().Store)
}

// Each provider is asked, and the error says which is down.
func TestReady_Providers(t *testing.T) {
	t.Parallel()
	up, down := oidctest.Start(t, fastKeys), oidctest.Start(t, fastKeys)
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Providers = []middleware.LoginProvider{{ID: "down", Client: newClient(t, down, "")}, {ID: "up", Client: newClient(t, up, "")}}
	})
	require.NoError(t, l.Ready(t.Context()))

	l = newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Providers = []middleware.LoginProvider{{ID: "down", Client: newClient(t, down, "")}, {ID: "up", Client: newClient(t, up, "")}}
	})
	require.NoError(t, down.Close())
	err := l.Ready(t.Context())
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.ErrorContains(t, err, "provider down: ")
	require.NotContains(t, err.Error(), "provider up: ")
	status := l.Status()
	require.Len(t, status.Providers, 2)
	require.Error(t, status.Providers["down"].Metadata.Err)
	require.NoError(t, status.Providers["up"].Metadata.Err)
	require.Positive(t, status.Providers["up"].Keys.Keys)
}

// Whoever asks may leave.
func TestReady_Cancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("left"))
	require.ErrorIs(t, s.login.Ready(ctx), context.Canceled)
}

// While the store is down nobody is sent to log in: there is a page, which leads to where the
// request was for, whatever handlers made of its path. The log and Status know why.
func TestNeeds42_StoreDown(t *testing.T) {
	t.Parallel()
	store := &flawedStore{}
	s := newSite(t, func(c *middleware.LoginConfig) { c.Store = store })
	s.handler = s.login.Handler(http.StripPrefix("/private", s.login.RequireLogin(s.pages())))
	b := s.browser(t)
	b.logIn("alice")
	require.Equal(t, aliceSubject, b.get("/private/a?b=c").body)

	store.mu.Lock()
	store.findErr = errPlain
	store.mu.Unlock()
	res := b.get("/private/a?b=c")
	requirePage(t, http.StatusServiceUnavailable, res)
	require.Equal(t, "2", res.Header.Get("Retry-After"))
	require.Contains(t, res.body, `href="/private/a?b=c"`)
	require.Contains(t, res.body, "You have not been logged out.")
	require.Contains(t, s.logged(), `level=WARN msg="access refused"`)
	require.ErrorIs(t, s.login.Status().Store, errPlain)

	store.mu.Lock()
	store.findErr = nil
	store.mu.Unlock()
	s.provider.Advance(time.Minute)
	require.Equal(t, aliceSubject, b.get("/private/a?b=c").body)
	require.NoError(t, s.login.Status().Store)
}
