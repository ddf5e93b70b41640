package oidctest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestNewRefuses(t *testing.T) {
	client := func(f func(*oidctest.Client)) func(*oidctest.Config) {
		return func(c *oidctest.Config) {
			d := oidctest.DefaultClient()
			f(&d)
			c.Clients = []oidctest.Client{d}
		}
	}
	for field, change := range map[string]func(*oidctest.Config){
		"Config.Issuer: ":                    func(c *oidctest.Config) { c.Issuer = "" },
		"Config.Issuer: \"ftp":               func(c *oidctest.Config) { c.Issuer = "ftp://op.example" },
		"Config.Issuer: \"https://op.exampl": func(c *oidctest.Config) { c.Issuer = "https://op.example?x" },
		"Config.Issuer: parse":               func(c *oidctest.Config) { c.Issuer = "https://op.example\n" },
		"Config.Algorithm":                   func(c *oidctest.Config) { c.Algorithm = "HS256" },
		"Config.CodeTTL":                     func(c *oidctest.Config) { c.CodeTTL = -time.Second },
		"Config.RefreshTokenTTL":             func(c *oidctest.Config) { c.RefreshTokenTTL = -time.Second },
		"Config.Clients[0].ID":               client(func(c *oidctest.Client) { c.ID = "" }),
		"Config.Clients[1].ID": func(c *oidctest.Config) {
			c.Clients = []oidctest.Client{oidctest.DefaultClient(), oidctest.DefaultClient()}
		},
		"Config.Clients[0].Secret":                                           client(func(c *oidctest.Client) { c.Secret = "" }),
		"Config.Clients[0].AuthMethod":                                       client(func(c *oidctest.Client) { c.AuthMethod = "password" }),
		"Config.Clients[0].IDTokenAlgorithm: \"none\"":                       client(func(c *oidctest.Client) { c.IDTokenAlgorithm = "none" }),
		"Config.Clients[0].IDTokenAlgorithm: HS256 needs":                    client(func(c *oidctest.Client) { c.IDTokenAlgorithm = "HS256"; c.Secret = "short" }),
		"Config.Clients[0].RedirectURIs[0]: \"/relative":                     client(func(c *oidctest.Client) { c.RedirectURIs = []string{"/relative"} }),
		"Config.Clients[0].RedirectURIs[0]: \"https://a#":                    client(func(c *oidctest.Client) { c.RedirectURIs = []string{"https://a#b"} }),
		"Config.Clients[0].RedirectURIs[0]: \"javascript:":                   client(func(c *oidctest.Client) { c.RedirectURIs = []string{"javascript:alert(1)"} }),
		"Config.Clients[0].Resources[0]":                                     client(func(c *oidctest.Client) { c.Resources = []string{"api"} }),
		"Config.Clients[0].Secret: client_secret_jwt":                        client(func(c *oidctest.Client) { c.AuthMethod, c.Secret = "client_secret_jwt", "short" }),
		"Config.Clients[0].JWKS: private_key_jwt":                            client(func(c *oidctest.Client) { c.AuthMethod = "private_key_jwt" }),
		"Config.Clients[0].JWKS: not a JWK Set":                              client(func(c *oidctest.Client) { c.JWKS = []byte("x") }),
		"Config.Clients[0].JWKS: key 0: not a public key":                    client(func(c *oidctest.Client) { c.JWKS = []byte(`{"keys":[{"kty":"oct","k":"AA"}]}`) }),
		"Config.Clients[0].JWKS: key 0: not a JSON object":                   client(func(c *oidctest.Client) { c.JWKS = []byte(`{"keys":["x"]}`) }),
		"Config.Clients[0].JWKSURI":                                          client(func(c *oidctest.Client) { c.JWKS, c.JWKSURI = []byte(`{"keys":[]}`), "https://client.example/jwks" }),
		"Config.Clients[0].TLSSubjectDN":                                     client(func(c *oidctest.Client) { c.AuthMethod, c.TLSSANDNS, c.TLSSANIP = "tls_client_auth", "a", "b" }),
		"Config.Clients[0].Certificates":                                     client(func(c *oidctest.Client) { c.AuthMethod = "self_signed_tls_client_auth" }),
		"Config.MutualTLS: Clients[0]":                                       client(func(c *oidctest.Client) { c.CertificateBoundTokens = true }),
		"Config.MutualTLS: the Issuer":                                       func(c *oidctest.Config) { c.MutualTLS, c.Issuer = true, "http://op.example" },
		"Config.Clients[0].BackchannelNotification":                          client(func(c *oidctest.Client) { c.BackchannelTokenDeliveryMode = "ping" }),
		"Config.Clients[0].BackchannelTokenDelivery":                         client(func(c *oidctest.Client) { c.BackchannelTokenDeliveryMode = "push" }),
		"Config.Clients[0].UserInfoAlgorithm":                                client(func(c *oidctest.Client) { c.UserInfoAlgorithm = "none" }),
		"Config.Clients[0].IntrospectionAlgorithm":                           client(func(c *oidctest.Client) { c.IntrospectionAlgorithm = "none" }),
		"Config.Clients[0].IDTokenEncryptionAlgorithm":                       client(func(c *oidctest.Client) { c.IDTokenEncryptionAlgorithm = "RSA1_5" }),
		"Config.Clients[0].UserInfoEncryptionMethod":                         client(func(c *oidctest.Client) { c.UserInfoEncryptionAlgorithm, c.UserInfoEncryptionMethod = "ECDH-ES", "x" }),
		"Config.Clients[0].IntrospectionEncryptionAlgorithm: it needs a key": client(func(c *oidctest.Client) { c.IntrospectionEncryptionAlgorithm = "ECDH-ES" }),
		"Config.TrustedIssuers[0].Issuer":                                    func(c *oidctest.Config) { c.TrustedIssuers = []oidctest.TrustedIssuer{{}} },
		"Config.TrustedIssuers[0].JWKS":                                      func(c *oidctest.Config) { c.TrustedIssuers = []oidctest.TrustedIssuer{{Issuer: "x"}} },
		"Config.PollInterval":                                                func(c *oidctest.Config) { c.PollInterval = -1 },
		"Config.Users[0].Username":                                           func(c *oidctest.Config) { c.Users = []oidctest.User{{}} },
		"Config.Users[1].Subject":                                            func(c *oidctest.Config) { c.Users = []oidctest.User{{Username: "a"}, {Username: "b", Subject: "a"}} },
	} {
		t.Run(field, func(t *testing.T) {
			cfg := oidctest.Config{Issuer: issuer}
			change(&cfg)
			_, err := oidctest.New(cfg)
			// Naming the field is the promise here, and so the text is what is tested.
			require.ErrorContains(t, err, field)
		})
	}
}

func TestConfigIsCopied(t *testing.T) {
	cfg := oidctest.Config{
		Issuer: issuer, Algorithm: "ES256",
		Clients: []oidctest.Client{oidctest.DefaultClient()},
		Users:   oidctest.DefaultUsers(),
	}
	p, err := oidctest.New(cfg)
	require.NoError(t, err)
	cfg.Clients[0].RedirectURIs[0] = "https://evil.example/"
	cfg.Users[0].Claims["realm_access"].(map[string]any)["roles"] = []string{"root"}

	_, claims := decode(t, tokens(t, p).str("id_token"))
	require.Equal(t, map[string]any{"roles": []any{"admin", "user"}}, claims["realm_access"])
}

func TestListenFailsOnConfig(t *testing.T) {
	_, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{Algorithm: "none"})
	require.ErrorContains(t, err, "Config.Algorithm")
	_, err = oidctest.Listen("not an address", oidctest.Config{})
	require.Error(t, err)
}
