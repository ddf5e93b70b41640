package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/refresh"
)

// A Source gives a provider's metadata. It must be safe for concurrent use.
type Source interface {
	// Metadata returns the current metadata. Metadata that cannot be had at the
	// moment are an error that answers errors.Is for oidckit.ErrUnavailable.
	Metadata(ctx context.Context) (*Metadata, error)
}

type static struct{ metadata Metadata }

// Static returns a source that always gives m, without network. Its errors name
// a member of m that cannot be used.
func Static(m Metadata) (Source, error) {
	if err := m.check(false); err != nil {
		return nil, err
	}
	return &static{m}, nil
}

// InsecureStatic is [Static] for metadata that may have plain http endpoints on
// other hosts than loopback: whoever is on the way can read and change all.
func InsecureStatic(m Metadata) (Source, error) {
	if err := m.check(true); err != nil {
		return nil, err
	}
	return &static{m}, nil
}

// Metadata implements [Source].
func (s *static) Metadata(context.Context) (*Metadata, error) { return &s.metadata, nil }

// Config says where metadata are.
type Config struct {
	// Issuer is the provider's identifier, exactly as it writes it. Required.
	Issuer string

	// HTTPClient makes the requests; redirects are never followed. Nil means one
	// of our own, with time limits.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool

	// RefreshAfter is how long metadata are fresh; default 24 h. After that they
	// still serve while they are read anew in the background.
	RefreshAfter time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Remote is a [Source] that reads the provider's document when it is first
// asked. A document that cannot be read is asked for again after a second, then
// two, up to a minute; metadata that were read once serve until better ones are
// there. It is safe for concurrent use.
type Remote struct {
	cfg   Config
	fetch *fetch.Client
	doc   *refresh.Value[*Metadata]
}

// New returns a source for the metadata of cfg.Issuer. It does no I/O; errors
// are about cfg alone.
func New(cfg Config) (*Remote, error) {
	if cfg.Issuer == "" {
		return nil, errors.New("discovery: Config.Issuer is required")
	}
	if err := fetch.CheckURL(cfg.Issuer, cfg.InsecureHTTP); err != nil {
		return nil, fmt.Errorf("discovery: Config.Issuer %q: %w", cfg.Issuer, err)
	}
	if strings.Contains(cfg.Issuer, "?") {
		return nil, fmt.Errorf("discovery: Config.Issuer %q: query in the URL", cfg.Issuer)
	}
	if cfg.RefreshAfter <= 0 {
		cfg.RefreshAfter = 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Remote{cfg: cfg, fetch: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP,
	})}
	r.doc = refresh.New(refresh.Config[*Metadata]{
		What: "provider metadata", Fetch: r.load, Timeout: fetch.Timeout,
		Cooldown: time.Minute, MaxStale: forever, Now: cfg.Now,
	})
	return r, nil
}

// forever: metadata name endpoints, not keys. Old ones that still lead somewhere
// are better than none, and tokens are judged by keys with an age limit.
const forever = 100 * 365 * 24 * time.Hour

// Metadata implements [Source]. Errors are of type *oidckit.UnavailableError, and
// answer errors.As for *IssuerError if that is the cause.
func (r *Remote) Metadata(ctx context.Context) (*Metadata, error) { return r.doc.Get(ctx) }

func (r *Remote) load(ctx context.Context) (*Metadata, time.Duration, error) {
	target := strings.TrimSuffix(r.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	resp, err := r.fetch.Get(ctx, target, "application/json")
	if err != nil {
		return nil, 0, err
	}
	m, err := parse(resp.Body, r.cfg.InsecureHTTP)
	if err != nil {
		return nil, 0, err
	}
	if m.Issuer != r.cfg.Issuer {
		return nil, 0, &IssuerError{Configured: r.cfg.Issuer, Found: m.Issuer}
	}
	return m, r.cfg.RefreshAfter, nil
}
