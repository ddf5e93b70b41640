package keystore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	library "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks/keystore"
)

// In a set of several keys KeyID says which one signs, and a name that none has is said to be
// missing.
func TestLoad_KeyIDChoosesInASet(t *testing.T) {
	t.Parallel()
	_, err := keystore.Load(keystore.Config{Path: newChanging(t, setOf(jwkOf(newEC(), "a", ""), jwkOf(newEC(), "b", ""))).path, KeyID: "c"})
	e := requireReason(t, err, keystore.Alias)
	require.Equal(t, []string{"a", "b"}, e.Aliases)
}

// What stands behind a store belongs to none.
func TestLoad_StoreWithMoreBehindIt(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(committed, "openssl-chain.p12"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "store.p12")
	require.NoError(t, os.WriteFile(path, append(content, 0), 0o600))
	_, err = keystore.Load(keystore.Config{Path: path, Type: "PKCS12", StorePassword: withStore})
	requireReason(t, err, keystore.Malformed)
	_, err = keystore.Load(keystore.Config{Path: path, StorePassword: withStore})
	requireReason(t, err, keystore.Unsupported)
}

// Certificates that name each other as issuers are no chain without end.
func TestLoad_CertificatesInACircle(t *testing.T) {
	t.Parallel()
	leaf, other := newEC(), newEC()
	certificate := func(subject, issuer string, key, by *ecdsa.PrivateKey) string {
		parent := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: issuer}}
		template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: subject}, NotAfter: time.Now().Add(time.Hour)}
		der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by))
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	content := pemOf(leaf) + certificate("a", "b", leaf, other) + certificate("b", "a", other, leaf)
	f, err := keystore.Load(keystore.Config{Path: newChanging(t, content).path})
	require.NoError(t, err)
	require.Len(t, f.Key().Certificates(), 2)
}

// Java tells aliases apart without regard to case; where another tool wrote two that differ in
// nothing else, the one that is spelled as asked for counts.
func TestLoad_AliasesThatDifferInCase(t *testing.T) {
	t.Parallel()
	store := library.New(library.WithCaseExactAliases())
	keys := map[string][]byte{"key": pkcs8(t), "KEY": pkcs8(t), "Key": pkcs8(t)}
	for alias, key := range keys {
		require.NoError(t, store.SetPrivateKeyEntry(alias, library.PrivateKeyEntry{PrivateKey: key}, []byte(storePassword)))
	}
	var b bytes.Buffer
	require.NoError(t, store.Store(&b, []byte(storePassword)))
	path := filepath.Join(t.TempDir(), "store.jks")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	for alias, der := range keys {
		f, err := keystore.Load(keystore.Config{Path: path, StorePassword: withStore, Alias: alias})
		require.NoError(t, err)
		key, ok := must(x509.ParsePKCS8PrivateKey(der)).(*ecdsa.PrivateKey)
		require.True(t, ok)
		require.True(t, key.PublicKey.Equal(f.Key().Public()), alias)
	}
}
