package oidctest

import (
	"fmt"
	"maps"
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

	// Users are those who can log in. The default, for nil, is DefaultUsers.
	Users []User

	// Algorithm is the JWS "alg" of ID tokens and access tokens: RS256, RS384,
	// RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA. The default is
	// RS256.
	Algorithm string

	CodeTTL         time.Duration // how long an authorization code lives; default 1 minute
	IDTokenTTL      time.Duration // default 5 minutes
	AccessTokenTTL  time.Duration // default 5 minutes
	RefreshTokenTTL time.Duration // counted anew from every rotation; default 24 hours
}

// Client is a registered relying party.
type Client struct {
	// ID is the client_id. It is required and unique.
	ID string

	// Secret is the client_secret. A client without one is public.
	Secret string

	// AuthMethod is the only way in which the client may authenticate:
	// client_secret_basic (the default with a Secret), client_secret_post or
	// none (the default without).
	AuthMethod string

	// RedirectURIs are compared as strings. A registered http://127.0.0.1/path or
	// http://[::1]/path, without a port, stands for every port (RFC 8252,
	// section 7.3).
	RedirectURIs []string

	// PostLogoutRedirectURIs are compared like RedirectURIs.
	PostLogoutRedirectURIs []string

	// IDTokenAlgorithm is the JWS "alg" of the client's ID tokens. The default is
	// Config.Algorithm. HS256, HS384 and HS512 sign with the Secret, which must be
	// as long as the hash (RFC 7518, section 3.2).
	IDTokenAlgorithm string

	// Scopes are those the client may ask for. Nil is any; an empty slice is none.
	Scopes []string

	// Resources are those the client may ask for (RFC 8707). Nil is every absolute
	// URI; an empty slice is none.
	Resources []string
}

// User is somebody who can log in.
type User struct {
	Username string // required and unique
	Password string // as typed; empty means that an empty password is the right one
	Subject  string // the "sub" claim, unique; default Username

	Name          string // the "name" claim, for the scope "profile"
	Email         string // the "email" claim, for the scope "email"
	EmailVerified bool   // the "email_verified" claim, beside Email

	// Claims are further claims. They go, nested as they are and whatever the
	// scope, into ID tokens, access tokens and userinfo. They do not replace a
	// claim the provider makes itself; [Provider.OnIDToken] and its sisters do.
	Claims map[string]any
}

// The credentials of DefaultClient. The secret has the 64 bytes that HS512 needs.
const (
	ClientID     = "client"
	ClientSecret = "a-client-secret-of-the-oidctest-provider-that-is-long-enough-for-HS512"
)

// DefaultClient returns the client a provider has when Config names none:
// confidential, with [ClientID] and [ClientSecret] sent by HTTP Basic,
// redirected to https://client.example/callback or to /callback on any port of
// 127.0.0.1, and after logout to / of the same two.
func DefaultClient() Client {
	return Client{
		ID:                     ClientID,
		Secret:                 ClientSecret,
		AuthMethod:             methodBasic,
		RedirectURIs:           []string{"https://client.example/callback", "http://127.0.0.1/callback"},
		PostLogoutRedirectURIs: []string{"https://client.example/", "http://127.0.0.1/"},
	}
}

// DefaultUsers returns the users a provider has when Config names none: alice
// (password "wonderland"), who has the roles admin and user, and bob (password
// "builder"), who is only a user and whose email is not verified. Their roles
// stand at realm_access.roles and at resource_access.client.roles and
// resource_access.api.roles, as Keycloak writes them, and in a claim with the name
// https://example.com/roles; groups and preferred_username are there too.
func DefaultUsers() []User {
	return []User{
		{
			Username: "alice", Password: "wonderland", Subject: "248289761001",
			Name: "Alice Adams", Email: "alice@example.com", EmailVerified: true,
			Claims: roleClaims("alice", []string{"engineering", "admins"}, "admin", "user"),
		},
		{
			Username: "bob", Password: "builder", Subject: "248289761002",
			Name: "Bob Baker", Email: "bob@example.com",
			Claims: roleClaims("bob", []string{"engineering"}, "user"),
		},
	}
}

// roleClaims spells the same roles the way Keycloak does (realm_access,
// resource_access) and the way of namespaced claims.
func roleClaims(username string, groups []string, roles ...string) map[string]any {
	in := func() map[string]any { return map[string]any{"roles": slices.Clone(roles)} }
	return map[string]any{
		"preferred_username":        username,
		"groups":                    groups,
		"realm_access":              in(),
		"resource_access":           map[string]any{"client": in(), "api": in()},
		"https://example.com/roles": slices.Clone(roles),
	}
}

// withDefaults returns a copy that shares nothing with c and has no defaults
// left to fill, except for the Issuer.
func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
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
	orDefault(&c.CodeTTL, time.Minute)
	orDefault(&c.IDTokenTTL, 5*time.Minute)
	orDefault(&c.AccessTokenTTL, 5*time.Minute)
	orDefault(&c.RefreshTokenTTL, 24*time.Hour)

	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		c.Clients[i].fill(c.Algorithm)
	}
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

// fill sets the defaults and makes the slices the client's own.
func (c *Client) fill(algorithm string) {
	if c.AuthMethod == "" {
		c.AuthMethod = methodNone
		if c.Secret != "" {
			c.AuthMethod = methodBasic
		}
	}
	if c.IDTokenAlgorithm == "" {
		c.IDTokenAlgorithm = algorithm
	}
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	c.PostLogoutRedirectURIs = slices.Clone(c.PostLogoutRedirectURIs)
	c.Scopes = slices.Clone(c.Scopes)
	c.Resources = slices.Clone(c.Resources)
}

func (u User) withDefaults() User {
	if u.Subject == "" {
		u.Subject = u.Username
	}
	u.Claims = cloneClaims(u.Claims)
	return u
}

// cloneClaims copies the containers JSON knows, so that a hook which changes a
// token does not change the user. Values of other types are shared.
func cloneClaims(m map[string]any) map[string]any {
	c := maps.Clone(m)
	for name, v := range c {
		c[name] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneClaims(v)
	case []string:
		return slices.Clone(v)
	case []any:
		c := slices.Clone(v)
		for i := range c {
			c[i] = cloneValue(c[i])
		}
		return c
	}
	return v
}

// check is called on a config with defaults.
func (c Config) check() error {
	if err := checkIssuer(c.Issuer); err != nil {
		return fmt.Errorf("oidctest: Config.Issuer: %w", err)
	}
	if _, ok := algorithms[c.Algorithm]; !ok {
		return fmt.Errorf("oidctest: Config.Algorithm: %q is not supported", c.Algorithm)
	}
	if err := c.checkTTLs(); err != nil {
		return err
	}
	ids := map[string]bool{}
	for i := range c.Clients {
		if err := c.Clients[i].check(fmt.Sprintf("oidctest: Config.Clients[%d]", i), ids); err != nil {
			return err
		}
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
		"CodeTTL": c.CodeTTL, "IDTokenTTL": c.IDTokenTTL,
		"AccessTokenTTL": c.AccessTokenTTL, "RefreshTokenTTL": c.RefreshTokenTTL,
	} {
		if ttl < 0 {
			return fmt.Errorf("oidctest: Config.%s: %v is negative", name, ttl)
		}
	}
	return nil
}

// check returns errors that begin with at, the place of the client.
func (c *Client) check(at string, ids map[string]bool) error {
	if c.ID == "" || ids[c.ID] {
		return fmt.Errorf("%s.ID: %q is empty or taken", at, c.ID)
	}
	ids[c.ID] = true
	switch c.AuthMethod {
	case methodNone:
	case methodBasic, methodPost:
		if c.Secret == "" {
			return fmt.Errorf("%s.Secret: %s needs one", at, c.AuthMethod)
		}
	default:
		return fmt.Errorf("%s.AuthMethod: %q is not supported", at, c.AuthMethod)
	}
	if err := c.checkAlgorithm(); err != nil {
		return fmt.Errorf("%s.IDTokenAlgorithm: %w", at, err)
	}
	return c.checkURIs(at)
}

func (c *Client) checkAlgorithm() error {
	if _, ok := algorithms[c.IDTokenAlgorithm]; ok {
		return nil
	}
	hash, ok := hmacs[c.IDTokenAlgorithm]
	if !ok {
		return fmt.Errorf("%q is not supported", c.IDTokenAlgorithm)
	}
	// RFC 7518, section 3.2: "A key of the same size as the hash output [...] or
	// larger MUST be used with this algorithm."
	if len(c.Secret) < hash.Size() {
		return fmt.Errorf("%s needs a Secret of %d bytes", c.IDTokenAlgorithm, hash.Size())
	}
	return nil
}

func (c *Client) checkURIs(at string) error {
	for field, uris := range map[string][]string{
		"RedirectURIs":           c.RedirectURIs,
		"PostLogoutRedirectURIs": c.PostLogoutRedirectURIs,
		"Resources":              c.Resources,
	} {
		for i, uri := range uris {
			if !absoluteURI(uri) {
				return fmt.Errorf("%s.%s[%d]: %q is not an absolute URI without a fragment", at, field, i, uri)
			}
		}
	}
	return nil
}

// absoluteURI also refuses the schemes that a browser would run as a script.
func absoluteURI(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || strings.Contains(s, "#") {
		return false
	}
	return u.Scheme != "javascript" && u.Scheme != "data" && u.Scheme != "vbscript"
}

func (u User) check(at string, names, subjects map[string]bool) error {
	if u.Username == "" || names[u.Username] {
		return fmt.Errorf("%s.Username: %q is empty or taken", at, u.Username)
	}
	if subjects[u.Subject] {
		return fmt.Errorf("%s.Subject: %q is taken", at, u.Subject)
	}
	names[u.Username], subjects[u.Subject] = true, true
	return nil
}
