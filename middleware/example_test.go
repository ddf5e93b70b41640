package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const apiURL = "https://api.example.com"

// exampleVerifier trusts a provider's tokens for the API.
func exampleVerifier(issuer string) *oidc.AccessTokenVerifier {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{apiURL}})
	if err != nil {
		log.Fatal(err)
	}
	return verifier
}

// call prints how an API answers a request.
func call(api http.Handler, method, path, token string) {
	r := httptest.NewRequestWithContext(context.Background(), method, path, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	fmt.Println(w.Code, method, path)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		fmt.Println("   ", challenge)
	}
	if w.Code == http.StatusOK {
		fmt.Println("   ", w.Body)
	}
}

// Routes of net/http that ask for different rights.
func ExampleBearer() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	bearer := &middleware.Bearer{Verifier: exampleVerifier(op.Issuer())}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		fmt.Fprint(w, "hello, ", p.Subject)
	})
	roles := claims.P("realm_access", "roles")

	mux := http.NewServeMux()
	mux.Handle("GET /reports", bearer.Handler(hello, middleware.RequireScopes("reports:read")))
	mux.Handle("PUT /reports/{id}", bearer.Handler(hello, middleware.RequireScopes("reports:read", "reports:write"), middleware.RequireUser()))
	mux.Handle("DELETE /reports/{id}", bearer.Handler(hello, middleware.RequireRole(roles, "admin"), middleware.RequireMaxAge(5*time.Minute)))

	op.OnAccessToken(func(_, c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() })
	token := op.AccessToken("alice", apiURL, "reports:read") // an admin, who logged in an hour ago
	call(mux, "GET", "/reports", "")
	call(mux, "GET", "/reports", "made-up")
	call(mux, "GET", "/reports", token)
	call(mux, "PUT", "/reports/1", token)
	call(mux, "DELETE", "/reports/1", token)
	// Output:
	// 401 GET /reports
	//     Bearer
	// 401 GET /reports
	//     Bearer error="invalid_token"
	// 200 GET /reports
	//     hello, 248289761001
	// 403 PUT /reports/1
	//     Bearer error="insufficient_scope", scope="reports:read reports:write"
	// 401 DELETE /reports/1
	//     Bearer error="insufficient_user_authentication", max_age="300"
}

// A page that everybody may see, and that knows who asks.
func ExampleBearer_optional() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	bearer := &middleware.Bearer{Verifier: exampleVerifier(op.Issuer()), Optional: true}
	api := bearer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := middleware.PrincipalFrom(r.Context()); ok {
			fmt.Fprint(w, "hello, ", p.Subject)
			return
		}
		fmt.Fprint(w, "hello, whoever you are")
	}))
	call(api, "GET", "/", "")
	call(api, "GET", "/", op.AccessToken("alice", apiURL))
	call(api, "GET", "/", "made-up")
	// Output:
	// 200 GET /
	//     hello, whoever you are
	// 200 GET /
	//     hello, 248289761001
	// 401 GET /
	//     Bearer error="invalid_token"
}

// An issuer with public keys, and one that shares a secret with the API: each has its own
// policy, and neither algorithm is good for the tokens of the other.
func ExampleBearer_issuers() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	secret := []byte("0123456789abcdef0123456789abcdef") // out of a secret store
	keys, err := jwks.Symmetric(secret, "HS256")
	if err != nil {
		log.Fatal(err)
	}
	internal, err := oidc.NewProvider(oidc.Config{Issuer: "https://internal.example.com", Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	symmetric, err := oidc.NewAccessTokenVerifier(internal, oidc.AccessTokenConfig{Audience: []string{apiURL}, Algorithms: []string{"HS256"}})
	if err != nil {
		log.Fatal(err)
	}
	issuers, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{exampleVerifier(op.Issuer()), symmetric}})
	if err != nil {
		log.Fatal(err)
	}
	api := (&middleware.Bearer{Verifier: issuers}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		fmt.Fprint(w, "hello, ", p.Subject)
	}))

	hs256 := func(issuer string) string {
		return oidctest.SignHMAC(map[string]any{"alg": "HS256", "typ": "at+jwt"}, map[string]any{
			"iss": issuer, "aud": apiURL, "sub": "batch", "client_id": "batch", "jti": "1",
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		}, secret)
	}
	call(api, "GET", "/", op.AccessToken("alice", apiURL))
	call(api, "GET", "/", hs256("https://internal.example.com"))
	call(api, "GET", "/", hs256(op.Issuer()))
	// Output:
	// 200 GET /
	//     hello, 248289761001
	// 200 GET /
	//     hello, batch
	// 401 GET /
	//     Bearer error="invalid_token"
}

// Metadata that lead clients, such as those of the Model Context Protocol, from the first
// 401 to the authorization server.
func ExampleProtectedResource() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{Issuer: "https://id.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	resource, err := middleware.NewProtectedResource(middleware.ProtectedResourceConfig{
		Resource:             apiURL + "/mcp",
		AuthorizationServers: []string{"https://id.example.com"},
		Scopes:               []string{"tools"},
	})
	if err != nil {
		log.Fatal(err)
	}
	bearer := &middleware.Bearer{Verifier: exampleVerifier("https://id.example.com"), Resource: resource}
	mux := http.NewServeMux()
	mux.Handle(resource.Path(), resource)
	mux.Handle("/mcp", bearer.Handler(http.NotFoundHandler(), middleware.RequireScopes("tools")))

	call(mux, "POST", "/mcp", "")
	call(mux, "GET", "/.well-known/oauth-protected-resource/mcp", "")
	// Output:
	// 401 POST /mcp
	//     Bearer scope="tools", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"
	// 200 GET /.well-known/oauth-protected-resource/mcp
	//     {"authorization_servers":["https://id.example.com"],"bearer_methods_supported":["header"],"resource":"https://api.example.com/mcp","scopes_supported":["tools"]}
}

// The defaults of Digital.ai Deploy for tokens at its REST API: the issuer of its logins,
// the client's id as audience, keyRetrievalUri, RS256, and the claims with the user's name
// and roles, without which there is nobody to map.
func ExampleBearer_deploy() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	var cfg struct{ Issuer, ClientID, KeyRetrievalURI, UserNameClaimName, RolesClaimName string }
	settings := fmt.Sprintf(`{"issuer": %q, "clientId": "deploy", "keyRetrievalUri": %q,
		"userNameClaimName": "preferred_username", "rolesClaimName": "realm_access.roles"}`, op.Issuer(), op.Issuer()+"/jwks")
	if err := json.Unmarshal([]byte(settings), &cfg); err != nil {
		log.Fatal(err)
	}
	username, err := claims.ParsePath(cfg.UserNameClaimName)
	if err != nil {
		log.Fatal(err)
	}
	roles, err := claims.ParsePath(cfg.RolesClaimName)
	if err != nil {
		log.Fatal(err)
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: cfg.Issuer, Override: discovery.Metadata{JWKSURI: cfg.KeyRetrievalURI}})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
		Audience: []string{cfg.ClientID}, Algorithms: []string{"RS256"}, RequiredClaims: []claims.Path{username, roles},
		InsecureAllowUntyped: true, // for Keycloak, Okta and Entra ID, which Deploy names
	})
	if err != nil {
		log.Fatal(err)
	}
	api := (&middleware.Bearer{Verifier: verifier}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		name, _ := p.Claims.String(username)
		list, _ := p.Claims.Strings(roles)
		fmt.Fprint(w, name, list)
	}), middleware.RequireRole(roles, "admin"))

	call(api, "GET", "/deployit/server/info", op.AccessToken("alice", "deploy"))
	op.OnAccessToken(func(_, c map[string]any) { delete(c, "preferred_username") })
	call(api, "GET", "/deployit/server/info", op.AccessToken("alice", "deploy"))
	// Output:
	// 200 GET /deployit/server/info
	//     alice[admin user]
	// 401 GET /deployit/server/info
	//     Bearer error="invalid_token"
}
