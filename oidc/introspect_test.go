package oidc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// resourceServer is a client that logs nobody in.
func resourceServer(cfg *oidc.ClientConfig) { cfg.RedirectURL = "" }

func signedAnswers(cfg *oidc.ClientConfig) { cfg.SignedIntrospection = &oidc.SignedIntrospection{} }

// introspected holds for every test that there is an answer exactly if there is no error.
func introspected(t testing.TB, c *oidc.Client, token string, options ...oidc.Option) (*oidc.Introspection, error) {
	t.Helper()
	i, err := c.Introspect(t.Context(), token, options...)
	require.Equal(t, err == nil, i != nil)
	if err != nil {
		tellsNothing(t, err, token)
		require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), marker)
	}
	return i, err
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*oidc.ClientConfig){"JSON": func(*oidc.ClientConfig) {}, "signed": signedAnswers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r, via := record(op)
			client := newClient(t, newProvider(t, op, via), resourceServer, configure, func(c *oidc.ClientConfig) {
				c.Resources = []string{"https://of-logins.example"}
			})
			token := op.AccessToken("alice", api, "read", "write")
			i, err := introspected(t, client, token, oidc.WithParameter("token_type_hint", "access_token"))
			require.NoError(t, err)
			require.Equal(t, op.Issuer(), i.Issuer)
			require.Equal(t, marker+"-alice", i.Subject)
			require.Equal(t, "alice", i.Username)
			require.Equal(t, oidctest.ClientID, i.ClientID)
			require.Equal(t, []string{api}, i.Audience)
			require.Equal(t, []string{"read", "write"}, i.Scopes)
			require.Equal(t, "Bearer", i.TokenType)
			require.NotEmpty(t, i.ID)
			require.True(t, i.Expiry.Equal(start.Add(5*time.Minute)), i.Expiry)
			require.True(t, i.IssuedAt.Equal(start))
			require.False(t, i.Bound)
			active, err := i.Claims.Bool(claims.P("active"))
			require.NoError(t, err)
			require.True(t, active)

			requests, forms := r.sent(oidctest.Introspection)
			require.Len(t, requests, 1)
			require.Equal(t, token, forms[0].Get("token"))
			require.Equal(t, "access_token", forms[0].Get("token_type_hint"))
			require.NotContains(t, forms[0], "resource")

			for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", i, i, *i, *i), i.LogValue().String()} {
				require.NotContains(t, shown, marker)
			}
			op.Advance(time.Hour)
			_, err = introspected(t, client, token)
			requireRefused(t, err, oidc.ReasonRevoked, "")
		})
	}
}

func TestIntrospect_TokenThatIsNone(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	for _, token := range []string{"", "a b", "a\nb", "ä", strings.Repeat("a", 16<<10+1)} {
		_, err := client.Introspect(t.Context(), token)
		requireRefused(t, err, oidc.ReasonMalformed, "")
	}
	require.Zero(t, op.Requests(oidctest.Introspection))
	_, err := introspected(t, client, strings.Repeat("a", 16<<10))
	requireRefused(t, err, oidc.ReasonRevoked, "")
}

// D13: "active" is a boolean, and without it nothing is known; what else the answer says
// of itself is believed only if it can be true.
func TestD13_WhatAnAnswerSays(t *testing.T) {
	t.Parallel()
	now := start.Unix()
	type outcome struct {
		reason oidc.Reason // empty: cannot be judged
		claim  string
	}
	unknown := outcome{}
	for name, tt := range map[string]struct {
		member string
		value  any
		want   outcome
	}{
		"no active":          {"active", nil, unknown},
		"active is text":     {"active", "true", unknown},
		"active is a number": {"active", 1, unknown},
		"active is null":     {"active", null, unknown},
		"active is a list":   {"active", []bool{true}, unknown},
		"inactive":           {"active", false, outcome{oidc.ReasonRevoked, ""}},
		"other issuer":       {"iss", "https://evil.example", outcome{oidc.ReasonIssuer, "iss"}},
		"issuer is a list":   {"iss", []string{issuer}, outcome{oidc.ReasonIssuer, "iss"}},
		"expired":            {"exp", now - 61, outcome{oidc.ReasonExpired, "exp"}},
		"exp is text":        {"exp", "tomorrow", outcome{oidc.ReasonClaim, "exp"}},
		"nbf":                {"nbf", now + 61, outcome{oidc.ReasonNotYetValid, "nbf"}},
		"iat":                {"iat", now + 61, outcome{oidc.ReasonNotYetValid, "iat"}},
		"empty sub":          {"sub", "", outcome{oidc.ReasonSubject, "sub"}},
		"sub is a number":    {"sub", 1, outcome{oidc.ReasonSubject, "sub"}},
		"aud is a number":    {"aud", 1, outcome{oidc.ReasonAudience, "aud"}},
		"empty aud":          {"aud", []string{}, outcome{oidc.ReasonAudience, "aud"}},
		"scope is a number":  {"scope", 1, outcome{oidc.ReasonClaim, "scope"}},
		"client is a list":   {"client_id", []string{"a"}, outcome{oidc.ReasonClaim, "client_id"}},
		"username":           {"username", 1, outcome{oidc.ReasonClaim, "username"}},
		"token_type":         {"token_type", true, outcome{oidc.ReasonClaim, "token_type"}},
		"jti":                {"jti", 1, outcome{oidc.ReasonClaim, "jti"}},
		"names in two cases": {"ACTIVE", true, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, client := setup(t)
			op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { change(answer, tt.member, tt.value) })
			_, err := introspected(t, client, op.AccessToken("alice", api))
			if tt.want == unknown {
				requireUnavailable(t, err)
				return
			}
			requireRefused(t, err, tt.want.reason, tt.want.claim)
		})
	}
}

func change(o object, name string, value any) {
	if o[name] = value; value == nil {
		delete(o, name)
	}
}

// D13: what is missing is missing, and no default stands in for it.
func TestD13_AlmostEverythingIsOptional(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"active":true}`, `{"active":true,"iss":null,"sub":null,"aud":null,"exp":null,"iat":null,"nbf":null,"client_id":null,"cnf":null,"username":null}`,
	} {
		op, client := setup(t)
		op.SetFault(oidctest.Introspection, oidctest.Fault{Body: body})
		i, err := introspected(t, client, "opaque")
		require.NoError(t, err)
		i.Claims = claims.Set{}
		require.Equal(t, &oidc.Introspection{}, i)
	}
}

// D13: a token that is bound to a key says so.
func TestD13_BoundTokenIsToldApart(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["cnf"] = object{"jkt": "x"} })
	i, err := introspected(t, client, op.AccessToken("alice", api))
	require.NoError(t, err)
	require.True(t, i.Bound)
}

// D13, RFC 9701: an answer is signed for us, by the provider, as an answer, just now; and a
// bad answer is not the token's fault.
func TestD13_SignedAnswers(t *testing.T) {
	t.Parallel()
	now := start.Unix()
	for name, tt := range map[string]struct {
		header, claims object
		reason         oidc.Reason // empty: accepted
		claim          string
	}{
		"right":                 {},
		"typ with application/": {header: object{"typ": "application/Token-Introspection+JWT"}},
		"aud is a list":         {claims: object{"aud": []string{"other", oidctest.ClientID}}},
		"iss is aud inside":     {claims: object{"token_introspection": object{"active": true, "aud": "https://other.example"}}},
		"an access token":       {header: object{"typ": "at+jwt"}, reason: oidc.ReasonType, claim: "typ"},
		"an ID token":           {header: object{"typ": "JWT"}, reason: oidc.ReasonType, claim: "typ"},
		"untyped":               {header: object{"typ": nil}, reason: oidc.ReasonType, claim: "typ"},
		"other issuer":          {claims: object{"iss": "https://evil.example"}, reason: oidc.ReasonIssuer, claim: "iss"},
		"no issuer":             {claims: object{"iss": nil}, reason: oidc.ReasonIssuer, claim: "iss"},
		"other audience":        {claims: object{"aud": "other"}, reason: oidc.ReasonAudience, claim: "aud"},
		"no audience":           {claims: object{"aud": nil}, reason: oidc.ReasonAudience, claim: "aud"},
		"no iat":                {claims: object{"iat": nil}, reason: oidc.ReasonClaim, claim: "iat"},
		"old":                   {claims: object{"iat": now - 71}, reason: oidc.ReasonTooOld, claim: "iat"},
		"young enough":          {claims: object{"iat": now - 70}},
		"of tomorrow":           {claims: object{"iat": now + 61}, reason: oidc.ReasonNotYetValid, claim: "iat"},
		"no answer":             {claims: object{"token_introspection": nil}, reason: oidc.ReasonClaim, claim: "token_introspection"},
		"answer is text":        {claims: object{"token_introspection": `{"active":true}`}, reason: oidc.ReasonClaim, claim: "token_introspection"},
		"active beside it":      {claims: object{"active": true, "token_introspection": nil}, reason: oidc.ReasonClaim, claim: "token_introspection"},
		"key":                   {header: object{"kid": "unknown"}, reason: oidc.ReasonKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			client := newClient(t, newProvider(t, op), resourceServer, signedAnswers)
			op.OnSignedAnswer(oidctest.Introspection, func(header, claims map[string]any) {
				for name, value := range tt.header {
					change(header, name, value)
				}
				for name, value := range tt.claims {
					change(claims, name, value)
				}
			})
			_, err := introspected(t, client, op.AccessToken("alice", api))
			if tt.reason == "" {
				require.NoError(t, err)
				return
			}
			requireUnavailable(t, err)
			var refusal *oidc.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, tt.reason, refusal.Reason)
			require.Equal(t, tt.claim, refusal.Claim)
			require.Contains(t, err.Error(), string(tt.reason))
		})
	}
}

// D13: whoever wants signed answers gets no other taken.
func TestD13_SignedAnswersAreNotDowngraded(t *testing.T) {
	t.Parallel()
	for _, f := range []oidctest.Fault{
		{Body: `{"active":true}`},
		{Body: `{"active":true}`, ContentType: "application/token-introspection+jwt"},
		{Body: "a.b.c", ContentType: "application/jwt"},
	} {
		op := newOP(t)
		client := newClient(t, newProvider(t, op), signedAnswers)
		op.SetFault(oidctest.Introspection, f)
		_, err := introspected(t, client, "opaque")
		requireUnavailable(t, err)
	}
	// Nor is one taken that nobody asked for, or that is called something else.
	op, client := setup(t)
	op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/jwt", Body: op.Sign(object{"typ": "token-introspection+jwt"}, object{
		"iss": issuer, "aud": oidctest.ClientID, "iat": start.Unix(), "token_introspection": object{"active": true},
	})})
	_, err := introspected(t, newClient(t, newProvider(t, op), signedAnswers), "opaque")
	requireUnavailable(t, err)
	op.SetFault(oidctest.Introspection, oidctest.Fault{
		ContentType: "application/token-introspection+jwt", Body: op.Sign(object{"typ": "token-introspection+jwt"}, object{"active": true}),
	})
	_, err = introspected(t, client, "opaque")
	requireUnavailable(t, err)
}

func TestIntrospect_SignatureIsChecked(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), signedAnswers)
	raw := op.Sign(object{"typ": "token-introspection+jwt"}, object{
		"iss": issuer, "aud": oidctest.ClientID, "iat": start.Unix(), "token_introspection": object{"active": true},
	})
	at := strings.LastIndexByte(raw, '.') + 10
	changed := map[bool]string{true: "B", false: "A"}[raw[at] == 'A']
	op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/token-introspection+jwt", Body: raw[:at] + changed + raw[at+1:]})
	_, err := introspected(t, client, "opaque")
	requireUnavailable(t, err)
	var refusal *oidc.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, oidc.ReasonSignature, refusal.Reason)

	op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/token-introspection+jwt", Body: raw})
	_, err = introspected(t, client, "opaque")
	require.NoError(t, err)
}

func TestIntrospect_EncryptedAnswer(t *testing.T) {
	t.Parallel()
	op, r := newOP(t), newRecipient(t)
	open := func(c *oidc.ClientConfig) { c.DecryptionKeys = []jwks.DecryptionKey{r.key} }
	raw := op.Sign(object{"typ": "token-introspection+jwt"}, object{
		"iss": issuer, "aud": "https://us.example", "iat": start.Unix(), "token_introspection": object{"active": true, "sub": "s"},
	})
	named := func(c *oidc.ClientConfig) {
		c.SignedIntrospection = &oidc.SignedIntrospection{Audience: "https://us.example", Algorithms: []string{"ES256"}}
	}
	for name, body := range map[string]string{"encrypted": r.encrypt(t, raw), "signed alone": raw} {
		op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/token-introspection+jwt", Body: body})
		i, err := introspected(t, newClient(t, newProvider(t, op), named, open), "opaque")
		require.NoError(t, err, name)
		require.Equal(t, "s", i.Subject)
	}
	// What is encrypted and not signed is of anybody.
	op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/token-introspection+jwt", Body: r.encrypt(t, `{"active":true}`)})
	_, err := introspected(t, newClient(t, newProvider(t, op), named, open), "opaque")
	requireUnavailable(t, err)
	// Another algorithm is not on the list.
	op.SetFault(oidctest.Introspection, oidctest.Fault{ContentType: "application/token-introspection+jwt", Body: raw})
	_, err = introspected(t, newClient(t, newProvider(t, op), open, func(c *oidc.ClientConfig) {
		c.SignedIntrospection = &oidc.SignedIntrospection{Audience: "https://us.example", Algorithms: []string{"RS256"}}
	}), "opaque")
	var refusal *oidc.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, oidc.ReasonAlgorithm, refusal.Reason)
}

func TestIntrospect_Configuration(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, cfg := range []oidc.SignedIntrospection{{Algorithms: []string{"none"}}, {Algorithms: []string{"HS256"}}, {Audience: "a\nb"}} {
		c := clientConfig()
		c.SignedIntrospection = &cfg
		_, err := oidc.NewClient(newProvider(t, op), c)
		require.ErrorContains(t, err, "ClientConfig.SignedIntrospection.")
	}
	m := metadataOf(op)
	_, err := introspected(t, newClient(t, newProvider(t, op, withMetadata(m))), "opaque")
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
}

// A provider that refuses us has said nothing about the token, and one that is not well
// neither.
func TestIntrospect_RefusalsAndOutages(t *testing.T) {
	t.Parallel()
	for _, configure := range []func(*oidc.ClientConfig){func(*oidc.ClientConfig) {}, signedAnswers} {
		op := newOP(t)
		client := newClient(t, newProvider(t, op), configure, func(c *oidc.ClientConfig) { c.ClientSecret = marker + "-wrong" })
		_, err := introspected(t, client, "opaque")
		var re *oidc.ResponseError
		require.ErrorAs(t, err, &re)
		require.Equal(t, "invalid_client", re.Code)
		for name, f := range outages() {
			op.SetFault(oidctest.Introspection, f)
			_, err := introspected(t, client, "opaque")
			require.Error(t, err, name)
			requireUnavailable(t, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		op.SetFault(oidctest.Introspection, oidctest.Fault{Hang: true})
		began := time.Now()
		_, err := introspected(t, client, "opaque")
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
	// Keys that cannot be had are an outage too.
	op := newOP(t)
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	_, err := introspected(t, newClient(t, newProvider(t, op), signedAnswers), op.AccessToken("alice", api))
	requireUnavailable(t, err)
	var refusal *oidc.Error
	require.NotErrorAs(t, err, &refusal)
}

// Whatever the endpoint says, a token is active only if it says so in the one right way.
func FuzzIntrospectionIsActiveOnlyIfItSaysSo(f *testing.F) {
	op := newOP(f)
	client := newClient(f, newProvider(f, op))
	seeds := []string{`{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"Active":true}`, `{"active":true,"active":true}`, `[]`, `{"active":true,"exp":1}`, ``}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" {
			body = " "
		}
		op.SetFault(oidctest.Introspection, oidctest.Fault{Body: body})
		i, err := client.Introspect(t.Context(), "opaque")
		require.Equal(t, err == nil, i != nil)
		if err == nil {
			var members map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(body), &members))
			require.Equal(t, "true", string(members["active"]))
		}
	})
}
