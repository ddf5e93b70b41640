package clientauth

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// bySecret is a method that needs a text from somewhere: a secret, or an assertion that
// somebody else made. The source is behind a function, where no printing reaches it.
type bySecret struct {
	named
	source func() SecretSource
	apply  func(r *Request, secret string) error
	err    error                  // of the configuration
	used   atomic.Pointer[Secret] // by the last request
}

func newBySecret(name named, source SecretSource, apply func(*Request, string) error) *bySecret {
	m := &bySecret{named: name, source: func() SecretSource { return source }, apply: apply}
	if source == nil {
		m.err = problem(ReasonConfiguration, "the SecretSource is nil: give the secret, or use None for a client without one")
	}
	return m
}

// Check implements [Checker].
func (m *bySecret) Check() error { return m.err }

func (m *bySecret) Authenticate(ctx context.Context, r *Request) error {
	if m.err != nil {
		return m.err
	}
	if err := r.prepare(); err != nil {
		return err
	}
	secret, err := read(ctx, m.source().Secret)
	if err != nil {
		return err
	}
	if err := m.apply(r, string(secret)); err != nil {
		return err
	}
	m.used.Store(&secret)
	return nil
}

// For returns the method for one call, so that its Renew knows what that call has sent:
// while a secret changes, others may have sent another one.
func (m *bySecret) For(Provider) (Method, error) {
	return &bySecret{named: m.named, source: m.source, apply: m.apply, err: m.err}, nil
}

// Renew reads the secret anew and reports whether it is another one than was sent.
func (m *bySecret) Renew(ctx context.Context) (changed bool, err error) {
	used := m.used.Load()
	if used == nil {
		return false, nil
	}
	secret, err := read(ctx, renewal(m.source()))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(*used), []byte(secret)) == 0, nil
}

func read(ctx context.Context, ask func(context.Context) (Secret, error)) (Secret, error) {
	secret, err := ask(ctx)
	switch {
	case err != nil:
		return "", unavailable(ctx, "the secret cannot be read", err)
	case secret == "":
		return "", problem(ReasonSecret, "the secret is empty: use None for a client without one")
	}
	return secret, nil
}

// renewal reads what a source may have kept.
func renewal(source SecretSource) func(context.Context) (Secret, error) {
	if r, ok := source.(interface {
		Renew(ctx context.Context) (Secret, error)
	}); ok {
		return r.Renew
	}
	return source.Secret
}

// SecretBasic is client_secret_basic: HTTP Basic, with both parts form-encoded
// first, as RFC 6749 section 2.3.1 asks for.
func SecretBasic(secret SecretSource) Method {
	return newBySecret("client_secret_basic", secret, func(r *Request, secret string) error {
		setBasic(r.Header, url.QueryEscape(r.ClientID), url.QueryEscape(secret))
		return nil
	})
}

// SecretBasicRaw is client_secret_basic for providers that do not decode: HTTP Basic of
// the bare client ID and secret (RFC 7617), against RFC 6749 section 2.3.1. A client ID
// with a colon is an error.
func SecretBasicRaw(secret SecretSource) Method {
	return newBySecret("client_secret_basic", secret, func(r *Request, secret string) error {
		if strings.Contains(r.ClientID, ":") {
			return problem(ReasonConfiguration, "ClientID has a colon, which ends it in HTTP Basic: use SecretBasic")
		}
		setBasic(r.Header, r.ClientID, secret)
		return nil
	})
}

func setBasic(h http.Header, user, password string) {
	basic := http.Request{Header: h}
	basic.SetBasicAuth(user, password)
}

// SecretPost is client_secret_post: the secret in the form.
func SecretPost(secret SecretSource) Method {
	return newBySecret("client_secret_post", secret, func(r *Request, secret string) error {
		r.Form.Set("client_id", r.ClientID)
		r.Form.Set("client_secret", secret)
		return nil
	})
}
