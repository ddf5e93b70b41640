package middleware

import (
	"io"
	"net/http"
	"net/url"
)

// frontChannelLogout ends the session of a browser whose provider frames this page (OpenID
// Connect Front-Channel Logout 1.0 section 2). Anybody can frame it, and so nothing ends
// unless issuer and session are the ones of the cookie. The answer is the same whatever
// happened: it tells nobody who is logged in.
func (l *Login) frontChannelLogout(w http.ResponseWriter, r *http.Request) {
	query, _ := queryOf(r) // nothing that can be read names nobody
	iss, sid := only(query, "iss"), only(query, "sid")
	h := w.Header()
	// "the RP's response SHOULD include the Cache-Control HTTP response header field with a
	// value including no-store" (section 2).
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "+l.framers(iss))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if err := l.endFramed(w, r, iss, sid); err != nil {
		l.step(r.Context(), LoginStep{Kind: LogoutRefused, Err: err})
	}
	_, _ = io.WriteString(w, "<!DOCTYPE html><html lang=\"en\"><title>Logout</title><p>Logged out.</p></html>\n")
}

// endFramed ends the session of a request if it is the one that is meant.
func (l *Login) endFramed(w http.ResponseWriter, r *http.Request, iss, sid string) error {
	s, err := l.sessions.peek(r)
	if s == nil || iss == "" || s.Issuer() != iss || !s.hasSID(sid) {
		return err
	}
	if _, err = l.sessions.end(w, r); err != nil {
		return err
	}
	l.step(r.Context(), LoginStep{Kind: FrontChannelLogout, Flow: s.flow(), Provider: s.Provider()})
	return nil
}

// framers is the origin of the provider that calls itself iss, which alone may frame its
// logout.
func (l *Login) framers(iss string) string {
	for _, p := range l.providers {
		if u, err := url.Parse(iss); err == nil && iss != "" && p.client.Provider().Issuer() == iss {
			return originOf(u)
		}
	}
	return "'none'"
}
