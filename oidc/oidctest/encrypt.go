package oidctest

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// defaultEncryption is the "enc" of a client that registered only an "alg" (OpenID
// Connect Dynamic Client Registration 1.0, section 2).
const defaultEncryption = "A128CBC-HS256"

// keyAlgorithms and contentAlgorithms are the JWE "alg"s and "enc"s of the provider
// (RFC 7518, sections 4 and 5): those with a public key of the client.
var (
	keyAlgorithms     = []string{"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
	contentAlgorithms = []string{"A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM"}
)

// checkEncryption is given names of fields, "alg"s and "enc"s, three by three.
func (c *Client) checkEncryption(at string) error {
	for _, e := range []struct{ field, alg, enc string }{
		{"IDTokenEncryption", c.IDTokenEncryptionAlgorithm, c.IDTokenEncryptionMethod},
		{"UserInfoEncryption", c.UserInfoEncryptionAlgorithm, c.UserInfoEncryptionMethod},
		{"IntrospectionEncryption", c.IntrospectionEncryptionAlgorithm, c.IntrospectionEncryptionMethod},
	} {
		switch {
		case e.alg == "" && e.enc == "":
		case !slices.Contains(keyAlgorithms, e.alg):
			return fmt.Errorf("%s.%sAlgorithm: %q is not supported", at, e.field, e.alg)
		case e.enc != "" && !slices.Contains(contentAlgorithms, e.enc):
			return fmt.Errorf("%s.%sMethod: %q is not supported", at, e.field, e.enc)
		case c.JWKS == nil && c.JWKSURI == "":
			return fmt.Errorf("%s.%sAlgorithm: it needs a key in JWKS or at JWKSURI", at, e.field)
		}
	}
	return nil
}

// sealed encrypts a JWT to a client that registered an "alg"; it is nested then
// (RFC 7519, section 5.2).
func (p *Provider) sealed(ctx context.Context, c *Client, alg, enc, token string) (string, error) {
	if alg == "" {
		return token, nil
	}
	return p.encrypt(ctx, c, alg, enc, "JWT", []byte(token))
}

func (p *Provider) encrypt(ctx context.Context, c *Client, alg, enc, contentType string, content []byte) (string, error) {
	if enc == "" {
		enc = defaultEncryption
	}
	keys, err := p.keysOf(ctx, c, false)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(keys, func(key jose.JSONWebKey) bool { return encryptsWith(&key, alg) })
	if i < 0 {
		return "", errors.New("oidctest: the client has no key to encrypt to with " + alg)
	}
	opts := (&jose.EncrypterOptions{}).WithType("JWT")
	if contentType != "" {
		opts = opts.WithContentType(jose.ContentType(contentType))
	}
	recipient := jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: keys[i].Key, KeyID: keys[i].KeyID}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(enc), recipient, opts)
	if err != nil {
		return "", err
	}
	jwe, err := encrypter.Encrypt(content)
	if err != nil {
		return "", err
	}
	return jwe.CompactSerialize()
}

func encryptsWith(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "enc" || key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return alg == "RSA-OAEP" || alg == "RSA-OAEP-256"
	case *ecdsa.PublicKey:
		return slices.Contains(keyAlgorithms[2:], alg)
	}
	return false
}

// Encrypt returns a compact JWE of any content for the client's first key that
// fits, with "cty" if contentType is not empty: what a client has to open, and
// what it must refuse. It panics on an unknown client or algorithm and where no
// key fits; keys at a JWKSURI are fetched.
func (p *Provider) Encrypt(ctx context.Context, clientID, alg, enc, contentType string, content []byte) string {
	c := p.client(clientID)
	if c == nil {
		panic(fmt.Sprintf("oidctest: Encrypt: no client %q", clientID))
	}
	token, err := p.encrypt(ctx, c, alg, enc, contentType, content)
	if err != nil {
		panic(err)
	}
	return token
}
