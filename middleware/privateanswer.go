package middleware

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
)

// A privateAnswer gives the user one of our cookies, or takes it away. Whatever the handler says,
// no shared cache may keep it: "Note that the Set-Cookie response header field does not inhibit
// caching" (RFC 9111 section 7.3), and others would get the cookie.
type privateAnswer struct{ http.ResponseWriter }

// makePrivate is for the moment before the header is sent.
func makePrivate(h http.Header) {
	said := strings.Split(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",")
	if !slices.ContainsFunc(said, func(d string) bool { d = strings.TrimSpace(d); return d == "private" || d == "no-store" }) {
		h.Set("Cache-Control", "private")
	}
	h.Del("Cdn-Cache-Control") // which goes before the other one (RFC 9213 section 2.2)
}

// WriteHeader implements [http.ResponseWriter].
func (w privateAnswer) WriteHeader(status int) {
	makePrivate(w.Header())
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w privateAnswer) Write(b []byte) (int, error) {
	makePrivate(w.Header())
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w privateAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements [http.Flusher].
func (w privateAnswer) Flush() { _ = w.FlushError() }

// FlushError is for [http.ResponseController].
func (w privateAnswer) FlushError() error {
	makePrivate(w.Header())
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker], for WebSockets.
func (w privateAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
