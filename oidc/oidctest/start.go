package oidctest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
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
// serves plain HTTP until [Provider.Close]. The default Issuer is http:// and the
// address listened on, with "localhost" for an addr without a host.
//
// Whoever reaches the address can log in as anybody: the login page lists the
// passwords. Listen on a loopback address.
func Listen(addr string, cfg Config) (*Provider, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if cfg.Issuer == "" {
		cfg.Issuer = "http://" + reachable(l.Addr())
	}
	p, err := New(cfg)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	p.serve(l)
	return p, nil
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

func (p *Provider) serve(l net.Listener) {
	// Close ends requests through their context: one that hangs has nothing else.
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           p,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		// No WriteTimeout: a Fault may delay as long as it likes.
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // always http.ErrServerClosed: nobody else has the listener
	}()
	p.stop = func() error {
		// First the connections: a handler whose context ends returns, which over an
		// open connection would be an empty answer with status 200.
		err := server.Close()
		cancel()
		<-done
		return err
	}
}
