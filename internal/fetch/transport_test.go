package fetch_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/fetch"
)

// serveTLS speaks the versions of TLS that it is told to, and returns whom to
// trust.
func serveTLS(t *testing.T, lowest, highest uint16, h http.HandlerFunc) (target string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{MinVersion: lowest, MaxVersion: highest, ClientAuth: tls.RequestClientCert}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, roots
}

func TestD11_OldTLSIsRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	target, roots := serveTLS(t, tls.VersionTLS10, tls.VersionTLS11, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		answer(jsonType, "{}")(w, r)
	})
	callers := &tls.Config{MinVersion: tls.VersionTLS10, RootCAs: roots}
	transport := &http.Transport{TLSClientConfig: callers}
	hc := &http.Client{Transport: transport}

	resp, err := hc.Get(target)
	require.NoError(t, err, "the caller's own way works, so it is we who refuse")
	require.NoError(t, resp.Body.Close())
	require.EqualValues(t, 1, reached.Load())

	_, err = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), target, jsonType)
	requireError(t, err)
	require.EqualValues(t, 1, reached.Load(), "the request was sent")
	require.EqualValues(t, tls.VersionTLS10, callers.MinVersion)
	require.Same(t, callers, transport.TLSClientConfig)
	require.Same(t, transport, hc.Transport)

	// Into other RoundTrippers nobody can look; their answers are refused.
	hc = &http.Client{Transport: roundTripper(transport.RoundTrip)}
	_, err = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), target, jsonType)
	requireError(t, err)
	require.ErrorIs(t, err, fetch.ErrOldTLS)

	_, err = fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
	requireError(t, err)
}

// The caller's authorities, client certificate and HTTP/2 count, whether its
// transport is used itself or as a copy, and whether it was used before.
func TestD11_CallersTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		target, roots := serveTLS(t, version, version, func(w http.ResponseWriter, r *http.Request) {
			require.Len(t, r.TLS.PeerCertificates, 1)
			require.Equal(t, 2, r.ProtoMajor)
			answer(jsonType, "{}")(w, r)
		})
		_, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
		var untrusted *tls.CertificateVerificationError
		require.ErrorAs(t, err, &untrusted, "the default trusts it not")
		certificate := selfSigned(t)
		for _, lowest := range []uint16{0, tls.VersionTLS10, tls.VersionTLS12} {
			for _, used := range []bool{false, true} {
				transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
					MinVersion: lowest, RootCAs: roots, Certificates: []tls.Certificate{certificate},
				}}
				hc := &http.Client{Transport: transport}
				if used {
					resp, err := hc.Get(target)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
				}
				_, err = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), target, jsonType)
				require.NoError(t, err, "%x %x %v", version, lowest, used)
			}
		}
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return s.TLS.Certificates[0]
}

// A thousand issuers with one client of the caller's share its connections, also
// where the transport must be copied: there is one copy.
func TestD12_ClientsShareConnections(t *testing.T) {
	t.Parallel()
	for _, lowest := range []uint16{0, tls.VersionTLS10} {
		var connections atomic.Int32
		s := httptest.NewUnstartedServer(answer(jsonType, "{}"))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		hc := s.Client()
		hc.Transport.(*http.Transport).TLSClientConfig.MinVersion = lowest
		for range 20 {
			_, err := fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), s.URL, jsonType)
			require.NoError(t, err)
		}
		require.EqualValues(t, 1, connections.Load(), lowest)
	}
}

// What a copy must have of its own, and what it must leave.
func TestD12_CopiesOfTransports(t *testing.T) {
	t.Parallel()
	plain := &http.Transport{}
	require.Same(t, plain, fetch.Guard(plain, false))
	g := fetch.Guard(plain, true)
	require.NotSame(t, plain, g)
	require.Same(t, g, fetch.Guard(plain, true))
	require.NotNil(t, g.DialContext)
	require.Nil(t, plain.DialContext)
	require.True(t, g.ForceAttemptHTTP2, "the original speaks HTTP/2")
	require.Nil(t, g.TLSNextProto, "the HTTP/2 of the original has the original's connections")
	require.Equal(t, 90*time.Second, g.IdleConnTimeout, "nobody else ends them")

	http1 := &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, IdleConnTimeout: time.Hour}
	g = fetch.Guard(http1, true)
	require.False(t, g.ForceAttemptHTTP2)
	require.Empty(t, g.TLSNextProto)
	require.NotNil(t, g.TLSNextProto, "nil would mean HTTP/2")
	require.Equal(t, time.Hour, g.IdleConnTimeout)
}

func TestD12_CopiesEndWithTheOriginal(t *testing.T) {
	t.Parallel()
	original := &http.Transport{}
	g := fetch.Guard(original, true)
	require.Equal(t, 1, fetch.Guarded(g))
	runtime.KeepAlive(original)
	require.Eventually(t, func() bool { runtime.GC(); return fetch.Guarded(g) == 0 }, 10*time.Second, time.Millisecond)
}

// A transport may be used for the first time, which completes it, while clients
// are made of it. The race detector decides.
func TestD12_NewBesideFirstUse(t *testing.T) {
	t.Parallel()
	target := serve(t, answer(jsonType, "{}"))
	for range 20 {
		hc := &http.Client{Transport: &http.Transport{}}
		var wg sync.WaitGroup
		wg.Go(func() {
			resp, err := hc.Get(target)
			if err == nil {
				_ = resp.Body.Close()
			}
		})
		for _, publicOnly := range []bool{false, true} {
			wg.Go(func() { _ = fetch.New(fetch.Config{HTTPClient: hc, PublicOnly: publicOnly}) })
		}
		wg.Wait()
	}
}

// A client costs little more than a hundred bytes, whatever it must refuse.
func TestD12_ClientsAreSmall(t *testing.T) {
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10}}}
	const n = 1000
	for _, cfg := range []fetch.Config{{}, {HTTPClient: hc}, {PublicOnly: true}, {PublicOnly: true, HTTPClient: hc}} {
		clients := make([]*fetch.Client, 0, n)
		before := heap()
		for range n {
			clients = append(clients, fetch.New(cfg))
		}
		require.Less(t, (heap()-before)/n, int64(200))
		runtime.KeepAlive(clients)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A proxy that the caller chose is used, and sees nothing of what is meant for
// the provider.
func TestD05_ProxySeesNoCredentials(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[http.Request]
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		http.Error(w, "MARKER", http.StatusForbidden)
	})
	proxyURL, err := url.Parse(proxy)
	require.NoError(t, err)
	hc := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxyURL)}}
	c := fetch.New(fetch.Config{HTTPClient: hc, Header: http.Header{"X-Api-Key": {"secret"}}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://op.example/token", strings.NewReader("client_secret=secret"))
	require.NoError(t, err)
	req.SetBasicAuth("client", "secret")
	_, err = c.Do(req)
	requireError(t, err)
	require.NotContains(t, err.Error(), "MARKER")
	require.Equal(t, http.MethodConnect, asked.Load().Method)
	require.Equal(t, "op.example:443", asked.Load().Host)
	require.NotContains(t, asked.Load().Header, "Authorization")
	require.NotContains(t, asked.Load().Header, "X-Api-Key")
}

// A jwks_uri that redirects from https to http leads nowhere.
func TestK12_RedirectFromHTTPSToHTTP(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		answer(jsonType, "{}")(w, r)
	})
	s := httptest.NewTLSServer(http.RedirectHandler(plain, http.StatusFound))
	t.Cleanup(s.Close)
	_, err := fetch.New(fetch.Config{HTTPClient: s.Client(), Header: http.Header{"X-Api-Key": {"secret"}}}).Get(t.Context(), s.URL, jsonType)
	require.Equal(t, http.StatusFound, requireError(t, err).Status)
	require.ErrorIs(t, err, fetch.ErrRedirect)
	require.NotContains(t, err.Error(), plain)
	require.Zero(t, reached.Load())
}

// Whatever the program did to the global client, ours is another. Not parallel:
// it does something to it.
func TestD12_GlobalStateIsNotUsed(t *testing.T) {
	target := serve(t, answer(jsonType, "{}"))
	client, transport := http.DefaultClient, http.DefaultTransport
	t.Cleanup(func() { http.DefaultClient, http.DefaultTransport = client, transport })
	trap := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("used") })
	http.DefaultClient, http.DefaultTransport = &http.Client{Transport: trap}, trap
	for _, cfg := range []fetch.Config{{}, {HTTPClient: &http.Client{Transport: &http.Transport{}}}} {
		_, err := fetch.New(cfg).Get(t.Context(), target, jsonType)
		require.NoError(t, err)
	}
	require.IsType(t, trap, http.DefaultClient.Transport)
	require.Nil(t, http.DefaultClient.CheckRedirect)
	_, err := fetch.New(fetch.Config{HTTPClient: &http.Client{}}).Get(t.Context(), target, jsonType)
	require.Error(t, err, "a client without transport means the default one, as in net/http")
	_, err = fetch.New(fetch.Config{HTTPClient: &http.Client{}, PublicOnly: true}).Get(t.Context(), target, jsonType)
	require.ErrorIs(t, err, fetch.ErrNotPublic)
}

// The environment's proxy is used by our own transport, but not where we must see
// what is dialled. net/http reads the environment once, so it takes a process.
func TestD12_ProxyOfTheEnvironment(t *testing.T) {
	const asChild = "FETCH_TEST_TARGET"
	if target := os.Getenv(asChild); target != "" {
		resp, err := fetch.New(fetch.Config{InsecureHTTP: true}).Get(t.Context(), target, jsonType)
		require.NoError(t, err)
		require.Equal(t, `"proxy"`, string(resp.Body))
		net.DefaultResolver = resolver(loopback) // a name, so that nothing is refused before the proxy is chosen
		_, err = fetch.New(fetch.Config{InsecureHTTP: true, PublicOnly: true}).Get(t.Context(), target, jsonType)
		require.ErrorIs(t, err, fetch.ErrNotPublic)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "dial", op.Op, "it was the proxy that was dialled")
		return
	}
	var asked atomic.Int32
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		require.Equal(t, "http://op.example/", r.RequestURI)
		answer(jsonType, `"proxy"`)(w, r)
	})
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), asChild+"=http://op.example/", "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=", "REQUEST_METHOD=")
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.EqualValues(t, 1, asked.Load())
}
