package presets

import (
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/oidc"
)

// Buildkite is for the tokens of jobs of Buildkite, which have ids only if the job asks for
// them. Errors are those of [ci.Buildkite].
func Buildkite(whose ci.Buildkite) (Preset, error) {
	return workload(ci.BuildkiteIssuer, whose, text("pipeline_slug"), []hint{
		{lacksBuildkiteIDs, "the token has no ids: buildkite-agent oidc request-token --claim organization_id --claim pipeline_id"},
		{because(oidc.ReasonAudience), "the job chooses the audience: buildkite-agent oidc request-token --audience AUDIENCE"},
		{because(oidc.ReasonPolicy), "the job is of another pipeline, branch, tag or step than the preset names"},
	})
}

func lacksBuildkiteIDs(f *failure) bool {
	return f.reason == oidc.ReasonPolicy && f.has("pipeline_slug") && !(f.has("organization_id") && f.has("pipeline_id"))
}
