package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
)

// apiKey is a request with these values in X-Api-Key, and in Authorization.
func apiKey(t *testing.T, keys []string, authorization ...string) *http.Request {
	t.Helper()
	r := request(t.Context())
	r.Header["X-Api-Key"], r.Header["Authorization"] = keys, authorization
	return r
}

func TestM04_TokenInAHeaderOfTheAPIsOwn(t *testing.T) {
	t.Parallel()
	own := []middleware.Source{middleware.FromHeader("x-api-key"), middleware.FromForm()}
	for _, tt := range []struct {
		name    string
		sources []middleware.Source
		keys    []string
		also    []string
		want    int
	}{
		{"bare", own, []string{"good"}, nil, 200},
		{"with the scheme", own, []string{"Bearer good"}, nil, 200},
		{"with the scheme in another case", own, []string{"bEARER good"}, nil, 200},
		{"bad", own, []string{"bad"}, nil, 401},
		{"bad with the scheme", own, []string{"Bearer bad"}, nil, 401},
		{"another scheme", own, []string{"Basic good"}, nil, 400},
		{"two spaces", own, []string{"Bearer  good"}, nil, 400},
		{"the scheme alone", own, []string{"Bearer "}, nil, 400},
		{"empty", own, []string{""}, nil, 400},
		{"too long", own, []string{strings.Repeat("a", 16<<10+1)}, nil, 400},
		{"twice", own, []string{"good", "good"}, nil, 400},
		{"beside another Authorization", own, []string{"good"}, []string{"Bearer bad"}, 400},
		{"beside the same Authorization", own, []string{"good"}, []string{"Bearer good"}, 400},
		{"beside credentials of another scheme", own, []string{"good"}, []string{"Basic eDp5"}, 400},
		{"not asked for", nil, []string{"good"}, nil, 401},
		{"of another name", []middleware.Source{middleware.FromHeader("X-Token")}, []string{"good"}, nil, 401},
		{"Authorization is looked at once", []middleware.Source{middleware.FromHeader("authorization")}, nil, []string{"Bearer good"}, 200},
		{"no name", []middleware.Source{middleware.FromHeader("")}, nil, []string{"Bearer good"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &middleware.Bearer{Verifier: onlyGood{}, Sources: tt.sources}
			w := httptest.NewRecorder()
			b.Handler(reached).ServeHTTP(w, apiKey(t, tt.keys, tt.also...))
			require.Equal(t, tt.want, w.Code)
			if tt.want == 200 && len(tt.keys) > 0 { // shared caches know Authorization alone
				require.Equal(t, "private", w.Header().Get("Cache-Control"))
			}
		})
	}
}

// What is no header of the API's own is no place, and handlers get it.
func TestM04_HeadersThatAreNoneOfTheAPIsOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{" ", "X Api", "X-Api\n", "X-Äpi", "host", "cookie", "DPOP", "authorization"} {
		b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromHeader(name)}}
		r := request(t.Context())
		for _, key := range []string{name, http.CanonicalHeaderKey(name)} {
			r.Header[key] = []string{"good"}
		}
		delete(r.Header, "Authorization")
		require.Equal(t, 401, ask(t, b.Handler(reached), r).Status, "%q", name)
		r.Header["Authorization"] = []string{"Bearer good"}
		delete(r.Header, "Dpop") // beside Bearer, a proof is refused
		seen := r.Header.Get(name)
		h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
			require.True(t, name == "authorization" || got.Header.Get(name) == seen, "%q", name)
		}))
		require.Equal(t, 200, ask(t, h, r).Status, "%q", name)
	}
}

// A header is of the request with the token in it, not of one that others might find.
func TestM04_HeaderAndTokenInQuery(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromHeader("X-Api-Key")}}
	r := apiKey(t, []string{"good"})
	r.URL.RawQuery = "access_token=good"
	require.Equal(t, 400, ask(t, b.Handler(reached), r).Status)
}

func TestM04_HandlersDoNotGetTheHeader(t *testing.T) {
	t.Parallel()
	for keep, want := range map[bool][]string{false: nil, true: {"good"}} {
		b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromHeader("X-Api-Key")}, KeepToken: keep}
		h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.Equal(t, want, r.Header["X-Api-Key"])
		}))
		r := apiKey(t, []string{"good"})
		require.Equal(t, 200, ask(t, h, r).Status)
		require.Equal(t, []string{"good"}, r.Header["X-Api-Key"]) // the caller's own
	}
}
