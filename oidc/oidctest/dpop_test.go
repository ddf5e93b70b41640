package oidctest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// thumbprint is that of a public key (RFC 7638).
func thumbprint(key *ecdsa.PrivateKey) string {
	jwk := jose.JSONWebKey{Key: key.Public()}
	return base64.RawURLEncoding.EncodeToString(must(jwk.Thumbprint(crypto.SHA256)))
}

func publicJWK(t *testing.T, key crypto.Signer) map[string]any {
	t.Helper()
	return jwkOf(t, key.Public())
}

func jwkOf(t *testing.T, key any) (m map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(must(json.Marshal(jose.JSONWebKey{Key: key})), &m))
	return m
}

// proof is a right DPoP proof for a request, with changes to its claims.
func proof(t *testing.T, p *oidctest.Provider, key *ecdsa.PrivateKey, method, target string, changes map[string]any) string {
	t.Helper()
	header := map[string]any{"typ": "dpop+jwt", "jwk": publicJWK(t, key)}
	claims := map[string]any{"htm": method, "htu": target, "iat": p.Now().Unix(), "jti": rand.Text()}
	return sign(t, "ES256", key, header, with(claims, changes))
}

// proven sends a token request as the default client, with proofs.
func proven(t *testing.T, p *oidctest.Provider, form url.Values, proofs ...string) answer {
	t.Helper()
	req := postRequest(t, issuer+"/token", form)
	req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
	req.Header["Dpop"] = proofs
	return do(t, p, req)
}

func tokenProof(t *testing.T, p *oidctest.Provider, key *ecdsa.PrivateKey, changes map[string]any) string {
	t.Helper()
	return proof(t, p, key, "POST", issuer+"/token", changes)
}

func ath(token string) map[string]any {
	sum := sha256.Sum256([]byte(token))
	return map[string]any{"ath": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// provenUserInfo asks for userinfo with a DPoP proof.
func provenUserInfo(t *testing.T, p *oidctest.Provider, authorization string, proofs ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/userinfo?x=y", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", authorization)
	req.Header["Dpop"] = proofs
	return do(t, p, req)
}

func TestDPoP(t *testing.T) {
	p := start(t)
	key := ecKey()
	a := proven(t, p, codeForm(code(t, p)), tokenProof(t, p, key, nil))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "DPoP", a.str("token_type"))
	at := a.str("access_token")
	require.Equal(t, map[string]any{"jkt": thumbprint(key)}, claimsOf(t, a, "access_token")["cnf"])
	said := as(t, p, "/introspect", url.Values{"token": {at}})
	require.Equal(t, "DPoP", said.str("token_type"))

	right := proof(t, p, key, "GET", issuer+"/userinfo", ath(at))
	require.Equal(t, http.StatusOK, provenUserInfo(t, p, "DPoP "+at, right).status)

	// The refresh token of a confidential client is not bound (RFC 9449, section 5).
	a = proven(t, p, refreshForm(a.str("refresh_token")), tokenProof(t, p, ecKey2(), nil))
	require.Equal(t, http.StatusOK, a.status, a.body)

	for _, same := range []string{"HTTPS://OP.example/realms/demo/token", "https://op.example:443/realms/demo/token"} {
		require.Equal(t, http.StatusOK, proven(t, p, own, tokenProof(t, p, key, map[string]any{"htu": same})).status, same)
	}
}

func TestDPoPProofIsRefused(t *testing.T) {
	p := start(t)
	key := ecKey()
	now := p.Now().Unix()
	made := func(header map[string]any) string {
		header = with(map[string]any{"typ": "dpop+jwt", "jwk": publicJWK(t, key)}, header)
		return sign(t, "ES256", key, header, map[string]any{"htm": "POST", "htu": issuer + "/token", "iat": now, "jti": rand.Text()})
	}
	used := tokenProof(t, p, key, nil)
	require.Equal(t, http.StatusOK, proven(t, p, own, used).status)
	secret := []byte("thirty-two bytes of a secret, or more")
	for name, test := range map[string]struct {
		want   string
		proofs []string
	}{
		"two headers":    {"there is not exactly one DPoP header", []string{made(nil), made(nil)}},
		"not a JWT":      {"the DPoP proof is not a JWT", []string{"x"}},
		"typ":            {"typ of the DPoP proof is not dpop+jwt", []string{made(map[string]any{"typ": "JWT"})}},
		"no typ":         {"typ of the DPoP proof is not dpop+jwt", []string{made(map[string]any{"typ": nil})}},
		"no jwk":         {"jwk of the DPoP proof is missing", []string{made(map[string]any{"jwk": nil})}},
		"private jwk":    {"jwk of the DPoP proof is not a public key", []string{made(map[string]any{"jwk": jwkOf(t, key)})}},
		"secret jwk":     {"jwk of the DPoP proof is not a public key", []string{made(map[string]any{"jwk": jwkOf(t, secret)})}},
		"jwk of another": {"the signature of the DPoP proof is wrong", []string{made(map[string]any{"jwk": publicJWK(t, ecKey2())})}},
		"jwk of RSA":     {"jwk of the DPoP proof does not fit its alg", []string{made(map[string]any{"jwk": publicJWK(t, rsaKey())})}},
		"HS256": {"alg of the DPoP proof is not a supported asymmetric algorithm", []string{
			sign(t, "HS256", secret, map[string]any{"typ": "dpop+jwt", "jwk": publicJWK(t, key)}, map[string]any{}),
		}},
		"alg none":   {"alg of the DPoP proof is not a supported asymmetric algorithm", []string{p.Sign(map[string]any{"alg": "none", "typ": "dpop+jwt"}, map[string]any{})}},
		"htm":        {"htm of the DPoP proof is another method", []string{tokenProof(t, p, key, map[string]any{"htm": "GET"})}},
		"htm case":   {"htm of the DPoP proof is another method", []string{tokenProof(t, p, key, map[string]any{"htm": "post"})}},
		"htu":        {"htu of the DPoP proof is another URL", []string{tokenProof(t, p, key, map[string]any{"htu": issuer + "/par"})}},
		"htu query":  {"htu of the DPoP proof is another URL", []string{tokenProof(t, p, key, map[string]any{"htu": issuer + "/token?a=b"})}},
		"htu scheme": {"htu of the DPoP proof is another URL", []string{tokenProof(t, p, key, map[string]any{"htu": strings.Replace(issuer, "https", "http", 1) + "/token"})}},
		"htu name":   {"htu of the DPoP proof is another URL", []string{tokenProof(t, p, key, map[string]any{"htu": "https://x@op.example/realms/demo/token"})}},
		"no htu":     {"htu of the DPoP proof is another URL", []string{tokenProof(t, p, key, map[string]any{"htu": nil})}},
		"old":        {"iat of the DPoP proof is too old", []string{tokenProof(t, p, key, map[string]any{"iat": now - 61})}},
		"future":     {"iat of the DPoP proof is in the future", []string{tokenProof(t, p, key, map[string]any{"iat": now + 61})}},
		"no iat":     {"iat of the DPoP proof is missing or malformed", []string{tokenProof(t, p, key, map[string]any{"iat": nil})}},
		"no jti":     {"jti of the DPoP proof is missing", []string{tokenProof(t, p, key, map[string]any{"jti": nil})}},
		"jti used":   {"jti of the DPoP proof has been used before", []string{used}},
	} {
		t.Run(name, func(t *testing.T) {
			a := proven(t, p, own, test.proofs...)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, "invalid_dpop_proof", a.str("error"))
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
}

func TestDPoPAtUserInfoIsRefused(t *testing.T) {
	p := start(t)
	key := ecKey()
	at := proven(t, p, codeForm(code(t, p)), tokenProof(t, p, key, nil)).str("access_token")
	plain := p.AccessToken("alice", "", "openid")
	here := func(key *ecdsa.PrivateKey, changes map[string]any) string {
		return proof(t, p, key, "GET", issuer+"/userinfo", changes)
	}
	for name, test := range map[string]struct {
		code, want, authorization string
		proofs                    []string
	}{
		"as Bearer":          {"invalid_token", "the access token is bound to a DPoP key", "Bearer " + at, []string{here(key, ath(at))}},
		"no proof":           {"invalid_dpop_proof", "there is not exactly one DPoP header", "DPoP " + at, nil},
		"no ath":             {"invalid_dpop_proof", "ath of the DPoP proof is not of the access token", "DPoP " + at, []string{here(key, nil)}},
		"ath of another":     {"invalid_dpop_proof", "ath of the DPoP proof is not of the access token", "DPoP " + at, []string{here(key, ath(plain))}},
		"another key":        {"invalid_token", "the access token is bound to another DPoP key", "DPoP " + at, []string{here(ecKey2(), ath(at))}},
		"of another request": {"invalid_dpop_proof", "htm of the DPoP proof is another method", "DPoP " + at, []string{here(key, map[string]any{"htm": "POST"})}},
		"token not bound":    {"invalid_token", "the access token is not bound to a DPoP key", "DPoP " + plain, []string{here(key, ath(plain))}},
	} {
		t.Run(name, func(t *testing.T) {
			a := provenUserInfo(t, p, test.authorization, test.proofs...)
			require.Equal(t, http.StatusUnauthorized, a.status)
			require.Contains(t, a.header.Get("WWW-Authenticate"), `error="`+test.code+`"`)
			require.Contains(t, a.header.Get("WWW-Authenticate"), `error_description="`+test.want+`"`)
		})
	}
	a := post(t, p, "/userinfo", url.Values{"access_token": {at}})
	require.Contains(t, a.header.Get("WWW-Authenticate"), "the access token is bound to a DPoP key", "in a form")
	a = userinfo(t, p)
	require.Len(t, a.header.Values("WWW-Authenticate"), 2)
	require.Contains(t, a.header.Values("WWW-Authenticate")[1], `DPoP realm="oidctest", algs="ES256`)
}

func TestDPoPNonce(t *testing.T) {
	p := start(t, func(c *oidctest.Config) { c.RequireDPoPNonce = true })
	key := ecKey()
	once := tokenProof(t, p, key, nil)
	a := proven(t, p, own, once)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Equal(t, "use_dpop_nonce", a.str("error"))
	first := a.header.Get("DPoP-Nonce")
	require.NotEmpty(t, first)
	try := func(nonce string) answer {
		return proven(t, p, own, tokenProof(t, p, key, map[string]any{"nonce": nonce}))
	}
	require.Equal(t, "use_dpop_nonce", try("a guess").str("error"))
	a = try(first)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, first, a.header.Get("DPoP-Nonce"))

	p.Advance(time.Minute)
	a = try(first)
	require.Equal(t, http.StatusOK, a.status, "the one before")
	second := a.header.Get("DPoP-Nonce")
	require.NotEqual(t, first, second)
	p.Advance(time.Minute)
	require.Equal(t, "use_dpop_nonce", try(first).str("error"))
	require.Equal(t, http.StatusOK, try(second).status)

	p.RotateDPoPNonce()
	a = try(second)
	require.Equal(t, "use_dpop_nonce", a.str("error"))
	a = try(a.header.Get("DPoP-Nonce"))
	at := a.str("access_token")
	a = provenUserInfo(t, p, "DPoP "+at, proof(t, p, key, "GET", issuer+"/userinfo", ath(at)))
	require.Contains(t, a.header.Get("WWW-Authenticate"), `DPoP realm="oidctest", error="use_dpop_nonce"`)
	require.NotEmpty(t, a.header.Get("DPoP-Nonce"))
}

func TestDPoPIsRequired(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.RequireDPoP = true
		c.Clients = []oidctest.Client{client}
	})
	require.Equal(t, "a DPoP proof is required", token(t, p, own).str("error_description"))
	require.Equal(t, http.StatusOK, proven(t, p, own, tokenProof(t, p, ecKey(), nil)).status)
	p = start(t, func(c *oidctest.Config) { c.RequireDPoP = true })
	require.Equal(t, "invalid_dpop_proof", token(t, p, own).str("error"))
}

func TestDPoPBindsTheCode(t *testing.T) {
	p := start(t)
	bound := func() url.Values { return codeForm(code(t, p, "dpop_jkt", thumbprint(ecKey()))) }
	require.Equal(t, http.StatusOK, proven(t, p, bound(), tokenProof(t, p, ecKey(), nil)).status)
	for _, proofs := range [][]string{nil, {tokenProof(t, p, ecKey2(), nil)}} {
		a := proven(t, p, bound(), proofs...)
		require.Equal(t, "invalid_grant", a.str("error"))
		require.Equal(t, "the code is bound to another DPoP key", a.str("error_description"))
	}

	push := func(key *ecdsa.PrivateKey, changes ...string) answer {
		req := postRequest(t, issuer+"/par", request(changes...))
		req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
		req.Header.Set("DPoP", proof(t, p, key, "POST", issuer+"/par", nil))
		return do(t, p, req)
	}
	require.Equal(t, "dpop_jkt is of another key than the DPoP proof",
		push(ecKey(), "dpop_jkt", thumbprint(ecKey2())).str("error_description"))
	uri := push(ecKey()).str("request_uri")
	u, err := p.Login(t.Context(), issuer+"/authorize?client_id=client&request_uri="+url.QueryEscape(uri), "alice")
	require.NoError(t, err)
	a := proven(t, p, codeForm(u.Query().Get("code")), tokenProof(t, p, ecKey2(), nil))
	require.Equal(t, "the code is bound to another DPoP key", a.str("error_description"))
}

func TestDPoPBindsRefreshTokensOfPublicClients(t *testing.T) {
	p := startPair(t)
	ask := func(f url.Values, proofs ...string) answer {
		req := postRequest(t, issuer+"/token", join(f, url.Values{"client_id": {"public"}}))
		req.Header["Dpop"] = proofs
		return do(t, p, req)
	}
	a := ask(codeForm(code(t, p, "client_id", "public")), tokenProof(t, p, ecKey(), nil))
	require.Equal(t, http.StatusOK, a.status, a.body)
	for _, proofs := range [][]string{nil, {tokenProof(t, p, ecKey2(), nil)}} {
		require.Equal(t, "the refresh token is bound to another DPoP key",
			ask(refreshForm(a.str("refresh_token")), proofs...).str("error_description"))
	}
	require.Equal(t, http.StatusOK, ask(refreshForm(a.str("refresh_token")), tokenProof(t, p, ecKey(), nil)).status)
}
