package oidc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// A panicked program says so by a type of its own, with something secret in it.
type panicked struct{ secret string }

// panics is a function of the program with a bug.
func panics() { panic(panicked{marker}) }

// brokenLogger panics whatever it is told.
type brokenLogger struct{ slog.Handler }

func (brokenLogger) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenLogger) Handle(context.Context, slog.Record) error { panic(marker) }

// A panic in a function of the program is its bug: it ends no process, is no outage and no
// fault of a token, and the log says where it was, without what it was about.
func TestG10_PanicIsABug(t *testing.T) {
	for name, call := range map[string]func(*testing.T, *oidc.Client) error{
		"JWTBearerSource": func(_ *testing.T, c *oidc.Client) error {
			_, err := c.JWTBearerSource(func(context.Context) (string, error) { panics(); return "", nil }).Token()
			return err
		},
		"TokenExchangeSource": func(_ *testing.T, c *oidc.Client) error {
			_, err := c.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) { panics(); return oidc.TokenExchange{}, nil }).Token()
			return err
		},
		"Persist": func(t *testing.T, c *oidc.Client) error {
			_, err := persisting(t, c, tokensWith("R1"), func(context.Context, *oidc.Tokens) error { panics(); return nil }).Token()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &scriptedEndpoint{answer: rotating, now: start}
			var log bytes.Buffer
			for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), nil, slog.New(brokenLogger{slog.DiscardHandler})} {
				p, err := oidc.NewProvider(oidc.Config{
					Metadata:   &discovery.Metadata{Issuer: issuer, AuthorizationEndpoint: issuer, TokenEndpoint: issuer, JWKSURI: issuer},
					HTTPClient: &http.Client{Transport: e}, Now: e.clock, Logger: logger,
				})
				require.NoError(t, err)
				err = call(t, newClient(t, p))
				require.Error(t, err)
				for _, sentinel := range []error{oidckit.ErrInvalidToken, oidckit.ErrForbidden, oidckit.ErrUnavailable, oidckit.ErrInvalidCallback} {
					require.NotErrorIs(t, err, sentinel)
				}
				tellsNothing(t, err)
			}
			require.Contains(t, log.String(), fmt.Sprintf("type=%T", panicked{}))
			require.Contains(t, log.String(), "oidc_test.panics")
			require.NotContains(t, log.String(), marker)
		})
	}
}

// After a panic there is a pause, as after any failure, in which its class stays.
func TestGrantSource_PanicInThePause(t *testing.T) {
	calls := 0
	e, client := scripted(t, numbered())
	source := client.JWTBearerSource(func(context.Context) (string, error) {
		if calls++; calls == 1 {
			panics()
		}
		return "assertion", nil
	})
	for range 2 {
		_, err := source.Token()
		require.Error(t, err)
		require.NotErrorIs(t, err, oidckit.ErrUnavailable)
	}
	require.Equal(t, 1, calls)
	e.advance(5 * time.Second)
	token, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "token-1", token.AccessToken)
}

func TestGrantSource_Zero(t *testing.T) {
	var source oidc.GrantSource
	token, err := source.Token()
	require.Error(t, err)
	require.Nil(t, token)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable)
}

// There may be no access token among the tokens: one is got if that is possible, and none
// is never given out.
func TestTokenSource_WithoutAccessToken(t *testing.T) {
	e, client := scripted(t, rotating)
	later := start.AddDate(1, 0, 0)
	source := client.TokenSource(&oidc.Tokens{OAuth2: &oauth2.Token{RefreshToken: "R1", Expiry: later}})
	token, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "access-for-R1", token.AccessToken)

	e.answer = func(url.Values) object { return object{"error": "temporarily_unavailable"} }
	source = client.TokenSource(&oidc.Tokens{OAuth2: &oauth2.Token{RefreshToken: "R2"}})
	for range 2 { // the second in the pause
		token, err = source.Token()
		requireUnavailable(t, err)
		require.Nil(t, token)
	}
	sent := e.requests()
	for _, expiry := range []time.Time{{}, later} {
		token, err = client.TokenSource(&oidc.Tokens{OAuth2: &oauth2.Token{Expiry: expiry}}).Token()
		require.Error(t, err)
		require.Nil(t, token)
		require.False(t, errors.Is(err, oidckit.ErrUnavailable) || errors.Is(err, oidckit.ErrInvalidToken))
	}
	require.Equal(t, sent, e.requests())
}
