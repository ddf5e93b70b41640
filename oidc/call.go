package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// An endpoint is one where a client proves who it is.
type endpoint struct {
	name string // in the metadata
	read func(*discovery.Metadata) access
	dpop bool // a proof of DPoP belongs there (RFC 9449 sections 5 and 10.1)
}

// access is what the metadata say of an endpoint. Lists that are empty are those of the
// token endpoint.
type access struct {
	url                 string
	methods, algorithms []string
}

var (
	tokenEndpoint = endpoint{name: "token_endpoint", dpop: true, read: func(m *discovery.Metadata) access {
		return access{url: m.TokenEndpoint}
	}}
	pushedAuthorizationRequestEndpoint = endpoint{
		name: "pushed_authorization_request_endpoint", dpop: true, read: func(m *discovery.Metadata) access {
			return access{url: m.PushedAuthorizationRequestEndpoint}
		},
	}
	deviceAuthorizationEndpoint = endpoint{name: "device_authorization_endpoint", read: func(m *discovery.Metadata) access {
		return access{url: m.DeviceAuthorizationEndpoint}
	}}
	backchannelAuthenticationEndpoint = endpoint{name: "backchannel_authentication_endpoint", read: func(m *discovery.Metadata) access {
		return access{url: m.BackchannelAuthenticationEndpoint}
	}}
	introspectionEndpoint = endpoint{name: "introspection_endpoint", read: func(m *discovery.Metadata) access {
		return access{m.IntrospectionEndpoint, m.IntrospectionEndpointAuthMethodsSupported, m.IntrospectionEndpointAuthSigningAlgValuesSupported}
	}}
	revocationEndpoint = endpoint{name: "revocation_endpoint", read: func(m *discovery.Metadata) access {
		return access{m.RevocationEndpoint, m.RevocationEndpointAuthMethodsSupported, m.RevocationEndpointAuthSigningAlgValuesSupported}
	}}
)

// A call is a request to an endpoint with the client's proof of who it is.
type call struct {
	to     endpoint
	form   url.Values
	accept string // media types; empty is JSON
}

// metadata returns the provider's, with the endpoints for clients that have a certificate
// (RFC 8705 section 5) if this is one.
func (c *Client) metadata(ctx context.Context) (*discovery.Metadata, error) {
	m, err := c.provider.Metadata(ctx)
	if err != nil || !c.mtls {
		return m, err
	}
	return m.MTLS(), nil
}

// post makes a call and returns the answer, whatever its status. It sends the form once:
// a code or a refresh token is spent by the first request. Only an endpoint that has not
// looked at it gets it once more, with a new proof: one that asks for another nonce of
// DPoP (RFC 9449 section 8), or one that does not take a secret that was replaced since.
func (c *Client) post(ctx context.Context, r call) (*fetch.Response, error) {
	m, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	method, proof, err := c.method(m, r.to)
	if err != nil {
		return nil, err
	}
	nonce, renewed := false, false
	for {
		resp, err := c.postOnce(ctx, r, method, proof)
		if err != nil {
			return nil, err
		}
		switch {
		case !nonce && c.wantsNonce(r.to, resp):
			nonce = true
		case !renewed && c.renew(ctx, method, resp):
			renewed = true
		default:
			return resp, nil
		}
	}
}

// method returns how the client proves itself at an endpoint, and what such a proof is
// made of.
func (c *Client) method(m *discovery.Metadata, to endpoint) (clientauth.Method, clientauth.Request, error) {
	at := to.read(m)
	if at.url == "" {
		return nil, clientauth.Request{}, fmt.Errorf("%w: %s", ErrNoEndpoint, to.name)
	}
	if len(at.methods) == 0 {
		at.methods = m.TokenEndpointAuthMethodsSupported
	}
	if len(at.algorithms) == 0 {
		at.algorithms = m.TokenEndpointAuthSigningAlgValuesSupported
	}
	proof := clientauth.Request{ClientID: c.cfg.ClientID, Endpoint: at.url, Now: c.provider.now, Provider: clientauth.Provider{
		Issuer: m.Issuer, TokenEndpoint: m.TokenEndpoint, AuthMethodsSupported: at.methods, SigningAlgorithmsSupported: at.algorithms,
	}}
	method := c.auth
	if chooser, ok := method.(clientauth.Chooser); ok {
		var err error
		if method, err = chooser.For(proof.Provider); err != nil {
			return nil, proof, err
		}
	}
	return method, proof, nil
}

func (c *Client) postOnce(ctx context.Context, r call, method clientauth.Method, proof clientauth.Request) (*fetch.Response, error) {
	proof.Header, proof.Form = http.Header{}, cloneValues(r.form)
	if err := method.Authenticate(ctx, &proof); err != nil {
		return nil, fmt.Errorf("oidc: %s: %w", method.Name(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, proof.Endpoint, strings.NewReader(proof.Form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("oidc: %s is not a URL", r.to.name)
	}
	req.Header = proof.Header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if !r.to.dpop {
		return c.fetch.Do(req)
	}
	return c.doWithProof(req, "")
}

// doWithProof sends a request with a proof of DPoP, if the client makes them. One with an
// access token, which its Authorization header or its body has already, is sent once more
// if the endpoint asks for another nonce as APIs do (RFC 9449 section 9).
func (c *Client) doWithProof(req *http.Request, accessToken string) (*fetch.Response, error) {
	if c.dpop == nil {
		return c.fetch.Do(req)
	}
	resp, err := c.doWithProofOnce(req, accessToken)
	if err != nil || accessToken == "" || !c.dpop.wantsNonce(resp.Status, resp.Header) || !rewind(req) {
		return resp, err
	}
	return c.doWithProofOnce(req, accessToken)
}

func (c *Client) doWithProofOnce(req *http.Request, accessToken string) (*fetch.Response, error) {
	for name, values := range c.provider.transport.Header {
		if strings.EqualFold(name, "Host") { // what the server sees, and compares "htu" with
			req.Host = values[0]
		}
	}
	if err := c.dpop.prove(req, accessToken, c.provider.now); err != nil {
		return nil, err
	}
	resp, err := c.fetch.Do(req)
	if err == nil {
		c.dpop.noteNonce(req.URL, resp.Header)
	}
	return resp, err
}

// wantsNonce reports whether an endpoint refused a proof of DPoP for want of its nonce,
// which came with the answer (RFC 9449 section 8). The status is 400; some say 401.
func (c *Client) wantsNonce(to endpoint, resp *fetch.Response) bool {
	return to.dpop && c.dpop != nil && (resp.Status == http.StatusBadRequest || resp.Status == http.StatusUnauthorized) &&
		nonceIn(resp.Header) != "" && responseError(resp).Code == "use_dpop_nonce"
}

// renew reports whether the client is refused, and has another secret than the one it sent.
func (c *Client) renew(ctx context.Context, method clientauth.Method, resp *fetch.Response) bool {
	if resp.Status < 400 || resp.Status >= 500 || responseError(resp).Code != "invalid_client" {
		return false
	}
	r, ok := method.(clientauth.Renewer)
	if !ok {
		return false
	}
	changed, err := r.Renew(ctx)
	return changed && err == nil // what cannot be read leaves the refusal as it is
}

// responseError reads the error answer of an endpoint. A body of another form
// leaves only the status.
func responseError(resp *fetch.Response) *ResponseError {
	e := &ResponseError{Status: resp.Status, RetryAfter: resp.RetryAfter}
	if !resp.Is("application/json") {
		return e
	}
	body, err := strictjson.Parse(resp.Body)
	if err != nil {
		return e
	}
	// One by one: a description of another type does not make a refusal something else.
	e.Code, e.Description, e.URI = printableMember(&body, "error"), printableMember(&body, "error_description"), printableMember(&body, "error_uri")
	return e
}

func printableMember(o *strictjson.Object, name string) string {
	value, _ := o.Get(name)
	s, _ := strictjson.String(value)
	return printable(s)
}

// object parses the JSON object that an endpoint answers with. What is no JSON is of
// something in front of the endpoint: a page that says "maintenance" with status 200
// refuses nothing.
func object(resp *fetch.Response, what string, into any) (strictjson.Object, error) {
	if !resp.Is("application/json") {
		return strictjson.Object{}, unavailable(what, fetch.ErrMediaType)
	}
	text := string(resp.Body)
	o, err := strictjson.ParseString(text)
	if err != nil {
		return strictjson.Object{}, unavailable(what, err)
	}
	if err := strictjson.Decode(text, into); err != nil {
		return o, errMemberType
	}
	return o, nil
}

var errMemberType = errors.New("has a member of another type")
