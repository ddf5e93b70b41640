package clientauth

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/oidckit/oidckit/internal/jwt"
)

// A Signer signs assertions with a key of the client's: a *jwks.SigningKey, for
// example. SignJWT returns a compact JWS of payload, with "typ" unless typ is empty. It
// must be safe for concurrent use.
type Signer interface {
	SignJWT(ctx context.Context, typ string, payload []byte) (compact string, err error)
}

// PrivateKeyJWT is private_key_jwt (OpenID Connect Core section 9, RFC 7523): an assertion
// that is signed with a private key, for each request a new one. At most one
// configuration is given. An algorithm that the provider's metadata do not list is an
// error, if they list any.
func PrivateKeyJWT(key Signer, config ...AssertionConfig) Method {
	cfg, err := single(config)
	if key == nil && err == nil {
		err = problem(ReasonConfiguration, "the Signer of PrivateKeyJWT is nil: give a key")
	}
	return &byKey{named: "private_key_jwt", key: func() Signer { return key }, cfg: cfg, err: err}
}

// byKey holds the key behind a function, where no printing reaches it.
type byKey struct {
	named
	key func() Signer
	cfg AssertionConfig
	err error // of the configuration
}

// Check implements [Checker].
func (m *byKey) Check() error { return m.err }

func (m *byKey) Authenticate(ctx context.Context, r *Request) error {
	if m.err != nil {
		return m.err
	}
	if err := r.prepare(); err != nil {
		return err
	}
	payload, err := m.cfg.payload(r)
	if err != nil {
		return err
	}
	assertion, err := m.key().SignJWT(ctx, m.cfg.Type, payload)
	if err != nil {
		return unavailable(ctx, "the key does not sign", err)
	}
	if err := m.check(assertion, r.Provider); err != nil {
		return err
	}
	setAssertion(r, assertion)
	return nil
}

// check reads which algorithm the key has used: keys change, and with them it.
func (m *byKey) check(assertion string, p Provider) error {
	token, err := jwt.ParseSigned(assertion)
	if err != nil {
		return &Error{Reason: ReasonAssertion, text: "the Signer returned no compact JWS", Err: err}
	}
	defer token.Release()
	switch alg := token.Algorithm; {
	case !slices.Contains(jwt.Asymmetric, alg):
		return problem(ReasonAlgorithm, "the Signer used no algorithm of a private key: use SecretJWT with a secret")
	case m.cfg.Algorithm != "" && m.cfg.Algorithm != alg:
		return problem(ReasonAlgorithm, fmt.Sprintf("AssertionConfig.Algorithm is %s, and the Signer uses %s: leave it empty", m.cfg.Algorithm, alg))
	default:
		return checkAlgorithm(alg, p)
	}
}

// SecretJWT is client_secret_jwt (OpenID Connect Core section 9, RFC 7523): an assertion that
// is authenticated with the client secret, which is not sent itself. At most one
// configuration is given. A secret that is shorter than the hash, 32, 48 or 64
// bytes, is an error (RFC 7518 section 3.2), as is an algorithm that the provider's
// metadata do not list, if they list any.
func SecretJWT(secret SecretSource, config ...AssertionConfig) Method {
	cfg, err := single(config)
	if cfg.Algorithm == "" {
		cfg.Algorithm = "HS256"
	}
	if err == nil && !slices.Contains(jwt.Symmetric, cfg.Algorithm) {
		err = problem(ReasonConfiguration, fmt.Sprintf("AssertionConfig.Algorithm %q is none of SecretJWT: use HS256, HS384 or HS512", cfg.Algorithm))
	}
	a := &authenticator{cfg: cfg, header: hmacHeader(cfg)}
	m := newBySecret("client_secret_jwt", secret, a.apply)
	if err != nil {
		m.err = err
	}
	return m
}

// An authenticator makes the assertions of SecretJWT.
type authenticator struct {
	cfg    AssertionConfig
	header []byte
	last   atomic.Pointer[secretSigner]
}

// A secretSigner has the states of HMAC that a secret was mixed into.
type secretSigner struct {
	secret string
	*jwt.Signer
}

func hmacHeader(cfg AssertionConfig) []byte {
	header, _ := json.Marshal(struct { // strings always marshal
		Algorithm string `json:"alg"`
		Type      string `json:"typ,omitempty"`
	}{cfg.Algorithm, cfg.Type})
	return header
}

func (a *authenticator) apply(r *Request, secret string) error {
	if err := checkAlgorithm(a.cfg.Algorithm, r.Provider); err != nil {
		return err
	}
	payload, err := a.cfg.payload(r)
	if err != nil {
		return err
	}
	signer, err := a.signer(secret)
	if err != nil {
		return err
	}
	assertion, err := signer.Sign(a.header, payload)
	if err != nil {
		return err
	}
	setAssertion(r, assertion)
	return nil
}

func (a *authenticator) signer(secret string) (*jwt.Signer, error) {
	if last := a.last.Load(); last != nil && last.secret == secret {
		return last.Signer, nil
	}
	signer, err := jwt.NewHMACSigner(a.cfg.Algorithm, []byte(secret))
	if err != nil {
		size := jwt.Hash(a.cfg.Algorithm).Size()
		return nil, problem(ReasonSecret, fmt.Sprintf("the secret is shorter than the %d bytes that %s needs (RFC 7518 section 3.2)", size, a.cfg.Algorithm))
	}
	a.last.Store(&secretSigner{secret, signer})
	return signer, nil
}
