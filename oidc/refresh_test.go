package oidc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// A scriptedEndpoint answers token requests as a test wants it.
type scriptedEndpoint struct {
	mu     sync.Mutex
	now    time.Time
	forms  []url.Values
	answer func(form url.Values) object // "error" goes with status 400, "Retry-After" with 429
}

func (e *scriptedEndpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.forms = append(e.forms, form)
	e.mu.Unlock()
	answer := e.answer(form)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	if _, failed := answer["error"]; failed {
		w.WriteHeader(http.StatusBadRequest)
	}
	if after, ok := answer["Retry-After"].(string); ok {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusTooManyRequests)
	}
	err = json.NewEncoder(w).Encode(answer)
	return w.Result(), err
}

func (e *scriptedEndpoint) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

func (e *scriptedEndpoint) last() url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forms[len(e.forms)-1]
}

func (e *scriptedEndpoint) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *scriptedEndpoint) advance(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

// scripted makes a client of a provider that is its token endpoint alone.
func scripted(t testing.TB, answer func(form url.Values) object, configure ...func(*oidc.ClientConfig)) (*scriptedEndpoint, *oidc.Client) {
	t.Helper()
	e := &scriptedEndpoint{answer: answer, now: start}
	p, err := oidc.NewProvider(oidc.Config{
		Metadata: &discovery.Metadata{
			Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/jwks",
		},
		HTTPClient: &http.Client{Transport: e}, Now: e.clock,
	})
	require.NoError(t, err)
	return e, newClient(t, p, configure...)
}

// rotating answers as a provider that names refresh tokens after those they replace.
func rotating(form url.Values) object {
	return object{
		"access_token": "access-for-" + form.Get("refresh_token"), "token_type": "Bearer", "expires_in": 300,
		"refresh_token": form.Get("refresh_token") + "+",
	}
}

func tokensWith(refreshToken string) *oidc.Tokens {
	return &oidc.Tokens{OAuth2: &oauth2.Token{AccessToken: marker, RefreshToken: refreshToken, Expiry: start}}
}

// One request per refresh token, for direct calls and several sources alike. The provider
// does not rotate, so that only those who ask at the same time can share the answer.
func TestF30_OneRequestForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client, old := setupOffline(t)
		op.OnTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		op.Advance(time.Hour)
		op.SetFault(oidctest.Token, oidctest.Fault{Delay: time.Second})
		sources := []*oidc.TokenSource{client.TokenSource(old), client.TokenSource(old)}
		got := make([]string, 30)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				if i%3 == 2 {
					if tokens, err := client.Refresh(t.Context(), old); err == nil {
						got[i] = tokens.OAuth2.AccessToken
					}
				} else if token, err := sources[i%3].Token(); err == nil {
					got[i] = token.AccessToken
				}
			})
		}
		wg.Wait()
		require.Equal(t, 2, op.Requests(oidctest.Token), "the login and one refresh")
		for _, token := range got {
			require.NotEmpty(t, token)
			require.Equal(t, got[0], token)
		}
	})
}

// What others get must not be changed by one of them.
func TestF30_SharedAnswerIsNobodysOwn(t *testing.T) {
	_, client := scripted(t, rotating)
	first, err := client.Refresh(t.Context(), tokensWith("R1"))
	require.NoError(t, err)
	first.OAuth2.AccessToken, first.OAuth2.RefreshToken = "changed", "changed"
	second, err := client.Refresh(t.Context(), tokensWith("R1"))
	require.NoError(t, err)
	require.Equal(t, "access-for-R1", second.OAuth2.AccessToken)
	require.Equal(t, "R1+", second.OAuth2.RefreshToken)
}

// Who read the session before another request refreshed it gets the answer to that one,
// for a minute.
func TestF30_LateComersGetTheAnswer(t *testing.T) {
	e, client := scripted(t, rotating)
	old := tokensWith("R1")
	first, err := refresh(t, client, old)
	require.NoError(t, err)
	e.advance(time.Minute - 1)
	late, err := refresh(t, client, old)
	require.NoError(t, err)
	require.Equal(t, first.OAuth2.AccessToken, late.OAuth2.AccessToken)
	require.Equal(t, "R1+", late.OAuth2.RefreshToken)
	require.True(t, late.OAuth2.Expiry.Equal(start.Add(5*time.Minute)), "counted from when it came")
	require.Equal(t, 1, e.requests())

	// The answer is the newest one: that of before is spent by now.
	_, err = refresh(t, client, first)
	require.NoError(t, err)
	late, err = refresh(t, client, old)
	require.NoError(t, err)
	require.Equal(t, "R1++", late.OAuth2.RefreshToken)
	require.Equal(t, 2, e.requests())

	e.advance(1)
	_, err = refresh(t, client, old)
	require.NoError(t, err)
	require.Equal(t, 3, e.requests(), "a minute is over")
}

// A refresh token that stays is not spent: who asks again wants to know anew.
func TestF30_NothingIsKeptWithoutRotation(t *testing.T) {
	for name, answer := range map[string]func(url.Values) object{
		"no refresh token": func(url.Values) object { return object{"access_token": "a", "token_type": "Bearer"} },
		"the same": func(f url.Values) object {
			return object{"access_token": "a", "token_type": "Bearer", "refresh_token": f.Get("refresh_token")}
		},
		"a refusal": func(url.Values) object { return object{"error": "invalid_grant"} },
	} {
		t.Run(name, func(t *testing.T) {
			e, client := scripted(t, answer)
			for range 2 {
				_, err := refresh(t, client, tokensWith("R1"))
				require.Equal(t, name == "a refusal", err != nil)
			}
			require.Equal(t, 2, e.requests())
		})
	}
}

func TestF30_AnswersAreBounded(t *testing.T) {
	e, client := scripted(t, rotating)
	const kept = 1024
	for i := range kept + 1 {
		_, err := client.Refresh(t.Context(), tokensWith(fmt.Sprint("r", i)))
		require.NoError(t, err)
	}
	_, err := client.Refresh(t.Context(), tokensWith("r1"))
	require.NoError(t, err)
	require.Equal(t, kept+1, e.requests())
	_, err = client.Refresh(t.Context(), tokensWith("r0"))
	require.NoError(t, err)
	require.Equal(t, kept+2, e.requests(), "the oldest one had to go")
}

// A provider that gives out a refresh token again has made it good again.
func TestF30_RefreshTokensInTurn(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object {
		next := map[string]string{"a": "b", "b": "a"}[form.Get("refresh_token")]
		return object{"access_token": "token", "token_type": "Bearer", "refresh_token": next}
	})
	tokens := tokensWith("a")
	for i := range 4 {
		var err error
		tokens, err = refresh(t, client, tokens)
		require.NoError(t, err)
		require.Equal(t, i+1, e.requests())
	}
	// An early one of the first token must not go when the second use of it is kept.
	e.advance(30 * time.Second)
	again, err := refresh(t, client, tokensWith("a")) // spends a once more
	require.NoError(t, err)
	e.advance(30 * time.Second)
	late, err := refresh(t, client, tokensWith("a"))
	require.NoError(t, err)
	require.Equal(t, again.OAuth2.RefreshToken, late.OAuth2.RefreshToken)
	require.Equal(t, 5, e.requests())
}

// Other options make another request.
func TestRefresh_OptionsMakeAnotherRequest(t *testing.T) {
	e, client := scripted(t, rotating)
	for _, options := range [][]oidc.Option{
		nil, {oidc.WithScopes("a")}, {oidc.WithScopes("a", "b")}, {oidc.WithResource(api)}, {oidc.WithParameter("x", "1"), oidc.WithParameter("x", "2")},
	} {
		for range 2 {
			_, err := client.Refresh(t.Context(), tokensWith("R1"), options...)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 5, e.requests())
	require.Equal(t, []string{"1", "2"}, e.last()["x"])
	_, err := client.Refresh(t.Context(), tokensWith("R1"), oidc.WithParameter("refresh_token", "other"))
	require.Error(t, err)
	_, err = client.Refresh(t.Context(), tokensWith("R1"), oidc.WithParameter("grant_type", "password"))
	require.Error(t, err)
	require.Equal(t, 5, e.requests())
}

// A caller who leaves ends his wait. The request goes on, and its answer is there for the
// next one.
func TestF30_CancelledCallerSpendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client, old := setupOffline(t)
		op.SetFault(oidctest.Token, oidctest.Fault{Delay: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Refresh(ctx, old)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireUnavailable(t, err)
		require.Equal(t, time.Second, time.Since(began))

		tokens, err := client.Refresh(t.Context(), old) // while it is under way
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(began))
		late, err := client.Refresh(t.Context(), old) // after it
		require.NoError(t, err)
		require.Equal(t, tokens.OAuth2.RefreshToken, late.OAuth2.RefreshToken)
		require.Equal(t, 2, op.Requests(oidctest.Token))

		_, err = client.Refresh(ctx, tokens) // ctx is over
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, 2, op.Requests(oidctest.Token), "nobody waits for it")
	})
}

// An answer that is lost is an outage. Nothing is sent again by itself; the next call
// sends the refresh token again, and the provider is who knows.
func TestF30_LostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client, old := setupOffline(t)
		op.SetFault(oidctest.Token, oidctest.Fault{Hang: true})
		began := time.Now()
		_, err := client.Refresh(t.Context(), old)
		requireUnavailable(t, err)
		require.Equal(t, fetch.Timeout, time.Since(began))
		require.Equal(t, 2, op.Requests(oidctest.Token))

		// This one spends it, and is lost.
		op.SetFault(oidctest.Token, oidctest.Fault{Oversized: true})
		_, err = client.Refresh(t.Context(), old)
		requireUnavailable(t, err)
		require.Equal(t, 3, op.Requests(oidctest.Token))
		op.SetFault(oidctest.Token, oidctest.Fault{})
		_, err = client.Refresh(t.Context(), old)
		requireRefused(t, err, oidc.ReasonRevoked, "")
		require.Equal(t, 4, op.Requests(oidctest.Token))
	})
}

// An answer that cannot be used has spent the refresh token all the same.
func TestF30_UnusableAnswerIsKept(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object {
		return with(rotating(form), object{"token_type": "mac"})
	})
	for range 2 {
		_, err := refresh(t, client, tokensWith("R1"))
		var unusable *oidc.RefreshError
		require.ErrorAs(t, err, &unusable)
		require.Equal(t, "R1+", unusable.RefreshToken())
	}
	require.Equal(t, 1, e.requests())
}

// What is secret to one provider is not sent to another one.
func TestF30_TokensOfAnotherProvider(t *testing.T) {
	_, _, old := setupOffline(t)
	elsewhere := newOP(t, func(c *oidctest.Config) { c.Issuer = "https://elsewhere.example" })
	op := newOP(t)
	for name, client := range map[string]*oidc.Client{
		"provider": newClient(t, newProvider(t, elsewhere)),
		"client":   newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.ClientID = "other" }),
	} {
		_, err := refresh(t, client, old)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	require.Zero(t, op.Requests(oidctest.Token)+elsewhere.Requests(oidctest.Token))
}

func TestF30_Scope(t *testing.T) {
	for name, tt := range map[string]struct {
		answer  any
		options []oidc.Option
		want    string // empty: refused
	}{
		"left out":               {nil, nil, "read"},
		"the same":               {"read", nil, "read"},
		"narrower":               {"", nil, "read"},
		"wider":                  {"read write", nil, "read write"},
		"left out, as asked":     {nil, []oidc.Option{oidc.WithScopes("a", "b")}, "a b"},
		"narrower than asked":    {"b", []oidc.Option{oidc.WithScopes("a", "b")}, "b"},
		"wider than asked":       {"a b c", []oidc.Option{oidc.WithScopes("a", "b")}, ""},
		"as wide as before":      {"read", []oidc.Option{oidc.WithScopes("a")}, ""},
		"part of a name is none": {"read", []oidc.Option{oidc.WithScopes("reader")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := scripted(t, func(form url.Values) object {
				return with(rotating(form), object{"scope": tt.answer})
			})
			old := tokensWith("R1")
			old.OAuth2 = old.OAuth2.WithExtra(map[string]any{"scope": "read"})
			tokens, err := client.Refresh(t.Context(), old, tt.options...)
			if tt.want == "" {
				requireRefused(t, err, oidc.ReasonClaim, "scope")
				var unusable *oidc.RefreshError
				require.ErrorAs(t, err, &unusable)
				require.Equal(t, "R1+", unusable.RefreshToken())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, tokens.OAuth2.Extra("scope"))
		})
	}
}

// What an ID token in between leaves out is compared all the same.
func TestF30_LoginIsRemembered(t *testing.T) {
	for name, tt := range map[string]struct {
		third  object
		reason oidc.Reason
		claim  string
	}{
		"another nonce":         {object{"nonce": "other"}, oidc.ReasonNonce, "nonce"},
		"another auth_time":     {object{"auth_time": start.Unix() - 1}, oidc.ReasonClaim, "auth_time"},
		"the azp of the login":  {object{"azp": oidctest.ClientID}, "", ""},
		"the same as the login": {object{"auth_time": start.Unix()}, "", ""},
	} {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", stored: ", stored), func(t *testing.T) {
				op, client, tokens := setupOffline(t)
				claims := object{"auth_time": nil, "nonce": nil, "azp": nil}
				op.OnIDToken(func(_, token map[string]any) {
					for claim, v := range claims {
						if token[claim] = v; v == nil {
							delete(token, claim)
						}
					}
				})
				tokens, err := refresh(t, client, tokens)
				require.NoError(t, err)
				if stored {
					tokens = storedAndRead(t, tokens)
				}
				claims = tt.third
				_, err = refresh(t, client, tokens)
				if tt.reason == "" {
					require.NoError(t, err)
					return
				}
				requireRefused(t, err, tt.reason, tt.claim)
			})
		}
	}
}

// A claim that the login did not have.
func TestF30_NewClaimsOfTheLogin(t *testing.T) {
	for name, tt := range map[string]struct {
		claims object
		reason oidc.Reason
		claim  string
	}{
		"azp":         {object{"azp": oidctest.ClientID}, oidc.ReasonAuthorizedParty, "azp"},
		"earlier iat": {object{"iat": start.Unix() - 61}, oidc.ReasonTooOld, "iat"},
		"iat, leeway": {object{"iat": start.Unix() - 60}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			client = newClient(t, client.Provider(), offline)
			op.OnIDToken(func(_, token map[string]any) { delete(token, "azp") })
			old := mustLogin(t, op, client)
			op.OnIDToken(func(_, token map[string]any) {
				delete(token, "azp")
				maps.Copy(token, tt.claims)
			})
			_, err := refresh(t, client, old)
			if tt.reason == "" {
				require.NoError(t, err)
				return
			}
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}

	// The first auth_time is the one that counts from then on.
	op, client := setup(t)
	client = newClient(t, client.Provider(), offline)
	op.OnIDToken(func(_, token map[string]any) { delete(token, "auth_time") })
	tokens := mustLogin(t, op, client)
	for i, at := range []int64{start.Unix() - 5, start.Unix() - 5, start.Unix() - 4} {
		op.OnIDToken(func(_, token map[string]any) { token["auth_time"] = at })
		next, err := refresh(t, client, tokens)
		if i == 2 {
			requireRefused(t, err, oidc.ReasonClaim, "auth_time")
			return
		}
		require.NoError(t, err)
		tokens = next
	}
}

// panicking is a method whose function of the program panics.
type panicking struct{}

func (panicking) Name() string { return "panicking" }

func (panicking) Authenticate(context.Context, *clientauth.Request) error { panic(marker) }

// A panic that a handler would survive must not end the process here.
func TestRefresh_PanicIsAnError(t *testing.T) {
	e, client := scripted(t, rotating, func(c *oidc.ClientConfig) { c.ClientSecret, c.ClientAuth = "", panicking{} })
	_, err := refresh(t, client, tokensWith("R1"))
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.Zero(t, e.requests())
}

func TestG10_RefreshErrorsTellNothing(t *testing.T) {
	_, client := scripted(t, func(form url.Values) object {
		return with(rotating(form), object{"token_type": marker})
	})
	_, err := client.Refresh(t.Context(), tokensWith(marker))
	require.Error(t, err)
	_, err2 := persisting(t, client, tokensWith(marker), func(context.Context, *oidc.Tokens) error { return errors.New("disk full") }).Token()
	var unkept *oidc.PersistError
	require.ErrorAs(t, err2, &unkept)
	for _, err := range []error{err, err2} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			require.NotContains(t, fmt.Sprintf(verb, err), marker, verb)
			require.NotContains(t, fmt.Sprintf(verb, struct{ E error }{err}), marker, verb)
		}
	}
}
