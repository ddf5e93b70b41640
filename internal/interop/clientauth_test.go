package interop_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
	"github.com/oidckit/oidckit/oidc"
)

// atEveryEndpoint has a client authenticate wherever it can: pushed request, code, refresh token, introspection, device,
// backchannel and revocation.
func atEveryEndpoint(t *testing.T, op *interop.OP, client *oidc.Client) {
	t.Helper()
	first := logIn(t, op, client, "alice")
	require.Equal(t, "alice", first.IDToken.Subject)
	tokens, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	info, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	require.Equal(t, "alice", info.Subject)
	introspection, err := client.Introspect(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "alice", introspection.Subject)
	require.Equal(t, client.ClientID(), introspection.ClientID)
	_, err = client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	_, err = client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{LoginHint: "bob"})
	require.NoError(t, err)
	require.NoError(t, client.Revoke(t.Context(), tokens.OAuth2.RefreshToken, "refresh_token"))
	_, err = client.Refresh(t.Context(), tokens)
	requireReason(t, oidc.ReasonRevoked, err)
}

func TestOPClientAuthenticationAtEveryEndpoint(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for _, row := range append(secretAndKeyMethods(t), certificateMethods(t, op)...) {
		t.Run(row.name, func(t *testing.T) {
			registered := row.register(t, op, nil)
			atEveryEndpoint(t, op, clientOf(t, op, registered, oidc.ClientConfig{
				ClientAuth: row.method(registered), Scopes: []string{"openid", "offline_access"}, PushedAuthorizationRequests: true,
			}))
		})
	}
}

// Providers differ in what they take; this one takes all of these.
func TestOPAssertionVariants(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for name, cfg := range map[string]clientauth.AssertionConfig{
		"audience of the token endpoint": {InsecureTokenEndpointAudience: true},
		"a fixed audience":               {Audience: op.Issuer},
		"typ JWT":                        {Type: "JWT"},
		"no typ":                         {OmitType: true},
		"ten seconds of life":            {Lifetime: 10 * time.Second},
		"Entra ID":                       clientauth.EntraID,
		"Login.gov":                      clientauth.LoginGov,
	} {
		t.Run(name, func(t *testing.T) {
			row := privateKeyMethod(t, "RS256", cfg)
			registered := row.register(t, op, nil)
			client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: row.method(registered)})
			require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
		})
	}
	t.Run("an audience of somebody else", func(t *testing.T) {
		row := privateKeyMethod(t, "RS256", clientauth.AssertionConfig{Audience: "https://attacker.test"})
		registered := row.register(t, op, nil)
		requireInvalidClient(t, op, clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: row.method(registered)}))
	})
}

func TestOPWrongCredentialsAreRefused(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	wrongSecret := clientauth.Secret("another secret that is long enough for an HMAC of SHA-512, which wants 64 bytes")
	stranger := signingKey(t, "ES256")
	issued, self := op.PKI.ClientCertificate(t, "stranger.test"), interop.SelfSignedCertificate(t, "rp.test")
	for _, row := range []struct {
		registered authMethod
		wrong      clientauth.Method
	}{
		{secretAndKeyMethods(t)[0], clientauth.SecretBasic(wrongSecret)},
		{secretAndKeyMethods(t)[1], clientauth.SecretPost(wrongSecret)},
		{secretAndKeyMethods(t)[3], clientauth.SecretJWT(wrongSecret)},
		{privateKeyMethod(t, "ES256"), clientauth.PrivateKeyJWT(stranger)},
		{privateKeyMethod(t, "RS256"), clientauth.PrivateKeyJWT(stranger)}, // another algorithm than the registered one
		{certificateMethods(t, op)[0], clientauth.TLS(always(issued))},
		{certificateMethods(t, op)[0], clientauth.TLS(always(self))},
		{certificateMethods(t, op)[1], clientauth.SelfSignedTLS(always(self))},
	} {
		t.Run(row.registered.name+" with "+row.wrong.Name(), func(t *testing.T) {
			registered := row.registered.register(t, op, nil)
			requireInvalidClient(t, op, clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: row.wrong}))
		})
	}
}

func requireInvalidClient(t *testing.T, op *interop.OP, client *oidc.Client) {
	t.Helper()
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	requireCode(t, "invalid_client", err)
}

func requireCode(t *testing.T, want string, err error) {
	t.Helper()
	var refusal *oidc.ResponseError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, want, refusal.Code)
}

func TestOPMethodIsChosenFromTheMetadata(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	key := signingKey(t, "ES256")
	issued := op.PKI.ClientCertificate(t, "rp.test")
	for _, row := range []struct {
		method      authMethod
		credentials clientauth.Credentials
	}{
		{secretAndKeyMethods(t)[0], clientauth.Credentials{}},
		{authMethod{"private_key_jwt", interop.Metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks": published(key)}, nil},
			clientauth.Credentials{Signer: key}},
		{certificateMethods(t, op)[0], clientauth.Credentials{Certificate: always(issued), Signer: key}},
	} {
		t.Run(row.method.name, func(t *testing.T) {
			registered := row.method.register(t, op, nil)
			if registered.Secret != "" {
				row.credentials.Secret = clientauth.Secret(registered.Secret)
			}
			client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.Auto(row.credentials)})
			require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
		})
	}
}

// A federated credential: somebody else signs, and we find the assertion in a file.
func TestOPAssertionFile(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	row := privateKeyMethod(t, "ES256")
	registered := row.register(t, op, nil)
	made := clientauth.Request{
		ClientID: registered.ID, Endpoint: op.Issuer + "/token",
		Provider: clientauth.Provider{Issuer: op.Issuer, TokenEndpoint: op.Issuer + "/token"},
	}
	require.NoError(t, row.method(registered).Authenticate(t.Context(), &made))
	path := filepath.Join(t.TempDir(), "assertion")
	require.NoError(t, os.WriteFile(path, []byte(made.Form.Get("client_assertion")), 0o600))
	client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.AssertionFile(path)})
	require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
	requireInvalidClient(t, op, client) // this provider takes an assertion once, and nobody has written the next one
}

// The secret was changed a moment ago, and the file with it.
func TestOPSecretFileIsReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, nil)
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("the old secret"), 0o600))
	client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.SecretBasic(clientauth.SecretFile(path))})
	requireInvalidClient(t, op, client)
	require.NoError(t, os.WriteFile(path, []byte(registered.Secret+"\n"), 0o600))
	require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
}

func TestOPKeysAtOurOwnURI(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	named := func(kid string) *jwks.SigningKey {
		key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: privateKey(t, "ES256"), KeyID: kid})
		require.NoError(t, err)
		return key
	}
	old, next, late := named("old"), named("next"), named("late")
	keys, err := jwks.NewSigningKeys(old, next)
	require.NoError(t, err)
	var fetched atomic.Int32
	handler := jwks.Handler(keys)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	registered := op.Register(t, interop.Metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": server.URL + "/jwks"})
	client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.PrivateKeyJWT(keys)})

	require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
	require.NoError(t, keys.Set(next, old))
	require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject, "it was published before it was used")
	require.NoError(t, keys.Set(late, next))
	requireInvalidClient(t, op, client) // the provider keeps the set, and this key was not in it
	require.EqualValues(t, 1, fetched.Load())
}

// The client's key stands in a file, as openssl and keytool write it; its certificate is registered.
func TestOPKeyFromAFile(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	certificate := op.PKI.ClientCertificate(t, "rp.test")
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Leaf.Raw})...)
	path := filepath.Join(t.TempDir(), "client.pem")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	for name, cfg := range map[string]keystore.Config{
		"kid of our own":        {KeyID: "2026-11"},
		"kid of the thumbprint": {ThumbprintKeyID: true},
		"x5t#S256":              {Thumbprint: true},
		"neither":               {},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Path = path
			file, err := keystore.Load(cfg)
			require.NoError(t, err)
			registered := op.Register(t, interop.Metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks": published(file)})
			client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.PrivateKeyJWT(file)})
			require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)

			// The same file serves TLS.
			registered = op.Register(t, interop.Metadata{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "rp.test"})
			client = clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.TLS(file.ClientCertificate)})
			require.Equal(t, "alice", logIn(t, op, client, "alice").IDToken.Subject)
		})
	}
}
