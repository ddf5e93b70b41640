package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const (
	issuerA, issuerB = "https://a.example", "https://b.example"
	apiA, apiB       = "https://api.example/a", "https://api.example/b"
)

func opOf(t testing.TB, iss string) *oidctest.Provider {
	t.Helper()
	return newOP(t, func(c *oidctest.Config) { c.Issuer = iss })
}

func audience(list ...string) func(*oidc.AccessTokenConfig) {
	return func(c *oidc.AccessTokenConfig) { c.Audience = list }
}

func newIssuers(t testing.TB, cfg oidc.IssuersConfig) *oidc.Issuers {
	t.Helper()
	i, err := oidc.NewIssuers(cfg)
	require.NoError(t, err)
	return i
}

func signAccess(op *oidctest.Provider, changes object) string {
	return op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), changes))
}

// Each token is judged by the policy of its own issuer, as a whole.
func TestJ14_EveryIssuerHasItsOwnPolicy(t *testing.T) {
	t.Parallel()
	a, b := opOf(t, issuerA), opOf(t, issuerB)
	a.PublicKey("ES256")
	lax := func(c *oidc.AccessTokenConfig) { c.Audience, c.InsecureAllowUntyped = []string{apiB}, true }
	pa := newProvider(t, a, func(c *oidc.Config) { c.IssuerAliases = []string{"a.example"} })
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{
		newVerifier(t, pa, audience(apiA)), newVerifier(t, newProvider(t, b), lax),
	}})
	kidA := keyIDOf(a.Sign(nil, object{}))
	for name, tt := range map[string]struct {
		op     *oidctest.Provider
		header object
		claims object
		issuer string // of the accepted token
		reason oidc.Reason
		claim  string
	}{
		"A":                      {a, nil, object{"aud": apiA}, issuerA, "", ""},
		"A by its alias":         {a, nil, object{"aud": apiA, "iss": "a.example"}, "a.example", "", ""},
		"B":                      {b, nil, object{"aud": apiB}, issuerB, "", ""},
		"B untyped":              {b, object{"typ": "JWT"}, object{"aud": apiB}, issuerB, "", ""},
		"A untyped":              {a, object{"typ": "JWT"}, object{"aud": apiA}, "", oidc.ReasonType, "typ"},
		"A for B's API":          {a, nil, object{"aud": apiB}, "", oidc.ReasonAudience, "aud"},
		"B for A's API":          {b, nil, object{"aud": apiA}, "", oidc.ReasonAudience, "aud"},
		"A signs as B":           {a, nil, object{"aud": apiB, "iss": issuerB}, "", oidc.ReasonKey, ""},
		"B signs as A":           {b, nil, object{"aud": apiA, "iss": issuerA}, "", oidc.ReasonKey, ""},
		"B signs as A's alias":   {b, nil, object{"aud": apiA, "iss": "a.example"}, "", oidc.ReasonKey, ""},
		"B signs as A, A's name": {b, object{"kid": kidA}, object{"aud": apiA, "iss": issuerA}, "", oidc.ReasonSignature, ""},
		"A's key named to B":     {b, object{"kid": kidA}, object{"aud": apiB}, "", oidc.ReasonKey, ""},
		"expired":                {a, nil, object{"aud": apiA, "exp": start.Unix() - 61, "iat": 1}, "", oidc.ReasonExpired, "exp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := tt.op.Sign(with(object{"typ": "at+jwt"}, tt.header), with(accessClaims(tt.op), tt.claims))
			token, err := verifyAccess(t.Context(), t, i, raw)
			requireVerdict(t, err, tt.reason, tt.claim)
			if tt.reason == "" {
				require.Equal(t, tt.issuer, token.Issuer)
			}
		})
	}
}

// J38: one subject at two issuers is two people.
func TestJ38_SameSubjectOfTwoIssuers(t *testing.T) {
	t.Parallel()
	a, b := opOf(t, issuerA), opOf(t, issuerB)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{newVerifier(t, newProvider(t, a)), newVerifier(t, newProvider(t, b))}})
	fromA, err := i.Verify(t.Context(), signAccess(a, nil))
	require.NoError(t, err)
	fromB, err := i.Verify(t.Context(), signAccess(b, nil))
	require.NoError(t, err)
	require.Equal(t, fromA.Subject, fromB.Subject)
	require.Equal(t, []string{issuerA, issuerB}, []string{fromA.Issuer, fromB.Issuer})
}

// J47: "iss" of a token that nobody has verified chooses, and makes nobody ask anybody.
func TestJ47_UnknownIssuerCausesNoRequest(t *testing.T) {
	t.Parallel()
	a, stranger := opOf(t, issuerA), opOf(t, "https://evil.example")
	r, via := record(stranger)
	p := newProvider(t, a, via)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{newVerifier(t, p)}})
	for name, iss := range map[string]any{
		"stranger": stranger.Issuer(), "slash": issuerA + "/", "upper case": strings.ToUpper(issuerA), "prefix": issuerA[:12],
		"prolonged": issuerA + ".evil.example", "missing": nil, "null": null, "number": 1, "list": []string{issuerA}, "empty": "",
		"control": issuerA + "\x00", "long": issuerA + "/" + strings.Repeat("x", 1100),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifyAccess(t.Context(), t, i, stranger.Sign(object{"typ": "at+jwt"}, with(accessClaims(stranger), object{"iss": iss})))
			requireRefused(t, err, oidc.ReasonIssuer, "iss")
		})
	}
	require.Zero(t, requests(stranger))
	require.Zero(t, requests(a))
	require.Empty(t, r.seen)
}

func TestIssuers_WhatIsNoToken(t *testing.T) {
	t.Parallel()
	a := opOf(t, issuerA)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{newVerifier(t, newProvider(t, a))}})
	for raw, reason := range map[string]oidc.Reason{
		"": oidc.ReasonMalformed, "x": oidc.ReasonMalformed, "a.b.c": oidc.ReasonMalformed, "a.b.c.d.e": oidc.ReasonEncryption,
		forgeSignature(signAccess(a, nil)):                              oidc.ReasonSignature,
		strings.Replace(signAccess(a, object{"x": 1}), ".", ".\n", 1):   oidc.ReasonMalformed,
		a.SignBytes(object{"typ": "at+jwt"}, []byte(`["`+issuerA+`"]`)): oidc.ReasonMalformed,
	} {
		_, err := verifyAccess(t.Context(), t, i, raw)
		requireRefused(t, err, reason, "")
	}
	for name, i := range map[string]*oidc.Issuers{"nil": nil, "zero": {}} {
		_, err := verifyAccess(t.Context(), t, i, signAccess(a, nil))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
}

// An outage of one issuer is not one of the others.
func TestIssuers_OutageOfOne(t *testing.T) {
	t.Parallel()
	a, b := opOf(t, issuerA), opOf(t, issuerB)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{newVerifier(t, newProvider(t, a)), newVerifier(t, newProvider(t, b))}})
	a.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	_, err := verifyAccess(t.Context(), t, i, signAccess(a, nil))
	requireUnavailable(t, err)
	_, err = verifyAccess(t.Context(), t, i, signAccess(b, nil))
	require.NoError(t, err)
}

func TestIssuers_Templates(t *testing.T) {
	t.Parallel()
	op, single := newOP(t), newOP(t)
	ofTemplate := newVerifier(t, newTemplate(t, op, tenants(tenantA, tenantB)), audience(apiA))
	// One tenant has a policy of its own, which comes first.
	ofB := newVerifier(t, newProvider(t, single, withMetadata(metadataFor(single, issuerFor(tenantB))), func(c *oidc.Config) {
		c.Issuer, c.Keys = issuerFor(tenantB), jwks.Static{keyOf(t, single)}
	}), audience(apiB))
	asked := errors.New("resolve was asked")
	for name, order := range map[string][]*oidc.AccessTokenVerifier{"template first": {ofTemplate, ofB}, "template last": {ofB, ofTemplate}} {
		i := newIssuers(t, oidc.IssuersConfig{Verifiers: order, Resolve: func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return nil, asked }})
		for which, tt := range map[string]struct {
			op     *oidctest.Provider
			claims object
			reason oidc.Reason
			claim  string
		}{
			"A":                  {op, object{"iss": issuerFor(tenantA), "tid": tenantA, "aud": apiA}, "", ""},
			"A for the other":    {op, object{"iss": issuerFor(tenantA), "tid": tenantA, "aud": apiB}, oidc.ReasonAudience, "aud"},
			"A, tid of B":        {op, object{"iss": issuerFor(tenantA), "tid": tenantB, "aud": apiA}, oidc.ReasonIssuer, "tid"},
			"B":                  {single, object{"iss": issuerFor(tenantB), "aud": apiB}, "", ""},
			"B by the template":  {op, object{"iss": issuerFor(tenantB), "tid": tenantB, "aud": apiB}, oidc.ReasonKey, ""},
			"B, template policy": {op, object{"iss": issuerFor(tenantB), "tid": tenantB, "aud": apiA}, oidc.ReasonAudience, "aud"},
		} {
			t.Run(name+"/"+which, func(t *testing.T) {
				t.Parallel()
				_, err := verifyAccess(t.Context(), t, i, signAccess(tt.op, tt.claims))
				requireVerdict(t, err, tt.reason, tt.claim)
			})
		}
		_, err := i.Verify(t.Context(), signAccess(op, object{"iss": issuerFor(tenantC), "tid": tenantC}))
		require.ErrorIs(t, err, asked, "the template is not for C")
	}
}

func TestIssuers_RefusesConfig(t *testing.T) {
	t.Parallel()
	a := opOf(t, issuerA)
	alias := func(names ...string) func(*oidc.Config) {
		return func(c *oidc.Config) { c.IssuerAliases = names }
	}
	v := newVerifier(t, newProvider(t, a))
	b := newVerifier(t, newProvider(t, opOf(t, issuerB), alias(issuerA)))
	resolve := func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return v, nil }
	for name, tt := range map[string]struct {
		field string
		cfg   oidc.IssuersConfig
	}{
		"nothing":          {"IssuersConfig", oidc.IssuersConfig{}},
		"nil":              {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{v, nil}}},
		"zero":             {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{{}}}},
		"twice":            {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{v, v}}},
		"two for one":      {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{v, newVerifier(t, newProvider(t, a), untyped)}}},
		"alias and issuer": {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{v, b}}},
		"issuer and alias": {"IssuersConfig.Verifiers", oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{b, v}}},
		"MaxResolved":      {"IssuersConfig: MaxResolved", oidc.IssuersConfig{Resolve: resolve, MaxResolved: -1}},
		"RefreshAfter":     {"IssuersConfig: MaxResolved and RefreshAfter", oidc.IssuersConfig{Resolve: resolve, RefreshAfter: -1}},
	} {
		i, err := oidc.NewIssuers(tt.cfg)
		require.Nil(t, i, name)
		requireConfigError(t, err, tt.field)
	}
}

// metadataFor is metadataOf under another name.
func metadataFor(op *oidctest.Provider, iss string) discovery.Metadata {
	m := metadataOf(op)
	m.Issuer = iss
	return m
}

// A resolver is a program's own list of tenants: each has a name below the issuer of
// op, which signs for all of them.
type resolver struct {
	t     testing.TB
	op    *oidctest.Provider
	calls atomic.Int64

	mu     sync.Mutex
	asked  map[string]int
	answer func(ctx context.Context, iss string) (*oidc.AccessTokenVerifier, error)
}

func newResolver(t testing.TB) *resolver {
	r := &resolver{t: t, op: newOP(t), asked: map[string]int{}}
	r.answer = func(_ context.Context, iss string) (*oidc.AccessTokenVerifier, error) {
		if !strings.HasPrefix(iss, tenant("")) {
			return nil, nil
		}
		return r.verifier(iss), nil
	}
	return r
}

func tenant(name string) string { return "https://tenants.example/" + name }

// verifier judges the tokens of one tenant.
func (r *resolver) verifier(iss string) *oidc.AccessTokenVerifier {
	return newVerifier(r.t, newProvider(r.t, r.op, withMetadata(metadataFor(r.op, iss)), func(c *oidc.Config) {
		c.Issuer, c.Keys = iss, jwks.Static{keyOf(r.t, r.op)}
	}))
}

func (r *resolver) resolve(ctx context.Context, iss string) (*oidc.AccessTokenVerifier, error) {
	r.calls.Add(1)
	r.mu.Lock()
	r.asked[iss]++
	answer := r.answer
	r.mu.Unlock()
	return answer(ctx, iss)
}

func (r *resolver) set(answer func(ctx context.Context, iss string) (*oidc.AccessTokenVerifier, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *resolver) issuers(configure ...func(*oidc.IssuersConfig)) *oidc.Issuers {
	cfg := oidc.IssuersConfig{Resolve: r.resolve, Now: r.op.Now}
	for _, f := range configure {
		f(&cfg)
	}
	return newIssuers(r.t, cfg)
}

func (r *resolver) sign(iss string) string {
	return signAccess(r.op, object{"iss": iss, "exp": start.Add(24 * time.Hour).Unix()})
}

func TestIssuers_Resolve(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	known := opOf(t, issuerA)
	i := r.issuers(func(c *oidc.IssuersConfig) {
		c.Verifiers = []*oidc.AccessTokenVerifier{newVerifier(t, newProvider(t, known))}
	})
	for range 3 {
		for _, name := range []string{"one", "two"} {
			token, err := verifyAccess(t.Context(), t, i, r.sign(tenant(name)))
			require.NoError(t, err)
			require.Equal(t, tenant(name), token.Issuer)
		}
		_, err := verifyAccess(t.Context(), t, i, signAccess(known, nil))
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int{tenant("one"): 1, tenant("two"): 1}, r.asked)
	// Its verifier has the last word.
	_, err := verifyAccess(t.Context(), t, i, signAccess(r.op, object{"iss": tenant("one"), "aud": "other"}))
	requireRefused(t, err, oidc.ReasonAudience, "aud")
	_, err = verifyAccess(t.Context(), t, i, signAccess(opOf(t, issuerB), object{"iss": tenant("one")}))
	requireRefused(t, err, oidc.ReasonKey, "")
	// What is no issuer is not asked for.
	for _, iss := range []any{nil, "", 1, null, "a\n"} {
		_, err = verifyAccess(t.Context(), t, i, signAccess(r.op, object{"iss": iss}))
		requireRefused(t, err, oidc.ReasonIssuer, "iss")
	}
	require.EqualValues(t, 2, r.calls.Load())
	require.Zero(t, requests(r.op))
}

func TestIssuers_ResolveIsAskedOnceForManyTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t)
		found, release := r.verifier(tenant("one")), make(chan struct{})
		r.set(func(context.Context, string) (*oidc.AccessTokenVerifier, error) { <-release; return found, nil })
		i := r.issuers()
		var accepted atomic.Int64
		var wg sync.WaitGroup
		for n := range 100 {
			raw := signAccess(r.op, object{"iss": tenant("one"), "jti": fmt.Sprint(n)})
			wg.Go(func() {
				if _, err := i.Verify(t.Context(), raw); err == nil {
					accepted.Add(1)
				}
			})
		}
		synctest.Wait()
		require.Zero(t, accepted.Load())
		close(release)
		wg.Wait()
		require.EqualValues(t, 100, accepted.Load())
		require.EqualValues(t, 1, r.calls.Load())
	})
}

// K10: who gives up ends its own wait, and nobody else's.
func TestK10_CancelledCallerOfResolve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t)
		found, release := r.verifier(tenant("one")), make(chan struct{})
		var ended error
		r.set(func(ctx context.Context, _ string) (*oidc.AccessTokenVerifier, error) {
			<-release
			ended = ctx.Err()
			return found, nil
		})
		i := r.issuers()
		ctx, cancel := context.WithCancel(t.Context())
		raw := r.sign(tenant("one"))
		results := make(chan error, 2)
		go func() { _, err := i.Verify(ctx, raw); results <- err }()
		synctest.Wait()
		cancel()
		err := <-results
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.Canceled)
		go func() { _, err := i.Verify(t.Context(), raw); results <- err }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-results)
		require.NoError(t, ended)
		require.EqualValues(t, 1, r.calls.Load())
	})
}

func TestD10_HangingResolve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t)
		r.set(func(ctx context.Context, _ string) (*oidc.AccessTokenVerifier, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		_, err := verifyAccess(t.Context(), t, r.issuers(), r.sign(tenant("one")))
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// An answer counts for RefreshAfter, no answer for a tenth of it.
func TestIssuers_RefreshAfter(t *testing.T) {
	t.Parallel()
	for _, refreshAfter := range []time.Duration{0, time.Hour} {
		effective := refreshAfter
		if refreshAfter == 0 {
			effective = 10 * time.Minute // the default
		}
		configure := func(c *oidc.IssuersConfig) { c.RefreshAfter = refreshAfter }
		nobody := func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return nil, nil }

		t.Run(fmt.Sprint("an answer/", refreshAfter), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newResolver(t)
				i, raw := r.issuers(configure), r.sign(tenant("one"))
				accept := func(calls int) {
					_, err := verifyAccess(t.Context(), t, i, raw)
					require.NoError(t, err)
					synctest.Wait()
					require.EqualValues(t, calls, r.calls.Load())
				}
				accept(1)
				r.set(nobody)
				r.op.Advance(effective - 1)
				accept(1)
				r.op.Advance(1)
				accept(2) // it is asked for in the background, and serves
				_, err := verifyAccess(t.Context(), t, i, raw)
				requireRefused(t, err, oidc.ReasonIssuer, "iss")
				require.EqualValues(t, 2, r.calls.Load())
			})
		})
		t.Run(fmt.Sprint("no answer/", refreshAfter), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newResolver(t)
				found := r.answer
				r.set(nobody)
				i, raw := r.issuers(configure), r.sign(tenant("one"))
				refuse := func(calls int) {
					_, err := verifyAccess(t.Context(), t, i, raw)
					requireRefused(t, err, oidc.ReasonIssuer, "iss")
					synctest.Wait()
					require.EqualValues(t, calls, r.calls.Load())
				}
				refuse(1)
				r.set(found)
				r.op.Advance(effective/10 - 1)
				refuse(1)
				r.op.Advance(1)
				refuse(2)
				_, err := verifyAccess(t.Context(), t, i, raw)
				require.NoError(t, err)
				require.EqualValues(t, 2, r.calls.Load())
			})
		})
	}
}

// A tenant that nobody asked for in a long time is asked for before it is believed.
func TestIssuers_AnswerThatLayUnused(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	i, raw := r.issuers(), r.sign(tenant("one"))
	_, err := verifyAccess(t.Context(), t, i, raw)
	require.NoError(t, err)
	r.set(func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return nil, nil })
	r.op.Advance(20 * time.Minute)
	_, err = verifyAccess(t.Context(), t, i, raw)
	requireRefused(t, err, oidc.ReasonIssuer, "iss")
}

// A list that cannot be read is an outage, and no verdict about the token.
func TestD08_ResolveFails(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	healthy := r.answer
	cause := errors.New("no database")
	fail := func(context.Context, string) (*oidc.AccessTokenVerifier, error) {
		return r.verifier(tenant("one")), cause
	}
	r.set(fail)
	i, raw := r.issuers(), r.sign(tenant("one"))
	for range 3 {
		_, err := verifyAccess(t.Context(), t, i, raw)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, cause)
		var ue *oidckit.UnavailableError
		require.ErrorAs(t, err, &ue)
		require.Positive(t, ue.RetryAfter)
		require.EqualValues(t, 1, r.calls.Load(), "asked again at once")
	}
	r.op.Advance(time.Second)
	r.set(healthy)
	_, err := verifyAccess(t.Context(), t, i, raw)
	require.NoError(t, err)
	require.EqualValues(t, 2, r.calls.Load())

	// What was found serves through an outage, for as long again as it was fresh.
	r.set(fail)
	r.op.Advance(19 * time.Minute)
	_, err = verifyAccess(t.Context(), t, i, raw)
	require.NoError(t, err)
	require.EqualValues(t, 3, r.calls.Load())
	r.op.Advance(2 * time.Minute)
	_, err = verifyAccess(t.Context(), t, i, raw)
	requireUnavailable(t, err)
}

// J14: what Resolve gives must be of the issuer that it was asked for.
func TestJ14_ResolveGivesTheVerifierOfAnother(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(r *resolver) *oidc.AccessTokenVerifier{
		"another":   func(r *resolver) *oidc.AccessTokenVerifier { return r.verifier(tenant("two")) },
		"prolonged": func(r *resolver) *oidc.AccessTokenVerifier { return r.verifier(tenant("one/")) },
		"zero":      func(*resolver) *oidc.AccessTokenVerifier { return &oidc.AccessTokenVerifier{} },
		"template": func(r *resolver) *oidc.AccessTokenVerifier {
			return newVerifier(r.t, newTemplate(r.t, r.op, anyTenant))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolver(t)
			v := wrong(r)
			r.set(func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return v, nil })
			i := r.issuers()
			for range 2 {
				_, err := verifyAccess(t.Context(), t, i, r.sign(tenant("one")))
				requireUnavailable(t, err)
			}
			require.Zero(t, requests(r.op))
		})
	}
	// One of its tenants is one of a template's.
	r := newResolver(t)
	v := newVerifier(t, newTemplate(t, r.op, tenants(tenantA)))
	r.set(func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return v, nil })
	i := r.issuers()
	_, err := verifyAccess(t.Context(), t, i, signAccess(r.op, object{"iss": issuerFor(tenantA), "tid": tenantA}))
	require.NoError(t, err)
	_, err = verifyAccess(t.Context(), t, i, signAccess(r.op, object{"iss": issuerFor(tenantA), "tid": tenantB}))
	requireRefused(t, err, oidc.ReasonIssuer, "tid")
	_, err = verifyAccess(t.Context(), t, i, signAccess(r.op, object{"iss": issuerFor(tenantB), "tid": tenantB}))
	requireUnavailable(t, err)
}

// Strangers invent issuers without end. They take no place from those that there are,
// and not much memory.
func TestJ47_StrangersPushNobodyOut(t *testing.T) {
	t.Parallel()
	const strangers = 5000
	r := newResolver(t)
	i := r.issuers()
	var friends, junk []string
	for n := range 20 {
		friends = append(friends, r.sign(tenant(fmt.Sprint(n))))
	}
	header := encodeJSON(object{"alg": "ES256", "typ": "at+jwt"})
	for n := range strangers {
		junk = append(junk, header+"."+encodeJSON(object{"iss": fmt.Sprint("https://stranger.example/", n)})+".AAAA")
	}
	befriend := func() (asked int64) {
		before := r.calls.Load()
		for _, raw := range friends {
			_, err := i.Verify(t.Context(), raw)
			require.NoError(t, err)
		}
		return r.calls.Load() - before
	}
	refuse := func() (remembered int64) {
		before := r.calls.Load()
		for _, raw := range junk {
			_, err := i.Verify(t.Context(), raw)
			requireRefused(t, err, oidc.ReasonIssuer, "iss")
		}
		return strangers - (r.calls.Load() - before)
	}
	require.EqualValues(t, len(friends), befriend())
	refuse()
	require.Zero(t, befriend())
	require.Eventually(t, func() bool { return refuse() <= 1000 }, 10*time.Second, time.Millisecond)
	require.Zero(t, befriend())
}

func TestIssuers_MaxResolved(t *testing.T) {
	t.Parallel()
	const most = 50
	r := newResolver(t)
	i := r.issuers(func(c *oidc.IssuersConfig) { c.MaxResolved = most })
	var raws []string
	for n := range 5 * most {
		raws = append(raws, r.sign(tenant(fmt.Sprint(n))))
	}
	verifyAll := func(raws []string) (remembered int) {
		before := r.calls.Load()
		for _, raw := range raws {
			_, err := i.Verify(t.Context(), raw)
			require.NoError(t, err)
			runtime.Gosched()
		}
		return len(raws) - int(r.calls.Load()-before)
	}
	half := raws[:most/2]
	verifyAll(half)
	require.Equal(t, len(half), verifyAll(half))
	verifyAll(raws)
	require.Eventually(t, func() bool { return verifyAll(raws) <= most }, 10*time.Second, time.Millisecond)
}
