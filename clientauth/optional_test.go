package clientauth_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
)

// What is wrong with a method is told before it is used, and by each use.
func TestCheck(t *testing.T) {
	t.Parallel()
	key, text := newSigner("ES256"), longSecret()
	broken := clientauth.AssertionConfig{Type: "JWT", OmitType: true}
	for name, tt := range map[string]struct {
		method clientauth.Method
		wrong  bool
	}{
		"key":                       {clientauth.PrivateKeyJWT(key), false},
		"no key":                    {clientauth.PrivateKeyJWT(nil), true},
		"key, assertion":            {clientauth.PrivateKeyJWT(key, broken), true},
		"key, two":                  {clientauth.PrivateKeyJWT(key, clientauth.AssertionConfig{}, clientauth.AssertionConfig{}), true},
		"secret":                    {clientauth.SecretBasic(text), false},
		"no secret":                 {clientauth.SecretBasic(nil), true},
		"no secret, post":           {clientauth.SecretPost(nil), true},
		"no secret, JWT":            {clientauth.SecretJWT(nil), true},
		"JWT":                       {clientauth.SecretJWT(text), false},
		"JWT, algorithm":            {clientauth.SecretJWT(text, clientauth.AssertionConfig{Algorithm: "RS256"}), true},
		"JWT, assertion":            {clientauth.SecretJWT(text, broken), true},
		"file":                      {clientauth.AssertionFile("/nowhere"), false},
		"one of several":            {clientauth.Auto(clientauth.Credentials{Secret: text, Signer: key}), false},
		"one of several, assertion": {clientauth.Auto(clientauth.Credentials{Secret: text, Assertion: broken}), true},
	} {
		checker, ok := tt.method.(clientauth.Checker)
		require.True(t, ok, name)
		err := checker.Check()
		if !tt.wrong {
			require.NoError(t, err, name)
			continue
		}
		requireReason(t, err, clientauth.ReasonConfiguration)
	}
	for name, m := range map[string]clientauth.Method{"key": clientauth.PrivateKeyJWT(nil), "secret": clientauth.SecretBasic(nil), "for one call": forCall(t, clientauth.SecretBasic(nil))} {
		r := newRequest()
		requireReason(t, m.Authenticate(t.Context(), r), clientauth.ReasonConfiguration)
		require.Empty(t, r.Form, name)
	}
}

// A certificate is of the connection, whether we or the HTTP client present it.
func TestCertified(t *testing.T) {
	t.Parallel()
	present := clientauth.CertificateFunc(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil })
	for name, tt := range map[string]struct {
		method          clientauth.Method
		certified, ours bool
	}{
		"ours": {clientauth.TLS(present), true, true}, "its own": {clientauth.TLS(nil), true, false}, "self-signed": {clientauth.SelfSignedTLS(nil), true, false},
		"one of several": {clientauth.Auto(clientauth.Credentials{Certificate: present}), true, true},
		"none of them":   {clientauth.Auto(clientauth.Credentials{Secret: longSecret()}), false, false},
		"secret":         {clientauth.SecretBasic(longSecret()), false, false}, "none": {clientauth.None(), false, false},
	} {
		m, ok := tt.method.(clientauth.Certified)
		require.Equal(t, tt.certified, ok, name)
		if ok {
			require.Equal(t, tt.ours, m.ClientCertificate() != nil, name)
		}
	}
}

// Whoever makes the request has the clock of methods that have none.
func TestF36_ClockOfTheRequest(t *testing.T) {
	t.Parallel()
	now := time.Date(2041, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, alg := range []string{"HS256", "ES256"} {
		for _, own := range []func() time.Time{nil, func() time.Time { return now.Add(time.Hour) }} {
			m, key := byAssertion(alg, clientauth.AssertionConfig{Now: own})
			r, want := newRequest(), now
			r.Now = func() time.Time { return now }
			if own != nil {
				want = own()
			}
			require.NoError(t, m.Authenticate(t.Context(), r))
			_, claims := assertionOf(t, r, alg, key)
			require.InDelta(t, float64(want.Unix()), claims["iat"], 0)
		}
	}
}

// So an assertion in a file expires by it, too.
func TestAssertionFile_ClockOfTheRequest(t *testing.T) {
	t.Parallel()
	m := clientauth.AssertionFile(newFile(t, federated(t, time.Hour)))
	r := newRequest()
	r.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	requireReason(t, m.Authenticate(t.Context(), r), clientauth.ReasonExpired)
}
