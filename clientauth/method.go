package clientauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// A Method proves who the client is. It must be safe for concurrent use.
type Method interface {
	// Authenticate puts the proof into a request to one of the provider's
	// endpoints. The error says why there is none, and holds no secret.
	Authenticate(ctx context.Context, r *Request) error
	// Name is the method's name in token_endpoint_auth_methods_supported.
	Name() string
}

// A Request is what a [Method] may set.
type Request struct {
	ClientID string
	Header   http.Header
	Form     url.Values
}

// The methods hold the secret behind a function, where no printing reaches it.
type secretBasic struct{ secret func() string }

// SecretBasic is client_secret_basic: HTTP Basic, with both parts form-encoded
// first, as RFC 6749 section 2.3.1 asks for.
func SecretBasic(secret Secret) Method { return secretBasic{secret.hide()} }

func (secretBasic) Name() string { return "client_secret_basic" }

func (m secretBasic) Authenticate(_ context.Context, r *Request) error {
	basic := http.Request{Header: r.Header}
	basic.SetBasicAuth(url.QueryEscape(r.ClientID), url.QueryEscape(m.secret()))
	return nil
}

type secretPost struct{ secret func() string }

// SecretPost is client_secret_post: the secret in the form.
func SecretPost(secret Secret) Method { return secretPost{secret.hide()} }

func (secretPost) Name() string { return "client_secret_post" }

func (m secretPost) Authenticate(_ context.Context, r *Request) error {
	r.Form.Set("client_id", r.ClientID)
	r.Form.Set("client_secret", m.secret())
	return nil
}

type none struct{}

// None is a public client, which has nothing to prove itself with.
func None() Method { return none{} }

func (none) Name() string { return "none" }

func (none) Authenticate(_ context.Context, r *Request) error {
	r.Form.Set("client_id", r.ClientID)
	return nil
}

// ForSecret chooses the method for a client that has a secret, or none, from
// what the provider's metadata say it supports. Metadata that say nothing mean
// client_secret_basic (OpenID Connect Discovery 1.0 section 3). It never tries:
// a second attempt would spend a code twice.
func ForSecret(secret Secret, supported []string) (Method, error) {
	switch {
	case secret == "":
		return None(), nil
	case len(supported) == 0 || slices.Contains(supported, "client_secret_basic"):
		return SecretBasic(secret), nil
	case slices.Contains(supported, "client_secret_post"):
		return SecretPost(secret), nil
	}
	return nil, fmt.Errorf("clientauth: %w: it supports %q", errNoMethod, supported)
}

var errNoMethod = errors.New("the provider takes no client secret by Basic or form")
