package oidc_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const (
	issuer      = "https://id.example"
	redirectURL = "https://client.example/callback"
	api         = "https://api.example"

	// marker stands in everything that is secret or personal. No error may hold it.
	marker = "planted-marker"
	secret = marker + "-a-client-secret-that-is-long-enough-for-HS512-and-then-some-more"
)

// start is when all tests begin.
var start = time.Date(2031, 5, 17, 12, 0, 0, 0, time.UTC)

// newOP makes a provider in process, whose keys are cheap to make.
func newOP(t testing.TB, configure ...func(*oidctest.Config)) *oidctest.Provider {
	t.Helper()
	client := oidctest.DefaultClient()
	client.Secret = secret
	users := oidctest.DefaultUsers()
	for i := range users {
		users[i].Subject = marker + "-" + users[i].Username
		users[i].Email = marker + "@example.com"
	}
	cfg := oidctest.Config{
		Issuer: issuer, Algorithm: "ES256", Now: func() time.Time { return start },
		Clients: []oidctest.Client{client}, Users: users,
	}
	for _, f := range configure {
		f(&cfg)
	}
	op, err := oidctest.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = op.Close() })
	return op
}

func newProvider(t testing.TB, op *oidctest.Provider, configure ...func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{Issuer: op.Issuer(), HTTPClient: op.HTTPClient(), Now: op.Now}
	for _, f := range configure {
		f(&cfg)
	}
	p, err := oidc.NewProvider(cfg)
	require.NoError(t, err)
	return p
}

func clientConfig() oidc.ClientConfig {
	return oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: clientauth.Secret(secret), RedirectURL: redirectURL,
	}
}

func newClient(t testing.TB, p *oidc.Provider, configure ...func(*oidc.ClientConfig)) *oidc.Client {
	t.Helper()
	cfg := clientConfig()
	for _, f := range configure {
		f(&cfg)
	}
	c, err := oidc.NewClient(p, cfg)
	require.NoError(t, err)
	return c
}

// setup makes a provider and a client of it.
func setup(t testing.TB) (*oidctest.Provider, *oidc.Client) {
	t.Helper()
	op := newOP(t)
	return op, newClient(t, newProvider(t, op))
}

func offline(cfg *oidc.ClientConfig) { cfg.Scopes = []string{"openid", "email", "offline_access"} }

// authorize does the first half of a login.
func authorize(t testing.TB, op *oidctest.Provider, c *oidc.Client, options ...oidc.Option) (*oidc.Flow, url.Values) {
	t.Helper()
	flow, err := c.Begin(t.Context(), options...)
	require.NoError(t, err)
	callback, err := op.Login(t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(t, err)
	return flow, callback.Query()
}

// login does a whole login.
func login(t testing.TB, op *oidctest.Provider, c *oidc.Client) (*oidc.Tokens, error) {
	t.Helper()
	flow, callback := authorize(t, op, c)
	return finish(t, c, flow, callback)
}

func mustLogin(t testing.TB, op *oidctest.Provider, c *oidc.Client) *oidc.Tokens {
	t.Helper()
	tokens, err := login(t, op, c)
	require.NoError(t, err)
	require.NotNil(t, tokens)
	return tokens
}

// finish is Client.Finish, and holds for every test that there are tokens
// exactly if there is no error, and that the error tells no secret.
func finish(t testing.TB, c *oidc.Client, flow *oidc.Flow, callback url.Values) (*oidc.Tokens, error) {
	t.Helper()
	tokens, err := c.Finish(t.Context(), flow, callback)
	require.Equal(t, err == nil, tokens != nil)
	if err != nil {
		tellsNothing(t, err, callback.Get("code"), callback.Get("state"))
		if flow != nil {
			tellsNothing(t, err, secretsOf(t, flow)...)
		}
	}
	return tokens, err
}

// secretsOf returns state, nonce and verifier of a flow.
func secretsOf(t testing.TB, flow *oidc.Flow) []string {
	t.Helper()
	data, err := flow.MarshalBinary()
	require.NoError(t, err)
	var members object // of several types
	require.NoError(t, json.Unmarshal(data, &members))
	var secrets []string
	for _, name := range []string{"s", "n", "v"} {
		secret, _ := members[name].(string) // the zero flow has none
		secrets = append(secrets, secret)
	}
	return secrets
}

// tellsNothing asserts that the text of an error holds none of the secrets, and
// that it answers to one sentinel of the module at most.
func tellsNothing(t testing.TB, err error, secrets ...string) {
	t.Helper()
	for _, s := range append(secrets, marker) {
		if s != "" {
			require.NotContains(t, err.Error(), s)
		}
	}
	answers := 0
	for _, sentinel := range []error{
		oidckit.ErrInvalidToken, oidckit.ErrForbidden, oidckit.ErrUnavailable, oidckit.ErrInvalidCallback,
	} {
		if errors.Is(err, sentinel) {
			answers++
		}
	}
	require.LessOrEqual(t, answers, 1, "one thing to do about an error: %v", err)
}

// requireRefused asserts that a token was refused for the reason.
func requireRefused(t testing.TB, err error, reason oidc.Reason, claim string) {
	t.Helper()
	require.Error(t, err)
	var e *oidc.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, reason, e.Reason, "%v", err)
	require.Equal(t, claim, e.Claim, "%v", err)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken)
	tellsNothing(t, err)
}

// requireUnavailable asserts that something could not be judged.
func requireUnavailable(t testing.TB, err error) {
	t.Helper()
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.NotErrorIs(t, err, oidckit.ErrInvalidCallback)
	tellsNothing(t, err)
}

// requireCallback asserts that a callback was refused for the parameter.
func requireCallback(t testing.TB, err error, parameter string) {
	t.Helper()
	var e *oidc.CallbackError
	require.ErrorAs(t, err, &e)
	require.Equal(t, parameter, e.Parameter, "%v", err)
	require.ErrorIs(t, err, oidckit.ErrInvalidCallback)
	tellsNothing(t, err)
}

// object is a JSON object.
type object = map[string]any

// accessClaims are the claims of a right access token (RFC 9068 section 2.2).
func accessClaims(op *oidctest.Provider) object {
	now := op.Now().Unix()
	return object{
		"iss": op.Issuer(), "sub": marker + "-alice", "aud": api, "client_id": oidctest.ClientID,
		"iat": now, "exp": now + 300, "jti": "id-of-the-token", "scope": "read write", "email": marker + "@example.com",
	}
}

func newVerifier(t testing.TB, p *oidc.Provider, configure ...func(*oidc.AccessTokenConfig)) *oidc.AccessTokenVerifier {
	t.Helper()
	cfg := oidc.AccessTokenConfig{Audience: []string{api}}
	for _, f := range configure {
		f(&cfg)
	}
	v, err := oidc.NewAccessTokenVerifier(p, cfg)
	require.NoError(t, err)
	return v
}

func untyped(cfg *oidc.AccessTokenConfig) { cfg.InsecureAllowUntyped = true }

// with returns header or claims with changes; a nil value deletes a member.
func with(o object, changes object) object {
	changed := maps.Clone(o)
	for name, value := range changes {
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
	}
	return changed
}

// null is the JSON value, where nil deletes.
var null = json.RawMessage("null")

// A recorder keeps the requests that it hands on, and their forms.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []*http.Request
	form []url.Values
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	copied := req.Clone(req.Context())
	form := url.Values{}
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err == nil {
			copied.Body = body
			_ = copied.ParseForm()
			form = copied.PostForm
		}
	}
	r.mu.Lock()
	r.seen, r.form = append(r.seen, copied), append(r.form, form)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// sent returns the requests to an endpoint and their forms.
func (r *recorder) sent(e oidctest.Endpoint) (requests []*http.Request, forms []url.Values) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, req := range r.seen {
		if strings.HasSuffix(req.URL.Path, string(e)) {
			requests, forms = append(requests, req), append(forms, r.form[i])
		}
	}
	return requests, forms
}

// record puts a recorder between us and the provider.
func record(op *oidctest.Provider) (*recorder, func(*oidc.Config)) {
	r := &recorder{next: op.HTTPClient().Transport}
	return r, func(cfg *oidc.Config) { cfg.HTTPClient = &http.Client{Transport: r} }
}

// metadataOf returns the metadata of op for a test to change.
func metadataOf(op *oidctest.Provider) discovery.Metadata {
	at := func(e oidctest.Endpoint) string { return op.Issuer() + string(e) }
	return discovery.Metadata{
		Issuer: op.Issuer(), AuthorizationEndpoint: at(oidctest.Authorization), TokenEndpoint: at(oidctest.Token),
		UserInfoEndpoint: at(oidctest.UserInfo), JWKSURI: at(oidctest.JWKS), EndSessionEndpoint: at(oidctest.EndSession),
		AuthorizationResponseIssParameterSupported: true,
	}
}

func withMetadata(m discovery.Metadata) func(*oidc.Config) {
	return func(cfg *oidc.Config) { cfg.Metadata = &m }
}

// every endpoint, for outages.
var endpoints = []oidctest.Endpoint{
	oidctest.Discovery, oidctest.JWKS, oidctest.Authorization, oidctest.Token, oidctest.UserInfo, oidctest.EndSession,
}

// outages are answers that mean that somebody is not well.
func outages() map[string]oidctest.Fault {
	return map[string]oidctest.Fault{
		"500":       {Status: 500},
		"503":       {Status: 503, Body: "<h1>maintenance " + marker + "</h1>", ContentType: "text/html"},
		"429":       {Status: 429},
		"redirect":  {Status: 302},
		"oversized": {Oversized: true},
		"HTML":      {Body: "<h1>maintenance " + marker + "</h1>", ContentType: "text/html"},
		"cut JSON":  {Body: `{"access_token":"` + marker},
		"no body":   {Body: " "},
		"as HTML":   {Body: `{"access_token":"` + marker + `","token_type":"Bearer"}`, ContentType: "text/html"},
		"two cases": {Body: `{"access_token":"a","ACCESS_TOKEN":"b","token_type":"Bearer"}`},
	}
}
