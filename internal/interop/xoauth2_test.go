package interop_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
)

// counting counts the requests that leave for the token endpoint.
type counting struct {
	base  http.RoundTripper
	paths map[string]int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.paths[r.URL.Path]++
	return c.base.RoundTrip(r)
}

// xoauth2 is golang.org/x/oauth2's own configuration of a client, and a context with a client that authenticates.
func xoauth2(t *testing.T, op *interop.OP, client interop.Client, cfg clientauth.TransportConfig) (*oauth2.Config, context.Context) {
	t.Helper()
	if cfg.TokenEndpoint == "" {
		cfg.TokenEndpoint = op.Issuer + "/token"
	}
	cfg.ClientID, cfg.Issuer = client.ID, op.Issuer
	config := &oauth2.Config{
		ClientID: client.ID, RedirectURL: callbackURL, Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: op.Issuer + "/auth", TokenURL: cfg.TokenEndpoint, AuthStyle: oauth2.AuthStyleInParams},
	}
	return config, context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: clientauth.RoundTripper(cfg)})
}

// exchange logs alice in with x/oauth2 alone.
func exchange(ctx context.Context, t *testing.T, op *interop.OP, config *oauth2.Config) (*oauth2.Token, error) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	back, err := op.Login(ctx, config.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier),
		oauth2.SetAuthURLParam("login_hint", "alice"), oauth2.SetAuthURLParam("nonce", "a nonce")))
	require.NoError(t, err)
	require.NotEmpty(t, back.Query().Get("code"), "%s", back)
	return config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
}

// expired is a token that its source has to refresh.
func expired(token *oauth2.Token) *oauth2.Token {
	old := *token
	old.Expiry = time.Now().Add(-time.Minute)
	return &old
}

func TestOPXOAuth2ConfigWithEveryMethod(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for _, row := range secretAndKeyMethods(t) {
		t.Run(row.name, func(t *testing.T) {
			client := row.register(t, op, nil)
			wire := &counting{http.DefaultTransport, map[string]int{}}
			config, ctx := xoauth2(t, op, client, clientauth.TransportConfig{Method: row.method(client), Base: wire})
			token, err := exchange(ctx, t, op, config)
			require.NoError(t, err)
			require.NotEmpty(t, token.RefreshToken)
			require.NotEmpty(t, token.Extra("id_token"))

			source := config.TokenSource(ctx, expired(token))
			fresh, err := source.Token()
			require.NoError(t, err)
			require.NotEqual(t, token.AccessToken, fresh.AccessToken)
			require.NotEqual(t, token.RefreshToken, fresh.RefreshToken, "the provider rotates")
			again, err := source.Token()
			require.NoError(t, err)
			require.Equal(t, fresh.AccessToken, again.AccessToken)
			require.Equal(t, 2, wire.paths["/token"], "one for the code, one for the refresh token")

			info, err := config.Client(ctx, fresh).Get(op.Issuer + "/me")
			require.NoError(t, err)
			require.NoError(t, info.Body.Close())
			require.Equal(t, http.StatusOK, info.StatusCode, "requests to elsewhere are let through as they are")
		})
	}
}

func TestOPXOAuth2ConfigWithCertificates(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for _, row := range certificateMethods(t, op) {
		t.Run(row.name, func(t *testing.T) {
			client := row.register(t, op, interop.Metadata{"tls_client_certificate_bound_access_tokens": true})
			config, ctx := xoauth2(t, op, client, clientauth.TransportConfig{
				Method: row.method(client), Base: trusting(op), TokenEndpoint: op.MTLS + "/token",
			})
			token, err := exchange(ctx, t, op, config)
			require.NoError(t, err)
			fresh, err := config.TokenSource(ctx, expired(token)).Token()
			require.NoError(t, err)
			require.NotEqual(t, token.AccessToken, fresh.AccessToken)

			machine := clientcredentials.Config{
				ClientID: client.ID, TokenURL: op.MTLS + "/token", AuthStyle: oauth2.AuthStyleInParams,
				EndpointParams: map[string][]string{"resource": {apiTest}},
			}
			bound, err := machine.Token(ctx)
			require.NoError(t, err)
			_, payload := decode(t, bound.AccessToken)
			require.Contains(t, payload["cnf"], "x5t#S256")
		})
	}
}

func TestOPXOAuth2ClientCredentials(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	for _, row := range secretAndKeyMethods(t) {
		if row.name == "none" {
			continue // RFC 6749 section 4.4: confidential clients only
		}
		t.Run(row.name, func(t *testing.T) {
			client := row.register(t, op, nil)
			config, ctx := xoauth2(t, op, client, clientauth.TransportConfig{Method: row.method(client)})
			for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader, oauth2.AuthStyleAutoDetect} {
				machine := clientcredentials.Config{
					ClientID: client.ID, ClientSecret: "not this one", TokenURL: config.Endpoint.TokenURL, AuthStyle: style,
					Scopes: []string{"reports:read"}, EndpointParams: map[string][]string{"resource": {apiTest}},
				}
				token, err := machine.Token(ctx)
				require.NoError(t, err)
				_, payload := decode(t, token.AccessToken)
				require.Equal(t, client.ID, payload["sub"])
				require.Equal(t, "reports:read", payload["scope"])
			}
		})
	}
}

// x/oauth2 answers a refusal with a second try in another style. The code is not sent again.
func TestOPXOAuth2SendsACodeOnce(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client := privateKeyMethod(t, "ES256").register(t, op, nil)
	wire := &counting{http.DefaultTransport, map[string]int{}}
	stranger := signingKey(t, "ES256")
	config, ctx := xoauth2(t, op, client, clientauth.TransportConfig{Method: clientauth.PrivateKeyJWT(stranger), Base: wire})
	config.Endpoint.AuthStyle = oauth2.AuthStyleAutoDetect
	_, err := exchange(ctx, t, op, config)
	var refused *clientauth.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, clientauth.ReasonRepeated, refused.Reason)
	require.Equal(t, 1, wire.paths["/token"])
}
