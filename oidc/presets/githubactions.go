package presets

import (
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/oidc"
)

// GitHubActions is for the tokens of jobs of GitHub Actions. Errors are those of
// [ci.GitHubActions].
func GitHubActions(whose ci.GitHubActions) (Preset, error) {
	issuer := whose.Issuer
	if issuer == "" {
		issuer = ci.GitHubIssuer
	}
	return workload(issuer, whose, text("repository"), []hint{
		{because(oidc.ReasonAudience), `the job chooses the audience (core.getIDToken("AUDIENCE"), or &audience= at the end of ACTIONS_ID_TOKEN_REQUEST_URL); without one it is https://github.com/OWNER, which is for nobody in particular`},
		{because(oidc.ReasonIssuer), "an enterprise has an issuer of its own: set it as Issuer"},
		{because(oidc.ReasonPolicy), "the job is of another repository, ref, environment or event than the preset names, or its ref is not protected; ids are those of https://api.github.com/repos/OWNER/NAME"},
		{because(oidc.ReasonExpired), "tokens of GitHub Actions are good for minutes: get one in the step that needs it"},
	})
}
