package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	audience = "https://api.example.com"
	realm    = `Bearer realm="oidckit example"`
	metadata = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`
)

// newAPI is the API in front of a provider whose clock it shares.
func newAPI(t *testing.T, args ...string) (http.Handler, *oidctest.Provider) {
	t.Helper()
	p := oidctest.Start(t)
	cfg, err := apiflags.Parse(append([]string{"-issuer", p.Issuer(), "-audience", audience, "-public-url", "https://api.example.com"}, args...))
	require.NoError(t, err)
	cfg.Now = p.Now
	h, err := newHandler(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return h, p
}

func call(t *testing.T, h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRoutes(t *testing.T) {
	h, p := newAPI(t)
	reader := p.AccessToken("bob", audience, "reports:read")
	admin := p.AccessToken("alice", audience)
	who := func(sub, scopes, roles string) string {
		return fmt.Sprintf(`{"iss":%q,"sub":%[2]q,"username":%[2]q,"scopes":%[3]s,"roles":%[4]s}`, p.Issuer(), sub, scopes, roles)
	}
	for _, tt := range []struct {
		name, method, path, token string
		status                    int
		challenge, body           string // body is JSON for 200
	}{
		{"public", "GET", "/public", "", 200, "", `{"message":"everybody may read this"}`},
		{"public with a bad token", "GET", "/public", "x", 200, "", `{"message":"everybody may read this"}`},
		{"whoami of nobody", "GET", "/whoami", "", 401, realm + metadata, ""},
		{"whoami of bob", "GET", "/whoami", reader, 200, "", who("248289761002", `["reports:read"]`, `["user"]`)},
		{"whoami of alice", "GET", "/whoami", admin, 200, "", who("248289761001", `[]`, `["admin","user"]`)},
		{"reports for nobody", "GET", "/reports", "", 401, realm + `, scope="reports:read"` + metadata, ""},
		{"reports without the scope", "GET", "/reports", admin, 403, realm + `, error="insufficient_scope", scope="reports:read"` + metadata, ""},
		{"reports", "GET", "/reports", reader, 200, "", `{"reports":["first quarter","second quarter"]}`},
		{"admin for nobody", "POST", "/admin", "", 401, realm + metadata, ""},
		{"admin without the role", "POST", "/admin", reader, 403, realm + `, error="insufficient_scope"` + metadata, ""},
		{"admin", "POST", "/admin", admin, 200, "", `{"done":"as you say","sub":"248289761001"}`},
		{"admin by GET", "GET", "/admin", admin, 405, "", ""},
		{"another path", "GET", "/other", admin, 404, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, h, tt.method, tt.path, tt.token)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, w.Header().Get("WWW-Authenticate"))
			if tt.status == 200 {
				require.Equal(t, "application/json", w.Header().Get("Content-Type"))
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				require.JSONEq(t, tt.body, w.Body.String())
			}
		})
	}
}

func TestAttackTokens(t *testing.T) {
	h, p := newAPI(t)
	other := oidctest.Start(t)
	expired := p.AccessToken("alice", audience)
	p.Advance(7 * time.Minute)
	good := p.AccessToken("alice", audience)
	require.Equal(t, 200, call(t, h, "POST", "/admin", good).Code)
	now := p.Now().Unix()
	body := func(change ...any) map[string]any {
		m := map[string]any{
			"iss": p.Issuer(), "aud": audience, "sub": "x", "iat": now, "exp": now + 60, "client_id": "c", "jti": "j",
			"realm_access": map[string]any{"roles": []string{"admin"}},
		}
		for i := 0; i+1 < len(change); i += 2 {
			m[change[i].(string)] = change[i+1]
		}
		return m
	}
	at := map[string]any{"alg": "RS256", "typ": "at+jwt"}
	require.Equal(t, 200, call(t, h, "POST", "/admin", p.Sign(at, body())).Code)
	part := strings.Split(good, ".")
	for name, token := range map[string]string{
		"garbage":             "garbage",
		"expired":             expired,
		"foreign":             other.AccessToken("alice", audience),
		"other audience":      p.AccessToken("alice", "https://other.example"),
		"userinfo audience":   p.AccessToken("alice", ""),
		"alg none":            p.Sign(map[string]any{"alg": "none", "typ": "at+jwt"}, body()),
		"HMAC by public key":  oidctest.SignHMAC(map[string]any{"alg": "HS256", "typ": "at+jwt"}, body(), []byte("public key")),
		"other issuer":        p.Sign(at, body("iss", "https://evil.example")),
		"no audience":         p.Sign(at, body("aud", []string{})),
		"ID token by nonce":   p.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, body("nonce", "n")),
		"logout token":        p.Sign(map[string]any{"alg": "RS256", "typ": "logout+jwt"}, body()),
		"critical header":     p.Sign(map[string]any{"alg": "RS256", "typ": "at+jwt", "crit": []string{"x"}, "x": 1}, body()),
		"not yet":             p.Sign(at, body("nbf", now+3600)),
		"bound to a key":      p.Sign(at, body("cnf", map[string]any{"jkt": "x"})),
		"changed payload":     part[0] + "." + strings.Split(p.Sign(at, body()), ".")[1] + "." + part[2],
		"without a signature": part[0] + "." + part[1] + ".",
		"unknown key":         p.Sign(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "unknown"}, body()),
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range [][3]string{{"GET", "/whoami"}, {"GET", "/reports", `, scope="reports:read"`}, {"POST", "/admin"}} {
				w := call(t, h, route[0], route[1], token)
				require.Equal(t, 401, w.Code)
				require.Equal(t, realm+`, error="invalid_token"`+route[2]+metadata, w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func TestRolesClaim(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		admin      int
	}{
		{"groups", `"roles":["engineering","admins"]`, 403},
		{"resource_access.api.roles", `"roles":["admin","user"]`, 200},
		{`https://example\.com/roles`, `["admin","user"]`, 200},
		{"https://example.com/roles", "Unauthorized", 401}, // two names
		{"nowhere", "Unauthorized", 401},
		{"realm_access", `"roles":[]`, 403},
	} {
		t.Run(tt.path, func(t *testing.T) {
			h, p := newAPI(t, "-roles-claim", tt.path)
			token := p.AccessToken("alice", audience)
			require.Contains(t, call(t, h, "GET", "/whoami", token).Body.String(), tt.want)
			require.Equal(t, tt.admin, call(t, h, "POST", "/admin", token).Code)
		})
	}
}

// The defaults of the Deploy document for its REST API: the audience is the client, the
// algorithm RS256; the keys are where the metadata say.
func TestDeploy_RESTDefaults(t *testing.T) {
	cfg, err := apiflags.Parse([]string{"-issuer", "https://id.example", "-client-id", "deploy"})
	require.NoError(t, err)
	require.Equal(t, []string{"https://id.example"}, cfg.Issuers)
	require.Equal(t, []string{"deploy"}, cfg.Audiences)
	require.Equal(t, "RS256", cfg.JWSAlg)
	require.Empty(t, cfg.JWKSURI)
	require.Nil(t, cfg.SecretKey.Source)
	require.Equal(t, claims.P("sub"), cfg.UsernameClaim)
	require.Equal(t, claims.P("realm_access", "roles"), cfg.RolesClaim)
}

// Both claims must be there, and the name must be one.
func TestDeploy_UsernameAndRolesAreRequired(t *testing.T) {
	h, p := newAPI(t, "-username-claim", "preferred_username")
	for claim, want := range map[string]int{"": 200, "preferred_username": 401, "realm_access": 401} {
		p.OnAccessToken(func(_, token map[string]any) { delete(token, claim) })
		require.Equal(t, want, call(t, h, "GET", "/whoami", p.AccessToken("alice", audience)).Code, claim)
	}
	p.OnAccessToken(func(_, token map[string]any) { token["preferred_username"] = []string{"alice"} })
	require.Equal(t, 403, call(t, h, "GET", "/whoami", p.AccessToken("alice", audience)).Code)
}

// What only a started program finds out; try.sh has the others.
func TestFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"},
		{"-listen", "not an address"},
		{"-listen", "127.0.0.1:0", "-issuer", "https://id.example?x", "-audience", "x"},
		{"-listen", "127.0.0.1:0", "-issuer", "https://id.example", "-audience", "x", "-public-url", "https://api.example?x"},
		{"-listen", "127.0.0.1:0", "-issuer", "https://id.example", "-audience", "x", "-jws-alg", "HS256", "-secret-key", "short"},
	} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			capture(t, &os.Stderr)
			capture(t, &os.Stdout)
			require.Error(t, run(t.Context(), args))
		})
	}
}

// capture gives what is written to a file of the process until it is called.
func capture(t *testing.T, file **os.File) (read func() string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	before := *file
	*file = f
	t.Cleanup(func() { *file = before; _ = f.Close() })
	return func() string {
		text, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		return string(text)
	}
}

// The program as it is started, and the curl lines that it prints.
func TestProgram(t *testing.T) {
	printed := capture(t, &os.Stdout)
	ctx, cancel := context.WithCancel(t.Context())
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-listen", addr}) }()
	// The last line is printed before the program serves; connections wait until then.
	require.Eventually(t, func() bool { return strings.Count(printed(), "curl ") == 6 }, 20*time.Second, 10*time.Millisecond)

	want := []int{200, 401, 200, 200, 403, 200}
	for line := range strings.SplitSeq(printed(), "\n") {
		args, ok := strings.CutPrefix(line, "curl -i ")
		if !ok {
			continue
		}
		method, token := http.MethodGet, ""
		if rest, ok := strings.CutPrefix(args, "-X POST "); ok {
			method, args = http.MethodPost, rest
		}
		if rest, ok := strings.CutPrefix(args, "-H 'Authorization: "); ok {
			token, args, _ = strings.Cut(rest, "' ")
		}
		r, err := http.NewRequestWithContext(t.Context(), method, args, http.NoBody)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want[0], res.StatusCode, method+" "+args)
		want = want[1:]
	}
	require.Empty(t, want)
	cancel()
	require.NoError(t, <-done)
}
