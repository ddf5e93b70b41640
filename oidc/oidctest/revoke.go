package oidctest

import (
	"net/http"
)

// serveRevocation is the revocation endpoint (RFC 7009, section 2).
func (p *Provider) serveRevocation(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	client, v, perr := p.clientRequest(r)
	if perr == nil {
		perr = p.revoke(client, v.get("token"))
	}
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	// Section 2.2: "The content of the response body is ignored by the client".
	w.WriteHeader(http.StatusOK)
}

// revoke finds the token whatever its token_type_hint says, as section 2.1 asks.
func (p *Provider) revoke(c *Client, token string) *protocolError {
	if token == "" {
		return invalidRequest("token is missing")
	}
	if g := p.grants.ofRefresh(token); g != nil {
		if g.client.ID != c.ID {
			return errForeignToken
		}
		p.grants.revokeGrant(g)
		return nil
	}
	claims, ok := p.accessClaims(token)
	if !ok {
		if typ, _, ours := p.verify(token); ours && typ == "JWT" {
			return &protocolError{code: "unsupported_token_type", description: "ID tokens cannot be revoked"}
		}
		// Section 2.2: "invalid tokens do not cause an error response".
		return nil
	}
	if claims.text("client_id") != c.ID {
		return errForeignToken
	}
	p.grants.revokeAccess(token, p.Now().Add(p.cfg.AccessTokenTTL))
	return nil
}

var errForeignToken = &protocolError{code: "invalid_grant", description: "the token was issued to another client"}

// ofRefresh returns the grant of a refresh token, current or not.
func (s *grants) ofRefresh(token string) *grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refresh[token]
}

func (s *grants) revokeGrant(g *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.revoked = true
}
