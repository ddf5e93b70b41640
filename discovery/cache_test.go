package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
)

// A landlord answers for every tenant, unless its name begins with "bad".
type landlord struct {
	mu    sync.Mutex
	asked map[string]int // by issuer
	delay time.Duration
	down  bool
}

func (l *landlord) RoundTrip(r *http.Request) (*http.Response, error) {
	iss := strings.TrimSuffix(r.URL.String(), openID)
	l.mu.Lock()
	if l.asked == nil {
		l.asked = map[string]int{}
	}
	l.asked[iss]++
	delay, down := l.delay, l.down
	l.mu.Unlock()
	time.Sleep(delay)
	if down || strings.HasPrefix(r.URL.Host, "bad") {
		return nil, errors.New("down")
	}
	body := `{"issuer":"` + iss + `","jwks_uri":"` + iss + `/jwks"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// requests returns how many were received since it was called last.
func (l *landlord) requests() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.asked {
		n += times
	}
	l.asked = nil
	return n
}

func tenant(i int) string { return fmt.Sprintf("https://t%d.example", i) }

func newCache(t *testing.T, l *landlord, maxEntries int) *discovery.Cache {
	t.Helper()
	c, err := discovery.NewCache(discovery.CacheConfig{
		Allow:    func(iss string) bool { return strings.HasSuffix(iss, ".example") },
		Template: discovery.Config{HTTPClient: &http.Client{Transport: l}}, InsecurePrivateAddresses: true, MaxEntries: maxEntries,
	})
	require.NoError(t, err)
	return c
}

func TestNewCacheChecksItsConfig(t *testing.T) {
	t.Parallel()
	all := func(string) bool { return true }
	for name, cfg := range map[string]discovery.CacheConfig{
		"nobody decides":  {},
		"issuer":          {Allow: all, Template: discovery.Config{Issuer: issuer}},
		"place":           {Allow: all, Template: discovery.Config{DiscoveryURL: issuer}},
		"size":            {Allow: all, MaxEntries: -1},
		"template":        {Allow: all, Template: discovery.Config{Header: http.Header{"Range": {"1"}}}},
		"override":        {Allow: all, Template: discovery.Config{Override: discovery.Metadata{JWKSURI: "http://op.example"}}},
		"override issuer": {Allow: all, Template: discovery.Config{Override: discovery.Metadata{Issuer: issuer}}},
		"unseen dialling": {Allow: all, Template: discovery.Config{HTTPClient: newSite(nil).client()}},
	} {
		c, err := discovery.NewCache(cfg)
		require.Error(t, err, name)
		require.Nil(t, c)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{}
		c := newCache(t, l, 0)
		source := c.Source(tenant(1))
		require.Zero(t, c.Len())
		require.Zero(t, l.requests())
		for range 3 {
			m, err := source.Metadata(t.Context())
			require.NoError(t, err)
			require.Equal(t, tenant(1), m.Issuer)
			_, err = c.Metadata(t.Context(), tenant(2))
			require.NoError(t, err)
		}
		require.Equal(t, 2, c.Len())
		require.Equal(t, 2, l.requests())

		c.Invalidate(tenant(1))
		require.Equal(t, 1, c.Len())
		for range 3 {
			_, err := source.Metadata(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 1, l.requests())

		for range 3 { // each issuer has its own budget
			_, err := source.(interface {
				Renew(context.Context) (*discovery.Metadata, error)
			}).Renew(t.Context())
			require.NoError(t, err)
			_, err = c.Renew(t.Context(), tenant(2))
			require.NoError(t, err)
		}
		require.Equal(t, 2, l.requests())

		time.Sleep(25 * time.Hour)
		_, err := c.Metadata(t.Context(), tenant(1))
		require.NoError(t, err)
		require.Equal(t, 1, l.requests(), "read anew daily")
	})
}

func TestCacheServesAllowedIssuersOnly(t *testing.T) {
	t.Parallel()
	l := &landlord{}
	allowed := map[string]bool{tenant(1): true, "http://plain.example": true, "not a URL": true, "": true, "https://a.example/{tenantid}": true}
	c, err := discovery.NewCache(discovery.CacheConfig{
		Allow: func(iss string) bool { return allowed[iss] }, InsecurePrivateAddresses: true, Template: discovery.Config{HTTPClient: &http.Client{Transport: l}},
	})
	require.NoError(t, err)
	for _, iss := range []string{
		tenant(2), tenant(1) + "/", "https://T1.example", "https://evil.example",
		"http://plain.example", "not a URL", "", "https://a.example/{tenantid}", // no issuers, whoever allows them
	} {
		for _, ask := range []func(context.Context, string) (*discovery.Metadata, error){c.Metadata, c.Renew} {
			m, err := ask(t.Context(), iss)
			require.Nil(t, m)
			var e *discovery.IssuerNotAllowedError
			require.ErrorAs(t, err, &e, iss)
			require.Equal(t, iss, e.Issuer)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
		}
	}
	require.Zero(t, l.requests())
	_, err = c.Metadata(t.Context(), tenant(1))
	require.NoError(t, err)

	allowed[tenant(1)] = false // at once, although its metadata are there
	_, err = c.Metadata(t.Context(), tenant(1))
	require.ErrorIs(t, err, oidckit.ErrInvalidToken)
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	l := &landlord{}
	c := newCache(t, l, 10)
	get := func(i int) {
		_, err := c.Metadata(t.Context(), tenant(i))
		require.NoError(t, err)
	}
	for i := range 100 {
		get(0) // in use all the time
		get(i)
		require.LessOrEqual(t, c.Len(), 10)
	}
	require.Equal(t, 100, l.requests())
	for i := 91; i < 100; i++ {
		get(i)
	}
	get(0)
	require.Zero(t, l.requests(), "what was used last is kept")
	get(90)
	require.Equal(t, 1, l.requests())
}

func TestCacheHoldsTenThousand(t *testing.T) {
	t.Parallel()
	l := &landlord{}
	c := newCache(t, l, 0)
	for range 2 {
		for i := range 10_000 {
			_, err := c.Metadata(t.Context(), tenant(i))
			require.NoError(t, err)
		}
	}
	require.Equal(t, 10_000, l.requests())
	require.Equal(t, 10_000, c.Len())
	_, err := c.Metadata(t.Context(), tenant(10_000))
	require.NoError(t, err)
	require.Equal(t, 10_000, c.Len())
}

func TestCacheStampedeIsOneRequestPerIssuer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{delay: time.Second}
		c := newCache(t, l, 0)
		var wg sync.WaitGroup
		for range 50 {
			for i := range 20 {
				wg.Go(func() {
					if _, err := c.Metadata(t.Context(), tenant(i)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		require.Equal(t, 20, l.requests())
	})
}

// Issuers that do not answer neither push out those that do, nor cause a request
// each time somebody names them.
func TestD08_FailuresStayApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{}
		c := newCache(t, l, 3)
		for i := range 3 {
			_, err := c.Metadata(t.Context(), tenant(i))
			require.NoError(t, err)
		}
		l.requests()
		for range 5 {
			for i := range 2000 { // more than are remembered
				_, err := c.Metadata(t.Context(), fmt.Sprintf("https://bad%d.example", i))
				requireUnavailable(t, err)
				time.Sleep(time.Microsecond)
			}
		}
		require.Equal(t, 1000, l.requests(), "the others wait until a place is free")
		require.Equal(t, 3, c.Len())
		for i := range 3 {
			_, err := c.Metadata(t.Context(), tenant(i))
			require.NoError(t, err)
		}
		require.Zero(t, l.requests())

		// Those that are still asked for keep their place: their pauses must be kept.
		time.Sleep(50 * time.Second)
		for i := range 1000 {
			_, err := c.Metadata(t.Context(), fmt.Sprintf("https://bad%d.example", i))
			requireUnavailable(t, err)
		}
		time.Sleep(50 * time.Second)
		_, err := c.Metadata(t.Context(), tenant(3))
		e := requireUnavailable(t, err)
		require.LessOrEqual(t, e.RetryAfter, 10*time.Second)
		time.Sleep(e.RetryAfter)
		_, err = c.Metadata(t.Context(), tenant(3))
		require.NoError(t, err, "a place is free when the oldest failure is over")
	})
}

// An outage of all tenants of a large installation is remembered whole.
func TestD08_AsManyFailuresAsTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{down: true}
		c := newCache(t, l, 1500)
		for range 3 {
			for i := range 1500 {
				_, err := c.Metadata(t.Context(), tenant(i))
				requireUnavailable(t, err)
			}
		}
		require.Equal(t, 1500, l.requests())
	})
}

func TestCacheLearnsWhoHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{down: true}
		c := newCache(t, l, 0)
		_, err := c.Metadata(t.Context(), tenant(1))
		requireUnavailable(t, err)
		require.Zero(t, c.Len())
		l.down = false
		time.Sleep(time.Second)
		_, err = c.Metadata(t.Context(), tenant(1))
		require.NoError(t, err)
		require.Equal(t, 1, c.Len())

		// It stays known through the next outage.
		l.down = true
		for range 100 {
			time.Sleep(24 * time.Hour)
			_, err = c.Metadata(t.Context(), tenant(1))
			require.NoError(t, err)
		}
		require.Equal(t, 1, c.Len())
	})
}

// What is forgotten while somebody waits for it is not brought back by him.
func TestInvalidateDuringARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &landlord{delay: time.Second}
		c := newCache(t, l, 0)
		done := make(chan error)
		go func() {
			_, err := c.Metadata(t.Context(), tenant(1))
			done <- err
		}()
		synctest.Wait()
		c.Invalidate(tenant(1))
		require.NoError(t, <-done)
		require.Zero(t, c.Len())
		_, err := c.Metadata(t.Context(), tenant(1))
		require.NoError(t, err)
		require.Equal(t, 2, l.requests())
		require.Equal(t, 1, c.Len())
	})
}

func TestCacheCopiesItsTemplate(t *testing.T) {
	t.Parallel()
	s := newSite(map[string]page{issuer + openID: of(issuer, nil)})
	header := http.Header{"X-Own": {"1"}}
	rewrite := map[string]string{"https://a.example": "https://b.example"}
	c, err := discovery.NewCache(discovery.CacheConfig{
		Allow: func(string) bool { return true }, InsecurePrivateAddresses: true, Template: discovery.Config{HTTPClient: s.client(), Header: header, Rewrite: rewrite},
	})
	require.NoError(t, err)
	header.Set("X-Own", "2")
	rewrite[issuer] = "https://changed.example"
	_, err = c.Metadata(t.Context(), issuer)
	require.NoError(t, err)
	require.Equal(t, "1", s.headers[0].Get("X-Own"))
}

// Documents are kept, so that ten thousand of them must not be large.
func TestCacheRefusesLargeDocuments(t *testing.T) {
	t.Parallel()
	padding := func(n int) string { return `{"issuer":"` + tenant(1) + `","x":"` + strings.Repeat("x", n) + `"}` }
	s := newSite(map[string]page{tenant(1) + openID: {body: padding(64 << 10)}})
	cfg := discovery.CacheConfig{Allow: func(string) bool { return true }, InsecurePrivateAddresses: true, Template: discovery.Config{HTTPClient: s.client()}}
	c, err := discovery.NewCache(cfg)
	require.NoError(t, err)
	_, err = c.Metadata(t.Context(), tenant(1))
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	alone, err := discovery.New(discovery.Config{Issuer: tenant(1), HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = alone.Metadata(t.Context())
	require.NoError(t, err)
	s.set(tenant(1)+openID, page{body: padding(60 << 10)})
	c, err = discovery.NewCache(cfg)
	require.NoError(t, err)
	_, err = c.Metadata(t.Context(), tenant(1))
	require.NoError(t, err)
}
