package oidctest

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

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
