package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
)

// signedProof is a token with a key in its header.
func signedProof(t *testing.T) (compact string, public *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, &jose.SignerOptions{EmbedJWK: true})
	require.NoError(t, err)
	jws, err := signer.Sign([]byte(`{"jti":"x"}`))
	require.NoError(t, err)
	compact, err = jws.CompactSerialize()
	require.NoError(t, err)
	return compact, &key.PublicKey
}

// J11: a key in the header is for proofs alone. That one was good makes no other token of
// that header one.
func TestJ11_KeyInTheHeaderIsForProofs(t *testing.T) {
	t.Parallel()
	raw, public := signedProof(t)
	proof, err := jwt.ParseProof(raw)
	require.NoError(t, err)
	var key jose.JSONWebKey
	require.NoError(t, key.UnmarshalJSON([]byte(proof.JWK)))
	require.Equal(t, "ES256", proof.Algorithm)
	require.NoError(t, proof.Verify(public))
	sum, err := key.Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	require.Len(t, sum, 32)
	proof.Release()

	_, err = jwt.Parse(raw)
	var e *jwt.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, jwt.Header, e.Reason)
}

func TestParseProof_Refuses(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	for name, header := range map[string]string{
		"no jwk": `{"alg":"ES256"}`, "null": `{"alg":"ES256","jwk":null}`, "text": `{"alg":"ES256","jwk":"{}"}`, "list": `{"alg":"ES256","jwk":[]}`,
		"twice": `{"alg":"ES256","jwk":{},"jwk":{}}`, "crit": `{"alg":"ES256","jwk":{},"crit":["a"]}`, "b64": `{"alg":"ES256","jwk":{},"b64":false}`,
		"zip": `{"alg":"ES256","jwk":{},"zip":"DEF"}`, "cty": `{"alg":"ES256","jwk":{},"cty":"JWT"}`, "no alg": `{"jwk":{}}`,
		"case of alg": `{"alg":"ES256","ALG":"none","jwk":{}}`, "no JSON": `{`, "list of all": `[]`,
	} {
		_, err := jwt.ParseProof(encode([]byte(header)) + ".e30.c2ln")
		var e *jwt.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, jwt.Header, e.Reason, name)
	}
	for name, raw := range map[string]string{
		"nothing": "", "padding": encode([]byte(`{"alg":"ES256","jwk":{}}`)) + "=.e30.c2ln", "payload": encode([]byte(`{"alg":"ES256","jwk":{}}`)) + ".W10.c2ln",
	} {
		_, err := jwt.ParseProof(raw)
		require.Error(t, err, name)
	}
}
