package app

import (
	"context"
	_ "embed" // for the page
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// handler is the whole integration: a provider, a client, a login, and the
// application's own handlers behind it.
func (a *app) handler(o Options) (http.Handler, error) {
	c := middleware.LoginConfig{
		PublicURL: a.PublicURL, Keys: a.Keys, EphemeralKeys: a.Keys == nil, FormPost: a.FormPost,
		Pages: middleware.LoginPages{Name: "oidckit web application"}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := a.setClient(&c); err != nil {
		return nil, err
	}
	if o.Login != nil {
		if err := o.Login(&c); err != nil {
			return nil, err
		}
	}
	login, err := middleware.NewLogin(c)
	if err != nil {
		return nil, a.Settings.Blame(err)
	}

	named := middleware.RequireFunc(a.named)
	admin := middleware.RequireRole(a.RolesClaim, "admin")
	recent := middleware.RequireMaxAge(5 * time.Minute) // who has not logged in for longer does again
	pages := http.NewServeMux()
	pages.Handle("GET /{$}", a.page("Home"))
	pages.Handle("GET /me", login.RequireLogin(http.HandlerFunc(a.me), named))
	pages.Handle("POST /note", login.RequireLogin(a.page("Your note"), named)) // what other sites make a browser post does not get here
	pages.Handle("GET /admin", login.RequireLogin(a.page("Administration"), named, admin))
	pages.Handle("GET /account", login.RequireLogin(a.page("Account settings"), named, recent))

	return serve.Health(login.Handler(pages), login.Ready), nil
}

// setClient says at which provider users log in, and as whose users.
func (a *app) setClient(c *middleware.LoginConfig) error {
	if a.Settings != nil {
		return a.Settings.SetLogin(c, deploy.Environment{})
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: a.Issuer})
	if err != nil {
		return err
	}
	c.Client, err = oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: a.ClientID, ClientSecret: clientauth.Secret(a.ClientSecret), Scopes: strings.Fields(a.Scopes),
	})
	return err
}

// named requires a username at the place that -config names.
func (a *app) named(p *middleware.Principal) error {
	s, ok := p.Session()
	if !ok || a.Settings == nil {
		return nil
	}
	_, err := s.Identity(context.Background()) // nobody is asked
	return err
}

// user is what the application shows of a session, nil for nobody.
func (a *app) user(r *http.Request) map[string]any {
	s, ok := middleware.SessionFrom(r.Context())
	if !ok {
		return nil
	}
	roles, _ := s.Strings(a.RolesClaim) // a claim that is no list gives no roles
	user := map[string]any{"iss": s.Issuer(), "sub": s.Subject(), "roles": roles, "claims": json.RawMessage(s.Claims().Raw())}
	if info := s.UserInfo(); info != nil {
		user["userinfo"] = json.RawMessage(info.Claims.Raw())
	}
	if id, err := s.Identity(r.Context()); a.Settings != nil && err == nil {
		user["name"], user["roles"] = id.Username, id.Roles
		return user
	}
	for _, name := range []string{"sub", "preferred_username", "name"} {
		if value, err := s.String(claims.P(name)); err == nil && value != "" {
			user["name"] = value // the last of them that there is
		}
	}
	return user
}

func (a *app) me(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a.user(r))
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

func (a *app) page(title string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		_ = pageTemplate.Execute(w, map[string]any{
			"Title": title, "Note": r.PostFormValue("note"), "Issuer": a.Issuer, "With": a.LoginMethod(), "User": a.user(r),
		})
	}
}
