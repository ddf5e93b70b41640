package oidctest

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// HTTPClient returns a client whose requests are served in process, without
// sockets and goroutines, so that it also works in a testing/synctest bubble. It
// reaches the provider under its issuer's scheme and host and nothing else: a
// redirect to a client's own address fails, unless the caller sets CheckRedirect.
// The end of a request's context ends the request, faults that delay included.
// Every call returns a new client, which the caller may change.
func (p *Provider) HTTPClient() *http.Client {
	return &http.Client{Transport: inProcess{p: p}}
}

type inProcess struct {
	p           *Provider
	certificate *x509.Certificate
}

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	if t.p.closed.Load() {
		return nil, errors.New("oidctest: the provider is closed")
	}
	origin := req.URL.Scheme + "://" + req.URL.Host
	if origin != t.p.origin && (!t.p.cfg.MutualTLS || origin != t.p.mtlsOrigin) {
		return nil, fmt.Errorf("oidctest: %s is not the provider's %s", origin, t.p.origin)
	}
	in, err := serverRequest(req)
	if err != nil {
		return nil, err
	}
	if req.URL.Scheme == "https" {
		in.TLS = t.p.connection(origin, t.certificate)
	}
	rec := newRecorder()
	t.p.at(origin).ServeHTTP(rec, in)
	// Whatever waits in the handler returns with the context, and without an answer.
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	return rec.response(req), nil
}

// serverRequest is req as a server reads it from the wire.
func serverRequest(req *http.Request) (*http.Request, error) {
	u, err := url.ParseRequestURI(req.URL.RequestURI())
	if err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	in.URL, in.RequestURI = u, req.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr = "192.0.2.1:1234" // TEST-NET-1, RFC 5737
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in, nil
}

// recorder is a response in memory.
type recorder struct {
	header http.Header
	status int // zero until the header is written
	sent   http.Header
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		// What a handler sets later never reaches the wire.
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	body := r.body.Bytes()
	if req.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		Status:        fmt.Sprintf("%03d %s", r.status, http.StatusText(r.status)),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        r.sent,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
