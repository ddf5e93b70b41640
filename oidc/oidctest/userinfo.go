package oidctest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// serveUserInfo is the userinfo endpoint (OpenID Connect Core 1.0, section 5.3).
// It takes the access token in the Authorization header only.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		// RFC 6750, section 3.1: without authentication information, no error code.
		challenge(w, http.StatusUnauthorized, "")
		return
	case 1:
	default:
		challenge(w, http.StatusBadRequest, "invalid_request")
		return
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		challenge(w, http.StatusUnauthorized, "")
		return
	}
	user, scopes, ok := p.bearerOf(token)
	switch {
	case !ok:
		challenge(w, http.StatusUnauthorized, "invalid_token")
		return
	case !slices.Contains(scopes, scopeOpenID):
		challenge(w, http.StatusForbidden, "insufficient_scope")
		return
	}
	claims := userClaims(user, scopes)
	p.hooks.changeUserInfo(claims)
	writeJSON(w, http.StatusOK, "application/json", claims)
}

// challenge is the answer of RFC 6750, section 3.
func challenge(w http.ResponseWriter, status int, code string) {
	header := `Bearer realm="oidctest"`
	if code != "" {
		header += `, error="` + code + `"`
	}
	if code == "insufficient_scope" {
		header += `, scope="openid"`
	}
	w.Header().Set("WWW-Authenticate", header)
	w.WriteHeader(status)
}

// bearerOf returns whom an access token speaks for. The token must be one of
// ours, for this endpoint, and neither expired nor revoked.
func (p *Provider) bearerOf(token string) (user *User, scopes []string, ok bool) {
	typ, payload, ok := p.verify(token)
	if !ok || typ != "at+jwt" || p.grants.revoked(token) {
		return nil, nil, false
	}
	var claims struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
		Expiry   float64         `json:"exp"`
		Scope    string          `json:"scope"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Issuer != p.cfg.Issuer {
		return nil, nil, false
	}
	if float64(p.Now().Unix()) >= claims.Expiry {
		return nil, nil, false
	}
	if !slices.Contains(stringOrList(claims.Audience), p.url(UserInfo)) {
		return nil, nil, false
	}
	user = p.people[claims.Subject]
	return user, strings.Fields(claims.Scope), user != nil
}

// stringOrList reads an "aud" (RFC 7519, section 4.1.3).
func stringOrList(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	return many
}

// verify checks that a compact JWS was signed with a published key of ours.
func (p *Provider) verify(token string) (typ string, payload []byte, ok bool) {
	jws, err := jose.ParseSignedCompact(token, joseAlgorithms())
	if err != nil {
		return "", nil, false
	}
	payload, ok = p.keys.verifies(jws)
	typ, _ = jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return typ, payload, ok
}

func joseAlgorithms() []jose.SignatureAlgorithm {
	algs := make([]jose.SignatureAlgorithm, 0, len(algorithms))
	for alg := range algorithms {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	return algs
}
