package oidc_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A judge is a verifier of any kind.
type judge func(ctx context.Context, raw string) error

// An accessVerifier is an AccessTokenVerifier or Issuers.
type accessVerifier interface {
	Verify(ctx context.Context, raw string) (*oidc.AccessToken, error)
}

func judgeAccess(t testing.TB, v accessVerifier) judge {
	return func(ctx context.Context, raw string) error {
		_, err := verifyAccess(ctx, t, v, raw)
		return err
	}
}

// verifyAccess holds for every test that there is a token exactly if there is no error
// (J49), and that the error tells nothing of it.
func verifyAccess(ctx context.Context, t testing.TB, v accessVerifier, raw string) (*oidc.AccessToken, error) {
	t.Helper()
	token, err := v.Verify(ctx, raw)
	require.Equal(t, err == nil, token != nil)
	tellsNoPart(t, err, raw)
	return token, err
}

func judgeID(t testing.TB, v *oidc.IDTokenVerifier, nonce string) judge {
	return func(ctx context.Context, raw string) error {
		token, err := v.Verify(ctx, raw, nonce)
		require.Equal(t, err == nil, token != nil)
		tellsNoPart(t, err, raw)
		return err
	}
}

func judgeLogout(t testing.TB, v *oidc.LogoutTokenVerifier) judge {
	return func(ctx context.Context, raw string) error {
		token, err := v.Verify(ctx, raw)
		require.Equal(t, err == nil, token != nil)
		tellsNoPart(t, err, raw)
		return err
	}
}

// tellsNoPart asserts that the text of an error, if there is one, holds no part of the
// token.
func tellsNoPart(t testing.TB, err error, raw string) {
	t.Helper()
	if err == nil {
		return
	}
	tellsNothing(t, err)
	for part := range strings.SplitSeq(raw, ".") {
		if len(part) > 8 {
			tellsNothing(t, err, part)
		}
	}
}

// idClaims are the claims of a right ID token that no login of ours asked for.
func idClaims(op *oidctest.Provider) object {
	return with(accessClaims(op), object{"aud": oidctest.ClientID, "client_id": nil, "scope": nil})
}

func newIDVerifier(t testing.TB, p *oidc.Provider, configure ...func(*oidc.IDTokenConfig)) *oidc.IDTokenVerifier {
	t.Helper()
	cfg := oidc.IDTokenConfig{ClientID: oidctest.ClientID}
	for _, f := range configure {
		f(&cfg)
	}
	v, err := oidc.NewIDTokenVerifier(p, cfg)
	require.NoError(t, err)
	return v
}

func newLogoutVerifier(t testing.TB, p *oidc.Provider, configure ...func(*oidc.LogoutTokenConfig)) *oidc.LogoutTokenVerifier {
	t.Helper()
	cfg := oidc.LogoutTokenConfig{ClientID: oidctest.ClientID, Replay: replayable{}} // TestF23_… have the memory
	for _, f := range configure {
		f(&cfg)
	}
	v, err := oidc.NewLogoutTokenVerifier(p, cfg)
	require.NoError(t, err)
	return v
}

// replayable is a store for which every token is the first.
type replayable struct{}

func (replayable) Once(context.Context, string, time.Time) (bool, error) { return true, nil }

// requireConfigError asserts that a configuration was refused and that the error names
// the field.
func requireConfigError(t testing.TB, err error, field string) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, err.Error(), "oidc: "+field)
	tellsNothing(t, err)
}

// requireVerdict asserts that a token was accepted, if the reason is empty, or refused
// for the reason.
func requireVerdict(t testing.TB, err error, reason oidc.Reason, claim string) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	requireRefused(t, err, reason, claim)
}

// What all verifiers have in common is refused in the configuration of each.
func TestTrust_RefusesConfig(t *testing.T) {
	t.Parallel()
	p := newProvider(t, newOP(t))
	for field, common := range map[string]struct {
		leeway, maxAge time.Duration
		algorithms     []string
		required       []claims.Path
	}{
		"Leeway":         {leeway: -1},
		"Leeway ":        {leeway: 5*time.Minute + 1},
		"MaxAge":         {maxAge: -1},
		"Algorithms":     {algorithms: []string{"none"}},
		"Algorithms ":    {algorithms: []string{"RS256", "HS256"}},
		"Algorithms  ":   {algorithms: []string{"HS256"}}, // the provider's keys are public
		"RequiredClaims": {required: []claims.Path{claims.P("email"), {}}},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			field := strings.TrimSpace(field)
			access, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{
				Audience: []string{api}, Leeway: common.leeway, MaxAge: common.maxAge,
				Algorithms: common.algorithms, RequiredClaims: common.required,
			})
			require.Nil(t, access)
			requireConfigError(t, err, "AccessTokenConfig."+field)
			id, err := oidc.NewIDTokenVerifier(p, oidc.IDTokenConfig{
				ClientID: oidctest.ClientID, Leeway: common.leeway, MaxAge: common.maxAge,
				Algorithms: common.algorithms, RequiredClaims: common.required,
			})
			require.Nil(t, id)
			requireConfigError(t, err, "IDTokenConfig."+field)
			if common.required != nil {
				return
			}
			logout, err := oidc.NewLogoutTokenVerifier(p, oidc.LogoutTokenConfig{
				ClientID: oidctest.ClientID, Leeway: common.leeway, MaxAge: common.maxAge, Algorithms: common.algorithms,
			})
			require.Nil(t, logout)
			requireConfigError(t, err, "LogoutTokenConfig."+field)
		})
	}

	_, err := oidc.NewAccessTokenVerifier(nil, oidc.AccessTokenConfig{Audience: []string{api}})
	requireConfigError(t, err, "AccessTokenConfig")
	_, err = oidc.NewIDTokenVerifier(nil, oidc.IDTokenConfig{ClientID: oidctest.ClientID})
	requireConfigError(t, err, "IDTokenConfig")
	_, err = oidc.NewLogoutTokenVerifier(nil, oidc.LogoutTokenConfig{ClientID: oidctest.ClientID})
	requireConfigError(t, err, "LogoutTokenConfig")
	for _, id := range []string{"", "a\n"} {
		_, err = oidc.NewIDTokenVerifier(p, oidc.IDTokenConfig{ClientID: id})
		requireConfigError(t, err, "IDTokenConfig.ClientID")
		_, err = oidc.NewLogoutTokenVerifier(p, oidc.LogoutTokenConfig{ClientID: id})
		requireConfigError(t, err, "LogoutTokenConfig.ClientID")
	}
}

func TestJ34_AudiencePolicyRefusesConfig(t *testing.T) {
	t.Parallel()
	p := newProvider(t, newOP(t))
	for field, cfg := range map[string]oidc.AccessTokenConfig{
		"Audience":       {},
		"Audience ":      {RequireAllAudiences: true, Audience: []string{}},
		"Audience  ":     {AudienceClaim: "client_id", Audience: []string{""}},
		"AudienceClaim":  {Audience: []string{api}, AudienceClaim: "sub"},
		"AudienceClaim ": {Audience: []string{api}, AudienceClaim: "AUD"},
	} {
		v, err := oidc.NewAccessTokenVerifier(p, cfg)
		require.Nil(t, v, field)
		requireConfigError(t, err, "AccessTokenConfig."+strings.TrimSpace(field))
	}
}

// J34, J35: whom a token is for, by each policy.
func TestJ34_AudiencePolicies(t *testing.T) {
	t.Parallel()
	const other, stranger = "https://other.example", "https://stranger.example"
	const spa = "spa"
	anyOf := func(c *oidc.AccessTokenConfig) { c.Audience = []string{api, other} }
	allOf := func(c *oidc.AccessTokenConfig) { anyOf(c); c.RequireAllAudiences = true }
	by := func(claim string, clients ...string) func(*oidc.AccessTokenConfig) {
		return func(c *oidc.AccessTokenConfig) { c.AudienceClaim, c.Audience = claim, clients }
	}
	allBy := func(c *oidc.AccessTokenConfig) { by("client_id", spa)(c); c.RequireAllAudiences = true }
	aud := func(v ...any) object {
		if len(v) == 1 {
			return object{"aud": v[0]}
		}
		return object{"aud": v}
	}
	for name, tt := range map[string]struct {
		policy func(*oidc.AccessTokenConfig)
		claims object
		reason oidc.Reason // empty: accepted
		claim  string
	}{
		"any: the first":           {anyOf, aud(api), "", ""},
		"any: the second":          {anyOf, aud(other), "", ""},
		"any: beside a stranger":   {anyOf, aud(stranger, other), "", ""},
		"any: both":                {anyOf, aud(other, api), "", ""},
		"any: a stranger":          {anyOf, aud(stranger), oidc.ReasonAudience, "aud"},
		"any: client_id is no aud": {anyOf, object{"aud": stranger, "client_id": api}, oidc.ReasonAudience, "aud"},
		"any: missing":             {anyOf, aud(nil), oidc.ReasonAudience, "aud"},

		"all: both":            {allOf, aud(api, other), "", ""},
		"all: both, reversed":  {allOf, aud(other, stranger, api), "", ""},
		"all: the first":       {allOf, aud(api), oidc.ReasonAudience, "aud"},
		"all: the second":      {allOf, aud(stranger, other), oidc.ReasonAudience, "aud"},
		"all: neither":         {allOf, aud(stranger), oidc.ReasonAudience, "aud"},
		"all: missing":         {allOf, aud(nil), oidc.ReasonAudience, "aud"},
		"all: the first twice": {allOf, aud(api, api), oidc.ReasonAudience, "aud"},

		`claim "aud" is the default`: {by("aud", api), aud(api), "", ""},
		`claim "aud", missing`:       {by("aud", api), aud(nil), oidc.ReasonAudience, "aud"},

		"client_id without aud":    {by("client_id", "x", spa), object{"client_id": spa, "aud": nil}, "", ""},
		"client_id, other aud":     {by("client_id", spa), object{"client_id": spa}, "", ""},
		"client_id of another":     {by("client_id", spa), object{"client_id": "x", "aud": nil}, oidc.ReasonAudience, "client_id"},
		"client_id, our name: aud": {by("client_id", spa), object{"client_id": "x", "aud": spa}, oidc.ReasonAudience, "client_id"},
		"client_id, our name: azp": {by("client_id", spa), object{"client_id": "x", "azp": spa}, oidc.ReasonAudience, "client_id"},
		"client_id missing":        {by("client_id", spa), object{"client_id": nil, "azp": spa}, oidc.ReasonAudience, "client_id"},
		"client_id null":           {by("client_id", spa), object{"client_id": null}, oidc.ReasonAudience, "client_id"},
		"client_id number":         {by("client_id", "1"), object{"client_id": 1}, oidc.ReasonAudience, "client_id"},
		"client_id list":           {by("client_id", spa), object{"client_id": []string{spa}}, oidc.ReasonAudience, "client_id"},
		"client_id empty":          {by("client_id", spa), object{"client_id": ""}, oidc.ReasonAudience, "client_id"},
		"client_id, aud null":      {by("client_id", spa), object{"client_id": spa, "aud": null}, oidc.ReasonAudience, "aud"},
		"client_id, aud empty":     {by("client_id", spa), object{"client_id": spa, "aud": ""}, oidc.ReasonAudience, "aud"},
		"client_id, aud no list":   {by("client_id", spa), object{"client_id": spa, "aud": []string{}}, oidc.ReasonAudience, "aud"},
		"client_id, aud number":    {by("client_id", spa), object{"client_id": spa, "aud": []any{api, 1}}, oidc.ReasonAudience, "aud"},
		"client_id, all":           {allBy, object{"client_id": spa, "aud": nil}, "", ""},
		"client_id, all, another":  {allBy, object{"client_id": "x", "aud": nil}, oidc.ReasonAudience, "client_id"},

		"azp without aud": {by("azp", spa), object{"azp": spa, "aud": nil}, "", ""},
		"azp of another":  {by("azp", spa), object{"azp": "x", "client_id": spa, "aud": spa}, oidc.ReasonAudience, "azp"},
		"azp missing":     {by("azp", spa), object{"client_id": spa, "aud": spa}, oidc.ReasonAudience, "azp"},
		"azp, aud object": {by("azp", spa), object{"azp": spa, "aud": object{}}, oidc.ReasonAudience, "aud"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			v := newVerifier(t, newProvider(t, op), tt.policy)
			raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), tt.claims))
			_, err := verifyAccess(t.Context(), t, v, raw)
			requireVerdict(t, err, tt.reason, tt.claim)
			if tt.reason != "" {
				require.Zero(t, requests(op))
			}
		})
	}
}

func TestJ34_AudienceIsTheVerifiersOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	audience := []string{api}
	v := newVerifier(t, newProvider(t, op), func(c *oidc.AccessTokenConfig) { c.Audience = audience })
	audience[0] = "changed afterwards"
	_, err := v.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.NoError(t, err)
}

// agers are the verifiers that know a MaxAge, with a token of each.
func agers(t *testing.T, op *oidctest.Provider, leeway, maxAge time.Duration) map[string]func(changes object) (judge, string) {
	t.Helper()
	p := newProvider(t, op)
	access := func(typ string, untyped bool) func(object) (judge, string) {
		v := newVerifier(t, p, func(c *oidc.AccessTokenConfig) {
			c.Leeway, c.MaxAge, c.InsecureAllowUntyped = leeway, maxAge, untyped
		})
		return func(changes object) (judge, string) {
			return judgeAccess(t, v), op.Sign(object{"typ": typ}, with(accessClaims(op), changes))
		}
	}
	id := newIDVerifier(t, p, func(c *oidc.IDTokenConfig) { c.Leeway, c.MaxAge = leeway, maxAge })
	logout := newLogoutVerifier(t, p, func(c *oidc.LogoutTokenConfig) { c.Leeway, c.MaxAge = leeway, maxAge })
	return map[string]func(object) (judge, string){
		"access token": access("at+jwt", false), "untyped access token": access("JWT", true),
		"ID token": func(changes object) (judge, string) {
			return judgeID(t, id, ""), op.Sign(object{"typ": "JWT"}, with(idClaims(op), changes))
		},
		"logout token": func(changes object) (judge, string) {
			return judgeLogout(t, logout), op.Sign(object{"typ": "logout+jwt"}, with(logoutClaims(op), changes))
		},
	}
}

func TestJ31_MaxAgeToTheNanosecond(t *testing.T) {
	t.Parallel()
	const maxAge = 10 * time.Minute
	long := object{"exp": start.Unix() + 7200}
	for _, leeway := range []time.Duration{0, time.Second, 5 * time.Minute} {
		effective := leeway
		if leeway == 0 {
			effective = time.Minute // the default
		}
		op := newOP(t)
		for name, ager := range agers(t, op, leeway, maxAge) {
			t.Run(fmt.Sprint(name, "/", leeway), func(t *testing.T) {
				judge, raw := ager(long)
				require.NoError(t, judge(t.Context(), raw))
				op.Advance(maxAge + effective)
				require.NoError(t, judge(t.Context(), raw), "at exactly iat+MaxAge+leeway")
				op.Advance(1)
				requireRefused(t, judge(t.Context(), raw), oidc.ReasonTooOld, "iat")
				// J33: what has expired as well says so.
				op.Advance(2 * time.Hour)
				requireRefused(t, judge(t.Context(), raw), oidc.ReasonExpired, "exp")
				op.Advance(-2*time.Hour - maxAge - effective - 1)
			})
		}
	}
}

func TestJ31_MaxAgeNeedsIssuedAt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for name, ager := range agers(t, op, 0, 10*time.Minute) {
		judge, raw := ager(object{"iat": nil})
		requireRefused(t, judge(t.Context(), raw), oidc.ReasonClaim, "iat")
		require.Zero(t, requests(op), name)
	}
	// Without MaxAge it is RFC 9068 that wants an iat, and the age does not matter.
	v := newVerifier(t, newProvider(t, op), untyped)
	for _, iat := range []any{nil, 0, start.Add(-10 * 365 * 24 * time.Hour).Unix()} {
		_, err := verifyAccess(t.Context(), t, v, op.Sign(object{"typ": "JWT"}, with(accessClaims(op), object{"iat": iat})))
		require.NoError(t, err, iat)
	}
}

// What is too old costs no request, whoever signed it.
func TestJ31_MaxAgeComesBeforeTheSignature(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for name, ager := range agers(t, op, 0, 10*time.Minute) {
		judge, raw := ager(object{"exp": start.Unix() + 7200, "iat": start.Add(-11*time.Minute - time.Second).Unix()})
		requireRefused(t, judge(t.Context(), forgeSignature(raw)), oidc.ReasonTooOld, "iat")
		require.Zero(t, requests(op), name)
	}
}

// forgeSignature puts a signature of ES256 under a token that is not its own.
func forgeSignature(raw string) string {
	return raw[:strings.LastIndexByte(raw, '.')+1] + encode([]byte(strings.Repeat("x", 64)))
}

func TestRequiredClaims(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	required := []claims.Path{claims.P("email"), claims.P("realm_access", "roles")}
	access := newVerifier(t, p, func(c *oidc.AccessTokenConfig) { c.RequiredClaims = required })
	id := newIDVerifier(t, p, func(c *oidc.IDTokenConfig) { c.RequiredClaims = required })
	right := object{"realm_access": object{"roles": []string{"admin"}}}
	for name, tt := range map[string]struct {
		claims object
		claim  string // empty: accepted
	}{
		"both":                   {nil, ""},
		"any value but null":     {object{"email": false, "realm_access": object{"roles": []string{}}}, ""},
		"missing":                {object{"email": nil}, "email"},
		"null":                   {object{"email": null}, "email"},
		"nested, missing":        {object{"realm_access": object{"role": 1}}, "realm_access.roles"},
		"nested, null":           {object{"realm_access": object{"roles": null}}, "realm_access.roles"},
		"nested, parent missing": {object{"realm_access": nil}, "realm_access.roles"},
		"nested, parent null":    {object{"realm_access": null}, "realm_access.roles"},
		"nested, parent text":    {object{"realm_access": marker}, "realm_access.roles"},
		"the path as a name":     {object{"realm_access": nil, "realm_access.roles": 1}, "realm_access.roles"},
	} {
		t.Run(name, func(t *testing.T) {
			reason := oidc.Reason("")
			if tt.claim != "" {
				reason = oidc.ReasonClaim
			}
			for judge, raw := range map[*judge]string{
				ptr(judgeAccess(t, access)): op.Sign(object{"typ": "at+jwt"}, with(with(accessClaims(op), right), tt.claims)),
				ptr(judgeID(t, id, "")):     op.Sign(nil, with(with(idClaims(op), right), tt.claims)),
			} {
				requireVerdict(t, (*judge)(t.Context(), raw), reason, tt.claim)
				// A stranger does not learn what the configuration asks for.
				requireRefused(t, (*judge)(t.Context(), forgeSignature(raw)), oidc.ReasonSignature, "")
			}
		})
	}

	required[0] = claims.P("changed afterwards")
	require.NoError(t, judgeAccess(t, access)(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), right))))
	require.NoError(t, judgeID(t, id, "")(t.Context(), op.Sign(nil, with(idClaims(op), right))))
}

func ptr[T any](v T) *T { return &v }

// RFC 9864 gives EdDSA, which is Ed25519 here always, its own name: both are one
// algorithm, wherever either of them stands.
func TestEd25519IsEdDSA(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	op := newOP(t)
	sign := func(alg, typ string, claims object) string {
		input := encodeJSON(object{"alg": alg, "typ": typ}) + "." + encodeJSON(claims)
		return input + "." + encode(ed25519.Sign(private, []byte(input)))
	}
	for _, ofKey := range []string{"", "EdDSA", "Ed25519"} {
		key, err := jwks.NewKey(public, "", ofKey)
		require.NoError(t, err)
		p := newProvider(t, op, func(c *oidc.Config) { c.Keys = jwks.Static{key} })
		for _, allowed := range [][]string{nil, {"EdDSA"}, {"Ed25519"}, {"ES256"}} {
			access := judgeAccess(t, newVerifier(t, p, func(c *oidc.AccessTokenConfig) { c.Algorithms = allowed }))
			id := judgeID(t, newIDVerifier(t, p, func(c *oidc.IDTokenConfig) { c.Algorithms = allowed }), "")
			logout := judgeLogout(t, newLogoutVerifier(t, p, func(c *oidc.LogoutTokenConfig) { c.Algorithms = allowed }))
			for _, alg := range []string{"EdDSA", "Ed25519"} {
				t.Run(fmt.Sprint(alg, " by a key for ", ofKey, ", allowed ", allowed), func(t *testing.T) {
					reason := oidc.Reason("")
					if len(allowed) > 0 && allowed[0] == "ES256" {
						reason = oidc.ReasonAlgorithm
					}
					requireVerdict(t, access(t.Context(), sign(alg, "at+jwt", accessClaims(op))), reason, "")
					requireVerdict(t, id(t.Context(), sign(alg, "JWT", idClaims(op))), reason, "")
					requireVerdict(t, logout(t.Context(), sign(alg, "logout+jwt", logoutClaims(op))), reason, "")
				})
			}
			// Its other curve is not supported.
			requireRefused(t, access(t.Context(), sign("Ed448", "at+jwt", accessClaims(op))), oidc.ReasonAlgorithm, "")
		}
	}
	require.Zero(t, requests(op))
}

// The list of algorithms is the verifier's own.
func TestJ05_AlgorithmsAreTheVerifiersOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	algorithms := []string{"EdDSA"}
	access := newVerifier(t, p, func(c *oidc.AccessTokenConfig) { c.Algorithms = algorithms })
	id := newIDVerifier(t, p, func(c *oidc.IDTokenConfig) { c.Algorithms = algorithms })
	logout := newLogoutVerifier(t, p, func(c *oidc.LogoutTokenConfig) { c.Algorithms = algorithms })
	algorithms[0] = "ES256"
	for judge, raw := range map[*judge]string{
		ptr(judgeAccess(t, access)): op.Sign(object{"typ": "at+jwt"}, accessClaims(op)),
		ptr(judgeID(t, id, "")):     op.Sign(nil, idClaims(op)),
		ptr(judgeLogout(t, logout)): op.Sign(nil, logoutClaims(op)),
	} {
		requireRefused(t, (*judge)(t.Context(), raw), oidc.ReasonAlgorithm, "")
	}
	require.Zero(t, requests(op))
}

// The algorithm is looked at before anything that the token says.
func TestJ01_AlgorithmComesFirstEverywhere(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	for _, alg := range []string{"none", "HS256"} {
		raw := encodeJSON(object{"alg": alg, "typ": "dpop+jwt"}) + "." + encodeJSON(object{"iss": "https://evil.example"}) + ".AA"
		for _, judge := range []judge{
			judgeAccess(t, newVerifier(t, p)), judgeID(t, newIDVerifier(t, p), ""), judgeLogout(t, newLogoutVerifier(t, p)),
		} {
			requireRefused(t, judge(t.Context(), raw), oidc.ReasonAlgorithm, "")
		}
	}
	require.Zero(t, requests(op))
}
