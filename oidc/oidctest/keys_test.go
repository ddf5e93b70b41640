package oidctest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

var asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// TestGoOIDCAgrees has another implementation judge discovery, keys and tokens.
func TestGoOIDCAgrees(t *testing.T) {
	for _, alg := range asymmetric {
		t.Run(alg, func(t *testing.T) {
			p := start(t, func(c *oidctest.Config) { c.Algorithm = alg })
			ctx := goidc.ClientContext(t.Context(), p.HTTPClient())
			provider, err := goidc.NewProvider(ctx, p.Issuer())
			require.NoError(t, err)
			verifier := provider.VerifierContext(ctx, &goidc.Config{
				ClientID: oidctest.ClientID, SupportedSigningAlgs: []string{alg}, Now: p.Now,
			})
			a := tokens(t, p)
			idToken, err := verifier.Verify(ctx, a.str("id_token"))
			require.NoError(t, err)
			require.Equal(t, "a-nonce", idToken.Nonce)
			require.NoError(t, idToken.VerifyAccessToken(a.str("access_token")))
			require.Equal(t, http.StatusOK, userinfo(t, p, "Bearer "+a.str("access_token")).status)

			forged := p.Sign(nil, map[string]any{"iss": issuer, "aud": "client", "exp": p.Now().Unix() + 9})
			_, err = verifier.Verify(ctx, forged)
			require.NoError(t, err)
		})
	}
}

func TestHMACIDTokens(t *testing.T) {
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		t.Run(alg, func(t *testing.T) {
			p := start(t, func(c *oidctest.Config) {
				client := oidctest.DefaultClient()
				client.IDTokenAlgorithm = alg
				c.Clients = []oidctest.Client{client}
			})
			a := tokens(t, p)
			for _, token := range []string{
				a.str("id_token"),
				oidctest.SignHMAC(map[string]any{"alg": alg}, map[string]any{"sub": "x"}, []byte(oidctest.ClientSecret)),
			} {
				jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				require.NoError(t, err)
				_, err = jws.Verify([]byte(oidctest.ClientSecret))
				require.NoError(t, err)
				require.Empty(t, jws.Signatures[0].Protected.KeyID)
			}
			header, _ := decode(t, a.str("access_token"))
			require.Equal(t, "ES256", header["alg"])
			require.Len(t, jwks(t, p), 1, "a secret is not published")
		})
	}
}

func jwks(t *testing.T, p *oidctest.Provider) []map[string]any {
	t.Helper()
	a := get(t, p, p.Issuer()+"/jwks")
	require.Equal(t, http.StatusOK, a.status)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(a.body), &set))
	return set.Keys
}

func kids(t *testing.T, p *oidctest.Provider) []string {
	t.Helper()
	var kids []string
	for _, k := range jwks(t, p) {
		kids = append(kids, k["kid"].(string))
	}
	return kids
}

func TestJWKS(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.IDTokenAlgorithm = "EdDSA"
		c.Clients = []oidctest.Client{client}
	})
	keys := jwks(t, p)
	require.Len(t, keys, 2, "those of Config.Algorithm and of the client, before anything was signed")
	for i, alg := range []string{"ES256", "EdDSA"} {
		require.Equal(t, alg, keys[i]["alg"])
		require.Equal(t, "sig", keys[i]["use"])
		require.NotEmpty(t, keys[i]["kid"])
		require.NotContains(t, keys[i], "d", "the private half")
	}
	p.Sign(map[string]any{"alg": "ES384"}, nil)
	require.Len(t, jwks(t, p), 3)

	a := get(t, p, issuer+"/jwks")
	require.Equal(t, "application/jwk-set+json", a.header.Get("Content-Type"))
	require.Equal(t, "max-age=300", a.header.Get("Cache-Control"))
}

func TestKeysAreTheProvidersOwn(t *testing.T) {
	a, b := start(t), start(t)
	require.NotEqual(t, kids(t, a), kids(t, b))
	require.NotEqual(t, a.PublicKey("ES256"), b.PublicKey("ES256"))
	require.Equal(t, http.StatusUnauthorized, userinfo(t, a, "Bearer "+b.AccessToken("alice", "", "openid")).status)
}

func TestPublicKey(t *testing.T) {
	p := start(t)
	for alg, want := range map[string]crypto.PublicKey{
		"PS384": &rsa.PublicKey{}, "ES512": &ecdsa.PublicKey{}, "EdDSA": ed25519.PublicKey{},
	} {
		require.IsType(t, want, p.PublicKey(alg))
		first := p.PublicKey(alg)
		require.Equal(t, first, p.PublicKey(alg), "made once")
	}
	require.NotEqual(t, p.PublicKey("PS256"), p.PublicKey("RS256"), "a key serves one algorithm")
	require.Panics(t, func() { p.PublicKey("HS256") })
}

func TestRotateAndRetire(t *testing.T) {
	p := start(t)
	before := kids(t, p)
	bearer := "Bearer " + p.AccessToken("alice", "", "openid")
	idToken := tokens(t, p).str("id_token")

	p.Rotate()
	header, _ := decode(t, tokens(t, p).str("id_token"))
	require.NotContains(t, before, header["kid"])
	require.Len(t, kids(t, p), 2)
	require.Subset(t, kids(t, p), before)
	require.Equal(t, http.StatusOK, userinfo(t, p, bearer).status)
	require.Equal(t, http.StatusOK, get(t, p, issuer+"/end-session?id_token_hint="+idToken).status)

	p.Retire()
	require.Equal(t, []string{header["kid"].(string)}, kids(t, p))
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, bearer).status)
	require.Equal(t, http.StatusBadRequest, get(t, p, issuer+"/end-session?id_token_hint="+idToken).status)

	// Both at once, before anybody asked for the new key.
	p.Rotate()
	p.Retire()
	require.Len(t, kids(t, p), 1)
	require.NotEqual(t, []string{header["kid"].(string)}, kids(t, p))
}

func TestSignMakesOddTokens(t *testing.T) {
	p := start(t)
	header, claims := decode(t, p.Sign(map[string]any{"kid": nil, "crit": []string{"x"}}, map[string]any{"iss": 5}))
	require.Equal(t, map[string]any{"alg": "ES256", "crit": []any{"x"}}, header)
	require.Equal(t, map[string]any{"iss": 5.0}, claims)

	header, _ = decode(t, p.Sign(map[string]any{"alg": nil, "typ": "x", "kid": "other"}, nil))
	require.Equal(t, map[string]any{"typ": "x", "kid": "other"}, header)

	header, _ = decode(t, p.Sign(nil, nil))
	require.Equal(t, []string{header["kid"].(string)}, kids(t, p))

	unsigned := p.Sign(map[string]any{"alg": "none"}, map[string]any{"sub": "x"})
	require.True(t, strings.HasSuffix(unsigned, "."))
	header, _ = decode(t, unsigned)
	require.Equal(t, map[string]any{"alg": "none"}, header)

	payload := []byte(`{"sub":"a","sub":"b"}`)
	jws, err := jose.ParseSignedCompact(p.SignBytes(nil, payload), []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	got, err := jws.Verify(p.PublicKey("ES256"))
	require.NoError(t, err)
	require.Equal(t, payload, got)
}

func TestSignKeepsToThePublishedKid(t *testing.T) {
	p := start(t)
	old, kid := p.PublicKey("ES256"), kids(t, p)[0]
	p.Rotate()
	token := p.Sign(map[string]any{"kid": kid}, nil)
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	_, err = jws.Verify(old)
	require.NoError(t, err)
}

func TestSignLeavesTheMapsAlone(t *testing.T) {
	p := start(t)
	header := map[string]any{}
	p.Sign(header, nil)
	oidctest.SignHMAC(header, nil, nil)
	require.Empty(t, header)
}

func TestSignPanics(t *testing.T) {
	p := start(t)
	for name, f := range map[string]func(){
		"HS256":                func() { p.Sign(map[string]any{"alg": "HS256"}, nil) },
		"HS256 with a kid":     func() { p.Sign(map[string]any{"alg": "HS256", "kid": "x"}, nil) },
		"unknown":              func() { p.Sign(map[string]any{"alg": "XX"}, nil) },
		"not JSON":             func() { p.Sign(nil, map[string]any{"f": func() {}}) },
		"HMAC with ES256":      func() { oidctest.SignHMAC(map[string]any{"alg": "ES256"}, nil, nil) },
		"AccessToken, no user": func() { p.AccessToken("mallory", "") },
	} {
		t.Run(name, func(t *testing.T) { require.Panics(t, f) })
	}
}

func TestAccessToken(t *testing.T) {
	p := start(t)
	header, claims := decode(t, p.AccessToken("bob", "https://api.example", "read", "write"))
	require.Equal(t, "at+jwt", header["typ"])
	require.Equal(t, "248289761002", claims["sub"])
	require.Equal(t, "https://api.example", claims["aud"])
	require.Equal(t, "read write", claims["scope"])
	require.Equal(t, "client", claims["client_id"])
	require.Equal(t, map[string]any{"roles": []any{"user"}}, claims["realm_access"])
	require.Contains(t, claims, "auth_time")
}

func TestHooks(t *testing.T) {
	p := start(t)
	p.OnIDToken(func(header, claims map[string]any) {
		delete(header, "kid")
		delete(claims, "nonce")
		claims["realm_access"].(map[string]any)["roles"] = "odd"
	})
	p.OnAccessToken(func(header, _ map[string]any) { header["typ"] = "JWT" })
	p.OnTokenResponse(func(response map[string]any) { response["token_type"] = "mac" })
	p.OnUserInfo(func(claims map[string]any) { claims["sub"] = "somebody else" })

	a := tokens(t, p)
	require.Equal(t, "mac", a.json["token_type"])
	header, claims := decode(t, a.str("id_token"))
	require.NotContains(t, header, "kid")
	require.NotContains(t, claims, "nonce")
	require.Equal(t, map[string]any{"roles": "odd"}, claims["realm_access"])
	header, _ = decode(t, a.str("access_token"))
	require.Equal(t, "JWT", header["typ"])

	p.OnIDToken(nil)
	p.OnAccessToken(nil)
	p.OnTokenResponse(nil)
	a = tokens(t, p)
	require.Equal(t, "Bearer", a.json["token_type"])
	_, claims = decode(t, a.str("id_token"))
	require.Equal(t, map[string]any{"roles": []any{"admin", "user"}}, claims["realm_access"], "the user is unchanged")
	require.Equal(t, "somebody else", userinfo(t, p, "Bearer "+a.str("access_token")).json["sub"])
	p.OnUserInfo(nil)
	require.Equal(t, "248289761001", userinfo(t, p, "Bearer "+a.str("access_token")).json["sub"])
}

func TestHookChoosesTheAlgorithm(t *testing.T) {
	p := start(t)
	for _, alg := range []string{"none", "HS256", "ES384"} {
		p.OnIDToken(func(header, _ map[string]any) { header["alg"] = alg })
		header, _ := decode(t, tokens(t, p).str("id_token"))
		require.Equal(t, alg, header["alg"])
	}
	p.OnIDToken(func(header, _ map[string]any) { header["alg"] = "unknown" })
	a := token(t, p, codeForm(code(t, p)))
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, "server_error", a.str("error"))
}

// TestHooksMayCallTheProvider would hang if a hook ran under a lock.
func TestHooksMayCallTheProvider(t *testing.T) {
	p := start(t)
	p.OnIDToken(func(_, claims map[string]any) {
		p.OnIDToken(nil)
		p.Rotate()
		claims["other"] = p.Sign(nil, nil)
	})
	require.Contains(t, claimsOf(t, tokens(t, p), "id_token"), "other")
}

func TestDiscovery(t *testing.T) {
	for _, iss := range []string{issuer, "https://op.example", "https://op.example/tenant/"} {
		t.Run(iss, func(t *testing.T) {
			p := start(t, func(c *oidctest.Config) { c.Issuer = iss })
			ctx := goidc.ClientContext(context.Background(), p.HTTPClient())
			provider, err := goidc.NewProvider(ctx, iss)
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, provider.Claims(&m))
			require.Equal(t, iss, m["issuer"])
			require.Equal(t, strings.TrimSuffix(iss, "/")+"/token", m["token_endpoint"])
			require.Equal(t, []any{"ES256"}, m["id_token_signing_alg_values_supported"])
			require.Equal(t, false, m["request_uri_parameter_supported"])
			require.Equal(t, true, m["authorization_response_iss_parameter_supported"])

			a := get(t, p, strings.TrimSuffix(iss, "/")+"/.well-known/openid-configuration")
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			require.Equal(t, "max-age=300", a.header.Get("Cache-Control"))
		})
	}
	require.Equal(t, http.StatusNotFound, get(t, start(t), "https://op.example/jwks").status, "outside the issuer's path")
}
