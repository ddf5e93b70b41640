package oidctest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Endpoint names an endpoint by its path below the issuer. WebFinger alone lies
// below the host.
type Endpoint string

// The endpoints of a provider.
const (
	Discovery     Endpoint = "/.well-known/openid-configuration"
	JWKS          Endpoint = "/jwks"
	Authorization Endpoint = "/authorize"
	Token         Endpoint = "/token"
	UserInfo      Endpoint = "/userinfo"
	EndSession    Endpoint = "/end-session"

	PushedAuthorization       Endpoint = "/par"                  // RFC 9126
	Introspection             Endpoint = "/introspect"           // RFC 7662
	Revocation                Endpoint = "/revoke"               // RFC 7009
	DeviceAuthorization       Endpoint = "/device_authorization" // RFC 8628
	DeviceVerification        Endpoint = "/device"               // the verification_uri
	BackchannelAuthentication Endpoint = "/bc-authorize"         // CIBA
	Registration              Endpoint = "/register"             // RFC 7591
	ClientConfiguration       Endpoint = "/client"               // RFC 7592: the registration_client_uri, with a client_id

	WebFinger Endpoint = "/.well-known/webfinger"

	// login is where the login page posts to. It is apart from Authorization so
	// that Requests counts what relying parties send.
	login Endpoint = "/login"
)

// page tells whether people rather than programs read the endpoint.
func (e Endpoint) page() bool {
	return e == Authorization || e == EndSession || e == login || e == DeviceVerification
}

// oversize is what Fault.Oversized adds to an answer, in bytes.
const oversize = 2<<20 + 1<<10

// Fault is what is wrong with an endpoint. Delay comes before everything else,
// and alone leaves the answer as it is. Of Hang, Oversized and Empty the first
// that is set applies; Status and Body may be combined. The zero Fault is none.
type Fault struct {
	// Delay passes before the answer, on the clock of the machine (or of the
	// synctest bubble). The end of the request ends it.
	Delay time.Duration

	// Status is answered, with Body or else a short body. Zero is 200.
	Status int

	// Empty is an answer without content: {"keys":[]} as JWKS, no byte elsewhere.
	Empty bool

	// Oversized is the right answer with so much padding that it is larger than
	// 2 MiB: a reader without a limit does not notice.
	Oversized bool

	// Body is answered literally.
	Body string

	// ContentType goes with Status, Empty and Body. The default is the endpoint's:
	// application/json or text/html.
	ContentType string

	// Hang sends nothing, not even headers, until the request is cancelled.
	Hang bool
}

// SetFault makes the endpoint answer with f from now on; the zero Fault heals it.
// Requests that already wait in a Delay or Hang are not affected.
func (p *Provider) SetFault(e Endpoint, f Fault) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	if p.faults.set == nil {
		p.faults.set = map[Endpoint]Fault{}
	}
	p.faults.set[e] = f
}

// Requests returns how many requests the endpoint has received, with those that
// a fault answered and those it refused.
func (p *Provider) Requests(e Endpoint) int {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	return p.faults.requests[e]
}

type faults struct {
	mu       sync.Mutex
	set      map[Endpoint]Fault
	requests map[Endpoint]int
}

func (s *faults) count(e Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[Endpoint]int{}
	}
	s.requests[e]++
}

func (s *faults) serve(w http.ResponseWriter, r *http.Request, e Endpoint, healthy http.HandlerFunc) {
	s.mu.Lock()
	f := s.set[e]
	s.mu.Unlock()

	if !sleep(r.Context(), f.Delay) {
		return
	}
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Oversized:
		serveOversized(w, r, healthy)
	case f.Empty, f.Status != 0, f.Body != "":
		f.answer(w, e)
	default:
		healthy(w, r)
	}
}

// sleep tells whether d passed before the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f Fault) answer(w http.ResponseWriter, e Endpoint) {
	status, contentType := f.Status, f.ContentType
	if status < 200 || status > 999 { // net/http panics below 100 and above 999
		status = http.StatusOK
	}
	if contentType == "" {
		contentType = "application/json"
		if e.page() {
			contentType = "text/html; charset=utf-8"
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprint(w, f.body(e)) //nolint:gosec // what the test told it to answer
}

func (f Fault) body(e Endpoint) string {
	switch {
	case f.Body != "":
		return f.Body
	case f.Empty && e == JWKS:
		return `{"keys":[]}`
	case f.Empty:
		return ""
	case e.page():
		return "<!doctype html><title>Fault</title><p>The provider has a fault."
	}
	return `{"error":"temporarily_unavailable","error_description":"the provider has a fault"}`
}

func serveOversized(w http.ResponseWriter, r *http.Request, healthy http.HandlerFunc) {
	rec := newRecorder()
	healthy(rec, r)
	rec.WriteHeader(http.StatusOK) // for a handler that wrote nothing
	maps.Copy(w.Header(), rec.sent)
	w.WriteHeader(rec.status)
	body := rec.body.Bytes()
	if rest, ok := bytes.CutPrefix(body, []byte("{")); ok {
		// All endpoints that answer JSON answer an object with members.
		fmt.Fprintf(w, `{"padding":"%s",`, strings.Repeat("x", oversize))
		body = rest
	} else {
		fmt.Fprint(w, strings.Repeat(" ", oversize))
	}
	_, _ = w.Write(body) // the other side may have gone
}
