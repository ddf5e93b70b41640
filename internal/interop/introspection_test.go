package interop_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPIntrospection(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	decryption, err := jwks.NewDecryptionKey(privateKey(t, "ES256"), "enc", "ECDH-ES+A256KW")
	require.NoError(t, err)
	for _, row := range []struct {
		name     string
		metadata interop.Metadata
		cfg      oidc.ClientConfig
	}{
		{"JSON", nil, oidc.ClientConfig{}},
		{"signed", interop.Metadata{"introspection_signed_response_alg": "ES256"}, oidc.ClientConfig{
			SignedIntrospection: &oidc.SignedIntrospection{Algorithms: []string{"ES256"}},
		}},
		{"signed with the default", nil, oidc.ClientConfig{SignedIntrospection: &oidc.SignedIntrospection{}}},
		{"signed and encrypted", interop.Metadata{
			"introspection_signed_response_alg": "EdDSA", "introspection_encrypted_response_alg": "ECDH-ES+A256KW",
			"introspection_encrypted_response_enc": "A256GCM", "jwks": published(decryption),
		}, oidc.ClientConfig{
			SignedIntrospection: &oidc.SignedIntrospection{}, DecryptionKeys: []jwks.DecryptionKey{decryption}, InsecureAllowUnencrypted: true,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			metadata := everyGrant()
			maps.Copy(metadata, row.metadata)
			row.cfg.Scopes = []string{"openid", "offline_access"}
			client := clientOf(t, op, op.Register(t, metadata), row.cfg)
			tokens := logIn(t, op, client, "alice")

			for _, token := range []string{tokens.OAuth2.AccessToken, tokens.OAuth2.RefreshToken} {
				answer, err := client.Introspect(t.Context(), token)
				require.NoError(t, err)
				require.Equal(t, op.Issuer, answer.Issuer)
				require.Equal(t, "alice", answer.Subject)
				require.Equal(t, client.ClientID(), answer.ClientID)
				require.Equal(t, []string{"openid", "offline_access"}, answer.Scopes)
				require.True(t, answer.Expiry.After(time.Now()))
				require.False(t, answer.Bound)
			}
			_, err := client.Introspect(t.Context(), "a token that nobody issued")
			requireReason(t, oidc.ReasonMalformed, err)
			_, err = client.Introspect(t.Context(), "made-up")
			requireReason(t, oidc.ReasonRevoked, err)

			require.NoError(t, client.Revoke(t.Context(), tokens.OAuth2.AccessToken, "access_token"))
			for _, token := range []string{tokens.OAuth2.AccessToken, tokens.OAuth2.RefreshToken} {
				_, err = client.Introspect(t.Context(), token)
				requireReason(t, oidc.ReasonRevoked, err) // this provider revokes the whole grant
			}
			_, err = client.UserInfo(t.Context(), tokens)
			requireReason(t, oidc.ReasonRevoked, err)
		})
	}
}

func TestOPIntrospectionThatIsNotSignedIsNotTaken(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"introspection_signed_response_alg": "RS256"})
	client := clientOf(t, op, registered, oidc.ClientConfig{SignedIntrospection: &oidc.SignedIntrospection{Algorithms: []string{"PS256"}}})
	tokens := logIn(t, op, client, "alice")
	_, err := client.Introspect(t.Context(), tokens.OAuth2.AccessToken)
	requireReason(t, oidc.ReasonAlgorithm, err)
	require.ErrorIs(t, err, oidckit.ErrUnavailable, "it is the answer that is at fault, not the token")
}

// This provider looks at opaque tokens only.
func TestOPIntrospectionAndRevocationOfAJWT(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client := clientOf(t, op, op.Register(t, everyGrant()), oidc.ClientConfig{})
	token, err := client.ClientCredentials(t.Context(), oidc.WithResource(apiTest))
	require.NoError(t, err)
	_, err = client.Introspect(t.Context(), token.AccessToken)
	requireCode(t, "unsupported_token_type", err)
	requireCode(t, "unsupported_token_type", client.Revoke(t.Context(), token.AccessToken, ""))
	require.NoError(t, client.Revoke(t.Context(), "made-up", ""), "RFC 7009 section 2.2")
}
