// Package presets has what is known beforehand of providers that many people use: what
// their tokens look like, where names, roles and groups are in them, and what usually goes
// wrong. A [Preset] is ordinary configuration, to be changed as any other:
//
//	keycloak := presets.Keycloak("https://sso.example.com/realms/shop")
//	keycloak.AccessToken.Audience = []string{"orders-api"}
//	provider, err := oidc.NewProvider(keycloak.Config)
//	verifier, err := oidc.NewAccessTokenVerifier(provider, keycloak.AccessToken)
//	mapper, err := claims.NewMapper(keycloak.Mapping)
//
// When a token is refused, [Preset.Hint] says for the log what is likely to be wrong, and
// where the provider has the setting for it:
//
//	if _, err := verifier.Verify(ctx, raw); err != nil {
//		logger.Info("token refused", "error", err, "hint", keycloak.Hint(err, raw))
//	}
//
// # People and APIs
//
// [Keycloak], [EntraID], [EntraIDv1], [EntraIDMultiTenant], [OktaCustom], [Auth0],
// [Cognito] and [ADFS] have access tokens that an API can verify. Those of [OktaOrg],
// [Google], [GitLab] and [Ipsilon] are for the provider alone, or opaque: their presets are
// for logins, and the AccessToken of these takes nothing.
//
// # Workloads
//
// [GitHubActions], [GitLabCI], [CircleCI], [Buildkite] and [Kubernetes] sign for strangers
// too: their presets have a policy that says whose tokens are ours, and are not to be had
// without.
package presets
