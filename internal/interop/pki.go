package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PKI is a certificate authority that lives as long as a test. Its keys are for P-256.
type PKI struct {
	authority tls.Certificate
	pool      *x509.CertPool
	transport *http.Transport
}

func newPKI(t testing.TB) *PKI {
	t.Helper()
	authority := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "oidckit test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &PKI{authority: authority, pool: pool, transport: transport}
}

// Transport is one for clients that trust this authority and nobody else.
func (p *PKI) Transport() *http.Transport { return p.transport }

// Pool returns the roots that a client needs to trust [OP.MTLS] and [PKI.Serve].
func (p *PKI) Pool() *x509.CertPool { return p.pool.Clone() }

// ClientCertificate issues a certificate for tls_client_auth: its subject is CN=name,O=oidckit, as
// tls_client_auth_subject_dn has it, and its only alternative name, for tls_client_auth_san_dns, is name.
func (p *PKI) ClientCertificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return issue(t, clientTemplate(name), &p.authority)
}

// SelfSignedCertificate returns a certificate for self_signed_tls_client_auth, which no authority vouches for.
func SelfSignedCertificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return issue(t, clientTemplate(name), nil)
}

func clientTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name, Organization: []string{"oidckit"}}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// Serve starts an HTTPS server of the authority on loopback, which the provider may call. It ends with the test.
func (p *PKI) Serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a browser is told to trust it only after a first handshake
	server.EnableHTTP2 = true                           // with it a browser has more than six requests under way
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{p.serverCertificate(t)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func (p *PKI) serverCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	return issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &p.authority)
}

// files writes what the provider's listener needs, and says where.
func (p *PKI) files(t testing.TB) (certificate, key, authority string) {
	t.Helper()
	server := p.serverCertificate(t)
	der, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	dir := t.TempDir()
	return writePEM(t, dir, "server.pem", "CERTIFICATE", server.Leaf.Raw),
		writePEM(t, dir, "server.key", "PRIVATE KEY", der),
		writePEM(t, dir, "authority.pem", "CERTIFICATE", p.authority.Leaf.Raw)
}

func writePEM(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatalf("interop: %v", err)
	}
	return path
}

// issue makes a key and a certificate of it, signed by authority or, if that is nil, by itself.
func issue(t testing.TB, template *x509.Certificate, authority *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent, signer := template, any(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
