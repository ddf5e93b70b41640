package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Credentials are what a client can prove itself with. All are optional. They print
// as [redacted].
type Credentials struct {
	Secret SecretSource // an empty [Secret] is none
	Signer Signer       // the key of private_key_jwt
	// Certificate is for tls_client_auth, or for self_signed_tls_client_auth if
	// SelfSigned is set.
	Certificate CertificateFunc
	SelfSigned  bool
	// Assertion is how private_key_jwt and client_secret_jwt make assertions.
	Assertion AssertionConfig
}

// Format prints [redacted] with every verb.
func (Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText prints [redacted].
func (Credentials) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue prints [redacted].
func (Credentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// Auto chooses the method by Provider.AuthMethodsSupported: of what there are credentials
// for, the first that is listed of tls_client_auth (or its self-signed form),
// private_key_jwt, client_secret_basic, client_secret_post and client_secret_jwt. A list
// that is empty means client_secret_basic (OpenID Connect Discovery 1.0 section 3). Without
// any credentials it is none. It never tries: a second attempt would spend a code twice.
// It has ClientCertificate if there is a certificate.
func Auto(c Credentials) Chooser {
	_, err := single([]AssertionConfig{c.Assertion})
	a := &auto{"auto", c.methods(), err}
	if c.Certificate == nil {
		return a
	}
	return &autoTLS{auto: a, certificate: c.Certificate}
}

// methods are in the order of preference.
func (c Credentials) methods() (list []Method) {
	switch {
	case c.Certificate != nil && c.SelfSigned:
		list = append(list, SelfSignedTLS(c.Certificate))
	case c.Certificate != nil:
		list = append(list, TLS(c.Certificate))
	}
	if c.Signer != nil {
		list = append(list, PrivateKeyJWT(c.Signer, c.Assertion))
	}
	if c.Secret != nil && c.Secret != Secret("") {
		list = append(list, SecretBasic(c.Secret), SecretPost(c.Secret), SecretJWT(c.Secret, c.Assertion))
	}
	return list
}

type auto struct {
	named
	methods []Method
	err     error // of Credentials.Assertion
}

// Check implements [Checker].
func (a *auto) Check() error { return a.err }

func (a *auto) Authenticate(ctx context.Context, r *Request) error {
	m, err := a.For(r.Provider)
	if err != nil {
		return err
	}
	return m.Authenticate(ctx, r)
}

func (a *auto) For(p Provider) (Method, error) {
	if len(a.methods) == 0 {
		return None(), nil
	}
	supported := p.AuthMethodsSupported
	if len(supported) == 0 {
		supported = []string{"client_secret_basic"}
	}
	for _, m := range a.methods {
		if slices.Contains(supported, m.Name()) {
			return forCall(m, p)
		}
	}
	return nil, problem(ReasonMethod, fmt.Sprintf("the credentials are for %s, and the provider supports %s: name a method if it is wrong about that",
		strings.Join(a.names(), ", "), strings.Join(supported, ", ")))
}

func (a *auto) names() (names []string) {
	for _, m := range a.methods {
		names = append(names, m.Name())
	}
	return names
}

// autoTLS tells whoever makes the connections, before the choice is made.
type autoTLS struct {
	*auto
	certificate CertificateFunc
}

// ClientCertificate returns that of the credentials.
func (a *autoTLS) ClientCertificate() CertificateFunc { return a.certificate }
