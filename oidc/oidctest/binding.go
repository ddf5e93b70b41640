package oidctest

import (
	"encoding/json"
	"net/http"
)

// binding names the keys that a token is bound to. The zero value is none.
type binding struct {
	jkt string // of the DPoP key (RFC 9449, section 6.1)
	x5t string // of the client's certificate (RFC 8705, section 3.1)
}

// confirmation is the "cnf" claim (RFC 7800), nil for none.
func (b binding) confirmation() map[string]any {
	cnf := map[string]any{}
	if b.jkt != "" {
		cnf["jkt"] = b.jkt
	}
	if b.x5t != "" {
		cnf["x5t#S256"] = b.x5t
	}
	if len(cnf) == 0 {
		return nil
	}
	return cnf
}

// tokenType is the "token_type" of a token that is bound so.
func (b binding) tokenType() string {
	if b.jkt != "" {
		return "DPoP"
	}
	return "Bearer"
}

// bindingOf finds out what the tokens of a request are to be bound to, and that
// the client has the keys.
func (p *Provider) bindingOf(r *http.Request, c *Client) (b binding, perr *protocolError) {
	if len(r.Header.Values("DPoP")) > 0 {
		if b.jkt, perr = p.checkProof(r, ""); perr != nil {
			return binding{}, perr
		}
	} else if p.cfg.RequireDPoP || c.RequireDPoP {
		return binding{}, invalidProof("a DPoP proof is required")
	}
	if c.CertificateBoundTokens {
		certificate := presentedCertificate(r)
		if certificate == nil {
			return binding{}, invalidRequest("the client certificate is missing, to which tokens are to be bound")
		}
		b.x5t = certificateHash(certificate)
	}
	return b, nil
}

// boundTo reads the "cnf" of an access token.
func boundTo(claims members) binding {
	var cnf members
	if json.Unmarshal(claims["cnf"], &cnf) != nil {
		return binding{}
	}
	return binding{jkt: cnf.text("jkt"), x5t: cnf.text("x5t#S256")}
}

// bind has the refresh tokens of a public client, which has no other way to prove
// itself, be good only with the key (RFC 9449, section 5; RFC 8705, section 4).
func (s *grants) bind(g *grant, b binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.bound = b
}

// holds checks that a refresh comes with the keys that the refresh token is bound to.
func (s *grants) holds(g *grant, b binding) *protocolError {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case g.bound.jkt != "" && g.bound.jkt != b.jkt:
		return &protocolError{code: "invalid_grant", description: "the refresh token is bound to another DPoP key"}
	case g.bound.x5t != "" && g.bound.x5t != b.x5t:
		return &protocolError{code: "invalid_grant", description: "the refresh token is bound to another certificate"}
	}
	return nil
}
