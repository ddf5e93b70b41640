package jwks_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// A kms key has no methods but those of a crypto.Signer.
type kms struct {
	key   crypto.Signer
	asked *int
	err   error
}

func (k kms) Public() crypto.PublicKey {
	if k.asked != nil {
		*k.asked++
	}
	return k.key.Public()
}

func (k kms) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.key.Sign(random, digest, opts)
}

var ec521 = newEC(elliptic.P521())

// signersByAlgorithm has a key for each algorithm.
func signersByAlgorithm() map[string]crypto.Signer {
	m := map[string]crypto.Signer{"ES256": ec1, "ES384": ec384, "ES512": ec521, "EdDSA": edKey, "Ed25519": edKey}
	for _, alg := range jwt.Asymmetric {
		if m[alg] == nil {
			m[alg] = rsaKeys()[0]
		}
	}
	return m
}

func signingKey(t testing.TB, cfg jwks.SigningKeyConfig) *jwks.SigningKey {
	t.Helper()
	k, err := jwks.NewSigningKey(cfg)
	require.NoError(t, err)
	return k
}

func selfSigned(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, NotAfter: time.Now().Add(time.Hour)}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

func TestSigningKey_SignJWT(t *testing.T) {
	t.Parallel()
	for alg, key := range signersByAlgorithm() {
		k := signingKey(t, jwks.SigningKeyConfig{Signer: kms{key: key}, Algorithm: alg, KeyID: "k"})
		require.Equal(t, alg, k.Algorithm())
		require.Equal(t, "k", k.ID())
		require.Equal(t, key.Public(), k.Public())
		const payload = `{"sub":"s", "n": 1}`
		raw, err := k.SignJWT(t.Context(), "client-authentication+jwt", []byte(payload))
		require.NoError(t, err)
		verified, err := jwks.Verify(t.Context(), jwks.Static{k.Key()}, []string{alg}, raw)
		require.NoError(t, err)
		require.Equal(t, payload, string(verified), "as it was given")
		published := must(jwks.ParseKey([]byte(k.JWK().String())))
		require.True(t, k.Key().Equal(published), alg)
		if alg == "Ed25519" { // go-jose does not know the name
			continue
		}
		signed := must(jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}))
		var theirs jose.JSONWebKey
		require.NoError(t, json.Unmarshal([]byte(k.JWK().String()), &theirs))
		require.Equal(t, payload, string(must(signed.Verify(theirs))))
		require.Equal(t, "client-authentication+jwt", signed.Signatures[0].Protected.ExtraHeaders["typ"])
	}
}

func TestSigningKey_Header(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t, ec1)
	sum := sha256.Sum256(certificate.Raw)
	x5t := b64(sum[:])
	for _, tt := range []struct {
		cfg  jwks.SigningKeyConfig
		typ  string
		want string
	}{
		{jwks.SigningKeyConfig{Signer: ec1}, "", `{"alg":"ES256"}`},
		{jwks.SigningKeyConfig{Signer: ec1}, "JWT", `{"alg":"ES256","typ":"JWT"}`},
		{jwks.SigningKeyConfig{Signer: ec1, KeyID: "k"}, "at+jwt", `{"alg":"ES256","kid":"k","typ":"at+jwt"}`},
		{jwks.SigningKeyConfig{Signer: ec1, KeyID: `ä"\` + "\u2028"}, "", `{"alg":"ES256","kid":"ä\"\\\u2028"}`},
		{jwks.SigningKeyConfig{Signer: ec1, Certificates: []*x509.Certificate{certificate}}, "", `{"alg":"ES256"}`},
		{jwks.SigningKeyConfig{Signer: ec1, Certificates: []*x509.Certificate{certificate}, Thumbprint: true}, "", `{"alg":"ES256","x5t#S256":"` + x5t + `"}`},
		{jwks.SigningKeyConfig{Signer: ec1, KeyID: "k", Certificates: []*x509.Certificate{certificate}, Thumbprint: true}, "JWT", `{"alg":"ES256","kid":"k","x5t#S256":"` + x5t + `","typ":"JWT"}`},
	} {
		raw, err := signingKey(t, tt.cfg).SignJWT(t.Context(), tt.typ, []byte(`{}`))
		require.NoError(t, err)
		head, _, _ := strings.Cut(raw, ".")
		require.Equal(t, tt.want, string(must(base64.RawURLEncoding.DecodeString(head))))
		require.Equal(t, tt.cfg.KeyID, must(jwt.Parse(raw)).KeyID)
	}
}

func TestSigningKey_DefaultAlgorithms(t *testing.T) {
	t.Parallel()
	for want, key := range map[string]crypto.Signer{"RS256": rsaKeys()[0], "ES256": ec1, "ES384": ec384, "ES512": ec521, "EdDSA": edKey} {
		require.Equal(t, want, signingKey(t, jwks.SigningKeyConfig{Signer: key}).Algorithm())
	}
}

func TestNewSigningKey_Refuses(t *testing.T) {
	t.Parallel()
	certificate, other := selfSigned(t, ec1), selfSigned(t, ec2)
	for field, configs := range map[string][]jwks.SigningKeyConfig{
		"Signer":       {{}},
		"KeyID":        {{Signer: ec1, KeyID: "a\n"}, {Signer: ec1, KeyID: "\x7f"}, {Signer: ec1, KeyID: "\xff"}, {Signer: ec1, KeyID: strings.Repeat("k", 257)}},
		"Thumbprint":   {{Signer: ec1, Thumbprint: true}},
		"Certificates": {{Signer: ec1, Certificates: []*x509.Certificate{other}}, {Signer: ec1, Certificates: []*x509.Certificate{other, certificate}}, {Signer: ec1, Certificates: []*x509.Certificate{nil}}},
	} {
		for _, cfg := range configs {
			k, err := jwks.NewSigningKey(cfg)
			require.Nil(t, k)
			require.ErrorContains(t, err, "jwks: SigningKeyConfig."+field)
		}
	}
	for _, tt := range []struct {
		key crypto.Signer
		alg string
	}{
		{ec1, "ES384"}, {ec1, "RS256"}, {ec1, "EdDSA"}, {ec384, "ES256"}, {edKey, "ES256"}, {rsaKeys()[0], "ES256"},
		{rsaKeys()[0], "HS256"}, {ec1, "HS256"}, {ec1, "none"}, {ec1, "x"},
	} {
		_, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: tt.key, Algorithm: tt.alg})
		requireKeyReason(t, err, jwks.KeyUnsupported)
		require.ErrorContains(t, err, "SigningKeyConfig.Algorithm")
	}
}

// An RSA key is of 2048 bits or more, a key is for one algorithm, and no other key is
// taken (RFC 8725).
func TestK17_OwnSigningKeys(t *testing.T) {
	t.Parallel()
	_, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: must(rsa.GenerateKey(rand.Reader, 1024))})
	requireKeyReason(t, err, jwks.KeyWeak)
	_, err = jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))})
	requireKeyReason(t, err, jwks.KeyUnsupported)

	k := signingKey(t, jwks.SigningKeyConfig{Signer: rsaKeys()[0]})
	ps, err := k.With("PS256", "p")
	require.NoError(t, err)
	require.Equal(t, "PS256", ps.Algorithm())
	require.Equal(t, "p", ps.ID())
	require.Equal(t, "RS256", k.Algorithm(), "it does not change")
	_, err = ps.With("RS256", "")
	requireKeyReason(t, err, jwks.KeyUnsupported)
	_, err = ps.With("", "q")
	require.Error(t, err)
	same, err := ps.With("", "")
	require.NoError(t, err)
	require.Equal(t, ps.JWK(), same.JWK())
	_, err = k.With("ES256", "")
	requireKeyReason(t, err, jwks.KeyUnsupported)

	named, err := k.With("", "k")
	require.NoError(t, err)
	_, err = jwks.NewSigningKeys(named, ps)
	require.Error(t, err, "one key, two algorithms")
}

// Nobody but the constructor asks for the public key: it may be on another machine.
func TestSigningKey_AsksOnceForThePublicKey(t *testing.T) {
	t.Parallel()
	asked := 0
	k := signingKey(t, jwks.SigningKeyConfig{Signer: kms{key: ec1, asked: &asked}})
	_, err := k.SignJWT(t.Context(), "", []byte(`{}`))
	require.NoError(t, err)
	_, _ = k.Public(), k.JWK()
	require.Equal(t, 1, asked)
}

func TestSigningKey_Fails(t *testing.T) {
	t.Parallel()
	cause := errors.New("the HSM is gone")
	k := signingKey(t, jwks.SigningKeyConfig{Signer: kms{key: ec1, err: cause}})
	raw, err := k.SignJWT(t.Context(), "", []byte(`{}`))
	require.Empty(t, raw)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k = signingKey(t, jwks.SigningKeyConfig{Signer: ec1})
	_, err = k.SignJWT(ctx, "", []byte(`{}`))
	require.ErrorIs(t, err, context.Canceled)
	for _, typ := range []string{`a"b`, `a\b`, "a b", "ä", "a\n", strings.Repeat("a", 257)} {
		raw, err = k.SignJWT(t.Context(), typ, []byte(`{}`))
		require.Error(t, err)
		require.Empty(t, raw)
	}
	for _, none := range []*jwks.SigningKey{nil, {}} {
		_, err = none.SignJWT(t.Context(), "", []byte(`{}`))
		require.Error(t, err)
		_, err = none.PublicJWKs(t.Context())
		require.Error(t, err)
	}
}

// privateJWK writes a private JWK, with members added or replaced.
func privateJWK(key any, more map[string]any) []byte { return []byte(jwk(key, more)) }

func TestParseSigningKey(t *testing.T) {
	t.Parallel()
	for want, key := range map[string]crypto.Signer{"RS256": rsaKeys()[0], "ES256": ec1, "ES384": ec384, "ES512": ec521, "EdDSA": edKey} {
		for _, more := range []with{nil, {"use": "sig"}, {"key_ops": []string{"sign"}}, {"alg": want}, {"kid": "k", "x5c": "ignored", "unknown": 1}} {
			k, err := jwks.ParseSigningKey(privateJWK(key, more))
			require.NoError(t, err, want)
			require.Equal(t, want, k.Algorithm())
			kid, _ := more["kid"].(string)
			require.Equal(t, kid, k.ID())
			raw := must(k.SignJWT(t.Context(), "", []byte(`{}`)))
			_, err = jwks.Verify(t.Context(), jwks.Static{must(jwks.NewKey(key.Public(), "", ""))}, []string{want}, raw)
			require.NoError(t, err)
		}
	}
	k := must(jwks.ParseSigningKey(privateJWK(rsaKeys()[0], with{"alg": "PS512"})))
	require.Equal(t, "PS512", k.Algorithm())
}

func TestParseSigningKey_Refuses(t *testing.T) {
	t.Parallel()
	foreign := must(ec2.PublicKey.Bytes())
	_, otherEd, _ := ed25519.GenerateKey(rand.Reader)
	otherPublic, _ := otherEd.Public().(ed25519.PublicKey)
	for name, tt := range map[string]struct {
		jwk    []byte
		reason jwks.KeyReason
	}{
		"no JSON":             {[]byte(`x`), jwks.KeyMalformed},
		"a list":              {[]byte(`[]`), jwks.KeyMalformed},
		"a member twice":      {[]byte(`{"kty":"EC","kty":"EC"}`), jwks.KeyMalformed},
		"public":              {privateJWK(&ec1.PublicKey, nil), jwks.KeyMalformed},
		"a secret":            {[]byte(oct("")), jwks.KeySymmetric},
		"secret and d":        {privateJWK(ec1, with{"k": "AAAA"}), jwks.KeySymmetric},
		"for encryption":      {privateJWK(ec1, with{"use": "enc"}), jwks.KeyUse},
		"for verifying":       {privateJWK(ec1, with{"key_ops": []string{"verify"}}), jwks.KeyUse},
		"for nothing":         {privateJWK(ec1, with{"key_ops": []string{}}), jwks.KeyUse},
		"d is a number":       {privateJWK(ec1, with{"d": 1}), jwks.KeyMalformed},
		"d is no base64url":   {privateJWK(ec1, with{"d": "*"}), jwks.KeyMalformed},
		"kty is a number":     {privateJWK(ec1, with{"kty": 1}), jwks.KeyMalformed},
		"another curve":       {privateJWK(ec1, with{"crv": "P-384"}), jwks.KeyMalformed},
		"another public key":  {privateJWK(ec1, with{"x": b64(foreign[1:33]), "y": b64(foreign[33:])}), jwks.KeyMalformed},
		"another public Ed":   {privateJWK(edKey, with{"x": b64(otherPublic)}), jwks.KeyMalformed},
		"another public RSA":  {privateJWK(rsaKeys()[0], with{"n": b64(rsaKeys()[1].N.Bytes())}), jwks.KeyMalformed},
		"another exponent":    {privateJWK(rsaKeys()[0], with{"d": b64(rsaKeys()[1].D.Bytes())}), jwks.KeyMalformed},
		"more than two":       {privateJWK(rsaKeys()[0], with{"oth": []any{}}), jwks.KeyUnsupported},
		"small RSA":           {[]byte(weakRSA()), jwks.KeyWeak},
		"algorithm misfits":   {privateJWK(ec1, with{"alg": "RS256"}), jwks.KeyUnsupported},
		"algorithm of HMAC":   {privateJWK(rsaKeys()[0], with{"alg": "HS256"}), jwks.KeyUnsupported},
		"algorithm encrypts":  {privateJWK(rsaKeys()[0], with{"alg": "RSA-OAEP"}), jwks.KeyUnsupported},
		"unknown kty":         {[]byte(`{"kty":"AKP","d":"AAAA"}`), jwks.KeyMalformed},
		"kid is a number":     {privateJWK(ec1, with{"kid": 1}), jwks.KeyMalformed},
		"X25519 is no signer": {[]byte(`{"kty":"OKP","crv":"X25519","x":"AAAA","d":"AAAA"}`), jwks.KeyMalformed},
	} {
		k, err := jwks.ParseSigningKey(tt.jwk)
		requireKeyReason(t, err, tt.reason, name)
		require.Nil(t, k, name)
		require.NotContains(t, err.Error(), b64(ec1.D.Bytes()))
	}
}

func TestParseSigningKeys(t *testing.T) {
	t.Parallel()
	a, b := jwk(ec1, with{"kid": "a"}), jwk(edKey, with{"kid": "b"})
	ids := func(keys []*jwks.SigningKey) (list []string) {
		for _, k := range keys {
			list = append(list, k.ID())
		}
		return list
	}
	keys, err := jwks.ParseSigningKeys([]byte(set(a, jwk(ec2, with{"use": "enc"}), b)))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, ids(keys), "in their order, without the one for encryption")

	for name, document := range map[string]string{"empty": set(), "none signs": set(jwk(ec2, with{"use": "enc"}))} {
		_, err := jwks.ParseSigningKeys([]byte(document))
		require.ErrorIs(t, err, jwks.ErrNoUsableKey, name)
	}
	for document, reason := range map[string]jwks.KeyReason{
		"x": jwks.KeyMalformed, "[]": jwks.KeyMalformed, "{}": jwks.KeyMalformed, a: jwks.KeyMalformed,
		set(a, oct("")): jwks.KeySymmetric, set(a, jwk(&ec2.PublicKey, nil)): jwks.KeyMalformed, set(a, `{"kty":"AKP","d":"AA"}`): jwks.KeyMalformed,
		set(slices.Repeat([]string{jwk(ec1, with{"use": "enc"})}, 101)...): jwks.KeyMalformed,
	} {
		_, err := jwks.ParseSigningKeys([]byte(document))
		requireKeyReason(t, err, reason)
	}
	_, err = jwks.ParseSigningKeys([]byte(set(a, oct(""))))
	require.ErrorContains(t, err, "keys[1]")
}

func TestSigningKey_RedactsItself(t *testing.T) {
	t.Parallel()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	cfg := jwks.SigningKeyConfig{Signer: key, KeyID: "k"}
	k := signingKey(t, cfg)
	keys := must(jwks.NewSigningKeys(k))
	type user struct {
		K      *jwks.SigningKey
		hidden *jwks.SigningKey
		keys   *jwks.SigningKeys
	}
	u := user{k, k, keys}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "k", k, "keys", keys, "cfg", cfg, "u", u, "jwk", k.JWK())
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "k", k, "keys", keys, "cfg", cfg)
	for _, v := range []any{k, keys, cfg, &cfg, u, &u, u.hidden, []any{k, cfg}, (*jwks.SigningKey)(nil), (*jwks.SigningKeys)(nil)} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			_, _ = fmt.Fprintf(&log, format+"\n", v)
		}
	}
	require.NoError(t, json.NewEncoder(&log).Encode(map[string]any{"k": k, "keys": keys, "cfg": cfg}))
	text := log.String()
	for _, form := range []string{
		b64(key.Seed()), fmt.Sprintf("%x", key.Seed()), strings.Trim(fmt.Sprint(key.Seed()), "[]"),
		base64.StdEncoding.EncodeToString(key), strings.Trim(fmt.Sprintf("%#v", key.Seed()), "[]byte{}"),
	} {
		require.NotContains(t, text, form)
	}
	require.Contains(t, text, `jwks.SigningKey("k", EdDSA)`)
}

// signatures are what a JWT is measured beside: the key alone, with the digest made.
func signatures() []struct {
	name string
	key  crypto.Signer
	opts crypto.SignerOpts
} {
	return []struct {
		name string
		key  crypto.Signer
		opts crypto.SignerOpts
	}{{"RS256", rsaKeys()[0], crypto.SHA256}, {"ES256", ec1, crypto.SHA256}, {"EdDSA", edKey, crypto.Hash(0)}}
}

// BenchmarkSignJWT tells what a JWT costs beside its bare signature: at most 1.2 times.
func BenchmarkSignJWT(b *testing.B) {
	payload := []byte(`{"iss":"client","sub":"client","aud":"https://op.example","jti":"6hYrIvQQs4NkRpPcGnR5lw","iat":1700000000,"exp":1700000060}`)
	for _, s := range signatures() {
		k := signingKey(b, jwks.SigningKeyConfig{Signer: s.key, Algorithm: s.name, KeyID: "2026-01"})
		b.Run(s.name+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			digest := sha256.Sum256(payload)
			message := digest[:]
			if s.name == "EdDSA" { // it takes the message: as much as a JWT has
				raw := must(k.SignJWT(context.Background(), "JWT", payload))
				message = []byte(raw[:strings.LastIndexByte(raw, '.')])
			}
			for b.Loop() {
				_, _ = s.key.Sign(rand.Reader, message, s.opts)
			}
		})
		b.Run(s.name+"/jwt", func(b *testing.B) {
			b.ReportAllocs()
			ctx := context.Background()
			for b.Loop() {
				_, _ = k.SignJWT(ctx, "JWT", payload)
			}
		})
	}
}
