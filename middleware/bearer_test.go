package middleware_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	audience     = "https://api.example.com"
	aliceSubject = "248289761001"
	bobSubject   = "248289761002"
)

// An answer is everything that a refused client learns.
type answer struct {
	Status     int
	Challenge  []string // WWW-Authenticate
	RetryAfter []string
	Body       string
	Cache      []string
	Type       []string
}

func answerOf(status int, challenge ...string) answer {
	return answer{
		Status: status, Challenge: challenge, Body: http.StatusText(status) + "\n",
		Cache: []string{"no-store"}, Type: []string{"text/plain; charset=utf-8"},
	}
}

func (a answer) retry(seconds string) answer {
	a.RetryAfter = []string{seconds}
	return a
}

// The headers that refuse sets and no others, so that nothing more is told.
var refusalHeaders = map[string]bool{
	"Www-Authenticate": true, "Retry-After": true, "Cache-Control": true,
	"Content-Type": true, "X-Content-Type-Options": true,
}

func ask(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		for name := range w.Header() {
			require.True(t, refusalHeaders[name], "header %s", name)
		}
	}
	return answer{
		Status: w.Code, Challenge: w.Header()["Www-Authenticate"], RetryAfter: w.Header()["Retry-After"],
		Body: w.Body.String(), Cache: w.Header()["Cache-Control"], Type: w.Header()["Content-Type"],
	}
}

func request(ctx context.Context, authorization ...string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/reports", http.NoBody)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

// An api is a provider, a verifier that trusts it and shares its clock, and
// whatever the middleware logged.
type api struct {
	provider *oidctest.Provider
	verifier *oidc.AccessTokenVerifier
	log      bytes.Buffer
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{provider: oidctest.Start(t, fastKeys)}
	a.verifier = a.newVerifier(t, a.provider)
	return a
}

func (a *api) newVerifier(t *testing.T, p *oidctest.Provider) *oidc.AccessTokenVerifier {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer(), Now: p.Now})
	require.NoError(t, err)
	v, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}})
	require.NoError(t, err)
	return v
}

func (a *api) bearer() *middleware.Bearer {
	return &middleware.Bearer{Verifier: a.verifier, Logger: slog.New(slog.NewTextHandler(&a.log, nil))}
}

// reached answers with what only the handler behind the middleware says.
var reached = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p, ok := middleware.PrincipalFrom(r.Context())
	_, _ = fmt.Fprint(w, "reached ", ok, " ", p.Subject)
})

// idToken logs alice in and returns her ID token.
func idToken(t *testing.T, p *oidctest.Provider) string {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer(), Now: p.Now})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: "https://client.example/callback",
	})
	require.NoError(t, err)
	flow, err := client.Begin(t.Context())
	require.NoError(t, err)
	callback, err := p.Login(t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(t, err)
	tokens, err := client.Finish(t.Context(), flow, callback.Query())
	require.NoError(t, err)
	return tokens.IDToken.Raw()
}

// jsonSerialization is the same JWS in a form that no API takes.
func jsonSerialization(compact string) string {
	part := strings.Split(compact, ".")
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2])
}

func TestM06_BearerAnswers(t *testing.T) {
	a := newAPI(t)
	good := a.provider.AccessToken("alice", audience, "reports:read")
	other := oidctest.Start(t, fastKeys)
	expired := a.provider.AccessToken("alice", audience, "reports:read")
	header, _, _ := strings.Cut(good, ".")
	a.provider.Advance(7 * time.Minute) // 5 of life, 1 of leeway
	good = a.provider.AccessToken("alice", audience, "reports:read")

	none := answerOf(401, `Bearer`)
	invalid := answerOf(401, `Bearer error="invalid_token"`)
	malformed := answerOf(400, `Bearer error="invalid_request"`)
	through := answer{Status: 200, Body: "reached true " + aliceSubject, Type: []string{"text/plain; charset=utf-8"}}

	tests := []struct {
		name   string
		values []string
		want   answer
	}{
		{"M06 no header", nil, none},
		{"M06 Basic", []string{"Basic YTpi"}, none},
		{"M06 Negotiate", []string{"Negotiate YTpi"}, none},
		{"M06 DPoP", []string{"DPoP " + good}, none},
		{"M06 empty header", []string{""}, none},
		{"M06 token without scheme", []string{good}, none},
		{"M06 scheme that begins alike", []string{"Bearers " + good}, none},
		{"M03 Bearer alone", []string{"Bearer"}, malformed},
		{"M03 Bearer and a space", []string{"Bearer "}, malformed},
		{"M03 Bearer and a colon", []string{"Bearer: " + good}, none},
		{"M03 two spaces", []string{"Bearer  " + good}, malformed},
		{"M03 tab as separator", []string{"Bearer\t" + good}, none},
		{"M03 space and tab", []string{"Bearer \t" + good}, malformed},
		{"M03 leading space", []string{" Bearer " + good}, none},
		{"M03 trailing space", []string{"Bearer " + good + " "}, malformed},
		{"M03 trailing tab", []string{"Bearer " + good + "\t"}, malformed},
		{"M03 trailing newline", []string{"Bearer " + good + "\n"}, malformed},
		{"M03 trailing carriage return", []string{"Bearer " + good + "\r"}, malformed},
		{"M03 byte 0xff", []string{"Bearer " + good + "\xff"}, invalid},
		{"M03 NUL", []string{"Bearer " + good + "\x00"}, invalid},
		{"M03 lower case scheme", []string{"bearer " + good}, through},
		{"M03 upper case scheme", []string{"BEARER " + good}, through},
		{"M03 good", []string{"Bearer " + good}, through},
		{"M01 two Authorization headers", []string{"Bearer " + good, "Bearer " + good}, malformed},
		{"M01 two Authorization headers, the first good", []string{"Bearer " + good, "Basic YTpi"}, malformed},
		{"M01 two Authorization headers, the last good", []string{"", "Bearer " + good}, malformed},
		{"M02 two credentials in one header", []string{"Bearer " + good + ", Bearer " + good}, malformed},
		{"M02 two credentials without a space", []string{"Bearer " + good + ",Bearer"}, invalid},
		{"M02 obs-fold", []string{"Bearer " + good + " x"}, malformed},
		{"M05 16 KiB", []string{"Bearer " + strings.Repeat("a", 16<<10)}, invalid},
		{"M05 one byte more", []string{"Bearer " + strings.Repeat("a", 16<<10+1)}, malformed},
		{"M05 17 KiB", []string{"Bearer " + strings.Repeat("a", 17<<10)}, malformed},
		{"M07 garbage", []string{"Bearer garbage"}, invalid},
		{"M07 three dots", []string{"Bearer ..."}, invalid},
		{"M07 JSON serialization", []string{"Bearer " + jsonSerialization(good)}, invalid},
		{"M07 expired", []string{"Bearer " + expired}, invalid},
		{"M07 wrong audience", []string{"Bearer " + a.provider.AccessToken("alice", "https://other.example")}, invalid},
		{"M07 foreign issuer", []string{"Bearer " + other.AccessToken("alice", audience)}, invalid},
		{"M07 ID token as access token", []string{"Bearer " + idToken(t, a.provider)}, invalid},
		{"M07 signature of another token", []string{"Bearer " + good[:strings.LastIndexByte(good, '.')] + expired[strings.LastIndexByte(expired, '.'):]}, invalid},
		{"M07 no signature", []string{"Bearer " + header + "." + strings.Split(good, ".")[1] + "."}, invalid},
	}
	h := a.bearer().Handler(reached)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, ask(t, h, request(t.Context(), tt.values...)))
		})
	}
}

// What an intermediary may join, split or fold, as net/http delivers it.
func TestM01_TwoAuthorizationHeadersOverTheWire(t *testing.T) {
	a := newAPI(t)
	good := a.provider.AccessToken("alice", audience)
	server := httptest.NewServer(a.bearer().Handler(reached))
	defer server.Close()
	for _, tt := range []struct {
		name   string
		values []string
		status int
	}{
		{"one", []string{"Bearer " + good}, 200},
		{"two", []string{"Bearer " + good, "Bearer " + good}, 400},
		{"two spellings of one", []string{"Bearer garbage", "Bearer " + good}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			require.NoError(t, err)
			r.Header["Authorization"] = tt.values
			res, err := server.Client().Do(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, tt.status, res.StatusCode)
		})
	}
}

func TestM12_Requirements(t *testing.T) {
	a := newAPI(t)
	roles := claims.P("realm_access", "roles")
	alice := a.provider.AccessToken("alice", audience, "reports:read", "reports:write")
	bob := a.provider.AccessToken("bob", audience, "reports:read:all")
	own := errors.New("own words")
	missing := func(scope string) answer {
		return answerOf(403, `Bearer error="insufficient_scope", scope="`+scope+`"`)
	}
	forbidden := answerOf(403, `Bearer error="insufficient_scope"`)
	through := func(name string) answer {
		return answer{Status: 200, Body: "reached true " + name, Type: []string{"text/plain; charset=utf-8"}}
	}
	tests := []struct {
		name    string
		token   string
		require []middleware.Requirement
		want    answer
	}{
		{"scope", alice, []middleware.Requirement{middleware.RequireScopes("reports:read")}, through(aliceSubject)},
		{"both scopes", alice, []middleware.Requirement{middleware.RequireScopes("reports:read", "reports:write")}, through(aliceSubject)},
		{"the second scope missing", alice, []middleware.Requirement{middleware.RequireScopes("reports:read", "x")}, missing("reports:read x")},
		{"the first scope missing", alice, []middleware.Requirement{middleware.RequireScopes("x", "reports:read")}, missing("x reports:read")},
		{"the second requirement fails", alice, []middleware.Requirement{middleware.RequireScopes("reports:read"), middleware.RequireScopes("x")}, missing("reports:read x")},
		{"part of a scope", bob, []middleware.Requirement{middleware.RequireScopes("reports:read")}, missing("reports:read")},
		{"scope in another case", alice, []middleware.Requirement{middleware.RequireScopes("Reports:Read")}, missing("Reports:Read")},
		{"scope with what ends the quotes", alice, []middleware.Requirement{middleware.RequireScopes("a\"\r\nX: y\\")}, missing(`a\"X: y\\`)},
		{"empty scope", alice, []middleware.Requirement{middleware.RequireScopes("")}, missing("")},
		{"no scopes at all", alice, []middleware.Requirement{middleware.RequireScopes()}, forbidden},
		{"zero Requirement", alice, []middleware.Requirement{{}}, forbidden},
		{"RequireFunc of nil", alice, []middleware.Requirement{middleware.RequireFunc(nil)}, forbidden},
		{"role", alice, []middleware.Requirement{middleware.RequireRole(roles, "admin")}, through(aliceSubject)},
		{"missing role", bob, []middleware.Requirement{middleware.RequireRole(roles, "admin")}, forbidden},
		{"role in another case", alice, []middleware.Requirement{middleware.RequireRole(roles, "Admin")}, forbidden},
		{"no claim at the path", alice, []middleware.Requirement{middleware.RequireRole(claims.P("nowhere"), "admin")}, forbidden},
		{"no list at the path", alice, []middleware.Requirement{middleware.RequireRole(claims.P("realm_access"), "admin")}, forbidden},
		{"zero path", alice, []middleware.Requirement{middleware.RequireRole(claims.Path{}, "admin")}, forbidden},
		{"empty role", alice, []middleware.Requirement{middleware.RequireRole(roles, "")}, forbidden},
		{"func that allows", bob, []middleware.Requirement{middleware.RequireFunc(func(*middleware.Principal) error { return nil })}, through(bobSubject)},
		{"func that refuses", bob, []middleware.Requirement{middleware.RequireFunc(func(*middleware.Principal) error { return oidckit.ErrForbidden })}, forbidden},
		{"func that cannot judge", bob, []middleware.Requirement{middleware.RequireFunc(func(*middleware.Principal) error { return oidckit.ErrUnavailable })}, answerOf(503).retry("1")},
		{"func that refuses in its own words", bob, []middleware.Requirement{middleware.RequireFunc(func(*middleware.Principal) error { return own })}, forbidden},
		// The token was good: whatever a requirement says, it is not 401.
		{"func that blames the token", bob, []middleware.Requirement{middleware.RequireFunc(func(*middleware.Principal) error { return oidckit.ErrInvalidToken })}, forbidden},
		// RFC 6750 section 3.1: who is not known is told nothing of rights.
		{"bad token before rights", "garbage", []middleware.Requirement{middleware.RequireScopes("x")}, answerOf(401, `Bearer error="invalid_token"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := a.bearer().Handler(reached, tt.require...)
			require.Equal(t, tt.want, ask(t, h, request(t.Context(), "Bearer "+tt.token)))
		})
	}
}

func TestM13_EmptyRoleInTheToken(t *testing.T) {
	a := newAPI(t)
	a.provider.OnAccessToken(func(_, c map[string]any) { c["roles"] = []string{""} })
	h := a.bearer().Handler(reached, middleware.RequireRole(claims.P("roles"), ""))
	got := ask(t, h, request(t.Context(), "Bearer "+a.provider.AccessToken("alice", audience)))
	require.Equal(t, answerOf(403, `Bearer error="insufficient_scope"`), got)
}

func TestRequireScopesKeepsItsOwnCopy(t *testing.T) {
	scopes := []string{"write"}
	r := middleware.RequireScopes(scopes...)
	scopes[0] = "read"
	err := r.Check(&middleware.Principal{AccessToken: &oidc.AccessToken{Scopes: []string{"read"}}})
	var missing *middleware.ScopeError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"write"}, missing.Scopes)
}

func TestRequirementErrors(t *testing.T) {
	p := &middleware.Principal{AccessToken: &oidc.AccessToken{}}
	for name, r := range map[string]middleware.Requirement{
		"scope": middleware.RequireScopes("a", "b"),
		"role":  middleware.RequireRole(claims.P("roles"), "admin"),
		"zero":  {},
		"func":  middleware.RequireFunc(func(*middleware.Principal) error { return errors.New("own words") }),
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check(p)
			require.ErrorIs(t, err, oidckit.ErrForbidden)
			// One sentinel and no other: a missing claim is no invalid token here.
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
			require.NotEmpty(t, err.Error())
		})
	}
	var role *middleware.RoleError
	require.ErrorAs(t, middleware.RequireRole(claims.P("roles"), "admin").Check(p), &role)
	require.Equal(t, "admin", role.Role)
	require.True(t, claims.IsMissing(role.Err))
	require.Contains(t, role.Error(), "admin")
	require.Contains(t, role.Error(), role.Err.Error())
}

// An outage is no bad token: 401 would make clients throw good tokens away.
func TestM09_ProviderDown(t *testing.T) {
	for _, endpoint := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS} {
		for name, fault := range map[string]oidctest.Fault{
			"500":     {Status: 500},
			"no JSON": {Body: "<html>secret of the provider"},
			"too big": {Oversized: true},
		} {
			t.Run(string(endpoint)+" "+name, func(t *testing.T) {
				a := newAPI(t)
				h := a.bearer().Handler(reached)
				good := a.provider.AccessToken("alice", audience)
				a.provider.SetFault(endpoint, fault)
				got := ask(t, h, request(t.Context(), "Bearer "+good))
				require.Len(t, got.RetryAfter, 1)
				require.Regexp(t, `^[1-9][0-9]{0,2}$`, got.RetryAfter[0])
				require.Equal(t, answerOf(503).retry(got.RetryAfter[0]), got)
				require.NotContains(t, a.log.String(), "secret of the provider")
				// What is wrong with a token by itself stays so.
				require.Equal(t, 401, ask(t, h, request(t.Context(), "Bearer garbage")).Status)

				a.provider.SetFault(endpoint, oidctest.Fault{})
				a.provider.Advance(2 * time.Minute)
				require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer "+good)).Status)
			})
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, "1"}, {-time.Second, "1"}, {time.Millisecond, "1"}, {time.Second, "1"}, {1001 * time.Millisecond, "2"}, {90 * time.Second, "90"}} {
		t.Run(tt.after.String(), func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", &oidckit.UnavailableError{What: "keys", Err: errors.New("x"), RetryAfter: tt.after})
			b := &middleware.Bearer{Verifier: fakeVerifier{err: err}}
			require.Equal(t, answerOf(503).retry(tt.want), ask(t, b.Handler(reached), request(t.Context(), "Bearer x")))
		})
	}
}

// Outages and mistakes of the program stand out in the log.
func TestLogLevels(t *testing.T) {
	for status, err := range map[int]error{
		401: oidckit.ErrInvalidToken, 403: oidckit.ErrForbidden, 503: oidckit.ErrUnavailable, 500: errors.New("bug"),
	} {
		var log bytes.Buffer
		b := &middleware.Bearer{Verifier: fakeVerifier{err: err}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		require.Equal(t, status, ask(t, b.Handler(reached), request(t.Context(), "Bearer x")).Status)
		level := map[int]string{503: "WARN", 500: "ERROR"}[status]
		if level == "" {
			level = "INFO"
		}
		require.Contains(t, log.String(), "level="+level+" ")
	}
}

type fakeVerifier struct {
	token *oidc.AccessToken
	err   error
}

func (f fakeVerifier) Verify(context.Context, string) (*oidc.AccessToken, error) {
	return f.token, f.err
}

func TestM10_FailClosed(t *testing.T) {
	var none *oidc.AccessTokenVerifier
	var nobody *middleware.Bearer
	tests := []struct {
		name   string
		bearer *middleware.Bearer
		want   answer
	}{
		{"nil Bearer", nobody, answerOf(500)},
		{"zero Bearer", &middleware.Bearer{}, answerOf(500)},
		{"nil *AccessTokenVerifier", &middleware.Bearer{Verifier: none}, answerOf(500)},
		{"zero AccessTokenVerifier", &middleware.Bearer{Verifier: &oidc.AccessTokenVerifier{}}, answerOf(500)},
		{"a verifier without token and error", &middleware.Bearer{Verifier: fakeVerifier{}}, answerOf(500)},
		{"a verifier with token and error", &middleware.Bearer{Verifier: fakeVerifier{&oidc.AccessToken{}, errors.New("x")}}, answerOf(500)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, ask(t, tt.bearer.Handler(reached), request(t.Context(), "Bearer x")))
		})
	}
	require.Equal(t, answerOf(401, "Bearer"), ask(t, nobody.Handler(reached), request(t.Context())))
	require.Equal(t, answerOf(400, `Bearer error="invalid_request"`), ask(t, nobody.Handler(reached), request(t.Context(), "Bearer")))
}

func TestM08_Realm(t *testing.T) {
	for _, tt := range []struct{ realm, want string }{
		{"", `Bearer`},
		{"reports", `Bearer realm="reports"`},
		{`a "quoted" \ realm`, `Bearer realm="a \"quoted\" \\ realm"`},
		{"a\r\nSet-Cookie: x=y", `Bearer realm="aSet-Cookie: x=y"`},
		{"\x00\x1f ~\x7f", `Bearer realm=" ~"`},
		{"Größe", `Bearer realm="Gre"`},
	} {
		b := &middleware.Bearer{Realm: tt.realm, Verifier: fakeVerifier{err: oidckit.ErrInvalidToken}}
		require.Equal(t, answerOf(401, tt.want), ask(t, b.Handler(reached), request(t.Context())))
		separator := ", "
		if tt.realm == "" {
			separator = " "
		}
		require.Equal(t, answerOf(401, tt.want+separator+`error="invalid_token"`),
			ask(t, b.Handler(reached), request(t.Context(), "Bearer x")))
	}
}

func TestM04_TokensElsewhereAreIgnored(t *testing.T) {
	a := newAPI(t)
	h := a.bearer().Handler(reached)
	good := a.provider.AccessToken("alice", audience)
	form := url.Values{"access_token": {good}}.Encode()

	query := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports?"+form, http.NoBody)
	require.Equal(t, answerOf(401, "Bearer"), ask(t, h, query))

	post := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports", strings.NewReader(form))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, answerOf(401, "Bearer"), ask(t, h, post))

	cookie := request(t.Context())
	cookie.AddCookie(&http.Cookie{Name: "access_token", Value: good})
	require.Equal(t, answerOf(401, "Bearer"), ask(t, h, cookie))

	proxy := request(t.Context())
	proxy.Header.Set("Proxy-Authorization", "Bearer "+good)
	require.Equal(t, answerOf(401, "Bearer"), ask(t, h, proxy))
}

// The body is the handler's, and nobody's before the token is judged.
func TestM18_BodyUntouched(t *testing.T) {
	a := newAPI(t)
	body := &countingReader{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, 401, ask(t, a.bearer().Handler(reached), r).Status)
	require.Zero(t, body.reads)
}

type countingReader struct{ reads int }

func (c *countingReader) Read([]byte) (int, error) { c.reads++; return 0, errors.New("read") }

func TestPrincipal(t *testing.T) {
	a := newAPI(t)
	var got *middleware.Principal
	h := a.bearer().Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, ok := middleware.PrincipalFrom(r.Context())
		require.True(t, ok)
		got = p
	}))
	good := a.provider.AccessToken("alice", audience, "reports:read")
	require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer "+good)).Status)
	require.Equal(t, a.provider.Issuer(), got.Issuer)
	require.Equal(t, aliceSubject, got.Subject)
	require.Equal(t, []string{"reports:read"}, got.Scopes)

	direct, err := a.bearer().Authenticate(t.Context(), middleware.Credentials{Authorization: []string{"Bearer " + good}})
	require.NoError(t, err)
	require.Equal(t, got.AccessToken, direct.AccessToken)

	p, ok := middleware.PrincipalFrom(t.Context())
	require.False(t, ok)
	require.Nil(t, p)
}

func TestAuthenticateErrors(t *testing.T) {
	a := newAPI(t)
	for _, tt := range []struct {
		name   string
		values []string
		want   error
	}{
		{"none", nil, middleware.ErrNoCredentials},
		{"Basic", []string{"Basic x"}, middleware.ErrNoCredentials},
		{"two", []string{"Bearer x", "Bearer y"}, middleware.ErrMalformed},
		{"empty", []string{"Bearer "}, middleware.ErrMalformed},
		{"garbage", []string{"Bearer x"}, oidckit.ErrInvalidToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := a.bearer().Authenticate(t.Context(), middleware.Credentials{Authorization: tt.values})
			require.ErrorIs(t, err, tt.want)
			require.Nil(t, p)
		})
	}
}

func TestM07_LoggerGetsTheReasonAndNoToken(t *testing.T) {
	a := newAPI(t)
	h := a.bearer().Handler(reached, middleware.RequireScopes("wanted"))
	wrong := a.provider.AccessToken("alice", "https://other-api.example")
	lacking := a.provider.AccessToken("alice", audience)
	symmetric := oidctest.SignHMAC(map[string]any{"alg": "HS256", "typ": "at+jwt"}, map[string]any{
		"iss": a.provider.Issuer(), "aud": audience, "sub": "a-subject-of-the-attacker",
	}, []byte("secret"))
	for _, tt := range []struct{ name, token, reason string }{
		{"audience", wrong, string(oidc.ReasonAudience)},
		{"algorithm", symmetric, string(oidc.ReasonAlgorithm)},
		{"malformed", "some.garbage-of-mine.x", string(oidc.ReasonMalformed)},
		{"scope", lacking, "wanted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.log.Reset()
			got := ask(t, h, request(t.Context(), "Bearer "+tt.token))
			line := a.log.String()
			require.Contains(t, line, tt.reason)
			require.Contains(t, line, fmt.Sprint("status=", got.Status))
			for part := range strings.SplitSeq(tt.token, ".") {
				if len(part) > 1 {
					require.NotContains(t, line, part)
				}
			}
			require.NotContains(t, line, "other-api.example")
			require.NotContains(t, line, "a-subject-of-the-attacker")
			require.NotContains(t, line, aliceSubject)
		})
	}
	a.log.Reset()
	require.Equal(t, 401, ask(t, h, request(t.Context(), "Basic "+base64.StdEncoding.EncodeToString([]byte("user:pass")))).Status)
	require.NotContains(t, a.log.String(), "dXNlcjpwYXNz")
	a.log.Reset()
	a.provider.OnAccessToken(nil)
	ok := a.bearer().Handler(reached)
	require.Equal(t, 200, ask(t, ok, request(t.Context(), "Bearer "+lacking)).Status)
	require.Empty(t, a.log.String())
}

// Every byte that a token may have gets to the verifier, and none besides.
func TestM03_TokenCharacters(t *testing.T) {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
	for c := range 256 {
		char, asked := string([]byte{byte(c)}), false
		b := &middleware.Bearer{Verifier: verifierFunc(func(string) { asked = true })}
		_, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{"Bearer a" + char}})
		require.Equal(t, strings.Contains(allowed, char), asked, "%q", char)
		require.Equal(t, strings.ContainsAny(char, " \t\r\n"), errors.Is(err, middleware.ErrMalformed), "%q", char)
	}
}

// FuzzBearerGrammar: what gets to the verifier is one token without white space,
// and exactly the bytes that were sent.
func FuzzBearerGrammar(f *testing.F) {
	for _, s := range []string{"Bearer x", "bearer  x", "Bearer x y", "Basic x", "", "Bearer", "BEARER a,b", "Bearer\tx", "Bearer é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		var seen []string
		b := &middleware.Bearer{Verifier: verifierFunc(func(raw string) { seen = append(seen, raw) })}
		_, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{header}})
		require.Error(t, err)
		if len(seen) == 0 {
			require.True(t, errors.Is(err, middleware.ErrMalformed) || errors.Is(err, middleware.ErrNoCredentials) ||
				errors.Is(err, oidckit.ErrInvalidToken))
			return
		}
		require.Len(t, seen, 1)
		require.NotEmpty(t, seen[0])
		require.LessOrEqual(t, len(seen[0]), 16<<10)
		require.Regexp(t, `^[A-Za-z0-9._~+/=-]+$`, seen[0])
		require.True(t, strings.EqualFold(header[:7], "bearer "))
		require.Equal(t, header[7:], seen[0])
	})
}

type verifierFunc func(string)

func (f verifierFunc) Verify(_ context.Context, raw string) (*oidc.AccessToken, error) {
	f(raw)
	return nil, oidckit.ErrInvalidToken
}

// The token in the header is good; a second one in the query is one too many.
func TestM04_TwoCredentials(t *testing.T) {
	a := newAPI(t)
	h := a.bearer().Handler(reached)
	r := request(t.Context(), "Bearer "+a.provider.AccessToken("alice", audience))
	for _, query := range []string{"access_token=x", "access_token", "a=1&access_token=x", "a=1;access_token=x", "access_token=x;y", "access%5ftoken=x", "%61ccess_token=%zz", "&&access_token="} {
		r.URL.RawQuery = query
		require.Equal(t, http.StatusBadRequest, ask(t, h, r).Status, query)
	}
	for _, query := range []string{"my_access_token=x", "a=access_token", "%zz=1", ";", "ACCESS_TOKEN=x", "access_token%=x"} {
		r.URL.RawQuery = query
		require.Equal(t, http.StatusOK, ask(t, h, r).Status, query)
	}
}

type failingVerifier struct{ err error }

func (f failingVerifier) Verify(context.Context, string) (*oidc.AccessToken, error) {
	return nil, f.err
}

// An outage stays one, whatever caused it.
func TestM09_OutageBeforeItsCause(t *testing.T) {
	for _, cause := range []error{oidckit.ErrInvalidToken, oidckit.ErrForbidden, &oidc.Error{Reason: oidc.ReasonMalformed}} {
		b := &middleware.Bearer{Verifier: failingVerifier{&oidckit.UnavailableError{What: "x", Err: cause}}}
		require.Equal(t, http.StatusServiceUnavailable, ask(t, b.Handler(reached), request(t.Context(), "Bearer x")).Status)
	}
}

// FuzzChallengeIsOneQuotedString: whatever stands in the configuration, a challenge has one
// parameter, and it says that text without what no header can hold.
func FuzzChallengeIsOneQuotedString(f *testing.F) {
	for _, s := range []string{"reports", `a"b\c`, "a\r\nX: y", `\`, `"`, "é", "a, error=x", "\x7f\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, realm string) {
		b := &middleware.Bearer{Realm: realm, Verifier: fakeVerifier{err: oidckit.ErrInvalidToken}}
		w := httptest.NewRecorder()
		b.Handler(reached).ServeHTTP(w, request(t.Context()))
		challenges := w.Header()["Www-Authenticate"]
		require.Len(t, challenges, 1)
		inside, ok := strings.CutPrefix(challenges[0], `Bearer realm="`)
		if realm == "" {
			require.Equal(t, "Bearer", challenges[0])
			return
		}
		require.True(t, ok)
		var read, want strings.Builder
		for inside != `"` {
			rest, escaped := strings.CutPrefix(inside, `\`)
			inside = rest
			require.NotEmpty(t, inside)
			require.True(t, escaped || inside[0] != '"', "the quotes end too early")
			read.WriteByte(inside[0])
			inside = inside[1:]
			require.NotEmpty(t, inside, "the quotes do not end")
		}
		for i := range len(realm) {
			if c := realm[i]; c >= 0x20 && c < 0x7f {
				want.WriteByte(c)
			}
		}
		require.Equal(t, want.String(), read.String())
	})
}
