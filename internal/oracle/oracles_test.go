package oracle_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

const (
	issuer   = "https://op.example"
	audience = "api"
	leeway   = time.Minute
)

// now is when every token is judged.
func now() time.Time { return time.Unix(1893456000, 0) }

// An oracle is another library, as strict as it can be told to be.
type oracle struct {
	name string
	// payload checks a compact JWS in one algorithm and returns what is signed.
	payload func(alg, raw string) ([]byte, error)
	// claims checks it, and issuer, audience and times as well.
	claims func(alg, raw string) error
}

var oracles = []oracle{
	{"go-jose", joseVerify, nil},
	{"golang-jwt", golangPayload, golangVerify},
	{"go-oidc", goidcPayload, goidcVerify},
	{"jwx", jwxPayload, jwxVerify},
}

// namesOf are the names of an algorithm: "EdDSA" and "Ed25519" are one.
func namesOf(alg string) []string {
	if jwt.Same(alg, "EdDSA") {
		return []string{"EdDSA", "Ed25519"}
	}
	return []string{alg}
}

func joseVerify(alg, raw string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, name := range namesOf(alg) {
		allowed = append(allowed, jose.SignatureAlgorithm(name))
	}
	signed, err := jose.ParseSignedCompact(raw, allowed)
	if err != nil {
		return nil, err
	}
	return signed.Verify(keys()[alg].public)
}

// golangPayload returns what golang-jwt has read, written as JSON once more: the
// bytes it does not give.
func golangPayload(alg, raw string) ([]byte, error) {
	claims := golangjwt.MapClaims{}
	if err := golangParse(alg, raw, claims, golangjwt.WithoutClaimsValidation(), golangjwt.WithJSONNumber()); err != nil {
		return nil, err
	}
	return json.Marshal(claims)
}

func golangVerify(alg, raw string) error {
	return golangParse(alg, raw, &golangjwt.RegisteredClaims{},
		golangjwt.WithIssuer(issuer), golangjwt.WithAudience(audience), golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(),
		// It cuts the fraction off "exp", so a second is not told from the next.
		golangjwt.WithLeeway(leeway+time.Second), golangjwt.WithTimeFunc(now))
}

func golangParse(alg, raw string, claims golangjwt.Claims, options ...golangjwt.ParserOption) error {
	parser := golangjwt.NewParser(append(options, golangjwt.WithValidMethods(namesOf(alg)), golangjwt.WithStrictDecoding())...)
	_, err := parser.ParseWithClaims(raw, claims, func(*golangjwt.Token) (any, error) { return keys()[alg].public, nil })
	return err
}

// A joseKeySet is for go-oidc, whose StaticKeySet knows no secrets.
type joseKeySet struct{ alg string }

// VerifySignature implements goidc.KeySet.
func (s joseKeySet) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	return joseVerify(s.alg, raw)
}

func goidcKeys(alg string) goidc.KeySet {
	if _, ok := keys()[alg].public.([]byte); ok {
		return joseKeySet{alg}
	}
	return &goidc.StaticKeySet{PublicKeys: []crypto.PublicKey{keys()[alg].public}}
}

func goidcPayload(alg, raw string) ([]byte, error) {
	return goidcKeys(alg).VerifySignature(context.Background(), raw)
}

// go-oidc has no leeway for "exp"; an earlier clock is one. For "nbf" it has five minutes.
func goidcVerify(alg, raw string) error {
	_, err := goidc.NewVerifier(issuer, goidcKeys(alg), &goidc.Config{
		ClientID: audience, SupportedSigningAlgs: namesOf(alg), Now: func() time.Time { return now().Add(-leeway - time.Second) },
	}).Verify(context.Background(), raw)
	return err
}

// jwxTry asks for each name, of which jwx takes one.
func jwxTry(alg string, verify func(jwa.SignatureAlgorithm) error) (err error) {
	for _, name := range namesOf(alg) {
		algorithm, ok := jwa.LookupSignatureAlgorithm(name)
		if !ok {
			return errors.New("unknown algorithm")
		}
		if err = verify(algorithm); err == nil {
			return nil
		}
	}
	return err
}

func jwxPayload(alg, raw string) (payload []byte, err error) {
	err = jwxTry(alg, func(algorithm jwa.SignatureAlgorithm) (err error) {
		payload, err = jws.Verify([]byte(raw), jws.WithKey(algorithm, keys()[alg].public), jws.WithCompact())
		return err
	})
	return payload, err
}

func jwxVerify(alg, raw string) error {
	return jwxTry(alg, func(algorithm jwa.SignatureAlgorithm) error {
		_, err := jwxjwt.Parse([]byte(raw), jwxjwt.WithKey(algorithm, keys()[alg].public),
			jwxjwt.WithIssuer(issuer), jwxjwt.WithAudience(audience), jwxjwt.WithRequiredClaim("exp"),
			jwxjwt.WithAcceptableSkew(leeway+time.Second), jwxjwt.WithClock(jwxjwt.ClockFunc(now)))
		return err
	})
}

// source has the one key of an algorithm, without a "kid": the oracles look at none.
func source(alg string) jwks.Source {
	if k, ok := keys()[alg].public.([]byte); ok {
		return must(jwks.Symmetric(k, alg))
	}
	return jwks.Static{must(jwks.NewKey(keys()[alg].public, "", alg))}
}

// ours are the verifiers of one algorithm.
type ours struct {
	alg             string
	source          jwks.Source
	strict, untyped *oidc.AccessTokenVerifier
}

func newOurs(alg string) ours {
	o := ours{alg: alg, source: source(alg)}
	provider := must(oidc.NewProvider(oidc.Config{Issuer: issuer, Keys: o.source, Now: now}))
	cfg := oidc.AccessTokenConfig{Audience: []string{audience}, Algorithms: []string{alg}, Leeway: leeway}
	o.strict = must(oidc.NewAccessTokenVerifier(provider, cfg))
	// The lenient one has a cache, which must take nothing but the same token for it.
	cfg.InsecureAllowUntyped, cfg.Cache = true, oidc.TokenCacheConfig{MaxTokens: 1000}
	o.untyped = must(oidc.NewAccessTokenVerifier(provider, cfg))
	return o
}

var allOurs = sync.OnceValue(func() map[string]ours {
	all := map[string]ours{}
	for _, alg := range everyAlgorithm {
		all[alg] = newOurs(alg)
	}
	return all
})

func (o ours) payload(raw string) ([]byte, error) {
	return jwks.Verify(context.Background(), o.source, []string{o.alg}, raw)
}

func (o ours) claims(raw string) error {
	_, err := o.untyped.Verify(context.Background(), raw)
	return err
}

// accepts reports which of our verifiers accept a token.
func (o ours) accepts(raw string) (by []string) {
	if _, err := o.payload(raw); err == nil {
		by = append(by, "jwks.Verify")
	}
	if o.claims(raw) == nil {
		by = append(by, "oidc.AccessTokenVerifier")
	}
	return by
}
