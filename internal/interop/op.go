package interop

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listening is the one line of JSON with which the provider says where it is.
var listening = regexp.MustCompile(`^{"issuer":"([^"]+)","mtls":"([^"]+)"}`)

// OP is a running OpenID provider.
type OP struct {
	// Issuer is its issuer identifier, a loopback URL without a path.
	Issuer string

	// MTLS is the base URL of its HTTPS listener, for which the metadata's mtls_endpoint_aliases are. It takes
	// client certificates, and needs none.
	MTLS string

	// PKI is who vouches for that listener, for clients that authenticate with tls_client_auth, and for
	// what the provider calls over HTTPS.
	PKI *PKI

	redirectURIs []string
	process      *Process
}

// Client is one of the clients that the provider knows: of those it starts with, or one that came by [OP.Register].
type Client struct {
	ID         string `json:"client_id"`
	Secret     string `json:"client_secret"` // empty for app-public and app-key
	AuthMethod string `json:"token_endpoint_auth_method"`
	IDTokenAlg string `json:"id_token_signed_response_alg"`
}

//go:embed op/clients.json
var clientsJSON []byte

// Client returns the client with that id, as registered:
//
//   - app-basic: client_secret_basic, RS256; its secret has characters that Basic must percent-encode
//   - app-post: client_secret_post, ES256
//   - app-public: none, EdDSA
//   - app-ps: client_secret_basic, PS256
//   - app-hs: client_secret_basic, HS256
//   - app-jwt: client_secret_jwt, RS256
//   - app-key: private_key_jwt, RS256; only with [WithClientJWKS]
//   - app-machine: client_secret_basic, for the client credentials grant only
func (o *OP) Client(t testing.TB, id string) Client {
	t.Helper()
	var clients []Client
	if err := json.Unmarshal(clientsJSON, &clients); err != nil {
		t.Fatalf("op/clients.json: %v", err)
	}
	for _, client := range clients {
		if client.ID == id {
			return client
		}
	}
	t.Fatalf("op/clients.json has no client %q", id)
	return Client{}
}

// An Option changes how [StartOP] starts the provider, by what it adds to the command line.
type Option func(args []string) []string

// WithPostLogoutRedirectURIs registers where the provider may send the browser after a logout.
func WithPostLogoutRedirectURIs(uris ...string) Option {
	return func(args []string) []string {
		for _, uri := range uris {
			args = append(args, "--post-logout-redirect-uri", uri)
		}
		return args
	}
}

// WithAccessTokenTTL sets the life of access tokens, in whole seconds; 300 s without it. Those for
// https://short.test live for 2 s in any case, and those for https://expired.test are ten minutes past their end.
func WithAccessTokenTTL(ttl time.Duration) Option {
	return func(args []string) []string {
		return append(args, "--access-token-ttl", strconv.Itoa(int(ttl.Seconds())))
	}
}

// WithClientJWKS registers app-key with this JWK Set of public keys.
func WithClientJWKS(jwks []byte) Option {
	return func(args []string) []string { return append(args, "--client-jwks", string(jwks)) }
}

// WithIDTokenClaims has the provider put the claims of the scopes into every ID token. Without it they are there
// only when a resource was asked for, and at the userinfo endpoint otherwise.
func WithIDTokenClaims() Option {
	return func(args []string) []string { return append(args, "--id-token-claims") }
}

// WithDPoPNonce has the provider demand a nonce of its own in every DPoP proof (RFC 9449, section 8).
func WithDPoPNonce() Option {
	return func(args []string) []string { return append(args, "--dpop-nonce") }
}

// WithRequiredPAR has the provider take pushed authorization requests only, from every client, and say so in its metadata
// (RFC 9126, section 5).
func WithRequiredPAR() Option {
	return func(args []string) []string { return append(args, "--require-par") }
}

// WithPollInterval has the provider tell device and CIBA clients to leave that many whole seconds between two polls; 1 s
// without it.
func WithPollInterval(interval time.Duration) Option {
	return func(args []string) []string {
		return append(args, "--poll-interval", strconv.Itoa(int(interval.Seconds())))
	}
}

// WithPort has the provider listen at this port instead of a free one, as for one that comes back after an outage.
func WithPort(port int) Option {
	return func(args []string) []string { return append(args, "--port", strconv.Itoa(port)) }
}

// StartOP starts a provider on a free loopback port, with the redirect URIs registered for every client that logs
// people in, and waits until it answers. It ends with the test; when that failed, its log is shown.
func StartOP(t testing.TB, redirectURIs []string, options ...Option) *OP {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("interop: node is not installed; the provider in internal/interop/op needs Node.js 20 or later")
	}
	dir := filepath.Join(moduleDir(t), "op")
	install(t, dir)

	pki := newPKI(t)
	certificate, key, authority := pki.files(t)
	args := []string{"provider.mjs", "--tls-cert", certificate, "--tls-key", key, "--tls-ca", authority}
	for _, uri := range redirectURIs {
		args = append(args, "--redirect-uri", uri)
	}
	for _, option := range options {
		args = option(args)
	}
	process := start(t, dir, []string{"NODE_EXTRA_CA_CERTS=" + authority}, node, args...)
	said := process.Wait(listening)
	o := &OP{Issuer: said[1], MTLS: said[2], PKI: pki, redirectURIs: redirectURIs, process: process}
	o.awaitDiscovery(t)
	return o
}

// Stop ends the provider, as in an outage. A test need not call it.
func (o *OP) Stop() { o.process.Stop() }

// Rotate makes the provider sign with new keys. The old ones stay published, unless dropOld.
func (o *OP) Rotate(ctx context.Context, dropOld bool) error {
	mode := "add"
	if dropOld {
		mode = "all"
	}
	return o.control(ctx, "rotate", url.Values{"mode": {mode}}, nil)
}

// Grants returns how often a client asked the provider for tokens by each grant type. Requests that it refused are
// counted once more under that name and " refused".
func (o *OP) Grants(t testing.TB, clientID string) map[string]int {
	t.Helper()
	target := o.Issuer + "/test/grants?" + url.Values{"client_id": {clientID}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	defer res.Body.Close()
	var grants map[string]int
	if err := json.NewDecoder(res.Body).Decode(&grants); err != nil {
		t.Fatalf("interop: grants: %v", err)
	}
	return grants
}

// FinishCIBA is the user's answer on the other device to a backchannel authentication request. A client that is
// registered for the ping has had it when this returns.
func (o *OP) FinishCIBA(ctx context.Context, authReqID string, approved bool) error {
	q := url.Values{"auth_req_id": {authReqID}}
	if !approved {
		q.Set("deny", "yes")
	}
	return o.control(ctx, "ciba", q, nil)
}

// SetAccount has an account of that name beside alice and bob, with these claims.
func (o *OP) SetAccount(ctx context.Context, name string, claims map[string]any) error {
	text, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	return o.control(ctx, "account", url.Values{"name": {name}}, url.Values{"claims": {string(text)}})
}

// control asks one of the endpoints that are for tests only.
func (o *OP) control(ctx context.Context, name string, q, form url.Values) error {
	target := o.Issuer + "/test/" + name + "?" + q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096)) // what there is of it
		return fmt.Errorf("interop: %s: %s: %s", name, res.Status, text)
	}
	return nil
}

// awaitDiscovery asks for the provider's metadata until it is there.
func (o *OP) awaitDiscovery(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	for {
		err := o.discover(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("interop: the provider does not answer: %v", err)
		}
	}
}

func (o *OP) discover(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("discovery: %s", res.Status)
	}
	return nil
}

// Login visits an authorization URL as a person in a fresh browser, and returns the redirect URI with what
// the provider said to it, without visiting it. Whom to log in is up to the login_hint in the URL: alice, bob, or deny.
func (o *OP) Login(ctx context.Context, authorizationURL string) (*url.URL, error) {
	return o.NewBrowser().Authorize(ctx, authorizationURL)
}

// install runs npm ci where packages are missing or of another version than package.json says.
func install(t testing.TB, dir string) {
	t.Helper()
	// Test binaries of several packages, and several tests of one, may come here at once. Closing the file unlocks it.
	lock, err := os.Open(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("interop: lock %s: %v", lock.Name(), err)
	}

	if installed(dir) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("interop: packages are not installed, and installing them failed: %v\n%s\ntry: cd internal/interop/%s && %s",
			err, out, filepath.Base(dir), "npm ci --ignore-scripts --no-audit --no-fund")
	}
}

func installed(dir string) bool {
	var want struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if readJSON(filepath.Join(dir, "package.json"), &want) != nil {
		return false
	}
	for name, version := range want.Dependencies {
		var got struct {
			Version string `json:"version"`
		}
		err := readJSON(filepath.Join(dir, "node_modules", name, "package.json"), &got)
		if err != nil || got.Version != version {
			return false
		}
	}
	// npm writes this last.
	_, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	return err == nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// moduleDir finds this module from wherever below it a test runs.
func moduleDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "op", "provider.mjs")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("interop: not below internal/interop")
		}
		dir = parent
	}
}
