package clientauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
)

var now = time.Date(2027, 3, 1, 12, 0, 0, 999e6, time.UTC)

func clock() time.Time { return now }

// byAssertion makes both methods that sign, and says how to check what they sign.
func byAssertion(alg string, cfg clientauth.AssertionConfig) (m clientauth.Method, key any) {
	if strings.HasPrefix(alg, "HS") {
		cfg.Algorithm = alg
		return clientauth.SecretJWT(longSecret(), cfg), []byte(longSecret())
	}
	return clientauth.PrivateKeyJWT(newSigner(alg), cfg), keyFor(alg).Public()
}

// The algorithms of the table of Deploy, and Ed25519. Keys are ones that only sign.
func TestAssertion_Algorithms(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{
		"HS256", "HS384", "HS512",
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			m, key := byAssertion(alg, clientauth.AssertionConfig{Now: clock})
			name, kid := "private_key_jwt", "k1"
			if strings.HasPrefix(alg, "HS") {
				name, kid = "client_secret_jwt", ""
			}
			require.Equal(t, name, m.Name())
			header, claims := assertionOf(t, authenticate(t, m), alg, key)
			require.Equal(t, alg, header.Algorithm)
			require.Equal(t, kid, header.KeyID)
			require.Equal(t, "client-authentication+jwt", header.ExtraHeaders["typ"])
			require.NotEmpty(t, claims["jti"])
			delete(claims, "jti")
			require.Equal(t, map[string]any{
				"iss": clientID, "sub": clientID, "aud": issuer, "iat": float64(now.Unix()), "exp": float64(now.Unix() + 60),
			}, claims)
		})
	}
}

func TestSecretJWT_DefaultIsHS256(t *testing.T) {
	t.Parallel()
	assertionOf(t, authenticate(t, clientauth.SecretJWT(longSecret())), "HS256", []byte(longSecret()))
}

// The audience is the issuer, one string, wherever the request goes and whatever the
// metadata call an endpoint (RFC 10070; CVE-2025-27370, CVE-2025-27371).
func TestF35_AudienceIsTheIssuer(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"HS256", "ES256"} {
		for _, endpoint := range []string{
			tokenEndpoint, "https://op.example/par", "https://op.example/introspect", "https://op.example/revoke", "https://honest.example/token", "",
		} {
			m, key := byAssertion(alg, clientauth.AssertionConfig{})
			r := newRequest()
			r.Endpoint, r.Provider.TokenEndpoint = endpoint, endpoint
			require.NoError(t, m.Authenticate(t.Context(), r))
			_, claims := assertionOf(t, r, alg, key)
			require.Equal(t, any(issuer), claims["aud"], "a string, not a list")
		}
	}
}

// CVE-2025-27370: a malicious provider names an honest one's token endpoint or issuer as
// its own token endpoint. What it then gets must not be good there.
func TestCVE_2025_27370_AnAttackersEndpointsAreNoAudience(t *testing.T) {
	t.Parallel()
	for _, honest := range []string{"https://honest.example/token", "https://honest.example"} {
		m, key := byAssertion("ES256", clientauth.AssertionConfig{})
		r := newRequest()
		r.Endpoint = honest
		r.Provider = clientauth.Provider{Issuer: "https://evil.example", TokenEndpoint: honest}
		require.NoError(t, m.Authenticate(t.Context(), r))
		_, claims := assertionOf(t, r, "ES256", key)
		require.Equal(t, any("https://evil.example"), claims["aud"])
	}
}

// CVE-2025-27371: the same at the pushed authorization request endpoint and others than
// the token endpoint, also for who has chosen the token endpoint as audience.
func TestCVE_2025_27371_OtherEndpointsAreNoAudience(t *testing.T) {
	t.Parallel()
	for _, cfg := range []clientauth.AssertionConfig{{}, {InsecureTokenEndpointAudience: true}, {Audience: "https://op.example/fixed"}} {
		m, key := byAssertion("ES256", cfg)
		r := newRequest()
		r.Endpoint = "https://honest.example/par"
		require.NoError(t, m.Authenticate(t.Context(), r))
		_, claims := assertionOf(t, r, "ES256", key)
		require.Contains(t, []any{issuer, tokenEndpoint, "https://op.example/fixed"}, claims["aud"])
	}
}

func TestF35_OtherAudiencesByExplicitChoiceOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  clientauth.AssertionConfig
		want string
	}{
		{clientauth.AssertionConfig{InsecureTokenEndpointAudience: true}, tokenEndpoint},
		{clientauth.AssertionConfig{Audience: "https://op.example/fixed"}, "https://op.example/fixed"},
		{clientauth.EntraID, tokenEndpoint},
		{clientauth.LoginGov, tokenEndpoint},
	} {
		m, key := byAssertion("RS256", tt.cfg)
		_, claims := assertionOf(t, authenticate(t, m), "RS256", key)
		require.Equal(t, any(tt.want), claims["aud"])
	}
}

// Never an assertion without an audience.
func TestF35_NoAudienceIsAnError(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"HS256", "ES256"} {
		m, _ := byAssertion(alg, clientauth.AssertionConfig{})
		r := newRequest()
		r.Provider.Issuer = ""
		refuse(t, m, r, clientauth.ReasonAudience)

		m, _ = byAssertion(alg, clientauth.AssertionConfig{InsecureTokenEndpointAudience: true})
		r = newRequest()
		r.Provider.TokenEndpoint = ""
		refuse(t, m, r, clientauth.ReasonAudience)
	}
}

func TestF36_EachAssertionIsNew(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"HS256", "ES256"} {
		m, key := byAssertion(alg, clientauth.AssertionConfig{Now: clock})
		seen := map[any]bool{}
		for range 100 {
			_, claims := assertionOf(t, authenticate(t, m), alg, key)
			jti := claims["jti"].(string)
			require.False(t, seen[jti])
			require.GreaterOrEqual(t, len(jti)*5, 128, "characters of base32 have 5 bits")
			seen[jti] = true
		}
	}
}

func TestF36_ShortLife(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lifetime time.Duration
		want     float64 // 0 is an error
	}{
		{0, 60},
		{time.Second, 1},
		{1999 * time.Millisecond, 1},
		{time.Minute, 60},
		{time.Minute + 1, 0},
		{time.Second - 1, 0},
		{-time.Second, 0},
	} {
		for _, alg := range []string{"HS256", "ES256"} {
			m, key := byAssertion(alg, clientauth.AssertionConfig{Lifetime: tt.lifetime, Now: clock})
			if tt.want == 0 {
				refuse(t, m, newRequest(), clientauth.ReasonConfiguration)
				continue
			}
			_, claims := assertionOf(t, authenticate(t, m), alg, key)
			require.Equal(t, float64(now.Unix()), claims["iat"])
			require.Equal(t, tt.want, claims["exp"].(float64)-claims["iat"].(float64), tt.lifetime)
			require.NotContains(t, claims, "nbf")
		}
	}
}

func TestF36_TimeIsNow(t *testing.T) {
	t.Parallel()
	m, key := byAssertion("ES256", clientauth.AssertionConfig{})
	_, claims := assertionOf(t, authenticate(t, m), "ES256", key)
	require.InDelta(t, float64(time.Now().Unix()), claims["iat"], 5)
}

func TestF36_Type(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  clientauth.AssertionConfig
		want any
	}{
		{clientauth.AssertionConfig{}, "client-authentication+jwt"},
		{clientauth.AssertionConfig{Type: "JWT"}, "JWT"},
		{clientauth.AssertionConfig{OmitType: true}, nil},
		{clientauth.EntraID, "JWT"},
		{clientauth.LoginGov, nil},
	} {
		for _, alg := range []string{"HS256", "RS256"} {
			m, key := byAssertion(alg, tt.cfg)
			header, _ := assertionOf(t, authenticate(t, m), alg, key)
			require.Equal(t, tt.want, header.ExtraHeaders["typ"])
		}
	}
	key := newSigner("ES256")
	authenticate(t, clientauth.PrivateKeyJWT(key, clientauth.AssertionConfig{OmitType: true}))
	require.Equal(t, []string{""}, key.typ, "it is the signer that leaves it out")
}

func TestF37_ShortSecretsAreRefused(t *testing.T) {
	t.Parallel()
	for alg, size := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		cfg := clientauth.AssertionConfig{Algorithm: alg}
		short := clientauth.SecretJWT(clientauth.Secret(strings.Repeat("k", size-1)), cfg)
		refuse(t, short, newRequest(), clientauth.ReasonSecret)
		require.ErrorContains(t, short.Authenticate(t.Context(), newRequest()), "RFC 7518 section 3.2", "it says why")
		authenticate(t, clientauth.SecretJWT(clientauth.Secret(strings.Repeat("k", size)), cfg))
	}
}

// The state of HMAC is kept with the secret that it belongs to.
func TestSecretJWT_FollowsTheSecret(t *testing.T) {
	t.Parallel()
	source := &changing{}
	m := clientauth.SecretJWT(source)
	for _, secret := range []string{strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("a", 40)} {
		source.set(clientauth.Secret(secret), nil)
		assertionOf(t, authenticate(t, forCall(t, m)), "HS256", []byte(secret))
	}
}

func TestAssertion_AlgorithmMustBeListed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		alg    string
		listed []string
		good   bool
	}{
		{"ES256", nil, true},
		{"ES256", []string{}, true},
		{"ES256", []string{"RS256", "ES256"}, true},
		{"ES256", []string{"RS256", "PS256"}, false},
		{"ES256", []string{"es256"}, false},
		{"EdDSA", []string{"Ed25519"}, false}, // who lists one name need not know the other
		{"HS256", []string{"HS256"}, true},
		{"HS256", []string{"RS256", "HS512"}, false},
	} {
		m, _ := byAssertion(tt.alg, clientauth.AssertionConfig{})
		r := newRequest()
		r.Provider.SigningAlgorithmsSupported = tt.listed
		if tt.good {
			require.NoError(t, m.Authenticate(t.Context(), r))
			continue
		}
		refuse(t, m, r, clientauth.ReasonAlgorithm)
		require.ErrorContains(t, m.Authenticate(t.Context(), r), strings.Join(tt.listed, ", "), "it says what would do")
	}
}

func TestAssertionConfig_Misfits(t *testing.T) {
	t.Parallel()
	key, secret := newSigner("ES256"), longSecret()
	for name, cfg := range map[string]clientauth.AssertionConfig{
		"two audiences": {Audience: "https://op.example", InsecureTokenEndpointAudience: true},
		"two types":     {Type: "JWT", OmitType: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse(t, clientauth.PrivateKeyJWT(key, cfg), newRequest(), clientauth.ReasonConfiguration)
			refuse(t, clientauth.SecretJWT(secret, cfg), newRequest(), clientauth.ReasonConfiguration)
		})
	}
	one := clientauth.AssertionConfig{}
	refuse(t, clientauth.PrivateKeyJWT(key, one, one), newRequest(), clientauth.ReasonConfiguration)
	refuse(t, clientauth.SecretJWT(secret, one, one), newRequest(), clientauth.ReasonConfiguration)
	refuse(t, clientauth.PrivateKeyJWT(nil), newRequest(), clientauth.ReasonConfiguration)
	for _, alg := range []string{"RS256", "none", "hs256", "EdDSA"} {
		refuse(t, clientauth.SecretJWT(secret, clientauth.AssertionConfig{Algorithm: alg}), newRequest(), clientauth.ReasonConfiguration)
	}
	authenticate(t, clientauth.PrivateKeyJWT(key, clientauth.AssertionConfig{Algorithm: "ES256"}))
	refuse(t, clientauth.PrivateKeyJWT(key, clientauth.AssertionConfig{Algorithm: "RS256"}), newRequest(), clientauth.ReasonAlgorithm)
}

func TestPrivateKeyJWT_SignersThatFail(t *testing.T) {
	t.Parallel()
	errKMS := errors.New("the KMS is away")
	returns := func(text string, err error) clientauth.Method {
		return clientauth.PrivateKeyJWT(signerFunc(func(context.Context, string, []byte) (string, error) { return text, err }))
	}
	away := returns("", errKMS)
	refuse(t, away, newRequest(), clientauth.ReasonUnavailable)
	err := away.Authenticate(t.Context(), newRequest())
	require.ErrorIs(t, err, errKMS)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)

	part := base64.RawURLEncoding.EncodeToString
	for _, text := range []string{"", "a.b", "a.b.c.d.e", part([]byte(`{"typ":"x"}`)) + ".e30.AA"} {
		refuse(t, returns(text, nil), newRequest(), clientauth.ReasonAssertion)
	}
	// Symmetric and asymmetric algorithms never meet.
	for _, alg := range []string{"HS256", "none", "XX"} {
		refuse(t, returns(part([]byte(`{"alg":"`+alg+`"}`))+".e30.AA", nil), newRequest(), clientauth.ReasonAlgorithm)
	}
}

// The context is the one of the request.
func TestPrivateKeyJWT_Context(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := clientauth.PrivateKeyJWT(signerFunc(func(ctx context.Context, _ string, _ []byte) (string, error) { return "", ctx.Err() }))
	err := m.Authenticate(ctx, newRequest())
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable)
}
