package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/oidckit/oidckit"
)

// CacheConfig says which issuers a [Cache] serves.
type CacheConfig struct {
	// Allow decides whether an issuer is one of ours, from a list of tenants for
	// example. It is asked each time, before anything else happens, and may be asked
	// by strangers: no I/O, and no pattern that others than the operator can register
	// hosts under. Required.
	Allow func(issuer string) bool
	// Template is the configuration of every issuer. Issuer and DiscoveryURL stay
	// empty, and PublicOnly is set by the cache. Its Header goes to every issuer.
	Template Config
	// InsecurePrivateAddresses allows issuers that are not on the public Internet:
	// whoever decides where an issuer's name leads can then make this process send
	// requests into its own network. It is for tenants that the operator set up.
	InsecurePrivateAddresses bool
	// MaxEntries is how many issuers are remembered; default 10,000. What was not
	// used for longest goes first. As many again, at least 1,000, are remembered that
	// have not answered yet.
	MaxEntries int
}

// A Cache has the metadata of many issuers: each as a [Remote] has them, with its
// single flight, its pauses after failures and its last good copy. An issuer that
// never answered cannot displace one that did. It is safe for concurrent use.
type Cache struct {
	cfg     CacheConfig
	maxNew  int
	now     func() time.Time
	mu      sync.Mutex
	known   *simplelru.LRU[string, *Remote]  // they have metadata
	unknown *simplelru.LRU[string, *unknown] // they have none yet
}

type unknown struct {
	remote *Remote
	used   time.Time
}

// NewCache returns an empty cache. It does no I/O; errors are about cfg alone
// and name the field.
func NewCache(cfg CacheConfig) (*Cache, error) {
	switch {
	case cfg.Allow == nil:
		return nil, configError("CacheConfig.Allow is required: an issuer that comes with a request must not decide where requests go")
	case cfg.Template.Issuer != "" || cfg.Template.DiscoveryURL != "":
		return nil, configError("CacheConfig.Template.Issuer and DiscoveryURL are of one issuer: leave them empty")
	case cfg.MaxEntries < 0:
		return nil, configError("CacheConfig.MaxEntries is negative: 0 means 10,000")
	case cfg.MaxEntries == 0:
		cfg.MaxEntries = 10_000
	}
	cfg.Template = cfg.Template.clone()
	cfg.Template.setDefaults()
	cfg.Template.PublicOnly = !cfg.InsecurePrivateAddresses
	c := &Cache{cfg: cfg, maxNew: max(cfg.MaxEntries, 1000), now: cfg.Template.Now}
	if _, err := c.remote("https://issuer.example"); err != nil {
		return nil, fmt.Errorf("discovery: CacheConfig.Template: %w", err)
	}
	known, err := simplelru.NewLRU[string, *Remote](cfg.MaxEntries, nil)
	if err != nil {
		return nil, err
	}
	newcomers, err := simplelru.NewLRU[string, *unknown](c.maxNew, nil)
	if err != nil {
		return nil, err
	}
	c.known, c.unknown = known, newcomers
	return c, nil
}

// Format prints nothing of the configuration with any verb: a header may be a
// secret.
func (c *Cache) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "discovery.Cache(%d)", c.Len()) }

// Metadata returns the metadata of an issuer, as [Remote.Metadata] does. An issuer
// that is not allowed is an *IssuerNotAllowedError.
func (c *Cache) Metadata(ctx context.Context, issuer string) (*Metadata, error) {
	return c.ask(ctx, issuer, (*Remote).Metadata)
}

// Renew is Metadata for who has reason to think that the provider has changed:
// see [Remote.Renew].
func (c *Cache) Renew(ctx context.Context, issuer string) (*Metadata, error) {
	return c.ask(ctx, issuer, (*Remote).Renew)
}

// Source returns the cache's metadata of one issuer as a [Source], which also has
// a method Renew as [Remote] has. It does no I/O, asks for nothing and holds
// nothing: the cache may forget the issuer and learn it again.
func (c *Cache) Source(issuer string) Source { return cached{c, issuer} }

type cached struct {
	cache  *Cache
	issuer string
}

func (s cached) Metadata(ctx context.Context) (*Metadata, error) {
	return s.cache.Metadata(ctx, s.issuer)
}

func (s cached) Renew(ctx context.Context) (*Metadata, error) { return s.cache.Renew(ctx, s.issuer) }

// Invalidate forgets an issuer: the next who asks for it causes a request.
func (c *Cache) Invalidate(issuer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Remove(issuer)
	c.unknown.Remove(issuer)
}

// Len returns how many issuers have metadata; at most CacheConfig.MaxEntries.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.Len()
}

func (c *Cache) ask(ctx context.Context, issuer string, ask func(*Remote, context.Context) (*Metadata, error)) (*Metadata, error) {
	if !c.cfg.Allow(issuer) {
		return nil, &IssuerNotAllowedError{Issuer: issuer}
	}
	r, isNew, err := c.find(issuer)
	if err != nil {
		return nil, err
	}
	m, err := ask(r, ctx)
	if err == nil && isNew {
		c.settle(issuer, r)
	}
	return m, err
}

func (c *Cache) find(issuer string) (r *Remote, isNew bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.known.Get(issuer); ok {
		return r, false, nil
	}
	now := c.now()
	if u, ok := c.unknown.Get(issuer); ok {
		u.used = now
		return u.remote, true, nil
	}
	if wait := c.full(now); wait > 0 {
		return nil, false, &oidckit.UnavailableError{What: "provider metadata", Err: errFull, RetryAfter: wait}
	}
	if r, err = c.remote(issuer); err != nil {
		return nil, false, &IssuerNotAllowedError{Issuer: issuer, Err: err}
	}
	c.unknown.Add(issuer, &unknown{r, now})
	return r, true, nil
}

var errFull = errors.New("discovery: too many issuers have not answered in the last minute")

// full reports for how long no newcomer is let in. To forget one that failed is
// to forget that it is to be left alone: whoever can name more issuers than are
// remembered could cause a request with each of theirs. Pauses end within the
// Cooldown, so one that nobody asked for since may be forgotten. The caller holds
// the lock.
func (c *Cache) full(now time.Time) time.Duration {
	if c.unknown.Len() < c.maxNew {
		return 0
	}
	_, oldest, _ := c.unknown.GetOldest()
	return c.cfg.Template.Cooldown - now.Sub(oldest.used)
}

func (c *Cache) remote(issuer string) (*Remote, error) {
	cfg := c.cfg.Template
	cfg.Issuer = issuer
	r, err := New(cfg)
	if err == nil {
		r.largest = largestCached
	}
	return r, err
}

// largestCached bounds what ten thousand issuers can fill: documents are kept, and those
// of real providers have a tenth of this.
const largestCached = 64 << 10

// settle: what was invalidated meanwhile is not brought back.
func (c *Cache) settle(issuer string, r *Remote) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u, ok := c.unknown.Peek(issuer); ok && u.remote == r {
		c.unknown.Remove(issuer)
		c.known.Add(issuer, r)
	}
}
