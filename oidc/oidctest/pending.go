package oidctest

import (
	"crypto/rand"
	"maps"
	"sync"
	"time"
)

// pending is a login that a client waits for at the token endpoint while it
// happens elsewhere: on another device (RFC 8628) or at the provider's own
// initiative (CIBA).
type pending struct {
	id                string // the device_code or auth_req_id
	client            *Client
	scopes, resources []string
	acr               string
	life              time.Duration
	expires           time.Time
	userCode          string // of a device
	user              *User  // of CIBA, from the hint
	notification      string // the client_notification_token of CIBA

	// Guarded by pendings.mu.
	verdict  verdict
	approved *User
	authTime time.Time
	interval time.Duration
	polled   time.Time
}

type verdict int

const (
	undecided verdict = iota
	approved
	denied
	delivered
)

// pendings holds them by id, in the order in which they came.
type pendings struct {
	mu  sync.Mutex
	all []*pending
}

func (s *pendings) add(request *pending, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.all[:0]
	for _, old := range s.all {
		if now.Before(old.expires.Add(maxLogin)) { // late polls are to learn that it has expired
			kept = append(kept, old)
		}
	}
	request.id, request.expires = rand.Text(), now.Add(request.life)
	s.all = append(kept, request)
}

// find returns nil if there is none.
func (s *pendings) find(is func(*pending) bool) *pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, request := range s.all {
		if is(request) {
			return request
		}
	}
	return nil
}

// decide tells whether the request was still open.
func (s *pendings) decide(request *pending, by *User, v verdict, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request.verdict != undecided || !now.Before(request.expires) {
		return false
	}
	request.verdict, request.approved, request.authTime = v, by, now
	return true
}

// poll answers a client that asks whether the user has decided (RFC 8628, section
// 3.5). Nil means that the tokens are to be delivered, once.
func (s *pendings) poll(request *pending, now time.Time) *protocolError {
	s.mu.Lock()
	defer s.mu.Unlock()
	early := !request.polled.IsZero() && now.Sub(request.polled) < request.interval
	if request.notification != "" && request.verdict != undecided {
		early = false // the client comes because it was called
	}
	request.polled = now
	switch {
	case request.verdict == delivered:
		return errInvalidGrant
	case !now.Before(request.expires):
		return &protocolError{code: "expired_token", description: "the user took too long"}
	case early:
		// "[...] the interval MUST be increased by 5 seconds for this and all
		// subsequent requests."
		request.interval += slowDown
		return &protocolError{code: "slow_down", description: "the client polls faster than the interval"}
	case request.verdict == undecided:
		return &protocolError{code: "authorization_pending", description: "the user has not decided yet"}
	case request.verdict == denied:
		return &protocolError{code: "access_denied", description: "the user said no"}
	}
	request.verdict = delivered
	return nil
}

const slowDown = 5 * time.Second

// deliver issues the tokens of a request that the user has approved.
func (p *Provider) deliver(t *tokenRequest, request *pending) (map[string]any, *protocolError) {
	if request == nil || request.client.ID != t.client.ID {
		return nil, errInvalidGrant
	}
	resources, perr := narrowResources(request.resources, t.v)
	if perr != nil {
		return nil, perr
	}
	if perr := p.pendings.poll(request, p.Now()); perr != nil {
		return nil, perr
	}
	return p.userTokens(t, &grant{
		client: t.client, user: request.approved, scopes: request.scopes, resources: request.resources,
		authTime: request.authTime, acr: request.acr, sid: rand.Text(), until: p.Now().Add(p.cfg.AccessTokenTTL),
	}, "", "", request.scopes, resources)
}

// waiting is the part of the answer that says how to poll.
func (p *Provider) waiting(request *pending) map[string]any {
	return map[string]any{
		"expires_in": int64(request.life / time.Second),
		"interval":   int64(p.cfg.PollInterval / time.Second),
	}
}

func merged(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}
