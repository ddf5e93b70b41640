package clientauth_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
)

// The method is chosen from the metadata, never by trial.
func TestF32_AutoChoosesFromMetadata(t *testing.T) {
	t.Parallel()
	present := clientauth.CertificateFunc(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil })
	secret := clientauth.Credentials{Secret: longSecret()}
	key := clientauth.Credentials{Signer: newSigner("ES256")}
	certificate := clientauth.Credentials{Certificate: present}
	selfSigned := clientauth.Credentials{Certificate: present, SelfSigned: true}
	all := clientauth.Credentials{Secret: longSecret(), Signer: newSigner("ES256"), Certificate: present}
	const basic, post, hmac, signed, pki, self = "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"
	for _, tt := range []struct {
		credentials clientauth.Credentials
		supported   []string
		want        string // empty is an error
	}{
		{secret, nil, basic},
		{secret, []string{}, basic},
		{secret, []string{hmac, post, basic}, basic},
		{secret, []string{signed, hmac, post}, post},
		{secret, []string{signed, hmac}, hmac},
		{secret, []string{signed}, ""},
		{secret, []string{"none"}, ""},
		{secret, []string{"CLIENT_SECRET_BASIC"}, ""},
		{key, []string{basic, signed}, signed},
		{key, []string{basic, hmac}, ""},
		{key, nil, ""},
		{certificate, []string{self, pki}, pki},
		{certificate, []string{self}, ""},
		{selfSigned, []string{pki, self}, self},
		{selfSigned, []string{pki}, ""},
		{certificate, nil, ""},
		{all, []string{basic, post, hmac, signed, pki}, pki},
		{all, []string{basic, post, hmac, signed, self}, signed},
		{all, []string{basic, post, hmac}, basic},
		{all, nil, basic},
		{clientauth.Credentials{}, nil, "none"},
		{clientauth.Credentials{Secret: clientauth.Secret("")}, []string{basic}, "none"},
	} {
		p := provider
		p.AuthMethodsSupported = tt.supported
		r := newRequest()
		r.Provider = p
		auto := clientauth.Auto(tt.credentials)
		m, err := auto.For(p)
		if tt.want == "" {
			requireReason(t, err, clientauth.ReasonMethod)
			require.Nil(t, m)
			refuse(t, auto, r, clientauth.ReasonMethod)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.want, m.Name())
		require.NoError(t, auto.Authenticate(t.Context(), r))
		chosen := newRequest()
		require.NoError(t, m.Authenticate(t.Context(), chosen))
		require.Len(t, r.Header, len(chosen.Header))
		require.Len(t, r.Form, len(chosen.Form))
	}
}

func TestAuto_ErrorSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	p := provider
	p.AuthMethodsSupported = []string{"private_key_jwt", "none"}
	_, err := clientauth.Auto(clientauth.Credentials{Secret: longSecret()}).For(p)
	for _, name := range []string{"client_secret_basic, client_secret_post, client_secret_jwt", "private_key_jwt, none"} {
		require.ErrorContains(t, err, name)
	}
}

// Who makes connections learns of a certificate before the metadata are there, and of
// none where there is none.
func TestAuto_ClientCertificate(t *testing.T) {
	t.Parallel()
	type presents interface {
		ClientCertificate() clientauth.CertificateFunc
	}
	_, ok := clientauth.Auto(clientauth.Credentials{Secret: longSecret()}).(presents)
	require.False(t, ok)
	want := &tls.Certificate{}
	m, ok := clientauth.Auto(clientauth.Credentials{Certificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return want, nil }}).(presents)
	require.True(t, ok)
	got, err := m.ClientCertificate()(nil)
	require.NoError(t, err)
	require.Same(t, want, got)
}

func TestAuto_PassesTheAssertionConfig(t *testing.T) {
	t.Parallel()
	cfg := clientauth.AssertionConfig{Audience: "https://op.example/fixed"}
	for _, name := range []string{"private_key_jwt", "client_secret_jwt"} {
		p := provider
		p.AuthMethodsSupported = []string{name}
		m, err := clientauth.Auto(clientauth.Credentials{Secret: longSecret(), Signer: newSigner("ES256"), Assertion: cfg}).For(p)
		require.NoError(t, err)
		alg, key := "ES256", any(keyFor("ES256").Public())
		if name == "client_secret_jwt" {
			alg, key = "HS256", []byte(longSecret())
		}
		_, claims := assertionOf(t, authenticate(t, m), alg, key)
		require.Equal(t, any("https://op.example/fixed"), claims["aud"])
	}
}
