package ci

import "github.com/oidckit/oidckit/claims"

// GitLabIssuer is the issuer of GitLab.com.
const GitLabIssuer = "https://gitlab.com"

// GitLab lets in jobs of GitLab CI/CD. The claims project_id and namespace_id name where
// the code comes from, job_project_id and job_namespace_id, since GitLab 18.4, where
// the job runs: for a merge request from a fork they differ, and such a job is out.
type GitLab struct {
	// ProjectID is the id of the project.
	ProjectID string `json:"project_id,omitempty"`

	// NamespaceID is the id of the group or user right above the project. One of the
	// two ids is required. By itself it lets in all projects of that namespace.
	NamespaceID string `json:"namespace_id,omitempty"`

	// Ref is the full ref, refs/heads/main or refs/tags/v*. It is compared with
	// ref_path, which GitLab writes since 16.0. "*" is as in claims.Glob.
	Ref string `json:"ref,omitempty"`

	// Environment is the name of the environment of the job.
	Environment string `json:"environment,omitempty"`

	// ProtectedEnvironment demands that the environment is a protected one.
	ProtectedEnvironment bool `json:"protected_environment,omitempty"`

	// Sources are how the pipeline may have been started (pipeline_source). None is
	// push, schedule and web.
	Sources []string `json:"sources,omitempty"`

	// AccessLevels are the roles in the project that the person who started the job
	// may have (user_access_level): developer, maintainer, owner. None is any.
	AccessLevels []string `json:"access_levels,omitempty"`

	// InsecureUnprotectedRefs lets in refs that are not protected: everybody who may
	// push a branch.
	InsecureUnprotectedRefs bool `json:"insecure_unprotected_refs,omitempty"`

	// Issuer is the URL of an instance of GitLab. Empty is [GitLabIssuer].
	Issuer string `json:"issuer,omitempty"`
}

var gitLabSources = []string{"push", "schedule", "web"}

// Policy returns the policy. Errors are of type *[FieldError].
func (g GitLab) Policy() (claims.Policy, error) {
	b := build{preset: "GitLab"}
	if g.ProjectID == "" && g.NamespaceID == "" {
		b.fail("ProjectID", "is required, or NamespaceID: without them everybody on the instance is let in")
	}
	b.equals("iss", issuer(g.Issuer, GitLabIssuer))
	g.identity(&b)
	b.matchesRef("Ref", "ref_path", g.Ref)
	b.matches("Environment", "environment", g.Environment)
	if g.ProtectedEnvironment {
		b.equals("environment_protected", "true")
	}
	if !g.InsecureUnprotectedRefs {
		b.equals("ref_protected", "true")
	}
	b.oneOf("Sources", "pipeline_source", g.Sources, gitLabSources)
	if len(g.AccessLevels) > 0 {
		b.oneOf("AccessLevels", "user_access_level", g.AccessLevels, nil)
	}
	return b.policy()
}

func (g GitLab) identity(b *build) {
	b.equalsID("ProjectID", "project_id", g.ProjectID, number)
	if g.ProjectID != "" {
		b.ifPresent("job_project_id", g.ProjectID)
	}
	b.equalsID("NamespaceID", "namespace_id", g.NamespaceID, number)
	if g.NamespaceID != "" {
		b.ifPresent("job_namespace_id", g.NamespaceID)
	}
}
