package middleware

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// DecodeRecord reports whether plain is a record, and encodes it again.
func DecodeRecord(plain []byte) (again []byte, ok bool) {
	rec, ok := decodeRecord(plain)
	if !ok {
		return nil, false
	}
	return rec.encode(), true
}

// RecordOf is the session as it is kept.
func RecordOf(s *Session) []byte { return s.rec().encode() }

// SIDOf is the name of the session at the provider.
func SIDOf(s *Session) string { return s.rec().sid }

// ErrUnreadable is why a session has ended that another version of the module wrote.
var ErrUnreadable = errUnreadable

// Times of sessions.
const (
	RefreshPause  = refreshPause
	LongestPause  = longestPause
	Patience      = patience
	SuccessorKept = successorKept
)

// CookiesOf are those of a browser that was given a sealed session which is kept as plain.
func CookiesOf(l *Login, plain []byte) map[string]string {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if err := l.setSealed(w, r, sessionCookie, sealedSession, plain, time.Hour, http.SameSiteLaxMode); err != nil {
		panic(err)
	}
	return cookiesOf(w)
}

// CookiesOfSession are those of a browser that logged in at a provider.
func CookiesOfSession(l *Login, provider string, tokens *oidc.Tokens) map[string]string {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if err := l.sessions.create(r.Context(), w, r, l.provider(provider), tokens, nil, "", "a flow"); err != nil {
		panic(err)
	}
	return cookiesOf(w)
}

func cookiesOf(w *httptest.ResponseRecorder) map[string]string {
	found := map[string]string{}
	for _, c := range w.Result().Cookies() {
		found[c.Name] = c.Value
	}
	return found
}
