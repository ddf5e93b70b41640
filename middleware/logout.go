package middleware

import (
	"net/http"
	"net/url"

	"github.com/oidckit/oidckit/oidc"
)

// logout ends the session here, then at the provider. Another site must not do
// that to our users: a request that comes from one gets a page that asks.
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if fromElsewhere(r) {
		l.page(w, http.StatusOK, page{
			Title: "Log out?", Text: "Another site asked to log you out here.",
			Action: l.logoutPath(), Button: "Log out",
		})
		return
	}
	s, loggedIn := l.session(r)
	l.sessions.remove(l.sessionID(r))
	l.setCookie(w, sessionCookie, "", 0)
	if !loggedIn {
		seeOther(w, "/")
		return
	}
	target, err := l.Client.LogoutURL(r.Context(), oidc.Logout{
		IDToken: s.Tokens.IDToken, PostLogoutRedirectURL: l.postLogoutRedirectURL(),
	})
	if err != nil {
		// The provider cannot be told. Here the user is logged out all the same.
		l.log(r, err)
		target = "/"
	}
	seeOther(w, target)
}

// fromElsewhere reports whether another site made the browser send the request.
func fromElsewhere(r *http.Request) bool {
	if r.Method == http.MethodPost {
		return http.NewCrossOriginProtection().Check(r) != nil
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
		// Without either header it is no browser of today, or one that was told to
		// say nothing.
		referer, err := url.Parse(r.Referer())
		return err != nil || r.Referer() != "" && referer.Host != r.Host
	}
	return true
}
