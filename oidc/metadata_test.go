package oidc_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// front stands before a provider in process, and has its keys at another path, its
// document at another host, or both.
type front struct {
	next  http.RoundTripper
	keys  string // path of the keys, and what the document says
	hosts []string
}

func (f *front) RoundTrip(req *http.Request) (*http.Response, error) {
	f.hosts = append(f.hosts, req.URL.Host)
	inner := req.Clone(req.Context())
	inner.URL.Host, inner.Host = "id.example", ""
	switch req.URL.Path {
	case f.keys:
		inner.URL.Path = "/jwks"
	case "/jwks":
		inner.URL.Path = "/nothing-is-here"
	}
	resp, err := f.next.RoundTrip(inner)
	if err != nil || !strings.Contains(req.URL.Path, ".well-known") {
		return resp, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	body = bytes.ReplaceAll(body, []byte(issuer+"/jwks"), []byte(issuer+f.keys))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, err
}

func behind(f *front) func(*oidc.Config) {
	return func(c *oidc.Config) {
		f.next = c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: f}
	}
}

// A jwks_uri that moved is found as soon as keys are missing where it was.
func TestK13_MovedKeysAreFound(t *testing.T) {
	op := newOP(t)
	now := start
	f := &front{keys: "/jwks"}
	verifier := newVerifier(t, newProvider(t, op, behind(f), func(c *oidc.Config) { c.Now = func() time.Time { return now } }))
	_, err := verifier.Verify(t.Context(), op.AccessToken("alice", api))
	require.NoError(t, err)

	f.keys = "/keys/of/today"
	op.Rotate()
	token := op.AccessToken("alice", api)
	for range 4 {
		now = now.Add(15 * time.Second)
		if _, err = verifier.Verify(t.Context(), token); err == nil {
			break
		}
		require.ErrorIs(t, err, oidckit.ErrUnavailable, "nothing is where the keys were")
	}
	require.NoError(t, err)
}

// Where the keys are is enough to know for an API.
func TestOverride_KeysNeedNoDiscovery(t *testing.T) {
	op := newOP(t)
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: http.StatusInternalServerError})
	verifier := newVerifier(t, newProvider(t, op, func(c *oidc.Config) { c.Override.JWKSURI = issuer + "/jwks" }))
	_, err := verifier.Verify(t.Context(), op.AccessToken("alice", api))
	require.NoError(t, err)
	require.Zero(t, op.Requests(oidctest.Discovery))
}

func TestD01_SplitHorizon(t *testing.T) {
	op := newOP(t)
	f := &front{keys: "/jwks2"}
	provider := newProvider(t, op, behind(f), func(c *oidc.Config) {
		c.DiscoveryURL = "https://op.internal.example/.well-known/openid-configuration"
		c.Rewrite = map[string]string{issuer: "https://op.internal.example"}
		c.Override.EndSessionEndpoint = "https://logout.example/"
	})
	_, err := newVerifier(t, provider).Verify(t.Context(), op.AccessToken("alice", api))
	require.NoError(t, err)
	require.Equal(t, []string{"op.internal.example", "op.internal.example"}, f.hosts)
	m, err := provider.Metadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://logout.example/", m.EndSessionEndpoint)
	require.True(t, strings.HasPrefix(m.AuthorizationEndpoint, issuer), "where the browser goes")
}

func TestNewProvider_DiscoveryOrMetadata(t *testing.T) {
	m := metadataOf(newOP(t))
	for name, cfg := range map[string]oidc.Config{
		"DiscoveryURL": {DiscoveryURL: issuer + "/x"},
		"Rewrite":      {Rewrite: map[string]string{issuer: "https://op.internal.example"}},
		"Override":     {Override: discovery.Metadata{JWKSURI: issuer + "/jwks"}},
	} {
		cfg.Metadata = &m
		_, err := oidc.NewProvider(cfg)
		require.Error(t, err, name)
	}
}

func TestD03_PublicOnly(t *testing.T) {
	cfg := oidc.Config{Issuer: "https://10.0.0.1"}
	_, err := oidc.NewProvider(cfg)
	require.NoError(t, err)
	cfg.PublicOnly = true
	_, err = oidc.NewProvider(cfg)
	require.Error(t, err)
	m := discovery.Metadata{Issuer: issuer, JWKSURI: issuer + "/jwks"}
	_, err = oidc.NewProvider(oidc.Config{Metadata: &m, PublicOnly: true, HTTPClient: newOP(t).HTTPClient()})
	require.Error(t, err, "a transport that dials by itself")
}

func TestD12_TransportIsChecked(t *testing.T) {
	_, err := oidc.NewProvider(oidc.Config{Issuer: issuer, Header: http.Header{"Transfer-Encoding": {"x"}}})
	require.Error(t, err)
}

func TestStatus(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	require.Zero(t, provider.Status().Keys.Keys)
	require.True(t, provider.Status().Metadata.LastSuccess.IsZero())
	require.NoError(t, provider.Ready(t.Context()))
	s := provider.Status()
	require.Equal(t, 1, s.Keys.Keys)
	require.True(t, s.Metadata.LastSuccess.Equal(start))
	require.Equal(t, issuer, s.Metadata.Issuer)

	m := metadataOf(op)
	static := newProvider(t, op, func(c *oidc.Config) { c.Metadata, c.Keys = &m, jwks.Static{} })
	require.Equal(t, oidc.Status{}, static.Status())
}

// Whoever configures a logger hears of keys that are left out.
func TestLoggerAndTraceReachTheKeys(t *testing.T) {
	op := newOP(t)
	op.SetFault(oidctest.JWKS, oidctest.Fault{Body: `{"keys":[{"kty":"oct","k":"` + marker + `"}]}`})
	var log bytes.Buffer
	fetches := 0
	provider := newProvider(t, op, func(c *oidc.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Trace = &jwks.Trace{FetchStart: func() { fetches++ }}
	})
	require.ErrorIs(t, provider.Ready(t.Context()), oidckit.ErrUnavailable)
	require.Equal(t, 1, fetches)
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), marker)
}

// entra answers as Entra ID does for many tenants: the metadata and the keys have the
// placeholder in place of a tenant.
type entra struct{ op *oidctest.Provider }

func (e entra) RoundTrip(req *http.Request) (*http.Response, error) {
	const keys = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
	switch req.URL.String() {
	case "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration":
		return jsonResponse(req, `{"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0","jwks_uri":"`+keys+`"}`), nil
	case keys:
		inner := req.Clone(req.Context())
		inner.URL, _ = req.URL.Parse(issuer + "/jwks")
		inner.Host = ""
		resp, err := e.op.HTTPClient().Transport.RoundTrip(inner)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return jsonResponse(req, strings.ReplaceAll(string(body), `"kty"`, `"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0","kty"`)), err
	}
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: req}, nil
}

func jsonResponse(req *http.Request, body string) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
}

// The configuration for Entra ID is that of the README.
func TestJ36_EntraThroughDiscovery(t *testing.T) {
	op := newOP(t)
	const ours, other = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
	provider, err := oidc.NewProvider(oidc.Config{
		Issuer:       "https://login.microsoftonline.com/{tenantid}/v2.0",
		DiscoveryURL: "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration",
		Tenants:      []string{ours},
		HTTPClient:   &http.Client{Transport: entra{op}}, Now: op.Now,
	})
	require.NoError(t, err)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{newVerifier(t, provider)}})
	token := func(iss, tid string) string {
		return signAccess(op, object{"iss": "https://login.microsoftonline.com/" + iss + "/v2.0", "tid": tid})
	}
	got, err := i.Verify(t.Context(), token(ours, ours))
	require.NoError(t, err)
	require.Equal(t, "https://login.microsoftonline.com/"+ours+"/v2.0", got.Issuer)
	for _, raw := range []string{token(other, other), token(ours, other), token(other, ours), token("{tenantid}", ours)} {
		_, err := i.Verify(t.Context(), raw)
		var e *oidc.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, oidc.ReasonIssuer, e.Reason)
	}
}
