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
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"issuer":                 p.cfg.Issuer,
		"authorization_endpoint": p.url(Authorization),
		"token_endpoint":         p.url(Token),
		"userinfo_endpoint":      p.url(UserInfo),
		"jwks_uri":               p.url(JWKS),
		"end_session_endpoint":   p.url(EndSession),

		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{modeQuery, modeFormPost},
		"grant_types_supported":                 []string{grantCode, grantRefresh, grantClientCredentials},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": p.idTokenAlgorithms(),
		"token_endpoint_auth_methods_supported": []string{methodBasic, methodPost, methodNone},
		"code_challenge_methods_supported":      []string{"S256"},
		"scopes_supported":                      p.scopes(),
		"claims_supported":                      p.claims(),

		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		// The default of this one is true.
		"request_uri_parameter_supported": false,
	})
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
