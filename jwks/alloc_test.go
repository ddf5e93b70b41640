//go:build !race

package jwks_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// Through a Remote a token costs no more than its signature.
func TestVerifyParsedAllocatesNothingOfItsOwn(t *testing.T) {
	o := &origin{}
	keys := map[string]struct{ private, public any }{
		"RS256": {rsaKeys()[0], &rsaKeys()[0].PublicKey}, "PS256": {rsaKeys()[0], &rsaKeys()[0].PublicKey},
		"ES256": {ec1, &ec1.PublicKey}, "EdDSA": {edKey, edKey.Public()},
	}
	var members []string
	for alg, k := range keys {
		members = append(members, jwk(k.public, with{"kid": alg, "alg": alg}))
	}
	o.publish(members...)
	r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: o}})
	require.NoError(t, err)
	require.NoError(t, r.Ready(t.Context()))
	for alg, k := range keys {
		parsed, err := jwt.Parse(signClaims(t, alg, alg, k.private, `{"iss":"https://op.example"}`))
		require.NoError(t, err)
		allowed := []string{alg}
		require.NoError(t, jwks.VerifyParsed(t.Context(), r, allowed, parsed))
		bare := testing.AllocsPerRun(100, func() { _ = parsed.Verify(k.public) })
		whole := testing.AllocsPerRun(100, func() { _ = jwks.VerifyParsed(t.Context(), r, allowed, parsed) })
		require.Equal(t, bare, whole, alg)
	}
	src := must(jwks.Symmetric([]byte(octSecret), "HS256"))
	parsed, err := jwt.Parse(sign(t, "HS256", "", []byte(octSecret)))
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = jwks.VerifyParsed(t.Context(), src, jwt.Symmetric, parsed) }))
}
