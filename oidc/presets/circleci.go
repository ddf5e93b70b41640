package presets

import (
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/oidc"
)

// CircleCI is for the tokens of jobs of CircleCI, whose issuer is one for each
// organization. Errors are those of [ci.CircleCI].
func CircleCI(whose ci.CircleCI) (Preset, error) {
	return workload(whose.Issuer(), whose, text("oidc.circleci.com/vcs-origin"), []hint{
		{because(oidc.ReasonAudience), `without a wish of the job, aud is the id of the organization, the same for all that it talks to: have the job ask for one of yours (circleci run oidc get --claims '{"aud": "AUDIENCE"}')`},
		{because(oidc.ReasonIssuer), "the token is of another organization: its id is the end of iss"},
		{because(oidc.ReasonPolicy), "the job is of another project, repository, ref or context than the preset names, or was started again with SSH"},
	})
}
