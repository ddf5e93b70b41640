package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
)

// LoginStatus tells how what a [Login] needs fares: for people, health pages and metrics.
type LoginStatus struct {
	// Providers are those of Client or Providers, by ID: "" if there is but one Client.
	Providers map[string]oidc.Status
	// Store is why the last call of the Store failed; nil if it did not, or there is none.
	Store error
}

// Status returns the state. It does no I/O.
func (l *Login) Status() LoginStatus {
	s := LoginStatus{Providers: make(map[string]oidc.Status, len(l.providers))}
	for _, p := range l.providers {
		s.Providers[p.id] = p.client.Provider().Status()
	}
	if l.sessions.shared {
		s.Store = l.sessions.kept.status()
	}
	return s
}

// Ready reports whether everything is there that logins and sessions need: metadata and keys
// of each provider, which it fetches if they were not, and the Store, in which it writes, reads
// and drops a value. Call it at start-up to warm up, and from a readiness probe.
//
// Whether a program that is not ready gets requests is the program's choice. Without a provider
// it still serves whoever is logged in, and with SealedCookies without its Store too; and what
// all replicas miss at the same time, no balancer finds elsewhere. It is no liveness probe: a
// restart mends nothing.
//
// Errors: all that were found, joined; errors.Is for [oidckit.ErrUnavailable].
func (l *Login) Ready(ctx context.Context) error {
	errs := make([]error, len(l.providers)+1)
	atOnce(len(errs), func(i int) {
		switch {
		case i < len(l.providers):
			errs[i] = l.providers[i].ready(ctx)
		case l.sessions.shared:
			errs[i] = l.sessions.ready(ctx)
		}
	})
	return errors.Join(errs...)
}

func (p *loginProvider) ready(ctx context.Context) error {
	err := p.client.Provider().Ready(ctx)
	if err != nil && p.id != "" {
		return fmt.Errorf("middleware: provider %s: %w", p.id, err)
	}
	return err
}

// ready has the store keep something: one that is full, or a replica that cannot be written,
// answers reads all the same.
func (s *sessions) ready(ctx context.Context) error {
	key := s.name("ready", rand.Text())
	if err := s.kept.commit(ctx, key, []byte(key), s.login.now().Add(time.Minute)); err != nil {
		return err
	}
	kept, ok, err := s.kept.find(ctx, key)
	switch {
	case err != nil:
		return err
	case !ok || string(kept) != key:
		return &oidckit.UnavailableError{What: storeName, Err: errStoreForgets}
	}
	return s.kept.remove(ctx, key)
}

var errStoreForgets = errors.New("it did not return what it was told to keep")
