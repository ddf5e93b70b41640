package oidctest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// The methods of client authentication (OpenID Connect Core 1.0, section 9).
const (
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodNone  = "none"
)

// credentials are what a client sent to prove itself.
type credentials struct{ method, id, secret string }

// authenticate finds the client that sent the request, which must have used the
// method it is registered with. Why it failed is nobody's business.
func (p *Provider) authenticate(r *http.Request, v params) (*Client, *protocolError) {
	sent, perr := readCredentials(r.Header.Values("Authorization"), v)
	if perr != nil {
		return nil, perr
	}
	client := p.clients[sent.id]
	if client == nil || client.AuthMethod != sent.method {
		return nil, invalidClient("client authentication failed")
	}
	if sent.method != methodNone && !sameSecret(client.Secret, sent.secret) {
		return nil, invalidClient("client authentication failed")
	}
	return client, nil
}

func readCredentials(headers []string, v params) (credentials, *protocolError) {
	asserted := v.get("client_assertion") != "" || v.get("client_assertion_type") != ""
	secret := v.get("client_secret")
	switch {
	// RFC 6749, section 2.3: "The client MUST NOT use more than one authentication
	// method in each request."
	case len(headers) > 1,
		len(headers) == 1 && (secret != "" || asserted),
		secret != "" && asserted:
		return credentials{}, invalidRequest("more than one method of client authentication")
	case asserted:
		return credentials{}, invalidClient("client assertions are not supported")
	case len(headers) == 1:
		return readBasic(headers[0], v.get("client_id"))
	case secret != "":
		return credentials{methodPost, v.get("client_id"), secret}, nil
	}
	return credentials{methodNone, v.get("client_id"), ""}, nil
}

// readBasic reads HTTP Basic as RFC 6749, section 2.3.1, has it: both halves are
// form-encoded before they are joined.
func readBasic(header, bodyID string) (credentials, *protocolError) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, invalidClient("the Authorization header is not Basic")
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return credentials{}, invalidClient("the Authorization header is malformed")
	}
	rawID, rawSecret, ok := strings.Cut(string(pair), ":")
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	if !ok || errID != nil || errSecret != nil {
		return credentials{}, invalidClient("the Authorization header is malformed")
	}
	if bodyID != "" && bodyID != id {
		return credentials{}, invalidRequest("client_id is not the client of the Authorization header")
	}
	return credentials{methodBasic, id, secret}, nil
}

func invalidClient(description string) *protocolError {
	return &protocolError{code: "invalid_client", description: description, status: http.StatusUnauthorized}
}
