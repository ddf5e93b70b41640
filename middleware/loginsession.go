package middleware

import (
	"net/http"
	"time"
)

// A sessionJSON is what a script of the application may know of the session. It has no token,
// and no claim but who it is.
type sessionJSON struct {
	LoggedIn  bool      `json:"logged_in"`
	Issuer    string    `json:"iss,omitempty"`
	Subject   string    `json:"sub,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	Since     time.Time `json:"logged_in_at,omitzero"`
	Refreshed time.Time `json:"refreshed_at,omitzero"`
	Expires   time.Time `json:"expires_at,omitzero"`
	LoginURL  string    `json:"login_url"`
	LogoutURL string    `json:"logout_url,omitempty"`
}

// sessionInfo tells who is logged in. Asking does not keep the session from idling: a page that
// asks every minute would keep it for ever.
func (l *Login) sessionInfo(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin") // no other site measures it
	s, err := l.sessions.peek(r)
	if err != nil {
		setRetryAfter(h, err)
		writeJSON(w, http.StatusServiceUnavailable, pageJSON{Error: PageSessionsDown})
		return
	}
	info := sessionJSON{LoginURL: l.origin + l.loginTo("")}
	if s != nil {
		info = sessionJSON{
			LoggedIn: true, Issuer: s.Issuer(), Subject: s.Subject(), Provider: s.Provider(),
			Since: s.LoggedIn().UTC(), Refreshed: s.Refreshed().UTC(), Expires: s.Expires().UTC(),
			LoginURL: info.LoginURL, LogoutURL: l.origin + l.base + l.cfg.LogoutPath,
		}
	}
	writeJSON(w, http.StatusOK, info)
}
