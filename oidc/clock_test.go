package oidc_test

import (
	"context"
	"crypto/elliptic"
	"net/http"
	"testing"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// One clock is enough: assertions and proofs are stamped by the provider's, in every call,
// unless their own configurations say otherwise.
func TestOneClock(t *testing.T) {
	t.Parallel()
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: ecKey(t, elliptic.P256())})
	require.NoError(t, err)
	set, err := jwks.PublicSet(t.Context(), key)
	require.NoError(t, err)
	noClock := func(c *oidc.DPoPConfig) { c.Now = nil }
	long := clientauth.Secret(secret)
	for name, configure := range map[string]struct {
		op     func(*oidctest.Client)
		client func(*oidc.ClientConfig)
	}{
		"private_key_jwt": {
			func(c *oidctest.Client) { c.AuthMethod, c.JWKS = "private_key_jwt", set },
			func(c *oidc.ClientConfig) { c.ClientSecret, c.ClientAuth = "", clientauth.PrivateKeyJWT(key) },
		},
		"client_secret_jwt": {
			func(c *oidctest.Client) { c.AuthMethod = "client_secret_jwt" },
			func(c *oidc.ClientConfig) { c.ClientSecret, c.ClientAuth = "", clientauth.SecretJWT(long) },
		},
		"chosen": {
			func(c *oidctest.Client) { c.AuthMethod, c.JWKS = "private_key_jwt", set },
			func(c *oidc.ClientConfig) {
				c.ClientSecret, c.ClientAuth = "", clientauth.Auto(clientauth.Credentials{Signer: key})
			},
		},
		"DPoP": {func(*oidctest.Client) {}, func(c *oidc.ClientConfig) { c.DPoP = newDPoP(t, ecKey(t, elliptic.P256()), noClock) }},
	} {
		t.Run(name, func(t *testing.T) {
			op := newOP(t, func(c *oidctest.Config) { configure.op(&c.Clients[0]) })
			client := newClient(t, newProvider(t, op), offline, configure.client)
			op.Advance(24 * time.Hour)
			_, err := client.Refresh(t.Context(), mustLogin(t, op, client))
			require.NoError(t, err)
			_, err = client.ClientCredentials(t.Context())
			require.NoError(t, err)
		})
	}
}

// A proof in a request to an API is stamped by the same clock; a clock of its own wins.
func TestOneClock_API(t *testing.T) {
	t.Parallel()
	op, _ := setup(t)
	for name, tt := range map[string]struct {
		now  func() time.Time
		want time.Time
	}{
		"the provider's": {nil, start}, "its own": {func() time.Time { return start.Add(time.Hour) }, start.Add(time.Hour)},
	} {
		client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) {
			c.DPoP = newDPoP(t, ecKey(t, elliptic.P256()), func(c *oidc.DPoPConfig) { c.Now = tt.now })
		})
		var proof http.Header
		transport, err := client.APITransport(oidc.APITransportConfig{
			Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a", TokenType: "DPoP"}), Allowed: []string{api}, Base: roundTrip(func(req *http.Request) (*http.Response, error) {
				proof = req.Header
				return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}),
		})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api, nil)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.InDelta(t, float64(tt.want.Unix()), readProof(t, proof).claims["iat"], 0, name)
	}
}
