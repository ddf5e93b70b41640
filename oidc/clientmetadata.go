package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// ClientMetadata describe a client to the provider: the members of RFC 7591 section 2, of
// OpenID Connect Dynamic Client Registration 1.0 section 2, of the logout specifications,
// CIBA and JARM of the OpenID Foundation, and of RFC 8705, 9101, 9126, 9396, 9449 and 9701.
// What is its zero value is left to the provider.
type ClientMetadata struct {
	RedirectURIs            []string `json:"redirect_uris,omitempty"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method,omitempty"`
	// TokenEndpointAuthSigningAlg is the one of assertions.
	TokenEndpointAuthSigningAlg string   `json:"token_endpoint_auth_signing_alg,omitempty"`
	GrantTypes                  []string `json:"grant_types,omitempty"`
	ResponseTypes               []string `json:"response_types,omitempty"`
	Scope                       string   `json:"scope,omitempty"` // with spaces between
	ApplicationType             string   `json:"application_type,omitempty"`

	// What people are shown. In another language: Additional["client_name#de"].
	ClientName string   `json:"client_name,omitempty"`
	ClientURI  string   `json:"client_uri,omitempty"`
	LogoURI    string   `json:"logo_uri,omitempty"`
	TOSURI     string   `json:"tos_uri,omitempty"`
	PolicyURI  string   `json:"policy_uri,omitempty"`
	Contacts   []string `json:"contacts,omitempty"`

	// JWKSURI or JWKS are the client's public keys; not both.
	JWKSURI string          `json:"jwks_uri,omitempty"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`

	SoftwareID        string `json:"software_id,omitempty"`
	SoftwareVersion   string `json:"software_version,omitempty"`
	SoftwareStatement string `json:"software_statement,omitempty"` // a JWT

	SubjectType                string   `json:"subject_type,omitempty"`
	SectorIdentifierURI        string   `json:"sector_identifier_uri,omitempty"`
	DefaultMaxAge              int64    `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime            bool     `json:"require_auth_time,omitempty"`
	DefaultACRValues           []string `json:"default_acr_values,omitempty"`
	InitiateLoginURI           string   `json:"initiate_login_uri,omitempty"`
	RequestURIs                []string `json:"request_uris,omitempty"`
	AuthorizationDetailsTypes  []string `json:"authorization_details_types,omitempty"`
	RequireSignedRequestObject bool     `json:"require_signed_request_object,omitempty"`
	// RequirePushedAuthorizationRequests has the provider take no other (RFC 9126).
	RequirePushedAuthorizationRequests bool `json:"require_pushed_authorization_requests,omitempty"`

	IDTokenSignedResponseAlg          string `json:"id_token_signed_response_alg,omitempty"`
	IDTokenEncryptedResponseAlg       string `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncryptedResponseEnc       string `json:"id_token_encrypted_response_enc,omitempty"`
	UserInfoSignedResponseAlg         string `json:"userinfo_signed_response_alg,omitempty"`
	UserInfoEncryptedResponseAlg      string `json:"userinfo_encrypted_response_alg,omitempty"`
	UserInfoEncryptedResponseEnc      string `json:"userinfo_encrypted_response_enc,omitempty"`
	RequestObjectSigningAlg           string `json:"request_object_signing_alg,omitempty"`
	RequestObjectEncryptionAlg        string `json:"request_object_encryption_alg,omitempty"`
	RequestObjectEncryptionEnc        string `json:"request_object_encryption_enc,omitempty"`
	AuthorizationSignedResponseAlg    string `json:"authorization_signed_response_alg,omitempty"`
	AuthorizationEncryptedResponseAlg string `json:"authorization_encrypted_response_alg,omitempty"`
	AuthorizationEncryptedResponseEnc string `json:"authorization_encrypted_response_enc,omitempty"`
	IntrospectionSignedResponseAlg    string `json:"introspection_signed_response_alg,omitempty"`
	IntrospectionEncryptedResponseAlg string `json:"introspection_encrypted_response_alg,omitempty"`
	IntrospectionEncryptedResponseEnc string `json:"introspection_encrypted_response_enc,omitempty"`

	// Which certificate is the client's, for tls_client_auth: exactly one of them.
	TLSClientAuthSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSClientAuthSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSClientAuthSANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	TLSClientAuthSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSClientAuthSANEmail  string `json:"tls_client_auth_san_email,omitempty"`
	// What access tokens are bound to.
	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPBoundAccessTokens                 bool `json:"dpop_bound_access_tokens,omitempty"`

	PostLogoutRedirectURIs            []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI              string   `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSessionRequired  bool     `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelLogoutURI             string   `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSessionRequired bool     `json:"frontchannel_logout_session_required,omitempty"`

	BackchannelTokenDeliveryMode               string `json:"backchannel_token_delivery_mode,omitempty"`
	BackchannelClientNotificationEndpoint      string `json:"backchannel_client_notification_endpoint,omitempty"`
	BackchannelAuthenticationRequestSigningAlg string `json:"backchannel_authentication_request_signing_alg,omitempty"`
	BackchannelUserCodeParameter               bool   `json:"backchannel_user_code_parameter,omitempty"`

	// Additional are members without a field, by name, as encoding/json writes them; also
	// a false or a 0 that has to be said. In an answer they are what else it has, each a
	// json.RawMessage.
	Additional map[string]any `json:"-"`
}

// members of a JSON object, by name.
type members map[string]json.RawMessage

// metadataFields are the fields by the names of their members.
var metadataFields = func() map[string]int {
	fields, t := map[string]int{}, reflect.TypeFor[ClientMetadata]()
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "-" {
			fields[name] = i
		}
	}
	return fields
}()

// credentialMembers are no metadata.
var credentialMembers = []string{
	"client_id", "client_secret", "client_secret_expires_at", "client_id_issued_at", "registration_access_token", "registration_client_uri",
}

// members returns all of m, or says what cannot be registered.
func (m ClientMetadata) members() (members, error) {
	all, err := m.encode()
	if err != nil {
		return nil, err
	}
	// Judged is what will be sent, whether it stands in a field or in Additional.
	var sent ClientMetadata
	if err := sent.decode(all); err != nil {
		return nil, err
	}
	return all, sent.check()
}

func (m *ClientMetadata) decode(all members) error {
	text, err := json.Marshal(all)
	if err != nil {
		return errors.New("oidc: ClientMetadata.Additional has a value that JSON cannot have")
	}
	object, err := strictjson.Parse(text)
	if err != nil {
		return fmt.Errorf("oidc: ClientMetadata.JWKS or Additional: %w", err)
	}
	m.read(object)
	return nil
}

func (m ClientMetadata) encode() (members, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("oidc: ClientMetadata.JWKS is no JSON")
	}
	all := members{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for name, value := range m.Additional {
		if _, ok := all[name]; ok || slices.Contains(credentialMembers, name) {
			return nil, fmt.Errorf("oidc: ClientMetadata.Additional[%q] is set by a field, or by the provider", name)
		}
		if all[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("oidc: ClientMetadata.Additional[%q] is no JSON", name)
		}
	}
	return all, nil
}

// check: what we name is fetched by the provider, or receives codes and tokens.
func (m ClientMetadata) check() error {
	if m.JWKSURI != "" && len(m.JWKS) > 0 {
		return errors.New("oidc: ClientMetadata has both JWKSURI and JWKS")
	}
	for _, uri := range slices.Concat(m.RedirectURIs, m.PostLogoutRedirectURIs) {
		if !isRedirectURI(uri) {
			return errors.New("oidc: ClientMetadata.RedirectURIs and PostLogoutRedirectURIs must be https, http on loopback or a scheme of the program's own, without fragment")
		}
	}
	for name, uri := range map[string]string{
		"JWKSURI": m.JWKSURI, "SectorIdentifierURI": m.SectorIdentifierURI, "InitiateLoginURI": m.InitiateLoginURI,
		"BackchannelLogoutURI": m.BackchannelLogoutURI, "BackchannelClientNotificationEndpoint": m.BackchannelClientNotificationEndpoint,
	} {
		if uri == "" {
			continue
		}
		if err := fetch.CheckURL(uri, false); err != nil {
			return fmt.Errorf("oidc: ClientMetadata.%s: %w", name, err)
		}
	}
	return m.checkKeys()
}

// isRedirectURI: schemes of RFC 8252 section 7.1 are names of domains in reverse, hence
// have a dot. Those that a browser runs or reads itself have none.
func isRedirectURI(uri string) bool {
	u, err := url.Parse(uri)
	switch {
	case err != nil || strings.Contains(uri, "#"):
		return false
	case u.Scheme == "https" || u.Scheme == "http":
		return fetch.CheckURL(uri, false) == nil
	}
	return strings.Contains(u.Scheme, ".")
}

// checkKeys: what is sent there is published.
func (m ClientMetadata) checkKeys() error {
	if len(m.JWKS) == 0 {
		return nil
	}
	set, err := strictjson.Parse(m.JWKS)
	keys, _ := set.Get("keys")
	switch {
	case err == nil && hasPrivate(set): // a key where a set should be
		return errPrivateKey
	case err != nil || strictjson.Kind(keys) != '[':
		return errNoKeySet
	}
	for text := range strictjson.Elements(keys) {
		key, err := strictjson.ParseString(text)
		switch {
		case err != nil:
			return errNoKeySet
		case hasPrivate(key):
			return errPrivateKey
		}
	}
	return nil
}

var (
	errNoKeySet   = errors.New(`oidc: ClientMetadata.JWKS is no JWK Set, which is {"keys":[…]} with an object for each key`)
	errPrivateKey = errors.New("oidc: ClientMetadata.JWKS has a private or secret key: register public ones, which jwks.PublicSet makes")
)

// privateMembers are the members of JWKs that are secret: of RFC 7518 sections 6.2.2, 6.3.2
// and 6.4, of RFC 8037, and of AKP keys.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

func hasPrivate(key strictjson.Object) bool {
	for name := range key.All() {
		if slices.Contains(privateMembers, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// read reads what a provider registered. A member of another type is one without a field:
// that it is odd must not lose a client that exists.
func (m *ClientMetadata) read(object strictjson.Object) {
	v := reflect.ValueOf(m).Elem()
	for name, value := range object.All() {
		field, known := metadataFields[name]
		if known && strictjson.Decode(value, v.Field(field).Addr().Interface()) == nil || slices.Contains(credentialMembers, name) {
			continue
		}
		if known {
			v.Field(field).SetZero() // of what was decoded before the error
		}
		if m.Additional == nil {
			m.Additional = map[string]any{}
		}
		m.Additional[name] = json.RawMessage(value)
	}
}

// of adds who it is that changes (RFC 7592 section 2.2).
func (m members) of(r *Registration) members {
	m = maps.Clone(m)
	m["client_id"], _ = json.Marshal(r.ClientID)
	if r.ClientSecret != "" {
		m["client_secret"], _ = json.Marshal(string(r.ClientSecret))
	}
	return m
}

// binding are the members that the safety of a client rests on. A provider may replace them
// (RFC 7591 section 3.2.1), but not unnoticed.
var binding = []string{
	"redirect_uris", "post_logout_redirect_uris", "response_types", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks_uri",
	"id_token_signed_response_alg", "id_token_encrypted_response_alg", "userinfo_signed_response_alg", "userinfo_encrypted_response_alg",
	"introspection_signed_response_alg", "introspection_encrypted_response_alg", "authorization_signed_response_alg",
	"request_object_signing_alg", "backchannel_authentication_request_signing_alg", "backchannel_logout_uri",
	"backchannel_client_notification_endpoint", "require_auth_time", "require_signed_request_object", "require_pushed_authorization_requests",
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
	"tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens",
}

// differs names a member that was wanted and is not registered so.
func (m members) differs(registered members) string {
	for _, name := range binding {
		wanted, ok := m[name]
		if ok && !sameValue(wanted, registered[name]) {
			return name
		}
	}
	return ""
}

// sameValue compares texts, booleans, and lists as sets: more redirect URIs than were
// wanted are no less wrong than fewer.
func sameValue(a, b json.RawMessage) bool {
	if string(a) == "false" && b == nil {
		return true
	}
	var listA, listB []string
	if json.Unmarshal(a, &listA) != nil || json.Unmarshal(b, &listB) != nil {
		var compact bytes.Buffer
		return json.Compact(&compact, b) == nil && bytes.Equal(compact.Bytes(), a)
	}
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(listA), sorted(listB))
}
