package seeds_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// installed is where install.sh puts what it installs.
func installed(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	path := filepath.Join(cache, "oidckit-ci", "seeds", name)
	require.FileExists(t, path, "run: bash internal/interop/seeds/install.sh")
	return path
}

// needs fails the test where programs are missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "NOT INSTALLED: %s: bash internal/interop/seeds/install.sh says what to install", program)
	}
}

// run starts a program that knows of the edge, and waits for the line that says where it is.
func (e *edge) run(ready *regexp.Regexp, bin string, args ...string) (base string, p *interop.Process) {
	e.t.Helper()
	p = interop.Run(e.t, "/usr/bin/env", append(append(e.environment(), bin), args...)...)
	return p.Wait(ready)[1], p
}

// finish runs a program that knows of the edge to its end.
func (e *edge) finish(ctx context.Context, env []string, bin string, args ...string) (stdout, stderr string, code int) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var out, errs strings.Builder
	c := exec.CommandContext(ctx, bin, args...)
	c.Env = append(append(os.Environ(), e.environment()...), env...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(e.t, err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// bash runs a script as CI services do, and returns what it prints.
func (e *edge) bash(script string, env ...string) string {
	e.t.Helper()
	needs(e.t, "bash", "curl", "jq")
	out, errs, code := e.finish(e.t.Context(), env, "bash", "-e", "-o", "pipefail", "-c", script)
	require.Zero(e.t, code, "%s\n%s\n%s", script, out, errs)
	return out
}

// write writes a file of a test.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// provider starts an issuer by its name at the edge.
func (e *edge) provider(issuer string, change ...func(*oidctest.Config)) *oidctest.Provider {
	e.t.Helper()
	cfg := oidctest.Config{Issuer: issuer}
	for _, f := range change {
		f(&cfg)
	}
	p, err := oidctest.New(cfg)
	require.NoError(e.t, err)
	host, _, _ := strings.Cut(strings.TrimPrefix(issuer, "https://"), "/")
	e.host(host, p)
	return p
}

// job is a token of a job, good for five minutes, with these claims.
func job(p *oidctest.Provider, claims map[string]any) string {
	now := time.Now().Unix()
	all := map[string]any{"iss": p.Issuer(), "iat": now, "nbf": now, "exp": now + 300, "jti": rand.Text()}
	maps.Copy(all, claims)
	return p.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, all)
}

// payload is what a token says.
func payload(t *testing.T, token string) (c map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3, "%q is no token", token)
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &c))
	return c
}
