package oidc_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A path is a way on which a token is accepted.
type path int

const (
	idToken       path = 1 << iota // a whole login
	strictAccess                   // RFC 9068
	untypedAccess                  // InsecureAllowUntyped, with a token of typ JWT

	anyAccess = strictAccess | untypedAccess
	anywhere  = idToken | anyAccess
)

var pathNames = map[path]string{idToken: "ID token", strictAccess: "access token", untypedAccess: "untyped access token"}

// An attack is a token that must be refused. It is made of a right one, either by
// changing members, which the provider then signs, or altogether by forge.
type attack struct {
	name           string
	paths          path // zero is anywhere
	header, claims object
	forge          func(op *oidctest.Provider, header, claims object) string
	reason         oidc.Reason
	claim          string // that the error names
}

func (a attack) token(op *oidctest.Provider, header, claims object) string {
	if a.forge != nil {
		return a.forge(op, header, claims)
	}
	return op.Sign(with(header, a.header), with(claims, a.claims))
}

// run makes every attack on every one of its paths, each after a right token was
// accepted there: what refuses everything would pass otherwise.
func run(t *testing.T, attacks ...attack) {
	t.Helper()
	runAt(t, newOP(t), attacks...)
}

func runAt(t *testing.T, op *oidctest.Provider, attacks ...attack) {
	t.Helper()
	require.NotEmpty(t, attacks)
	provider := newProvider(t, op)
	client := newClient(t, provider)
	verifiers := map[path]*oidc.AccessTokenVerifier{
		strictAccess: newVerifier(t, provider), untypedAccess: newVerifier(t, provider, untyped),
	}
	right := attack{}
	for p := idToken; p <= untypedAccess; p <<= 1 {
		_, err := try(t, op, client, verifiers[p], p, right)
		require.NoError(t, err, "a right %s", pathNames[p])
		for _, a := range attacks {
			if a.paths != 0 && a.paths&p == 0 {
				continue
			}
			t.Run(pathNames[p]+"/"+a.name, func(t *testing.T) {
				raw, err := try(t, op, client, verifiers[p], p, a)
				requireRefused(t, err, a.reason, a.claim)
				for part := range strings.SplitSeq(raw, ".") {
					if len(part) > 8 {
						tellsNothing(t, err, part)
					}
				}
			})
		}
	}
}

func try(t testing.TB, op *oidctest.Provider, c *oidc.Client, v *oidc.AccessTokenVerifier, p path, a attack) (raw string, err error) {
	t.Helper()
	if p == idToken {
		_, raw, err = loginForged(t, op, c, a)
		return raw, err
	}
	typ := map[path]string{strictAccess: "at+jwt", untypedAccess: "JWT"}[p]
	raw = a.token(op, object{"alg": "ES256", "typ": typ}, accessClaims(op))
	token, err := v.Verify(t.Context(), raw)
	require.Equal(t, err == nil, token != nil)
	return raw, err
}

// loginForged logs in while the provider answers with the token of the attack.
func loginForged(t testing.TB, op *oidctest.Provider, c *oidc.Client, a attack) (tokens *oidc.Tokens, raw string, err error) {
	t.Helper()
	var header, claims object
	op.OnIDToken(func(h, c map[string]any) { header, claims = maps.Clone(h), maps.Clone(c) })
	op.OnTokenResponse(func(r map[string]any) {
		raw = a.token(op, with(header, object{"kid": nil}), claims)
		r["id_token"] = raw
	})
	defer op.OnIDToken(nil)
	defer op.OnTokenResponse(nil)
	tokens, err = login(t, op, c)
	return tokens, raw, err
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func encodeJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encode(data)
}

func TestJ01_AlgNone(t *testing.T) {
	var attacks []attack
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "es256", "HS256"} {
		for name, signature := range map[string]string{"of the right token": "", "of a byte": "AA"} {
			attacks = append(attacks, attack{name: alg + " with the signature " + name, reason: oidc.ReasonAlgorithm,
				forge: func(op *oidctest.Provider, header, claims object) string {
					s := signature
					if s == "" {
						s = strings.Split(op.Sign(header, claims), ".")[2]
					}
					return encodeJSON(with(header, object{"alg": alg})) + "." + encodeJSON(claims) + "." + s
				}})
		}
		attacks = append(attacks, attack{name: alg + " without signature", reason: oidc.ReasonMalformed,
			forge: func(_ *oidctest.Provider, header, claims object) string {
				return encodeJSON(with(header, object{"alg": alg})) + "." + encodeJSON(claims) + "."
			}})
	}
	for name, alg := range map[string]any{"empty": "", "missing": nil, "null": null, "number": 0, "list": []string{"ES256"}} {
		attacks = append(attacks, attack{name: "alg " + name, reason: oidc.ReasonMalformed,
			forge: func(_ *oidctest.Provider, header, claims object) string {
				return encodeJSON(with(header, object{"alg": alg})) + "." + encodeJSON(claims) + ".AA"
			}})
	}
	run(t, attacks...)
}

func TestJ02_PublicKeyAsSecret(t *testing.T) {
	op := newOP(t, func(c *oidctest.Config) { c.Algorithm = "RS256" })
	public := op.PublicKey("RS256").(*rsa.PublicKey)
	pkix, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	pkcs1 := x509.MarshalPKCS1PublicKey(public)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: public})
	require.NoError(t, err)
	pkixPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	pkcs1PEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
	chomp := func(b []byte) []byte { return []byte(strings.TrimSuffix(string(b), "\n")) }
	secrets := map[string][]byte{
		"PKIX PEM": pkixPEM, "PKIX PEM without newline": chomp(pkixPEM), "PKIX DER": pkix,
		"PKCS1 PEM": pkcs1PEM, "PKCS1 PEM without newline": chomp(pkcs1PEM), "PKCS1 DER": pkcs1,
		"JWK": jwk, "modulus": public.N.Bytes(), "nothing": {},
	}
	var attacks []attack
	for name, key := range secrets {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			attacks = append(attacks, attack{name: alg + " by " + name, reason: oidc.ReasonAlgorithm,
				forge: func(op *oidctest.Provider, header, claims object) string {
					return oidctest.SignHMAC(with(header, object{"alg": alg, "kid": rsaKeyID(op)}), claims, key)
				}})
		}
	}
	for i := range attacks {
		attacks[i].paths = idToken
	}
	runRSA(t, op, attacks)
}

// rsaKeyID returns the "kid" with which the provider signs RS256.
func rsaKeyID(op *oidctest.Provider) string {
	head, _ := base64.RawURLEncoding.DecodeString(strings.Split(op.Sign(object{"alg": "RS256"}, object{}), ".")[0])
	var header struct{ Kid string }
	_ = json.Unmarshal(head, &header)
	return header.Kid
}

// runRSA is runAt for a provider that signs in RS256.
func runRSA(t *testing.T, op *oidctest.Provider, attacks []attack) {
	t.Helper()
	provider := newProvider(t, op)
	client := newClient(t, provider)
	mustLogin(t, op, client)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			_, _, err := loginForged(t, op, client, a)
			requireRefused(t, err, a.reason, a.claim)
			for _, configure := range []func(*oidc.AccessTokenConfig){func(*oidc.AccessTokenConfig) {}, untyped} {
				raw := a.token(op, object{"typ": "at+jwt"}, accessClaims(op))
				_, err := newVerifier(t, provider, configure).Verify(t.Context(), raw)
				requireRefused(t, err, a.reason, a.claim)
			}
		})
	}
}

func TestJ03_ClientSecretWherePublicKeysAreExpected(t *testing.T) {
	run(t, attack{name: "HS256 by the client secret", reason: oidc.ReasonAlgorithm,
		forge: func(_ *oidctest.Provider, header, claims object) string {
			return oidctest.SignHMAC(with(header, object{"alg": "HS256"}), claims, []byte(secret))
		}})
}

func TestJ03_PublicKeyWhereTheClientSecretIsExpected(t *testing.T) {
	op := newOP(t, func(c *oidctest.Config) { c.Clients[0].IDTokenAlgorithm = "HS256" })
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"HS256"} })
	mustLogin(t, op, client)
	for name, tt := range map[string]struct {
		alg, secret string
		reason      oidc.Reason
	}{
		"another secret":    {"HS256", strings.Repeat("x", 32), oidc.ReasonSignature},
		"another algorithm": {"HS512", secret, oidc.ReasonAlgorithm},
		"a public key":      {"ES256", "", oidc.ReasonAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loginForged(t, op, client, attack{
				forge: func(op *oidctest.Provider, header, claims object) string {
					if tt.secret == "" {
						return op.Sign(with(header, object{"alg": tt.alg}), claims)
					}
					return oidctest.SignHMAC(with(header, object{"alg": tt.alg}), claims, []byte(tt.secret))
				}})
			requireRefused(t, err, tt.reason, "")
		})
	}
}

func TestJ05_AlgorithmOutsideTheAllowList(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	client := newClient(t, provider, func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"EdDSA"} })
	_, err := login(t, op, client)
	requireRefused(t, err, oidc.ReasonAlgorithm, "")

	verifier := newVerifier(t, provider, func(c *oidc.AccessTokenConfig) { c.Algorithms = []string{"EdDSA"} })
	_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	requireRefused(t, err, oidc.ReasonAlgorithm, "")
	_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt", "alg": "EdDSA"}, accessClaims(op)))
	require.NoError(t, err)
}

func TestJ14_ForeignIssuer(t *testing.T) {
	foreign := newOP(t, func(c *oidctest.Config) { c.Issuer = "https://evil.example" })
	run(t,
		attack{name: "own keys and own issuer", reason: oidc.ReasonIssuer, claim: "iss",
			forge: func(_ *oidctest.Provider, header, claims object) string {
				return foreign.Sign(header, with(claims, object{"iss": foreign.Issuer()}))
			}},
		attack{name: "own keys and our issuer", reason: oidc.ReasonKey,
			forge: func(_ *oidctest.Provider, header, claims object) string { return foreign.Sign(header, claims) }},
		attack{name: "own keys under a kid of our issuer", reason: oidc.ReasonSignature,
			forge: func(op *oidctest.Provider, header, claims object) string {
				kid := keyIDOf(op.Sign(header, claims))
				return foreign.Sign(with(header, object{"kid": kid}), claims)
			}},
		attack{name: "key in the header", reason: oidc.ReasonMalformed,
			forge: func(_ *oidctest.Provider, header, claims object) string {
				jwk := jose.JSONWebKey{Key: foreign.PublicKey("ES256")}
				return foreign.Sign(with(header, object{"jwk": jwk}), claims)
			}},
	)
}

func keyIDOf(raw string) string {
	head, _ := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
	var header struct {
		Kid string `json:"kid"`
	}
	_ = json.Unmarshal(head, &header)
	return header.Kid
}

func TestJ36_IssuerSpelledDifferently(t *testing.T) {
	var attacks []attack
	for name, iss := range map[string]any{
		"slash": issuer + "/", "upper case": "https://ID.example", "port": issuer + ":443", "http": "http://id.example",
		"prefix": issuer + ".evil.example", "empty": "", "missing": nil, "null": null, "list": []string{issuer},
		"number": 1, "NUL": issuer + "\x00", "space": " " + issuer,
	} {
		attacks = append(attacks, attack{name: name, claims: object{"iss": iss}, reason: oidc.ReasonIssuer, claim: "iss"})
	}
	run(t, attacks...)
}

func TestJ34_ForeignAudience(t *testing.T) {
	long := make([]string, 40)
	for i := range long {
		long[i] = fmt.Sprint("https://", i)
	}
	values := map[string]any{
		"another": "other", "missing": nil, "empty list": []string{}, "empty": "", "null": null, "number": 1,
		"object": object{"client": true}, "nested": [][]string{{oidctest.ClientID, api}}, "prefix": oidctest.ClientID[:3],
		"prolonged": oidctest.ClientID + "-evil", "star": "*", "upper case": strings.ToUpper(oidctest.ClientID),
		"with null":   []any{oidctest.ClientID, api, nil},
		"with empty":  []any{oidctest.ClientID, api, ""},
		"with number": []any{oidctest.ClientID, api, 1},
		"too many":    append(long, oidctest.ClientID, api),
		"joined":      oidctest.ClientID + " " + api,
		"control":     []string{oidctest.ClientID, api, "x\n"},
	}
	var attacks []attack
	for name, aud := range values {
		attacks = append(attacks, attack{name: name, claims: object{"aud": aud}, reason: oidc.ReasonAudience, claim: "aud"})
	}
	run(t, attacks...)
}

func TestJ35_MoreAudiences(t *testing.T) {
	run(t,
		attack{name: "evil beside us", paths: idToken, reason: oidc.ReasonAudience, claim: "aud",
			claims: object{"aud": []string{oidctest.ClientID, "evil"}}},
		attack{name: "evil beside us, without azp", paths: idToken, reason: oidc.ReasonAudience, claim: "aud",
			claims: object{"aud": []string{oidctest.ClientID, "evil"}, "azp": nil}},
		attack{name: "issued to another", paths: idToken, reason: oidc.ReasonAuthorizedParty, claim: "azp",
			claims: object{"azp": "other"}},
		attack{name: "azp null", paths: idToken, reason: oidc.ReasonAuthorizedParty, claim: "azp", claims: object{"azp": null}},
		attack{name: "azp list", paths: idToken, reason: oidc.ReasonAuthorizedParty, claim: "azp",
			claims: object{"azp": []string{oidctest.ClientID}}},
	)

	op := newOP(t)
	trusting := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.TrustedAudiences = []string{api} })
	both := []string{oidctest.ClientID, api}
	tokens, _, err := loginForged(t, op, trusting, attack{claims: object{"aud": both}})
	require.NoError(t, err)
	require.Equal(t, both, tokens.IDToken.Audience)
	_, _, err = loginForged(t, op, trusting, attack{claims: object{"aud": []string{oidctest.ClientID}, "azp": nil}})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		claims object
		reason oidc.Reason
		claim  string
	}{
		"azp missing":     {object{"aud": both, "azp": nil}, oidc.ReasonAuthorizedParty, "azp"},
		"azp the trusted": {object{"aud": both, "azp": api}, oidc.ReasonAuthorizedParty, "azp"},
		"a third":         {object{"aud": append(both, "evil")}, oidc.ReasonAudience, "aud"},
		"trusted alone":   {object{"aud": api}, oidc.ReasonAudience, "aud"},
	} {
		t.Run("trusted/"+name, func(t *testing.T) {
			_, _, err := loginForged(t, op, trusting, attack{claims: tt.claims})
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}
}

func TestJ33_ExpiredAtTheNanosecond(t *testing.T) {
	const life = 300 * time.Second
	for _, leeway := range []time.Duration{0, time.Second, 5 * time.Minute} {
		effective := leeway
		if leeway == 0 {
			effective = time.Minute // the default
		}
		for p := idToken; p <= untypedAccess; p <<= 1 {
			t.Run(fmt.Sprint(pathNames[p], "/", leeway), func(t *testing.T) {
				op := newOP(t)
				provider := newProvider(t, op)
				client := newClient(t, provider, func(c *oidc.ClientConfig) { c.Leeway = leeway })
				verifier := newVerifier(t, provider, func(c *oidc.AccessTokenConfig) {
					c.Leeway, c.InsecureAllowUntyped = leeway, p == untypedAccess
				})
				verify := verifyOn(t, p, client, verifier, signedFor(op, p, object{}))
				require.NoError(t, verify())
				op.Advance(life + effective - time.Nanosecond)
				require.NoError(t, verify(), "1 ns before")
				op.Advance(time.Nanosecond)
				requireRefused(t, verify(), oidc.ReasonExpired, "exp")
			})
		}
	}
}

// signedFor returns a right token for a path, with other claims.
func signedFor(op *oidctest.Provider, p path, changes object) string {
	claims := with(accessClaims(op), changes)
	if p == idToken {
		claims = with(with(accessClaims(op), object{"aud": oidctest.ClientID}), changes)
	}
	typ := map[path]string{idToken: "JWT", strictAccess: "at+jwt", untypedAccess: "JWT"}[p]
	return op.Sign(object{"typ": typ}, claims)
}

func verifyOn(t *testing.T, p path, c *oidc.Client, v *oidc.AccessTokenVerifier, raw string) func() error {
	return func() (err error) {
		if p == idToken {
			_, err = c.VerifyIDToken(t.Context(), raw, "")
		} else {
			_, err = v.Verify(t.Context(), raw)
		}
		return err
	}
}

func TestJ33_FractionsOfASecond(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	exp := json.Number(fmt.Sprintf("%d.75", start.Unix()+10))
	for p := idToken; p <= untypedAccess; p <<= 1 {
		raw := signedFor(op, p, object{"exp": exp})
		op.Advance(70*time.Second + 500*time.Millisecond)
		verify := verifyOn(t, p, newClient(t, provider), newVerifier(t, provider, untyped), raw)
		require.NoError(t, verify(), pathNames[p])
		op.Advance(250 * time.Millisecond)
		requireRefused(t, verify(), oidc.ReasonExpired, "exp")
		op.Advance(-70*time.Second - 750*time.Millisecond)
	}
}

func TestJ31_NotYetValid(t *testing.T) {
	for _, leeway := range []time.Duration{0, 4 * time.Minute, 5 * time.Minute} {
		effective := leeway
		if leeway == 0 {
			effective = time.Minute
		}
		for _, claim := range []string{"nbf", "iat"} {
			for p := idToken; p <= untypedAccess; p <<= 1 {
				t.Run(fmt.Sprint(pathNames[p], "/", claim, "/", leeway), func(t *testing.T) {
					op := newOP(t)
					provider := newProvider(t, op)
					client := newClient(t, provider, func(c *oidc.ClientConfig) { c.Leeway = leeway })
					verifier := newVerifier(t, provider, func(c *oidc.AccessTokenConfig) {
						c.Leeway, c.InsecureAllowUntyped = leeway, p == untypedAccess
					})
					from := op.Now().Add(effective).Unix()
					verify := verifyOn(t, p, client, verifier, signedFor(op, p, object{claim: from, "exp": from + 3600}))
					require.NoError(t, verify(), "at exactly now+leeway")
					op.Advance(-time.Nanosecond)
					requireRefused(t, verify(), oidc.ReasonNotYetValid, claim)
				})
			}
		}
	}
}

func TestJ29_DatesThatAreNone(t *testing.T) {
	values := map[string]any{
		"null": null, "text": "1900000000", "negative": -1, "huge": json.Number("1e18"), "overflow": json.Number("1e400"),
		"true": true, "list": []int{1900000000}, "object": object{},
	}
	var attacks []attack
	for name, v := range values {
		for _, claim := range []string{"exp", "nbf", "iat"} {
			attacks = append(attacks, attack{name: claim + " " + name, claims: object{claim: v}, reason: oidc.ReasonClaim, claim: claim})
		}
	}
	attacks = append(attacks,
		attack{name: "exp missing", claims: object{"exp": nil}, reason: oidc.ReasonClaim, claim: "exp"},
		attack{name: "exp zero", claims: object{"exp": 0}, reason: oidc.ReasonExpired, claim: "exp"},
		attack{name: "iat missing", paths: idToken | strictAccess, claims: object{"iat": nil}, reason: oidc.ReasonClaim, claim: "iat"},
		attack{name: "exp at iat", claims: object{"exp": start.Unix(), "iat": start.Unix()}, reason: oidc.ReasonClaim, claim: "exp"},
		attack{name: "exp before iat", claims: object{"exp": start.Unix() - 1, "iat": start.Unix()}, reason: oidc.ReasonClaim, claim: "exp"},
	)
	run(t, attacks...)
}

func TestJ37_Subject(t *testing.T) {
	var attacks []attack
	for name, sub := range map[string]any{
		"missing": nil, "empty": "", "null": null, "number": 1, "list": []string{"alice"}, "NUL": "alice\x00",
		"newline": "alice\n", "DEL": "alice\x7f", "too long": strings.Repeat("a", 1025),
	} {
		attacks = append(attacks, attack{name: name, claims: object{"sub": sub}, reason: oidc.ReasonSubject, claim: "sub"})
	}
	run(t, attacks...)
}

func TestF08_Nonce(t *testing.T) {
	var attacks []attack
	for name, nonce := range map[string]any{
		"wrong": "wrong", "empty": "", "missing": nil, "null": null, "number": 1, "list": []string{"n"},
	} {
		attacks = append(attacks, attack{name: name, paths: idToken, claims: object{"nonce": nonce}, reason: oidc.ReasonNonce, claim: "nonce"})
	}
	for name, change := range map[string]func(string) string{
		"prefix": func(n string) string { return n[:10] }, "prolonged": func(n string) string { return n + "x" },
		"upper case": strings.ToUpper,
	} {
		attacks = append(attacks, attack{name: name, paths: idToken, reason: oidc.ReasonNonce, claim: "nonce",
			forge: func(op *oidctest.Provider, header, claims object) string {
				return op.Sign(header, with(claims, object{"nonce": change(claims["nonce"].(string))}))
			}})
	}
	run(t, attacks...)
}

// J42: the ID token of one login does not finish another.
func TestJ42_ReplayedIDToken(t *testing.T) {
	op, client := setup(t)
	first := mustLogin(t, op, client)
	_, _, err := loginForged(t, op, client, attack{forge: func(*oidctest.Provider, object, object) string { return first.IDToken.Raw() }})
	requireRefused(t, err, oidc.ReasonNonce, "nonce")
}

func TestF05_State(t *testing.T) {
	op, client := setup(t)
	other, _ := authorize(t, op, client)
	for name, change := range map[string]func(url.Values){
		"missing":          func(q url.Values) { q.Del("state") },
		"empty":            func(q url.Values) { q.Set("state", "") },
		"wrong":            func(q url.Values) { q.Set("state", "wrong") },
		"prefix":           func(q url.Values) { q.Set("state", q.Get("state")[:10]) },
		"prolonged":        func(q url.Values) { q.Set("state", q.Get("state")+"x") },
		"parallel login":   func(q url.Values) { q.Set("state", other.State()) },
		"twice":            func(q url.Values) { q.Add("state", q.Get("state")) },
		"twice, two":       func(q url.Values) { q.Add("state", "wrong") },
		"twice, empty":     func(q url.Values) { q["state"] = []string{"", q.Get("state")} },
		"huge":             func(q url.Values) { q.Set("state", strings.Repeat("x", 1<<20)) },
		"in another case":  func(q url.Values) { q["State"] = q["state"]; q.Del("state") },
		"with an error":    func(q url.Values) { q.Set("state", "wrong"); q.Set("error", "access_denied"); q.Del("code") },
		"missing in error": func(q url.Values) { q.Del("state"); q.Set("error", "access_denied"); q.Del("code") },
	} {
		t.Run(name, func(t *testing.T) {
			before := op.Requests(oidctest.Token)
			flow, callback := authorize(t, op, client)
			right := maps.Clone(callback)
			change(callback)
			_, err := finish(t, client, flow, callback)
			requireCallback(t, err, "state")
			require.Equal(t, before, op.Requests(oidctest.Token))
			// A stranger's callback does not end the login that is under way.
			_, err = finish(t, client, flow, right)
			require.NoError(t, err)
		})
	}
}

func TestF05_NoFlow(t *testing.T) {
	op, client := setup(t)
	_, callback := authorize(t, op, client)
	for name, flow := range map[string]*oidc.Flow{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			_, err := finish(t, client, flow, callback)
			requireCallback(t, err, "state")
			_, err = finish(t, client, flow, url.Values{"state": {""}, "code": {"a-code"}, "iss": {op.Issuer()}})
			requireCallback(t, err, "state")
		})
	}
	require.Zero(t, op.Requests(oidctest.Token))
}

func TestF10_DuplicateParameters(t *testing.T) {
	for _, name := range []string{"code", "iss", "error", "error_description"} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			flow, callback := authorize(t, op, client)
			callback[name] = []string{callback.Get(name), callback.Get(name)}
			_, err := finish(t, client, flow, callback)
			requireCallback(t, err, name)
			require.Zero(t, op.Requests(oidctest.Token))
		})
	}
}

func TestF47_ReplayedCallback(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	data, err := flow.MarshalBinary()
	require.NoError(t, err)
	_, err = finish(t, client, flow, callback)
	require.NoError(t, err)

	_, err = finish(t, client, flow, callback)
	requireCallback(t, err, "state")
	var again oidc.Flow
	require.NoError(t, again.UnmarshalBinary(data))
	_, err = finish(t, client, &again, callback)
	requireCallback(t, err, "state")
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

// Whoever can make a browser come with an error does not end its login.
func TestF47_AnErrorLeavesTheFlow(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	denied := url.Values{"state": callback["state"], "iss": callback["iss"], "error": {"access_denied"}}
	_, err := finish(t, client, flow, denied)
	require.Error(t, err)
	_, err = finish(t, client, flow, callback)
	require.NoError(t, err)
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

func TestJ48_FlippedBits(t *testing.T) {
	flip := func(part, position int) func(*oidctest.Provider, object, object) string {
		return func(op *oidctest.Provider, header, claims object) string {
			parts := strings.Split(op.Sign(header, claims), ".")
			data, err := base64.RawURLEncoding.DecodeString(parts[part])
			if err != nil {
				panic(err)
			}
			if position < 0 {
				position += len(data)
			}
			data[position] ^= 1
			parts[part] = encode(data)
			return strings.Join(parts, ".")
		}
	}
	run(t,
		attack{name: "header", forge: flip(0, 0), reason: oidc.ReasonMalformed},
		attack{name: "payload", forge: flip(1, 0), reason: oidc.ReasonMalformed},
		attack{name: "signature, first", forge: flip(2, 0), reason: oidc.ReasonSignature},
		attack{name: "signature, middle", forge: flip(2, 32), reason: oidc.ReasonSignature},
		attack{name: "signature, last", forge: flip(2, -1), reason: oidc.ReasonSignature},
		attack{name: "payload, still JSON", reason: oidc.ReasonSignature,
			forge: func(op *oidctest.Provider, header, claims object) string {
				parts := strings.Split(op.Sign(header, claims), ".")
				parts[1] = encodeJSON(with(claims, object{"sub": marker + "-bob"}))
				return strings.Join(parts, ".")
			}},
		attack{name: "header, still JSON", reason: oidc.ReasonSignature,
			forge: func(op *oidctest.Provider, header, claims object) string {
				parts := strings.Split(op.Sign(header, claims), ".")
				parts[0] = encodeJSON(with(header, object{"kid": keyIDOf(op.Sign(header, claims)), "x": 1}))
				return strings.Join(parts, ".")
			}},
		attack{name: "kid of nobody", header: object{"kid": "nobody"}, reason: oidc.ReasonKey},
	)
}

func TestJ18_JSONSerialization(t *testing.T) {
	cut := func(f func(head, body, sig string) any) func(*oidctest.Provider, object, object) string {
		return func(op *oidctest.Provider, header, claims object) string {
			p := strings.Split(op.Sign(header, claims), ".")
			data, err := json.Marshal(f(p[0], p[1], p[2]))
			if err != nil {
				panic(err)
			}
			return string(data)
		}
	}
	run(t,
		attack{name: "flattened", reason: oidc.ReasonMalformed, forge: cut(func(head, body, sig string) any {
			return object{"protected": head, "payload": body, "signature": sig}
		})},
		attack{name: "general", reason: oidc.ReasonMalformed, forge: cut(func(head, body, sig string) any {
			return object{"payload": body, "signatures": []object{{"protected": head, "signature": sig}}}
		})},
		attack{name: "general with dots", reason: oidc.ReasonMalformed, forge: cut(func(head, body, sig string) any {
			return object{"payload": body, "x": "..", "signatures": []object{{"protected": head, "signature": sig}}}
		})},
	)
}

func TestJ19_NotAJWS(t *testing.T) {
	var attacks []attack
	for name, raw := range map[string]string{
		"empty": "", "dots": "..", "five parts": "a.b.c.d.e", "one part": "abc", "megabyte of dots": strings.Repeat(".", 1<<20),
		"text": "not a token",
	} {
		a := attack{name: name, reason: oidc.ReasonMalformed, forge: func(*oidctest.Provider, object, object) string { return raw }}
		if strings.Count(raw, ".") == 4 {
			a.reason = oidc.ReasonEncryption // it is a JWE, and there is no key
		}
		if len(raw) == 0 || len(raw) >= fetch.MaxBody {
			a.paths = anyAccess // no ID token, or no token response: other tests
		}
		attacks = append(attacks, a)
	}
	around := func(before, after string) func(op *oidctest.Provider, header, claims object) string {
		return func(op *oidctest.Provider, header, claims object) string {
			return before + op.Sign(header, claims) + after
		}
	}
	for name, forge := range map[string]func(op *oidctest.Provider, header, claims object) string{
		"space before": around(" ", ""), "newline after": around("", "\n"), "padding": around("", "="), "Bearer": around("Bearer ", ""),
	} {
		attacks = append(attacks, attack{name: name, forge: forge, reason: oidc.ReasonMalformed})
	}
	for _, name := range []string{"crit", "b64", "zip", "cty"} {
		attacks = append(attacks, attack{name: name, header: object{name: []string{}}, reason: oidc.ReasonMalformed})
	}
	for name, payload := range map[string]string{"null": "null", "list": "[]", "text": `"x"`, "number": "1"} {
		attacks = append(attacks, attack{name: "payload " + name, reason: oidc.ReasonMalformed,
			forge: func(op *oidctest.Provider, header, _ object) string { return op.SignBytes(header, []byte(payload)) }})
	}
	run(t, attacks...)
}

// spliced signs the claims with more members written at the end.
func spliced(more string) func(*oidctest.Provider, object, object) string {
	return func(op *oidctest.Provider, header, claims object) string {
		data, err := json.Marshal(claims)
		if err != nil {
			panic(err)
		}
		return op.SignBytes(header, append(data[:len(data)-1], ","+more+"}"...))
	}
}

func TestJ22_DuplicateMembers(t *testing.T) {
	var attacks []attack
	for name, more := range map[string]string{
		"iss": `"iss":"` + issuer + `"`, "sub": `"sub":"bob"`, "aud": `"aud":["client"]`, "escaped": `"i\u0073s":"` + issuer + `"`,
		"private": `"x":1,"x":1`, "nested": `"x":{"a":1,"a":2}`, "deep": `"x":[{"y":{"a":1,"a":2}}]`,
	} {
		attacks = append(attacks, attack{name: name, forge: spliced(more), reason: oidc.ReasonMalformed})
	}
	for name, head := range map[string]string{
		"alg in the header": `{"alg":"ES256","alg":"none"}`, "kid in the header": `{"alg":"ES256","kid":"a","kid":"b"}`,
	} {
		attacks = append(attacks, attack{name: name, reason: oidc.ReasonMalformed,
			forge: func(_ *oidctest.Provider, _, claims object) string {
				return encode([]byte(head)) + "." + encodeJSON(claims) + ".AA"
			}})
	}
	run(t, attacks...)
}

func TestJ23_FoldedMembers(t *testing.T) {
	var attacks []attack
	for name, more := range map[string]string{
		"ISS beside iss": `"ISS":"https://evil.example"`, "Sub beside sub": `"Sub":"bob"`, "long s beside sub": `"ſub":"bob"`,
		"escaped long s": `"i\u017fs":"x"`, "nested": `"x":{"role":1,"ROLE":2}`, "nested long s": `"x":[{"role":{"is":1,"iſ":2}}]`,
		"NONCE": `"NONCE":"x"`, "Events lone": `"Events":{}`, "CNF lone": `"CNF":{}`, "AZP": `"AZP":"client"`,
	} {
		attacks = append(attacks, attack{name: name, forge: spliced(more), reason: oidc.ReasonMalformed})
	}
	for lone, of := range map[string]string{"ISS": "iss", "ſub": "sub", "Aud": "aud", "EXP": "exp", "iſſ": "iss"} {
		attacks = append(attacks, attack{name: lone + " lone", reason: oidc.ReasonMalformed,
			forge: func(op *oidctest.Provider, header, claims object) string {
				return op.Sign(header, with(claims, object{of: nil, lone: claims[of]}))
			}})
	}
	for _, name := range []string{"ALG", "Kid", "TYP", "\u212aid"} { // the last begins with the Kelvin sign
		attacks = append(attacks, attack{name: name + " in the header", header: object{name: "x"}, reason: oidc.ReasonMalformed})
	}
	run(t, attacks...)
}

func TestJ26_BrokenText(t *testing.T) {
	var attacks []attack
	for name, more := range map[string]string{
		"lone surrogate": `"name":"\ud800"`, "invalid UTF-8": "\"name\":\"\xff\"", "overlong": "\"name\":\"\xc0\xaf\"",
	} {
		attacks = append(attacks, attack{name: name, forge: spliced(more), reason: oidc.ReasonMalformed})
	}
	run(t, attacks...)
}

func TestJ40_AnotherTypeOfToken(t *testing.T) {
	var attacks []attack
	for _, typ := range []string{
		"logout+jwt", "dpop+jwt", "application/dpop+jwt", "secevent+jwt", "client-authentication+jwt", "entity-statement+jwt",
		"JWS", "JOSE", "at+jwt ", "text/at+jwt",
	} {
		attacks = append(attacks, attack{name: typ, header: object{"typ": typ}, reason: oidc.ReasonType, claim: "typ"})
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt"} {
		attacks = append(attacks, attack{name: typ, paths: idToken, header: object{"typ": typ}, reason: oidc.ReasonType, claim: "typ"})
	}
	for _, typ := range []any{"JWT", "jwt", nil, ""} {
		attacks = append(attacks, attack{name: fmt.Sprint("typ ", typ), paths: strictAccess, header: object{"typ": typ},
			reason: oidc.ReasonType, claim: "typ"})
	}
	attacks = append(attacks,
		attack{name: "typ number", header: object{"typ": 1}, reason: oidc.ReasonMalformed},
		attack{name: "events", paths: idToken | untypedAccess, claims: object{"events": object{"x": object{}}}, reason: oidc.ReasonType, claim: "events"},
		attack{name: "events null", paths: idToken, claims: object{"events": null}, reason: oidc.ReasonType, claim: "events"},
	)
	for _, claim := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		attacks = append(attacks, attack{name: claim, paths: untypedAccess, claims: object{claim: "x"}, reason: oidc.ReasonType, claim: claim})
	}
	for _, kind := range []any{"Refresh", "ID", "Offline", "", 1, null} {
		attacks = append(attacks, attack{name: fmt.Sprintf("claim typ %s", kind), paths: untypedAccess, claims: object{"typ": kind},
			reason: oidc.ReasonType, claim: "typ"})
	}
	for _, kind := range []any{"id", "refresh", "", 1, null} {
		attacks = append(attacks, attack{name: fmt.Sprintf("token_use %s", kind), paths: untypedAccess, claims: object{"token_use": kind},
			reason: oidc.ReasonType, claim: "token_use"})
	}
	for _, kind := range []any{"Bearer", "Refresh", "Logout", "access", "", 1, null} {
		for _, claim := range []string{"typ", "token_use"} {
			attacks = append(attacks, attack{name: fmt.Sprintf("claim %s %s", claim, kind), paths: idToken, claims: object{claim: kind},
				reason: oidc.ReasonType, claim: claim})
		}
	}
	run(t, attacks...)
}

// What the attacks vary is accepted where it belongs.
func TestJ40_TypesThatFit(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	client, strict, lax := newClient(t, provider), newVerifier(t, provider), newVerifier(t, provider, untyped)
	for _, typ := range []any{"JWT", "jwt", nil} {
		_, _, err := loginForged(t, op, client, attack{header: object{"typ": typ}})
		require.NoError(t, err, typ)
		_, _, err = loginForged(t, op, client, attack{claims: object{"typ": "ID", "token_use": "id"}})
		require.NoError(t, err, typ)
		_, err = lax.Verify(t.Context(), op.Sign(object{"typ": typ}, accessClaims(op)))
		require.NoError(t, err, typ)
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt"} {
		for _, v := range []*oidc.AccessTokenVerifier{strict, lax} {
			_, err := v.Verify(t.Context(), op.Sign(object{"typ": typ}, accessClaims(op)))
			require.NoError(t, err, typ)
		}
	}
	for _, claims := range []object{{"typ": "Bearer"}, {"token_use": "access"}, {"client_id": nil, "azp": "spa"}, {"client_id": nil}, {"jti": nil, "iat": nil}} {
		_, err := lax.Verify(t.Context(), op.Sign(object{"typ": "JWT"}, with(accessClaims(op), claims)))
		require.NoError(t, err, claims)
	}
}

func TestJ40_RequiredByRFC9068(t *testing.T) {
	var attacks []attack
	for _, claim := range []string{"client_id", "jti"} {
		for name, v := range map[string]any{"missing": nil, "empty": "", "null": null, "number": 1, "control": "a\n"} {
			attacks = append(attacks, attack{name: claim + " " + name, paths: strictAccess, claims: object{claim: v}, reason: oidc.ReasonClaim, claim: claim})
		}
	}
	attacks = append(attacks,
		attack{name: "azp instead of client_id", paths: strictAccess, claims: object{"client_id": nil, "azp": "spa"}, reason: oidc.ReasonClaim, claim: "client_id"},
		attack{name: "azp list", paths: untypedAccess, claims: object{"client_id": nil, "azp": []string{"spa"}}, reason: oidc.ReasonClaim, claim: "azp"},
		attack{name: "client_id number", paths: untypedAccess, claims: object{"client_id": 1}, reason: oidc.ReasonClaim, claim: "client_id"},
		attack{name: "scope number", paths: anyAccess, claims: object{"scope": 1}, reason: oidc.ReasonClaim, claim: "scope"},
	)
	run(t, attacks...)
}

func TestJ40_IDTokenAsAccessToken(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	raw := mustLogin(t, op, newClient(t, provider)).IDToken.Raw()
	forUs := func(c *oidc.AccessTokenConfig) { c.Audience = []string{oidctest.ClientID} }
	_, err := newVerifier(t, provider, forUs).Verify(t.Context(), raw)
	requireRefused(t, err, oidc.ReasonType, "typ")
	_, err = newVerifier(t, provider, forUs, untyped).Verify(t.Context(), raw)
	requireRefused(t, err, oidc.ReasonType, "nonce")
}

func TestJ40_AccessTokenAsIDToken(t *testing.T) {
	op, client := setup(t)
	_, _, err := loginForged(t, op, client, attack{forge: func(op *oidctest.Provider, _, _ object) string {
		return op.AccessToken("alice", oidctest.ClientID, "openid")
	}})
	requireRefused(t, err, oidc.ReasonType, "typ")
	// Nor without its typ: it knows nothing of the login.
	_, _, err = loginForged(t, op, client, attack{forge: func(op *oidctest.Provider, _, _ object) string {
		return op.Sign(object{"typ": "JWT"}, with(accessClaims(op), object{"aud": oidctest.ClientID}))
	}})
	requireRefused(t, err, oidc.ReasonNonce, "nonce")
}

func TestP01_BoundTokenAsBearer(t *testing.T) {
	var attacks []attack
	for name, cnf := range map[string]any{
		"jkt": object{"jkt": "x"}, "x5t#S256": object{"x5t#S256": "x"}, "unknown": object{"x": 1}, "empty": object{}, "null": null, "text": "",
	} {
		attacks = append(attacks, attack{name: name, paths: anyAccess, claims: object{"cnf": cnf}, reason: oidc.ReasonBinding, claim: "cnf"})
	}
	run(t, attacks...)
}

func TestJ41_AccessTokenHash(t *testing.T) {
	hash := func(h crypto.Hash, text string, half int) string {
		w := h.New()
		w.Write([]byte(text))
		sum := w.Sum(nil)
		return encode(sum[half*len(sum)/2 : (half+1)*len(sum)/2])
	}
	var attacks []attack
	for name, v := range map[string]any{
		"of another": hash(crypto.SHA256, "another", 0), "empty": "", "null": null,
	} {
		attacks = append(attacks, attack{name: name, paths: idToken, claims: object{"at_hash": v}, reason: oidc.ReasonAccessTokenHash, claim: "at_hash"})
	}
	// go-oidc comes first for what is no text.
	for name, v := range map[string]any{"number": 1, "list": []string{"x"}} {
		attacks = append(attacks, attack{name: name, paths: idToken, claims: object{"at_hash": v}, reason: oidc.ReasonMalformed})
	}
	run(t, attacks...)

	op, client := setup(t)
	for name, wrong := range map[string]func(string) string{
		"right half":   func(at string) string { return hash(crypto.SHA256, at, 1) },
		"another hash": func(at string) string { return hash(crypto.SHA512, at, 0) },
		"whole":        func(at string) string { return hash(crypto.SHA256, at, 0) + hash(crypto.SHA256, at, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			var claims object
			op.OnIDToken(func(_, c map[string]any) { claims = maps.Clone(c) })
			op.OnTokenResponse(func(r map[string]any) {
				r["id_token"] = op.Sign(nil, with(claims, object{"at_hash": wrong(r["access_token"].(string))}))
			})
			_, err := login(t, op, client)
			requireRefused(t, err, oidc.ReasonAccessTokenHash, "at_hash")
		})
	}
	op.OnTokenResponse(nil)
	op.OnIDToken(func(_, c map[string]any) { delete(c, "at_hash") })
	mustLogin(t, op, client)

	// F06: an access token of somebody else beside the right ID token.
	op.OnIDToken(nil)
	op.OnTokenResponse(func(r map[string]any) { r["access_token"] = op.AccessToken("bob", "", "openid") })
	_, err := login(t, op, client)
	requireRefused(t, err, oidc.ReasonAccessTokenHash, "at_hash")
}

// The algorithm is looked at before anything that the token says.
func TestJ01_AlgorithmComesFirst(t *testing.T) {
	run(t, attack{name: "nothing is right", reason: oidc.ReasonAlgorithm,
		forge: func(_ *oidctest.Provider, header, claims object) string {
			header = with(header, object{"alg": "none", "typ": "logout+jwt"})
			return encodeJSON(header) + "." + encodeJSON(with(claims, object{"iss": "https://evil.example", "exp": nil})) + ".AA"
		}})
}

// What go-oidc refuses is refused, even where we have no opinion.
func TestJ48_GoOIDCHasTheLastWord(t *testing.T) {
	run(t, attack{name: "claim without source", paths: idToken, claims: object{"_claim_names": object{"a": "b"}}, reason: oidc.ReasonMalformed})
}

func TestF05_UsedFlowsAreForgottenWhenTheyExpire(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of thousands of logins")
	}
	const most = 1 << 16 // that are remembered
	op := newOP(t)
	m := metadataOf(op)
	m.TokenEndpoint = "" // so that a code is accepted and goes nowhere
	client := newClient(t, newProvider(t, op, withMetadata(m)))
	use := func(i int, expires time.Time) error {
		var f oidc.Flow
		data := fmt.Appendf(nil, `{"s":"state%d","n":"n","v":"v","i":%q,"c":%q,"r":%q,"e":%q}`,
			i, issuer, oidctest.ClientID, redirectURL, expires.Format(time.RFC3339))
		if err := f.UnmarshalBinary(data); err != nil {
			return err
		}
		_, err := client.Finish(t.Context(), &f, url.Values{"state": {f.State()}, "iss": {issuer}, "code": {"a-code"}})
		return err
	}
	fresh := start.Add(24 * time.Hour)
	require.ErrorIs(t, use(0, start.Add(time.Minute)), oidc.ErrNoEndpoint)
	op.Advance(time.Hour)
	for i := 1; i < most; i++ {
		if err := use(i, fresh); !errors.Is(err, oidc.ErrNoEndpoint) {
			require.NoError(t, err, i)
		}
	}
	// The memory is full: the expired one makes room, and no other is forgotten.
	require.ErrorIs(t, use(most, fresh), oidc.ErrNoEndpoint)
	requireCallback(t, use(1, fresh), "state")
	requireCallback(t, use(most, fresh), "state")
	// It is full again, and none has expired: memory is bounded all the same.
	require.ErrorIs(t, use(most+1, fresh), oidc.ErrNoEndpoint)
	require.ErrorIs(t, use(1, fresh), oidc.ErrNoEndpoint)
	requireCallback(t, use(most+1, fresh), "state")
}
