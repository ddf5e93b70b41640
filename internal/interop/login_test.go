package interop_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestLoginOfEveryClient(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for _, id := range []string{"app-basic", "app-post", "app-public", "app-ps", "app-hs"} {
		t.Run(id, func(t *testing.T) {
			client, wire := newClient(t, op, configure(t, op, id))
			tokens := logIn(t, op, client, "alice")
			require.EqualValues(t, 1, wire.tokenRequests.Load())

			require.Equal(t, op.Issuer, tokens.IDToken.Issuer)
			require.Equal(t, "alice", tokens.IDToken.Subject)
			require.Equal(t, []string{id}, tokens.IDToken.Audience)
			header, _ := decode(t, tokens.IDToken.Raw())
			require.Equal(t, op.Client(t, id).IDTokenAlg, header["alg"])
			require.Equal(t, "alice", tokens.IDToken.GoOIDC.Subject)
			require.NotEmpty(t, tokens.OAuth2.AccessToken)
			require.Empty(t, tokens.OAuth2.RefreshToken, "nobody asked for offline_access")

			info, err := client.UserInfo(t.Context(), tokens)
			require.NoError(t, err)
			require.Equal(t, "alice", info.Subject)
			name, err := info.Claims.String(claims.P("name"))
			require.NoError(t, err)
			require.Equal(t, "Alice Adams", name)
		})
	}
}

func TestSymmetricIDTokenIsRefusedUnlessAskedFor(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	cfg := configure(t, op, "app-hs")
	cfg.IDTokenAlgorithms = nil
	client, _ := newClient(t, op, cfg)
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	requireReason(t, oidc.ReasonAlgorithm, err)
}

func TestUserInfoOfSomebodyElseIsRefused(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, _ := newClient(t, op, configure(t, op, "app-basic"))
	alice, bob := logIn(t, op, client, "alice"), logIn(t, op, client, "bob")

	_, err := client.UserInfo(t.Context(), &oidc.Tokens{OAuth2: bob.OAuth2, IDToken: alice.IDToken})
	requireReason(t, oidc.ReasonSubject, err)

	// And a token that the provider knows for an API only is none for userinfo.
	_, err = client.UserInfo(t.Context(), tokensFor(t, op, "alice", apiTest))
	requireReason(t, oidc.ReasonRevoked, err)
}

func TestCallbackNamesItsIssuer(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, wire := newClient(t, op, configure(t, op, "app-basic"))
	metadata, err := client.Provider().Metadata(t.Context())
	require.NoError(t, err)
	require.True(t, metadata.AuthorizationResponseIssParameterSupported)

	flow, callback := begin(t, op, client, "alice")
	require.Equal(t, op.Issuer, callback.Get("iss"), "RFC 9207")
	require.Equal(t, flow.State(), callback.Get("state"))

	for _, wrong := range []struct {
		parameter string
		values    []string
	}{
		{"iss", nil},
		{"iss", []string{"https://attacker.test"}},
		{"iss", []string{op.Issuer, op.Issuer}},
		{"state", []string{"another"}},
		{"code", []string{callback.Get("code"), callback.Get("code")}},
	} {
		changed := maps.Clone(callback)
		delete(changed, wrong.parameter)
		if wrong.values != nil {
			changed[wrong.parameter] = wrong.values
		}
		_, err := client.Finish(t.Context(), flow, changed)
		requireParameter(t, wrong.parameter, err)
	}
	require.Zero(t, wire.tokenRequests.Load(), "nothing was sent")

	_, err = client.Finish(t.Context(), flow, callback)
	require.NoError(t, err, "what was refused did not use up the login")
	require.EqualValues(t, 1, wire.tokenRequests.Load())
}

func TestDeniedLoginIsForbidden(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, wire := newClient(t, op, configure(t, op, "app-basic"))
	flow, callback := begin(t, op, client, "deny")
	require.Equal(t, op.Issuer, callback.Get("iss"))
	_, err := client.Finish(t.Context(), flow, callback)
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	var denied *oidc.AuthorizationError
	require.ErrorAs(t, err, &denied)
	require.Equal(t, "access_denied", denied.Code)
	require.Equal(t, "the user said no", denied.Description)
	require.Zero(t, wire.tokenRequests.Load())
}

func TestReplayedCallbackIsRefused(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	cfg := configure(t, op, "app-basic")
	client, wire := newClient(t, op, cfg)
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	require.NoError(t, err)

	_, err = client.Finish(t.Context(), flow, callback)
	requireParameter(t, "state", err)
	require.EqualValues(t, 1, wire.tokenRequests.Load(), "the code is not sent again")

	// Another process of ours does not know, and gets the flow from a cookie. The provider knows.
	sealed, err := flow.MarshalBinary()
	require.NoError(t, err)
	var restored oidc.Flow
	require.NoError(t, restored.UnmarshalBinary(sealed))
	fresh, wire := newClient(t, op, cfg)
	_, err = fresh.Finish(t.Context(), &restored, callback)
	requireParameter(t, "code", err)
	require.ErrorIs(t, err, oidckit.ErrInvalidCallback)
	require.EqualValues(t, 1, wire.tokenRequests.Load())
}

func TestCodeOfAnotherLoginIsRefused(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, _ := newClient(t, op, configure(t, op, "app-basic"))
	flow, callback := begin(t, op, client, "alice")
	_, stolen := begin(t, op, client, "bob")
	callback.Set("code", stolen.Get("code"))
	_, err := client.Finish(t.Context(), flow, callback)
	requireParameter(t, "code", err) // PKCE: the provider has another challenge with it
}

func TestWrongClientSecretIsOurFault(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	cfg := configure(t, op, "app-basic")
	cfg.ClientSecret = "wrong"
	client, wire := newClient(t, op, cfg)
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	var refusal *oidc.ResponseError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "invalid_client", refusal.Code)
	for _, other := range []error{oidckit.ErrInvalidToken, oidckit.ErrForbidden, oidckit.ErrUnavailable, oidckit.ErrInvalidCallback} {
		require.NotErrorIs(t, err, other)
	}
	require.EqualValues(t, 1, wire.tokenRequests.Load(), "there is no second try, in another style")
}

func TestOPStepUp(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client, _ := newClient(t, op, configure(t, op, "app-basic"))
	browser := op.NewBrowser()
	logIn := func(options ...oidc.Option) (*oidc.Tokens, error) {
		flow, err := client.Begin(t.Context(), append(options, oidc.WithLoginHint("alice"))...)
		require.NoError(t, err)
		back, err := browser.Authorize(t.Context(), flow.AuthorizationURL)
		require.NoError(t, err)
		return client.Finish(t.Context(), flow, back.Query())
	}
	_, err := logIn()
	require.NoError(t, err)
	wanted := oidc.WithACRValues("urn:test:loa:2")
	_, err = logIn(wanted)
	requireReason(t, oidc.ReasonAuthentication, err) // to this provider it is a wish, and it has a session
	tokens, err := logIn(wanted, oidc.WithPrompt("login"), oidc.WithMaxAge(time.Hour))
	require.NoError(t, err)
	acr, err := tokens.IDToken.Claims.String(claims.P("acr"))
	require.NoError(t, err)
	require.Equal(t, "urn:test:loa:2", acr)
	require.True(t, tokens.IDToken.Claims.Has(claims.P("auth_time")))
	_, err = logIn(oidc.WithMaxAge(0))
	require.NoError(t, err, "the provider asked again who is there")
}
