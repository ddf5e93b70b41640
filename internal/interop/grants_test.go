package interop_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPClientCredentials(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client := clientOf(t, op, op.Register(t, interop.Metadata{"grant_types": machine}), oidc.ClientConfig{})

	token, err := client.ClientCredentials(t.Context(), oidc.WithResource(apiTest), oidc.WithScopes("reports:read"))
	require.NoError(t, err)
	require.Empty(t, token.RefreshToken)
	access, err := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest).Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, client.ClientID(), access.Subject)
	require.Equal(t, []string{"reports:read"}, access.Scopes)

	_, err = client.ClientCredentials(t.Context(), oidc.WithResource("https://unknown.test"))
	requireCode(t, "invalid_target", err)
	_, err = client.ClientCredentials(t.Context(), oidc.WithResource(apiTest), oidc.WithResource(otherTest))
	requireCode(t, "invalid_target", err) // both were sent: this provider issues tokens for one at a time
}

func TestOPClientCredentialsSource(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client, answers := observedClient(t, op, op.Register(t, interop.Metadata{"grant_types": machine}), oidc.ClientConfig{})
	long, short := client.ClientCredentialsSource(oidc.WithResource(apiTest)), client.ClientCredentialsSource(oidc.WithResource(shortTest))

	first, err := long.Token()
	require.NoError(t, err)
	again, err := long.Token()
	require.NoError(t, err)
	require.Equal(t, first.AccessToken, again.AccessToken)
	require.Len(t, answers.answers[op.Issuer+"/token"], 1)

	first, err = short.Token()
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		next, err := short.Token()
		return err == nil && next.AccessToken != first.AccessToken
	}, 20*time.Second, 50*time.Millisecond, "a token for https://short.test lives for 2 s")
}

// The rules of this grant at this provider are ours: op/grants.mjs.
func TestOPJWTBearer(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	key := signingKey(t, "ES256")
	registered := op.Register(t, interop.Metadata{"grant_types": []string{jwtBearerGrant}, "jwks": published(key)})
	client := clientOf(t, op, registered, oidc.ClientConfig{})
	assertion := func(subject string) string {
		claims, err := json.Marshal(map[string]any{
			"iss": registered.ID, "sub": subject, "aud": op.Issuer, "jti": rand.Text(), "exp": in(time.Minute), "iat": in(0),
		})
		require.NoError(t, err)
		compact, err := key.SignJWT(t.Context(), "", claims)
		require.NoError(t, err)
		return compact
	}
	once := assertion("alice")
	token, err := client.JWTBearer(t.Context(), once, oidc.WithResource(apiTest), oidc.WithScopes("reports:read"))
	require.NoError(t, err)
	access, err := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest).Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "alice", access.Subject)
	require.Equal(t, registered.ID, access.ClientID)

	_, err = client.JWTBearer(t.Context(), once)
	requireReason(t, oidc.ReasonRevoked, err) // it was used
	_, err = client.JWTBearer(t.Context(), assertion("nobody"))
	requireReason(t, oidc.ReasonRevoked, err)

	source := client.JWTBearerSource(func(context.Context) (string, error) { return assertion("bob"), nil }, oidc.WithResource(otherTest))
	token, err = source.Token()
	require.NoError(t, err)
	access, err = strict(t, oidc.Config{Issuer: op.Issuer}, otherTest).Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "bob", access.Subject)
}

// The rules of this grant at this provider are ours: op/grants.mjs.
func TestOPTokenExchange(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"grant_types": []string{"authorization_code", "client_credentials", exchangeGrant}})
	client := clientOf(t, op, registered, oidc.ClientConfig{})
	login := logIn(t, op, client, "alice")
	own, err := client.ClientCredentials(t.Context())
	require.NoError(t, err)
	verifier := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest)
	subject := oidc.TokenExchange{
		SubjectToken: login.OAuth2.AccessToken, SubjectTokenType: oidc.TokenTypeAccessToken, Audiences: []string{apiTest},
	}

	issued, err := client.TokenExchange(t.Context(), subject, oidc.WithScopes("reports:read"))
	require.NoError(t, err)
	require.Equal(t, oidc.TokenTypeAccessToken, issued.IssuedTokenType)
	access, err := verifier.Verify(t.Context(), issued.Token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "alice", access.Subject)
	require.Equal(t, []string{"reports:read"}, access.Scopes)
	_, payload := decode(t, issued.Token.AccessToken)
	require.NotContains(t, payload, "act", "impersonation")

	issued, err = client.TokenExchange(t.Context(), oidc.TokenExchange{
		SubjectToken: login.IDToken.Raw(), SubjectTokenType: oidc.TokenTypeIDToken,
		ActorToken: own.AccessToken, ActorTokenType: oidc.TokenTypeAccessToken, RequestedTokenType: oidc.TokenTypeAccessToken,
	}, oidc.WithResource(apiTest))
	require.NoError(t, err)
	_, payload = decode(t, issued.Token.AccessToken)
	require.Equal(t, "alice", payload["sub"])
	require.Equal(t, map[string]any{"sub": registered.ID}, payload["act"], "delegation")

	token, err := client.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) { return subject, nil }).Token()
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)

	unknown := subject
	unknown.Audiences = []string{"https://unknown.test"}
	_, err = client.TokenExchange(t.Context(), unknown)
	requireCode(t, "invalid_target", err)
	unknown = subject
	unknown.SubjectToken = "made-up"
	_, err = client.TokenExchange(t.Context(), unknown)
	requireCode(t, "invalid_request", err) // RFC 8693 section 2.2.2
}
