package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
)

// loginPage writes the login page. The request itself travels in the form and is
// checked again with the password: nothing about it needs to be remembered, and
// nothing about it needs to be trusted.
func (p *Provider) loginPage(w http.ResponseWriter, status int, request params, data loginPage) {
	data.Action = p.path + string(login)
	data.Authorization = url.Values(request).Encode()
	// The page of a provider with hundreds of users helps nobody.
	data.Users = p.cfg.Users[:min(len(p.cfg.Users), 6)]
	page(w, status, "login.html", data)
}

// serveLogin takes the login form.
func (p *Provider) serveLogin(w http.ResponseWriter, r *http.Request) {
	form, err := requestParams(r)
	if err != nil {
		errorPage(w, "The form is malformed.")
		return
	}
	request, err := parseParams(form.get("authorization"))
	if err != nil {
		errorPage(w, "The form is malformed.")
		return
	}
	requestURI := request.get("request_uri")
	full, problem := p.pushed(request, false)
	if problem != "" {
		errorPage(w, problem)
		return
	}
	a := p.admit(w, r, full, requestURI != "")
	if a == nil {
		return
	}
	if form.get("cancel") != "" {
		p.par.finish(requestURI)
		p.refuse(w, r, a, &protocolError{code: "access_denied", description: "the user cancelled the login"})
		return
	}
	user := p.users[form.get("username")]
	if user == nil || !sameSecret(user.Password, form.get("password")) {
		p.loginPage(w, http.StatusUnauthorized, request, loginPage{
			ClientID: a.client.ID, Username: form.get("username"), Wrong: true,
		})
		return
	}
	p.par.finish(requestURI)
	p.respond(w, r, a, url.Values{"code": {p.authorize(a, user)}})
}

// authorize records what the user allowed, and returns the code for it.
func (p *Provider) authorize(a *authorization, user *User) string {
	now := p.Now()
	g := &grant{
		client:      a.client,
		user:        user,
		redirectURI: a.redirectURI,
		challenge:   a.challenge,
		nonce:       a.nonce,
		scopes:      a.scopes,
		resources:   a.resources,
		authTime:    now,
		sid:         rand.Text(),
		dpop:        a.dpop,
		acr:         a.acr,
		codeExpires: now.Add(p.cfg.CodeTTL),
	}
	// The tokens may outlive the code, and a late second use of it must find them.
	g.until = g.codeExpires.Add(max(p.cfg.AccessTokenTTL, p.cfg.RefreshTokenTTL))
	return p.grants.add(g, now)
}

// sameSecret compares in a time that depends on neither value.
func sameSecret(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
