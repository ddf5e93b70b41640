package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
)

// A remote key has no methods but those of a crypto.Signer, as that of a KMS.
type remote struct{ key crypto.Signer }

func (r remote) Public() crypto.PublicKey { return r.key.Public() }

func (r remote) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return r.key.Sign(random, digest, opts)
}

func signerFor(t testing.TB, alg string) *jwt.Signer {
	t.Helper()
	switch key := keyFor(alg).private.(type) {
	case []byte:
		return must(jwt.NewHMACSigner(alg, key))
	case crypto.Signer:
		return must(jwt.NewSigner(alg, remote{key}))
	}
	t.Fatal("no signer for " + alg)
	return nil
}

func TestSign(t *testing.T) {
	t.Parallel()
	for _, alg := range slices.Concat(jwt.Asymmetric, jwt.Symmetric) {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s, header := signerFor(t, alg), `{"alg":"`+alg+`","kid":"k"}`
			require.Equal(t, alg, s.Algorithm())
			for _, payload := range []string{`{}`, `{"sub":"s"}`, `{"long":"` + strings.Repeat("x", 5000) + `"}`} {
				raw, err := s.Sign([]byte(header), []byte(payload))
				require.NoError(t, err)
				require.Equal(t, b64(header)+"."+b64(payload)+".", raw[:strings.LastIndexByte(raw, '.')+1])

				parsed, err := jwt.Parse(raw)
				require.NoError(t, err)
				require.NoError(t, parsed.Verify(keyFor(alg).public))
				require.Equal(t, payload, parsed.Payload)
				if alg == "Ed25519" { // go-jose does not know the name
					continue
				}
				signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				require.NoError(t, err)
				theirs, err := signed.Verify(keyFor(alg).public)
				require.NoError(t, err)
				require.Equal(t, payload, string(theirs))
			}
		})
	}
}

func TestSign_Public(t *testing.T) {
	t.Parallel()
	require.Equal(t, keyFor("ES256").public, signerFor(t, "ES256").Public())
	require.Nil(t, signerFor(t, "HS256").Public(), "a secret is not published")
}

// The salt of PSS is as long as the hash (RFC 7518 section 3.5): a key that may choose
// makes it as long as it can.
func TestJ09_SignAsksForTheSaltLength(t *testing.T) {
	t.Parallel()
	for alg, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		key := keyFor(alg)
		public, _ := key.public.(*rsa.PublicKey)
		raw := must(signerFor(t, alg).Sign([]byte(`{"alg":"`+alg+`"}`), []byte(`{}`)))
		require.NoError(t, rsa.VerifyPSS(public, hash, digest(alg, raw), signatureOf(raw), &rsa.PSSOptions{SaltLength: hash.Size()}), alg)
	}
}

// Numbers that are short keep their length (RFC 7518 section 3.4).
func TestJ07_SignWritesNumbersAtFullLength(t *testing.T) {
	t.Parallel()
	key := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	for size, numbers := range map[string][2]*big.Int{
		"short":   {big.NewInt(1), big.NewInt(2)},
		"longest": {new(big.Int).Lsh(big.NewInt(1), 520), new(big.Int).Lsh(big.NewInt(1), 519)},
	} {
		s := must(jwt.NewSigner("ES512", fixed{key, must(asn1.Marshal(struct{ R, S *big.Int }{numbers[0], numbers[1]})), nil}))
		signature := signatureOf(must(s.Sign([]byte(`{"alg":"ES512"}`), []byte(`{}`))))
		require.Len(t, signature, 132, size)
		require.Zero(t, numbers[0].Cmp(new(big.Int).SetBytes(signature[:66])), size)
		require.Zero(t, numbers[1].Cmp(new(big.Int).SetBytes(signature[66:])), size)
	}
}

// A fixed key has one answer.
type fixed struct {
	crypto.Signer
	signature []byte
	err       error
}

func (f fixed) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.signature, f.err }

func TestSign_SignaturesThatAreNone(t *testing.T) {
	t.Parallel()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	one, big256 := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 256)
	type numbers struct{ R, S *big.Int }
	good := must(asn1.Marshal(numbers{one, one}))
	for name, signature := range map[string][]byte{
		"empty":          nil,
		"raw r and s":    bytes.Repeat([]byte{1}, 64),
		"more behind":    append(bytes.Clone(good), 0),
		"cut":            good[:len(good)-1],
		"r is zero":      must(asn1.Marshal(numbers{new(big.Int), one})),
		"s is zero":      must(asn1.Marshal(numbers{one, new(big.Int)})),
		"r is negative":  must(asn1.Marshal(numbers{big.NewInt(-1), one})),
		"s is negative":  must(asn1.Marshal(numbers{one, big.NewInt(-1)})),
		"r is too large": must(asn1.Marshal(numbers{big256, one})),
		"s is too large": must(asn1.Marshal(numbers{one, big256})),
		"one number":     must(asn1.Marshal(struct{ R *big.Int }{one})),
	} {
		s := must(jwt.NewSigner("ES256", fixed{key, signature, nil}))
		raw, err := s.Sign([]byte(`{"alg":"ES256"}`), []byte(`{}`))
		require.Error(t, err, name)
		require.Empty(t, raw, name)
	}
	_, err := must(jwt.NewSigner("ES256", fixed{key, good, nil})).Sign([]byte(`{"alg":"ES256"}`), []byte(`{}`))
	require.NoError(t, err)
}

func TestSign_KeyThatFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("the HSM is gone")
	for _, alg := range jwt.Asymmetric {
		key, _ := keyFor(alg).private.(crypto.Signer)
		raw, err := must(jwt.NewSigner(alg, fixed{key, []byte("half"), cause})).Sign([]byte(`{"alg":"`+alg+`"}`), []byte(`{}`))
		require.ErrorIs(t, err, cause, alg)
		require.Empty(t, raw, alg)
	}
}

func TestNewSigner_Misfits(t *testing.T) {
	t.Parallel()
	for _, alg := range slices.Concat(jwt.Asymmetric, jwt.Symmetric, []string{"", "none", "RS1", "rs256"}) {
		for _, p := range pairs() {
			key, ok := p.private.(crypto.Signer)
			if !ok {
				continue
			}
			s, err := jwt.NewSigner(alg, key)
			if slices.ContainsFunc(p.algorithms, func(a string) bool { return jwt.Same(a, alg) }) {
				require.NoError(t, err, alg)
				continue
			}
			requireReason(t, err, jwt.KeyMisfit, alg)
			require.Nil(t, s)
		}
	}
	_, err := jwt.NewSigner("ES256", nil)
	require.Error(t, err)
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	_, err = jwt.NewSigner("RS256", small)
	requireReason(t, err, jwt.KeyMisfit)
	for alg, length := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		_, err := jwt.NewHMACSigner(alg, make([]byte, length-1))
		requireReason(t, err, jwt.KeyMisfit, alg)
		_, err = jwt.NewHMACSigner(alg, make([]byte, length))
		require.NoError(t, err)
	}
	_, err = jwt.NewHMACSigner("RS256", make([]byte, 64))
	requireReason(t, err, jwt.KeyMisfit, "a secret is no private key")
}

// The secret is copied.
func TestNewHMACSigner_KeepsACopy(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("s", 32))
	s := must(jwt.NewHMACSigner("HS256", secret))
	header := []byte(`{"alg":"HS256"}`)
	before := must(s.Sign(header, []byte(`{}`)))
	clear(secret)
	require.Equal(t, before, must(s.Sign(header, []byte(`{}`))))
	require.Equal(t, signHS256(string(header), `{}`, []byte(strings.Repeat("s", 32))), before)
}

func TestSign_Together(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "EdDSA", "HS256"} {
		s := signerFor(t, alg)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					raw, err := s.Sign([]byte(`{"alg":"`+alg+`"}`), []byte(`{}`))
					if err != nil || must(jwt.Parse(raw)).Verify(keyFor(alg).public) != nil {
						t.Error("no good signature")
					}
				}
			})
		}
		wg.Wait()
	}
}

// ed25519 is called with the message, not with its hash (RFC 8032): a key that was given
// a digest would sign something else.
func TestSign_EdDSASignsTheMessage(t *testing.T) {
	t.Parallel()
	key, _ := keyFor("EdDSA").private.(ed25519.PrivateKey)
	raw := must(signerFor(t, "EdDSA").Sign([]byte(`{"alg":"EdDSA"}`), []byte(`{}`)))
	at := strings.LastIndexByte(raw, '.')
	require.Equal(t, ed25519.Sign(key, []byte(raw[:at])), signatureOf(raw))
}
