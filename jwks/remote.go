package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/refresh"
)

// RemoteConfig says where a key set is and how it is kept current.
type RemoteConfig struct {
	// URL is the jwks_uri. Set this or Locate.
	URL string
	// Locate finds the jwks_uri, at each fetch: from metadata, for example.
	Locate func(ctx context.Context) (string, error)

	// HTTPClient makes the requests; redirects are never followed. Nil means one
	// of our own, with time limits.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool

	// RefreshAfter is how long a set is fresh if the answer does not say so with
	// Cache-Control; default 10 min. What the answer says counts within a minute
	// and a day. A set that is no longer fresh serves for another minute while it is
	// fetched anew in the background; who comes later waits for that fetch.
	RefreshAfter time.Duration
	// MaxStale is how long a set serves beyond that if it cannot be fetched;
	// default 24 h. After that nothing verifies (oidckit.ErrUnavailable).
	MaxStale time.Duration
	// Cooldown is the shortest time between two fetches that tokens with unknown
	// keys or bad signatures can cause; default 10 s.
	Cooldown time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Remote is a [Source] that reads a provider's JWK Set. It fetches when it is
// first asked, and costs nothing while nobody asks. It is safe for concurrent
// use.
type Remote struct {
	cfg   RemoteConfig
	fetch *fetch.Client
	set   *refresh.Value[Set]
}

// NewRemote returns a source for a remote set. It does no I/O; errors are about
// cfg alone.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	if (cfg.URL == "") == (cfg.Locate == nil) {
		return nil, errors.New("jwks: set exactly one of RemoteConfig.URL and RemoteConfig.Locate")
	}
	if cfg.URL != "" {
		if err := fetch.CheckURL(cfg.URL, cfg.InsecureHTTP); err != nil {
			return nil, fmt.Errorf("jwks: RemoteConfig.URL: %w", err)
		}
		cfg.Locate = func(context.Context) (string, error) { return cfg.URL, nil }
	}
	setDefault(&cfg.RefreshAfter, 10*time.Minute)
	setDefault(&cfg.MaxStale, 24*time.Hour)
	setDefault(&cfg.Cooldown, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Remote{cfg: cfg, fetch: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP,
	})}
	r.set = refresh.New(refresh.Config[Set]{
		What: "verification keys", Fetch: r.load, Timeout: 2 * fetch.Timeout,
		Cooldown: cfg.Cooldown, MaxStale: cfg.MaxStale, Now: cfg.Now,
	})
	return r, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Keys implements [Source]. Keys that cannot be fetched are an error of type
// *oidckit.UnavailableError.
func (r *Remote) Keys(ctx context.Context, q Query) ([]Key, error) {
	before, err := r.set.Get(ctx)
	if err != nil {
		return nil, err
	}
	old := match(before.Keys, q)
	if len(old) > 0 && !q.Retry {
		return old, nil
	}
	after, err := r.set.Renew(ctx)
	if errors.Is(err, refresh.ErrTooSoon) {
		after, err = r.set.Get(ctx) // somebody else may have renewed it since
	}
	if err != nil {
		// The key may be a new one that we could not get to know.
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(match(after.Keys, q)), func(k Key) bool {
		return slices.ContainsFunc(old, k.equal)
	}), nil
}

// Ready fetches the set if it was not fetched, and reports whether keys can be
// had.
func (r *Remote) Ready(ctx context.Context) error {
	_, err := r.set.Get(ctx)
	return err
}

func (r *Remote) load(ctx context.Context) (Set, time.Duration, error) {
	target, err := r.cfg.Locate(ctx)
	if err != nil {
		return Set{}, 0, err
	}
	resp, err := r.fetch.Get(ctx, target, "application/json", "application/jwk-set+json")
	if err != nil {
		return Set{}, 0, err
	}
	set, err := ParseSet(resp.Body)
	return set, r.freshFor(resp.Header), err
}

// freshFor reads max-age of Cache-Control (RFC 9111 section 5.2.2.1), within
// bounds: no answer makes us ask every second, or never again.
func (r *Remote) freshFor(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
		if strings.EqualFold(name, "max-age") && err == nil {
			return min(max(time.Duration(seconds)*time.Second, time.Minute), 24*time.Hour)
		}
	}
	return r.cfg.RefreshAfter
}
