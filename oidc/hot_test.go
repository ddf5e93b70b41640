package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A hot is a token of one algorithm with what checks its signature and nothing else:
// the least that a verification can cost.
type hot struct {
	raw       string
	primitive func() bool
	provider  *oidc.Provider
}

var hotAlgorithms = []string{"RS256", "ES256", "EdDSA", "HS256"}

func newHot(t testing.TB, alg string) hot {
	t.Helper()
	op := newOP(t)
	h := hot{}
	if alg == "HS256" {
		h.raw = oidctest.SignHMAC(object{"typ": "at+jwt"}, accessClaims(op), []byte(secret))
		source, err := jwks.Symmetric([]byte(secret), alg)
		require.NoError(t, err)
		h.provider = newProvider(t, op, func(c *oidc.Config) { c.Keys = source })
	} else {
		h.raw = op.Sign(object{"alg": alg, "typ": "at+jwt"}, accessClaims(op))
		h.provider = newProvider(t, op)
		require.NoError(t, h.provider.Ready(t.Context()))
	}
	end := strings.LastIndexByte(h.raw, '.')
	signed := []byte(h.raw[:end])
	signature, err := base64.RawURLEncoding.DecodeString(h.raw[end+1:])
	require.NoError(t, err)
	h.primitive = primitive(t, alg, op, signed, signature)
	require.True(t, h.primitive())
	return h
}

func primitive(t testing.TB, alg string, op *oidctest.Provider, signed, signature []byte) func() bool {
	t.Helper()
	if alg == "HS256" {
		mac := hmac.New(sha256.New, []byte(secret))
		var sum [sha256.Size]byte
		return func() bool {
			mac.Reset()
			mac.Write(signed)
			return hmac.Equal(mac.Sum(sum[:0]), signature)
		}
	}
	switch key := op.PublicKey(alg).(type) {
	case *rsa.PublicKey:
		return func() bool {
			sum := sha256.Sum256(signed)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
		require.NoError(t, err)
		return func() bool {
			sum := sha256.Sum256(signed)
			return ecdsa.VerifyASN1(key, sum[:], der)
		}
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(key, signed, signature) }
	}
	require.FailNow(t, "no primitive", alg)
	return nil
}

func (h hot) verifier(t testing.TB, alg string, configure ...func(*oidc.AccessTokenConfig)) *oidc.AccessTokenVerifier {
	t.Helper()
	return newVerifier(t, h.provider, append(configure, func(c *oidc.AccessTokenConfig) { c.Algorithms = []string{alg} })...)
}

// raceEnabled tells whether the race detector is on, which makes allocations of its own.
func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}

// A verification allocates five times more than its cryptography at most: what it
// returns, and the payload. A token of the cache allocates nothing. It is not parallel:
// what others allocate would count.
func TestAllocations(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	const runs = 200
	for _, alg := range hotAlgorithms {
		t.Run(alg, func(t *testing.T) {
			h := newHot(t, alg)
			ctx := t.Context()
			bare := testing.AllocsPerRun(runs, func() { h.primitive() })
			allocations := func(v accessVerifier) float64 {
				var failed error
				_, failed = v.Verify(ctx, h.raw) // warm
				require.NoError(t, failed)
				n := testing.AllocsPerRun(runs, func() {
					if _, err := v.Verify(ctx, h.raw); err != nil {
						failed = err
					}
				})
				require.NoError(t, failed)
				return n
			}
			v := h.verifier(t, alg)
			require.LessOrEqual(t, allocations(v), bare+5, "bare: %v", bare)
			require.LessOrEqual(t, allocations(newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{v}})), bare+5, "Issuers, bare: %v", bare)
			require.Zero(t, allocations(h.verifier(t, alg, cached)))
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range hotAlgorithms {
		h := newHot(b, alg)
		bench := func(name string, verify func() bool) {
			b.Run(alg+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !verify() {
						b.Fatal("refused")
					}
				}
			})
		}
		ctx := b.Context()
		by := func(v *oidc.AccessTokenVerifier) func() bool {
			return func() bool { _, err := v.Verify(ctx, h.raw); return err == nil }
		}
		bench("primitive", h.primitive)
		bench("verify", by(h.verifier(b, alg)))
		bench("cached", by(h.verifier(b, alg, cached)))
	}
}
