package oidctest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The token delivery modes of CIBA that the provider has.
const (
	deliveryPoll = "poll"
	deliveryPing = "ping"
)

// serveBackchannel is the backchannel authentication endpoint (OpenID Connect
// Client-Initiated Backchannel Authentication Core 1.0, section 7).
func (p *Provider) serveBackchannel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	request, perr := p.backchannelRequest(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	p.pendings.add(request, p.Now())
	p.answer(w, BackchannelAuthentication, http.StatusOK,
		merged(p.waiting(request), map[string]any{"auth_req_id": request.id}))
}

func (p *Provider) backchannelRequest(r *http.Request) (*pending, *protocolError) {
	client, v, perr := p.clientRequest(r)
	switch {
	case perr != nil:
		return nil, perr
	case client.AuthMethod == methodNone:
		return nil, invalidClient("a public client may not begin a backchannel authentication")
	case v.get("request") != "":
		return nil, invalidRequest("signed authentication requests are not supported")
	}
	if perr := client.mayUse(grantCIBA); perr != nil {
		return nil, perr
	}
	request := &pending{client: client, interval: p.cfg.PollInterval, acr: firstWord(v.get("acr_values"))}
	if request.life, perr = p.requestedExpiry(v); perr != nil {
		return nil, perr
	}
	if request.notification, perr = client.notificationToken(v); perr != nil {
		return nil, perr
	}
	if request.scopes, perr = client.allowedScopes(v.get("scope")); perr != nil {
		return nil, perr
	}
	if !slices.Contains(request.scopes, scopeOpenID) {
		return nil, &protocolError{code: "invalid_scope", description: "the scope has no openid"}
	}
	if request.resources, perr = client.allowedResources(v); perr != nil {
		return nil, perr
	}
	if len(v.get("binding_message")) > 64 {
		return nil, &protocolError{code: "invalid_binding_message", description: "binding_message is longer than 64 bytes"}
	}
	request.user, perr = p.hintedUser(client, v)
	return request, perr
}

func (p *Provider) requestedExpiry(v params) (time.Duration, *protocolError) {
	asked := v.get("requested_expiry")
	if asked == "" {
		return p.cfg.DeviceCodeTTL, nil
	}
	seconds, err := strconv.ParseUint(asked, 10, 31)
	if err != nil || seconds == 0 {
		return 0, invalidRequest("requested_expiry is not a positive number of seconds")
	}
	return min(time.Duration(seconds)*time.Second, p.cfg.DeviceCodeTTL), nil
}

// bearerSyntax is b64token of RFC 6750, section 2.1.
var bearerSyntax = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// notificationToken: section 7.1 has it required for ping, at most 1024 characters
// long and with the syntax of a bearer token.
func (c *Client) notificationToken(v params) (string, *protocolError) {
	if c.BackchannelTokenDeliveryMode != deliveryPing {
		return "", nil
	}
	token := v.get("client_notification_token")
	switch {
	case token == "":
		return "", invalidRequest("client_notification_token is missing")
	case len(token) > 1024, !bearerSyntax.MatchString(token):
		return "", invalidRequest("client_notification_token is malformed")
	}
	return token, nil
}

// hintedUser finds out who is to be asked: section 7.1 demands one hint exactly.
func (p *Provider) hintedUser(c *Client, v params) (*User, *protocolError) {
	hints := 0
	for _, name := range []string{"login_hint", "id_token_hint", "login_hint_token"} {
		if v.get(name) != "" {
			hints++
		}
	}
	var user *User
	switch {
	case hints != 1:
		return nil, invalidRequest("there is not exactly one hint")
	case v.get("login_hint_token") != "":
		return nil, invalidRequest("login_hint_token is not supported")
	case v.get("login_hint") != "":
		user = p.person(v.get("login_hint"))
	default:
		// Section 7.1: an expired one is fine.
		_, payload, ok := p.verify(v.get("id_token_hint"))
		var claims members
		if !ok || json.Unmarshal(payload, &claims) != nil || !slices.Contains(stringOrList(claims["aud"]), c.ID) {
			return nil, invalidRequest("id_token_hint is not an ID token for the client")
		}
		user = p.people[claims.text("sub")]
	}
	if user == nil {
		return nil, &protocolError{code: "unknown_user_id", description: "the hint is of no user"}
	}
	return user, nil
}

// ciba exchanges an auth_req_id (section 10.1).
func (p *Provider) ciba(t *tokenRequest) (map[string]any, *protocolError) {
	id := t.v.get("auth_req_id")
	if id == "" {
		return nil, invalidRequest("auth_req_id is missing")
	}
	return p.deliver(t, p.backchannelOf(id))
}

func (p *Provider) backchannelOf(id string) *pending {
	return p.pendings.find(func(r *pending) bool { return r.userCode == "" && r.id == id })
}

// PendingBackchannel returns the auth_req_ids of the backchannel authentications
// that nobody has decided, the oldest first.
func (p *Provider) PendingBackchannel() []string {
	now := p.Now()
	p.pendings.mu.Lock()
	defer p.pendings.mu.Unlock()
	var ids []string
	for _, r := range p.pendings.all {
		if r.userCode == "" && r.verdict == undecided && now.Before(r.expires) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// ApproveBackchannel is what the user does who is asked and agrees. A client of the
// ping mode is then called at its BackchannelNotificationEndpoint. An error says that
// the auth_req_id is unknown, decided or expired, or that the client did not
// answer 2xx; the decision stands in that case.
func (p *Provider) ApproveBackchannel(ctx context.Context, authReqID string) error {
	return p.decideBackchannel(ctx, authReqID, approved)
}

// DenyBackchannel is what the user does who refuses.
func (p *Provider) DenyBackchannel(ctx context.Context, authReqID string) error {
	return p.decideBackchannel(ctx, authReqID, denied)
}

func (p *Provider) decideBackchannel(ctx context.Context, id string, v verdict) error {
	request := p.backchannelOf(id)
	if request == nil || !p.pendings.decide(request, request.user, v, p.Now()) {
		return errors.New("oidctest: the auth_req_id is unknown, decided or expired")
	}
	if request.notification == "" {
		return nil
	}
	return p.ping(ctx, request)
}

// ping tells the client that there is something to fetch (section 10.2).
func (p *Provider) ping(ctx context.Context, request *pending) error {
	body, err := json.Marshal(map[string]string{"auth_req_id": request.id})
	if err != nil { // unreachable: it is a string
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, request.client.BackchannelNotificationEndpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+request.notification)
	// Section 10.2: "The OP MUST NOT follow redirects."
	client := *p.cfg.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("oidctest: the client's notification endpoint answered %s", resp.Status)
	}
	return nil
}

func firstWord(s string) string {
	first, _, _ := strings.Cut(s, " ")
	return first
}
