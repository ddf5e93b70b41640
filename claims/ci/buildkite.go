package ci

import "github.com/oidckit/oidckit/claims"

// BuildkiteIssuer is the issuer of Buildkite.
const BuildkiteIssuer = "https://agent.buildkite.com"

// Buildkite lets in jobs of Buildkite. The ids are in a token if the job asks for them:
//
//	buildkite-agent oidc request-token --claim organization_id --claim pipeline_id
//
// A pipeline that builds pull requests from forks runs their code with these claims, and
// a fork can call its branch main: have such a pipeline apart.
type Buildkite struct {
	// OrganizationID is the UUID of the organization. Required.
	OrganizationID string `json:"organization_id,omitempty"`

	// PipelineID is the UUID of the pipeline. Required, unless InsecureAnyPipeline says
	// otherwise.
	PipelineID string `json:"pipeline_id,omitempty"`

	// InsecureAnyPipeline lets in all pipelines of the organization.
	InsecureAnyPipeline bool `json:"insecure_any_pipeline,omitempty"`

	// Branch is the name of the branch, without refs/heads/. A build of a tag is out
	// then. "*" is as in claims.Glob.
	Branch string `json:"branch,omitempty"`

	// Tag is the name of the tag. One of Branch and Tag is required, unless
	// InsecureAnyRef says otherwise.
	Tag string `json:"tag,omitempty"`

	// InsecureAnyRef lets in all branches and tags.
	InsecureAnyRef bool `json:"insecure_any_ref,omitempty"`

	// Step is the key of the step.
	Step string `json:"step,omitempty"`
}

// Policy returns the policy. Errors are of type *[FieldError].
func (k Buildkite) Policy() (claims.Policy, error) {
	b := build{preset: "Buildkite"}
	switch {
	case k.OrganizationID == "":
		b.fail("OrganizationID", "is required: without it everybody on Buildkite is let in")
	case k.PipelineID == "" && !k.InsecureAnyPipeline:
		b.fail("PipelineID", "is required: without it every pipeline of the organization is let in")
	case k.Branch == "" && k.Tag == "" && !k.InsecureAnyRef:
		b.fail("Branch", "is required, or Tag: without them every branch is let in")
	case k.Branch != "" && k.Tag != "":
		b.fail("Tag", "stands beside Branch: a build is of one of them; write two policies")
	}
	b.equals("iss", BuildkiteIssuer)
	b.equalsID("OrganizationID", "organization_id", k.OrganizationID, uuid)
	b.equalsID("PipelineID", "pipeline_id", k.PipelineID, uuid)
	b.matches("Branch", "build_branch", k.Branch)
	if k.Branch != "" {
		b.add(claims.Present(claims.P("build_tag"), false))
	}
	b.matches("Tag", "build_tag", k.Tag)
	b.matches("Step", "step_key", k.Step)
	return b.policy()
}
