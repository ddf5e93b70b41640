package oidc_test

import (
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// kept is a secret that was read once, and another one that stands there by now.
type kept struct {
	now, next clientauth.Secret
	err       error // of reading it anew
}

func (k *kept) Secret(context.Context) (clientauth.Secret, error) { return k.now, nil }

func (k *kept) Renew(context.Context) (clientauth.Secret, error) {
	if k.err == nil {
		k.now = k.next
	}
	return k.now, k.err
}

// F32: a secret that was replaced is read anew after invalid_client, once, and nothing else
// has a form sent twice.
func TestF32_SecretIsReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	refused := reply{status: 401, body: object{"error": "invalid_client"}}
	granted := reply{body: object{"access_token": "new", "token_type": "Bearer"}}
	for name, tt := range map[string]struct {
		first  reply
		second reply
		next   clientauth.Secret
		err    error
		sent   int
		ok     bool
	}{
		"replaced":              {refused, granted, "next", nil, 2, true},
		"replaced, 400":         {reply{status: 400, body: refused.body}, granted, "next", nil, 2, true},
		"the same":              {refused, granted, "first", nil, 1, false},
		"refused again":         {refused, refused, "next", nil, 2, false},
		"cannot be read":        {refused, granted, "next", errors.New("sealed"), 1, false},
		"another refusal":       {reply{status: 401, body: object{"error": "invalid_grant"}}, granted, "next", nil, 1, false},
		"an outage":             {reply{status: 503, body: refused.body}, granted, "next", nil, 1, false},
		"a page":                {reply{status: 401, kind: "text/html", body: `{"error":"invalid_client"}`}, granted, "next", nil, 1, false},
		"success that mentions": {reply{body: object{"access_token": "new", "token_type": "Bearer", "error": "invalid_client"}}, granted, "next", nil, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &standIn{replies: map[string]func(*http.Request, string) reply{"/token": inTurn(tt.first, tt.second)}}
			c := newClient(t, s.in(t, newOP(t)), func(cfg *oidc.ClientConfig) {
				cfg.ClientAuth = clientauth.SecretPost(&kept{now: "first", next: tt.next, err: tt.err})
			})
			_, err := c.ClientCredentials(t.Context())
			require.Equal(t, tt.ok, err == nil, "%v", err)
			_, bodies, _ := s.sent("/token")
			require.Len(t, bodies, tt.sent)
			require.Equal(t, "first", formOf(t, bodies[0]).Get("client_secret"))
			if tt.sent == 2 {
				require.Equal(t, "next", formOf(t, bodies[1]).Get("client_secret"))
			}
		})
	}
}

// F32: also where the method is chosen from the metadata.
func TestF32_ChosenMethodReadsItsSecretAgain(t *testing.T) {
	t.Parallel()
	s := &standIn{replies: map[string]func(*http.Request, string) reply{"/token": inTurn(
		reply{status: 401, body: object{"error": "invalid_client"}}, reply{body: object{"access_token": "new", "token_type": "Bearer"}},
	)}}
	c := newClient(t, s.in(t, newOP(t)), func(cfg *oidc.ClientConfig) {
		cfg.ClientAuth = clientauth.Auto(clientauth.Credentials{Secret: &kept{now: "first", next: "next"}})
	})
	_, err := c.ClientCredentials(t.Context())
	require.NoError(t, err)
	requests, _, _ := s.sent("/token")
	require.Len(t, requests, 2)
	for i, want := range []string{"first", "next"} {
		_, password, _ := requests[i].BasicAuth()
		require.Equal(t, want, password)
	}
}

// fickle has another secret each time that it is read anew.
type fickle struct{ read atomic.Int32 }

func (f *fickle) Secret(context.Context) (clientauth.Secret, error) {
	return clientauth.Secret(strconv.Itoa(int(f.read.Load()))), nil
}

func (f *fickle) Renew(ctx context.Context) (clientauth.Secret, error) {
	f.read.Add(1)
	return f.Secret(ctx)
}

// F32: once, however many secrets there are to try.
func TestF32_SecretIsReadAgainOnce(t *testing.T) {
	t.Parallel()
	s := &standIn{replies: map[string]func(*http.Request, string) reply{"/token": always(reply{status: 401, body: object{"error": "invalid_client"}})}}
	_, err := newClient(t, s.in(t, newOP(t)), func(cfg *oidc.ClientConfig) { cfg.ClientAuth = clientauth.SecretPost(&fickle{}) }).ClientCredentials(t.Context())
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	requests, _, _ := s.sent("/token")
	require.Len(t, requests, 2)
}

// F30: what a page says refuses no refresh token.
func TestF30_PageIsNoRefusal(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	tokens := mustLogin(t, op, newClient(t, newProvider(t, op), offline))
	s := &standIn{replies: map[string]func(*http.Request, string) reply{
		"/token": always(reply{status: 400, kind: "text/html", body: `{"error":"invalid_grant"}`}),
	}}
	_, err := newClient(t, s.in(t, op)).Refresh(t.Context(), tokens)
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Empty(t, re.Code)
	require.False(t, isRefusal(err), "%v", err)
}

// everywhere calls all endpoints at which a client proves itself, and returns their paths.
func everywhere(t *testing.T, c *oidc.Client) (paths []string) {
	t.Helper()
	_, _ = c.ClientCredentials(t.Context())
	_, _ = c.Introspect(t.Context(), "token")
	_ = c.Revoke(t.Context(), "token", "")
	_, _ = c.DeviceAuthorization(t.Context())
	_, _ = c.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{LoginHint: "alice"})
	_, _ = c.Begin(t.Context())
	return []string{"/token", "/introspect", "/revoke", "/device", "/bc", "/par"}
}

func allEndpoints(m *discovery.Metadata) {
	m.IntrospectionEndpoint, m.RevocationEndpoint, m.PushedAuthorizationRequestEndpoint = issuer+"/introspect", issuer+"/revoke", issuer+"/par"
	m.RequirePushedAuthorizationRequests = true
}

func refusingAll() *standIn {
	s := &standIn{replies: map[string]func(*http.Request, string) reply{}}
	for _, path := range []string{"/token", "/introspect", "/revoke", "/device", "/bc", "/par", "/userinfo"} {
		s.replies[path] = always(refusal("invalid_request"))
	}
	return s
}

// A client with a certificate calls the aliases (RFC 8705 section 5), and no other does.
func TestClient_CallsTheMTLSAliases(t *testing.T) {
	t.Parallel()
	const alias = "https://mtls.id.example"
	for name, tt := range map[string]struct {
		method clientauth.Method
		origin string
	}{
		"tls_client_auth":             {clientauth.TLS(nil), alias},
		"self_signed_tls_client_auth": {clientauth.SelfSignedTLS(nil), alias},
		"a secret":                    {clientauth.SecretPost(clientauth.Secret("secret")), issuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, s := newOP(t), refusingAll()
			tokens := mustLogin(t, op, newClient(t, newProvider(t, op)))
			c := newClient(t, s.in(t, op, allEndpoints, func(m *discovery.Metadata) {
				m.MTLSEndpointAliases = &discovery.MTLSEndpointAliases{
					TokenEndpoint: alias + "/token", UserInfoEndpoint: alias + "/userinfo", IntrospectionEndpoint: alias + "/introspect",
					RevocationEndpoint: alias + "/revoke", DeviceAuthorizationEndpoint: alias + "/device",
					PushedAuthorizationRequestEndpoint: alias + "/par", BackchannelAuthenticationEndpoint: alias + "/bc",
				}
			}), func(cfg *oidc.ClientConfig) { cfg.ClientAuth = tt.method })
			paths := everywhere(t, c)
			_, _ = c.UserInfo(t.Context(), tokens)
			for _, path := range append(paths, "/userinfo") {
				requests, _, _ := s.sent(path)
				require.Len(t, requests, 1, path)
				require.Equal(t, tt.origin+path, requests[0].URL.String())
			}
		})
	}
}

// P15: with a provider of oidctest, over the network: certificates prove the client, and bind
// its tokens.
func TestP15_CertificatesWithAProvider(t *testing.T) {
	t.Parallel()
	own, other := oidctest.SelfSignedCertificate("own"), oidctest.SelfSignedCertificate("own")
	op := oidctest.Start(t, func(c *oidctest.Config) {
		c.Algorithm, c.TLS, c.MutualTLS = "ES256", true, true
		c.Clients[0].CertificateBoundTokens = true
		c.Clients[0].RedirectURIs = []string{redirectURL}
		c.Clients = append(c.Clients,
			oidctest.Client{ID: "dn", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=dn"},
			oidctest.Client{ID: "own", AuthMethod: "self_signed_tls_client_auth", Certificates: []*x509.Certificate{own.Leaf}})
	})
	present := func(c tls.Certificate) clientauth.CertificateFunc {
		return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer(), HTTPClient: op.TLSClient()})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		id     string
		method clientauth.Method
		ok     bool
	}{
		"dn":             {"dn", clientauth.TLS(present(op.ClientCertificate("dn"))), true},
		"of another dn":  {"dn", clientauth.TLS(present(op.ClientCertificate("x"))), false},
		"self-signed":    {"own", clientauth.SelfSignedTLS(present(own)), true},
		"of another key": {"own", clientauth.SelfSignedTLS(present(other)), false},
	} {
		c, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: tt.id, ClientAuth: tt.method})
		require.NoError(t, err, name)
		_, err = c.ClientCredentials(t.Context())
		require.Equal(t, tt.ok, err == nil, "%s: %v", name, err)
	}

	bound := func(certificate clientauth.CertificateFunc) *oidc.Client {
		c, err := oidc.NewClient(provider, oidc.ClientConfig{
			ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: redirectURL, ClientCertificate: certificate,
		})
		require.NoError(t, err)
		return c
	}
	c := bound(present(own))
	tokens, err := login(t, op, c)
	require.NoError(t, err)
	_, err = c.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	_, err = bound(present(other)).UserInfo(t.Context(), tokens)
	requireRefused(t, err, oidc.ReasonRevoked, "")
	_, err = bound(nil).UserInfo(t.Context(), tokens)
	requireRefused(t, err, oidc.ReasonRevoked, "")
}

// F35: at each endpoint the assertion is made out to the issuer, a single string, and to
// the token endpoint only where that is asked for.
func TestF35_AssertionsAtEveryEndpoint(t *testing.T) {
	t.Parallel()
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: ecKey(t, elliptic.P256()), KeyID: "k"})
	require.NoError(t, err)
	for want, cfg := range map[string]clientauth.AssertionConfig{issuer: {}, issuer + "/token": {InsecureTokenEndpointAudience: true}} {
		s, seen := refusingAll(), map[string]bool{}
		c := newClient(t, s.in(t, newOP(t), allEndpoints), func(c *oidc.ClientConfig) { c.ClientAuth = clientauth.PrivateKeyJWT(key, cfg) })
		for _, path := range everywhere(t, c) {
			_, bodies, _ := s.sent(path)
			require.Len(t, bodies, 1, path)
			claims := payloadOf(t, formOf(t, bodies[0]).Get("client_assertion"))
			require.Equal(t, want, claims["aud"], path)
			jti, _ := claims["jti"].(string)
			require.False(t, seen[jti], "used once")
			seen[jti] = true
		}
	}
}

// F32: an endpoint that lists methods and algorithms of its own is believed about them.
func TestF32_EndpointsHaveListsOfTheirOwn(t *testing.T) {
	t.Parallel()
	lists := func(m *discovery.Metadata) {
		m.TokenEndpointAuthMethodsSupported = []string{"client_secret_basic"}
		m.IntrospectionEndpointAuthMethodsSupported = []string{"client_secret_post"}
		m.TokenEndpointAuthSigningAlgValuesSupported = []string{"RS256"}
		m.RevocationEndpointAuthSigningAlgValuesSupported = []string{"ES256"}
	}
	s := refusingAll()
	everywhere(t, newClient(t, s.in(t, newOP(t), allEndpoints, lists)))
	for path, posted := range map[string]bool{"/token": false, "/introspect": true, "/revoke": false, "/device": false} {
		requests, bodies, _ := s.sent(path)
		require.Len(t, requests, 1, path)
		require.Equal(t, posted, formOf(t, bodies[0]).Has("client_secret"), path)
		require.Equal(t, !posted, requests[0].Header.Get("Authorization") != "", path)
	}

	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: ecKey(t, elliptic.P256()), KeyID: "k"})
	require.NoError(t, err)
	s = refusingAll()
	everywhere(t, newClient(t, s.in(t, newOP(t), allEndpoints, lists), func(c *oidc.ClientConfig) { c.ClientAuth = clientauth.PrivateKeyJWT(key) }))
	for path, count := range map[string]int{"/token": 0, "/introspect": 0, "/revoke": 1, "/device": 0} {
		requests, _, _ := s.sent(path)
		require.Len(t, requests, count, path)
	}
}

// P13: an endpoint that gets no proof gets no second request either.
func TestP13_EndpointWithoutProofsIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	s := refusingAll()
	nonce := reply{status: 400, body: object{"error": "use_dpop_nonce"}, header: http.Header{"Dpop-Nonce": {"n"}}}
	for path := range s.replies {
		s.replies[path] = always(nonce)
	}
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	everywhere(t, newClient(t, s.in(t, newOP(t), allEndpoints), func(c *oidc.ClientConfig) { c.DPoP = d }))
	for path, count := range map[string]int{"/token": 2, "/par": 2, "/introspect": 1, "/revoke": 1, "/device": 1, "/bc": 1} {
		requests, _, _ := s.sent(path)
		require.Len(t, requests, count, path)
		require.Equal(t, count == 2, requests[0].Header.Get("DPoP") != "", path)
	}
}

// F39: answers of JARM are not offered, and what comes in their form is refused before
// anything is sent, alone or beside plain parameters.
func TestF39_SignedAuthorizationResponses(t *testing.T) {
	t.Parallel()
	refusedResponse(t, "response")
}

// F40: tokens that come through the browser are refused, whatever is in them.
func TestF40_TokensInTheCallback(t *testing.T) {
	t.Parallel()
	refusedResponse(t, "id_token")
	refusedResponse(t, "access_token")
}

func refusedResponse(t *testing.T, name string) {
	t.Helper()
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	require.Equal(t, "code", queryOf(t, flow.AuthorizationURL).Get("response_type"))
	signed := op.Sign(nil, object{"iss": issuer, "aud": oidctest.ClientID, "exp": start.Unix() + 60, "code": callback.Get("code"), "state": flow.State()})
	for _, query := range []url.Values{
		{name: {signed}}, {name: {signed}, "state": {flow.State()}}, join(callback, url.Values{name: {signed}}), join(callback, url.Values{name: {""}}),
	} {
		_, err := finish(t, client, flow, query)
		requireCallback(t, err, name)
	}
	require.Zero(t, op.Requests(oidctest.Token))
	for _, response := range []string{"token", "id_token", "code id_token"} {
		_, err := client.Begin(t.Context(), oidc.WithParameter("response_type", response))
		require.Error(t, err, response)
	}
	_, err := client.Begin(t.Context(), oidc.WithParameter("response_mode", "jwt"))
	require.Error(t, err)
	_, err = finish(t, client, flow, callback)
	require.NoError(t, err)
}

func join(a, b url.Values) url.Values {
	both := url.Values{}
	for _, v := range []url.Values{a, b} {
		maps.Copy(both, v)
	}
	return both
}

// Numbers beside the tokens are those of encoding/json, as with x/oauth2.
func TestExtra_NumbersAreOfEncodingJSON(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	op.OnTokenResponse(func(r map[string]any) { r["refresh_expires_in"] = 1800 })
	require.Equal(t, float64(1800), mustLogin(t, op, client).OAuth2.Extra("refresh_expires_in"))
}
