package oidctest

import (
	"net/http"
)

// clientRequest reads a form that a client sent to one of the endpoints at which
// it proves itself. All of them do it alike.
func (p *Provider) clientRequest(r *http.Request) (*Client, params, *protocolError) {
	v, err := requestParams(r)
	if err != nil {
		return nil, nil, invalidRequest("the request is not a form")
	}
	if v.duplicate() != "" {
		return nil, nil, invalidRequest("a parameter is there more than once")
	}
	client, perr := p.authenticate(r, v)
	return client, v, perr
}

// answer sends the JSON answer of an endpoint, after its hook.
func (p *Provider) answer(w http.ResponseWriter, e Endpoint, status int, answer map[string]any) {
	p.hooks.changeAnswer(e, answer)
	writeJSON(w, status, "application/json", answer)
}

// signedAnswer makes the JWT that an endpoint answers with, for a client.
func (p *Provider) signedAnswer(e Endpoint, alg, typ string, c *Client, claims map[string]any) (string, error) {
	header, err := p.header(alg, typ)
	if err != nil {
		return "", err
	}
	p.hooks.changeSignedAnswer(e, header, claims)
	return p.signClaims(header, claims, alg, c.Secret)
}
