// Package proxy is oidc-token-proxy: it turns tokens of an issuer that is private into tokens
// of one that is public.
package proxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// A Proxy serves GET /.well-known/openid-configuration, GET /.well-known/jwks.json and POST
// /token, at the root and below the path of the issuer. It is safe for concurrent use.
type Proxy struct {
	s        Settings
	keys     *exchange.Keys
	upstream *oidc.Provider
	verifier *oidc.AccessTokenVerifier
	rule     exchange.Rule
	guard    *exchange.Guard
	replay   oidc.ReplayStore
	sites    map[string]http.Handler // by host; one for all hosts has no name
}

// New reads the files that the settings name, and does no other I/O. Errors begin with the name
// of the setting.
func New(s Settings) (*Proxy, error) {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{s: s, sites: map[string]http.Handler{}, replay: oidc.NewReplayMemory(s.Now)}
	err := blame("jwks_file", p.openKeys())
	if err == nil {
		err = blame("upstream_issuer", p.openUpstream())
	}
	if err == nil {
		err = blame("clone_upstream_claims", p.openRule())
	}
	if err == nil {
		err = blame("issuer", p.openSites())
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// openKeys reads our keys, of which those in signing_key_ids sign.
func (p *Proxy) openKeys() (err error) {
	source := p.s.Keys
	switch {
	case source != nil:
	case p.s.JWKSFile != "" && len(p.s.SigningKeyIDs) == 0:
		return wrong("signing_key_ids", "it is missing: write algorithm = kid, in a line for each algorithm that signs")
	default:
		source, err = exchange.ReadKeyFile(exchange.KeyFileConfig{
			Path: p.s.JWKSFile, Signing: p.s.SigningKeyIDs, Default: p.s.DefaultSigningAlg, Logger: p.s.Logger, Now: p.s.Now,
		})
	}
	if err == nil {
		p.keys, err = exchange.NewKeys(exchange.KeysConfig{
			Source: source, Lifetime: p.s.MaxLifetime, CacheAge: p.s.JWKSCacheMaxAge, Logger: p.s.Logger, Now: p.s.Now,
		})
	}
	return err
}

// openUpstream says whose tokens are good: their keys are in a file, at an address, or where
// the issuer's metadata say.
func (p *Proxy) openUpstream() (err error) {
	s := &p.s
	if s.UpstreamIssuer == "" {
		return wrong("upstream_issuer", "it is missing: write the issuer whose tokens are to be exchanged, such as https://gitlab.example.com")
	}
	config := oidc.Config{
		Issuer: s.UpstreamIssuer, Header: s.ExtraRequestHeaders,
		Timeout: cmp.Or(s.UpstreamTimeout, 30*time.Second), KeysMaxFresh: cmp.Or(s.UpstreamJWKSCacheMaxAge, 300*time.Second),
		InsecureHTTP: s.InsecureHTTP, Logger: s.Logger, Now: s.Now,
	}
	if s.UpstreamJWKSFile != "" || s.UpstreamJWKSURI != "" {
		config.Metadata = &discovery.Metadata{Issuer: s.UpstreamIssuer, JWKSURI: s.UpstreamJWKSURI}
	}
	if s.UpstreamJWKSFile != "" {
		if config.Keys, err = (jwks.FileConfig{Path: s.UpstreamJWKSFile, Logger: s.Logger, Now: s.Now}).Read(); err != nil {
			return blame("upstream_jwks_file", err)
		}
	}
	if p.upstream, err = oidc.NewProvider(config); err != nil {
		return err
	}
	p.verifier, err = oidc.NewAccessTokenVerifier(p.upstream, oidc.AccessTokenConfig{
		Audience: s.Audiences, InsecureAnyAudience: len(s.Audiences) == 0, // which is handed on
		InsecureAllowUntyped: true, // CI services say JWT
	})
	return err
}

// openRule refuses an issuer of many customers if nothing says whose tokens are meant: they
// are all signed with the same keys.
func (p *Proxy) openRule() error {
	s := &p.s
	p.rule = exchange.Rule{
		Name: "upstream", Issuer: s.UpstreamIssuer, Policy: s.RequiredClaims, InsecureAnyone: true, Clone: s.CloneUpstreamClaims,
	}
	if err := p.rule.Lint(); err != nil && !s.InsecureAnyCustomer {
		return wrong("required_claims", err.Error()+"; or write insecure_any_customer = true, which lets in all of them")
	}
	if s.RequiredClaims.IsZero() {
		s.Logger.Warn("tokenproxy: every token of the upstream issuer is exchanged: write required_claims", slog.String("upstream_issuer", s.UpstreamIssuer))
	}
	if len(s.Audiences) == 0 {
		s.Logger.Warn("tokenproxy: tokens for every audience are exchanged: write audiences")
	}
	return p.rule.Check()
}

// openSites makes a site for the issuer, or for each host that may name one.
func (p *Proxy) openSites() (err error) {
	p.guard, err = exchange.NewGuard(exchange.GuardConfig{Rate: p.s.RateLimit, ClientHeader: p.s.ClientHeader, Logger: p.s.Logger, Now: p.s.Now})
	switch {
	case err != nil:
		return err
	case p.s.Issuer != "" && len(p.s.AllowedHosts) > 0:
		return wrong("allowed_hosts", "no host decides an issuer that is fixed: leave allowed_hosts or issuer out")
	case p.s.Issuer != "":
		p.sites[""], err = p.site(p.s.Issuer)
		return err
	}
	for _, base := range p.bases() {
		host, err := hostOf(base)
		if err != nil {
			return err
		}
		if p.sites[host] != nil {
			return wrong("allowed_hosts", fmt.Sprintf("%.60q is there twice: leave one", host))
		}
		if p.sites[host], err = p.site(base); err != nil {
			return blame("allowed_hosts", err)
		}
	}
	return nil
}

// hostOf takes what clients write into the header Host: of the default port, nothing.
func hostOf(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" || base != u.Scheme+"://"+u.Host || strings.ContainsFunc(u.Hostname(), notInHost) {
		return "", wrong("allowed_hosts", "there is one that is no host: write names like oidc-proxy.example.com, with http:// before one for trials")
	}
	if port, err := strconv.ParseUint(cmp.Or(u.Port(), "1"), 10, 16); err != nil || port == 0 {
		return "", wrong("allowed_hosts", fmt.Sprintf("%.60q has a port that is none: write one up to 65535", u.Host))
	}
	if u.Port() == map[string]string{"https": "443", "http": "80"}[u.Scheme] && u.Port() != "" {
		return "", wrong("allowed_hosts", fmt.Sprintf("%.60q has the port that clients leave out: leave it out too", u.Host))
	}
	return u.Host, nil
}

func notInHost(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:", c)
}

// bases are the names of our own.
func (p *Proxy) bases() (list []string) {
	if p.s.Issuer != "" {
		return []string{p.s.Issuer}
	}
	for _, host := range p.s.AllowedHosts {
		if !strings.Contains(host, "://") {
			host = "https://" + host
		}
		list = append(list, strings.ToLower(host))
	}
	return list
}

// site is a proxy under one name.
func (p *Proxy) site(base string) (http.Handler, error) {
	issuer, err := exchange.NewIssuer(exchange.IssuerConfig{
		Issuer: base, Keys: p.keys, TokenEndpoint: base + "/token", InsecureHTTP: p.s.InsecureHTTP, Now: p.s.Now,
	})
	if err != nil {
		return nil, err
	}
	cfg := exchange.ExchangerConfig{
		Issuer: issuer, Verifier: p.verifier, Rules: []exchange.Rule{p.rule}, Refused: p.bases(), // none of ours is ever taken
		InsecureReuse: !p.s.SingleUse, Audit: p.s.Audit, Logger: p.s.Logger, Now: p.s.Now,
	}
	if p.s.SingleUse {
		cfg.Replay = p.replay // of all names together
	}
	exchanger, err := exchange.NewExchanger(cfg)
	if err != nil {
		return nil, blame("upstream_issuer", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", issuer.Handler())
	for _, path := range issuer.Paths("/token") {
		mux.Handle(path, p.guard.Handler(exchanger.TokenHandler()))
	}
	return mux, nil
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	site := cmp.Or(p.sites[""], p.sites[host])
	if site == nil && len(p.s.AllowedHosts) == 0 && isOwnMachine(r, host) {
		site, _ = p.site("http://" + host) // for trials on one machine
	}
	if site == nil {
		http.Error(w, "this host is not served here", http.StatusMisdirectedRequest)
		return
	}
	site.ServeHTTP(w, r)
}

// isOwnMachine: who reaches a public address can write any Host, but has not come by the loopback.
func isOwnMachine(r *http.Request, host string) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	u := url.URL{Host: host}
	return err == nil && at.Addr().Unmap().IsLoopback() && cmp.Or(u.Port(), "80") == strconv.Itoa(int(at.Port())) &&
		slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// Ready reports whether the proxy can sign, and judge tokens of the upstream.
func (p *Proxy) Ready(ctx context.Context) error {
	if _, err := p.keys.SigningKey(ctx, ""); err != nil {
		return err
	}
	return p.upstream.Ready(ctx)
}
