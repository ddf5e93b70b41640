package discovery_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
)

// Every field is read and written under its name.
func TestEveryMember(t *testing.T) {
	t.Parallel()
	var given discovery.Metadata
	v := reflect.ValueOf(&given).Elem()
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		names = append(names, name)
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("https://op.example/" + name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{name, "é"}))
		default:
			f.Set(reflect.ValueOf(&discovery.MTLSEndpointAliases{TokenEndpoint: "https://mtls.example/token"}))
		}
	}
	require.Greater(t, len(names), 50)
	text, err := json.Marshal(given)
	require.NoError(t, err)
	m, err := discovery.Parse(text)
	require.NoError(t, err)
	require.Equal(t, names, m.Names())
	requireSame(t, &given, m)

	// Each of them is a member of the specifications, with its type.
	for name, value := range map[string]any{
		"introspection_endpoint": m.IntrospectionEndpoint, "revocation_endpoint": m.RevocationEndpoint, "device_authorization_endpoint": m.DeviceAuthorizationEndpoint,
		"pushed_authorization_request_endpoint": m.PushedAuthorizationRequestEndpoint, "backchannel_authentication_endpoint": m.BackchannelAuthenticationEndpoint,
		"registration_endpoint": m.RegistrationEndpoint, "check_session_iframe": m.CheckSessionIframe, "access_token_issuer": m.AccessTokenIssuer,
	} {
		require.Equal(t, "https://op.example/"+name, value)
	}
	require.True(t, m.RequirePushedAuthorizationRequests && m.TLSClientCertificateBoundAccessTokens && m.BackchannelLogoutSupported && m.FrontchannelLogoutSessionSupported)
	require.Equal(t, "dpop_signing_alg_values_supported", m.DPoPSigningAlgValuesSupported[0])
	require.Equal(t, "prompt_values_supported", m.PromptValuesSupported[0])
}

// What only informs is read where it can be, and sinks nothing where it cannot.
func TestOddMembersSinkNothing(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"scopes_supported": "openid profile", "claims_supported": map[string]any{"a": 1}, "grant_types_supported": 1, "acr_values_supported": true,
		"backchannel_logout_supported": "true", "claims_parameter_supported": 1, "id_token_signing_alg_values_supported": "RS256",
		"response_types_supported": nil, "x_endpoint": "http://unknown.example", "op_tos_uri": "/terms", "service_documentation": 1,
	} {
		m, err := discovery.Parse([]byte(document(map[string]any{name: value})))
		require.NoError(t, err, name)
		want, err := discovery.Parse([]byte(document(nil)))
		require.NoError(t, err)
		requireSame(t, want, m)
	}
	m, err := discovery.Parse([]byte(document(map[string]any{"scopes_supported": []any{"openid", 1, nil, []string{"x"}, map[string]any{}, "email"}})))
	require.NoError(t, err)
	require.Equal(t, []string{"openid", "email"}, m.ScopesSupported)

	// null is the same as nothing, whatever the member.
	text := strings.Replace(document(nil), "{", `{"userinfo_endpoint":null,"mtls_endpoint_aliases":null,"require_signed_request_object":null,`, 1)
	m, err = discovery.Parse([]byte(text))
	require.NoError(t, err)
	require.Empty(t, m.UserInfoEndpoint)
	require.Nil(t, m.MTLSEndpointAliases)
	_, err = discovery.Parse([]byte(`{"issuer":null}`))
	require.Error(t, err)
}

// A document need not have a single endpoint: for introspection no jwks_uri is
// needed, for tokens no authorization endpoint.
func TestEndpointsAreOptional(t *testing.T) {
	t.Parallel()
	m, err := discovery.Parse([]byte(`{"issuer":"https://op.example","introspection_endpoint":"https://op.example/introspect"}`))
	require.NoError(t, err)
	require.Equal(t, issuer+"/introspect", m.IntrospectionEndpoint)
	require.Empty(t, m.JWKSURI)
}

func TestMTLS(t *testing.T) {
	t.Parallel()
	m := at(issuer, issuer, issuer)
	got := m.MTLS()
	for _, name := range aliasNames {
		text, err := json.Marshal(got)
		require.NoError(t, err)
		require.Contains(t, string(text), `"`+name+`":"`+issuer+`/mtls/`+name+`"`)
	}
	require.Equal(t, issuer+"/jwks_uri", got.JWKSURI)
	require.Equal(t, issuer+"/authorization_endpoint", got.AuthorizationEndpoint)
	requireSame(t, at(issuer, issuer, issuer), m) // unchanged

	m.MTLSEndpointAliases = &discovery.MTLSEndpointAliases{TokenEndpoint: issuer + "/only"}
	require.Equal(t, issuer+"/only", m.MTLS().TokenEndpoint)
	require.Equal(t, issuer+"/userinfo_endpoint", m.MTLS().UserInfoEndpoint)
	m.MTLSEndpointAliases = nil
	require.Same(t, m, m.MTLS())
}

// D07: what a document names is information.
func TestD07_AlgorithmsWidenNothing(t *testing.T) {
	t.Parallel()
	all := []string{"none", "HS256", "RS256", "ES256K", "rs256", "EdDSA", "RSA1_5", "PS512", "ES384", ""}
	m, err := discovery.Parse([]byte(document(map[string]any{"id_token_signing_alg_values_supported": all})))
	require.NoError(t, err)
	require.Equal(t, all, m.IDTokenSigningAlgValuesSupported)
	require.Equal(t, []string{goidc.RS256, goidc.EdDSA, goidc.PS512, goidc.ES384}, m.ProviderConfig().Algorithms)
	m.IDTokenSigningAlgValuesSupported = []string{"none"}
	require.Empty(t, m.ProviderConfig().Algorithms)
}

func TestProviderConfigHasTheDeviceEndpoint(t *testing.T) {
	t.Parallel()
	require.Equal(t, issuer, (&discovery.Metadata{DeviceAuthorizationEndpoint: issuer}).ProviderConfig().DeviceAuthURL)
}

func TestStaticIsACopy(t *testing.T) {
	t.Parallel()
	given := at(issuer, issuer, issuer)
	given.ScopesSupported, given.Extra = []string{"openid"}, map[string]any{"x": 1}
	s, err := discovery.Static(*given)
	require.NoError(t, err)
	want, err := given.MarshalJSON()
	require.NoError(t, err)
	given.ScopesSupported[0], given.MTLSEndpointAliases.TokenEndpoint, given.Extra["x"] = "changed", "changed", 2
	m, err := s.Metadata(t.Context())
	require.NoError(t, err)
	got, err := m.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))

	// Metadata from a file keep what they say.
	parsed, err := discovery.Parse([]byte(document(map[string]any{"x_own": 1})))
	require.NoError(t, err)
	s, err = discovery.Static(*parsed)
	require.NoError(t, err)
	m, err = s.Metadata(t.Context())
	require.NoError(t, err)
	_, ok := m.Raw("x_own")
	require.True(t, ok)
}

func endpointsOf(m *discovery.Metadata) []string {
	list := []string{
		m.AuthorizationEndpoint, m.TokenEndpoint, m.UserInfoEndpoint, m.JWKSURI, m.EndSessionEndpoint, m.CheckSessionIframe, m.IntrospectionEndpoint, m.RevocationEndpoint,
		m.DeviceAuthorizationEndpoint, m.PushedAuthorizationRequestEndpoint, m.BackchannelAuthenticationEndpoint, m.RegistrationEndpoint,
	}
	if a := m.MTLSEndpointAliases; a != nil {
		list = append(list, a.TokenEndpoint, a.UserInfoEndpoint, a.IntrospectionEndpoint, a.RevocationEndpoint, a.DeviceAuthorizationEndpoint,
			a.PushedAuthorizationRequestEndpoint, a.BackchannelAuthenticationEndpoint, a.RegistrationEndpoint)
	}
	return list
}

// FuzzParsedMetadataAreSafe: whatever a document says, the endpoints that come
// out of it are ones a request may be sent to, and what is written reads the same.
func FuzzParsedMetadataAreSafe(f *testing.F) {
	seeds := []string{
		document(nil), document(everywhere(issuer)), document(map[string]any{"token_endpoint": "http://op.example"}), `{"issuer":"a"}`, `{}`,
		document(map[string]any{"jwks_uri": "https://a#", "scopes_supported": []any{"a", 1}, "mtls_endpoint_aliases": map[string]any{"x": 1}}),
		`{"issuer":"\u0000\ud83d\ude00<>&","scopes_supported":[],"mtls_endpoint_aliases":{"token_endpoint":""}}`,
	}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := discovery.Parse(data)
		if err != nil {
			require.Nil(t, m)
			return
		}
		require.NotEmpty(t, m.Issuer)
		for _, endpoint := range append(endpointsOf(m), endpointsOf(m.MTLS())...) {
			require.True(t, endpoint == "" || fetch.CheckURL(endpoint, false) == nil)
		}
		for _, name := range m.Names() {
			raw, ok := m.Raw(name)
			require.True(t, ok && json.Valid(raw))
		}
		text, err := json.Marshal(m)
		require.NoError(t, err)
		again, err := discovery.Parse(text)
		require.NoError(t, err)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(second))
	})
}
