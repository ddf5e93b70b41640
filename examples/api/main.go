// Command api is a REST API that is protected by access tokens.
//
//	go run ./examples/api
//
// starts it with a provider of its own and prints curl lines with fresh tokens.
// With -issuer it takes the tokens of real providers, and with -config what a deploy-oidc.yaml
// of Digital.ai Deploy says: -h lists all flags, try.sh tries each of them, README.md explains.
//
//	GET  /public   everybody
//	GET  /whoami   any good token
//	GET  /reports  the scope reports:read        } with -routes, those
//	POST /admin    the role admin, at -roles-claim } of that file
//
//	GET  /.well-known/oauth-protected-resource   what clients need to know (RFC 9728)
//	GET  /healthz, /readyz                       for orchestrators; ready with the provider's keys
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/examples/internal/serve"
)

func main() { serve.Main("api", run) }

func run(ctx context.Context, args []string) error {
	cfg, err := apiflags.Parse(args)
	if err != nil {
		return err
	}
	if cfg.Check {
		return cfg.Deploy.Check(ctx, deploy.Environment{Now: cfg.Now}, os.Stdout)
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8081", err)
	}
	base := "http://" + listener.Addr().String()
	cfg.PublicURL = cmp.Or(cfg.PublicURL, base)
	fmt.Println("The API is at", base)
	if len(cfg.Issuers) == 0 {
		provider, err := embeddedProvider(&cfg, base) //nolint:contextcheck // it serves until Close
		if err != nil {
			return err
		}
		defer func() { _ = provider.Close() }() // the program ends
	}
	handler, err := newHandler(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil))) //nolint:contextcheck // mapping roles asks nobody
	if err != nil {
		return err
	}
	return serve.HTTP(ctx, listener, handler)
}
