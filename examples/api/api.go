package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
)

// newHandler is the API: its routes, and what each requires.
func newHandler(cfg config, logger *slog.Logger) (http.Handler, error) {
	bearer, err := newBearer(cfg, logger)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(bearer.Resource.Path(), bearer.Resource)
	mux.HandleFunc("GET /public", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"message": "everybody may read this"})
	})
	named := middleware.RequireFunc(func(p *middleware.Principal) error {
		_, err := p.Claims.String(cfg.usernameClaim)
		return err
	})
	mux.Handle("GET /whoami", bearer.Handler(who(cfg.usernameClaim, cfg.rolesClaim), named))
	mux.Handle("GET /reports", bearer.Handler(http.HandlerFunc(reports), named, middleware.RequireScopes("reports:read")))
	mux.Handle("POST /admin", bearer.Handler(http.HandlerFunc(admin), named, middleware.RequireRole(cfg.rolesClaim, "admin")))
	return mux, nil
}

// who answers who is asking.
func who(username, rolesClaim claims.Path) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		name, _ := p.Claims.String(username) // it is required
		// A claim that is no list of roles gives no rights.
		roles, _ := p.Claims.Strings(rolesClaim)
		answer(w, map[string]any{
			"iss": p.Issuer, "sub": p.Subject, "username": name,
			"scopes": append([]string{}, p.Scopes...), "roles": append([]string{}, roles...),
		})
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
