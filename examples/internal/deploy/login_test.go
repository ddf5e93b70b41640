package deploy_test

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// stores are the key stores of package keystore.
const stores = "../../../jwks/keystore/testdata/stores"

var algorithms = []string{
	"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "HS256", "HS384", "HS512",
}

func TestIDTokenJWSAlg(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(c *oidctest.Client) { c.IDTokenAlgorithm = alg })
			_, err := newRig(t, p, "idTokenJWSAlg: "+alg).login(t, p)
			require.NoError(t, err)
			_, err = newRig(t, p).login(t, p)
			if alg == "RS256" {
				require.NoError(t, err, "it is the default")
				return
			}
			refused(t, err, oidc.ReasonAlgorithm)
		})
	}
}

func refused(t *testing.T, err error, reason oidc.Reason) {
	t.Helper()
	var e *oidc.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, reason, e.Reason, "%v", err)
}

// The MAC of an ID token is keyed by clientSecret.
func TestIDTokenJWSAlg_KeyedByClientSecret(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *oidctest.Client) {
		c.IDTokenAlgorithm, c.AuthMethod, c.JWKS = "HS256", "private_key_jwt", publicKeys(t, "rsa-pkcs8.pem", "RS256")
	})
	key := []string{"idTokenJWSAlg: HS256", "clientAuthMethod: private_key_jwt", "clientAuthJwt: {key-store: rsa-pkcs8.pem}"}
	_, err := newRig(t, p, key...).login(t, p)
	require.NoError(t, err)
	_, err = newRig(t, p, append(key, "clientSecret: another-secret-that-is-long-enough-for-HS256")...).login(t, p)
	refused(t, err, oidc.ReasonSignature)
}

func TestClientAuthMethod(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(c *oidctest.Client) {
				if c.AuthMethod = method; method == "private_key_jwt" {
					c.JWKS = publicKeys(t, "rsa-pkcs8.pem", "RS256")
				}
			})
			changes := []string{"clientAuthMethod: " + method}
			if method == "private_key_jwt" {
				changes = append(changes, "clientAuthJwt:\n  key-store: rsa-pkcs8.pem")
			}
			_, err := newRig(t, p, changes...).login(t, p)
			require.NoError(t, err)
			_, err = newRig(t, p).login(t, p)
			require.Equal(t, method == "client_secret_post", err == nil, "it is the default: %v", err)
			_, err = newRig(t, p, append(changes, "clientSecret: another-secret-that-is-long-enough-for-HS256", "clientId: client")...).login(t, p)
			require.Equal(t, method == "private_key_jwt", err == nil, "%v", err)
		})
	}
}

// publicKeys is the JWK Set that a provider has of a key store without passwords.
func publicKeys(t *testing.T, file, alg string) []byte {
	t.Helper()
	return publicKeysOf(t, keystore.Config{Path: filepath.Join(stores, file), Algorithm: alg})
}

func publicKeysOf(t *testing.T, cfg keystore.Config) []byte {
	t.Helper()
	store, err := keystore.Load(cfg)
	require.NoError(t, err)
	set, err := jwks.PublicSet(t.Context(), store)
	require.NoError(t, err)
	return set
}

func TestClientAuthJWT_JWSAlg(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"RS": "rsa-pkcs8.pem", "PS": "rsa-pkcs8.pem", "ES256": "ec-pkcs8.pem", "ES384": "ec384-sec1.pem", "ES512": "ec521-pkcs8.pem"}
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			file := keys[alg]
			if file == "" {
				file = keys[alg[:2]]
			}
			method, key := "client_secret_jwt", ""
			if file != "" {
				method, key = "private_key_jwt", ", key-store: "+file
			}
			p := start(t, func(c *oidctest.Client) {
				c.AuthMethod, c.AssertionAlgorithms = method, []string{alg}
				if file != "" {
					c.JWKS = publicKeys(t, file, alg)
				}
			})
			_, err := newRig(t, p, "clientAuthMethod: "+method, "clientAuthJwt: {jwsAlg: "+alg+key+"}").login(t, p)
			require.NoError(t, err)
			if alg == "HS256" || alg == "RS256" { // the defaults
				_, err := newRig(t, p, "clientAuthMethod: "+method, "clientAuthJwt: {"+strings.TrimPrefix(key, ", ")+"}").login(t, p)
				require.NoError(t, err)
			}
		})
	}
}

func TestClientAuthJWT_KeyStores(t *testing.T) {
	t.Parallel()
	store, key := keystore.Text("store-password"), keystore.Text("key-password")
	for name, tt := range map[string]struct {
		section string
		file    string
		cfg     keystore.Config
	}{
		"JKS": {
			"{keyStore: keytool.jks, keyStoreType: jks, keyStorePassword: store-password, keyPassword: key-password, keyAlias: rsa}",
			"keytool.jks", keystore.Config{StorePassword: store, KeyPassword: key, Alias: "rsa"},
		},
		"JKS, another alias": {
			"{key-store: keytool.jks, key-store-password: store-password, key-password: key-password, key-alias: ec, jwsAlg: ES256}",
			"keytool.jks", keystore.Config{StorePassword: store, KeyPassword: key, Alias: "ec"},
		},
		"JKS, one password": {
			"{key-store: keytool-chain.jks, key-store-password: store-password}",
			"keytool-chain.jks", keystore.Config{StorePassword: store},
		},
		"PKCS#12": {
			"{key_store: openssl-chain.p12, key_store_type: PKCS12, key_store_password: store-password, key_alias: client}",
			"openssl-chain.p12", keystore.Config{StorePassword: store},
		},
		"PEM":           {"{key-store: rsa-pkcs8.pem}", "rsa-pkcs8.pem", keystore.Config{}},
		"encrypted PEM": {"{key-store: enc-default.pem, key-password: key-password}", "enc-default.pem", keystore.Config{KeyPassword: key}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Path = filepath.Join(stores, tt.file)
			p := start(t, func(c *oidctest.Client) { c.AuthMethod, c.JWKS = "private_key_jwt", publicKeysOf(t, tt.cfg) })
			_, err := newRig(t, p, "clientAuthMethod: private_key_jwt", "clientAuthJwt: "+tt.section).login(t, p)
			require.NoError(t, err)
		})
	}
}

func TestClientAuthJWT_TokenKeyID(t *testing.T) {
	t.Parallel()
	absolute, err := filepath.Abs(filepath.Join(stores, "rsa-pkcs8.pem"))
	require.NoError(t, err)
	for section, want := range map[string]string{
		"{key-store: " + absolute + "}":                 `{"alg":"RS256","typ":"client-authentication+jwt"}`,
		"{key-store: rsa-pkcs8.pem, tokenKeyId: mykey}": `{"alg":"RS256","kid":"mykey","typ":"client-authentication+jwt"}`,
	} {
		keys := keystore.Config{Path: absolute}
		if strings.Contains(section, "mykey") {
			keys.KeyID = "mykey"
		}
		p := start(t, func(c *oidctest.Client) { c.AuthMethod, c.JWKS = "private_key_jwt", publicKeysOf(t, keys) })
		var mu sync.Mutex
		var header string
		p.OnRequest(func(e oidctest.Endpoint, r *http.Request) {
			if e != oidctest.Token {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			first, _, _ := strings.Cut(r.PostFormValue("client_assertion"), ".")
			text, _ := base64.RawURLEncoding.DecodeString(first)
			header = string(text)
		})
		_, err := newRig(t, p, "clientAuthMethod: private_key_jwt", "clientAuthJwt: "+section).login(t, p)
		require.NoError(t, err)
		mu.Lock()
		require.JSONEq(t, want, header)
		mu.Unlock()
	}
}

// Each address overrides what discovery finds.
func TestOverrides(t *testing.T) {
	t.Parallel()
	const nowhere = "http://127.0.0.1:1/nowhere"
	for name, tt := range map[string]struct {
		path string
		// broken reports whether a login fails if nothing is at the address.
		broken func(t *testing.T, r *rig, p *oidctest.Provider) bool
	}{
		"keyRetrievalUri": {"/jwks", func(t *testing.T, r *rig, p *oidctest.Provider) bool {
			_, err := r.login(t, p)
			return unavailable(t, err)
		}},
		"accessTokenUri": {"/token", func(t *testing.T, r *rig, p *oidctest.Provider) bool {
			_, err := r.login(t, p)
			return unavailable(t, err)
		}},
		"userAuthorizationUri": {"/authorize", func(t *testing.T, r *rig, _ *oidctest.Provider) bool {
			flow, err := r.client.Begin(t.Context())
			require.NoError(t, err)
			return strings.HasPrefix(flow.AuthorizationURL, nowhere)
		}},
		"logoutUri": {"/end-session", func(t *testing.T, r *rig, p *oidctest.Provider) bool {
			tokens, err := r.login(t, p)
			require.NoError(t, err)
			to, err := r.client.LogoutURL(t.Context(), oidc.Logout{IDToken: tokens.IDToken, PostLogoutRedirectURL: redirectURI})
			require.NoError(t, err)
			return strings.HasPrefix(to, nowhere)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			elsewhere := front(t, p, tt.path)
			require.False(t, tt.broken(t, newRig(t, p), p))
			require.False(t, tt.broken(t, newRig(t, p, name+": "+elsewhere), p))
			require.True(t, tt.broken(t, newRig(t, p, name+": "+nowhere), p))
		})
	}
}

func unavailable(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
	}
	return err != nil
}

// All of them together work without discovery, for logins, logouts and the REST API.
func TestOverrides_AllWithoutDiscovery(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500})
	all := []string{
		"keyRetrievalUri: " + p.Issuer() + "/jwks", "accessTokenUri: " + p.Issuer() + "/token",
		"userAuthorizationUri: " + p.Issuer() + "/authorize", "logoutUri: " + p.Issuer() + "/end-session",
	}
	r := newRig(t, p, all...)
	tokens, err := r.login(t, p)
	require.NoError(t, err)
	to, err := r.client.LogoutURL(t.Context(), oidc.Logout{IDToken: tokens.IDToken})
	require.NoError(t, err)
	require.Contains(t, to, p.Issuer()+"/end-session?")
	require.NoError(t, verify(t, p, p.AccessToken("alice", oidctest.ClientID), all...))
	table, err := check(t.Context(), p, parse(t, needed(p).file(all...)))
	require.NoError(t, err, table)
	require.Contains(t, table, "not discovered")
	require.Zero(t, p.Requests(oidctest.Discovery))

	for i := range all {
		three := append(append([]string{}, all[:i]...), all[i+1:]...)
		_, err := newRig(t, p, three...).client.Begin(t.Context())
		require.ErrorIs(t, err, oidckit.ErrUnavailable, "the fourth has to be found")
	}
}

func TestAuthorizationRequest(t *testing.T) {
	t.Parallel()
	p := start(t)
	r := newRig(t, p)
	_, err := r.login(t, p)
	require.NoError(t, err)
	require.Equal(t, []string{"openid profile email"}, r.asked["scope"])
	require.Equal(t, []string{redirectURI}, r.asked["redirect_uri"])
	require.NotContains(t, r.asked, "param1")
	for text, want := range map[string]string{
		"scopes: [profile, groups]":         "openid profile groups",
		"scopes:\n  - openid\n  - profile":  "openid profile",
		"scopes: openid profile":            "openid profile",
		`scopes: "openid, offline_access"`:  "openid offline_access",
		"scopes:":                           "openid profile email",
		"additionalParameters: {param2: x}": "openid profile email",
	} {
		r := newRig(t, p, text)
		_, err := r.login(t, p)
		require.NoError(t, err)
		require.Equal(t, []string{want}, r.asked["scope"], text)
	}
	r = newRig(t, p, "additionalParameters:\n  param1: false\n  param2: \"str\"\n  param3: 007")
	_, err = r.login(t, p)
	require.NoError(t, err)
	require.Equal(t, []string{"false"}, r.asked["param1"])
	require.Equal(t, []string{"str"}, r.asked["param2"])
	require.Equal(t, []string{"007"}, r.asked["param3"])
}

func TestClaimNames(t *testing.T) {
	t.Parallel()
	p := start(t)
	both := []string{"admin", "user"}
	for text, want := range map[string][]string{
		`rolesClaimName: realm_access.roles`:           both,
		`rolesClaimName: 'realm_access.roles'`:         both,
		`rolesClaimName: "realm_access.roles"`:         both,
		`rolesClaimName: resource_access.client.roles`: both,
		`rolesClaimName: groups`:                       {"engineering", "admins"},
		// Two names, of which there is none.
		`rolesClaimName: https://example.com/roles`: nil,
		// The document writes two backslashes in the text, as YAML has them in double quotes.
		`rolesClaimName: https://example\.com/roles`:    both,
		`rolesClaimName: https://example\\.com/roles`:   both,
		`rolesClaimName: 'https://example\.com/roles'`:  both,
		`rolesClaimName: 'https://example\\.com/roles'`: both,
		`rolesClaimName: "https://example\\.com/roles"`: both,
		`rolesClaimName: realm_access\\.roles`:          nil,
		`rolesClaimName: "/realm_access/roles"`:         both,
		`rolesClaimName: nowhere`:                       nil,
	} {
		id, err := newRig(t, p, text).identity(t, p)
		require.NoError(t, err, text)
		require.Equal(t, want, id.Roles, text)
		require.Equal(t, "alice", id.Username)
	}
	for text, want := range map[string]string{
		"userNameClaimName: email": "alice@example.com", "userNameClaimName: sub": "248289761001", "userNameClaimName: name": "Alice Adams",
	} {
		id, err := newRig(t, p, text).identity(t, p)
		require.NoError(t, err)
		require.Equal(t, want, id.Username)
	}
	_, err := newRig(t, p, "userNameClaimName: nowhere").identity(t, p)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken)
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	p := start(t)
	publicURL, callback := parse(t, needed(p).file()).PublicURL()
	require.Equal(t, "https://xl-deploy.example.com", publicURL)
	require.Equal(t, "/login/external-login", callback)
	publicURL, callback = parse(t, needed(p).file("redirectUri: http://127.0.0.1:4516/deploy/login/external-login")).PublicURL()
	require.Equal(t, "http://127.0.0.1:4516", publicURL)
	require.Equal(t, "/deploy/login/external-login", callback)
}
