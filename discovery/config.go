package discovery

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
)

// Config says where metadata are, and how they are kept current.
type Config struct {
	// Issuer is the provider's identifier, exactly as it writes it. Required. The
	// placeholder {tenantid} may stand in its path, as in the documents that Entra ID
	// has for all tenants; it is compared as it is, and needs DiscoveryURL.
	Issuer string
	// DiscoveryURL is where the document is, if it is not where the specifications
	// put it for Issuer. The issuer in the document must still be Issuer. Empty means
	// Issuer + "/.well-known/openid-configuration" (OpenID Connect Discovery 1.0
	// section 4), and if that answers 404 or 410 the places of RFC 8414 section 3.
	DiscoveryURL string
	// Rewrite maps origins to origins ("https://op.example" to
	// "https://op.internal:8443"), for endpoints that this process reaches by
	// another way than the browser: those of the document that it calls itself, and
	// the document if DiscoveryURL is not set. The issuer, and where the browser is
	// sent to, stay as they are.
	Rewrite map[string]string
	// Override replaces members of the document by those that are set here: a
	// single endpoint, for example. They are not rewritten. An endpoint that is
	// replaced loses its alias in mtls_endpoint_aliases. Issuer and Extra do not
	// belong here. Who knows all endpoints needs no document: see [Static].
	Override Metadata

	// HTTPClient makes the requests; redirects are never followed. Nil means one
	// of our own, with time limits.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// InsecureHTTP allows plain http to hosts other than loopback, also for
	// endpoints in a document that came over https.
	InsecureHTTP bool
	// PublicOnly refuses addresses that are not on the public Internet, both of the
	// document, when it is dialled, and in it, as far as its spelling tells: for
	// issuers that others than the operator choose. It needs an HTTPClient whose
	// dialling is left to us: nil, or with a *http.Transport without dialer and
	// proxy.
	PublicOnly bool

	// Timeout is how long a request may take, its answer included; default 10 s, at most a
	// minute.
	Timeout time.Duration
	// RefreshAfter is how long metadata are fresh; default 24 h. They are read anew
	// when somebody asks after 80 to 90 % of it, at random, and serve meanwhile.
	RefreshAfter time.Duration
	// Cooldown is the shortest time between two readings that [Remote.Renew]
	// causes, and the longest between attempts while the document cannot be read;
	// default 1 min.
	Cooldown time.Duration
	// Logger is told when a document cannot be renewed while the last good one
	// serves, for then no caller gets an error. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Format prints the issuer with every verb: a header may hold a secret.
func (cfg Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "discovery.Config(%s)", cfg.Issuer)
}

// transport is what package fetch needs to know of cfg.
func (cfg *Config) transport() fetch.Config {
	return fetch.Config{
		HTTPClient: cfg.HTTPClient, Header: cfg.Header, InsecureHTTP: cfg.InsecureHTTP, PublicOnly: cfg.PublicOnly,
		Timeout: cfg.Timeout, Now: cfg.Now,
	}
}

// clone copies what the caller could change later. HTTPClient stays his.
func (cfg Config) clone() Config {
	cfg.Rewrite = maps.Clone(cfg.Rewrite)
	cfg.Header = cfg.Header.Clone()
	cfg.Override = *cfg.Override.clone()
	return cfg
}

func (cfg *Config) setDefaults() {
	if cfg.Timeout == 0 {
		cfg.Timeout = fetch.Timeout
	}
	if cfg.RefreshAfter <= 0 {
		cfg.RefreshAfter = 24 * time.Hour
	}
	if cfg.Cooldown <= 0 {
		cfg.Cooldown = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

func (cfg *Config) check() error {
	if err := cfg.checkIssuer(); err != nil {
		return err
	}
	if cfg.DiscoveryURL != "" {
		if err := cfg.transport().CheckURL(cfg.DiscoveryURL); err != nil {
			return fmt.Errorf("discovery: Config.DiscoveryURL: %w", err)
		}
	}
	if err := cfg.checkOverride(); err != nil {
		return err
	}
	if err := cfg.transport().Check(); err != nil {
		return fmt.Errorf("discovery: Config.%w", err)
	}
	return nil
}

// tenantID is the one placeholder an issuer may have.
const tenantID = "{tenantid}"

func (cfg *Config) checkIssuer() error {
	if cfg.Issuer == "" {
		return configError("Config.Issuer is required")
	}
	if err := cfg.transport().CheckURL(cfg.Issuer); err != nil {
		return fmt.Errorf("discovery: Config.Issuer %q: %w", cfg.Issuer, err)
	}
	switch rest := strings.Replace(cfg.Issuer, tenantID, "", 1); {
	case strings.Contains(cfg.Issuer, "?"):
		return fmt.Errorf("discovery: Config.Issuer %q: query in the URL", cfg.Issuer)
	case strings.ContainsAny(rest, "{}"):
		return fmt.Errorf("discovery: Config.Issuer %q: the only placeholder is one {tenantid}", cfg.Issuer)
	case rest != cfg.Issuer && cfg.DiscoveryURL == "":
		return fmt.Errorf("discovery: Config.DiscoveryURL is required for the Issuer %q: nothing is at a placeholder", cfg.Issuer)
	}
	return nil
}

func (cfg *Config) checkOverride() error {
	o := &cfg.Override
	switch {
	case o.Issuer != "" && o.Issuer != cfg.Issuer:
		return configError("Config.Override.Issuer cannot replace the issuer: leave it empty, and set Config.Issuer")
	case len(o.Extra) > 0:
		return configError("Config.Override.Extra is for metadata that are published: leave it nil")
	}
	for _, e := range o.endpoints() {
		if *e.url == "" {
			continue
		}
		if err := cfg.transport().CheckURL(*e.url); err != nil {
			return fmt.Errorf("discovery: Config.Override: %s: %w", e.name, err)
		}
	}
	return nil
}
