package fetch

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"
	"weak"
)

const idleTimeout = 90 * time.Second

// All clients without a transport of their own share one of these, and its
// connections.
var (
	defaultTransport = newTransport(http.ProxyFromEnvironment, &net.Dialer{Timeout: dialTimeout})
	// A proxy would resolve and dial in our place.
	publicTransport = newTransport(nil, publicDialer)
	publicDialer    = &net.Dialer{Timeout: dialTimeout, ControlContext: refuseSpecial}
)

const dialTimeout = 5 * time.Second

func newTransport(proxy func(*http.Request) (*url.URL, error), dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    4,
		ForceAttemptHTTP2:      true,
	}
}

// Transport returns what carries requests that are not a [Client]'s: http.DefaultTransport,
// or a copy of it that presents a certificate.
func Transport(certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) http.RoundTripper {
	if certificate == nil {
		return http.DefaultTransport
	}
	return transport(Config{HTTPClient: &http.Client{}, ClientCertificate: certificate})
}

// transport returns what carries the requests of cfg, which was checked.
func transport(cfg Config) http.RoundTripper {
	next := sharedTransport(cfg)
	if cfg.ClientCertificate == nil {
		return next
	}
	if next == nil {
		next = http.DefaultTransport
	}
	t, ok := next.(*http.Transport)
	if !ok { // somebody has replaced http.DefaultTransport
		t = defaultTransport
	}
	return Presenting(t, cfg.ClientCertificate)
}

// Presenting returns a copy of t that presents a certificate, over connections of its own:
// those that have presented one serve no other request.
func Presenting(t *http.Transport, certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *http.Transport {
	own := t.Clone()
	adapt(own, t.TLSNextProto["h2"] != nil)
	if own.TLSClientConfig == nil {
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	own.TLSClientConfig.Certificates = nil // GetClientCertificate goes first, but one way is clearer
	own.TLSClientConfig.GetClientCertificate = certificate
	return own
}

func sharedTransport(cfg Config) http.RoundTripper {
	own := defaultTransport
	if cfg.PublicOnly {
		own = publicTransport
	}
	if cfg.HTTPClient == nil {
		return own
	}
	switch t := cfg.HTTPClient.Transport.(type) {
	case *http.Transport:
		return guard(t, cfg.PublicOnly)
	case nil:
		if cfg.PublicOnly { // http.DefaultTransport has a dialer and a proxy
			return own
		}
	}
	return cfg.HTTPClient.Transport
}

// guarded holds the copies of callers' transports. A caller with a thousand
// issuers has one transport, so there is one copy and one pool of connections.
// It ends with the original.
var guarded sync.Map // of variant to *http.Transport

type variant struct {
	of         weak.Pointer[http.Transport]
	publicOnly bool
}

// guard returns t if nothing in it must change, and else a copy that keeps our
// rules.
func guard(t *http.Transport, publicOnly bool) *http.Transport {
	key := variant{weak.Make(t), publicOnly}
	if g, ok := guarded.Load(key); ok {
		return g.(*http.Transport) //nolint:errcheck // nothing else is stored
	}
	g := t.Clone() // to look at t itself would race with its first use
	old := g.TLSClientConfig != nil && g.TLSClientConfig.MinVersion != 0 && g.TLSClientConfig.MinVersion < tls.VersionTLS12
	if !old && !publicOnly {
		return t
	}
	adapt(g, t.TLSNextProto["h2"] != nil)
	if old {
		g.TLSClientConfig.MinVersion = tls.VersionTLS12
	}
	if publicOnly {
		g.DialContext = publicDialer.DialContext
	}
	known, loaded := guarded.LoadOrStore(key, g)
	if !loaded {
		runtime.AddCleanup(t, func(key variant) { guarded.Delete(key) }, key)
	}
	return known.(*http.Transport) //nolint:errcheck // as above
}

// adapt makes a clone work by itself.
func adapt(g *http.Transport, http2 bool) {
	if http2 {
		// Clone loses what makes net/http speak HTTP/2 by itself, but still offers it
		// to servers; and an HTTP/2 that was configured from outside keeps its
		// connections with those of the original.
		g.TLSNextProto, g.ForceAttemptHTTP2 = nil, true
	}
	if g.IdleConnTimeout == 0 { // the caller cannot close connections of the copy
		g.IdleConnTimeout = idleTimeout
	}
}

// noRedirects hides where an answer redirects to. Following it would carry codes,
// secrets and tokens to a host that nobody configured (RFC 9700 section 4.12).
// CheckRedirect would come too late: net/http quotes a Location that is no URL in
// its error, and with it whatever the other side wrote there.
type noRedirects struct{ next http.RoundTripper }

func (t noRedirects) RoundTrip(req *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(req)
	if resp != nil {
		resp.Header.Del("Location")
	}
	return resp, err
}
