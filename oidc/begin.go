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
	"strings"
	"time"
)

// FlowLifetime is how long a login may take from Begin to Finish.
const FlowLifetime = 30 * time.Minute

// A Flow is a login under way: what Begin made up, and Finish compares. Keep it
// where only the browser that started the login can bring it back from: a sealed
// cookie, or a session on the server. Its binary form ([Flow.MarshalBinary]) is
// secret; printed, it shows nothing.
type Flow struct {
	// AuthorizationURL is where to send the browser. It is not kept in the binary
	// form.
	AuthorizationURL string

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

// A BeginOption changes one authorization request. The functions that return
// one say how.
type BeginOption struct{ name, value string }

// WithParameter adds a parameter. It may be given several times for one name. A
// parameter that Begin itself sets is an error of Begin.
func WithParameter(name, value string) BeginOption { return BeginOption{name, value} }

// WithPrompt sets "prompt": "login", "consent", "select_account" or "none".
func WithPrompt(prompt string) BeginOption { return BeginOption{"prompt", prompt} }

// WithLoginHint sets "login_hint", the name that the person may want to log in
// with.
func WithLoginHint(hint string) BeginOption { return BeginOption{"login_hint", hint} }

// protected parameters are what the checks of Finish rest on, and what says who
// asks for what.
var protected = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri", "client_secret",
}

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
// It fails if an option names a protected parameter, with [ErrNoEndpoint] if the
// provider has no authorization endpoint, and with an *oidckit.UnavailableError if
// the provider's metadata cannot be had.
func (c *Client) Begin(ctx context.Context, options ...BeginOption) (*Flow, error) {
	params := cloneValues(c.cfg.AdditionalParameters)
	for _, o := range options {
		params.Add(o.name, o.value)
	}
	if err := checkParameters(params); err != nil {
		return nil, err
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.AuthorizationEndpoint == "" {
		return nil, fmt.Errorf("%w: authorization_endpoint", ErrNoEndpoint)
	}
	f := flow{
		State: random(), Nonce: random(), Verifier: random(),
		Issuer: c.provider.issuer, ClientID: c.cfg.ClientID, RedirectURL: c.cfg.RedirectURL,
		Expires: c.provider.now().Add(FlowLifetime),
	}
	c.setParameters(params, f)
	target, err := withQuery(m.AuthorizationEndpoint, params)
	if err != nil {
		return nil, err
	}
	return &Flow{AuthorizationURL: target, f: &f}, nil
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
	for _, r := range c.cfg.Resources {
		params.Add("resource", r)
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
