package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// maxBody bounds what a request may post, in bytes.
const maxBody = 1 << 20

// Provider is an OpenID provider in memory. It is an [http.Handler], and safe
// for concurrent use. Make one with [New], [Listen] or [Start].
type Provider struct {
	cfg        Config
	base       string           // the issuer without a final slash: what the endpoints' URLs begin with
	path       string           // the path of base
	origin     string           // scheme and host of base
	mtlsOrigin string           // the same of the aliases, where certificates are asked for
	users      map[string]*User // by Username
	people     map[string]*User // by Subject
	routes     map[string]route // by path

	advanced atomic.Int64 // nanoseconds
	closed   atomic.Bool
	stop     func() error // nil when New made the provider

	keys   keyring
	grants grants
	faults faults
	hooks  hooks

	clients       registry
	remote        remoteKeys
	replays       replays
	par           pushedRequests
	nonces        nonces
	pendings      pendings
	registrations registrations

	authority *authority
}

// route is an endpoint with the methods it takes.
type route struct {
	endpoint Endpoint
	methods  []string
	serve    http.HandlerFunc
}

// New makes a provider without listening: a handler for the server of the
// caller, or for [Provider.HTTPClient] alone. The Config needs an Issuer; the
// requests' paths must be those of the endpoints' URLs, the issuer's path
// included. An error names the field at fault.
func New(cfg Config) (*Provider, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Provider{
		cfg:    cfg,
		base:   strings.TrimSuffix(cfg.Issuer, "/"),
		users:  map[string]*User{},
		people: map[string]*User{},
	}
	u, err := url.Parse(p.base)
	if err != nil { // unreachable: check parsed it
		return nil, err
	}
	p.path, p.origin = u.Path, u.Scheme+"://"+u.Host
	p.mtlsOrigin = mtlsOriginOf(cfg, u)
	if p.authority, err = newAuthority(p.Now()); err != nil {
		return nil, err
	}
	for i := range cfg.Clients {
		p.clients.put(&cfg.Clients[i])
	}
	for i := range cfg.Users {
		p.users[cfg.Users[i].Username] = &cfg.Users[i]
		p.people[cfg.Users[i].Subject] = &cfg.Users[i]
	}
	p.keys.announce(p.signingAlgorithms()...)
	p.grants.init()
	p.register()
	return p, nil
}

func (p *Provider) register() {
	get := []string{http.MethodGet, http.MethodHead}
	post := []string{http.MethodPost}
	both := []string{http.MethodGet, http.MethodPost}
	p.routes = map[string]route{}
	for _, r := range []route{
		{Discovery, get, p.serveDiscovery},
		{JWKS, get, p.serveJWKS},
		{Authorization, both, p.serveAuthorization},
		{login, post, p.serveLogin},
		{Token, post, p.serveToken},
		{UserInfo, both, p.serveUserInfo},
		{EndSession, both, p.serveEndSession},
		{PushedAuthorization, post, p.servePushed},
		{Introspection, post, p.serveIntrospection},
		{Revocation, post, p.serveRevocation},
		{DeviceAuthorization, post, p.serveDeviceAuthorization},
		{DeviceVerification, both, p.serveDevice},
		{BackchannelAuthentication, post, p.serveBackchannel},
		{Registration, post, p.serveRegistration},
		{ClientConfiguration, []string{http.MethodGet, http.MethodPut, http.MethodDelete}, p.serveClient},
	} {
		p.routes[p.path+string(r.endpoint)] = r
	}
	p.routes[string(WebFinger)] = route{WebFinger, get, p.serveWebFinger}
}

// ServeHTTP answers at the paths of the endpoints.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := p.routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	p.faults.count(route.endpoint)

	// The body is read before anything else: net/http notices that the other side
	// has gone, which ends a fault that hangs, only after the end of the body.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request body not readable or too large", http.StatusRequestEntityTooLarge)
		return
	}
	in := r.WithContext(r.Context()) // a handler leaves the caller's request alone
	in.Body = io.NopCloser(bytes.NewReader(body))
	p.hooks.tellRequest(route.endpoint, in, body)

	p.faults.serve(w, in, route.endpoint, route.allowed)
}

func (rt route) allowed(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(rt.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(rt.methods, ", "))
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	rt.serve(w, r)
}

// Issuer returns the issuer identifier.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// Now returns the time on the provider's clock.
func (p *Provider) Now() time.Time {
	return p.cfg.Now().Add(time.Duration(p.advanced.Load()))
}

// Advance moves the provider's clock, forward unless d is negative. Calls add up.
func (p *Provider) Advance(d time.Duration) { p.advanced.Add(int64(d)) }

// Close stops listening, ends the requests being served and waits for the
// server. After it HTTPClient fails as well, as if the provider were down. It
// may be called more than once.
func (p *Provider) Close() error {
	if p.closed.Swap(true) || p.stop == nil {
		return nil
	}
	return p.stop()
}

func (p *Provider) url(e Endpoint) string { return p.base + string(e) }
