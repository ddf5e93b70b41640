package middleware

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/oidc"
)

// An MTLS is a [ProofVerifier] for tokens that are bound to the certificate of the client
// (RFC 8705 section 3), which has proved to have its key when the connection was made. Whose
// certificate it is makes no difference: the server has to ask for one, with
// tls.RequestClientCert at least, and need not verify it. The zero MTLS requires such tokens,
// and believes the connection alone. It must not be changed once it is in use, and may be
// shared then.
type MTLS struct {
	// TrustedProxies are the addresses of proxies that make the connections with clients. From
	// them, and nobody else, the certificate is taken that the header Client-Cert has (RFC
	// 9440), and never that of the connection, which is the proxy's own. They must remove
	// the header from what clients send.
	TrustedProxies []netip.Prefix
	// AllowUnbound lets tokens through that are bound to no certificate. Without it, every
	// token must be bound. One that is bound needs its certificate with it too.
	AllowUnbound bool
}

// CheckProof implements [ProofVerifier].
func (m *MTLS) CheckProof(_ context.Context, r ProofRequest, token *oidc.AccessToken) (proven oidc.Confirmation, err error) {
	bound := token.Confirmation.CertificateThumbprint != ""
	switch {
	case r.Scheme == dpopScheme && token.Confirmation.JWKThumbprint == "":
		return proven, notBound("sent as DPoP, and bound to no key")
	case !bound && (m == nil || !m.AllowUnbound):
		return proven, notBound("bound to no certificate, and MTLS.AllowUnbound is not set")
	case !bound:
		return proven, nil
	}
	certificate, err := m.certificate(&r.Credentials)
	if err != nil {
		return proven, err
	}
	proven.CertificateThumbprint = oidc.CertificateThumbprint(certificate)
	return proven, nil
}

// certificate returns that of the client.
func (m *MTLS) certificate(c *Credentials) (*x509.Certificate, error) {
	if m.trusts(c.RemoteAddr) {
		return forwarded(c.ClientCert)
	}
	// In a handshake that is not complete, nobody has proved anything.
	if c.TLS == nil || !c.TLS.HandshakeComplete || len(c.TLS.PeerCertificates) == 0 {
		return nil, notBound("the connection has no client certificate")
	}
	return c.TLS.PeerCertificates[0], nil
}

func (m *MTLS) trusts(remote string) bool {
	if m == nil || len(m.TrustedProxies) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(m.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

const maxClientCert = 16 << 10

// forwarded reads a Client-Cert header: one certificate in DER, as a byte sequence of
// structured fields, in colons (RFC 9440 section 2.1, RFC 8941 section 3.3.5).
func forwarded(values []string) (*x509.Certificate, error) {
	if len(values) != 1 || len(values[0]) > maxClientCert {
		return nil, notBound("the proxy did not send one Client-Cert header")
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(values[0]), ":")
	text, closed := strings.CutSuffix(text, ":")
	der, err := base64.StdEncoding.DecodeString(text)
	if !ok || !closed || err != nil {
		return nil, notBound("the header Client-Cert is no byte sequence")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &oidc.Error{Reason: oidc.ReasonBinding, Claim: "cnf", Err: errNoCertificate}
	}
	return certificate, nil
}

// errNoCertificate stands for the error of x509, which may quote the certificate.
var errNoCertificate = errors.New("the header Client-Cert has no certificate")
