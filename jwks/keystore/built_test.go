package keystore_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	library "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
)

// Stores that neither openssl nor keytool of this machine would make.

type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit"`
	}
	digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	mac struct {
		MAC        digestInfo
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	store struct {
		Version  int
		AuthSafe contentInfo
		MAC      mac
	}
)

func unmarshal(t *testing.T, der []byte, v any) {
	t.Helper()
	rest, err := asn1.Unmarshal(der, v)
	require.NoError(t, err)
	require.Empty(t, rest)
}

func readStore(t *testing.T, name string) (s store) {
	t.Helper()
	unmarshal(t, must(os.ReadFile(filepath.Join(committed, name))), &s)
	return s
}

// content returns what a contentInfo of type "data" holds.
func (c contentInfo) content(t *testing.T) (data []byte) {
	t.Helper()
	unmarshal(t, c.Content.Bytes, &data)
	return data
}

func (c *contentInfo) setContent(data []byte) {
	c.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: must(asn1.Marshal(data))}
}

// seal replaces the MAC by one of RFC 9579.
func (s *store) seal(t *testing.T, password string) {
	t.Helper()
	hmacSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}}
	salt := []byte("salt")
	key := must(pbkdf2.Key(sha256.New, password, salt, 2, 32))
	derivation := must(asn1.Marshal(struct {
		Salt               []byte
		Iterations, Length int
		Function           pkix.AlgorithmIdentifier
	}{salt, 2, 32, hmacSHA256}))
	parameters := must(asn1.Marshal([]pkix.AlgorithmIdentifier{
		{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, Parameters: asn1.RawValue{FullBytes: derivation}}, hmacSHA256,
	}))
	h := hmac.New(sha256.New, key)
	h.Write(s.AuthSafe.content(t))
	s.MAC.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}, Parameters: asn1.RawValue{FullBytes: parameters}}
	s.MAC.MAC.Digest = h.Sum(nil)
}

func (s *store) load(t *testing.T, cfg keystore.Config) (*keystore.File, error) {
	t.Helper()
	cfg.Path, cfg.StorePassword = filepath.Join(t.TempDir(), "store"), withStore
	require.NoError(t, os.WriteFile(cfg.Path, must(asn1.Marshal(*s)), 0o600))
	return keystore.Load(cfg)
}

// A store may have keys and certificates in one part, and the MAC of RFC 9579.
func TestPKCS12_OnePart(t *testing.T) {
	t.Parallel()
	s := readStore(t, "openssl-plain.p12")
	var infos []contentInfo
	unmarshal(t, s.AuthSafe.content(t), &infos)
	require.Len(t, infos, 2)
	var all []asn1.RawValue
	for _, info := range infos {
		var bags []asn1.RawValue
		unmarshal(t, info.content(t), &bags)
		all = append(all, bags...)
	}
	infos[0].setContent(must(asn1.Marshal(all)))
	s.AuthSafe.setContent(must(asn1.Marshal(infos[:1])))
	s.seal(t, storePassword)
	f, err := s.load(t, keystore.Config{Alias: "client"})
	require.NoError(t, err)
	require.Len(t, f.Key().Certificates(), 1)

	s.seal(t, keyPassword)
	_, err = s.load(t, keystore.Config{})
	requireReason(t, err, keystore.StorePassword)
}

// A damaged number must not keep a program busy for hours.
func TestPKCS12_Iterations(t *testing.T) {
	t.Parallel()
	s := readStore(t, "openssl-leaf.p12")
	s.MAC.Iterations = 1 << 31
	began := time.Now()
	_, err := s.load(t, keystore.Config{})
	requireReason(t, err, keystore.Malformed)
	require.Less(t, time.Since(began), time.Minute)
}

func TestPKCS12_Malformed(t *testing.T) {
	t.Parallel()
	for name, safe := range map[string][]byte{
		"no list":        []byte("x"),
		"no contentInfo": must(asn1.Marshal([]int{1})),
	} {
		s := readStore(t, "openssl-leaf.p12")
		s.AuthSafe.setContent(safe)
		s.seal(t, storePassword)
		_, err := s.load(t, keystore.Config{})
		require.Equal(t, keystore.Malformed, requireReason(t, err, keystore.Malformed).Reason, name)
	}
	for name, content := range map[string][]byte{"no bags": []byte("x"), "bags of another kind": must(asn1.Marshal([]int{1}))} {
		s := readStore(t, "openssl-plain.p12")
		var infos []contentInfo
		unmarshal(t, s.AuthSafe.content(t), &infos)
		infos[0].setContent(content)
		s.AuthSafe.setContent(must(asn1.Marshal(infos)))
		s.seal(t, storePassword)
		_, err := s.load(t, keystore.Config{})
		require.Equal(t, keystore.Malformed, requireReason(t, err, keystore.Malformed).Reason, name)
	}
}

// jks has the library write a store.
func jks(t *testing.T, password string, entry library.PrivateKeyEntry) string {
	t.Helper()
	s := library.New()
	require.NoError(t, s.SetPrivateKeyEntry("a", entry, []byte(keyPassword)))
	var buffer bytes.Buffer
	require.NoError(t, s.Store(&buffer, []byte(password)))
	return newChanging(t, buffer.String()).path
}

func TestJKS_WhatIsInIt(t *testing.T) {
	t.Parallel()
	key := must(os.ReadFile(filepath.Join(committed, "ec-pkcs8.pem")))
	for name, tt := range map[string]struct {
		entry  library.PrivateKeyEntry
		reason keystore.Reason
	}{
		"no key":         {library.PrivateKeyEntry{PrivateKey: key}, keystore.Unsupported},
		"no certificate": {library.PrivateKeyEntry{PrivateKey: pkcs8(t), CertificateChain: []library.Certificate{{Type: "X509", Content: []byte("x")}}}, keystore.Malformed},
	} {
		_, err := keystore.Load(keystore.Config{Path: jks(t, storePassword, tt.entry), StorePassword: withStore, KeyPassword: withKey})
		require.Equal(t, tt.reason, requireReason(t, err, tt.reason).Reason, name)
	}
	// A store without certificates, with a password in Latin-1.
	const latin = "pässword"
	f, err := keystore.Load(keystore.Config{
		Path:          jks(t, "p\xe4ssword", library.PrivateKeyEntry{PrivateKey: pkcs8(t)}),
		StorePassword: keystore.Text(latin), KeyPassword: withKey,
	})
	require.NoError(t, err)
	require.Empty(t, f.Key().Certificates())
}

func pkcs8(t *testing.T) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(pemOf(newEC())))
	return block.Bytes
}

// What package jwks says of a key can be asked for.
func TestError_Unwrap(t *testing.T) {
	t.Parallel()
	small := pemOf(must(rsa.GenerateKey(rand.Reader, 1024)))
	for _, thumbprint := range []bool{false, true} {
		_, err := keystore.Load(keystore.Config{Path: newChanging(t, small).path, ThumbprintKeyID: thumbprint})
		requireReason(t, err, keystore.Unusable)
		var weak *jwks.KeyError
		require.ErrorAs(t, err, &weak)
		require.Equal(t, jwks.KeyWeak, weak.Reason)
	}
	_, err := keystore.Load(keystore.Config{Path: filepath.Join(committed, "enc-default.pem"), KeyPassword: failing})
	require.ErrorIs(t, err, os.ErrPermission)
}

type (
	derivation struct {
		Salt       []byte
		Iterations int
		Function   pkix.AlgorithmIdentifier
	}
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
)

// Numbers that do not go together are no reason to panic, or to be busy for hours.
func TestPEM_Malformed(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(must(os.ReadFile(filepath.Join(committed, "enc-aes128.pem"))))
	for name, tt := range map[string]struct {
		change func(e *encryptedKey, d *derivation, iv *[]byte)
		reason keystore.Reason
	}{
		"nothing":                 {func(*encryptedKey, *derivation, *[]byte) {}, ""},
		"another key":             {func(_ *encryptedKey, d *derivation, _ *[]byte) { d.Iterations++ }, keystore.KeyPassword},
		"no iteration":            {func(_ *encryptedKey, d *derivation, _ *[]byte) { d.Iterations = 0 }, keystore.Malformed},
		"fewer than none":         {func(_ *encryptedKey, d *derivation, _ *[]byte) { d.Iterations = -1 }, keystore.Malformed},
		"iterations for hours":    {func(_ *encryptedKey, d *derivation, _ *[]byte) { d.Iterations = 1 << 40 }, keystore.Malformed},
		"short vector":            {func(_ *encryptedKey, _ *derivation, iv *[]byte) { *iv = (*iv)[:8] }, keystore.Malformed},
		"no vector":               {func(_ *encryptedKey, _ *derivation, iv *[]byte) { *iv = nil }, keystore.Malformed},
		"no data":                 {func(e *encryptedKey, _ *derivation, _ *[]byte) { e.Data = nil }, keystore.Malformed},
		"half a block":            {func(e *encryptedKey, _ *derivation, _ *[]byte) { e.Data = e.Data[:len(e.Data)-8] }, keystore.Malformed},
		"a block less":            {func(e *encryptedKey, _ *derivation, _ *[]byte) { e.Data = e.Data[:len(e.Data)-16] }, keystore.KeyPassword},
		"parameters of no scheme": {func(e *encryptedKey, _ *derivation, _ *[]byte) { e.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2} }, keystore.Unsupported},
	} {
		var e encryptedKey
		var scheme []pkix.AlgorithmIdentifier
		var d derivation
		var iv []byte
		unmarshal(t, block.Bytes, &e)
		unmarshal(t, e.Algorithm.Parameters.FullBytes, &scheme)
		unmarshal(t, scheme[0].Parameters.FullBytes, &d)
		unmarshal(t, scheme[1].Parameters.FullBytes, &iv)
		tt.change(&e, &d, &iv)
		scheme[0].Parameters = asn1.RawValue{FullBytes: must(asn1.Marshal(d))}
		scheme[1].Parameters = asn1.RawValue{FullBytes: must(asn1.Marshal(iv))}
		e.Algorithm.Parameters = asn1.RawValue{FullBytes: must(asn1.Marshal(scheme))}
		text := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: must(asn1.Marshal(e))})
		_, err := keystore.Load(keystore.Config{Path: newChanging(t, string(text)).path, KeyPassword: withKey})
		if tt.reason == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, tt.reason, requireReason(t, err, tt.reason).Reason, name)
	}
}
