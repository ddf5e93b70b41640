package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func Example() {
	provider, err := oidctest.New(oidctest.Config{Issuer: "https://op.example", Algorithm: "RS256"})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := jwks.NewRemote(jwks.RemoteConfig{URL: "https://op.example/jwks", HTTPClient: provider.HTTPClient()})
	if err != nil {
		fmt.Println(err)
		return
	}
	token := provider.Sign(nil, map[string]any{"sub": "alice"})
	payload, err := jwks.Verify(context.Background(), keys, []string{"RS256"}, token)
	fmt.Println(string(payload), err)

	status := keys.Status()
	fmt.Println(status.Keys, status.LastError)
	// Output:
	// {"sub":"alice"} <nil>
	// 1 <nil>
}

// The example of RFC 7515 appendix A.3.
func ExampleVerifyCompact() {
	const key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	const token = "eyJhbGciOiJFUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	payload, err := jwks.VerifyCompact([]byte(key), token, "ES256")
	fmt.Println(len(payload), err)

	_, err = jwks.VerifyCompact([]byte(key), token[:len(token)-1]+"R", "ES256")
	var refused *jwks.Error
	fmt.Println(errors.As(err, &refused), errors.Is(err, oidckit.ErrInvalidToken))
	// Output:
	// 70 <nil>
	// true true
}

func ExampleReadFile() {
	directory, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(directory) }()
	path := filepath.Join(directory, "keys.json")
	_, err = jwks.ReadFile(path)
	fmt.Println(errors.Is(err, os.ErrNotExist))

	const key = `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}` // RFC 8037 appendix A.2
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := jwks.ReadFile(path)
	fmt.Println(keys.Status().Keys, err)
	// Output:
	// true
	// 1 <nil>
}
