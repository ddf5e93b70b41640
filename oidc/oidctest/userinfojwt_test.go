package oidctest_test

import (
	"crypto"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// startWith has one client, the default one with changes.
func startWith(t *testing.T, configure func(*oidctest.Client)) *oidctest.Provider {
	return start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.JWKS = keySet(t, map[string]crypto.Signer{"ec": ecKey(), "rsa": rsaKey()})
		configure(&client)
		c.Clients = []oidctest.Client{client}
	})
}

// open decrypts a compact JWE with one of the client's keys.
func open(t *testing.T, token, alg, enc string) (header jose.Header, content string) {
	t.Helper()
	jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(alg)}, []jose.ContentEncryption{jose.ContentEncryption(enc)})
	require.NoError(t, err)
	keys := map[string]any{"ec": ecKey(), "rsa": rsaKey()}
	plain, err := jwe.Decrypt(keys[jwe.Header.KeyID])
	require.NoError(t, err)
	return jwe.Header, string(plain)
}

func TestUserInfoAsJWT(t *testing.T) {
	for _, alg := range []string{"ES256", "HS256"} {
		p := startWith(t, func(c *oidctest.Client) { c.UserInfoAlgorithm = alg })
		p.OnUserInfo(func(claims map[string]any) { claims["extra"] = "yes" })
		p.OnSignedAnswer(oidctest.UserInfo, func(_, claims map[string]any) { claims["odd"] = "yes" })
		a := userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid", "email"))
		require.Equal(t, "application/jwt", a.header.Get("Content-Type"))
		header, claims := decode(t, a.body)
		require.Equal(t, alg, header["alg"])
		for name, want := range map[string]any{
			"iss": issuer, "aud": "client", "sub": "248289761001", "email": "alice@example.com", "extra": "yes", "odd": "yes",
		} {
			require.Equal(t, want, claims[name], name)
		}
		p.OnSignedAnswer(oidctest.UserInfo, nil)
		_, claims = decode(t, userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid")).body)
		require.NotContains(t, claims, "odd")
	}
}

func TestUserInfoEncrypted(t *testing.T) {
	p := startWith(t, func(c *oidctest.Client) {
		c.UserInfoAlgorithm, c.UserInfoEncryptionAlgorithm, c.UserInfoEncryptionMethod = "ES256", "RSA-OAEP-256", "A256GCM"
	})
	a := userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid"))
	require.Equal(t, "application/jwt", a.header.Get("Content-Type"))
	header, inner := open(t, a.body, "RSA-OAEP-256", "A256GCM")
	require.Equal(t, "JWT", header.ExtraHeaders["cty"])
	_, claims := decode(t, inner)
	require.Equal(t, "248289761001", claims["sub"])

	p = startWith(t, func(c *oidctest.Client) { c.UserInfoEncryptionAlgorithm = "ECDH-ES+A128KW" })
	a = userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid"))
	header, inner = open(t, a.body, "ECDH-ES+A128KW", "A128CBC-HS256")
	require.NotContains(t, header.ExtraHeaders, jose.HeaderKey("cty"))
	require.NoError(t, json.Unmarshal([]byte(inner), &claims))
	require.Equal(t, "248289761001", claims["sub"], "encrypted only")
}

func TestUserInfoInAForm(t *testing.T) {
	p := start(t)
	right := p.AccessToken("alice", "", "openid")
	require.Equal(t, http.StatusOK, post(t, p, "/userinfo", url.Values{"access_token": {right}}).status)
	require.Equal(t, http.StatusBadRequest, post(t, p, "/userinfo", url.Values{"access_token": {right, right}}).status)
	req := postRequest(t, issuer+"/userinfo", url.Values{"access_token": {right}})
	req.Header.Set("Authorization", "Bearer "+right)
	require.Equal(t, http.StatusBadRequest, do(t, p, req).status, "two ways at once")
	require.Equal(t, http.StatusUnauthorized, get(t, p, issuer+"/userinfo?access_token="+right).status, "in the URL")
	req = postRequest(t, issuer+"/userinfo", nil)
	req.Header.Set("Authorization", "Bearer "+right)
	require.Equal(t, http.StatusOK, do(t, p, req).status)
}

func TestAggregatedAndDistributedClaims(t *testing.T) {
	p := start(t)
	p.OnUserInfo(func(claims map[string]any) {
		claims["_claim_names"] = map[string]any{"address": "src1", "credit": "src2"}
		claims["_claim_sources"] = map[string]any{
			"src1": map[string]any{"JWT": p.Sign(nil, map[string]any{"address": "x"})},
			"src2": map[string]any{"endpoint": "https://bank.example/", "access_token": "t"},
		}
	})
	a := userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid"))
	require.Contains(t, a.json["_claim_sources"], "src2")
}

func TestEncryptedIDTokens(t *testing.T) {
	p := startWith(t, func(c *oidctest.Client) { c.IDTokenEncryptionAlgorithm = "RSA-OAEP" })
	header, inner := open(t, tokens(t, p).str("id_token"), "RSA-OAEP", "A128CBC-HS256")
	require.Equal(t, "JWT", header.ExtraHeaders["cty"])
	_, claims := decode(t, inner)
	require.Equal(t, "a-nonce", claims["nonce"])

	_, inner = open(t, p.LogoutToken(t.Context(), "client", "alice", ""), "RSA-OAEP", "A128CBC-HS256")
	header2, _ := decode(t, inner)
	require.Equal(t, "logout+jwt", header2["typ"])

	_, inner = open(t, p.Encrypt(t.Context(), "client", "ECDH-ES", "A128GCM", "", []byte("anything")), "ECDH-ES", "A128GCM")
	require.Equal(t, "anything", inner)
	require.Panics(t, func() { p.Encrypt(t.Context(), "nobody", "ECDH-ES", "A128GCM", "", nil) })
	require.Panics(t, func() { p.Encrypt(t.Context(), "client", "RSA1_5", "A128GCM", "", nil) })
}

// TestNoKeyToEncryptTo: a set of keys for signatures holds none.
func TestNoKeyToEncryptTo(t *testing.T) {
	p := startWith(t, func(c *oidctest.Client) {
		key := jose.JSONWebKey{Key: rsaKey().Public(), Use: "sig"}
		c.JWKS = must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}}))
		c.UserInfoEncryptionAlgorithm = "RSA-OAEP"
	})
	a := userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid"))
	require.Equal(t, http.StatusInternalServerError, a.status)
}

func TestEncryptedIntrospection(t *testing.T) {
	p := startWith(t, func(c *oidctest.Client) {
		c.IntrospectionAlgorithm, c.IntrospectionEncryptionAlgorithm = "RS256", "ECDH-ES"
	})
	req := postRequest(t, issuer+"/introspect", url.Values{"token": {"x"}})
	req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
	req.Header.Set("Accept", "application/token-introspection+jwt")
	_, inner := open(t, do(t, p, req).body, "ECDH-ES", "A128CBC-HS256")
	header, claims := decode(t, inner)
	require.Equal(t, "RS256", header["alg"])
	require.Equal(t, map[string]any{"active": false}, claims["token_introspection"])
}

func TestLogoutToken(t *testing.T) {
	p := start(t)
	header, claims := decode(t, p.LogoutToken(t.Context(), "client", "alice", "a-session"))
	require.Equal(t, "logout+jwt", header["typ"])
	for name, want := range map[string]any{
		"iss": issuer, "aud": "client", "sub": "248289761001", "sid": "a-session",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	} {
		require.Equal(t, want, claims[name], name)
	}
	require.NotEmpty(t, claims["jti"])
	require.NotContains(t, claims, "nonce")
	p.OnLogoutToken(func(header, claims map[string]any) { header["typ"], claims["nonce"] = "JWT", "x" })
	header, claims = decode(t, p.LogoutToken(t.Context(), "client", "", "a-session"))
	require.Equal(t, "JWT", header["typ"])
	require.Equal(t, "x", claims["nonce"])
	require.NotContains(t, claims, "sub")
	require.Panics(t, func() { p.LogoutToken(t.Context(), "nobody", "", "") })
	require.Panics(t, func() { p.LogoutToken(t.Context(), "client", "nobody", "") })
	p.OnLogoutToken(func(header, _ map[string]any) { header["alg"] = "XS256" })
	require.Panics(t, func() { p.LogoutToken(t.Context(), "client", "alice", "") })
}
