package presets

import (
	"fmt"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Preset is configuration for one provider. Every field may be changed before it is
// used; changing the lists in it changes nobody else's. The zero Preset configures nothing.
type Preset struct {
	// Config is for [oidc.NewProvider].
	Config oidc.Config

	// AccessToken is for [oidc.NewAccessTokenVerifier], once its Audience is set: only the
	// API knows what it is called. Where the provider's access tokens are not for others, it
	// is the zero value, which refuses them.
	AccessToken oidc.AccessTokenConfig

	// IDTokenPolicy says whose ID tokens are ours: for [oidc.ClientConfig] and
	// [oidc.IDTokenConfig]. The zero Policy is none.
	IDTokenPolicy claims.Policy

	// Mapping is for [claims.NewMapper]: where the provider has what an identity is made of.
	Mapping claims.Mapping

	hints []hint
}

// Format prints the issuer with every verb: Config may hold a secret by now.
func (p Preset) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "presets.Preset(%s)", p.Config.Issuer)
}

// text maps one string: the first of the names that a source has.
func text(names ...string) claims.TextClaim {
	var c claims.TextClaim
	for _, name := range names {
		c.Paths = append(c.Paths, claims.P(name))
	}
	return c
}

func optionalText(names ...string) claims.TextClaim {
	c := text(names...)
	c.Optional = true
	return c
}

// list maps a list of strings, or what is joined of several.
func list(paths ...claims.Path) claims.ListClaim {
	var c claims.ListClaim
	for _, path := range paths {
		c.Paths = append(c.Paths, path.Pattern())
	}
	return c
}

func optionalList(paths ...claims.Path) claims.ListClaim {
	c := list(paths...)
	c.Optional = true
	return c
}
