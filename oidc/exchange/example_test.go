package exchange_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// An exchange of a CI service's tokens for ours.
func Example() {
	ci, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ci.Close() }()

	provider, err := oidc.NewProvider(oidc.Config{Issuer: ci.Issuer()})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
		Audience: []string{"https://tokens.example.com"}, InsecureAllowUntyped: true, // CI services say JWT
	})
	if err != nil {
		log.Fatal(err)
	}
	source, err := exchange.GenerateKeys("ES256") // ReadKeyFile has keys that last
	if err != nil {
		log.Fatal(err)
	}
	keys, err := exchange.NewKeys(exchange.KeysConfig{Source: source})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := exchange.NewIssuer(exchange.IssuerConfig{Issuer: "https://tokens.example.com", Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := claims.RequiredClaims(map[string]any{"project_id": "4711", "ref": []any{"main", "release-*"}})
	if err != nil {
		log.Fatal(err)
	}
	exchanger, err := exchange.NewExchanger(exchange.ExchangerConfig{
		Issuer: issuer, Verifier: verifier,
		Rules: []exchange.Rule{{Name: "deploy", Issuer: ci.Issuer(), Policy: policy, Audience: []string{"https://api.example.com"}, Clone: []string{"sub"}}},
		Audit: func(_ context.Context, r exchange.Record) { fmt.Printf("issued: %t, rule: %q\n", r.Issued, r.Rule) },
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := exchange.NewGuard(exchange.GuardConfig{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/.well-known/", issuer.Handler())
	mux.Handle("/token", guard.Handler(exchanger.TokenHandler()))

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, ref := range []string{"main", "fork"} {
		token := ci.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, map[string]any{
			"iss": ci.Issuer(), "sub": "project_path:acme/app", "aud": "https://tokens.example.com", "project_id": "4711", "ref": ref,
			"exp": time.Now().Add(time.Minute).Unix(),
		})
		response, err := http.PostForm(server.URL+"/token", url.Values{"token": {token}})
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
		fmt.Println(response.StatusCode, response.Header.Get("Content-Type"))
	}
	// Output:
	// issued: true, rule: "deploy"
	// 200 application/jwt
	// issued: false, rule: ""
	// 400 application/json
}
