package presets

import (
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Ipsilon is for Ipsilon, the provider of the Fedora project; the issuer is
// https://HOST/openidc/, with the slash. Groups are in userinfo, if the scope
// https://id.fedoraproject.org/scope/groups was asked for, and so are the agreements that
// people signed ("cla", another scope), which are the Roles of the mapping.
//
// Access tokens are opaque: an API asks TokenInfo about them, by an
// [oidc.IntrospectionVerifier]. Its "aud" is the client that got the token, so that
// Audience lists the clients that are trusted, and it is the scopes that say which API a
// token is for. A client proves itself by the method that it is registered with, and by no
// other: set ClientAuth.
func Ipsilon(issuer string) Preset {
	return Preset{
		Config: oidc.Config{Issuer: issuer},
		Mapping: claims.Mapping{
			Username: text("nickname", "preferred_username", "sub"), Name: optionalText("name"), Email: optionalText("email"),
			Roles: optionalList(claims.P("cla")), Groups: optionalList(claims.P("groups")),
		},
		hints: ipsilonHints,
	}
}

var ipsilonHints = []hint{
	{isOpaque, "access tokens of Ipsilon are opaque: use an oidc.IntrospectionVerifier, which asks TokenInfo"},
	{because(oidc.ReasonAudience), "TokenInfo of Ipsilon has the client in aud that got the token: write the clients that are trusted into Audience, and have routes require scopes"},
	{because(oidc.ReasonIssuer), "the issuer of Ipsilon ends with a slash: https://HOST/openidc/"},
	{without("groups", "cla"), "ask Ipsilon for the scopes https://id.fedoraproject.org/scope/groups and …/cla, and read them from userinfo"},
}
