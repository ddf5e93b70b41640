package clientauth_test

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
)

func secretOf(t testing.TB, s clientauth.SecretSource) string {
	t.Helper()
	secret, err := s.Secret(t.Context())
	require.NoError(t, err)
	return string(secret)
}

func TestSecretFile_TakesOneNewlineOff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", "secret\n\n": "secret\n",
		" secret\t\n": " secret\t", "a\nb": "a\nb", "secret\r": "secret\r", "\nsecret": "\nsecret",
	} {
		require.Equal(t, want, secretOf(t, clientauth.SecretFile(newFile(t, text))), "%q", text)
	}
}

func TestSecretFile_Unusable(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"empty": newFile(t, ""), "a newline": newFile(t, "\n"), "too large": newFile(t, strings.Repeat("x", 64<<10+1)),
		"missing": filepath.Join(t.TempDir(), "missing"), "a directory": t.TempDir(), "no path": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := clientauth.SecretPost(clientauth.SecretFile(path))
			refuse(t, m, newRequest(), clientauth.ReasonUnavailable)
			require.ErrorIs(t, m.Authenticate(t.Context(), newRequest()), oidckit.ErrUnavailable)
		})
	}
	require.Len(t, secretOf(t, clientauth.SecretFile(newFile(t, strings.Repeat("x", 64<<10)))), 64<<10)
}

func TestSecretFile_IsReadAgain(t *testing.T) {
	t.Parallel()
	path := newFile(t, "old")
	synctest.Test(t, func(t *testing.T) {
		source := clientauth.SecretFile(path)
		require.Equal(t, "old", secretOf(t, source))
		writeFile(t, path, "new")
		require.Equal(t, "old", secretOf(t, source), "it is looked at once a second")
		time.Sleep(time.Second)
		require.Equal(t, "new", secretOf(t, source))
		require.NoError(t, os.Remove(path))
		time.Sleep(time.Second)
		require.Equal(t, "new", secretOf(t, source), "the last one stays")
	})
}

// A volume of Kubernetes changes by one link that is moved.
func TestSecretFile_FollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		writeFile(t, filepath.Join(dir, version, "secret"), version)
	}
	data := filepath.Join(dir, "..data")
	require.NoError(t, os.Symlink("one", data))
	synctest.Test(t, func(t *testing.T) {
		source := clientauth.SecretFile(filepath.Join(data, "secret"))
		require.Equal(t, "one", secretOf(t, source))
		require.NoError(t, os.Symlink("two", data+"_tmp"))
		require.NoError(t, os.Rename(data+"_tmp", data))
		time.Sleep(time.Second)
		require.Equal(t, "two", secretOf(t, source))
	})
}

func TestSecretFile_RenewReadsAtOnce(t *testing.T) {
	t.Parallel()
	path := newFile(t, "old")
	synctest.Test(t, func(t *testing.T) {
		m := forCall(t, clientauth.SecretPost(clientauth.SecretFile(path)))
		require.Equal(t, "old", authenticate(t, m).Form.Get("client_secret"))
		changed, err := renew(t, m)
		require.NoError(t, err)
		require.False(t, changed, "never a second try with the same secret")

		writeFile(t, path, "old\n")
		changed, err = renew(t, m)
		require.NoError(t, err)
		require.False(t, changed, "another file, the same secret")

		writeFile(t, path, "new") // and no second passes
		changed, err = renew(t, m)
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, "new", authenticate(t, m).Form.Get("client_secret"))

		writeFile(t, path, "")
		changed, err = renew(t, m)
		requireReason(t, err, clientauth.ReasonUnavailable)
		require.False(t, changed)
		require.Equal(t, "new", authenticate(t, m).Form.Get("client_secret"))
	})
}

// federated is a token as an issuer of workload identities makes it.
func federated(t testing.TB, life time.Duration) string {
	t.Helper()
	return compact(t, map[string]any{
		"iss": "https://kubernetes.example", "sub": "system:serviceaccount:ns:app", "aud": []string{issuer}, "exp": time.Now().Add(life).Unix(),
	})
}

func TestAssertionFile(t *testing.T) {
	t.Parallel()
	path := newFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		m := clientauth.AssertionFile(path)
		require.Equal(t, "private_key_jwt", m.Name())
		token := federated(t, time.Hour)
		writeFile(t, path, token+"\n")
		r := authenticate(t, m)
		require.Equal(t, token, r.Form.Get("client_assertion"))
		_, claims := assertionOf(t, r, "ES256", keyFor("ES256").Public())
		require.Equal(t, "https://kubernetes.example", claims["iss"])

		// It expires in the file, and then is renewed.
		time.Sleep(time.Hour - time.Second)
		authenticate(t, m)
		time.Sleep(time.Second)
		refuse(t, m, newRequest(), clientauth.ReasonExpired)
		require.ErrorIs(t, m.Authenticate(t.Context(), newRequest()), oidckit.ErrUnavailable)
		renewed := federated(t, time.Hour)
		writeFile(t, path, renewed)
		time.Sleep(time.Second)
		require.Equal(t, renewed, authenticate(t, m).Form.Get("client_assertion"))

		writeFile(t, path, renewed[:len(renewed)/2]) // it is being written
		time.Sleep(time.Second)
		require.Equal(t, renewed, authenticate(t, m).Form.Get("client_assertion"), "the last one stays")
	})
}

func TestAssertionFile_Renew(t *testing.T) {
	t.Parallel()
	path := newFile(t, federated(t, 20*time.Minute))
	m := forCall(t, clientauth.AssertionFile(path))
	authenticate(t, m)
	changed, err := renew(t, m)
	require.NoError(t, err)
	require.False(t, changed)
	writeFile(t, path, federated(t, time.Hour))
	changed, err = renew(t, m)
	require.NoError(t, err)
	require.True(t, changed)
}

func TestAssertionFile_Unusable(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).Unix()
	part := base64.RawURLEncoding.EncodeToString
	for name, tt := range map[string]struct {
		text string
		want clientauth.Reason
	}{
		"no JWT":         {"a client secret", clientauth.ReasonAssertion},
		"encrypted":      {"a.b.c.d.e", clientauth.ReasonAssertion},
		"no JSON":        {part([]byte(`{"alg":"ES256"}`)) + "." + part([]byte("x")) + ".AA", clientauth.ReasonAssertion},
		"no exp":         {compact(t, map[string]any{"aud": issuer}), clientauth.ReasonAssertion},
		"exp a text":     {compact(t, map[string]any{"aud": issuer, "exp": "4102444800"}), clientauth.ReasonAssertion},
		"no aud":         {compact(t, map[string]any{"exp": later}), clientauth.ReasonAssertion},
		"two lines":      {federated(t, time.Hour) + "\n\n", clientauth.ReasonAssertion},
		"expired":        {federated(t, -time.Second), clientauth.ReasonExpired},
		"expired before": {compact(t, map[string]any{"aud": issuer, "exp": -1e300}), clientauth.ReasonExpired},
		"empty":          {"", clientauth.ReasonUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse(t, clientauth.AssertionFile(newFile(t, tt.text)), newRequest(), tt.want)
		})
	}
	for _, exp := range []any{later, 1e300, float64(later) + 0.5} {
		authenticate(t, clientauth.AssertionFile(newFile(t, compact(t, map[string]any{"aud": issuer, "exp": exp}))))
	}
}

func TestCertificateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	one, oneCert, oneKey := newCertificate(t, "one")
	two, twoCert, twoKey := newCertificate(t, "two")
	present := clientauth.CertificateFile(certFile, keyFile)
	_, err := present(&tls.CertificateRequestInfo{})
	requireReason(t, err, clientauth.ReasonUnavailable)

	synctest.Test(t, func(t *testing.T) {
		is := func(want tls.Certificate) {
			got, err := present(&tls.CertificateRequestInfo{})
			require.NoError(t, err)
			require.Equal(t, want.Certificate, got.Certificate)
		}
		present = clientauth.CertificateFile(certFile, keyFile)
		writeFile(t, certFile, oneCert)
		writeFile(t, keyFile, oneKey)
		is(one)
		writeFile(t, certFile, twoCert)
		time.Sleep(time.Second)
		is(one) // of another key than the certificate: they are being replaced
		writeFile(t, keyFile, twoKey)
		time.Sleep(time.Second)
		is(two)
	})
}
