// Command api is a REST API that is protected by bearer tokens.
//
//	go run ./examples/api
//
// starts it with a provider of its own and prints curl lines with fresh tokens.
// With -issuer and -audience it takes the access tokens of a real provider.
//
//	GET  /public   everybody
//	GET  /whoami   any good token
//	GET  /reports  the scope reports:read
//	POST /admin    the role admin, at the path of -roles-claim
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

type config struct {
	listen     string
	issuer     string
	audience   string
	rolesClaim claims.Path
}

func main() { serve.Main("api", run) }

func parseFlags(args []string) (config, error) {
	cfg := config{rolesClaim: claims.P("realm_access", "roles")}
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
	flags.StringVar(&cfg.listen, "listen", "127.0.0.1:8081", "address to listen on")
	flags.StringVar(&cfg.issuer, "issuer", "", "a real provider's issuer (default: an embedded provider)")
	flags.StringVar(&cfg.audience, "audience", "", "the name of this API in access tokens; needed with -issuer")
	flags.TextVar(&cfg.rolesClaim, "roles-claim", cfg.rolesClaim, `path to the roles, "." between names and "\." for a dot in one`)
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if cfg.issuer != "" && cfg.audience == "" {
		return cfg, errors.New("-issuer needs -audience: without it, tokens for any API would be taken")
	}
	return cfg, nil
}

func run(ctx context.Context, args []string) error {
	cfg, err := parseFlags(args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	fmt.Println("The API is at", base)
	if cfg.issuer == "" {
		provider, err := embeddedProvider(&cfg, base) //nolint:contextcheck // it serves until Close
		if err != nil {
			return err
		}
		defer func() { _ = provider.Close() }() // the program ends
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: cfg.issuer})
	if err != nil {
		return err
	}
	handler, err := newHandler(cfg, provider, slog.New(slog.NewTextHandler(os.Stderr, nil)))
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
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{AccessTokenTTL: tokenLife})
	if err != nil {
		return nil, err
	}
	cfg.issuer = provider.Issuer()
	if cfg.audience == "" {
		cfg.audience = "https://api.example.com"
	}
	reader := provider.AccessToken("bob", cfg.audience, "reports:read")
	admin := provider.AccessToken("alice", cfg.audience)
	fmt.Printf("The embedded provider is at %s\n\nTry (the tokens last %v):\n\n", cfg.issuer, tokenLife)
	fmt.Printf("curl -i %s/public\n\n", base)
	fmt.Printf("# without a token: 401\ncurl -i %s/whoami\n\n", base)
	fmt.Printf("# bob, with the scope reports:read\ncurl -i -H 'Authorization: Bearer %s' %s/whoami\n\n", reader, base)
	fmt.Printf("curl -i -H 'Authorization: Bearer %s' %s/reports\n\n", reader, base)
	fmt.Printf("# bob is no admin: 403\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n\n", reader, base)
	fmt.Printf("# alice, with the role admin\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n", admin, base)
	return provider, nil
}
