package interop_test

import (
	"crypto"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

// Every way of encryption that both sides know, each with another content encryption.
func TestOPEncryptedIDTokenAndUserInfo(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	rsaKey, ecKey := privateKey(t, "RS256"), privateKey(t, "ES256")
	for _, row := range []struct {
		alg, enc, signed string
		key              crypto.Signer
	}{
		{"RSA-OAEP", "A128CBC-HS256", "RS256", rsaKey},
		{"RSA-OAEP-256", "A256GCM", "PS256", rsaKey},
		{"ECDH-ES", "A128GCM", "ES256", ecKey},
		{"ECDH-ES", "A256CBC-HS512", "RS256", ecKey},
		{"ECDH-ES+A128KW", "A192CBC-HS384", "EdDSA", ecKey},
		{"ECDH-ES+A192KW", "A192GCM", "ES256", privateKey(t, "ES384")},
		{"ECDH-ES+A256KW", "A256CBC-HS512", "HS256", privateKey(t, "ES512")},
	} {
		t.Run(row.alg+" "+row.enc, func(t *testing.T) {
			key, err := jwks.NewDecryptionKey(row.key, "enc", row.alg)
			require.NoError(t, err)
			registered := op.Register(t, interop.Metadata{
				"id_token_signed_response_alg": row.signed, "id_token_encrypted_response_alg": row.alg, "id_token_encrypted_response_enc": row.enc,
				"userinfo_signed_response_alg": row.signed, "userinfo_encrypted_response_alg": row.alg, "userinfo_encrypted_response_enc": row.enc,
				"jwks": published(key),
			})
			client := clientOf(t, op, registered, oidc.ClientConfig{
				IDTokenAlgorithms: []string{row.signed}, UserInfoAlgorithms: []string{row.signed}, DecryptionKeys: []jwks.DecryptionKey{key},
			})
			tokens := logIn(t, op, client, "alice")
			require.Equal(t, "alice", tokens.IDToken.Subject)
			header, _ := decode(t, tokens.IDToken.Raw())
			require.Equal(t, row.signed, header["alg"], "the ID token is what was in the envelope")
			requireName(t, client, tokens)
		})
	}
}

func requireName(t *testing.T, client *oidc.Client, tokens *oidc.Tokens) {
	t.Helper()
	info, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	name, err := info.Claims.String(claims.P("name"))
	require.NoError(t, err)
	require.Equal(t, "Alice Adams", name)
}

func TestOPEncryptionIsNotForAnotherKey(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	key, err := jwks.NewDecryptionKey(privateKey(t, "ES256"), "enc", "ECDH-ES")
	require.NoError(t, err)
	other, err := jwks.NewDecryptionKey(privateKey(t, "ES256"), "enc", "ECDH-ES")
	require.NoError(t, err)
	for name, keys := range map[string][]jwks.DecryptionKey{"another": {other}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			registered := op.Register(t, interop.Metadata{
				"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM", "jwks": published(key),
			})
			client := clientOf(t, op, registered, oidc.ClientConfig{DecryptionKeys: keys})
			flow, callback := begin(t, op, client, "alice")
			_, err = client.Finish(t.Context(), flow, callback)
			requireReason(t, oidc.ReasonEncryption, err)
		})
	}
}

func TestOPUserInfo(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for name, row := range map[string]struct {
		metadata interop.Metadata
		cfg      oidc.ClientConfig
	}{
		"JSON":              {nil, oidc.ClientConfig{}},
		"JSON, by form":     {nil, oidc.ClientConfig{UserInfoByForm: true}},
		"signed":            {interop.Metadata{"userinfo_signed_response_alg": "ES256"}, oidc.ClientConfig{}},
		"signed, demanded":  {interop.Metadata{"userinfo_signed_response_alg": "PS256"}, oidc.ClientConfig{UserInfoAlgorithms: []string{"PS256"}}},
		"signed by secret":  {interop.Metadata{"userinfo_signed_response_alg": "HS256"}, oidc.ClientConfig{UserInfoAlgorithms: []string{"HS256"}}},
		"signed, by a form": {interop.Metadata{"userinfo_signed_response_alg": "EdDSA"}, oidc.ClientConfig{UserInfoByForm: true}},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientOf(t, op, op.Register(t, row.metadata), row.cfg)
			requireName(t, client, logIn(t, op, client, "alice"))
		})
	}
	for name, row := range map[string]struct {
		metadata   interop.Metadata
		algorithms []string
	}{
		"not signed, though demanded":      {nil, []string{"ES256"}},
		"signed with another one":          {interop.Metadata{"userinfo_signed_response_alg": "RS256"}, []string{"ES256"}},
		"signed by secret, not asked for":  {interop.Metadata{"userinfo_signed_response_alg": "HS256"}, nil},
		"signed by key, secret demanded":   {interop.Metadata{"userinfo_signed_response_alg": "RS256"}, []string{"HS256"}},
		"not signed, demanded by a secret": {nil, []string{"HS256"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientOf(t, op, op.Register(t, row.metadata), oidc.ClientConfig{UserInfoAlgorithms: row.algorithms})
			_, err := client.UserInfo(t.Context(), logIn(t, op, client, "alice"))
			requireReason(t, oidc.ReasonAlgorithm, err)
		})
	}
}
