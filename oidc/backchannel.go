package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A BackchannelRequest says whom to authenticate on a device of his own, without a browser
// here (OpenID Connect Client-Initiated Backchannel Authentication Core 1.0 section 7.1).
type BackchannelRequest struct {
	// Exactly one of them says who the person is. IDTokenHint is of an earlier login with
	// this client; the new ID token must then be of the same person.
	LoginHint      string
	LoginHintToken string
	IDTokenHint    *IDToken

	// BindingMessage is shown on both devices, so that the person knows what he approves.
	// A short plain text.
	BindingMessage string
	// UserCode is a secret that only the person knows, for providers that want one against
	// requests that nobody asked for.
	UserCode clientauth.Secret
	// ACRValues are wished for. What was done stands in "acr" of the ID token;
	// [WithACRValues] in their place has it checked.
	ACRValues []string
	// RequestedExpiry is for how long the request should be good, in whole seconds; 0 leaves
	// it to the provider.
	RequestedExpiry time.Duration

	// Ping has the provider tell when there is something to fetch (section 10.2), for a
	// client that is registered with that mode: see [Client.BackchannelPing].
	Ping bool
}

// Format prints no value of it, with every verb: they are personal, or secret.
func (r BackchannelRequest) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.BackchannelRequest[redacted]"))
}

// MarshalText redacts, as Format does.
func (r BackchannelRequest) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// LogValue redacts, as Format does.
func (r BackchannelRequest) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// A BackchannelAuthentication is a request that the provider took and that somebody has
// yet to approve. Fetch its tokens with [Client.BackchannelTokens].
type BackchannelAuthentication struct {
	Expires  time.Time
	Interval time.Duration // the shortest pause between requests for tokens

	pending func() *pendingRequest // a function, for package fmt cannot look into it
}

// Format redacts, whatever the verb.
func (b BackchannelAuthentication) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.BackchannelAuthentication[redacted]"))
}

// MarshalText redacts, as Format does.
func (b BackchannelAuthentication) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// LogValue redacts, as Format does.
func (b BackchannelAuthentication) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(b)) }

// BackchannelAuthentication asks the provider to authenticate somebody (section 7). The
// scope is ClientConfig.Scopes, unless an option says otherwise; it must have "openid".
//
// The tokens are fetched: by polling, which a ping only makes faster. That the provider
// pushes them is not offered: they would come from outside over a connection that
// proves nothing of who opened it, into a handler of which one bearer token is the whole
// guard; fetched tokens come from where we asked, and to nobody but this client.
//
// A provider that refuses is a *[ResponseError] with the codes of section 13, such as
// "unknown_user_id" and "invalid_binding_message"; an outage, and an answer that cannot be
// used, answers errors.Is for oidckit.ErrUnavailable.
func (c *Client) BackchannelAuthentication(ctx context.Context, r BackchannelRequest, options ...Option) (*BackchannelAuthentication, error) {
	form, err := r.form()
	if err != nil {
		return nil, err
	}
	if err := c.owns(&Tokens{IDToken: r.IDTokenHint}); err != nil {
		return nil, err
	}
	if err := checkBackchannelOptions(options); err != nil {
		return nil, err
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	token := ""
	if r.Ping {
		if err := checkPing(m); err != nil {
			return nil, err
		}
		token = random()
		form.Set("client_notification_token", token)
	}
	pending, err := c.ask(ctx, backchannelAuthenticationEndpoint, form, options, "auth_req_id", &struct{}{})
	if err != nil {
		return nil, err
	}
	pending.hint = r.IDTokenHint
	if r.Ping {
		c.pings.expect(pending, token, c.provider.now())
	}
	return &BackchannelAuthentication{
		Expires: pending.expires, Interval: pending.interval, pending: func() *pendingRequest { return pending },
	}, nil
}

func checkBackchannelOptions(options []Option) error {
	for _, o := range options {
		switch o.name {
		case "scope":
			if !hasScope(o.value, "openid") {
				return errors.New(`oidc: the scope of BackchannelAuthentication must have "openid"`)
			}
		case "login_hint", "login_hint_token", "id_token_hint", "client_notification_token":
			return fmt.Errorf("oidc: BackchannelRequest has the parameter %q, not an option", o.name)
		}
	}
	return nil
}

func checkPing(m *discovery.Metadata) error {
	if modes := m.BackchannelTokenDeliveryModesSupported; len(modes) > 0 && !slices.Contains(modes, "ping") {
		return errors.New("oidc: BackchannelRequest.Ping: the provider's metadata do not offer the mode")
	}
	return nil
}

func (r BackchannelRequest) form() (url.Values, error) {
	form := url.Values{}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("login_hint", r.LoginHint)
	set("login_hint_token", r.LoginHintToken)
	if r.IDTokenHint != nil {
		set("id_token_hint", r.IDTokenHint.raw)
	}
	// "It is REQUIRED that one (and only one) of the hints [...] be provided".
	if len(form) != 1 {
		return nil, errors.New("oidc: BackchannelRequest needs exactly one of LoginHint, LoginHintToken and IDTokenHint")
	}
	set("binding_message", r.BindingMessage)
	set("user_code", string(r.UserCode))
	set("acr_values", strings.Join(r.ACRValues, " "))
	switch {
	case r.RequestedExpiry == 0:
	case r.RequestedExpiry < time.Second:
		return nil, errors.New("oidc: BackchannelRequest.RequestedExpiry must be a second or more, or 0")
	default:
		set("requested_expiry", strconv.FormatInt(int64(r.RequestedExpiry/time.Second), 10))
	}
	return form, nil
}

// BackchannelTokens waits until the person has approved, and returns the tokens (section
// 10.1). It asks as often as the provider allows, and at once after a ping; goes on through
// outages at a slower pace; and ends when b expires or ctx ends.
//
// Errors are those of [Client.DeviceTokens]. An ID token of another person than the one of
// BackchannelRequest.IDTokenHint is an *[Error] with [ReasonSubject].
func (c *Client) BackchannelTokens(ctx context.Context, b *BackchannelAuthentication, options ...Option) (*Tokens, error) {
	if b == nil || b.pending == nil {
		return nil, errors.New("oidc: BackchannelTokens needs what BackchannelAuthentication returned")
	}
	pending := b.pending()
	return c.poll(ctx, pending, url.Values{
		"grant_type": {"urn:openid:params:grant-type:ciba"}, "auth_req_id": {pending.code},
	}, options)
}

// ErrUnknownPing says that a ping is not of the provider, or for no request that this
// process waits for.
var ErrUnknownPing = errors.New("oidc: the ping is for no request that is waited for, or does not prove to be of the provider")

// BackchannelPing takes what the provider sent, by POST, to the client's notification
// endpoint (section 10.2): header and body of the request. It checks that the provider
// knows the token that was made for the one request, and has [Client.BackchannelTokens] ask
// at once; a second ping for the request changes nothing. Answer 204 without an error, 401 with one; and to hold bodies to some KiB is
// the handler's part.
//
// A ping that another process of the client gets is [ErrUnknownPing] there. Nothing is
// lost: the one that waits polls all the same.
func (c *Client) BackchannelPing(header http.Header, body []byte) error {
	var ping struct {
		ID string `json:"auth_req_id"`
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if len(header.Values("Authorization")) != 1 || !strings.EqualFold(scheme, "Bearer") ||
		strictjson.Unmarshal(body, &ping) != nil || !c.pings.tell(ping.ID, strings.TrimLeft(token, " "), c.provider.now()) {
		return ErrUnknownPing
	}
	return nil
}

// pings are the requests that the provider may tell about.
type pings struct {
	mu      sync.Mutex
	waiting map[string]expectedPing
}

// An expectedPing keeps its token from package fmt by a function.
type expectedPing struct {
	token   func() string
	wake    chan struct{} // nil once there was a ping
	expires time.Time
}

// maxPings bounds the memory. Beyond it, requests are polled for.
const maxPings = 1 << 16

func (p *pings) expect(r *pendingRequest, token string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= maxPings {
		p.forget(now)
	}
	if len(p.waiting) >= maxPings {
		return
	}
	if p.waiting == nil {
		p.waiting = make(map[string]expectedPing)
	}
	r.wake = make(chan struct{}, 1) // a ping may come before anybody waits for it
	r.end = func() { p.drop(r.code) }
	p.waiting[r.code] = expectedPing{func() string { return token }, r.wake, r.expires}
}

func (p *pings) forget(now time.Time) {
	for id, e := range p.waiting {
		if !now.Before(e.expires) {
			delete(p.waiting, id)
		}
	}
}

func (p *pings) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

// tell reports whether the ping is for a request, and proves to be of the provider.
func (p *pings) tell(id, token string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.waiting[id]
	if !ok || !now.Before(e.expires) || subtle.ConstantTimeCompare([]byte(e.token()), []byte(token)) != 1 {
		return false
	}
	if e.wake != nil { // it counts once: who sends it again must not set the pace of polling
		e.wake <- struct{}{} // there is room for one
		e.wake = nil
		p.waiting[id] = e
	}
	return true
}
