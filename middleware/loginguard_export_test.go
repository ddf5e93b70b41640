package middleware

import (
	"net/http"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// SessionPrincipal is the Principal of a session that nobody logged in for. A nil info is a
// session without userinfo.
func SessionPrincipal(tokens *oidc.Tokens, info *oidc.UserInfo, now func() time.Time) *Principal {
	s := &Session{tokens: func() *oidc.Tokens { return tokens }, info: func() *oidc.UserInfo { return info }}
	return (&Login{cfg: LoginConfig{Now: now}}).newPrincipal(s)
}

// WithIdentity is p as it is behind RequireLogin, where a Mapper made id or err.
func WithIdentity(p *Principal, id *claims.Identity, err error) *Principal {
	p.from.identity, p.from.err = id, err
	return p
}

// HandlerOfAnotherVersion is Login.Handler for a session whose tokens another version of the
// module has written.
func HandlerOfAnotherVersion(l *Login, next http.Handler) http.Handler {
	s := &Session{tokens: func() *oidc.Tokens { return new(oidc.Tokens) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(l.withFound(r.Context(), found{session: s, url: r.URL})))
	})
}
