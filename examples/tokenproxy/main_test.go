package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/tokenproxy/proxy"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// start runs the program until the test ends, and returns its address and what it prints.
func start(t *testing.T, args ...string) (base, printed string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	out, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	before := os.Stdout
	os.Stdout = out
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, append([]string{"-listen", addr}, args...)) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		os.Stdout = before
		_ = out.Close()
	})
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(out.Name())
		printed = string(text)
		return strings.Contains(printed, "The proxy is at") || len(done) > 0
	}, 20*time.Second, 10*time.Millisecond)
	return "http://" + addr, printed
}

func get(t *testing.T, target string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(text)
}

// The program as it is started, and the curl lines that it prints.
func TestProgram(t *testing.T) {
	base, printed := start(t)
	_, set := get(t, base+"/.well-known/jwks.json")
	lines := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(printed, -1)
	require.Len(t, lines, 4)
	for i, alg := range map[int]string{2: "RS256", 3: "ES256"} {
		payload, err := jwks.VerifyCompact([]byte(set), shell(t, nil, lines[i]), alg)
		require.NoError(t, err)
		var c map[string]any
		require.NoError(t, json.Unmarshal(payload, &c))
		require.Equal(t, []any{base, "project_path:acme/app:ref_type:branch:ref:main", "main", nil}, []any{c["iss"], c["sub"], c["ref"], c["project_id"]})
	}
	require.JSONEq(t, set, shell(t, nil, lines[1]))
	require.Contains(t, shell(t, nil, lines[0]), base)
}

func shell(t *testing.T, env []string, line string) string {
	t.Helper()
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TRIED: it needs %s, which is not installed", program)
		}
	}
	command := exec.CommandContext(t.Context(), "bash", "-ec", "set -o pipefail\n"+line)
	command.Env = append(append(os.Environ(), "no_proxy=127.0.0.1"), env...)
	out, err := command.Output()
	require.NoError(t, err, line)
	return string(out)
}

// The step of a CI job as the document has it, token without quotes and all.
const documentedStep = `
PUBLIC_ID_TOKEN_FOR_AWS=$(curl
      https://oidc-proxy.example.com/token
      -X POST
      -H 'Content-Type: application/json'
      -H 'Accept: application/jwt'
      --data "{\"token\": $PRIVATE_ID_TOKEN_FOR_AWS}")
`

func TestConfig(t *testing.T) {
	upstream, dir := oidctest.Start(t), t.TempDir()
	for _, name := range []string{"keys.json", "site.ini"} {
		text, err := os.ReadFile("example/" + name)
		require.NoError(t, err)
		changed := strings.NewReplacer("upstream_jwks_uri = https://gitlab.internal/oauth/discovery/keys\n", "", "https://gitlab.internal", upstream.Issuer()).Replace(string(text))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o600))
	}
	base, _ := start(t, "-config", filepath.Join(dir, "site.ini"))
	now := time.Now().Unix()
	token := upstream.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, map[string]any{
		"iss": upstream.Issuer(), "sub": "s", "aud": "https://sts.amazonaws.com", "iat": now, "exp": now + 300, "namespace_id": "7", "ref_protected": "true", "ref": "main",
	})
	step := strings.ReplaceAll(strings.Join(strings.Fields(documentedStep), " "), "https://oidc-proxy.example.com", base)
	minted := shell(t, []string{"PRIVATE_ID_TOKEN_FOR_AWS=" + token}, step+"\nprintf %s \"$PUBLIC_ID_TOKEN_FOR_AWS\"")
	_, set := get(t, base+"/.well-known/jwks.json")
	_, err := jwks.VerifyCompact([]byte(set), minted, "RS256")
	require.NoError(t, err)

	for _, name := range []string{"site.ini", "site.yaml"} {
		s, err := proxy.ReadFile("example/" + name)
		require.NoError(t, err)
		_, err = proxy.New(s)
		require.NoError(t, err, name)
		other, err := proxy.ReadFile("example/site.ini")
		require.NoError(t, err)
		require.Equal(t, other.ExtraRequestHeaders, s.ExtraRequestHeaders)
		require.Equal(t, other.SigningKeyIDs, s.SigningKeyIDs)
		require.Equal(t, other.CloneUpstreamClaims, s.CloneUpstreamClaims)
	}
}

// The curl lines of README.md, and its list of settings.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	base, printed := start(t)
	token := "TOKEN=" + regexp.MustCompile(`"token": "([^"]+)"`).FindStringSubmatch(printed)[1]
	lines := regexp.MustCompile(`(?m)^curl `).FindAllString(string(text), -1)
	tried := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(string(text), "\\\n", ""), "\n") {
		if strings.HasPrefix(line, "curl ") {
			out := shell(t, []string{token}, strings.ReplaceAll(line+" -f -s", "http://127.0.0.1:8082", base))
			require.NotEmpty(t, out, line)
			tried++
		}
	}
	require.Equal(t, 6, tried)
	require.Len(t, lines, tried)
	of := reflect.TypeFor[proxy.Settings]()
	for i := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(i).Tag.Get("setting"), ","); name != "" {
			require.Contains(t, string(text), "| `"+name+"` |")
		}
	}
}

// Everybody may ask how the program fares, and learns nothing about issuers.
func TestT29_HealthTellsNothing(t *testing.T) {
	upstream, dir := oidctest.Start(t), t.TempDir()
	keys, err := os.ReadFile("example/keys.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.json"), keys, 0o600))
	path := filepath.Join(dir, "site.yaml")
	require.NoError(t, os.WriteFile(path, []byte("jwks_file: keys.json\nsigning_key_ids: {ES256: 7695e425-1109-4ee2-ac1f-dc3d6ed9fe94}\nupstream_issuer: "+upstream.Issuer()+"\n"), 0o600))
	upstream.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	base, _ := start(t, "-config", path)
	status, body := get(t, base+"/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)
	status, body = get(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready\n", body)
	upstream.SetFault(oidctest.JWKS, oidctest.Fault{})
	require.Eventually(t, func() bool { status, body = get(t, base+"/readyz"); return status == http.StatusOK }, 20*time.Second, 100*time.Millisecond)
	require.Equal(t, "ok\n", body)
}

func TestRun_Refuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "site.ini")
	require.NoError(t, os.WriteFile(path, []byte("[app:main]\njwks_file = keys.json\n"), 0o600))
	for want, args := range map[string][]string{
		`"x" is no flag`:                     {"x"},
		"-listen: ":                          {"-listen", "nowhere:x"},
		"site.ini: jwks_file: ":              nil,
		"no such file":                       {"-config", filepath.Join(dir, "nothing.ini")},
		"site.ini: signing_key_ids: it is m": {"-config", path},
	} {
		if args == nil {
			args = []string{"-config", filepath.Join(dir, "other", "site.ini")}
			require.NoError(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
			require.NoError(t, os.WriteFile(args[1], []byte("upstream_issuer = https://a.example\n"), 0o600))
		}
		require.ErrorContains(t, run(t.Context(), append([]string{"-listen", "127.0.0.1:0"}, args...)), want)
	}
}
