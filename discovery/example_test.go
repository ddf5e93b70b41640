package discovery_test

import (
	"context"
	"fmt"
	"log"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A provider that is reached by another way than its issuer says, with one
// endpoint that its document does not have right.
func ExampleNew() {
	op, err := oidctest.New(oidctest.Config{Issuer: "https://op.example"})
	if err != nil {
		log.Fatal(err)
	}
	source, err := discovery.New(discovery.Config{
		Issuer:     "https://op.example",
		Override:   discovery.Metadata{EndSessionEndpoint: "https://op.example/goodbye"},
		HTTPClient: op.HTTPClient(),
	})
	if err != nil {
		log.Fatal(err)
	}
	m, err := source.Metadata(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.TokenEndpoint)
	fmt.Println(m.EndSessionEndpoint)
	fmt.Println(source.Status().URL)
	// Output:
	// https://op.example/token
	// https://op.example/goodbye
	// https://op.example/.well-known/openid-configuration
}

// All that is needed is known: nothing is fetched.
func ExampleStatic() {
	source, err := discovery.Static(discovery.Metadata{
		Issuer:                "https://op.example",
		AuthorizationEndpoint: "https://op.example/authorize",
		TokenEndpoint:         "https://op.example/token",
		JWKSURI:               "https://op.example/keys",
		EndSessionEndpoint:    "https://op.example/logout",
	})
	if err != nil {
		log.Fatal(err)
	}
	m, err := source.Metadata(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.JWKSURI)
	// Output: https://op.example/keys
}
