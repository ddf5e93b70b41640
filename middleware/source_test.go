package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

// placed is a request with tokens in the places that it names.
func placed(t *testing.T, method string, tokens map[string][]string) *http.Request {
	t.Helper()
	query, form := url.Values{}, url.Values{"field": {"value"}}
	query["access_token"], form["access_token"] = tokens["query"], tokens["form"]
	r := httptest.NewRequestWithContext(t.Context(), method, "https://api.example.com/?"+query.Encode(), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, value := range tokens["cookie"] {
		r.AddCookie(&http.Cookie{Name: "token", Value: value})
	}
	for _, value := range tokens["header"] {
		r.Header.Add("Authorization", "Bearer "+value)
	}
	return r
}

func TestM04_SourcesOnlyIfAskedForAndOneAtATime(t *testing.T) {
	t.Parallel()
	form, cookie, query := middleware.FromForm(), middleware.FromCookie("token"), middleware.InsecureFromQuery()
	all := []middleware.Source{form, cookie, query}
	type in = map[string][]string
	for _, tt := range []struct {
		name    string
		method  string
		sources []middleware.Source
		tokens  in
		want    int
	}{
		{"form", "POST", []middleware.Source{form}, in{"form": {"good"}}, 200},
		{"form by PUT", "PUT", []middleware.Source{form}, in{"form": {"good"}}, 200},
		{"form by GET", "GET", []middleware.Source{form}, in{"form": {"good"}}, 401},
		{"form, bad", "POST", []middleware.Source{form}, in{"form": {"bad"}}, 401},
		{"form, empty", "POST", []middleware.Source{form}, in{"form": {""}}, 400},
		{"form, of other characters", "POST", []middleware.Source{form}, in{"form": {"go od"}}, 400},
		{"form, too long", "POST", []middleware.Source{form}, in{"form": {strings.Repeat("a", 16<<10+1)}}, 400},
		{"form twice", "POST", []middleware.Source{form}, in{"form": {"good", "good"}}, 400},
		{"form not asked for", "POST", []middleware.Source{cookie, query}, in{"form": {"good"}}, 401},
		{"cookie", "GET", []middleware.Source{cookie}, in{"cookie": {"good"}}, 200},
		{"cookie twice", "GET", []middleware.Source{cookie}, in{"cookie": {"good", "good"}}, 400},
		{"cookie not asked for", "GET", []middleware.Source{form, query}, in{"cookie": {"good"}}, 401},
		{"cookie of another name", "GET", []middleware.Source{middleware.FromCookie("other")}, in{"cookie": {"good"}}, 401},
		{"query", "GET", []middleware.Source{query}, in{"query": {"good"}}, 200},
		{"query twice", "GET", []middleware.Source{query}, in{"query": {"good", "good"}}, 400},
		{"query not asked for", "GET", []middleware.Source{form, cookie}, in{"query": {"good"}}, 401},
		{"header", "POST", all, in{"header": {"good"}}, 200},
		{"none", "POST", all, in{}, 401},
		{"the zero Source", "POST", []middleware.Source{{}}, in{"form": {"good"}}, 401},
		{"header and form", "POST", all, in{"header": {"good"}, "form": {"good"}}, 400},
		{"header and cookie", "POST", all, in{"header": {"good"}, "cookie": {"good"}}, 400},
		{"header and query", "POST", all, in{"header": {"good"}, "query": {"good"}}, 400},
		{"form and cookie", "POST", all, in{"form": {"good"}, "cookie": {"good"}}, 400},
		{"form and query", "POST", all, in{"form": {"good"}, "query": {"bad"}}, 400},
		{"cookie and query", "POST", all, in{"cookie": {"good"}, "query": {"good"}}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &middleware.Bearer{Verifier: onlyGood{}, Sources: tt.sources}
			w := httptest.NewRecorder()
			b.Handler(reached).ServeHTTP(w, placed(t, tt.method, tt.tokens))
			require.Equal(t, tt.want, w.Code)
			if w.Code == 200 && len(tt.tokens["query"]) > 0 { // RFC 6750 section 2.3
				require.Equal(t, "private", w.Header().Get("Cache-Control"))
			}
		})
	}
}

// A query that nobody reads alike has no token, and none that others might find.
func TestM04_QueriesThatAreNone(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.InsecureFromQuery()}}
	for query, want := range map[string]int{
		"access_token=good&x=%zz": 400, "access_token=good;x": 400, "access%5Ftoken=good": 200, "x=%zz": 401, "": 401,
		"access_token=good&access%5Ftoken=good": 400,
	} {
		r := request(t.Context())
		r.URL.RawQuery = query
		require.Equal(t, want, func() int {
			w := httptest.NewRecorder()
			b.Handler(reached).ServeHTTP(w, r)
			return w.Code
		}(), query)
	}
}

func TestFormIsLeftToTheHandler(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromForm()}}
	h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "value", r.PostFormValue("field"))
	}))
	require.Equal(t, 200, ask(t, h, placed(t, "POST", map[string][]string{"form": {"good"}})).Status)

	// Other bodies are not touched, and longer forms not read.
	r := placed(t, "POST", map[string][]string{"form": {"good"}})
	r.Header.Set("Content-Type", "application/json")
	require.Equal(t, 401, ask(t, h, r).Status)
	rest, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Contains(t, string(rest), "access_token=good")
	r = placed(t, "POST", map[string][]string{"form": {"good"}})
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("access_token=good&x="), strings.NewReader(strings.Repeat("x", 1<<20))))
	require.Equal(t, 400, ask(t, h, r).Status)
}

// What another site makes a browser send comes with the cookie all the same.
func TestCookieOfAnotherSitesRequest(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromCookie("token")}}
	for _, tt := range []struct {
		method, site, upgrade string
		want                  int
	}{
		{"POST", "same-origin", "", 200},
		{"POST", "none", "", 200},
		{"POST", "", "", 200}, // no browser, or an old one that sends no Origin either
		{"POST", "cross-site", "", 403},
		{"POST", "same-site", "", 403},
		{"DELETE", "cross-site", "", 403},
		{"GET", "cross-site", "", 200},
		{"GET", "cross-site", "websocket", 403},
		{"GET", "same-origin", "websocket", 200},
	} {
		r := placed(t, tt.method, map[string][]string{"cookie": {"good"}})
		r.Header.Set("Sec-Fetch-Site", tt.site)
		r.Header.Set("Upgrade", tt.upgrade)
		require.Equal(t, tt.want, ask(t, b.Handler(reached), r).Status, "%+v", tt)
		require.Equal(t, tt.method, r.Method)
	}
	// Who has no cookie is not asked where it comes from.
	r := placed(t, "POST", map[string][]string{"header": {"good"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, 200, ask(t, b.Handler(reached), r).Status)
}

func TestOptional(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Optional: true, Sources: []middleware.Source{middleware.FromForm()}}
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := middleware.PrincipalFrom(r.Context()); !ok {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	for _, tt := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"nobody", nil, 204},
		{"good", []string{"Bearer good"}, 200},
		{"bad", []string{"Bearer bad"}, 401},
		{"malformed", []string{"Bearer "}, 400},
		{"two", []string{"Bearer good", "Bearer good"}, 400},
		{"another scheme", []string{"Basic YTpi"}, 401},
		{"empty header", []string{""}, 401},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(t.Context(), tt.headers...))
		require.Equal(t, tt.want, w.Code, tt.name)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, placed(t, "POST", map[string][]string{"form": {"bad"}}))
	require.Equal(t, 401, w.Code, "a bad token elsewhere")
	require.Equal(t, answerOf(401, "Bearer"), ask(t, b.Handler(reached, middleware.RequireScopes("x")), request(t.Context())), "nobody fulfils no requirement")
	require.Equal(t, answerOf(401, "Bearer"), ask(t, b.Handler(reached, middleware.Requirement{}), request(t.Context())))
}

// onlyGood takes the token "good".
type onlyGood struct{}

func (onlyGood) Verify(_ context.Context, raw string) (*oidc.AccessToken, error) {
	if raw != "good" {
		return nil, &oidc.Error{Reason: oidc.ReasonSignature}
	}
	return &oidc.AccessToken{Subject: "alice"}, nil
}
