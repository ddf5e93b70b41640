// Package webflags is what the command line of examples/webapp says.
package webflags

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Flags are those of the application.
type Flags struct {
	Listen, PublicURL, Issuer, ClientID, ClientSecret, Scopes string

	RolesClaim claims.Path
	Keys       []clientauth.Secret // nil is a key of this process
	FormPost   bool
	Check      bool
	Settings   *deploy.Settings // those of -config; nil without it

	config string
}

// Parse reads the command line. More adds flags, and may be nil.
func Parse(args []string, more func(*flag.FlagSet)) (*Flags, error) {
	f := &Flags{RolesClaim: claims.P("realm_access", "roles")}
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.StringVar(&f.Listen, "listen", "127.0.0.1:8080", "address to listen on")
	flags.StringVar(&f.PublicURL, "public-url", "", "where browsers reach this application (default http://<listen>)")
	flags.StringVar(&f.Issuer, "issuer", "", "a real provider's issuer (default: an embedded provider)")
	flags.StringVar(&f.ClientID, "client-id", "", "client identifier at the real provider")
	flags.StringVar(&f.ClientSecret, "client-secret", "", "client secret at the real provider; none for a public client")
	flags.StringVar(&f.Scopes, "scopes", "openid profile email", "scopes to ask for, separated by spaces")
	flags.TextVar(&f.RolesClaim, "roles-claim", f.RolesClaim, `path to the roles, "." between names and "\." for a dot in one`)
	flags.StringVar(&f.config, "config", "", "a `deploy-oidc.yaml` that says where and how users log in, in place of the flags for that")
	flags.BoolVar(&f.Check, "check", false, "look whether all that -config names is there, say what is wrong, and end")
	flags.BoolVar(&f.FormPost, "form-post", false, "have the provider answer by a form post (https or loopback only)")
	flags.Func("keys-file", `file with a secret per line ("openssl rand -base64 32"): the first seals sessions, all open them`, f.readKeys)
	if more != nil {
		more(flags)
	}
	err := flags.Parse(args)
	switch {
	case err != nil:
	case f.config != "":
		err = f.readSettings(flags)
	case f.Check:
		err = errors.New("-check looks at a file: add -config")
	case (f.Issuer == "") != (f.ClientID == ""):
		err = errors.New("-issuer and -client-id go together")
	}
	if err == nil && f.Keys == nil && !f.Check {
		fmt.Println("There is no -keys-file: when this program ends, everybody is logged out.")
	}
	return f, err
}

func (f *Flags) readKeys(path string) error {
	f.Keys = []clientauth.Secret{} // not nil: an empty file is a mistake
	text, err := os.ReadFile(path) //nolint:gosec // whoever starts the program names the file
	for _, secret := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' }) {
		f.Keys = append(f.Keys, clientauth.Secret(secret))
	}
	return err
}

// StartProvider starts a provider in this process and points the application to it.
func (f *Flags) StartProvider() (*oidctest.Provider, error) {
	client := oidctest.DefaultClient()
	client.RedirectURIs = []string{f.PublicURL + "/callback"}
	client.PostLogoutRedirectURIs = []string{f.PublicURL + "/"}
	provider, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{Clients: []oidctest.Client{client}})
	if err != nil {
		return nil, err
	}
	f.Issuer, f.ClientID, f.ClientSecret = provider.Issuer(), client.ID, client.Secret
	fmt.Println("The embedded provider is at", f.Issuer)
	fmt.Println("Demo users: alice with the password wonderland, bob with builder")
	return provider, nil
}

// readSettings has a deploy-oidc.yaml decide what flags would.
func (f *Flags) readSettings(flags *flag.FlagSet) (err error) {
	here := true
	flags.Visit(func(given *flag.Flag) {
		here = here && given.Name != "listen"
		if slices.Contains([]string{"public-url", "issuer", "client-id", "client-secret", "scopes", "roles-claim"}, given.Name) {
			err = fmt.Errorf("-%s is what -config decides: leave the flag out, and write it into the file", given.Name)
		}
	})
	if err != nil {
		return err
	}
	if f.Settings, err = deploy.Read(f.config); err != nil {
		return err
	}
	f.Issuer, f.RolesClaim = f.Settings.Issuer, f.Settings.RolesClaimName
	f.PublicURL, _ = f.Settings.PublicURL()
	if host, ok := strings.CutPrefix(f.PublicURL, "http://"); ok && here { // of this machine: it is for a trial
		f.Listen = host
	}
	return nil
}

// LoginMethod is what people know the provider by; "" if the flags do not say.
func (f *Flags) LoginMethod() string {
	if f.Settings == nil {
		return ""
	}
	return f.Settings.LoginMethodDescription
}
