package discovery

import (
	"slices"
	"strings"
)

const (
	openIDConfiguration      = "/.well-known/openid-configuration"
	oauthAuthorizationServer = "/.well-known/oauth-authorization-server"
)

// documents returns where the metadata of an issuer may be, in the order in which
// it is tried. OpenID Connect Discovery 1.0 section 4 appends the well-known path
// to the issuer, RFC 8414 section 3.1 inserts it before the path of the issuer;
// section 5 of the latter knows servers that mix both.
func documents(issuer string) (list []string) {
	// "any terminating "/" MUST be removed" (both)
	issuer = strings.TrimSuffix(issuer, "/")
	_, path, _ := cutOrigin(issuer)
	origin := strings.TrimSuffix(issuer, path)
	for _, target := range []string{
		issuer + openIDConfiguration,
		origin + oauthAuthorizationServer + path,
		origin + openIDConfiguration + path,
		issuer + oauthAuthorizationServer,
	} {
		if !slices.Contains(list, target) { // an issuer without a path has two
			list = append(list, target)
		}
	}
	return list
}
