package middleware_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func certificate(t *testing.T, name string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	pair := oidctest.SelfSignedCertificate(name)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	require.NoError(t, err)
	return pair, leaf
}

func clientCert(c *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":"
}

func connection(c ...*x509.Certificate) *tls.ConnectionState {
	return &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: c}
}

// P15: the certificate is that of the connection; a header counts from named proxies alone,
// whose own certificate never does.
func TestP15_CertificateOfTheClient(t *testing.T) {
	t.Parallel()
	_, ours := certificate(t, "client")
	_, others := certificate(t, "another client")
	_, proxys := certificate(t, "proxy")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	const proxy, stranger = "10.1.2.3:4444", "192.0.2.1:4444"
	for name, tt := range map[string]struct {
		remote string
		tls    *tls.ConnectionState
		header []string
		proxys []netip.Prefix
		good   bool
	}{
		"connection":                              {stranger, connection(ours), nil, nil, true},
		"connection, with a chain":                {stranger, connection(ours, others), nil, nil, true},
		"connection, and a header of a stranger":  {stranger, connection(ours), []string{clientCert(others)}, proxies, true},
		"header of a proxy":                       {proxy, connection(proxys), []string{clientCert(ours)}, proxies, true},
		"header of a proxy by http":               {proxy, nil, []string{clientCert(ours)}, proxies, true},
		"header of a proxy, IPv6":                 {"[fd00::1%eth0]:1", nil, []string{clientCert(ours)}, proxies, true},
		"header of a proxy, IPv4 in IPv6":         {"[::ffff:10.1.2.3]:1", nil, []string{clientCert(ours)}, proxies, true},
		"no connection":                           {stranger, nil, nil, nil, false},
		"no certificate":                          {stranger, connection(), nil, nil, false},
		"another certificate":                     {stranger, connection(others), nil, nil, false},
		"not the first of the chain":              {stranger, connection(others, ours), nil, nil, false},
		"handshake that is not complete":          {stranger, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ours}}, nil, nil, false},
		"header of a stranger":                    {stranger, nil, []string{clientCert(ours)}, proxies, false},
		"header of a stranger, with another":      {stranger, connection(others), []string{clientCert(ours)}, proxies, false},
		"header, and nobody is trusted":           {proxy, nil, []string{clientCert(ours)}, nil, false},
		"header without address":                  {"", nil, []string{clientCert(ours)}, proxies, false},
		"header of a socket":                      {"@", nil, []string{clientCert(ours)}, proxies, false},
		"proxy without header":                    {proxy, nil, nil, proxies, false},
		"proxy that has the certificate itself":   {proxy, connection(ours), nil, proxies, false},
		"another certificate by the proxy":        {proxy, connection(ours), []string{clientCert(others)}, proxies, false},
		"two headers":                             {proxy, nil, []string{clientCert(ours), clientCert(ours)}, proxies, false},
		"header without colons":                   {proxy, nil, []string{strings.Trim(clientCert(ours), ":")}, proxies, false},
		"header with one colon":                   {proxy, nil, []string{strings.TrimSuffix(clientCert(ours), ":")}, proxies, false},
		"header with parameters":                  {proxy, nil, []string{clientCert(ours) + ";a=b"}, proxies, false},
		"header with two":                         {proxy, nil, []string{clientCert(ours) + ", " + clientCert(ours)}, proxies, false},
		"header of no certificate":                {proxy, nil, []string{":aGVsbG8=:"}, proxies, false},
		"header that is empty":                    {proxy, nil, []string{"::"}, proxies, false},
		"header of one colon":                     {proxy, nil, []string{":"}, proxies, false},
		"header with more behind the certificate": {proxy, nil, []string{":" + base64.StdEncoding.EncodeToString(append(append([]byte{}, ours.Raw...), 0)) + ":"}, proxies, false},
		"header that is large":                    {proxy, nil, []string{":" + strings.Repeat("A", 16<<10) + ":"}, proxies, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newDPoPAPI(t)
			a.bearer.Proof = &middleware.MTLS{TrustedProxies: tt.proxys}
			r := a.request(t, "Bearer", a.tokenFor(members{"x5t#S256": oidc.CertificateThumbprint(ours)}))
			r.RemoteAddr, r.TLS = tt.remote, tt.tls
			if tt.header != nil {
				r.Header["Client-Cert"] = tt.header
			}
			w := a.serve(r)
			if tt.good {
				require.Equal(t, http.StatusOK, w.Code, a.log.String())
				return
			}
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Equal(t, []string{`Bearer error="invalid_token"`}, w.Header()["Www-Authenticate"])
			require.Contains(t, a.log.String(), "binding")
		})
	}
}

func TestP15_TokensThatAreNotBound(t *testing.T) {
	t.Parallel()
	_, ours := certificate(t, "client")
	a := newDPoPAPI(t)
	for allow, code := range map[bool]int{false: http.StatusUnauthorized, true: http.StatusOK} {
		a.bearer.Proof = &middleware.MTLS{AllowUnbound: allow}
		r := a.request(t, "Bearer", a.tokenFor(nil))
		r.TLS = connection(ours)
		require.Equal(t, code, a.serve(r).Code)
	}
	// Allowing those allows no bound one without its certificate.
	require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "Bearer", a.tokenFor(members{"x5t#S256": oidc.CertificateThumbprint(ours)}))).Code)
}

// A token that is bound in both ways needs both proofs.
func TestP15_BothProofs(t *testing.T) {
	t.Parallel()
	_, ours := certificate(t, "client")
	a := newDPoPAPI(t, unbound)
	d := a.bearer.Proof
	x5t := oidc.CertificateThumbprint(ours)
	both := a.tokenFor(members{"jkt": a.jkt, "x5t#S256": x5t})
	a.bearer.Proof = middleware.Proofs{d, &middleware.MTLS{AllowUnbound: true}}
	send := func(scheme, token string, proved bool, c *tls.ConnectionState) int {
		a.token = token
		r := a.request(t, scheme, token)
		if proved {
			r.Header.Set("DPoP", a.proof(t, nil, nil))
		}
		r.TLS = c
		return a.serve(r).Code
	}
	require.Equal(t, http.StatusOK, send("DPoP", both, true, connection(ours)), a.log.String())
	require.Equal(t, http.StatusUnauthorized, send("DPoP", both, true, connection()))
	require.Equal(t, http.StatusUnauthorized, send("DPoP", both, false, connection(ours)))
	require.Equal(t, http.StatusUnauthorized, send("Bearer", both, true, connection(ours)))
	require.Equal(t, http.StatusOK, send("DPoP", a.tokenFor(members{"jkt": a.jkt}), true, nil))
	require.Equal(t, http.StatusOK, send("Bearer", a.tokenFor(members{"x5t#S256": x5t}), false, connection(ours)))
	require.Equal(t, http.StatusUnauthorized, send("DPoP", a.tokenFor(members{"x5t#S256": x5t}), true, connection(ours)))
	require.Equal(t, http.StatusOK, send("Bearer", a.tokenFor(nil), false, nil))
	a.bearer.Proof = d
	require.Equal(t, http.StatusUnauthorized, send("DPoP", both, true, connection(ours)), "nobody looks at the certificate")
}

// The certificate of a real connection, which the server asks for and does not verify.
func TestP15_RealConnection(t *testing.T) {
	t.Parallel()
	pair, ours := certificate(t, "client")
	stolen, _ := certificate(t, "thief")
	a := newDPoPAPI(t)
	a.bearer.Proof = &middleware.MTLS{}
	server := httptest.NewUnstartedServer(a.bearer.Handler(reached))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	token := a.tokenFor(members{"x5t#S256": oidc.CertificateThumbprint(ours)})
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		code         int
	}{
		"ours": {[]tls.Certificate{pair}, http.StatusOK}, "another": {[]tls.Certificate{stolen}, http.StatusUnauthorized}, "none": {nil, http.StatusUnauthorized},
	} {
		transport, ok := server.Client().Transport.(*http.Transport)
		require.True(t, ok)
		transport = transport.Clone()
		transport.TLSClientConfig.Certificates = tt.certificates
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/reports", http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Client-Cert", clientCert(ours))
		answer, err := transport.RoundTrip(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		transport.CloseIdleConnections()
		require.Equal(t, tt.code, answer.StatusCode, name)
	}
}
