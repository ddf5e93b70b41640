package seeds_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const ipsilon = "https://id.fedoraproject.org/openidc"

// A scope is a line of a table of the document.
type scope struct{ namespace, id string }

// fedoraScopes reads the tables of the document.
func fedoraScopes(t *testing.T) (all []scope) {
	t.Helper()
	_, text, ok := strings.Cut(document(t, fedora), "\nStandard\n")
	require.True(t, ok)
	namespace, inTable := "", false
	for line := range strings.SplitSeq(text, "\n") {
		base, isBase := strings.CutPrefix(line, "Base namespace: ")
		id, _, isRow := strings.Cut(line, " |")
		switch {
		case isBase:
			namespace = base
		case line == "---|---|":
			inTable = true
		case inTable && isRow:
			all = append(all, scope{namespace, id})
		default:
			inTable = false
		}
	}
	require.Len(t, all, 46)
	return all
}

// endpoint is one of the document's list.
func endpoint(t *testing.T, label string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document(t, fedora), "\n- "+label+": ")
	require.True(t, ok, label)
	at, _, _ := strings.Cut(rest, "\n")
	return at
}

// startIpsilon starts a provider with the endpoints of the document, whose tokens are opaque.
func startIpsilon(t *testing.T, e *edge) *oidctest.Provider {
	t.Helper()
	p := e.provider(ipsilon, func(c *oidctest.Config) {
		c.OpaqueAccessTokens = true
		client := oidctest.DefaultClient()
		client.AuthMethod = "client_secret_post"
		c.Clients = []oidctest.Client{client}
	})
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = oidctest.ClientID })
	p.OnUserInfo(func(info map[string]any) {
		info["groups"], info["cla"] = []string{"packager"}, []string{"http://admin.fedoraproject.org/accounts/cla/done"}
	})
	places := map[string]string{}
	for label, path := range map[string]string{
		"Authorization Endpoint": "/authorize", "Token Endpoint": "/token", "UserInfo Endpoint": "/userinfo", "Token Introspection URL": "/introspect",
	} {
		places[strings.TrimPrefix(endpoint(t, label), "https://id.fedoraproject.org")] = "/openidc" + path
	}
	p.OnAnswer(oidctest.Discovery, func(m map[string]any) {
		m["userinfo_endpoint"], m["introspection_endpoint"] = endpoint(t, "UserInfo Endpoint"), endpoint(t, "Token Introspection URL")
	})
	e.host("id.fedoraproject.org", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := places[r.URL.Path]; path != "" {
			r.URL.Path = path
		}
		p.ServeHTTP(w, r)
	}))
	require.Equal(t, ipsilon+"/.well-known/openid-configuration", endpoint(t, "Configuration URL for dynamic configuration"))
	return p
}

var apiReady = regexp.MustCompile(`^The API is at (http://\S+)$`)

func startFedoraAPI(t *testing.T, e *edge, bin, routes string) (base string) {
	t.Helper()
	base, _ = e.run(apiReady, bin, "-listen", "127.0.0.1:0", "-public-url", "https://api.example.com", "-routes", routes, "-issuer", ipsilon,
		"-introspection-url", endpoint(t, "Token Introspection URL"), "-userinfo-url", endpoint(t, "UserInfo Endpoint"),
		"-client-id", oidctest.ClientID, "-client-secret", "file:"+write(t, t.TempDir(), "secret", oidctest.ClientSecret),
		"-client-auth-method", "client_secret_post", "-audience", oidctest.ClientID, "-username-claim", "username")
	return base
}

// routesOf writes a route for each scope, and a namespace for each base.
func routesOf(scopes []scope) string {
	var names []string
	routes := "roles_from: [userinfo.groups, userinfo.cla]\nroutes:\n  - {method: GET, path: /packager, scopes: [openid], roles: [packager]}\n"
	for i, s := range scopes {
		id := s.id
		if s.namespace != "" {
			if !slices.Contains(names, s.namespace) {
				names = append(names, s.namespace)
			}
			id = fmt.Sprintf("n%d:%s", slices.Index(names, s.namespace), s.id)
		}
		routes += fmt.Sprintf("  - {method: POST, path: /scope/%d, scopes: [%q]}\n", i, id)
	}
	text := "namespaces:\n"
	for i, base := range names {
		text += fmt.Sprintf("  n%d: %s\n", i, base)
	}
	return text + routes
}

// "To get the full scope to request, append the scope ID to the base namespace": a route for each scope of the tables
// takes tokens with it, and no token with all the others.
func TestFedora_Scopes(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	p := startIpsilon(t, e)
	scopes := fedoraScopes(t)
	var all []string
	for _, s := range scopes {
		all = append(all, s.namespace+s.id)
	}
	require.Contains(t, all, "https://id.fedoraproject.org/scope/groups", "the document's example")
	bin := interop.BuildExample(t, "api")
	base := startFedoraAPI(t, e, bin, write(t, t.TempDir(), "routes.yaml", routesOf(scopes)))
	call := func(method, path, token string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode, res.Header.Get("WWW-Authenticate")
	}
	for i, name := range all {
		path := fmt.Sprintf("/scope/%d", i)
		status, _ := call(http.MethodPost, path, p.AccessToken("alice", "", name))
		require.Equal(t, http.StatusOK, status, name)
		others := slices.Delete(slices.Clone(all), i, i+1)
		status, challenge := call(http.MethodPost, path, p.AccessToken("alice", "", others...))
		require.Equal(t, http.StatusForbidden, status, name)
		require.Contains(t, challenge, `error="insufficient_scope", scope="`+name+`"`)
	}
	status, _ := call(http.MethodGet, "/packager", p.AccessToken("alice", "", "openid"))
	require.Equal(t, http.StatusOK, status, "groups of userinfo are roles")
	require.Positive(t, p.Requests(oidctest.UserInfo))

	// The file that the example has says the same as the document, but for profile, which protects nothing.
	sample := startFedoraAPI(t, e, bin, "../../../examples/api/fedora.yaml")
	var metadata struct {
		Scopes []string `json:"scopes_supported"`
	}
	_, body := e.get(t.Context(), http.DefaultClient, sample+"/.well-known/oauth-protected-resource")
	require.NoError(t, json.Unmarshal(body, &metadata))
	require.ElementsMatch(t, slices.DeleteFunc(all, func(s string) bool { return s == "profile" }), metadata.Scopes)
}
