package middleware

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// Credentials are what a request brings to prove who sends it. Whatever transport it
// came by, they are all that [Bearer.Authenticate] looks at.
type Credentials struct {
	// Authorization are the values of the Authorization header. There should be one.
	Authorization []string

	// The rest is for [Bearer.Proof] alone.

	// DPoP are the values of the DPoP header (RFC 9449 section 4.1).
	DPoP []string
	// Method of the request.
	Method string
	// URL of the request as the client sees it, without query: the configured one and the
	// path, never the Host header. Empty if none is configured.
	URL string
	// TLS is the connection that the request came by; nil if it is not encrypted.
	TLS *tls.ConnectionState
	// ClientCert are the values of the Client-Cert header (RFC 9440), which anybody can
	// send: only RemoteAddr tells whether a proxy wrote it.
	ClientCert []string
	// RemoteAddr is the address and port of who is connected.
	RemoteAddr string
}

// Format prints no more than what it is, with every verb: there is a token in it.
func (c Credentials) Format(s fmt.State, _ rune) {
	_, _ = s.Write([]byte("middleware.Credentials[redacted]"))
}

// LogValue redacts, as Format does.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// gather reads a request. What only proofs need is not gathered for nobody.
func (b *Bearer) gather(c *Credentials, r *http.Request) {
	c.Authorization = r.Header["Authorization"]
	if b == nil || b.Proof == nil {
		return
	}
	c.DPoP, c.ClientCert = r.Header["Dpop"], r.Header["Client-Cert"]
	c.Method, c.TLS, c.RemoteAddr = r.Method, r.TLS, r.RemoteAddr
	if base := b.publicURL(); base != "" {
		c.URL = strings.TrimSuffix(base, "/") + rooted(r.URL.EscapedPath())
	}
}

// rooted is a path that cannot go on with the host before it, as ".evil.example" would. Such
// are left over by http.StripPrefix.
func rooted(path string) string {
	if path == "" || path[0] == '/' {
		return path
	}
	return "/" + path
}

// publicURL is what stands before the path of a request.
func (b *Bearer) publicURL() string {
	if b.PublicURL == "" && b.Resource != nil {
		return b.Resource.origin()
	}
	return b.PublicURL
}
