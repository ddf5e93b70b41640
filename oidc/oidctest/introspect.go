package oidctest

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"strings"
	"time"
)

// introspectionType is the media type of RFC 9701, and its typ with the prefix
// left out.
const introspectionType = "token-introspection+jwt"

// serveIntrospection is the introspection endpoint (RFC 7662, section 2). Any
// client with credentials may ask about any access token, and about its own
// refresh tokens.
func (p *Provider) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	client, v, perr := p.clientRequest(r)
	switch {
	case perr != nil:
	case client.AuthMethod == methodNone:
		// RFC 7662, section 2.1: "the endpoint MUST also require some form of
		// authorization to access this endpoint".
		perr = invalidClient("a public client may not introspect tokens")
	case v.get("token") == "":
		perr = invalidRequest("token is missing")
	}
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	answer := p.introspect(client, v.get("token"))
	if !acceptsType(r, "application/"+introspectionType) {
		p.answer(w, Introspection, http.StatusOK, answer)
		return
	}
	p.hooks.changeAnswer(Introspection, answer)
	token, err := p.introspectionToken(r.Context(), client, answer)
	if err != nil {
		p.tokenError(w, r, unsignable(err))
		return
	}
	w.Header().Set("Content-Type", "application/"+introspectionType)
	_, _ = w.Write([]byte(token)) //nolint:gosec // base64url; and the other side may have gone
}

// introspect says of a token that is not valid that it is not active, and not why.
func (p *Provider) introspect(c *Client, token string) map[string]any {
	if answer := p.introspectRefresh(c, token); answer != nil {
		return answer
	}
	claims, ok := p.accessClaims(token)
	if !ok {
		return map[string]any{"active": false}
	}
	answer := claims.values()
	b := boundTo(claims)
	answer["active"], answer["token_type"] = true, b.tokenType()
	if user := p.people[claims.text("sub")]; user != nil {
		answer["username"] = user.Username
	}
	return answer
}

func (p *Provider) introspectRefresh(c *Client, token string) map[string]any {
	g := p.grants.ofRefresh(token)
	if g == nil {
		return nil
	}
	expires, ok := p.grants.currentRefresh(g, token, p.Now())
	if !ok || g.client.ID != c.ID {
		return map[string]any{"active": false}
	}
	return map[string]any{
		"active": true, "iss": p.cfg.Issuer, "client_id": g.client.ID, "sub": g.user.Subject,
		"username": g.user.Username, "scope": strings.Join(g.scopes, " "), "exp": expires.Unix(),
	}
}

// currentRefresh tells whether a refresh token is still good, and until when. To
// ask changes nothing.
func (s *grants) currentRefresh(g *grant, token string, now time.Time) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.refreshExpires, !g.revoked && g.refresh == token && now.Before(g.refreshExpires)
}

// introspectionToken is the answer as a JWT (RFC 9701, section 5).
func (p *Provider) introspectionToken(ctx context.Context, c *Client, answer map[string]any) (string, error) {
	alg := c.IntrospectionAlgorithm
	if alg == "" {
		alg = p.cfg.Algorithm
	}
	token, err := p.signedAnswer(Introspection, alg, introspectionType, c, map[string]any{
		"iss":                 p.cfg.Issuer,
		"aud":                 c.ID,
		"iat":                 p.Now().Unix(),
		"token_introspection": maps.Clone(answer),
	})
	if err != nil {
		return "", err
	}
	return p.sealed(ctx, c, c.IntrospectionEncryptionAlgorithm, c.IntrospectionEncryptionMethod, token)
}

func acceptsType(r *http.Request, want string) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			if mediaType, _, err := mime.ParseMediaType(part); err == nil && mediaType == want {
				return true
			}
		}
	}
	return false
}
