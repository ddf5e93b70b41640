package middleware

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/oidckit/oidckit"
)

// refuse answers a request that does not get through. What the client learns is
// the class of the error and nothing else (RFC 6750 section 3.1); the reason goes
// to the log.
func (b *Bearer) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusBadRequest:
		h.Set("WWW-Authenticate", b.challenge("error", "invalid_request"))
	case http.StatusUnauthorized:
		if errors.Is(err, ErrNoCredentials) {
			h.Set("WWW-Authenticate", b.challenge())
		} else {
			h.Set("WWW-Authenticate", b.challenge("error", "invalid_token"))
		}
	case http.StatusForbidden:
		params := []string{"error", "insufficient_scope"}
		var missing *ScopeError
		if errors.As(err, &missing) {
			params = append(params, "scope", strings.Join(missing.Scopes, " "))
		}
		h.Set("WWW-Authenticate", b.challenge(params...))
	case http.StatusServiceUnavailable:
		setRetryAfter(h, err)
	}
	if b != nil && b.Logger != nil {
		b.Logger.LogAttrs(r.Context(), levelOf(status), "request refused",
			slog.Int("status", status), slog.Any("reason", err))
	}
	http.Error(w, http.StatusText(status), status)
}

// levelOf makes outages and mistakes of the program stand out from what clients
// do wrong every day.
func levelOf(status int) slog.Level {
	switch status {
	case http.StatusInternalServerError:
		return slog.LevelError
	case http.StatusServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// statusOf maps an error to what a client should make of it.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, oidckit.ErrUnavailable): // before its cause, which may be another
		return http.StatusServiceUnavailable
	case errors.Is(err, ErrNoCredentials), errors.Is(err, oidckit.ErrInvalidToken):
		return http.StatusUnauthorized
	case errors.Is(err, oidckit.ErrForbidden):
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

// setRetryAfter says when to come back, in whole seconds, and 1 at least.
func setRetryAfter(h http.Header, err error) {
	seconds := 1.0
	var u *oidckit.UnavailableError
	if errors.As(err, &u) {
		seconds = max(seconds, math.Ceil(u.RetryAfter.Seconds()))
	}
	h.Set("Retry-After", strconv.Itoa(int(seconds)))
}

// challenge writes a WWW-Authenticate value of names and values.
func (b *Bearer) challenge(params ...string) string {
	if b != nil && b.Realm != "" {
		params = append([]string{"realm", b.Realm}, params...)
	}
	pairs := make([]string, 0, len(params)/2)
	for i := 0; i+1 < len(params); i += 2 {
		pairs = append(pairs, params[i]+"="+quoted(params[i+1]))
	}
	return strings.TrimSuffix("Bearer "+strings.Join(pairs, ", "), " ")
}

// quoted writes a quoted-string (RFC 9110 section 5.6.4). What cannot stand in one
// is left out, so that no text ends the header.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
