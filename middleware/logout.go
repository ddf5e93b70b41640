package middleware

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/oidckit/oidckit"
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
		l.log(r, "logout at the provider left out", err)
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
		referer, err := url.Parse(r.Referer())
		return err != nil || referer.Host != "" && referer.Host != r.Host
	}
	return true
}

func (l *Login) log(r *http.Request, what string, err error) {
	if l.Logger != nil {
		l.Logger.LogAttrs(r.Context(), slog.LevelWarn, what, slog.Any("reason", err))
	}
}

// fail answers a login that did not work out. What the user sees says what to do;
// why it happened goes to the log.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, err error) {
	l.log(r, "login failed", err)
	p := page{Title: "Login did not work", Action: l.loginPath(), Button: "Try again", Get: true}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, oidckit.ErrForbidden):
		status, p.Text = http.StatusForbidden, "The login was cancelled or access was denied."
	case errors.Is(err, oidckit.ErrUnavailable):
		status, p.Text = http.StatusServiceUnavailable, "The login service does not answer at the moment. Please try again in a little while."
		setRetryAfter(w.Header(), err)
	case errors.Is(err, oidckit.ErrInvalidCallback):
		status, p.Text = http.StatusBadRequest, "This login has expired, was used already, or was started in another browser. Cookies must be allowed."
	case errors.Is(err, oidckit.ErrInvalidToken):
		status, p.Text = http.StatusBadRequest, "The login service sent an answer that cannot be trusted."
	default:
		p.Text = "Something is wrong with this application. Its log says what."
	}
	l.page(w, status, p)
}
