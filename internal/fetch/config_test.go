package fetch_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/fetch"
)

func TestD12_CheckHeader(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.Header{
		"none":      nil,
		"usual":     {"X-Tenant": {"a b"}, "User-Agent": {"x/1"}, "Authorization": {"Basic x"}, "Cookie": {"a=b"}},
		"lower":     {"x-tenant": {"1"}},
		"no value":  {"User-Agent": nil, "X-Empty": {""}},
		"host":      {"Host": {"op.example"}},
		"host port": {"host": {"[2001:db8::1]:8443"}},
		"tab, utf8": {"X-Tenant": {"a\tb", "é"}},
		"odd token": {"X!#$%&'*+-.^_`|~9": {"1"}},
	} {
		require.NoError(t, fetch.Config{Header: h}.Check(), name)
	}
	bad := map[string]http.Header{
		"cr":            {"X-A": {"MARKER\r"}},
		"lf":            {"X-A": {"ok", "MARKER\nX-Evil: 1"}},
		"nul":           {"X-A": {"MARKER\x00"}},
		"del":           {"X-A": {"MARKER\x7f"}},
		"no name":       {"": {"MARKER"}},
		"space":         {"X A": {"MARKER"}},
		"colon":         {"X-A:": {"MARKER"}},
		"name with lf":  {"X-A\nX-Evil": {"MARKER"}},
		"pseudo":        {":authority": {"MARKER"}},
		"no ASCII":      {"X-é": {"MARKER"}},
		"two spellings": {"X-A": {"MARKER"}, "x-a": {"MARKER"}},
		"no host":       {"Host": {}},
		"two hosts":     {"Host": {"a", "b"}},
		"empty host":    {"Host": {""}},
		"only port":     {"Host": {":1"}},
		"host and path": {"Host": {"MARKER/path"}},
		"host and user": {"Host": {"a@MARKER"}},
		"host, space":   {"Host": {"a MARKER"}},
		"host, port":    {"Host": {"MARKER:x"}},
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
		"Content-Length", "content-length", "Content-Encoding", "Accept-Encoding", "Expect",
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
	} {
		bad[name] = http.Header{name: {"MARKER"}}
	}
	for name, h := range bad {
		cfg := fetch.Config{Header: h}
		err := cfg.Check()
		require.Error(t, err, name)
		require.True(t, strings.HasPrefix(err.Error(), "Header: "), name)
		require.NotContains(t, err.Error(), "MARKER", name)
		_, refused := fetch.New(cfg).Get(t.Context(), serve(t, func(http.ResponseWriter, *http.Request) { panic("sent") }), jsonType)
		requireError(t, refused)
		require.ErrorIs(t, refused, err, name)
	}
}

func TestD12_CheckHTTPClient(t *testing.T) {
	t.Parallel()
	for name, hc := range map[string]*http.Client{
		"nil": nil, "empty": {}, "default": http.DefaultClient, "transport": {Transport: &http.Transport{}},
		"tls 1.3": {Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}},
		"raised":  {Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10}}},
		"max 1.2": {Transport: &http.Transport{TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS12}}},
	} {
		require.NoError(t, fetch.Config{HTTPClient: hc}.Check(), name)
	}
	for name, transport := range map[string]*http.Transport{
		"typed nil": nil,
		"max 1.1":   {TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS11}},
	} {
		for _, publicOnly := range []bool{false, true} {
			cfg := fetch.Config{HTTPClient: &http.Client{Transport: transport}, PublicOnly: publicOnly}
			bad := cfg.Check()
			require.Error(t, bad, name)
			require.True(t, strings.HasPrefix(bad.Error(), "HTTPClient.Transport"), name)
			_, err := fetch.New(cfg).Get(t.Context(), "https://op.example", jsonType)
			require.ErrorIs(t, err, bad)
		}
	}
}

// An extra header reaches every request under its proper name, and Host where
// net/http looks for it.
func TestD12_ExtraHeaders(t *testing.T) {
	t.Parallel()
	target := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "inner.example", r.Host)
		require.Equal(t, []string{"Basic right"}, r.Header.Values("Authorization"))
		require.Equal(t, []string{"1"}, r.Header.Values("X-Extra"))
	})
	extra := []string{"1"}
	header := http.Header{"host": {"inner.example"}, "authorization": {"Basic wrong"}, "x-extra": extra}
	c := fetch.New(fetch.Config{Header: header})
	extra[0] = "changed later"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Basic right")
	before := req.Header.Clone()
	for range 2 {
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.Status)
		require.Equal(t, before, req.Header, "the request is the caller's")
	}
}

// A transport of the caller's may do with a request's headers what it likes.
func TestD12_ExtraHeadersAreFreshForEachRequest(t *testing.T) {
	t.Parallel()
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, []string{"1"}, r.Header.Values("X-Extra"))
		r.Header["X-Extra"][0] = "2"
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {jsonType}}, Body: http.NoBody, Request: r}, nil
	})}
	c := fetch.New(fetch.Config{HTTPClient: hc, Header: http.Header{"X-Extra": {"1"}}})
	for range 2 {
		_, err := c.Get(t.Context(), "https://op.example", jsonType)
		require.NoError(t, err)
	}
}

func TestD12_RequestWithoutHeaders(t *testing.T) {
	t.Parallel()
	target := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "1", r.Header.Get("X-Extra"))
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	req.Header = nil
	_, err = fetch.New(fetch.Config{Header: http.Header{"X-Extra": {"1"}}}).Do(req)
	require.NoError(t, err)
}
