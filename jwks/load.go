package jwks

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
)

// A snapshot is what a Remote knows of its set after a fetch. It is replaced,
// never changed.
type snapshot struct {
	keys    []Key
	skipped skips
	version uint64 // see Versioned
	fetch   uint64 // the number of the fetch that brought it
	info    FetchInfo
}

// A loader makes the fetches of a Remote, one at a time.
type loader struct {
	url          string
	locate       func(ctx context.Context, suspect bool) (string, error)
	client       *fetch.Client
	refreshAfter time.Duration
	maxFresh     time.Duration // 0 is no limit
	trace        *Trace
	now          func() time.Time
	suspects     func() bool

	// One fetch follows the other, and each sees what the last one left.
	last     *snapshot // the last good one
	origin   origin    // of last
	failed   bool
	teller   teller
	counters counters
}

// An origin is where an answer came from, and by what it is known there.
type origin struct {
	url, etag string
	freshFor  time.Duration
}

func (l *loader) load(ctx context.Context) (*snapshot, time.Duration, error) {
	l.trace.fetchStart()
	began := l.clock()
	next, err := l.fetch(ctx)
	if l.trace != nil {
		next.info.Duration = l.clock().Sub(began)
	}
	next.info.Err = err
	l.teller.tellRead(ctx, l.failed, err)
	l.failed = err != nil
	l.counters.add(next.info)
	if err != nil {
		return next, 0, err
	}
	l.last = next
	return next, l.origin.freshFor, nil
}

// clock tells the time only to who asks how long a fetch took.
func (l *loader) clock() time.Time {
	if l.trace == nil {
		return time.Time{}
	}
	return l.now()
}

// fetch always returns a snapshot, whose info tells what happened.
func (l *loader) fetch(ctx context.Context) (*snapshot, error) {
	target, err := l.target(ctx)
	if err != nil {
		return &snapshot{}, err
	}
	etag := ""
	if l.last != nil && target == l.origin.url { // one server's tag says nothing to another
		etag = l.origin.etag
	}
	resp, err := l.client.GetIf(ctx, target, etag, "application/json", "application/jwk-set+json")
	if err != nil {
		return &snapshot{}, err
	}
	freshFor, told := freshness(resp.Header, l.now)
	freshFor = l.atMost(freshFor)
	if resp.Status == http.StatusNotModified {
		if told { // else what the answer said that it stands for (RFC 9111 section 4.3.4)
			l.origin.freshFor = freshFor
		}
		return l.unchanged(), nil
	}
	text := string(resp.Body)
	set, err := parseSet(text)
	l.teller.tell(ctx, text, set.Skipped)
	if err != nil {
		return &snapshot{}, err
	}
	if !told {
		freshFor = l.atMost(l.refreshAfter)
	}
	l.origin = origin{url: target, etag: etagOf(resp.Header), freshFor: freshFor}
	return replace(l.last, set), nil
}

func (l *loader) atMost(d time.Duration) time.Duration {
	if l.maxFresh > 0 {
		return min(d, l.maxFresh)
	}
	return d
}

// etagOf returns an ETag that is short enough to be kept.
func etagOf(h http.Header) string {
	if etag := h.Get("ETag"); len(etag) <= 256 {
		return etag
	}
	return ""
}

func (l *loader) target(ctx context.Context) (string, error) {
	if l.locate == nil {
		return l.url, nil
	}
	return l.locate(ctx, l.failed || l.suspects())
}

func (l *loader) unchanged() *snapshot {
	next := *l.last
	next.fetch++
	next.info = FetchInfo{NotModified: true, Keys: len(next.keys), Skipped: next.skipped.total()}
	return &next
}

// replace returns what follows the last snapshot, which may be nil.
func replace(last *snapshot, set Set) *snapshot {
	keys := append(set.Keys[:0:0], set.Keys...) // as long as it has to be
	next := &snapshot{keys: keys, skipped: countSkips(set.Skipped), version: 1, fetch: 1}
	next.info = FetchInfo{Keys: len(next.keys), Added: len(next.keys), Skipped: next.skipped.total()}
	if last == nil {
		return next
	}
	next.fetch = last.fetch + 1
	next.info.Added = missing(next.keys, last.keys)
	next.info.Removed = missing(last.keys, next.keys)
	next.version = last.version
	if next.info.Removed > 0 {
		next.version++
	}
	return next
}

func (l *loader) done(next *snapshot, _ error) {
	if next != nil {
		l.trace.fetchDone(next.info)
	}
}

// misses counts the fetches in a row that did not bring the key they were made for.
type misses struct {
	mu    sync.Mutex
	fetch uint64 // the last one that counts
	row   int
	total uint64
}

// note is called by each who waited for a fetch.
func (m *misses) note(fetch uint64, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case found:
		m.row = 0
	case fetch > m.fetch:
		m.row++
		m.total++
	}
	m.fetch = max(m.fetch, fetch)
}

func (m *misses) many() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.row >= 2
}

func (m *misses) count() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}
