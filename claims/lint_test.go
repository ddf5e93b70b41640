package claims_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

const (
	gitHub    = "https://token.actions.githubusercontent.com"
	gitLab    = "https://gitlab.com"
	circleCI  = "https://oidc.circleci.com/org/3fa85f64-5717-4562-b3fc-2c963f66afa6"
	buildkite = "https://agent.buildkite.com"
	terraform = "https://app.terraform.io"
	other     = "https://idp.example.com"
)

// requireFindings compares the rules that are broken, and where.
func requireFindings(t *testing.T, issuer, data string, want ...string) claims.Findings {
	t.Helper()
	p := parsePolicy(t, data)
	found := claims.Lint(p, issuer)
	got := make([]string, len(found))
	danger := false
	for i, f := range found {
		got[i] = f.Place + " " + string(f.Severity) + " " + string(f.Rule)
		danger = danger || f.Severity == claims.Danger
		require.NotEmpty(t, f.Problem)
		require.NotEmpty(t, f.Instead)
		require.Contains(t, f.String(), f.Instead)
	}
	require.ElementsMatch(t, want, got, "%s %s", issuer, data)
	err := found.Err()
	require.Equal(t, danger, err != nil)
	var e *claims.LintError
	require.Equal(t, danger, errors.As(err, &e))
	return found
}

const (
	noIdentity  = "policy danger no identity"
	byName      = "policy warning identity by name"
	anyRef      = "policy warning any ref"
	wholeOrg    = "policy warning no identity"
	onlyGlob    = "policy.glob "
	negative    = "policy danger only negative"
	anyEvent    = "policy warning any event"
	refIsPinned = `{"all":[{"claim":"ref","equals":"refs/heads/main"},{"claim":"event_name","equals":"push"}]}`
)

func TestT01_SharedIssuersNeedAnIdentity(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		issuer, data string
		want         []string
	}{
		{gitHub, `{"claim":"ref","equals":"refs/heads/main"}`, []string{anyEvent, noIdentity}},
		{gitHub, `{"claim":"aud","equals":"https://github.com/octo-org"}`, []string{anyEvent, noIdentity, anyRef, "policy.equals warning audience"}},
		{gitHub, `{"claim":"repository_id","present":true}`, []string{anyEvent, noIdentity, anyRef}},
		{gitHub, `{"claim":"actor_id","equals":"1"}`, []string{anyEvent, noIdentity, anyRef}},
		{gitHub, `{"claim":"job_workflow_ref","equals":"o/r/.github/workflows/w.yml@refs/heads/main"}`, []string{anyEvent, noIdentity}},
		{gitHub, `{"claim":"nested.repository_id","equals":"1"}`, []string{anyEvent, noIdentity, anyRef}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository_id","equals":"1"}]}`, nil},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository_owner_id","one_of":["1","2"]}]}`, nil},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository_id","glob":"1*"}]}`, []string{noIdentity, "policy.all[1].glob warning trailing star"}},
		{gitHub, `{"all":[` + refIsPinned + `,{"not":{"claim":"repository_id","equals":"1"}}]}`, []string{noIdentity}},
		{gitHub, `{"all":[` + refIsPinned + `,{"any":[{"claim":"repository_id","equals":"1"},{"claim":"actor","equals":"x"}]}]}`, []string{noIdentity}},
		{gitHub, `{"all":[` + refIsPinned + `,{"any":[{"claim":"repository_id","equals":"1"},{"claim":"repository_owner_id","equals":"2"}]}]}`, nil},
		{"https://token.actions.octocorp.ghe.com", refIsPinned, []string{wholeOrg}},
		{"https://git.example.com/_services/token", refIsPinned, []string{wholeOrg}},
		{gitHub + "/octocorp", refIsPinned, []string{wholeOrg}},
		{gitLab, `{"claim":"ref_path","equals":"refs/heads/main"}`, []string{noIdentity}},
		{gitLab, `{"all":[{"claim":"ref_protected","equals":"true"},{"claim":"project_id","equals":"20"}]}`, nil},
		{circleCI, `{"claim":"oidc\\.circleci\\.com/vcs-ref","equals":"refs/heads/main"}`, []string{wholeOrg}},
		{circleCI, `{"claims":{"oidc.circleci.com/project-id":"x","oidc.circleci.com/vcs-ref":"refs/heads/main"}}`, nil},
		{"https://oidc.circleci.com", `{"claim":"oidc\\.circleci\\.com/vcs-ref","equals":"refs/heads/main"}`, []string{noIdentity}},
		{"https://oidc.circleci.com", `{"claims":{"oidc.circleci.com/org-id":"x","oidc.circleci.com/vcs-ref":"refs/heads/main"}}`, nil},
		{buildkite, `{"claims":{"pipeline_slug":"x","build_branch":"main"}}`, []string{noIdentity}},
		{buildkite, `{"claims":{"organization_id":"x","build_branch":"main"}}`, nil},
		{terraform, `{"claim":"terraform_workspace_name","equals":"x"}`, []string{noIdentity}},
		{terraform, `{"claim":"terraform_workspace_id","equals":"x"}`, nil},
		{other, `{"claim":"roles","contains":"admin"}`, nil},
	} {
		requireFindings(t, tt.issuer, tt.data, tt.want...)
	}
	found := claims.Lint(claims.Policy{}, other)
	require.Len(t, found, 1)
	require.Equal(t, claims.NoConditions, found[0].Rule)
	require.Error(t, found.Err())
	require.NoError(t, claims.Findings{}.Err())
}

// Every repository can have its sub made of claims that it chooses.
func TestT01_SubsWithoutAnOwnerAreNoIdentity(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`"equals":"x"`, `"equals":"ref:refs/heads/main"`, `"equals":"environment:prod"`, `"equals":"job_workflow_ref:o/r/w.yml@main"`,
		`"equals":"repo:octocat"`, `"equals":"repo:/x:ref:y"`, `"equals":"repository_owner:"`, `"equals":"repository_owner"`,
		`"one_of":["repo:o/r:ref:refs/heads/main","environment:prod"]`,
		`"glob":"environment:prod:actor:*"`, `"prefix":"environment:prod:"`, `"prefix":"repo:octocat:"`, `"prefix":"repository_owner:"`, `"glob":"repository_owner:octo*:x"`,
	} {
		data := `{"all":[` + refIsPinned + `,{"claim":"sub",` + condition + `}]}`
		found := claims.Lint(parsePolicy(t, data), gitHub)
		require.Equal(t, claims.NoIdentity, found[0].Rule, data)
		require.Equal(t, claims.Danger, found[0].Severity, data)
	}
	for _, condition := range []string{
		`"equals":"repository_owner:octocat"`, `"equals":"repository:octocat/r:environment:prod"`, `"equals":"repository_id:1:ref:refs/heads/main"`,
		`"equals":"workflow_ref:octocat/r/.github/workflows/w.yml@refs/heads/main"`, `"one_of":["repository_owner:o","repository:o/r"]`,
	} {
		requireFindings(t, gitHub, `{"all":[`+refIsPinned+`,{"claim":"sub",`+condition+`}]}`, byName)
	}
	requireFindings(t, gitHub, `{"all":[`+refIsPinned+`,{"claim":"sub","prefix":"repository_owner:octocat:"}]}`,
		byName, "policy.all[1].prefix danger whole owner", "policy.all[1].prefix warning subject taken apart")
}

func TestT02_PatternsThatMatchTooMuch(t *testing.T) {
	t.Parallel()
	const subWarnings = "policy.glob warning subject taken apart"
	for _, tt := range []struct {
		issuer, data string
		want         []string
	}{
		{gitHub, `{"claim":"sub","glob":"repo:org/*"}`, []string{anyEvent,
			byName, onlyGlob + "danger whole owner", onlyGlob + "warning trailing star", onlyGlob + "warning old subject", subWarnings,
		}},
		{gitHub, `{"claim":"sub","glob":"repo:org*/x:ref:refs/heads/main"}`, []string{anyEvent,
			noIdentity, onlyGlob + "danger open name", onlyGlob + "warning old subject", subWarnings,
		}},
		{gitHub, `{"claim":"sub","prefix":"repo:org/"}`, []string{anyEvent,
			byName, "policy.prefix danger whole owner", "policy.prefix warning old subject", "policy.prefix warning subject taken apart",
		}},
		{gitHub, `{"claim":"sub","prefix":"repo:"}`, []string{anyEvent,
			noIdentity, "policy.prefix danger wide prefix", "policy.prefix warning subject taken apart",
		}},
		{gitHub, `{"claim":"sub","glob":"repo:org/app-*:environment:prod"}`, []string{byName, onlyGlob + "warning old subject", subWarnings}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository","glob":"org/*"}]}`, []string{
			byName, "policy.all[1].glob danger whole owner", "policy.all[1].glob warning trailing star",
		}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository_owner_id","equals":"1"},{"claim":"repository","glob":"org/*"}]}`, []string{"policy.all[2].glob warning trailing star"}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository","glob":"*/x"}]}`, []string{noIdentity, "policy.all[1].glob danger open name"}},
		{gitLab, `{"all":[{"claim":"ref_protected","equals":"true"},{"claim":"project_path","prefix":"my-group/"}]}`, []string{byName, "policy.all[1].prefix danger whole owner"}},
		{other, `{"claim":"role","glob":"*"}`, []string{onlyGlob + "danger any value"}},
		{other, `{"all":[{"claim":"role","equals":"x"},{"not":{"claim":"role","glob":"*"}}]}`, nil},
		{other, `{"claim":"role","glob":"a/*"}`, []string{onlyGlob + "warning trailing star"}},
		{other, `{"claim":"role","glob":"a*"}`, []string{onlyGlob + "warning trailing star"}},
		{other, `{"claim":"role","glob":"a*\\*"}`, nil},
		{other, `{"claim":"role","glob":"*-admin"}`, nil},
		{other, `{"claim":"role","prefix":"a/"}`, []string{"policy.prefix warning wide prefix"}},
		{other, `{"claim":"role","prefix":"a/b/"}`, nil},
		{other, `{"not":{"claim":"role","equals":"x"}}`, []string{negative}},
		{other, `{"claim":"role","present":false}`, []string{negative}},
		{other, `{"any":[{"claim":"role","equals":"x"},{"not":{"claim":"role","equals":"y"}}]}`, []string{negative}},
		{other, `{"all":[{"claim":"role","equals":"x"},{"not":{"claim":"role","equals":"y"}}]}`, nil},
	} {
		requireFindings(t, tt.issuer, tt.data, tt.want...)
	}
}

func TestT04_NamesAndTheTwoFormsOfSub(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		issuer, data string
		want         []string
	}{
		{gitHub, `{"claim":"sub","equals":"repo:octocat/my-repo:ref:refs/heads/main"}`, []string{anyEvent, byName, "policy.equals warning old subject"}},
		{gitHub, `{"claim":"sub","equals":"repo:octocat@123456/my-repo@456789:ref:refs/heads/main"}`, []string{anyEvent}},
		{gitHub, `{"claim":"sub","equals":"repo:octocat@evil/my-repo@456789:ref:refs/heads/main"}`, []string{anyEvent, byName, "policy.equals warning old subject"}},
		{gitHub, `{"claim":"sub","one_of":["repo:octocat/my-repo:environment:p","repo:octocat@123456/my-repo@456789:environment:p"]}`, []string{byName, "policy.one_of warning old subject"}},
		{gitHub, `{"claim":"sub","prefix":"repo:octocat@123456/my-repo@456789:"}`, []string{anyEvent, "policy.prefix warning subject taken apart"}},
		{gitHub, `{"claim":"sub","glob":"repo:octocat@123456/my-repo@456789:environment:*-eu"}`, []string{onlyGlob + "warning subject taken apart"}},
		{gitHub, `{"claim":"sub","glob":"repo:octocat@*/my-repo:environment:p"}`, []string{
			noIdentity, onlyGlob + "danger open name", onlyGlob + "warning old subject", onlyGlob + "warning subject taken apart",
		}},
		{gitHub, `{"claim":"sub","contains":"repo:octocat@123456/my-repo@456789:ref:refs/heads/main"}`, []string{anyEvent, noIdentity}},
		{gitHub, `{"claim":"sub","equals":5}`, []string{anyEvent, byName}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository","equals":"octocat/my-repo"}]}`, []string{byName}},
		{gitLab, `{"claim":"sub","equals":"project_path:g/p:ref_type:branch:ref:main"}`, []string{byName}},
		{circleCI, `{"claims":{"oidc.circleci.com/vcs-origin":"github.com/o/r","oidc.circleci.com/vcs-ref":"refs/heads/main"}}`, []string{byName}},
		{circleCI, `{"claim":"sub","prefix":"org/o/project/p/"}`, []string{byName, "policy.prefix warning subject taken apart"}},
		{buildkite, `{"claims":{"organization_slug":"acme","build_branch":"main"}}`, []string{byName}},
		{other, `{"claim":"sub","equals":"repo:octocat/my-repo:ref:refs/heads/main"}`, nil},
	} {
		requireFindings(t, tt.issuer, tt.data, tt.want...)
	}
}

func TestT05_RefsAndTypesThatTheIssuerDoesNotWrite(t *testing.T) {
	t.Parallel()
	const id = `{"claim":"repository_id","equals":"1"}`
	for _, tt := range []struct {
		issuer, data string
		want         []string
	}{
		{gitHub, id, []string{anyEvent, anyRef}},
		{gitHub, `{"all":[` + id + `,{"claim":"environment","present":true}]}`, []string{anyEvent, anyRef}},
		{gitHub, `{"all":[` + id + `,{"claim":"environment","equals":"production"}]}`, nil},
		{gitHub, `{"all":[` + id + `,{"claim":"ref","equals":"main"}]}`, []string{anyEvent, "policy.all[1].equals warning never holds"}},
		{gitHub, `{"all":[` + id + `,{"claim":"ref_protected","equals":true}]}`, []string{anyEvent, "policy.all[1].equals warning never holds"}},
		{gitHub, `{"all":[` + refIsPinned + `,{"claim":"repository_id","equals":1}]}`, []string{"policy.all[1].equals warning never holds"}},
		{gitHub, `{"all":[` + refIsPinned + `,` + id + `,{"claim":"run_attempt","max":1}]}`, []string{"policy.all[2].max warning never holds"}},
		{gitLab, `{"claims":{"project_id":"20","ref":"main"}}`, []string{anyRef}},
		{gitLab, `{"claims":{"project_id":"20","ref":"main","ref_type":"branch"}}`, nil},
		{gitLab, `{"claims":{"project_id":"20","ref_path":"main"}}`, []string{"policy.all[1].equals warning never holds"}},
		{buildkite, `{"claims":{"pipeline_id":"x"}}`, []string{anyRef}},
	} {
		requireFindings(t, tt.issuer, tt.data, tt.want...)
	}
}

func TestT05_AnyEvent(t *testing.T) {
	t.Parallel()
	const repository = `{"claim":"repository_id","equals":"1"},{"claim":"ref","equals":"refs/heads/main"}`
	requireFindings(t, gitHub, `{"all":[`+repository+`]}`, anyEvent)
	for _, condition := range []string{
		`{"claim":"event_name","present":true}`, `{"claim":"event_name","glob":"p*t"}`, `{"not":{"claim":"event_name","equals":"push"}}`,
		`{"not":{"claim":"event_name","equals":"pull_request_target"}}`, `{"not":{"claim":"event_name","one_of":["pull_request_target","workflow_run"]}}`,
		`{"not":{"claim":"actor","one_of":["pull_request_target","workflow_run","issue_comment"]}}`,
		`{"not":{"all":[{"claim":"event_name","one_of":["pull_request_target","workflow_run","issue_comment"]},{"claim":"actor","equals":"x"}]}}`,
		`{"any":[{"claim":"event_name","equals":"push"},{"claim":"actor_id","equals":"1"}]}`,
	} {
		found := claims.Lint(parsePolicy(t, `{"all":[`+repository+`,`+condition+`]}`), gitHub)
		require.NotEmpty(t, found, condition)
		require.Equal(t, claims.AnyEvent, found[0].Rule, condition)
	}
	for _, condition := range []string{
		`{"claim":"event_name","equals":"push"}`, `{"claim":"event_name","one_of":["push","release"]}`,
		`{"not":{"claim":"event_name","one_of":["issue_comment","pull_request_target","workflow_run"]}}`,
		`{"not":{"any":[{"claim":"event_name","one_of":["issue_comment","workflow_run"]},{"claim":"event_name","equals":"pull_request_target"}]}}`,
		`{"not":{"claim":"event_name","equals":"issue_comment"}},{"not":{"claim":"event_name","one_of":["workflow_run","pull_request_target"]}}`,
		`{"any":[{"claim":"event_name","equals":"push"},{"claim":"environment","equals":"prod"}]}`,
	} {
		requireFindings(t, gitHub, `{"all":[`+repository+`,`+condition+`]}`)
	}
	requireFindings(t, gitHub, `{"all":[`+repository+`,{"claim":"environment","present":true}]}`, anyEvent)
	requireFindings(t, gitHub, `{"claim":"sub","one_of":["repo:o@1/r@2:environment:p","repo:o@1/r@2:ref:refs/heads/main"]}`, anyEvent)
	requireFindings(t, gitLab, `{"claims":{"project_id":"20","ref_protected":"true"}}`)
}

func TestT05_TheSubOfPullRequestsIsNoRef(t *testing.T) {
	t.Parallel()
	const event = `,{"claim":"event_name","equals":"pull_request_target"}]}`
	requireFindings(t, gitHub, `{"all":[{"claim":"sub","equals":"repo:o@1/r@1:pull_request"}`+event, anyRef)
	requireFindings(t, gitHub, `{"all":[{"claim":"sub","one_of":["repo:o@1/r@1:ref:refs/heads/main","repo:o@1/r@1:pull_request"]}`+event, anyRef)
	requireFindings(t, gitHub, `{"all":[{"claim":"sub","equals":"repo:o@1/r@1:environment:pull_request"}`+event)
	requireFindings(t, gitHub, `{"all":[{"claim":"sub","equals":"repo:o@1/r@1:pull_request"},{"claim":"ref","equals":"refs/heads/main"}`+event)
}

// In a pipeline for a merge request from a fork, job_project_id is the target.
func TestT06_TheProjectOfTheJobIsNotThatOfTheCode(t *testing.T) {
	t.Parallel()
	requireFindings(t, gitLab, `{"claims":{"job_project_id":"20","ref_protected":"true"}}`, noIdentity)
}

func TestT09_AnAudienceIsNoIdentity(t *testing.T) {
	t.Parallel()
	requireFindings(t, gitLab, `{"claims":{"aud":"https://api.example","project_id":"20","ref_protected":"true"}}`, "policy.all[0].equals warning audience")
	requireFindings(t, other, `{"claims":{"aud":"https://api.example"}}`)
}

func TestT25_OnlyASCII(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"claim":"role","equals":"аdmin"}`, `{"claim":"rоle","equals":"admin"}`, `{"claim":"role","one_of":["x","admin\u200b"]}`, `{"claim":"role","contains":"ﬁ"}`} {
		found := claims.Lint(parsePolicy(t, data), other)
		require.Len(t, found, 1, data)
		require.Equal(t, claims.NotASCII, found[0].Rule)
	}
	requireFindings(t, other, `{"claim":"role","equals":"admin~ -"}`)
}

// A branch can be called like the end of another sub, and "*" would have to cross the
// colons for it to matter; a prefix does not stop there, and is told about.
func TestT08_SubsAreNotTakenApart(t *testing.T) {
	t.Parallel()
	p := policy(t, claims.Glob(claims.P("sub"), "repo:o@1/r@2:*:production"))
	require.NoError(t, p.Check(parse(t, `{"sub":"repo:o@1/r@2:environment:production"}`)))
	requireRefusal(t, p.Check(parse(t, `{"sub":"repo:o@1/r@2:ref:refs/heads/x:environment:production"}`)))
	for _, data := range []string{`{"claim":"sub","prefix":"repo:o@1/r@2:environment:"}`, `{"claim":"sub","glob":"repo:o@1/r@2:environment:*-eu"}`} {
		found := claims.Lint(parsePolicy(t, data), gitHub)
		require.Len(t, found, 1)
		require.Equal(t, claims.SubjectParsed, found[0].Rule)
	}
}

func TestLintErrors(t *testing.T) {
	t.Parallel()
	err := claims.Lint(parsePolicy(t, `{"any":[{"claim":"role","glob":"*"},{"claim":"role","present":false}]}`), other).Err()
	var e *claims.LintError
	require.ErrorAs(t, err, &e)
	require.Equal(t, claims.OnlyNegative, e.Rule)
	require.Contains(t, err.Error(), "policy.any[0].glob: ")
	require.Contains(t, err.Error(), e.Instead)
}

func ExampleLint() {
	policy, err := claims.ParsePolicy([]byte(`{"claims": {"aud": "https://github.com/octo-org", "ref": "refs/heads/main", "event_name": "push"}}`))
	if err != nil {
		panic(err)
	}
	for _, finding := range claims.Lint(policy, "https://token.actions.githubusercontent.com") {
		fmt.Println(finding)
	}
	// Output:
	// danger: policy: every customer of GitHub Actions satisfies the policy: nothing in it says whose tokens are meant; add repository_id or repository_owner_id
	// warning: policy.all[0].equals: the job chooses its audience: it says for whom a token is, not whose it is; give the verifier an audience of your own, and let the policy compare repository_id or repository_owner_id
}

// Findings of patterns stand at the place and name the claim.
func TestFindingsPointAtThePlace(t *testing.T) {
	t.Parallel()
	found := requireFindings(t, other, `{"any":[{"claim":"a.b","equals":"x"},{"claim":"c.d","glob":"x/*"}]}`, "policy.any[1].glob warning trailing star")
	require.Equal(t, "c.d", found[0].Claim)
	require.Equal(t, claims.TrailingStar, found[0].Rule)
}
