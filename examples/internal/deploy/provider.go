package deploy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// Environment is what the file does not say. The zero value is that of a program.
type Environment struct {
	HTTPClient *http.Client     // nil is one of the library
	Now        func() time.Time // nil is time.Now
}

// NewProvider is the provider that people log in at. Each of the four addresses that is given
// overrides what discovery finds; if all are, nothing is discovered.
func (s *Settings) NewProvider(env Environment) (*oidc.Provider, error) {
	addresses := discovery.Metadata{
		JWKSURI: s.KeyRetrievalURI, TokenEndpoint: s.AccessTokenURI,
		AuthorizationEndpoint: s.UserAuthorizationURI, EndSessionEndpoint: s.LogoutURI,
	}
	cfg := oidc.Config{Issuer: s.Issuer, HTTPClient: env.HTTPClient, Now: env.Now, Override: addresses}
	if s.withoutDiscovery() {
		addresses.Issuer = s.Issuer
		cfg.Override, cfg.Metadata = discovery.Metadata{}, &addresses
	}
	provider, err := oidc.NewProvider(cfg)
	return provider, s.at("issuer", err)
}

func (s *Settings) withoutDiscovery() bool {
	return s.KeyRetrievalURI != "" && s.AccessTokenURI != "" && s.UserAuthorizationURI != "" && s.LogoutURI != ""
}

// NewClient is the client of logins at the provider.
func (s *Settings) NewClient(provider *oidc.Provider) (*oidc.Client, error) {
	method, err := s.clientAuth()
	if err != nil {
		return nil, err
	}
	parameters := url.Values{}
	for name, value := range s.AdditionalParameters {
		parameters.Set(name, value)
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, ClientAuth: method,
		RedirectURL: s.RedirectURI, Scopes: s.Scopes, AdditionalParameters: parameters,
		IDTokenAlgorithms: []string{s.IDTokenJWSAlg},
	})
	return client, s.at("clientId", err)
}

func (s *Settings) clientAuth() (clientauth.Method, error) {
	jwt := s.ClientAuthJWT
	switch s.ClientAuthMethod {
	case "client_secret_basic":
		return clientauth.SecretBasic(s.ClientSecret), nil
	case "client_secret_jwt":
		return clientauth.SecretJWT(s.ClientSecret, clientauth.AssertionConfig{Algorithm: jwt.JWSAlg}), nil
	case "private_key_jwt":
		key, err := keystore.Load(keystore.Config{
			Path: jwt.KeyStore, Type: jwt.KeyStoreType, Alias: jwt.KeyAlias, KeyID: jwt.TokenKeyID,
			Algorithm: jwt.JWSAlg, StorePassword: password(jwt.KeyStorePassword), KeyPassword: password(jwt.KeyPassword),
		})
		if err != nil {
			return nil, s.at(clientAuthJWT+".key-store", err)
		}
		return clientauth.PrivateKeyJWT(key), nil
	}
	return clientauth.SecretPost(s.ClientSecret), nil
}

func password(secret clientauth.Secret) keystore.Password {
	if secret == "" {
		return nil
	}
	return keystore.Text(string(secret))
}

// NewAPIProvider is the issuer of the REST API's bearer tokens. Where its keys are is given,
// or found by discovery of the issuer that people log in at (the default of the document).
func (s *Settings) NewAPIProvider(env Environment) (*oidc.Provider, error) {
	a := s.AccessToken
	cfg := oidc.Config{Issuer: a.Issuer, HTTPClient: env.HTTPClient, Now: env.Now}
	var err error
	switch {
	case slices.Contains(symmetric, a.JWSAlg):
		cfg.Metadata = &discovery.Metadata{Issuer: a.Issuer}
		cfg.Keys, err = jwks.Symmetric([]byte(a.SecretKey), a.JWSAlg)
		err = s.at("access-token.secretKey", err)
	case a.KeyRetrievalURI != "":
		cfg.Metadata = &discovery.Metadata{Issuer: a.Issuer, JWKSURI: a.KeyRetrievalURI}
	case a.Issuer != s.Issuer:
		cfg.Metadata = &discovery.Metadata{Issuer: a.Issuer}
		cfg.Keys, err = s.loginKeys(env)
	}
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(cfg)
	return provider, s.at("access-token.issuer", err)
}

// loginKeys are those of the provider that people log in at.
func (s *Settings) loginKeys(env Environment) (jwks.Source, error) {
	provider, err := s.NewProvider(env)
	if err != nil {
		return nil, err
	}
	keys, err := jwks.NewRemote(jwks.RemoteConfig{
		HTTPClient: env.HTTPClient, Now: env.Now,
		Locate: func(ctx context.Context, _ bool) (string, error) {
			m, err := provider.Metadata(ctx)
			if err != nil {
				return "", err
			}
			return m.JWKSURI, nil
		},
	})
	return keys, s.at("issuer", err)
}

// NewVerifier judges the bearer tokens of the REST API. They must have a username and roles,
// and need not say that they are access tokens: providers of the document do not.
func (s *Settings) NewVerifier(api *oidc.Provider) (*oidc.AccessTokenVerifier, error) {
	verifier, err := oidc.NewAccessTokenVerifier(api, oidc.AccessTokenConfig{
		Audience: []string{s.AccessToken.Audience}, Algorithms: []string{s.AccessToken.JWSAlg},
		RequiredClaims:       []claims.Path{s.UserNameClaimName, s.RolesClaimName},
		InsecureAllowUntyped: true,
	})
	return verifier, s.at("access-token.audience", err)
}

// NewMapper finds username and roles of who has logged in. Whoever has no roles has no rights.
func (s *Settings) NewMapper() (*claims.Mapper, error) {
	mapper, err := claims.NewMapper(claims.Mapping{
		Username: claims.TextClaim{Paths: []claims.Path{s.UserNameClaimName}},
		Roles:    claims.ListClaim{Paths: []claims.Pattern{s.RolesClaimName.Pattern()}, Optional: true},
	})
	return mapper, s.at("rolesClaimName", err)
}

// fields of the library's configurations, and the settings that they are of.
var fields = [][2]string{
	{"keystore: Config.Type", "clientAuthJwt.key-store-type"}, {"Config.StorePassword", "clientAuthJwt.key-store-password"},
	{"Config.KeyPassword", "clientAuthJwt.key-password"}, {"Config.Alias", "clientAuthJwt.keyAlias"},
	{"Config.KeyID", "clientAuthJwt.tokenKeyId"}, {"SigningKeyConfig.Algorithm", "clientAuthJwt.jwsAlg"},
	{"oidc: ClientConfig.ClientSecret", "clientSecret"}, {"oidc: ClientConfig.ClientAuth", "clientSecret"},
	{"oidc: ClientConfig.ClientID", "clientId"}, {"oidc: the parameter", "additionalParameters: the parameter"},
	{"middleware: LoginConfig.CallbackPath", "redirectUri: its path"}, {"middleware: LoginConfig.PublicURL", "redirectUri"},
	{"middleware: LoginConfig.PostLogoutRedirectURL", "postLogoutRedirectUri"},
}

// Blame finds the setting that an error of the library is about, and leaves other errors alone.
func (s *Settings) Blame(err error) error {
	if s == nil {
		return err
	}
	for _, field := range fields {
		if err != nil && strings.Contains(err.Error(), field[0]) {
			return s.at("", err)
		}
	}
	return err
}

// at says which setting an error of the library is about: that of the field which its text
// names, or else the one that is given.
func (s *Settings) at(setting string, err error) error {
	var known *SettingError
	if err == nil || errors.As(err, &known) {
		return err
	}
	text, found := err.Error(), false
	for _, field := range fields {
		if name, _, _ := strings.Cut(field[1], ":"); !found && strings.Contains(text, field[0]) {
			setting, found = name, true
		}
		text = strings.ReplaceAll(text, field[0], field[1])
	}
	text = strings.TrimPrefix(text, setting+": ")
	return &SettingError{File: s.file, Line: s.lines[setting], Setting: setting, Problem: text, Err: err}
}

// PublicURL is where browsers reach the application, and CallbackPath where they come back to:
// both are in redirectUri.
func (s *Settings) PublicURL() (publicURL, callbackPath string) {
	u, err := url.Parse(s.RedirectURI)
	if err != nil {
		return "", ""
	}
	return u.Scheme + "://" + u.Host, u.Path
}

// SetLogin is how users of a web application log in.
func (s *Settings) SetLogin(c *middleware.LoginConfig, env Environment) error {
	provider, err := s.NewProvider(env)
	if err != nil {
		return err
	}
	if c.Client, err = s.NewClient(provider); err != nil {
		return err
	}
	_, c.CallbackPath = s.PublicURL()
	c.PostLogoutRedirectURL = s.PostLogoutRedirectURI
	c.Mapper, err = s.NewMapper()
	return err
}
