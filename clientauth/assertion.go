package clientauth

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AssertionConfig says what an assertion (RFC 7523 section 3) says. The zero value is
// what RFC 10070 asks for, and what new providers expect.
type AssertionConfig struct {
	// Audience is "aud". Empty means the provider's issuer. It is always one string: an
	// assertion with more than one audience, or one that an attacker can choose, is good
	// at an honest provider too (CVE-2025-27370). A fixed one must be an address of the
	// one provider that the client's key is registered with.
	Audience string
	// InsecureTokenEndpointAudience makes the URL of the token endpoint the audience,
	// whichever endpoint the request goes to. It is for providers that take no other, and
	// only with a client ID or key that no other provider knows: metadata of a malicious
	// one can name an honest one's token endpoint.
	InsecureTokenEndpointAudience bool
	// Algorithm is "alg" of [SecretJWT]: HS256 if empty, HS384 or HS512. That of
	// [PrivateKeyJWT] is its key's; if it is not the one that is named here, that is an
	// error.
	Algorithm string
	// Lifetime is from "iat" to "exp", in whole seconds: from 1 s to 60 s. Zero means 60 s.
	Lifetime time.Duration
	// Type is "typ". Empty means client-authentication+jwt (RFC 10070).
	Type string
	// OmitType leaves "typ" out, for providers that refuse what they do not know.
	OmitType bool
	// Now tells the time; nil means [Request.Now], which is the clock of the provider that
	// package oidc calls.
	Now func() time.Time
}

const (
	assertionType     = "client-authentication+jwt"
	assertionGrant    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
	longestAssertion  = time.Minute
	shortestAssertion = time.Second
)

// single returns the one configuration that was given, with its defaults.
func single(configs []AssertionConfig) (AssertionConfig, error) {
	var cfg AssertionConfig
	if len(configs) > 0 {
		cfg = configs[0]
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = longestAssertion
	}
	if cfg.Type == "" && !cfg.OmitType {
		cfg.Type = assertionType
	}
	return cfg, cfg.check(len(configs))
}

func (cfg AssertionConfig) check(given int) error {
	switch {
	case given > 1:
		return problem(ReasonConfiguration, "AssertionConfig is given more than once: give one")
	case cfg.Lifetime < shortestAssertion || cfg.Lifetime > longestAssertion:
		return problem(ReasonConfiguration, "AssertionConfig.Lifetime is not between 1 s and 60 s: leave it 0")
	case cfg.Audience != "" && cfg.InsecureTokenEndpointAudience:
		return problem(ReasonConfiguration, "AssertionConfig.Audience and InsecureTokenEndpointAudience exclude each other: leave one out")
	case cfg.Type != "" && cfg.OmitType:
		return problem(ReasonConfiguration, "AssertionConfig.Type and OmitType exclude each other: leave one out")
	}
	return nil
}

// audience never returns nothing: an assertion without an audience is good everywhere.
func (cfg AssertionConfig) audience(p Provider) (string, error) {
	audience, what := p.Issuer, "Issuer"
	switch {
	case cfg.Audience != "":
		audience = cfg.Audience
	case cfg.InsecureTokenEndpointAudience:
		audience, what = p.TokenEndpoint, "TokenEndpoint"
	}
	if audience == "" {
		return "", problem(ReasonAudience, what+" is empty, and without it an assertion is made out to nobody: set it")
	}
	return audience, nil
}

// assertionClaims are those of RFC 7523 section 3, with those that OpenID Connect Core
// section 9 requires.
type assertionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func (cfg AssertionConfig) now(r *Request) time.Time {
	if cfg.Now == nil {
		return r.now()
	}
	return cfg.Now()
}

// payload is new for each request: an assertion is used once.
func (cfg AssertionConfig) payload(r *Request) ([]byte, error) {
	audience, err := cfg.audience(r.Provider)
	if err != nil {
		return nil, err
	}
	now := cfg.now(r).Unix()
	return json.Marshal(assertionClaims{
		Issuer: r.ClientID, Subject: r.ClientID, Audience: audience,
		ID:       rand.Text(), // 128 random bits or more
		IssuedAt: now, Expires: now + int64(cfg.Lifetime/time.Second),
	})
}

// checkAlgorithm compares with what the metadata list, before a request is spent on it.
func checkAlgorithm(alg string, p Provider) error {
	listed := p.SigningAlgorithmsSupported
	if len(listed) == 0 || slices.Contains(listed, alg) {
		return nil
	}
	return problem(ReasonAlgorithm, fmt.Sprintf("the provider does not take assertions signed with %s: it lists %s", alg, strings.Join(listed, ", ")))
}

func setAssertion(r *Request, assertion string) {
	r.Form.Set("client_id", r.ClientID)
	r.Form.Set("client_assertion_type", assertionGrant)
	r.Form.Set("client_assertion", assertion)
}
