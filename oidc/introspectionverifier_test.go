package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func keeping(c *oidc.IntrospectionVerifierConfig) { c.Cache.MaxTokens = 1000 }

func newIntrospectionVerifier(t testing.TB, c *oidc.Client, configure ...func(*oidc.IntrospectionVerifierConfig)) *oidc.IntrospectionVerifier {
	t.Helper()
	cfg := oidc.IntrospectionVerifierConfig{Audience: []string{api}}
	for _, f := range configure {
		f(&cfg)
	}
	v, err := oidc.NewIntrospectionVerifier(c, cfg)
	require.NoError(t, err)
	return v
}

// opaqueRig is a provider of opaque tokens, and a verifier for them.
func opaqueRig(t testing.TB, configure ...func(*oidc.IntrospectionVerifierConfig)) (*oidctest.Provider, *oidc.IntrospectionVerifier) {
	t.Helper()
	op := newOP(t, func(c *oidctest.Config) { c.OpaqueAccessTokens = true })
	return op, newIntrospectionVerifier(t, newClient(t, newProvider(t, op), resourceServer), configure...)
}

func TestD13_OpaqueToken(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*oidc.ClientConfig){"JSON": func(*oidc.ClientConfig) {}, "signed": signedAnswers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, func(c *oidctest.Config) { c.OpaqueAccessTokens = true })
			v := newIntrospectionVerifier(t, newClient(t, newProvider(t, op), resourceServer, configure))
			raw := op.AccessToken("alice", api, "read", "write")
			require.NotContains(t, raw, ".")
			token, err := verifyAccess(t.Context(), t, v, raw)
			require.NoError(t, err)
			require.Equal(t, op.Issuer(), token.Issuer)
			require.Equal(t, marker+"-alice", token.Subject)
			require.Equal(t, oidctest.ClientID, token.ClientID)
			require.Equal(t, []string{api}, token.Audience)
			require.Equal(t, []string{"read", "write"}, token.Scopes)
			require.True(t, token.Expiry.Equal(start.Add(5*time.Minute)))
			require.True(t, token.IssuedAt.Equal(start))
			require.True(t, token.Confirmation.IsZero())
			require.True(t, token.Claims.Has(claims.P("active")))
			require.NotContains(t, fmt.Sprintf("%v %+v", token, token), marker)
			_, err = verifyAccess(t.Context(), t, v, op.AccessToken("alice", "https://other.example"))
			require.Error(t, err)
			op.Advance(time.Hour)
			_, err = verifyAccess(t.Context(), t, v, raw)
			requireRefused(t, err, oidc.ReasonRevoked, "")
		})
	}
}

// D13: an active token need not be one for this API, nor an access token.
func TestD13_ActiveIsNotEnough(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		changes object
		reason  oidc.Reason
		claim   string
	}{
		"no aud":             {object{"aud": nil}, oidc.ReasonAudience, "aud"},
		"null aud":           {object{"aud": null}, oidc.ReasonAudience, "aud"},
		"other aud":          {object{"aud": "https://other.example"}, oidc.ReasonAudience, "aud"},
		"longer aud":         {object{"aud": api + "/"}, oidc.ReasonAudience, "aud"},
		"inactive":           {object{"active": false}, oidc.ReasonRevoked, ""},
		"other issuer":       {object{"iss": "https://evil.example"}, oidc.ReasonIssuer, "iss"},
		"expired":            {object{"exp": start.Unix() - 61}, oidc.ReasonExpired, "exp"},
		"not yet":            {object{"nbf": start.Unix() + 61}, oidc.ReasonNotYetValid, "nbf"},
		"no sub":             {object{"sub": nil}, oidc.ReasonSubject, "sub"},
		"refresh token":      {object{"token_type": "refresh_token"}, oidc.ReasonType, "token_type"},
		"N_A":                {object{"token_type": "N_A"}, oidc.ReasonType, "token_type"},
		"Keycloak's refresh": {object{"typ": "Refresh"}, oidc.ReasonType, "typ"},
		"Keycloak's ID":      {object{"typ": "ID"}, oidc.ReasonType, "typ"},
		"Cognito's ID":       {object{"token_use": "id"}, oidc.ReasonType, "token_use"},
		"ID token":           {object{"nonce": "x"}, oidc.ReasonType, "nonce"},
		"ID token, at_hash":  {object{"at_hash": "x"}, oidc.ReasonType, "at_hash"},
		"logout token":       {object{"events": object{}}, oidc.ReasonType, "events"},
		"bound":              {object{"cnf": object{"jkt": jkt1}}, oidc.ReasonBinding, "cnf"},
		"bound to nobody":    {object{"token_type": "DPoP"}, oidc.ReasonBinding, "cnf"},
		"bound otherwise":    {object{"token_type": "dpop", "cnf": object{"x5t#S256": x5t1}}, oidc.ReasonBinding, "cnf"},
		"required claim":     {object{"email": nil}, oidc.ReasonClaim, "email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, v := opaqueRig(t, func(c *oidc.IntrospectionVerifierConfig) { c.RequiredClaims = []claims.Path{claims.P("email")} })
			op.OnAnswer(oidctest.Introspection, func(answer map[string]any) {
				answer["email"] = marker
				for name, value := range tt.changes {
					change(answer, name, value)
				}
			})
			var asked int
			token, err := v.VerifyBound(t.Context(), op.AccessToken("alice", api), proven(oidc.Confirmation{}, &asked))
			require.Nil(t, token)
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}
}

func TestD13_WhatAnAnswerMayLeaveOut(t *testing.T) {
	t.Parallel()
	op, v := opaqueRig(t, keeping, func(c *oidc.IntrospectionVerifierConfig) { c.InsecureAllowNoAudience = true })
	op.OnAnswer(oidctest.Introspection, func(answer map[string]any) {
		for _, name := range []string{"aud", "iss", "exp", "iat", "jti", "client_id", "token_type", "username"} {
			delete(answer, name)
		}
		answer["cnf"] = null
	})
	raw := op.AccessToken("alice", api)
	for range 2 { // and it is kept, though it names no end
		token, err := verifyAccess(t.Context(), t, v, raw)
		require.NoError(t, err)
		require.Equal(t, op.Issuer(), token.Issuer, "who was asked")
		require.Zero(t, token.Expiry)
		require.Empty(t, token.Audience)
	}
	require.Equal(t, 1, op.Requests(oidctest.Introspection))
	op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = "https://other.example" })
	_, err := verifyAccess(t.Context(), t, v, op.AccessToken("alice", api))
	requireRefused(t, err, oidc.ReasonAudience, "aud")
}

// D13, M14: the provider is asked again after 60 s, after "exp", and each time without a cache.
func TestM14_AnswersAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		configure func(*oidc.IntrospectionVerifierConfig)
		life      time.Duration // of the token
		kept      time.Duration
	}{
		"no cache":          {func(*oidc.IntrospectionVerifierConfig) {}, 5 * time.Minute, 0},
		"60 s":              {keeping, 5 * time.Minute, time.Minute},
		"until exp":         {keeping, 20 * time.Second, 20 * time.Second},
		"as long as wanted": {func(c *oidc.IntrospectionVerifierConfig) { c.Cache.MaxAge = 3 * time.Minute }, 5 * time.Minute, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, v := opaqueRig(t, tt.configure)
			op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["exp"] = start.Add(tt.life).Unix() })
			raw, other := op.AccessToken("alice", api), op.AccessToken("bob", api)
			ask := func(raw, who string) int {
				before := op.Requests(oidctest.Introspection)
				token, err := verifyAccess(t.Context(), t, v, raw)
				require.NoError(t, err)
				require.Equal(t, marker+who, token.Subject, "nobody gets the answer for another")
				return op.Requests(oidctest.Introspection) - before
			}
			require.Equal(t, 1, ask(raw, "-alice"))
			require.Equal(t, 1, ask(other, "-bob"))
			if tt.kept > 0 {
				op.Advance(tt.kept - 1)
				require.Equal(t, 0, ask(raw, "-alice"))
				require.Equal(t, 0, ask(other, "-bob"))
				op.Advance(1)
			}
			require.Equal(t, 1, ask(raw, "-alice"))
			require.NotContains(t, fmt.Sprintf("%v %+v", v, v), raw)
		})
	}
}

// M14: a token that is no good is asked about again after 5 s, an outage at once.
func TestM14_RefusalsAreKeptBriefly(t *testing.T) {
	t.Parallel()
	op, v := opaqueRig(t, keeping)
	_, err := verifyAccess(t.Context(), t, v, "unknown")
	requireRefused(t, err, oidc.ReasonRevoked, "")
	op.Advance(5*time.Second - 1)
	_, err = verifyAccess(t.Context(), t, v, "unknown")
	requireRefused(t, err, oidc.ReasonRevoked, "")
	require.Equal(t, 1, op.Requests(oidctest.Introspection))
	op.Advance(1)
	_, err = verifyAccess(t.Context(), t, v, "unknown")
	requireRefused(t, err, oidc.ReasonRevoked, "")
	require.Equal(t, 2, op.Requests(oidctest.Introspection))

	// Strangers displace no good token.
	raw := op.AccessToken("alice", api)
	_, err = verifyAccess(t.Context(), t, v, raw)
	require.NoError(t, err)
	for i := range 1500 {
		_, _ = v.Verify(t.Context(), fmt.Sprint("unknown-", i))
	}
	before := op.Requests(oidctest.Introspection)
	_, err = verifyAccess(t.Context(), t, v, raw)
	require.NoError(t, err)
	require.Equal(t, before, op.Requests(oidctest.Introspection))
}

func TestD13_OutagesAreNeverKept(t *testing.T) {
	t.Parallel()
	for name, fault := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, v := opaqueRig(t, keeping)
			raw := op.AccessToken("alice", api)
			op.SetFault(oidctest.Introspection, fault)
			token, err := v.Verify(t.Context(), raw)
			require.Nil(t, token)
			require.Error(t, err)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
			op.SetFault(oidctest.Introspection, oidctest.Fault{})
			_, err = verifyAccess(t.Context(), t, v, raw)
			require.NoError(t, err)
		})
	}
}

// M14: a verdict serves while the provider is away, and no longer than it is kept.
func TestM14_CachedTokenInAnOutage(t *testing.T) {
	t.Parallel()
	op, v := opaqueRig(t, keeping)
	raw := op.AccessToken("alice", api)
	_, err := verifyAccess(t.Context(), t, v, raw)
	require.NoError(t, err)
	op.SetFault(oidctest.Introspection, oidctest.Fault{Status: http.StatusServiceUnavailable})
	_, err = verifyAccess(t.Context(), t, v, raw)
	require.NoError(t, err)
	op.Advance(time.Minute)
	_, err = v.Verify(t.Context(), raw)
	requireUnavailable(t, err)
}

// gate lets requests to the introspection endpoint wait.
type gate struct {
	next    http.RoundTripper
	open    chan struct{}
	waiting atomic.Int64
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, string(oidctest.Introspection)) {
		g.waiting.Add(1)
		select {
		case <-g.open:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return g.next.RoundTrip(r)
}

func gatedRig(t *testing.T) (*oidctest.Provider, *gate, *oidc.IntrospectionVerifier) {
	op := newOP(t, func(c *oidctest.Config) { c.OpaqueAccessTokens = true })
	g := &gate{next: op.HTTPClient().Transport, open: make(chan struct{})}
	m := metadataOf(op)
	m.IntrospectionEndpoint = op.Issuer() + string(oidctest.Introspection)
	p := newProvider(t, op, withMetadata(m), func(c *oidc.Config) { c.HTTPClient = &http.Client{Transport: g} })
	return op, g, newIntrospectionVerifier(t, newClient(t, p, resourceServer))
}

// D13: requests with one token ask once, and whoever hangs up ends his own wait alone.
func TestD13_SingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, g, v := gatedRig(t)
		raw := op.AccessToken("alice", api)
		impatient, hangUp := context.WithCancel(t.Context())
		results := make(chan error, 10)
		go func() { _, err := v.Verify(impatient, raw); results <- err }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() { _, err := v.Verify(t.Context(), raw); results <- err })
		}
		synctest.Wait()
		hangUp()
		requireUnavailable(t, <-results)
		close(g.open)
		wg.Wait()
		for range 9 {
			require.NoError(t, <-results)
		}
		require.EqualValues(t, 1, g.waiting.Load())
		_, err := v.Verify(t.Context(), raw)
		require.NoError(t, err)
		require.EqualValues(t, 2, g.waiting.Load(), "without a cache, the answer was for those who waited")
	})
}

// Strangers cannot have us ask about everything at once.
func TestD13_QuestionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, g, v := gatedRig(t)
		var wg sync.WaitGroup
		var busy atomic.Int64
		for i := range 300 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), fmt.Sprint("token-", i)); errors.Is(err, oidckit.ErrUnavailable) {
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		require.EqualValues(t, 44, busy.Load())
		require.EqualValues(t, 256, g.waiting.Load())
		close(g.open)
		wg.Wait()
	})
}

func TestIntrospectionVerifier_RefusesConfig(t *testing.T) {
	t.Parallel()
	_, client := setup(t)
	for field, change := range map[string]func(*oidc.IntrospectionVerifierConfig){
		"Audience":       func(c *oidc.IntrospectionVerifierConfig) { c.Audience = nil },
		"Audience empty": func(c *oidc.IntrospectionVerifierConfig) { c.Audience = []string{api, ""} },
		"RequiredClaims": func(c *oidc.IntrospectionVerifierConfig) { c.RequiredClaims = []claims.Path{{}} },
		"Cache":          func(c *oidc.IntrospectionVerifierConfig) { c.Cache.MaxAge = 10*time.Minute + 1 },
		"Cache -":        func(c *oidc.IntrospectionVerifierConfig) { c.Cache.MaxAge = -1 },
		"Cache tokens":   func(c *oidc.IntrospectionVerifierConfig) { c.Cache.MaxTokens = -1 },
	} {
		cfg := oidc.IntrospectionVerifierConfig{Audience: []string{api}}
		change(&cfg)
		_, err := oidc.NewIntrospectionVerifier(client, cfg)
		name, _, _ := strings.Cut(field, " ")
		require.ErrorContains(t, err, "IntrospectionVerifierConfig."+name, field)
	}
	for _, c := range []*oidc.Client{nil, {}} {
		_, err := oidc.NewIntrospectionVerifier(c, oidc.IntrospectionVerifierConfig{Audience: []string{api}})
		require.Error(t, err)
	}
}

func TestM10_ZeroVerifiersRefuseEverything(t *testing.T) {
	t.Parallel()
	for _, v := range []accessVerifier{
		(*oidc.IntrospectionVerifier)(nil), &oidc.IntrospectionVerifier{}, (*oidc.TokenDispatcher)(nil), &oidc.TokenDispatcher{},
	} {
		token, err := v.Verify(t.Context(), "token")
		require.Nil(t, token)
		require.Error(t, err)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	}
}
