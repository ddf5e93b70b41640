package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
)

// logout ends the session here, on all processes, then at the provider. Another site must not
// do that to our users: a request that comes from one gets a page that asks.
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if l.fromElsewhere(r) {
		l.showLogoutConfirm(w, r)
		return
	}
	s, err := l.sessions.end(w, r)
	if s == nil && err == nil {
		seeOther(w, l.cfg.PostLogoutRedirectURL)
		return
	}
	step, hint := LoginStep{Kind: LoggedOut, Err: err}, (*oidc.IDToken)(nil)
	if s != nil { // else it is not known whose session it was; the cookies have gone
		step.Flow, step.Provider, hint = s.flow(), s.Provider(), s.Tokens().IDToken
	}
	l.step(r.Context(), step)
	l.logOutAtProvider(w, r, step, hint)
}

// logOutAtProvider sends the browser to where the provider ends its session. If it cannot be told,
// the user is logged out here all the same, and has to know if the provider was down.
func (l *Login) logOutAtProvider(w http.ResponseWriter, r *http.Request, step LoginStep, hint *oidc.IDToken) {
	p := l.provider(step.Provider)
	if p == nil { // of several, nobody knows which
		seeOther(w, l.cfg.PostLogoutRedirectURL)
		return
	}
	start := l.now()
	// What comes with the request decides nothing here: the address is registered, and fixed.
	target, err := p.client.LogoutURL(r.Context(), oidc.Logout{IDToken: hint, PostLogoutRedirectURL: l.cfg.PostLogoutRedirectURL})
	if err != nil {
		step.Kind, step.Err, step.Took = LogoutNotTold, err, l.now().Sub(start)
		if errors.Is(err, oidckit.ErrUnavailable) {
			l.showError(w, r, step)
			return
		}
		l.step(r.Context(), step)
		target = l.cfg.PostLogoutRedirectURL
	}
	seeOther(w, target)
}

// fromElsewhere reports whether a logout may not be what the user wants: another site made the
// browser send the request, or a picture in one of our own pages, or a guess of the browser at
// where the user will go next.
func (l *Login) fromElsewhere(r *http.Request) bool {
	if r.Method == http.MethodPost {
		return l.checkOrigin(r) != nil
	}
	if strings.Contains(r.Header.Get("Sec-Purpose"), "prefetch") {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "empty": // a link, or fetch of a script of ours
	default:
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
		// A browser of before these headers. Where Referer is missing too, another site may have
		// seen to that (Referrer-Policy: no-referrer).
		referer, err := url.Parse(r.Referer())
		return err != nil || originOf(referer) != l.origin
	}
	return true
}
