package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// An API whose tokens are of no use to a thief: JWTs and opaque ones of one provider, each
// bound to a key of the client's.
func ExampleDPoP() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{RequireDPoP: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()
	client, err := exampleClient(op.Issuer())
	if err != nil {
		log.Fatal(err)
	}

	opaque, err := oidc.NewIntrospectionVerifier(client, oidc.IntrospectionVerifierConfig{
		Audience: []string{apiURL}, Cache: oidc.IntrospectionCacheConfig{MaxTokens: 10_000},
	})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: exampleVerifier(op.Issuer()), Opaque: opaque})
	if err != nil {
		log.Fatal(err)
	}
	proofs, err := oidc.NewProofVerifier(oidc.ProofVerifierConfig{RequireNonce: true})
	if err != nil {
		log.Fatal(err)
	}
	bearer := &middleware.Bearer{Verifier: tokens, Proof: &middleware.DPoP{Verifier: proofs}}
	api := httptest.NewUnstartedServer(bearer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		_, _ = fmt.Fprint(w, "hello, ", p.Subject)
	})))
	bearer.PublicURL = "http://" + api.Listener.Addr().String() // what clients see, behind all proxies
	api.Start()
	defer api.Close()

	ctx := context.Background()
	token, err := client.ClientCredentials(ctx, oidc.WithResource(apiURL))
	if err != nil {
		log.Fatal(err)
	}
	transport, err := client.APITransport(oidc.APITransportConfig{Source: oauth2.StaticTokenSource(token), Allowed: []string{api.URL}})
	if err != nil {
		log.Fatal(err)
	}
	for _, sender := range []http.RoundTripper{transport, http.DefaultTransport} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL+"/reports", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		if sender == http.DefaultTransport { // a thief
			r.Header.Set("Authorization", "Bearer "+token.AccessToken)
		}
		answer, err := sender.RoundTrip(r)
		if err != nil {
			log.Fatal(err)
		}
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode, answer.Header["Www-Authenticate"])
	}
	// Output:
	// 200 []
	// 401 [DPoP error="invalid_token", algs="ES256 ES384 ES512 PS256 PS384 PS512 EdDSA"]
}

// exampleClient is a program with a key of its own.
func exampleClient(issuer string) (*oidc.Client, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	dpop, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: key})
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer})
	if err != nil {
		return nil, err
	}
	return oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, DPoP: dpop})
}
