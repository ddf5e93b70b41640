package oidctest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// resourceError is the answer of a protected resource (RFC 6750, section 3;
// RFC 9449, section 7.1).
type resourceError struct {
	status            int
	scheme            string // Bearer or DPoP
	code, description string // no code: the request had no token
	scope             string
	parameters        string // further ones, as they are written
}

func invalidToken(scheme, description string) *resourceError {
	return &resourceError{status: http.StatusUnauthorized, scheme: scheme, code: "invalid_token", description: description}
}

func (e *resourceError) challenge() string {
	header := e.scheme + ` realm="oidctest"` + parameter("error", e.code) +
		parameter("error_description", e.description) + parameter("scope", e.scope)
	if e.scheme == schemeDPoP {
		header += parameter("algs", strings.Join(asymmetric(), " "))
	}
	return header + e.parameters
}

// parameter is one of a challenge, if it has a value. Ours need no escaping.
func parameter(name, value string) string {
	if value == "" {
		return ""
	}
	return ", " + name + `="` + value + `"`
}

const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

func (e *resourceError) answer(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", e.challenge())
	if e.code == "" {
		// RFC 9449, section 7.2: a resource that takes both says both.
		both := &resourceError{scheme: schemeDPoP}
		w.Header().Add("WWW-Authenticate", both.challenge())
	}
	w.WriteHeader(e.status)
}

// presentedToken finds the one access token of a request: in the Authorization
// header or, with form, in the body (RFC 6750, section 2).
func presentedToken(r *http.Request, form bool) (scheme, token string, problem *resourceError) {
	body, err := bodyToken(r, form)
	headers := r.Header.Values("Authorization")
	switch {
	case err != nil, len(headers) > 1, len(headers) == 1 && body != "":
		// Section 2: "Clients MUST NOT use more than one method to transmit the token
		// in each request."
		return "", "", &resourceError{
			status: http.StatusBadRequest, scheme: schemeBearer, code: "invalid_request",
			description: "there is not exactly one access token",
		}
	case body != "":
		return schemeBearer, body, nil
	case len(headers) == 1:
		scheme, token, _ = strings.Cut(headers[0], " ")
	}
	for _, known := range []string{schemeBearer, schemeDPoP} {
		if strings.EqualFold(scheme, known) {
			return known, token, nil
		}
	}
	// RFC 6750, section 3.1: without authentication information, no error code.
	return "", "", &resourceError{status: http.StatusUnauthorized, scheme: schemeBearer}
}

func bodyToken(r *http.Request, form bool) (string, error) {
	if !form || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return "", nil
	}
	v, err := requestParams(r)
	if err != nil {
		return "", err
	}
	if len(v["access_token"]) > 1 {
		return "", fmt.Errorf("access_token is there %d times", len(v["access_token"]))
	}
	return v.get("access_token"), nil
}

// judge checks that a request may use the access token it has: one of ours, for
// the audience, from somebody who has the keys it is bound to.
func (p *Provider) judge(r *http.Request, audience string, form bool) (members, *resourceError) {
	scheme, token, problem := presentedToken(r, form)
	if problem != nil {
		return nil, problem
	}
	claims, ok := p.accessClaims(token)
	switch {
	case !ok:
		return nil, invalidToken(scheme, "the access token is malformed, expired or revoked")
	case !slices.Contains(stringOrList(claims["aud"]), audience):
		return nil, invalidToken(scheme, "the access token is for somebody else")
	}
	if problem := p.judgeBinding(r, scheme, token, boundTo(claims)); problem != nil {
		return nil, problem
	}
	return claims, nil
}

func (p *Provider) judgeBinding(r *http.Request, scheme, token string, b binding) *resourceError {
	switch {
	// RFC 9449, section 7.2: a bound token must not be taken as a bearer token.
	case b.jkt != "" && scheme != schemeDPoP:
		return invalidToken(schemeDPoP, "the access token is bound to a DPoP key")
	case b.jkt == "" && scheme == schemeDPoP:
		return invalidToken(schemeBearer, "the access token is not bound to a DPoP key")
	}
	if b.x5t != "" {
		certificate := presentedCertificate(r)
		if certificate == nil || certificateHash(certificate) != b.x5t {
			return invalidToken(scheme, "certificate not bound: the access token is bound to another one")
		}
	}
	if b.jkt == "" {
		return nil
	}
	jkt, perr := p.checkProof(r, token)
	if perr != nil {
		return &resourceError{status: http.StatusUnauthorized, scheme: schemeDPoP, code: perr.code, description: perr.description}
	}
	if jkt != b.jkt {
		return invalidToken(schemeDPoP, "the access token is bound to another DPoP key")
	}
	return nil
}

// ResourceConfig says what [Provider.Protect] demands.
type ResourceConfig struct {
	// Audience must be in the "aud" of the access token. It is required.
	Audience string

	// Scopes must all be in the "scope" of the access token.
	Scopes []string

	// ACRValues, if any, have those that authenticated in another way sent to
	// authenticate again (RFC 9470): "acr" must be one of them.
	ACRValues []string

	// MaxAge, in seconds and if it is more than 0, has those whose "auth_time" is
	// longer ago sent to authenticate again (RFC 9470).
	MaxAge int64
}

type claimsKey struct{}

// Protect makes an API whose requests need an access token of the provider. It
// checks DPoP proofs, with nonces if Config.RequireDPoPNonce says so, and that the
// certificate of a certificate-bound token is there; a client that does not keep
// RFC 6750, RFC 9449 or RFC 9470 is refused with their challenges. "htu" must be
// http, or https where the request came over TLS, with its Host and path.
// [ResourceClaims] returns what the token says.
func (p *Provider) Protect(cfg ResourceConfig, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.offerNonce(w)
		sent := r.WithContext(context.WithValue(r.Context(), originKey{}, hostOrigin(r)))
		claims, problem := p.judge(sent, cfg.Audience, false)
		if problem == nil {
			problem = cfg.demand(claims, p.Now().Unix())
		}
		if problem != nil {
			problem.answer(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims.values())))
	})
}

// ResourceClaims returns the claims of the access token of a request that passed
// [Provider.Protect].
func ResourceClaims(r *http.Request) map[string]any {
	claims, _ := r.Context().Value(claimsKey{}).(map[string]any)
	return claims
}

func (cfg ResourceConfig) demand(claims members, now int64) *resourceError {
	scheme := boundTo(claims).tokenType()
	if !subset(cfg.Scopes, strings.Fields(claims.text("scope"))) {
		return &resourceError{
			status: http.StatusForbidden, scheme: scheme, code: "insufficient_scope", scope: strings.Join(cfg.Scopes, " "),
		}
	}
	parameters := ""
	if len(cfg.ACRValues) > 0 && !slices.Contains(cfg.ACRValues, claims.text("acr")) {
		parameters += parameter("acr_values", strings.Join(cfg.ACRValues, " "))
	}
	if authTime, _, _ := claims.number("auth_time"); cfg.MaxAge > 0 && authTime < float64(now-cfg.MaxAge) {
		parameters += parameter("max_age", strconv.FormatInt(cfg.MaxAge, 10))
	}
	if parameters == "" {
		return nil
	}
	return &resourceError{
		status: http.StatusUnauthorized, scheme: scheme, code: "insufficient_user_authentication", parameters: parameters,
	}
}

// originKey is that of the scheme and host a request was sent to, in its context.
type originKey struct{}

func hostOrigin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
