package ci_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/claims/ci"
)

type preset interface{ Policy() (claims.Policy, error) }

// Tokens of the services, as their documentations show them.
var (
	gitHubToken = map[string]any{
		"iss": ci.GitHubIssuer, "sub": "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main", "aud": "https://api.example",
		"repository": "octo-org/octo-repo", "repository_id": "456789", "repository_owner": "octo-org", "repository_owner_id": "123456",
		"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "event_name": "push", "head_ref": "", "base_ref": "",
		"job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main", "run_attempt": "1", "runner_environment": "github-hosted",
	}
	gitLabToken = map[string]any{
		"iss": ci.GitLabIssuer, "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "aud": "https://api.example",
		"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
		"user_access_level": "maintainer", "pipeline_source": "push", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
		"ref_protected": "true", "runner_id": 1,
	}
	circleCIToken = map[string]any{
		"iss": "https://oidc.circleci.com/org/" + orgUUID, "sub": "org/" + orgUUID + "/project/" + projectUUID + "/user/u", "aud": "https://api.example",
		"oidc.circleci.com/project-id": projectUUID, "oidc.circleci.com/vcs-origin": "github.com/octo-org/octo-repo",
		"oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/context-ids": []string{contextUUID}, "oidc.circleci.com/ssh-rerun": false,
	}
	buildkiteToken = map[string]any{
		"iss": ci.BuildkiteIssuer, "sub": "organization:acme-inc:pipeline:app:ref:refs/heads/main:commit:9f3182:step:deploy", "aud": "https://api.example",
		"organization_slug": "acme-inc", "organization_id": orgUUID, "pipeline_slug": "app", "pipeline_id": projectUUID,
		"build_number": 1, "build_branch": "main", "step_key": "deploy",
	}
)

const (
	orgUUID     = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	projectUUID = "9b2d8f0e-1c4a-4c4e-8f2b-0a1b2c3d4e5f"
	contextUUID = "0184990a-477b-4fa8-9968-496074483cee"
)

// with is the token with some claims changed; nil takes one out.
func with(t *testing.T, token map[string]any, changes map[string]any) claims.Set {
	t.Helper()
	token = maps.Clone(token)
	for name, value := range changes {
		if token[name] = value; value == nil {
			delete(token, name)
		}
	}
	data, err := json.Marshal(token)
	require.NoError(t, err)
	set, err := claims.Parse(data)
	require.NoError(t, err)
	return set
}

type changes = map[string]any

// requirePreset checks what a preset lets in, and that every change is refused.
func requirePreset(t *testing.T, p preset, token map[string]any, accept, refuse []changes) {
	t.Helper()
	policy, err := p.Policy()
	require.NoError(t, err, p)
	require.NoError(t, claims.Lint(policy, token["iss"].(string)).Err())
	for _, c := range accept {
		set := with(t, token, c)
		require.NoError(t, policy.Check(set), "%v\n%s", c, policy.Explain(set, claims.InsecureShowValues()))
	}
	for _, c := range append(refuse, changes{"iss": "https://idp.evil.example"}, changes{"iss": nil}) {
		require.ErrorIs(t, policy.Check(with(t, token, c)), oidckit.ErrForbidden, "%v\n%s", c, policy)
	}
	again, err := claims.ParsePolicy([]byte(policy.String()))
	require.NoError(t, err)
	require.Equal(t, policy.String(), again.String())
}

// requireField checks that a preset is refused for a field.
func requireField(t *testing.T, p preset, field string) {
	t.Helper()
	policy, err := p.Policy()
	var e *ci.FieldError
	require.ErrorAs(t, err, &e, "%+v", p)
	require.Equal(t, field, e.Field, "%+v: %s", p, err)
	require.Contains(t, err.Error(), e.Preset+"."+field)
	require.True(t, policy.IsZero())
}

func TestT05_GitHubActions(t *testing.T) {
	t.Parallel()
	none := []changes{{}}
	ids := []changes{
		{"repository_owner_id": "123457"}, {"repository_owner_id": nil}, {"repository_owner_id": 123456}, {"repository_owner_id": []string{"123456"}},
		{"repository_id": "456788"}, {"repository_id": nil},
	}
	requirePreset(t, ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789"}, gitHubToken,
		[]changes{{}, {"repository": "new-name/octo-repo"}, {"event_name": "workflow_dispatch"}, {"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}},
		append(ids,
			changes{"ref_protected": "false"}, changes{"ref_protected": true}, changes{"ref_protected": nil},
			changes{"event_name": "pull_request"}, changes{"event_name": "pull_request_target"}, changes{"event_name": "workflow_run"}, changes{"event_name": nil},
		))
	requirePreset(t, ci.GitHubActions{OwnerID: "123456"}, gitHubToken,
		[]changes{{}, {"repository_id": "1"}}, []changes{{"repository_owner_id": "1"}, {"ref_protected": "false"}})
	requirePreset(t, ci.GitHubActions{RepositoryID: "456789", Environment: "production"}, gitHubToken,
		[]changes{{"environment": "production"}, {"environment": "production", "ref_protected": "false"}},
		[]changes{{}, {"environment": ""}, {"environment": "production-2"}, {"environment": "Production"}})
	requirePreset(t, ci.GitHubActions{RepositoryID: "456789", Ref: "refs/tags/v*"}, gitHubToken,
		[]changes{{"ref": "refs/tags/v1", "ref_protected": "false"}},
		[]changes{{}, {"ref": "refs/tags/v1/x"}, {"ref": "refs/heads/v1"}, {"ref": "v1"}})
	requirePreset(t, ci.GitHubActions{RepositoryID: "456789", Workflow: "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"}, gitHubToken,
		none, []changes{{"job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/mine"}, {"job_workflow_ref": nil}, {"ref_protected": "false"}})
	requirePreset(t, ci.GitHubActions{RepositoryID: "456789", Events: []string{"merge_group", "deployment"}, InsecureAnyRef: true}, gitHubToken,
		[]changes{{"event_name": "deployment", "ref_protected": "false"}}, []changes{{}, {"event_name": "pull_request"}})
	requirePreset(t, ci.GitHubActions{RepositoryID: "456789", Subject: "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"}, gitHubToken,
		none, []changes{{"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}, {"sub": "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main2"}})

	enterprise := maps.Clone(gitHubToken)
	enterprise["iss"] = "https://git.example.com/_services/token"
	requirePreset(t, ci.GitHubActions{OwnerID: "123456", Issuer: "https://git.example.com/_services/token"}, enterprise,
		none, []changes{{"iss": ci.GitHubIssuer}})
}

func TestT06_GitLab(t *testing.T) {
	t.Parallel()
	requirePreset(t, ci.GitLab{ProjectID: "20", NamespaceID: "72"}, gitLabToken,
		[]changes{{}, {"job_project_id": "20", "job_namespace_id": "72"}, {"project_path": "renamed/project"}, {"pipeline_source": "web"}},
		[]changes{
			{"project_id": "66"}, {"project_id": 20}, {"project_id": nil}, {"namespace_id": "66"}, {"namespace_id": nil},
			{"job_project_id": "66"}, {"job_project_id": 20}, {"job_namespace_id": "66"},
			{"project_id": "66", "job_project_id": "20"}, // a fork's merge request in the target project
			{"ref_protected": "false"}, {"ref_protected": true}, {"ref_protected": nil},
			{"pipeline_source": "merge_request_event"}, {"pipeline_source": nil},
		})
	requirePreset(t, ci.GitLab{NamespaceID: "72"}, gitLabToken, []changes{{}, {"project_id": "21"}}, []changes{{"namespace_id": "1"}, {"job_namespace_id": "1"}})
	requirePreset(t, ci.GitLab{ProjectID: "20"}, gitLabToken, []changes{{}, {"namespace_id": "1"}}, []changes{{"project_id": "1"}})
	requirePreset(t, ci.GitLab{ProjectID: "20", Ref: "refs/heads/main"}, gitLabToken, []changes{{}},
		[]changes{{"ref_path": "refs/tags/main"}, {"ref_path": nil}, {"ref_protected": "false"}})
	requirePreset(t, ci.GitLab{ProjectID: "20", Environment: "production", ProtectedEnvironment: true}, gitLabToken,
		[]changes{{"environment": "production", "environment_protected": "true"}},
		[]changes{{}, {"environment": "production"}, {"environment": "production", "environment_protected": "false"}, {"environment": "staging", "environment_protected": "true"}})
	requirePreset(t, ci.GitLab{ProjectID: "20", Sources: []string{"api"}, AccessLevels: []string{"maintainer", "owner"}, InsecureUnprotectedRefs: true}, gitLabToken,
		[]changes{{"pipeline_source": "api", "ref_protected": "false"}}, []changes{{}, {"pipeline_source": "api", "user_access_level": "developer"}, {"pipeline_source": "api", "user_access_level": nil}})

	own := maps.Clone(gitLabToken)
	own["iss"] = "https://gitlab.example.com"
	requirePreset(t, ci.GitLab{ProjectID: "20", Issuer: "https://gitlab.example.com"}, own, []changes{{}}, []changes{{"iss": ci.GitLabIssuer}})
}

func TestT27_CircleCI(t *testing.T) {
	t.Parallel()
	preset := ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "github.com/octo-org/octo-repo", Ref: "refs/heads/main"}
	require.Equal(t, circleCIToken["iss"], preset.Issuer())
	requirePreset(t, preset, circleCIToken, []changes{{}}, []changes{
		{"oidc.circleci.com/project-id": contextUUID}, {"oidc.circleci.com/project-id": nil},
		{"oidc.circleci.com/vcs-origin": "github.com/evil/octo-repo"}, {"oidc.circleci.com/vcs-origin": nil},
		{"oidc.circleci.com/vcs-ref": "refs/heads/main2"}, {"oidc.circleci.com/vcs-ref": nil},
		{"oidc.circleci.com/ssh-rerun": true}, {"oidc.circleci.com/ssh-rerun": "false"}, {"oidc.circleci.com/ssh-rerun": nil},
	})
	requirePreset(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, InsecureAnyOrigin: true, ContextID: contextUUID, InsecureSSHReruns: true}, circleCIToken,
		[]changes{{}, {"oidc.circleci.com/vcs-origin": nil, "oidc.circleci.com/ssh-rerun": true}},
		[]changes{{"oidc.circleci.com/context-ids": []string{}}, {"oidc.circleci.com/context-ids": nil}, {"oidc.circleci.com/project-id": orgUUID}})
	requirePreset(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "github.com/octo-org/*", InsecureAnyRef: true}, circleCIToken,
		[]changes{{}, {"oidc.circleci.com/vcs-ref": "refs/heads/x"}}, []changes{{"oidc.circleci.com/vcs-origin": "github.com/octo-org-evil/x"}})
}

func TestT27_Buildkite(t *testing.T) {
	t.Parallel()
	requirePreset(t, ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID, Branch: "main", Step: "deploy"}, buildkiteToken,
		[]changes{{}, {"organization_slug": "renamed"}},
		[]changes{
			{"organization_id": contextUUID}, {"organization_id": nil}, {"pipeline_id": contextUUID}, {"pipeline_id": nil},
			{"build_branch": "main2"}, {"build_tag": "v1"}, {"step_key": nil}, {"step_key": "test"},
		})
	requirePreset(t, ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID, Tag: "v*"}, buildkiteToken,
		[]changes{{"build_tag": "v1"}}, []changes{{}, {"build_tag": "w1"}, {"build_tag": ""}})
	requirePreset(t, ci.Buildkite{OrganizationID: orgUUID, InsecureAnyPipeline: true, InsecureAnyRef: true}, buildkiteToken,
		[]changes{{}, {"pipeline_id": contextUUID}, {"build_tag": "v1"}}, []changes{{"organization_id": projectUUID}})
}

func TestT01_PresetsWithoutAnIdentityAreRefused(t *testing.T) {
	t.Parallel()
	requireField(t, ci.GitHubActions{}, "RepositoryID")
	requireField(t, ci.GitHubActions{Environment: "production", Ref: "refs/heads/main"}, "RepositoryID")
	requireField(t, ci.GitLab{Ref: "refs/heads/main"}, "ProjectID")
	requireField(t, ci.CircleCI{ProjectID: projectUUID, Origin: "x", Ref: "refs/heads/main"}, "OrganizationID")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID, Origin: "x", Ref: "refs/heads/main"}, "ProjectID")
	requireField(t, ci.Buildkite{PipelineID: projectUUID, Branch: "main"}, "OrganizationID")
	requireField(t, ci.Buildkite{OrganizationID: orgUUID, Branch: "main"}, "PipelineID")
}

// Presets let in what they are for whichever form sub has, and compare the strings that
// the services write for booleans and numbers.
func TestN56_CIWorkloadTokens(t *testing.T) {
	t.Parallel()
	policy, err := ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789"}.Policy()
	require.NoError(t, err)
	for _, sub := range []string{"repo:octo-org/octo-repo:ref:refs/heads/main", "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main", "environment:production:repository_id:456789"} {
		require.NoError(t, policy.Check(with(t, gitHubToken, changes{"sub": sub})))
	}
	for issuer, p := range map[string]preset{
		ci.GitHubIssuer: ci.GitHubActions{OwnerID: "123456"},
		ci.GitLabIssuer: ci.GitLab{ProjectID: "20"},
		"https://oidc.circleci.com/org/" + orgUUID: ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "github.com/o/r", Ref: "refs/heads/main"},
		ci.BuildkiteIssuer:                         ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID, Branch: "main"},
	} {
		policy, err := p.Policy()
		require.NoError(t, err)
		require.Empty(t, claims.Lint(policy, issuer), "no doubts about what is standard")
	}
}

func TestPresetsAreChecked(t *testing.T) {
	t.Parallel()
	const id = "1"
	requireField(t, ci.GitHubActions{OwnerID: "octo-org"}, "OwnerID")
	requireField(t, ci.GitHubActions{RepositoryID: "octo-org/octo-repo"}, "RepositoryID")
	requireField(t, ci.GitHubActions{RepositoryID: "1*"}, "RepositoryID")
	requireField(t, ci.GitHubActions{RepositoryID: id, Ref: "main"}, "Ref")
	requireField(t, ci.GitHubActions{RepositoryID: id, Ref: "refs/**"}, "Ref")
	requireField(t, ci.GitHubActions{RepositoryID: id, Environment: "*"}, "Environment")
	requireField(t, ci.GitHubActions{RepositoryID: id, Environment: "a\nb"}, "Environment")
	requireField(t, ci.GitHubActions{RepositoryID: id, Workflow: "*"}, "Workflow")
	requireField(t, ci.GitHubActions{RepositoryID: id, Events: []string{"*"}}, "Events")
	requireField(t, ci.GitHubActions{RepositoryID: id, Events: []string{""}}, "Events")
	requireField(t, ci.GitHubActions{RepositoryID: id, Events: []string{"push", "push"}}, "Events")
	requireField(t, ci.GitHubActions{RepositoryID: id, Subject: "repo:octo-org/octo-repo:ref:refs/heads/main"}, "Subject")
	requireField(t, ci.GitHubActions{RepositoryID: id, Subject: "repo:octo-org@1/*"}, "Subject")
	requireField(t, ci.GitLab{ProjectID: "group/project"}, "ProjectID")
	requireField(t, ci.GitLab{NamespaceID: "group"}, "NamespaceID")
	requireField(t, ci.GitLab{ProjectID: id, Ref: "main"}, "Ref")
	requireField(t, ci.GitLab{ProjectID: id, AccessLevels: []string{""}}, "AccessLevels")
	requireField(t, ci.CircleCI{OrganizationID: "octo-org", ProjectID: projectUUID, Origin: "x", Ref: "refs/heads/main"}, "OrganizationID")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: "octo-repo", Origin: "x", Ref: "refs/heads/main"}, "ProjectID")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Ref: "refs/heads/main"}, "Origin")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "x"}, "Ref")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "x", ContextID: "ctx"}, "ContextID")
	requireField(t, ci.CircleCI{OrganizationID: orgUUID + "-1", ProjectID: projectUUID, Origin: "x", InsecureAnyRef: true}, "OrganizationID")
	requireField(t, ci.CircleCI{OrganizationID: "3fa85f64-5717-4562-b3fc-2c963f66afag", ProjectID: projectUUID, Origin: "x", InsecureAnyRef: true}, "OrganizationID")
	requireField(t, ci.Buildkite{OrganizationID: "acme", PipelineID: projectUUID, Branch: "main"}, "OrganizationID")
	requireField(t, ci.Buildkite{OrganizationID: orgUUID, PipelineID: "app", Branch: "main"}, "PipelineID")
	requireField(t, ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID}, "Branch")
	requireField(t, ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID, Branch: "main", Tag: "v1"}, "Tag")
}

func ExampleGitHubActions() {
	policy, err := ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789", Environment: "production"}.Policy()
	if err != nil {
		panic(err)
	}
	token, err := claims.Parse([]byte(`{"iss":"https://token.actions.githubusercontent.com","repository_owner_id":"123456",
		"repository_id":"456789","environment":"staging","event_name":"push"}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(policy.Check(token))
	fmt.Println(policy.Explain(token))
	// Output:
	// claims: policy.all[3].equals does not hold: environment is another one
	// policy fails
	// fails   policy.all
	// holds   policy.all[0].equals: iss is string of 43, want "https://token.actions.githubusercontent.com"
	// holds   policy.all[1].equals: repository_owner_id is string of 6, want "123456"
	// holds   policy.all[2].equals: repository_id is string of 6, want "456789"
	// fails   policy.all[3].equals: environment is string of 7, want "production"
	// holds   policy.all[4].one_of: event_name is string of 4, want ["push","release","schedule","workflow_dispatch"]
}
