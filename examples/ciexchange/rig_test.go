package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A rig is an exchange with a CI service and an issuer of managers, which share a clock.
type rig struct {
	*server
	handler http.Handler
	base    string
	ci      *oidctest.Provider
	log     *logBuffer
}

// basic is a file with one provider, CI stands for whose issuer.
const basic = `
organizations:
  acme:
    service_accounts: [github-service, deploy-bot]
    providers:
      - name: GitHub Actions
        url: CI
        audience: https://github.com/acme
        claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}
        service_accounts: [github-service]
  globex:
    service_accounts: [github-service]
admin: {issuer: CI}
`

func start(t *testing.T, file string, configure ...func(*options)) *rig {
	t.Helper()
	return startWith(t, oidctest.Start(t), file, configure...)
}

func startWith(t *testing.T, ci *oidctest.Provider, file string, configure ...func(*options)) *rig {
	t.Helper()
	r := &rig{ci: ci, log: &logBuffer{}}
	web := httptest.NewUnstartedServer(nil)
	r.base = "http://" + web.Listener.Addr().String()
	o := options{publicURL: r.base, database: ":memory:", now: ci.Now, logger: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, f := range configure {
		f(&o)
	}
	cfg, err := readSettings("exchange.yaml", []byte(strings.ReplaceAll(file, "CI", ci.Issuer())), o.force)
	require.NoError(t, err)
	r.server, err = newServer(t.Context(), cfg, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	r.handler, err = r.server.handler()
	require.NoError(t, err)
	web.Config.Handler = r.handler
	web.Start()
	t.Cleanup(web.Close)
	return r
}

// A logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// last returns the last line that was written.
func (b *logBuffer) last() string {
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	return lines[len(lines)-1]
}

type changes = map[string]any

// job is the token of a CI service, as trial.json has it, with changes; nil leaves a claim out.
func job(t *testing.T, p *oidctest.Provider, service string, change changes) string {
	t.Helper()
	var services map[string]map[string]any
	require.NoError(t, json.Unmarshal(trialClaims, &services))
	claims, now := services[service], p.Now().Unix()
	require.NotNil(t, claims)
	maps.Copy(claims, changes{"iss": p.Issuer(), "jti": rand.Text(), "iat": now, "nbf": now, "exp": now + 300})
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p.Sign(map[string]any{"typ": "JWT"}, claims)
}

const circleCI = "circleci/org/3fa85f64-5717-4562-b3fc-2c963f66afa6"

func (r *rig) job(t *testing.T, change changes) string {
	t.Helper()
	return job(t, r.ci, "github-actions", change)
}

// An answered request.
type answered struct {
	status int
	header http.Header
	body   string
}

func (a answered) member(t *testing.T, name string) string {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &members), a.body)
	return fmt.Sprint(members[name])
}

// send sends a request, with headers in pairs.
func (r *rig) send(t *testing.T, method, path, body string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.base+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answered{res.StatusCode, res.Header, string(text)}
}

const jsonType = "application/json"

func requestBody(token, account string) string {
	body, _ := json.Marshal(map[string]string{"oidc_token": token, "service_slug": account})
	return string(body)
}

func (r *rig) exchange(t *testing.T, organization, account, token string) answered {
	t.Helper()
	return r.send(t, "POST", "/openid/"+organization+"/", requestBody(token, account), "Content-Type", jsonType)
}

// good exchanges a token, and returns the new one.
func (r *rig) good(t *testing.T, organization, account, token string) string {
	t.Helper()
	a := r.exchange(t, organization, account, token)
	require.Equal(t, 200, a.status, "%s\n%s", a.body, r.log.last())
	return a.member(t, "token")
}

// bad checks that a token is refused, and that the log says why, which the answer does not.
func (r *rig) bad(t *testing.T, organization, account, token, why string) {
	t.Helper()
	a := r.exchange(t, organization, account, token)
	require.Equal(t, 401, a.status, a.body)
	require.Equal(t, "The token could not be exchanged.", a.member(t, "detail"))
	require.Contains(t, r.log.last(), "correlation_id="+a.member(t, "correlation_id"))
	require.Contains(t, r.log.last(), why)
	require.NotContains(t, r.log.String(), token)
}

// payload reads a token that somebody else has verified.
func payload(t *testing.T, token string) claims.Set {
	t.Helper()
	part := strings.Split(token, ".")
	require.Len(t, part, 3)
	set, err := claims.Parse(decodeBase64(t, part[1]))
	require.NoError(t, err)
	return set
}

// manager is a token with roles in organizations.
func (r *rig) manager(roles changes, change changes) string {
	now := r.ci.Now().Unix()
	claims := changes{"iss": r.ci.Issuer(), "sub": "ada", "aud": r.base, "client_id": "cli", "jti": rand.Text(), "iat": now, "exp": now + 300, "organizations": roles}
	maps.Copy(claims, change)
	return r.ci.Sign(map[string]any{"typ": "at+jwt"}, claims)
}

// admin sends a request of a manager of acme.
func (r *rig) admin(t *testing.T, method, path, body string, header ...string) answered {
	t.Helper()
	token := r.manager(changes{"acme": []string{"Manager"}}, nil)
	return r.send(t, method, "/v1/orgs/"+path, body, append(header, "Authorization", "Bearer "+token)...)
}

// change is a PUT or DELETE by somebody who has seen what is there.
func (r *rig) change(t *testing.T, method, path, body string) answered {
	t.Helper()
	seen := r.admin(t, "GET", "acme/", "")
	require.Equal(t, 200, seen.status, seen.body)
	return r.admin(t, method, "acme/"+path, body, "If-Match", seen.header.Get("ETag"))
}

func provide(t *testing.T, url string, change changes) string {
	t.Helper()
	p := changes{"url": url, "audience": "https://github.com/acme", "claims": changes{"repository_owner": "acme"}, "service_accounts": []string{"github-service"}}
	maps.Copy(p, change)
	maps.DeleteFunc(p, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(p)
	require.NoError(t, err)
	return string(text)
}

func named(name string) string { return "openid-connect/" + url.PathEscape(name) }
