package main

import (
	"context"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var discard = slog.New(slog.DiscardHandler)

// The trial's minting takes what is JSON only.
func TestTrial_BadParameters(t *testing.T) {
	t.Parallel()
	h, err := newTrial("http://127.0.0.1:8084", "https://exchange.example")
	require.NoError(t, err)
	for query, want := range map[string]int{"organizations=%7B": 400, "organizations=": 400, "oidc.circleci.com/ssh-rerun=x": 400, "organizations=%7B%7D": 200, "ref=%7B": 200} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/mint/github-actions?"+query, nil))
		require.Equal(t, want, w.Code, query)
	}
}

func TestFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good, bad := write("good.yaml", example), write("bad.yaml", "organization: {}")
	open := write("open.yaml", strings.Replace(example, "claims:", "#", 1))
	keys := write("keys.yaml", example+"\n")
	require.NoError(t, os.WriteFile(keys, []byte(strings.Replace(example, "ttl: 90m", "ttl: 90m, keys: "+bad, 1)), 0o600))
	admin := write("admin.yaml", example+"admin: {issuer: http://id.example}")
	header := write("header.yaml", example+"client_header: X Real IP")
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"flag provided but not defined", []string{"-nonsense"}},
		{`"trial" is no flag: write -name value`, []string{"trial"}},
		{"-listen: ", []string{"-listen", "not an address"}},
		{"write a free host:port, such as 127.0.0.1:8083", []string{"-listen", taken.Addr().String()}},
		{"-trial-listen: ", []string{"-trial-listen", taken.Addr().String()}},
		{"hands tokens to everybody: write an address of loopback", []string{"-trial-listen", "0.0.0.0:0"}},
		{"-config: ", []string{"-config", filepath.Join(dir, "none.yaml")}},
		{bad + ": organization: is not known: did you mean organizations?", []string{"-config", bad}},
		{open + ": organizations.acme.providers[0].claims: ", []string{"-config", open}},
		{keys + ": token.keys: ", []string{"-config", keys}},
		{admin + ": admin.issuer: ", []string{"-config", admin, "-database", ":memory:"}},
		{header + ": client_header: ", []string{"-config", header, "-database", ":memory:"}},
		{"-public-url: ", []string{"-config", good, "-public-url", "http://exchange.example", "-database", ":memory:"}},
		{"-public-url: ", []string{"-config", good, "-public-url", "exchange.example", "-database", ":memory:"}},
		{"-public-url: ", []string{"-config", good, "-public-url", "https://exchange.example/", "-database", ":memory:"}},
		{"-database: ", []string{"-config", good, "-database", filepath.Join(dir, "no", "such", "place.db")}},
		{"-database: ", []string{"-config", good, "-database", "postgres://nobody:a-secret-password@127.0.0.1:1/x"}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			capture(t, &os.Stdout)
			capture(t, &os.Stderr)
			args := tt.args
			if args[0] != "-listen" {
				args = append([]string{"-listen", "127.0.0.1:0"}, args...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // one that starts ends well, which is wrong
			defer cancel()
			err := run(ctx, args)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "a-secret-password")
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

// program starts main with a free port in place of each 0, and returns where it is. It ends
// with the test, and must end well.
func program(t *testing.T, args ...string) (base, trial, printed string, log func() string) {
	t.Helper()
	out, errs := capture(t, &os.Stdout), capture(t, &os.Stderr)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"-listen", "127.0.0.1:0", "-trial-listen", "127.0.0.1:0"}, args...))
	}()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	where := regexp.MustCompile(`The exchange is at (\S+)`)
	require.Eventually(t, func() bool { return where.MatchString(out()) || len(done) > 0 }, 20*time.Second, 10*time.Millisecond)
	require.Empty(t, done, errs())
	base = where.FindStringSubmatch(out())[1]
	if m := regexp.MustCompile(`Its CI services are at (\S+)\.`).FindStringSubmatch(out()); m != nil {
		trial = m[1]
	}
	return base, trial, out(), errs
}

// bash runs a script, and returns what it prints.
func bash(t *testing.T, script string, env ...string) string {
	t.Helper()
	for _, name := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	command.Env = append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	return string(out)
}

func TestProgram_PrintedLines(t *testing.T) {
	_, _, printed, _ := program(t)
	_, lines, ok := strings.Cut(printed, "Try:\n")
	require.True(t, ok)
	lines, _, _ = strings.Cut(lines, "The exchange is at")
	require.Contains(t, bash(t, lines), `"slug": "github-service"`)
}

// Each block of the README that is marked as sh runs against the trial, and what it says
// comes of it comes.
func TestProgram_README(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	base, trial, _, _ := program(t)
	file := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	cfg, err := readSettings("README.md", file[1], false)
	require.NoError(t, err)
	cfg.Token.Keys = ""
	s, err := newServer(t.Context(), cfg, options{publicURL: "https://exchange.example", database: ":memory:", logger: discard})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:\n```(?:json|text)\n(.*?)\n```)?").FindAllStringSubmatch(string(readme), -1)
	require.GreaterOrEqual(t, len(blocks), 6)
	replace := strings.NewReplacer("http://127.0.0.1:8083", base, "http://127.0.0.1:8084", trial)
	before := ""
	for _, block := range blocks {
		before += replace.Replace(block[1]) // later blocks use variables of earlier ones
		out := bash(t, before)
		require.Contains(t, out, replace.Replace(block[2]), before)
	}
}

// The program with a file, a database and a public URL.
func TestProgram_Config(t *testing.T) {
	dir := t.TempDir()
	file, database := filepath.Join(dir, "exchange.yaml"), filepath.Join(dir, "exchange.db")
	keys := filepath.Join(dir, "keys.json")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(example, "ttl: 90m", "ttl: 90m, keys: "+keys, 1)), 0o600))
	base, _, _, log := program(t, "-config", file, "-database", database, "-public-url", "https://exchange.example")
	require.Equal(t, "https://exchange.example", base)
	require.FileExists(t, database)
	info, err := os.Stat(keys)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.Contains(t, log(), "the organization is added from the file")
	require.NotContains(t, log(), "token.keys is not set")
}

func TestProgram_Force(t *testing.T) {
	file := filepath.Join(t.TempDir(), "exchange.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(example, "claims:", "#", 1)), 0o600))
	_, _, _, log := program(t, "-config", file, "-database", ":memory:", "-force")
	require.Contains(t, log(), "strangers can satisfy them")
}

// The examples of the document run as they are written there, but for the names in braces:
// curl finds api.cloudsmith.io here.
func TestSeed_Snippets(t *testing.T) {
	_, trial, _, _ := program(t)
	cfg, err := readSettings("trial.yaml", []byte(strings.ReplaceAll(trialConfig, "{TRIAL}", trial)+"private_issuers: true"), false)
	require.NoError(t, err)
	s, err := newServer(t.Context(), cfg, options{publicURL: "https://api.cloudsmith.io", database: ":memory:", logger: discard})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	handler, err := s.handler()
	require.NoError(t, err)
	web := httptest.NewTLSServer(handler)
	defer web.Close()

	home := t.TempDir()
	rc := "insecure\nconnect-to = \"api.cloudsmith.io:443:" + web.Listener.Addr().String() + "\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(home, ".curlrc"), []byte(rc), 0o600))
	run := func(script string, env ...string) string {
		script = strings.NewReplacer("{ACCOUNT}", "acme", "{SERVICE_SLUG}", "circleci-service").Replace(script)
		return bash(t, script, append(env, "CURL_HOME="+home)...)
	}
	github, err := os.ReadFile("testdata/github-actions.sh")
	require.NoError(t, err)
	// What GitHub sets for a job: the URL has a query already.
	out := run(string(github), "ACTIONS_ID_TOKEN_REQUEST_TOKEN=anything", "ACTIONS_ID_TOKEN_REQUEST_URL="+trial+"/mint/github-actions?api-version=2.0")
	require.Regexp(t, `OIDC token from Cloudsmith: eyJ[\w-]+\.[\w-]+\.[\w-]+\n$`, out)
	_, minted, _ := strings.Cut(out, "OIDC token from Cloudsmith: ")

	// The quotes of the CircleCI example do not match, and bash refuses it.
	circle, err := os.ReadFile("testdata/circleci.sh")
	require.NoError(t, err)
	require.Error(t, exec.CommandContext(t.Context(), "bash", "-n", "-c", string(circle)).Run())
	circleToken := strings.TrimSpace(bash(t, "curl -sS "+trial+"/mint/circleci | jq -r .value"))
	out = run(strings.Replace(string(circle), `{SERVICE_SLUG}"}"`, `{SERVICE_SLUG}\"}"`, 1), "CIRCLE_OIDC_TOKEN_V2="+circleToken)
	require.Regexp(t, `OIDC token from Cloudsmith: eyJ[\w-]+\.[\w-]+\.[\w-]+\n$`, out)

	// "X-Api-Key header", as the document spells it.
	out = run(`curl -sS -H "X-Api-Key:Bearer $OIDC_TOKEN" https://api.cloudsmith.io/v1/user/self/`, "OIDC_TOKEN="+strings.TrimSpace(minted))
	require.Contains(t, out, `"name": "github-service"`)

	// Orbs that are in use look for the token without jq.
	out = run(`curl -sS -X POST -H "Content-Type: application/json" -d "{\"oidc_token\":\"$TOKEN\",\"service_slug\":\"circleci-service\"}" https://api.cloudsmith.io/openid/acme/ | grep -o '"token": "[^"]*' | grep -o '[^"]*$'`, "TOKEN="+circleToken)
	require.Regexp(t, `^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$`, out)
}

// A file of keys is read again, and never written over.
func TestKeys(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "keys.json")
	_, err := keySource(name, discard)
	require.NoError(t, err)
	made, err := os.ReadFile(name)
	require.NoError(t, err)
	_, err = keySource(name, discard)
	require.NoError(t, err)
	again, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, made, again)
	require.Contains(t, string(made), `"alg":"ES256"`)
}
