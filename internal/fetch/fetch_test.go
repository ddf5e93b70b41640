package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
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

// speak serves what need not be HTTP.
func speak(t *testing.T, say func(conn net.Conn, request []byte)) string {
	t.Helper()
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
			say(conn, buffer[:n])
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
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
	zipped := new(bytes.Buffer)
	z := gzip.NewWriter(zipped)
	_, _ = io.WriteString(z, strings.Repeat(`{"MARKER":"MARKER"}`, 100))
	require.NoError(t, z.Close())
	for name, rest := range map[string]string{
		"length":  "Content-Length: 100\r\n\r\n{\"MARKER\":",
		"chunk":   "Transfer-Encoding: chunked\r\n\r\n40\r\n{\"MARKER\":",
		"chunks":  "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"trailer": "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-MARKER: 1\r\n",
		"gzip":    "Content-Encoding: gzip\r\n\r\n" + zipped.String()[:zipped.Len()-9],
	} {
		target := speak(t, func(conn net.Conn, _ []byte) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+rest)
		})
		resp, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
		require.Nil(t, resp, name)
		require.Equal(t, 200, requireError(t, err).Status, name)
		if name != "trailer" { // net/http has another word for that
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		}
		require.NotContains(t, err.Error(), "MARKER")
	}
}

// What net/http did not decompress we cannot read, and do not try to.
func TestK11_EncodedBody(t *testing.T) {
	t.Parallel()
	asItCame := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, tt := range []struct {
		hc             *http.Client
		encoding, body string
		ok             bool
	}{
		{asItCame, "gzip", "{}", false},
		{asItCame, "GZIP", "{}", false},
		{asItCame, "identity", "{}", true},
		{asItCame, "", "{}", true},
		{asItCame, "gzip", "", true}, // nothing is nothing
		{nil, "br", "{}", false},
		{nil, "gzip, gzip", "{}", false},
		{nil, "deflate", "{}", false},
	} {
		target := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", tt.encoding)
			answer(jsonType, tt.body)(w, r)
		})
		resp, err := fetch.New(fetch.Config{HTTPClient: tt.hc}).Get(t.Context(), target, jsonType)
		if tt.ok {
			require.NoError(t, err, tt.encoding)
			require.Equal(t, tt.body, string(resp.Body))
			continue
		}
		requireError(t, err)
		require.ErrorIs(t, err, fetch.ErrEncoding, tt.encoding)
	}
}

func TestK11_NotModified(t *testing.T) {
	t.Parallel()
	const etag = `W/"1-x"`
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag || r.URL.Path == "/always" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		require.Empty(t, r.Header.Values("If-None-Match"), "a tag that no server should have sent")
		answer(jsonType, "{}")(w, r)
	})
	c := fetch.New(fetch.Config{})
	resp, err := c.GetIf(t.Context(), target, etag, jsonType)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, resp.Status)
	require.Equal(t, etag, resp.Header.Get("ETag"))
	require.Empty(t, resp.Body)

	for _, odd := range []string{
		"", "x", `"x`, `x"`, `"`, `w/"x"`, `W/`, `W/W/"x"`, `"a"b"`, `"a b"`, "\"a\r\nX-Evil: 1\"", "\"a\x00\"", "\"a\x7f\"", "\"\u00e9\"", `"a", "b"`, "*",
		`"` + strings.Repeat("x", 255) + `"`,
	} {
		resp, err = c.GetIf(t.Context(), target, odd, jsonType)
		require.NoError(t, err, odd)
		require.Equal(t, "{}", string(resp.Body), odd)
		// 304 is the answer to a question that was not asked.
		_, err = c.GetIf(t.Context(), target+"/always", odd, jsonType)
		require.Equal(t, http.StatusNotModified, requireError(t, err).Status, odd)
	}
	for _, good := range []string{`""`, `"!#~"`, `"` + strings.Repeat("x", 254) + `"`} {
		resp, err = c.GetIf(t.Context(), target+"/always", good, jsonType)
		require.NoError(t, err, good)
		require.Equal(t, http.StatusNotModified, resp.Status)
	}
}

// A body with status 304 does not exist, whoever writes it.
func TestK11_NotModifiedHasNoBody(t *testing.T) {
	t.Parallel()
	body := &notedBody{Reader: zeros{}}
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNotModified, Body: body, Request: r}, nil
	})}
	resp, err := fetch.New(fetch.Config{HTTPClient: hc}).GetIf(t.Context(), "https://op.example", `"x"`, jsonType)
	require.NoError(t, err)
	require.Empty(t, resp.Body)
	require.Zero(t, body.read)
	require.True(t, body.closed)
}

func TestK11_EmptyBody(t *testing.T) {
	t.Parallel()
	resp, err := fetch.New(fetch.Config{}).Get(t.Context(), serve(t, answer(jsonType, "")), jsonType)
	require.NoError(t, err, "it is for who parses it to say")
	require.Empty(t, resp.Body)
	_, err = fetch.New(fetch.Config{}).Get(t.Context(), serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), jsonType)
	require.Equal(t, http.StatusNoContent, requireError(t, err).Status)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{503, "120", 2 * time.Minute}, {429, "1", time.Second}, {503, "0", 0}, {503, "", 0},
		{503, "3600", time.Hour}, {503, "3601", time.Hour}, {503, "99999999999999999999999", time.Hour},
		{503, "-1", 0}, {503, "+1", 0}, {503, "1.5", 0}, {503, "1h", 0}, {503, "soon", 0},
		{503, now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{503, now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{503, now.AddDate(1, 0, 0).Format(http.TimeFormat), time.Hour},
		{500, "120", 0}, {400, "120", 0}, {200, "120", 0},
	} {
		target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.value)
			w.WriteHeader(tt.status)
		})
		c := fetch.New(fetch.Config{Now: func() time.Time { return now }})
		_, err := c.Get(t.Context(), target, jsonType)
		require.Equal(t, tt.want, requireError(t, err).RetryAfter, "%d %q", tt.status, tt.value)

		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.Equal(t, tt.want, resp.RetryAfter)
	}
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
	for _, h := range []http.Header{nil, {}, {"Content-Type": {""}}, {"Content-Type": {";"}}, {"Content-Type": {jsonType, "text/html"}}, {"Content-Type": {"text/html", jsonType}}} {
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
		"encoding": serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", marker)
			answer(jsonType, marker)(w, r)
		}),
		"busy": serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", marker)
			w.WriteHeader(http.StatusServiceUnavailable)
		}),
		"reason": speak(t, func(conn net.Conn, _ []byte) { _, _ = io.WriteString(conn, "HTTP/1.1 500 "+marker+"\r\n\r\n") }),
		"chunk": speak(t, func(conn net.Conn, _ []byte) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+marker)
		}),
		"version":    speak(t, func(conn net.Conn, _ []byte) { _, _ = io.WriteString(conn, marker+" 200 OK\r\n\r\n") }),
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

func TestD02_PlainHTTPIsRefusedBeforeItIsSent(t *testing.T) {
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

func TestD12_CallersClientIsUsedAndNotChanged(t *testing.T) {
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

// The time limit holds wherever in an answer of net/http's the other side dawdles.
func TestD06_TimeLimitOnTheWire(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct{ at, drip string }{
		"silence":           {},
		"headers":           {at: head, drip: "X-Drip: 1\r\n"},
		"interim responses": {drip: "HTTP/1.1 103 Early Hints\r\n\r\n"},
		"body":              {at: head + "Content-Length: 1000\r\n\r\n", drip: " "},
		"chunks":            {at: head + "Transfer-Encoding: chunked\r\n\r\n", drip: "1\r\n \r\n"},
		"trailer":           {at: head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", drip: "X: 1\r\n"},
		"no end":            {at: head + "\r\n{}", drip: ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			hc := &http.Client{Transport: pipe(func(conn net.Conn) {
				_, err := io.WriteString(conn, tt.at)
				for err == nil {
					time.Sleep(3 * time.Second)
					_, err = io.WriteString(conn, tt.drip)
				}
			})}
			start := time.Now()
			resp, err := fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), "http://localhost", jsonType)
			require.Nil(t, resp, name)
			requireError(t, err)
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.Equal(t, fetch.Timeout, time.Since(start), name)
			time.Sleep(3 * time.Second) // the other side notices that we left
		})
	}
}

// After 101 net/http hands the connection over, and forgets the context.
func TestD06_SwitchedProtocol(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hc := &http.Client{Transport: pipe(func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn) // until the client closes
		})}
		start := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost", nil)
		require.NoError(t, err)
		_, err = fetch.New(fetch.Config{HTTPClient: hc}).Do(req)
		require.Equal(t, http.StatusSwitchingProtocols, requireError(t, err).Status)
		require.LessOrEqual(t, time.Since(start), fetch.Timeout)
	})
}

// pipe returns a transport whose connections all end in serve, after a request
// was read.
func pipe(serve func(net.Conn)) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			time.Sleep(time.Millisecond)
			serve(far)
		}()
		return near, nil
	}}
}

func TestD06_HeaderLimit(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{32 << 10: true, 65 << 10: false, 4 << 20: false} {
		target := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("MARKER", size/6))
			answer(jsonType, "{}")(w, r)
		})
		_, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
		if ok {
			require.NoError(t, err)
			continue
		}
		requireError(t, err)
		require.NotContains(t, err.Error(), "MARKER")
	}
}

func TestD06_EndlessTrailer(t *testing.T) {
	t.Parallel()
	target := speak(t, func(conn net.Conn, _ []byte) {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
		for err == nil {
			_, err = io.WriteString(conn, "X-MARKER: 1\r\n")
		}
	})
	_, err := fetch.New(fetch.Config{}).Get(t.Context(), target, jsonType)
	requireError(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "it is cut off long before")
	require.NotContains(t, err.Error(), "MARKER")
}

func TestD10_CancelledContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fetch.New(fetch.Config{}).Get(ctx, serve(t, answer(jsonType, "{}")), jsonType)
	requireError(t, err)
	require.ErrorIs(t, err, context.Canceled)
}

// The body is closed whatever becomes of it, and one that is not wanted is not
// read.
func TestD06_BodyIsClosed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   io.Reader
		read   bool
	}{
		"good":       {200, http.Header{"Content-Type": {jsonType}}, strings.NewReader("{}"), true},
		"too large":  {200, http.Header{"Content-Type": {jsonType}}, zeros{}, true},
		"media type": {200, http.Header{"Content-Type": {"text/html"}}, zeros{}, false},
		"redirect":   {302, http.Header{"Location": {"https://evil.example"}}, zeros{}, false},
		"status":     {500, nil, zeros{}, false},
		"protocol":   {101, nil, zeros{}, false},
	} {
		body := &notedBody{Reader: tt.body}
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tt.status, Header: tt.header, Body: body, Request: r}, nil
		})}
		_, _ = fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), "https://op.example", jsonType)
		require.True(t, body.closed, name)
		require.Equal(t, tt.read, body.read > 0, name)
		require.LessOrEqual(t, body.read, fetch.MaxBody+1, name)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type notedBody struct {
	io.Reader
	read   int
	closed bool
}

func (b *notedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *notedBody) Close() error { b.closed = true; return nil }

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
	target := speak(t, func(conn net.Conn, request []byte) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+strings.ReplaceAll(string(request), "\r\n", " ")+"\r\n\r\n")
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader("client_secret=MARKER"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Basic MARKER")
	_, err = fetch.New(fetch.Config{}).Do(req)
	requireError(t, err)
	require.NotContains(t, err.Error(), "MARKER")
}

// Nor do the errors of connections, where the text may be the other side's.
func TestD09_ErrorsOfConnections(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"proxyconnect", "socks connect", "read", "write", ""} {
		hc := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: op, Err: errors.New("MARKER")}
		})}
		_, err := fetch.New(fetch.Config{HTTPClient: hc}).Get(t.Context(), "https://op.example", jsonType)
		requireError(t, err)
		require.NotContains(t, err.Error(), "MARKER", op)
	}
}

// What an operator must be able to tell apart is told apart.
func TestTextsOfFailures(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	t.Cleanup(cancel)
	private := httptest.NewUnstartedServer(nil)
	private.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	private.Config.ErrorLog = log.New(io.Discard, "", 0)
	private.StartTLS()
	t.Cleanup(private.Close)
	goneURL, err := url.Parse(gone.URL)
	require.NoError(t, err)
	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(goneURL)}}
	reset := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	})}
	texts := map[string]bool{}
	for _, tt := range []struct {
		ctx    context.Context
		hc     *http.Client
		target string
	}{
		{t.Context(), nil, untrusted.URL},
		{t.Context(), nil, gone.URL},
		{cancelled, nil, gone.URL},
		{late, nil, gone.URL},
		{t.Context(), nil, "http://example.com"},
		{t.Context(), private.Client(), private.URL},
		{t.Context(), proxied, "https://op.example"},
		{t.Context(), reset, "https://op.example"},
		{t.Context(), nil, speak(t, func(net.Conn, []byte) {})},
	} {
		_, err := fetch.New(fetch.Config{HTTPClient: tt.hc}).Get(tt.ctx, tt.target, jsonType)
		requireError(t, err)
		_, text, _ := strings.Cut(strings.TrimPrefix(err.Error(), "fetch: "), ": ")
		texts[text] = true
	}
	require.Len(t, texts, 9)
}

// The limits are promises of the documentation.
func TestD06_LimitsAreThePromisedOnes(t *testing.T) {
	t.Parallel()
	require.Equal(t, 10*time.Second, fetch.Timeout)
	require.Equal(t, 1<<20, fetch.MaxBody)
}

// net/url finds no host in some addresses that others read as one.
func TestG03_AddressesWithoutHost(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"https:evil.example", "https:/evil.example", "https:///evil.example", "https://", "https://:443", "//evil.example", "https:\\\\evil.example"} {
		require.Error(t, fetch.CheckURL(target, true), target)
	}
}
