package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/oidckit/oidckit/examples/tokenproxy/proxy"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// trial starts an upstream in this process, with keys that end with it, and prints a token.
func trial(ctx context.Context, base string) (s proxy.Settings, err error) {
	keys, err := exchange.GenerateKeys("RS256", "ES256")
	if err != nil {
		return s, err
	}
	upstream, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{}) //nolint:contextcheck // it serves until the program ends
	if err != nil {
		return s, err
	}
	context.AfterFunc(ctx, func() { _ = upstream.Close() }) // the program ends
	now := time.Now()
	token := upstream.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, map[string]any{
		"iss": upstream.Issuer(), "sub": "project_path:acme/app:ref_type:branch:ref:main", "aud": "https://sts.amazonaws.com",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(), "ref": "main", "project_id": "4711",
	})
	fmt.Printf("The embedded upstream is at %s\n\nTry (the token lasts an hour, what it is exchanged for 15 minutes):\n\n", upstream.Issuer())
	fmt.Printf("curl %s/.well-known/openid-configuration\n\ncurl %s/.well-known/jwks.json\n\n", base, base)
	fmt.Printf("curl -H 'Content-Type: application/json' --data '{\"token\": \"%s\"}' %s/token\n\n", token, base)
	fmt.Printf("# signed with ES256\ncurl -d alg=ES256 -d token=%s %s/token\n", token, base)
	return proxy.Settings{
		Keys: keys, Issuer: base, UpstreamIssuer: upstream.Issuer(), CloneUpstreamClaims: []string{"sub", "ref"},
	}, nil
}
