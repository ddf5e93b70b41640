// Command webapp is a web application whose users log in at an OpenID provider.
//
//	go run ./examples/webapp
//
// starts it with a provider of its own and demo users, without configuration or
// network. With -issuer it uses a real provider, where the redirect URL
// <public URL>/callback and the post-logout redirect URL <public URL>/ must be
// registered.
//
// GET /login starts a login, /logout ends it, GET / shows who is logged in and
// GET /me is the same as JSON.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

type config struct {
	listen       string
	publicURL    string
	issuer       string
	clientID     string
	clientSecret string
	scopes       string
	rolesClaim   claims.Path
}

func main() { serve.Main("webapp", run) }

func parseFlags(args []string) (config, error) {
	cfg := config{rolesClaim: claims.P("realm_access", "roles")}
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.StringVar(&cfg.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flags.StringVar(&cfg.publicURL, "public-url", "", "where browsers reach this application (default http://<listen>)")
	flags.StringVar(&cfg.issuer, "issuer", "", "a real provider's issuer (default: an embedded provider)")
	flags.StringVar(&cfg.clientID, "client-id", "", "client identifier at the real provider")
	flags.StringVar(&cfg.clientSecret, "client-secret", "", "client secret at the real provider; none for a public client")
	flags.StringVar(&cfg.scopes, "scopes", "openid profile email", "scopes to ask for, separated by spaces")
	flags.TextVar(&cfg.rolesClaim, "roles-claim", cfg.rolesClaim, `path to the roles, "." between names and "\." for a dot in one`)
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if (cfg.issuer == "") != (cfg.clientID == "") {
		return cfg, errors.New("-issuer and -client-id go together")
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
	if cfg.publicURL == "" {
		cfg.publicURL = "http://" + reachable(listener.Addr())
	}
	cfg.publicURL = strings.TrimSuffix(cfg.publicURL, "/")
	fmt.Println("The application is at", cfg.publicURL)
	if cfg.issuer == "" {
		provider, err := embeddedProvider(&cfg) //nolint:contextcheck // it serves until Close
		if err != nil {
			return err
		}
		defer func() { _ = provider.Close() }() // the program ends
	}
	handler, err := newHandler(cfg)
	if err != nil {
		return err
	}
	return serve.HTTP(ctx, listener, handler)
}

// reachable is the address that a browser on this machine uses.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return addr.String()
}

// embeddedProvider starts a provider in this process and points cfg to it.
func embeddedProvider(cfg *config) (*oidctest.Provider, error) {
	client := oidctest.DefaultClient()
	client.RedirectURIs = []string{cfg.publicURL + "/callback"}
	client.PostLogoutRedirectURIs = []string{cfg.publicURL + "/"}
	users := oidctest.DefaultUsers()
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{
		Clients: []oidctest.Client{client}, Users: users,
	})
	if err != nil {
		return nil, err
	}
	cfg.issuer, cfg.clientID, cfg.clientSecret = provider.Issuer(), client.ID, client.Secret
	fmt.Println("The embedded provider is at", provider.Issuer())
	fmt.Println("Demo users (name / password):")
	for _, u := range users {
		fmt.Printf("  %s / %s\n", u.Username, u.Password)
	}
	return provider, nil
}

// newHandler is the whole integration: a provider, a client, a login, and the
// application's own handlers behind it.
func newHandler(cfg config) (http.Handler, error) {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: cfg.issuer})
	if err != nil {
		return nil, err
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: cfg.clientID, ClientSecret: clientauth.Secret(cfg.clientSecret),
		RedirectURL: cfg.publicURL + "/callback", Scopes: strings.Fields(cfg.scopes),
	})
	if err != nil {
		return nil, err
	}
	login := &middleware.Login{
		Client: client, PostLogoutRedirectURL: cfg.publicURL + "/",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	app := &app{cfg: cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", app.home)
	mux.HandleFunc("GET /me", app.me)
	return login.Handler(mux), nil
}
