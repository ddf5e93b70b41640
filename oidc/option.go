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
	login       bool // it says how a person logs in, which other calls have nothing to do with
	begin       bool // it says how the browser comes back, which Begin alone has to do with
}

// Format prints the name of the parameter, with every verb: its value may be a token.
func (o Option) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.Option(%s)", o.name) }

// WithParameter adds a parameter. It may be given several times for one name. A
// parameter that the call itself sets is an error of the call.
func WithParameter(name, value string) Option { return Option{name: name, value: value} }

// WithResource adds a "resource" (RFC 8707): an API that the token is for. Where it is
// given, ClientConfig.Resources does not count.
func WithResource(uri string) Option { return Option{name: "resource", value: uri} }

// WithScopes sets "scope", which [Client.Begin] takes from ClientConfig.Scopes alone.
// [Client.DeviceAuthorization] and [Client.BackchannelAuthentication] have that one too if
// the option is not given, and there is no ID token if it is given without "openid". A
// refresh is narrowed by it. The grants without a person have no other scope than this.
func WithScopes(scopes ...string) Option {
	return Option{name: "scope", value: strings.Join(scopes, " ")}
}

// WithPrompt sets "prompt": "login", "consent", "select_account" or "none".
func WithPrompt(prompt string) Option { return Option{name: "prompt", value: prompt, login: true} }

// WithLoginHint sets "login_hint", the name that the person may want to log in
// with.
func WithLoginHint(hint string) Option { return Option{name: "login_hint", value: hint, login: true} }

// WithMaxAge sets "max_age": the person must have logged in at the provider no longer
// before [Client.Begin] than that, in whole seconds; 0 means since then. [Client.Finish]
// refuses an ID token whose "auth_time" says otherwise, or is missing, with
// [ReasonAuthentication]. It goes with [Client.DeviceAuthorization] and
// [Client.BackchannelAuthentication] too, whose tokens are then checked in the same way;
// every other call refuses it, as it refuses [WithACRValues], [WithPrompt] and
// [WithLoginHint].
func WithMaxAge(d time.Duration) Option {
	return Option{name: "max_age", value: strconv.FormatInt(int64(d/time.Second), 10), login: true}
}

// WithACRValues sets "acr_values", the best first: [Client.Finish] refuses an ID token
// whose "acr" is none of them with [ReasonAuthentication], as a step-up needs (RFC 9470
// section 6). To a provider the parameter is a wish; who wishes for no more than the
// provider can do sends it with [WithParameter], and looks at the token himself. It goes
// where [WithMaxAge] goes.
func WithACRValues(values ...string) Option {
	return Option{name: "acr_values", value: strings.Join(values, " "), login: true}
}

// WithRedirectURL sets "redirect_uri" of one login, in place of ClientConfig.RedirectURL and
// by its rules: https, or loopback. So one client can have several, as where each connection
// has one of its own (RFC 9700 section 4.4.2). The flow keeps it for [Client.Finish]. It goes
// with [Client.Begin] alone, once.
func WithRedirectURL(url string) Option {
	return Option{name: "redirect_uri", value: url, login: true, begin: true}
}

// WithResponseMode sets "response_mode": "form_post" has the provider answer by a form that
// the browser posts to the redirect URL (OAuth 2.0 Form Post Response Mode), "query" in its
// query, as it is without this option. [Client.Finish] takes the parameters of either: let the
// handler read the one that was asked for alone. It goes with [Client.Begin] alone, once.
func WithResponseMode(mode string) Option {
	return Option{name: "response_mode", value: mode, login: true, begin: true}
}

// ownParameters say who asks and how he proves it: no option replaces them in any request.
var ownParameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "request", "request_uri", "dpop_jkt",
}

// addOptions is addParameters for a request that leads to an access token: it is for these
// APIs, unless an option names others.
func addOptions(form url.Values, options []Option, resources []string) error {
	if err := addParameters(form, options); err != nil {
		return err
	}
	setResources(form, resources)
	return nil
}

func setResources(form url.Values, resources []string) {
	if !form.Has("resource") && len(resources) > 0 {
		form["resource"] = slices.Clone(resources)
	}
}

// addParameters is addLoginParameters for calls that nobody logs in for: what would be
// checked in his ID token must not pass as if it were.
func addParameters(form url.Values, options []Option) error {
	for _, o := range options {
		if o.login {
			return fmt.Errorf("oidc: the option for %q is of logins, and this call is none: give it to Begin, DeviceAuthorization or BackchannelAuthentication", o.name)
		}
	}
	return addLoginParameters(form, options)
}

// addLoginParameters adds what the caller wants to what the call has set, which stays as it
// is.
func addLoginParameters(form url.Values, options []Option) error {
	wanted := url.Values{}
	for _, o := range options {
		if o.begin {
			return fmt.Errorf("oidc: the option for %q is of Begin alone", o.name)
		}
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
