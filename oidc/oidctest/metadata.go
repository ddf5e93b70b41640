package oidctest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

// The scopes that mean something to the provider.
const (
	scopeOpenID        = "openid"
	scopeProfile       = "profile"
	scopeEmail         = "email"
	scopeOfflineAccess = "offline_access"
)

// serveDiscovery publishes the metadata (OpenID Connect Discovery 1.0, section 3;
// RFC 8414). It announces what the provider does and nothing else.
func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	p.answer(w, Discovery, http.StatusOK, p.metadata())
}

func (p *Provider) metadata() map[string]any {
	metadata := map[string]any{
		"issuer":                 p.cfg.Issuer,
		"authorization_endpoint": p.url(Authorization),
		"token_endpoint":         p.url(Token),
		"userinfo_endpoint":      p.url(UserInfo),
		"jwks_uri":               p.url(JWKS),
		"end_session_endpoint":   p.url(EndSession),

		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{modeQuery, modeFormPost},
		"grant_types_supported":                            slices.Sorted(maps.Keys(p.grantTypes())),
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            p.idTokenAlgorithms(),
		"token_endpoint_auth_methods_supported":            p.authMethods(),
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),
		"code_challenge_methods_supported":                 []string{"S256"},
		"scopes_supported":                                 p.scopes(),
		"claims_supported":                                 p.claims(),

		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		// The default of this one is true.
		"request_uri_parameter_supported": false,

		"pushed_authorization_request_endpoint": p.url(PushedAuthorization),
		"require_pushed_authorization_requests": p.cfg.RequirePushedAuthorizationRequests,

		"introspection_endpoint":                                   p.url(Introspection),
		"introspection_endpoint_auth_methods_supported":            p.confidentialMethods(),
		"introspection_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),
		"introspection_signing_alg_values_supported":               assertionAlgorithms(),

		"revocation_endpoint":                                   p.url(Revocation),
		"revocation_endpoint_auth_methods_supported":            p.authMethods(),
		"revocation_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),

		"device_authorization_endpoint": p.url(DeviceAuthorization),

		"backchannel_authentication_endpoint":        p.url(BackchannelAuthentication),
		"backchannel_token_delivery_modes_supported": []string{deliveryPoll, deliveryPing},
		"backchannel_user_code_parameter_supported":  false,

		"registration_endpoint": p.url(Registration),

		"userinfo_signing_alg_values_supported":         assertionAlgorithms(),
		"userinfo_encryption_alg_values_supported":      keyAlgorithms,
		"userinfo_encryption_enc_values_supported":      contentAlgorithms,
		"id_token_encryption_alg_values_supported":      keyAlgorithms,
		"id_token_encryption_enc_values_supported":      contentAlgorithms,
		"introspection_encryption_alg_values_supported": keyAlgorithms,
		"introspection_encryption_enc_values_supported": contentAlgorithms,

		"dpop_signing_alg_values_supported": asymmetric(),

		"tls_client_certificate_bound_access_tokens": p.cfg.MutualTLS,
	}
	if p.cfg.MutualTLS && !p.cfg.NoMTLSAliases {
		metadata["mtls_endpoint_aliases"] = p.mtlsAliases()
	}
	return metadata
}

func (p *Provider) idTokenAlgorithms() []string {
	algs := map[string]bool{p.cfg.Algorithm: true}
	for _, c := range p.cfg.Clients {
		algs[c.IDTokenAlgorithm] = true
	}
	return slices.Sorted(maps.Keys(algs))
}

func (p *Provider) scopes() []string {
	scopes := []string{scopeOpenID, scopeProfile, scopeEmail, scopeOfflineAccess}
	for _, c := range p.cfg.Clients {
		for _, s := range c.Scopes {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

func (p *Provider) claims() []string {
	claims := map[string]bool{}
	for _, name := range []string{
		"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "azp", "sid",
		"name", "email", "email_verified",
	} {
		claims[name] = true
	}
	for _, u := range p.cfg.Users {
		for name := range u.Claims {
			claims[name] = true
		}
	}
	return slices.Sorted(maps.Keys(claims))
}

// writeJSON answers with v, or with 500 if a hook put something into it that
// JSON cannot express.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "not expressible as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the other side may have gone
}

// authMethods are those of client authentication, at every endpoint alike.
func (p *Provider) authMethods() []string {
	methods := []string{methodBasic, methodPost, methodSecretJWT, methodPrivateKeyJWT}
	if p.cfg.MutualTLS {
		methods = append(methods, methodTLS, methodSelfSignedTLS)
	}
	return append(methods, methodNone)
}

// confidentialMethods leaves out the one that proves nothing.
func (p *Provider) confidentialMethods() []string {
	return slices.DeleteFunc(p.authMethods(), func(method string) bool { return method == methodNone })
}

func assertionAlgorithms() []string {
	return append(asymmetric(), slices.Sorted(maps.Keys(hmacs))...)
}
