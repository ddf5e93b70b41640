package interop_test

// What the tests of client authentication and of the calls to the provider share.

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

// everyGrant is what a client registers that may try all of them.
func everyGrant() interop.Metadata {
	return interop.Metadata{"backchannel_token_delivery_mode": "poll", "grant_types": []string{
		"authorization_code", "refresh_token", "client_credentials", deviceGrant, cibaGrant, jwtBearerGrant, exchangeGrant,
	}}
}

// An authMethod is a way to authenticate: what is registered, and what proves it.
type authMethod struct {
	name     string
	metadata interop.Metadata
	method   func(registered interop.Client) clientauth.Method
}

// register registers a client that authenticates in this way, and may do everything unless more says otherwise.
func (m authMethod) register(t *testing.T, op *interop.OP, more interop.Metadata) interop.Client {
	t.Helper()
	metadata := everyGrant()
	maps.Copy(metadata, m.metadata)
	maps.Copy(metadata, more)
	return op.Register(t, metadata)
}

// secretAndKeyMethods are those that need no certificate, with every algorithm there is.
func secretAndKeyMethods(t *testing.T) []authMethod {
	t.Helper()
	secret := func(with func(clientauth.SecretSource) clientauth.Method) func(interop.Client) clientauth.Method {
		return func(c interop.Client) clientauth.Method { return with(clientauth.Secret(c.Secret)) }
	}
	methods := []authMethod{
		{"client_secret_basic", interop.Metadata{"token_endpoint_auth_method": "client_secret_basic"}, secret(clientauth.SecretBasic)},
		{"client_secret_post", interop.Metadata{"token_endpoint_auth_method": "client_secret_post"}, secret(clientauth.SecretPost)},
		{"none", interop.Metadata{"token_endpoint_auth_method": "none"}, func(interop.Client) clientauth.Method { return clientauth.None() }},
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		methods = append(methods, authMethod{
			"client_secret_jwt " + alg,
			interop.Metadata{"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": alg},
			secret(func(s clientauth.SecretSource) clientauth.Method {
				return clientauth.SecretJWT(s, clientauth.AssertionConfig{Algorithm: alg})
			}),
		})
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		methods = append(methods, privateKeyMethod(t, alg))
	}
	return methods
}

func privateKeyMethod(t *testing.T, alg string, config ...clientauth.AssertionConfig) authMethod {
	t.Helper()
	key := signingKey(t, alg)
	return authMethod{
		"private_key_jwt " + alg,
		interop.Metadata{
			"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg, "jwks": published(key),
		},
		func(interop.Client) clientauth.Method { return clientauth.PrivateKeyJWT(key, config...) },
	}
}

// certificateMethods are the two of RFC 8705.
func certificateMethods(t *testing.T, op *interop.OP) []authMethod {
	t.Helper()
	issued := op.PKI.ClientCertificate(t, "rp.test")
	self := interop.SelfSignedCertificate(t, "rp.test")
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{
		Signer: self.PrivateKey.(crypto.Signer), KeyID: "tls", Certificates: []*x509.Certificate{self.Leaf},
	})
	require.NoError(t, err)
	return []authMethod{
		{
			"tls_client_auth", interop.Metadata{
				"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=rp.test,O=oidckit",
			}, func(interop.Client) clientauth.Method { return clientauth.TLS(always(issued)) },
		},
		{
			"self_signed_tls_client_auth", interop.Metadata{
				"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": published(key),
			}, func(interop.Client) clientauth.Method { return clientauth.SelfSignedTLS(always(self)) },
		},
	}
}

func always(certificate tls.Certificate) clientauth.CertificateFunc {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
}

// A key of 2048 bits takes a while, so all RSA algorithms have the same one. They are for different clients.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func privateKey(t *testing.T, alg string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsaKey()
	}
	require.NoError(t, err)
	return key
}

func signingKey(t *testing.T, alg string) *jwks.SigningKey {
	t.Helper()
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: privateKey(t, alg), Algorithm: alg, KeyID: "of " + alg})
	require.NoError(t, err)
	return key
}

// published is a JWK Set as a client registers it.
func published(keys ...jwks.Publisher) map[string]any {
	var all []jwks.PublicJWK
	for _, key := range keys {
		some, err := key.PublicJWKs(context.Background())
		if err != nil {
			panic(err)
		}
		all = append(all, some...)
	}
	return map[string]any{"keys": all}
}

// trusting makes requests to the provider's HTTPS listener too.
func trusting(op *interop.OP) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: op.PKI.Pool()}}
}

// clientOf returns the client of a registration. What cfg has not is filled in.
func clientOf(t *testing.T, op *interop.OP, registered interop.Client, cfg oidc.ClientConfig) *oidc.Client {
	t.Helper()
	cfg.ClientID = registered.ID
	if cfg.ClientAuth == nil && cfg.ClientSecret == "" {
		cfg.ClientSecret = clientauth.Secret(registered.Secret)
	}
	if cfg.RedirectURL == "" {
		cfg.RedirectURL = callbackURL
	}
	transport := trusting(op)
	t.Cleanup(transport.CloseIdleConnections)
	client, err := oidc.NewClient(newProvider(t, oidc.Config{Issuer: op.Issuer, HTTPClient: &http.Client{Transport: transport}}), cfg)
	require.NoError(t, err)
	return client
}
