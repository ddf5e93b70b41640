package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
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

	// IssuerAliases are other values that "iss" of tokens may have, for a provider that
	// is known by several names but has one set of keys (Google's tokens say
	// "accounts.google.com" or the same with "https://").
	IssuerAliases []string
	// Tenants are whom to trust if Issuer has the placeholder {tenantid}, as the
	// metadata of Entra ID for many tenants have it. "iss" of a token must then be what
	// the placeholder makes of TenantClaim of the same token, a member of Tenants.
	// DiscoveryURL must say where the metadata are.
	Tenants []string
	// TenantClaim names the tenant in tokens; default "tid".
	TenantClaim string
	// InsecureAnyTenant trusts every tenant, also those that anybody can open for
	// himself: the program has to look at the tenant of each token.
	InsecureAnyTenant bool

	// DiscoveryURL is where the metadata are, if not where the specifications put them
	// for Issuer; Rewrite maps the origins of endpoints that this process calls to
	// others; Override replaces single members of the metadata. See [discovery.Config].
	// With Override.JWKSURI keys need no metadata, and do not heal if they move.
	DiscoveryURL string
	Rewrite      map[string]string
	Override     discovery.Metadata
	// Metadata, if not nil, are used in place of discovery: nothing is fetched.
	Metadata *discovery.Metadata
	// MetadataSource, if not nil, is used in place of discovery: what
	// [discovery.Cache.Source] has for Issuer, for example. Metadata of another issuer than
	// Issuer are refused with a *[discovery.IssuerError].
	MetadataSource discovery.Source
	// Keys, if not nil, are used in place of the provider's jwks_uri.
	Keys jwks.Source

	// HTTPClient makes every request to the provider: its transport, with proxy,
	// certificate authorities and client certificate. Redirects are never
	// followed, and an answer takes Timeout and 1 MiB at most. Nil means one of our
	// own.
	HTTPClient *http.Client
	// Header is added to every request, to whatever host the metadata name.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback.
	InsecureHTTP bool
	// Timeout is how long a request may take, its answer included; default 10 s, at most a
	// minute.
	Timeout time.Duration
	// KeysMaxFresh is how long the provider's keys are fresh, unless its answers say less:
	// see [jwks.RemoteConfig]. 0 leaves it to the answers.
	KeysMaxFresh time.Duration
	// PublicOnly refuses to connect to addresses that are not on the public Internet,
	// looked at after DNS: for issuers that others than the operator choose. Providers
	// in a network of one's own need it off.
	PublicOnly bool

	// Logger is told what no caller gets as an error: metadata and keys that cannot be
	// renewed while the last good ones serve, keys that are left out; and where a function
	// of the program has panicked that was called to get a token. Nil is silent.
	Logger *slog.Logger
	// Trace has functions to be called when keys are fetched and refused.
	Trace *jwks.Trace
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Format prints the issuer with every verb: a header may hold a secret.
func (c Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.Config(%s)", c.Issuer) }

// A Provider is an OpenID provider: an issuer, its metadata and its keys. It is
// safe for concurrent use; make one per issuer and share it.
type Provider struct {
	issuer    string
	issuers   issuerPolicy
	metadata  discovery.Source
	keys      jwks.Source
	remote    bool // keys are the provider's public ones
	fetch     *fetch.Client
	transport fetch.Config // of fetch
	logger    *slog.Logger // never nil
	now       func() time.Time
}

// NewProvider returns the provider of cfg. It does no I/O: metadata and keys are
// fetched when they are first needed. Errors are about cfg alone.
func NewProvider(cfg Config) (*Provider, error) {
	p := &Provider{keys: cfg.Keys, logger: cfg.Logger, now: cfg.Now}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	transport := fetch.Config{
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP, PublicOnly: cfg.PublicOnly,
		Timeout: cfg.Timeout, Now: p.now,
	}
	if err := transport.Check(); err != nil {
		return nil, fmt.Errorf("oidc: Config.%w", err)
	}
	p.fetch, p.transport = fetch.New(transport), transport
	if cfg.Issuer == "" && cfg.Metadata != nil {
		cfg.Issuer = cfg.Metadata.Issuer
	}
	var err error
	p.issuer = cfg.Issuer
	if p.metadata, err = newMetadata(cfg); err != nil {
		return nil, err
	}
	if p.issuers, err = newIssuerPolicy(cfg); err != nil {
		return nil, err
	}
	if p.keys == nil {
		p.remote = true
		locate := p.locateKeys
		if cfg.Override.JWKSURI != "" { // which needs no metadata, so an API needs none at all
			locate = nil
		}
		p.keys, err = jwks.NewRemote(jwks.RemoteConfig{
			URL: cfg.Override.JWKSURI, Locate: locate, HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP,
			PublicOnly: cfg.PublicOnly, Timeout: cfg.Timeout, RefreshAfter: cfg.KeysMaxFresh, MaxFresh: cfg.KeysMaxFresh,
			Trace: cfg.Trace, Logger: cfg.Logger, Now: p.now,
		})
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func newMetadata(cfg Config) (discovery.Source, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("oidc: Config.Issuer is required, unless Config.Metadata are given")
	case cfg.MetadataSource != nil:
		if cfg.Metadata != nil || cfg.DiscoveryURL != "" || cfg.Rewrite != nil || !reflect.ValueOf(cfg.Override).IsZero() {
			return nil, errors.New("oidc: Config.MetadataSource replaces Metadata, DiscoveryURL, Rewrite and Override")
		}
		return cfg.MetadataSource, nil
	case cfg.Metadata == nil:
		return discovery.New(discovery.Config{
			Issuer: cfg.Issuer, DiscoveryURL: cfg.DiscoveryURL, Rewrite: cfg.Rewrite, Override: cfg.Override,
			HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP, PublicOnly: cfg.PublicOnly, Timeout: cfg.Timeout,
			Logger: cfg.Logger, Now: cfg.Now,
		})
	case cfg.Issuer != cfg.Metadata.Issuer:
		return nil, fmt.Errorf("oidc: Config.Metadata: %w", &discovery.IssuerError{Configured: cfg.Issuer, Found: cfg.Metadata.Issuer})
	case cfg.DiscoveryURL != "" || cfg.Rewrite != nil || !reflect.ValueOf(cfg.Override).IsZero():
		return nil, errors.New("oidc: Config.DiscoveryURL, Rewrite and Override belong to discovery, which Config.Metadata replace")
	case cfg.InsecureHTTP:
		return discovery.InsecureStatic(*cfg.Metadata)
	}
	return discovery.Static(*cfg.Metadata)
}

// Issuer returns the provider's identifier.
func (p *Provider) Issuer() string { return p.issuer }

// Format prints the issuer with every verb: Config.Header may hold a secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.Provider(%s)", p.issuer) }

// Metadata returns the provider's metadata, fetched if need be.
func (p *Provider) Metadata(ctx context.Context) (*discovery.Metadata, error) {
	if p == nil || p.metadata == nil {
		return nil, errors.New("oidc: Provider was not made by NewProvider")
	}
	return p.ours(p.metadata.Metadata(ctx))
}

// ours refuses metadata of another issuer, which Config.MetadataSource may have: assertions
// would be made out to that one, and could be used there.
func (p *Provider) ours(m *discovery.Metadata, err error) (*discovery.Metadata, error) {
	if err == nil && m.Issuer != p.issuer {
		return nil, unavailable("provider metadata", &discovery.IssuerError{Configured: p.issuer, Found: m.Issuer})
	}
	return m, err
}

// Ready reports whether metadata and keys can be had, and fetches them if they
// were not: call it at start-up to warm up, and from a readiness probe. Whether
// a program waits for it is the program's choice.
func (p *Provider) Ready(ctx context.Context) error {
	if _, err := p.Metadata(ctx); err != nil {
		return err
	}
	if r, ok := p.keys.(interface{ Ready(context.Context) error }); ok {
		return r.Ready(ctx)
	}
	return nil
}

// locateKeys finds where the keys are. If the place is suspect, because nothing comes
// from there or not the keys that tokens name, the metadata are read anew first: a
// provider may have moved its keys.
func (p *Provider) locateKeys(ctx context.Context, suspect bool) (string, error) {
	read := p.metadata.Metadata
	r, ok := p.metadata.(interface {
		Renew(ctx context.Context) (*discovery.Metadata, error)
	})
	if ok && suspect {
		read = r.Renew
	}
	m, err := p.ours(read(ctx))
	if err != nil {
		return "", err
	}
	if m.JWKSURI == "" {
		return "", fmt.Errorf("%w: jwks_uri", ErrNoEndpoint)
	}
	return m.JWKSURI, nil
}
