package app

import (
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
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// handler is the whole integration: a provider, a client, a login, and the
// application's own handlers behind it.
func (a *app) handler(o Options) (http.Handler, error) {
	c := middleware.LoginConfig{
		PublicURL: a.publicURL, Keys: a.keys, EphemeralKeys: a.keys == nil, FormPost: a.formPost,
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
		return nil, a.settings.Blame(err)
	}

	named := middleware.RequireFunc(a.named)
	admin := middleware.RequireRole(a.rolesClaim, "admin")
	recent := middleware.RequireMaxAge(5 * time.Minute) // who has not logged in for longer does again
	pages := http.NewServeMux()
	pages.Handle("GET /{$}", a.page("Home"))
	pages.Handle("GET /me", login.RequireLogin(http.HandlerFunc(a.me), named))
	pages.Handle("POST /note", login.RequireLogin(a.page("Your note"), named)) // what other sites make a browser post does not get here
	pages.Handle("GET /admin", login.RequireLogin(a.page("Administration"), named, admin))
	pages.Handle("GET /account", login.RequireLogin(a.page("Account settings"), named, recent))

	mux := http.NewServeMux()
	mux.Handle("/", a.afterLogout(login.Handler(pages)))
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := login.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux, nil
}

// setClient says at which provider users log in, and as whose users.
func (a *app) setClient(c *middleware.LoginConfig) error {
	if a.settings != nil {
		return a.bySettings(c)
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: a.issuer})
	if err != nil {
		return err
	}
	c.Client, err = oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: a.clientID, ClientSecret: clientauth.Secret(a.clientSecret), Scopes: strings.Fields(a.scopes),
	})
	return err
}

// user is what the application shows of a session, nil for nobody.
func (a *app) user(r *http.Request) map[string]any {
	s, ok := middleware.SessionFrom(r.Context())
	if !ok {
		return nil
	}
	roles, _ := s.Strings(a.rolesClaim) // a claim that is no list gives no roles
	user := map[string]any{"iss": s.Issuer(), "sub": s.Subject(), "roles": roles, "claims": json.RawMessage(s.Claims().Raw())}
	if info := s.UserInfo(); info != nil {
		user["userinfo"] = json.RawMessage(info.Claims.Raw())
	}
	if id, err := s.Identity(r.Context()); a.settings != nil && err == nil {
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
			"Title": title, "Note": r.PostFormValue("note"), "Issuer": a.issuer, "With": a.loginMethod(), "User": a.user(r),
		})
	}
}
