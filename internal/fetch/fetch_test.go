package fetch_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/fetch"
)

const jsonType = "application/json"

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func answer(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// requireError checks the contract of all errors of the package.
func requireError(t *testing.T, err error) *fetch.Error {
	t.Helper()
	var e *fetch.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	return e
}

func TestGet(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "application/json, application/jwk-set+json", r.Header.Get("Accept"))
		require.Equal(t, "1", r.Header.Get("X-Extra"))
		w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=1")
		_, _ = io.WriteString(w, "{}")
	})
	header := http.Header{"X-Extra": {"1"}}
	c := fetch.New(fetch.Config{Header: header})
	header.Set("X-Extra", "changed later")
	resp, err := c.Get(t.Context(), target, jsonType, "application/jwk-set+json")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.Status)
	require.Equal(t, "max-age=1", resp.Header.Get("Cache-Control"))
	require.Equal(t, "{}", string(resp.Body))
}

// An extra header never replaces one that the request needs.
func TestHeadersOfTheRequestWin(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, []string{"Basic right"}, r.Header.Values("Authorization"))
		require.Equal(t, []string{"a", "b"}, r.Header.Values("X-Extra"))
	})
	c := fetch.New(fetch.Config{Header: http.Header{"Authorization": {"Basic wrong"}, "X-Extra": {"a", "b"}}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Basic right")
	_, err = c.Do(req)
	require.NoError(t, err)
}

func TestD04_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308, 300, 304} {
		for _, location := range []string{elsewhere, "/same-host", "http://[::1%zz?secret=MARKER", "file:///etc/passwd", ""} {
			var requests atomic.Int32
			target := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			})
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			for _, hc := range []*http.Client{nil, {}, {Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
				requests.Store(0)
				body := strings.NewReader("client_secret=secret")
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, body)
				require.NoError(t, err)
				req.SetBasicAuth("client", "secret")
				_, err = fetch.New(fetch.Config{HTTPClient: hc}).Do(req)
				e := requireError(t, err)
				require.ErrorIs(t, err, fetch.ErrRedirect, "%d %q", status, location)
				require.Equal(t, status, e.Status)
				require.NotContains(t, err.Error(), "MARKER")
				require.EqualValues(t, 1, requests.Load())
			}
		}
	}
	require.Zero(t, reached.Load(), "the secret was sent again")
}

func TestD06_BodyLimit(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{0: true, fetch.MaxBody - 1: true, fetch.MaxBody: true, fetch.MaxBody + 1: false, 3 * fetch.MaxBody: false} {
		target := serve(t, answer(jsonType, strings.Repeat("x", size)))
		resp, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
		if ok {
			require.NoError(t, err, size)
			require.Len(t, resp.Body, size)
			continue
		}
		require.Nil(t, resp)
		requireError(t, err)
		require.ErrorIs(t, err, fetch.ErrTooLarge, size)
	}
}

func TestK11_GzipBomb(t *testing.T) {
	t.Parallel()
	zipped := func(size int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			chunk := make([]byte, 1<<16)
			for ; size > 0; size -= len(chunk) {
				if _, err := z.Write(chunk[:min(size, len(chunk))]); err != nil {
					return // the reader had enough
				}
			}
			_ = z.Close()
		}
	}
	c := fetch.New(fetch.Config{})
	resp, err := c.Get(t.Context(), serve(t, zipped(fetch.MaxBody)), jsonType)
	require.NoError(t, err)
	require.Len(t, resp.Body, fetch.MaxBody)
	for _, size := range []int{fetch.MaxBody + 1, 64 << 20} {
		_, err = c.Get(t.Context(), serve(t, zipped(size)), jsonType)
		requireError(t, err)
		require.ErrorIs(t, err, fetch.ErrTooLarge)
	}
}

func TestK11_TruncatedBody(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"MARKER":`)
	})
	resp, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
	require.Nil(t, resp)
	requireError(t, err)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotContains(t, err.Error(), "MARKER")
}

func TestK11_MediaType(t *testing.T) {
	t.Parallel()
	c := fetch.New(fetch.Config{})
	for contentType, ok := range map[string]bool{
		"application/json": true, "application/json;charset=UTF-8": true, "APPLICATION/JSON": true,
		"text/html": false, "text/plain": false, "application/jsonp": false, "application/jwt": false, "json": false,
		"application/json, text/html": false, "text/html; x=application/json": false, "application/*": false,
	} {
		_, err := c.Get(t.Context(), serve(t, answer(contentType, "{}")), jsonType)
		if ok {
			require.NoError(t, err, contentType)
			continue
		}
		requireError(t, err)
		require.ErrorIs(t, err, fetch.ErrMediaType, contentType)
	}
	for _, h := range []http.Header{nil, {}, {"Content-Type": {""}}, {"Content-Type": {";"}}} {
		require.False(t, (&fetch.Response{Header: h}).Is(jsonType, ""))
	}
}

func TestGetWantsStatus200(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 203, 204, 206, 400, 401, 403, 404, 429, 500, 503} {
		target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(status)
		})
		c := fetch.New(fetch.Config{})
		resp, err := c.Get(t.Context(), target, jsonType)
		require.Nil(t, resp)
		require.Equal(t, status, requireError(t, err).Status)

		// Do leaves the status to its caller.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		resp, err = c.Do(req)
		require.NoError(t, err)
		require.Equal(t, status, resp.Status)
	}
}

func TestD09_ErrorTextHoldsNeitherQueryNorBody(t *testing.T) {
	t.Parallel()
	c := fetch.New(fetch.Config{})
	const marker = "MARKER"
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, target := range map[string]string{
		"status":     serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, marker, http.StatusInternalServerError) }),
		"media type": serve(t, answer("text/html", marker)),
		"too large":  serve(t, answer(jsonType, strings.Repeat(marker, 1<<20))),
		"no server":  closed.URL,
		"plain http": "http://op.example",
		"no URL":     "http://[::1",
		"user info":  "https://" + marker + ":" + marker + "@op.example",
		"no host":    "https://",
		"hang up": serve(t, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}),
	} {
		_, err := c.Get(t.Context(), target+"/?code="+marker, jsonType)
		requireError(t, err)
		require.NotContains(t, err.Error(), marker, name)
		for ; err != nil; err = errors.Unwrap(err) {
			var ue *url.Error
			require.NotErrorAs(t, err, &ue, name)
		}
	}
}

func TestD02_CheckURL(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"https://op.example", "https://op.example/path?query=1", "HTTPS://op.example", "https://op.example:8443", "https://192.0.2.1/", "https://[2001:db8::1]/",
		"http://localhost", "http://localhost:1/x", "http://a.localhost", "http://127.0.0.1:8080", "http://127.1.2.3", "http://[::1]:1", "http://[::ffff:127.0.0.1]",
	} {
		require.NoError(t, fetch.CheckURL(target, false), target)
	}
	for _, target := range []string{
		"http://op.example", "http://169.254.169.254", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.evil.example", "http://evillocalhost",
		"http://[::ffff:10.0.0.1]", "http://2130706433", "http://127.0.0.1.evil.example", "http://[fe80::1%25lo]",
	} {
		require.Error(t, fetch.CheckURL(target, false), target)
		require.NoError(t, fetch.CheckURL(target, true), target)
	}
	for _, target := range []string{
		"", "/path", "op.example", "//op.example", "https:", "https:///path", "https:op.example", "https://:443", "mailto:a@b", "https://[::1", "https://op.example/\x00",
		"https://a@op.example", "https://a:b@op.example", "https://@op.example", "https://op.example/#f", "https://op.example#", "http://localhost/#f",
		"file:///etc/passwd", "javascript:alert(1)", "ftp://op.example", "ws://op.example", "data:,x", "httpss://op.example", "unix://localhost/x",
	} {
		for _, insecure := range []bool{false, true} {
			require.Error(t, fetch.CheckURL(target, insecure), target)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPlainHTTPIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	var sent int
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {jsonType}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	})}
	_, err := fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), "http://op.example", jsonType)
	require.Equal(t, "op.example", requireError(t, err).Host)
	require.Zero(t, sent)
	_, err = fetch.New(fetch.Config{HTTPClient: hc, InsecureHTTP: true}).Get(t.Context(), "http://op.example", jsonType)
	require.NoError(t, err)
	require.Equal(t, 1, sent)
}

func TestCallersClientIsUsedAndNotChanged(t *testing.T) {
	t.Parallel()
	target := serve(t, answer(jsonType, "{}"))
	u, err := url.Parse(target)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "b"}})
	var cookies int
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		cookies += len(r.Cookies())
		return http.DefaultTransport.RoundTrip(r)
	})
	hc := &http.Client{Transport: transport, Jar: jar, Timeout: time.Hour}
	_, err = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), target, jsonType)
	require.NoError(t, err)
	require.Equal(t, 1, cookies)
	require.Nil(t, hc.CheckRedirect)
	require.IsType(t, transport, hc.Transport)
	require.Equal(t, time.Hour, hc.Timeout)
}

// drip is a body that never ends and notes that it was closed.
type drip struct {
	ctx    context.Context
	closed *atomic.Bool
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d drip) Close() error { d.closed.Store(true); return nil }

func TestD06_TimeLimit(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	for name, transport := range map[string]roundTripper{
		"no answer": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"slow drip": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {jsonType}}, Body: drip{r.Context(), &closed}, Request: r}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := fetch.New(fetch.Config{HTTPClient: &http.Client{Transport: transport}})
			start := time.Now()
			_, err := c.Get(context.Background(), "https://op.example", jsonType)
			requireError(t, err)
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.Equal(t, fetch.Timeout, time.Since(start), name)

			ctx, cancel := context.WithTimeout(context.Background(), 2500*time.Millisecond)
			defer cancel()
			start = time.Now()
			_, err = c.Get(ctx, "https://op.example", jsonType)
			requireError(t, err)
			require.Equal(t, 2500*time.Millisecond, time.Since(start), name)
		})
	}
	require.True(t, closed.Load())
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fetch.New(fetch.Config{}).Get(ctx, serve(t, answer(jsonType, "{}")), jsonType)
	requireError(t, err)
	require.ErrorIs(t, err, context.Canceled)
}

// The body is closed whatever becomes of it.
func TestBodyIsClosed(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]io.Reader{
		200: strings.NewReader("{}"), 302: strings.NewReader("x"), 500: strings.NewReader("x"),
		201: strings.NewReader(strings.Repeat("x", fetch.MaxBody+2)),
	} {
		noted := &closeNoter{Reader: body}
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://evil.example"}}, Body: noted, Request: r}, nil
		})}
		_, _ = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), "https://op.example", jsonType)
		require.True(t, noted.closed, status)
	}
}

type closeNoter struct {
	io.Reader
	closed bool
}

func (c *closeNoter) Close() error { c.closed = true; return nil }

func FuzzCheckURLAcceptsOnlySafeURLs(f *testing.F) {
	seeds := []string{"https://op.example", "http://localhost", "http://op.example", "https://a@b", "https://a#", "//a", "https:\\\\a", "http://[::1]", ""}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if fetch.CheckURL(target, false) != nil {
			return
		}
		u, err := url.Parse(target)
		require.NoError(t, err)
		require.NotEmpty(t, u.Hostname())
		require.Nil(t, u.User)
		require.NotContains(t, target, "#")
		require.True(t, u.Scheme == "https" || u.Scheme == "http" && fetch.IsLoopback(u.Hostname()))
	})
}

// A peer that echoes our request where net/http cannot parse it must not bring the
// secrets of that request into an error text.
func TestD09_EchoedRequestStaysOutOfErrors(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			n, _ := conn.Read(buffer)
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n" + strings.ReplaceAll(string(buffer[:n]), "\r\n", " ") + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String(), strings.NewReader("client_secret=MARKER"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Basic MARKER")
	_, err = fetch.New(fetch.Config{}).Do(req)
	requireError(t, err)
	require.NotContains(t, err.Error(), "MARKER")
}

// What an operator must be able to tell apart is told apart.
func TestTextsOfFailures(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewTLSServer(answer(jsonType, "{}"))
	t.Cleanup(untrusted.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	t.Cleanup(cancel)
	texts := map[string]bool{}
	for _, tt := range []struct {
		ctx    context.Context
		target string
	}{
		{t.Context(), untrusted.URL}, {t.Context(), gone.URL}, {cancelled, gone.URL}, {late, gone.URL}, {t.Context(), "http://example.com"},
	} {
		_, err := fetch.New(fetch.Config{}).Get(tt.ctx, tt.target, jsonType)
		requireError(t, err)
		_, text, _ := strings.Cut(strings.TrimPrefix(err.Error(), "fetch: "), ": ")
		texts[text] = true
	}
	require.Len(t, texts, 5)
}
