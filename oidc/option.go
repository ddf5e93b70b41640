package oidc

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Option adds a parameter to one request, of [Client.Begin] or of another call to
// the provider. The functions that return one say how.
type Option struct {
	name, value string
	checked     bool // against what comes of the request
}

// WithParameter adds a parameter. It may be given several times for one name. A
// parameter that the call itself sets is an error of the call.
func WithParameter(name, value string) Option { return Option{name: name, value: value} }

// WithResource adds a "resource" (RFC 8707): an API that the token is for. Where it is
// given, ClientConfig.Resources does not count.
func WithResource(uri string) Option { return Option{name: "resource", value: uri} }

// WithScopes sets "scope". A login has the one of ClientConfig.Scopes.
func WithScopes(scopes ...string) Option {
	return Option{name: "scope", value: strings.Join(scopes, " ")}
}

// WithPrompt sets "prompt": "login", "consent", "select_account" or "none".
func WithPrompt(prompt string) Option { return Option{name: "prompt", value: prompt} }

// WithLoginHint sets "login_hint", the name that the person may want to log in
// with.
func WithLoginHint(hint string) Option { return Option{name: "login_hint", value: hint} }

// WithMaxAge sets "max_age": the person must have logged in at the provider no longer
// before [Client.Begin] than that, in whole seconds; 0 means since then. [Client.Finish]
// refuses an ID token whose "auth_time" says otherwise, or is missing, with
// [ReasonAuthentication].
func WithMaxAge(d time.Duration) Option {
	return Option{name: "max_age", value: strconv.FormatInt(int64(d/time.Second), 10)}
}

// WithACRValues sets "acr_values", the best first: [Client.Finish] refuses an ID token
// whose "acr" is none of them with [ReasonAuthentication], as a step-up needs (RFC 9470
// section 6). To a provider the parameter is a wish; who wishes for no more than the
// provider can do sends it with [WithParameter], and looks at the token himself.
func WithACRValues(values ...string) Option {
	return Option{name: "acr_values", value: strings.Join(values, " "), checked: true}
}

// ownParameters say who asks and how he proves it: no option replaces them in any request.
var ownParameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "request", "request_uri", "dpop_jkt",
}

// addOptions is addParameters for a request that leads to an access token: it is for the
// configured APIs, unless an option names others.
func (c *Client) addOptions(form url.Values, options []Option) error {
	if err := addParameters(form, options); err != nil {
		return err
	}
	if !form.Has("resource") && len(c.cfg.Resources) > 0 {
		form["resource"] = slices.Clone(c.cfg.Resources)
	}
	return nil
}

// addParameters adds what the caller wants to what the call has set, which stays as it is.
func addParameters(form url.Values, options []Option) error {
	wanted := url.Values{}
	for _, o := range options {
		wanted.Add(o.name, o.value)
	}
	for name, values := range wanted {
		switch {
		case name == "" || form.Has(name) || slices.Contains(ownParameters, name):
			return fmt.Errorf("oidc: the parameter %q is set by the call and cannot be replaced", name)
		case name == "scope" && len(values) > 1:
			return fmt.Errorf("oidc: the parameter %q is there twice", name)
		}
	}
	maps.Copy(form, wanted)
	return nil
}
