package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// A verifier verifies tokens, bound ones too.
type verifier interface {
	middleware.TokenVerifier
	oidc.BoundVerifier
}

// judges are the verifiers of the API, and whom they rest on.
type judges struct {
	tokens    verifier
	persons   verifier // asks for userinfo besides, if roles are there
	providers []*oidc.Provider
}

func (j *judges) ready(ctx context.Context) (err error) {
	for _, p := range j.providers {
		err = errors.Join(err, p.Ready(ctx))
	}
	return err
}

// newJudges judges the tokens of all issuers, each by the policy of its own.
func newJudges(cfg apiflags.Config) (*judges, error) {
	if cfg.Deploy != nil {
		return deployJudges(cfg)
	}
	j := &judges{}
	var verifiers []*oidc.AccessTokenVerifier
	for _, issuer := range cfg.Issuers {
		provider, err := newProvider(cfg, issuer)
		if err != nil {
			return nil, err
		}
		v, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{
			Audience: cfg.Audiences, Algorithms: []string{cfg.JWSAlg}, RequiredClaims: cfg.RequiredClaims(),
			// This demonstration takes the tokens of any provider. Leave it out where
			// the provider follows RFC 9068.
			InsecureAllowUntyped: true,
		})
		if err != nil {
			return nil, err
		}
		j.providers, verifiers = append(j.providers, provider), append(verifiers, v)
	}
	issuers, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: verifiers, Now: cfg.Now})
	if err != nil {
		return nil, fmt.Errorf("-issuer is there twice: write each once: %w", err)
	}
	j.tokens, j.persons = issuers, issuers
	if cfg.IntrospectionURL == "" && !cfg.AsksUserInfo() {
		return j, nil
	}
	return j, j.ask(cfg)
}

// deployJudges judges as the file says, roles by the claim that it names.
func deployJudges(cfg apiflags.Config) (*judges, error) {
	provider, err := cfg.Deploy.NewAPIProvider(deploy.Environment{Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	v, err := cfg.Deploy.NewVerifier(provider)
	return &judges{v, v, []*oidc.Provider{provider}}, err
}

func newProvider(cfg apiflags.Config, issuer string) (*oidc.Provider, error) {
	about := oidc.Config{Issuer: issuer, Now: cfg.Now}
	about.Override.JWKSURI = cfg.JWKSURI
	about.Override.IntrospectionEndpoint, about.Override.UserInfoEndpoint = cfg.IntrospectionURL, cfg.UserInfoURL
	if cfg.SecretKey.Source != nil {
		var err error
		if about.Keys, err = jwks.Symmetric([]byte(cfg.SecretKey.Value), cfg.JWSAlg); err != nil {
			return nil, fmt.Errorf("-secret-key: %w", err)
		}
	}
	provider, err := oidc.NewProvider(about)
	if err != nil {
		return nil, fmt.Errorf("-issuer %s: %w", issuer, err)
	}
	return provider, nil
}

// answersMaxAge is for how long a token may be good here after the provider revoked it, and
// somebody be in a group that they left.
const answersMaxAge = 10 * time.Second

// ask has the provider asked about tokens that are no JWTs, and for userinfo. The form of a
// token decides who judges it, and nobody gets a second opinion.
func (j *judges) ask(cfg apiflags.Config) error {
	auth := clientauth.None() // userinfo alone needs no secret
	switch secret := cfg.ClientSecret.Source; {
	case secret == nil:
	case cfg.ClientAuth == "client_secret_post":
		auth = clientauth.SecretPost(secret)
	default:
		auth = clientauth.SecretBasic(secret)
	}
	client, err := oidc.NewClient(j.providers[0], oidc.ClientConfig{ClientID: cfg.ClientID, ClientAuth: auth})
	if err != nil {
		return fmt.Errorf("-client-id: %w", err)
	}
	cache := oidc.IntrospectionCacheConfig{MaxAge: answersMaxAge}
	if cfg.IntrospectionURL != "" {
		opaque, err := oidc.NewIntrospectionVerifier(client, oidc.IntrospectionVerifierConfig{
			Audience: cfg.Audiences, RequiredClaims: cfg.RequiredClaims(), Cache: cache,
		})
		if err != nil {
			return err
		}
		if j.tokens, err = oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: j.tokens, Opaque: opaque}); err != nil {
			return err
		}
		j.persons = j.tokens
	}
	if cfg.AsksUserInfo() {
		j.persons, err = oidc.NewUserInfoVerifier(client, oidc.UserInfoVerifierConfig{Verifier: j.tokens, Cache: cache})
	}
	return err
}
