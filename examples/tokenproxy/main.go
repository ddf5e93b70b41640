// Command tokenproxy turns tokens of a private issuer, such as a GitLab that nobody outside
// reaches, into tokens of a public one, which AWS and others can verify.
//
//	go run ./examples/tokenproxy -config site.ini
//
// Without -config it starts an issuer of its own and prints curl lines to try. README.md lists
// the settings.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/examples/tokenproxy/proxy"
)

func main() { serve.Main("tokenproxy", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("tokenproxy", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8082", "address to listen on")
	config := flags.String("config", "", "a `file` with settings, .ini or .yaml (default: a trial with an issuer of its own)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag: write -name value", flags.Arg(0))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8082", err)
	}
	defer func() { _ = listener.Close() }() // serve.HTTP has done it, if it came to that
	base := "http://" + listener.Addr().String()
	var s proxy.Settings
	if *config != "" {
		s, err = proxy.ReadFile(*config)
	} else {
		s, err = trial(ctx, base)
	}
	if err != nil {
		return err
	}
	s.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	p, err := proxy.New(s) //nolint:contextcheck // it reads files
	if err != nil {
		return fmt.Errorf("%s: %w", cmp.Or(filepath.Base(*config), "trial"), err)
	}
	fmt.Println("The proxy is at", base)
	return serve.HTTP(ctx, listener, serve.Health(p, p.Ready))
}
