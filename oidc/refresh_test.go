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
	"strings"
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

// sentOnce asserts that no refresh token was sent twice.
func sentOnce(t testing.TB, e *scriptedEndpoint) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	sent := map[string]int{}
	for _, form := range e.forms {
		sent[form.Get("refresh_token")]++
		require.Equal(t, 1, sent[form.Get("refresh_token")], "%v", e.forms)
	}
}

// Sources that ask for different things with the refresh token of one login take turns,
// also when the client has long forgotten the answers.
func TestF30_OtherOptionsWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, client := scripted(t, func(form url.Values) object {
			time.Sleep(time.Second)
			return with(rotating(form), object{"access_token": form.Get("resource")})
		})
		want := []string{"https://a.example", "https://b.example", "https://c.example"}
		var sources []*oidc.TokenSource
		for _, api := range want {
			s, err := client.NewTokenSource(oidc.TokenSourceConfig{Tokens: tokensWith("R1"), Options: []oidc.Option{oidc.WithResource(api)}})
			require.NoError(t, err)
			sources = append(sources, s)
		}
		for round := range 3 {
			got := make([]string, len(sources))
			var wg sync.WaitGroup
			for i, s := range sources {
				wg.Go(func() {
					if token, err := s.Token(); err == nil {
						got[i] = token.AccessToken
					}
				})
			}
			wg.Wait()
			require.Equal(t, want, got)
			require.Equal(t, len(sources)*(round+1), e.requests())
			sentOnce(t, e)
			time.Sleep(time.Hour)
			e.advance(time.Hour)
		}
	})
}

// What an outage leaves as it was is what the next one sends; and who waits for another
// request stops when his context ends, and has spent nothing.
func TestF30_OtherOptionsAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		e, client := scripted(t, func(form url.Values) object {
			time.Sleep(5 * time.Second)
			if down {
				down = false
				return object{"error": "temporarily_unavailable"}
			}
			return rotating(form)
		})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = client.Refresh(t.Context(), tokensWith("R1")) })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := client.Refresh(ctx, tokensWith("R1"), oidc.WithScopes("a"))
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, oidckit.ErrUnavailable) {
				t.Errorf("a caller who left: %v", err)
			}
		})
		tokens, err := client.Refresh(t.Context(), tokensWith("R1"), oidc.WithScopes("b"))
		require.NoError(t, err)
		wg.Wait()
		require.Equal(t, "access-for-R1", tokens.OAuth2.AccessToken)
		require.Equal(t, 2, e.requests())
		require.Equal(t, "b", e.last().Get("scope"))
	})
}

// The tokens of a request stay good to refresh with, though another one spent their
// refresh token. Those that somebody changed are what he says, and those of another client
// are its own affair.
func TestF30_TokensRememberTheirFamily(t *testing.T) {
	op, client, old := setupOffline(t)
	first, err := client.Refresh(t.Context(), old)
	require.NoError(t, err)
	_, err = client.Refresh(t.Context(), old, oidc.WithScopes("openid"))
	require.NoError(t, err)
	op.Advance(time.Hour)
	_, err = refresh(t, client, first)
	require.NoError(t, err)

	e, scriptedClient := scripted(t, rotating)
	tokens, err := refresh(t, scriptedClient, tokensWith("R1"))
	require.NoError(t, err)
	next, err := refresh(t, scriptedClient, tokens)
	require.NoError(t, err)
	require.Equal(t, "R1++", next.OAuth2.RefreshToken)
	e.advance(time.Hour)
	_, err = refresh(t, newClient(t, scriptedClient.Provider()), tokens)
	require.NoError(t, err)
	require.Equal(t, "R1+", e.last().Get("refresh_token"), "another client does not know")
	require.Equal(t, 3, e.requests())
	tokens.OAuth2.RefreshToken = "by-hand"
	_, err = refresh(t, scriptedClient, tokens)
	require.NoError(t, err)
	require.Equal(t, "by-hand", e.last().Get("refresh_token"))
	_, err = refresh(t, scriptedClient, next)
	require.NoError(t, err)
	require.Equal(t, "R1++", e.last().Get("refresh_token"))
}

// A provider that gives out a refresh token which is under way for another login does not
// have it sent again.
func TestF30_RefreshTokenOfAnotherRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, client := scripted(t, func(form url.Values) object {
			if form.Get("refresh_token") == "B" {
				time.Sleep(5 * time.Second)
				return rotating(form)
			}
			time.Sleep(time.Second)
			return object{"access_token": "a", "token_type": "Bearer", "refresh_token": "B"}
		})
		var wg sync.WaitGroup
		for _, token := range []string{"A", "B"} {
			wg.Go(func() { _, _ = client.Refresh(t.Context(), tokensWith(token)) })
		}
		time.Sleep(2 * time.Second)
		tokens, err := refresh(t, client, tokensWith("B"))
		require.NoError(t, err)
		wg.Wait()
		require.Equal(t, "B+", tokens.OAuth2.RefreshToken)
		_, err = client.Refresh(t.Context(), tokensWith("A"), oidc.WithScopes("a"))
		require.NoError(t, err)
		require.Equal(t, "B+", e.last().Get("refresh_token"))
		sentOnce(t, e)
	})
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

// The answers have 4 MiB together, and none has more than 64 KiB.
func TestF30_AnswersAreBoundedByBytes(t *testing.T) {
	const kept, rest = 4 << 20, 1 << 10
	size := 0
	e, client := scripted(t, func(form url.Values) object {
		return with(rotating(form), object{"pad": strings.Repeat("p", size)})
	})
	requests := func(token string) int {
		_, err := client.Refresh(t.Context(), tokensWith(token))
		require.NoError(t, err)
		return e.requests()
	}
	size = 64<<10 - rest
	n := 0
	for ; n <= kept/size; n++ {
		require.Equal(t, n+1, requests(fmt.Sprint("r", n)))
	}
	require.Equal(t, n, requests("r2"))
	require.Equal(t, n+1, requests("r0"), "the oldest one had to go")

	size = 64 << 10
	require.Equal(t, n+2, requests("long"))
	require.Equal(t, n+2, requests(fmt.Sprint("r", n-1)), "it displaces nothing")
	require.Equal(t, n+3, requests("long"), "and is not kept")
}

// Answers hold tokens, and go after their time also if nobody calls: by the clock of the
// machine, whatever Now says.
func TestF30_AnswersEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, client := scripted(t, rotating)
		for i, pause := range []time.Duration{0, time.Minute - 1, 2} {
			time.Sleep(pause)
			_, err := refresh(t, client, tokensWith("R1"))
			require.NoError(t, err)
			require.Equal(t, []int{1, 1, 2}[i], e.requests())
		}
	})
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

// Other options make another request, with the refresh token that came last.
func TestF30_OptionsMakeAnotherRequest(t *testing.T) {
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
	sentOnce(t, e)
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

// Tokens without an ID token are remembered to be of a provider and client too, stored
// or not; and nothing else that tells or holds tokens takes those of another one.
func TestF30_TokensWithoutIDTokenOfAnotherProvider(t *testing.T) {
	_, client := scripted(t, rotating)
	_, _, ours := setupOffline(t)
	withoutID, err := refresh(t, client, tokensWith("R1"))
	require.NoError(t, err)
	require.Nil(t, withoutID.IDToken)
	elsewhere := discovery.Metadata{
		Issuer: "https://elsewhere.example", AuthorizationEndpoint: "https://elsewhere.example/a", TokenEndpoint: "https://elsewhere.example/t",
		JWKSURI: "https://elsewhere.example/j", UserInfoEndpoint: "https://elsewhere.example/u", EndSessionEndpoint: "https://elsewhere.example/e",
		BackchannelAuthenticationEndpoint: "https://elsewhere.example/b",
	}
	here := elsewhere
	here.Issuer = issuer
	for name, m := range map[string]*discovery.Metadata{"provider": &elsewhere, "client": &here} {
		p, err := oidc.NewProvider(oidc.Config{Metadata: m, HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			t.Error("something was sent to another " + name)
			return nil, errConnection
		})}, Now: func() time.Time { return start.Add(time.Hour) }})
		require.NoError(t, err)
		other := newClient(t, p, func(c *oidc.ClientConfig) {
			if name == "client" {
				c.ClientID = "other"
			}
		})
		failures := map[string]error{}
		_, failures["refresh"] = other.Refresh(t.Context(), withoutID)
		_, failures["refresh, stored"] = other.Refresh(t.Context(), storedAndRead(t, withoutID))
		_, failures["source"] = other.TokenSource(storedAndRead(t, withoutID)).Token()
		_, failures["userinfo"] = other.UserInfo(t.Context(), ours)
		_, failures["logout"] = other.LogoutURL(t.Context(), oidc.Logout{IDToken: ours.IDToken})
		_, failures["backchannel"] = other.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{IDTokenHint: ours.IDToken})
		for call, err := range failures {
			require.Error(t, err, name+" "+call)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable, name+" "+call)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name+" "+call)
		}
	}
	_, err = refresh(t, client, storedAndRead(t, withoutID))
	require.NoError(t, err)
}

// A refusal is one whatever its other members are, and whatever its status is.
func TestF30_RefusalsOfOddForms(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
	}{
		"number": {400, `{"error":"invalid_grant","error_description":5}`},
		"null":   {400, `{"error":"invalid_grant","error_description":null,"error_uri":null}`},
		"object": {400, `{"error":"invalid_grant","error_uri":{"a":1}}`},
		"200":    {200, `{"error":"invalid_grant","error_description":["x"],"expires_in":"soon"}`},
		"empty":  {200, `{"error":"invalid_grant","access_token":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			p, err := oidc.NewProvider(oidc.Config{
				Metadata: &discovery.Metadata{Issuer: issuer, AuthorizationEndpoint: issuer + "/a", TokenEndpoint: issuer + "/t", JWKSURI: issuer + "/j"},
				HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					n++
					return answerWith(tt.status, "application/json", tt.body), nil
				})},
				Now: func() time.Time { return start },
			})
			require.NoError(t, err)
			source := persisting(t, newClient(t, p), tokensWith("R1"), func(context.Context, *oidc.Tokens) error {
				t.Error("nothing came that is to be kept")
				return nil
			})
			for range 2 {
				_, err := source.Token()
				requireRefused(t, err, oidc.ReasonRevoked, "")
				var re *oidc.ResponseError
				require.ErrorAs(t, err, &re)
				require.Equal(t, "invalid_grant", re.Code)
				require.Equal(t, tt.status, re.Status)
			}
			require.Equal(t, 1, n)
		})
	}
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
