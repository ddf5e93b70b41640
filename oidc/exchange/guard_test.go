package exchange_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/exchange"
)

func from(h http.Handler, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/token", nil)
	r.RemoteAddr = address
	return serve(h, r)
}

var fine = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

func TestT19_AClientHasARate(t *testing.T) {
	t.Parallel()
	c, log := newClock(), &logBuffer{}
	g := must(exchange.NewGuard(exchange.GuardConfig{Rate: 0.5, Burst: 3, Now: c.Now, Logger: slog.New(slog.NewTextHandler(log, nil))}))
	h := g.Handler(fine)
	for range 3 {
		require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1000").Code)
	}
	w := from(h, "192.0.2.1:2000")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Contains(t, log.String(), "client=192.0.2.1")
	require.Contains(t, log.String(), failureOf(t, w).Correlation)
	require.Equal(t, http.StatusOK, from(h, "192.0.2.2:1000").Code, "another client")
	c.advance(time.Second)
	w = from(h, "192.0.2.1:1000")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	c.advance(time.Second)
	require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1000").Code)
	require.Equal(t, http.StatusTooManyRequests, from(h, "192.0.2.1:1000").Code)
	c.advance(time.Hour)
	for range 3 {
		require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1000").Code)
	}
	require.Equal(t, http.StatusTooManyRequests, from(h, "192.0.2.1:1000").Code, "no more than the burst is saved")
	c.advance(-time.Hour)
	require.Equal(t, http.StatusTooManyRequests, from(h, "192.0.2.1:1000").Code, "a clock that was set back brings nothing")

	h = must(exchange.NewGuard(exchange.GuardConfig{Burst: 3, Now: c.Now})).Handler(fine)
	for range 3 { // and takes nothing
		require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1000").Code)
		c.advance(-time.Hour)
	}

	free := must(exchange.NewGuard(exchange.GuardConfig{Burst: 1, InsecureNoRate: true})).Handler(fine)
	for range 100 {
		require.Equal(t, http.StatusOK, from(free, "192.0.2.1:1000").Code)
	}
}

func TestT19_Clients(t *testing.T) {
	t.Parallel()
	address := func(remote string) string {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = remote
		return exchange.Address(r)
	}
	require.Equal(t, "192.0.2.1", address("192.0.2.1:80"))
	require.Equal(t, "192.0.2.1", address("[::ffff:192.0.2.1]:80"))
	require.Equal(t, "2001:db8:1:2::/64", address("[2001:db8:1:2:3:4:5:6]:80"))
	require.Equal(t, "fe80::/64", address("[fe80::1%eth0]:80"))
	require.Empty(t, address("@"))

	var client string
	tell := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = exchange.ClientOf(r.Context()) })
	behind := must(exchange.NewGuard(exchange.GuardConfig{ClientHeader: "x-forwarded-for"})).Handler(tell)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header["X-Forwarded-For"] = []string{"10.0.0.1, 10.0.0.2", "192.0.2.7 "}
	serve(behind, r)
	require.Equal(t, "192.0.2.7", client, "the last one is the proxy's word")
	for last, want := range map[string]string{
		"2001:db8::1:2": "2001:db8::/64", "unix:": "unix:", strings.Repeat("x", 100): strings.Repeat("x", 64), "": "192.0.2.1",
		"192.0.2.7:4711": "192.0.2.7", "[2001:db8::1]:4711": "2001:db8::/64", "[2001:db8::1]": "2001:db8::/64", "[::ffff:192.0.2.7]:1": "192.0.2.7",
	} {
		r.Header["X-Forwarded-For"] = []string{"10.0.0.1", last}
		serve(behind, r)
		require.Equal(t, want, client)
	}
	own := must(exchange.NewGuard(exchange.GuardConfig{Client: func(*http.Request) string { return "me" }})).Handler(tell)
	serve(own, r)
	require.Equal(t, "me", client)
}

func TestT19_BodiesAndPlacesAreBounded(t *testing.T) {
	t.Parallel()
	var read int
	var bad error
	reader := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var data []byte
		data, bad = io.ReadAll(r.Body)
		read = len(data)
	})
	for size, large := range map[int]bool{0: false, 64 << 10: false, 64<<10 + 1: true} {
		serve(must(exchange.NewGuard(exchange.GuardConfig{})).Handler(reader), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", size))))
		require.Equal(t, min(size, 64<<10), read)
		var e *http.MaxBytesError
		require.Equal(t, large, errors.As(bad, &e), size)
	}

	entered, leave := make(chan struct{}), make(chan struct{})
	h := must(exchange.NewGuard(exchange.GuardConfig{Concurrent: 2})).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	done := make(chan int, 2)
	for i := range 2 {
		go func() { done <- from(h, fmt.Sprintf("192.0.2.%d:1", i)).Code }()
		<-entered
	}
	w := from(h, "192.0.2.9:1")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	close(leave)
	require.Equal(t, []int{200, 200}, []int{<-done, <-done})
	go func() { <-entered }()
	require.Equal(t, http.StatusOK, from(h, "192.0.2.9:1").Code)
}

// A stranger's token costs no request to the upstream, and no signature.
func TestT19_CheapChecksComeFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := r.upstream.Requests("jwks")
	for _, changes := range []map[string]any{{"iss": "x"}, {"aud": "x"}, {"exp": 1}} {
		_, err := r.exchange(t, changes)
		require.Error(t, err)
	}
	require.Equal(t, before, r.upstream.Requests("jwks"))
}

func TestGuard_NumbersGoThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := must(exchange.NewGuard(exchange.GuardConfig{})).Handler(r.x.TokenHandler())
	w := form(h, url.Values{"token": {"x"}})
	number := w.Header().Get("Correlation-Id")
	require.Equal(t, number, failureOf(t, w).Correlation)
	require.Equal(t, number, r.records[0].Correlation)
	require.Equal(t, "192.0.2.1", r.records[0].Client)
	require.Empty(t, exchange.CorrelationID(t.Context()))
	require.Empty(t, exchange.ClientOf(t.Context()))
}

func TestNewGuard_Refuses(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]exchange.GuardConfig{
		"Rate": {Rate: -1}, "Rate ": {Rate: math.NaN()}, "Rate must": {Rate: math.Inf(1)}, "1.0/3600": {Rate: 1e-12}, "Burst": {Burst: -1}, "Concurrent": {Concurrent: -1},
		"ClientHeader": {ClientHeader: "x", Client: exchange.Address}, "is no name": {ClientHeader: "X-Real-IP:"}, "is no name of": {ClientHeader: "X Real"},
		"Forwarded is": {ClientHeader: "forwarded"},
	} {
		_, err := exchange.NewGuard(cfg)
		require.ErrorContains(t, err, field)
	}
}

// Half a body holds no place, and one client holds no more than its share.
func TestT19_WhoSendsSlowlyKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	const places = 16
	h := must(exchange.NewGuard(exchange.GuardConfig{Concurrent: places, ClientHeader: "X-Client"})).Handler(fine)
	arrived := make(chan struct{}, 2*places)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &noticed{ReadCloser: r.Body, read: arrived}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	send := func(client, body string) net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nX-Client: "+client+"\r\nContent-Length: 4\r\n\r\n"+body)
		require.NoError(t, err)
		return c
	}
	status := func(c net.Conn) int {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	for i := range 2 * places {
		send(fmt.Sprintf("slow-%d", i/2), "ha")
		select {
		case <-arrived:
		case <-time.After(2 * time.Second):
			require.FailNow(t, "nobody waits for the body", i)
		}
	}
	require.Equal(t, http.StatusOK, status(send("another", "full")), "all others wait for their bodies, not for a place")
	require.Equal(t, http.StatusTooManyRequests, status(send("slow-0", "full")), "it has its share already")
}

type noticed struct {
	io.ReadCloser
	read chan struct{}
	once sync.Once
}

func (n *noticed) Read(p []byte) (int, error) {
	n.once.Do(func() { n.read <- struct{}{} })
	return n.ReadCloser.Read(p)
}

// A share comes back.
func TestT19_SharesAreReturned(t *testing.T) {
	t.Parallel()
	h := must(exchange.NewGuard(exchange.GuardConfig{Concurrent: 1})).Handler(fine)
	for range 3 {
		require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1").Code)
	}
}

type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A body has its time; what comes after it ends no context.
func TestT19_ABodyHasADeadline(t *testing.T) {
	t.Parallel()
	h := must(exchange.NewGuard(exchange.GuardConfig{Burst: 2})).Handler(fine)
	for name, test := range map[string]struct {
		body io.Reader
		want int
	}{"whole": {strings.NewReader("x"), 2}, "broken": {iotest.ErrReader(errors.New("x")), 1}} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", test.body))
		require.Len(t, w.set, test.want, name)
		require.WithinRange(t, w.set[0], began.Add(2*time.Second), time.Now().Add(3*time.Second), name)
		require.True(t, test.want == 1 || w.set[1].IsZero(), name)
	}
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Len(t, w.set, 1, "the server reads what nobody did before it answers")
}

func TestT19_AMissingHeaderIsToldOnce(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	h := must(exchange.NewGuard(exchange.GuardConfig{Burst: 1, ClientHeader: "X-Real-IP", Logger: slog.New(slog.NewTextHandler(log, nil))})).Handler(fine)
	require.Equal(t, http.StatusOK, from(h, "192.0.2.1:1").Code)
	require.Equal(t, http.StatusOK, from(h, "192.0.2.2:1").Code, "another connection, another client")
	require.Equal(t, 1, strings.Count(log.String(), "header=X-Real-IP"))
}
