package discovery

import (
	"errors"
	"fmt"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// Metadata describe a provider (OpenID Connect Discovery 1.0 section 3, RFC
// 8414, RFC 9207, RP-Initiated Logout 1.0). They must not be changed once they
// are in use.
type Metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty"`
	TokenEndpoint         string `json:"token_endpoint,omitempty"`
	UserInfoEndpoint      string `json:"userinfo_endpoint,omitempty"`
	JWKSURI               string `json:"jwks_uri,omitempty"`
	EndSessionEndpoint    string `json:"end_session_endpoint,omitempty"`

	TokenEndpointAuthMethodsSupported          []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	IDTokenSigningAlgValuesSupported           []string `json:"id_token_signing_alg_values_supported,omitempty"`
	ScopesSupported                            []string `json:"scopes_supported,omitempty"`
	CodeChallengeMethodsSupported              []string `json:"code_challenge_methods_supported,omitempty"`
	AuthorizationResponseIssParameterSupported bool     `json:"authorization_response_iss_parameter_supported,omitempty"`

	raw strictjson.Object
}

// Parse reads a metadata document. It refuses endpoints that no request should
// be sent to: relative ones, with user info or a fragment, or plain http to
// anything but loopback.
func Parse(data []byte) (*Metadata, error) { return parse(data, false) }

func parse(data []byte, insecureHTTP bool) (*Metadata, error) {
	text := string(data)
	object, err := strictjson.ParseString(text)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	m := &Metadata{raw: object}
	if strictjson.Decode(text, m) != nil {
		return nil, errors.New("discovery: a member of the metadata is of another type")
	}
	if err := m.check(insecureHTTP); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Metadata) check(insecureHTTP bool) error {
	if m.Issuer == "" {
		return errors.New("discovery: the metadata have no issuer")
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": m.AuthorizationEndpoint,
		"token_endpoint":         m.TokenEndpoint,
		"userinfo_endpoint":      m.UserInfoEndpoint,
		"jwks_uri":               m.JWKSURI,
		"end_session_endpoint":   m.EndSessionEndpoint,
	} {
		if endpoint == "" {
			continue
		}
		if err := fetch.CheckURL(endpoint, insecureHTTP); err != nil {
			return fmt.Errorf("discovery: %s: %w", name, err)
		}
	}
	return nil
}

// Raw returns the JSON text of a member of the document, known or not. Static
// metadata have none.
func (m *Metadata) Raw(name string) (value []byte, ok bool) {
	text, ok := m.raw.Get(name)
	if !ok {
		return nil, false
	}
	return []byte(text), true
}

// ProviderConfig returns the metadata as github.com/coreos/go-oidc knows them.
func (m *Metadata) ProviderConfig() goidc.ProviderConfig {
	return goidc.ProviderConfig{
		IssuerURL:   m.Issuer,
		AuthURL:     m.AuthorizationEndpoint,
		TokenURL:    m.TokenEndpoint,
		UserInfoURL: m.UserInfoEndpoint,
		JWKSURL:     m.JWKSURI,
		Algorithms:  m.IDTokenSigningAlgValuesSupported,
	}
}
