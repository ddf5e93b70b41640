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
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // a name
	grantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // a name
	grantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	grantCIBA              = "urn:openid:params:grant-type:ciba"
)

// serveToken is the token endpoint (RFC 6749, section 3.2).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.offerNonce(w)
	response, perr := p.token(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	p.hooks.changeTokenResponse(response)
	p.answer(w, Token, http.StatusOK, response)
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

// tokenRequest is a request of a client that has proved who it is, and that it
// has the keys which its tokens are to be bound to.
type tokenRequest struct {
	*http.Request
	client  *Client
	v       params
	binding binding
}

// grantTypes are what the token endpoint knows.
func (p *Provider) grantTypes() map[string]func(*tokenRequest) (map[string]any, *protocolError) {
	return map[string]func(*tokenRequest) (map[string]any, *protocolError){
		grantCode:              p.redeemCode,
		grantRefresh:           p.refresh,
		grantClientCredentials: p.clientCredentials,
		grantJWTBearer:         p.jwtBearer,
		grantTokenExchange:     p.exchange,
		grantDeviceCode:        p.deviceCode,
		grantCIBA:              p.ciba,
	}
}

func (p *Provider) token(r *http.Request) (map[string]any, *protocolError) {
	client, v, perr := p.clientRequest(r)
	if perr != nil {
		return nil, perr
	}
	grantType := v.get("grant_type")
	if grantType == "" {
		return nil, invalidRequest("grant_type is missing")
	}
	serve, ok := p.grantTypes()[grantType]
	if !ok {
		return nil, &protocolError{code: "unsupported_grant_type", description: "the grant_type is not supported"}
	}
	if perr := client.mayUse(grantType); perr != nil {
		return nil, perr
	}
	b, perr := p.bindingOf(r, client)
	if perr != nil {
		return nil, perr
	}
	return serve(&tokenRequest{r, client, v, b})
}

func (c *Client) mayUse(grantType string) *protocolError {
	if c.GrantTypes != nil && !slices.Contains(c.GrantTypes, grantType) {
		return &protocolError{code: "unauthorized_client", description: "the client may not use this grant_type"}
	}
	return nil
}

// codeVerifier is the grammar of RFC 7636, section 4.1.
var codeVerifier = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// redeemCode exchanges a code (RFC 6749, section 4.1.3).
func (p *Provider) redeemCode(t *tokenRequest) (map[string]any, *protocolError) {
	v := t.v
	verifier := v.get("code_verifier")
	switch {
	case v.get("code") == "":
		return nil, invalidRequest("code is missing")
	case v.get("redirect_uri") == "":
		return nil, invalidRequest("redirect_uri is missing")
	case !codeVerifier.MatchString(verifier):
		return nil, invalidRequest("code_verifier is missing or malformed")
	}
	g, perr := p.grants.redeem(v.get("code"), t.client, p.Now())
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
	// RFC 9449, section 10: the proof must be of the key that dpop_jkt announced.
	if g.dpop != "" && g.dpop != t.binding.jkt {
		return nil, &protocolError{code: "invalid_grant", description: "the code is bound to another DPoP key"}
	}
	resources, perr := narrowResources(g.resources, v)
	if perr != nil {
		return nil, perr
	}
	return p.userTokens(t, g, "", g.nonce, g.scopes, resources)
}

// refresh exchanges a refresh token (RFC 6749, section 6).
func (p *Provider) refresh(t *tokenRequest) (map[string]any, *protocolError) {
	v, old := t.v, t.v.get("refresh_token")
	if old == "" {
		return nil, invalidRequest("refresh_token is missing")
	}
	g, perr := p.grants.find(old, t.client, p.Now())
	if perr != nil {
		return nil, perr
	}
	if perr := p.grants.holds(g, t.binding); perr != nil {
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
	return p.userTokens(t, g, old, "", scopes, resources)
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
func (p *Provider) userTokens(t *tokenRequest, g *grant, old, nonce string, scopes, resources []string) (map[string]any, *protocolError) {
	refreshToken, ok := "", true
	if g.has(scopeOfflineAccess) {
		expires := p.Now().Add(p.cfg.RefreshTokenTTL)
		refreshToken, ok = p.grants.rotate(g, old, expires, expires.Add(p.cfg.AccessTokenTTL))
	}
	if !ok {
		return nil, errInvalidGrant
	}
	if old == "" && t.client.AuthMethod == methodNone {
		p.grants.bind(g, t.binding)
	}
	accessToken, err := p.accessToken(access{
		clientID: g.client.ID, user: g.user, authTime: g.authTime, acr: g.acr,
		scopes: scopes, resources: resources, binding: t.binding,
	})
	if err != nil {
		return nil, unsignable(err)
	}
	p.grants.issued(accessToken, g)

	response := p.bearer(accessToken, scopes, t.binding)
	if refreshToken != "" {
		response["refresh_token"] = refreshToken
	}
	if slices.Contains(scopes, scopeOpenID) {
		idToken, err := p.idToken(t.Context(), g, nonce, scopes, accessToken)
		if err != nil {
			return nil, unsignable(err)
		}
		response["id_token"] = idToken
	}
	return response, nil
}

// clientCredentials issues a token to the client itself (RFC 6749, section 4.4).
func (p *Provider) clientCredentials(t *tokenRequest) (map[string]any, *protocolError) {
	if t.client.AuthMethod == methodNone {
		return nil, &protocolError{code: "unauthorized_client", description: "the client is public"}
	}
	scopes := strings.Fields(t.v.get("scope"))
	if slices.Contains(scopes, scopeOpenID) || slices.Contains(scopes, scopeOfflineAccess) {
		return nil, &protocolError{code: "invalid_scope", description: "there is no user to identify"}
	}
	return p.plainToken(t, access{clientID: t.client.ID, binding: t.binding})
}

func (p *Provider) bearer(accessToken string, scopes []string, b binding) map[string]any {
	response := map[string]any{
		"access_token": accessToken,
		"token_type":   b.tokenType(),
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
