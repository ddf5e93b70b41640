package oidctest

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says what a [Provider] is. Every field has a default, so that the zero
// value is a complete provider for [Listen] and [Start]; [New] also needs the
// Issuer. The provider keeps a copy.
type Config struct {
	// Issuer is the issuer identifier: an http or https URL without query and
	// fragment, with or without a path. All endpoints lie below it. The default
	// is the URL the provider listens on; New, which does not listen, requires it.
	Issuer string

	// Now is the provider's clock, to which [Provider.Advance] adds. The default
	// is time.Now.
	Now func() time.Time

	// Clients are the registered clients. The default, for nil, is DefaultClient
	// alone.
	Clients []Client

	// HTTPClient sends the provider's own requests: for the keys of clients, and to
	// their notification endpoints. The
	// default has a time limit of 10 seconds.
	HTTPClient *http.Client

	// Users are those who can log in. The default, for nil, is DefaultUsers.
	Users []User

	// Algorithm is the JWS "alg" of ID tokens and access tokens: RS256, RS384,
	// RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA. The default is
	// RS256.
	Algorithm string

	// TrustedIssuers are others whose JWTs are taken as grants and in exchanges.
	TrustedIssuers []TrustedIssuer

	// RequirePushedAuthorizationRequests refuses authorization requests that were
	// not pushed (RFC 9126, section 5).
	RequirePushedAuthorizationRequests bool

	// RequireDPoP refuses token requests without a DPoP proof, from every client.
	RequireDPoP bool

	// RequireDPoPNonce demands a nonce of the provider in every DPoP proof
	// (RFC 9449, sections 8 and 9). It changes every DPoPNonceTTL and with
	// [Provider.RotateDPoPNonce].
	RequireDPoPNonce bool

	// InitialAccessToken is what clients that register themselves must present
	// (RFC 7591, section 3). Empty lets everybody register.
	InitialAccessToken string

	// OpaqueAccessTokens are ones that only introspection can read, for all clients.
	OpaqueAccessTokens bool

	// TLS has Listen and Start serve HTTPS, with a certificate for the address and
	// the issuer by an authority that is made for the occasion: see
	// [Provider.CertPool] and [Provider.TLSClient].
	TLS bool

	// MutualTLS offers tls_client_auth, self_signed_tls_client_auth and
	// certificate-bound access tokens (RFC 8705). Certificates are asked for at
	// mtls_endpoint_aliases, which Listen has at a port of their own, and New on the
	// host that is the issuer's with "mtls." before it. Listen and Start need TLS
	// besides, New an https Issuer.
	MutualTLS bool

	// NoMTLSAliases has certificates asked for at all endpoints, under the issuer's
	// own address.
	NoMTLSAliases bool

	// ClientCAs are the authorities of tls_client_auth. The default is the one of
	// [Provider.ClientCertificate].
	ClientCAs *x509.CertPool

	// PollInterval is how long clients of the device and CIBA grants must wait between
	// polls, in whole seconds; default 5 seconds. Whoever polls sooner is told to
	// slow_down, and must wait 5 seconds longer from then on.
	PollInterval time.Duration

	DeviceCodeTTL   time.Duration // how long a device_code and an auth_req_id live; default 10 minutes
	DPoPNonceTTL    time.Duration // how long a nonce is offered; it is good for as long again; default 1 minute
	RequestURITTL   time.Duration // how long a pushed request lives; default 1 minute
	CodeTTL         time.Duration // how long an authorization code lives; default 1 minute
	IDTokenTTL      time.Duration // default 5 minutes
	AccessTokenTTL  time.Duration // default 5 minutes
	RefreshTokenTTL time.Duration // counted anew from every rotation; default 24 hours
}

// withDefaults returns a copy that shares nothing with c and has no defaults
// left to fill, except for the Issuer.
func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Clients == nil {
		c.Clients = []Client{DefaultClient()}
	}
	if c.Users == nil {
		c.Users = DefaultUsers()
	}
	if c.Algorithm == "" {
		c.Algorithm = "RS256"
	}
	orDefault(&c.PollInterval, 5*time.Second)
	orDefault(&c.DeviceCodeTTL, 10*time.Minute)
	orDefault(&c.DPoPNonceTTL, time.Minute)
	orDefault(&c.RequestURITTL, time.Minute)
	orDefault(&c.CodeTTL, time.Minute)
	orDefault(&c.IDTokenTTL, 5*time.Minute)
	orDefault(&c.AccessTokenTTL, 5*time.Minute)
	orDefault(&c.RefreshTokenTTL, 24*time.Hour)

	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		c.Clients[i].fill(c.Algorithm)
	}
	c.TrustedIssuers = slices.Clone(c.TrustedIssuers)
	c.Users = slices.Clone(c.Users)
	for i := range c.Users {
		c.Users[i] = c.Users[i].withDefaults()
	}
	return c
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// check is called on a config with defaults.
func (c Config) check() error {
	if err := checkIssuer(c.Issuer); err != nil {
		return fmt.Errorf("oidctest: Config.Issuer: %w", err)
	}
	if _, ok := algorithms[c.Algorithm]; !ok {
		return fmt.Errorf("oidctest: Config.Algorithm: %q is not supported", c.Algorithm)
	}
	if c.MutualTLS && !strings.HasPrefix(c.Issuer, "https://") {
		return fmt.Errorf("oidctest: Config.MutualTLS: the Issuer %q is not https", c.Issuer)
	}
	if err := c.checkTTLs(); err != nil {
		return err
	}
	ids := map[string]bool{}
	for i := range c.Clients {
		if err := c.Clients[i].check(fmt.Sprintf("oidctest: Config.Clients[%d]", i), ids); err != nil {
			return err
		}
		if client := &c.Clients[i]; !c.MutualTLS && (client.byCertificate() || client.CertificateBoundTokens) {
			return fmt.Errorf("oidctest: Config.MutualTLS: Clients[%d] needs it", i)
		}
	}
	if err := c.checkTrusted(); err != nil {
		return err
	}
	names, subjects := map[string]bool{}, map[string]bool{}
	for i, user := range c.Users {
		if err := user.check(fmt.Sprintf("oidctest: Config.Users[%d]", i), names, subjects); err != nil {
			return err
		}
	}
	return nil
}

// checkIssuer applies OpenID Connect Discovery 1.0, section 3, except that http
// is as good as https: a test has no certificates.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%q is not an absolute http or https URL", issuer)
	case strings.ContainsAny(issuer, "?#"), u.User != nil:
		return fmt.Errorf("%q has a query, a fragment or user information", issuer)
	}
	return nil
}

func (c Config) checkTTLs() error {
	for name, ttl := range map[string]time.Duration{
		"PollInterval": c.PollInterval, "DeviceCodeTTL": c.DeviceCodeTTL,
		"DPoPNonceTTL": c.DPoPNonceTTL, "RequestURITTL": c.RequestURITTL,
		"CodeTTL": c.CodeTTL, "IDTokenTTL": c.IDTokenTTL,
		"AccessTokenTTL": c.AccessTokenTTL, "RefreshTokenTTL": c.RefreshTokenTTL,
	} {
		if ttl < 0 {
			return fmt.Errorf("oidctest: Config.%s: %v is negative", name, ttl)
		}
	}
	return nil
}

func (c Config) checkTrusted() error {
	issuers := map[string]bool{}
	for i, t := range c.TrustedIssuers {
		at := fmt.Sprintf("oidctest: Config.TrustedIssuers[%d]", i)
		if t.Issuer == "" || issuers[t.Issuer] {
			return fmt.Errorf("%s.Issuer: %q is empty or taken", at, t.Issuer)
		}
		issuers[t.Issuer] = true
		if _, err := parseKeySet(t.JWKS); err != nil {
			return fmt.Errorf("%s.JWKS: %w", at, err)
		}
	}
	return nil
}
