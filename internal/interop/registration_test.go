package interop_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPRegistrationAndItsManagement(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	provider := newProvider(t, oidc.Config{Issuer: op.Issuer})
	wanted := oidc.ClientMetadata{
		RedirectURIs: []string{callbackURL}, TokenEndpointAuthMethod: "client_secret_jwt", TokenEndpointAuthSigningAlg: "HS512",
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		ClientName: "An application", IDTokenSignedResponseAlg: "ES256",
	}
	registration, err := provider.RegisterClient(t.Context(), wanted, interop.InitialAccessToken)
	require.NoError(t, err)
	require.NotEmpty(t, registration.ClientSecret)
	require.Zero(t, registration.ClientSecretExpires)
	require.Equal(t, op.Issuer+"/reg/"+registration.ClientID, registration.RegistrationClientURI)
	require.Equal(t, "An application", registration.Metadata.ClientName)
	requireLogin := func(cfg oidc.ClientConfig) {
		t.Helper()
		client, err := oidc.NewClient(provider, cfg)
		require.NoError(t, err)
		header, _ := decode(t, logIn(t, op, client, "alice").IDToken.Raw())
		require.Equal(t, "ES256", header["alg"])
	}
	requireLogin(registration.ClientConfig())

	// In another process.
	stored, err := registration.MarshalBinary()
	require.NoError(t, err)
	var restored oidc.Registration
	require.NoError(t, restored.UnmarshalBinary(stored))
	read, err := provider.ReadRegistration(t.Context(), &restored)
	require.NoError(t, err)
	require.Equal(t, registration.Metadata.RedirectURIs, read.Metadata.RedirectURIs)

	key := signingKey(t, "EdDSA")
	set, err := json.Marshal(published(key))
	require.NoError(t, err)
	wanted.ClientName, wanted.JWKS = "The same application", set
	wanted.TokenEndpointAuthMethod, wanted.TokenEndpointAuthSigningAlg = "private_key_jwt", "EdDSA"
	updated, err := provider.UpdateRegistration(t.Context(), read, wanted)
	require.NoError(t, err)
	require.Equal(t, registration.ClientID, updated.ClientID)
	require.Equal(t, "The same application", updated.Metadata.ClientName)
	require.NotEqual(t, read.RegistrationAccessToken, updated.RegistrationAccessToken, "this provider rotates it")
	cfg := updated.ClientConfig()
	cfg.ClientAuth = clientauth.PrivateKeyJWT(key)
	requireLogin(cfg)

	_, err = provider.ReadRegistration(t.Context(), read)
	requireReason(t, oidc.ReasonRevoked, err) // its token was replaced
	require.NoError(t, provider.DeleteRegistration(t.Context(), updated))
	_, err = provider.ReadRegistration(t.Context(), updated)
	requireReason(t, oidc.ReasonRevoked, err)
}

func TestOPRegistrationIsRefused(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	provider := newProvider(t, oidc.Config{Issuer: op.Issuer})
	good := oidc.ClientMetadata{RedirectURIs: []string{callbackURL}}
	for _, token := range []clientauth.Secret{"", "made-up"} {
		_, err := provider.RegisterClient(t.Context(), good, token)
		var refusal *oidc.ResponseError
		require.ErrorAs(t, err, &refusal)
		require.Contains(t, []int{400, 401}, refusal.Status)
	}
	bad := good
	bad.IDTokenSignedResponseAlg = "RS1"
	_, err := provider.RegisterClient(t.Context(), bad, interop.InitialAccessToken)
	requireCode(t, "invalid_client_metadata", err)
}

func TestOPRegistrationOfEveryMethod(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	provider := newProvider(t, oidc.Config{Issuer: op.Issuer})
	for _, row := range append(secretAndKeyMethods(t), certificateMethods(t, op)...) {
		t.Run(row.name, func(t *testing.T) {
			text, err := json.Marshal(row.metadata)
			require.NoError(t, err)
			wanted := oidc.ClientMetadata{RedirectURIs: []string{callbackURL}, IDTokenSignedResponseAlg: "PS256"}
			require.NoError(t, json.Unmarshal(text, &wanted))
			registration, err := provider.RegisterClient(t.Context(), wanted, interop.InitialAccessToken)
			require.NoError(t, err)
			cfg := registration.ClientConfig()
			require.Equal(t, callbackURL, cfg.RedirectURL)
			if cfg.ClientAuth == nil { // a key is nothing that a provider could send
				cfg.ClientAuth = row.method(interop.Client{})
			}
			require.Equal(t, "alice", logIn(t, op, clientOf(t, op, interop.Client{ID: registration.ClientID}, cfg), "alice").IDToken.Subject)
			require.NoError(t, provider.DeleteRegistration(t.Context(), registration))
		})
	}
}
