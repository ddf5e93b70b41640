package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/examples/internal/routes"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/middleware"
)

// newHandler is the API: its routes, and what each requires.
func newHandler(cfg apiflags.Config, logger *slog.Logger) (http.Handler, error) {
	judges, err := newJudges(cfg)
	if err != nil {
		return nil, err
	}
	bearer, err := newBearer(cfg, logger)
	if err != nil {
		return nil, err
	}
	bearer.Verifier = judges.tokens
	persons := *bearer // where roles decide, which may be in userinfo
	persons.Verifier = judges.persons
	mux := http.NewServeMux()
	mux.Handle(bearer.Resource.Path(), bearer.Resource)
	mux.HandleFunc("GET /public", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"message": "everybody may read this"})
	})
	named := middleware.RequireFunc(func(p *middleware.Principal) error {
		_, err := p.Claims.String(cfg.UsernameClaim)
		return err
	})
	roles := cfg.RolesOf()
	mux.Handle("GET /whoami", persons.Handler(who(cfg.UsernameClaim, roles), named))
	if cfg.Routes != nil {
		err = cfg.Routes.Handle(mux, func(r routes.Route) http.Handler {
			b, require := bearer, append(r.Requirements(roles), named)
			if r.NeedsRoles() {
				b = &persons
			}
			return b.Handler(did(r.Pattern()), require...)
		})
		return serve.Health(mux, judges.ready), err
	}
	mux.Handle("GET /reports", bearer.Handler(http.HandlerFunc(reports), named, middleware.RequireScopes("reports:read")))
	mux.Handle("POST /admin", bearer.Handler(http.HandlerFunc(admin), named, middleware.RequireRole(cfg.RolesClaim, "admin")))
	return serve.Health(mux, judges.ready), nil
}

// who answers who is asking.
func who(username claims.Path, rolesOf routes.RolesOf) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		name, _ := p.Claims.String(username) // it is required
		// A claim that is no list of roles gives no rights.
		roles, _ := rolesOf(p)
		answer(w, map[string]any{
			"iss": p.Issuer, "sub": p.Subject, "username": name,
			"scopes": append([]string{}, p.Scopes...), "roles": append([]string{}, roles...),
		})
	}
}

func did(pattern string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		answer(w, map[string]string{"done": pattern, "sub": p.Subject})
	}
}

func reports(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"reports": []string{"first quarter", "second quarter"}})
}

func admin(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.PrincipalFrom(r.Context())
	answer(w, map[string]string{"done": "as you say", "sub": p.Subject})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the client went away
}
