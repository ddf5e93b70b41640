package oidc_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/oidckit/oidckit/jwks"
)

// failing is a source without keys, and without a version.
type failing struct{ err error }

func (f failing) Keys(context.Context, jwks.Query) ([]jwks.Key, error) { return nil, f.err }

// counting counts how often somebody looks for keys.
type counting struct {
	jwks.Versioned
	lookups atomic.Int64
}

func (c *counting) Keys(ctx context.Context, q jwks.Query) ([]jwks.Key, error) {
	c.lookups.Add(1)
	return c.Versioned.Keys(ctx, q)
}

// shifting is a source whose keys and version are what a test makes them.
type shifting struct {
	keys    func() jwks.Static
	version atomic.Uint64 // 0 is unknown
	lookups atomic.Int64
}

func (s *shifting) Keys(ctx context.Context, q jwks.Query) ([]jwks.Key, error) {
	s.lookups.Add(1)
	return s.keys().Keys(ctx, q)
}

func (s *shifting) Version(context.Context, time.Time) (version uint64, ok bool) {
	version = s.version.Load()
	return version, version != 0
}
