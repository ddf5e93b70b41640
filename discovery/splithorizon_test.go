package discovery_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
)

// everywhere has all endpoints at one origin.
func everywhere(origin string) map[string]any {
	aliases := map[string]any{}
	for _, name := range aliasNames {
		aliases[name] = origin + "/mtls/" + name
	}
	m := map[string]any{"mtls_endpoint_aliases": aliases}
	for _, name := range append([]string{"jwks_uri", "authorization_endpoint", "end_session_endpoint", "check_session_iframe"}, aliasNames...) {
		m[name] = origin + "/" + name
	}
	return m
}

// at is what everywhere is with the endpoints of the browser at another origin.
func at(iss, browser, process string) *discovery.Metadata {
	return &discovery.Metadata{
		Issuer:                             iss,
		AuthorizationEndpoint:              browser + "/authorization_endpoint",
		EndSessionEndpoint:                 browser + "/end_session_endpoint",
		CheckSessionIframe:                 browser + "/check_session_iframe",
		TokenEndpoint:                      process + "/token_endpoint",
		UserInfoEndpoint:                   process + "/userinfo_endpoint",
		JWKSURI:                            process + "/jwks_uri",
		IntrospectionEndpoint:              process + "/introspection_endpoint",
		RevocationEndpoint:                 process + "/revocation_endpoint",
		DeviceAuthorizationEndpoint:        process + "/device_authorization_endpoint",
		PushedAuthorizationRequestEndpoint: process + "/pushed_authorization_request_endpoint",
		BackchannelAuthenticationEndpoint:  process + "/backchannel_authentication_endpoint",
		RegistrationEndpoint:               process + "/registration_endpoint",
		MTLSEndpointAliases: &discovery.MTLSEndpointAliases{
			TokenEndpoint:                      process + "/mtls/token_endpoint",
			UserInfoEndpoint:                   process + "/mtls/userinfo_endpoint",
			IntrospectionEndpoint:              process + "/mtls/introspection_endpoint",
			RevocationEndpoint:                 process + "/mtls/revocation_endpoint",
			DeviceAuthorizationEndpoint:        process + "/mtls/device_authorization_endpoint",
			PushedAuthorizationRequestEndpoint: process + "/mtls/pushed_authorization_request_endpoint",
			BackchannelAuthenticationEndpoint:  process + "/mtls/backchannel_authentication_endpoint",
			RegistrationEndpoint:               process + "/mtls/registration_endpoint",
		},
	}
}

// requireSame compares what the fields say.
func requireSame(t *testing.T, want, got *discovery.Metadata) {
	t.Helper()
	a, err := want.MarshalJSON()
	require.NoError(t, err)
	b, err := got.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, string(a), string(b))
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	const internal = "https://op.internal:8443"
	for _, from := range []string{issuer, "https://OP.example", "https://op.example:443", "HTTPS://op.example"} {
		s := newSite(map[string]page{internal + openID: of(issuer, everywhere(issuer))})
		m := read(t, s, discovery.Config{Issuer: issuer, Rewrite: map[string]string{from: internal}})
		requireSame(t, at(issuer, issuer, internal), m)
		require.Equal(t, []string{internal + openID}, s.requests())
		raw, _ := m.Raw("jwks_uri")
		require.JSONEq(t, `"`+issuer+`/jwks_uri"`, string(raw), "raw is what the document says")
	}

	// Also the other places, and the document that was given is where it was given.
	s := newSite(map[string]page{internal + oauth: of(issuer, nil)})
	read(t, s, discovery.Config{Issuer: issuer, Rewrite: map[string]string{issuer: internal}})
	require.Equal(t, []string{internal + openID, internal + oauth}, s.requests())
	s = newSite(map[string]page{issuer + "/x": of(issuer, everywhere(issuer))})
	requireSame(t, at(issuer, issuer, internal), read(t, s, discovery.Config{Issuer: issuer, DiscoveryURL: issuer + "/x", Rewrite: map[string]string{issuer: internal}}))
}

// An origin is one and the same, or another: a longer name, another port or user
// info in front are others. What follows it stays byte for byte.
func TestRewriteIsExact(t *testing.T) {
	t.Parallel()
	const internal = "http://127.0.0.1:9000"
	for endpoint, want := range map[string]string{
		issuer:                                internal,
		issuer + "/":                          internal + "/",
		issuer + "?a=b":                       internal + "?a=b",
		issuer + ":443/a//b/%2e%2E?c=%20d&é":  internal + "/a//b/%2e%2E?c=%20d&é",
		"HTTPS://Op.Example/x":                internal + "/x",
		issuer + ":8443/x":                    issuer + ":8443/x",
		issuer + ".evil/x":                    issuer + ".evil/x",
		"https://x." + "op.example/y":         "https://x.op.example/y",
		"https://other.example/" + issuer:     "https://other.example/" + issuer,
		"https://other.example/?u=" + issuer:  "https://other.example/?u=" + issuer,
		"https://other.example//op.example/x": "https://other.example//op.example/x",
	} {
		s := newSite(map[string]page{internal + openID: of(issuer, map[string]any{"jwks_uri": endpoint})})
		m := read(t, s, discovery.Config{Issuer: issuer, Rewrite: map[string]string{issuer: internal}})
		require.Equal(t, want, m.JWKSURI, endpoint)
	}
}

// An internal provider behind a proxy that ends TLS writes http into its
// document. To say where that is, is enough.
func TestRewriteHealsPlainHTTP(t *testing.T) {
	t.Parallel()
	bad := of(issuer, map[string]any{"token_endpoint": "http://op.example/token"})
	s := newSite(map[string]page{issuer + openID: bad})
	m := read(t, s, discovery.Config{Issuer: issuer, Rewrite: map[string]string{"http://op.example": issuer}})
	require.Equal(t, issuer+"/token", m.TokenEndpoint)
}

func TestD02_RewrittenEndpointsAreChecked(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"https://a@op.example/x", "https://op.example/x#f", "https://op.example#"} {
		s := newSite(map[string]page{"https://op.internal" + openID: of(issuer, map[string]any{"token_endpoint": endpoint})})
		_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client(), Rewrite: map[string]string{issuer: "https://op.internal"}}).Metadata(t.Context())
		requireUnavailable(t, err, endpoint)
	}
	for from, to := range map[string]string{
		issuer: "http://op.internal", issuer + "/": issuer, issuer + "/a": issuer, "op.example": issuer, "": issuer,
		"https://a": issuer + "/", "https://b": issuer + "/x", "https://c": "", "https://d": "op.internal", "https://e": "https://u@op.internal",
		"https://f": "https://op.internal#", "https://g": "https://op.internal?", "https://h@x": issuer, "file:///x": issuer, "https://i": "ftp://op.internal",
	} {
		_, err := discovery.New(discovery.Config{Issuer: issuer, Rewrite: map[string]string{from: to}})
		require.Error(t, err, "%q %q", from, to)
	}
	_, err := discovery.New(discovery.Config{Issuer: issuer, InsecureHTTP: true, Rewrite: map[string]string{issuer: "http://op.internal"}})
	require.NoError(t, err)
	_, err = discovery.New(discovery.Config{Issuer: issuer, Rewrite: map[string]string{issuer: "https://a.internal", issuer + ":443": "https://b.internal"}})
	require.Error(t, err, "which of the two it is must not be left to chance")
}

// Plain http is for providers on loopback: a document that came over https does
// not lead there, unless the operator says so.
func TestD02_LoopbackInARemoteDocument(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"token_endpoint", "jwks_uri", "authorization_endpoint"} {
		for _, endpoint := range []string{"http://127.0.0.1:8500/x", "http://localhost/x", "http://[::1]/x"} {
			more := map[string]any{name: endpoint}
			s := newSite(map[string]page{issuer + openID: of(issuer, more)})
			_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client()}).Metadata(t.Context())
			requireUnavailable(t, err, endpoint)
			read(t, s, discovery.Config{Issuer: issuer, InsecureHTTP: true})

			local := "http://127.0.0.1:9000/metadata"
			s = newSite(map[string]page{local: of(issuer, more)})
			read(t, s, discovery.Config{Issuer: issuer, DiscoveryURL: local})
		}
	}
	s := newSite(map[string]page{issuer + openID: of(issuer, map[string]any{"token_endpoint": "https://token.example/x"})})
	sidecar := "http://127.0.0.1:9000"
	m := read(t, s, discovery.Config{Issuer: issuer, Rewrite: map[string]string{"https://token.example": sidecar}, Override: discovery.Metadata{JWKSURI: sidecar + "/jwks"}})
	require.Equal(t, sidecar+"/x", m.TokenEndpoint)
	require.Equal(t, sidecar+"/jwks", m.JWKSURI)
}

// The settings of Digital.ai Deploy: keyRetrievalUri, accessTokenUri,
// userAuthorizationUri and logoutUri, each alone on top of the document.
func TestOverride(t *testing.T) {
	t.Parallel()
	const own = "https://own.example/x?y=z"
	for name, override := range map[string]discovery.Metadata{
		"jwks_uri":               {JWKSURI: own},
		"token_endpoint":         {TokenEndpoint: own},
		"authorization_endpoint": {AuthorizationEndpoint: own},
		"end_session_endpoint":   {EndSessionEndpoint: own, Issuer: issuer},
		"userinfo_endpoint":      {UserInfoEndpoint: own},
	} {
		said := everywhere(issuer)
		delete(said, "mtls_endpoint_aliases")
		s := newSite(map[string]page{issuer + openID: of(issuer, said)})
		m := read(t, s, discovery.Config{Issuer: issuer, Override: override})
		said[name] = own
		want, err := discovery.Parse([]byte(of(issuer, said).body))
		require.NoError(t, err)
		requireSame(t, want, m)

		// What the document says instead does not matter, be it there or not.
		for _, v := range []any{nil, "", "http://broken.example", "/broken"} {
			said[name] = v
			s := newSite(map[string]page{issuer + openID: of(issuer, said)})
			requireSame(t, want, read(t, s, discovery.Config{Issuer: issuer, Override: override}))
		}
	}
}

func TestOverrideOfOtherMembers(t *testing.T) {
	t.Parallel()
	s := newSite(map[string]page{issuer + openID: of(issuer, map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}, "scopes_supported": []string{"openid"}})})
	m := read(t, s, discovery.Config{Issuer: issuer, Override: discovery.Metadata{TokenEndpointAuthMethodsSupported: []string{"client_secret_basic"}, BackchannelLogoutSupported: true}})
	require.Equal(t, []string{"client_secret_basic"}, m.TokenEndpointAuthMethodsSupported)
	require.Equal(t, []string{"openid"}, m.ScopesSupported)
	require.True(t, m.BackchannelLogoutSupported)
}

func TestOverrideIsNotRewritten(t *testing.T) {
	t.Parallel()
	const internal = "https://op.internal"
	override := discovery.Metadata{JWKSURI: issuer + "/own", MTLSEndpointAliases: &discovery.MTLSEndpointAliases{TokenEndpoint: issuer + "/own"}}
	s := newSite(map[string]page{internal + openID: of(issuer, everywhere(issuer))})
	cfg := discovery.Config{Issuer: issuer, Rewrite: map[string]string{issuer: internal}, Override: override}
	want := at(issuer, issuer, internal)
	want.JWKSURI, want.MTLSEndpointAliases = override.JWKSURI, override.MTLSEndpointAliases
	for range 2 { // nor changed by what was read before
		requireSame(t, want, read(t, s, cfg))
	}
}

// Whoever says where the token endpoint is means it for clients with a
// certificate too.
func TestOverrideBeatsTheAlias(t *testing.T) {
	t.Parallel()
	s := newSite(map[string]page{issuer + openID: of(issuer, everywhere(issuer))})
	m := read(t, s, discovery.Config{Issuer: issuer, Override: discovery.Metadata{TokenEndpoint: issuer + "/own"}}).MTLS()
	require.Equal(t, issuer+"/own", m.TokenEndpoint)
	require.Equal(t, issuer+"/mtls/userinfo_endpoint", m.UserInfoEndpoint)
	m = read(t, s, discovery.Config{Issuer: issuer, Override: discovery.Metadata{
		TokenEndpoint: issuer + "/own", MTLSEndpointAliases: &discovery.MTLSEndpointAliases{TokenEndpoint: issuer + "/ownmtls"},
	}}).MTLS()
	require.Equal(t, issuer+"/ownmtls", m.TokenEndpoint)
	require.Equal(t, issuer+"/userinfo_endpoint", m.UserInfoEndpoint)
}

func TestOverrideIsCheckedAndCopied(t *testing.T) {
	t.Parallel()
	for _, override := range []discovery.Metadata{
		{Issuer: issuer + "/"}, {Issuer: "https://evil.example"}, {JWKSURI: "http://op.example"}, {TokenEndpoint: "/token"}, {Extra: map[string]any{"a": 1}},
		{MTLSEndpointAliases: &discovery.MTLSEndpointAliases{TokenEndpoint: "http://op.example"}},
	} {
		_, err := discovery.New(discovery.Config{Issuer: issuer, Override: override})
		require.Error(t, err, override)
	}
	s := newSite(map[string]page{"https://op.internal" + openID: of(issuer, nil)})
	cfg := discovery.Config{
		Issuer: issuer, HTTPClient: s.client(), Rewrite: map[string]string{issuer: "https://op.internal"},
		Override: discovery.Metadata{ScopesSupported: []string{"openid"}, MTLSEndpointAliases: &discovery.MTLSEndpointAliases{TokenEndpoint: issuer}},
	}
	r := remote(t, cfg)
	cfg.Rewrite[issuer], cfg.Override.ScopesSupported[0], cfg.Override.MTLSEndpointAliases.TokenEndpoint = "https://changed.example", "changed", "http://changed.example"
	m, err := r.Metadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"openid"}, m.ScopesSupported)
	require.Equal(t, issuer, m.MTLSEndpointAliases.TokenEndpoint)
}
