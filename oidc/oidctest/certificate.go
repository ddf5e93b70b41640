package oidctest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// authority is a certificate authority in memory. It is made when it is first
// needed.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// certificateLife: no test has a clock that far ahead.
const certificateLife = 100 * 365 * 24 * time.Hour

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template509(pkix.Name{CommonName: "oidctest CA"}, now)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	certificate, err := certify(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key}, nil
}

func template509(subject pkix.Name, now time.Time) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      subject,
		NotBefore:    now.Add(-certificateLife / 2),
		NotAfter:     now.Add(certificateLife / 2),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func certify(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue makes a key and a certificate for it.
func (a *authority) issue(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := certify(template, a.certificate, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}, nil
}

// serverCertificate is for the hosts of an address and an issuer.
func (a *authority) serverCertificate(now time.Time, hosts ...string) (tls.Certificate, error) {
	template := template509(pkix.Name{CommonName: "oidctest"}, now)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range append(hosts, "localhost", "127.0.0.1", "::1") {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

// ClientCertificate has the provider's own authority certify a new key for a
// client of tls_client_auth: the subject is CN=commonName, which is also its DNS
// name. It panics only if there is no randomness.
func (p *Provider) ClientCertificate(commonName string) tls.Certificate {
	template := template509(pkix.Name{CommonName: commonName}, p.Now())
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{commonName}
	certificate, err := p.authority.issue(template)
	if err != nil {
		panic(err)
	}
	return certificate
}

// SelfSignedCertificate makes a key and a certificate of its own, for a client of
// self_signed_tls_client_auth. It panics only if there is no randomness.
func SelfSignedCertificate(commonName string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := template509(pkix.Name{CommonName: commonName}, time.Now())
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certificate, err := certify(template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

// CertPool returns the authority of the provider's certificate, and of those of
// [Provider.ClientCertificate]: what a client has to trust when Config.TLS is set.
func (p *Provider) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.authority.certificate)
	return pool
}

// presentedCertificate is the one that the client of a request has shown, and whose
// key it has, or nil.
func presentedCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// certificateHash is x5t#S256 of RFC 8705, section 3.1.
func certificateHash(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return encode(sum[:])
}

// checkCertificate proves a client by its certificate (RFC 8705, section 2).
func (p *Provider) checkCertificate(r *http.Request, c *Client) *protocolError {
	certificate := presentedCertificate(r)
	if certificate == nil {
		return invalidClient("the client certificate is missing")
	}
	now := p.Now()
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return invalidClient("the client certificate has expired or is not valid yet")
	}
	if c.AuthMethod == methodSelfSignedTLS {
		return p.checkSelfSigned(r, c, certificate)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{
		Roots: p.clientAuthorities(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		Intermediates: intermediates(r.TLS.PeerCertificates[1:]),
	}); err != nil {
		return invalidClient("the client certificate is not by a trusted authority")
	}
	if !c.names(certificate) {
		return invalidClient("the client certificate is of another subject than the registered one")
	}
	return nil
}

func (p *Provider) clientAuthorities() *x509.CertPool {
	if p.cfg.ClientCAs != nil {
		return p.cfg.ClientCAs
	}
	return p.CertPool()
}

func intermediates(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool
}

// checkSelfSigned: RFC 8705, section 2.2, trusts the registered certificates and
// no chain.
func (p *Provider) checkSelfSigned(r *http.Request, c *Client, certificate *x509.Certificate) *protocolError {
	if slices.ContainsFunc(c.Certificates, func(known *x509.Certificate) bool { return bytes.Equal(known.Raw, certificate.Raw) }) {
		return nil
	}
	keys, err := p.keysOf(r.Context(), c, false)
	if c.JWKSURI != "" && (err != nil || !hasCertificate(keys, certificate)) {
		keys, err = p.keysOf(r.Context(), c, true)
	}
	switch {
	case err != nil:
		return invalidClient("the keys of the client are not available")
	case !hasCertificate(keys, certificate):
		return invalidClient("the client certificate is not the registered one")
	}
	return nil
}

// names tells whether a certificate has the one name that is registered (RFC 8705,
// section 2.1.2).
func (c *Client) names(certificate *x509.Certificate) bool {
	switch {
	case c.TLSSubjectDN != "":
		return certificate.Subject.String() == c.TLSSubjectDN
	case c.TLSSANDNS != "":
		return slices.Contains(certificate.DNSNames, c.TLSSANDNS)
	case c.TLSSANURI != "":
		return slices.ContainsFunc(certificate.URIs, func(u *url.URL) bool { return u.String() == c.TLSSANURI })
	case c.TLSSANEmail != "":
		return slices.Contains(certificate.EmailAddresses, c.TLSSANEmail)
	case c.TLSSANIP != "":
		return slices.ContainsFunc(certificate.IPAddresses, func(ip net.IP) bool { return ip.Equal(net.ParseIP(c.TLSSANIP)) })
	}
	return false
}
