package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/refresh"
)

// RemoteConfig says where a key set is and how it is kept current.
type RemoteConfig struct {
	// URL is the jwks_uri. Set this or Locate.
	URL string
	// Locate finds the jwks_uri, at each fetch: from metadata, for example. Suspect
	// says that the address may have moved, so that it is worth asking where it is
	// now: the fetch before failed, or two in a row did not bring the key that was
	// wanted.
	Locate func(ctx context.Context, suspect bool) (string, error)

	// HTTPClient makes the requests; redirects are never followed. Nil means one
	// of our own, with time limits. It must not be changed afterwards.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool
	// PublicOnly refuses to connect to addresses that are not on the public
	// Internet, after DNS: for addresses that a stranger had a say in. The
	// HTTPClient must then leave dialling to us.
	PublicOnly bool

	// Timeout is how long a request may take, its answer included; default 10 s, at most a
	// minute.
	Timeout time.Duration
	// RefreshAfter is how long a set is fresh if the answer does not say so with
	// Cache-Control or Expires; default 10 min. What the answer says counts within a
	// minute and a day, no-cache and no-store as a minute, all from the start of the
	// request. At 80 to 90 % of that time the next reader starts a fetch in the
	// background, while the set serves. It serves for another minute after it was
	// fresh; who comes later waits for the fetch, two seconds at most, unless one has just
	// failed.
	RefreshAfter time.Duration
	// MaxFresh is the longest that a set is fresh, whatever the answer says; 0 is no limit of
	// our own.
	MaxFresh time.Duration
	// MaxStale is how long a set serves after it was fresh if it cannot be fetched;
	// default 24 h. After that nothing verifies (oidckit.ErrUnavailable).
	MaxStale time.Duration
	// Cooldown is the shortest time between two fetches that tokens with unknown
	// keys or bad signatures can cause, both together; default 10 s. It counts from
	// the start of the attempt, whatever came of it. Whoever comes within it is
	// refused at once. That is all the memory there is of keys that were not found:
	// nothing is kept for each "kid", so that whoever makes them up fills nothing,
	// and a key that was missing is found by the first fetch that brings it.
	// Cooldown is also the pause after a failure, up to a fifth shorter at random;
	// while there are no keys at all, pauses double from a second up to it. A
	// Retry-After of the provider lengthens these up to a minute.
	Cooldown time.Duration

	// Trace has functions to be called when something happens. Nil means none.
	Trace *Trace
	// Logger is told once about each member of the set that is left out, with a
	// warning if it is a private key, and about the beginning (a warning) and the end
	// of outages. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Format prints the URL with every verb: a header may hold a secret.
func (cfg RemoteConfig) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.RemoteConfig(%s)", cfg.URL)
}

// Remote is a [Source] that reads a provider's JWK Set. It fetches when it is
// first asked, and costs nothing while nobody asks: no goroutine, no timer. Who
// reads keys that are fresh takes no lock. It is safe for concurrent use; make one
// per issuer and share it.
type Remote struct {
	loader  loader
	set     *refresh.Value[*snapshot]
	misses  misses
	refused atomic.Uint64
}

// NewRemote returns a source for a remote set. It does no I/O; errors are about
// cfg alone.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	if (cfg.URL == "") == (cfg.Locate == nil) {
		return nil, errors.New("jwks: set exactly one of RemoteConfig.URL and RemoteConfig.Locate")
	}
	client := fetch.Config{
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP, PublicOnly: cfg.PublicOnly,
		Timeout: cfg.Timeout, Now: cfg.Now,
	}
	if err := client.Check(); err != nil {
		return nil, fmt.Errorf("jwks: RemoteConfig.%w", err)
	}
	if cfg.URL != "" {
		if err := client.CheckURL(cfg.URL); err != nil {
			return nil, fmt.Errorf("jwks: RemoteConfig.URL: %w", err)
		}
	}
	if cfg.MaxFresh < 0 {
		return nil, errors.New("jwks: RemoteConfig.MaxFresh must not be negative")
	}
	setDefault(&cfg.Timeout, fetch.Timeout)
	setDefault(&cfg.RefreshAfter, 10*time.Minute)
	setDefault(&cfg.MaxStale, 24*time.Hour)
	setDefault(&cfg.Cooldown, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return newRemote(cfg, fetch.New(client)), nil
}

func newRemote(cfg RemoteConfig, client *fetch.Client) *Remote {
	r := &Remote{loader: loader{
		url: cfg.URL, locate: cfg.Locate, client: client, refreshAfter: cfg.RefreshAfter, maxFresh: cfg.MaxFresh,
		trace: cfg.Trace, now: cfg.Now, teller: teller{logger: cfg.Logger},
	}}
	r.loader.suspects = r.misses.many
	r.set = refresh.New(refresh.Config[*snapshot]{
		What: "verification keys", Fetch: r.loader.load, Done: r.loader.done, RetryAfter: fetch.RetryAfter, Timeout: 2 * cfg.Timeout,
		Cooldown: cfg.Cooldown, MaxStale: cfg.MaxStale, Jitter: true, Now: cfg.Now,
	})
	return r
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

var errNotMade = errors.New("jwks: the source was not made by its constructor")

// Keys implements [Source]. Keys that cannot be fetched are an error of type
// *oidckit.UnavailableError.
func (r *Remote) Keys(ctx context.Context, q Query) ([]Key, error) {
	if r == nil || r.set == nil {
		return nil, errNotMade
	}
	now := r.loader.now()
	set, ok := r.set.Peek(now)
	if !ok {
		var err error
		if set, err = r.set.GetAt(ctx, now); err != nil {
			return nil, err
		}
		now = r.loader.now()
	}
	fitting := match(set.keys, q)
	if !q.Retry {
		if len(fitting) > 0 {
			return fitting, nil
		}
	} else if q.Tried == nil {
		q.Tried = fitting
	} else if left := untried(fitting, q); len(left) > 0 { // somebody else has renewed the set
		return left, nil
	}
	return r.renew(ctx, now, set, q)
}

// renew looks for keys in a newer set. A fetch that somebody else began may have
// been answered before the key was published, so it is not the last word.
func (r *Remote) renew(ctx context.Context, now time.Time, set *snapshot, q Query) ([]Key, error) {
	found, joined, err := r.renewOnce(ctx, now, set, q)
	if joined && err == nil && len(found) == 0 {
		found, _, err = r.renewOnce(ctx, r.loader.now(), set, q)
	}
	return found, err
}

func (r *Remote) renewOnce(ctx context.Context, now time.Time, set *snapshot, q Query) (found []Key, joined bool, err error) {
	next, joined, err := r.set.RenewAt(ctx, now)
	switch {
	case err == nil:
		found = untried(match(next.keys, q), q)
		r.misses.note(next.fetch, len(found) > 0)
		return found, joined, nil
	case err == refresh.ErrTooSoon: //nolint:errorlint // not what wraps it: that is an outage
		if newer, ok := r.set.Peek(now); ok { // somebody else may have renewed it since
			set = newer
		}
		if found = untried(match(set.keys, q), q); len(found) == 0 {
			r.refuse(err)
		}
		return found, joined, nil
	}
	// The key may be a new one that we could not get to know.
	r.refuse(err)
	return nil, joined, err
}

// refuse counts and tells the answers that are given without a fetch.
func (r *Remote) refuse(err error) {
	var reason RefusalReason
	switch {
	case errors.Is(err, refresh.ErrTooSoon):
		reason = RefusedCooldown
	case errors.Is(err, refresh.ErrCrowded):
		reason = RefusedCrowded
	default:
		return
	}
	r.refused.Add(1)
	r.loader.trace.refused(Refusal{Reason: reason})
}

// Version implements [Versioned].
func (r *Remote) Version(_ context.Context, now time.Time) (version uint64, ok bool) {
	if r == nil || r.set == nil {
		return 0, false
	}
	set, ok := r.set.Peek(now)
	if !ok {
		return 0, false
	}
	return set.version, true
}

// Ready fetches the set if it was not fetched, and reports whether keys can be
// had.
func (r *Remote) Ready(ctx context.Context) error {
	if r == nil || r.set == nil {
		return errNotMade
	}
	_, err := r.set.Get(ctx)
	return err
}
