package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// numbered answers with tokens that are numbered and live for five minutes.
func numbered() func(url.Values) object {
	n := 0
	return func(url.Values) object {
		n++
		return object{"access_token": fmt.Sprint("token-", n), "token_type": "Bearer", "expires_in": 300}
	}
}

// grants are the calls that no login is behind, with what they send beside the client's
// proof.
func grants() map[string]struct {
	call func(context.Context, *oidc.Client, ...oidc.Option) (*oauth2.Token, error)
	form url.Values
} {
	return map[string]struct {
		call func(context.Context, *oidc.Client, ...oidc.Option) (*oauth2.Token, error)
		form url.Values
	}{
		"client credentials": {
			func(ctx context.Context, c *oidc.Client, options ...oidc.Option) (*oauth2.Token, error) {
				return c.ClientCredentials(ctx, options...)
			},
			url.Values{"grant_type": {"client_credentials"}},
		},
		"JWT bearer": {
			func(ctx context.Context, c *oidc.Client, options ...oidc.Option) (*oauth2.Token, error) {
				return c.JWTBearer(ctx, marker+".a.b", options...)
			},
			url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {marker + ".a.b"}},
		},
		"token exchange": {
			func(ctx context.Context, c *oidc.Client, options ...oidc.Option) (*oauth2.Token, error) {
				t, err := c.TokenExchange(ctx, oidc.TokenExchange{SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT}, options...)
				if err != nil {
					return nil, err
				}
				return t.Token, nil
			},
			url.Values{
				"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
				"subject_token": {marker}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
			},
		},
	}
}

func TestGrants_Request(t *testing.T) {
	for name, tt := range grants() {
		t.Run(name, func(t *testing.T) {
			e, client := scripted(t, func(url.Values) object {
				return object{
					"access_token": "a", "token_type": "bearer", "expires_in": 60, "id_token": "x.y.z", "other": "member",
					"issued_token_type": oidc.TokenTypeAccessToken,
				}
			})
			token, err := tt.call(t.Context(), client)
			require.NoError(t, err)
			require.Equal(t, tt.form, e.last(), "the scope of logins is none of it")
			require.Equal(t, "Bearer", token.TokenType)
			require.True(t, token.Expiry.Equal(start.Add(time.Minute)))
			require.Equal(t, "member", token.Extra("other"))
			require.Empty(t, token.Extra("id_token"), "nobody has verified it")
			require.Empty(t, token.Extra("scope"))

			token, err = tt.call(t.Context(), client, oidc.WithScopes("a", "b"), oidc.WithResource(api), oidc.WithResource(api+"/2"), oidc.WithParameter("x", "y"))
			require.NoError(t, err)
			form := e.last()
			require.Equal(t, []string{"a b"}, form["scope"])
			require.Equal(t, []string{api, api + "/2"}, form["resource"])
			require.Equal(t, "y", form.Get("x"))
			require.Equal(t, "a b", token.Extra("scope"), "what is not said is what was asked for")

			for _, own := range []string{"grant_type", "client_secret"} {
				_, err = tt.call(t.Context(), client, oidc.WithParameter(own, "password"))
				require.Error(t, err)
			}
			require.Equal(t, 2, e.requests())
		})
	}
}

func TestGrants_Resources(t *testing.T) {
	for name, tt := range grants() {
		t.Run(name, func(t *testing.T) {
			e, client := scripted(t, numbered(), func(c *oidc.ClientConfig) { c.Resources = []string{api} })
			_, _ = tt.call(t.Context(), client)
			require.Equal(t, []string{api}, e.last()["resource"])
		})
	}
}

// An outage is no refusal, and a refused client is none of a token.
func TestF34_Grants_Refusals(t *testing.T) {
	for name, tt := range grants() {
		t.Run(name, func(t *testing.T) {
			for code, reason := range map[string]oidc.Reason{
				"invalid_grant": oidc.ReasonRevoked, "invalid_client": "", "invalid_request": "", "invalid_target": "", "unauthorized_client": "",
			} {
				_, client := scripted(t, func(url.Values) object { return object{"error": code, "error_description": marker} })
				_, err := tt.call(t.Context(), client)
				var re *oidc.ResponseError
				require.ErrorAs(t, err, &re, code)
				require.Equal(t, code, re.Code)
				require.Equal(t, marker, re.Description)
				tellsNothing(t, err)
				var e *oidc.Error
				if require.Equal(t, reason != "", errors.As(err, &e), code); e != nil {
					requireRefused(t, err, reason, "")
				}
			}
		})
	}
}

func TestF34_Grants_Outages(t *testing.T) {
	for name, tt := range grants() {
		for fault, f := range outages() {
			t.Run(name+" "+fault, func(t *testing.T) {
				op, client := setup(t)
				op.SetFault(oidctest.Token, f)
				_, err := tt.call(t.Context(), client)
				requireUnavailable(t, err)
				require.Equal(t, 1, op.Requests(oidctest.Token))
			})
		}
		t.Run(name+" hangs", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				op, client := setup(t)
				op.SetFault(oidctest.Token, oidctest.Fault{Hang: true})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := tt.call(ctx, client)
				requireUnavailable(t, err)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		})
	}
}

func TestF34_Grants_Answers(t *testing.T) {
	for name, tt := range grants() {
		for fault, changes := range map[string]object{
			"mac": {"token_type": "mac"}, "no type": {"token_type": nil}, "no token": {"access_token": nil}, "line break": {"access_token": "a\n"},
			"DPoP that nobody asked for": {"token_type": "DPoP"}, "N_A": {"token_type": "N_A"}, "life": {"expires_in": "soon"},
		} {
			t.Run(name+" "+fault, func(t *testing.T) {
				_, client := scripted(t, func(url.Values) object {
					return with(object{"access_token": marker, "token_type": "Bearer", "issued_token_type": oidc.TokenTypeAccessToken}, changes)
				})
				_, err := tt.call(t.Context(), client)
				requireRefused(t, err, oidc.ReasonMalformed, "")
			})
		}
	}
}

func TestClientCredentials(t *testing.T) {
	op, client := setup(t)
	token, err := client.ClientCredentials(t.Context(), oidc.WithScopes("read"), oidc.WithResource(api))
	require.NoError(t, err)
	access, err := newVerifier(t, client.Provider()).Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []string{"read"}, access.Scopes)
	require.Equal(t, "read", token.Extra("scope"))

	_, err = newClient(t, client.Provider(), func(c *oidc.ClientConfig) { c.ClientSecret = clientauth.Secret(marker + "wrong") }).ClientCredentials(t.Context())
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "invalid_client", re.Code)
	tellsNothing(t, err)
	require.Equal(t, 2, op.Requests(oidctest.Token))
}

func TestJWTBearer_ChecksTheAssertion(t *testing.T) {
	e, client := scripted(t, numbered())
	for _, assertion := range []string{"", marker + "\n", "a b", "é", strings.Repeat("a", 16<<10+1)} {
		_, err := client.JWTBearer(t.Context(), assertion)
		requireRefused(t, err, oidc.ReasonMalformed, "")
	}
	require.Zero(t, e.requests())
}

// sources are made of a client that gets numbered tokens.
func sources() map[string]func(*oidc.Client) *oidc.GrantSource {
	return map[string]func(*oidc.Client) *oidc.GrantSource{
		"client credentials": func(c *oidc.Client) *oidc.GrantSource { return c.ClientCredentialsSource(oidc.WithScopes("a")) },
		"JWT bearer": func(c *oidc.Client) *oidc.GrantSource {
			return c.JWTBearerSource(func(context.Context) (string, error) { return marker, nil }, oidc.WithScopes("a"))
		},
		"token exchange": func(c *oidc.Client) *oidc.GrantSource {
			return c.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) {
				return oidc.TokenExchange{SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT}, nil
			}, oidc.WithScopes("a"))
		},
	}
}

func TestGrantSource(t *testing.T) {
	for name, newSource := range sources() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := numbered()
				e, client := scripted(t, func(form url.Values) object {
					time.Sleep(time.Second)
					return with(answers(form), object{"issued_token_type": oidc.TokenTypeAccessToken})
				})
				source := newSource(client)
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						token, err := source.Token()
						if err != nil || token.AccessToken != "token-1" {
							t.Errorf("%v", err)
						}
					})
				}
				wg.Wait()
				require.Equal(t, 1, e.requests())
				require.Equal(t, "a", e.last().Get("scope"))

				e.advance(230 * time.Second) // of 290 that it serves: before 80 %
				_, err := source.Token()
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 1, e.requests())
				e.advance(59 * time.Second) // 289: nobody waits for the new one
				token, err := source.Token()
				require.NoError(t, err)
				require.Equal(t, "token-1", token.AccessToken)
				time.Sleep(2 * time.Second)
				token, err = source.Token()
				require.NoError(t, err)
				require.Equal(t, "token-2", token.AccessToken)

				e.advance(290 * time.Second) // unused for so long: now one has to wait
				token, err = source.Token()
				require.NoError(t, err)
				require.Equal(t, "token-3", token.AccessToken)
				require.Equal(t, 3, e.requests())
			})
		})
	}
}

// A token serves on in an outage, but not into the last seconds of its life.
func TestGrantSource_Outage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		source := client.ClientCredentialsSource()
		first, err := source.Token()
		require.NoError(t, err)
		op.SetFault(oidctest.Token, oidctest.Fault{Status: 503})
		op.Advance(290*time.Second - 1)
		token, err := source.Token()
		require.NoError(t, err)
		require.Same(t, first, token)
		synctest.Wait()
		op.Advance(1)
		_, err = source.Token()
		requireUnavailable(t, err)
		sent := op.Requests(oidctest.Token)
		_, err = source.Token()
		requireUnavailable(t, err)
		require.Equal(t, sent, op.Requests(oidctest.Token), "a pause")
		op.SetFault(oidctest.Token, oidctest.Fault{})
		op.Advance(5 * time.Second)
		_, err = source.Token()
		require.NoError(t, err)
	})
}

// A refusal is no outage, also when it is repeated in the pause after it.
func TestGrantSource_Refused(t *testing.T) {
	e, client := scripted(t, func(url.Values) object { return object{"error": "invalid_grant"} })
	source := client.JWTBearerSource(func(context.Context) (string, error) { return marker, nil })
	for range 2 {
		_, err := source.Token()
		requireRefused(t, err, oidc.ReasonRevoked, "")
	}
	require.Equal(t, 1, e.requests())
	e.advance(time.Second)
	_, err := source.Token()
	requireRefused(t, err, oidc.ReasonRevoked, "")
	require.Equal(t, 2, e.requests())
}

// What is sent is asked for anew each time, and its error is the caller's.
func TestGrantSource_FreshAssertions(t *testing.T) {
	errNoFile := errors.New("no such file")
	n := 0
	e, client := scripted(t, func(form url.Values) object {
		return with(numbered()(form), object{"issued_token_type": oidc.TokenTypeAccessToken})
	})
	next := func(context.Context) (string, error) {
		if n++; n == 3 {
			return "", errNoFile
		}
		return fmt.Sprint("assertion-", n), nil
	}
	for name, source := range map[string]*oidc.GrantSource{
		"assertion": client.JWTBearerSource(next),
		"subject_token": client.TokenExchangeSource(func(ctx context.Context) (oidc.TokenExchange, error) {
			token, err := next(ctx)
			return oidc.TokenExchange{SubjectToken: token, SubjectTokenType: oidc.TokenTypeJWT}, err
		}),
	} {
		n = 0
		for i := range 2 {
			_, err := source.Token()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("assertion-", i+1), e.last().Get(name))
			e.advance(time.Hour)
		}
		sent := e.requests()
		_, err := source.Token()
		require.Equal(t, errNoFile, err)
		require.Equal(t, sent, e.requests())
	}
}

func TestGrantSource_Lives(t *testing.T) {
	for name, tt := range map[string]struct {
		life   any
		serves time.Duration // 0: refused
	}{
		"hour":    {3600, time.Hour - 10*time.Second},
		"short":   {20, 16 * time.Second},
		"unknown": {nil, 5 * time.Minute},
		"none":    {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers, fail := numbered(), false
				e, client := scripted(t, func(form url.Values) object {
					if fail {
						return object{"error": "temporarily_unavailable"}
					}
					return with(answers(form), object{"expires_in": tt.life})
				})
				source := client.ClientCredentialsSource()
				_, err := source.Token()
				if tt.serves == 0 {
					requireRefused(t, err, oidc.ReasonExpired, "")
					_, err = source.Token()
					requireRefused(t, err, oidc.ReasonExpired, "")
					require.Equal(t, 1, e.requests())
					return
				}
				require.NoError(t, err)
				fail = true
				e.advance(tt.serves - 1)
				_, err = source.Token()
				require.NoError(t, err)
				synctest.Wait()
				e.advance(1)
				_, err = source.Token()
				requireUnavailable(t, err)
			})
		})
	}
}

func TestGrantSource_CancelledCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		op.SetFault(oidctest.Token, oidctest.Fault{Delay: 5 * time.Second})
		source := client.ClientCredentialsSource()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := source.TokenContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireUnavailable(t, err)
		_, err = source.TokenContext(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, op.Requests(oidctest.Token))
	})
}

func TestG10_GrantsPrintNothing(t *testing.T) {
	_, client := scripted(t, func(form url.Values) object {
		return with(numbered()(form), object{"access_token": marker, "issued_token_type": oidc.TokenTypeAccessToken})
	})
	source := client.ClientCredentialsSource()
	_, err := source.Token()
	require.NoError(t, err)
	exchange := oidc.TokenExchange{SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT, ActorToken: marker, ActorTokenType: oidc.TokenTypeJWT}
	token, err := client.TokenExchange(t.Context(), exchange)
	require.NoError(t, err)
	for _, v := range []any{source, exchange, &exchange, token, *token} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.NotContains(t, fmt.Sprintf(verb, v), marker)
			require.NotContains(t, fmt.Sprintf(verb, v), strings.ToUpper(marker))
			require.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", marker))
		}
	}
	for _, v := range []interface{ MarshalText() ([]byte, error) }{exchange, token} {
		text, err := v.MarshalText()
		require.NoError(t, err)
		require.Equal(t, "[redacted]", string(text))
	}
}
