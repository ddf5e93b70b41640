package oidc_test

import (
	"cmp"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// A demander is a server that asks for proofs of DPoP, and checks them: a token endpoint
// at the path /token, an API elsewhere.
type demander struct {
	t     testing.TB
	nonce string // that a proof must have; empty is none
	offer string // the nonce of answers; empty is none
	never bool   // no proof is good enough
	form  string // of the challenge; empty is the right one
	code  int    // of the answer to a good request; 0 is 200

	mu     sync.Mutex
	proofs []proof
	bodies []string
	tokens []string // Authorization
	jtis   map[any]bool
}

func (d *demander) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := readProof(d.t, r.Header)
	body, err := io.ReadAll(r.Body)
	require.NoError(d.t, err)
	d.proofs, d.bodies, d.tokens = append(d.proofs, p), append(d.bodies, string(body)), append(d.tokens, r.Header.Get("Authorization"))
	require.False(d.t, d.jtis[p.claims["jti"]], "a proof was sent twice")
	if d.jtis == nil {
		d.jtis = map[any]bool{}
	}
	d.jtis[p.claims["jti"]] = true
	require.Equal(d.t, r.Method, p.claims["htm"])
	require.Equal(d.t, "https://"+hostOf(r.Host)+cmp.Or(r.URL.Path, "/"), p.claims["htu"])
	d.checkToken(r, p)
	if d.offer != "" {
		w.Header().Set("DPoP-Nonce", d.offer)
	}
	nonce, _ := p.claims["nonce"].(string)
	switch {
	case d.never || nonce != d.nonce:
		d.refuse(w, r)
	case r.URL.Path == "/token":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"access","token_type":"DPoP","refresh_token":"next","expires_in":60}`)
	case d.code != 0:
		w.WriteHeader(d.code)
	}
}

// checkToken: "ath" goes with the token, and is of it.
func (d *demander) checkToken(r *http.Request, p proof) {
	if r.URL.Path == "/token" {
		require.NotContains(d.t, p.claims, "ath")
		return
	}
	hash := sha256.Sum256([]byte("access"))
	require.Equal(d.t, base64.RawURLEncoding.EncodeToString(hash[:]), p.claims["ath"])
	require.Equal(d.t, "DPoP access", r.Header.Get("Authorization"))
}

// refuse: 400 and JSON at a token endpoint (section 8), 401 and a challenge at an API (section 9).
func (d *demander) refuse(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
		return
	}
	form := d.form
	if form == "" {
		form = `Bearer, DPoP error="use_dpop_nonce", algs="ES256"`
	}
	w.Header().Set("WWW-Authenticate", form)
	w.WriteHeader(http.StatusUnauthorized)
}

// hostOf returns the one spelling of a host on https.
func hostOf(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

// hosts answers by the name of the host, in this process.
type hosts map[string]http.Handler

func (h hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	served := req.Clone(req.Context())
	served.Host = req.URL.Host
	if req.Host != "" {
		served.Host = req.Host
	}
	if served.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	h[hostOf(req.URL.Host)].ServeHTTP(w, served)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// proving makes a public client that proves its key, at a token endpoint on id.example.
func proving(t testing.TB, d *oidc.DPoP, h hosts, configure ...func(*oidc.Config)) *oidc.Client {
	t.Helper()
	cfg := oidc.Config{
		Metadata: &discovery.Metadata{
			Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/jwks",
			UserInfoEndpoint: issuer + "/userinfo",
		},
		HTTPClient: &http.Client{Transport: h},
	}
	for _, f := range configure {
		f(&cfg)
	}
	p, err := oidc.NewProvider(cfg)
	require.NoError(t, err)
	c, err := oidc.NewClient(p, oidc.ClientConfig{ClientID: "public", DPoP: d})
	require.NoError(t, err)
	return c
}

// stored are tokens of a login before.
func stored() *oidc.Tokens {
	return &oidc.Tokens{OAuth2: &oauth2.Token{AccessToken: "old", TokenType: "DPoP", RefreshToken: "refresh"}}
}

var bound = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "access", TokenType: "DPoP"})

// apiClient makes a client of the API on api.example.
func apiClient(t testing.TB, c *oidc.Client, h hosts, configure ...func(*oidc.APITransportConfig)) *http.Client {
	t.Helper()
	cfg := oidc.APITransportConfig{Source: bound, Allowed: []string{api}, Base: h}
	for _, f := range configure {
		f(&cfg)
	}
	rt, err := c.APITransport(cfg)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

func get(t testing.TB, c *http.Client, target string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return resp, err
}

// P01: a token that lost its type is sent with a proof by a client that makes them.
func TestP01_UserInfoWithoutItsType(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	seen, use := record(op)
	client := newClient(t, newProvider(t, op, use), func(cfg *oidc.ClientConfig) {
		cfg.DPoP = newDPoP(t, ecKey(t, elliptic.P256()), func(d *oidc.DPoPConfig) { d.Now = op.Now })
	})
	tokens := mustLogin(t, op, client)
	tokens.OAuth2.TokenType = ""
	_, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	requests, _ := seen.sent(oidctest.UserInfo)
	require.Len(t, requests, 1)
	require.Equal(t, "DPoP "+tokens.OAuth2.AccessToken, requests[0].Header.Get("Authorization"))
	require.Len(t, requests[0].Header.Values("DPoP"), 1)
}
