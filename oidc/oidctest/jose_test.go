package oidctest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/url"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// The keys of the clients in these tests. One RSA key is enough for all of them.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(newEC)
	ecKey2 = sync.OnceValue(newEC)
)

func newEC() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keySet is a JWK Set with the public halves of keys, by their kid.
func keySet(t *testing.T, keys map[string]crypto.Signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for kid, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid})
	}
	b, err := json.Marshal(set)
	require.NoError(t, err)
	return b
}

// sign makes a compact JWS with go-jose. A header member that is nil is left out.
func sign(t *testing.T, alg string, key any, header, claims map[string]any) string {
	t.Helper()
	opts := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, v := range header {
		if v != nil {
			opts.ExtraHeaders[jose.HeaderKey(name)] = v
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := jws.CompactSerialize()
	require.NoError(t, err)
	return token
}

// with returns a copy of m with changes: nil deletes.
func with(m map[string]any, changes map[string]any) map[string]any {
	m = maps.Clone(m)
	for name, v := range changes {
		if v == nil {
			delete(m, name)
		} else {
			m[name] = v
		}
	}
	return m
}

// asserted is what proves a client by an assertion.
func asserted(assertion string) url.Values {
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
}

// join returns the parameters of both.
func join(a, b url.Values) url.Values {
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// assertion is a right one for the client.
func assertion(p *oidctest.Provider, id string) map[string]any {
	now := p.Now().Unix()
	return map[string]any{"iss": id, "sub": id, "aud": issuer, "iat": now, "exp": now + 60, "jti": rand.Text()}
}
