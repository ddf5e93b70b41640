package exchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	upstreamIssuer = "https://ci.example"
	ourIssuer      = "https://tokens.example"
	ourAudience    = "https://tokens.example/exchange"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A clock is turned by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// The keys of all tests that do not change them.
var ourKeys = must(exchange.GenerateKeys("ES256", "EdDSA"))

// A rig is an upstream and an exchanger.
type rig struct {
	*clock
	upstream *oidctest.Provider
	verifier *oidc.AccessTokenVerifier
	keys     *exchange.Keys
	issuer   *exchange.Issuer
	x        *exchange.Exchanger
	log      *logBuffer
	records  []exchange.Record
	mu       sync.Mutex
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

var ofAcme = must(claims.NewPolicy(claims.Equals(claims.P("owner_id"), "42")))

// newRig has one rule, which configure may change with all else.
func newRig(t testing.TB, configure ...func(*exchange.ExchangerConfig)) *rig {
	t.Helper()
	r := &rig{clock: newClock(), log: &logBuffer{}}
	r.upstream = must(oidctest.New(oidctest.Config{Issuer: upstreamIssuer, Algorithm: "ES256", Now: r.Now}))
	provider := must(oidc.NewProvider(oidc.Config{Issuer: upstreamIssuer, HTTPClient: r.upstream.HTTPClient(), Now: r.Now}))
	r.verifier = must(oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{ourAudience, "https://sts.example"}, InsecureAllowUntyped: true}))
	r.keys = must(exchange.NewKeys(exchange.KeysConfig{Source: ourKeys, Now: r.Now}))
	r.issuer = must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: r.keys, TokenEndpoint: ourIssuer + "/token"}))
	cfg := exchange.ExchangerConfig{
		Issuer: r.issuer, Verifier: r.verifier, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		Rules: []exchange.Rule{{Name: "acme", Issuer: upstreamIssuer, Policy: ofAcme, Clone: []string{"sub", "ref"}}},
		Audit: func(_ context.Context, record exchange.Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.records = append(r.records, record)
		},
	}
	for _, f := range configure {
		f(&cfg)
	}
	var err error
	r.x, err = exchange.NewExchanger(cfg)
	require.NoError(t, err)
	return r
}

// token is one of the upstream's, with changes; nil leaves a claim out.
func (r *rig) token(changes map[string]any) string {
	now := r.Now()
	c := map[string]any{
		"iss": upstreamIssuer, "sub": "repo:acme/app", "aud": ourAudience, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"owner_id": "42", "ref": "refs/heads/main", "secret": "not-cloned",
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return r.upstream.Sign(map[string]any{"alg": "ES256", "typ": "JWT"}, c)
}

func (r *rig) exchange(t testing.TB, changes map[string]any) (*exchange.Issued, error) {
	t.Helper()
	return r.x.Exchange(t.Context(), exchange.Request{SubjectToken: r.token(changes)})
}

// claimsOf verifies a token of ours with what is published.
func (r *rig) claimsOf(t testing.TB, compact string) map[string]any {
	t.Helper()
	set := must(jwks.PublicSet(t.Context(), r.keys))
	payload, err := jwks.VerifyCompact(set, compact, "ES256", "EdDSA")
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(payload, &c))
	return c
}

func reasonOf(t testing.TB, err error) exchange.Reason {
	t.Helper()
	var e *exchange.Error
	require.ErrorAs(t, err, &e)
	return e.Reason
}

// form posts parameters; more are names and values.
func form(h http.Handler, parameters url.Values) *httptest.ResponseRecorder {
	return post(h, "application/x-www-form-urlencoded", parameters.Encode())
}

func post(h http.Handler, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, ourIssuer+"/token", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return serve(h, r)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// grant is a right request, with changes.
func (r *rig) grant(changes url.Values) url.Values {
	v := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {oidc.TokenTypeJWT}, "subject_token": {r.token(nil)},
	}
	for name, values := range changes {
		if v[name] = values; values == nil {
			delete(v, name)
		}
	}
	return v
}

type failure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Correlation string `json:"correlation_id"`
}

func failureOf(t testing.TB, w *httptest.ResponseRecorder) failure {
	t.Helper()
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var f failure
	require.NoError(t, json.Unmarshal(must(io.ReadAll(w.Body)), &f))
	return f
}
