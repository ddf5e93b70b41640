package seeds_test

import (
	"context"
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
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An edge stands for the Internet: a proxy that programs are told of by their environment, behind which hosts have the
// names, and certificates, that the documents call them by. A host that no test made cannot be reached.
type edge struct {
	t         *testing.T
	proxy     *httptest.Server
	tls       *httptest.Server
	authority tls.Certificate
	caFile    string

	mu    sync.Mutex
	hosts map[string]http.Handler
	certs map[string]*tls.Certificate
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{t: t, hosts: map[string]http.Handler{}, certs: map[string]*tls.Certificate{}}
	authority, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "oidckit test edge"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	require.NoError(t, err)
	e.authority, e.caFile = authority, filepath.Join(t.TempDir(), "authority.pem")
	require.NoError(t, os.WriteFile(e.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Leaf.Raw}), 0o600))

	e.tls = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	e.tls.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: e.certificate}
	e.tls.Config.ErrorLog = log.New(io.Discard, "", 0) // programs hang up as they like
	e.tls.StartTLS()
	t.Cleanup(e.tls.Close)
	e.proxy = httptest.NewServer(http.HandlerFunc(e.connect))
	t.Cleanup(e.proxy.Close)
	return e
}

// host gives a name to a handler.
func (e *edge) host(name string, h http.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hosts[name] = h
}

// forward gives a name to a program that listens at base.
func (e *edge) forward(name, base string) {
	to, err := url.Parse(base)
	require.NoError(e.t, err)
	e.host(name, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
}

// connect answers the CONNECT of a client, for the names that there are.
func (e *edge) connect(w http.ResponseWriter, r *http.Request) {
	name, port, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil || port != "443" || e.handler(name) == nil {
		http.Error(w, "nothing is there but the hosts of the test", http.StatusBadGateway)
		return
	}
	server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", e.tls.Listener.Addr().String())
	if err != nil {
		http.Error(w, "the edge is closed", http.StatusBadGateway)
		return
	}
	defer func() { _ = server.Close() }()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n") // the copying sees what is broken
	go func() {
		_, _ = io.Copy(server, buffered)
		_ = server.(*net.TCPConn).CloseWrite() // "tcp" above makes it one
	}()
	_, _ = io.Copy(client, server)
}

func (e *edge) handler(name string) http.Handler {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hosts[name]
}

func (e *edge) serve(w http.ResponseWriter, r *http.Request) {
	if h := e.handler(r.Host); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no such host", http.StatusMisdirectedRequest)
}

func (e *edge) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.certs[hello.ServerName]; c != nil {
		return c, nil
	}
	c, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: hello.ServerName}, DNSNames: []string{hello.ServerName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &e.authority)
	e.certs[hello.ServerName] = &c
	return &c, err
}

// environment tells a program of the edge: curl, Go, Python, Node.js and the AWS CLI have a name each for that.
func (e *edge) environment() []string {
	return []string{
		"HTTPS_PROXY=" + e.proxy.URL, "https_proxy=" + e.proxy.URL, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		"SSL_CERT_FILE=" + e.caFile, "CURL_CA_BUNDLE=" + e.caFile, "AWS_CA_BUNDLE=" + e.caFile, "NODE_EXTRA_CA_CERTS=" + e.caFile,
	}
}

// client is a browser's, that knows the edge and follows no redirect by itself.
func (e *edge) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(e.authority.Leaf)
	proxy, err := url.Parse(e.proxy.URL)
	require.NoError(e.t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}
	e.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get answers what is at an address.
func (e *edge) get(ctx context.Context, client *http.Client, target string, header ...string) (*http.Response, []byte) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	require.NoError(e.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(r)
	require.NoError(e.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	return res, body
}

// issue makes a key and a certificate of it, signed by authority or, if that is nil, by itself.
func issue(template *x509.Certificate, authority *tls.Certificate) (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent, signer := template, any(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return c, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
