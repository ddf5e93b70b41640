package discovery

import (
	"slices"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// Metadata describe a provider. A member that a document does not have is its
// zero value. They are shared: do not change what a [Source] returned.
//
// The members are those of OpenID Connect Discovery 1.0 section 3 and RFC 8414
// section 2, of the logout specifications, CIBA and JARM of the OpenID
// Foundation, and of RFC 7009, 7662, 8628, 8705, 9101, 9126, 9207, 9396, 9449
// and 9701. What else a document says is reached with [Metadata.Raw].
//
// Lists of algorithms say what the provider can do. They never widen what a
// verifier accepts.
type Metadata struct {
	Issuer string `json:"issuer"`

	// Where the browser is sent to.
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty" endpoint:"browser"`
	EndSessionEndpoint    string `json:"end_session_endpoint,omitempty" endpoint:"browser"`
	CheckSessionIframe    string `json:"check_session_iframe,omitempty" endpoint:"browser"`

	// What this process calls.
	TokenEndpoint                      string `json:"token_endpoint,omitempty" endpoint:"process"`
	UserInfoEndpoint                   string `json:"userinfo_endpoint,omitempty" endpoint:"process"`
	JWKSURI                            string `json:"jwks_uri,omitempty" endpoint:"process"`
	IntrospectionEndpoint              string `json:"introspection_endpoint,omitempty" endpoint:"process"`
	RevocationEndpoint                 string `json:"revocation_endpoint,omitempty" endpoint:"process"`
	DeviceAuthorizationEndpoint        string `json:"device_authorization_endpoint,omitempty" endpoint:"process"`
	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint,omitempty" endpoint:"process"`
	BackchannelAuthenticationEndpoint  string `json:"backchannel_authentication_endpoint,omitempty" endpoint:"process"`
	RegistrationEndpoint               string `json:"registration_endpoint,omitempty" endpoint:"process"`

	// MTLSEndpointAliases are where a client with a certificate calls instead: see
	// [Metadata.MTLS].
	MTLSEndpointAliases *MTLSEndpointAliases `json:"mtls_endpoint_aliases,omitempty"`

	ScopesSupported                    []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported             []string `json:"response_types_supported,omitempty"`
	ResponseModesSupported             []string `json:"response_modes_supported,omitempty"`
	GrantTypesSupported                []string `json:"grant_types_supported,omitempty"`
	CodeChallengeMethodsSupported      []string `json:"code_challenge_methods_supported,omitempty"`
	SubjectTypesSupported              []string `json:"subject_types_supported,omitempty"`
	ClaimsSupported                    []string `json:"claims_supported,omitempty"`
	ACRValuesSupported                 []string `json:"acr_values_supported,omitempty"`
	PromptValuesSupported              []string `json:"prompt_values_supported,omitempty"`
	AuthorizationDetailsTypesSupported []string `json:"authorization_details_types_supported,omitempty"`

	TokenEndpointAuthMethodsSupported                  []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenEndpointAuthSigningAlgValuesSupported         []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionEndpointAuthMethodsSupported          []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpointAuthSigningAlgValuesSupported []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationEndpointAuthMethodsSupported             []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationEndpointAuthSigningAlgValuesSupported    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`

	IDTokenSigningAlgValuesSupported          []string `json:"id_token_signing_alg_values_supported,omitempty"`
	IDTokenEncryptionAlgValuesSupported       []string `json:"id_token_encryption_alg_values_supported,omitempty"`
	IDTokenEncryptionEncValuesSupported       []string `json:"id_token_encryption_enc_values_supported,omitempty"`
	UserInfoSigningAlgValuesSupported         []string `json:"userinfo_signing_alg_values_supported,omitempty"`
	UserInfoEncryptionAlgValuesSupported      []string `json:"userinfo_encryption_alg_values_supported,omitempty"`
	UserInfoEncryptionEncValuesSupported      []string `json:"userinfo_encryption_enc_values_supported,omitempty"`
	RequestObjectSigningAlgValuesSupported    []string `json:"request_object_signing_alg_values_supported,omitempty"`
	RequestObjectEncryptionAlgValuesSupported []string `json:"request_object_encryption_alg_values_supported,omitempty"`
	RequestObjectEncryptionEncValuesSupported []string `json:"request_object_encryption_enc_values_supported,omitempty"`
	AuthorizationSigningAlgValuesSupported    []string `json:"authorization_signing_alg_values_supported,omitempty"`
	AuthorizationEncryptionAlgValuesSupported []string `json:"authorization_encryption_alg_values_supported,omitempty"`
	AuthorizationEncryptionEncValuesSupported []string `json:"authorization_encryption_enc_values_supported,omitempty"`
	IntrospectionSigningAlgValuesSupported    []string `json:"introspection_signing_alg_values_supported,omitempty"`
	DPoPSigningAlgValuesSupported             []string `json:"dpop_signing_alg_values_supported,omitempty"`

	BackchannelTokenDeliveryModesSupported                    []string `json:"backchannel_token_delivery_modes_supported,omitempty"`
	BackchannelAuthenticationRequestSigningAlgValuesSupported []string `json:"backchannel_authentication_request_signing_alg_values_supported,omitempty"`
	BackchannelUserCodeParameterSupported                     bool     `json:"backchannel_user_code_parameter_supported,omitempty"`

	// What the provider demands, or promises and is then held to.
	AuthorizationResponseIssParameterSupported bool `json:"authorization_response_iss_parameter_supported,omitempty" type:"strict"`
	RequirePushedAuthorizationRequests         bool `json:"require_pushed_authorization_requests,omitempty" type:"strict"`
	RequireSignedRequestObject                 bool `json:"require_signed_request_object,omitempty" type:"strict"`

	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	ClaimsParameterSupported              bool `json:"claims_parameter_supported,omitempty"`
	RequestParameterSupported             bool `json:"request_parameter_supported,omitempty"`
	BackchannelLogoutSupported            bool `json:"backchannel_logout_supported,omitempty"`
	BackchannelLogoutSessionSupported     bool `json:"backchannel_logout_session_supported,omitempty"`
	FrontchannelLogoutSupported           bool `json:"frontchannel_logout_supported,omitempty"`
	FrontchannelLogoutSessionSupported    bool `json:"frontchannel_logout_session_supported,omitempty"`

	// AccessTokenIssuer is what ADFS writes as "iss" into its access tokens. It says
	// nothing about ID tokens, whose issuer is Issuer.
	AccessTokenIssuer string `json:"access_token_issuer,omitempty"`

	// Extra are members to publish beside those above, by name: see [Handler].
	// Parse does not fill it.
	Extra map[string]any `json:"-"`

	raw strictjson.Object
}

// MTLSEndpointAliases are the endpoints for clients that use TLS with a
// certificate (RFC 8705 section 5). An empty one has no alias.
type MTLSEndpointAliases struct {
	TokenEndpoint                      string `json:"token_endpoint,omitempty" endpoint:"process"`
	UserInfoEndpoint                   string `json:"userinfo_endpoint,omitempty" endpoint:"process"`
	IntrospectionEndpoint              string `json:"introspection_endpoint,omitempty" endpoint:"process"`
	RevocationEndpoint                 string `json:"revocation_endpoint,omitempty" endpoint:"process"`
	DeviceAuthorizationEndpoint        string `json:"device_authorization_endpoint,omitempty" endpoint:"process"`
	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint,omitempty" endpoint:"process"`
	BackchannelAuthenticationEndpoint  string `json:"backchannel_authentication_endpoint,omitempty" endpoint:"process"`
	RegistrationEndpoint               string `json:"registration_endpoint,omitempty" endpoint:"process"`
}

// MTLS returns the metadata for a client that uses TLS with a certificate:
// endpoints that have an alias are replaced by it. "[...] an OAuth client
// intending to do mutual TLS [...] MUST use the alias URL of the endpoint within
// the mtls_endpoint_aliases, when present, in preference to the endpoint URL of
// the same name at the top level" (RFC 8705 section 5). All else is shared with m.
func (m *Metadata) MTLS() *Metadata {
	if m.MTLSEndpointAliases == nil {
		return m
	}
	c := *m
	aliases := endpointsOf(m.MTLSEndpointAliases, "")
	for _, e := range c.endpoints() {
		i := slices.IndexFunc(aliases, func(alias endpoint) bool { return alias.name == e.name })
		if i >= 0 && *aliases[i].url != "" {
			*e.url = *aliases[i].url
		}
	}
	return &c
}

// Raw returns the JSON text of a member of the document as it was read, known or
// not. Metadata that were not read from a document have none.
func (m *Metadata) Raw(name string) (value []byte, ok bool) {
	text, ok := m.raw.Get(name)
	if !ok {
		return nil, false
	}
	return []byte(text), true
}

// Names returns the names of all members that the document has, in its order.
func (m *Metadata) Names() []string {
	var names []string
	for name := range m.raw.All() {
		names = append(names, name)
	}
	return names
}

// ProviderConfig returns the metadata as github.com/coreos/go-oidc knows them.
// Algorithms are those for ID tokens that have a public key: a document that names
// "none" or HS256 widens nothing.
func (m *Metadata) ProviderConfig() goidc.ProviderConfig {
	return goidc.ProviderConfig{
		IssuerURL:     m.Issuer,
		AuthURL:       m.AuthorizationEndpoint,
		TokenURL:      m.TokenEndpoint,
		DeviceAuthURL: m.DeviceAuthorizationEndpoint,
		UserInfoURL:   m.UserInfoEndpoint,
		JWKSURL:       m.JWKSURI,
		Algorithms:    asymmetric(m.IDTokenSigningAlgValuesSupported),
	}
}

var publicKeyAlgorithms = []string{
	goidc.RS256, goidc.RS384, goidc.RS512, goidc.PS256, goidc.PS384, goidc.PS512,
	goidc.ES256, goidc.ES384, goidc.ES512, goidc.EdDSA,
}

func asymmetric(algorithms []string) (list []string) {
	for _, alg := range algorithms {
		if slices.Contains(publicKeyAlgorithms, alg) {
			list = append(list, alg)
		}
	}
	return list
}
