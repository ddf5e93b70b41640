package keystore_test

import (
	"context"
	"fmt"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
)

// A Java key store, whose password would be read from a file.
func ExampleLoad() {
	key, err := keystore.Load(keystore.Config{
		Path:          "testdata/stores/keytool.jks",
		StorePassword: keystore.Text("store-password"),
		KeyPassword:   keystore.Text("key-password"),
		Alias:         "ec",
		KeyID:         "2026-01",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	token, err := key.SignJWT(ctx, "JWT", []byte(`{"sub":"client"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := jwks.PublicSet(ctx, key) // what jwks.Handler serves
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := jwks.VerifyCompact(set, token, "ES256")
	fmt.Println(string(payload), err)
	// Output: {"sub":"client"} <nil>
}
