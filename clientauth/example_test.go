package clientauth_test

import (
	"fmt"

	"github.com/oidckit/oidckit/clientauth"
)

func ExampleAuto() {
	method, err := clientauth.Auto(clientauth.Credentials{Secret: clientauth.Secret("s3cret")}).For(clientauth.Provider{
		Issuer: "https://op.example", AuthMethodsSupported: []string{"private_key_jwt", "client_secret_post"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(method.Name())
	// Output: client_secret_post
}
