package oidctest

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// grant is what a user allowed a client in one login: the code, and all tokens
// that come of it. They are revoked together.
type grant struct {
	client             *Client
	user               *User
	redirectURI        string
	challenge, nonce   string
	scopes, resources  []string
	authTime           time.Time
	sid                string
	acr                string
	dpop               string    // the key that the code is bound to, from dpop_jkt
	codeExpires, until time.Time // until is when nothing of the grant is valid any more

	// Guarded by grants.mu.
	spent          bool // the code has been used
	revoked        bool
	bound          binding // of a public client's refresh tokens
	refresh        string  // the current refresh token
	refreshExpires time.Time
}

func (g *grant) has(scope string) bool { return slices.Contains(g.scopes, scope) }

// grants holds the grants that are still good for something, by code, by refresh
// token (the rotated ones too) and by access token.
type grants struct {
	mu      sync.Mutex
	codes   map[string]*grant
	refresh map[string]*grant
	access  map[string]*grant
	opaque  map[string]opaqueToken
	dead    map[string]time.Time // access tokens that were revoked, until they expire
	swept   time.Time
}

func (s *grants) init() {
	s.codes, s.refresh, s.access = map[string]*grant{}, map[string]*grant{}, map[string]*grant{}
	s.opaque, s.dead = map[string]opaqueToken{}, map[string]time.Time{}
}

var errInvalidGrant = &protocolError{
	code: "invalid_grant", description: "the grant is unknown, used, expired or another client's",
}

// add records a grant and returns its code.
func (s *grants) add(g *grant, now time.Time) (code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	code = rand.Text()
	s.codes[code] = g
	return code
}

// sweep forgets, at most once a minute, the grants of which nothing is valid.
func (s *grants) sweep(now time.Time) {
	if d := now.Sub(s.swept); d >= 0 && d < time.Minute {
		return
	}
	s.swept = now
	for _, m := range []map[string]*grant{s.codes, s.refresh, s.access} {
		for k, g := range m {
			if now.After(g.until) {
				delete(m, k)
			}
		}
	}
	maps.DeleteFunc(s.opaque, func(_ string, t opaqueToken) bool { return now.After(t.until) })
	maps.DeleteFunc(s.dead, func(_ string, until time.Time) bool { return now.After(until) })
}

// redeem spends a code. RFC 6749, section 4.1.2: "If an authorization code is
// used more than once, the authorization server MUST deny the request and SHOULD
// revoke (when possible) all tokens previously issued based on that authorization
// code." Another client's attempt changes nothing.
func (s *grants) redeem(code string, client *Client, now time.Time) (*grant, *protocolError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.codes[code]
	if g == nil || g.client.ID != client.ID {
		return nil, errInvalidGrant
	}
	if g.spent {
		g.revoked = true
		return nil, errInvalidGrant
	}
	g.spent = true
	if !now.Before(g.codeExpires) {
		return nil, errInvalidGrant
	}
	return g, nil
}

// find looks a refresh token up. One that has been rotated away is in the hands
// of two, one of them a thief: RFC 9700, section 4.14.2, revokes it for both.
func (s *grants) find(token string, client *Client, now time.Time) (*grant, *protocolError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.refresh[token]
	if g == nil || g.client.ID != client.ID || g.revoked {
		return nil, errInvalidGrant
	}
	if g.refresh != token {
		g.revoked = true
		return nil, errInvalidGrant
	}
	if !now.Before(g.refreshExpires) {
		return nil, errInvalidGrant
	}
	return g, nil
}

// rotate replaces the refresh token old (empty for the first one). It fails if
// somebody else has just done so.
func (s *grants) rotate(g *grant, old string, expires, until time.Time) (token string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.revoked || g.refresh != old {
		g.revoked = true
		return "", false
	}
	token = rand.Text()
	g.refresh, g.refreshExpires = token, expires
	if until.After(g.until) {
		g.until = until
	}
	s.refresh[token] = g
	return token, true
}

// issued remembers of which grant an access token is.
func (s *grants) issued(token string, g *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access[signed(token)] = g
}

func (s *grants) revoked(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.access[signed(token)]
	_, dead := s.dead[signed(token)]
	return dead || g != nil && g.revoked
}

// signed is the part of a JWS under the signature. The signature itself is no
// part of a token's name: an ECDSA one can be rewritten by anybody.
func signed(token string) string {
	if i := strings.LastIndexByte(token, '.'); i >= 0 {
		return token[:i]
	}
	return token
}
