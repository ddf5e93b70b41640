package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A login from the redirect to the tokens. In a web application Begin and Finish
// are in two handlers, and the flow waits in a sealed cookie; package middleware
// does all of that.
func ExampleClient_Begin() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	if err != nil {
		log.Fatal(err)
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID:     oidctest.ClientID,
		ClientSecret: oidctest.ClientSecret,
		RedirectURL:  "http://127.0.0.1:8080/callback",
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	flow, err := client.Begin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	// The browser goes to flow.AuthorizationURL and comes back to the RedirectURL.
	callback, err := op.Login(ctx, flow.AuthorizationURL, "alice")
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := client.Finish(ctx, flow, callback.Query())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tokens.IDToken.Subject)
	fmt.Println(tokens)

	_, err = client.Finish(ctx, flow, callback.Query())
	fmt.Println("again:", errors.Is(err, oidckit.ErrInvalidCallback))
	// Output:
	// 248289761001
	// oidc.Tokens[redacted]
	// again: true
}

// An API that trusts the access tokens of one provider.
func ExampleAccessTokenVerifier() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	token, err := verifier.Verify(ctx, op.AccessToken("alice", "https://api.example.com", "orders:read"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Subject, token.Scopes)

	_, err = verifier.Verify(ctx, op.AccessToken("alice", "https://other.example.com"))
	var refused *oidc.Error
	if errors.As(err, &refused) {
		fmt.Println("refused:", refused.Reason)
	}
	// Output:
	// 248289761001 [orders:read]
	// refused: audience
}
