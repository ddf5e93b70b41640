package oidctest_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// own is a client that asks for tokens for itself.
var own = url.Values{"grant_type": {"client_credentials"}}

// startAsserting has a client for each kind of assertion.
func startAsserting(t *testing.T, configure ...func(*oidctest.Client)) *oidctest.Provider {
	return start(t, func(c *oidctest.Config) {
		keys := keySet(t, map[string]crypto.Signer{"one": ecKey(), "two": ecKey2(), "rsa": rsaKey()})
		clients := []oidctest.Client{
			{ID: "pk", JWKS: keys},
			{ID: "hs", Secret: oidctest.ClientSecret, AuthMethod: "client_secret_jwt"},
			{ID: "typed", JWKS: keys, RequireAssertionType: true},
			{ID: "rs", JWKS: keys, AssertionAlgorithms: []string{"RS256"}},
			{ID: "old", JWKS: keys, InsecureTokenEndpointAudience: true},
			{ID: "odd", JWKS: keys, InsecureAssertionAudiences: []string{"https://odd.example"}},
			oidctest.DefaultClient(),
			{ID: "post", Secret: "another secret", AuthMethod: "client_secret_post"},
		}
		for i := range clients {
			for _, f := range configure {
				f(&clients[i])
			}
		}
		c.Clients = clients
	})
}

func TestAssertionsAnswer(t *testing.T) {
	p := startAsserting(t)
	for name, f := range map[string]url.Values{
		"ES256 by kid":      asserted(sign(t, "ES256", ecKey(), map[string]any{"kid": "one"}, assertion(p, "pk"))),
		"second key":        asserted(sign(t, "ES256", ecKey2(), map[string]any{"kid": "two"}, assertion(p, "pk"))),
		"only one key fits": asserted(sign(t, "PS512", rsaKey(), nil, assertion(p, "pk"))),
		"client_id besides": join(asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "pk"))), url.Values{"client_id": {"pk"}}),
		"typ":               asserted(sign(t, "RS256", rsaKey(), map[string]any{"typ": "client-authentication+jwt"}, assertion(p, "typed"))),
		"HS256":             asserted(sign(t, "HS256", []byte(oidctest.ClientSecret), nil, assertion(p, "hs"))),
		"HS512":             asserted(sign(t, "HS512", []byte(oidctest.ClientSecret), nil, assertion(p, "hs"))),
		"registered":        asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "rs"))),
		"token endpoint":    asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "old"), map[string]any{"aud": issuer + "/token"}))),
		"token in an array": asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "old"), map[string]any{"aud": []string{"x", issuer + "/token"}}))),
		"odd audience":      asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "odd"), map[string]any{"aud": "https://odd.example"}))),
		"exp in 5 minutes":  asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "pk"), map[string]any{"exp": p.Now().Unix() + 299}))),
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, p, "/token", join(own, f))
			require.Equal(t, http.StatusOK, a.status, a.body)
		})
	}
}

func TestAssertionsAreRefused(t *testing.T) {
	p := startAsserting(t)
	now := p.Now().Unix()
	used := asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "pk"), map[string]any{"jti": "once"})))
	require.Equal(t, http.StatusOK, post(t, p, "/token", join(own, used)).status)

	pk := func(changes map[string]any) url.Values {
		return asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "pk"), changes)))
	}
	for name, test := range map[string]struct {
		want string
		form url.Values
	}{
		"aud missing":             {"aud of the assertion is not the issuer as a single string", pk(map[string]any{"aud": nil})},
		"aud token endpoint":      {"aud of the assertion is not the issuer as a single string", pk(map[string]any{"aud": issuer + "/token"})},
		"aud array":               {"aud of the assertion is not the issuer as a single string", pk(map[string]any{"aud": []string{issuer}})},
		"aud with slash":          {"aud of the assertion is not the issuer as a single string", pk(map[string]any{"aud": issuer + "/"})},
		"aud of another client's": {"aud of the assertion is not the issuer as a single string", pk(map[string]any{"aud": "https://odd.example"})},
		"expired":                 {"the assertion has expired", pk(map[string]any{"exp": now, "iat": now - 60})},
		"exp missing":             {"exp of the assertion is missing or malformed", pk(map[string]any{"exp": nil})},
		"exp a string":            {"exp of the assertion is missing or malformed", pk(map[string]any{"exp": "9999999999"})},
		"exp too far":             {"exp of the assertion is more than 5 minutes away", pk(map[string]any{"exp": now + 400})},
		"iat in the future":       {"iat of the assertion is in the future", pk(map[string]any{"iat": now + 30})},
		"iat a string":            {"iat of the assertion is malformed", pk(map[string]any{"iat": "now"})},
		"nbf in the future":       {"nbf of the assertion is in the future", pk(map[string]any{"nbf": now + 30})},
		"jti missing":             {"jti of the assertion is missing", pk(map[string]any{"jti": nil})},
		"jti used":                {"jti of the assertion has been used before", used},
		"jti used, signed anew":   {"jti of the assertion has been used before", pk(map[string]any{"jti": "once"})},
		"iss":                     {"iss and sub of the assertion differ", pk(map[string]any{"iss": "hs"})},
		"sub missing":             {"sub of the assertion is missing", pk(map[string]any{"sub": nil})},
		"Sub":                     {"sub of the assertion is missing", pk(map[string]any{"sub": nil, "Sub": "pk"})},
		"another client_id":       {"client_id is not the sub of the assertion", join(pk(nil), url.Values{"client_id": {"hs"}})},
		"unknown client":          {"the client is not registered", asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "nobody")))},
		"wrong key":               {"the signature of the assertion is wrong", asserted(sign(t, "ES256", newEC(), map[string]any{"kid": "one"}, assertion(p, "pk")))},
		"key of another kid":      {"the signature of the assertion is wrong", asserted(sign(t, "ES256", ecKey2(), map[string]any{"kid": "one"}, assertion(p, "pk")))},
		"unknown kid":             {"the key of the assertion: no registered key fits", asserted(sign(t, "ES256", ecKey(), map[string]any{"kid": "three"}, assertion(p, "pk")))},
		"kid missing":             {"the key of the assertion: the kid is missing and more than one registered key fits", asserted(sign(t, "ES256", ecKey(), nil, assertion(p, "pk")))},
		"algorithm":               {"the algorithm of the assertion is not registered for the client", asserted(sign(t, "PS256", rsaKey(), nil, assertion(p, "rs")))},
		"typ missing":             {"typ of the assertion is not client-authentication+jwt", asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "typed")))},
		"typ of a proof":          {"typ of the assertion is of another kind of JWT", asserted(sign(t, "RS256", rsaKey(), map[string]any{"typ": "dpop+jwt"}, assertion(p, "pk")))},
		"wrong secret":            {"the signature of the assertion is not by the client_secret", asserted(sign(t, "HS256", []byte("the secret of somebody else: 32 bytes"), nil, assertion(p, "hs")))},
		"HS256 for a key":         {"the client is registered for another authentication method", asserted(sign(t, "HS256", []byte(oidctest.ClientSecret), nil, assertion(p, "pk")))},
		"a key for HS256":         {"the client is registered for another authentication method", asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "hs")))},
		"type":                    {"client_assertion_type is not that of a JWT", url.Values{"client_assertion_type": {"urn:x"}, "client_assertion": pk(nil)["client_assertion"]}},
		"not a JWT":               {"client_assertion is not a JWT of a supported algorithm", asserted("x.y.z")},
		"unsigned":                {"client_assertion is not a JWT of a supported algorithm", asserted(p.Sign(map[string]any{"alg": "none"}, assertion(p, "pk")))},
		"nothing":                 {"client authentication is missing", url.Values{"client_id": {"pk"}}},
		"secret of another way":   {"the client is registered for another authentication method", url.Values{"client_id": {"client"}, "client_secret": {oidctest.ClientSecret}}},
		"wrong post secret":       {"the client_secret is wrong", url.Values{"client_id": {"post"}, "client_secret": {oidctest.ClientSecret}}},
		"the secret of HS256":     {"the client is registered for another authentication method", url.Values{"client_id": {"hs"}, "client_secret": {oidctest.ClientSecret}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, p, "/token", join(own, test.form))
			require.Equal(t, http.StatusUnauthorized, a.status, a.body)
			require.Equal(t, "invalid_client", a.str("error"))
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
}

func TestTwoWaysAtOnce(t *testing.T) {
	p := startAsserting(t)
	right := asserted(sign(t, "RS256", rsaKey(), nil, assertion(p, "pk")))
	a := post(t, p, "/token", join(join(own, right), url.Values{"client_id": {"pk"}, "client_secret": {"x"}}))
	require.Equal(t, "more than one method of client authentication", a.str("error_description"))
	a = token(t, p, join(own, right))
	require.Equal(t, "invalid_request", a.str("error"))
	require.Equal(t, "more than one method of client authentication", a.str("error_description"))
}

// TestKeysAreChosenByWhatIsSaidOfThem: "alg", "use", "x5t" and "x5t#S256".
func TestKeysAreChosenByWhatIsSaidOfThem(t *testing.T) {
	ed := must(oneOf(ed25519.GenerateKey(rand.Reader)))
	sum, sum1 := sha256.Sum256(selfSigned.Leaf.Raw), sha1.Sum(selfSigned.Leaf.Raw)
	set := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: ed.Public()},
		{Key: rsaKey().Public(), Algorithm: "PS256", KeyID: "rsa"},
		{Key: ecKey().Public(), Use: "enc", KeyID: "enc"},
		{Key: ecKey2().Public(), KeyID: "other"},
		{Key: selfSigned.Leaf.PublicKey, Certificates: []*x509.Certificate{selfSigned.Leaf}},
	}}))
	p := start(t, func(c *oidctest.Config) { c.Clients = []oidctest.Client{{ID: "pk", JWKS: set}} })
	b64 := base64.RawURLEncoding.EncodeToString
	const unknown = "the key of the assertion: no registered key fits"
	for name, test := range map[string]struct {
		want, alg string
		key       any
		header    map[string]any
	}{
		"EdDSA":             {"", "EdDSA", ed, nil},
		"alg of the key":    {"", "PS256", rsaKey(), nil},
		"another alg":       {unknown, "RS256", rsaKey(), map[string]any{"kid": "rsa"}},
		"for encryption":    {unknown, "ES256", ecKey(), map[string]any{"kid": "enc"}},
		"x5t#S256":          {"", "ES256", selfSigned.PrivateKey, map[string]any{"x5t#S256": b64(sum[:])}},
		"x5t":               {"", "ES256", selfSigned.PrivateKey, map[string]any{"x5t": b64(sum1[:])}},
		"another x5t":       {unknown, "ES256", selfSigned.PrivateKey, map[string]any{"x5t": "x"}},
		"another x5t#S256":  {unknown, "ES256", selfSigned.PrivateKey, map[string]any{"x5t#S256": "x"}},
		"two that fit":      {"the key of the assertion: the kid is missing and more than one registered key fits", "ES256", ecKey2(), nil},
		"x5t of a key less": {"", "ES256", ecKey2(), map[string]any{"kid": "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, p, "/token", join(own, asserted(sign(t, test.alg, test.key, test.header, assertion(p, "pk")))))
			require.Equal(t, test.want, a.str("error_description"))
		})
	}
}

func oneOf(_ ed25519.PublicKey, key ed25519.PrivateKey, err error) (ed25519.PrivateKey, error) {
	return key, err
}

func TestSecretTooShortForTheAlgorithm(t *testing.T) {
	short := "thirty-two bytes, for HS256 only"
	p := start(t, func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: "hs", Secret: short, AuthMethod: "client_secret_jwt"}}
	})
	for alg, want := range map[string]string{
		"HS256": "", "HS384": "the client_secret is too short for the algorithm of the assertion",
	} {
		forged := oidctest.SignHMAC(map[string]any{"alg": alg}, assertion(p, "hs"), []byte(short))
		a := post(t, p, "/token", join(own, asserted(forged)))
		require.Equal(t, want, a.str("error_description"))
	}
}

// TestJTIMayBeUsedAgainByOthers: the jti of one client says nothing of another's.
func TestJTIMayBeUsedAgainByOthers(t *testing.T) {
	p := startAsserting(t)
	for _, id := range []string{"pk", "rs"} {
		f := asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, id), map[string]any{"jti": "same"})))
		require.Equal(t, http.StatusOK, post(t, p, "/token", join(own, f)).status)
	}
	p.Advance(10 * time.Minute)
	f := asserted(sign(t, "RS256", rsaKey(), nil, with(assertion(p, "pk"), map[string]any{"jti": "same"})))
	require.Equal(t, http.StatusOK, post(t, p, "/token", join(own, f)).status, "long after the first expired")
}

func TestKeysAtJWKSURI(t *testing.T) {
	var set atomic.Value
	set.Store(keySet(t, map[string]crypto.Signer{"one": ecKey()}))
	var fetched atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Write(set.Load().([]byte))
	}))
	t.Cleanup(server.Close)
	p := start(t, func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: "pk", JWKSURI: server.URL}}
	})
	try := func(key crypto.Signer, kid string) answer {
		return post(t, p, "/token", join(own, asserted(sign(t, "ES256", key, map[string]any{"kid": kid}, assertion(p, "pk")))))
	}
	require.Equal(t, http.StatusOK, try(ecKey(), "one").status)
	require.Equal(t, http.StatusOK, try(ecKey(), "one").status)
	require.EqualValues(t, 1, fetched.Load(), "kept")

	set.Store(keySet(t, map[string]crypto.Signer{"two": ecKey2()}))
	require.Equal(t, http.StatusOK, try(ecKey2(), "two").status, "fetched for an unknown kid")
	require.Equal(t, "the key of the assertion: no registered key fits", try(ecKey(), "one").str("error_description"))

	set.Store([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`))
	require.Equal(t, "the keys of the client are not available", try(ecKey(), "one").str("error_description"))
}
