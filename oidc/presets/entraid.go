package presets

import (
	"slices"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

const (
	entraLogin = "https://login.microsoftonline.com/"
	entraSTS   = "https://sts.windows.net/"
)

// EntraID is for one tenant of Microsoft Entra ID, by its id, and tokens of version 2.0:
// those of logins, and of APIs whose manifest has requestedAccessTokenVersion 2. The
// audience of their access tokens is the API's application id alone, without "api://".
//
// People are the same if "oid" and "tid" are: "sub" is another one for each application.
// Roles are those of the application, groups are ids and an [*claims.OverageError] where
// they are too many. An e-mail address is verified if the optional claim "xms_edov" says so.
func EntraID(tenant string) Preset {
	return entraID(oidc.Config{Issuer: entraLogin + tenant + "/v2.0"})
}

// EntraIDMultiTenant is EntraID for several tenants, by their ids, with one client or API.
func EntraIDMultiTenant(tenants ...string) Preset {
	return entraID(oidc.Config{
		Issuer: entraLogin + "{tenantid}/v2.0", Tenants: slices.Clone(tenants),
		DiscoveryURL: entraLogin + "common/v2.0/.well-known/openid-configuration",
	})
}

// EntraIDv1 is for one tenant and tokens of version 1.0: the access tokens of APIs whose
// manifest does not say otherwise. Their audience is the API's application ID URI,
// "api://ID" or "https://…".
func EntraIDv1(tenant string) Preset {
	p := entraID(oidc.Config{
		Issuer:       entraSTS + tenant + "/",
		DiscoveryURL: entraLogin + tenant + "/.well-known/openid-configuration",
	})
	p.Mapping.Username = text("upn", "unique_name")
	p.hints = append([]hint{{isEntraV2, "this is a token of version 2.0: use presets.EntraID"}}, entraHints...)
	return p
}

func entraID(cfg oidc.Config) Preset {
	return Preset{
		Config:      cfg,
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true},
		Mapping: claims.Mapping{
			Username: text("preferred_username"), Name: optionalText("name"), Email: optionalText("email"),
			EmailVerified: claims.P("xms_edov"),
			Roles:         optionalList(claims.P("roles")), Groups: optionalList(claims.P("groups")),
		},
		hints: append([]hint{
			{isEntraV1, "this is a token of version 1.0: set requestedAccessTokenVersion to 2 in the manifest of this API, or use presets.EntraIDv1"},
		}, entraHints...),
	}
}

var entraHints = []hint{
	{isGraphToken, "this is a token for Microsoft Graph, which nobody else can verify: have the client ask for a scope of this API (api://APPLICATION-ID/SCOPE) in place of User.Read and its like"},
	{because(oidc.ReasonIssuer), "the token is of another tenant of Entra ID, or of a personal account: see Tenants and presets.EntraIDMultiTenant"},
	{because(oidc.ReasonAudience), "tokens of version 2.0 have the application id of the API in aud, those of 1.0 its application ID URI (api://…): write that into Audience; an ID token has the client there"},
	{because(oidc.ReasonKey, oidc.ReasonSignature), "an application with claims mapping or SAML has signing keys of its own: set DiscoveryURL to that of the tenant with ?appid=APPLICATION-ID"},
	{hasOverage, "the person is in more groups than Entra ID writes into a token: assign groups to the application and write those alone (groupMembershipClaims: ApplicationGroup), use app roles, or set a claims.GroupResolver"},
	{without("preferred_username", "upn"), "Entra ID has no name in tokens that an application got for itself (client credentials): make Mapping.Username optional if such are welcome; otherwise let the client ask for the scope profile"},
	{without("roles"), "assign app roles of this application to people or groups in Entra ID (Enterprise applications → Users and groups)"},
	{without("groups"), "switch on the groups claim in Entra ID (App registrations → Token configuration → Add groups claim)"},
}

// isGraphToken: the header of tokens for Microsoft's own APIs has a nonce, which is changed
// before others see it, so that no signature ever fits.
func isGraphToken(f *failure) bool {
	return f.reason != "" && (f.header.Has(claims.P("nonce")) ||
		f.isFor("00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/", "00000002-0000-0000-c000-000000000000", "https://graph.windows.net"))
}

// Graph's own tokens are of version 1.0 too, and there is no help in another version.
func isEntraV1(f *failure) bool {
	return f.reason == oidc.ReasonIssuer && f.says("ver", "1.0") && !isGraphToken(f)
}

func isEntraV2(f *failure) bool {
	return f.reason == oidc.ReasonIssuer && f.says("ver", "2.0") && !isGraphToken(f)
}
