package middleware

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/oidckit/oidckit"
)

func (l *Login) log(r *http.Request, err error) {
	if l.Logger != nil {
		l.Logger.LogAttrs(r.Context(), slog.LevelWarn, "login or logout failed",
			slog.String("path", r.URL.Path), slog.Any("reason", err))
	}
}

// fail answers a login that did not work out. What the user sees says what to do;
// why it happened goes to the log.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, err error) {
	l.log(r, err)
	p := page{Title: "Login did not work", Action: l.loginPath(), Button: "Try again", Get: true}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, oidckit.ErrUnavailable): // before its cause, which may be another
		status, p.Text = http.StatusServiceUnavailable, "The login service does not answer at the moment. Please try again in a little while."
		setRetryAfter(w.Header(), err)
	case errors.Is(err, oidckit.ErrForbidden):
		status, p.Text = http.StatusForbidden, "The login was cancelled or access was denied."
	case errors.Is(err, oidckit.ErrInvalidCallback):
		status, p.Text = http.StatusBadRequest, "This login has expired, was used already, or was started in another browser. Cookies must be allowed."
	case errors.Is(err, oidckit.ErrInvalidToken):
		status, p.Text = http.StatusBadRequest, "The login service sent an answer that cannot be trusted."
	default:
		p.Text = "Something is wrong with this application. Its log says what."
	}
	l.page(w, status, p)
}
