package oidc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func revoked(t testing.TB, c *oidc.Client, token, hint string) error {
	t.Helper()
	err := c.Revoke(t.Context(), token, hint)
	if err != nil {
		tellsNothing(t, err, token)
	}
	return err
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r, via := record(op)
	client := newClient(t, newProvider(t, op, via), offline)
	tokens := mustLogin(t, op, client)
	require.NoError(t, revoked(t, client, tokens.OAuth2.RefreshToken, "refresh_token"))
	_, err := client.Refresh(t.Context(), tokens)
	requireRefused(t, err, oidc.ReasonRevoked, "")

	_, forms := r.sent(oidctest.Revocation)
	require.Len(t, forms, 1)
	require.Equal(t, tokens.OAuth2.RefreshToken, forms[0].Get("token"))
	require.Equal(t, "refresh_token", forms[0].Get("token_type_hint"))

	// Twice, and unknown: "invalid tokens do not cause an error response".
	require.NoError(t, revoked(t, client, tokens.OAuth2.RefreshToken, ""))
	require.NoError(t, revoked(t, client, "unknown", "access_token"))
	_, forms = r.sent(oidctest.Revocation)
	require.NotContains(t, forms[1], "token_type_hint")

	for _, token := range []string{"", "a b", "a\x00"} {
		requireRefused(t, client.Revoke(t.Context(), token, ""), oidc.ReasonMalformed, "")
	}
	require.Error(t, client.Revoke(t.Context(), "t", "", oidc.WithParameter("token", "other")))
	require.Equal(t, 3, op.Requests(oidctest.Revocation))
}

// D14: what the provider could not do is an error; what it did is none, whatever stands in
// the answer.
func TestD14_RevocationTellsWhatHappened(t *testing.T) {
	t.Parallel()
	const path = "/revocation"
	for name, tt := range map[string]struct {
		reply reply
		code  string // of a refusal
		done  bool
	}{
		"empty":             {reply: reply{kind: "text/plain", body: ""}, done: true},
		"empty page":        {reply: reply{kind: "text/html", body: "\n"}, done: true},
		"JSON":              {reply: reply{body: object{}}, done: true},
		"text":              {reply: reply{kind: "text/plain", body: "OK"}, done: true},
		"cannot":            {reply: refusal("unsupported_token_type"), code: "unsupported_token_type"},
		"another's token":   {reply: refusal("invalid_grant"), code: "invalid_grant"},
		"client":            {reply: reply{status: 401, body: object{"error": "invalid_client"}}, code: "invalid_client"},
		"accepted":          {reply: reply{status: 202}},
		"forbidden, a page": {reply: reply{status: 403, kind: "text/html", body: marker}},
	} {
		s := &standIn{replies: map[string]func(*http.Request, string) reply{path: always(tt.reply)}}
		client := newClient(t, s.in(t, newOP(t), func(m *discovery.Metadata) { m.RevocationEndpoint = issuer + path }))
		err := revoked(t, client, marker+"-token", "")
		if tt.done {
			require.NoError(t, err, name)
			continue
		}
		var re *oidc.ResponseError
		require.ErrorAs(t, err, &re, name)
		require.Equal(t, tt.code, re.Code, name)
		require.NotErrorIs(t, err, oidckit.ErrUnavailable, name)
	}
	for name, r := range outageReplies() {
		if name == "no JSON" { // which is ignored
			continue
		}
		s := &standIn{replies: map[string]func(*http.Request, string) reply{path: always(r)}}
		client := newClient(t, s.in(t, newOP(t), func(m *discovery.Metadata) { m.RevocationEndpoint = issuer + path }))
		err := revoked(t, client, marker+"-token", "")
		require.Error(t, err, name)
		requireUnavailable(t, err)
		require.NotContains(t, fmt.Sprintf("%#v", err), marker)
		requests, _, _ := s.sent(path)
		require.Len(t, requests, 1, name)
	}
}

// D14: 503 says when to come back (RFC 7009 section 2.2.1).
func TestD14_RevocationRetryAfter(t *testing.T) {
	t.Parallel()
	s := &standIn{replies: map[string]func(*http.Request, string) reply{
		"/r": always(reply{status: 503, header: http.Header{"Retry-After": {"30"}}}),
	}}
	client := newClient(t, s.in(t, newOP(t), func(m *discovery.Metadata) { m.RevocationEndpoint = issuer + "/r" }))
	var re *oidc.ResponseError
	require.ErrorAs(t, revoked(t, client, marker, ""), &re)
	require.Equal(t, 30*time.Second, re.RetryAfter)
}

// Who comes late with a refresh token does not get the answer of before when the login was
// ended in between, by whichever of its refresh tokens; also if the provider is not well.
func TestF30_RevokedAnswersAreNotGivenOut(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		token func(old, now *oauth2.Token) string
		down  bool
		want  string // what who comes late sends
	}{
		"sent":         {func(old, _ *oauth2.Token) string { return old.RefreshToken }, false, "R1"},
		"answered":     {func(_, now *oauth2.Token) string { return now.RefreshToken }, false, "R1"},
		"in trouble":   {func(_, now *oauth2.Token) string { return now.RefreshToken }, true, "R1"},
		"access token": {func(_, now *oauth2.Token) string { return now.AccessToken }, false, "R1+"},
		"another's":    {func(_, _ *oauth2.Token) string { return "R2" }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, client := revocable(t, tt.down)
			old := tokensWith("R1")
			now, err := client.Refresh(t.Context(), old)
			require.NoError(t, err)
			require.Equal(t, tt.down, client.Revoke(t.Context(), tt.token(old.OAuth2, now.OAuth2), "") != nil)
			_, err = client.Refresh(t.Context(), old)
			require.NoError(t, err)
			if tt.want == "" {
				require.Equal(t, 1, e.requests())
				return
			}
			require.Equal(t, 2, e.requests())
			require.Equal(t, tt.want, e.last().Get("refresh_token"))
		})
	}
}

// Nor the answer that was under way. What comes of later requests is kept again.
func TestF30_RevokedWhileUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, client := revocable(t, false)
		answer := e.answer
		e.answer = func(form url.Values) object {
			time.Sleep(5 * time.Second)
			return answer(form)
		}
		tokens := make(chan *oidc.Tokens, 1)
		go func() {
			got, _ := client.Refresh(context.Background(), tokensWith("R1"))
			tokens <- got
		}()
		synctest.Wait()
		require.NoError(t, client.Revoke(t.Context(), "R1", ""))
		got := <-tokens
		require.NotNil(t, got)
		_, err := client.Refresh(t.Context(), tokensWith("R1"))
		require.NoError(t, err)
		require.Equal(t, 2, e.requests())
		require.Equal(t, "R1", e.last().Get("refresh_token"))
		for range 2 {
			_, err = client.Refresh(t.Context(), got)
			require.NoError(t, err)
		}
		require.Equal(t, 3, e.requests(), "it has the family of the later request now")
	})
}

// revocable is scripted, with a revocation endpoint.
func revocable(t testing.TB, down bool) (*scriptedEndpoint, *oidc.Client) {
	t.Helper()
	e := &scriptedEndpoint{answer: rotating, now: start}
	p, err := oidc.NewProvider(oidc.Config{
		Metadata: &discovery.Metadata{
			Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/jwks",
			RevocationEndpoint: issuer + "/revoke",
		},
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Path == "/token":
				return e.RoundTrip(r)
			case down:
				return answerWith(503, "text/plain", ""), nil
			}
			return answerWith(200, "text/plain", ""), nil
		})},
		Now: e.clock,
	})
	require.NoError(t, err)
	return e, newClient(t, p)
}

func TestRevoke_NoEndpointNoAnswer(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	require.ErrorIs(t, revoked(t, newClient(t, newProvider(t, op, withMetadata(metadataOf(op)))), marker, ""), oidc.ErrNoEndpoint)
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		op.SetFault(oidctest.Revocation, oidctest.Fault{Hang: true})
		began := time.Now()
		requireUnavailable(t, revoked(t, client, marker, ""))
		require.Equal(t, fetch.Timeout, time.Since(began))
	})
}
