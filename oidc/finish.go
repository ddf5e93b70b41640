package oidc

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Tokens are what a login or a refresh gave. They print as nothing, in JSON too: to keep
// them, keep what [Tokens.MarshalBinary] returns. Those of a login are the caller's to keep,
// from the first on; a [TokenSource] has those of its refreshes kept.
type Tokens struct {
	// OAuth2 has access and refresh token. Its expiry is the zero time if the
	// provider did not say.
	OAuth2 *oauth2.Token
	// IDToken says who logged in. After a refresh it may be the one of before.
	IDToken *IDToken

	// Whose they are, if a client got them: there may be no ID token to tell.
	issuer, clientID string
	resources        []string // that the login asked for
	// The family of a refresh token that came with them. It is not stored.
	family *family
	member textHash
}

// Format prints that these are tokens, with every verb.
func (t Tokens) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("oidc.Tokens[redacted]")) }

// MarshalText redacts, in JSON and in logs: what json.Marshal makes of tokens is lost. To
// keep them there is MarshalBinary.
func (t Tokens) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// tokens returns those of an answer to a login that asked for the resources. There may be
// no ID token.
func (c *Client) tokens(answer *tokenResponse, now time.Time, id *IDToken, resources []string) *Tokens {
	raw := ""
	if id != nil {
		raw = id.raw
	}
	return &Tokens{
		OAuth2: answer.oauth2(now, raw), IDToken: id,
		issuer: c.provider.issuer, clientID: c.cfg.ClientID, resources: resources,
	}
}

var errNotOurs = errors.New("oidc: the tokens are of another provider or client")

// owns reports tokens of another provider or client: they are not sent to this one, who
// could use them there. A session may hold either. Who made tokens by hand, without an ID
// token, has to know whose they are.
func (c *Client) owns(t *Tokens) error {
	if id := t.IDToken; id != nil && (!c.provider.issuers.mayBe(id.Issuer) || !slices.Contains(id.Audience, c.cfg.ClientID)) {
		return errNotOurs
	}
	if t.clientID != "" && (t.clientID != c.cfg.ClientID || t.issuer != c.provider.issuer && !c.provider.issuers.mayBe(t.issuer)) {
		return errNotOurs
	}
	return nil
}

// Finish ends a login with the parameters that came to the redirect URL in its
// query. It checks the state and the issuer (RFC 9207) before anything is sent,
// exchanges the code exactly once, and verifies the ID token with everything that
// Begin made up, with [WithMaxAge] and [WithACRValues]. Once a callback with a code has
// passed those first checks its flow is used up, whatever the outcome.
//
// Errors: *[AuthorizationError] if the provider did not authorize;
// *[CallbackError] if the parameters do not fit the flow or the provider does not
// take the code; *[Error] if the ID token is refused; *[ResponseError] if the
// provider refuses the client; oidckit.ErrUnavailable if it cannot be reached.
// There are tokens exactly if there is no error.
func (c *Client) Finish(ctx context.Context, f *Flow, callback url.Values) (*Tokens, error) {
	code, err := c.checkCallback(ctx, f, callback)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {f.f.RedirectURL}, "code_verifier": {f.f.Verifier},
	}
	setResources(form, f.f.Resources)
	answer, err := c.requestToken(ctx, form)
	if err != nil {
		var re *ResponseError
		if errors.As(err, &re) && re.refusesGrant() {
			return nil, &CallbackError{Parameter: "code", Problem: "is not accepted by the provider", Err: err}
		}
		return nil, err
	}
	if answer.IDToken == "" {
		return nil, &Error{Reason: ReasonMalformed, Err: errors.New("the token response has no id_token")}
	}
	id, err := c.VerifyIDToken(ctx, answer.IDToken, f.f.Nonce)
	if err != nil {
		return nil, err
	}
	if err := id.checkAccessTokenHash(answer.AccessToken); err != nil {
		return nil, err
	}
	if err := id.checkHash("c_hash", code); err != nil {
		return nil, err
	}
	if err := id.checkAuthentication(f.f.demands, c.provider.now(), c.idTokens.leeway); err != nil {
		return nil, err
	}
	// "OPTIONAL, if identical to the scope requested by the client" (RFC 6749 section 5.1).
	answer.Scope = cmp.Or(answer.Scope, strings.Join(c.cfg.Scopes, " "))
	return c.tokens(answer, c.provider.now(), id, slices.Clone(f.f.Resources)), nil
}

// checkCallback makes every check that can be made before the code is sent
// anywhere, and returns the code.
func (c *Client) checkCallback(ctx context.Context, f *Flow, callback url.Values) (string, error) {
	if f == nil || f.f == nil || f.f.State == "" || f.f.Nonce == "" || f.f.Verifier == "" {
		return "", &CallbackError{Parameter: "state", Problem: "belongs to no login of this browser"}
	}
	for _, name := range []string{"state", "code", "iss", "error", "error_description", "error_uri"} {
		if len(callback[name]) > 1 {
			return "", &CallbackError{Parameter: name, Problem: "is there twice"}
		}
	}
	// What belongs to another response type or mode was not asked for.
	for _, name := range []string{"response", "id_token", "access_token"} {
		if callback.Has(name) {
			return "", &CallbackError{Parameter: name, Problem: "belongs to another kind of answer than was asked for"}
		}
	}
	// Empty equals nothing: a flow always has a state.
	if subtle.ConstantTimeCompare([]byte(callback.Get("state")), []byte(f.f.State)) != 1 {
		return "", &CallbackError{Parameter: "state", Problem: "is not the one of this login"}
	}
	now := c.provider.now()
	switch {
	case f.f.Issuer != c.provider.issuer || f.f.ClientID != c.cfg.ClientID || !f.f.OfOption && f.f.RedirectURL != c.cfg.RedirectURL:
		return "", &CallbackError{Parameter: "state", Problem: "belongs to a login with another client"}
	case !now.Before(f.f.Expires):
		return "", &CallbackError{Parameter: "state", Problem: "has expired"}
	}
	if err := c.checkResponseIssuer(ctx, callback); err != nil {
		return "", err
	}
	code, err := readCode(callback)
	if err != nil {
		return "", err
	}
	if !c.used.add(f.f.State, f.f.Expires, now) {
		return "", &CallbackError{Parameter: "state", Problem: "was used before"}
	}
	return code, nil
}

// checkResponseIssuer is the defence against mix-up (RFC 9207 section 2.4): the
// answer names who gave it, and must do so if the metadata say that it does.
func (c *Client) checkResponseIssuer(ctx context.Context, callback url.Values) error {
	if callback.Has("iss") {
		if !c.provider.issuers.mayBe(callback.Get("iss")) {
			return &CallbackError{Parameter: "iss", Problem: "is another provider"}
		}
		return nil
	}
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return err
	}
	if m.AuthorizationResponseIssParameterSupported {
		return &CallbackError{Parameter: "iss", Problem: "is missing, though the provider's metadata promise it"}
	}
	return nil
}

func readCode(callback url.Values) (string, error) {
	code, failure := callback.Get("code"), callback.Get("error")
	switch {
	case failure != "" && code != "":
		return "", &CallbackError{Parameter: "code", Problem: "came together with an error"}
	case failure != "":
		return "", &AuthorizationError{
			Code: printable(failure), Description: printable(callback.Get("error_description")),
		}
	case code == "":
		return "", &CallbackError{Parameter: "code", Problem: "is missing"}
	}
	return code, nil
}

// usedFlows remembers the states that were finished, so that a callback that is
// replayed with its flow does not send the code again. The provider refuses a
// used code too; but it then takes the first login's tokens for stolen.
type usedFlows struct{ memory onceMemory }

// add reports whether a flow was not used before. If there are too many, all are
// forgotten: the provider is then the only judge.
func (u *usedFlows) add(state string, expires, now time.Time) (first bool) {
	first, full := u.memory.add(state, expires, now)
	if !full {
		return first
	}
	u.memory.clear()
	first, _ = u.memory.add(state, expires, now)
	return first
}
