package oidctest_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const aliases = "https://mtls.op.example/realms/demo"

// selfSigned is the certificate of the clients "own" and "jwk".
var selfSigned = oidctest.SelfSignedCertificate("own")

func startMutual(t *testing.T, configure ...func(*oidctest.Config)) *oidctest.Provider {
	bound := oidctest.DefaultClient()
	bound.CertificateBoundTokens = true
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: ecKey().Public()},
		{Key: selfSigned.Leaf.PublicKey, Certificates: []*x509.Certificate{selfSigned.Leaf}},
	}})
	require.NoError(t, err)
	hash := sha256.Sum256(selfSigned.Leaf.Raw)
	hashed, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: selfSigned.Leaf.PublicKey, CertificateThumbprintSHA256: hash[:]},
	}})
	require.NoError(t, err)
	return start(t, append([]func(*oidctest.Config){func(c *oidctest.Config) {
		c.MutualTLS = true
		c.Clients = []oidctest.Client{
			bound,
			{ID: "dn", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=dn"},
			{ID: "dns", AuthMethod: "tls_client_auth", TLSSANDNS: "dns.example"},
			{ID: "ip", AuthMethod: "tls_client_auth", TLSSANIP: "192.0.2.7"},
			{ID: "uri", AuthMethod: "tls_client_auth", TLSSANURI: "https://uri.example/x"},
			{ID: "email", AuthMethod: "tls_client_auth", TLSSANEmail: "it@example.com"},
			{ID: "own", AuthMethod: "self_signed_tls_client_auth", Certificates: []*x509.Certificate{selfSigned.Leaf}},
			{ID: "jwk", AuthMethod: "self_signed_tls_client_auth", JWKS: set},
			{ID: "hash", AuthMethod: "self_signed_tls_client_auth", JWKS: hashed},
			{ID: "public", CertificateBoundTokens: true, RedirectURIs: []string{callback}},
		}
	}}, configure...)...)
}

// mutual sends a form in process, with a certificate if there is one.
func mutual(t *testing.T, p *oidctest.Provider, target string, certificate *tls.Certificate, form url.Values) answer {
	t.Helper()
	return mutually(t, p, certificate, postRequest(t, target, form))
}

func mutually(t *testing.T, p *oidctest.Provider, certificate *tls.Certificate, req *http.Request) answer {
	t.Helper()
	client := p.HTTPClient()
	if certificate != nil {
		client = p.HTTPClientWith(*certificate)
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.json)
	return a
}

// authority is another one, whose certificates have what they are told.
func authority(t *testing.T, template *x509.Certificate) (pool *x509.CertPool, certificate tls.Certificate) {
	t.Helper()
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(240 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, key := newEC(), newEC()
	root := signed509(t, ca, ca, caKey, caKey)
	template.SerialNumber = big.NewInt(2)
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	leaf := signed509(t, template, root, key, caKey)
	pool = x509.NewCertPool()
	pool.AddCert(root)
	return pool, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func signed509(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	require.NoError(t, err)
	return must(x509.ParseCertificate(der))
}

func TestClientsByCertificate(t *testing.T) {
	p := startMutual(t)
	dn, dns, another := p.ClientCertificate("dn"), p.ClientCertificate("dns.example"), p.ClientCertificate("another")
	stranger := oidctest.SelfSignedCertificate("own")
	guess := oidctest.SelfSignedCertificate("dn")
	const wrong = "the client certificate is not the registered one"
	for name, test := range map[string]struct {
		want, target, id string
		certificate      *tls.Certificate
		more             url.Values
	}{
		"subject":           {"", aliases, "dn", &dn, nil},
		"DNS name":          {"", aliases, "dns", &dns, nil},
		"self-signed":       {"", aliases, "own", &selfSigned, nil},
		"x5c":               {"", aliases, "jwk", &selfSigned, nil},
		"x5t#S256":          {"", aliases, "hash", &selfSigned, nil},
		"not asked for":     {"the client certificate is missing", issuer, "dn", &dn, nil},
		"missing":           {"the client certificate is missing", aliases, "own", nil, nil},
		"another subject":   {"the client certificate is of another subject than the registered one", aliases, "dn", &another, nil},
		"another DNS name":  {"the client certificate is of another subject than the registered one", aliases, "dns", &another, nil},
		"another IP":        {"the client certificate is of another subject than the registered one", aliases, "ip", &another, nil},
		"another URI":       {"the client certificate is of another subject than the registered one", aliases, "uri", &another, nil},
		"another email":     {"the client certificate is of another subject than the registered one", aliases, "email", &another, nil},
		"another authority": {"the client certificate is not by a trusted authority", aliases, "dn", &guess, nil},
		"same name":         {wrong, aliases, "own", &stranger, nil},
		"not in JWKS":       {wrong, aliases, "jwk", &stranger, nil},
		"not the hash":      {wrong, aliases, "hash", &stranger, nil},
		"by the CA":         {wrong, aliases, "own", &dn, nil},
		"a secret instead":  {"the client is registered for another authentication method", aliases, "dn", &dn, url.Values{"client_secret": {"x"}}},
		"another client":    {"the client is registered for another authentication method", aliases, "client", &dn, url.Values{"client_secret": {oidctest.ClientSecret}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := join(join(own, url.Values{"client_id": {test.id}}), test.more)
			a := mutual(t, p, test.target+"/token", test.certificate, f)
			if test.want == "" {
				require.Equal(t, http.StatusOK, a.status, a.body)
				return
			}
			require.Equal(t, http.StatusUnauthorized, a.status, a.body)
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
	p.Advance(60 * 365 * 24 * time.Hour)
	a := mutual(t, p, aliases+"/token", &selfSigned, join(own, url.Values{"client_id": {"own"}}))
	require.Equal(t, "the client certificate has expired or is not valid yet", a.str("error_description"))
}

func TestClientCAs(t *testing.T) {
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	pool, all := authority(t, &x509.Certificate{
		ExtKeyUsage: client, IPAddresses: []net.IP{net.ParseIP("192.0.2.7")}, EmailAddresses: []string{"it@example.com"},
		URIs: []*url.URL{must(url.Parse("https://uri.example/x"))},
	})
	p := startMutual(t, func(c *oidctest.Config) { c.ClientCAs = pool })
	for _, id := range []string{"ip", "email", "uri"} {
		a := mutual(t, p, aliases+"/token", &all, join(own, url.Values{"client_id": {id}}))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	ours := p.ClientCertificate("dn")
	a := mutual(t, p, aliases+"/token", &ours, join(own, url.Values{"client_id": {"dn"}}))
	require.Equal(t, "the client certificate is not by a trusted authority", a.str("error_description"))

	pool, server := authority(t, &x509.Certificate{Subject: pkix.Name{CommonName: "dn"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	p = startMutual(t, func(c *oidctest.Config) { c.ClientCAs = pool })
	a = mutual(t, p, aliases+"/token", &server, join(own, url.Values{"client_id": {"dn"}}))
	require.Equal(t, "the client certificate is not by a trusted authority", a.str("error_description"), "one of a server")
}

// TestSelfSignedAtJWKSURI: a new certificate is found where the client publishes it.
func TestSelfSignedAtJWKSURI(t *testing.T) {
	published := []jose.JSONWebKey{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: published})
	}))
	t.Cleanup(server.Close)
	p := startMutual(t, func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: "own", AuthMethod: "self_signed_tls_client_auth", JWKSURI: server.URL}}
	})
	f := join(own, url.Values{"client_id": {"own"}})
	a := mutual(t, p, aliases+"/token", &selfSigned, f)
	require.Equal(t, "the client certificate is not the registered one", a.str("error_description"))
	published = append(published, jose.JSONWebKey{Key: selfSigned.Leaf.PublicKey, Certificates: []*x509.Certificate{selfSigned.Leaf}})
	require.Equal(t, http.StatusOK, mutual(t, p, aliases+"/token", &selfSigned, f).status)
	server.Close()
	another := oidctest.SelfSignedCertificate("own")
	a = mutual(t, p, aliases+"/token", &another, f)
	require.Equal(t, "the keys of the client are not available", a.str("error_description"))
}

func TestCertificateBoundTokens(t *testing.T) {
	p := startMutual(t)
	ask := func(target string, certificate *tls.Certificate, form url.Values) answer {
		req := postRequest(t, target+"/token", form)
		req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
		return mutually(t, p, certificate, req)
	}
	a := ask(issuer, &selfSigned, own)
	require.Equal(t, "invalid_request", a.str("error"))
	require.Equal(t, "the client certificate is missing, to which tokens are to be bound", a.str("error_description"))

	a = ask(aliases, &selfSigned, codeForm(code(t, p)))
	require.Equal(t, http.StatusOK, a.status, a.body)
	sum := sha256.Sum256(selfSigned.Leaf.Raw)
	cnf := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	require.Equal(t, cnf, claimsOf(t, a, "access_token")["cnf"])
	require.Equal(t, "Bearer", a.str("token_type"))
	require.Equal(t, cnf, as(t, p, "/introspect", url.Values{"token": {a.str("access_token")}}).json["cnf"])

	another := oidctest.SelfSignedCertificate("own")
	for name, test := range map[string]struct {
		status      int
		target      string
		certificate *tls.Certificate
	}{
		"bound":         {http.StatusOK, aliases, &selfSigned},
		"missing":       {http.StatusUnauthorized, aliases, nil},
		"not asked for": {http.StatusUnauthorized, issuer, &selfSigned},
		"another":       {http.StatusUnauthorized, aliases, &another},
	} {
		req := postRequest(t, test.target+"/userinfo", nil)
		req.Header.Set("Authorization", "Bearer "+a.str("access_token"))
		got := mutually(t, p, test.certificate, req)
		require.Equal(t, test.status, got.status, name)
		if test.status != http.StatusOK {
			require.Contains(t, got.header.Get("WWW-Authenticate"), "certificate not bound", name)
		}
	}

	public := url.Values{"client_id": {"public"}}
	a = mutual(t, p, aliases+"/token", &selfSigned, join(codeForm(code(t, p, "client_id", "public")), public))
	f := join(refreshForm(a.str("refresh_token")), public)
	require.Equal(t, "the refresh token is bound to another certificate",
		mutual(t, p, aliases+"/token", &another, f).str("error_description"))
	require.Equal(t, http.StatusOK, mutual(t, p, aliases+"/token", &selfSigned, f).status)
}

// TestProofsAtAliases: the URL of a proof is the one the request was sent to.
func TestProofsAtAliases(t *testing.T) {
	p := startMutual(t)
	for target, status := range map[string]int{aliases: http.StatusOK, issuer: http.StatusBadRequest} {
		req := postRequest(t, aliases+"/token", join(own, url.Values{"client_id": {"own"}}))
		req.Header.Set("DPoP", proof(t, p, ecKey(), "POST", target+"/token", nil))
		require.Equal(t, status, mutually(t, p, &selfSigned, req).status)
	}
}

func TestMutualTLSOverTheNetwork(t *testing.T) {
	for name, test := range map[string]struct{ noAliases bool }{"aliases": {false}, "no aliases": {true}} {
		t.Run(name, func(t *testing.T) {
			p := oidctest.Start(t, func(c *oidctest.Config) {
				c.Algorithm, c.TLS, c.MutualTLS, c.NoMTLSAliases = "ES256", true, true, test.noAliases
				c.Clients = []oidctest.Client{{ID: "dn", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=dn"}}
			})
			require.True(t, strings.HasPrefix(p.Issuer(), "https://127.0.0.1:"))
			client := p.TLSClient(p.ClientCertificate("dn"))
			t.Cleanup(client.CloseIdleConnections)
			resp, err := client.Get(p.Issuer() + "/.well-known/openid-configuration")
			require.NoError(t, err)
			var metadata struct {
				Token   string            `json:"token_endpoint"`
				Aliases map[string]string `json:"mtls_endpoint_aliases"`
				Methods []string          `json:"token_endpoint_auth_methods_supported"`
			}
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&metadata))
			require.NoError(t, resp.Body.Close())
			require.Contains(t, metadata.Methods, "tls_client_auth")
			require.Contains(t, metadata.Methods, "self_signed_tls_client_auth")

			ask := func(client *http.Client, target string) int {
				resp, err := client.PostForm(target, join(own, url.Values{"client_id": {"dn"}}))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				return resp.StatusCode
			}
			right := metadata.Token
			if test.noAliases {
				require.Nil(t, metadata.Aliases)
			} else {
				right = metadata.Aliases["token_endpoint"]
				require.NotEqual(t, metadata.Token, right)
				require.Equal(t, http.StatusUnauthorized, ask(client, metadata.Token), "not asked for there")
			}
			require.Equal(t, http.StatusOK, ask(client, right))
			bare := p.TLSClient()
			t.Cleanup(bare.CloseIdleConnections)
			require.Equal(t, http.StatusUnauthorized, ask(bare, right))
			_, err = http.Get(p.Issuer() + "/jwks")
			require.Error(t, err, "nobody else trusts the authority")
		})
	}
}

func TestWithoutMutualTLS(t *testing.T) {
	p := start(t)
	a := get(t, p, issuer+"/.well-known/openid-configuration")
	require.NotContains(t, a.json, "mtls_endpoint_aliases")
	require.NotContains(t, a.json["token_endpoint_auth_methods_supported"], "tls_client_auth")
	_, err := p.HTTPClient().Get(aliases + "/jwks")
	require.Error(t, err)
	_, err = oidctest.Listen("127.0.0.1:0", oidctest.Config{MutualTLS: true})
	require.ErrorContains(t, err, "Config.MutualTLS")
}
