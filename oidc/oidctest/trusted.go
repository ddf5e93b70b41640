package oidctest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TrustedIssuer is somebody else whose JWTs are taken as authorization grants
// (RFC 7523, section 2.1) and in token exchanges (RFC 8693).
type TrustedIssuer struct {
	// Issuer is the "iss" of the JWTs. It is required and unique.
	Issuer string

	// JWKS is a JWK Set with the issuer's public keys, as JSON. It is required.
	JWKS []byte

	// Audiences are accepted besides the provider's issuer and its token endpoint.
	Audiences []string
}

// trusted returns what a JWT of a trusted issuer says. noun is what it is called
// in the problem; with once, it cannot be used again.
func (p *Provider) trusted(raw, noun string, once bool) (_ members, problem string) {
	token, ok := parseJWT(raw)
	if !ok {
		return nil, noun + " is not a JWT of a supported algorithm"
	}
	issuer := token.claims.text("iss")
	i := slices.IndexFunc(p.cfg.TrustedIssuers, func(t TrustedIssuer) bool { return t.Issuer == issuer })
	if i < 0 {
		return nil, "the issuer of " + noun + " is not trusted"
	}
	if problem := verifiedBy(p.cfg.TrustedIssuers[i].JWKS, token); problem != "" {
		return nil, "the signature of " + noun + ": " + problem
	}
	if !p.meantForUs(token.claims["aud"], p.cfg.TrustedIssuers[i].Audiences) {
		return nil, "aud of " + noun + " is somebody else"
	}
	return token.claims, p.timely(issuer, noun, token.claims, once)
}

func verifiedBy(set []byte, token *parsedJWT) (problem string) {
	keys, err := parseKeySet(set)
	if err != nil { // unreachable: check parsed it
		return "the issuer has no keys"
	}
	var key *jose.JSONWebKey
	if key, err = selectKey(keys, token.header); err != nil {
		return err.Error()
	}
	if _, err := token.jws.Verify(key.Key); err != nil {
		return "it is wrong"
	}
	return ""
}

// meantForUs: RFC 7523, section 3, lets the token endpoint stand for us as well.
func (p *Provider) meantForUs(raw json.RawMessage, others []string) bool {
	return slices.ContainsFunc(stringOrList(raw), func(aud string) bool {
		return aud == p.cfg.Issuer || aud == p.url(Token) || slices.Contains(others, aud)
	})
}

func (p *Provider) timely(issuer, noun string, claims members, once bool) (problem string) {
	now := float64(p.Now().UnixNano()) / 1e9
	exp, there, ok := claims.number("exp")
	nbf, _, okNBF := claims.number("nbf")
	iat, _, okIAT := claims.number("iat")
	jti := claims.text("jti")
	switch {
	case !there, !ok:
		return "exp of " + noun + " is missing or malformed"
	case exp <= now:
		return noun + " has expired"
	case !okNBF, nbf > now:
		return "nbf of " + noun + " is in the future"
	case !okIAT, iat > now:
		return "iat of " + noun + " is in the future"
	case once && jti != "" && !p.replays.first("grant "+issuer+" "+jti, time.Unix(int64(exp)+1, 0), p.Now()):
		return "jti of " + noun + " has been used before"
	}
	return ""
}
