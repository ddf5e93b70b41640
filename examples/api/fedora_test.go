package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/examples/internal/routes"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const claDone = "http://admin.fedoraproject.org/accounts/cla/done"

// newFedora is the API with the routes of a file, in front of a provider like Ipsilon.
func newFedora(t *testing.T, file string, args ...string) (http.Handler, *oidctest.Provider) {
	t.Helper()
	p := oidctest.Start(t, func(c *oidctest.Config) {
		c.OpaqueAccessTokens = true
		client := oidctest.DefaultClient()
		client.AuthMethod = "client_secret_post"
		c.Clients = []oidctest.Client{client}
	})
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = oidctest.ClientID })
	p.OnUserInfo(func(info map[string]any) {
		info["groups"], info["cla"] = []string{"packager", "fedora-contributor"}, []string{claDone}
	})
	cfg, err := apiflags.Parse(append([]string{
		"-issuer", p.Issuer(), "-introspection-url", p.Issuer() + "/introspect", "-client-id", oidctest.ClientID,
		"-client-secret", "file:" + write(t, t.TempDir(), oidctest.ClientSecret), "-client-auth-method", "client_secret_post",
		"-audience", "another-client", "-audience", oidctest.ClientID, "-username-claim", "username", "-routes", file,
		"-public-url", "https://api.example.com",
	}, args...))
	require.NoError(t, err)
	cfg.Now = p.Now
	h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return h, p
}

func routesFile(t *testing.T, text string) string { return write(t, t.TempDir(), text) }

// The tables of the document: each scope opens its routes, and no other one does.
func TestFedora_Scopes(t *testing.T) {
	h, p := newFedora(t, "fedora.yaml")
	table, err := routes.Read("fedora.yaml")
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/fedora-scopes.txt")
	require.NoError(t, err)
	all := strings.Fields(string(golden))
	require.Len(t, all, 45)
	require.ElementsMatch(t, all, table.Scopes())

	for _, r := range table.Routes {
		if r.NeedsRoles() {
			continue
		}
		t.Run(r.Pattern(), func(t *testing.T) {
			needs, path := slices.Concat(r.Scopes, r.ScopesAny), example(r.Path)
			require.Equal(t, 200, call(t, h, r.Method, path, p.AccessToken("alice", "", needs...)).Code)
			others := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(needs, s) })
			res := call(t, h, r.Method, path, p.AccessToken("alice", "", others...))
			require.Equal(t, 403, res.Code)
			asked := needs
			if len(r.ScopesAny) > 0 {
				asked = r.ScopesAny[:1]
			}
			require.Equal(t, realm+`, error="insufficient_scope", scope="`+strings.Join(asked, " ")+`"`+metadata, res.Header().Get("WWW-Authenticate"))
		})
	}
	require.JSONEq(t, `["`+strings.Join(table.Scopes(), `","`)+`"]`, member(t, call(t, h, "GET", "/.well-known/oauth-protected-resource", "").Body.String(), "scopes_supported"))
}

// Scopes are compared exactly: neither a part of one, nor one in another place or case.
func TestFedora_ScopesAreComparedExactly(t *testing.T) {
	h, p := newFedora(t, routesFile(t, "namespaces: {pagure: 'https://pagure.io/oidc/'}\nroutes:\n"+
		"- {method: POST, path: /all, scopes: [pagure:issue_create, openid]}\n- {method: POST, path: /any, scopes_any: [pagure:issue_create, https://pagure.io/oidc/issue_update]}\n"))
	const create, update = "https://pagure.io/oidc/issue_create", "https://pagure.io/oidc/issue_update"
	for _, tt := range []struct {
		scopes   string
		all, any int
	}{
		{create + " openid", 200, 200}, {"openid " + create + " x", 200, 200}, {create, 403, 200}, {"openid", 403, 403}, {update, 403, 200},
		{"openid " + update, 403, 200}, {"openid pagure:issue_create", 403, 403}, {"openid issue_create", 403, 403},
		{"openid https://pagure.io/oidc/", 403, 403}, {"openid https://pagure.io/oidc/issue", 403, 403}, {"openid " + create + "/", 403, 403},
		{"openid " + create + "_x", 403, 403}, {"openid HTTPS://pagure.io/oidc/issue_create", 403, 403},
		{"openid https://pagure.io/oidc//issue_create", 403, 403}, {"openid http://pagure.io/oidc/issue_create", 403, 403},
	} {
		token := p.AccessToken("alice", "", strings.Fields(tt.scopes)...)
		require.Equal(t, tt.all, call(t, h, "POST", "/all", token).Code, tt.scopes)
		require.Equal(t, tt.any, call(t, h, "POST", "/any", token).Code, tt.scopes)
	}
	require.Zero(t, p.Requests(oidctest.UserInfo), "no route here needs it")
}

// groups and cla of userinfo are roles.
func TestFedora_Roles(t *testing.T) {
	h, p := newFedora(t, "fedora.yaml")
	const groups, cla = "https://id.fedoraproject.org/scope/groups", "https://id.fedoraproject.org/scope/cla"
	// Ipsilon has the members in userinfo whose scopes the token has.
	give := func(info map[string]any) {
		p.OnUserInfo(func(claims map[string]any) {
			delete(claims, "groups")
			maps.Copy(claims, info)
		})
	}
	for name, tt := range map[string]struct {
		info     map[string]any
		add, del int
	}{
		"packager, signed":  {map[string]any{"groups": []string{"packager"}, "cla": []string{claDone}}, 200, 403},
		"packager":          {map[string]any{"groups": []string{"packager"}, "cla": []string{}}, 403, 403},
		"signed":            {map[string]any{"groups": []string{}, "cla": []string{claDone}}, 403, 403},
		"neither":           {map[string]any{}, 403, 403},
		"any":               {map[string]any{"groups": []string{"sysadmin-main"}}, 403, 200},
		"the other of any":  {map[string]any{"groups": []string{"provenpackager"}}, 403, 200},
		"part of a name":    {map[string]any{"groups": []string{"provenpackagers", "sysadmin"}}, 403, 403},
		"another type":      {map[string]any{"groups": map[string]any{"packager": true}, "cla": []string{claDone}}, 403, 403},
		"names in one text": {map[string]any{"groups": "packager sysadmin-main", "cla": []string{claDone}}, 403, 403},
	} {
		t.Run(name, func(t *testing.T) {
			give(tt.info)
			token := p.AccessToken("alice", "", "openid", groups, cla) // another token, so that no answer is kept
			require.Equal(t, tt.add, call(t, h, "POST", "/packages", token).Code)
			require.Equal(t, tt.del, call(t, h, "DELETE", "/packages/x", token).Code)
		})
	}
	give(map[string]any{"groups": []string{"packager"}, "cla": []string{claDone}})
	who := call(t, h, "GET", "/whoami", p.AccessToken("alice", "", "openid"))
	require.Equal(t, 200, who.Code)
	require.JSONEq(t, `{"iss":"`+p.Issuer()+`","sub":"248289761001","username":"alice","scopes":["openid"],"roles":["packager","`+claDone+`"]}`, who.Body.String())
	require.Equal(t, 403, call(t, h, "POST", "/packages", p.AccessToken("alice", "", groups, cla)).Code, "a scope is missing")
}

// What the provider says, or does not say, when it is asked for userinfo.
func TestFedora_UserInfo(t *testing.T) {
	h, p := newFedora(t, routesFile(t, "roles_from: [userinfo.groups]\nroutes:\n- {method: POST, path: /roles, roles: [packager]}\n- {method: POST, path: /any}\n"))
	token := func() string { return p.AccessToken("alice", "", "openid") }
	require.Equal(t, 200, call(t, h, "POST", "/roles", token()).Code)
	for name, tt := range map[string]struct {
		fault  oidctest.Fault
		status int
	}{
		"an outage is no missing role": {oidctest.Fault{Status: 503}, 503},
		"something in front":           {oidctest.Fault{Body: "<html>", ContentType: "text/html"}, 503},
		"somebody else":                {oidctest.Fault{Body: `{"sub":"bob","groups":["packager"]}`, ContentType: "application/json"}, 401},
		"the token is not taken":       {oidctest.Fault{Status: 400, Body: `{"error":"invalid_token"}`, ContentType: "application/json"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			p.SetFault(oidctest.UserInfo, tt.fault)
			defer p.SetFault(oidctest.UserInfo, oidctest.Fault{})
			fresh := token()
			res := call(t, h, "POST", "/roles", fresh)
			require.Equal(t, tt.status, res.Code)
			require.Equal(t, tt.status == 503, res.Header().Get("Retry-After") != "")
			require.Equal(t, 200, call(t, h, "POST", "/any", fresh).Code, "which does not ask")
		})
	}
	require.Equal(t, 403, call(t, h, "POST", "/roles", p.AccessToken("alice", "", "profile")).Code, "no userinfo without openid")

	// Answers are kept for ten seconds.
	kept, asked := token(), p.Requests(oidctest.UserInfo)
	for range 3 {
		require.Equal(t, 200, call(t, h, "POST", "/roles", kept).Code)
	}
	require.Equal(t, asked+1, p.Requests(oidctest.UserInfo))
	p.OnUserInfo(func(info map[string]any) { info["groups"] = []string{} })
	p.Advance(answersMaxAge - time.Second)
	require.Equal(t, 200, call(t, h, "POST", "/roles", kept).Code)
	p.Advance(2 * time.Second)
	require.Equal(t, 403, call(t, h, "POST", "/roles", kept).Code)
}

func TestFedora_UserInfoURL(t *testing.T) {
	file := routesFile(t, "roles_from: [userinfo.groups]\nroutes:\n- {method: POST, path: /roles, roles: [packager]}\n")
	h, p := newFedora(t, file, "-userinfo-url", nowhere(t)+"/userinfo")
	require.Equal(t, 503, call(t, h, "POST", "/roles", p.AccessToken("alice", "", "openid")).Code)
	require.Zero(t, p.Requests(oidctest.UserInfo))
}

// Tokens of a client that is none of -audience are refused, and so are those that are not active.
func TestFedora_OpaqueTokens(t *testing.T) {
	h, p := newFedora(t, "fedora.yaml")
	token := p.AccessToken("alice", "", "openid", "https://fedoraproject.org/wiki/api")
	require.NotContains(t, token, ".")
	require.Equal(t, 200, call(t, h, "POST", "/wiki/api", token).Code)
	require.Equal(t, 401, call(t, h, "POST", "/wiki/api", "made-up").Code)
	require.Equal(t, 401, call(t, h, "POST", "/wiki/api", "").Code)
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = "a-client-of-strangers" })
	require.Equal(t, 401, call(t, h, "POST", "/wiki/api", p.AccessToken("alice", "", "https://fedoraproject.org/wiki/api")).Code)
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"], answer["username"] = oidctest.ClientID, nil })
	require.Equal(t, 401, call(t, h, "POST", "/wiki/api", p.AccessToken("alice", "", "https://fedoraproject.org/wiki/api")).Code, "without a username")
	p.SetFault(oidctest.Introspection, oidctest.Fault{Status: 500})
	require.Equal(t, 503, call(t, h, "POST", "/wiki/api", p.AccessToken("alice", "", "https://fedoraproject.org/wiki/api")).Code)
}

// member is one of a JSON object.
func member(t *testing.T, text, name string) string {
	t.Helper()
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &object))
	return string(object[name])
}

// Roles of access tokens, and the place of -roles-claim where the file names none.
func TestRoutes_RolesOfTokens(t *testing.T) {
	const route = "routes:\n- {method: POST, path: /do, roles: [admins]}\n"
	for text, want := range map[string]int{
		"roles_from: [access_token.groups]\n" + route:                                  200,
		"roles_from: [access_token.realm_access.roles]\n" + route:                      403,
		"roles_from: [access_token.realm_access.roles, access_token.groups]\n" + route: 200,
		"roles_from: [\"access_token.https://example\\\\.com/roles\"]\n" + route:       403,
		route: 403,
		strings.Replace(route, "admins", "admin", 1):                          200,
		strings.Replace(route, "roles: [admins]", "roles_any: [x, admin]", 1): 200,
	} {
		h, p := newAPI(t, "-routes", routesFile(t, text))
		require.Equal(t, want, call(t, h, "POST", "/do", p.AccessToken("alice", audience)).Code, text)
		require.Equal(t, 404, call(t, h, "POST", "/admin", p.AccessToken("alice", audience)).Code, "the routes are those of the file")
		require.Equal(t, 200, call(t, h, "GET", "/whoami", p.AccessToken("alice", audience)).Code)
	}
	// With roles_from, a token need not have roles; without, it must.
	for text, want := range map[string]int{"roles_from: [access_token.nowhere]\n" + route: 200, route: 401} {
		h, p := newAPI(t, "-routes", routesFile(t, text), "-roles-claim", "nowhere")
		require.Equal(t, want, call(t, h, "GET", "/whoami", p.AccessToken("alice", audience)).Code, text)
	}
	_, err := newHandler(mustParse(t, "-routes", routesFile(t, "routes: [{method: GET, path: /whoami}]"), "-issuer", "https://id.example", "-audience", "x", "-public-url", "https://api.example.com"), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "routes[0].path: ")
}

func mustParse(t *testing.T, args ...string) apiflags.Config {
	t.Helper()
	cfg, err := apiflags.Parse(args)
	require.NoError(t, err)
	return cfg
}

// Userinfo alone needs no secret.
func TestRoutes_UserInfoOfJWTs(t *testing.T) {
	p := oidctest.Start(t)
	p.OnUserInfo(func(info map[string]any) { info["team"] = []string{"green"} })
	cfg := mustParse(t, "-issuer", p.Issuer(), "-audience", p.Issuer()+"/userinfo", "-client-id", "api", "-public-url", "https://api.example.com",
		"-routes", routesFile(t, "roles_from: [userinfo.team]\nroutes: [{method: GET, path: /green, roles: [green]}, {method: GET, path: /red, roles: [red]}]"))
	cfg.Now = p.Now
	h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	token := p.AccessToken("alice", "", "openid")
	require.Equal(t, 200, call(t, h, "GET", "/green", token).Code)
	require.Equal(t, 403, call(t, h, "GET", "/red", token).Code)
}

func TestHealth(t *testing.T) {
	h, _ := newAPI(t)
	require.Equal(t, 200, call(t, h, "GET", "/healthz", "").Code)
	require.Equal(t, 200, call(t, h, "GET", "/readyz", "").Code)
	down, p := newAPI(t)
	p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	require.Equal(t, 200, call(t, down, "GET", "/healthz", "").Code)
	res := call(t, down, "GET", "/readyz", "")
	require.Equal(t, 503, res.Code)
	require.NotContains(t, res.Body.String(), p.Issuer())
}
