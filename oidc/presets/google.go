package presets

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// Google is for logins with Google, whose tokens have its name with https:// or without.
// Access tokens are opaque and for Google alone.
func Google() Preset {
	return Preset{
		Config: oidc.Config{Issuer: "https://accounts.google.com", IssuerAliases: []string{"accounts.google.com"}},
		Mapping: claims.Mapping{
			Username: text("email"), Name: optionalText("name"), Email: text("email"),
		},
		hints: googleHints,
	}
}

// GoogleWorkspace is Google for the people of one Workspace: IDTokenPolicy asks for its
// domain in "hd". An e-mail address that ends with the domain proves nothing.
func GoogleWorkspace(domain string) (Preset, error) {
	if domain == "" {
		return Preset{}, errors.New("presets: GoogleWorkspace: domain is required, as example.com: for all people of Google there is presets.Google")
	}
	p := Google()
	var err error
	p.IDTokenPolicy, err = claims.NewPolicy(claims.Equals(claims.P("hd"), domain))
	if err != nil {
		return Preset{}, fmt.Errorf("presets: GoogleWorkspace: domain: %w", err)
	}
	return p, nil
}

var googleHints = []hint{
	{isGoogleAccessToken, "access tokens of Google are opaque and for Google alone: send the ID token, and verify it with an oidc.IDTokenVerifier"},
	{because(oidc.ReasonPolicy), "the account is of no Workspace, or of another one: an address with the domain's ending need not belong to it"},
	{because(oidc.ReasonAudience), "aud is the client that the person logged in at: each platform has one of its own, web, Android and iOS"},
	{without("email"), "ask Google for the scope email"},
}

func isGoogleAccessToken(f *failure) bool { return strings.HasPrefix(f.raw, "ya29.") || f.opaque }
