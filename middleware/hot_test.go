//go:build !race

package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// hot is an API whose token is in the cache, and a request with the headers of a browser.
func hot(tb testing.TB) (*oidc.AccessTokenVerifier, *http.Request, string) {
	tb.Helper()
	p := oidctest.Start(tb, fastKeys)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer()})
	require.NoError(tb, err)
	v, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}, Cache: oidc.TokenCacheConfig{MaxTokens: 100}})
	require.NoError(tb, err)
	raw := p.AccessToken("alice", audience, "reports:read")
	r := request(context.Background(), "Bearer "+raw)
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Origin", "User-Agent", "X-Request-Id"} {
		r.Header.Set(name, "x")
	}
	_, err = v.Verify(context.Background(), raw)
	require.NoError(tb, err)
	return v, r, raw
}

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// What a request costs beside its verification.
func TestHot_Allocations(t *testing.T) {
	v, r, raw := hot(t)
	w := httptest.NewRecorder()
	b := &middleware.Bearer{Verifier: v}
	h := b.Handler(nothing, middleware.RequireScopes("reports:read"))
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Zero(t, testing.AllocsPerRun(200, func() { _, _ = v.Verify(context.Background(), raw) }))
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }), 6.0)
	b.KeepToken = true
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }), 3.0)
}

func BenchmarkBearer(b *testing.B) {
	v, r, raw := hot(b)
	w := httptest.NewRecorder()
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = v.Verify(context.Background(), raw)
		}
	})
	for name, bearer := range map[string]*middleware.Bearer{"handler": {Verifier: v}, "keep token": {Verifier: v, KeepToken: true}} {
		h := bearer.Handler(nothing, middleware.RequireScopes("reports:read"))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
