package oidctest_test

import (
	"crypto"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const friend = "https://friend.example"

// startTrusting has a provider that trusts friend.
func startTrusting(t *testing.T) *oidctest.Provider {
	return start(t, func(c *oidctest.Config) {
		narrow := oidctest.DefaultClient()
		narrow.Scopes = []string{"read"}
		narrow.ID, narrow.Audiences, narrow.GrantTypes = "narrow", []string{"inventory"}, []string{grantExchange}
		c.Clients = []oidctest.Client{oidctest.DefaultClient(), narrow}
		c.TrustedIssuers = []oidctest.TrustedIssuer{{
			Issuer: friend, JWKS: keySet(t, map[string]crypto.Signer{"one": ecKey(), "rsa": rsaKey()}),
			Audiences: []string{"https://alias.example"},
		}}
	})
}

const (
	grantBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenType     = "urn:ietf:params:oauth:token-type:"
)

func friendly(p *oidctest.Provider, changes map[string]any) map[string]any {
	now := p.Now().Unix()
	return with(map[string]any{
		"iss": friend, "sub": "alice", "aud": issuer, "iat": now, "exp": now + 3600, "jti": rand.Text(),
	}, changes)
}

func TestJWTBearer(t *testing.T) {
	p := startTrusting(t)
	for _, aud := range []any{issuer, issuer + "/token", []string{"x", "https://alias.example"}} {
		a := token(t, p, url.Values{
			"grant_type": {grantBearer}, "scope": {"read"}, "resource": {api},
			"assertion": {sign(t, "ES256", ecKey(), map[string]any{"kid": "one"}, friendly(p, map[string]any{"aud": aud}))},
		})
		require.Equal(t, http.StatusOK, a.status, a.body)
		claims := claimsOf(t, a, "access_token")
		require.Equal(t, "248289761001", claims["sub"])
		require.Equal(t, api, claims["aud"])
		require.Equal(t, "read", claims["scope"])
		require.NotContains(t, a.json, "refresh_token")
	}
	a := token(t, p, url.Values{"grant_type": {grantBearer}, "assertion": {
		sign(t, "RS256", rsaKey(), nil, friendly(p, map[string]any{"sub": "a-workload"})),
	}})
	require.Equal(t, "a-workload", claimsOf(t, a, "access_token")["sub"], "no user of ours")
}

func TestJWTBearerIsRefused(t *testing.T) {
	p := startTrusting(t)
	now := p.Now().Unix()
	made := func(changes map[string]any) string { return sign(t, "RS256", rsaKey(), nil, friendly(p, changes)) }
	used := made(nil)
	require.Equal(t, http.StatusOK, token(t, p, url.Values{"grant_type": {grantBearer}, "assertion": {used}}).status)
	for name, test := range map[string]struct{ want, assertion string }{
		"not a JWT":   {"the assertion is not a JWT of a supported algorithm", "x"},
		"issuer":      {"the issuer of the assertion is not trusted", made(map[string]any{"iss": issuer})},
		"wrong key":   {"the signature of the assertion: it is wrong", sign(t, "ES256", ecKey2(), nil, friendly(p, nil))},
		"unknown kid": {"the signature of the assertion: no registered key fits", sign(t, "ES256", ecKey(), map[string]any{"kid": "x"}, friendly(p, nil))},
		"aud":         {"aud of the assertion is somebody else", made(map[string]any{"aud": friend})},
		"no aud":      {"aud of the assertion is somebody else", made(map[string]any{"aud": nil})},
		"expired":     {"the assertion has expired", made(map[string]any{"exp": now})},
		"no exp":      {"exp of the assertion is missing or malformed", made(map[string]any{"exp": nil})},
		"nbf":         {"nbf of the assertion is in the future", made(map[string]any{"nbf": now + 60})},
		"iat":         {"iat of the assertion is in the future", made(map[string]any{"iat": now + 60})},
		"jti":         {"jti of the assertion has been used before", used},
		"no sub":      {"sub of the assertion is missing", made(map[string]any{"sub": nil})},
	} {
		t.Run(name, func(t *testing.T) {
			a := token(t, p, url.Values{"grant_type": {grantBearer}, "assertion": {test.assertion}})
			require.Equal(t, "invalid_grant", a.str("error"))
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
	require.Equal(t, "assertion is missing", token(t, p, url.Values{"grant_type": {grantBearer}}).str("error_description"))
}

func exchangeForm(subject string, changes ...string) url.Values {
	return change(url.Values{
		"grant_type": {grantExchange}, "subject_token": {subject}, "subject_token_type": {tokenType + "access_token"},
	}, changes...)
}

func TestExchangeImpersonates(t *testing.T) {
	p := startTrusting(t)
	subject := p.AccessToken("alice", api, "read", "write")
	f := exchangeForm(subject, "resource", other, "scope", "read")
	f["audience"] = []string{"inventory", "billing"}
	a := token(t, p, f)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, tokenType+"access_token", a.str("issued_token_type"))
	require.Equal(t, "Bearer", a.str("token_type"))
	claims := claimsOf(t, a, "access_token")
	require.Equal(t, "248289761001", claims["sub"])
	require.Equal(t, []any{other, "inventory", "billing"}, claims["aud"])
	require.Equal(t, "read", claims["scope"])
	require.NotContains(t, claims, "act")

	a = token(t, p, exchangeForm(subject, "requested_token_type", tokenType+"jwt"))
	require.Equal(t, tokenType+"jwt", a.str("issued_token_type"))
	require.Equal(t, "read write", a.str("scope"))
	a = token(t, p, exchangeForm(subject, "requested_token_type", tokenType+"id_token"))
	require.Equal(t, "N_A", a.str("token_type"))
	require.Equal(t, "client", claimsOf(t, a, "access_token")["aud"])

	p.Advance(time.Minute)
	later := claimsOf(t, token(t, p, exchangeForm(subject)), "access_token")
	require.Equal(t, claims["auth_time"], later["auth_time"], "the user has not logged in again")

	full := tokens(t, p)
	for kind, subject := range map[string]string{
		"id_token": full.str("id_token"), "refresh_token": full.str("refresh_token"), "jwt": full.str("access_token"),
	} {
		a := token(t, p, exchangeForm(subject, "subject_token_type", tokenType+kind, "audience", "x"))
		require.Equal(t, "248289761001", claimsOf(t, a, "access_token")["sub"], kind)
	}
	foreign := sign(t, "RS256", rsaKey(), nil, friendly(p, map[string]any{"sub": "ci"}))
	for range 2 { // no jti is spent
		a = token(t, p, exchangeForm(foreign, "subject_token_type", tokenType+"jwt"))
		require.Equal(t, "ci", claimsOf(t, a, "access_token")["sub"])
	}
}

func TestExchangeDelegates(t *testing.T) {
	p := startTrusting(t)
	actor := token(t, p, own).str("access_token")
	f := exchangeForm(p.AccessToken("alice", ""), "actor_token", actor, "actor_token_type", tokenType+"access_token")
	a := token(t, p, f)
	require.Equal(t, map[string]any{"sub": "client"}, claimsOf(t, a, "access_token")["act"])

	f = exchangeForm(a.str("access_token"), "actor_token", p.AccessToken("bob", ""), "actor_token_type", tokenType+"access_token")
	a = token(t, p, f)
	require.Equal(t, map[string]any{"sub": "248289761002", "act": map[string]any{"sub": "client"}},
		claimsOf(t, a, "access_token")["act"], "the actor before is nested")
}

func TestExchangeIsRefused(t *testing.T) {
	p := startTrusting(t)
	subject := p.AccessToken("alice", api, "read")
	p.OnAccessToken(func(_, claims map[string]any) { claims["may_act"] = map[string]any{"sub": "somebody"} })
	mayAct := p.AccessToken("alice", api, "read")
	p.OnAccessToken(nil)
	at := tokenType + "access_token"
	for name, test := range map[string]struct {
		code, want string
		form       url.Values
	}{
		"no subject_token":      {"invalid_request", "subject_token is missing", exchangeForm("")},
		"no subject_token_type": {"invalid_request", "subject_token_type is missing", exchangeForm(subject, "subject_token_type", "")},
		"odd type":              {"invalid_request", "subject_token_type is not supported", exchangeForm(subject, "subject_token_type", tokenType+"saml2")},
		"not a token":           {"invalid_request", "subject_token is not valid", exchangeForm("x")},
		"of another type":       {"invalid_request", "subject_token is not valid", exchangeForm(subject, "subject_token_type", tokenType+"id_token")},
		"untrusted":             {"invalid_request", "subject_token is not valid", exchangeForm(sign(t, "ES256", ecKey2(), nil, friendly(p, nil)), "subject_token_type", tokenType+"jwt")},
		"odd requested":         {"invalid_request", "the requested_token_type is not supported", exchangeForm(subject, "requested_token_type", tokenType+"saml2")},
		"no actor type":         {"invalid_request", "actor_token_type is missing", exchangeForm(subject, "actor_token", subject)},
		"type without actor":    {"invalid_request", "actor_token_type is there without actor_token", exchangeForm(subject, "actor_token_type", at)},
		"actor not valid":       {"invalid_request", "actor_token is not valid", exchangeForm(subject, "actor_token", "x", "actor_token_type", at)},
		"another may act":       {"invalid_request", "may_act of the subject_token names another actor", exchangeForm(mayAct, "actor_token", subject, "actor_token_type", at)},
		"wider scope":           {"invalid_scope", "the subject_token does not have the scope", exchangeForm(subject, "scope", "read write")},
		"resource":              {"invalid_target", "the resource is not an absolute URI without a fragment", exchangeForm(subject, "resource", "x")},
		"nobody's ID token":     {"invalid_request", "there is no user to identify", exchangeForm(token(t, p, own).str("access_token"), "requested_token_type", tokenType+"id_token")},
	} {
		t.Run(name, func(t *testing.T) {
			a := token(t, p, test.form)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, test.code, a.str("error"))
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
	narrow := func(form url.Values) answer {
		req := postRequest(t, issuer+"/token", form)
		req.SetBasicAuth("narrow", oidctest.ClientSecret)
		return do(t, p, req)
	}
	a := narrow(exchangeForm(p.AccessToken("alice", api, "read", "write"), "audience", "inventory"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "read", a.str("scope"), "no more than the client may have")
	require.Equal(t, "invalid_target", narrow(exchangeForm(subject, "audience", "billing")).str("error"))
	require.Equal(t, "unauthorized_client", narrow(own).str("error"))

	twice := join(own, url.Values{"audience": {"a", "b"}})
	require.Equal(t, "invalid_request", token(t, p, twice).str("error"), "only in an exchange")
	later := exchangeForm(subject)
	p.Advance(5 * time.Minute)
	require.Equal(t, "subject_token is not valid", token(t, p, later).str("error_description"), "expired")
}
