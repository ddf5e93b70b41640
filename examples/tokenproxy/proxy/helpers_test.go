package proxy_test

import (
	"context"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func decode(t *testing.T, segment string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(segment)
	require.NoError(t, err)
	return data
}

func generate(t *testing.T, algorithms ...string) exchange.StaticKeys {
	t.Helper()
	keys, err := exchange.GenerateKeys(algorithms...)
	require.NoError(t, err)
	return keys
}

// signingKey is not the upstream's.
func signingKey(t *testing.T, _ *oidctest.Provider) jwks.Publisher {
	t.Helper()
	return generate(t, "RS256")[0]
}

// A switchable source has keys that a test changes.
type switchable struct{ keys exchange.StaticKeys }

func (s *switchable) SigningKeys(ctx context.Context) (sign, publish []*jwks.SigningKey, err error) {
	return s.keys.SigningKeys(ctx)
}
