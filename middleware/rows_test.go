package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
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

// Rows of the attack sheet (security.md 3.6) that have no test beside what they attack.

func TestM02_ListsOfCredentials(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Bearer a, Bearer b", "Bearer a,Bearer b", "Bearer a b", "Bearer a,b", "Bearer a;b", "Bearer a\r\n b"} {
		b := &middleware.Bearer{Verifier: verifierFunc(func(raw string) { t.Errorf("%q was verified", raw) })}
		_, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{header}})
		require.Error(t, err, header)
	}
}

func TestM05_LongHeaders(t *testing.T) {
	t.Parallel()
	longest := 0
	b := &middleware.Bearer{Verifier: verifierFunc(func(raw string) { longest = max(longest, len(raw)) })}
	for _, size := range []int{16 << 10, 16<<10 + 1, 900 << 10} {
		_, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{"Bearer " + strings.Repeat("a", size)}})
		require.Error(t, err)
	}
	require.Equal(t, 16<<10, longest)
}

// Whatever is wrong with a token, the answer is the same, and whose kid is made up makes
// nobody ask the provider more than once.
func TestM11_AttackersChooseNoRequests(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	h := a.bearer().Handler(reached)
	good := a.provider.AccessToken("alice", audience)
	require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer "+good)).Status)
	before := a.provider.Requests(oidctest.JWKS)
	claimsOfAll := map[string]any{
		"iss": a.provider.Issuer(), "aud": audience, "sub": "x", "client_id": "x", "jti": "x",
		"iat": a.provider.Now().Unix(), "exp": a.provider.Now().Add(time.Minute).Unix(),
	}
	answers := map[string]answer{
		"signature": ask(t, h, request(t.Context(), "Bearer "+good[:strings.LastIndexByte(good, '.')+1]+strings.Repeat("A", 86))),
		"audience":  ask(t, h, request(t.Context(), "Bearer "+a.provider.AccessToken("alice", "https://other.example"))),
	}
	for i := range 20 {
		kid := fmt.Sprint("kid-", i)
		answers[kid] = ask(t, h, request(t.Context(), "Bearer "+a.provider.Sign(map[string]any{"typ": "at+jwt", "kid": kid}, claimsOfAll)))
	}
	for name, got := range answers {
		require.Equal(t, answerOf(401, `Bearer error="invalid_token"`), got, name)
	}
	require.LessOrEqual(t, a.provider.Requests(oidctest.JWKS), before+1)
}

// Scopes in the forms that providers write, and in those that attackers would like.
func TestM12_ScopesOfTheToken(t *testing.T) {
	t.Parallel()
	const fedora = "https://release-monitoring.org/oidc/upstream"
	for _, tt := range []struct {
		claims string
		scope  string
		has    bool
	}{
		{`{"scope":"a read b"}`, "read", true},
		{`{"scope":["a","read"]}`, "read", true},
		{`{"scp":"read"}`, "read", true},
		{`{"scp":["read"]}`, "read", true},
		{`{"scope":"a","scp":["read"]}`, "read", true},
		{`{"scope":"` + fedora + `"}`, fedora, true},
		{`{"scope":"` + fedora + `/"}`, fedora, false},
		{`{"scope":"HTTPS://release-monitoring.org/oidc/upstream"}`, fedora, false},
		{`{"scope":"https://release-monitoring.org/oidc"}`, fedora, false},
		{`{"scope":"read:all"}`, "read", false},
		{`{"scope":"a\tread"}`, "read", false},
		{`{"scope":"a\nread"}`, "read", false},
		{`{"scope":"read\u0000"}`, "read", false},
		{`{"scope":"a,read"}`, "read", false},
		{`{"scope":"READ"}`, "read", false},
		{`{"scopes":"read"}`, "read", false},
		{`{"scope":""}`, "", false},
		{`{}`, "read", false},
	} {
		set := claimSet(t, tt.claims)
		scopes, err := set.Scopes()
		require.NoError(t, err)
		p := &middleware.Principal{AccessToken: &oidc.AccessToken{Scopes: scopes, Claims: set}}
		for _, r := range []middleware.Requirement{middleware.RequireScopes(tt.scope), middleware.RequireAnyScope("another", tt.scope)} {
			if tt.has {
				require.NoError(t, r.Check(p), tt.claims)
			} else {
				require.ErrorIs(t, r.Check(p), oidckit.ErrForbidden, tt.claims)
			}
		}
	}
}

// A group that the provider left out, for there are too many, is no group that is missing.
func TestM13_RolesOfOtherTypes(t *testing.T) {
	t.Parallel()
	roles := claims.P("groups")
	for _, tt := range []struct {
		claims string
		path   claims.Path
		has    bool
	}{
		{`{"groups":["admin"]}`, roles, true},
		{`{"groups":"admin"}`, roles, true},
		{`{"resource_access":{"api":{"roles":["admin"]}}}`, claims.P("resource_access", "api", "roles"), true},
		{`{"resource_access.api.roles":["admin"]}`, claims.P("resource_access", "api", "roles"), false},
		{`{"groups":"admin user"}`, roles, false},
		{`{"groups":["administrator"]}`, roles, false},
		{`{"groups":{"admin":true}}`, roles, false},
		{`{"groups":[["admin"]]}`, roles, false},
		{`{"groups":[1,"admin"]}`, roles, false},
		{`{"groups":null}`, roles, false},
		{`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`, roles, false},
		{`{"hasgroups":true}`, roles, false},
	} {
		p := &middleware.Principal{AccessToken: &oidc.AccessToken{Claims: claimSet(t, tt.claims)}}
		err := middleware.RequireRole(tt.path, "admin").Check(p)
		if tt.has {
			require.NoError(t, err, tt.claims)
			continue
		}
		require.ErrorIs(t, err, oidckit.ErrForbidden, tt.claims)
		var overage *claims.OverageError
		var role *middleware.RoleError
		require.ErrorAs(t, err, &role)
		require.Equal(t, strings.Contains(tt.claims, "_claim_names") || strings.Contains(tt.claims, "hasgroups"),
			role.Err != nil && asError(role.Err, &overage), tt.claims)
	}
}

func TestM15_HeadersForUpstream(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer x"}, "authorization": {"Bearer y"},
		"X-User": {"evil"}, "X_user": {"evil"}, "x.user": {"evil"}, "X-user": {"evil"}, "X_USER": {"evil"},
		"X-Forwarded-User": {"evil"}, "X_Forwarded_User": {"evil"}, "X-Groups": {"evil"},
		"X-Username": {"kept"}, "Accept": {"kept"},
	}
	middleware.SetUpstreamHeaders(h, map[string]string{"X-User": "alice", "X-Forwarded-User": "alice", "X-Groups": ""})
	require.Equal(t, http.Header{
		"X-User": {"alice"}, "X-Forwarded-User": {"alice"}, "X-Username": {"kept"}, "Accept": {"kept"},
	}, h)
}

func TestM16_OnlyPreflightsPassAndOnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	preflight := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"GET"}}
	none := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok := middleware.PrincipalFrom(r.Context())
		require.False(t, ok)
		w.WriteHeader(http.StatusNoContent)
	})
	for _, tt := range []struct {
		name, method string
		passes       bool
		change       func(http.Header)
		want         int
	}{
		{"preflight", "OPTIONS", true, nil, 204},
		{"preflight, not asked for", "OPTIONS", false, nil, 401},
		{"OPTIONS without origin", "OPTIONS", true, func(h http.Header) { delete(h, "Origin") }, 401},
		{"OPTIONS without method", "OPTIONS", true, func(h http.Header) { delete(h, "Access-Control-Request-Method") }, 401},
		{"OPTIONS with a bad token", "OPTIONS", true, func(h http.Header) { h.Set("Authorization", "Bearer x") }, 401},
		{"GET", "GET", true, nil, 401},
		{"HEAD", "HEAD", true, nil, 401},
		{"POST", "POST", true, nil, 401},
		{"CONNECT", "CONNECT", true, nil, 401},
		{"TRACE", "TRACE", true, nil, 401},
		{"options", "options", true, nil, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &middleware.Bearer{Verifier: fakeVerifier{err: oidckit.ErrInvalidToken}, PassPreflight: tt.passes}
			r := request(t.Context())
			r.Method, r.Header = tt.method, preflight.Clone()
			if tt.change != nil {
				tt.change(r.Header)
			}
			w := httptest.NewRecorder()
			b.Handler(none, middleware.RequireScopes("x")).ServeHTTP(w, r)
			require.Equal(t, tt.want, w.Code)
		})
	}
}

func TestM17_ContextEndsWithTheToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	token := &oidc.AccessToken{Expiry: now.Add(time.Hour)}
	for _, ends := range []bool{true, false} {
		b := &middleware.Bearer{Verifier: fakeVerifier{token: token}, EndAtExpiry: ends, Now: func() time.Time { return now }}
		var during []context.Context
		h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			during = append(during, r.Context())
			require.NoError(t, r.Context().Err())
			at, ok := r.Context().Deadline()
			require.Equal(t, ends, ok)
			if ends {
				require.WithinDuration(t, token.Expiry.Add(time.Minute), at, 10*time.Second)
			}
		}))
		require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer x")).Status)
		require.Equal(t, ends, during[0].Err() != nil, "what the handler leaves behind ends with it")
	}

	// A provider that says no end of a token at introspection.
	b := &middleware.Bearer{Verifier: fakeVerifier{token: &oidc.AccessToken{}}, EndAtExpiry: true}
	h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { require.NoError(t, r.Context().Err()) }))
	require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer x")).Status)

	// The token expired, and the leeway too.
	b = &middleware.Bearer{Verifier: fakeVerifier{token: token}, EndAtExpiry: true, Now: func() time.Time { return now.Add(time.Hour + time.Minute) }}
	h = b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		require.ErrorIs(t, context.Cause(r.Context()), middleware.ErrExpired)
	}))
	require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer x")).Status)
}

// One policy per issuer: neither audience nor keys of one serve for the tokens of the
// other, in whatever order they stand.
func TestM19_SeveralIssuers(t *testing.T) {
	t.Parallel()
	type issuer struct {
		provider *oidctest.Provider
		audience string
		verifier *oidc.AccessTokenVerifier
	}
	var all []issuer
	for i := range 2 {
		p := oidctest.Start(t, fastKeys)
		own := fmt.Sprint("https://api.example.com/", i)
		provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer(), Now: p.Now})
		require.NoError(t, err)
		v, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{own}})
		require.NoError(t, err)
		all = append(all, issuer{p, own, v})
	}
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		issuers, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{all[order[0]].verifier, all[order[1]].verifier}})
		require.NoError(t, err)
		h := (&middleware.Bearer{Verifier: issuers}).Handler(reached)
		for i, mine := range all {
			other := all[1-i]
			require.Equal(t, 200, ask(t, h, request(t.Context(), "Bearer "+mine.provider.AccessToken("alice", mine.audience))).Status)
			require.Equal(t, 401, ask(t, h, request(t.Context(), "Bearer "+mine.provider.AccessToken("alice", other.audience))).Status)
			mine.provider.OnAccessToken(func(_, c map[string]any) { c["iss"] = other.provider.Issuer() })
			require.Equal(t, 401, ask(t, h, request(t.Context(), "Bearer "+mine.provider.AccessToken("alice", other.audience))).Status)
			mine.provider.OnAccessToken(nil)
		}
	}
	_, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{all[0].verifier, all[0].verifier}})
	require.Error(t, err)
}

// The token is not the handler's, unless it asks for it.
func TestM20_TokenIsKeptFromHandlers(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	good := a.provider.AccessToken("alice", audience)
	for _, keep := range []bool{false, true} {
		b := a.bearer()
		b.KeepToken = keep
		r := request(t.Context(), "Bearer "+good)
		r.Header.Set("Accept", "kept")
		h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			p, ok := middleware.PrincipalFrom(inner.Context())
			require.True(t, ok)
			raw, ok := p.Token()
			require.Equal(t, keep, ok)
			require.Equal(t, map[bool]string{true: good, false: ""}[keep], raw)
			require.Equal(t, keep, inner.Header.Get("Authorization") == "Bearer "+good)
			require.Equal(t, "kept", inner.Header.Get("Accept"))
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
				require.NotContains(t, fmt.Sprintf(verb, p), good)
			}
			text, err := json.Marshal(p)
			require.NoError(t, err)
			require.NotContains(t, string(text), good)
			if !keep {
				require.NotContains(t, fmt.Sprint(inner.Context()), good)
			}
		}))
		require.Equal(t, 200, ask(t, h, r).Status)
		require.Equal(t, "Bearer "+good, r.Header.Get("Authorization"), "the request is the caller's")
	}
}

// What a request says of its host and path does not get into metadata or challenges.
func TestM21_MetadataAreOfTheConfiguration(t *testing.T) {
	t.Parallel()
	resource := newResource(t, nil)
	b := &middleware.Bearer{Verifier: fakeVerifier{token: &oidc.AccessToken{Audience: []string{"https://evil.example"}}}, Resource: resource}
	r := request(t.Context())
	r.Host = "evil.example"
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.URL.Path = resource.Path()
	for _, h := range []http.Handler{resource, b.Handler(reached)} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.NotContains(t, onTheWire(w), "evil.example")
		require.Contains(t, onTheWire(w), "https://api.example.com")
	}
	require.Equal(t, 401, ask(t, b.Handler(reached), request(t.Context(), "Bearer x")).Status, "a token for another resource")
	for _, path := range []string{"/", "/.well-known/oauth-protected-resource", resource.Path() + "/", resource.Path() + "/other"} {
		r.URL.Path = path
		w := httptest.NewRecorder()
		resource.ServeHTTP(w, r)
		require.Equal(t, http.StatusNotFound, w.Code, path)
	}
}

// What gRPC hands over: metadata in lower case, of which every value counts.
func TestM22_OtherTransports(t *testing.T) {
	t.Parallel()
	token := &oidc.AccessToken{Subject: "alice", Expiry: time.Now().Add(time.Hour)}
	b := &middleware.Bearer{Verifier: fakeVerifier{token: token}, EndAtExpiry: true}
	for _, tt := range []struct {
		name     string
		metadata map[string][]string
		want     error
	}{
		{"one", map[string][]string{"authorization": {"bearer x"}}, nil},
		{"two values", map[string][]string{"authorization": {"bearer x", "bearer x"}}, middleware.ErrMalformed},
		{"binary", map[string][]string{"authorization-bin": {"bearer x"}}, middleware.ErrNoCredentials},
		{"none", nil, middleware.ErrNoCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: tt.metadata["authorization"]})
			require.ErrorIs(t, err, tt.want)
			if err != nil {
				return
			}
			ctx, cancel := b.WithPrincipal(t.Context(), p)
			defer cancel()
			_, ends := ctx.Deadline()
			require.True(t, ends, "a stream ends with its token")
			found, ok := middleware.PrincipalFrom(ctx)
			require.True(t, ok)
			require.Same(t, p, found)
			require.ErrorIs(t, middleware.Authorize(found, middleware.RequireScopes("x")), oidckit.ErrForbidden)
		})
	}
}

// Every http.Server in an example has its time limits, and none is started without one.
func TestM23_ExamplesSetTimeLimits(t *testing.T) {
	t.Parallel()
	limits := []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout"}
	servers := 0
	look := func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok && isHTTP(c.Type, "Server") {
			servers++
			set := map[string]bool{}
			for _, e := range c.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					set[fmt.Sprint(kv.Key)] = true
				}
			}
			for _, limit := range limits {
				require.True(t, set[limit], "an http.Server without %s", limit)
			}
		}
		if c, ok := n.(*ast.CallExpr); ok {
			require.False(t, isHTTP(c.Fun, "ListenAndServe") || isHTTP(c.Fun, "Serve"), "a server without time limits")
		}
		return true
	}
	require.NoError(t, filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(f, look)
		return nil
	}))
	require.NotZero(t, servers)
}

func isHTTP(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && fmt.Sprint(s.X) == "http" && s.Sel.Name == name
}

// Probes of the FAPI suite (security.md 1.7) that concern headers alone.
func TestFAPI_HeadersOfProofs(t *testing.T) {
	t.Parallel()
	var seen []middleware.ProofRequest
	b := &middleware.Bearer{
		Verifier: fakeVerifier{token: &oidc.AccessToken{}}, PublicURL: "https://api.example.com/v1/",
		Proof: proofs{seen: &seen, answer: middleware.ProofAnswer{Scheme: "DPoP"}},
	}
	for _, scheme := range []string{"DPoP", "dpop", "DPOP"} {
		for _, name := range []string{"DPoP", "DPOP", "dpop"} {
			seen = nil
			server := httptest.NewServer(b.Handler(reached))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/a%2Fb?c=d", http.NoBody)
			require.NoError(t, err)
			r.Header["Authorization"] = []string{scheme + " x"}
			r.Header[name] = []string{"one", "two"}
			r.Header.Set("Client-Cert", "c")
			r.Header.Set("X-Http-Method-Override", "GET")
			res, err := server.Client().Do(r)
			server.Close()
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, 200, res.StatusCode)
			require.Len(t, seen, 1)
			require.NotEmpty(t, seen[0].RemoteAddr)
			seen[0].RemoteAddr = ""
			require.Equal(t, middleware.ProofRequest{Scheme: "DPoP", Token: "x", Credentials: middleware.Credentials{
				Authorization: []string{scheme + " x"}, DPoP: []string{"one", "two"}, ClientCert: []string{"c"},
				Method: http.MethodPut, URL: "https://api.example.com/v1/a%2Fb",
			}}, seen[0])
		}
	}

	query := request(t.Context())
	query.URL.RawQuery = url.Values{"access_token": {"x"}}.Encode()
	require.Equal(t, 401, ask(t, b.Handler(reached), query).Status, "FAPI2-SP-FINAL-5.3.4-2")
}
