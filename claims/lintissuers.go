package claims

import (
	"slices"
	"strings"
)

// A ciIssuer is what the linter knows about the tokens of an issuer. Each has one issuer
// for all customers, or one for each organization.
type ciIssuer struct {
	name      string   // empty: not known
	shared    bool     // all customers have this issuer
	ids       []string // claims that say whose token it is, and are never given to others
	names     []string // the same by name
	patterned []string // claims that begin with the names of owner and repository
	strings   []string // claims that look like numbers or booleans, and are strings
	refs      []string // claims that narrow down which code ran
	fullRefs  []string // those that are written refs/heads/…
	advice    string
	refAdvice string
}

const (
	gitHub   = "GitHub Actions"
	gitLab   = "GitLab"
	circleCI = "CircleCI"
)

// The claims as their documentations have them: docs.github.com/actions/reference/security/oidc,
// docs.gitlab.com/ci/secrets/id_token_authentication, circleci.com/docs/openid-connect-tokens,
// buildkite.com/docs/agent/cli/reference/oidc, and HashiCorp's "Workload identity tokens".
var (
	gitHubIssuer = ciIssuer{
		name:      gitHub,
		shared:    true,
		ids:       []string{"repository_id", "repository_owner_id", "enterprise_id"},
		names:     []string{"repository", "repository_owner", "workflow_ref", "sub"},
		patterned: []string{"sub", "repository", "workflow_ref"},
		strings:   []string{"repository_id", "repository_owner_id", "enterprise_id", "actor_id", "run_id", "run_number", "run_attempt", "ref_protected"},
		refs:      []string{"ref", "ref_protected", "environment", "job_workflow_ref", "workflow_ref", "workflow_sha", "job_workflow_sha", "sub"},
		fullRefs:  []string{"ref"},
		advice:    "repository_id or repository_owner_id",
		refAdvice: "ref, environment or ref_protected",
	}
	// job_project_id and job_namespace_id are not among the ids: in a pipeline for a
	// merge request from a fork they name the target, and the code is the fork's (T06).
	gitLabIssuer = ciIssuer{
		name:      gitLab,
		shared:    true,
		ids:       []string{"project_id", "namespace_id"},
		names:     []string{"project_path", "namespace_path", "sub"},
		patterned: []string{"sub", "project_path"},
		strings:   []string{"project_id", "namespace_id", "job_project_id", "job_namespace_id", "user_id", "pipeline_id", "job_id", "ref_protected", "environment_protected"},
		refs:      []string{"ref", "ref_path", "ref_protected", "environment", "environment_protected", "sub"},
		fullRefs:  []string{"ref_path"},
		advice:    "project_id or namespace_id",
		refAdvice: "ref_protected and ref_path",
	}
	circleCIIssuer = ciIssuer{
		name:      circleCI,
		ids:       []string{"oidc.circleci.com/project-id"},
		names:     []string{"sub", "oidc.circleci.com/vcs-origin"},
		refs:      []string{"oidc.circleci.com/vcs-ref", "oidc.circleci.com/context-ids", "sub"},
		fullRefs:  []string{"oidc.circleci.com/vcs-ref"},
		advice:    "oidc.circleci.com/project-id",
		refAdvice: "oidc.circleci.com/vcs-origin and oidc.circleci.com/vcs-ref",
	}
	buildkiteIssuer = ciIssuer{
		name:      "Buildkite",
		shared:    true,
		ids:       []string{"organization_id", "pipeline_id"},
		names:     []string{"organization_slug", "sub"}, // a pipeline's slug is unique in its organization only
		patterned: []string{"sub"},
		refs:      []string{"build_branch", "build_tag", "build_commit", "sub"},
		advice:    "organization_id or pipeline_id (jobs must ask for these claims)",
		refAdvice: "build_branch or build_tag",
	}
	terraformIssuer = ciIssuer{
		name:      "HCP Terraform",
		shared:    true,
		ids:       []string{"terraform_organization_id", "terraform_project_id", "terraform_workspace_id"},
		names:     []string{"terraform_organization_name", "sub"},
		patterned: []string{"sub"},
		advice:    "terraform_organization_id or terraform_workspace_id",
		refAdvice: "terraform_run_phase",
	}
)

// issuerOf knows the issuers of the services, and GitHub's for one enterprise.
func issuerOf(iss string) ciIssuer {
	host, path, _ := strings.Cut(strings.TrimPrefix(iss, "https://"), "/")
	switch {
	case iss == "https://token.actions.githubusercontent.com":
		return gitHubIssuer
	case host == "token.actions.githubusercontent.com", strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com"), path == "_services/token":
		return gitHubIssuer.dedicated()
	case iss == "https://gitlab.com":
		return gitLabIssuer
	case host == "oidc.circleci.com":
		return circleCIOf(path)
	case host == "agent.buildkite.com":
		return buildkiteIssuer
	case host == "app.terraform.io":
		return terraformIssuer
	}
	return ciIssuer{}
}

func (i ciIssuer) dedicated() ciIssuer {
	i.shared = false
	return i
}

// circleCIOf tells the issuer of an organization from the one for all of them.
func circleCIOf(path string) ciIssuer {
	i := circleCIIssuer
	if !strings.HasPrefix(path, "org/") {
		i.shared = true
		i.ids = append([]string{"oidc.circleci.com/org-id"}, i.ids...)
	}
	return i
}

// byID reports whether a condition pins whose tokens are meant for good.
func (i *ciIssuer) byID(c *Condition) bool {
	if i.name == gitHub && c.path.single() == "sub" {
		return pinsSubject(c)
	}
	return (c.op == OpEquals || c.op == OpOneOf) && has(i.ids, c)
}

// pinsSubject reports whether all subs that satisfy c have the id of an owner that c
// names.
func pinsSubject(c *Condition) bool {
	texts := c.beginnings()
	unpinned := func(text string) bool { return !isNumber(parseGitHubSubject(text).ownerID) }
	return len(texts) > 0 && !slices.ContainsFunc(texts, unpinned)
}

// beginnings are the texts of which what satisfies c must begin with one.
func (c *Condition) beginnings() []string {
	switch c.op {
	case OpEquals, OpOneOf:
		return c.writings()
	case OpPrefix, OpGlob:
		return []string{c.head()}
	}
	return nil
}

// byName reports whether it does so as long as nobody else gets the name.
func (i *ciIssuer) byName(c *Condition) bool {
	if !has(i.names, c) || i.name == gitHub && c.path.single() == "sub" && !i.ownsSubject(c) {
		return false
	}
	switch c.op {
	case OpEquals, OpOneOf:
		return true
	case OpPrefix, OpGlob:
		return segments(c.head()) >= i.ownerDepth(c.path)
	}
	return false
}

// ownsSubject reports whether all subs that satisfy c say whose they are. Everybody can
// have a sub made of claims that do not: "environment:prod".
func (i *ciIssuer) ownsSubject(c *Condition) bool {
	ownerless := func(text string) bool {
		claim, value, _ := strings.Cut(text, ":")
		owned := slices.Contains(i.ids, claim) || slices.Contains(i.names, claim)
		return parseGitHubSubject(text).owner == "" && (!owned || value == "")
	}
	return !slices.ContainsFunc(c.beginnings(), ownerless)
}

func has(names []string, c *Condition) bool {
	return slices.Contains(names, c.path.single())
}

// ownerDepth is how many separators there are up to the end of the owner's name: two
// in "repo:org/" and in "organization:org:", one in "org/".
func (i *ciIssuer) ownerDepth(p Path) int {
	switch {
	case p.single() != "sub":
		return 1
	case i.name == circleCI:
		return 4 // org/ORG/project/PROJECT/
	}
	return 2
}

// ofPullRequest reports whether c lets in the sub of pull requests, which is the same
// for all of them and says nothing about their code.
func (i *ciIssuer) ofPullRequest(c *Condition) bool {
	shared := func(text string) bool {
		return strings.HasSuffix(text, ":pull_request") && !strings.HasSuffix(text, ":environment:pull_request")
	}
	return i.name == gitHub && c.path.single() == "sub" && slices.ContainsFunc(c.writings(), shared)
}

// A gitHubSubject is a sub of GitHub Actions, in one of its two forms.
type gitHubSubject struct{ owner, ownerID string }

// parseGitHubSubject reads "repo:OWNER/NAME:…" and "repo:OWNER@ID/NAME@ID:…". Names hold
// no "@". What is neither has no owner.
func parseGitHubSubject(sub string) (s gitHubSubject) {
	rest, isRepo := strings.CutPrefix(sub, "repo:")
	owner, _, whole := strings.Cut(rest, "/")
	if isRepo && whole {
		s.owner, s.ownerID, _ = strings.Cut(owner, "@")
	}
	return s
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
