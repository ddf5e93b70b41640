package ci

import "github.com/oidckit/oidckit/claims"

// CircleCI lets in jobs of CircleCI. Each organization has an issuer of its own.
type CircleCI struct {
	// OrganizationID is the UUID of the organization. Required.
	OrganizationID string `json:"organization_id,omitempty"`

	// ProjectID is the UUID of the project. Required.
	ProjectID string `json:"project_id,omitempty"`

	// Origin is the repository of the code, as github.com/octo-org/octo-repo. It is
	// what keeps forks out. Pipelines that a custom webhook starts have none.
	// Required, unless InsecureAnyOrigin says otherwise. "*" is as in claims.Glob.
	Origin string `json:"origin,omitempty"`

	// InsecureAnyOrigin lets in code from anywhere: forks too, if the project passes
	// secrets to builds of their pull requests.
	InsecureAnyOrigin bool `json:"insecure_any_origin,omitempty"`

	// Ref is the full ref, refs/heads/main or refs/tags/v*.
	Ref string `json:"ref,omitempty"`

	// ContextID is the UUID of a context that the job must use. A context can be
	// restricted to groups of people. One of Ref and ContextID is required, unless
	// InsecureAnyRef says otherwise.
	ContextID string `json:"context_id,omitempty"`

	// InsecureAnyRef lets in all refs.
	InsecureAnyRef bool `json:"insecure_any_ref,omitempty"`

	// InsecureSSHReruns lets in jobs that were started again with SSH: whoever did so
	// has a shell in which the token is.
	InsecureSSHReruns bool `json:"insecure_ssh_reruns,omitempty"`
}

// Issuer is the issuer of the organization.
func (c CircleCI) Issuer() string { return "https://oidc.circleci.com/org/" + c.OrganizationID }

// Policy returns the policy. Errors are of type *[FieldError].
func (c CircleCI) Policy() (claims.Policy, error) {
	b := build{preset: "CircleCI"}
	c.require(&b)
	b.equals("iss", c.Issuer())
	b.equalsID("ProjectID", "oidc.circleci.com/project-id", c.ProjectID, uuid)
	b.matches("Origin", "oidc.circleci.com/vcs-origin", c.Origin)
	b.matchesRef("Ref", "oidc.circleci.com/vcs-ref", c.Ref)
	if c.ContextID != "" {
		if problem := uuid(c.ContextID); problem != "" {
			b.fail("ContextID", problem)
		}
		b.add(claims.Contains(claims.P("oidc.circleci.com/context-ids"), c.ContextID))
	}
	if !c.InsecureSSHReruns {
		b.equals("oidc.circleci.com/ssh-rerun", false)
	}
	return b.policy()
}

func (c CircleCI) require(b *build) {
	if problem := uuid(c.OrganizationID); problem != "" {
		b.fail("OrganizationID", problem)
	}
	switch {
	case c.ProjectID == "":
		b.fail("ProjectID", "is required: without it every project of the organization is let in")
	case c.Origin == "" && !c.InsecureAnyOrigin:
		b.fail("Origin", "is required, as github.com/octo-org/octo-repo: without it forks may be let in")
	case c.Ref == "" && c.ContextID == "" && !c.InsecureAnyRef:
		b.fail("Ref", "is required, or ContextID: without them every branch is let in")
	}
}
