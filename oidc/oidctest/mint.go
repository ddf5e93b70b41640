package oidctest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// access is what an access token says.
type access struct {
	clientID          string
	user              *User  // nil when the subject is not one
	subject           string // when there is no user; the client itself by default
	authTime          time.Time
	acr               string
	scopes, resources []string
	binding           binding
	act               map[string]any // RFC 8693, section 4.1
	readable          bool           // a JWT even if the client's tokens are opaque
}

// accessToken makes an access token: a JWT (RFC 9068, section 2), or one that is
// opaque and means the same.
func (p *Provider) accessToken(a access) (string, error) {
	now := p.Now()
	claims := map[string]any{}
	sub := a.clientID
	if a.subject != "" {
		sub = a.subject
	}
	if a.user != nil {
		claims = cloneUserClaims(a.user)
		claims["auth_time"] = a.authTime.Unix()
		if a.acr != "" {
			claims["acr"] = a.acr
		}
		sub = a.user.Subject
	}
	maps.Copy(claims, map[string]any{
		"iss":       p.cfg.Issuer,
		"sub":       sub,
		"aud":       p.audience(a.resources),
		"client_id": a.clientID,
		"iat":       now.Unix(),
		"exp":       now.Add(p.cfg.AccessTokenTTL).Unix(),
		"jti":       rand.Text(),
	})
	if len(a.scopes) > 0 { // RFC 6749, section 3.3: a scope has one token at least
		claims["scope"] = strings.Join(a.scopes, " ")
	}
	if cnf := a.binding.confirmation(); cnf != nil {
		claims["cnf"] = cnf
	}
	if a.act != nil {
		claims["act"] = a.act
	}
	header, err := p.header(p.cfg.Algorithm, "at+jwt")
	if err != nil {
		return "", err
	}
	p.hooks.changeAccessToken(header, claims)
	if c := p.client(a.clientID); !a.readable && (p.cfg.OpaqueAccessTokens || c != nil && c.OpaqueAccessTokens) {
		return p.opaqueToken(claims)
	}
	return p.signClaims(header, claims, p.cfg.Algorithm, "")
}

func (p *Provider) opaqueToken(claims map[string]any) (string, error) {
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	var kept members
	if err := json.Unmarshal(raw, &kept); err != nil {
		return "", err
	}
	token := rand.Text()
	p.grants.keepOpaque(token, kept, p.Now().Add(p.cfg.AccessTokenTTL))
	return token, nil
}

// audience is a string when there is one value, as RFC 7519, section 4.1.3,
// allows and most providers do.
func (p *Provider) audience(resources []string) any {
	switch len(resources) {
	case 0:
		return p.url(UserInfo)
	case 1:
		return resources[0]
	}
	return slices.Clone(resources)
}

// idToken makes an ID token (OpenID Connect Core 1.0, section 2), encrypted to a
// client that registered for that.
func (p *Provider) idToken(ctx context.Context, g *grant, nonce string, scopes []string, accessToken string) (string, error) {
	now, alg := p.Now(), g.client.IDTokenAlgorithm
	claims := userClaims(g.user, scopes)
	maps.Copy(claims, map[string]any{
		"iss":       p.cfg.Issuer,
		"aud":       g.client.ID,
		"azp":       g.client.ID,
		"iat":       now.Unix(),
		"exp":       now.Add(p.cfg.IDTokenTTL).Unix(),
		"auth_time": g.authTime.Unix(),
		"sid":       g.sid,
	})
	if accessToken != "" {
		claims["at_hash"] = leftHalf(alg, accessToken)
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if g.acr != "" {
		claims["acr"] = g.acr
	}
	header, err := p.header(alg, "JWT")
	if err != nil {
		return "", err
	}
	p.hooks.changeIDToken(header, claims)
	token, err := p.signClaims(header, claims, alg, g.client.Secret)
	if err != nil {
		return "", err
	}
	return p.sealed(ctx, g.client, g.client.IDTokenEncryptionAlgorithm, g.client.IDTokenEncryptionMethod, token)
}

// userClaims is what the scopes let a client know about the user (OpenID Connect
// Core 1.0, section 5.4).
func userClaims(u *User, scopes []string) map[string]any {
	claims := cloneUserClaims(u)
	claims["sub"] = u.Subject
	if slices.Contains(scopes, scopeProfile) && u.Name != "" {
		claims["name"] = u.Name
	}
	if slices.Contains(scopes, scopeEmail) && u.Email != "" {
		claims["email"] = u.Email
		claims["email_verified"] = u.EmailVerified
	}
	return claims
}

func cloneUserClaims(u *User) map[string]any {
	if u.Claims == nil {
		return map[string]any{}
	}
	return cloneClaims(u.Claims)
}

// header has no kid for HS*: both sides know the one secret.
func (p *Provider) header(alg, typ string) (map[string]any, error) {
	header := map[string]any{"alg": alg, "typ": typ}
	if _, ok := hmacs[alg]; ok {
		return header, nil
	}
	key, err := p.keys.signing(alg)
	if err != nil {
		return nil, err
	}
	header["kid"] = key.id
	return header, nil
}

func (p *Provider) signClaims(header, claims map[string]any, alg, secret string) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return p.sign(header, payload, alg, secret)
}
