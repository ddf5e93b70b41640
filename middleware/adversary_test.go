package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// The headers that a proxy sets are not the client's to take away (RFC 9110 section 7.6.1).
func TestM15_ConnectionOptionsNameNoHeaderOfOurs(t *testing.T) {
	t.Parallel()
	values := map[string]string{"X-User": "alice", "X-Role-Limit": "reader"}
	for _, tt := range []struct{ sent, want []string }{
		{[]string{"X-User, X-Role-Limit"}, nil},
		{[]string{"x-user", "x_role.limit"}, nil},
		{[]string{"keep-alive,X-User ,, Upgrade", "\tX-Role-Limit\t"}, []string{"keep-alive, Upgrade"}},
		{[]string{"Authorization"}, nil},
		{[]string{"X-Other"}, []string{"X-Other"}},
		{nil, nil},
	} {
		h := http.Header{}
		if tt.sent != nil {
			h["Connection"] = tt.sent
		}
		middleware.SetUpstreamHeaders(h, values)
		require.Equal(t, tt.want, h["Connection"], "%q", tt.sent)
		require.Equal(t, tt.want != nil, len(h) == 3)
	}
}

func TestM15_ReverseProxyHandsTheHeadersOn(t *testing.T) {
	t.Parallel()
	values := map[string]string{"X-User": "alice", "X-Role-Limit": "reader"}
	set := func(h http.Header) { middleware.SetUpstreamHeaders(h, values) }
	for name, proxied := range map[string]func(*url.URL) http.Handler{
		"before": func(u *url.URL) http.Handler {
			proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				set(r.Header)
				proxy.ServeHTTP(w, r)
			})
		},
		"Rewrite": func(u *url.URL) http.Handler {
			return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(u)
				set(p.Out.Header)
			}}
		},
	} {
		seen := make(chan http.Header, 1)
		upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
		t.Cleanup(upstream.Close)
		u, err := url.Parse(upstream.URL)
		require.NoError(t, err)
		r := request(t.Context())
		r.Header.Set("Connection", "X-User, X-Role-Limit")
		proxied(u).ServeHTTP(httptest.NewRecorder(), r)
		got := <-seen
		require.Equal(t, "alice", got.Get("X-User"), name)
		require.Equal(t, "reader", got.Get("X-Role-Limit"), name)
	}
}

// The path is the client's: it makes no proof good, and is no fault of the program's.
func TestP06_PathsThatNoProofIsFor(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t)
	for _, tt := range []struct {
		path, htu string
		want      int
	}{
		{"/" + strings.Repeat("a", 5000), publicURL + "/" + strings.Repeat("a", 5000), 401},
		{":x", publicURL + ":x", 401},
		{".evil.example/x", publicURL + ".evil.example/x", 401},
		{"@evil.example/x", publicURL + "@evil.example/x", 401},
		{".evil.example/x", publicURL + "/.evil.example/x", 200},
		{"reports", publicURL + "/reports", 200},
		{"", publicURL, 200},
	} {
		r := a.request(t, "DPoP", a.token, a.proof(t, nil, members{"htu": tt.htu}))
		r.URL.Path = tt.path // as http.StripPrefix may leave it
		require.Equal(t, tt.want, a.serve(r).Code, "%.40s %.60s", tt.path, tt.htu)
	}
	a.bearer.PublicURL = publicURL + "/v1/"
	r := a.request(t, "DPoP", a.token, a.proof(t, nil, members{"htu": publicURL + "/v1"}))
	r.URL.Path = ""
	require.Equal(t, 200, a.serve(r).Code, "/v1 behind StripPrefix")
}

func TestM04_QueryBesideAnotherPlace(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromForm(), middleware.FromCookie("token")}}
	for _, place := range []string{"form", "cookie"} {
		r := placed(t, "POST", map[string][]string{place: {"good"}})
		require.Equal(t, 200, ask(t, b.Handler(reached), r).Status)
		r = placed(t, "POST", map[string][]string{place: {"good"}, "query": {"good"}})
		require.Equal(t, 400, ask(t, b.Handler(reached), r).Status, place)
	}
}

// Shared caches know of no cookie (RFC 9111 section 3.5).
func TestM04_AnswersToCookiesArePrivate(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Optional: true, Sources: []middleware.Source{middleware.FromCookie("token"), middleware.FromForm()}}
	h := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for place, want := range map[string][]string{"cookie": {"private"}, "form": nil, "header": nil, "none": nil} {
		require.Equal(t, want, ask(t, h, placed(t, "POST", map[string][]string{place: {"good"}})).Cache, place)
	}
}

func TestM04_FormWithoutBody(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromForm()}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/", http.NoBody)
	require.NoError(t, err)
	r.Body = nil
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, 401, ask(t, b.Handler(reached), r).Status)
}

func TestM20_CookieIsKeptFromHandlers(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		b := &middleware.Bearer{Verifier: onlyGood{}, KeepToken: keep, Sources: []middleware.Source{middleware.FromCookie("token")}}
		for sent, rest := range map[string][]string{
			"token=good":                     nil,
			"token =good":                    nil,
			`a=1; token="good";b="2"; Token`: {`a=1; b="2"; Token`},
			"tokens=good; token=good":        {"tokens=good"},
		} {
			r := request(t.Context())
			r.Header.Set("Cookie", sent)
			var seen []string
			h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header["Cookie"] }))
			require.Equal(t, 200, ask(t, h, r).Status, sent)
			if keep {
				rest = []string{sent}
			}
			require.Equal(t, rest, seen)
			require.Equal(t, sent, r.Header.Get("Cookie"), "the request is the caller's")
		}
	}
}

// Whatever a verifier takes for good, a bound token is none without proof.
func TestP01_BoundTokenOfAnotherVerifier(t *testing.T) {
	t.Parallel()
	for _, cnf := range []oidc.Confirmation{{JWKThumbprint: "x"}, {CertificateThumbprint: "x"}} {
		b := &middleware.Bearer{Verifier: plainVerifier(func(context.Context, string) (*oidc.AccessToken, error) {
			return &oidc.AccessToken{Subject: "alice", Confirmation: cnf}, nil
		})}
		_, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{"Bearer x"}})
		var refused *oidc.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, oidc.ReasonBinding, refused.Reason)
	}
}

// Whom one Bearer let through is nobody to the next, if that found nobody.
func TestM10_OptionalBehindAnotherBearer(t *testing.T) {
	t.Parallel()
	outer, inner := &middleware.Bearer{Verifier: onlyGood{}}, &middleware.Bearer{Verifier: onlyGood{}, Optional: true}
	reached := false
	h := outer.Handler(inner.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		_, ok := middleware.PrincipalFrom(r.Context())
		require.False(t, ok)
	})))
	require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer good")).Status)
	require.True(t, reached)
}

func TestM20_CredentialsPrintNoToken(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	c := middleware.Credentials{Authorization: []string{"Bearer " + secret}, DPoP: []string{secret}, URL: secret}
	for _, v := range []any{c, &c, middleware.ProofRequest{Credentials: c, Token: secret}, &middleware.ProofRequest{Credentials: c, Token: secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.Contains(t, fmt.Sprintf(verb, v), "[redacted]")
			require.NotContains(t, fmt.Sprintf(verb, v), secret)
		}
		for _, format := range []func(*strings.Builder) slog.Handler{
			func(s *strings.Builder) slog.Handler { return slog.NewTextHandler(s, nil) },
			func(s *strings.Builder) slog.Handler { return slog.NewJSONHandler(s, nil) },
		} {
			var log strings.Builder
			slog.New(format(&log)).Info("x", "v", v)
			require.Contains(t, log.String(), "[redacted]")
			require.NotContains(t, log.String(), secret)
		}
	}
}
