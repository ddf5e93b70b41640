package oidctest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// HTTPClientWith is [Provider.HTTPClient] for a client with a certificate. It is
// shown where the provider asks for one: at the mtls_endpoint_aliases, or
// everywhere with Config.NoMTLSAliases.
func (p *Provider) HTTPClientWith(certificate tls.Certificate) *http.Client {
	return &http.Client{Transport: inProcess{p, certificate.Leaf}}
}

// TLSClient returns a client that trusts [Provider.CertPool], shows the
// certificates to a server that asks, and reaches the provider over the network.
// Every call returns a new client with connections of its own, which
// CloseIdleConnections ends.
func (p *Provider) TLSClient(certificates ...tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: p.CertPool(), Certificates: certificates, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}}
}

// mtlsURL is the alias of an endpoint at which certificates are asked for.
func (p *Provider) mtlsURL(e Endpoint) string { return p.mtlsOrigin + p.path + string(e) }

// mtlsOriginOf is where New has the aliases: on a host below the issuer's, since
// there is no other address.
func mtlsOriginOf(cfg Config, base *url.URL) string {
	if cfg.NoMTLSAliases {
		return base.Scheme + "://" + base.Host
	}
	return base.Scheme + "://mtls." + base.Host
}

// mtlsAliases is the member of the metadata (RFC 8705, section 5).
func (p *Provider) mtlsAliases() map[string]string {
	aliases := map[string]string{}
	for name, e := range clientEndpoints {
		aliases[name] = p.mtlsURL(e)
	}
	return aliases
}

// clientEndpoints are those that clients call by themselves.
var clientEndpoints = map[string]Endpoint{
	"token_endpoint":                        Token,
	"userinfo_endpoint":                     UserInfo,
	"pushed_authorization_request_endpoint": PushedAuthorization,
	"introspection_endpoint":                Introspection,
	"revocation_endpoint":                   Revocation,
	"registration_endpoint":                 Registration,
	"device_authorization_endpoint":         DeviceAuthorization,
	"backchannel_authentication_endpoint":   BackchannelAuthentication,
}

// at marks requests with the origin they were sent to.
func (p *Provider) at(origin string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), originKey{}, origin)))
	})
}

// connection is what an in-process request over https looks like.
func (p *Provider) connection(origin string, certificate *x509.Certificate) *tls.ConnectionState {
	state := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
	if p.cfg.MutualTLS && origin == p.mtlsOrigin && certificate != nil {
		state.PeerCertificates = []*x509.Certificate{certificate}
	}
	return state
}

// tlsConfig has a certificate for the address and the issuer.
func (p *Provider) tlsConfig(addr net.Addr, asks bool) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil { // unreachable: net made the address
		return nil, err
	}
	issuer, err := url.Parse(p.base)
	if err != nil { // unreachable: check parsed it
		return nil, err
	}
	certificate, err := p.authority.serverCertificate(p.Now(), host, issuer.Hostname())
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if asks {
		// Which certificate is right is for the endpoints to say, as errors of OAuth.
		cfg.ClientAuth = tls.RequestClientCert
	}
	return cfg, nil
}

// listeners are the provider's own address and, with aliases, theirs.
type listeners struct{ main, mtls net.Listener }

func (l listeners) close() error {
	if l.mtls == nil {
		return l.main.Close()
	}
	return errors.Join(l.main.Close(), l.mtls.Close())
}

func (p *Provider) serve(l listeners) error {
	stop, err := p.serveAt(l.main, p, p.cfg.MutualTLS && l.mtls == nil)
	if err != nil {
		return err
	}
	p.stop = stop
	if l.mtls == nil {
		return nil
	}
	second, err := p.serveAt(l.mtls, p.at(p.mtlsOrigin), true)
	if err != nil {
		return errors.Join(err, stop())
	}
	p.stop = func() error { return errors.Join(stop(), second()) }
	return nil
}

// serveAt returns what ends the server.
func (p *Provider) serveAt(l net.Listener, handler http.Handler, asks bool) (stop func() error, err error) {
	// Close ends requests through their context: one that hangs has nothing else.
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Handshakes that clients break off are none of the terminal's business.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		// No WriteTimeout: a Fault may delay as long as it likes.
	}
	if p.cfg.TLS {
		if server.TLSConfig, err = p.tlsConfig(l.Addr(), asks); err != nil {
			cancel()
			return nil, err
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Always http.ErrServerClosed: nobody else has the listener.
		if p.cfg.TLS {
			_ = server.ServeTLS(l, "", "")
			return
		}
		_ = server.Serve(l)
	}()
	return func() error {
		// First the connections: a handler whose context ends returns, which over an
		// open connection would be an empty answer with status 200.
		err := server.Close()
		cancel()
		<-done
		return err
	}, nil
}
