package app

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/middleware"
)

// readSettings has a deploy-oidc.yaml decide what flags would.
func (a *app) readSettings(flags *flag.FlagSet) (err error) {
	here := true
	flags.Visit(func(f *flag.Flag) {
		here = here && f.Name != "listen"
		if slices.Contains([]string{"public-url", "issuer", "client-id", "client-secret", "scopes", "roles-claim"}, f.Name) {
			err = fmt.Errorf("-%s is what -config decides: leave the flag out, and write it into the file", f.Name)
		}
	})
	if err != nil {
		return err
	}
	if a.settings, err = deploy.Read(a.config); err != nil {
		return err
	}
	a.issuer, a.rolesClaim = a.settings.Issuer, a.settings.RolesClaimName
	a.publicURL, _ = a.settings.PublicURL()
	if host, ok := strings.CutPrefix(a.publicURL, "http://"); ok && here { // of this machine: it is for a trial
		a.listen = host
	}
	return nil
}

// bySettings is how users log in, as the file says.
func (a *app) bySettings(c *middleware.LoginConfig) error {
	provider, err := a.settings.NewProvider(deploy.Environment{})
	if err != nil {
		return err
	}
	if c.Client, err = a.settings.NewClient(provider); err != nil {
		return err
	}
	_, c.CallbackPath = a.settings.PublicURL()
	c.PostLogoutRedirectURL = a.settings.PostLogoutRedirectURI
	c.Mapper, err = a.settings.NewMapper()
	return err
}

// afterLogout sends whoever comes to redirectUri with no answer of a login to the page with
// the link to one: "If you need to redirect to the login page after logout, you can use your
// redirectUri as the postLogoutRedirectUri".
func (a *app) afterLogout(next http.Handler) http.Handler {
	if a.settings == nil {
		return next
	}
	_, callback := a.settings.PublicURL()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.Method == http.MethodGet && r.URL.Path == callback && !query.Has("state") && !query.Has("code") && !query.Has("error") {
			http.Redirect(w, r, a.publicURL+"/", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loginMethod is what people know the provider by.
func (a *app) loginMethod() string {
	if a.settings == nil {
		return ""
	}
	return a.settings.LoginMethodDescription
}

// named requires a username at the place that the file names.
func (a *app) named(p *middleware.Principal) error {
	s, ok := p.Session()
	if !ok || a.settings == nil {
		return nil
	}
	_, err := s.Identity(context.Background()) // which nobody is asked for
	return err
}
