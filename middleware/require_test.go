package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

func principal(t testing.TB, token oidc.AccessToken, text string) *middleware.Principal {
	t.Helper()
	token.Claims = claimSet(t, text)
	return &middleware.Principal{AccessToken: &token}
}

func TestRequireAnyScope(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{Scopes: []string{"b", "c"}}, `{}`)
	require.NoError(t, middleware.RequireAnyScope("a", "b").Check(p))
	require.NoError(t, middleware.RequireAnyScope("b").Check(p))
	var missing *middleware.ScopeError
	require.ErrorAs(t, middleware.RequireAnyScope("a", "d").Check(p), &missing)
	require.Equal(t, []string{"a"}, missing.Scopes)
	require.ErrorIs(t, middleware.RequireAnyScope().Check(p), oidckit.ErrForbidden)
	require.ErrorIs(t, middleware.RequireAnyScope("").Check(p), oidckit.ErrForbidden)

	scopes := []string{"a"}
	r := middleware.RequireAnyScope(scopes...)
	scopes[0] = "b"
	require.ErrorIs(t, r.Check(p), oidckit.ErrForbidden, "it has a copy of its own")
}

func TestRequireACR(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`{"acr":"gold"}`: true, `{"acr":"silver"}`: true, `{"acr":"Gold"}`: false, `{"acr":"gold silver"}`: false,
		`{"acr":""}`: false, `{"acr":null}`: false, `{"acr":["gold"]}`: false, `{}`: false,
	} {
		err := middleware.RequireACR("gold", "silver").Check(principal(t, oidc.AccessToken{}, text))
		if good {
			require.NoError(t, err, text)
			continue
		}
		var stepUp *middleware.StepUpError
		require.ErrorAs(t, err, &stepUp, text)
		require.Equal(t, []string{"gold", "silver"}, stepUp.ACRValues)
		require.Nil(t, stepUp.MaxAge)
		require.ErrorIs(t, err, oidckit.ErrForbidden)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	}
	require.ErrorIs(t, middleware.RequireACR().Check(principal(t, oidc.AccessToken{}, `{"acr":""}`)), oidckit.ErrForbidden)
	require.ErrorIs(t, middleware.RequireACR("").Check(principal(t, oidc.AccessToken{}, `{"acr":""}`)), oidckit.ErrForbidden)
}

// A login is recent enough up to the second, by the clock of the Bearer.
func TestRequireMaxAge(t *testing.T) {
	t.Parallel()
	const login = 1_800_000_000
	for _, tt := range []struct {
		text string
		now  int64 // seconds after the login
		want int
	}{
		{`{"auth_time":1800000000}`, 0, 200},
		{`{"auth_time":1800000000}`, 300, 200},
		{`{"auth_time":1800000000}`, 360, 200},
		{`{"auth_time":1800000000}`, 361, 401},
		{`{"auth_time":1800000000}`, -60, 200},
		{`{"auth_time":1800000000}`, -61, 401},
		{`{"auth_time":"1800000000"}`, 0, 401},
		{`{"auth_time":null}`, 0, 401},
		{`{"iat":1800000000}`, 0, 401},
	} {
		b := &middleware.Bearer{
			Verifier: fakeVerifier{token: &oidc.AccessToken{Claims: claimSet(t, tt.text)}},
			Now:      func() time.Time { return time.Unix(login+tt.now, 0) },
		}
		got := ask(t, b.Handler(reached, middleware.RequireMaxAge(5*time.Minute)), request(t.Context(), "Bearer x"))
		require.Equal(t, tt.want, got.Status, "%+v", tt)
	}
	now := principal(t, oidc.AccessToken{}, `{"auth_time":`+strconv.FormatInt(time.Now().Unix(), 10)+`}`)
	require.NoError(t, middleware.RequireMaxAge(0).Check(now), "a login for this alone")
	require.ErrorIs(t, middleware.RequireMaxAge(-1).Check(now), oidckit.ErrForbidden)
}

// A client that is told half of what is wanted comes back twice.
func TestAuthorizeTellsAllThatIsWanted(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{Scopes: []string{"a"}}, `{"acr":"gold"}`)
	var missing *middleware.ScopeError
	require.ErrorAs(t, middleware.Authorize(p, middleware.RequireScopes("a"), middleware.RequireScopes("b", "a"), middleware.RequireAnyScope("c", "d")), &missing)
	require.Equal(t, []string{"a", "b", "c"}, missing.Scopes)

	var stepUp *middleware.StepUpError
	require.ErrorAs(t, middleware.Authorize(p, middleware.RequireACR("gold", "diamond"), middleware.RequireACR("gold"),
		middleware.RequireMaxAge(time.Hour), middleware.RequireMaxAge(time.Minute), middleware.RequireMaxAge(2*time.Minute)), &stepUp)
	require.Equal(t, []string{"gold", "diamond"}, stepUp.ACRValues)
	require.Equal(t, time.Minute, *stepUp.MaxAge)
	require.Contains(t, stepUp.Error(), "gold diamond")
	require.Empty(t, stepUp.Scopes)

	own := &middleware.RequirementError{Err: errors.New("own")}
	require.NoError(t, middleware.Authorize(p))
	require.ErrorIs(t, middleware.Authorize(p, middleware.RequireFunc(func(*middleware.Principal) error { return own })), oidckit.ErrForbidden)
}

// A login and a scope that are both missing are asked for together, whatever the order.
func TestAuthorizeAsksForLoginAndScopes(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{Scopes: []string{"a"}}, `{}`)
	asked := false
	acr, age, b := middleware.RequireACR("gold"), middleware.RequireMaxAge(time.Hour), middleware.RequireScopes("a", "b")
	own := middleware.RequireFunc(func(*middleware.Principal) error {
		asked = true
		return errors.New("own")
	})
	for _, all := range [][]middleware.Requirement{{acr, b, age}, {b, acr, age}, {b, own, age, acr}} {
		var stepUp *middleware.StepUpError
		require.ErrorAs(t, middleware.Authorize(p, all...), &stepUp)
		require.Equal(t, []string{"gold"}, stepUp.ACRValues)
		require.Equal(t, time.Hour, *stepUp.MaxAge)
		require.Equal(t, []string{"a", "b"}, stepUp.Scopes)
	}
	require.False(t, asked)

	var stepUp *middleware.StepUpError
	require.ErrorAs(t, middleware.Authorize(p, acr, middleware.RequireScopes("a")), &stepUp)
	require.Empty(t, stepUp.Scopes, "the token has them")
	var missing *middleware.ScopeError
	fulfilled := principal(t, oidc.AccessToken{}, `{"acr":"gold"}`)
	require.ErrorAs(t, middleware.Authorize(fulfilled, b, acr), &missing)
	var e *middleware.RequirementError
	require.ErrorAs(t, middleware.Authorize(p, own, acr, b), &e)
}

func TestRequirementsOfNobody(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]middleware.Requirement{
		"zero": {}, "scopes": middleware.RequireScopes("a"), "any scope": middleware.RequireAnyScope("a"),
		"role": middleware.RequireRole(claims.P("roles"), "a"), "acr": middleware.RequireACR("a"), "age": middleware.RequireMaxAge(0),
		"user": middleware.RequireUser(), "machine": middleware.RequireMachine(), "audience": middleware.RequireAudience("a"),
		"policy": middleware.RequirePolicy(policyFunc(func(claims.Set) error { return nil })),
		"func":   middleware.RequireFunc(func(*middleware.Principal) error { return nil }),
	} {
		require.ErrorIs(t, r.Check(nil), middleware.ErrNoCredentials, name)
		require.ErrorIs(t, r.Check(&middleware.Principal{}), middleware.ErrNoCredentials, name)
	}
	require.Equal(t, middleware.KindUnknown, (*middleware.Principal)(nil).Kind())
	require.Equal(t, middleware.KindUnknown, (&middleware.Principal{}).Kind())
}

func TestRequirePolicy(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{}, `{"repository_id":"1"}`)
	path := claims.P("repository_id")
	is := func(want string) policyFunc {
		return func(s claims.Set) error {
			if id, err := s.String(path); err != nil || id != want {
				return oidckit.ErrInvalidToken // whatever a policy says of it
			}
			return nil
		}
	}
	require.NoError(t, middleware.RequirePolicy(is("1")).Check(p))
	err := middleware.RequirePolicy(is("2")).Check(p)
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, "the token was good")
	require.ErrorIs(t, middleware.RequirePolicy(policyFunc(func(claims.Set) error { return oidckit.ErrUnavailable })).Check(p), oidckit.ErrUnavailable)
	require.ErrorIs(t, middleware.RequirePolicy(nil).Check(p), oidckit.ErrForbidden)
}

func TestRequireAudience(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{Audience: []string{"https://api.example.com/a", "other"}}, `{}`)
	require.NoError(t, middleware.RequireAudience("https://api.example.com/a").Check(p))
	for _, audience := range []string{"https://api.example.com", "https://api.example.com/a/", "https://API.example.com/a", ""} {
		var e *oidc.Error
		require.ErrorAs(t, middleware.RequireAudience(audience).Check(p), &e, audience)
		require.Equal(t, oidc.ReasonAudience, e.Reason)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		subject, client string
		claims          string
		want            middleware.Kind
	}{
		{"RFC 9068, user", "alice", "app", `{}`, middleware.KindUser},
		{"RFC 9068, machine", "app", "app", `{}`, middleware.KindMachine},
		{"in another case", "App", "app", `{}`, middleware.KindUser},
		{"no client", "alice", "", `{}`, middleware.KindUnknown},
		{"no subject", "", "app", `{}`, middleware.KindUnknown},
		{"neither", "", "", `{}`, middleware.KindUnknown},
		{"Entra ID, user", "pairwise", "", `{"idtyp":"user"}`, middleware.KindUnknown},
		{"Entra ID, app", "object-id", "app", `{"idtyp":"app"}`, middleware.KindMachine},
		{"Entra ID, app without azp", "object-id", "", `{"idtyp":"app"}`, middleware.KindMachine},
		{"Auth0, machine", "app@clients", "app", `{"gty":"client-credentials"}`, middleware.KindMachine},
		{"Okta, user", "ada@example.com", "", `{"cid":"0oa1"}`, middleware.KindUser},
		{"Okta, machine", "0oa1", "", `{"cid":"0oa1"}`, middleware.KindMachine},
		{"Entra ID v1 and AD FS, user", "pairwise", "", `{"appid":"app","oid":"object-id","scp":"a"}`, middleware.KindUser},
		{"AD FS, machine", "app", "", `{"appid":"app"}`, middleware.KindMachine},
		{"client_id before cid and appid", "alice", "app", `{"cid":"alice","appid":"alice"}`, middleware.KindUser},
		{"client of another type", "alice", "", `{"cid":["alice"],"appid":1}`, middleware.KindUnknown},
		{"Entra ID v1, app without idtyp", "object-id", "", `{"appid":"app","appidacr":"2","oid":"object-id"}`, middleware.KindMachine},
		{"Entra ID v2, app without idtyp", "object-id", "app", `{"azpacr":"1","oid":"object-id","roles":["a"]}`, middleware.KindMachine},
		{"Entra ID, user with roles alone", "pairwise", "app", `{"azpacr":"1","oid":"object-id","roles":["a"]}`, middleware.KindUser},
		{"Azure AD B2C, user", "object-id", "app", `{"azpacr":"1","oid":"object-id","scp":"a"}`, middleware.KindUser},
		{"Azure AD B2C, user without scope", "object-id", "app", `{"oid":"object-id"}`, middleware.KindUnknown},
		{"Entra ID, public client", "object-id", "app", `{"azpacr":"0","oid":"object-id"}`, middleware.KindUnknown},
		{"Keycloak, user", "uuid", "app", `{"preferred_username":"alice","sid":"1"}`, middleware.KindUser},
		{"Keycloak, machine", "uuid", "app", `{"preferred_username":"service-account-app"}`, middleware.KindMachine},
		{"Keycloak, machine in lower case", "uuid", "App", `{"preferred_username":"service-account-app"}`, middleware.KindMachine},
		{"Keycloak, somebody who took that name", "uuid", "app", `{"preferred_username":"service-account-app","sid":"1"}`, middleware.KindUnknown},
		{"Keycloak, somebody named like another client", "uuid", "app", `{"preferred_username":"service-account-other","sid":"1"}`, middleware.KindUser},
		{"claims of another type", "alice", "app", `{"gty":["client-credentials"],"idtyp":true}`, middleware.KindUser},
	} {
		p := principal(t, oidc.AccessToken{Subject: tt.subject, ClientID: tt.client}, tt.claims)
		require.Equal(t, tt.want, p.Kind(), tt.name)
		require.Equal(t, tt.want == middleware.KindUser, middleware.RequireUser().Check(p) == nil, tt.name)
		require.Equal(t, tt.want == middleware.KindMachine, middleware.RequireMachine().Check(p) == nil, tt.name)
	}

	// Keycloak: the program knows better.
	keycloak := func(token *oidc.AccessToken) middleware.Kind {
		if token.Claims.Has(claims.P("client_host")) {
			return middleware.KindMachine
		}
		return middleware.KindUser
	}
	b := &middleware.Bearer{Kind: keycloak, Verifier: fakeVerifier{token: &oidc.AccessToken{Subject: "uuid", ClientID: "app", Claims: claimSet(t, `{"client_host":"10.0.0.1"}`)}}}
	require.Equal(t, 200, ask(t, b.Handler(reached, middleware.RequireMachine()), request(t.Context(), "Bearer x")).Status)
	require.Equal(t, 403, ask(t, b.Handler(reached, middleware.RequireUser()), request(t.Context(), "Bearer x")).Status)
}

// A route inside a group asks for more, and verifies nothing again.
func TestHandlerBehindHandler(t *testing.T) {
	t.Parallel()
	verified := 0
	b := &middleware.Bearer{Verifier: countingVerifier{&verified, &oidc.AccessToken{Scopes: []string{"a"}}}}
	group := b.Middleware(middleware.RequireScopes("a"))
	require.Equal(t, 200, ask(t, group(b.Handler(reached)), request(t.Context(), "Bearer x")).Status)
	require.Equal(t, 1, verified)
	require.Equal(t, answerOf(403, `Bearer error="insufficient_scope", scope="b"`), ask(t, group(b.Handler(reached, middleware.RequireScopes("b"))), request(t.Context(), "Bearer x")))
	require.Equal(t, 403, ask(t, b.Middleware(middleware.RequireScopes("b"))(b.Handler(reached)), request(t.Context(), "Bearer x")).Status)

	// What another Bearer found out does not count.
	other := &middleware.Bearer{Verifier: fakeVerifier{err: oidckit.ErrInvalidToken}, KeepToken: true}
	b.KeepToken = true
	require.Equal(t, 401, ask(t, group(other.Handler(reached)), request(t.Context(), "Bearer x")).Status)
	ctx, cancel := b.WithPrincipal(t.Context(), nil)
	defer cancel()
	_, ok := middleware.PrincipalFrom(ctx)
	require.False(t, ok)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var told []*middleware.Refusal
	var decided []middleware.Decision
	b := &middleware.Bearer{
		Verifier: onlyGood{}, Optional: true,
		OnError: func(r *http.Request, f *middleware.Refusal) {
			require.Equal(t, "/reports", r.URL.Path)
			told = append(told, f)
		},
		Trace: &middleware.BearerTrace{Decided: func(_ context.Context, d middleware.Decision) { decided = append(decided, d) }},
		Now:   func() time.Time { now = now.Add(time.Second); return now },
	}
	h := b.Handler(reached, middleware.RequireFunc(func(p *middleware.Principal) error { return nil }))
	for _, tt := range []struct {
		authorization []string
		status        int
		code, reason  string
	}{
		{[]string{"Bearer good"}, 200, "", ""},
		{[]string{"Bearer bad"}, 401, "invalid_token", "signature"},
		{[]string{"Bearer"}, 400, "invalid_request", "invalid_request"},
		{nil, 401, "", "no credentials"},
	} {
		told, decided = nil, nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(t.Context(), tt.authorization...))
		require.Equal(t, tt.status, w.Code)
		require.Len(t, decided, 1)
		require.Equal(t, time.Second, decided[0].Took)
		if tt.status == 200 {
			require.Empty(t, told)
			require.Nil(t, decided[0].Refusal)
			require.Equal(t, "alice", decided[0].Principal.Subject)
			continue
		}
		require.Nil(t, decided[0].Principal)
		require.Equal(t, []*middleware.Refusal{decided[0].Refusal}, told)
		require.Equal(t, tt.status, told[0].Status)
		require.Equal(t, tt.code, told[0].Code)
		require.Equal(t, tt.reason, told[0].Reason())
		require.Error(t, told[0].Err)
	}
	decided = nil
	b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), request(t.Context()))
	require.Len(t, decided, 1)
	require.Nil(t, decided[0].Principal)
	require.Nil(t, decided[0].Refusal)
}

// Words for counting, of which there are only so many.
func TestRefusalReasons(t *testing.T) {
	t.Parallel()
	for reason, err := range map[string]error{
		"unavailable": oidckit.ErrUnavailable, "internal": errors.New("x"), "expired": &oidc.Error{Reason: oidc.ReasonExpired},
		"invalid_token": oidckit.ErrInvalidToken, "insufficient_scope": oidckit.ErrForbidden,
		"insufficient_user_authentication": &middleware.StepUpError{}, "no credentials": middleware.ErrNoCredentials,
	} {
		var got string
		b := &middleware.Bearer{Verifier: fakeVerifier{err: err}, OnError: func(_ *http.Request, f *middleware.Refusal) { got = f.Reason() }}
		ask(t, b.Handler(reached), request(t.Context(), "Bearer x"))
		require.Equal(t, reason, got)
	}
}

// A nonce goes to who gets through as well.
func TestNonceInGoodAnswers(t *testing.T) {
	t.Parallel()
	b := &middleware.Bearer{Verifier: fakeVerifier{token: &oidc.AccessToken{}}, Proof: proofs{answer: middleware.ProofAnswer{Scheme: "DPoP", Nonce: "n-2"}}}
	w := httptest.NewRecorder()
	b.Handler(reached).ServeHTTP(w, request(t.Context(), "DPoP x"))
	require.Equal(t, 200, w.Code)
	require.Equal(t, []string{"n-2"}, w.Header()["Dpop-Nonce"])
}

type countingVerifier struct {
	calls *int
	token *oidc.AccessToken
}

func (v countingVerifier) Verify(context.Context, string) (*oidc.AccessToken, error) {
	*v.calls++
	return v.token, nil
}

func tokenFor(audience string) *oidc.AccessToken {
	return &oidc.AccessToken{Audience: []string{audience}}
}
