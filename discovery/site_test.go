package discovery_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
)

// A site answers with its pages, and with 404 where it has none.
type site struct {
	mu      sync.Mutex
	pages   map[string]page // by URL
	asked   []string
	headers []http.Header
}

type page struct {
	status int // 0 is 200
	body   string
	header http.Header
	err    error
}

func newSite(pages map[string]page) *site { return &site{pages: pages} }

func (s *site) client() *http.Client { return &http.Client{Transport: s} }

func (s *site) set(url string, p page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[url] = p
}

// requests returns what was asked for since it was called last.
func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.String())
	s.headers = append(s.headers, r.Header)
	p, ok := s.pages[r.URL.String()]
	switch {
	case !ok:
		p.status = http.StatusNotFound
	case p.err != nil:
		return nil, p.err
	case p.status == 0:
		p.status = http.StatusOK
	}
	h := p.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return &http.Response{StatusCode: p.status, Header: h, Body: io.NopCloser(strings.NewReader(p.body)), Request: r}, nil
}

// of is a page with the metadata of an issuer.
func of(iss string, more map[string]any) page {
	members := map[string]any{"issuer": iss}
	maps.Copy(members, more)
	return page{body: document(members)}
}

// read gives the metadata that a site has for cfg.
func read(t *testing.T, s *site, cfg discovery.Config) *discovery.Metadata {
	t.Helper()
	cfg.HTTPClient = s.client()
	m, err := remote(t, cfg).Metadata(t.Context())
	require.NoError(t, err)
	return m
}
