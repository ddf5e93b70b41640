package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// ErrRequestExpired says that nobody approved a [DeviceAuthorization] or a
// [BackchannelAuthentication] in time. Start again, if the person wants it.
var ErrRequestExpired = errors.New("oidc: the request expired before it was approved")

// A pendingRequest waits for somebody to approve it, elsewhere. Polling for its tokens is
// the same for devices (RFC 8628 section 3.4) and CIBA (section 10.1 of its Core 1.0).
type pendingRequest struct {
	issuer, clientID string
	hint             *IDToken // whom it is about, if that is known
	openID           bool     // an ID token was asked for
	resources        []string // that the tokens are for
	demands          demands  // of the ID token

	code     string // "device_code" or "auth_req_id"
	expires  time.Time
	interval time.Duration
	wake     chan struct{} // there is a reason to ask at once; nil if there never is
	end      func()        // told when polling has ended; may be nil
}

// Intervals of polling.
const (
	// "If no value is provided, clients MUST use 5 as the default" (RFC 8628 section 3.2);
	// CIBA says the same.
	defaultInterval = 5 * time.Second
	shortestPause   = time.Second
	// "[...] the interval MUST be increased by 5 seconds for this and all subsequent
	// requests" (RFC 8628 section 3.5).
	slowDown = 5 * time.Second
	// longestBackoff bounds what is added while the provider is not well.
	longestBackoff = time.Minute
)

// ask makes the request that somebody is to approve, and reads what is common to its
// answers. The scope is the configured one unless an option says otherwise.
func (c *Client) ask(ctx context.Context, to endpoint, form url.Values, options []Option, code string, into any) (*pendingRequest, error) {
	p := &pendingRequest{issuer: c.provider.issuer, clientID: c.cfg.ClientID}
	if err := c.request(p, form, options); err != nil {
		return nil, err
	}
	resp, err := c.post(ctx, call{to: to, form: form})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, responseError(resp)
	}
	members, err := object(resp, to.name, into)
	if errors.Is(err, errMemberType) {
		return nil, malformedAnswer(to, err.Error())
	}
	if err != nil {
		return nil, err
	}
	if err := p.read(to, members, code, c.provider.now()); err != nil {
		return nil, err
	}
	return p, nil
}

// request completes the form, and puts into p what of it the answers will be compared with.
func (c *Client) request(p *pendingRequest, form url.Values, options []Option) error {
	if err := addLoginParameters(form, options); err != nil {
		return err
	}
	setResources(form, c.cfg.Resources)
	if !form.Has("scope") {
		form.Set("scope", scopeText(c.cfg.Scopes))
	}
	if err := p.demands.read(form, options, c.provider.now()); err != nil {
		return err
	}
	p.openID, p.resources = hasScope(form.Get("scope"), "openid"), slices.Clone(form["resource"])
	if !p.openID && (len(p.demands.ACRValues) > 0 || !p.demands.AuthenticatedSince.IsZero()) {
		return errors.New(`oidc: WithMaxAge and WithACRValues are checked in an ID token: the scope must have "openid"`)
	}
	return nil
}

func (p *pendingRequest) read(to endpoint, members strictjson.Object, code string, now time.Time) error {
	value, _ := members.Get(code)
	p.code, _ = strictjson.String(value)
	if p.code == "" || !isTokenText(p.code) {
		return malformedAnswer(to, "has no usable "+code)
	}
	life, ok := readSeconds(members, "expires_in")
	if !ok || life == 0 {
		return malformedAnswer(to, "has no usable expires_in")
	}
	p.expires = now.Add(life)
	if p.interval, ok = readSeconds(members, "interval"); !ok {
		p.interval = defaultInterval
	}
	p.interval = max(p.interval, shortestPause)
	return nil
}

// readSeconds reads a number of seconds that are not negative, ten years at most.
func readSeconds(members strictjson.Object, name string) (time.Duration, bool) {
	var s seconds
	value, ok := members.Get(name)
	if !ok || value == "null" || s.UnmarshalJSON([]byte(value)) != nil || s < 0 {
		return 0, false
	}
	return time.Duration(min(float64(s), longestLife.Seconds()) * float64(time.Second)), true
}

// malformedAnswer: a provider that answers so cannot be used. Nothing is wrong with
// anybody's token.
func malformedAnswer(to endpoint, what string) error {
	return unavailable(to.name, errors.New("the answer "+what))
}

// poll asks for the tokens until there are some, or an end.
func (c *Client) poll(ctx context.Context, p *pendingRequest, form url.Values, options []Option) (*Tokens, error) {
	if p == nil || p.issuer != c.provider.issuer || p.clientID != c.cfg.ClientID {
		return nil, errors.New("oidc: the request was not made by this client")
	}
	// Not those of the configuration: others may have been asked for.
	if err := addOptions(form, options, p.resources); err != nil {
		return nil, err
	}
	if p.end != nil {
		defer p.end()
	}
	pace := pace{interval: p.interval}
	for {
		if err := c.pause(ctx, p, pace); err != nil {
			return nil, err
		}
		answer, err := c.requestToken(ctx, cloneValues(form))
		switch {
		case err == nil:
			return c.approved(ctx, p, answer)
		case ctx.Err() != nil:
			return nil, ended(ctx)
		case !pace.goOn(err):
			return nil, ofExpiry(err)
		}
	}
}

// ended: whoever stopped waiting knows why.
func ended(ctx context.Context) error {
	return fmt.Errorf("oidc: polling ended: %w", context.Cause(ctx))
}

func ofExpiry(err error) error {
	var re *ResponseError
	if errors.As(err, &re) && re.Code == "expired_token" {
		return fmt.Errorf("%w: %w", ErrRequestExpired, err)
	}
	return err
}

// A pace is how fast to poll.
type pace struct {
	interval time.Duration
	backoff  time.Duration // beside the interval, while the provider is not well
	atLeast  time.Duration // what Retry-After of the last answer asks for
	outage   error         // the last answer, if it was none
}

// goOn reports whether err means that there may yet be tokens, and sets the pace.
func (p *pace) goOn(err error) bool {
	p.atLeast, p.outage = retryAfter(err), nil
	if errors.Is(err, oidckit.ErrUnavailable) {
		// "On encountering a connection timeout, clients MUST unilaterally reduce their
		// polling frequency before retrying. The use of an exponential backoff algorithm
		// [...] is RECOMMENDED" (RFC 8628 section 3.5).
		p.backoff, p.outage = min(max(2*p.backoff, p.interval), longestBackoff), err
		return true
	}
	var re *ResponseError
	if !errors.As(err, &re) {
		return false
	}
	p.backoff = 0
	switch re.Code {
	case "authorization_pending":
		return true
	case "slow_down":
		p.interval += slowDown
		return true
	}
	return false
}

func retryAfter(err error) time.Duration {
	var re *ResponseError
	if errors.As(err, &re) {
		return re.RetryAfter
	}
	return fetch.RetryAfter(err)
}

// pause waits until it is time to ask. A request that will have expired by then is
// given up at once.
func (c *Client) pause(ctx context.Context, p *pendingRequest, pace pace) error {
	wait := max(pace.interval+pace.backoff, pace.atLeast)
	left := p.expires.Sub(c.provider.now())
	if wait >= left && p.wake == nil || left <= 0 {
		return pace.expired()
	}
	timer := time.NewTimer(min(wait, left))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-p.wake:
		return nil
	case <-timer.C:
	}
	if wait >= left {
		return pace.expired()
	}
	return nil
}

func (p pace) expired() error {
	if p.outage != nil {
		return fmt.Errorf("%w: %w", ErrRequestExpired, p.outage)
	}
	return ErrRequestExpired
}

// approved verifies the tokens of a request. There was no nonce.
func (c *Client) approved(ctx context.Context, p *pendingRequest, answer *tokenResponse) (*Tokens, error) {
	if answer.IDToken == "" {
		if p.openID {
			return nil, &Error{Reason: ReasonMalformed, Err: errors.New("the token response has no id_token")}
		}
		return c.tokens(answer, c.provider.now(), nil, p.resources), nil
	}
	id, err := c.VerifyIDToken(ctx, answer.IDToken, "")
	if err != nil {
		return nil, err
	}
	if err := id.checkAccessTokenHash(answer.AccessToken); err != nil {
		return nil, err
	}
	if p.hint != nil && (id.Subject != p.hint.Subject || id.Issuer != p.hint.Issuer) {
		return nil, &Error{Reason: ReasonSubject, Claim: "sub", Err: errors.New("not the person that was asked")}
	}
	if err := id.checkAuthentication(p.demands, c.provider.now(), c.idTokens.leeway); err != nil {
		return nil, err
	}
	return c.tokens(answer, c.provider.now(), id, p.resources), nil
}
