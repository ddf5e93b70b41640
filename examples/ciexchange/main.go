// Command ciexchange exchanges the OpenID tokens of CI jobs for short-lived tokens of
// service accounts, as Cloudsmith does.
//
//	go run .
//
// starts it with CI services of its own and prints curl lines. With -config it serves the
// organizations of a file; README.md has the rest.
//
//	POST /openid/{ACCOUNT}/                oidc_token and service_slug for a token
//	GET  /v1/user/self                     whose token this is
//	     /v1/orgs/{ACCOUNT}/               its service accounts and providers, for managers
//	GET  /.well-known/openid-configuration, /.well-known/jwks.json, /healthz, /readyz
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/oidckit/oidckit/examples/internal/serve"
)

func main() { serve.Main("ciexchange", run) }

func run(ctx context.Context, args []string) error {
	o := options{logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	f := flag.NewFlagSet("ciexchange", flag.ContinueOnError)
	listen := f.String("listen", "127.0.0.1:8083", "address to listen on")
	f.StringVar(&o.publicURL, "public-url", "", "what clients see before the paths, and the issuer of the tokens (default http://<listen>)")
	file := f.String("config", "", "a YAML file of organizations (default: a trial with CI services of its own)")
	f.StringVar(&o.database, "database", "", "a file for SQLite, :memory:, or postgres://… (default ciexchange.db; :memory: for the trial)")
	f.BoolVar(&o.force, "force", false, "take providers of the file that let strangers in")
	trial := f.String("trial-listen", "127.0.0.1:8084", "loopback address of the trial's CI services")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag: write -name value", f.Arg(0))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8083", err)
	}
	o.publicURL = cmp.Or(o.publicURL, "http://"+listener.Addr().String())
	cfg, err := o.configure(ctx, *file, *trial)
	if err != nil {
		return err
	}
	s, err := newServer(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // the program ends
	handler, err := s.handler()      //nolint:contextcheck // requests have their own
	if err != nil {
		return err
	}
	fmt.Println("The exchange is at", o.publicURL)
	return serve.HTTP(ctx, listener, handler)
}

// configure reads the file, or starts a trial.
func (o *options) configure(ctx context.Context, file, trial string) (*settings, error) {
	if file == "" {
		o.database = cmp.Or(o.database, ":memory:")
		base, cfg, err := startTrial(ctx, trial, o.publicURL)
		if err == nil {
			fmt.Printf(tryLines, base, o.publicURL)
		}
		return cfg, err
	}
	o.database = cmp.Or(o.database, "ciexchange.db")
	text, err := os.ReadFile(file) //nolint:gosec // G304: the name is the operator's
	if err != nil {
		return nil, fmt.Errorf("-config: %w: write the name of a YAML file", err)
	}
	return readSettings(file, text, o.force)
}

const tryLines = `Its CI services are at %[1]s. Try:

value=$(curl -sS '%[1]s/mint/github-actions?audience=api://AzureADTokenExchange' | jq .value)
jwt=$(curl -sS -H 'Content-Type: application/json' -d "{\"oidc_token\":$value, \"service_slug\":\"github-service\"}" %[2]s/openid/acme/ | jq -r .token)
curl -sS -H "X-Api-Key: Bearer $jwt" %[2]s/v1/user/self

`
