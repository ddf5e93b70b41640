package jwks_test

import (
	"testing"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// A KeySet serves go-oidc's verifier, with our keys and our strictness.
func TestKeySetServesGoOIDC(t *testing.T) {
	t.Parallel()
	const issuer = "https://op.example"
	p, err := oidctest.New(oidctest.Config{Issuer: issuer, Algorithm: "ES256"})
	require.NoError(t, err)
	remote, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer + "/jwks", HTTPClient: p.HTTPClient()})
	require.NoError(t, err)
	var _ goidc.KeySet = jwks.KeySet{}
	verifier := goidc.NewVerifier(issuer, jwks.KeySet{Source: remote, Algorithms: []string{"ES256"}},
		&goidc.Config{ClientID: "client", SupportedSigningAlgs: []string{"ES256", "RS256"}})

	claims := map[string]any{"iss": issuer, "aud": "client", "sub": "s", "exp": time.Now().Add(time.Hour).Unix()}
	token, err := verifier.Verify(t.Context(), p.Sign(nil, claims))
	require.NoError(t, err)
	require.Equal(t, "s", token.Subject)

	_, err = verifier.Verify(t.Context(), p.Sign(map[string]any{"alg": "RS256"}, claims))
	require.Error(t, err, "not on our list")
	_, err = verifier.Verify(t.Context(), p.Sign(map[string]any{"crit": []string{}}, claims))
	require.Error(t, err, "go-oidc lets it pass, we do not")

	payload, err := jwks.KeySet{Source: remote}.VerifySignature(t.Context(), p.Sign(nil, claims))
	require.Error(t, err, "no algorithm is allowed")
	require.Nil(t, payload)
}
