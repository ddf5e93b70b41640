package presets

import (
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// oktaMostGroups is how many groups Okta writes into a token of an org server at most,
// without saying that there are more.
const oktaMostGroups = 100

// OktaOrg is for the org authorization server of Okta, for logins; the issuer is
// https://DOMAIN. Its access tokens are for Okta alone, which publishes no key to verify
// them: an API needs a custom server, or introspection.
func OktaOrg(issuer string) Preset {
	return Preset{
		Config: oidc.Config{Issuer: issuer},
		Mapping: claims.Mapping{
			Username: text("preferred_username"), Name: optionalText("name"), Email: optionalText("email"), Groups: oktaGroups(),
		},
		hints: append([]hint{
			{isOktaOrgToken, "access tokens of Okta's org authorization server can be verified by Okta alone: use a custom authorization server (https://DOMAIN/oauth2/default and its like), or an oidc.IntrospectionVerifier"},
		}, oktaHints...),
	}
}

// OktaCustom is for a custom authorization server of Okta; the issuer is
// https://DOMAIN/oauth2/SERVER, such as https://example.okta.com/oauth2/default. The
// audience of its access tokens is a setting of the server, "api://default" for that one.
func OktaCustom(issuer string) Preset {
	return Preset{
		Config:      oidc.Config{Issuer: issuer},
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true},
		Mapping: claims.Mapping{
			// An access token has the login name as its subject; what sub is in an ID token is not for people.
			Username: text("preferred_username", "sub"), Name: optionalText("name"), Email: optionalText("email"), Groups: oktaGroups(),
		},
		hints: append([]hint{
			{because(oidc.ReasonAudience), "the audience is a setting of Okta's authorization server (Security → API → the server → Settings → Audience), api://default for default: write that into Audience. An ID token has the client there, and is no access token"},
			{because(oidc.ReasonIssuer), "each of Okta's authorization servers is an issuer of its own: the client asked another one, perhaps the org's, whose access tokens nobody but Okta can verify"},
		}, oktaHints...),
	}
}

func oktaGroups() claims.ListClaim {
	c := optionalList(claims.P("groups"))
	c.Limit = oktaMostGroups
	return c
}

var oktaHints = []hint{
	{without("groups"), "add a groups claim in Okta: at the application (Sign On → Group Claim) for the org server, or at the authorization server (Claims)"},
	{hasOverage, "Okta cut the list of groups off at a hundred: let the filter of the groups claim match fewer"},
	{because(oidc.ReasonKey), "no published key of Okta's fits: is this a token of another of its authorization servers, or an access token of the org's, which has no public key?"},
}

func isOktaOrgToken(f *failure) bool {
	if f.reason == "" {
		return false
	}
	typ := strings.TrimPrefix(strings.ToLower(f.text(f.header, "typ")), "application/")
	return f.has("cid") || typ == "okta-internal-at+jwt"
}
