package oidctest

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// authorization is an authorization request that has been checked.
type authorization struct {
	client            *Client
	redirectURI       string
	state, mode       string
	nonce, challenge  string
	dpop, acr         string
	loginHint         string
	scopes, resources []string
}

// serveAuthorization answers an authorization request (OpenID Connect Core 1.0,
// section 3.1.2) with the login page. There is no session: everybody logs in,
// every time.
func (p *Provider) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	v, err := requestParams(r)
	if err != nil {
		errorPage(w, "The request is malformed.")
		return
	}
	request, problem := p.pushed(v, true)
	if problem != "" {
		errorPage(w, problem)
		return
	}
	if a := p.admit(w, r, request, v.get("request_uri") != ""); a != nil {
		p.loginPage(w, http.StatusOK, v, loginPage{ClientID: a.client.ID, Username: a.loginHint})
	}
}

// admit checks an authorization request, which was pushed or not. It answers one
// that fails, and returns nil.
func (p *Provider) admit(w http.ResponseWriter, r *http.Request, v params, pushed bool) *authorization {
	a, problem := p.recipient(v)
	if problem != "" {
		// RFC 6749, section 4.1.2.1: "[...] SHOULD inform the resource owner of the
		// error and MUST NOT automatically redirect the user-agent to the invalid
		// redirection URI."
		errorPage(w, problem)
		return nil
	}
	perr := a.check(v)
	if perr == nil && !pushed && (p.cfg.RequirePushedAuthorizationRequests || a.client.RequirePushedAuthorizationRequests) {
		perr = invalidRequest("the request must be pushed")
	}
	if perr != nil {
		p.refuse(w, r, a, perr)
		return nil
	}
	return a
}

// recipient finds out to whom an answer may go. Until that is certain, nothing
// may be sent anywhere.
func (p *Provider) recipient(v params) (a *authorization, problem string) {
	if len(v["client_id"]) > 1 || len(v["redirect_uri"]) > 1 {
		return nil, "The request names more than one client_id or redirect_uri."
	}
	client := p.client(v.get("client_id"))
	if client == nil {
		return nil, "The client_id is not registered."
	}
	uri := v.get("redirect_uri")
	if !registered(client.RedirectURIs, uri) {
		return nil, "The redirect_uri is not registered for this client."
	}
	a = &authorization{client: client, redirectURI: uri, mode: modeQuery}
	if len(v["state"]) == 1 {
		a.state = v.get("state")
	}
	if len(v["response_mode"]) == 1 && v.get("response_mode") == modeFormPost {
		a.mode = modeFormPost
	}
	return a, ""
}

// check reads the rest of the request into a.
func (a *authorization) check(v params) *protocolError {
	if name := v.duplicate(); name != "" {
		return invalidRequest("a parameter is there more than once")
	}
	for _, check := range []func(params) *protocolError{
		checkRequestObject, checkResponse, checkPKCE, checkPrompt,
	} {
		if perr := check(v); perr != nil {
			return perr
		}
	}
	a.nonce, a.challenge, a.loginHint = v.get("nonce"), v.get("code_challenge"), v.get("login_hint")
	a.dpop, a.acr = v.get("dpop_jkt"), firstWord(v.get("acr_values"))

	var perr *protocolError
	if a.scopes, perr = a.client.allowedScopes(v.get("scope")); perr != nil {
		return perr
	}
	a.resources, perr = a.client.allowedResources(v)
	return perr
}

// checkRequestObject: to ignore a request object would be to answer another
// request than the one that was signed.
func checkRequestObject(v params) *protocolError {
	switch {
	case v.get("request") != "":
		return &protocolError{code: "request_not_supported", description: "request objects are not supported"}
	case v.get("request_uri") != "":
		return &protocolError{code: "request_uri_not_supported", description: "request_uri is not supported"}
	}
	return nil
}

func checkResponse(v params) *protocolError {
	switch v.get("response_type") {
	case "code":
	case "":
		return invalidRequest("response_type is missing")
	default:
		return &protocolError{code: "unsupported_response_type", description: "only code is supported"}
	}
	switch v.get("response_mode") {
	case "", modeQuery, modeFormPost:
		return nil
	}
	return invalidRequest("the response_mode is not supported")
}

// sha256Challenge is the form of an S256 challenge: 32 bytes in base64url.
var sha256Challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func checkPKCE(v params) *protocolError {
	switch {
	case v.get("code_challenge") == "":
		return invalidRequest("code_challenge is required")
	case v.get("code_challenge_method") != "S256":
		// RFC 7636, section 4.3: without the parameter the method is "plain".
		return invalidRequest("code_challenge_method is not S256")
	case !sha256Challenge.MatchString(v.get("code_challenge")):
		return invalidRequest("code_challenge is not one of S256")
	}
	return nil
}

// checkPrompt covers what OpenID Connect Core 1.0, section 3.1.2.1, says of
// logging in.
func checkPrompt(v params) *protocolError {
	if s := v.get("max_age"); s != "" {
		if _, err := strconv.ParseUint(s, 10, 31); err != nil {
			return invalidRequest("max_age is not a number of seconds")
		}
	}
	prompts := strings.Fields(v.get("prompt"))
	if !slices.Contains(prompts, "none") {
		return nil
	}
	if len(prompts) > 1 {
		return invalidRequest("prompt=none goes with no other value")
	}
	return &protocolError{code: "login_required", description: "the provider keeps no sessions"}
}
