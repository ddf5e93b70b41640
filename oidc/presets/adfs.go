package presets

import (
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// ADFS is for Active Directory Federation Services; the issuer is https://HOST/adfs. Its
// access tokens have another one, http://HOST/adfs/services/trust, that the metadata call
// access_token_issuer: if yours was changed (Set-AdfsProperties -Identifier), set
// Config.IssuerAliases. The audience is the identifier of the Web API.
//
// Names, roles and groups are in tokens only if rules of the Web API issue them.
func ADFS(issuer string) Preset {
	_, place, _ := strings.Cut(issuer, "://")
	return Preset{
		Config:      oidc.Config{Issuer: issuer, IssuerAliases: []string{"http://" + place + "/services/trust"}},
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true},
		Mapping: claims.Mapping{
			Username: text("upn", "unique_name"),
			Email:    optionalText("email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"),
			Roles:    optionalList(claims.P("role")), Groups: optionalList(claims.P("group")),
		},
		hints: adfsHints,
	}
}

var adfsHints = []hint{
	{isADFSUserInfoToken, "the client asked AD FS for no Web API, and got a token for its userinfo endpoint: send the parameter resource with the identifier of the Web API"},
	{because(oidc.ReasonAudience), "AD FS writes the identifier of the Web API into aud, some with microsoft:identityserver: before it: write into Audience what is there"},
	{because(oidc.ReasonIssuer), "access tokens have the Federation Service identifier in iss (access_token_issuer of the metadata, Get-AdfsProperties): write it into Config.IssuerAliases"},
	{without("sub"), "let an issuance rule of the Web API pass the Name ID on, which AD FS makes sub of"},
	{without("upn", "role", "group"), "let issuance rules of the Web API send the claim, and have the client ask for the scope allatclaims if it is to be in ID tokens too"},
}

func isADFSUserInfoToken(f *failure) bool {
	return f.reason == oidc.ReasonAudience && f.isFor("urn:microsoft:userinfo")
}
