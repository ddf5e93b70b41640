// Package ci writes policies for the tokens of CI services.
//
// A service signs the tokens of all its customers with the same keys, so that a policy
// must say whose they are. The presets here say it with ids, which are never given to
// somebody else as names are, compare single claims instead of taking sub apart, and
// leave out pull requests and unprotected branches as long as nothing else is asked for:
//
//	policy, err := ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789", Environment: "production"}.Policy()
//
// Give it to the verifier of the service's tokens, as oidc.AccessTokenConfig.Policy, or to the
// routes that it is for, with middleware.RequirePolicy. The verifier needs
// InsecureAllowUntyped besides: the tokens are of "typ" JWT, not at+jwt (RFC 9068).
//
// Every policy compares iss too. It does not compare aud: give the verifier an audience
// of your own. [claims.Lint] finds nothing of severity Danger in any of them.
package ci
