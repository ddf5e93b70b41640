package presets

import (
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Cognito is for one user pool of Amazon Cognito. Its access tokens name no API but the
// client they were issued to: the Audience of AccessToken lists the app clients that are
// trusted, and the scopes of a resource server say what a token is for.
func Cognito(region, userPoolID string) Preset {
	p := Preset{
		Config:      oidc.Config{Issuer: "https://cognito-idp." + region + ".amazonaws.com/" + userPoolID},
		AccessToken: oidc.AccessTokenConfig{AudienceClaim: "client_id", InsecureAllowUntyped: true},
		Mapping: claims.Mapping{
			Username: text("cognito:username", "username"), Email: optionalText("email"),
			EmailVerifiedInString: true, // so does its userinfo have it
			Groups:                optionalList(claims.P("cognito:groups")),
		},
		hints: cognitoHints,
	}
	// Conditions of constants are never wrong.
	p.AccessToken.Policy, _ = claims.NewPolicy(claims.Equals(claims.P("token_use"), "access"))
	p.IDTokenPolicy, _ = claims.NewPolicy(claims.Equals(claims.P("token_use"), "id"))
	return p
}

var cognitoHints = []hint{
	{isCognitoIDToken, "this is an ID token of Cognito: the client must send the access token"},
	{because(oidc.ReasonAudience), "access tokens of Cognito have no aud: write the ids of the app clients that are trusted into Audience, which the preset compares with client_id"},
	{without("cognito:groups"), "Cognito leaves cognito:groups out for who is in no group"},
	{without("username", "cognito:username"), "tokens of the client credentials grant have no user: make Mapping.Username optional if such are welcome"},
}

func isCognitoIDToken(f *failure) bool { return f.reason != "" && f.says("token_use", "id") }
