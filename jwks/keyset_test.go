package jwks_test

import (
	"context"
	"net/http"
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

// ownSource is what a user may write: one method.
type ownSource map[string]jwks.Key

func (s ownSource) Keys(_ context.Context, q jwks.Query) ([]jwks.Key, error) {
	k, ok := s[q.KeyID]
	if !ok {
		return nil, &jwks.KeyNotFoundError{KeyID: q.KeyID, Algorithm: q.Algorithm}
	}
	return []jwks.Key{k}, nil
}

// Each source is a key set of go-oidc.
func TestKeySetOfEachSource(t *testing.T) {
	t.Parallel()
	s := &scripted{}
	s.publish(ec1)
	file, err := jwks.ReadFile(newKeyFile(t, jwk(&ec1.PublicKey, with{"kid": "same"})).path)
	require.NoError(t, err)
	key := must(jwks.NewKey(&ec1.PublicKey, "same", ""))
	for name, tt := range map[string]struct {
		source    jwks.Source
		key       any
		other     any
		algorithm string
	}{
		"Remote":    {must(jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: s}})), ec1, ec2, "ES256"},
		"Static":    {jwks.Static{key}, ec1, ec2, "ES256"},
		"File":      {file, ec1, ec2, "ES256"},
		"Symmetric": {must(jwks.Symmetric([]byte(octSecret), "HS256")), []byte(octSecret), []byte("another" + octSecret), "HS256"},
		"own":       {ownSource{"same": key}, ec1, ec2, "ES256"},
	} {
		_, versioned := tt.source.(jwks.Versioned)
		require.Equal(t, name != "own", versioned, name)
		verifier := goidc.NewVerifier(issuer, jwks.KeySet{Source: tt.source, Algorithms: []string{tt.algorithm}},
			&goidc.Config{ClientID: "client", SupportedSigningAlgs: []string{tt.algorithm}, Now: func() time.Time { return time.Unix(1e9, 0) }})
		const claims = `{"iss":"https://op.example","aud":"client","sub":"s","exp":1000000001}`
		token, err := verifier.Verify(t.Context(), signClaims(t, tt.algorithm, "same", tt.key, claims))
		require.NoError(t, err, name)
		require.Equal(t, "s", token.Subject)
		_, err = verifier.Verify(t.Context(), signClaims(t, tt.algorithm, "same", tt.other, claims))
		require.Error(t, err, name)
		_, err = verifier.Verify(t.Context(), signClaims(t, "ES384", "same", ec384, claims))
		require.Error(t, err, name)
	}
}
