// Command webapp is a web application whose users log in at an OpenID provider: one of its own,
// without configuration or network, or a real one (-issuer or -config; -h lists all flags), where
// <public URL>/callback, <public URL>/ for the way back from a logout and <public URL>/logout/backchannel
// are registered. Sessions are in sealed cookies: examples/sharedstore keeps them in Redis or PostgreSQL.
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
