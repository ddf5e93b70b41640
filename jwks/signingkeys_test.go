package jwks_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

func TestSigningKeys_Refuses(t *testing.T) {
	t.Parallel()
	a := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"})
	for name, keys := range map[string][]*jwks.SigningKey{
		"none":         {nil},
		"not made":     {{}},
		"none beside":  {a, nil},
		"same kid":     {a, signingKey(t, jwks.SigningKeyConfig{Signer: ec2, KeyID: "a"})},
		"no kid":       {a, signingKey(t, jwks.SigningKeyConfig{Signer: ec2})},
		"current none": {signingKey(t, jwks.SigningKeyConfig{Signer: ec2}), a},
		"same key":     {a, signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "b"})},
		"twice":        {a, a},
	} {
		s, err := jwks.NewSigningKeys(keys[0], keys[1:]...)
		require.Error(t, err, name)
		require.Nil(t, s, name)

		s = must(jwks.NewSigningKeys(a))
		require.Error(t, s.Set(keys[0], keys[1:]...), name)
		require.Equal(t, []*jwks.SigningKey{a}, s.All(), "nothing has changed")
	}
	alone := signingKey(t, jwks.SigningKeyConfig{Signer: ec1})
	require.Same(t, alone, must(jwks.NewSigningKeys(alone)).Current(), "one key needs no kid")

	for _, s := range []*jwks.SigningKeys{nil, {}} {
		_, err := s.SignJWT(t.Context(), "", []byte(`{}`))
		require.Error(t, err)
		_, err = s.PublicJWKs(t.Context())
		require.Error(t, err)
		require.Nil(t, s.Current())
		require.Nil(t, s.Find("", ""))
	}
}

func TestSigningKeys_Find(t *testing.T) {
	t.Parallel()
	a := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"})
	b := signingKey(t, jwks.SigningKeyConfig{Signer: ec2, KeyID: "b"})
	c := signingKey(t, jwks.SigningKeyConfig{Signer: edKey, KeyID: "c"})
	s := must(jwks.NewSigningKeys(b, a, c))
	for _, tt := range []struct {
		kid, alg string
		want     *jwks.SigningKey
	}{
		{"", "", b}, {"a", "", a}, {"", "ES256", b}, {"a", "ES256", a}, {"", "EdDSA", c}, {"", "Ed25519", c},
		{"a", "EdDSA", nil}, {"d", "", nil}, {"", "RS256", nil},
	} {
		require.Same(t, tt.want, s.Find(tt.kid, tt.alg))
	}
}

// A reader who keeps the set for as long as it may, and never asks out of turn, can
// verify each token for as long as it lives, while keys change in three steps.
func TestSigningKeys_ChangeIsSeenByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = time.Minute
		old := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "old"})
		next := signingKey(t, jwks.SigningKeyConfig{Signer: edKey, KeyID: "next"})
		keys := must(jwks.NewSigningKeys(old))
		handler := jwks.Handler(keys)
		began := time.Now()
		steps := []struct {
			after time.Duration
			set   func() error
		}{
			{0, func() error { return keys.Set(old, next) }},
			{jwks.PublishedFor, func() error { return keys.Set(next, old) }},
			{jwks.PublishedFor + life, func() error { return keys.Set(next) }},
		}
		type issued struct {
			raw string
			at  time.Time
		}
		var tokens []issued
		var cached jwks.Set
		var fetched time.Time
		signedBy := map[string]int{}
		for time.Since(began) < 4*jwks.PublishedFor {
			if fetched.IsZero() || time.Since(fetched) >= jwks.PublishedFor {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				cached, fetched = must(jwks.ParseSet(w.Body.Bytes())), time.Now()
			}
			if len(steps) > 0 && time.Since(began) >= steps[0].after {
				require.NoError(t, steps[0].set())
				steps = steps[1:]
			}
			raw := must(keys.SignJWT(t.Context(), "", []byte(`{}`)))
			signedBy[must(jwt.Parse(raw)).KeyID]++
			tokens = append(tokens, issued{raw, time.Now()})
			for _, token := range tokens {
				if time.Since(token.at) < life {
					_, err := jwks.Verify(t.Context(), jwks.Static(cached.Keys), []string{"ES256", "EdDSA"}, token.raw)
					require.NoError(t, err, "%s", time.Since(began))
				}
			}
			time.Sleep(7 * time.Second)
		}
		require.NotZero(t, signedBy["old"])
		require.NotZero(t, signedBy["next"])
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.NotContains(t, w.Body.String(), `"old"`)
	})
}

// Whoever reads the set sees one of those that were set, whole.
func TestSigningKeys_ReadersAndChangesTogether(t *testing.T) {
	t.Parallel()
	a := signingKey(t, jwks.SigningKeyConfig{Signer: ec1, KeyID: "a"})
	b := signingKey(t, jwks.SigningKeyConfig{Signer: edKey, KeyID: "b"})
	keys := must(jwks.NewSigningKeys(a, b))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				raw, err := keys.SignJWT(context.Background(), "", []byte(`{}`))
				set, setErr := jwks.PublicSet(context.Background(), keys)
				if err != nil || setErr != nil {
					t.Error(err, setErr)
					return
				}
				if _, err := jwks.VerifyCompact(set, raw, "ES256", "EdDSA"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 100 {
		order := [][]*jwks.SigningKey{{a, b}, {b, a}}[i%2]
		if err := keys.Set(order[0], order[1:]...); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// privateNames are all members that a private or secret JWK has and a public one has not.
var privateNames = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// The endpoint serves what each kind of key has in public, and no more.
func TestK02_HandlerServesNoPrivateMember(t *testing.T) {
	t.Parallel()
	var publishers []jwks.Publisher
	for alg, key := range signersByAlgorithm() {
		publishers = append(publishers, signingKey(t, jwks.SigningKeyConfig{Signer: key, Algorithm: alg, KeyID: alg}))
		parsed, err := jwks.ParseSigningKey(privateJWK(key, with{"kid": "parsed " + alg, "alg": alg}))
		require.NoError(t, err)
		publishers = append(publishers, parsed, must(jwks.NewSigningKeys(parsed)))
	}
	certified := jwks.SigningKeyConfig{Signer: rsaKeys()[0], KeyID: "certified", Certificates: append(certificatesOf(t), selfSigned(t, ec1))}
	publishers = append(publishers, signingKey(t, certified))
	for _, private := range []any{rsaKeys()[1], ec2, ec384, must(ec2.ECDH())} {
		publishers = append(publishers, decryptionKey(private))
	}
	secret := []byte(strings.Repeat("s", 32))
	publishers = append(publishers, must(jwks.InsecureDirectKey(secret, "secret", "A256GCM")), jwks.DecryptionKey{})

	w := httptest.NewRecorder()
	jwks.Handler(publishers...).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusOK, w.Code)
	var published struct{ Keys []map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &published))
	require.Len(t, published.Keys, 3*len(signersByAlgorithm())+1+4, "nothing of a secret")
	for _, k := range published.Keys {
		for _, name := range privateNames {
			require.NotContains(t, k, name)
		}
		require.Contains(t, []string{`"RSA"`, `"EC"`, `"OKP"`}, string(k["kty"]))
	}
	for _, number := range []string{
		b64(ec1.D.Bytes()), b64(ec2.D.Bytes()), b64(ec384.D.Bytes()), b64(ec521.D.Bytes()), b64(edKey.Seed()), b64(secret),
		b64(rsaKeys()[0].D.Bytes()), b64(rsaKeys()[0].Primes[0].Bytes()), b64(rsaKeys()[0].Primes[1].Bytes()), b64(rsaKeys()[1].D.Bytes()),
	} {
		require.NotContains(t, w.Body.String(), number)
	}
}
