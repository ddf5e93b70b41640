package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
)

// Limits of every request.
const (
	Timeout = 10 * time.Second
	MaxBody = 1 << 20 // bytes, after decompression
)

// A Client makes requests. It is safe for concurrent use.
type Client struct {
	http         *http.Client
	header       http.Header
	insecureHTTP bool
}

// Config says how requests travel.
type Config struct {
	// HTTPClient is the caller's: its transport (proxy, certificate authorities,
	// client certificate), jar and timeout are used. Its redirect policy is not:
	// redirects are never followed. Nil means a client of our own with TLS 1.2 or
	// newer.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool
}

// A Response is an answer that was read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Error is a request without a usable answer. It answers errors.Is for
// oidckit.ErrUnavailable.
type Error struct {
	Host   string // of the URL
	Status int    // 0 if there was no answer
	Err    error  // may be nil if Status says it all
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return fmt.Sprintf("fetch: %s answered %d", e.Host, e.Status)
	case e.Status != 0:
		return fmt.Sprintf("fetch: %s answered %d: %s", e.Host, e.Status, describe(e.Err))
	}
	return fmt.Sprintf("fetch: %s: %s", e.Host, describe(e.Err))
}

// describe says what happened without repeating the other side: net/http quotes
// what it could not parse, and that may be our own request, secret and all.
func describe(err error) string {
	var own problem
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &own):
		return own.Error()
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &certificate):
		return "the certificate is not trusted"
	case errors.As(err, &dial) && dial.Op == "dial":
		return dial.Error()
	}
	return "the connection failed, or what came was no HTTP"
}

// A problem is an error whose text is ours.
type problem string

func (p problem) Error() string { return string(p) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is oidckit.ErrUnavailable.
func (e *Error) Is(target error) bool { return target == oidckit.ErrUnavailable }

// What can be wrong with an answer.
const (
	ErrTooLarge  = problem("body is too large")
	ErrMediaType = problem("unexpected media type")
	ErrRedirect  = problem("redirects are not followed")
)

// New returns a client for cfg, which it copies.
func New(cfg Config) *Client {
	hc := cfg.HTTPClient
	if hc == nil {
		hc = &http.Client{Transport: defaultTransport}
	}
	own := *hc
	own.Transport = noRedirects{hc.Transport}
	return &Client{http: &own, header: cfg.Header.Clone(), insecureHTTP: cfg.InsecureHTTP}
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

var defaultTransport = newTransport()

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: Timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   4,
		ForceAttemptHTTP2:     true,
	}
}

// CheckURL reports why target is no URL to send a request to: it must be
// absolute, https (http on loopback), without user info and fragment.
func CheckURL(target string, insecureHTTP bool) error {
	u, err := url.Parse(target)
	if err != nil {
		return problem("not a URL")
	}
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return problem("not an absolute URL")
	case u.User != nil:
		return problem("user info in the URL")
	case strings.Contains(target, "#"): // an empty fragment is one too
		return problem("fragment in the URL")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || IsLoopback(u.Hostname())):
		return nil
	}
	return problem("not https; plain http is for loopback, and for other hosts only where InsecureHTTP can be set and is")
}

// IsLoopback reports whether host, a name or an address without port, is this
// machine by its spelling.
func IsLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Get requests target and returns its body, which must come with status 200 and
// one of the media types.
func (c *Client) Get(ctx context.Context, target string, mediaTypes ...string) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, &Error{Err: problem("not a URL")}
	}
	req.Header.Set("Accept", strings.Join(mediaTypes, ", "))
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, &Error{Host: req.URL.Host, Status: resp.Status}
	}
	if !resp.Is(mediaTypes...) {
		return nil, &Error{Host: req.URL.Host, Status: resp.Status, Err: ErrMediaType}
	}
	return resp, nil
}

// Do sends req and reads the answer, whatever its status but a redirect. All
// errors are of type *Error.
func (c *Client) Do(req *http.Request) (*Response, error) {
	if err := CheckURL(req.URL.String(), c.insecureHTTP); err != nil {
		return nil, &Error{Host: req.URL.Host, Err: err}
	}
	ctx, cancel := context.WithTimeout(req.Context(), Timeout)
	defer cancel()
	req = req.WithContext(ctx)
	for name, values := range c.header {
		if _, ok := req.Header[name]; !ok {
			req.Header[name] = slices.Clone(values)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Error{Host: req.URL.Host, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, &Error{Host: req.URL.Host, Status: resp.StatusCode, Err: ErrRedirect}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, &Error{Host: req.URL.Host, Status: resp.StatusCode, Err: withoutURL(err)}
	case len(body) > MaxBody:
		return nil, &Error{Host: req.URL.Host, Status: resp.StatusCode, Err: ErrTooLarge}
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// Is reports whether the body is of one of the media types.
func (r *Response) Is(mediaTypes ...string) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && slices.Contains(mediaTypes, t)
}

// withoutURL drops the URL that net/http puts into its errors: a query can hold
// a secret.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
