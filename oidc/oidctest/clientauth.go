package oidctest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// The methods of client authentication (OpenID Connect Core 1.0, section 9).
const (
	methodBasic         = "client_secret_basic"
	methodPost          = "client_secret_post"
	methodSecretJWT     = "client_secret_jwt"
	methodPrivateKeyJWT = "private_key_jwt"
	methodTLS           = "tls_client_auth"
	methodSelfSignedTLS = "self_signed_tls_client_auth"
	methodNone          = "none"
)

// credentials are what a client sent to prove itself.
type credentials struct {
	method, id, secret string
	assertion          *parsedJWT
}

// authenticate finds the client that sent the request, which must have used the
// method it is registered with. A provider in production would not say why it
// failed; a test wants to know.
func (p *Provider) authenticate(r *http.Request, v params) (*Client, *protocolError) {
	sent, perr := readCredentials(r.Header.Values("Authorization"), v)
	if perr != nil {
		return nil, perr
	}
	client := p.client(sent.id)
	switch {
	case client == nil:
		return nil, invalidClient("the client is not registered")
	case client.AuthMethod == sent.method:
	case sent.method == methodNone && client.byCertificate():
		if perr := p.checkCertificate(r, client); perr != nil {
			return nil, perr
		}
		return client, nil
	case sent.method == methodNone:
		return nil, invalidClient("client authentication is missing")
	default:
		return nil, invalidClient("the client is registered for another authentication method")
	}
	switch {
	case sent.assertion != nil:
		if perr := p.checkAssertion(r, client, sent.assertion); perr != nil {
			return nil, perr
		}
	case sent.method != methodNone && !sameSecret(client.Secret, sent.secret):
		return nil, invalidClient("the client_secret is wrong")
	}
	return client, nil
}

// byCertificate tells whether the client proves itself with TLS.
func (c *Client) byCertificate() bool {
	return c.AuthMethod == methodTLS || c.AuthMethod == methodSelfSignedTLS
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
		return readAssertion(v)
	case len(headers) == 1:
		return readBasic(headers[0], v.get("client_id"))
	case secret != "":
		return credentials{method: methodPost, id: v.get("client_id"), secret: secret}, nil
	}
	return credentials{method: methodNone, id: v.get("client_id")}, nil
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
	return credentials{method: methodBasic, id: id, secret: secret}, nil
}

func invalidClient(description string) *protocolError {
	return &protocolError{code: "invalid_client", description: description, status: http.StatusUnauthorized}
}
