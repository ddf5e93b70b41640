package oidctest

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
)

// serveEndSession is the logout endpoint (OpenID Connect RP-Initiated Logout 1.0,
// section 2). There is no session to end; what matters to a client is who is
// sent where.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	v, err := requestParams(r)
	if err != nil || v.duplicate() != "" {
		errorPage(w, "The request is malformed.")
		return
	}
	client, problem := p.leaving(v)
	uri := v.get("post_logout_redirect_uri")
	switch {
	case problem != "":
	case uri != "" && client == nil:
		problem = "A post_logout_redirect_uri needs an id_token_hint or a client_id."
	case uri != "" && !registered(client.PostLogoutRedirectURIs, uri):
		// Section 3: to an address that is not registered nobody is sent.
		problem = "The post_logout_redirect_uri is not registered for this client."
	}
	if problem != "" {
		errorPage(w, problem)
		return
	}
	if v.get("id_token_hint") == "" && !confirmed(r, v) {
		// Anybody can send a browser here. Only somebody who was given an ID token
		// may log its user out without asking.
		delete(v, "confirm") // the button says it
		page(w, http.StatusOK, "confirm.html", confirmPage{p.path + string(EndSession), url.Values(v)})
		return
	}
	signOut(w, r, uri, v.get("state"))
}

func confirmed(r *http.Request, v params) bool {
	return r.Method == http.MethodPost && v.get("confirm") == "yes"
}

func signOut(w http.ResponseWriter, r *http.Request, uri, state string) {
	if uri == "" {
		page(w, http.StatusOK, "message.html", messagePage{"Signed out", "You can close this window."})
		return
	}
	added := url.Values{}
	if state != "" {
		added.Set("state", state)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, appendQuery(uri, added), http.StatusSeeOther)
}

// leaving finds the client that asks for the logout: nil if the request does not
// say.
func (p *Provider) leaving(v params) (client *Client, problem string) {
	id := v.get("client_id")
	if hint := v.get("id_token_hint"); hint != "" {
		client = p.hinted(hint)
		if client == nil {
			return nil, "The id_token_hint is not an ID token of this provider."
		}
		if id != "" && id != client.ID {
			return nil, "The id_token_hint was issued to another client than client_id."
		}
		return client, ""
	}
	if client = p.client(id); id != "" && client == nil {
		return nil, "The client_id is not registered."
	}
	return client, ""
}

// hinted returns the client of an ID token of ours. Expired ones are fine, as
// the specification asks: people log out late.
func (p *Provider) hinted(token string) *Client {
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
	}
	_, payload, ok := p.verify(token)
	if !ok {
		payload, ok = p.verifySecret(token)
	}
	if !ok || json.Unmarshal(payload, &claims) != nil || claims.Issuer != p.cfg.Issuer {
		return nil
	}
	return p.client(claims.Audience)
}

// verifySecret checks an ID token signed with a client's secret: the secret of
// the client it is for.
func (p *Provider) verifySecret(token string) ([]byte, bool) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512})
	if err != nil {
		return nil, false
	}
	var claims struct {
		Audience string `json:"aud"`
	}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims) != nil {
		return nil, false
	}
	client := p.client(claims.Audience)
	if client == nil || client.IDTokenAlgorithm != jws.Signatures[0].Protected.Algorithm {
		return nil, false
	}
	payload, err := jws.Verify([]byte(client.Secret))
	return payload, err == nil
}
