package clientauth

import "context"

// A Chooser is a [Method] that becomes another one for each call: one of several, by what
// a provider supports, or one that remembers what the call has sent.
type Chooser interface {
	Method
	// For returns the method for one call. It is asked before each, and what it returns
	// serves that call only. The error is of type *[Error] with ReasonMethod if the provider
	// supports none.
	For(Provider) (Method, error)
}

// A Renewer is a [Method] whose secret can be replaced while the program runs.
type Renewer interface {
	Method
	// Renew is for after an invalid_client: it reads the secret anew, and says whether that
	// is another one than the call has sent.
	Renew(ctx context.Context) (changed bool, err error)
}

// A Certified is a [Method] whose proof is a certificate of the connection (RFC 8705). Its
// requests go to the provider's mtls_endpoint_aliases.
type Certified interface {
	Method
	// ClientCertificate is what the connection has to present; nil if the HTTP client
	// presents it by itself.
	ClientCertificate() CertificateFunc
}

// A Checker is a [Method] that can tell that it was put together wrongly, before it is
// used.
type Checker interface {
	Method
	// Check does no I/O. The error is the one of each Authenticate, of type *[Error] with
	// ReasonConfiguration.
	Check() error
}

// forCall returns what a method is for one call to a provider.
func forCall(m Method, p Provider) (Method, error) {
	if chooser, ok := m.(Chooser); ok {
		return chooser.For(p)
	}
	return m, nil
}
