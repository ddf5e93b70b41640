package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
)

// FlowLifetime is how long a login may take from Begin to Finish.
const FlowLifetime = 30 * time.Minute

// A Flow is a login under way: what Begin made up, and Finish compares. Keep it
// where only the browser that started the login can bring it back from: a sealed
// cookie, or a session on the server. Keep what [Flow.MarshalBinary] returns, which is
// secret; json.Marshal redacts, as all printing does.
type Flow struct {
	// AuthorizationURL is where to send the browser. It is not kept in the binary
	// form.
	AuthorizationURL string
	// AuthorizationURLExpires is when the provider forgets a request that was pushed to it
	// (RFC 9126 section 2.2), often after a minute: the browser must have opened the
	// AuthorizationURL by then, while the login itself may last [FlowLifetime]. It is zero
	// for a request that was not pushed, and not kept in the binary form.
	AuthorizationURLExpires time.Time

	f *flow // behind a pointer, where no printing reaches it
}

// flow has the members of the binary form.
type flow struct {
	State       string    `json:"s"`
	Nonce       string    `json:"n"`
	Verifier    string    `json:"v"` // of PKCE
	Issuer      string    `json:"i"`
	ClientID    string    `json:"c"`
	RedirectURL string    `json:"r"`
	Expires     time.Time `json:"e"`
	// OfOption: RedirectURL is of WithRedirectURL, and not the one of the configuration.
	OfOption bool `json:"o,omitempty"`

	Resources []string `json:"u,omitempty"` // asked for, and asked for again with the code
	demands
}

// demands are how and when a person must have logged in.
type demands struct {
	AuthenticatedSince time.Time `json:"t,omitzero"`  // what "auth_time" must not be before; of max_age
	ACRValues          []string  `json:"a,omitempty"` // one of which "acr" must be
}

// State returns the "state" of the authorization request, which the callback
// brings back: a name for the flow, and no secret by itself.
func (f *Flow) State() string {
	if f.f == nil {
		return ""
	}
	return f.f.State
}

// MarshalBinary returns what [Flow.UnmarshalBinary] reads. It holds secrets in
// the clear: seal it before a browser gets it.
func (f *Flow) MarshalBinary() ([]byte, error) { return json.Marshal(f.f) }

// UnmarshalBinary reads what MarshalBinary wrote.
func (f *Flow) UnmarshalBinary(data []byte) error {
	var read flow
	if json.Unmarshal(data, &read) != nil || read.State == "" || read.Nonce == "" || read.Verifier == "" {
		return errors.New("oidc: this is no flow")
	}
	*f = Flow{f: &read}
	return nil
}

// Format prints that it is a flow, with every verb.
func (f Flow) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("oidc.Flow[redacted]")) }

// MarshalText redacts; see [Flow.MarshalBinary].
func (f Flow) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// protected parameters are what the checks of Finish rest on, and what says who
// asks for what.
var protected = append([]string{
	"redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
}, ownParameters...)

func checkParameters(v url.Values) error {
	for name := range v {
		if slices.Contains(protected, name) || name == "" {
			return fmt.Errorf("oidc: the parameter %q is set by Begin and cannot be replaced", name)
		}
	}
	return nil
}

// Begin starts a login: an authorization request with the code flow, PKCE S256,
// a state and a nonce (OpenID Connect Core section 3.1.2.1, RFC 7636). Send the
// browser to the flow's AuthorizationURL and keep the flow for [Client.Finish].
//
// The request is pushed to the provider first (RFC 9126) if its metadata or the
// ClientConfig demand that; the AuthorizationURL then tells nothing of it. What cannot be
// pushed is not sent in another way.
//
// It fails if there is no redirect URL, if an option names a protected parameter, with [ErrNoEndpoint] if the
// provider has no endpoint for it, with a *[ResponseError] if the provider does not take
// what is pushed, and with an error that answers errors.Is for oidckit.ErrUnavailable if
// the provider's metadata cannot be had, or nothing can be pushed at the moment.
func (c *Client) Begin(ctx context.Context, options ...Option) (*Flow, error) {
	f := flow{
		State: random(), Nonce: random(), Verifier: random(),
		Issuer: c.provider.issuer, ClientID: c.cfg.ClientID, RedirectURL: c.cfg.RedirectURL,
		Expires: c.provider.now().Add(FlowLifetime),
	}
	params, err := c.loginParameters(&f, options)
	if err != nil {
		return nil, err
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.AuthorizationEndpoint == "" {
		return nil, fmt.Errorf("%w: authorization_endpoint", ErrNoEndpoint)
	}
	begun := &Flow{f: &f}
	if m.RequirePushedAuthorizationRequests || c.cfg.PushedAuthorizationRequests {
		if params, begun.AuthorizationURLExpires, err = c.push(ctx, params); err != nil {
			return nil, err
		}
	}
	begun.AuthorizationURL, err = withQuery(m.AuthorizationEndpoint, params)
	if err != nil {
		return nil, err
	}
	return begun, nil
}

// loginParameters returns the authorization request, and puts into f what of it the
// answer will be compared with.
func (c *Client) loginParameters(f *flow, options []Option) (url.Values, error) {
	back, options, err := splitOptions(options)
	if err != nil {
		return nil, err
	}
	if err := f.setRedirectURL(back); err != nil {
		return nil, err
	}
	params := cloneValues(c.cfg.AdditionalParameters)
	for _, o := range options {
		if slices.Contains(singleParameters, o.name) {
			params.Del(o.name) // of all logins; this one wants another
		}
	}
	for _, o := range options {
		params.Add(o.name, o.value)
	}
	if err := checkParameters(params); err != nil {
		return nil, err
	}
	if err := f.demands.read(params, options, c.provider.now()); err != nil {
		return nil, err
	}
	setResources(params, c.cfg.Resources)
	f.Resources = slices.Clone(params["resource"])
	c.setParameters(params, *f)
	if mode, ok := back["response_mode"]; ok {
		if mode != "query" && mode != "form_post" {
			return nil, errors.New(`oidc: WithResponseMode: the mode must be "query" or "form_post"`)
		}
		params.Set("response_mode", mode)
	}
	return params, nil
}

// splitOptions takes out of options those that say how the browser comes back, by name.
func splitOptions(options []Option) (back map[string]string, others []Option, err error) {
	back = map[string]string{}
	for _, o := range options {
		if !o.begin {
			others = append(others, o)
			continue
		}
		if _, twice := back[o.name]; twice {
			return nil, nil, fmt.Errorf("oidc: the option for %q is there twice", o.name)
		}
		back[o.name] = o.value
	}
	return back, others, nil
}

// setRedirectURL replaces that of the configuration if an option gives one, and fails if
// there is neither.
func (f *flow) setRedirectURL(back map[string]string) error {
	given, ok := back["redirect_uri"]
	if !ok {
		if f.RedirectURL == "" {
			return errors.New("oidc: ClientConfig.RedirectURL is required for logins without WithRedirectURL")
		}
		return nil
	}
	if err := fetch.CheckURL(given, false); err != nil {
		return fmt.Errorf("oidc: WithRedirectURL %q: %w", given, err)
	}
	f.RedirectURL, f.OfOption = given, true
	return nil
}

// singleParameters have one value, so that an option replaces that of
// ClientConfig.AdditionalParameters.
var singleParameters = []string{"prompt", "login_hint", "max_age", "acr_values", "ui_locales", "display"}

// read takes from a request what has to be checked when the person has logged in.
func (d *demands) read(params url.Values, options []Option, now time.Time) error {
	if params.Has("acr_values") && (len(params["acr_values"]) > 1 || strings.TrimSpace(params.Get("acr_values")) == "") {
		return errors.New(`oidc: the parameter "acr_values" must be there once, and name one at least`)
	}
	for _, o := range options {
		if o.login && o.name == "acr_values" { // WithParameter is a wish
			d.ACRValues = strings.Fields(o.value)
		}
	}
	return d.readMaxAge(params, now)
}

// readMaxAge: "max_age" counts back from now, when the provider is asked. Wherever it came
// from, the provider must then say when the person logged in (OpenID Connect Core section
// 3.1.2.1).
func (d *demands) readMaxAge(params url.Values, now time.Time) error {
	if !params.Has("max_age") {
		return nil
	}
	seconds, err := strconv.ParseUint(params.Get("max_age"), 10, 32)
	if err != nil || len(params["max_age"]) > 1 {
		return errors.New(`oidc: the parameter "max_age" must be one whole number of seconds`)
	}
	d.AuthenticatedSince = now.Add(-time.Duration(seconds) * time.Second)
	return nil
}

func (c *Client) setParameters(params url.Values, f flow) {
	challenge := sha256.Sum256([]byte(f.Verifier))
	params.Set("response_type", "code")
	params.Set("client_id", f.ClientID)
	params.Set("redirect_uri", f.RedirectURL)
	params.Set("scope", strings.Join(c.cfg.Scopes, " "))
	params.Set("state", f.State)
	params.Set("nonce", f.Nonce)
	params.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	params.Set("code_challenge_method", "S256")
	if c.dpop != nil { // the code is then good with proofs of this key alone (RFC 9449 section 10)
		params.Set("dpop_jkt", c.dpop.Thumbprint())
	}
}

// withQuery adds params to the query that an endpoint may have (RFC 6749 section
// 3.1).
func withQuery(endpoint string, params url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", errors.New("oidc: an endpoint of the metadata is not a URL")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("oidc: an endpoint of the metadata has a malformed query")
	}
	maps.Copy(query, params)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// random returns 256 random bits, in the 43 characters that RFC 7636 section 4.1
// recommends for a verifier.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
