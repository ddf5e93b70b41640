package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/oidckit/oidckit"
)

// introspectionCache keeps what the provider said about tokens, and asks about one token
// once at a time. It belongs to one verifier, hence to one configuration.
type introspectionCache struct {
	of        string // what the provider is asked for, for errors
	now       func() time.Time
	logger    *slog.Logger
	key       func(token string) [sha256.Size]byte
	maxAge    time.Duration // 0 keeps nothing
	good, bad *otter.Cache[[sha256.Size]byte, keptAnswer]

	mu     sync.Mutex
	asking map[[sha256.Size]byte]*flight[*AccessToken]
}

// A keptAnswer has a token, or the reason why there is none.
type keptAnswer struct {
	token *AccessToken
	err   error
	until time.Time
}

const (
	defaultAnswerAge = time.Minute
	maxAnswerAge     = 10 * time.Minute
	refusalAge       = 5 * time.Second
	maxRefusals      = 1000
	maxIntrospecting = 256 // requests to the provider at the same time: strangers can cause as many
)

func newIntrospectionCache(cfg IntrospectionCacheConfig, p *Provider) (*introspectionCache, error) {
	c := &introspectionCache{of: "introspection", now: p.now, logger: p.logger, key: newTokenKey(), asking: make(map[[sha256.Size]byte]*flight[*AccessToken])}
	if cfg == (IntrospectionCacheConfig{}) {
		return c, nil
	}
	if cfg.MaxTokens < 0 || cfg.MaxAge < 0 || cfg.MaxAge > maxAnswerAge {
		return nil, errors.New("MaxTokens must not be negative, MaxAge be 0 to 10 min")
	}
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = defaultMaxTokens
	}
	if c.maxAge = cfg.MaxAge; c.maxAge == 0 {
		c.maxAge = defaultAnswerAge
	}
	var err, err2 error
	c.good, err = otter.New(&otter.Options[[sha256.Size]byte, keptAnswer]{MaximumSize: cfg.MaxTokens})
	c.bad, err2 = otter.New(&otter.Options[[sha256.Size]byte, keptAnswer]{MaximumSize: maxRefusals})
	return c, errors.Join(err, err2)
}

// newTokenKey returns what stands for a token. Without the random key, whoever reads the
// memory could try tokens.
func newTokenKey() func(token string) [sha256.Size]byte {
	secret := []byte(rand.Text() + rand.Text())
	return func(token string) (sum [sha256.Size]byte) {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(token))
		mac.Sum(sum[:0])
		return sum
	}
}

// get returns what is known of a token, or asks, or waits for who asks.
func (c *introspectionCache) get(ctx context.Context, raw string, ask func(context.Context) (*AccessToken, error)) (*AccessToken, error) {
	key := c.key(raw)
	if a, ok := c.kept(key); ok {
		return a.token, a.err
	}
	f, err := c.flight(key, ask) //nolint:contextcheck // others may wait for the answer when ctx ends
	if err != nil {
		return nil, err
	}
	return f.wait(ctx)
}

func (c *introspectionCache) kept(key [sha256.Size]byte) (keptAnswer, bool) {
	if c.maxAge == 0 {
		return keptAnswer{}, false
	}
	a, ok := c.good.GetIfPresent(key)
	if !ok {
		a, ok = c.bad.GetIfPresent(key)
	}
	return a, ok && c.now().Before(a.until)
}

// flight joins who asks about a token, or begins.
func (c *introspectionCache) flight(key [sha256.Size]byte, ask func(context.Context) (*AccessToken, error)) (*flight[*AccessToken], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.asking[key]; f != nil {
		return f, nil
	}
	if len(c.asking) >= maxIntrospecting {
		return nil, unavailable(c.of, errIntrospecting)
	}
	f := newFlight[*AccessToken]()
	c.asking[key] = f
	asked := c.now()
	go f.fly(c.logger, ask, func(token *AccessToken, err error) {
		c.keep(key, token, err, asked)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.asking, key)
	})
	return f, nil
}

var errIntrospecting = errors.New("the provider is being asked about too many other tokens")

// keep counts from before the provider was asked: it may have revoked the token since.
func (c *introspectionCache) keep(key [sha256.Size]byte, token *AccessToken, err error, asked time.Time) {
	switch {
	case c.maxAge == 0:
	case err == nil:
		until := asked.Add(c.maxAge)
		if !token.Expiry.IsZero() {
			until = earlier(until, token.Expiry)
		}
		c.good.Set(key, keptAnswer{token: token, until: until})
		c.bad.Invalidate(key)
	case errors.Is(err, oidckit.ErrInvalidToken) && !errors.Is(err, oidckit.ErrUnavailable):
		c.bad.Set(key, keptAnswer{err: err, until: asked.Add(min(refusalAge, c.maxAge))})
		c.good.Invalidate(key)
	}
}
