package routes_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/routes"
)

const whole = `namespaces:
  pagure: https://pagure.io/oidc/
  reports: "reports:"
roles_from: [userinfo.groups, access_token.realm_access.roles]
routes:
  - {method: POST, path: "/p/{project}/issue", scopes: [openid, pagure:issue_create, https://pagure.io/oidc/commit_flag]}
  - method: GET
    path: /reports
    scopes_any: [reports:read, reports:write]
    roles: [a]
    roles_any: [b, c]
`

func parse(t *testing.T, text string) *routes.Table {
	t.Helper()
	table, err := routes.Parse("routes.yaml", []byte(text))
	require.NoError(t, err)
	return table
}

func TestParse(t *testing.T) {
	t.Parallel()
	table := parse(t, whole)
	require.True(t, table.UserInfo)
	require.NotNil(t, table.RolesOf())
	require.Len(t, table.Routes, 2)
	first, second := table.Routes[0], table.Routes[1]
	require.Equal(t, "POST /p/{project}/issue", first.Pattern())
	require.Equal(t, []string{"openid", "https://pagure.io/oidc/issue_create", "https://pagure.io/oidc/commit_flag"}, first.Scopes)
	require.False(t, first.NeedsRoles())
	require.Equal(t, []string{"reports:read", "reports:write"}, second.ScopesAny)
	require.Equal(t, []string{"a"}, second.Roles)
	require.Equal(t, []string{"b", "c"}, second.RolesAny)
	require.True(t, second.NeedsRoles())
	require.Equal(t, append(append([]string{}, first.Scopes...), second.ScopesAny...), table.Scopes())

	table = parse(t, "routes: [{method: GET, path: /a}]")
	require.Nil(t, table.RolesOf())
	require.False(t, table.UserInfo)
	require.Empty(t, table.Routes[0].Requirements(nil))
	require.False(t, parse(t, "roles_from: [access_token.groups]\nroutes: [{method: GET, path: /a}]").UserInfo)
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "routes.yaml")
	_, err := routes.Read(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(whole, "pagure:issue", "pagur:issue", 1)), 0o600))
	_, err = routes.Read(path)
	require.ErrorContains(t, err, "routes.yaml:6: routes[0].scopes: pagur is no namespace: did you mean pagure?")
}

// What is wrong is said with file, line and setting, and what to write.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	const rest = "routes: [{method: GET, path: /a}]\n"
	for text, want := range map[string]string{
		"":                                        "routes.yaml:1: routes: is no list: write - {method: GET, path: /things, scopes: [read]} below it",
		"routes: []":                              "routes.yaml:1: routes: is no list",
		"routes: x":                               "routes.yaml:1: routes: is no list",
		"[a]":                                     "routes.yaml:1: : must have lines of name: value",
		"\ta":                                     "routes.yaml: this is no YAML, write lines of name: value",
		rest + "route: x":                         "routes.yaml:2: route: is not known: did you mean routes?",
		rest + "roles: [a]":                       "routes.yaml:2: roles: is not known: did you mean routes?",
		rest + rest:                               "routes.yaml:2: routes: is there twice: leave one",
		rest + "namespaces: x":                    "routes.yaml:2: namespaces: must have lines of name: value",
		rest + "namespaces: {a: https://x.test}":  "routes.yaml:2: namespaces.a: does not end where a scope ID can be appended: write https://x.test/",
		rest + "namespaces: {a: [b]}":             "routes.yaml:2: namespaces.a: must be one text: write it",
		rest + "namespaces: {a: b/, a: c/}":       "routes.yaml:2: namespaces.a: is there twice: leave one",
		rest + "roles_from: groups":               "routes.yaml:2: roles_from: must be a list with one text or more: write [a, b], or leave it out",
		rest + "roles_from: [groups.x]":           `routes.yaml:2: roles_from: "groups.x" is of no source: write userinfo.groups.x or access_token.groups.x`,
		rest + "roles_from: [groups]":             `routes.yaml:2: roles_from: "groups" has no path of a claim: write userinfo.groups`,
		rest + "roles_from: [userinfo.]":          `routes.yaml:2: roles_from: "userinfo." has no path of a claim`,
		"routes: [{path: /a}]":                    "routes.yaml:1: routes[0].method: must be one text: write it",
		"routes: [{method: GET}]":                 "routes.yaml:1: routes[0].path: must be one text: write it",
		"routes: [{method: get, path: /a}]":       "routes.yaml:1: routes[0].method: is no method: write one of GET, HEAD, POST",
		"routes: [{method: GET, path: a}]":        "routes.yaml:1: routes[0].path: does not begin with /: write /a",
		"routes:\n- {method: GET, path: /a}\n- x": "routes.yaml:3: routes[1]: must have lines of name: value",
		"routes:\n- {method: GET, path: /a, scope: [b]}":              "routes.yaml:2: routes[0].scope: is not known: did you mean scopes?",
		"routes: [{method: GET, path: /a, scopes: b}]":                "routes.yaml:1: routes[0].scopes: must be a list with one text or more",
		"routes: [{method: GET, path: /a, scopes_any: []}]":           "routes.yaml:1: routes[0].scopes_any: must be a list with one text or more",
		"routes: [{method: GET, path: /a, roles: [[b]]}]":             "routes.yaml:1: routes[0].roles: must be one text: write it",
		"routes: [{method: GET, path: /a, roles_any: ['']}]":          "routes.yaml:1: routes[0].roles_any: must be one text: write it",
		"routes: [{method: GET, path: /a, scopes: [b c]}]":            `routes.yaml:1: routes[0].scopes: "b c" has characters that no scope has`,
		"routes: [{method: GET, path: /a, scopes: ['b\"']}]":          `has characters that no scope has`,
		"routes: [{method: GET, path: /a, scopes: ['reports:read']}]": "routes.yaml:1: routes[0].scopes: reports is no namespace: write it below namespaces, as reports: https://… or, for a scope with a colon, reports: 'reports:'",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := routes.Parse("routes.yaml", []byte(text))
			require.ErrorContains(t, err, want)
		})
	}
}

func TestHandle(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	handler := func(r routes.Route) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(r.Pattern())) })
	}
	require.NoError(t, parse(t, whole).Handle(mux, handler))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/p/fedora/issue", http.NoBody))
	require.Equal(t, "POST /p/{project}/issue", w.Body.String())

	for _, path := range []string{"/reports", "/{", "/{a}{b}"} {
		table := parse(t, `routes: [{method: GET, path: "`+path+`"}]`)
		require.ErrorContains(t, table.Handle(mux, handler), "routes.yaml:1: routes[0].path: ", path)
	}
}
