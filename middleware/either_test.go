package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// eitherSite guards /either by token or session, and /either/admin by the role besides.
func eitherSite(t *testing.T, configure ...func(*middleware.Bearer)) (*site, *middleware.Bearer) {
	t.Helper()
	s := newSite(t)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: s.provider.Issuer(), Now: s.provider.Now, HTTPClient: s.provider.HTTPClient()})
	require.NoError(t, err)
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}})
	require.NoError(t, err)
	b := &middleware.Bearer{Verifier: verifier, Realm: "api", Now: s.provider.Now}
	for _, f := range configure {
		f(b)
	}
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, session := middleware.SessionFrom(r.Context())
		p, _ := middleware.PrincipalFrom(r.Context())
		_, same := p.Session()
		_, _ = fmt.Fprintf(w, "%s session %t %t authorization %t", p.Subject, session, same, r.Header.Get("Authorization") != "")
	})
	mux := http.NewServeMux()
	mux.Handle("/", s.pages())
	mux.Handle("/either", middleware.Either(b, s.login, who))
	mux.Handle("/either/admin", middleware.Either(b, s.login, who, middleware.RequireRole(roleClaim, "admin")))
	mux.Handle("/either/scope", middleware.Either(b, s.login, who, middleware.RequireScopes("write")))
	mux.Handle("/either/gold", middleware.Either(b, s.login, who, middleware.RequireACR("gold")))
	s.handler = s.login.Handler(mux)
	return s, b
}

// Needs 41: a token that is there decides, whoever is logged in, and a bad one is told so.
func TestNeeds41_TokenDecides(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t)
	expired := "Bearer " + s.provider.AccessToken("alice", audience)
	s.provider.Advance(2 * time.Hour)
	alice := "Bearer " + s.provider.AccessToken("alice", audience)
	nobody, bob := s.browser(t), s.browser(t)
	bob.logIn("bob")

	const session, token = bobSubject + " session true true authorization false", aliceSubject + " session false false authorization false"
	for _, tt := range []struct {
		name          string
		path          string
		authorization []string
		nobody, bob   int    // status of one without a session and of bob
		challenge     string // of bob's answer
		body          string // of bob's answer, if it is 200
	}{
		{"good", "/either", []string{alice}, 200, 200, "", token},
		{"other case", "/either", []string{strings.Replace(alice, "Bearer", "bearer", 1)}, 200, 200, "", token},
		{"none", "/either", nil, 401, 200, "", session},
		{"expired", "/either", []string{expired}, 401, 401, `Bearer realm="api", error="invalid_token"`, ""},
		{"of another API", "/either", []string{"Bearer " + s.provider.AccessToken("alice", "https://other.example")}, 401, 401, `Bearer realm="api", error="invalid_token"`, ""},
		{"an ID token", "/either", []string{"Bearer " + idToken(t, s.provider)}, 401, 401, `Bearer realm="api", error="invalid_token"`, ""},
		{"garbage", "/either", []string{"Bearer x"}, 401, 401, `Bearer realm="api", error="invalid_token"`, ""},
		{"empty", "/either", []string{"Bearer"}, 400, 400, `Bearer realm="api", error="invalid_request"`, ""},
		{"two", "/either", []string{alice, alice}, 400, 400, `Bearer realm="api", error="invalid_request"`, ""},
		{"a password and a token", "/either", []string{"Basic eA==", alice}, 400, 400, `Bearer realm="api", error="invalid_request"`, ""},
		{"of a scheme that is not configured", "/either", []string{strings.Replace(alice, "Bearer", "DPoP", 1)}, 401, 401, `Bearer realm="api"`, ""},
		{"the password of a proxy", "/either", []string{"Basic eA=="}, 401, 200, "", strings.Replace(session, "authorization false", "authorization true", 1)},
		{"with a tab", "/either", []string{"Bearer\tx"}, 401, 401, `Bearer realm="api"`, ""},
		{"with a tab, DPoP", "/either", []string{"DPoP\tx"}, 401, 401, `Bearer realm="api"`, ""},
		{"with a comma", "/either", []string{"Bearer,x"}, 401, 401, `Bearer realm="api"`, ""},
		{"with a space that is none", "/either", []string{"Bearer\u00a0x"}, 401, 401, `Bearer realm="api"`, ""},
		{"behind a password", "/either", []string{"Basic eA==, Bearer x"}, 401, 401, `Bearer realm="api"`, ""},
		{"behind a password and a tab", "/either", []string{"Basic eA==,\tdpop"}, 401, 401, `Bearer realm="api"`, ""},
		{"a scheme that begins likewise", "/either", []string{"Bearer_of_a_proxy x"}, 401, 200, "", strings.Replace(session, "authorization false", "authorization true", 1)},
		{"with the role", "/either/admin", []string{alice}, 200, 200, "", token},
		{"without the role", "/either/admin", []string{"Bearer " + s.provider.AccessToken("bob", audience)}, 403, 403, `Bearer realm="api", error="insufficient_scope"`, ""},
		{"without the scope", "/either/scope", []string{alice}, 403, 403, `Bearer realm="api", error="insufficient_scope", scope="write"`, ""},
		{"of another login", "/either/gold", []string{alice}, 401, 401, `Bearer realm="api", error="insufficient_user_authentication", acr_values="gold"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for b, status := range map[*browser]int{nobody: tt.nobody, bob: tt.bob} {
				// As a browser that navigates would: a bad token is no reason to log in.
				headers := []string{"Accept", "application/json"}
				if tt.challenge != "" {
					headers = navigate
				}
				for _, a := range tt.authorization {
					headers = append(headers, "Authorization", a)
				}
				res := b.get(tt.path, headers...)
				require.Equal(t, status, res.StatusCode, res.body)
				require.Empty(t, res.location())
				if tt.challenge != "" {
					require.Equal(t, []string{tt.challenge}, res.Header["Www-Authenticate"])
				}
				if status == 200 && b == bob {
					require.Equal(t, tt.body, res.body)
				}
			}
		})
	}
}

// A verifier may say what it likes: the token was there.
func TestNeeds41_TokenDecidesWhateverTheVerifierSays(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t)
	bob := s.browser(t)
	bob.logIn("bob")
	odd := &middleware.Bearer{Verifier: fakeVerifier{err: middleware.ErrNoCredentials}}
	s.handler = s.login.Handler(middleware.Either(odd, s.login, reached))
	require.Equal(t, http.StatusUnauthorized, bob.get("/", "Authorization", "Bearer x").StatusCode)
	require.Equal(t, http.StatusOK, bob.get("/").StatusCode)
}

// Needs 40, 41: without a token it is as with RequireLogin, and programs are told of both ways.
func TestNeeds41_SessionWithoutToken(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t)
	b := s.browser(t)
	requireRedirect(t, "/login?return_to=%2Feither%2Fadmin", b.get("/either/admin", navigate...))
	res := b.get("/either/scope", program...)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Equal(t, []string{`Bearer realm="api"`, "Cookie"}, res.Header["Www-Authenticate"])
	require.JSONEq(t, `{"error":"login_required","login_url":"`+s.url.String()+`/login"}`, res.body)

	b.logIn("bob")
	require.Equal(t, bobSubject+" session true true authorization false", b.get("/either").body)
	requirePage(t, http.StatusForbidden, b.get("/either/admin", navigate...))
	require.Equal(t, http.StatusForbidden, b.get("/either/scope").StatusCode)
	requireRedirect(t, "/login?acr_values=gold&return_to=%2Feither%2Fgold", b.get("/either/gold", navigate...))
	require.JSONEq(t, `{"error":"insufficient_user_authentication","login_url":"`+s.url.String()+`/login?acr_values=gold"}`, b.get("/either/gold", program...).body)
}

// Needs 38: the challenge leads to the metadata of the API, also where somebody could log in.
func TestNeeds38_EitherNamesTheMetadata(t *testing.T) {
	t.Parallel()
	resource, err := middleware.NewProtectedResource(middleware.ProtectedResourceConfig{Resource: audience, AuthorizationServers: []string{"https://id.example.com"}})
	require.NoError(t, err)
	s, _ := eitherSite(t, func(b *middleware.Bearer) { b.Resource = resource })
	for path, want := range map[string]string{
		"/either":       `Bearer realm="api", resource_metadata="` + resource.MetadataURL() + `"`,
		"/either/scope": `Bearer realm="api", scope="write", resource_metadata="` + resource.MetadataURL() + `"`,
	} {
		require.Equal(t, []string{want, "Cookie"}, s.browser(t).get(path, program...).Header["Www-Authenticate"])
	}
}

// Other places of a token count as the header does.
func TestEitherLooksAtSources(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t, func(b *middleware.Bearer) {
		b.Sources = []middleware.Source{middleware.FromForm(), middleware.FromCookie("api")}
	})
	b := s.browser(t)
	b.logIn("bob")
	alice := s.provider.AccessToken("alice", audience)
	require.Equal(t, aliceSubject+" session false false authorization false", b.post("/either", url.Values{"access_token": {alice}}).body)
	res := b.post("/either", url.Values{"access_token": {"x"}}, navigate...)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Equal(t, http.StatusBadRequest, b.send(http.MethodPost, "/either", strings.NewReader("access_token=%zz"), "Content-Type", "application/x-www-form-urlencoded").StatusCode)
	require.Equal(t, bobSubject+" session true true authorization false", b.post("/either", url.Values{"text": {"x"}}).body)
	b.set("api", alice)
	require.Equal(t, aliceSubject+" session false false authorization false", b.get("/either").body)
}

// F46: an outage of either is no login, and no verdict.
func TestF46_EitherInAnOutage(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t)
	b := s.browser(t)
	s.provider.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	res := b.get("/either", append([]string{"Authorization", "Bearer " + s.provider.AccessToken("alice", audience)}, navigate...)...)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
}

// A preflight has neither token nor session.
func TestEitherPassesPreflights(t *testing.T) {
	t.Parallel()
	for _, pass := range []bool{true, false} {
		s, _ := eitherSite(t, func(b *middleware.Bearer) { b.PassPreflight = pass })
		reached := false
		h := s.login.Handler(middleware.Either(&middleware.Bearer{PassPreflight: pass}, s.login, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/either", http.NoBody)
		r.Header.Set("Origin", "https://spa.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, pass, reached)
	}
}

// Nobody needs no login only where it says so, and Optional does not.
func TestEitherIsNeverOptional(t *testing.T) {
	t.Parallel()
	s, _ := eitherSite(t, func(b *middleware.Bearer) { b.Optional = true })
	require.Equal(t, http.StatusUnauthorized, s.browser(t).get("/either", program...).StatusCode)
}

// What is missing lets nobody through.
func TestM10_EitherOfNothing(t *testing.T) {
	t.Parallel()
	s, b := eitherSite(t)
	bob := s.browser(t)
	bob.logIn("bob")
	token := "Bearer " + s.provider.AccessToken("alice", audience)
	never := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") })
	for name, tt := range map[string]struct {
		h              http.Handler
		token, nothing int
	}{
		"no bearer":          {middleware.Either(nil, s.login, never), 500, 401},
		"no verifier":        {middleware.Either(&middleware.Bearer{}, s.login, never), 500, 401},
		"no login":           {middleware.Either(b, nil, never, middleware.Requirement{}), 403, 500},
		"neither":            {middleware.Either(nil, nil, never), 500, 500},
		"an empty condition": {middleware.Either(b, s.login, never, middleware.Requirement{}), 403, 401},
	} {
		s.handler = s.login.Handler(tt.h)
		require.Equal(t, tt.token, bob.get("/", "Authorization", token).StatusCode, name)
		require.Equal(t, tt.nothing, s.browser(t).get("/", program...).StatusCode, name)
	}
}

// The trace of a Bearer has its decisions, and none where it made none.
func TestEitherTellsTheTrace(t *testing.T) {
	t.Parallel()
	decided := 0
	s, _ := eitherSite(t, func(b *middleware.Bearer) {
		b.Trace = &middleware.BearerTrace{Decided: func(_ context.Context, _ middleware.Decision) { decided++ }}
	})
	b := s.browser(t)
	b.get("/either")
	require.Zero(t, decided)
	b.get("/either", "Authorization", "Bearer x")
	b.get("/either", "Authorization", "Bearer "+s.provider.AccessToken("alice", audience))
	require.Equal(t, 2, decided)
}
