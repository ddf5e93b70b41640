package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/settings"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// Settings are those of a configuration file. README.md says what each is for.
type Settings struct {
	JWKSFile          string               `setting:"jwks_file,path"`
	SigningKeyIDs     []exchange.KeyChoice `setting:"signing_key_ids"`
	DefaultSigningAlg string               `setting:"default_signing_alg"`

	Issuer       string   `setting:"issuer"`
	AllowedHosts []string `setting:"allowed_hosts"`

	UpstreamIssuer          string        `setting:"upstream_issuer"`
	UpstreamJWKSURI         string        `setting:"upstream_jwks_uri"`
	UpstreamJWKSFile        string        `setting:"upstream_jwks_file,path"`
	UpstreamJWKSCacheMaxAge time.Duration `setting:"upstream_jwks_cache_max_age"` // 0 is 300 s
	UpstreamTimeout         time.Duration `setting:"upstream_timeout"`            // 0 is 30 s
	ExtraRequestHeaders     http.Header   `setting:"extra_request_headers"`

	CloneUpstreamClaims []string `setting:"clone_upstream_claims"`

	// Beyond the document.
	RequiredClaims      claims.Policy `setting:"required_claims"`
	InsecureAnyCustomer bool          `setting:"insecure_any_customer"`
	Audiences           []string      `setting:"audiences"`
	MaxLifetime         time.Duration `setting:"max_lifetime"` // 0 is 15 min
	SingleUse           bool          `setting:"single_use"`
	RateLimit           float64       `setting:"rate_limit"` // 0 is 5
	ClientHeader        string        `setting:"client_header"`
	JWKSCacheMaxAge     time.Duration `setting:"jwks_cache_max_age"` // 0 is 300 s
	InsecureHTTP        bool          `setting:"insecure_http"`

	// For programs: keys of a KMS in place of JWKSFile, an audit, the log, and the time.
	Keys   exchange.KeySource
	Audit  func(context.Context, exchange.Record)
	Logger *slog.Logger
	Now    func() time.Time
}

// ReadFile reads settings from a file: YAML if its name ends with .yaml or .yml, else INI, of
// which the section [app:main] counts. Paths in it are those from its folder.
func ReadFile(path string) (s Settings, err error) {
	err = settings.ReadFile(path, "app:main", &s, set)
	return s, err
}

func set(field any, s *settings.Setting) error {
	switch field := field.(type) {
	case *[]exchange.KeyChoice:
		return s.Pairs(func(alg, kid string) { *field = append(*field, exchange.KeyChoice{Algorithm: alg, KeyID: kid}) })
	case *http.Header:
		*field = http.Header{}
		if err := s.Pairs(field.Add); err != nil {
			return err
		}
		if field.Get("Host") != "" {
			return errors.New("Host is not sent from here: leave it out, and write the address into upstream_jwks_uri") //nolint:staticcheck // ST1005: the name of the header
		}
		return nil
	case *claims.Policy:
		values, err := s.Values()
		if err != nil {
			return err
		}
		*field, err = claims.RequiredClaims(values)
		return err
	}
	return nil
}

// settingOf says where a field of a configuration of the library comes from.
var settingOf = map[string]string{
	"KeyFileConfig.Path": "jwks_file", "KeyFileConfig.Signing": "signing_key_ids", "KeyFileConfig.Default": "default_signing_alg",
	"KeysConfig.Lifetime": "max_lifetime", "KeysConfig.CacheAge": "jwks_cache_max_age",
	"AccessTokenConfig.Audience": "audiences", "GuardConfig.Rate": "rate_limit", "GuardConfig.ClientHeader": "client_header", "Config.Header": "extra_request_headers",
	"Config.Timeout": "upstream_timeout", " jwks_uri:": "upstream_jwks_uri",
}

func blame(setting string, err error) error { return settings.Blame(setting, err, settingOf) }

func wrong(setting, problem string) error { return &settings.Error{Setting: setting, Problem: problem} }
