package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// ClientConfig is a client's registration with a provider.
type ClientConfig struct {
	// ClientID is required.
	ClientID string
	// ClientSecret is empty for a public client.
	ClientSecret clientauth.Secret
	// ClientAuth is how the client proves itself; nil means by ClientSecret, with
	// client_secret_basic or client_secret_post as the provider's metadata say.
	ClientAuth clientauth.Method

	// RedirectURL is where the provider sends the browser back to, exactly as it
	// is registered. Required. Plain http is for loopback only.
	RedirectURL string
	// Scopes are asked for; default openid, profile and email. "openid" is always
	// among them.
	Scopes []string
	// Resources are the APIs that the access token is for (RFC 8707).
	Resources []string
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
	// DecryptionKeys open encrypted ID tokens (OpenID Connect Core section 10.2). With
	// them, ID tokens that are not encrypted are refused.
	DecryptionKeys []jwks.DecryptionKey
	// Leeway is how far clocks may differ: default 60 s, at most 5 min.
	Leeway time.Duration
}

// A Client is this program as one provider knows it: it logs people in. It is
// safe for concurrent use.
type Client struct {
	provider *Provider
	cfg      ClientConfig // without the secret
	auth     authenticator
	idTokens *IDTokenVerifier
	used     usedFlows
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
	if err := fetch.CheckURL(cfg.RedirectURL, false); err != nil {
		return nil, fmt.Errorf("oidc: ClientConfig.RedirectURL %q: %w", cfg.RedirectURL, err)
	}
	if err := checkParameters(cfg.AdditionalParameters); err != nil {
		return nil, err
	}
	c := &Client{provider: p, cfg: cfg.clone()}
	if err := c.setVerifier(cfg.ClientSecret); err != nil {
		return nil, err
	}
	c.auth = newAuthenticator(cfg)
	c.cfg.ClientSecret = ""
	return c, nil
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

// setVerifier makes the verifier of ID tokens. Its keys are the provider's public ones
// or the client secret: the allow list never holds algorithms of both, so that no
// public key is taken for a secret.
func (c *Client) setVerifier(secret clientauth.Secret) (err error) {
	c.idTokens, err = newIDTokenVerifier("ClientConfig", c.provider, IDTokenConfig{
		ClientID: c.cfg.ClientID, TrustedAudiences: c.cfg.TrustedAudiences, Algorithms: c.cfg.IDTokenAlgorithms,
		Leeway: c.cfg.Leeway, DecryptionKeys: c.cfg.DecryptionKeys,
	})
	if err != nil {
		return err
	}
	algorithms := c.idTokens.algorithms
	if err := jwks.CheckAlgorithms(algorithms); err != nil {
		return fmt.Errorf("oidc: ClientConfig.IDTokenAlgorithms: %w", err)
	}
	if !slices.Contains(jwt.Symmetric, algorithms[0]) {
		return nil
	}
	if c.idTokens.keys, err = jwks.Symmetric([]byte(secret), algorithms...); err != nil {
		return fmt.Errorf("oidc: ClientConfig.ClientSecret: %w", err)
	}
	return nil
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
