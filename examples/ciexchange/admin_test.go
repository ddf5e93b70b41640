package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdmin_Roles(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	for _, tt := range []struct {
		name, path    string
		roles, change changes
		want          int
	}{
		{"Manager", "acme/", changes{"acme": []string{"Manager"}}, nil, 200},
		{"Owner", "acme/", changes{"acme": []string{"Owner"}}, nil, 200},
		{"both", "acme/", changes{"acme": []string{"Owner", "Manager"}}, nil, 200},
		{"one role as a string", "acme/", changes{"acme": "Manager"}, nil, 200},
		{"Member", "acme/", changes{"acme": []string{"Member"}}, nil, 403},
		{"in another case", "acme/", changes{"acme": []string{"manager", "OWNER"}}, nil, 403},
		{"no role", "acme/", changes{"acme": []string{}}, nil, 403},
		{"none anywhere", "acme/", changes{}, nil, 403},
		{"of another organization", "globex/", changes{"acme": []string{"Manager", "Owner"}}, nil, 403},
		{"of an organization that is not there", "nowhere/", changes{"acme": []string{"Manager"}}, nil, 403},
		{"for an organization that is not there", "nowhere/", changes{"nowhere": []string{"Manager"}}, nil, 404},
		{"for what is no name", "a.b/", changes{"a": changes{"b": "Owner"}, "a.b": "Owner"}, nil, 403},
		{"for what no database takes", "a%00b/", changes{"a\x00b": "Owner"}, nil, 403},
		{"no claim", "acme/", changes{}, changes{"organizations": nil}, 403},
		{"for somebody else", "acme/", changes{"acme": []string{"Manager"}}, changes{"aud": "https://other.example"}, 401},
		{"expired", "acme/", changes{"acme": []string{"Manager"}}, changes{"exp": r.ci.Now().Unix() - 61}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.send(t, "GET", "/v1/orgs/"+tt.path, "", "Authorization", "Bearer "+r.manager(tt.roles, tt.change))
			require.Equal(t, tt.want, a.status, a.body)
		})
	}
	require.Equal(t, 401, r.send(t, "GET", "/v1/orgs/acme/", "").status)
	// Tokens of jobs, and ours, are of no manager.
	require.Equal(t, 401, r.send(t, "GET", "/v1/orgs/acme/", "", "Authorization", "Bearer "+r.job(t, changes{"aud": r.base, "organizations": changes{"acme": "Owner"}})).status)
	require.Equal(t, 401, r.send(t, "GET", "/v1/orgs/acme/", "", "Authorization", "Bearer "+r.good(t, "acme", "github-service", r.job(t, ours))).status)
	require.Equal(t, 401, r.send(t, "GET", "/v1/orgs/acme/", "", "X-Api-Key", r.manager(changes{"acme": "Owner"}, nil)).status)
	// Who manages one organization changes nothing in another.
	for _, request := range [][2]string{{"PUT", "services/x"}, {"DELETE", "services/x"}, {"PUT", "openid-connect/x"}, {"DELETE", "openid-connect/x"}} {
		require.Equal(t, 403, r.admin(t, request[0], "globex/"+request[1], "{}", "If-Match", "x").status)
		require.Equal(t, 401, r.send(t, request[0], "/v1/orgs/acme/"+request[1], "{}").status)
	}
}

// The settings of admin in the file.
func TestAdmin_Settings(t *testing.T) {
	t.Parallel()
	const organizations = "organizations: {acme: {service_accounts: [a]}, b.c: {}}\n"
	get := func(r *rig, token string) int {
		return r.send(t, "GET", "/v1/orgs/acme/", "", "Authorization", "Bearer "+token).status
	}
	base := strings.ReplaceAll(organizations, ", b.c: {}", "")
	r := start(t, base)
	require.Equal(t, 404, get(r, r.manager(changes{"acme": "Owner"}, nil))) // no admin, no routes

	r = start(t, base+"admin: {issuer: CI, audience: https://api.example}")
	require.Equal(t, 401, get(r, r.manager(changes{"acme": "Owner"}, nil)))
	require.Equal(t, 200, get(r, r.manager(changes{"acme": "Owner"}, changes{"aud": "https://api.example"})))

	r = start(t, base+"admin: {issuer: CI, roles: 'resource_access.{ACCOUNT}.roles'}")
	require.Equal(t, 403, get(r, r.manager(changes{"acme": "Owner"}, nil)))
	require.Equal(t, 200, get(r, r.manager(nil, changes{"resource_access": changes{"acme": changes{"roles": []string{"Owner"}}}})))

	untyped := func(r *rig) string {
		now := r.ci.Now().Unix()
		return r.ci.Sign(changes{"typ": "JWT"}, changes{"iss": r.ci.Issuer(), "sub": "ada", "aud": r.base, "exp": now + 60, "organizations": changes{"acme": "Owner"}})
	}
	r = start(t, base+"admin: {issuer: CI}")
	require.Equal(t, 401, get(r, untyped(r)))
	r = start(t, base+"admin: {issuer: CI, insecure_allow_untyped: true}")
	require.Equal(t, 200, get(r, untyped(r)))
}

func TestAdmin_ChangesCountAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	const name = "GitHub Actions, another one"
	token := func() string { return r.job(t, changes{"aud": "x", "environment": "production"}) }
	r.bad(t, "acme", "new-bot", token(), "reason=policy")

	require.Equal(t, 200, r.change(t, "PUT", "services/new-bot", "").status)
	require.Equal(t, 1, strings.Count(r.change(t, "PUT", "services/new-bot", "").body, "new-bot")) // it is there
	p := provide(t, r.ci.Issuer(), changes{"audience": "x", "claims": changes{"environment": "production"}, "service_accounts": []string{"new-bot"}})
	a := r.change(t, "PUT", named(name), p)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, r.log.last(), "sub=ada")
	r.good(t, "acme", "new-bot", token())
	require.Contains(t, r.admin(t, "GET", "acme/", "").body, name)

	// Replaced, not merged.
	require.Equal(t, 200, r.change(t, "PUT", named(name), provide(t, r.ci.Issuer(), changes{"service_accounts": []string{"new-bot"}})).status)
	r.bad(t, "acme", "new-bot", token(), "reason=policy")
	r.good(t, "acme", "new-bot", r.job(t, ours))
	require.Equal(t, 1, strings.Count(r.admin(t, "GET", "acme/", "").body, name))

	require.Equal(t, 200, r.change(t, "DELETE", named(name), "").status)
	r.bad(t, "acme", "new-bot", r.job(t, ours), "reason=policy")
	require.Equal(t, 404, r.change(t, "DELETE", named(name), "").status)
	require.Equal(t, 404, r.change(t, "DELETE", "services/nobody", "").status)
}

func TestAdmin_WhoChangesHasSeen(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	seen := r.admin(t, "GET", "acme/", "").header.Get("ETag")
	require.NotEmpty(t, seen)
	first := r.admin(t, "PUT", "acme/services/one", "", "If-Match", seen)
	require.Equal(t, 200, first.status)
	second := r.admin(t, "PUT", "acme/services/two", "", "If-Match", seen)
	require.Equal(t, 412, second.status)
	require.Contains(t, second.member(t, "detail"), "GET it again")
	require.Equal(t, 200, r.admin(t, "PUT", "acme/services/two", "", "If-Match", first.header.Get("ETag")).status)
	for _, request := range [][2]string{{"PUT", "services/x"}, {"DELETE", "services/two"}, {"PUT", named("x")}, {"DELETE", named("GitHub Actions")}} {
		require.Equal(t, 428, r.admin(t, request[0], "acme/"+request[1], provide(t, r.ci.Issuer(), nil)).status)
		require.Equal(t, 412, r.admin(t, request[0], "acme/"+request[1], provide(t, r.ci.Issuer(), nil), "If-Match", "*").status)
		require.Equal(t, 412, r.admin(t, request[0], "acme/"+request[1], provide(t, r.ci.Issuer(), nil), "If-Match", seen).status)
	}
	require.NotContains(t, r.admin(t, "GET", "acme/", "").body, `"x"`)
}

func TestAdmin_Problems(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	for _, tt := range []struct{ name, method, path, body, want string }{
		{"account of a provider", "DELETE", "services/github-service", "", `providers[0].service_accounts: "github-service" is none of the organization`},
		{"account without a name", "PUT", "services/No%20Name", "", `"No Name" is no name: write up to 63 of a-z`},
		{"no body", "PUT", named("p"), "", "write one JSON object"},
		{"no JSON", "PUT", named("p"), "name: p", "write one JSON object"},
		{"a member twice", "PUT", named("p"), `{"url":"https://a.example","url":"https://b.example"}`, "write one JSON object, with each member once"},
		{"unknown member", "PUT", named("p"), provide(t, "https://ci.example", changes{"clams": changes{}}), "clams: is not known: did you mean claims?"},
		{"another type", "PUT", named("p"), provide(t, "https://ci.example", changes{"service_accounts": "github-service"}), "service_accounts: is a string: write a list"},
		{"another name", "PUT", named("p"), provide(t, "https://ci.example", changes{"name": "q"}), "name: is not the one in the URL"},
		{"unknown account", "PUT", named("p"), provide(t, "https://ci.example", changes{"service_accounts": []string{"nobody"}}), `providers[1].service_accounts: "nobody" is none of the organization: create it first, or write one of github-service, deploy-bot`},
		{"no account", "PUT", named("p"), provide(t, "https://ci.example", changes{"service_accounts": nil}), "service_accounts: is empty"},
		{"T01 no claims", "PUT", named("p"), provide(t, "https://token.actions.githubusercontent.com", changes{"claims": nil}), "force: true"},
		{"too long", "PUT", named("p"), provide(t, "https://ci.example", changes{"audience": strings.Repeat("a", 64<<10)}), "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.change(t, tt.method, tt.path, tt.body)
			require.Equal(t, 400, a.status, a.body)
			require.Contains(t, a.member(t, "detail"), tt.want)
		})
	}
}

// A provider that is replaced keeps its place: the first that fits decides.
func TestAdmin_PlacesStay(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	require.Equal(t, 200, r.change(t, "PUT", named("second"), provide(t, r.ci.Issuer(), nil)).status)
	require.Equal(t, 200, r.change(t, "PUT", named("GitHub Actions"), provide(t, r.ci.Issuer(), nil)).status)
	r.good(t, "acme", "github-service", r.job(t, ours))
	require.Contains(t, r.log.last(), `rule="GitHub Actions"`)
}

func TestAdmin_FirstAnAccount(t *testing.T) {
	t.Parallel()
	r := start(t, "organizations: {acme: {}}\nadmin: {issuer: CI}")
	a := r.change(t, "PUT", named("p"), provide(t, r.ci.Issuer(), nil))
	require.Equal(t, 400, a.status)
	require.Contains(t, a.body, "OIDC provider settings can only be configured if there is at least one service account")
	require.Equal(t, 200, r.change(t, "PUT", "services/github-service", "").status)
	require.Equal(t, 200, r.change(t, "PUT", named("p"), provide(t, r.ci.Issuer(), nil)).status)
}

func TestT01_ForcedProvidersAreSaidAloud(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	a := r.change(t, "PUT", named("p"), provide(t, "https://token.actions.githubusercontent.com", changes{"claims": nil, "force": true}))
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, "strangers can satisfy them")
	require.Contains(t, r.log.last(), "strangers can satisfy them")
	// One without any condition takes whatever the issuer signs.
	a = r.change(t, "PUT", named("q"), provide(t, r.ci.Issuer(), changes{"claims": nil, "audience": nil, "force": true, "service_accounts": []string{"deploy-bot"}}))
	require.Equal(t, 200, a.status, a.body)
	r.good(t, "acme", "deploy-bot", r.job(t, changes{"repository_owner": "evil"}))
}

func TestAdmin_Warnings(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	a := r.change(t, "PUT", named("p"), provide(t, "https://token.actions.githubusercontent.com", nil))
	require.Equal(t, 200, a.status, a.body)
	var answer struct{ Warnings []string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &answer))
	require.Contains(t, strings.Join(answer.Warnings, "\n"), "p: warning: claims: the policy knows its owner by a name")
}
