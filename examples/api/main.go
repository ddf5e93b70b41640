// Command api is a REST API that is protected by access tokens.
//
//	go run ./examples/api
//
// starts it with a provider of its own and prints curl lines with fresh tokens.
// With -issuer it takes the tokens of real providers: -h lists all flags, and
// try.sh tries each of them.
//
//	GET  /public   everybody
//	GET  /whoami   any good token
//	GET  /reports  the scope reports:read
//	POST /admin    the role admin, at the path of -roles-claim
//
//	GET  /.well-known/oauth-protected-resource   what clients need to know (RFC 9728)
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func main() { serve.Main("api", run) }

func run(ctx context.Context, args []string) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8081", err)
	}
	base := "http://" + listener.Addr().String()
	cfg.publicURL = cmp.Or(cfg.publicURL, base)
	fmt.Println("The API is at", base)
	if len(cfg.issuers) == 0 {
		provider, err := embeddedProvider(&cfg, base) //nolint:contextcheck // it serves until Close
		if err != nil {
			return err
		}
		defer func() { _ = provider.Close() }() // the program ends
	}
	handler, err := newHandler(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return serve.HTTP(ctx, listener, handler)
}

// tokenLife lets a printed token be tried at leisure.
const tokenLife = time.Hour

// embeddedProvider starts a provider in this process, points cfg to it and prints
// tokens to try.
func embeddedProvider(cfg *config, base string) (*oidctest.Provider, error) {
	p, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{AccessTokenTTL: tokenLife})
	if err != nil {
		return nil, err
	}
	cfg.issuers, cfg.audience = []string{p.Issuer()}, cmp.Or(cfg.audience, "https://api.example.com")
	reader, admin := p.AccessToken("bob", cfg.audience, "reports:read"), p.AccessToken("alice", cfg.audience)
	fmt.Printf("The embedded provider is at %s\n\nTry (the tokens last %v):\n\n", p.Issuer(), tokenLife)
	fmt.Printf("curl -i %s/public\n\n# without a token: 401\ncurl -i %s/whoami\n\n", base, base)
	fmt.Printf("# bob, with the scope reports:read\ncurl -i -H 'Authorization: Bearer %s' %s/whoami\n\n", reader, base)
	fmt.Printf("curl -i -H 'Authorization: Bearer %s' %s/reports\n\n", reader, base)
	fmt.Printf("# bob is no admin: 403\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n\n", reader, base)
	fmt.Printf("# alice, with the role admin\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n", admin, base)
	return p, nil
}
