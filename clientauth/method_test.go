package clientauth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
)

const odd = "a:b%+ ü"

func basicOf(t testing.TB, r *clientauth.Request) (user, password string) {
	t.Helper()
	require.Empty(t, r.Form, "nothing in the form")
	require.Len(t, r.Header, 1)
	user, password, found := (&http.Request{Header: r.Header}).BasicAuth()
	require.True(t, found)
	return user, password
}

func TestF33_BasicEncodesBothParts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{odd, "plain", ":", "%3A", "+", "a&b=c", "\x00", strings.Repeat("x", 4096)} {
		m := clientauth.SecretBasic(clientauth.Secret(text))
		require.Equal(t, "client_secret_basic", m.Name())
		r := newRequest()
		r.ClientID = text
		require.NoError(t, m.Authenticate(t.Context(), r))
		user, password := basicOf(t, r)
		for _, encoded := range []string{user, password} {
			require.NotContains(t, encoded, ":")
			decoded, err := url.QueryUnescape(encoded)
			require.NoError(t, err)
			require.Equal(t, text, decoded)
		}
	}
	// RFC 6749 section 2.3.1 with appendix B, byte by byte.
	user, password := basicOf(t, authenticate(t, clientauth.SecretBasic(clientauth.Secret(odd))))
	require.Equal(t, clientID, user)
	require.Equal(t, "a%3Ab%25%2B+%C3%BC", password)
}

func TestSecretBasicRaw(t *testing.T) {
	t.Parallel()
	m := clientauth.SecretBasicRaw(clientauth.Secret(odd))
	require.Equal(t, "client_secret_basic", m.Name())
	user, password := basicOf(t, authenticate(t, m))
	require.Equal(t, clientID, user)
	require.Equal(t, odd, password)

	r := newRequest()
	r.ClientID = "a:b" // would be client "a" with the secret "b:…"
	refuse(t, m, r, clientauth.ReasonConfiguration)
}

func TestSecretPost(t *testing.T) {
	t.Parallel()
	m := clientauth.SecretPost(clientauth.Secret(odd))
	require.Equal(t, "client_secret_post", m.Name())
	r := authenticate(t, m)
	require.Empty(t, r.Header)
	require.Equal(t, "client_id=client&client_secret=a%3Ab%25%2B+%C3%BC", r.Form.Encode())
}

func TestNone(t *testing.T) {
	t.Parallel()
	r := authenticate(t, clientauth.None())
	require.Equal(t, "none", clientauth.None().Name())
	require.Empty(t, r.Header)
	require.Equal(t, url.Values{"client_id": {clientID}}, r.Form)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	present := clientauth.CertificateFunc(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil })
	for name, made := range map[string]func(clientauth.CertificateFunc) clientauth.Method{
		"tls_client_auth": clientauth.TLS, "self_signed_tls_client_auth": clientauth.SelfSignedTLS,
	} {
		m := made(present)
		require.Equal(t, name, m.Name())
		require.NotNil(t, m.(interface {
			ClientCertificate() clientauth.CertificateFunc
		}).ClientCertificate())
		r := authenticate(t, m)
		require.Empty(t, r.Header)
		require.Equal(t, url.Values{"client_id": {clientID}}, r.Form)

		plain := newRequest()
		plain.Endpoint = "http://op.example/token"
		refuse(t, m, plain, clientauth.ReasonConfiguration)
		require.NoError(t, made(nil).Authenticate(t.Context(), plain), "something else presents it")
	}
}

// allMethods has one of each.
func allMethods() map[string]clientauth.Method {
	return map[string]clientauth.Method{
		"basic": clientauth.SecretBasic(longSecret()), "raw": clientauth.SecretBasicRaw(longSecret()), "post": clientauth.SecretPost(longSecret()),
		"secret JWT": clientauth.SecretJWT(longSecret()), "key": clientauth.PrivateKeyJWT(newSigner("ES256")),
		"TLS": clientauth.TLS(nil), "self-signed": clientauth.SelfSignedTLS(nil), "none": clientauth.None(),
		"auto": clientauth.Auto(clientauth.Credentials{Secret: longSecret()}),
	}
}

// A client must not use more than one method in a request (RFC 6749 section 2.3).
func TestMethods_OneProofInARequest(t *testing.T) {
	t.Parallel()
	for name, m := range allMethods() {
		r := newRequest()
		r.Header.Set("Authorization", "Basic b2xkOm9sZA==")
		for _, parameter := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
			r.Form[parameter] = []string{"old", "older"}
		}
		r.Form["resource"] = []string{"a", "b"}
		require.NoError(t, m.Authenticate(t.Context(), r), name)
		proofs := 0
		for _, values := range [][]string{r.Header["Authorization"], r.Form["client_secret"], r.Form["client_assertion"]} {
			require.LessOrEqual(t, len(values), 1, name)
			require.NotContains(t, strings.Join(values, " "), "old", name)
			require.NotContains(t, strings.Join(values, " "), "b2xk", name)
			proofs += len(values)
		}
		require.LessOrEqual(t, proofs, 1, name)
		require.Len(t, r.Form["client_assertion_type"], len(r.Form["client_assertion"]), name)
		require.Equal(t, []string{"a", "b"}, r.Form["resource"], name)
	}
}

func TestMethods_MakeWhatIsNil(t *testing.T) {
	t.Parallel()
	for name, m := range allMethods() {
		require.NoError(t, m.Authenticate(t.Context(), &clientauth.Request{ClientID: clientID, Provider: provider}), name)
	}
}

func TestMethods_NeedAClientID(t *testing.T) {
	t.Parallel()
	for name, m := range allMethods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRequest()
			r.ClientID = ""
			refuse(t, m, r, clientauth.ReasonConfiguration)
		})
	}
}

func bySecret() map[string]func(clientauth.SecretSource) clientauth.Method {
	return map[string]func(clientauth.SecretSource) clientauth.Method{
		"basic": clientauth.SecretBasic, "raw": clientauth.SecretBasicRaw, "post": clientauth.SecretPost,
		"JWT": func(s clientauth.SecretSource) clientauth.Method { return clientauth.SecretJWT(s) },
	}
}

func TestSecretSource_Failures(t *testing.T) {
	t.Parallel()
	errVault := errors.New("vault is sealed")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, made := range bySecret() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse(t, made(nil), newRequest(), clientauth.ReasonConfiguration)
			refuse(t, made(clientauth.SecretFunc(nil)), newRequest(), clientauth.ReasonConfiguration)
			refuse(t, made(clientauth.Secret("")), newRequest(), clientauth.ReasonSecret)
			broken := made(clientauth.SecretFunc(func(context.Context) (clientauth.Secret, error) { return "half", errVault }))
			refuse(t, broken, newRequest(), clientauth.ReasonUnavailable)
			err := broken.Authenticate(t.Context(), newRequest())
			require.ErrorIs(t, err, oidckit.ErrUnavailable)
			require.ErrorIs(t, err, errVault)

			waiting := made(clientauth.SecretFunc(func(ctx context.Context) (clientauth.Secret, error) { return "", ctx.Err() }))
			err = waiting.Authenticate(gone, newRequest())
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable, "the caller went away")
		})
	}
}

// A secret is read for each request.
func TestSecretFunc_IsAskedEachTime(t *testing.T) {
	t.Parallel()
	secrets := []clientauth.Secret{"one", "two"}
	m := clientauth.SecretPost(clientauth.SecretFunc(func(context.Context) (clientauth.Secret, error) {
		next := secrets[0]
		secrets = secrets[1:]
		return next, nil
	}))
	require.Equal(t, "one", authenticate(t, m).Form.Get("client_secret"))
	require.Equal(t, "two", authenticate(t, m).Form.Get("client_secret"))
}

// A changing secret, as a vault has it.
type changing struct {
	mu     sync.Mutex
	secret clientauth.Secret
	err    error
}

func (c *changing) set(s clientauth.Secret, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secret, c.err = s, err
}

func (c *changing) Secret(context.Context) (clientauth.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secret, c.err
}

func TestRenew(t *testing.T) {
	t.Parallel()
	for name, made := range bySecret() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := &changing{secret: longSecret()}
			m := made(source)
			changed, err := renew(t, m)
			require.NoError(t, err)
			require.False(t, changed, "nothing was sent")

			authenticate(t, m)
			changed, err = renew(t, m)
			require.NoError(t, err)
			require.False(t, changed, "it is the secret that was sent")

			source.set(longSecret()+"2", nil)
			changed, err = renew(t, m)
			require.NoError(t, err)
			require.True(t, changed)
			changed, err = renew(t, m)
			require.NoError(t, err)
			require.True(t, changed, "it was not sent yet")
			authenticate(t, m)
			changed, err = renew(t, m)
			require.NoError(t, err)
			require.False(t, changed, "now it was")

			source.set("", errors.New("sealed"))
			changed, err = renew(t, m)
			requireReason(t, err, clientauth.ReasonUnavailable)
			require.False(t, changed)
			source.set("", nil)
			_, err = renew(t, m)
			requireReason(t, err, clientauth.ReasonSecret)
		})
	}
}

// Two calls have sent the old secret when it changes. What the first has renewed does
// not make the second believe that it has sent the new one.
func TestRenew_IsOfOneCall(t *testing.T) {
	t.Parallel()
	source := &changing{secret: "old"}
	shared := clientauth.Auto(clientauth.Credentials{Secret: source})
	first, second, late := forCall(t, shared), forCall(t, shared), forCall(t, shared)
	authenticate(t, first)
	authenticate(t, second)
	source.set("new", nil)
	for _, m := range []clientauth.Method{first, second} {
		changed, err := renew(t, m)
		require.NoError(t, err)
		require.True(t, changed)
		authenticate(t, m)
	}
	authenticate(t, late)
	for _, m := range []clientauth.Method{first, second, late} {
		changed, err := renew(t, m)
		require.NoError(t, err)
		require.False(t, changed)
	}
}

// An assertion whose secret was refused before it was sent counts as none.
func TestRenew_CountsWhatWasSent(t *testing.T) {
	t.Parallel()
	m := clientauth.SecretJWT(clientauth.Secret("short"))
	refuse(t, m, newRequest(), clientauth.ReasonSecret)
	changed, err := renew(t, m)
	require.NoError(t, err)
	require.False(t, changed)
}
