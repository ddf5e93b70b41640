package middleware_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

var updateAnswers = flag.Bool("update-answers", false, "write testdata/answers.golden anew, to be read by people")

const (
	answersFile = "testdata/answers.golden"
	resourceURL = "https://api.example.com/mcp"
)

// A proofs is a ProofVerifier with answers of its own, and no interest in proofs.
type proofs struct {
	err    error
	answer middleware.ProofAnswer
	seen   *[]middleware.ProofRequest
}

func (p proofs) CheckProof(_ context.Context, r middleware.ProofRequest, _ *oidc.AccessToken) (oidc.Confirmation, error) {
	if p.seen != nil {
		*p.seen = append(*p.seen, r)
	}
	return oidc.Confirmation{}, p.err
}

func (p proofs) AnswerProof(error) middleware.ProofAnswer { return p.answer }

// VerifyBound asks for the proof of a token that is bound to nothing.
func (f fakeVerifier) VerifyBound(ctx context.Context, _ string, prove oidc.Prover) (*oidc.AccessToken, error) {
	if f.err != nil {
		return nil, f.err
	}
	_, err := prove(ctx, f.token)
	return f.token, err
}

func newResource(t testing.TB, change func(*middleware.ProtectedResourceConfig)) *middleware.ProtectedResource {
	t.Helper()
	cfg := middleware.ProtectedResourceConfig{
		Resource: resourceURL, AuthorizationServers: []string{"https://id.example.com"},
		Scopes: []string{"reports:read", "https://example.com/scope/write"},
	}
	if change != nil {
		change(&cfg)
	}
	r, err := middleware.NewProtectedResource(cfg)
	require.NoError(t, err)
	return r
}

func claimSet(t testing.TB, text string) claims.Set {
	t.Helper()
	s, err := claims.Parse([]byte(text))
	require.NoError(t, err)
	return s
}

// onTheWire is an answer, byte for byte.
func onTheWire(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", w.Code, http.StatusText(w.Code))
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		for _, value := range w.Header()[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String() + "\n" + w.Body.String()
}

// A request that is refused, and by whom.
type refusalCase struct {
	name          string
	bearer        middleware.Bearer
	authorization []string
	query         string
	require       []middleware.Requirement
}

func refusalCases(t *testing.T) []refusalCase {
	t.Helper()
	good := &oidc.AccessToken{
		Issuer: "https://id.example.com", Subject: "alice", ClientID: "client", Audience: []string{resourceURL}, Scopes: []string{"other"},
		Claims: claimSet(t, `{"acr":"bronze","auth_time":1000}`),
	}
	takes := middleware.Bearer{Verifier: fakeVerifier{token: good}}
	refuses := func(err error) middleware.Bearer { return middleware.Bearer{Verifier: fakeVerifier{err: err}} }
	with := func(b middleware.Bearer, change func(*middleware.Bearer)) middleware.Bearer {
		change(&b)
		return b
	}
	sends := []string{"Bearer x"}
	invalid := &oidc.Error{Reason: oidc.ReasonExpired, Claim: "exp"}
	down := &oidckit.UnavailableError{What: "keys", Err: errors.New("secret of the provider"), RetryAfter: 30 * time.Second}
	scopes := []middleware.Requirement{middleware.RequireScopes("reports:read", "https://example.com/scope/write")}
	acr := middleware.RequireACR("gold", "silver")
	age := middleware.RequireMaxAge(5 * time.Minute)
	named := with(takes, func(b *middleware.Bearer) { b.Resource = newResource(t, nil) })
	elsewhere := newResource(t, func(c *middleware.ProtectedResourceConfig) { c.Audience = []string{"another"} })
	dpop := middleware.ProofAnswer{Scheme: "DPoP", Algorithms: []string{"ES256", "EdDSA"}}
	proof := func(err error, change func(*middleware.ProofAnswer)) middleware.Bearer {
		answer := dpop
		if change != nil {
			change(&answer)
		}
		return with(takes, func(b *middleware.Bearer) { b.Proof = proofs{err: err, answer: answer} })
	}
	problem := func(b middleware.Bearer) middleware.Bearer {
		return with(b, func(b *middleware.Bearer) { b.Body = middleware.ProblemBody })
	}
	return []refusalCase{
		{"RFC 6750: no credentials", takes, nil, "", nil},
		{"RFC 6750: another scheme", takes, []string{"Basic YTpi"}, "", nil},
		{"RFC 6750: no credentials, with requirements", takes, nil, "", scopes},
		{"RFC 6750: realm", with(takes, func(b *middleware.Bearer) { b.Realm = `the "reports"` }), nil, "", nil},
		{"RFC 6750: malformed header", takes, []string{"Bearer a b"}, "", nil},
		{"RFC 6750: two headers", takes, []string{"Bearer x", "Bearer x"}, "", nil},
		{"RFC 6750: two methods", takes, sends, "access_token=x", nil},
		{"RFC 6750: token of other characters", takes, []string{"Bearer é"}, "", nil},
		{"RFC 6750: invalid token", refuses(invalid), sends, "", scopes},
		{"RFC 6750: invalid token, with realm", with(refuses(invalid), func(b *middleware.Bearer) { b.Realm = "reports" }), sends, "", nil},
		{"RFC 6750: invalid token, although authentication is optional", with(refuses(invalid), func(b *middleware.Bearer) { b.Optional = true }), sends, "", nil},
		{"RFC 6750: scopes missing", takes, sends, "", scopes},
		{"RFC 6750: scopes of two requirements missing", takes, sends, "", append(scopes, middleware.RequireScopes("reports:read", "a"))},
		{"RFC 6750: none of several scopes", takes, sends, "", []middleware.Requirement{middleware.RequireAnyScope("read", "write")}},
		{"RFC 6750: role missing", takes, sends, "", []middleware.Requirement{middleware.RequireRole(claims.P("roles"), "admin")}},
		{"RFC 6750: policy not satisfied", takes, sends, "", []middleware.Requirement{middleware.RequirePolicy(policyFunc(func(claims.Set) error { return errors.New("secret") }))}},
		{"RFC 6750: machine wanted", takes, sends, "", []middleware.Requirement{middleware.RequireMachine()}},
		{"RFC 6750: audience of the route", takes, sends, "", []middleware.Requirement{middleware.RequireAudience("https://api.example.com/other")}},
		{"outage", refuses(down), sends, "", scopes},
		{"outage, of unknown length", refuses(oidckit.ErrUnavailable), sends, "", nil},
		{"mistake of the program", refuses(errors.New("secret")), sends, "", nil},
		{"no verifier", middleware.Bearer{}, sends, "", nil},

		{"RFC 9470: acr", takes, sends, "", []middleware.Requirement{acr}},
		{"RFC 9470: age", takes, sends, "", []middleware.Requirement{age}},
		{"RFC 9470: acr and age", takes, sends, "", []middleware.Requirement{acr, age}},
		{"RFC 9470: acr and age, with realm", with(takes, func(b *middleware.Bearer) { b.Realm = "reports" }), sends, "", []middleware.Requirement{age, acr}},
		{"RFC 9470: acr and scopes", takes, sends, "", append([]middleware.Requirement{acr}, scopes...)},
		{"RFC 9470: scopes and acr", takes, sends, "", append(scopes[:1:1], acr)},
		{"RFC 9470: no credentials", takes, nil, "", []middleware.Requirement{acr}},

		{"RFC 9449: no credentials", proof(nil, nil), nil, "", nil},
		{"RFC 9449: no credentials, proof required", proof(nil, func(a *middleware.ProofAnswer) { a.Only = true }), nil, "", nil},
		{"RFC 9449: proof missing or wrong", proof(invalid, func(a *middleware.ProofAnswer) { a.Error = "invalid_dpop_proof" }), []string{"DPoP x"}, "", nil},
		{"RFC 9449: nonce wanted", proof(invalid, func(a *middleware.ProofAnswer) { a.Error, a.Nonce = "use_dpop_nonce", "n-1" }), []string{"DPoP x"}, "", nil},
		{"RFC 9449: token of another key", proof(invalid, nil), []string{"dpop x"}, "", nil},
		{"RFC 9449: bound token as bearer token", proof(invalid, nil), sends, "", nil},
		{"RFC 9449: bearer token where proof is required", proof(invalid, func(a *middleware.ProofAnswer) { a.Only = true }), sends, "", nil},
		{"RFC 9449: scopes missing", proof(nil, nil), []string{"DPoP x"}, "", scopes},
		{"RFC 9449: scopes missing in a bearer token", proof(nil, nil), sends, "", scopes},
		{"RFC 9449: malformed", proof(nil, nil), []string{"DPoP x y"}, "", nil},
		{"RFC 9449: cannot judge", proof(down, func(a *middleware.ProofAnswer) { a.Nonce = "n-1" }), []string{"DPoP x"}, "", nil},
		{"RFC 9449: scheme DPoP where there is no proof", takes, []string{"DPoP x"}, "", nil},

		{"RFC 9728: no credentials", named, nil, "", nil},
		{"RFC 9728: no credentials, with scopes", named, nil, "", scopes},
		{"RFC 9728: malformed", named, []string{"Bearer"}, "", scopes},
		{"RFC 9728: invalid token", with(refuses(invalid), func(b *middleware.Bearer) { b.Resource = newResource(t, nil) }), sends, "", scopes},
		{"RFC 9728: token for another resource", with(takes, func(b *middleware.Bearer) { b.Resource = elsewhere }), sends, "", nil},
		{"RFC 9728: scopes missing, with realm", with(named, func(b *middleware.Bearer) { b.Realm = "reports" }), sends, "", scopes},
		{"RFC 9728: acr", named, sends, "", []middleware.Requirement{acr}},
		{"RFC 9728: with DPoP", with(named, func(b *middleware.Bearer) { b.Proof = proofs{answer: dpop} }), nil, "", scopes},

		{"RFC 9457: no credentials", problem(takes), nil, "", nil},
		{"RFC 9457: malformed", problem(takes), []string{"Bearer"}, "", nil},
		{"RFC 9457: invalid token", problem(refuses(invalid)), sends, "", nil},
		{"RFC 9457: scopes missing", problem(takes), sends, "", scopes},
		{"RFC 9457: acr", problem(takes), sends, "", []middleware.Requirement{acr}},
		{"RFC 9457: outage", problem(refuses(down)), sends, "", nil},
		{"RFC 9457: mistake of the program", problem(refuses(errors.New("secret"))), sends, "", nil},
	}
}

type policyFunc func(claims.Set) error

func (f policyFunc) Check(s claims.Set) error { return f(s) }

// Every answer to a request that is refused, byte for byte: all that anybody learns.
func TestM07_AnswersAreTheseBytes(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, c := range refusalCases(t) {
		r := request(t.Context(), c.authorization...)
		r.URL.RawQuery = c.query
		w := httptest.NewRecorder()
		c.bearer.Handler(reached, c.require...).ServeHTTP(w, r)
		require.NotEqual(t, http.StatusOK, w.Code, c.name)
		require.NotContains(t, onTheWire(w), "secret", c.name)
		require.NotContains(t, onTheWire(w), "expired", c.name)
		fmt.Fprintf(&all, "=== %s\n%s\n", c.name, onTheWire(w))
	}
	if *updateAnswers {
		require.NoError(t, os.WriteFile(answersFile, []byte(all.String()), 0o600))
	}
	want, err := os.ReadFile(answersFile)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String())
}

// Clients of package oidc understand which login is wanted.
func TestChallengesAreUnderstood(t *testing.T) {
	t.Parallel()
	b := middleware.Bearer{Realm: "reports, and more", Verifier: fakeVerifier{token: tokenFor(resourceURL)}, Resource: newResource(t, nil)}
	server := httptest.NewServer(b.Handler(reached, middleware.RequireACR("gold", "silver"), middleware.RequireMaxAge(time.Hour)))
	defer server.Close()
	client := newClient(t, oidctest.Start(t, fastKeys), "https://client.example/callback")
	transport, err := client.APITransport(oidc.APITransportConfig{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "x", TokenType: "Bearer"}), Allowed: []string{server.URL},
	})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	_, err = (&http.Client{Transport: transport}).Do(r)
	var stepUp *oidc.StepUpError
	require.ErrorAs(t, err, &stepUp)
	require.Equal(t, []string{"gold", "silver"}, stepUp.ACRValues)
	require.Equal(t, time.Hour, *stepUp.MaxAge)
}
