package oidctest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// requestURIPrefix is that of a pushed request's request_uri (RFC 9126, section 2.2).
const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// maxLogin is how long somebody may take to fill in the login form.
const maxLogin = 10 * time.Minute

// pushedRequest is an authorization request that the client pushed.
type pushedRequest struct {
	clientID string
	request  params
	expires  time.Time
	shown    bool // the login page was shown for it
}

// pushedRequests holds them by their request_uri.
type pushedRequests struct {
	mu   sync.Mutex
	byID map[string]*pushedRequest
}

func (s *pushedRequests) add(request *pushedRequest, now time.Time) (uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.byID, func(_ string, old *pushedRequest) bool { return now.After(old.expires.Add(maxLogin)) })
	if s.byID == nil {
		s.byID = map[string]*pushedRequest{}
	}
	uri = requestURIPrefix + rand.Text()
	s.byID[uri] = request
	return uri
}

// show returns the request for which the login page is to be shown. RFC 9126,
// section 4, has it happen once.
func (s *pushedRequests) show(uri, clientID string, now time.Time) (_ params, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := s.byID[uri]
	switch {
	case request == nil:
		return nil, "The request_uri is unknown."
	case request.clientID != clientID:
		return nil, "The request_uri is another client's."
	case request.shown:
		return nil, "The request_uri has been used before."
	case !now.Before(request.expires):
		return nil, "The request_uri has expired."
	}
	request.shown = true
	return request.request, ""
}

// shownTo returns the request that a login form is for.
func (s *pushedRequests) shownTo(uri, clientID string, now time.Time) (_ params, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := s.byID[uri]
	if request == nil || !request.shown || request.clientID != clientID || now.After(request.expires.Add(maxLogin)) {
		return nil, "The request_uri has been used before or has expired."
	}
	return request.request, ""
}

func (s *pushedRequests) finish(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, uri)
}

// pushed returns the request that v stands for: itself, or the one that was
// pushed. With first, the login page is about to be shown.
func (p *Provider) pushed(v params, first bool) (request params, problem string) {
	uri := v.get("request_uri")
	if !strings.HasPrefix(uri, requestURIPrefix) {
		return v, ""
	}
	if len(v) != 2 || len(v["client_id"]) != 1 || len(v["request_uri"]) != 1 {
		// RFC 9101, section 5, has other parameters ignored, which hides mistakes.
		return nil, "A request_uri goes with a client_id and nothing else."
	}
	if first {
		return p.par.show(uri, v.get("client_id"), p.Now())
	}
	return p.par.shownTo(uri, v.get("client_id"), p.Now())
}

// servePushed is the pushed authorization request endpoint (RFC 9126, section 2).
func (p *Provider) servePushed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.offerNonce(w)
	request, perr := p.push(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	p.answer(w, PushedAuthorization, http.StatusCreated, map[string]any{
		"request_uri": p.par.add(request, p.Now()),
		"expires_in":  int64(p.cfg.RequestURITTL / time.Second),
	})
}

func (p *Provider) push(r *http.Request) (*pushedRequest, *protocolError) {
	client, v, perr := p.clientRequest(r)
	if perr != nil {
		return nil, perr
	}
	switch {
	case v.get("request_uri") != "":
		// RFC 9126, section 2.1: "The request_uri authorization request parameter is
		// one exception, and it MUST NOT be provided."
		return nil, invalidRequest("request_uri cannot be pushed")
	case v.get("client_id") != client.ID:
		return nil, invalidRequest("client_id is missing or another client's")
	}
	a, problem := p.recipient(v)
	if problem != "" {
		return nil, invalidRequest(problem)
	}
	// Whether somebody is logged in is asked when the browser comes.
	if perr := a.check(v); perr != nil && perr.code != "login_required" {
		return nil, perr
	}
	if perr := p.pushedProof(r, v); perr != nil {
		return nil, perr
	}
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		delete(v, name)
	}
	return &pushedRequest{clientID: client.ID, request: v, expires: p.Now().Add(p.cfg.RequestURITTL)}, nil
}

// pushedProof: a DPoP proof with a pushed request says dpop_jkt (RFC 9449,
// section 10.1).
func (p *Provider) pushedProof(r *http.Request, v params) *protocolError {
	if len(r.Header.Values("DPoP")) == 0 {
		return nil
	}
	proven, perr := p.checkProof(r, "")
	if perr != nil {
		return perr
	}
	if jkt := v.get("dpop_jkt"); jkt != "" && jkt != proven {
		return invalidProof("dpop_jkt is of another key than the DPoP proof")
	}
	v["dpop_jkt"] = []string{proven}
	return nil
}
