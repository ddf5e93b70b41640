package oidctest

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
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

// Client is a registered relying party.
type Client struct {
	// ID is the client_id. It is required and unique.
	ID string

	// Secret is the client_secret. A client without one is public.
	Secret string

	// AuthMethod is the only way in which the client may authenticate, at every
	// endpoint alike: client_secret_basic (the default with a Secret),
	// client_secret_post, client_secret_jwt, private_key_jwt (the default with JWKS
	// or JWKSURI), tls_client_auth, self_signed_tls_client_auth or none (the default
	// without all of them). The two with TLS need Config.MutualTLS.
	AuthMethod string

	// What a certificate by one of Config.ClientCAs must have for tls_client_auth
	// (RFC 8705, section 2.1.2); exactly one is set. The DN is written as in RFC 4514.
	TLSSubjectDN, TLSSANDNS, TLSSANURI, TLSSANIP, TLSSANEmail string

	// Certificates are those of self_signed_tls_client_auth, besides the ones of
	// keys in JWKS or at JWKSURI ("x5c" or "x5t#S256").
	Certificates []*x509.Certificate

	// CertificateBoundTokens binds access tokens to the certificate of the token
	// request, which must have one (RFC 8705, section 3).
	CertificateBoundTokens bool

	// JWKS is a JWK Set with the client's public keys, as JSON. Signatures are
	// checked with them and tokens are encrypted to them.
	JWKS []byte

	// JWKSURI is where the client publishes its keys instead. They are fetched
	// with Config.HTTPClient when needed, kept for 5 minutes, and fetched again for
	// a key that is not among them.
	JWKSURI string

	// AssertionAlgorithms are the JWS "alg"s the client may sign assertions with.
	// Nil is all that fit the AuthMethod.
	AssertionAlgorithms []string

	// RequireAssertionType refuses assertions whose "typ" is not
	// client-authentication+jwt (RFC 10070). Without it, it may also be JWT or
	// missing.
	RequireAssertionType bool

	// InsecureTokenEndpointAudience also accepts assertions whose audience is, or
	// has among others, the URL of the token endpoint or of the endpoint called. The
	// audience must otherwise be the issuer, as a string and not as an array.
	InsecureTokenEndpointAudience bool

	// InsecureAssertionAudiences are further audiences that are accepted, also
	// among others.
	InsecureAssertionAudiences []string

	// RedirectURIs are compared as strings. A registered http://127.0.0.1/path or
	// http://[::1]/path, without a port, stands for every port (RFC 8252,
	// section 7.3).
	RedirectURIs []string

	// PostLogoutRedirectURIs are compared like RedirectURIs.
	PostLogoutRedirectURIs []string

	// GrantTypes are those the client may use at the token endpoint. Nil is all.
	GrantTypes []string

	// RequirePushedAuthorizationRequests refuses the client's authorization requests
	// that were not pushed.
	RequirePushedAuthorizationRequests bool

	// RequireDPoP refuses the client's token requests without a DPoP proof
	// (dpop_bound_access_tokens of RFC 9449, section 5.2).
	RequireDPoP bool

	// OpaqueAccessTokens are ones that only introspection can read.
	OpaqueAccessTokens bool

	// BackchannelTokenDeliveryMode is how the client of a backchannel authentication
	// learns of its end: poll (the default) or ping, which calls the
	// BackchannelNotificationEndpoint, an https or http URL, with Config.HTTPClient.
	BackchannelTokenDeliveryMode    string
	BackchannelNotificationEndpoint string

	// IntrospectionAlgorithm is the JWS "alg" of introspection answers that the
	// client asks for as JWTs (RFC 9701). The default is Config.Algorithm.
	IntrospectionAlgorithm string

	// UserInfoAlgorithm is the JWS "alg" of userinfo answers, which are JWTs then.
	UserInfoAlgorithm string

	// These have the client's tokens and answers encrypted to the first of its keys
	// that fits: RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A192KW or
	// ECDH-ES+A256KW, with the "enc" A128CBC-HS256 (the default), A192CBC-HS384,
	// A256CBC-HS512, A128GCM, A192GCM or A256GCM. What is signed is signed first; a
	// userinfo answer need not be. Logout tokens go with ID tokens.
	IDTokenEncryptionAlgorithm, IDTokenEncryptionMethod             string
	UserInfoEncryptionAlgorithm, UserInfoEncryptionMethod           string
	IntrospectionEncryptionAlgorithm, IntrospectionEncryptionMethod string

	// Audiences are those the client may name in a token exchange. Nil is any; an
	// empty slice is none.
	Audiences []string

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

// fill sets the defaults and makes the slices the client's own.
func (c *Client) fill(algorithm string) {
	if c.AuthMethod == "" {
		switch {
		case c.Secret != "":
			c.AuthMethod = methodBasic
		case c.JWKS != nil || c.JWKSURI != "":
			c.AuthMethod = methodPrivateKeyJWT
		default:
			c.AuthMethod = methodNone
		}
	}
	if c.IDTokenAlgorithm == "" {
		c.IDTokenAlgorithm = algorithm
	}
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	c.PostLogoutRedirectURIs = slices.Clone(c.PostLogoutRedirectURIs)
	c.Scopes = slices.Clone(c.Scopes)
	c.Resources = slices.Clone(c.Resources)
	c.JWKS = slices.Clone(c.JWKS)
	c.Certificates = slices.Clone(c.Certificates)
	c.GrantTypes = slices.Clone(c.GrantTypes)
	c.Audiences = slices.Clone(c.Audiences)
	c.AssertionAlgorithms = slices.Clone(c.AssertionAlgorithms)
	c.InsecureAssertionAudiences = slices.Clone(c.InsecureAssertionAudiences)
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

// check returns errors that begin with at, the place of the client.
func (c *Client) check(at string, ids map[string]bool) error {
	if c.ID == "" || ids[c.ID] {
		return fmt.Errorf("%s.ID: %q is empty or taken", at, c.ID)
	}
	ids[c.ID] = true
	if err := c.checkAuthMethod(at); err != nil {
		return err
	}
	if err := c.checkKeys(at); err != nil {
		return err
	}
	if err := c.checkDelivery(at); err != nil {
		return err
	}
	if err := c.checkEncryption(at); err != nil {
		return err
	}
	for field, alg := range map[string]string{
		"IDTokenAlgorithm": c.IDTokenAlgorithm, "UserInfoAlgorithm": c.UserInfoAlgorithm, "IntrospectionAlgorithm": c.IntrospectionAlgorithm,
	} {
		if err := c.checkAlgorithm(alg); err != nil && alg != "" {
			return fmt.Errorf("%s.%s: %w", at, field, err)
		}
	}
	return c.checkURIs(at)
}

func (c *Client) checkAuthMethod(at string) error {
	switch c.AuthMethod {
	case methodNone:
	case methodBasic, methodPost:
		if c.Secret == "" {
			return fmt.Errorf("%s.Secret: %s needs one", at, c.AuthMethod)
		}
	case methodSecretJWT:
		// RFC 7518, section 3.2, for the shortest of the three.
		if len(c.Secret) < crypto.SHA256.Size() {
			return fmt.Errorf("%s.Secret: %s needs one of 32 bytes", at, c.AuthMethod)
		}
	case methodPrivateKeyJWT:
		if c.JWKS == nil && c.JWKSURI == "" {
			return fmt.Errorf("%s.JWKS: %s needs it, or JWKSURI", at, c.AuthMethod)
		}
	case methodTLS:
		if n := c.certificateNames(); n != 1 {
			return fmt.Errorf("%s.TLSSubjectDN: %s needs it or one TLSSAN, and there are %d", at, c.AuthMethod, n)
		}
	case methodSelfSignedTLS:
		if c.JWKS == nil && c.JWKSURI == "" && len(c.Certificates) == 0 {
			return fmt.Errorf("%s.Certificates: %s needs them, JWKS or JWKSURI", at, c.AuthMethod)
		}
	default:
		return fmt.Errorf("%s.AuthMethod: %q is not supported", at, c.AuthMethod)
	}
	return nil
}

func (c *Client) certificateNames() (n int) {
	for _, name := range []string{c.TLSSubjectDN, c.TLSSANDNS, c.TLSSANURI, c.TLSSANIP, c.TLSSANEmail} {
		if name != "" {
			n++
		}
	}
	return n
}

func (c *Client) checkDelivery(at string) error {
	switch c.BackchannelTokenDeliveryMode {
	case "", deliveryPoll:
	case deliveryPing:
		if !absoluteURI(c.BackchannelNotificationEndpoint) {
			return fmt.Errorf("%s.BackchannelNotificationEndpoint: ping needs one, an absolute URI", at)
		}
	default:
		return fmt.Errorf("%s.BackchannelTokenDeliveryMode: %q is not supported", at, c.BackchannelTokenDeliveryMode)
	}
	return nil
}

func (c *Client) checkKeys(at string) error {
	if c.JWKS != nil && c.JWKSURI != "" {
		// RFC 7591, section 2: "The "jwks_uri" and "jwks" parameters MUST NOT both be
		// present in the same request or response."
		return fmt.Errorf("%s.JWKSURI: there is a JWKS besides", at)
	}
	if c.JWKS == nil {
		return nil
	}
	if _, err := parseKeySet(c.JWKS); err != nil {
		return fmt.Errorf("%s.JWKS: %w", at, err)
	}
	return nil
}

func (c *Client) checkAlgorithm(alg string) error {
	if _, ok := algorithms[alg]; ok {
		return nil
	}
	hash, ok := hmacs[alg]
	if !ok {
		return fmt.Errorf("%q is not supported", alg)
	}
	// RFC 7518, section 3.2: "A key of the same size as the hash output [...] or
	// larger MUST be used with this algorithm."
	if len(c.Secret) < hash.Size() {
		return fmt.Errorf("%s needs a Secret of %d bytes", alg, hash.Size())
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
