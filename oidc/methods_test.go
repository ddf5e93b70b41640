package oidc_test

import (
	"crypto/elliptic"
	"errors"
	"testing"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A method that was put together wrongly is an error of the constructor.
func TestNewClient_ChecksTheMethod(t *testing.T) {
	t.Parallel()
	_, client := setup(t)
	broken := clientauth.AssertionConfig{Lifetime: -1}
	for name, method := range map[string]clientauth.Method{
		"no key": clientauth.PrivateKeyJWT(nil), "no secret": clientauth.SecretPost(nil),
		"assertion": clientauth.SecretJWT(clientauth.Secret(secret), broken), "chosen": clientauth.Auto(clientauth.Credentials{Assertion: broken}),
	} {
		_, err := oidc.NewClient(client.Provider(), oidc.ClientConfig{ClientID: "a", ClientAuth: method})
		var e *clientauth.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, clientauth.ReasonConfiguration, e.Reason, name)
	}
}

// An endpoint that lists no algorithms has those of the token endpoint; one that does, has
// its own.
func TestCall_AlgorithmsOfAssertions(t *testing.T) {
	t.Parallel()
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: ecKey(t, elliptic.P256())})
	require.NoError(t, err)
	set, err := jwks.PublicSet(t.Context(), key)
	require.NoError(t, err)
	op := newOP(t, func(c *oidctest.Config) { c.Clients[0].AuthMethod, c.Clients[0].JWKS = "private_key_jwt", set })
	for name, tt := range map[string]struct {
		token, own []string
		sent       bool
	}{
		"none listed":               {nil, nil, true},
		"listed":                    {[]string{"ES256"}, nil, true},
		"not listed":                {[]string{"RS256"}, nil, false},
		"listed there":              {[]string{"RS256"}, []string{"ES256"}, true},
		"not listed there":          {[]string{"ES256"}, []string{"RS256"}, false},
		"only the other one listed": {nil, []string{"RS256"}, false},
	} {
		m := metadataOf(op)
		m.TokenEndpointAuthSigningAlgValuesSupported = tt.token
		m.IntrospectionEndpoint, m.IntrospectionEndpointAuthSigningAlgValuesSupported = op.Issuer()+string(oidctest.Introspection), tt.own
		m.RevocationEndpoint, m.RevocationEndpointAuthSigningAlgValuesSupported = op.Issuer()+string(oidctest.Revocation), tt.own
		client := newClient(t, newProvider(t, op, withMetadata(m)), func(c *oidc.ClientConfig) {
			c.ClientSecret, c.ClientAuth = "", clientauth.PrivateKeyJWT(key)
		})
		_, err := client.Introspect(t.Context(), "unknown")
		for _, err := range []error{err, client.Revoke(t.Context(), "unknown", "")} {
			var e *clientauth.Error
			require.Equal(t, !tt.sent, errors.As(err, &e), "%s: %v", name, err)
			if e != nil {
				require.Equal(t, clientauth.ReasonAlgorithm, e.Reason, name)
			}
		}
	}
	require.Equal(t, 3, op.Requests(oidctest.Introspection))
	require.Equal(t, 3, op.Requests(oidctest.Revocation))
}
