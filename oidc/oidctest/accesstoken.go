package oidctest

import (
	"encoding/json"
	"maps"
	"time"
)

// opaqueToken is what an access token means that says nothing itself.
type opaqueToken struct {
	claims members
	until  time.Time
}

// accessClaims returns what a valid access token of ours says, be it a JWT or
// opaque. One that is malformed, expired or revoked has ok false.
func (p *Provider) accessClaims(token string) (claims members, ok bool) {
	claims, opaque := p.grants.opaqueClaims(token)
	if !opaque {
		typ, payload, ok := p.verify(token)
		if !ok || typ != "at+jwt" || json.Unmarshal(payload, &claims) != nil {
			return nil, false
		}
	}
	exp, there, ok := claims.number("exp")
	if !there || !ok || float64(p.Now().Unix()) >= exp {
		return nil, false
	}
	if claims.text("iss") != p.cfg.Issuer || p.grants.revoked(token) {
		return nil, false
	}
	return claims, true
}

// keepOpaque remembers what an opaque token means.
func (s *grants) keepOpaque(token string, claims members, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opaque[token] = opaqueToken{claims, until}
}

func (s *grants) opaqueClaims(token string) (members, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.opaque[token]
	return maps.Clone(t.claims), ok
}

// revokeAccess has one access token be invalid, whatever it says.
func (s *grants) revokeAccess(token string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[signed(token)] = until
}
