package oidc_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// The issuers of many tenants, as Entra ID writes them.
const (
	template = "https://login.example/{tenantid}/v2.0"
	tenantA  = "aaaaaaaa-0000-4000-8000-000000000000"
	tenantB  = "bbbbbbbb-0000-4000-8000-000000000000"
	tenantC  = "cccccccc-0000-4000-8000-000000000000" // nobody trusts it
)

func issuerFor(tenant string) string { return "https://login.example/" + tenant + "/v2.0" }

func tenants(list ...string) func(*oidc.Config) { return func(c *oidc.Config) { c.Tenants = list } }

func anyTenant(c *oidc.Config) { c.InsecureAnyTenant = true }

// keyOf returns the current ES256 key of op by the name that its tokens have.
func keyOf(t testing.TB, op *oidctest.Provider) jwks.Key {
	t.Helper()
	key, err := jwks.NewKey(op.PublicKey("ES256"), keyIDOf(op.Sign(nil, object{})), "ES256")
	require.NoError(t, err)
	return key
}

// templateConfig is a provider of many tenants whose tokens op signs.
func templateConfig(t testing.TB, op *oidctest.Provider, configure ...func(*oidc.Config)) oidc.Config {
	t.Helper()
	cfg := oidc.Config{
		Issuer:   template,
		Metadata: &discovery.Metadata{Issuer: template, AuthorizationEndpoint: "https://login.example/authorize"},
		Keys:     jwks.Static{keyOf(t, op)}, Now: op.Now,
	}
	for _, f := range configure {
		f(&cfg)
	}
	return cfg
}

func newTemplate(t testing.TB, op *oidctest.Provider, configure ...func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	p, err := oidc.NewProvider(templateConfig(t, op, configure...))
	require.NoError(t, err)
	return p
}

// everyVerifier judges the same claims as an access token, an ID token and a logout
// token: the policy is the provider's.
func everyVerifier(t *testing.T, op *oidctest.Provider, p *oidc.Provider, changes object, check func(t *testing.T, err error)) {
	t.Helper()
	access, id, logout := newVerifier(t, p), newIDVerifier(t, p), newLogoutVerifier(t, p)
	t.Run("access token", func(t *testing.T) {
		check(t, judgeAccess(t, access)(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), changes))))
	})
	t.Run("ID token", func(t *testing.T) {
		check(t, judgeID(t, id, "")(t.Context(), op.Sign(nil, with(idClaims(op), changes))))
	})
	t.Run("logout token", func(t *testing.T) {
		check(t, judgeLogout(t, logout)(t.Context(), op.Sign(nil, with(logoutClaims(op), changes))))
	})
}

func TestJ36_IssuerAliases(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	aliases := []string{"id.example", "https://id2.example/"}
	p := newProvider(t, op, func(c *oidc.Config) { c.IssuerAliases = aliases })
	aliases[0] = "https://evil.example" // afterwards
	for iss, accepted := range map[string]bool{
		issuer: true, "id.example": true, "https://id2.example/": true,
		"https://evil.example": false, "https://id2.example": false, issuer + "/": false, "ID.example": false, "id.example.": false,
		"": false, "https://id3.example": false,
	} {
		t.Run(iss, func(t *testing.T) {
			require.Equal(t, accepted, p.TrustsIssuer(iss))
			everyVerifier(t, op, p, object{"iss": iss}, func(t *testing.T, err error) {
				if accepted {
					require.NoError(t, err)
					return
				}
				requireRefused(t, err, oidc.ReasonIssuer, "iss")
			})
		})
	}
	// Who asks gets the name that the token has.
	token, err := newVerifier(t, p).Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": "id.example"})))
	require.NoError(t, err)
	require.Equal(t, "id.example", token.Issuer)
	id, err := newIDVerifier(t, p).Verify(t.Context(), op.Sign(nil, with(idClaims(op), object{"iss": "id.example"})), "")
	require.NoError(t, err)
	require.Equal(t, "id.example", id.Issuer)
	require.Equal(t, "id.example", id.GoOIDC.Issuer)
	// Without aliases there is one.
	for _, alias := range aliases {
		_, err = newVerifier(t, newProvider(t, op)).Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": alias})))
		requireRefused(t, err, oidc.ReasonIssuer, "iss")
	}
}

// The slash is the one mistake that nobody sees.
func TestJ36_HintAtTheFinalSlash(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for iss, hint := range map[string]bool{issuer + "/": true, "https://evil.example": false, issuer + "//": false, "http://id.example": false} {
		err := judgeAccess(t, newVerifier(t, newProvider(t, op)))(t.Context(),
			op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": iss})))
		requireRefused(t, err, oidc.ReasonIssuer, "iss")
		var e *oidc.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, hint, e.Err != nil, iss)
		require.NotContains(t, err.Error(), "evil")
	}
}

func TestJ36_IssuerOfATenant(t *testing.T) {
	t.Parallel()
	const iss, tid = "iss", "tid"
	ours, theirs := tenants(tenantA, tenantB), anyTenant
	type row struct {
		policy func(*oidc.Config)
		iss    any
		tenant any
		claim  string // that is at fault; empty: accepted
	}
	rows := map[string]row{
		"A":                      {ours, issuerFor(tenantA), tenantA, ""},
		"B":                      {ours, issuerFor(tenantB), tenantB, ""},
		"A, and B in tid":        {ours, issuerFor(tenantA), tenantB, tid},
		"B, and A in tid":        {ours, issuerFor(tenantB), tenantA, tid},
		"A, and C in tid":        {ours, issuerFor(tenantA), tenantC, tid},
		"C is not listed":        {ours, issuerFor(tenantC), tenantC, iss},
		"C, and A in tid":        {ours, issuerFor(tenantC), tenantA, iss},
		"C, if any will do":      {theirs, issuerFor(tenantC), tenantC, ""},
		"C, and A in tid, any":   {theirs, issuerFor(tenantC), tenantA, tid},
		"A in upper case":        {ours, issuerFor("AAAAAAAA-0000-4000-8000-000000000000"), "AAAAAAAA-0000-4000-8000-000000000000", iss},
		"A in another case":      {theirs, issuerFor(tenantA), "AAAAAAAA-0000-4000-8000-000000000000", tid},
		"common":                 {ours, issuerFor("common"), tenantA, iss},
		"organizations":          {ours, issuerFor("organizations"), "organizations", iss},
		"organizations, any":     {theirs, issuerFor("organizations"), tenantA, tid},
		"the placeholder":        {ours, template, tenantA, iss},
		"the placeholder, any":   {theirs, template, "{tenantid}", iss},
		"a slash":                {theirs, issuerFor("a/b"), "a/b", iss},
		"a query":                {theirs, issuerFor("a?b"), "a?b", iss},
		"a fragment":             {theirs, issuerFor("a#b"), "a#b", iss},
		"a brace":                {theirs, issuerFor("a{b"), "a{b", iss},
		"control":                {theirs, issuerFor("a\n"), "a\n", iss},
		"nothing":                {theirs, issuerFor(""), "", iss},
		"without its slashes":    {theirs, "https://login.example/v2.0", "", iss},
		"a final slash":          {ours, issuerFor(tenantA) + "/", tenantA, iss},
		"another host before":    {theirs, "https://evil.example/" + tenantA + "/v2.0", tenantA, iss},
		"prolonged":              {theirs, issuerFor(tenantA) + "/evil", tenantA, iss},
		"another path after":     {theirs, "https://login.example/" + tenantA + "/v1.0", tenantA, iss},
		"something before":       {theirs, "x" + issuerFor(tenantA), tenantA, iss},
		"without what is before": {theirs, tenantA + "/v2.0", tenantA, iss},
		"iss missing":            {ours, nil, tenantA, iss},
		"iss null":               {ours, null, tenantA, iss},
		"iss list":               {ours, []string{issuerFor(tenantA)}, tenantA, iss},
		"the tenant as iss":      {ours, tenantA, tenantA, iss},
		"tid with a slash":       {ours, issuerFor(tenantA), tenantA + "/", tid},
		"tid is the whole iss":   {ours, issuerFor(tenantA), issuerFor(tenantA), tid},
		"tid is of the pattern":  {ours, issuerFor(tenantA), "{tenantid}", tid},
	}
	for name, v := range map[string]any{"missing": nil, "null": null, "number": 1, "empty": "", "list": []string{tenantA}, "true": true} {
		rows["tid "+name] = row{ours, issuerFor(tenantA), v, tid}
		rows["tid "+name+", any"] = row{theirs, issuerFor(tenantA), v, tid}
	}
	for name, tt := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			p := newTemplate(t, op, tt.policy)
			everyVerifier(t, op, p, object{"iss": tt.iss, "tid": tt.tenant}, func(t *testing.T, err error) {
				if tt.claim == "" {
					require.NoError(t, err)
					return
				}
				requireRefused(t, err, oidc.ReasonIssuer, tt.claim)
			})
		})
	}
}

func TestJ36_TenantsAreTheProvidersOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	list := []string{tenantA}
	p := newTemplate(t, op, tenants(list...), func(c *oidc.Config) { c.Tenants = list })
	list[0] = tenantC
	token, err := newVerifier(t, p).Verify(t.Context(),
		op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": issuerFor(tenantA), "tid": tenantA})))
	require.NoError(t, err)
	require.Equal(t, issuerFor(tenantA), token.Issuer)
	require.True(t, p.TrustsIssuer(issuerFor(tenantA)))
	_, err = newVerifier(t, p).Verify(t.Context(),
		op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": issuerFor(tenantC), "tid": tenantC})))
	requireRefused(t, err, oidc.ReasonIssuer, "iss")
	require.False(t, p.TrustsIssuer(issuerFor(tenantC)))
}

func TestJ36_TenantClaim(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newVerifier(t, newTemplate(t, op, tenants(tenantA), func(c *oidc.Config) { c.TenantClaim = "tenant" }))
	for name, tt := range map[string]struct {
		claims object
		reason oidc.Reason
	}{
		"right":             {object{"tenant": tenantA}, ""},
		"right, another":    {object{"tenant": tenantA, "tid": tenantC}, ""},
		"under the default": {object{"tid": tenantA}, oidc.ReasonIssuer},
		"wrong":             {object{"tenant": tenantB, "tid": tenantA}, oidc.ReasonIssuer},
	} {
		raw := op.Sign(object{"typ": "at+jwt"}, with(with(accessClaims(op), object{"iss": issuerFor(tenantA)}), tt.claims))
		_, err := verifyAccess(t.Context(), t, v, raw)
		if tt.reason == "" {
			require.NoError(t, err, name)
			continue
		}
		requireRefused(t, err, tt.reason, "tenant")
	}
}

// A template may end with its placeholder, and then a tenant is still one segment.
func TestJ36_TemplateThatEndsWithTheTenant(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newVerifier(t, newTemplate(t, op, anyTenant, func(c *oidc.Config) {
		c.Issuer = "https://login.example/{tenantid}"
		c.Metadata = &discovery.Metadata{Issuer: c.Issuer, AuthorizationEndpoint: "https://login.example/authorize"}
	}))
	for tenant, accepted := range map[string]bool{tenantA: true, tenantA + "/v2.0": false, "": false, "/": false} {
		raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": "https://login.example/" + tenant, "tid": tenant}))
		_, err := verifyAccess(t.Context(), t, v, raw)
		if accepted {
			require.NoError(t, err)
			continue
		}
		requireRefused(t, err, oidc.ReasonIssuer, "iss")
	}
}

func TestJ36_IssuerPolicyRefusesConfig(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	twice := "https://login.example/{tenantid}/{tenantid}"
	for name, tt := range map[string]struct {
		field  string
		change func(*oidc.Config)
	}{
		"nobody is trusted":       {"Config.Tenants", func(*oidc.Config) {}},
		"everybody and somebody":  {"Config.Tenants", func(c *oidc.Config) { anyTenant(c); tenants(tenantA)(c) }},
		"an empty tenant":         {"Config.Tenants", tenants(tenantA, "")},
		"a tenant with a slash":   {"Config.Tenants", tenants("a/b")},
		"a tenant with a query":   {"Config.Tenants", tenants("a?b")},
		"a tenant with control":   {"Config.Tenants", tenants("a\n")},
		"the placeholder":         {"Config.Tenants", tenants("{tenantid}")},
		"an issuer as tenant":     {"Config.Tenants", tenants(issuerFor(tenantA))},
		"aliases of a template":   {"Config.IssuerAliases", func(c *oidc.Config) { tenants(tenantA)(c); c.IssuerAliases = []string{issuer} }},
		"the placeholder, twice":  {"Config.Issuer", func(c *oidc.Config) { tenants(tenantA)(c); c.Issuer, c.Metadata.Issuer = twice, twice }},
		"an empty alias":          {"Config.IssuerAliases", exact(func(c *oidc.Config) { c.IssuerAliases = []string{"id.example", ""} })},
		"an alias with control":   {"Config.IssuerAliases", exact(func(c *oidc.Config) { c.IssuerAliases = []string{"a\n"} })},
		"tenants, no template":    {"Config.Tenants", exact(tenants(tenantA))},
		"any tenant, no template": {"Config.Tenants, InsecureAnyTenant", exact(anyTenant)},
		"a claim, no template":    {"Config.Tenants, InsecureAnyTenant and TenantClaim", exact(func(c *oidc.Config) { c.TenantClaim = "tid" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := oidc.NewProvider(templateConfig(t, op, tt.change))
			require.Nil(t, p)
			requireConfigError(t, err, tt.field)
		})
	}
}

// exact is for a provider without a template.
func exact(change func(*oidc.Config)) func(*oidc.Config) {
	return func(c *oidc.Config) {
		c.Issuer, c.Metadata.Issuer = issuer, issuer
		change(c)
	}
}

// The metadata may be where the template comes from.
func TestJ36_TemplateOfTheMetadata(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	fromMetadata := func(c *oidc.Config) { c.Issuer = "" }
	_, err := oidc.NewProvider(templateConfig(t, op, fromMetadata))
	requireConfigError(t, err, "Config.Tenants")
	p := newTemplate(t, op, fromMetadata, tenants(tenantA))
	require.Equal(t, template, p.Issuer())
	everyVerifier(t, op, p, object{"iss": issuerFor(tenantA), "tid": tenantA}, func(t *testing.T, err error) { require.NoError(t, err) })
	_, err = oidc.NewProvider(templateConfig(t, op, tenants(tenantA), func(c *oidc.Config) { c.Issuer = issuerFor(tenantA) }))
	var e *discovery.IssuerError
	require.ErrorAs(t, err, &e)
}

// J14: a key that belongs to one issuer signs no token of another (RFC 8725 section
// 3.8), though one set serves them all.
func TestJ14_KeyOfAnotherTenant(t *testing.T) {
	t.Parallel()
	opA, opB, opAll, opBare := newOP(t), newOP(t), newOP(t), newOP(t)
	member := func(op *oidctest.Provider, kid, issuer string) object {
		data, err := json.Marshal(jose.JSONWebKey{Key: op.PublicKey("ES256"), KeyID: kid, Algorithm: "ES256", Use: "sig"})
		require.NoError(t, err)
		var m object
		require.NoError(t, json.Unmarshal(data, &m))
		if issuer != "" {
			m["issuer"] = issuer
		}
		return m
	}
	data, err := json.Marshal(object{"keys": []object{
		member(opA, "a", issuerFor(tenantA)), member(opB, "b", issuerFor(tenantB)), member(opAll, "all", template), member(opBare, "bare", ""),
	}})
	require.NoError(t, err)
	set, err := jwks.ParseSet(data)
	require.NoError(t, err)
	require.Len(t, set.Keys, 4)
	p := newTemplate(t, opA, tenants(tenantA, tenantB), func(c *oidc.Config) { c.Keys = jwks.Static(set.Keys) })
	for name, tt := range map[string]struct {
		op     *oidctest.Provider
		kid    string
		tenant string
		reason oidc.Reason
	}{
		"A by A":            {opA, "a", tenantA, ""},
		"B by B":            {opB, "b", tenantB, ""},
		"A by the shared":   {opAll, "all", tenantA, ""},
		"B by the shared":   {opAll, "all", tenantB, ""},
		"B by the nameless": {opBare, "bare", tenantB, ""},
		"A by B":            {opB, "b", tenantA, oidc.ReasonKey},
		"B by A":            {opA, "a", tenantB, oidc.ReasonKey},
		"A by B, as A":      {opB, "a", tenantA, oidc.ReasonSignature},
		"A by B, nameless":  {opB, "", tenantA, oidc.ReasonSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := object{"typ": "at+jwt", "kid": tt.kid}
			if tt.kid == "" {
				header["kid"] = nil
			}
			claims := with(accessClaims(tt.op), object{"iss": issuerFor(tt.tenant), "tid": tt.tenant})
			_, err := verifyAccess(t.Context(), t, newVerifier(t, p), tt.op.Sign(header, claims))
			requireVerdict(t, err, tt.reason, "")
			_, err = newIDVerifier(t, p).Verify(t.Context(), tt.op.Sign(with(header, object{"typ": "JWT"}), with(claims, object{"aud": oidctest.ClientID})), "")
			requireVerdict(t, err, tt.reason, "")
		})
	}
}

// What the policy refuses asks nobody for keys.
func TestK07_ForeignTenantFetchesNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	asked := errors.New("somebody asked for keys")
	v := newVerifier(t, newTemplate(t, op, tenants(tenantA), func(c *oidc.Config) { c.Keys = failing{asked} }))
	for _, claims := range []object{{"iss": issuerFor(tenantC), "tid": tenantC}, {"iss": issuerFor(tenantA), "tid": tenantC}, {"iss": issuerFor(tenantA)}} {
		_, err := v.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), claims)))
		require.NotErrorIs(t, err, asked)
		require.Error(t, err)
	}
	_, err := v.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"iss": issuerFor(tenantA), "tid": tenantA})))
	require.ErrorIs(t, err, asked)
}
