package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// newHandler is the API: its routes, and what each requires.
func newHandler(cfg config, provider *oidc.Provider, logger *slog.Logger) (http.Handler, error) {
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
		Audience: []string{cfg.audience},
		// This demonstration takes the tokens of any provider. Leave it out where
		// the provider follows RFC 9068.
		InsecureAllowUntyped: true,
	})
	if err != nil {
		return nil, err
	}
	bearer := &middleware.Bearer{Verifier: verifier, Realm: "oidckit example", Logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /public", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"message": "everybody may read this"})
	})
	mux.Handle("GET /whoami", bearer.Handler(whoami(cfg.rolesClaim)))
	mux.Handle("GET /reports", bearer.Handler(reports(), middleware.RequireScopes("reports:read")))
	mux.Handle("POST /admin", bearer.Handler(admin(), middleware.RequireRole(cfg.rolesClaim, "admin")))
	return mux, nil
}

func whoami(rolesClaim claims.Path) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		// No roles, or a claim that is none, gives no rights.
		roles, _ := p.Claims.Strings(rolesClaim)
		answer(w, map[string]any{
			"iss": p.Issuer, "sub": p.Subject,
			"scopes": append([]string{}, p.Scopes...), "roles": append([]string{}, roles...),
		})
	}
}

func reports() http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"reports": []string{"first quarter", "second quarter"}})
	}
}

func admin() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		answer(w, map[string]string{"done": "as you say", "sub": p.Subject})
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the client went away
}
