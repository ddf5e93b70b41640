package middleware

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Principal is who sends a request, as its access token says, or the session of a [Login]:
// then it has the members that follow from that, see [Principal.Session]. It may be shared, and
// must not be changed. Printing it shows the issuer alone.
type Principal struct {
	*oidc.AccessToken
	by     *Bearer // who found out; nil if somebody else made it
	scheme string
	raw    string       // the token, if it is kept
	from   *sessionPart // nil for a token
}

// Token returns the token itself, if [Bearer.KeepToken] is set. It is for calls in the
// user's name to what shares this API's audience: whoever has it can do all that the
// user can.
func (p *Principal) Token() (raw string, ok bool) { return p.raw, p.raw != "" }

// LogValue is a group of the issuer: the rest is personal data. That of nobody is empty. A
// copy has no LogValue: log the pointer.
func (p *Principal) LogValue() slog.Value { return slog.GroupValue(p.attrs()...) }

// Format prints what LogValue has with every verb. A copy has the token too, so it is
// redacted as well.
func (p Principal) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprint(s, "middleware.Principal", p.LogValue())
}

func (p *Principal) attrs() []slog.Attr {
	if p == nil || p.AccessToken == nil {
		return nil
	}
	return []slog.Attr{slog.String("issuer", p.Issuer)}
}

// Kind returns whether a user or a machine is behind the token. Sessions are those of users.
func (p *Principal) Kind() Kind {
	switch {
	case p == nil || p.AccessToken == nil:
		return KindUnknown
	case p.from != nil:
		return KindUser
	case p.by != nil && p.by.Kind != nil:
		return p.by.Kind(p.AccessToken)
	}
	return KindOf(p.AccessToken)
}

func (p *Principal) now() time.Time {
	if p.from != nil {
		return p.from.now()
	}
	return p.by.now()
}

// A Kind of principals.
type Kind string

// The kinds of principals.
const (
	KindUnknown Kind = ""
	KindUser    Kind = "user"    // who gave a client the right to act for them
	KindMachine Kind = "machine" // a client that acts for itself
)

// KindOf tells users from machines by RFC 9068 section 2.2: the "sub" of a client that acts
// for itself is its client_id, which Okta calls "cid", AD FS and Entra ID of version 1 "appid".
// Besides, it knows a machine by
//
//   - "idtyp" of Entra ID (an optional claim: add it to be sure) and "gty" of Auth0;
//   - "oid" of Entra ID, where it is the "sub", without "scp", of a client that authenticated
//     ("azpacr" or "appidacr");
//   - "preferred_username" of Keycloak, where it is "service-account-" and the client.
//
// What could be either is of no known kind, so that [RequireUser] and [RequireMachine] both
// refuse it: a token without client or subject; one like that of Entra ID that does not say
// that its client authenticated, as users of Azure AD B2C may have; an account named
// like that of a client, but with a session ("sid"), for people may choose their names.
//
// Providers that say it in other ways need a [Bearer.Kind] of their own, and so does Keycloak
// if its clients get refresh tokens for themselves, or no "preferred_username".
func KindOf(t *oidc.AccessToken) Kind {
	text := func(path claims.Path) string {
		s, _ := t.Claims.String(path) // absent in most
		return s
	}
	client := cmp.Or(t.ClientID, text(cidClaim), text(appidClaim))
	switch {
	case text(idtypClaim) == "app":
		return KindMachine
	case t.Subject == "" || client == "":
		return KindUnknown
	case t.Subject == client, text(gtyClaim) == "client-credentials":
		return KindMachine
	case t.Subject == text(oidClaim) && !t.Claims.Has(scpClaim): // users have consented to scopes
		how := cmp.Or(text(azpacrClaim), text(appidacrClaim))
		return machineUnless(how != "1" && how != "2") // neither secret nor certificate
	case strings.EqualFold(text(usernameClaim), "service-account-"+client): // Keycloak writes names in lower case
		return machineUnless(t.Claims.Has(sidClaim))
	}
	return KindUser
}

func machineUnless(doubtful bool) Kind {
	if doubtful {
		return KindUnknown
	}
	return KindMachine
}

var (
	idtypClaim    = claims.P("idtyp")
	gtyClaim      = claims.P("gty")
	cidClaim      = claims.P("cid")
	appidClaim    = claims.P("appid")
	oidClaim      = claims.P("oid")
	scpClaim      = claims.P("scp")
	azpacrClaim   = claims.P("azpacr")   // Entra ID, version 2
	appidacrClaim = claims.P("appidacr") // version 1
	usernameClaim = claims.P("preferred_username")
	sidClaim      = claims.P("sid")
)

type principalKey struct{}

// principalContext is what context.WithValue would make, of half the size: every request has
// one.
type principalContext struct {
	context.Context //nolint:containedctx // it is one itself
	principal       *Principal
}

func withPrincipal(ctx context.Context, p *Principal) context.Context {
	return principalContext{ctx, p}
}

func (c principalContext) Value(key any) any {
	if key == (principalKey{}) {
		return c.principal
	}
	return c.Context.Value(key)
}

// PrincipalFrom returns who sent the request that ctx belongs to. There is nobody
// unless a [Bearer], [Login.RequireLogin] or [Either] stands in front, and none may be there
// if the Bearer is Optional.
func PrincipalFrom(ctx context.Context) (p *Principal, ok bool) {
	switch found := ctx.Value(principalKey{}).(type) {
	case *Principal:
		p = found
	case func() *Principal: // of a session
		p = found()
	}
	return p, p != nil
}
