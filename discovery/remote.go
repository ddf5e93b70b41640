package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/refresh"
)

// Remote is a [Source] that reads the provider's document when it is first
// asked, once for all who ask at the same time. A document that cannot be read
// is asked for again after about a second, then two, up to Config.Cooldown;
// metadata that were read once serve until better ones are there. It is safe for
// concurrent use, and costs nothing while nobody asks.
type Remote struct {
	issuer   string
	places   []string // where the document may be
	rewrite  origins
	override *Metadata       // nil if there is nothing to override
	own      map[string]bool // the endpoints that override names
	policy   fetch.Config
	fetch    *fetch.Client
	doc      *refresh.Value[*Metadata]
	freshFor time.Duration
	largest  int // bytes of a document
	logger   *slog.Logger
	tally    tally
}

// New returns a source for the metadata of cfg.Issuer. It does no I/O; errors
// are about cfg alone and name the field.
func New(cfg Config) (*Remote, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	rewrite, err := newOrigins(cfg.Rewrite, cfg.transport())
	if err != nil {
		return nil, err
	}
	r := &Remote{
		issuer: cfg.Issuer, places: places(cfg, rewrite), rewrite: rewrite,
		policy: fetch.Config{InsecureHTTP: cfg.InsecureHTTP, PublicOnly: cfg.PublicOnly},
		fetch:  fetch.New(cfg.transport()), freshFor: cfg.RefreshAfter, logger: cfg.Logger, largest: fetch.MaxBody,
	}
	r.setOverride(&cfg.Override)
	r.doc = refresh.New(refresh.Config[*Metadata]{
		What: "provider metadata", Fetch: r.load, Timeout: cfg.Timeout,
		Cooldown: cfg.Cooldown, MaxStale: forever, Jitter: true, RetryAfter: fetch.RetryAfter, Now: cfg.Now,
	})
	return r, nil
}

// forever: metadata name endpoints, not keys. Old ones that still lead somewhere
// are better than none, and tokens are judged by keys with an age limit.
const forever = 100 * 365 * 24 * time.Hour

func places(cfg Config, rewrite origins) []string {
	if cfg.DiscoveryURL != "" {
		return []string{cfg.DiscoveryURL}
	}
	list := documents(cfg.Issuer)
	for i := range list {
		list[i], _ = rewrite.rewrite(list[i])
	}
	return list
}

func (r *Remote) setOverride(o *Metadata) {
	if reflect.ValueOf(o).Elem().IsZero() { // a thousand tenants need no thousand of nothing
		return
	}
	r.override, r.own = o.clone(), map[string]bool{}
	for _, e := range o.endpoints() {
		r.own[e.name] = *e.url != ""
	}
}

// Format prints the issuer with every verb: a header of the configuration may be
// a secret.
func (r *Remote) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "discovery.Remote(%s)", r.issuer) }

// Metadata implements [Source]. Errors are of type *oidckit.UnavailableError, and
// answer errors.As for *IssuerError or *NotFoundError if that is the cause.
func (r *Remote) Metadata(ctx context.Context) (*Metadata, error) { return r.doc.Get(ctx) }

// Ready reads the document if it was not read, and reports whether metadata can
// be had, with the error of [Remote.Metadata]: for start-up and for probes.
func (r *Remote) Ready(ctx context.Context) error {
	_, err := r.Metadata(ctx)
	return err
}

// Renew is Metadata for who has reason to think that the provider has changed,
// because its keys do not verify what it signed: a jwks_uri may have moved. The
// document is read anew, at most once per Config.Cooldown however often this is
// called. If it was read not long ago, or cannot be read, the last good one is
// returned.
func (r *Remote) Renew(ctx context.Context) (*Metadata, error) {
	m, err := r.doc.Renew(ctx)
	if err == nil {
		return m, nil
	}
	if ctx.Err() != nil && !errors.Is(err, refresh.ErrTooSoon) {
		return nil, err // who does not wait gets no old answer either
	}
	return r.doc.Get(ctx)
}

func (r *Remote) load(ctx context.Context) (*Metadata, time.Duration, error) {
	m, place, err := r.search(ctx)
	r.tally.note(place, err)
	r.tell(ctx, err)
	return m, r.freshFor, err
}

// order returns the places, the one that had the document last before the others.
func (r *Remote) order() []string {
	i := slices.Index(r.places, r.tally.read().URL)
	if i <= 0 {
		return r.places
	}
	return slices.Concat(r.places[i:i+1], r.places[:i], r.places[i+1:])
}

// search asks place after place while there is no document. An outage, a refusal
// and a document of another issuer are answers: what a next place says could
// only be less true.
func (r *Remote) search(ctx context.Context) (m *Metadata, place string, err error) {
	missing := &NotFoundError{}
	for _, place := range r.order() {
		m, err := r.read(ctx, place)
		if !notFound(err) {
			return m, place, err
		}
		if missing.Err == nil {
			missing.Err = err
		}
		missing.URLs = append(missing.URLs, place)
	}
	return nil, "", missing
}

func notFound(err error) bool {
	var e *fetch.Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

func (r *Remote) read(ctx context.Context, place string) (*Metadata, error) {
	resp, err := r.fetch.Get(ctx, place, "application/json")
	if err != nil {
		return nil, err
	}
	if len(resp.Body) > r.largest {
		return nil, fetch.ErrTooLarge
	}
	m, err := decode(resp.Body)
	if err != nil {
		return nil, err
	}
	// "The issuer value returned MUST be identical to the Issuer URL that was used
	// as the prefix" (OpenID Connect Discovery 1.0 section 4.3; RFC 8414 section
	// 3.3). Identical: no case, no port and no slash is forgiven.
	if m.Issuer != r.issuer {
		return nil, &IssuerError{Configured: r.issuer, Found: m.Issuer}
	}
	if err := r.adopt(m, place); err != nil {
		return nil, err
	}
	if last := r.doc.State().Value; last != nil {
		if name := m.lost(last); name != "" {
			return nil, fmt.Errorf("discovery: the document has lost its %s", name)
		}
	}
	return m, nil
}

// lost names what the provider cannot do without and had before. A document that was cut
// short, by a cache or by a mistake, is no reason to stop logins for a day.
func (m *Metadata) lost(last *Metadata) string {
	switch {
	case m.JWKSURI == "" && last.JWKSURI != "":
		return "jwks_uri"
	case m.TokenEndpoint == "" && last.TokenEndpoint != "":
		return "token_endpoint"
	case m.AuthorizationEndpoint == "" && last.AuthorizationEndpoint != "":
		return "authorization_endpoint"
	}
	return ""
}

// adopt changes what the document says to what the configuration makes of it,
// and checks the result.
func (r *Remote) adopt(m *Metadata, place string) error {
	if r.override != nil {
		m.override(r.override)
	}
	for _, e := range m.endpoints() {
		if r.own[e.name] {
			continue
		}
		if !e.browser {
			if to, ok := r.rewrite.rewrite(*e.url); ok {
				*e.url = to
				continue
			}
		}
		if r.weakens(*e.url, place) {
			return fmt.Errorf("discovery: %s: a document that came over https names plain http", e.name)
		}
	}
	return m.check(r.policy)
}

// weakens: plain http to loopback is for providers on loopback. One that is
// elsewhere has no business there.
func (r *Remote) weakens(endpoint, place string) bool {
	return !r.policy.InsecureHTTP && scheme(endpoint) == "http" && scheme(place) == "https"
}

func scheme(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Scheme
}
