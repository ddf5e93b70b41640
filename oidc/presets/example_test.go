package presets_test

import (
	"context"
	"fmt"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/oidckit/oidckit/oidc/presets"
)

func Example() {
	// A real program has "https://sso.example.com/realms/shop" in place of this provider.
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer op.Close()

	keycloak := presets.Keycloak(op.Issuer())
	keycloak.AccessToken.Audience = []string{"orders-api"}
	provider, err := oidc.NewProvider(keycloak.Config)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, keycloak.AccessToken)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, audience := range []string{"orders-api", "account"} {
		raw := op.AccessToken("alice", audience)
		_, err := verifier.Verify(context.Background(), raw)
		fmt.Println(audience, err)
		if hint := keycloak.Hint(err, raw); hint != "" {
			fmt.Println(hint)
		}
	}
	// Output:
	// orders-api <nil>
	// account oidc: token refused: audience (aud)
	// Keycloak's tokens name no API unless they are told to: add an audience mapper for this API (Client scopes → a scope of the client → Add mapper → By configuration → Audience, "Add to access token" on). "account" in aud is of every client, and none to trust
}
