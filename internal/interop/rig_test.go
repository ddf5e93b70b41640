package interop_test

// What the tests of oidckit share. The harness's own test shares no line of it.

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

const (
	callbackURL = "http://127.0.0.1:1/callback" // nobody is there: the browser stops before it

	apiTest     = "https://api.test"
	otherTest   = "https://other.test"
	shortTest   = "https://short.test"
	expiredTest = "https://expired.test"
)

// wire counts the token requests that a client sends, and keeps the form of the last one.
type wire struct {
	tokenRequests atomic.Int32
	form          atomic.Pointer[url.Values]
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/token" {
		w.tokenRequests.Add(1)
		if err := w.keepForm(r); err != nil {
			return nil, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (w *wire) keepForm(r *http.Request) error {
	body, err := r.GetBody()
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(text))
	w.form.Store(&form)
	return err
}

// configure returns what a program would configure for a client of the provider.
func configure(t *testing.T, op *interop.OP, id string) oidc.ClientConfig {
	t.Helper()
	registered := op.Client(t, id)
	cfg := oidc.ClientConfig{
		ClientID: registered.ID, ClientSecret: clientauth.Secret(registered.Secret), RedirectURL: callbackURL,
	}
	if registered.AuthMethod == "client_secret_post" {
		// The provider supports both, the client is registered for this one.
		cfg.ClientAuth = clientauth.SecretPost(cfg.ClientSecret)
	}
	if registered.IDTokenAlg == "HS256" {
		cfg.IDTokenAlgorithms = []string{"HS256"}
	}
	return cfg
}

func newProvider(t *testing.T, cfg oidc.Config) *oidc.Provider {
	t.Helper()
	provider, err := oidc.NewProvider(cfg)
	require.NoError(t, err)
	return provider
}

func newClient(t *testing.T, op *interop.OP, cfg oidc.ClientConfig) (*oidc.Client, *wire) {
	t.Helper()
	w := &wire{}
	provider := newProvider(t, oidc.Config{Issuer: op.Issuer, HTTPClient: &http.Client{Transport: w}})
	client, err := oidc.NewClient(provider, cfg)
	require.NoError(t, err)
	return client, w
}

// begin starts a login and has the user ("alice", "bob", "deny") go to the provider; it returns what came back.
func begin(t *testing.T, op *interop.OP, client *oidc.Client, user string) (*oidc.Flow, url.Values) {
	t.Helper()
	flow, err := client.Begin(t.Context(), oidc.WithLoginHint(user))
	require.NoError(t, err)
	back, err := op.Login(t.Context(), flow.AuthorizationURL)
	require.NoError(t, err)
	return flow, back.Query()
}

func logIn(t *testing.T, op *interop.OP, client *oidc.Client, user string) *oidc.Tokens {
	t.Helper()
	flow, callback := begin(t, op, client, user)
	tokens, err := client.Finish(t.Context(), flow, callback)
	require.NoError(t, err)
	return tokens
}

// tokensFor logs user in at app-basic, for an API.
func tokensFor(t *testing.T, op *interop.OP, user, resource string, scopes ...string) *oidc.Tokens {
	t.Helper()
	cfg := configure(t, op, "app-basic")
	cfg.Resources, cfg.Scopes = []string{resource}, scopes
	client, _ := newClient(t, op, cfg)
	return logIn(t, op, client, user)
}

func accessTokenFor(t *testing.T, op *interop.OP, user, resource string, scopes ...string) string {
	t.Helper()
	return tokensFor(t, op, user, resource, scopes...).OAuth2.AccessToken
}

// api is examples/api, running.
type api struct {
	base    string
	process *interop.Process
}

var apiReady = regexp.MustCompile(`^The API is at (http://\S+)$`)

func startAPI(t *testing.T, bin, issuer, audience string) *api {
	t.Helper()
	p := interop.Run(t, bin, "-listen", "127.0.0.1:0", "-issuer", issuer, "-audience", audience)
	return &api{base: p.Wait(apiReady)[1], process: p}
}

// answer is what the API says.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), "%s", a.body)
	return v
}

func (a *api) get(t *testing.T, path, token string) answer {
	t.Helper()
	return a.call(t, http.MethodGet, path, token)
}

// call asks the API, with a bearer token unless that is empty.
func (a *api) call(t *testing.T, method, path, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.base+path, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return send(t, http.DefaultClient, req)
}

func send(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}
}

// requireRefused checks for the answer to a token that is at fault (RFC 6750 section 3.1).
func requireRefused(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusUnauthorized, a.status, "%s", a.body)
	require.Contains(t, a.header.Get("WWW-Authenticate"), `error="invalid_token"`)
	require.True(t, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer "))
}

func requireReason(t *testing.T, want oidc.Reason, err error) {
	t.Helper()
	var refusal *oidc.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, want, refusal.Reason)
}

func requireParameter(t *testing.T, want string, err error) {
	t.Helper()
	var refusal *oidc.CallbackError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, want, refusal.Parameter)
}
