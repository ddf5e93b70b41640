package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/jwks"
)

// IssuerConfig says who we are.
type IssuerConfig struct {
	// Issuer is what our tokens have in "iss", and below which our metadata are: an https
	// URL without query, fragment and trailing slash, of at most 255 characters. Required.
	Issuer string
	// Keys sign. Required; they also say how long a token lives at most.
	Keys *Keys
	// TokenEndpoint is published as such in the metadata; empty is none.
	TokenEndpoint string
	// InsecureHTTP allows an Issuer with plain http that is not of a loopback address.
	InsecureHTTP bool
	// Now tells the time; nil is that of Keys.
	Now func() time.Time
}

// An Issuer mints tokens, and publishes what others need to verify them. It is safe for
// concurrent use.
type Issuer struct {
	cfg  IssuerConfig
	path string // of the issuer, without slash at its end
}

// NewIssuer does no I/O. Errors are about cfg alone.
func NewIssuer(cfg IssuerConfig) (*Issuer, error) {
	if cfg.Keys == nil || cfg.Keys.cfg.Source == nil {
		return nil, errors.New("exchange: IssuerConfig.Keys is required: use NewKeys")
	}
	if err := checkIssuer(cfg.Issuer, cfg.InsecureHTTP); err != nil {
		return nil, fmt.Errorf("exchange: IssuerConfig.Issuer: %w", err)
	}
	if cfg.TokenEndpoint != "" {
		if err := (fetch.Config{InsecureHTTP: cfg.InsecureHTTP}).CheckURL(cfg.TokenEndpoint); err != nil {
			return nil, fmt.Errorf("exchange: IssuerConfig.TokenEndpoint: %w", err)
		}
	}
	if cfg.Now == nil {
		cfg.Now = cfg.Keys.cfg.Now
	}
	u, _ := url.Parse(cfg.Issuer) // checkIssuer has parsed it
	return &Issuer{cfg: cfg, path: u.Path}, nil
}

// checkIssuer: what is put before "/.well-known/" has to be one text for all who compare it.
func checkIssuer(issuer string, insecureHTTP bool) error {
	if err := (fetch.Config{InsecureHTTP: insecureHTTP}).CheckURL(issuer); err != nil {
		return err
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return errors.New("it is no URL")
	case strings.ContainsAny(issuer, "?#%"):
		return errors.New("leave out query, fragment and what is percent-encoded")
	case len(issuer) > 255:
		return errors.New("it has more than 255 characters")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("leave out the slash at its end")
	case u.Path != "" && path.Clean(u.Path) != u.Path:
		return errors.New("leave out //, . and .. of the path")
	case u.Host != strings.ToLower(u.Host):
		return errors.New("write the host in lower case")
	}
	return nil
}

// Issuer returns what our tokens have in "iss".
func (i *Issuer) Issuer() string { return i.cfg.Issuer }

// Keys are those of the configuration.
func (i *Issuer) Keys() *Keys { return i.cfg.Keys }

// The places of what is published, below the issuer.
const (
	metadataPath = "/.well-known/openid-configuration"
	jwksPath     = "/.well-known/jwks.json"
)

// Metadata are the document of the moment (OpenID Connect Discovery 1.0 section 3): it names
// the algorithms of the keys that sign.
func (i *Issuer) Metadata(ctx context.Context) (discovery.Metadata, error) {
	algorithms, err := i.cfg.Keys.Algorithms(ctx)
	if err != nil {
		return discovery.Metadata{}, err
	}
	m := discovery.Metadata{
		Issuer: i.cfg.Issuer, JWKSURI: i.cfg.Issuer + jwksPath, IDTokenSigningAlgValuesSupported: algorithms,
		ResponseTypesSupported: []string{"id_token"}, SubjectTypesSupported: []string{"public"},
		ClaimsSupported: []string{"iss", "aud", "sub", "exp", "iat", "nbf", "jti"},
	}
	if i.cfg.TokenEndpoint != "" {
		m.TokenEndpoint, m.GrantTypesSupported = i.cfg.TokenEndpoint, []string{grantType}
		m.TokenEndpointAuthMethodsSupported = []string{"none"}
	}
	return m, nil
}

// Handler serves the metadata and the JWK Set, [Issuer.ServeMetadata] and [Issuer.ServeKeys],
// at their [Issuer.Paths].
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range i.Paths(metadataPath) {
		mux.HandleFunc(path, i.ServeMetadata)
	}
	for _, path := range i.Paths(jwksPath) {
		mux.HandleFunc(path, i.ServeKeys)
	}
	return mux
}

// Paths are where something is served that is below the issuer: there, and at the root, for a
// proxy before this program may have cut off the path of the issuer.
func (i *Issuer) Paths(below string) []string {
	return slices.Compact([]string{below, i.path + below})
}

// ServeMetadata serves [Issuer.Metadata], as [discovery.Handler] does.
func (i *Issuer) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	m, err := i.Metadata(r.Context())
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the metadata cannot be published at the moment", http.StatusServiceUnavailable)
		return
	}
	discovery.Handler(m).ServeHTTP(w, r)
}

// ServeKeys serves the public keys, as [jwks.Handler] does: for as long a time of caching as
// the metadata.
func (i *Issuer) ServeKeys(w http.ResponseWriter, r *http.Request) {
	jwks.Handler(i.cfg.Keys).ServeHTTP(w, r)
}

// Ready reports whether there is a key that signs.
func (i *Issuer) Ready(ctx context.Context) error {
	key, err := i.cfg.Keys.SigningKey(ctx, "")
	if err == nil && key == nil {
		err = errNoSigner
	}
	return err
}

// Format prints the issuer with every verb.
func (i *Issuer) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "exchange.Issuer(%s)", i.cfg.Issuer)
}
