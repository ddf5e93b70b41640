package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A shared cache must not hand the cookie of one user to others, whatever a handler says of its
// answer.
func TestF17_AnswerWithACookieIsPrivate(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"nothing written": func(http.ResponseWriter) {},
		"status":          func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"early hints":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); w.WriteHeader(http.StatusOK) },
		"body":            func(w http.ResponseWriter) { _, _ = io.WriteString(w, "body{}") },
		"flushed":         func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"by a controller": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleOf(t, func(t *testing.T) {
				f := newFleet(t, mode{sealed: true}, 1)
				f.op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
				said := "public, max-age=3600"
				f.front[0] = f.apps[0].Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Cache-Control", said)
					w.Header().Set("CDN-Cache-Control", "max-age=3600")
					answer(w)
				}))
				v := f.visitor()
				v.logIn("alice")
				a := v.get(0, "/style.css")
				require.Empty(t, a.Result().Cookies())
				require.Equal(t, said, a.Result().Header.Get("Cache-Control"), "where there is no cookie in it, the handler knows")

				for _, tt := range []struct{ said, sent string }{
					{"public, max-age=3600", "private"},
					{"", "private"},
					{"s-maxage=60, x-private", "private"},
					{"max-age=60, Private", "max-age=60, Private"},
					{"no-store", "no-store"},
				} {
					time.Sleep(2 * time.Minute) // the cookie is due for another one
					said = tt.said
					a = v.get(0, "/style.css")
					require.NotEmpty(t, a.Result().Cookies())
					require.Equal(t, tt.sent, a.Result().Header.Get("Cache-Control"))
					require.Empty(t, a.Result().Header.Get("CDN-Cache-Control"))
				}

				v.logOut(0)
				thief := v.copy()
				thief.cookies["__Host-oidckit_session"] = "1"
				said = "public"
				a = thief.get(0, "/style.css")
				if len(a.Result().Cookies()) > 0 { // one that takes it away
					require.Equal(t, "private", a.Result().Header.Get("Cache-Control"))
				}
			})
		})
	}
}

// WebSockets and the like work as they do without a cookie in the answer.
func TestAnswerWithACookieCanBeTakenOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	s.provider.Advance(2 * time.Minute)
	s.handler = s.login.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}))
	require.Equal(t, http.StatusTeapot, b.get("/").StatusCode)
	_, _, err := http.NewResponseController(httptest.NewRecorder()).Hijack()
	require.ErrorIs(t, err, http.ErrNotSupported)
}
