package middleware

import (
	"context"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Principal is who sends a request, as its access token says. It may be shared, and must
// not be changed. Printing it shows the issuer alone.
type Principal struct {
	*oidc.AccessToken
	by     *Bearer // who found out; nil if somebody else made it
	scheme string
	raw    string // the token, if it is kept
}

// Token returns the token itself, if [Bearer.KeepToken] is set. It is for calls in the
// user's name to what shares this API's audience: whoever has it can do all that the
// user can.
func (p *Principal) Token() (raw string, ok bool) { return p.raw, p.raw != "" }

// Kind returns whether a user or a machine is behind the token.
func (p *Principal) Kind() Kind {
	switch {
	case p == nil || p.AccessToken == nil:
		return KindUnknown
	case p.by != nil && p.by.Kind != nil:
		return p.by.Kind(p.AccessToken)
	}
	return KindOf(p.AccessToken)
}

func (p *Principal) now() time.Time { return p.by.now() }

// A Kind of principals.
type Kind string

// The kinds of principals.
const (
	KindUnknown Kind = ""
	KindUser    Kind = "user"    // who gave a client the right to act for them
	KindMachine Kind = "machine" // a client that acts for itself
)

// KindOf tells users from machines by RFC 9068 section 2.2: the "sub" of a client that acts
// for itself is its client_id. So do Auth0 ("gty") and Entra ID ("idtyp", an optional
// claim) say in claims of their own. A token without client is of no known kind.
//
// Providers that neither keep to the RFC nor say it need a [Bearer.Kind] of their own:
// Keycloak gives the account of a client a subject and a name
// ("service-account-…"), and Entra ID without "idtyp" the subject of a service principal.
func KindOf(t *oidc.AccessToken) Kind {
	idtyp, _ := t.Claims.String(idtypClaim) // absent in most
	gty, _ := t.Claims.String(gtyClaim)
	switch {
	case t.Subject == "" || t.ClientID == "":
		if idtyp == "app" {
			return KindMachine
		}
		return KindUnknown
	case t.Subject == t.ClientID, idtyp == "app", gty == "client-credentials":
		return KindMachine
	}
	return KindUser
}

var (
	idtypClaim = claims.P("idtyp")
	gtyClaim   = claims.P("gty")
)

type principalKey struct{}

// PrincipalFrom returns who sent the request that ctx belongs to. There is nobody
// unless a [Bearer] stands in front, and none may be there if it is Optional.
func PrincipalFrom(ctx context.Context) (p *Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(*Principal)
	return p, ok && p != nil
}
