package presets_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/presets"
)

const (
	tenant      = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	orgUUID     = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	projectUUID = "9b2d8f0e-1c4a-4c4e-8f2b-0a1b2c3d4e5f"

	keycloakIssuer = "https://sso.example.com/realms/shop"
	oktaIssuer     = "https://acme.okta.example"
	ipsilonIssuer  = "https://id.example.org/openidc/"
	clusterIssuer  = "https://kubernetes.default.svc.cluster.local"
)

var (
	deployer      = presets.ServiceAccount{Namespace: "orders", Name: "deployer"}
	gitHubJob     = ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789", Environment: "prod", Ref: "refs/heads/main"}
	gitLabJob     = ci.GitLab{ProjectID: "20", Ref: "refs/heads/main", Issuer: "https://gitlab.example.com"}
	circleCIJob   = ci.CircleCI{OrganizationID: orgUUID, ProjectID: projectUUID, Origin: "github.com/acme-org/orders", Ref: "refs/heads/main"}
	buildkiteJob  = ci.Buildkite{OrganizationID: orgUUID, PipelineID: projectUUID, Branch: "main"}
	googleClient  = "100000000042-example.apps.googleusercontent.com"
	entraClient   = "00001111-aaaa-2222-bbbb-3333cccc4444"
	cognitoClient = "xxxxxxxxxxxxexample"
)

// What a preset makes of a provider's access tokens.
func TestAccessTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must := must(t)
	for name, tt := range map[string]struct {
		preset        presets.Preset
		file          string
		audience      string
		username      string
		roles, groups []string
	}{
		"keycloak": {
			preset: presets.Keycloak(keycloakIssuer, "orders-api"), file: "keycloak-access", audience: "orders-api", username: "ada",
			roles: []string{"default-roles-shop", "offline_access", "uma_authorization", "clerk", "view", "refund"}, groups: []string{"/staff", "/staff/emea"},
		},
		"keycloak, realm roles alone": {
			preset: presets.Keycloak(keycloakIssuer), file: "keycloak-access", audience: "orders-api", username: "ada",
			roles: []string{"default-roles-shop", "offline_access", "uma_authorization", "clerk"}, groups: []string{"/staff", "/staff/emea"},
		},
		"okta custom": {
			preset: presets.OktaCustom(oktaIssuer + "/oauth2/default"), file: "okta-custom-access", audience: "api://orders", username: "ada@example.com",
			groups: []string{"Everyone", "Order Desk"},
		},
		"entra v2": {
			preset: presets.EntraID(tenant), file: "entra-v2-access", audience: "11111111-2222-4333-8444-555555555555", username: "ada@contoso.example",
			roles: []string{"Orders.Approve"},
		},
		"entra, many tenants": {
			preset: presets.EntraIDMultiTenant("other", tenant), file: "entra-v2-access", audience: "11111111-2222-4333-8444-555555555555", username: "ada@contoso.example",
			roles: []string{"Orders.Approve"},
		},
		"entra v1": {
			preset: presets.EntraIDv1(tenant), file: "entra-v1-access", audience: "api://11111111-2222-4333-8444-555555555555", username: "ada@contoso.example",
			roles: []string{"Orders.Approve"}, groups: []string{"0e129f4d-0000-4000-8000-000000000001", "0e129f4d-0000-4000-8000-000000000002"},
		},
		"auth0": {
			preset: presets.Auth0("acme.eu.auth0.example"), file: "auth0-access", audience: "https://orders.example.com/", username: "auth0|5e0000000000000000000042",
			roles: []string{"read:orders", "write:orders"},
		},
		"cognito": {
			preset: presets.Cognito("eu-central-1", "eu-central-1_example"), file: "cognito-access", audience: cognitoClient, username: "ada",
			groups: []string{"clerks", "refunds"},
		},
		"adfs": {
			preset: presets.ADFS("https://adfs.example.com/adfs"), file: "adfs-access", audience: "microsoft:identityserver:https://orders.example.com", username: "ada@corp.example.com",
			roles: []string{"Domain Users"}, groups: []string{`CORP\Domain Users`, `CORP\Order Desk`},
		},
		"github actions": {preset: must(presets.GitHubActions(gitHubJob)), file: "github-actions", audience: "https://registry.example.com", username: "acme-org/orders"},
		"gitlab ci":      {preset: must(presets.GitLabCI(gitLabJob)), file: "gitlab-ci", audience: "https://vault.example.com", username: "my-group/my-project"},
		"circleci":       {preset: must(presets.CircleCI(circleCIJob)), file: "circleci-job", audience: "https://registry.example.com", username: "github.com/acme-org/orders"},
		"buildkite":      {preset: must(presets.Buildkite(buildkiteJob)), file: "buildkite-job", audience: "https://registry.example.com", username: "orders"},
		"kubernetes":     {preset: must(presets.Kubernetes(clusterIssuer, deployer)), file: "kubernetes-serviceaccount", audience: "https://orders.example.com", username: "system:serviceaccount:orders:deployer"},
	} {
		change := changes{}
		if name == "github actions" {
			change["iat"] = now.Unix() // the golden one is of a later minute
		}
		got, err := r.access(t, tt.preset, r.token(t, tt.file, change), tt.audience)
		require.NoError(t, err, name)
		id, err := identity(t, tt.preset, claims.Sources{AccessToken: got.Claims})
		require.NoError(t, err, name)
		require.Equal(t, tt.username, id.Username, name)
		require.Equal(t, tt.roles, id.Roles, name)
		require.Equal(t, tt.groups, id.Groups, name)

		_, err = r.access(t, tt.preset, r.token(t, tt.file, change), "somebody else")
		requireReason(t, err, oidc.ReasonAudience)
		change["iss"] = "https://evil.example"
		_, err = r.access(t, tt.preset, r.token(t, tt.file, change), tt.audience)
		requireReason(t, err, oidc.ReasonIssuer)
	}
}

// What a preset makes of a login.
func TestLogins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must := must(t)
	for name, tt := range map[string]struct {
		preset               presets.Preset
		id, userinfo, access string
		client, nonce        string
		username, email      string
		verified             bool
		roles, groups        []string
		alsoAs               string // another iss
	}{
		"keycloak": {
			preset: presets.Keycloak(keycloakIssuer), id: "keycloak-id", userinfo: "keycloak-userinfo", access: "keycloak-access", client: "webshop", nonce: "n-example",
			username: "ada", email: "ada@example.com", verified: true,
			roles: []string{"default-roles-shop", "offline_access", "uma_authorization", "clerk"}, groups: []string{"/staff", "/staff/emea"},
		},
		"okta org": {
			preset: presets.OktaOrg(oktaIssuer), id: "okta-org-id", userinfo: "okta-org-userinfo", client: "0oaexampleclient0042", nonce: "n-example",
			username: "ada@example.com", email: "ada@example.com", groups: []string{"Everyone", "Domain Users", "Order Desk"},
		},
		"entra": {
			preset: presets.EntraID(tenant), id: "entra-v2-id", client: entraClient, nonce: "n-example",
			username: "ada@contoso.example", email: "ada@contoso.example", verified: true,
			roles: []string{"Orders.Approve"}, groups: []string{"0e129f4d-0000-4000-8000-000000000001"},
		},
		"auth0":  {preset: presets.Auth0("acme.eu.auth0.example"), id: "auth0-id", client: "wz9hexampleclientid", nonce: "n-example", username: "ada", email: "ada@example.com"},
		"google": {preset: must(presets.GoogleWorkspace("example.com")), id: "google-id", client: googleClient, nonce: "n-example-google", username: "ada@example.com", email: "ada@example.com", verified: true, alsoAs: "accounts.google.com"},
		"cognito": {
			preset: presets.Cognito("eu-central-1", "eu-central-1_example"), id: "cognito-id", client: cognitoClient, nonce: "n-example-cognito",
			username: "ada", email: "ada@example.com", verified: true, groups: []string{"clerks", "refunds"},
		},
		"adfs": {preset: presets.ADFS("https://adfs.example.com/adfs"), id: "adfs-id", client: "2e4a8c6e-1111-4222-8333-444455556666", nonce: "n-example", username: "ada@corp.example.com"},
		"gitlab": {
			preset: presets.GitLab("https://gitlab.example.com"), id: "gitlab-id", userinfo: "gitlab-userinfo", client: "glexampleclientid", nonce: "n-example",
			username: "ada", email: "ada@example.com", verified: true, groups: []string{"my-group", "other-group/sub"},
		},
	} {
		got, err := r.id(t, tt.preset, r.token(t, tt.id, nil), tt.client, tt.nonce)
		require.NoError(t, err, name)
		from := claims.Sources{IDToken: got.Claims}
		if tt.userinfo != "" {
			from.UserInfo = set(t, tt.userinfo)
		}
		if tt.access != "" {
			from.AccessToken = set(t, tt.access)
		}
		id, err := identity(t, tt.preset, from)
		require.NoError(t, err, name)
		require.Equal(t, tt.username, id.Username, name)
		require.Equal(t, tt.email, id.Email, name)
		require.Equal(t, tt.verified, id.EmailVerified, name)
		require.Equal(t, tt.roles, id.Roles, name)
		require.Equal(t, tt.groups, id.Groups, name)

		if tt.alsoAs != "" {
			_, err = r.id(t, tt.preset, r.token(t, tt.id, changes{"iss": tt.alsoAs}), tt.client, tt.nonce)
			require.NoError(t, err, name)
		}
		_, err = r.id(t, tt.preset, r.token(t, tt.id, changes{"iss": "https://evil.example"}), tt.client, tt.nonce)
		requireReason(t, err, oidc.ReasonIssuer)
	}
}

// Access tokens that are for the provider alone, or opaque, are never taken.
func TestLoginPresetsTakeNoAccessTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, tt := range map[string]struct {
		preset presets.Preset
		raw    string
		reason oidc.Reason
	}{
		"okta org": {presets.OktaOrg(oktaIssuer), r.token(t, "okta-org-access", nil), oidc.ReasonType},
		"google":   {presets.Google(), "ya29.example", oidc.ReasonMalformed},
		"gitlab":   {presets.GitLab("https://gitlab.example.com"), "c0ffee", oidc.ReasonMalformed},
		"ipsilon":  {presets.Ipsilon(ipsilonIssuer), "c0ffee_Bearer", oidc.ReasonMalformed},
	} {
		_, err := r.access(t, tt.preset, tt.raw, oktaIssuer)
		requireReason(t, err, tt.reason)
		require.NotEmpty(t, tt.preset.Hint(err, tt.raw), name)
	}
}

func TestPoliciesOfPresets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must := must(t)
	const registry = "https://registry.example.com"
	refuse := func(p presets.Preset, file, audience string, change changes) {
		t.Helper()
		_, err := r.access(t, p, r.token(t, file, change), audience)
		requireReason(t, err, oidc.ReasonPolicy)
	}
	refuse(must(presets.GitHubActions(gitHubJob)), "github-actions", registry, changes{"iat": now.Unix(), "repository_owner_id": "1"})
	refuse(must(presets.GitLabCI(gitLabJob)), "gitlab-ci", "https://vault.example.com", changes{"project_id": "21"})
	refuse(must(presets.CircleCI(circleCIJob)), "circleci-job", registry, changes{"oidc.circleci.com/vcs-origin": "github.com/evil/orders"})
	refuse(must(presets.Buildkite(buildkiteJob)), "buildkite-job", registry, changes{"build_branch": "mine"})
	for _, sub := range []string{"system:serviceaccount:orders:default", "system:serviceaccount:orders:deployer2", "system:serviceaccount:evil:deployer"} {
		refuse(must(presets.Kubernetes(clusterIssuer, deployer)), "kubernetes-serviceaccount", "https://orders.example.com", changes{"sub": sub})
	}
	refuse(presets.Cognito("eu-central-1", "eu-central-1_example"), "cognito-access", cognitoClient, changes{"token_use": nil})

	_, err := r.id(t, must(presets.GoogleWorkspace("example.com")), r.token(t, "google-id", changes{"hd": nil}), googleClient, "n-example-google")
	requireReason(t, err, oidc.ReasonPolicy)
	_, err = r.id(t, presets.Google(), r.token(t, "google-id", changes{"hd": nil}), googleClient, "n-example-google")
	require.NoError(t, err)
	_, err = r.id(t, presets.Cognito("eu-central-1", "eu-central-1_example"), r.token(t, "cognito-id", changes{"token_use": nil}), cognitoClient, "n-example-cognito")
	requireReason(t, err, oidc.ReasonPolicy)
}

func TestTenantsThatAreNotListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.access(t, presets.EntraIDMultiTenant("another"), r.token(t, "entra-v2-access", nil), "11111111-2222-4333-8444-555555555555")
	requireReason(t, err, oidc.ReasonIssuer)
	for _, tenants := range [][]string{nil, {"common"}, {"organizations"}} {
		_, err = oidc.NewProvider(presets.EntraIDMultiTenant(tenants...).Config)
		require.Error(t, err, "%q is nobody in particular", tenants)
	}
	tenants := []string{tenant}
	p := presets.EntraIDMultiTenant(tenants...)
	tenants[0] = "another"
	require.Equal(t, []string{tenant}, p.Config.Tenants)
}

// Workloads are let in by name, or not at all.
func TestWorkloadsNeedAPolicy(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]error{
		"github actions":      second(presets.GitHubActions(ci.GitHubActions{})),
		"gitlab ci":           second(presets.GitLabCI(ci.GitLab{})),
		"circleci":            second(presets.CircleCI(ci.CircleCI{})),
		"buildkite":           second(presets.Buildkite(ci.Buildkite{})),
		"no domain":           second(presets.GoogleWorkspace("")),
		"no text":             second(presets.GoogleWorkspace("exa\xffmple.com")),
		"kubernetes":          second(presets.Kubernetes(clusterIssuer)),
		"no name":             second(presets.Kubernetes(clusterIssuer, presets.ServiceAccount{Namespace: "orders"})),
		"no namespace":        second(presets.Kubernetes(clusterIssuer, presets.ServiceAccount{Name: "deployer"})),
		"two names":           second(presets.Kubernetes(clusterIssuer, presets.ServiceAccount{Namespace: "orders:default", Name: "x"})),
		"a pattern":           second(presets.Kubernetes(clusterIssuer, presets.ServiceAccount{Namespace: "orders", Name: "*"})),
		"a good one, and bad": second(presets.Kubernetes(clusterIssuer, deployer, presets.ServiceAccount{})),
	} {
		require.Error(t, got, name)
	}
}

func second(_ presets.Preset, err error) error { return err }

// Issuers of the services are the default, and what the configuration says counts.
func TestIssuersOfWorkloads(t *testing.T) {
	t.Parallel()
	must := must(t)
	own := gitHubJob
	own.Issuer = "https://git.example.com/_services/token"
	for want, p := range map[string]presets.Preset{
		ci.GitHubIssuer:  must(presets.GitHubActions(gitHubJob)),
		own.Issuer:       must(presets.GitHubActions(own)),
		ci.GitLabIssuer:  must(presets.GitLabCI(ci.GitLab{ProjectID: "20"})),
		gitLabJob.Issuer: must(presets.GitLabCI(gitLabJob)),
		"https://oidc.circleci.com/org/" + orgUUID: must(presets.CircleCI(circleCIJob)),
		ci.BuildkiteIssuer:                         must(presets.Buildkite(buildkiteJob)),
	} {
		require.Equal(t, want, p.Config.Issuer)
	}
}

// Ipsilon's access tokens are judged by its answer about them.
func TestIpsilon(t *testing.T) {
	t.Parallel()
	p := presets.Ipsilon(ipsilonIssuer)
	id, err := identity(t, p, claims.Sources{AccessToken: set(t, "ipsilon-tokeninfo"), UserInfo: set(t, "ipsilon-userinfo")})
	require.NoError(t, err)
	require.Equal(t, "ada", id.Username)
	require.Equal(t, []string{"packager", "qa"}, id.Groups)
	require.Equal(t, []string{"http://admin.fedoraproject.org/accounts/cla/fpca"}, id.Roles)
}

// Roles of one client do not count at another.
func TestKeycloakRolesOfClientsThatAreNotNamed(t *testing.T) {
	t.Parallel()
	id, err := identity(t, presets.Keycloak(keycloakIssuer, "my.app"), claims.Sources{AccessToken: set(t, "keycloak-access")})
	require.NoError(t, err)
	require.Contains(t, id.Roles, "reader")
	require.NotContains(t, id.Roles, "manage-account")
	require.Equal(t, `resource_access.my\.app.roles`, presets.KeycloakClientRoles("my.app").String())
}

func TestPresetsDoNotShareWhatTheyHold(t *testing.T) {
	t.Parallel()
	p := presets.Keycloak(keycloakIssuer)
	p.Mapping.Roles.Paths[0] = claims.P("mine").Pattern()
	require.Equal(t, "realm_access.roles", presets.Keycloak(keycloakIssuer).Mapping.Roles.Paths[0].String())
	g := presets.Google()
	g.Config.IssuerAliases[0] = "evil"
	require.Equal(t, []string{"accounts.google.com"}, presets.Google().Config.IssuerAliases)
}

func TestPresetsPrintTheIssuerAlone(t *testing.T) {
	t.Parallel()
	p := presets.Keycloak(keycloakIssuer)
	p.Config.Header = map[string][]string{"Authorization": {"planted-marker"}}
	require.Equal(t, "presets.Preset("+keycloakIssuer+")", fmt.Sprintf("%+v", p))
}
