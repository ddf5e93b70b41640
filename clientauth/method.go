package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// A Method proves who the client is. It must be safe for concurrent use.
//
// A method may have more to it. Whoever makes requests looks whether it is a [Chooser], a
// [Renewer] or a [Certified], and once whether it is a [Checker].
type Method interface {
	// Authenticate puts the proof into a request to one of the provider's
	// endpoints, in place of any that is there. The error says why there is none, and
	// holds no secret; it answers errors.Is for oidckit.ErrUnavailable if asking again
	// later can help. Those of this package are of type *[Error].
	Authenticate(ctx context.Context, r *Request) error
	// Name is the method's name in token_endpoint_auth_methods_supported.
	Name() string
}

// A Request is what a [Method] knows of a request, and what it may set: Header and
// Form. It prints without them; only where it stands in an unexported field of another
// struct, package fmt does not ask it.
type Request struct {
	// ClientID is required.
	ClientID string
	// Endpoint is the URL that the request goes to.
	Endpoint string
	// Provider is whose endpoint that is.
	Provider Provider
	// Header and Form are those of the request. Nil ones are made.
	Header http.Header
	Form   url.Values
	// Now tells the time to methods whose configuration has no clock of its own; nil means
	// time.Now.
	Now func() time.Time
}

func (r *Request) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// A Provider is what its metadata say about the authentication of clients.
type Provider struct {
	// Issuer is what assertions are made out to.
	Issuer string
	// TokenEndpoint is its URL, whichever endpoint a request goes to.
	TokenEndpoint string
	// AuthMethodsSupported is token_endpoint_auth_methods_supported or its counterpart
	// of another endpoint. Empty means client_secret_basic (RFC 8414 section 2).
	AuthMethodsSupported []string
	// SigningAlgorithmsSupported is token_endpoint_auth_signing_alg_values_supported or
	// its counterpart. Empty says nothing.
	SigningAlgorithmsSupported []string
}

// proofs are the parameters that methods prove something with.
var proofs = []string{"client_secret", "client_assertion", "client_assertion_type"}

// prepare takes out other proofs: a client must not use more than one method in a
// request (RFC 6749 section 2.3).
func (r *Request) prepare() error {
	if r.ClientID == "" {
		return problem(ReasonConfiguration, "ClientID is empty: set it to the client_id of the registration")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Form == nil {
		r.Form = url.Values{}
	}
	r.Header.Del("Authorization")
	for _, name := range proofs {
		r.Form.Del(name)
	}
	return nil
}

func (r Request) shown() string {
	return fmt.Sprintf("clientauth.Request(%q, %q)", r.ClientID, r.Endpoint)
}

// Format prints client and endpoint with every verb.
func (r Request) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.shown())) }

// MarshalText prints client and endpoint.
func (r Request) MarshalText() ([]byte, error) { return []byte(r.shown()), nil }

// LogValue prints client and endpoint.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.shown()) }

// named is the part that all methods share: their name is all that they print.
type named string

// Name implements Method.
func (n named) Name() string { return string(n) }

// Format prints the name with every verb.
func (n named) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("clientauth." + string(n))) }

// MarshalText prints the name.
func (n named) MarshalText() ([]byte, error) { return []byte(n), nil }

type none struct{ named }

// None is a public client, which has nothing to prove itself with: it says its
// client_id (RFC 6749 section 3.2.1).
func None() Method { return none{"none"} }

func (none) Authenticate(_ context.Context, r *Request) error {
	if err := r.prepare(); err != nil {
		return err
	}
	r.Form.Set("client_id", r.ClientID)
	return nil
}
