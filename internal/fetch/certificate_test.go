package fetch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/fetch"
)

func certificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func presents(c *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
}

// whoCalls answers with the name in the client's certificate, and the version of HTTP.
func whoCalls(w http.ResponseWriter, r *http.Request) {
	name := "nobody"
	if len(r.TLS.PeerCertificates) > 0 {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	w.Header().Set("Content-Type", jsonType)
	fmt.Fprintf(w, "%s %s", name, r.Proto)
}

func called(t *testing.T, cfg fetch.Config, target string) string {
	t.Helper()
	resp, err := fetch.New(cfg).Get(t.Context(), target, jsonType)
	require.NoError(t, err)
	return string(resp.Body)
}

// A certificate is presented for the client it belongs to, whatever connections others of the
// same transport have, and HTTP/2 stays.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	target, roots := serveTLS(t, tls.VersionTLS12, tls.VersionTLS13, whoCalls)
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*certificate(t, "of the transport")}},
	}
	hc := &http.Client{Transport: transport}
	for range 2 { // the second time over connections that are there
		require.Equal(t, "of the transport HTTP/2.0", called(t, fetch.Config{HTTPClient: hc}, target))
		for _, name := range []string{"a", "b"} {
			cfg := fetch.Config{HTTPClient: hc, ClientCertificate: presents(certificate(t, name))}
			require.NoError(t, cfg.Check())
			require.Equal(t, name+" HTTP/2.0", called(t, cfg, target))
		}
	}
	require.Nil(t, transport.TLSClientConfig.GetClientCertificate, "the transport is the caller's")

	failing := fetch.Config{HTTPClient: hc, ClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return nil, errors.New("MARKER")
	}}
	_, err := fetch.New(failing).Get(t.Context(), target, jsonType)
	requireError(t, err)
}

// With each other rule too: TLS is never older than 1.2, and PublicOnly stays.
func TestClientCertificate_KeepsTheRules(t *testing.T) {
	t.Parallel()
	old, roots := serveTLS(t, tls.VersionTLS10, tls.VersionTLS11, whoCalls)
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}}}
	own := presents(certificate(t, "a"))
	for name, cfg := range map[string]fetch.Config{
		"old TLS":           {HTTPClient: hc, ClientCertificate: own},
		"public only":       {PublicOnly: true, ClientCertificate: own},
		"nobody is trusted": {ClientCertificate: own},
	} {
		_, err := fetch.New(cfg).Get(t.Context(), old, jsonType)
		requireError(t, err)
		require.NotContains(t, err.Error(), "MARKER", name)
	}
}

func TestClientCertificate_Check(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialled") }
	for name, transport := range map[string]http.RoundTripper{
		"another RoundTripper": roundTripper(nil),
		"dials TLS":            &http.Transport{DialTLSContext: dial},
	} {
		cfg := fetch.Config{HTTPClient: &http.Client{Transport: transport}}
		require.NoError(t, cfg.Check(), name)
		cfg.ClientCertificate = presents(nil)
		err := cfg.Check()
		require.Error(t, err, name)
		require.True(t, strings.HasPrefix(err.Error(), "HTTPClient.Transport"), name)
	}
	for _, hc := range []*http.Client{nil, {}, {Transport: &http.Transport{}}} {
		require.NoError(t, fetch.Config{HTTPClient: hc, ClientCertificate: presents(nil)}.Check())
	}
}
