package presets

import (
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Keycloak is for one realm; the issuer is https://HOST/realms/REALM. Roles are those of
// the realm and, if clients are named, those of each of them: roles of one client must not
// count at another, and the names of all are joined. They are in access tokens alone,
// unless the "roles" scope's mappers are set to add them to ID tokens too.
//
// Access tokens name an API in "aud" only if a mapper of Keycloak's says so, or if the
// person has a role of that API's client: see [Preset.Hint], and docs/keycloak.md.
func Keycloak(issuer string, clients ...string) Preset {
	roles := []claims.Path{KeycloakRealmRoles()}
	for _, client := range clients {
		roles = append(roles, KeycloakClientRoles(client))
	}
	return Preset{
		Config:      oidc.Config{Issuer: issuer},
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true},
		Mapping: claims.Mapping{
			Username: text("preferred_username"), Name: optionalText("name"), Email: optionalText("email"),
			Roles: list(roles...), Groups: optionalList(claims.P("groups")),
		},
		hints: keycloakHints,
	}
}

// KeycloakRealmRoles is where the roles of the realm are.
func KeycloakRealmRoles() claims.Path { return claims.P("realm_access", "roles") }

// KeycloakClientRoles is where the roles of one client are.
func KeycloakClientRoles(client string) claims.Path {
	return claims.P("resource_access", client, "roles")
}

var keycloakHints = []hint{
	{isKeycloakIDToken, "this is an ID token of Keycloak: the client must send the access token"},
	{because(oidc.ReasonAudience), `Keycloak's tokens name no API unless they are told to: add an audience mapper for this API (Client scopes → a scope of the client → Add mapper → By configuration → Audience, "Add to access token" on). "account" in aud is of every client, and none to trust`},
	{because(oidc.ReasonIssuer), "Keycloak writes the address into iss under which it was asked, unless the option hostname is set: set it, or use the address that browsers have"},
	{without("sub"), `give the client Keycloak's client scope "basic", which has sub, and switch off lightweight access tokens`},
	{missesKeycloakRoles, `give the client Keycloak's client scope "roles", and read roles from the access token, or switch on "Add to ID token" in the mappers of that scope`},
	{without("groups"), "Keycloak has no groups in tokens by default: add a Group Membership mapper with the token claim name groups"},
	{because(oidc.ReasonType), `Keycloak marked this as no access token, or a mapper put a nonce into it: remove the mapper "Nonce backwards compatible"`},
}

func isKeycloakIDToken(f *failure) bool { return f.reason != "" && f.says("typ", "ID") }

func missesKeycloakRoles(f *failure) bool {
	return f.missing == "realm_access.roles" || strings.HasPrefix(f.missing, "resource_access.")
}
