package fetch

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says how requests travel. The zero value is good: our own transport,
// with the proxy of the environment.
type Config struct {
	// HTTPClient is the caller's: its transport (proxy, certificate authorities,
	// client certificate), jar and timeout are used. Its redirect policy is not:
	// redirects are never followed. A *http.Transport that allows TLS older than
	// 1.2 is used as a copy that does not; any other RoundTripper's answers over
	// older TLS are refused. It is complete when it is given here: do not change it
	// later. Whether it verifies certificates (InsecureSkipVerify) and how large
	// headers may be is up to the caller. Nil means a client of our own.
	HTTPClient *http.Client
	// Header is added to every request, to whatever host it goes; a header that the
	// request has already stays as it is. Host replaces the one of the URL, but
	// for TLS. Names that belong to the connection, to the encoding of the body or
	// to conditional requests are refused by Check.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool
	// PublicOnly refuses to connect to addresses that are not on the public
	// Internet: loopback, private, link-local with the metadata services of clouds,
	// shared (CGNAT), those that embed an IPv4 address (NAT64, 6to4, Teredo), and
	// everything else that IANA keeps for special purposes. It looks at the address
	// that is dialled, after DNS, so a name that changes its address gains nothing.
	// Plain http to loopback and the proxy of the environment go with it. It cannot
	// know which public addresses are those of the caller's own network. HTTPClient
	// must leave dialling to us: see Check.
	PublicOnly bool
	// ClientCertificate is asked for a certificate in every handshake of TLS with a server
	// that wants one (RFC 8705), as tls.Config.GetClientCertificate. Its connections are
	// shared with no other client. HTTPClient must leave TLS to us: see Check.
	ClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// Timeout is how long a request may take, its answer included: 0 means the constant of
	// that name, a minute is the most.
	Timeout time.Duration
	// Now tells the time, for Retry-After; nil means time.Now.
	Now func() time.Time
}

// Check reports what is wrong with cfg. The text starts with the name of the
// field, and holds no header's value. Constructors return it; a [Client] of such
// a Config answers every request with it.
func (cfg Config) Check() error {
	if err := checkHeader(cfg.Header); err != nil {
		return err
	}
	if cfg.Timeout < 0 || cfg.Timeout > time.Minute {
		return problem("Timeout must be between 0, which is 10 s, and a minute")
	}
	if cfg.HTTPClient == nil {
		return nil
	}
	t, ok := cfg.HTTPClient.Transport.(*http.Transport)
	switch {
	case ok && t == nil:
		return problem("HTTPClient.Transport is a nil *http.Transport: leave it out, or make one")
	case ok:
		return checkTransport(t.Clone(), cfg)
	case cfg.ClientCertificate != nil && cfg.HTTPClient.Transport != nil:
		return problem("HTTPClient.Transport cannot be given a client certificate: give it a *http.Transport, or have it present the certificate by itself and name none")
	case cfg.PublicOnly && cfg.HTTPClient.Transport != nil:
		return problem("HTTPClient.Transport: PublicOnly cannot see which addresses it dials: give it a *http.Transport")
	}
	return nil
}

// checkTransport looks at a clone: to look at the original races with its first
// use, when net/http completes it.
func checkTransport(t *http.Transport, cfg Config) error {
	switch {
	case cfg.ClientCertificate != nil && dialsTLS(t):
		return problem("HTTPClient.Transport: a client certificate cannot be presented where TLS is dialled by a function of its own: leave DialTLSContext and DialTLS nil")
	case t.TLSClientConfig != nil && t.TLSClientConfig.MaxVersion != 0 && t.TLSClientConfig.MaxVersion < tls.VersionTLS12:
		return problem("HTTPClient.Transport.TLSClientConfig.MaxVersion: TLS 1.2 is the oldest that is spoken: leave it 0")
	case !cfg.PublicOnly:
		return nil
	case t.Proxy != nil: // it is the proxy that resolves and dials
		return problem("HTTPClient.Transport.Proxy: PublicOnly cannot see which addresses a proxy dials: leave Proxy nil, and let the proxy refuse")
	case dialsItself(t):
		return problem("HTTPClient.Transport: PublicOnly cannot see which addresses a dialer of its own connects to: leave DialContext, DialTLSContext, Dial and DialTLS nil")
	}
	return nil
}

func dialsItself(t *http.Transport) bool {
	//lint:ignore SA1019 old programs still set them, and net/http obeys
	return t.DialContext != nil || t.Dial != nil || dialsTLS(t)
}

func dialsTLS(t *http.Transport) bool {
	//lint:ignore SA1019 as above
	return t.DialTLSContext != nil || t.DialTLS != nil
}

// reserved are the headers that would change how a request or its answer is
// read: those of the connection (RFC 9110 section 7.6.1), of the body, and of
// answers that are not whole (304, 206).
var reserved = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Content-Length", "Content-Encoding", "Accept-Encoding", "Expect",
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
}

func checkHeader(h http.Header) error {
	seen := make(map[string]bool, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case name == "" || strings.ContainsFunc(name, notToken):
			return problem(fmt.Sprintf("Header: %q is no name of a header", name))
		case slices.Contains(reserved, canonical):
			return problem(fmt.Sprintf("Header: %q is not for callers to set: remove it", name))
		case seen[canonical]:
			return problem(fmt.Sprintf("Header: %q is there in two spellings: use Header.Set or Header.Add", name))
		case slices.ContainsFunc(h[name], hasControl):
			return problem(fmt.Sprintf("Header: control character in a value of %q", name))
		case canonical == "Host" && !isHost(h[name]):
			return problem(`Header: "Host" must be one host, with a port or without`)
		}
		seen[canonical] = true
	}
	return nil
}

// notToken: RFC 9110 section 5.6.2.
func notToken(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func hasControl(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func isHost(values []string) bool {
	if len(values) != 1 {
		return false
	}
	u, err := url.Parse("//" + values[0])
	return err == nil && u.Host == values[0] && u.Hostname() != ""
}

// canonical returns a copy of h, in which a header is found however its name was
// spelled.
func canonical(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	c := make(http.Header, len(h))
	for name, values := range h {
		c[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return c
}
