package clientauth_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
)

// BenchmarkAssertion tells what private_key_jwt costs beside the bare signature of the
// same key: the goal is 1.2 times as much at most ("x"). The two take turns, and their
// medians are compared, so that what else the machine does falls on both.
func BenchmarkAssertion(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			key := keyFor(alg)
			digest := sha256.Sum256([]byte("what is signed"))
			m := clientauth.PrivateKeyJWT(must(jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: key, Algorithm: alg, KeyID: "k1"})))
			r := newRequest()
			r.Provider.SigningAlgorithmsSupported = []string{"PS256", alg}
			var bare, whole []time.Duration
			for b.Loop() {
				bare = append(bare, timed(b, func() error {
					_, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
					return err
				}))
				whole = append(whole, timed(b, func() error { return m.Authenticate(b.Context(), r) }))
			}
			b.ReportMetric(0, "ns/op") // of both together: of no interest
			b.ReportMetric(float64(median(bare)), "bare-ns")
			b.ReportMetric(float64(median(whole)), "assertion-ns")
			b.ReportMetric(float64(median(whole))/float64(median(bare)), "x")
		})
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	began := time.Now()
	err := do()
	took := time.Since(began)
	if err != nil {
		b.Fatal(err)
	}
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
