package jwks_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/oidckit/oidckit/jwks"
)

// Keys of our own are published before they are used, and stay until what they signed
// is past.
func ExampleSigningKeys() {
	newKey := func(kid string) *jwks.SigningKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: private, KeyID: kid})
		if err != nil {
			panic(err)
		}
		return key
	}
	old, next := newKey("2025"), newKey("2026")
	keys, err := jwks.NewSigningKeys(old)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/jwks.json", jwks.Handler(keys))

	for _, set := range [][]*jwks.SigningKey{{old, next}, {next, old}, {next}} {
		if err := keys.Set(set[0], set[1:]...); err != nil {
			panic(err)
		}
		published, err := keys.PublicJWKs(context.Background())
		fmt.Println(keys.Current().ID(), len(published), err)
	}
	// Output:
	// 2025 2 <nil>
	// 2026 2 <nil>
	// 2026 1 <nil>
}
