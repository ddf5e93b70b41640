package ci

import (
	"slices"
	"strings"

	"github.com/oidckit/oidckit/claims"
)

// GitHubIssuer is the issuer of GitHub Actions on github.com.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// GitHubActions lets in jobs of GitHub Actions. The numbers are those of
// https://api.github.com/repos/OWNER/NAME. It holds for both forms of sub, the one of
// names and the one with ids that repositories made since 15 July 2026 have.
type GitHubActions struct {
	// OwnerID is the id of the user or organization. By itself it lets in all of their
	// repositories.
	OwnerID string `json:"owner_id,omitempty"`

	// RepositoryID is the id of the repository. One of the two ids is required; with
	// both, a repository that moves to another owner is out.
	RepositoryID string `json:"repository_id,omitempty"`

	// Environment is the name of the environment of the job. Its rules decide who
	// deploys, and from which branch. "*" is as in claims.Glob.
	Environment string `json:"environment,omitempty"`

	// Ref is the full ref, refs/heads/main or refs/tags/v*.
	Ref string `json:"ref,omitempty"`

	// Workflow is the job_workflow_ref: the file in which the job is written, also if
	// other repositories use it, and at which ref:
	// octo-org/tools/.github/workflows/deploy.yml@refs/heads/main.
	Workflow string `json:"workflow,omitempty"`

	// Subject is the whole sub, in the form with ids. It is for repositories that
	// configure what their sub is made of; the fields above compare what is in it.
	Subject string `json:"subject,omitempty"`

	// Events are the names of the events that may start the run. None is push,
	// release, schedule and workflow_dispatch. pull_request_target, workflow_run and
	// issue_comment can run for strangers.
	Events []string `json:"events,omitempty"`

	// InsecureAnyRef lets in all refs. Without it, and without Environment and Ref,
	// the ref must be protected.
	InsecureAnyRef bool `json:"insecure_any_ref,omitempty"`

	// Issuer is the issuer of an enterprise: https://HOST/_services/token, or
	// https://token.actions.SUBDOMAIN.ghe.com. Empty is [GitHubIssuer].
	Issuer string `json:"issuer,omitempty"`
}

// Policy returns the policy. Errors are of type *[FieldError].
func (g GitHubActions) Policy() (claims.Policy, error) {
	b := build{preset: "GitHubActions"}
	if g.OwnerID == "" && g.RepositoryID == "" {
		b.fail("RepositoryID", "is required, or OwnerID: without them everybody on GitHub is let in")
	}
	b.equals("iss", issuer(g.Issuer, GitHubIssuer))
	b.equalsID("OwnerID", "repository_owner_id", g.OwnerID, number)
	b.equalsID("RepositoryID", "repository_id", g.RepositoryID, number)
	b.matches("Environment", "environment", g.Environment)
	b.matchesRef("Ref", "ref", g.Ref)
	b.matches("Workflow", "job_workflow_ref", g.Workflow)
	g.subject(&b)
	g.events(&b)
	if g.Environment == "" && g.Ref == "" && !g.InsecureAnyRef {
		b.equals("ref_protected", "true")
	}
	return b.policy()
}

func (g GitHubActions) subject(b *build) {
	if g.Subject == "" {
		return
	}
	if strings.Contains(g.Subject, "*") {
		b.fail("Subject", "must be the whole sub: what may differ is for the other fields")
	}
	if owner, _, _ := strings.Cut(g.Subject, "/"); strings.HasPrefix(owner, "repo:") && !strings.Contains(owner, "@") {
		b.fail("Subject", "has names without ids: write repo:OWNER@ID/NAME@ID:…, or leave it out")
	}
	b.equals("sub", g.Subject)
}

var gitHubEvents = []string{"push", "release", "schedule", "workflow_dispatch"}

func (g GitHubActions) events(b *build) {
	if slices.Contains(g.Events, "*") {
		b.fail("Events", "must be names of events")
	}
	b.oneOf("Events", "event_name", g.Events, gitHubEvents)
}

func issuer(configured, standard string) string {
	if configured == "" {
		return standard
	}
	return configured
}
