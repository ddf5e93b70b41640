package main

import (
	"fmt"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// newVerifier judges the tokens of all issuers, each by the policy of its own.
func newVerifier(cfg config) (middleware.TokenVerifier, error) {
	var verifiers []*oidc.AccessTokenVerifier
	for _, issuer := range cfg.issuers {
		provider, err := newProvider(cfg, issuer)
		if err != nil {
			return nil, err
		}
		v, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
			Audience: []string{cfg.audience}, Algorithms: []string{cfg.jwsAlg},
			RequiredClaims: []claims.Path{cfg.usernameClaim, cfg.rolesClaim},
			// This demonstration takes the tokens of any provider. Leave it out where
			// the provider follows RFC 9068.
			InsecureAllowUntyped: true,
		})
		if err != nil {
			return nil, err
		}
		if cfg.introspectionURL != "" {
			return withOpaque(cfg, provider, v)
		}
		verifiers = append(verifiers, v)
	}
	issuers, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: verifiers, Now: cfg.now})
	if err != nil {
		return nil, fmt.Errorf("-issuer is there twice: write each once: %w", err)
	}
	return issuers, nil
}

func newProvider(cfg config, issuer string) (*oidc.Provider, error) {
	about := oidc.Config{Issuer: issuer, Now: cfg.now}
	about.Override.JWKSURI = cfg.jwksURI
	about.Override.IntrospectionEndpoint = cfg.introspectionURL
	if cfg.secretKey.source != nil {
		var err error
		if about.Keys, err = jwks.Symmetric([]byte(cfg.secretKey.value), cfg.jwsAlg); err != nil {
			return nil, fmt.Errorf("-secret-key: %w", err)
		}
	}
	provider, err := oidc.NewProvider(about)
	if err != nil {
		return nil, fmt.Errorf("-issuer %s: %w", issuer, err)
	}
	return provider, nil
}

// opaqueMaxAge is for how long a token may be good here after the provider revoked it.
const opaqueMaxAge = 10 * time.Second

// withOpaque has the provider asked about tokens that are no JWTs. The form of a token
// decides who judges it, and nobody gets a second opinion.
func withOpaque(cfg config, provider *oidc.Provider, jwts oidc.BoundVerifier) (middleware.TokenVerifier, error) {
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: cfg.clientID, ClientAuth: clientauth.SecretBasic(cfg.clientSecret.source),
	})
	if err != nil {
		return nil, fmt.Errorf("-client-id: %w", err)
	}
	opaque, err := oidc.NewIntrospectionVerifier(client, oidc.IntrospectionVerifierConfig{
		Audience: []string{cfg.audience}, RequiredClaims: []claims.Path{cfg.usernameClaim, cfg.rolesClaim},
		Cache: oidc.IntrospectionCacheConfig{MaxAge: opaqueMaxAge},
	})
	if err != nil {
		return nil, err
	}
	return oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: jwts, Opaque: opaque})
}
