package keystore_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/jwks/keystore"
)

func newEC() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func pemOf(key any) string {
	der := must(x509.MarshalPKCS8PrivateKey(key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// jwkOf writes a private JWK.
func jwkOf(key any, kid, alg string) string {
	return string(must(json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg})))
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// A changing file has a clock.
type changing struct {
	path string
	now  time.Time
}

func newChanging(t *testing.T, content string) *changing {
	t.Helper()
	c := &changing{path: filepath.Join(t.TempDir(), "key"), now: time.Now()}
	c.write(t, content)
	return c
}

func (c *changing) write(t *testing.T, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.path, []byte(content), 0o600))
}

func (c *changing) tick() { c.now = c.now.Add(time.Second) }

func (c *changing) load(t *testing.T, cfg keystore.Config) *keystore.File {
	t.Helper()
	cfg.Path, cfg.Now = c.path, func() time.Time { return c.now }
	f, err := keystore.Load(cfg)
	require.NoError(t, err)
	return f
}

func signs(t *testing.T, f *keystore.File, key *ecdsa.PrivateKey) bool {
	t.Helper()
	token, err := f.SignJWT(t.Context(), "", []byte(`{}`))
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), jwks.Static{must(jwks.NewKey(&key.PublicKey, "", ""))}, []string{"ES256"}, token)
	return err == nil
}

func TestLoad_Configuration(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]keystore.Config{
		"Path":            {},
		"Type":            {Path: "x", Type: "DER"},
		"ThumbprintKeyID": {Path: "x", KeyID: "k", ThumbprintKeyID: true},
	} {
		_, err := keystore.Load(cfg)
		require.ErrorContains(t, err, "keystore: Config."+field)
	}
	_, err := keystore.Load(keystore.Config{Path: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, fs.ErrNotExist)
	for content, reason := range map[string]keystore.Reason{
		"":                                keystore.Unsupported,
		"x":                               keystore.Unsupported,
		"{":                               keystore.Malformed,
		`{"keys":[]}`:                     keystore.NoKey,
		`{"keys":1}`:                      keystore.Malformed,
		`{"kty":"oct","k":"c2VjcmV0"}`:    keystore.Unsupported,
		pemOf(newEC()) + pemOf(newEC()):   keystore.Unsupported,
		strings.Repeat("\xfe\xed", 20):    keystore.NoPassword,
		"\xfe\xed\xfe\xed":                keystore.Unsupported,
		"\xfe\xed\xfe\xed\x00":            keystore.Malformed,
		"-----BEGIN PRIVATE KEY-----\n":   keystore.NoKey,
		jwkOf(newEC(), "a", "RS256"):      keystore.Unsupported,
		jwkOf(&newEC().PublicKey, "", ""): keystore.Malformed,
		strings.Replace(jwkOf(newEC(), "", ""), "{", `{"use":"enc",`, 1):                keystore.Unusable,
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})): keystore.Malformed,
	} {
		_, err := keystore.Load(keystore.Config{Path: newChanging(t, content).path})
		requireReason(t, err, reason)
	}
}

func TestFile_IsReadAgainWhenItHasChanged(t *testing.T) {
	t.Parallel()
	a, b := newEC(), newEC()
	c := newChanging(t, pemOf(a))
	f := c.load(t, keystore.Config{ThumbprintKeyID: true})
	first := f.Key()
	require.True(t, signs(t, f, a))
	c.write(t, pemOf(b))
	require.True(t, signs(t, f, a), "looked at once a second")
	c.tick()
	require.True(t, signs(t, f, b))
	require.NotEqual(t, first.ID(), f.Key().ID(), "the kid changes with the key")
	require.Equal(t, must(jwks.Thumbprint(b.Public())), f.Key().ID())
	set := string(must(jwks.PublicSet(t.Context(), f)))
	require.Contains(t, set, f.Key().ID())
	require.NotContains(t, set, first.ID())
}

func TestFile_BrokenFileKeepsTheOldKey(t *testing.T) {
	t.Parallel()
	a, b := newEC(), newEC()
	for name, content := range map[string]string{
		"half": pemOf(b)[:80], "empty": "", "another type": `{"keys":[`, "does not fit": pemOf(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))),
	} {
		var log bytes.Buffer
		c := newChanging(t, pemOf(a))
		began := c.now
		f := c.load(t, keystore.Config{Algorithm: "ES256", KeyID: "k", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.Equal(t, keystore.Status{LastSuccess: began, LastAttempt: began, KeyID: "k", Algorithm: "ES256"}, f.Status())
		c.write(t, content)
		for range 3 {
			c.tick()
			require.True(t, signs(t, f, a), name)
		}
		s := f.Status()
		require.Error(t, s.LastError, name)
		require.Equal(t, began, s.LastSuccess, name)
		require.Equal(t, c.now, s.LastAttempt, name)
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), name)
		c.write(t, pemOf(b))
		c.tick()
		require.True(t, signs(t, f, b), name)
		require.NoError(t, f.Status().LastError, name)
		require.Equal(t, 1, strings.Count(log.String(), "level=INFO"), name)
		require.Equal(t, 2, strings.Count(log.String(), "\n"), name)
	}
}

// A caller who has gone does not spoil the key for the others.
func TestFile_PasswordIsAskedForAll(t *testing.T) {
	t.Parallel()
	content := string(must(os.ReadFile(filepath.Join(committed, "enc-aes128.pem"))))
	c := newChanging(t, content)
	asked := 0
	f := c.load(t, keystore.Config{KeyPassword: func(ctx context.Context) (string, error) {
		asked++
		return keyPassword, ctx.Err()
	}})
	c.write(t, content+"\n")
	c.tick()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.SignJWT(ctx, "", []byte(`{}`))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, asked)
	require.NoError(t, f.Status().LastError)
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	password := keystore.PasswordFile(path)
	_, err := password(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	for content, want := range map[string]string{"p": "p", "p\n": "p", "p\r\n": "p", " p \n\n": " p \n"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		got, err := password(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, content := range []string{"", "\n", strings.Repeat("p", 5000)} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		got, err := password(t.Context())
		require.Error(t, err)
		require.Empty(t, got)
	}
	require.NoError(t, os.WriteFile(path, []byte(storePassword+"\n"), 0o600))
	_, err = keystore.Load(keystore.Config{Path: filepath.Join(committed, "openssl-chain.p12"), StorePassword: password})
	require.NoError(t, err)
}

func TestLoad_JWK(t *testing.T) {
	t.Parallel()
	ec := newEC()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, tt := range map[string]struct {
		content  string
		cfg      keystore.Config
		kid, alg string
		reason   keystore.Reason
	}{
		"as it is":            {content: jwkOf(ec, "a", ""), kid: "a", alg: "ES256"},
		"Ed25519":             {content: jwkOf(ed, "", ""), alg: "EdDSA"},
		"named":               {content: jwkOf(ec, "", ""), cfg: keystore.Config{KeyID: "k", Algorithm: "ES256"}, kid: "k", alg: "ES256"},
		"thumbprint":          {content: jwkOf(ec, "", ""), cfg: keystore.Config{ThumbprintKeyID: true}, kid: must(jwks.Thumbprint(ec.Public())), alg: "ES256"},
		"has a kid":           {content: jwkOf(ec, "a", ""), cfg: keystore.Config{ThumbprintKeyID: true, Alias: "a"}, kid: "a", alg: "ES256"},
		"same kid":            {content: jwkOf(ec, "a", "ES256"), cfg: keystore.Config{KeyID: "a"}, kid: "a", alg: "ES256"},
		"another kid":         {content: jwkOf(ec, "a", ""), cfg: keystore.Config{KeyID: "b"}, reason: keystore.Unusable},
		"another alg":         {content: jwkOf(ed, "", "EdDSA"), cfg: keystore.Config{Algorithm: "ES256"}, reason: keystore.Unusable},
		"another alias":       {content: jwkOf(ec, "a", ""), cfg: keystore.Config{Alias: "b"}, reason: keystore.Alias},
		"no certificate":      {content: jwkOf(ec, "a", ""), cfg: keystore.Config{Thumbprint: true}, reason: keystore.Unusable},
		"set, first":          {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), kid: "a", alg: "ES256"},
		"set, by alg":         {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{Algorithm: "EdDSA"}, kid: "b", alg: "EdDSA"},
		"set, by alias":       {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{Alias: "b"}, kid: "b", alg: "EdDSA"},
		"set, by KeyID":       {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{KeyID: "b"}, kid: "b", alg: "EdDSA"},
		"set, thumbprints":    {content: setOf(jwkOf(ec, "", ""), jwkOf(ed, "", "")), cfg: keystore.Config{ThumbprintKeyID: true, Algorithm: "EdDSA"}, kid: must(jwks.Thumbprint(ed.Public())), alg: "EdDSA"},
		"set, no kids":        {content: setOf(jwkOf(ec, "", ""), jwkOf(ed, "", "")), reason: keystore.Unusable},
		"set, same kid":       {content: setOf(jwkOf(ec, "a", ""), jwkOf(newEC(), "a", "")), reason: keystore.Unusable},
		"set, no such alias":  {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{Alias: "c"}, reason: keystore.Alias},
		"set, no such alg":    {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{Algorithm: "RS256"}, reason: keystore.Unusable},
		"set, alias, not alg": {content: setOf(jwkOf(ec, "a", ""), jwkOf(ed, "b", "")), cfg: keystore.Config{Alias: "a", Algorithm: "EdDSA"}, reason: keystore.Unusable},
	} {
		tt.cfg.Path = newChanging(t, tt.content).path
		f, err := keystore.Load(tt.cfg)
		if tt.reason != "" {
			requireReason(t, err, tt.reason)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tt.kid, f.Key().ID(), name)
		require.Equal(t, tt.alg, f.Key().Algorithm(), name)
		token := must(f.SignJWT(t.Context(), "", []byte(`{}`)))
		parsed := must(jwt.Parse(token))
		require.Equal(t, tt.kid, parsed.KeyID, name)
		_, err = f.ClientCertificate(nil)
		requireReason(t, err, keystore.Unusable)
	}
}

// What a token proxy does: keys chosen by kid and by alg, all of them published.
func TestFile_ChangingKeysByEditingASet(t *testing.T) {
	t.Parallel()
	a, b := newEC(), newEC()
	jwkA, jwkB := jwkOf(a, "a", "ES256"), jwkOf(b, "b", "ES256")
	c := newChanging(t, setOf(jwkA))
	f := c.load(t, keystore.Config{})
	published := func() (kids []string) {
		set, err := jwks.ParseSet(must(jwks.PublicSet(t.Context(), f)))
		require.NoError(t, err)
		for _, k := range set.Keys {
			kids = append(kids, k.ID())
		}
		return kids
	}
	for _, step := range []struct {
		set       []string
		signs     *ecdsa.PrivateKey
		published []string
	}{
		{[]string{jwkA}, a, []string{"a"}},
		{[]string{jwkA, jwkB}, a, []string{"a", "b"}},
		{[]string{jwkB, jwkA}, b, []string{"b", "a"}},
		{[]string{jwkB}, b, []string{"b"}},
	} {
		c.write(t, setOf(step.set...))
		c.tick()
		require.True(t, signs(t, f, step.signs))
		require.Equal(t, step.published, published())
	}
	require.Equal(t, "b", f.Keys().Find("b", "ES256").ID())
	require.Nil(t, f.Keys().Find("a", ""))
}

func TestFile_Thumbprint(t *testing.T) {
	t.Parallel()
	f, err := keystore.Load(keystore.Config{Path: filepath.Join(committed, "openssl-chain.p12"), StorePassword: withStore, Thumbprint: true})
	require.NoError(t, err)
	signed, err := jose.ParseSignedCompact(must(f.SignJWT(t.Context(), "", []byte(`{}`))), []jose.SignatureAlgorithm{"RS256"})
	require.NoError(t, err)
	leaf := f.Key().Certificates()[0]
	require.Equal(t, leaf.NotAfter, f.Status().NotAfter)
	var published struct{ Keys []jose.JSONWebKey }
	require.NoError(t, json.Unmarshal(must(jwks.PublicSet(t.Context(), f)), &published))
	require.Len(t, published.Keys[0].Certificates, 3)
	require.True(t, published.Keys[0].Certificates[0].Equal(leaf))
	sum := sha256.Sum256(leaf.Raw)
	require.Equal(t, sum[:], published.Keys[0].CertificateThumbprintSHA256)
	require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), signed.Signatures[0].Protected.ExtraHeaders["x5t#S256"])
}

// The certificate of a store authenticates in TLS.
func TestFile_ClientCertificate(t *testing.T) {
	t.Parallel()
	f, err := keystore.Load(keystore.Config{Path: filepath.Join(committed, "keytool.jks"), StorePassword: withStore, KeyPassword: withKey, Alias: "ec"})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	transport, _ := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig.GetClientCertificate = f.ClientCertificate
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "ec", string(must(io.ReadAll(resp.Body))))
}

// No byte of a store can be changed without being noticed, and nothing that is damaged
// stops the program.
func TestLoad_DamagedStores(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]keystore.Config{
		"openssl-leaf.p12": {StorePassword: withStore, Type: keystore.PKCS12},
		"keytool.jks":      {StorePassword: withStore, KeyPassword: withKey, Alias: "ec", Type: keystore.JKS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := must(os.ReadFile(filepath.Join(committed, name)))
			cfg.Path = filepath.Join(t.TempDir(), name)
			for i := 0; i < len(content); i += 1 + len(content)/200 {
				for _, damaged := range [][]byte{content[:i], append(append(bytes.Clone(content[:i]), content[i]^0x80), content[i+1:]...)} {
					require.NoError(t, os.WriteFile(cfg.Path, damaged, 0o600))
					_, err := keystore.Load(cfg)
					var e *keystore.Error
					require.ErrorAs(t, err, &e, "byte %d", i)
				}
			}
		})
	}
}

// Encryption in PEM protects nothing from change, but what is damaged is no panic.
func FuzzEncryptedPEMNeverPanics(f *testing.F) {
	for _, name := range []string{"enc-aes128.pem", "enc-des3-sha1.pem", "enc-scrypt.pem"} {
		block, _ := pem.Decode(must(os.ReadFile(filepath.Join(committed, name))))
		for i := 0; i < 160; i += 2 { // the parameters; the key is behind them
			f.Add(append(append(bytes.Clone(block.Bytes[:i]), block.Bytes[i]^0x40), block.Bytes[i+1:]...))
		}
		f.Add(block.Bytes)
	}
	path := filepath.Join(f.TempDir(), "key.pem")
	f.Fuzz(func(t *testing.T, der []byte) {
		text := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
		require.NoError(t, os.WriteFile(path, text, 0o600))
		_, err := keystore.Load(keystore.Config{Path: path, KeyPassword: withKey})
		var e *keystore.Error
		if err != nil {
			require.ErrorAs(t, err, &e)
		}
	})
}

func TestFile_PrintsNoSecret(t *testing.T) {
	t.Parallel()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	content := jwkOf(key, "k", "")
	var private struct{ D string }
	require.NoError(t, json.Unmarshal([]byte(content), &private))
	c := newChanging(t, content)
	cfg := keystore.Config{StorePassword: withStore, KeyPassword: withKey}
	f := c.load(t, cfg)
	type user struct {
		F      *keystore.File
		C      keystore.Config
		hidden *keystore.File
		value  keystore.Config
	}
	var log bytes.Buffer
	u := user{f, cfg, f, cfg}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "f", f, "u", u, "key", f.Key())
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "f", f, "key", f.Key())
	for _, v := range []any{f, *f, u, &u, f.Key(), *f.Key(), f.Keys(), []any{f}, u.hidden, u.value} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			_, _ = fmt.Fprintf(&log, format+"\n", v)
		}
	}
	_ = json.NewEncoder(&log).Encode(map[string]any{"f": f, "key": f.Key(), "keys": f.Keys()})
	text := log.String()
	requireNoSecret(t, text)
	for _, form := range []string{private.D, fmt.Sprint(key.Seed()), fmt.Sprintf("%x", key.Seed()), strings.Trim(fmt.Sprint(key.Seed()), "[]")} {
		require.NotContains(t, text, form)
	}
}

func TestFile_SignersAndChangesTogether(t *testing.T) {
	t.Parallel()
	a, b := pemOf(newEC()), pemOf(newEC())
	path := newChanging(t, a).path
	var mu sync.Mutex
	now := time.Now()
	f, err := keystore.Load(keystore.Config{Path: path, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Second); return now }})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := f.SignJWT(context.Background(), "", []byte(`{}`)); err != nil {
					t.Error(err)
				}
				_ = f.Status()
			}
		})
	}
	for i := range 20 {
		_ = os.WriteFile(path, []byte([]string{a, b}[i%2]), 0o600)
	}
	wg.Wait()
}

func TestFile_NotLoaded(t *testing.T) {
	t.Parallel()
	for _, f := range []*keystore.File{nil, {}} {
		_, err := f.SignJWT(t.Context(), "", nil)
		require.Error(t, err)
		_, err = f.PublicJWKs(t.Context())
		require.Error(t, err)
		_, err = f.ClientCertificate(nil)
		require.Error(t, err)
		require.Nil(t, f.Key())
	}
}
