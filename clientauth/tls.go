package clientauth

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
)

// A CertificateFunc chooses the certificate that a connection presents, as
// tls.Config.GetClientCertificate. It is called for each handshake, and must be safe for
// concurrent use.
type CertificateFunc func(*tls.CertificateRequestInfo) (*tls.Certificate, error)

// Format prints [redacted] with every verb.
func (CertificateFunc) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText prints [redacted].
func (CertificateFunc) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue prints [redacted].
func (CertificateFunc) LogValue() slog.Value { return slog.StringValue(redacted) }

// TLS is tls_client_auth (RFC 8705 section 2.1): the connection presents a certificate
// that the provider knows by its subject and issuer. Nil means that the HTTP client
// presents it by itself. Plain http is an error otherwise.
func TLS(certificate CertificateFunc) Method { return &byTLS{"tls_client_auth", certificate} }

// SelfSignedTLS is self_signed_tls_client_auth (RFC 8705 section 2.2): as [TLS], with a
// certificate that the provider knows by its key.
func SelfSignedTLS(certificate CertificateFunc) Method {
	return &byTLS{"self_signed_tls_client_auth", certificate}
}

type byTLS struct {
	named
	certificate CertificateFunc
}

// ClientCertificate implements [Certified]: it returns what was given.
func (m *byTLS) ClientCertificate() CertificateFunc { return m.certificate }

func (m *byTLS) Authenticate(_ context.Context, r *Request) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if m.certificate != nil && !strings.HasPrefix(strings.ToLower(r.Endpoint), "https://") {
		return problem(ReasonConfiguration, "Endpoint is not https: no certificate can be presented there")
	}
	// "The client MUST include the client_id parameter" (RFC 8705 section 2): the
	// certificate alone does not tell who that is.
	r.Form.Set("client_id", r.ClientID)
	return nil
}
