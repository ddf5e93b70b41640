package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits of every request; see [Config.Timeout].
const (
	Timeout = 10 * time.Second
	MaxBody = 1 << 20 // bytes, after decompression
)

// A Client makes requests. It is safe for concurrent use, and small: clients
// share their connections where their transports are the same.
type Client struct {
	http   http.Client
	cfg    Config // without HTTPClient, its Header canonical
	broken error  // what Check said
}

// New returns a client for cfg, which it copies. If [Config.Check] refuses cfg,
// so does the client every request, with the same error.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, broken: cfg.Check()}
	if c.broken != nil {
		return c
	}
	if cfg.HTTPClient != nil {
		c.http = *cfg.HTTPClient
	}
	c.cfg.Timeout = cmp.Or(cfg.Timeout, Timeout)
	c.http.Transport = noRedirects{transport(cfg)}
	c.cfg.HTTPClient, c.cfg.Header = nil, canonical(cfg.Header)
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	return c
}

// A Response is an answer that was read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// RetryAfter is what an answer with status 429 or 503 asks for, at most an
	// hour; 0 if it does not.
	RetryAfter time.Duration
}

// Is reports whether the body is of one of the media types. A body with more
// than one Content-Type is of none.
func (r *Response) Is(mediaTypes ...string) bool {
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	t, _, err := mime.ParseMediaType(values[0])
	return err == nil && slices.Contains(mediaTypes, t)
}

// Get requests target and returns its body, which must come with status 200 and
// one of the media types. All errors are of type *Error.
func (c *Client) Get(ctx context.Context, target string, mediaTypes ...string) (*Response, error) {
	return c.GetIf(ctx, target, "", mediaTypes...)
}

// GetIf is Get for who has an answer already: etag is its ETag header. If the
// answer is still the same, the Response has status 304 and no body (RFC 9110
// section 13.1.2). An etag that is empty, or none that a server should have
// sent, is not sent, and the status is never 304.
func (c *Client) GetIf(ctx context.Context, target, etag string, mediaTypes ...string) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, &Error{Err: problem("not a URL")}
	}
	req.Header.Set("Accept", strings.Join(mediaTypes, ", "))
	conditional := isETag(etag)
	if conditional {
		req.Header.Set("If-None-Match", etag)
	}
	return c.exchange(req, func(r *Response) (bool, error) {
		switch {
		case conditional && r.Status == http.StatusNotModified:
			return true, nil
		case isRedirect(r.Status):
			return false, ErrRedirect
		case r.Status != http.StatusOK:
			return false, nil
		case !r.Is(mediaTypes...):
			return false, ErrMediaType
		}
		return true, nil
	})
}

// isETag: RFC 9110 section 8.8.3, without obs-text and of a sensible length.
func isETag(etag string) bool {
	opaque, quoted := strings.CutPrefix(strings.TrimPrefix(etag, "W/"), `"`)
	opaque, closed := strings.CutSuffix(opaque, `"`)
	return quoted && closed && len(etag) <= 256 &&
		!strings.ContainsFunc(opaque, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' })
}

// Do sends req and reads the answer, whatever its status but a redirect or
// 101. All errors are of type *Error. It does not change req.
func (c *Client) Do(req *http.Request) (*Response, error) {
	return c.exchange(req, func(r *Response) (bool, error) {
		if isRedirect(r.Status) {
			return false, ErrRedirect
		}
		return r.Status != http.StatusSwitchingProtocols, nil // no context ends the reading of what follows
	})
}

func isRedirect(status int) bool { return status >= 300 && status < 400 }

// exchange sends req. accept judges the answer before its body is read, which
// is closed unread if it is not wanted; no reason means that the status is one.
func (c *Client) exchange(req *http.Request, accept func(*Response) (ok bool, reason error)) (*Response, error) {
	if err := c.check(req); err != nil {
		return nil, &Error{Host: req.URL.Host, Err: err}
	}
	ctx, cancel := context.WithTimeout(req.Context(), c.cfg.Timeout)
	defer cancel()
	resp, err := c.http.Do(c.dress(req.Clone(ctx))) //nolint:gosec // where it may go is what check decided
	if err != nil {
		return nil, &Error{Host: req.URL.Host, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	r := &Response{Status: resp.StatusCode, Header: resp.Header, RetryAfter: retryAfter(resp, c.cfg.Now())}
	ok, err := accept(r)
	if resp.TLS != nil && resp.TLS.Version < tls.VersionTLS12 {
		ok, err = false, ErrOldTLS
	}
	if ok {
		r.Body, err = read(resp)
	}
	if !ok || err != nil {
		return nil, &Error{Host: req.URL.Host, Status: r.Status, RetryAfter: r.RetryAfter, Err: err}
	}
	return r, nil
}

func (c *Client) check(req *http.Request) error {
	if c.broken != nil {
		return c.broken
	}
	return c.cfg.CheckURL(req.URL.String())
}

// dress adds the headers of the configuration to req, which is a copy.
func (c *Client) dress(req *http.Request) *http.Request {
	if req.Header == nil {
		req.Header = http.Header{}
	}
	for name, values := range c.cfg.Header {
		if name == "Host" { // net/http ignores it among the headers
			req.Host = values[0]
		} else if _, ok := req.Header[name]; !ok {
			req.Header[name] = slices.Clone(values) // a transport of the caller's may change it
		}
	}
	return req
}

// read returns the body.
func read(resp *http.Response) ([]byte, error) {
	if resp.StatusCode == http.StatusNotModified { // it has none
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, withoutURL(err)
	case len(body) > MaxBody:
		return nil, ErrTooLarge
	case len(body) > 0 && isEncoded(resp.Header):
		return nil, ErrEncoding
	}
	return body, nil
}

// isEncoded: net/http drops the header when it has undone the encoding it asked
// for.
func isEncoded(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Content-Encoding"), func(v string) bool {
		return v != "" && !strings.EqualFold(v, "identity")
	})
}
