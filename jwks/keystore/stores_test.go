package keystore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const (
	storePassword = "store-password"
	keyPassword   = "key-password"
)

// committed are stores that testdata/make.sh has made. They are read on every machine.
const committed = "testdata/stores"

// fresh makes the stores of this run once, for all tests.
var fresh = sync.OnceValues(func() (directory string, err error) {
	directory, err = os.MkdirTemp("", "stores")
	if err != nil {
		return "", err
	}
	output, err := exec.Command("sh", "testdata/make.sh", directory).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, output)
	}
	made = directory
	return directory, err
})

var made string

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		_ = os.RemoveAll(made)
	}
	os.Exit(code)
}

// stores returns the directories to test with: the committed one always, and one that
// the tools of this machine make now, if it has them.
func stores(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"committed": committed}
	for _, tool := range []string{"sh", "openssl", "keytool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("no fresh stores: %v", err)
			return all
		}
	}
	if testing.Short() {
		return all
	}
	directory, err := fresh()
	require.NoError(t, err)
	all["fresh"] = directory
	return all
}

// A good store is one that can be read.
type good struct {
	file  string
	cfg   keystore.Config
	alg   string
	same  string // another file with the same key
	chain []string
}

var withStore, withKey = keystore.Text(storePassword), keystore.Text(keyPassword)

var goodStores = map[string]good{
	"PKCS#1":                   {file: "rsa-pkcs1.pem", alg: "RS256", same: "rsa-pkcs8.pem"},
	"PKCS#8, RSA":              {file: "rsa-pkcs8.pem", alg: "RS256", same: "rsa-pkcs1.pem"},
	"PKCS#8, RSA, PS384":       {file: "rsa-pkcs8.pem", cfg: keystore.Config{Algorithm: "PS384"}, alg: "PS384"},
	"SEC 1":                    {file: "ec-sec1.pem", alg: "ES256", same: "ec-pkcs8.pem"},
	"SEC 1, P-384":             {file: "ec384-sec1.pem", alg: "ES384"},
	"PKCS#8, P-256":            {file: "ec-pkcs8.pem", alg: "ES256", same: "ec-sec1.pem"},
	"PKCS#8, P-521":            {file: "ec521-pkcs8.pem", alg: "ES512"},
	"PKCS#8, Ed25519":          {file: "ed25519-pkcs8.pem", alg: "EdDSA"},
	"named type":               {file: "ec-pkcs8.pem", cfg: keystore.Config{Type: "pem"}, alg: "ES256"},
	"encrypted, default":       {file: "enc-default.pem", cfg: keystore.Config{KeyPassword: withKey}, alg: "RS256", same: "rsa-pkcs1.pem"},
	"encrypted, StorePassword": {file: "enc-default.pem", cfg: keystore.Config{StorePassword: withKey}, alg: "RS256", same: "rsa-pkcs1.pem"},
	"encrypted, AES-128":       {file: "enc-aes128.pem", cfg: keystore.Config{KeyPassword: withKey}, alg: "ES256", same: "ec-sec1.pem"},
	"encrypted, AES-192":       {file: "enc-aes192-sha384.pem", cfg: keystore.Config{KeyPassword: withKey}, alg: "ES256", same: "ec-sec1.pem"},
	"encrypted, AES-256":       {file: "enc-aes256-sha512.pem", cfg: keystore.Config{KeyPassword: withKey}, alg: "EdDSA", same: "ed25519-pkcs8.pem"},
	"encrypted, Triple DES":    {file: "enc-des3-sha1.pem", cfg: keystore.Config{KeyPassword: withKey}, alg: "RS256", same: "rsa-pkcs1.pem"},
	"with certificates":        {file: "chain.pem", alg: "RS256", same: "rsa-pkcs1.pem", chain: []string{"rsa", "middle", "root"}},

	"openssl, chain":         {file: "openssl-chain.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "RS256", same: "rsa-pkcs8.pem", chain: []string{"rsa", "middle", "root"}},
	"openssl, alias":         {file: "openssl-chain.p12", cfg: keystore.Config{StorePassword: withStore, Alias: "client"}, alg: "RS256", chain: []string{"rsa", "middle", "root"}},
	"openssl, same password": {file: "openssl-chain.p12", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withStore, Type: "PKCS12"}, alg: "RS256", chain: []string{"rsa", "middle", "root"}},
	"openssl, leaf":          {file: "openssl-leaf.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "ES256", same: "ec-sec1.pem", chain: []string{"ec"}},
	"openssl, Ed25519":       {file: "openssl-ed25519.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "EdDSA", same: "ed25519-pkcs8.pem", chain: []string{"ed25519", "middle", "root"}},
	"openssl, legacy":        {file: "openssl-legacy.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "RS256", same: "rsa-pkcs8.pem", chain: []string{"rsa", "middle", "root"}},
	"openssl, plain":         {file: "openssl-plain.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "ES256", same: "ec-sec1.pem", chain: []string{"ec"}},
	"keytool, legacy":        {file: "keytool-legacy.p12", cfg: keystore.Config{StorePassword: withStore}, alg: "RS256", same: "rsa-pkcs8.pem", chain: []string{"rsa", "middle", "root"}},

	"keytool PKCS12, RSA":     {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore, Alias: "rsa"}, alg: "RS256", chain: []string{"rsa"}},
	"keytool PKCS12, EC":      {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore, Alias: "ec"}, alg: "ES256", chain: []string{"ec"}},
	"keytool PKCS12, Ed25519": {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore, Alias: "ED"}, alg: "EdDSA", chain: []string{"ed"}},

	"keytool JKS, RSA":     {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withKey, Alias: "rsa"}, alg: "RS256", chain: []string{"rsa"}},
	"keytool JKS, EC":      {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withKey, Alias: "Ec", Type: "jks"}, alg: "ES256", chain: []string{"ec"}},
	"keytool JKS, Ed25519": {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withKey, Alias: "ed"}, alg: "EdDSA", chain: []string{"ed"}},
	"keytool JKS, chain":   {file: "keytool-chain.jks", cfg: keystore.Config{StorePassword: withStore}, alg: "RS256", same: "rsa-pkcs8.pem", chain: []string{"rsa", "middle", "root"}},
}

func TestLoad_Stores(t *testing.T) {
	t.Parallel()
	for where, directory := range stores(t) {
		for name, tt := range goodStores {
			t.Run(where+"/"+name, func(t *testing.T) {
				t.Parallel()
				cfg := tt.cfg
				cfg.Path, cfg.KeyID = filepath.Join(directory, tt.file), "k"
				f, err := keystore.Load(cfg)
				require.NoError(t, err)
				require.Equal(t, tt.alg, f.Key().Algorithm())
				token, err := f.SignJWT(t.Context(), "JWT", []byte(`{"sub":"s"}`))
				require.NoError(t, err)

				var names []string
				for _, c := range f.Key().Certificates() {
					names = append(names, c.Subject.CommonName)
				}
				require.Equal(t, tt.chain, names)

				// Who knows what is published verifies, and so does who has the key from elsewhere.
				verifies(t, jwks.Static{f.Key().Key()}, tt.alg, token)
				set, err := jwks.ParseSet(must(jwks.PublicSet(t.Context(), f)))
				require.NoError(t, err)
				verifies(t, jwks.Static(set.Keys), tt.alg, token)
				if tt.same != "" {
					other, err := keystore.Load(keystore.Config{Path: filepath.Join(directory, tt.same), Algorithm: tt.alg})
					require.NoError(t, err)
					verifies(t, jwks.Static{other.Key().Key()}, tt.alg, token)
				}
			})
		}
	}
}

func verifies(t *testing.T, src jwks.Source, alg, token string) {
	t.Helper()
	_, err := jwks.Verify(t.Context(), src, []string{alg}, token)
	require.NoError(t, err)
}

// A bad row is a configuration for a file that gives no key.
type bad struct {
	file    string
	cfg     keystore.Config
	reason  keystore.Reason
	aliases []string
}

func failing(context.Context) (string, error) { return "", os.ErrPermission }

var badStores = map[string]bad{
	"wrong store password, PKCS12": {file: "openssl-chain.p12", cfg: keystore.Config{StorePassword: withKey}, reason: keystore.StorePassword},
	"wrong store password, legacy": {file: "openssl-legacy.p12", cfg: keystore.Config{StorePassword: withKey}, reason: keystore.StorePassword},
	"wrong store password, many":   {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withKey, Alias: "rsa"}, reason: keystore.StorePassword},
	"wrong store password, plain":  {file: "openssl-plain.p12", cfg: keystore.Config{StorePassword: withKey}, reason: keystore.StorePassword},
	"wrong store password, JKS":    {file: "keytool.jks", cfg: keystore.Config{StorePassword: withKey, Alias: "rsa"}, reason: keystore.StorePassword},
	"wrong key password, JKS":      {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, Alias: "rsa"}, reason: keystore.KeyPassword},
	"wrong key password, PEM":      {file: "enc-default.pem", cfg: keystore.Config{KeyPassword: withStore}, reason: keystore.KeyPassword},
	"wrong key password, DES":      {file: "enc-des3-sha1.pem", cfg: keystore.Config{KeyPassword: withStore}, reason: keystore.KeyPassword},
	"two passwords, PKCS12":        {file: "openssl-chain.p12", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withKey}, reason: keystore.KeyPassword},

	"no password, PKCS12":      {file: "openssl-chain.p12", reason: keystore.NoPassword},
	"no password, JKS":         {file: "keytool.jks", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.NoPassword},
	"no password, PEM":         {file: "enc-default.pem", reason: keystore.NoPassword},
	"empty password":           {file: "enc-default.pem", cfg: keystore.Config{KeyPassword: keystore.Text("")}, reason: keystore.NoPassword},
	"password cannot be had":   {file: "enc-default.pem", cfg: keystore.Config{KeyPassword: failing}, reason: keystore.NoPassword},
	"characters, JKS":          {file: "keytool.jks", cfg: keystore.Config{StorePassword: keystore.Text("пароль"), Alias: "rsa"}, reason: keystore.Unsupported},
	"characters of a key, JKS": {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, KeyPassword: keystore.Text("пароль"), Alias: "rsa"}, reason: keystore.Unsupported},

	"no such alias, PKCS12": {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore, Alias: "x"}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"no such alias, JKS":    {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, Alias: "x"}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"not a key, PKCS12":     {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore, Alias: "root"}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"not a key, JKS":        {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, Alias: "root"}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"which one, PKCS12":     {file: "keytool.pkcs12", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"which one, JKS":        {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.Alias, aliases: []string{"ec", "ed", "rsa"}},
	"no alias to compare":   {file: "openssl-ed25519.p12", cfg: keystore.Config{StorePassword: withStore, Alias: "x"}, reason: keystore.Alias, aliases: []string{""}},
	"alias in PEM":          {file: "ec-pkcs8.pem", cfg: keystore.Config{Alias: "x"}, reason: keystore.Unusable},

	"algorithm does not fit, PEM": {file: "ec-pkcs8.pem", cfg: keystore.Config{Algorithm: "RS256"}, reason: keystore.Unusable},
	"another curve":               {file: "ec-pkcs8.pem", cfg: keystore.Config{Algorithm: "ES384"}, reason: keystore.Unusable},
	"algorithm does not fit, JKS": {file: "keytool.jks", cfg: keystore.Config{StorePassword: withStore, KeyPassword: withKey, Alias: "rsa", Algorithm: "ES256"}, reason: keystore.Unusable},
	"a secret's algorithm":        {file: "ec-pkcs8.pem", cfg: keystore.Config{Algorithm: "HS256"}, reason: keystore.Unusable},
	"none":                        {file: "ec-pkcs8.pem", cfg: keystore.Config{Algorithm: "none"}, reason: keystore.Unusable},
	"RSA of 1024 bits":            {file: "rsa1024.pem", reason: keystore.Unusable},
	"no thumbprint":               {file: "ec-pkcs8.pem", cfg: keystore.Config{Thumbprint: true}, reason: keystore.Unusable},
	"another key's certificate":   {file: "other-certificate.pem", reason: keystore.Unusable},

	"no key, PEM":            {file: "rsa.crt", reason: keystore.NoKey},
	"no key, PKCS12":         {file: "openssl-no-key.p12", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.NoKey},
	"no certificate, PKCS12": {file: "openssl-no-certificate.p12", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.NoKey},

	"no MAC":               {file: "openssl-no-mac.p12", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.Unsupported},
	"JCEKS":                {file: "keytool.jceks", cfg: keystore.Config{StorePassword: withStore}, reason: keystore.Unsupported},
	"two keys in PEM":      {file: "two-keys.pem", reason: keystore.Unsupported},
	"X25519":               {file: "x25519.pem", reason: keystore.Unsupported},
	"secp256k1":            {file: "secp256k1.pem", reason: keystore.Malformed},
	"secp256k1, encrypted": {file: "enc-secp256k1.pem", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.Unsupported},
	"scrypt":               {file: "enc-scrypt.pem", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.Unsupported},
	"PBES1":                {file: "enc-pbes1.pem", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.Unsupported},
	"Camellia":             {file: "enc-camellia.pem", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.Unsupported},
	"encrypted as of old":  {file: "enc-old.pem", cfg: keystore.Config{KeyPassword: withKey}, reason: keystore.Unsupported},

	"PEM that is no JKS":    {file: "ec-pkcs8.pem", cfg: keystore.Config{Type: "JKS", StorePassword: withStore}, reason: keystore.Malformed},
	"PEM that is no PKCS12": {file: "ec-pkcs8.pem", cfg: keystore.Config{Type: "PKCS12", StorePassword: withStore}, reason: keystore.Malformed},
	"PEM that is no JWK":    {file: "ec-pkcs8.pem", cfg: keystore.Config{Type: "JWK"}, reason: keystore.Malformed},
	"PEM that is no JWKS":   {file: "ec-pkcs8.pem", cfg: keystore.Config{Type: "JWKS"}, reason: keystore.Malformed},
	"JKS that is no PEM":    {file: "keytool.jks", cfg: keystore.Config{Type: "PEM"}, reason: keystore.NoKey},
}

func TestLoad_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for where, directory := range stores(t) {
		for name, tt := range badStores {
			t.Run(where+"/"+name, func(t *testing.T) {
				t.Parallel()
				cfg := tt.cfg
				cfg.Path = filepath.Join(directory, tt.file)
				f, err := keystore.Load(cfg)
				require.Nil(t, f)
				e := requireReason(t, err, tt.reason)
				require.ElementsMatch(t, tt.aliases, e.Aliases)
				require.ErrorContains(t, err, tt.file)
				for _, alias := range tt.aliases {
					require.ErrorContains(t, err, alias)
				}
				requireNoSecret(t, err.Error())
			})
		}
	}
}

func requireReason(t *testing.T, err error, want keystore.Reason) *keystore.Error {
	t.Helper()
	var e *keystore.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, err)
	return e
}

func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{storePassword, keyPassword, "пароль"} {
		require.NotContains(t, text, secret)
	}
}
