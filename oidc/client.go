package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/jwks"
)

// ClientConfig is a client's registration with a provider.
type ClientConfig struct {
	// ClientID is required.
	ClientID string
	// ClientSecret is empty for a public client.
	ClientSecret clientauth.Secret
	// ClientAuth is how the client proves itself; nil means by ClientSecret, in the first of
	// client_secret_basic, client_secret_post and client_secret_jwt that the provider's
	// metadata list, or by nothing if that is empty: see clientauth.Auto.
	ClientAuth clientauth.Method
	// ClientCertificate is presented to the provider, at its mtls_endpoint_aliases if it
	// has such: it binds access tokens to the certificate (RFC 8705 section 3) whatever
	// ClientAuth is. Nil means the one of ClientAuth, if that is clientauth.TLS or
	// SelfSignedTLS.
	ClientCertificate clientauth.CertificateFunc `json:"-"`
	// DPoP, if not nil, proves possession of its key in every request for tokens and with
	// them (RFC 9449). Access tokens of another type are refused.
	DPoP *DPoP

	// RedirectURL is where the provider sends the browser back to, exactly as it
	// is registered. Required for logins. Plain http is for loopback only.
	RedirectURL string
	// Scopes are asked for; default openid, profile and email. "openid" is always
	// among them.
	Scopes []string
	// Resources are the APIs that the access token is for (RFC 8707).
	Resources []string
	// PushedAuthorizationRequests has every login pushed to the provider first (RFC 9126),
	// as it is anyway if the provider's metadata demand it.
	PushedAuthorizationRequests bool
	// AdditionalParameters go into every authorization request. They cannot
	// replace what Begin sets.
	AdditionalParameters url.Values

	// IDTokenAlgorithms are the allowed ones; default RS, PS and ES 256, 384 and
	// 512, and EdDSA. HS256, HS384 and HS512 are keyed by ClientSecret; they must
	// be asked for, stand without others, and need a secret as long as the hash.
	IDTokenAlgorithms []string
	// TrustedAudiences may stand beside ClientID in "aud" of an ID token; any other
	// makes it refused.
	TrustedAudiences []string
	// MaxAge is how long after "iat" an ID token is good, however long the provider
	// lets it live; 0 is no limit of our own, ten years are the most.
	MaxAge time.Duration
	// RequiredClaims must be in ID tokens and not null.
	RequiredClaims []claims.Path
	// Policy says whose ID tokens are ours at all, as [AccessTokenConfig] has it: those of a
	// Google Workspace by its "hd", for example. A login of anybody else is refused with
	// [ReasonPolicy]. The zero Policy is none.
	Policy claims.Policy `json:",omitzero"`
	// DecryptionKeys open encrypted ID tokens (OpenID Connect Core section 10.2). With
	// them, ID tokens that are not encrypted are refused. They open encrypted userinfo as
	// well, which need not be encrypted.
	DecryptionKeys []jwks.DecryptionKey
	// InsecureAllowUnencrypted accepts both, if there are DecryptionKeys.
	InsecureAllowUnencrypted bool

	// UserInfoAlgorithms, if not empty, are how userinfo must be signed: what the client
	// registered as userinfo_signed_response_alg. HS algorithms are keyed by ClientSecret, as
	// for IDTokenAlgorithms. Empty accepts userinfo in plain JSON, which TLS protects, or
	// signed as an ID token may be.
	UserInfoAlgorithms []string
	// UserInfoByForm sends the access token to the userinfo endpoint in a form (RFC 6750
	// section 2.2), for providers that do not take it in a header.
	UserInfoByForm bool
	// ClaimSources are those whose claims are believed if the provider hands them on
	// (OpenID Connect Core section 5.6.2): see [Client.AggregatedClaims] and
	// [Client.DistributedClaims].
	ClaimSources []ClaimSource

	// SignedIntrospection, if not nil, has [Client.Introspect] ask for signed answers.
	SignedIntrospection *SignedIntrospection
	// Leeway is how far clocks may differ: default 60 s, at most 5 min.
	Leeway time.Duration
}

// A Client is this program as one provider knows it: it logs people in, and makes every
// other call to the provider. It is safe for concurrent use.
type Client struct {
	provider    *Provider
	cfg         ClientConfig // without the secret
	auth        clientauth.Method
	mtls        bool                       // it presents a certificate
	fetch       *fetch.Client              // with the certificate
	dpop        *DPoP                      // nil if it makes no proofs
	certificate clientauth.CertificateFunc // that fetch presents; nil if it presents none
	idTokens    *IDTokenVerifier
	userInfo    trust
	sources     []claimSource
	used        usedFlows
	refreshes   refreshes
	pings       pings

	introspection *signedAnswers // nil if answers need no signature
}

// NewClient returns the client of cfg at provider p. It does no I/O; errors are
// about cfg alone and name the field.
func NewClient(p *Provider, cfg ClientConfig) (*Client, error) {
	if p == nil {
		return nil, errors.New("oidc: NewClient needs a provider")
	}
	if !isIdentifier(cfg.ClientID) {
		return nil, errors.New("oidc: ClientConfig.ClientID is required")
	}
	if cfg.RedirectURL != "" {
		if err := fetch.CheckURL(cfg.RedirectURL, false); err != nil {
			return nil, fmt.Errorf("oidc: ClientConfig.RedirectURL %q: %w", cfg.RedirectURL, err)
		}
	}
	if err := checkParameters(cfg.AdditionalParameters); err != nil {
		return nil, err
	}
	c := &Client{provider: p, cfg: cfg.clone()}
	if err := c.setVerifiers(cfg.ClientSecret); err != nil {
		return nil, err
	}
	if err := c.setIntrospection(); err != nil {
		return nil, err
	}
	if err := c.setProof(cfg); err != nil {
		return nil, err
	}
	c.cfg.ClientSecret = ""
	return c, nil
}

// setProof sets how the client proves who it is.
func (c *Client) setProof(cfg ClientConfig) error {
	c.dpop = cfg.DPoP
	c.auth = cfg.ClientAuth
	if c.auth == nil {
		c.auth = clientauth.Auto(clientauth.Credentials{Secret: secretSource(cfg.ClientSecret)})
	}
	if m, ok := c.auth.(clientauth.Checker); ok {
		if err := m.Check(); err != nil {
			return fmt.Errorf("oidc: ClientConfig.ClientAuth: %w", err)
		}
	}
	certificate := cfg.ClientCertificate
	certified, ok := c.auth.(clientauth.Certified)
	if ok && certificate == nil {
		certificate = certified.ClientCertificate()
	}
	c.certificate = certificate
	c.fetch, c.mtls = c.provider.fetch, ok || certificate != nil
	if certificate == nil {
		return nil
	}
	transport := c.provider.transport
	transport.ClientCertificate = certificate
	if err := transport.Check(); err != nil {
		return fmt.Errorf("oidc: Config.%w", err)
	}
	c.fetch = fetch.New(transport)
	return nil
}

// secretSource is nil if there is no secret.
func secretSource(s clientauth.Secret) clientauth.SecretSource {
	if s == "" {
		return nil
	}
	return s
}

// clone copies what the caller could change, and fills in defaults.
func (cfg ClientConfig) clone() ClientConfig {
	cfg.Scopes = slices.Clone(cfg.Scopes)
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"openid", "profile", "email"}
	}
	if !slices.Contains(cfg.Scopes, "openid") {
		cfg.Scopes = slices.Insert(cfg.Scopes, 0, "openid")
	}
	cfg.Resources = slices.Clone(cfg.Resources)
	cfg.AdditionalParameters = cloneValues(cfg.AdditionalParameters)
	return cfg
}

func cloneValues(v url.Values) url.Values {
	c := make(url.Values, len(v))
	for name, values := range v {
		c[name] = slices.Clone(values)
	}
	return c
}

// setVerifiers makes the verifiers of ID tokens, of userinfo and of claims that others
// vouch for.
func (c *Client) setVerifiers(secret clientauth.Secret) (err error) {
	c.idTokens, err = newIDTokenVerifier("ClientConfig", c.provider, IDTokenConfig{
		ClientID: c.cfg.ClientID, TrustedAudiences: c.cfg.TrustedAudiences, Algorithms: c.cfg.IDTokenAlgorithms,
		Leeway: c.cfg.Leeway, MaxAge: c.cfg.MaxAge, RequiredClaims: c.cfg.RequiredClaims, Policy: c.cfg.Policy,
		DecryptionKeys: c.cfg.DecryptionKeys, InsecureAllowUnencrypted: c.cfg.InsecureAllowUnencrypted,
	})
	if err != nil {
		return err
	}
	keys := func(algorithms []string, field string) (jwks.Source, error) {
		return keysFor(c.provider, string(secret), algorithms, field)
	}
	if c.idTokens.keys, err = keys(c.idTokens.algorithms, "IDTokenAlgorithms"); err != nil {
		return err
	}
	if err := c.setUserInfo(keys); err != nil {
		return err
	}
	c.sources, err = newClaimSources(c.cfg, c.provider)
	return err
}

// ClientID returns the client's identifier.
func (c *Client) ClientID() string { return c.cfg.ClientID }

// RedirectURL returns where the provider sends the browser back to.
func (c *Client) RedirectURL() string { return c.cfg.RedirectURL }

// Provider returns the provider of the client.
func (c *Client) Provider() *Provider { return c.provider }

// Format prints the client's identifier with every verb, and nothing else.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.Client(%s)", c.cfg.ClientID)
}
