package middleware

import (
	"github.com/oidckit/oidckit/oidc"
)

// A loginProvider is a LoginProvider with what follows from it.
type loginProvider struct {
	id, name    string
	client      *oidc.Client
	redirectURL string // below PublicURL, of this provider alone
	logout      *oidc.LogoutTokenVerifier
}

// provider returns the one with the ID, nil if there is none. Client alone has the ID "".
func (l *Login) provider(id string) *loginProvider {
	for _, p := range l.providers {
		if p.id == id {
			return p
		}
	}
	return nil
}
