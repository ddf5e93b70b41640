package interop

import (
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
)

// ReplicaHeader is the header of answers that says which replica gave it, from 0 on.
const ReplicaHeader = "Interop-Replica"

// Proxy is a load balancer with TLS in front of replicas of an application: every request goes to the next one. That
// is what is hard on applications that keep something in one process.
type Proxy struct {
	// URL is where browsers reach the application. Its host is localhost: to a browser that is another site
	// than the provider's 127.0.0.1.
	URL string

	replicas []*replica
	next     atomic.Uint64
}

type replica struct {
	addr string
	out  atomic.Bool // of service
}

// StartProxy starts one for replicas that listen, or will, at the addresses. It ends with the test.
func StartProxy(t testing.TB, pki *PKI, replicas ...string) *Proxy {
	t.Helper()
	p := &Proxy{}
	for _, addr := range replicas {
		p.replicas = append(p.replicas, &replica{addr: addr})
	}
	server := pki.Serve(t, p.handler(t))
	_, port := splitPort(t, server.Listener.Addr().String())
	p.URL = "https://localhost:" + port
	return p
}

// SetService takes a replica out of service, or into it again.
func (p *Proxy) SetService(i int, in bool) { p.replicas[i].out.Store(!in) }

func (p *Proxy) handler(t testing.TB) http.Handler {
	var reverse []*httputil.ReverseProxy
	for i, replica := range p.replicas {
		reverse = append(reverse, &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: replica.addr})
				r.SetXForwarded()
			},
			ModifyResponse: func(res *http.Response) error {
				res.Header.Set(ReplicaHeader, strconv.Itoa(i))
				return nil
			},
			ErrorLog: log.New(testLog{t}, "", 0),
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, ok := p.choose()
		if !ok {
			http.Error(w, "no replica is in service", http.StatusBadGateway)
			return
		}
		reverse[i].ServeHTTP(w, r)
	})
}

func (p *Proxy) choose() (i int, ok bool) {
	for range p.replicas {
		i = int(p.next.Add(1) % uint64(len(p.replicas)))
		if !p.replicas[i].out.Load() {
			return i, true
		}
	}
	return 0, false
}

func splitPort(t testing.TB, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	return host, port
}

// testLog writes to a test's log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("proxy: %s", p)
	return len(p), nil
}
