package main

import (
	"fmt"
	"log/slog"

	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// newBearer protects the API, which is the resource that it serves the metadata of.
func newBearer(cfg apiflags.Config, logger *slog.Logger) (*middleware.Bearer, error) {
	about := middleware.ProtectedResourceConfig{
		Resource: cfg.PublicURL, AuthorizationServers: cfg.Issuers, Audience: cfg.Audiences,
		Scopes: []string{"reports:read"}, Name: "oidckit example", RequireDPoP: cfg.RequireDPoP,
	}
	if cfg.Routes != nil {
		about.Scopes = cfg.Routes.Scopes()
	}
	bearer := &middleware.Bearer{
		PublicURL: cfg.PublicURL, Realm: "oidckit example", Body: middleware.ProblemBody, Logger: logger, Now: cfg.Now,
	}
	if cfg.RequireDPoP {
		// Several processes need a ProofVerifierConfig.Replay that they share.
		proofs, err := oidc.NewProofVerifier(oidc.ProofVerifierConfig{Now: cfg.Now})
		if err != nil {
			return nil, err
		}
		bearer.Proof, about.DPoPAlgorithms = &middleware.DPoP{Verifier: proofs}, proofs.Algorithms()
	}
	var err error
	if bearer.Resource, err = middleware.NewProtectedResource(about); err != nil {
		return nil, fmt.Errorf("-public-url or -issuer: %w", err)
	}
	return bearer, nil
}
