package oidctest

import (
	"errors"
	"net"
)

// TB is the part of testing.TB that [Start] needs. Naming it here keeps package
// testing, and its flags, out of programs that embed a provider.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start listens on a port of 127.0.0.1 until the test is over. The functions
// change the configuration, in which the defaults, the default client and the
// default users have been filled in. An error fails the test.
func Start(tb TB, configure ...func(*Config)) *Provider {
	tb.Helper()
	cfg := Config{}.withDefaults()
	// Clients follow Config.Algorithm unless somebody sets theirs.
	for i := range cfg.Clients {
		cfg.Clients[i].IDTokenAlgorithm = ""
	}
	for _, f := range configure {
		f(&cfg)
	}
	p, err := Listen("127.0.0.1:0", cfg)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil // for a Fatalf that returns
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// Listen listens at addr, a host and port where port 0 takes a free one, and
// serves plain HTTP, or HTTPS with Config.TLS, until [Provider.Close]. The default
// Issuer is http:// or https:// and the address listened on, with "localhost" for
// an addr without a host.
//
// Whoever reaches the address can log in as anybody: the login page lists the
// passwords. Listen on a loopback address.
func Listen(addr string, cfg Config) (*Provider, error) {
	if cfg.MutualTLS && !cfg.TLS {
		return nil, errors.New("oidctest: Config.MutualTLS: it needs TLS to listen")
	}
	l, err := listen(addr, cfg)
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if cfg.TLS {
		scheme = "https://"
	}
	if cfg.Issuer == "" {
		cfg.Issuer = scheme + reachable(l.main.Addr())
	}
	p, err := New(cfg)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	if l.mtls != nil {
		p.mtlsOrigin = scheme + reachable(l.mtls.Addr())
	}
	if err := p.serve(l); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return p, nil
}

func listen(addr string, cfg Config) (l listeners, err error) {
	if l.main, err = net.Listen("tcp", addr); err != nil || !cfg.MutualTLS || cfg.NoMTLSAliases {
		return l, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err == nil {
		l.mtls, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return l, errors.Join(err, l.main.Close())
	}
	return l, nil
}

// reachable names a host for an address that stands for all interfaces.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil { // unreachable: net made the address
		return addr.String()
	}
	return net.JoinHostPort("localhost", port)
}
