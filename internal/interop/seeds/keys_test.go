package seeds_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// generateKeys makes a file of private keys, one for each algorithm, and the lines of signing_key_ids for it.
func generateKeys(t *testing.T, algorithms ...string) (file, ids string) {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, alg := range algorithms {
		key := jose.JSONWebKey{Key: generateKey(t, alg), Algorithm: alg, Use: "sig"}
		key.KeyID = alg + "-" + rand.Text()
		set.Keys = append(set.Keys, key)
		ids += alg + " = " + key.KeyID + "\n"
	}
	text, err := json.Marshal(set)
	require.NoError(t, err)
	return string(text), ids
}

func generateKey(t *testing.T, alg string) (key any) {
	t.Helper()
	var err error
	switch alg {
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	require.NotNil(t, key, "no key is known for %s", alg)
	return key
}
