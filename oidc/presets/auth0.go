package presets

import (
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Auth0 is for one tenant of Auth0, by its domain (example.eu.auth0.com, or a custom one):
// the issuer has a slash at its end. The audience of access tokens is the identifier of the
// API. Permissions of role-based access control are the Roles of the mapping; roles
// themselves are in tokens only if an Action puts them there, under a name with a
// namespace:
//
//	p.Mapping.Roles = claims.ListClaim{Paths: []claims.Pattern{claims.P("https://example.com/roles").Pattern()}}
func Auth0(domain string) Preset {
	return Preset{
		Config:      oidc.Config{Issuer: "https://" + domain + "/"},
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true}, // unless the API has the profile of RFC 9068
		Mapping: claims.Mapping{
			Username: text("nickname", "sub"), Name: optionalText("name"), Email: optionalText("email"),
			Roles: optionalList(claims.P("permissions")),
		},
		hints: auth0Hints,
	}
}

var auth0Hints = []hint{
	{isAuth0Opaque, "the client asked Auth0 for no API, and got a token that Auth0 alone understands: send the parameter audience with the identifier of this API (or set a default audience for the tenant)"},
	{because(oidc.ReasonAudience), "Auth0 writes the identifier of the API that the client asked for by the parameter audience: write that identifier into Audience, to the last slash; an ID token has the client there"},
	{because(oidc.ReasonAlgorithm), "set the signing algorithm of the API, or of the application, to RS256 in Auth0 (APIs → the API → Settings)"},
	{because(oidc.ReasonIssuer), "with a custom domain, Auth0 writes the domain into iss that the client asked: give presets.Auth0 that one"},
	{without("permissions"), `switch on "Enable RBAC" and "Add Permissions in the Access Token" for the API in Auth0`},
	{because(oidc.ReasonClaim), "Auth0 has claims of Actions in tokens only under names with a namespace (https://example.com/roles), and in those tokens alone for which the Action sets them"},
}

// isAuth0Opaque: without an audience Auth0 issues opaque tokens, or JWEs for its own
// userinfo endpoint.
func isAuth0Opaque(f *failure) bool {
	return f.opaque || f.reason == oidc.ReasonEncryption || f.text(f.header, "alg") == "dir"
}
