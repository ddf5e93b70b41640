package clientauth_test

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
)

// Keys of package jwks sign assertions.
var (
	_ clientauth.Signer = (*jwks.SigningKey)(nil)
	_ clientauth.Signer = (*jwks.SigningKeys)(nil)
)

// What Microsoft's page on certificate credentials shows.
func TestEntraID(t *testing.T) {
	t.Parallel()
	certificate, _, _ := newCertificate(t, "client")
	key := must(jwks.NewSigningKey(jwks.SigningKeyConfig{
		Signer: certificate.PrivateKey.(crypto.Signer), Certificates: []*x509.Certificate{certificate.Leaf}, Thumbprint: true,
	}))
	header, claims := assertionOf(t, authenticate(t, clientauth.PrivateKeyJWT(key, clientauth.EntraID)), "ES256", key.Public())
	sum := sha256.Sum256(certificate.Leaf.Raw)
	require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), header.ExtraHeaders["x5t#S256"])
	require.Equal(t, "JWT", header.ExtraHeaders["typ"])
	require.Equal(t, any(tokenEndpoint), claims["aud"])
}

// One key after the other signs; the method follows.
func TestPrivateKeyJWT_FollowsTheKeys(t *testing.T) {
	t.Parallel()
	one := must(jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: keyFor("ES256"), KeyID: "one"}))
	two := must(jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: keyFor("RS256"), KeyID: "two"}))
	signing := must(jwks.NewSigningKeys(one, two))
	m := clientauth.PrivateKeyJWT(signing)
	header, _ := assertionOf(t, authenticate(t, m), "ES256", one.Public())
	require.Equal(t, "one", header.KeyID)
	require.NoError(t, signing.Set(two, one))
	header, _ = assertionOf(t, authenticate(t, m), "RS256", two.Public())
	require.Equal(t, "two", header.KeyID)

	r := newRequest() // what the metadata list counts for the key that signs now
	r.Provider.SigningAlgorithmsSupported = []string{"ES256"}
	refuse(t, m, r, clientauth.ReasonAlgorithm)
}
