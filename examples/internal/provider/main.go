// Command provider is an OpenID provider to try examples with that read a file of settings:
// it is who examples/api/deploy-oidc.yaml names.
//
//	go run ./examples/internal/provider
//
// It keeps everything in memory, and its users' passwords are on its login page.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func main() { serve.Main("provider", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("provider", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "address to listen on")
	redirects := flags.String("redirect-uris", "http://127.0.0.1:4516/login/external-login", "where browsers may be sent to after logins and logouts, with commas between")
	audience := flags.String("audience", "https://deploy.example.com/api", "the name of the API that the printed token is for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:9000", err)
	}
	client := oidctest.DefaultClient()
	client.RedirectURIs = strings.Split(*redirects, ",")
	client.PostLogoutRedirectURIs = client.RedirectURIs
	provider, err := oidctest.New(oidctest.Config{
		Issuer: "http://" + listener.Addr().String(), Clients: []oidctest.Client{client}, AccessTokenTTL: time.Hour,
	})
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }() // the program ends
	fmt.Println("The provider is at", provider.Issuer())
	fmt.Println("clientId", client.ID, "and clientSecret", client.Secret)
	fmt.Println("A token of alice, for an hour:", provider.AccessToken("alice", *audience))
	return serve.HTTP(ctx, listener, provider)
}
