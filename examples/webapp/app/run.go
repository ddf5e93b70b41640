// Package app is the web application of examples/webapp and examples/sharedstore.
package app

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Options are what another program adds to the application. Both are optional.
type Options struct {
	Flags func(*flag.FlagSet)                 // adds flags
	Login func(*middleware.LoginConfig) error // changes how users log in, once the flags are known
}

// An app is the application, as its flags want it.
type app struct {
	listen, publicURL, issuer, clientID, clientSecret, scopes string

	rolesClaim claims.Path
	keys       []clientauth.Secret // nil is a key of this process
	formPost   bool

	config   string
	check    bool
	settings *deploy.Settings // those of config; nil without it
}

// Run serves the application until ctx ends.
func Run(ctx context.Context, args []string, o Options) error {
	a, err := parseFlags(args, o)
	if err != nil {
		return err
	}
	if a.check {
		return a.settings.Check(ctx, deploy.Environment{}, os.Stdout)
	}
	listener, err := net.Listen("tcp", a.listen)
	if err != nil {
		return fmt.Errorf("-listen: %w: write a free host:port, such as 127.0.0.1:8080", err)
	}
	defer func() { _ = listener.Close() }() // serve.HTTP has, if it came to that
	a.publicURL = strings.TrimSuffix(cmp.Or(a.publicURL, "http://"+listener.Addr().String()), "/")
	fmt.Println("The application is at", a.publicURL)
	if a.keys == nil {
		fmt.Println("There is no -keys-file: when this program ends, everybody is logged out.")
	}
	if a.issuer == "" {
		provider, err := a.embeddedProvider() //nolint:contextcheck // it serves until Close
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

func parseFlags(args []string, o Options) (*app, error) {
	a := &app{rolesClaim: claims.P("realm_access", "roles")}
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.StringVar(&a.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flags.StringVar(&a.publicURL, "public-url", "", "where browsers reach this application (default http://<listen>)")
	flags.StringVar(&a.issuer, "issuer", "", "a real provider's issuer (default: an embedded provider)")
	flags.StringVar(&a.clientID, "client-id", "", "client identifier at the real provider")
	flags.StringVar(&a.clientSecret, "client-secret", "", "client secret at the real provider; none for a public client")
	flags.StringVar(&a.scopes, "scopes", "openid profile email", "scopes to ask for, separated by spaces")
	flags.TextVar(&a.rolesClaim, "roles-claim", a.rolesClaim, `path to the roles, "." between names and "\." for a dot in one`)
	flags.StringVar(&a.config, "config", "", "a `deploy-oidc.yaml` that says where and how users log in, in place of the flags for that")
	flags.BoolVar(&a.check, "check", false, "look whether all that -config names is there, say what is wrong, and end")
	flags.BoolVar(&a.formPost, "form-post", false, "have the provider answer by a form post (https or loopback only)")
	flags.Func("keys-file", `file with a secret per line ("openssl rand -base64 32"): the first seals sessions, all open them`, a.readKeys)
	if o.Flags != nil {
		o.Flags(flags)
	}
	err := flags.Parse(args)
	switch {
	case err != nil:
	case a.config != "":
		err = a.readSettings(flags)
	case a.check:
		err = errors.New("-check looks at a file: add -config")
	case (a.issuer == "") != (a.clientID == ""):
		err = errors.New("-issuer and -client-id go together")
	}
	return a, err
}

func (a *app) readKeys(path string) error {
	a.keys = []clientauth.Secret{} // not nil: an empty file is a mistake
	text, err := os.ReadFile(path) //nolint:gosec // whoever starts the program names the file
	for _, secret := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' }) {
		a.keys = append(a.keys, clientauth.Secret(secret))
	}
	return err
}

// embeddedProvider starts a provider in this process and points the application to it.
func (a *app) embeddedProvider() (*oidctest.Provider, error) {
	client := oidctest.DefaultClient()
	client.RedirectURIs = []string{a.publicURL + "/callback"}
	client.PostLogoutRedirectURIs = []string{a.publicURL + "/"}
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{Clients: []oidctest.Client{client}})
	if err != nil {
		return nil, err
	}
	a.issuer, a.clientID, a.clientSecret = provider.Issuer(), client.ID, client.Secret
	fmt.Println("The embedded provider is at", a.issuer)
	fmt.Println("Demo users: alice with the password wonderland, bob with builder")
	return provider, nil
}
