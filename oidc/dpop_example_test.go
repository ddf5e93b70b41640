package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Requests to an API with tokens that are bound to a key: who steals one has nothing.
func ExampleClient_APITransport() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{RequireDPoP: true, RequireDPoPNonce: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()
	api := httptest.NewServer(op.Protect(oidctest.ResourceConfig{Audience: "https://api.example"}, http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "hello") })))
	defer api.Close()

	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	if err != nil {
		log.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // or one of a KMS, by its crypto.Signer
	if err != nil {
		log.Fatal(err)
	}
	dpop, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: "http://127.0.0.1:8080/callback",
		Resources: []string{"https://api.example"}, DPoP: dpop,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	flow, err := client.Begin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	callback, err := op.Login(ctx, flow.AuthorizationURL, "alice")
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := client.Finish(ctx, flow, callback.Query())
	if err != nil {
		log.Fatal(err)
	}

	transport, err := client.APITransport(oidc.APITransportConfig{
		Source: client.TokenSource(tokens), Allowed: []string{api.URL},
	})
	if err != nil {
		log.Fatal(err)
	}
	caller := &http.Client{Transport: transport}
	resp, err := caller.Get(api.URL + "/things")
	if err != nil {
		log.Fatal(err) // a *StepUpError, if the API wants a stronger login: see its Options
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)

	_, err = caller.Get("https://elsewhere.example/")
	fmt.Println("elsewhere:", errors.Is(err, oidc.ErrNotAllowed))
	// Output:
	// 200 OK
	// elsewhere: true
}
