package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/jwks"
)

// Config describes a provider.
type Config struct {
	// Issuer is the provider's identifier, exactly as it writes it. Required,
	// unless Metadata are given.
	Issuer string

	// Metadata, if not nil, are used in place of discovery: nothing is fetched.
	Metadata *discovery.Metadata
	// Keys, if not nil, are used in place of the provider's jwks_uri.
	Keys jwks.Source

	// HTTPClient makes every request to the provider: its transport, with proxy,
	// certificate authorities and client certificate. Redirects are never
	// followed, and an answer takes 10 s and 1 MiB at most. Nil means one of our
	// own.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool

	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A Provider is an OpenID provider: an issuer, its metadata and its keys. It is
// safe for concurrent use; make one per issuer and share it.
type Provider struct {
	issuer   string
	metadata discovery.Source
	keys     jwks.Source
	remote   bool // keys are the provider's public ones
	fetch    *fetch.Client
	now      func() time.Time
}

// NewProvider returns the provider of cfg. It does no I/O: metadata and keys are
// fetched when they are first needed. Errors are about cfg alone.
func NewProvider(cfg Config) (*Provider, error) {
	p := &Provider{issuer: cfg.Issuer, keys: cfg.Keys, now: cfg.Now}
	if p.now == nil {
		p.now = time.Now
	}
	p.fetch = fetch.New(fetch.Config{HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP})
	if err := p.setMetadata(cfg); err != nil {
		return nil, err
	}
	if p.keys != nil {
		return p, nil
	}
	keys, err := jwks.NewRemote(jwks.RemoteConfig{
		Locate:     p.jwksURI,
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	p.keys, p.remote = keys, true
	return p, nil
}

func (p *Provider) setMetadata(cfg Config) (err error) {
	if cfg.Issuer == "" && cfg.Metadata == nil {
		return errors.New("oidc: Config.Issuer is required, unless Config.Metadata are given")
	}
	if cfg.Metadata == nil {
		p.metadata, err = discovery.New(discovery.Config{
			Issuer: cfg.Issuer, HTTPClient: cfg.HTTPClient, Header: cfg.Header,
			InsecureHTTP: cfg.InsecureHTTP, Now: cfg.Now,
		})
		return err
	}
	if p.issuer == "" {
		p.issuer = cfg.Metadata.Issuer
	}
	if p.issuer != cfg.Metadata.Issuer {
		return fmt.Errorf("oidc: Config.Metadata: %w", &discovery.IssuerError{Configured: p.issuer, Found: cfg.Metadata.Issuer})
	}
	if cfg.InsecureHTTP {
		p.metadata, err = discovery.InsecureStatic(*cfg.Metadata)
		return err
	}
	p.metadata, err = discovery.Static(*cfg.Metadata)
	return err
}

// Issuer returns the provider's identifier.
func (p *Provider) Issuer() string { return p.issuer }

// Format prints the issuer with every verb: Config.Header may hold a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.Provider(%s)", p.issuer) }

// Metadata returns the provider's metadata, fetched if need be.
func (p *Provider) Metadata(ctx context.Context) (*discovery.Metadata, error) {
	return p.metadata.Metadata(ctx)
}

// Ready reports whether metadata and keys can be had, and fetches them if they
// were not: call it at start-up to warm up, and from a readiness probe. Whether
// a program waits for it is the program's choice.
func (p *Provider) Ready(ctx context.Context) error {
	if _, err := p.metadata.Metadata(ctx); err != nil {
		return err
	}
	if r, ok := p.keys.(interface{ Ready(context.Context) error }); ok {
		return r.Ready(ctx)
	}
	return nil
}

// jwksURI finds where the keys are.
func (p *Provider) jwksURI(ctx context.Context) (string, error) {
	m, err := p.metadata.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if m.JWKSURI == "" {
		return "", fmt.Errorf("%w: jwks_uri", ErrNoEndpoint)
	}
	return m.JWKSURI, nil
}
