package oidctest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// assertionType is the only client_assertion_type (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertionLife is how far away the "exp" of an assertion may be.
const maxAssertionLife = 5 * time.Minute

// readAssertion finds out which client an assertion speaks for, and by which
// method. Nothing is checked yet.
func readAssertion(v params) (credentials, *protocolError) {
	if v.get("client_assertion_type") != assertionType {
		return credentials{}, invalidClient("client_assertion_type is not that of a JWT")
	}
	token, ok := parseJWT(v.get("client_assertion"))
	if !ok {
		return credentials{}, invalidClient("client_assertion is not a JWT of a supported algorithm")
	}
	subject := token.claims.text("sub")
	switch {
	case subject == "":
		return credentials{}, invalidClient("sub of the assertion is missing")
	case token.claims.text("iss") != subject:
		return credentials{}, invalidClient("iss and sub of the assertion differ")
	case v.get("client_id") != "" && v.get("client_id") != subject:
		return credentials{}, invalidClient("client_id is not the sub of the assertion")
	}
	method := methodPrivateKeyJWT
	if _, ok := hmacs[token.alg()]; ok {
		method = methodSecretJWT
	}
	return credentials{method: method, id: subject, assertion: token}, nil
}

// checkAssertion judges a client's assertion (RFC 7523, section 3; RFC 10070).
func (p *Provider) checkAssertion(r *http.Request, c *Client, token *parsedJWT) *protocolError {
	if c.AssertionAlgorithms != nil && !slices.Contains(c.AssertionAlgorithms, token.alg()) {
		return invalidClient("the algorithm of the assertion is not registered for the client")
	}
	switch token.header.text("typ") {
	case "client-authentication+jwt":
	case "", "JWT":
		if c.RequireAssertionType {
			return invalidClient("typ of the assertion is not client-authentication+jwt")
		}
	default:
		return invalidClient("typ of the assertion is of another kind of JWT")
	}
	if problem := p.assertionSignature(r.Context(), c, token); problem != "" {
		return invalidClient(problem)
	}
	if !c.audienceFits(token.claims["aud"], p.cfg.Issuer, p.url(Token), p.requestURL(r)) {
		return invalidClient("aud of the assertion is not the issuer as a single string")
	}
	if problem := p.onceInTime("assertion "+c.ID, token.claims); problem != "" {
		return invalidClient(problem)
	}
	return nil
}

func (p *Provider) assertionSignature(ctx context.Context, c *Client, token *parsedJWT) (problem string) {
	if hash, ok := hmacs[token.alg()]; ok {
		// RFC 7518, section 3.2: a key as long as the hash, at least.
		if len(c.Secret) < hash.Size() {
			return "the client_secret is too short for the algorithm of the assertion"
		}
		if _, err := token.jws.Verify([]byte(c.Secret)); err != nil {
			return "the signature of the assertion is not by the client_secret"
		}
		return ""
	}
	keys, err := p.keysOf(ctx, c, false)
	key, missing := selectKey(keys, token.header)
	if c.JWKSURI != "" && (err != nil || missing != nil) {
		// A key that the client has just begun to use is published already.
		keys, err = p.keysOf(ctx, c, true)
		key, missing = selectKey(keys, token.header)
	}
	switch {
	case err != nil:
		return "the keys of the client are not available"
	case missing != nil:
		return "the key of the assertion: " + missing.Error()
	}
	if _, err := token.jws.Verify(key.Key); err != nil {
		return "the signature of the assertion is wrong"
	}
	return ""
}

// audienceFits: RFC 10070 has the issuer identifier as the sole value, so that no
// other server can have the assertion made for itself.
func (c *Client) audienceFits(raw json.RawMessage, issuer string, endpoints ...string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil && one == issuer {
		return true
	}
	accepted := c.InsecureAssertionAudiences
	if c.InsecureTokenEndpointAudience {
		accepted = append(slices.Clone(accepted), endpoints...)
	}
	return slices.ContainsFunc(stringOrList(raw), func(s string) bool { return slices.Contains(accepted, s) })
}

// onceInTime checks the times and the jti of a JWT that somebody made for us to
// be used once: whose jti must be unique is said by scope.
func (p *Provider) onceInTime(scope string, claims members) (problem string) {
	now := float64(p.Now().UnixNano()) / 1e9
	exp, there, ok := claims.number("exp")
	switch {
	case !there, !ok:
		return "exp of the assertion is missing or malformed"
	case exp <= now:
		return "the assertion has expired"
	case exp > now+maxAssertionLife.Seconds():
		return "exp of the assertion is more than 5 minutes away"
	}
	for _, name := range []string{"iat", "nbf"} {
		t, _, ok := claims.number(name)
		switch {
		case !ok:
			return name + " of the assertion is malformed"
		case t > now:
			return name + " of the assertion is in the future"
		}
	}
	jti := claims.text("jti")
	if jti == "" {
		return "jti of the assertion is missing"
	}
	if !p.replays.first(scope+" "+jti, time.Unix(int64(exp)+1, 0), p.Now()) {
		return "jti of the assertion has been used before"
	}
	return ""
}

// requestURL is the URL that a request was sent to, without its query.
func (p *Provider) requestURL(r *http.Request) string {
	if origin, ok := r.Context().Value(originKey{}).(string); ok {
		return origin + r.URL.Path
	}
	return p.origin + r.URL.Path
}
