package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

func BenchmarkVerify(b *testing.B) {
	op := newOP(b)
	secretKey := []byte(strings.Repeat("k", 32))
	for _, alg := range []string{"ES256", "RS256", "HS256"} {
		for _, cached := range []string{"cold", "cached"} {
			b.Run(alg+"/"+cached, func(b *testing.B) {
				var cfg oidc.AccessTokenConfig
				cfg.Audience = []string{api}
				cfg.Algorithms = []string{alg}
				if cached == "cached" {
					cfg.Cache.MaxTokens = 1000
				}
				p := newProvider(b, op, func(c *oidc.Config) {
					c.Now = func() time.Time { time.Now(); return start }
					if alg == "HS256" {
						src, err := jwks.Symmetric(secretKey, "HS256")
						require.NoError(b, err)
						c.Keys = src
					}
				})
				v, err := oidc.NewAccessTokenVerifier(p, cfg)
				require.NoError(b, err)
				raw := ""
				if alg != "HS256" {
					raw = op.Sign(object{"typ": "at+jwt", "alg": alg}, accessClaims(op))
				}
				if alg == "HS256" {
					raw = signHMAC(secretKey, accessClaims(op))
				}
				_, err = v.Verify(b.Context(), raw)
				require.NoError(b, err)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(b.Context(), raw); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func signHMAC(key []byte, claims object) string {
	enc := base64.RawURLEncoding
	payload, _ := json.Marshal(claims)
	input := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt"}`)) + "." + enc.EncodeToString(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return input + "." + enc.EncodeToString(mac.Sum(nil))
}
