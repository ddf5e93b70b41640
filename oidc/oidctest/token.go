package oidctest

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	grantCode              = "authorization_code"
	grantRefresh           = "refresh_token"
	grantClientCredentials = "client_credentials"
)

// serveToken is the token endpoint (RFC 6749, section 3.2).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	response, perr := p.token(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	p.hooks.changeTokenResponse(response)
	writeJSON(w, http.StatusOK, "application/json", response)
}

// tokenError is the error response of RFC 6749, section 5.2.
func (p *Provider) tokenError(w http.ResponseWriter, r *http.Request, perr *protocolError) {
	status := perr.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="oidctest"`)
	}
	writeJSON(w, status, "application/json", map[string]string{
		"error":             perr.code,
		"error_description": perr.description,
	})
}

func (p *Provider) token(r *http.Request) (map[string]any, *protocolError) {
	v, err := requestParams(r)
	if err != nil {
		return nil, invalidRequest("the request is not a form")
	}
	if v.duplicate() != "" {
		return nil, invalidRequest("a parameter is there more than once")
	}
	client, perr := p.authenticate(r, v)
	if perr != nil {
		return nil, perr
	}
	switch v.get("grant_type") {
	case "":
		return nil, invalidRequest("grant_type is missing")
	case grantCode:
		return p.redeemCode(client, v)
	case grantRefresh:
		return p.refresh(client, v)
	case grantClientCredentials:
		return p.clientCredentials(client, v)
	}
	return nil, &protocolError{code: "unsupported_grant_type", description: "the grant_type is not supported"}
}

// codeVerifier is the grammar of RFC 7636, section 4.1.
var codeVerifier = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// redeemCode exchanges a code (RFC 6749, section 4.1.3).
func (p *Provider) redeemCode(client *Client, v params) (map[string]any, *protocolError) {
	verifier := v.get("code_verifier")
	switch {
	case v.get("code") == "":
		return nil, invalidRequest("code is missing")
	case v.get("redirect_uri") == "":
		return nil, invalidRequest("redirect_uri is missing")
	case !codeVerifier.MatchString(verifier):
		return nil, invalidRequest("code_verifier is missing or malformed")
	}
	g, perr := p.grants.redeem(v.get("code"), client, p.Now())
	if perr != nil {
		return nil, perr
	}
	// From here on the code is spent: a second guess at the verifier is one too many.
	if v.get("redirect_uri") != g.redirectURI {
		return nil, errInvalidGrant
	}
	if sum := sha256.Sum256([]byte(verifier)); !sameSecret(g.challenge, encode(sum[:])) {
		return nil, errInvalidGrant
	}
	resources, perr := narrowResources(g.resources, v)
	if perr != nil {
		return nil, perr
	}
	return p.userTokens(g, "", g.nonce, g.scopes, resources)
}

// refresh exchanges a refresh token (RFC 6749, section 6).
func (p *Provider) refresh(client *Client, v params) (map[string]any, *protocolError) {
	old := v.get("refresh_token")
	if old == "" {
		return nil, invalidRequest("refresh_token is missing")
	}
	g, perr := p.grants.find(old, client, p.Now())
	if perr != nil {
		return nil, perr
	}
	scopes, perr := narrowScopes(g.scopes, v)
	if perr != nil {
		return nil, perr
	}
	resources, perr := narrowResources(g.resources, v)
	if perr != nil {
		return nil, perr
	}
	// OpenID Connect Core 1.0, section 12.2: the ID token "SHOULD NOT have a nonce
	// Claim".
	return p.userTokens(g, old, "", scopes, resources)
}

// narrowScopes is the scope of a refreshed token, which "MUST NOT include any
// scope not originally granted" (RFC 6749, section 6).
func narrowScopes(granted []string, v params) ([]string, *protocolError) {
	asked, perr := parseScope(v.get("scope"))
	if perr != nil {
		return nil, perr
	}
	if asked == nil {
		return granted, nil
	}
	if !subset(asked, granted) {
		return nil, &protocolError{code: "invalid_scope", description: "the scope was not granted"}
	}
	return asked, nil
}

// narrowResources selects the audience among the granted ones (RFC 8707,
// section 2.2).
func narrowResources(granted []string, v params) ([]string, *protocolError) {
	asked := v["resource"]
	if len(asked) == 0 {
		return granted, nil
	}
	if !subset(asked, granted) {
		return nil, invalidTarget("the resource was not granted")
	}
	return slices.Compact(slices.Sorted(slices.Values(asked))), nil
}

func subset(of, set []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(set, s) })
}

// userTokens issues the tokens of a grant, and rotates the refresh token old.
func (p *Provider) userTokens(g *grant, old, nonce string, scopes, resources []string) (map[string]any, *protocolError) {
	refreshToken, ok := "", true
	if g.has(scopeOfflineAccess) {
		expires := p.Now().Add(p.cfg.RefreshTokenTTL)
		refreshToken, ok = p.grants.rotate(g, old, expires, expires.Add(p.cfg.AccessTokenTTL))
	}
	if !ok {
		return nil, errInvalidGrant
	}
	accessToken, err := p.accessToken(access{g.client.ID, g.user, g.authTime, scopes, resources})
	if err != nil {
		return nil, unsignable(err)
	}
	p.grants.issued(accessToken, g)

	response := p.bearer(accessToken, scopes)
	if refreshToken != "" {
		response["refresh_token"] = refreshToken
	}
	if slices.Contains(scopes, scopeOpenID) {
		idToken, err := p.idToken(g, nonce, scopes, accessToken)
		if err != nil {
			return nil, unsignable(err)
		}
		response["id_token"] = idToken
	}
	return response, nil
}

// clientCredentials issues a token to the client itself (RFC 6749, section 4.4).
func (p *Provider) clientCredentials(client *Client, v params) (map[string]any, *protocolError) {
	if client.AuthMethod == methodNone {
		return nil, &protocolError{code: "unauthorized_client", description: "the client is public"}
	}
	scopes, perr := client.allowedScopes(v.get("scope"))
	if perr != nil {
		return nil, perr
	}
	if slices.Contains(scopes, scopeOpenID) || slices.Contains(scopes, scopeOfflineAccess) {
		return nil, &protocolError{code: "invalid_scope", description: "there is no user to identify"}
	}
	resources, perr := client.allowedResources(v)
	if perr != nil {
		return nil, perr
	}
	token, err := p.accessToken(access{clientID: client.ID, scopes: scopes, resources: resources})
	if err != nil {
		return nil, unsignable(err)
	}
	return p.bearer(token, scopes), nil
}

func (p *Provider) bearer(accessToken string, scopes []string) map[string]any {
	response := map[string]any{
		"access_token": accessToken,
		"token_type":   "Bearer",
		"expires_in":   int64(p.cfg.AccessTokenTTL / time.Second),
	}
	if len(scopes) > 0 {
		response["scope"] = strings.Join(scopes, " ")
	}
	return response
}

// unsignable is what a hook causes that leaves an unknown algorithm.
func unsignable(err error) *protocolError {
	return &protocolError{code: "server_error", description: err.Error(), status: http.StatusInternalServerError}
}
