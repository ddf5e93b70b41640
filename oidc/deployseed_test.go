package oidc_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	javastore "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// What the Deploy document writes in its clientAuthJwt.
const (
	storePassword = "password"
	keyPassword   = "mykeyAliasPassword"
	tokenKeyID    = "mykey"
)

// deployKeys are the private keys of the key store: of one alias each.
var deployKeys = map[string]func() (crypto.Signer, error){
	"rsa":  func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	"p256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"p384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	"p521": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
}

// deployStore writes a Java key store with passwords for the store and for each key, and
// returns the public keys.
func deployStore(t *testing.T) (path string, public map[string]crypto.PublicKey) {
	t.Helper()
	store := javastore.New()
	public = map[string]crypto.PublicKey{}
	for alias, generate := range deployKeys {
		key, err := generate()
		require.NoError(t, err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: alias}, NotAfter: time.Now().Add(time.Hour)}
		certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		require.NoError(t, err)
		require.NoError(t, store.SetPrivateKeyEntry(alias, javastore.PrivateKeyEntry{
			CreationTime: start, PrivateKey: private,
			CertificateChain: []javastore.Certificate{{Type: "X509", Content: certificate}},
		}, []byte(keyPassword)))
		public[alias] = key.Public()
	}
	var b bytes.Buffer
	require.NoError(t, store.Store(&b, []byte(storePassword)))
	path = filepath.Join(t.TempDir(), "deploy.jks")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path, public
}

// The client authentication of the Deploy document: 4 methods, with 3 and 9 algorithms and
// their defaults, a key store with its password, the key's password and alias, and tokenKeyId.
func TestDeploy_ClientAuthentication(t *testing.T) {
	t.Parallel()
	path, public := deployStore(t)
	_, others := deployStore(t)
	for _, row := range []struct {
		method string
		jwsAlg string // of clientAuthJwt; empty is the default of the document
		alg    string // that the provider has registered
		alias  string
	}{
		{method: "client_secret_basic"},
		{method: "client_secret_post"},
		{method: "client_secret_jwt", jwsAlg: "", alg: "HS256"},
		{method: "client_secret_jwt", jwsAlg: "HS256", alg: "HS256"},
		{method: "client_secret_jwt", jwsAlg: "HS384", alg: "HS384"},
		{method: "client_secret_jwt", jwsAlg: "HS512", alg: "HS512"},
		{method: "private_key_jwt", jwsAlg: "", alg: "RS256", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "RS256", alg: "RS256", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "RS384", alg: "RS384", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "RS512", alg: "RS512", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "ES256", alg: "ES256", alias: "p256"},
		{method: "private_key_jwt", jwsAlg: "ES384", alg: "ES384", alias: "p384"},
		{method: "private_key_jwt", jwsAlg: "ES512", alg: "ES512", alias: "p521"},
		{method: "private_key_jwt", jwsAlg: "PS256", alg: "PS256", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "PS384", alg: "PS384", alias: "rsa"},
		{method: "private_key_jwt", jwsAlg: "PS512", alg: "PS512", alias: "rsa"},
	} {
		t.Run(row.method+" "+row.jwsAlg, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, func(cfg *oidctest.Config) {
				registered := &cfg.Clients[0]
				registered.AuthMethod = row.method
				if row.alg != "" {
					registered.AssertionAlgorithms = []string{row.alg}
				}
				if row.method == "private_key_jwt" {
					registered.Secret = ""
					registered.JWKS = registeredKeys(t, public[row.alias], row.alg, others)
				}
			})
			client := newClient(t, newProvider(t, op), func(cfg *oidc.ClientConfig) {
				cfg.ClientSecret = ""
				cfg.ClientAuth = deployMethod(t, row.method, row.jwsAlg, path, row.alias, op.Now)
			})
			mustLogin(t, op, client)
		})
	}
}

// registeredKeys has two keys that fit, so that an assertion needs its tokenKeyId.
func registeredKeys(t *testing.T, public crypto.PublicKey, alg string, others map[string]crypto.PublicKey) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: tokenKeyID}}}
	for alias, key := range others {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: "other-" + alias})
	}
	require.True(t, fitsAny(alg, set.Keys[1:]))
	text, err := json.Marshal(set)
	require.NoError(t, err)
	return text
}

func fitsAny(alg string, keys []jose.JSONWebKey) bool {
	for _, k := range keys {
		if _, err := jwks.NewKey(k.Key, "", alg); err == nil {
			return true
		}
	}
	return false
}

func deployMethod(t *testing.T, method, alg, path, alias string, now func() time.Time) clientauth.Method {
	t.Helper()
	switch method {
	case "client_secret_basic":
		return clientauth.SecretBasic(clientauth.Secret(secret))
	case "client_secret_post":
		return clientauth.SecretPost(clientauth.Secret(secret))
	case "client_secret_jwt":
		return clientauth.SecretJWT(clientauth.Secret(secret), clientauth.AssertionConfig{Algorithm: alg, Now: now})
	}
	key, err := keystore.Load(keystore.Config{
		Path: path, Type: "jks", StorePassword: keystore.Text(storePassword), KeyPassword: keystore.Text(keyPassword),
		Alias: alias, Algorithm: alg, KeyID: tokenKeyID,
	})
	require.NoError(t, err)
	return clientauth.PrivateKeyJWT(key, clientauth.AssertionConfig{Now: now})
}
