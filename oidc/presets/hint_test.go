package presets_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/presets"
)

// A failing case is what goes wrong with a provider's tokens, and a word of the hint that belongs to it.
type failing struct {
	preset presets.Preset
	err    error
	raw    string
	word   string
}

func refusal(reason oidc.Reason, claim string) error {
	return &oidc.Error{Reason: reason, Claim: claim}
}

// Every hint of every preset has a failure that it is for: those of the verifiers with a real token, where there is one.
func TestHints(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must := must(t)
	var cases []failing
	say := func(p presets.Preset, err error, raw, word string) {
		t.Helper()
		require.Error(t, err)
		cases = append(cases, failing{p, err, raw, word})
	}
	access := func(p presets.Preset, file string, change changes, audience, word string) {
		t.Helper()
		raw := r.token(t, file, change)
		_, err := r.access(t, p, raw, audience)
		say(p, err, raw, word)
	}
	mapped := func(p presets.Preset, from claims.Sources, word string) {
		t.Helper()
		_, err := identity(t, p, from)
		say(p, err, "", word)
	}
	just := func(p presets.Preset, reason oidc.Reason, claim, word string) {
		t.Helper()
		say(p, refusal(reason, claim), "", word)
	}
	missing := func(p presets.Preset, claim, word string) {
		t.Helper()
		say(p, &claims.Error{Claim: claim, Reason: claims.Missing}, "", word)
	}

	keycloak := presets.Keycloak(keycloakIssuer, "orders-api")
	access(keycloak, "keycloak-access", changes{"aud": "account"}, "orders-api", "audience mapper")
	access(keycloak, "keycloak-access", changes{"aud": nil}, "orders-api", "audience mapper")
	access(keycloak, "keycloak-id", nil, "webshop", "ID token")
	access(keycloak, "keycloak-access", changes{"iss": "http://keycloak:8080/realms/shop"}, "orders-api", "hostname")
	access(keycloak, "keycloak-access", changes{"sub": nil}, "orders-api", `"basic"`)
	access(keycloak, "keycloak-access", changes{"nonce": "n"}, "orders-api", "Nonce backwards compatible")
	mapped(presets.Keycloak(keycloakIssuer), claims.Sources{IDToken: set(t, "keycloak-id")}, `"roles"`)
	missing(keycloak, "resource_access.orders-api.roles", `"roles"`)
	missing(keycloak, "groups", "Group Membership")
	just(keycloak, oidc.ReasonClaim, "groups", "Group Membership")

	org, custom := presets.OktaOrg(oktaIssuer), presets.OktaCustom(oktaIssuer+"/oauth2/default")
	access(org, "okta-org-access", nil, oktaIssuer, "custom authorization server")
	say(org, refusal(oidc.ReasonType, "typ"), encode(`{"typ":"application/okta-internal-at+jwt","alg":"RS256"}`)+".e30.x", "custom authorization server")
	just(org, oidc.ReasonKey, "", "no published key")
	access(custom, "okta-custom-access", nil, "0oaexampleclient0042", "Settings → Audience")
	access(custom, "okta-org-access", nil, "api://orders", "issuer of its own")
	just(custom, oidc.ReasonKey, "", "no published key")
	for file, p := range map[string]presets.Preset{"okta-org-id": org, "okta-custom-access": custom} {
		missing(p, "groups", "groups claim")
		require.Equal(t, 100, p.Mapping.Groups.Limit)
		p.Mapping.Groups.Limit = 2
		mapped(p, claims.Sources{IDToken: set(t, file)}, "hundred")
	}

	v1, v2, many := presets.EntraIDv1(tenant), presets.EntraID(tenant), presets.EntraIDMultiTenant(tenant)
	for _, p := range []presets.Preset{v1, v2, many} {
		access(p, "entra-graph-access", nil, "api://orders", "Microsoft Graph")
		access(p, "entra-graph-access", changes{"aud": "https://graph.microsoft.com"}, "api://orders", "Microsoft Graph")
		access(p, "entra-v2-access", changes{"iss": "https://login.microsoftonline.com/another/v2.0", "ver": "3"}, "api://orders", "another tenant")
		just(p, oidc.ReasonAudience, "aud", "application id")
		just(p, oidc.ReasonKey, "", "appid=")
		just(p, oidc.ReasonSignature, "", "appid=")
		mapped(p, claims.Sources{IDToken: entraOverage(t)}, "more groups")
		missing(p, "upn", "client credentials")
		missing(p, "preferred_username", "client credentials")
		missing(p, "roles", "app roles")
		missing(p, "groups", "groups claim")
	}
	access(v1, "entra-v2-access", nil, "api://orders", "version 2.0: use")
	access(v1, "entra-graph-access", changes{"iss": v2.Config.Issuer, "ver": "2.0"}, "api://orders", "Microsoft Graph")
	access(v2, "entra-v1-access", nil, "api://orders", "requestedAccessTokenVersion")
	access(many, "entra-v1-access", nil, "api://orders", "requestedAccessTokenVersion")
	// Nobody can verify the signature: the header that was signed is another one.
	graph := r.op.SignBytes(map[string]any{"alg": "RS256", "typ": "JWT", "nonce": "n-header"}, golden(t, "entra-v1-access"))
	say(v1, refusal(oidc.ReasonSignature, ""), graph, "Microsoft Graph")

	auth0 := presets.Auth0("acme.eu.auth0.example")
	say(auth0, refusal(oidc.ReasonMalformed, ""), "c0ffee", "parameter audience")
	say(auth0, refusal(oidc.ReasonEncryption, ""), encode(`{"alg":"dir","enc":"A256GCM"}`)+"..a.b.c", "parameter audience")
	access(auth0, "auth0-access", nil, "https://orders.example.com", "last slash")
	just(auth0, oidc.ReasonAlgorithm, "", "RS256")
	access(auth0, "auth0-access", changes{"iss": "https://login.example.com/"}, "https://orders.example.com/", "custom domain")
	missing(auth0, "permissions", "Enable RBAC")
	just(auth0, oidc.ReasonClaim, `https://example\.com/roles`, "namespace")

	google := must(presets.GoogleWorkspace("example.com"))
	say(google, refusal(oidc.ReasonMalformed, ""), "ya29.a0example", "opaque")
	say(google, refusal(oidc.ReasonMalformed, ""), "ya29."+encode(`{"alg":"RS256"}`)+".e30", "opaque")
	say(google, refusal(oidc.ReasonMalformed, ""), "a.b.c", "opaque")
	_, err := r.id(t, google, r.token(t, "google-id", changes{"hd": "evil.example"}), googleClient, "n-example-google")
	say(google, err, "", "Workspace")
	_, err = r.id(t, google, r.token(t, "google-id", nil), "another client", "n-example-google")
	say(google, err, "", "web, Android and iOS")
	missing(google, "email", "scope email")

	cognito := presets.Cognito("eu-central-1", "eu-central-1_example")
	access(cognito, "cognito-access", nil, "https://orders.example.com", "no aud")
	access(cognito, "cognito-id", nil, cognitoClient, "ID token")
	missing(cognito, "cognito:groups", "in no group")
	missing(cognito, "username", "client credentials")

	adfs := presets.ADFS("https://adfs.example.com/adfs")
	access(adfs, "adfs-access", changes{"aud": "urn:microsoft:userinfo"}, "https://orders.example.com", "parameter resource")
	access(adfs, "adfs-access", nil, "https://orders.example.com", "microsoft:identityserver:")
	access(adfs, "adfs-access", changes{"iss": "http://sts.example.com/adfs/services/trust"}, "https://orders.example.com", "IssuerAliases")
	access(adfs, "adfs-access", changes{"sub": nil}, "microsoft:identityserver:https://orders.example.com", "Name ID")
	missing(adfs, "upn", "allatclaims")

	gitlab := presets.GitLab("https://gitlab.example.com")
	say(gitlab, refusal(oidc.ReasonMalformed, ""), "c0ffee", "opaque")
	mapped(gitlab, claims.Sources{IDToken: set(t, "gitlab-id")}, "userinfo")

	const registry = "https://registry.example.com"
	gitLabCI := must(presets.GitLabCI(gitLabJob))
	access(gitLabCI, "gitlab-ci", nil, registry, "id_tokens")
	access(gitLabCI, "gitlab-ci", changes{"iss": "gitlab.example.com"}, registry, "https:// included")
	access(gitLabCI, "gitlab-ci", changes{"ref_protected": "false"}, "https://vault.example.com", "not protected")
	actions := must(presets.GitHubActions(gitHubJob))
	access(actions, "github-actions", changes{"aud": "https://github.com/acme-org", "iat": nil}, registry, "core.getIDToken")
	access(actions, "github-actions", changes{"iss": "https://git.example.com/_services/token"}, registry, "enterprise")
	access(actions, "github-actions", changes{"environment": "test", "iat": nil}, registry, "another repository")
	access(actions, "github-actions", changes{"exp": now.Unix() - 600, "iat": nil}, registry, "minutes")
	circle := must(presets.CircleCI(circleCIJob))
	access(circle, "circleci-job", changes{"aud": orgUUID}, registry, "circleci run oidc get")
	access(circle, "circleci-job", changes{"iss": "https://oidc.circleci.com/org/" + projectUUID}, registry, "another organization")
	access(circle, "circleci-job", changes{"oidc.circleci.com/ssh-rerun": true}, registry, "again with SSH")
	buildkite := must(presets.Buildkite(buildkiteJob))
	access(buildkite, "buildkite-job", changes{"organization_id": nil}, registry, "--claim organization_id")
	access(buildkite, "buildkite-job", changes{"pipeline_id": nil}, registry, "--claim organization_id")
	access(buildkite, "buildkite-job", changes{"aud": "https://buildkite.com/acme-inc"}, registry, "--audience")
	access(buildkite, "buildkite-job", changes{"build_branch": "mine"}, registry, "another pipeline")
	just(buildkite, oidc.ReasonPolicy, "organization_id", "another pipeline")

	kubernetes := must(presets.Kubernetes(clusterIssuer, deployer))
	access(kubernetes, "kubernetes-legacy", nil, "https://orders.example.com", "token of a Secret")
	access(kubernetes, "kubernetes-serviceaccount", changes{"aud": []string{clusterIssuer}}, "https://orders.example.com", "serviceAccountToken")
	access(kubernetes, "kubernetes-serviceaccount", changes{"sub": "system:serviceaccount:orders:default"}, "https://orders.example.com", "serviceAccountName")
	access(kubernetes, "kubernetes-serviceaccount", changes{"iss": "https://oidc.eks.example"}, "https://orders.example.com", "--service-account-issuer")
	say(kubernetes, &oidckit.UnavailableError{What: "keys"}, "", "system:service-account-issuer-discovery")

	ipsilon := presets.Ipsilon(ipsilonIssuer)
	say(ipsilon, refusal(oidc.ReasonMalformed, ""), "c0ffee_Bearer", "IntrospectionVerifier")
	just(ipsilon, oidc.ReasonAudience, "aud", "the client in aud")
	just(ipsilon, oidc.ReasonIssuer, "iss", "ends with a slash")
	missing(ipsilon, "groups", "scope/groups")
	missing(ipsilon, "cla", "scope/groups")

	all, seen := map[string]bool{}, map[string]bool{}
	for _, c := range cases {
		got := c.preset.Hint(c.err, c.raw)
		require.Contains(t, got, c.word, "%v", c.err)
		seen[c.preset.Config.Issuer+got] = true
		for _, text := range c.preset.Hints() {
			all[c.preset.Config.Issuer+text] = true
		}
	}
	require.Equal(t, all, seen, "every hint is for something")
}

// entraOverage is a token with more groups than it holds, and roles.
func entraOverage(t *testing.T) claims.Set {
	t.Helper()
	text := strings.Replace(string(golden(t, "entra-v2-id-overage")), "{", `{"upn":"ada@contoso.example",`, 1)
	s, err := claims.Parse([]byte(text))
	require.NoError(t, err)
	return s
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestHintIsEmptyIfNothingIsKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw := r.token(t, "keycloak-access", nil)
	p := presets.Keycloak(keycloakIssuer)
	require.Empty(t, p.Hint(nil, raw))
	require.Empty(t, p.Hint(errors.New("another"), raw))
	require.Empty(t, p.Hint(&oidckit.UnavailableError{What: "keys"}, raw))
	require.Empty(t, p.Hint(refusal(oidc.ReasonExpired, "exp"), raw))
	require.Empty(t, presets.Preset{}.Hint(refusal(oidc.ReasonAudience, "aud"), raw))
	// What a longer token says is not looked at.
	long := r.token(t, "keycloak-id", changes{"padding": strings.Repeat("x", 16<<10)})
	require.Empty(t, p.Hint(refusal(oidc.ReasonExpired, "exp"), long))
	require.NotEmpty(t, p.Hint(refusal(oidc.ReasonExpired, "exp"), r.token(t, "keycloak-id", nil)))
}

// The token is not at fault if the provider is not there.
func TestHintsBelongToRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for file, p := range map[string]presets.Preset{
		"keycloak-id": presets.Keycloak(keycloakIssuer), "entra-graph-access": presets.EntraID(tenant), "okta-org-access": presets.OktaOrg(oktaIssuer),
		"cognito-id": presets.Cognito("eu-central-1", "eu-central-1_example"), "adfs-access": presets.ADFS("https://adfs.example.com/adfs"),
		"buildkite-job": must(t)(presets.Buildkite(buildkiteJob)),
	} {
		raw := r.token(t, file, changes{"organization_id": nil})
		if file == "adfs-access" {
			raw = r.token(t, file, changes{"aud": "urn:microsoft:userinfo"})
		}
		require.Empty(t, p.Hint(&oidckit.UnavailableError{What: "keys"}, raw), file)
	}
	kubernetes := must(t)(presets.Kubernetes(clusterIssuer, deployer))
	require.Contains(t, kubernetes.Hint(&oidckit.UnavailableError{What: "keys"}, r.token(t, "kubernetes-legacy", nil)), "discovery")
}

// Whatever the token is, the hint is one of the preset's texts.
func FuzzHintIsOneOfThePresets(f *testing.F) {
	f.Add("")
	f.Add("a.b.c")
	f.Add(encode(`{"alg":"RS256","nonce":"x"}`) + "." + encode(`{"aud":["https://graph.microsoft.com"],"typ":"ID"}`) + ".x")
	f.Add(encode(`{"alg":"dir"}`) + "....")
	f.Add(strings.Repeat("a.", 20<<10))
	all := []presets.Preset{
		presets.Keycloak(keycloakIssuer), presets.OktaOrg(oktaIssuer), presets.EntraID(tenant), presets.Auth0("a.example"),
		presets.Google(), presets.Cognito("r", "p"), presets.ADFS("https://a.example/adfs"), presets.Ipsilon(ipsilonIssuer),
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, p := range all {
			if got := p.Hint(refusal(oidc.ReasonAudience, "aud"), raw); got != "" {
				require.Contains(t, p.Hints(), got)
			}
		}
	})
}
