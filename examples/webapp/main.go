// Command webapp is a web application whose users log in at an OpenID provider.
//
//	go run ./examples/webapp
//
// starts it with a provider of its own and demo users, without configuration or
// network. With -issuer it uses a real provider, where three URLs are registered:
// <public URL>/callback to redirect to, <public URL>/ to redirect to after a logout, and
// <public URL>/logout/backchannel for back-channel logout. With -config it is a deploy-oidc.yaml
// of Digital.ai Deploy that says all this. -h lists all flags, README.md explains.
//
// Sessions are in sealed cookies: examples/sharedstore keeps them in Redis or PostgreSQL.
package main

import (
	"context"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/examples/webapp/app"
)

func main() {
	serve.Main("webapp", func(ctx context.Context, args []string) error {
		return app.Run(ctx, args, app.Options{})
	})
}
