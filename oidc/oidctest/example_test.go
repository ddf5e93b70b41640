package oidctest_test

import (
	"context"
	"fmt"
	"log"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A whole login, by the libraries of a relying party and without a browser. In a
// test, Start(t) stands for Listen and Close.
func ExampleListen() {
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = provider.Close() }()

	ctx := context.Background()
	op, err := goidc.NewProvider(ctx, provider.Issuer())
	if err != nil {
		log.Fatal(err)
	}
	client := oauth2.Config{
		ClientID:     oidctest.ClientID,
		ClientSecret: oidctest.ClientSecret,
		Endpoint:     op.Endpoint(),
		RedirectURL:  "http://127.0.0.1:8080/callback",
		Scopes:       []string{"openid", "profile"},
	}
	verifier := oauth2.GenerateVerifier()
	authorizationURL := client.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))

	callback, err := provider.Login(ctx, authorizationURL, "alice")
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Exchange(ctx, callback.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		log.Fatal(err)
	}
	idToken, err := op.Verifier(&goidc.Config{ClientID: oidctest.ClientID}).Verify(ctx, token.Extra("id_token").(string))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(idToken.Subject)
	// Output: 248289761001
}
