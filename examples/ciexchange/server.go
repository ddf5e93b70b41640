package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// options are what the flags say.
type options struct {
	publicURL, database string
	force               bool
	logger              *slog.Logger
	now                 func() time.Time // of tests; nil is time.Now
}

// A server is the exchange.
type server struct {
	options
	store
	cfg    *settings
	issuer *exchange.Issuer
	jobs   *lru.Cache[string, *oidc.Provider] // issuers of CI jobs
	own    *middleware.Bearer                 // takes our tokens
	// replays is nil if tokens may be exchanged as often as somebody likes.
	replays oidc.ReplayStore
}

// newServer opens the database, fills it and makes the server. Close it.
func newServer(ctx context.Context, cfg *settings, o options) (*server, error) {
	s := &server{options: o, cfg: cfg}
	if cfg.PrivateIssuers == nil {
		u, _ := url.Parse(o.publicURL)
		ip, _ := netip.ParseAddr(u.Hostname())
		trial := ip.IsLoopback() || u.Hostname() == "localhost"
		cfg.PrivateIssuers = &trial
	}
	source, err := keySource(cfg.Token.Keys, o.logger) //nolint:contextcheck // it reads a file
	if err != nil {
		return nil, cfg.in(err)
	}
	keys, err := exchange.NewKeys(exchange.KeysConfig{Source: source, Lifetime: cfg.ttl, Logger: o.logger, Now: o.now})
	if err != nil {
		return nil, err
	}
	if s.issuer, err = exchange.NewIssuer(exchange.IssuerConfig{Issuer: o.publicURL, Keys: keys}); err != nil {
		return nil, fmt.Errorf("-public-url: %w", err)
	}
	us := oidc.Config{Issuer: o.publicURL, Keys: keys, Metadata: &discovery.Metadata{Issuer: o.publicURL}}
	if s.own, err = s.newBearer(us, oidc.AccessTokenConfig{Audience: []string{o.publicURL}}); err != nil {
		return nil, err
	}
	s.own.Sources = []middleware.Source{middleware.FromHeader("X-Api-Key")}
	s.own.Verifier = living{s.own.Verifier, s}
	s.jobs, _ = lru.New[string, *oidc.Provider](1000) // it fails for sizes below 1
	if s.store, err = openStore(ctx, o.database); err != nil {
		return nil, fmt.Errorf("-database: %w: write the name of a file, or postgres://user@host/name", err)
	}
	if cfg.Token.SingleUse {
		s.replays = replays{s.store, s.clock}
	}
	return s, errors.Join(s.seed(ctx), s.warn(ctx))
}

func (s *server) clock() time.Time {
	if s.now == nil {
		return time.Now()
	}
	return s.now()
}

func (s *server) newBearer(cfg oidc.Config, tokens oidc.AccessTokenConfig) (*middleware.Bearer, error) {
	cfg.Logger, cfg.Now = s.logger, s.now
	p, err := oidc.NewProvider(cfg)
	if err != nil {
		return nil, err
	}
	v, err := oidc.NewAccessTokenVerifier(p, tokens)
	return &middleware.Bearer{Verifier: v, Body: middleware.ProblemBody, Logger: s.logger, Now: s.now}, err
}

// seed adds the organizations of the file that the database lacks. What it has is what the
// admin API made of it, and stays.
func (s *server) seed(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Organizations)) {
		o, log := s.cfg.Organizations[name], s.logger.With(slog.String("organization", name))
		warnings, err := s.accept(name, o)
		if err != nil {
			return s.cfg.in(fmt.Errorf("organizations.%s.%w", name, err))
		}
		_, added, err := s.write(ctx, name, "", o)
		if err != nil {
			return err
		}
		if !added {
			log.Warn("the organization is in the database already: what the file says of it is ignored")
			continue
		}
		log.Info("the organization is added from the file")
		for _, w := range warnings {
			log.Warn("provider settings", slog.String("finding", w))
		}
	}
	return nil
}

// warn names the providers that let strangers in, at each start: who forced them is not
// always who runs them.
func (s *server) warn(ctx context.Context) error {
	names, err := s.names(ctx)
	for _, name := range names {
		o, _, failed := s.read(ctx, name)
		err = errors.Join(err, failed)
		for _, p := range o.Providers {
			if p.Force {
				s.logger.Warn("strangers may be let in: the provider has force: true", slog.String("organization", name), slog.String("provider", p.Name))
			}
		}
	}
	return err
}

// accept is organization.check, with what only a running server knows.
func (s *server) accept(name string, o organization) (warnings []string, err error) {
	if warnings, err = o.check(name); err != nil {
		return nil, err
	}
	for i, p := range o.Providers {
		if _, err := s.jobIssuer(p.URL); err != nil {
			hint := "write an https URL of the public Internet, or private_issuers: true in the file"
			if strings.HasPrefix(p.URL, "http:") && *s.cfg.PrivateIssuers {
				hint = "write an https URL"
			}
			return nil, fmt.Errorf("providers[%d].url: %w: %s", i, err, hint)
		}
	}
	return warnings, nil
}

// handler has the routes.
func (s *server) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	guard, err := exchange.NewGuard(exchange.GuardConfig{Rate: 50, Burst: 500, Logger: s.logger, Now: s.now, ClientHeader: s.cfg.ClientHeader})
	if err != nil {
		return nil, s.cfg.in(fmt.Errorf("client_header: %w", err)) // the rest of it is ours
	}
	mux.Handle("POST /openid/{ACCOUNT}/{$}", guard.Handler(http.HandlerFunc(s.exchange)))
	// The proxy in front takes off a path of the public URL, if that has one.
	mux.HandleFunc("/.well-known/openid-configuration", s.issuer.ServeMetadata)
	mux.HandleFunc("/.well-known/jwks.json", s.issuer.ServeKeys)
	mux.Handle("GET /v1/user/self", s.own.Handler(http.HandlerFunc(self)))
	mux.Handle("GET /v1/user/self/{$}", s.own.Handler(http.HandlerFunc(self)))
	if s.cfg.Admin != nil {
		err = s.adminRoutes(mux)
	}
	return serve.Health(mux, func(ctx context.Context) error {
		return errors.Join(s.PingContext(ctx), s.issuer.Ready(ctx))
	}), err
}

// answer writes JSON with a space behind each colon: scripts in the wild grep for it.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	_ = e.Encode(v) // the client went away
}
