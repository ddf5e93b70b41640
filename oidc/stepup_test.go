package oidc_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// answer is an API that answers 401, or another status, with a challenge.
func answer(status int, challenges ...string) hosts {
	return hosts{"api.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Www-Authenticate"] = challenges
		w.WriteHeader(status)
	})}
}

func seconds(n int) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

// RFC 9470 section 3.
func TestStepUp(t *testing.T) {
	t.Parallel()
	const insufficient = `error="insufficient_user_authentication"`
	for name, tt := range map[string]struct {
		challenges []string
		want       oidc.StepUpError
	}{
		"acr_values":       {[]string{`Bearer ` + insufficient + `, error_description="another", acr_values="gold  silver"`}, oidc.StepUpError{ACRValues: []string{"gold", "silver"}}},
		"max_age":          {[]string{`Bearer ` + insufficient + `, max_age="5"`}, oidc.StepUpError{MaxAge: seconds(5)}},
		"max_age as token": {[]string{`Bearer ` + insufficient + `, max_age=5`}, oidc.StepUpError{MaxAge: seconds(5)}},
		"login for this":   {[]string{`Bearer ` + insufficient + `, max_age="0"`}, oidc.StepUpError{MaxAge: seconds(0)}},
		"both, by DPoP":    {[]string{`DPOP ` + insufficient + `, MAX_AGE="60", acr_values="a"`}, oidc.StepUpError{ACRValues: []string{"a"}, MaxAge: seconds(60)}},
		"neither":          {[]string{`Bearer ` + insufficient}, oidc.StepUpError{}},
		"second header":    {[]string{`Basic realm="a"`, `Bearer ` + insufficient + `, max_age=1`}, oidc.StepUpError{MaxAge: seconds(1)}},
		"negative":         {[]string{`Bearer ` + insufficient + `, max_age="-1"`}, oidc.StepUpError{}},
		"a fraction":       {[]string{`Bearer ` + insufficient + `, max_age="1.5"`}, oidc.StepUpError{}},
		"huge":             {[]string{`Bearer ` + insufficient + `, max_age="99999999999999999999"`}, oidc.StepUpError{}},
		"overflow":         {[]string{`Bearer ` + insufficient + `, max_age="4294967296000000000"`}, oidc.StepUpError{}},
		"ten years":        {[]string{`Bearer ` + insufficient + `, max_age="2147483647"`}, oidc.StepUpError{MaxAge: seconds(10 * 365 * 24 * 3600)}},
		"odd acr":          {[]string{`Bearer ` + insufficient + `, acr_values="a ü \" \\ b"`}, oidc.StepUpError{ACRValues: []string{"a", "b"}}},
		"too long an acr":  {[]string{`Bearer ` + insufficient + `, acr_values="` + strings.Repeat("a ", 4) + strings.Repeat(strings.Repeat("b", 255)+" ", 5) + `c"`}, oidc.StepUpError{ACRValues: []string{"a", "a", "a", "a", strings.Repeat("b", 255), strings.Repeat("b", 255), strings.Repeat("b", 255), strings.Repeat("b", 255)}}},
		"many acr":         {[]string{`Bearer ` + insufficient + `, acr_values="` + strings.Repeat("a ", 100) + `"`}, oidc.StepUpError{ACRValues: strings.Fields(strings.Repeat("a ", 16))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := get(t, plain(t, answer(http.StatusUnauthorized, tt.challenges...)), api)
			var e *oidc.StepUpError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tt.want, *e)
			require.ErrorIs(t, err, oidckit.ErrForbidden)
			tellsNothing(t, err)
		})
	}
}

// G10: what the API wrote may be the token that it was sent.
func TestG10_StepUpErrorPrintsNothing(t *testing.T) {
	t.Parallel()
	_, err := get(t, plain(t, answer(http.StatusUnauthorized, `Bearer error="insufficient_user_authentication", acr_values="`+marker+`"`)), api)
	var e *oidc.StepUpError
	require.ErrorAs(t, err, &e)
	require.Equal(t, []string{marker}, e.ACRValues)
	var b bytes.Buffer
	printAll(&b, e)
	printAll(&b, *e)
	require.NotContains(t, b.String(), marker)
}

func TestStepUp_OtherAnswersComeThrough(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hosts{
		"200":            answer(http.StatusOK, `Bearer error="insufficient_user_authentication"`),
		"403":            answer(http.StatusForbidden, `Bearer error="insufficient_scope", scope="a"`),
		"another scheme": answer(http.StatusUnauthorized, `Basic error="insufficient_user_authentication"`),
		"another error":  answer(http.StatusUnauthorized, `Bearer error="invalid_token", error_description="insufficient_user_authentication"`),
		"malformed":      answer(http.StatusUnauthorized, `Bearer error="insufficient_user_authentication`),
		"no challenge":   answer(http.StatusUnauthorized),
	} {
		_, err := get(t, plain(t, h), api)
		require.NoError(t, err, name)
	}
}

// The body of the answer is closed: nobody else can.
func TestStepUp_ClosesTheBody(t *testing.T) {
	t.Parallel()
	body := &closer{Reader: strings.NewReader("")}
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: body, Request: req, Header: http.Header{
			"Www-Authenticate": {`Bearer error="insufficient_user_authentication"`},
		}}, nil
	})
	_, err := get(t, plain(t, base), api)
	var e *oidc.StepUpError
	require.ErrorAs(t, err, &e)
	require.True(t, body.closed)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// What the base says comes through.
func TestAPITransport_ErrorsOfTheBase(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	_, err := get(t, plain(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, away })), api)
	require.ErrorIs(t, err, away)
}

func TestStepUp_Options(t *testing.T) {
	t.Parallel()
	_, c := setup(t)
	for name, tt := range map[string]struct {
		e    oidc.StepUpError
		want map[string]string
	}{
		"both":    {oidc.StepUpError{ACRValues: []string{"gold", "silver"}, MaxAge: seconds(60)}, map[string]string{"acr_values": "gold silver", "max_age": "60"}},
		"acr":     {oidc.StepUpError{ACRValues: []string{"gold"}}, map[string]string{"acr_values": "gold", "max_age": ""}},
		"max_age": {oidc.StepUpError{MaxAge: seconds(0)}, map[string]string{"acr_values": "", "max_age": "0"}},
		"neither": {oidc.StepUpError{}, map[string]string{"acr_values": "", "max_age": "0"}},
	} {
		flow, err := c.Begin(t.Context(), tt.e.Options()...)
		require.NoError(t, err, name)
		for parameter, want := range tt.want {
			require.Equal(t, want, queryOf(t, flow.AuthorizationURL).Get(parameter), name)
		}
	}
}

// RFC 9470 as a whole, with oidctest as the second opinion.
func TestStepUp_LoginThatTheAPIWants(t *testing.T) {
	t.Parallel()
	op, c := setup(t)
	server := httptest.NewServer(op.Protect(oidctest.ResourceConfig{Audience: issuer + string(oidctest.UserInfo), MaxAge: 60}, http.NotFoundHandler()))
	t.Cleanup(server.Close)
	call := func(tokens *oidc.Tokens) (*http.Response, error) {
		rt, err := c.APITransport(oidc.APITransportConfig{Source: oauth2.StaticTokenSource(tokens.OAuth2), Allowed: []string{server.URL}})
		require.NoError(t, err)
		return get(t, &http.Client{Transport: rt}, server.URL)
	}
	tokens := mustLogin(t, op, c)
	op.Advance(2 * time.Minute)
	_, err := call(tokens)
	var e *oidc.StepUpError
	require.ErrorAs(t, err, &e)
	require.Equal(t, oidc.StepUpError{MaxAge: seconds(60)}, *e)

	flow, callback := authorize(t, op, c, e.Options()...)
	tokens, err = finish(t, c, flow, callback)
	require.NoError(t, err)
	resp, err := call(tokens)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "the API itself answers")
}
