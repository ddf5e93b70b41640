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
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const audience = "https://api.example.com"

// newAPI is the API in front of a provider whose clock it shares.
func newAPI(t *testing.T, args ...string) (http.Handler, *oidctest.Provider) {
	t.Helper()
	p := oidctest.Start(t)
	cfg, err := parseFlags(append([]string{"-issuer", p.Issuer(), "-audience", audience}, args...))
	require.NoError(t, err)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: cfg.issuer, Now: p.Now})
	require.NoError(t, err)
	h, err := newHandler(cfg, provider, slog.New(slog.DiscardHandler))
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
	const realm = `Bearer realm="oidckit example"`
	who := func(sub, scopes, roles string) string {
		return fmt.Sprintf(`{"iss":%q,"sub":%q,"scopes":%s,"roles":%s}`, p.Issuer(), sub, scopes, roles)
	}
	for _, tt := range []struct {
		name, method, path, token string
		status                    int
		challenge, body           string // body is JSON for 200
	}{
		{"public", "GET", "/public", "", 200, "", `{"message":"everybody may read this"}`},
		{"public with a bad token", "GET", "/public", "x", 200, "", `{"message":"everybody may read this"}`},
		{"whoami of nobody", "GET", "/whoami", "", 401, realm, ""},
		{"whoami of bob", "GET", "/whoami", reader, 200, "", who("248289761002", `["reports:read"]`, `["user"]`)},
		{"whoami of alice", "GET", "/whoami", admin, 200, "", who("248289761001", `[]`, `["admin","user"]`)},
		{"reports for nobody", "GET", "/reports", "", 401, realm, ""},
		{"reports without the scope", "GET", "/reports", admin, 403, realm + `, error="insufficient_scope", scope="reports:read"`, ""},
		{"reports", "GET", "/reports", reader, 200, "", `{"reports":["first quarter","second quarter"]}`},
		{"admin for nobody", "POST", "/admin", "", 401, realm, ""},
		{"admin without the role", "POST", "/admin", reader, 403, realm + `, error="insufficient_scope"`, ""},
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
			for _, route := range [][2]string{{"GET", "/whoami"}, {"GET", "/reports"}, {"POST", "/admin"}} {
				w := call(t, h, route[0], route[1], token)
				require.Equal(t, 401, w.Code)
				require.Equal(t, `Bearer realm="oidckit example", error="invalid_token"`, w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func TestRolesClaim(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		admin      int
	}{
		{"groups", `["engineering","admins"]`, 403},
		{"resource_access.api.roles", `["admin","user"]`, 200},
		{`https://example\.com/roles`, `["admin","user"]`, 200},
		{"https://example.com/roles", `[]`, 403},
		{"nowhere", `[]`, 403},
		{"realm_access", `[]`, 403},
	} {
		t.Run(tt.path, func(t *testing.T) {
			h, p := newAPI(t, "-roles-claim", tt.path)
			token := p.AccessToken("alice", audience)
			require.Contains(t, call(t, h, "GET", "/whoami", token).Body.String(), `"roles":`+tt.want)
			require.Equal(t, tt.admin, call(t, h, "POST", "/admin", token).Code)
		})
	}
}

func TestFlags(t *testing.T) {
	cfg, err := parseFlags(nil)
	require.NoError(t, err)
	require.Equal(t, claims.P("realm_access", "roles"), cfg.rolesClaim)
	_, err = parseFlags([]string{"-issuer", "https://id.example"})
	require.ErrorContains(t, err, "-audience")
	for _, args := range [][]string{
		{"-issuer", "https://id.example"},
		{"-roles-claim", ""},
		{"-nonsense"},
		{"-listen", "not an address"},
		{"-listen", "127.0.0.1:0", "-issuer", "nonsense", "-audience", "x"},
		{"-listen", "127.0.0.1:0", "-issuer", "http://id.example", "-audience", "x"},
	} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			capture(t, &os.Stderr)
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
