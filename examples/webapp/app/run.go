// Package app is the web application of examples/webapp and examples/sharedstore.
package app

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/examples/internal/webflags"
	"github.com/oidckit/oidckit/middleware"
)

// Options are what another program adds to the application. Both are optional.
type Options struct {
	Flags func(*flag.FlagSet)                 // adds flags
	Login func(*middleware.LoginConfig) error // changes how users log in, once the flags are known
}

// An app is the application, as its flags want it.
type app struct{ *webflags.Flags }

// Run serves the application until ctx ends.
func Run(ctx context.Context, args []string, o Options) error {
	flags, err := webflags.Parse(args, o.Flags)
	if err != nil {
		return err
	}
	a := &app{flags}
	if a.Check {
		return a.Settings.Check(ctx, deploy.Environment{}, os.Stdout)
	}
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8080", err)
	}
	defer func() { _ = listener.Close() }() // serve.HTTP has, if it came to that
	a.PublicURL = strings.TrimSuffix(cmp.Or(a.PublicURL, "http://"+listener.Addr().String()), "/")
	fmt.Println("The application is at", a.PublicURL)
	if a.Issuer == "" {
		provider, err := a.StartProvider()
		if err != nil {
			return err
		}
		defer func() { _ = provider.Close() }() // the program ends
	}
	handler, err := a.handler(o) //nolint:contextcheck // reading a key store takes none
	if err != nil {
		return err
	}
	return serve.HTTP(ctx, listener, handler)
}
