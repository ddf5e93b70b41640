package main

import (
	"fmt"
	"log/slog"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// newBearer protects the API, which is the resource that it serves the metadata of.
func newBearer(cfg config, logger *slog.Logger) (*middleware.Bearer, error) {
	verifier, err := newVerifier(cfg)
	if err != nil {
		return nil, err
	}
	about := middleware.ProtectedResourceConfig{
		Resource: cfg.publicURL, AuthorizationServers: cfg.issuers, Audience: []string{cfg.audience},
		Scopes: []string{"reports:read"}, Name: "oidckit example", RequireDPoP: cfg.requireDPoP,
	}
	bearer := &middleware.Bearer{
		Verifier: verifier, PublicURL: cfg.publicURL, Realm: "oidckit example",
		Body: middleware.ProblemBody, Logger: logger, Now: cfg.now,
	}
	if cfg.requireDPoP {
		// Several processes need a ProofVerifierConfig.Replay that they share.
		proofs, err := oidc.NewProofVerifier(oidc.ProofVerifierConfig{Now: cfg.now})
		if err != nil {
			return nil, err
		}
		bearer.Proof, about.DPoPAlgorithms = &middleware.DPoP{Verifier: proofs}, proofs.Algorithms()
	}
	if bearer.Resource, err = middleware.NewProtectedResource(about); err != nil {
		return nil, fmt.Errorf("-public-url or -issuer: %w", err)
	}
	return bearer, nil
}
