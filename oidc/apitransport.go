package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/fetch"
	"golang.org/x/oauth2"
)

// APITransportConfig says how requests get to an API.
type APITransportConfig struct {
	// Source has the access token. Required. If it has a method TokenContext(context.Context),
	// as the sources of this package do, that is called with the context of the request; the
	// requests of any other source wait as long as Token takes.
	Source oauth2.TokenSource
	// Allowed are the URLs that the access token may be sent to, with all that is below
	// their paths. Required: https, or http on loopback, without query. An entry without
	// path is the whole origin. Below a path, URLs that a server could read as of another
	// place are not allowed: with dot segments in any spelling, control characters, or
	// percent-encoding that is encoded again ("%252e").
	Allowed []string
	// Base sends the requests. Nil means http.DefaultTransport, with the client's
	// certificate if it has one, which its access tokens are bound to (RFC 8705 section 3).
	Base http.RoundTripper
}

// An APITransport is an http.RoundTripper that gives each request to an API its access
// token, and a proof of DPoP if the client makes them (RFC 9449 section 7). It is safe for
// concurrent use. Make it with [Client.APITransport].
type APITransport struct {
	client  *Client
	token   func(context.Context) (*oauth2.Token, error) // no printing reaches a token
	allowed []place
	base    http.RoundTripper
}

// APITransport returns the transport of cfg. Errors name the field.
func (c *Client) APITransport(cfg APITransportConfig) (*APITransport, error) {
	if cfg.Source == nil {
		return nil, errors.New("oidc: APITransportConfig.Source is required")
	}
	places, err := allowed(cfg.Allowed)
	if err != nil {
		return nil, err
	}
	t := &APITransport{client: c, token: tokenFrom(cfg.Source), allowed: places, base: cfg.Base}
	if t.base == nil {
		t.base = fetch.Transport(c.certificate)
	}
	return t, nil
}

func tokenFrom(source oauth2.TokenSource) func(context.Context) (*oauth2.Token, error) {
	if s, ok := source.(interface {
		TokenContext(ctx context.Context) (*oauth2.Token, error)
	}); ok {
		return s.TokenContext
	}
	return func(context.Context) (*oauth2.Token, error) { return source.Token() }
}

// RoundTrip sends req with the access token. It refuses, without sending anything, a URL
// that is not allowed ([ErrNotAllowed]), so that no redirect takes the token elsewhere, and
// a request that has credentials of its own. Errors of the Source come through: a refresh
// token that is no longer good is an *[Error] with [ReasonRevoked].
//
// An API that asks for a nonce of DPoP gets the request once more, if its body can be had
// again by GetBody. One that wants a stronger or more recent login is a *[StepUpError].
// All other answers are returned as they are, 401 included.
func (t *APITransport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.authorize(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	ours := req.Clone(req.Context()) // "RoundTrip should not modify the request"
	if ours.Header == nil {
		ours.Header = http.Header{}
	}
	ours.Header.Set("Authorization", t.client.tokenType()+" "+token)
	resp, err := t.send(ours, token)
	if err == nil && t.client.dpop != nil && t.client.dpop.wantsNonce(resp.StatusCode, resp.Header) {
		if again := ours.Clone(req.Context()); rewind(again) { // the first one's body may still be read
			_ = resp.Body.Close() // it was a refusal
			resp, err = t.send(again, token)
		}
	}
	if err != nil {
		return nil, err
	}
	if e := stepUp(resp.StatusCode, resp.Header); e != nil {
		_ = resp.Body.Close() // as above: nobody will read it
		return nil, e
	}
	return resp, nil
}

// authorize returns the access token for a request that may have it.
func (t *APITransport) authorize(req *http.Request) (string, error) {
	switch u := req.URL; {
	case u == nil || u.Opaque != "" || u.User != nil:
		return "", errors.New("oidc: a request to an API needs an absolute URL without user info")
	case !slices.ContainsFunc(t.allowed, func(p place) bool { return p.has(req) }):
		return "", fmt.Errorf("%w: host %q", ErrNotAllowed, u.Host)
	case req.Host != "" && origin(&url.URL{Scheme: u.Scheme, Host: req.Host}) != origin(u): // another server at the same address
		return "", fmt.Errorf("%w: Host is %q", ErrNotAllowed, req.Host)
	case hasHeader(req.Header, "Authorization") || hasHeader(req.Header, "DPoP"):
		return "", errors.New("oidc: the request to an API has an Authorization or DPoP header already")
	}
	token, err := t.token(req.Context())
	if err != nil {
		return "", &sourceError{err}
	}
	if err := t.checkToken(token); err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// hasHeader looks for a header in any spelling: net/http sends them all.
func hasHeader(h http.Header, name string) bool {
	for n := range h {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// checkToken: a token that is bound to a key is of no use as a Bearer token but to a thief.
func (t *APITransport) checkToken(token *oauth2.Token) error {
	switch {
	case token == nil || token.AccessToken == "" || !isTokenText(token.AccessToken):
		return errors.New("oidc: the access token of APITransportConfig.Source is empty, or cannot stand in a header")
	case canonicalType(token.Type()) != t.client.tokenType():
		return errors.New("oidc: the access token of APITransportConfig.Source is not of the type " + t.client.tokenType())
	}
	return nil
}

// send sends a request with a proof that is its own.
func (t *APITransport) send(req *http.Request, token string) (*http.Response, error) {
	dpop := t.client.dpop
	if dpop == nil {
		return t.base.RoundTrip(req)
	}
	if err := dpop.prove(req, token, t.client.provider.now); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		dpop.noteNonce(req.URL, resp.Header)
	}
	return resp, err
}

// closeBody: "RoundTrip must always close the body, including on errors".
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was read from it
	}
}

// A sourceError is of a source of tokens.
type sourceError struct{ err error }

func (e *sourceError) Error() string {
	var re *oauth2.RetrieveError
	if errors.As(e.err, &re) { // its text has the body of the answer
		return "oidc: no access token: the token endpoint refused"
	}
	return "oidc: no access token: " + e.err.Error()
}

func (e *sourceError) Unwrap() error { return e.err }

// Format prints what the transport is, with every verb.
func (t APITransport) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("oidc.APITransport")) }
