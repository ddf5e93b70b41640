package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// deployFile is the sample, with another issuer and more lines of oidc.
func deployFile(t *testing.T, p *oidctest.Provider, more ...string) string {
	t.Helper()
	text, err := os.ReadFile("deploy-oidc.yaml")
	require.NoError(t, err)
	changed := strings.Replace(string(text), "http://127.0.0.1:9000", p.Issuer(), 1)
	for _, line := range more {
		changed = strings.Replace(changed, "        scopes:", "        "+line+"\n        scopes:", 1)
	}
	return write(t, t.TempDir(), changed)
}

const deployAudience = "https://deploy.example.com/api"

func newDeploy(t *testing.T, more ...string) (http.Handler, *oidctest.Provider) {
	t.Helper()
	p := oidctest.Start(t)
	cfg := mustParse(t, "-config", deployFile(t, p, more...), "-public-url", "https://api.example.com")
	cfg.Now = p.Now
	h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return h, p
}

// The REST API of the sample: username and roles of the token are those of the file, and
// both must be there.
func TestDeploy_Routes(t *testing.T) {
	h, p := newDeploy(t)
	alice, bob := p.AccessToken("alice", deployAudience), p.AccessToken("bob", deployAudience, "reports:read")
	require.Equal(t, 200, call(t, h, "GET", "/public", "").Code)
	who := call(t, h, "GET", "/whoami", alice)
	require.Equal(t, 200, who.Code)
	require.JSONEq(t, `{"iss":"`+p.Issuer()+`","sub":"248289761001","username":"alice","scopes":[],"roles":["admin","user"]}`, who.Body.String())
	require.Equal(t, 200, call(t, h, "POST", "/admin", alice).Code)
	require.Equal(t, 403, call(t, h, "POST", "/admin", bob).Code)
	require.Equal(t, 200, call(t, h, "GET", "/reports", bob).Code)
	require.Equal(t, 401, call(t, h, "GET", "/whoami", "").Code)
	require.Equal(t, 401, call(t, h, "GET", "/whoami", p.AccessToken("alice", "client")).Code, "the audience of the file")
	require.Contains(t, call(t, h, "GET", "/.well-known/oauth-protected-resource", "").Body.String(), `"authorization_servers":["`+p.Issuer()+`"]`)
	require.Equal(t, 200, call(t, h, "GET", "/readyz", "").Code)
	for _, claim := range []string{"preferred_username", "realm_access"} {
		p.OnAccessToken(func(_, token map[string]any) { delete(token, claim) })
		require.Equal(t, 401, call(t, h, "GET", "/whoami", p.AccessToken("alice", deployAudience)).Code, claim)
	}
}

// Discovery may be out of reach, where the keys are given.
func TestDeploy_Ready(t *testing.T) {
	p := oidctest.Start(t)
	p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500})
	for line, want := range map[string]int{"# nothing": 503, "keyRetrievalUri: " + p.Issuer() + "/jwks": 200} {
		cfg := mustParse(t, "-config", deployFile(t, p, line), "-public-url", "https://api.example.com")
		cfg.Now = p.Now
		h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.Equal(t, want, call(t, h, "GET", "/readyz", "").Code, line)
		require.Equal(t, want, call(t, h, "GET", "/whoami", p.AccessToken("alice", deployAudience)).Code)
		require.Equal(t, 200, call(t, h, "GET", "/healthz", "").Code)
	}
}

// The routes may be those of a file too; their roles are at rolesClaimName.
func TestDeploy_WithRoutes(t *testing.T) {
	p := oidctest.Start(t)
	file := deployFile(t, p)
	cfg := mustParse(t, "-config", file, "-routes", routesFile(t, "routes: [{method: POST, path: /deploy, roles: [admin]}]"), "-public-url", "https://api.example.com")
	cfg.Now = p.Now
	h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, 200, call(t, h, "POST", "/deploy", p.AccessToken("alice", deployAudience)).Code)
	require.Equal(t, 403, call(t, h, "POST", "/deploy", p.AccessToken("bob", deployAudience)).Code)
	_, err = apiflags.Parse([]string{"-config", file, "-routes", routesFile(t, "roles_from: [userinfo.groups]\nroutes: [{method: GET, path: /a}]")})
	require.ErrorContains(t, err, "-routes has roles_from, and -config has rolesClaimName: leave roles_from out")
}

// What the file decides is no flag beside it.
func TestDeploy_FlagsBesideTheFile(t *testing.T) {
	p := oidctest.Start(t)
	file := deployFile(t, p)
	for flag, value := range map[string]string{
		"-issuer": "https://id.example", "-audience": "x", "-jwks-uri": "https://id.example/keys", "-jws-alg": "RS256", "-secret-key": "x",
		"-username-claim": "sub", "-roles-claim": "groups", "-introspection-url": "https://id.example/i", "-userinfo-url": "https://id.example/u",
		"-client-id": "x", "-client-secret": "x", "-client-auth-method": "client_secret_post",
	} {
		capture(t, &os.Stderr)
		_, err := apiflags.Parse([]string{"-config", file, flag, value})
		require.EqualError(t, err, flag+" is what -config decides: leave the flag out, and write it into the file")
	}
	for _, args := range [][]string{{"-listen", "127.0.0.1:0"}, {"-public-url", "https://api.example.com"}, {"-require-dpop"}, {"-check"}} {
		mustParse(t, append([]string{"-config", file}, args...)...)
	}
	_, err := apiflags.Parse([]string{"-config", "nowhere.yaml"})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = apiflags.Parse([]string{"-config", deployFile(t, p, "issuerr: x")})
	require.ErrorContains(t, err, "issuerr: is not known: did you mean issuer?")
	_, err = apiflags.Parse([]string{"-check"})
	require.ErrorContains(t, err, "add -config")
}

func TestDeploy_Check(t *testing.T) {
	p := oidctest.Start(t)
	printed := capture(t, &os.Stdout)
	require.NoError(t, run(t.Context(), []string{"-config", deployFile(t, p), "-check"}))
	require.Regexp(t, `(?m)^access-token\.audience +https://deploy\.example\.com/api +ok$`, printed())
	require.Regexp(t, `(?m)^keys +1 usable +ok$`, printed())
	require.NotContains(t, printed(), oidctest.ClientSecret)

	p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	err := run(t.Context(), []string{"-config", deployFile(t, p), "-check"})
	require.ErrorContains(t, err, "are wrong, see the table")
}

// A userinfo endpoint that is not where the metadata say.
func TestFedora_UserInfoElsewhere(t *testing.T) {
	var provider atomic.Pointer[oidctest.Provider]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.Load().ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	file := routesFile(t, "roles_from: [userinfo.groups]\nroutes:\n- {method: POST, path: /roles, roles: [packager]}\n")
	h, p := newFedora(t, file, "-userinfo-url", front.URL+"/userinfo")
	provider.Store(p)
	p.OnAnswer(oidctest.Discovery, func(m map[string]any) { m["userinfo_endpoint"] = nowhere(t) })
	require.Equal(t, 200, call(t, h, "POST", "/roles", p.AccessToken("alice", "", "openid")).Code)
}
