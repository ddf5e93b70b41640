package keystore

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/oidckit/oidckit/jwks"
)

// A loaded is what a file holds. It is replaced, never changed.
type loaded struct {
	keys        *jwks.SigningKeys
	certificate func() *tls.Certificate // hides the key from printing; nil without one
}

// An entry is a private key in a file, and the certificates that stand with it.
type entry struct {
	alias        string
	key          any
	certificates []*x509.Certificate
}

// choose finds the alias; without one, the only entry.
func choose(entries []entry, alias string) (entry, error) {
	if len(entries) == 0 {
		return entry{}, &Error{Reason: NoKey, Detail: "there is no private key in the file"}
	}
	if alias == "" && len(entries) == 1 {
		return entries[0], nil
	}
	if alias != "" {
		for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
			for _, e := range entries {
				if same(e.alias, alias) {
					return e, nil
				}
			}
		}
		return entry{}, noAlias("no private key has the name in Config.Alias", entries)
	}
	return entry{}, noAlias("there are several private keys: say which in Config.Alias", entries)
}

func noAlias(detail string, entries []entry) error {
	e := &Error{Reason: Alias, Detail: detail}
	for _, entry := range entries {
		e.Aliases = append(e.Aliases, entry.alias)
	}
	return e
}

// load makes a signing key of an entry.
func (cfg Config) load(e entry) (*loaded, error) {
	signer, ok := e.key.(crypto.Signer)
	if !ok {
		return nil, unsupported("the key is of a type that does not sign")
	}
	kid, err := cfg.keyID(signer.Public())
	if err != nil {
		return nil, unusable(err)
	}
	chain, err := chainOf(signer.Public(), e.certificates)
	if err != nil {
		return nil, err
	}
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{
		Signer: signer, Algorithm: cfg.Algorithm, KeyID: kid, Certificates: chain, Thumbprint: cfg.Thumbprint,
	})
	if err != nil {
		return nil, unusable(err)
	}
	keys, err := jwks.NewSigningKeys(key)
	if err != nil {
		return nil, unusable(err)
	}
	return &loaded{keys: keys, certificate: certificate(signer, chain)}, nil
}

func unusable(err error) error {
	return &Error{Reason: Unusable, Detail: "the key cannot be used", Err: err}
}

func (cfg Config) keyID(public crypto.PublicKey) (string, error) {
	if cfg.ThumbprintKeyID {
		return jwks.Thumbprint(public)
	}
	return cfg.KeyID, nil
}

func certificate(signer crypto.Signer, chain []*x509.Certificate) func() *tls.Certificate {
	if len(chain) == 0 {
		return nil
	}
	c := &tls.Certificate{PrivateKey: signer, Leaf: chain[0]}
	for _, link := range chain {
		c.Certificate = append(c.Certificate, link.Raw)
	}
	return func() *tls.Certificate { return c }
}

// chainOf puts the certificates of a key in order: its own, that of the issuer, and so
// on. Others are left out: a store holds those of other keys too.
func chainOf(public crypto.PublicKey, all []*x509.Certificate) ([]*x509.Certificate, error) {
	k, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || len(all) == 0 {
		return nil, nil
	}
	link := find(all, func(c *x509.Certificate) bool { return k.Equal(c.PublicKey) })
	if link == nil {
		return nil, &Error{Reason: Unusable, Detail: "no certificate in the file is of the key"}
	}
	var chain []*x509.Certificate
	for link != nil && len(chain) < len(all) {
		chain = append(chain, link)
		if bytes.Equal(link.RawIssuer, link.RawSubject) {
			break
		}
		link = find(all, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, link.RawIssuer) })
	}
	return chain, nil
}

func find(all []*x509.Certificate, is func(*x509.Certificate) bool) *x509.Certificate {
	for _, c := range all {
		if is(c) {
			return c
		}
	}
	return nil
}
