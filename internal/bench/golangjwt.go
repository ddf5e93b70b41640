package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// golangJWT is github.com/golang-jwt/jwt with the keys of
// github.com/MicahParks/keyfunc.
type golangJWT struct {
	parser *jwt.Parser
	keys   keyfunc.Keyfunc
}

type golangClaims struct {
	Scope string `json:"scope"`
	jwt.RegisteredClaims
}

func newGolangJWT(ctx context.Context, o Options) (Verifier, error) {
	keys, err := golangKeys(ctx, o)
	if err != nil {
		return nil, err
	}
	return golangJWT{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{o.Algorithm}), jwt.WithIssuer(o.Issuer), jwt.WithAudience(Audience),
		jwt.WithExpirationRequired(),
	)}, nil
}

func golangKeys(ctx context.Context, o Options) (keyfunc.Keyfunc, error) {
	if o.Secret != nil {
		return keyfunc.NewJWKSetJSON(secretDocument(o))
	}
	return keyfunc.NewDefaultOverrideCtx(ctx, []string{o.KeysURL}, keyfunc.Override{
		Client: o.HTTPClient, RefreshInterval: o.Refresh,
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) { return func(context.Context, error) {} },
	})
}

// secretDocument is the secret as a JWK Set (RFC 7518 section 6.4).
func secretDocument(o Options) []byte {
	doc, _ := json.Marshal(map[string]any{"keys": []any{map[string]string{ // strings always marshal
		"kty": "oct", "kid": o.KeyID, "alg": o.Algorithm, "k": base64.RawURLEncoding.EncodeToString(o.Secret),
	}}})
	return doc
}

func (v golangJWT) Verify(ctx context.Context, token string) (Identity, error) {
	var c golangClaims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keys.KeyfuncCtx(ctx)); err != nil {
		return Identity{}, err
	}
	return Identity{Subject: c.Subject, Scopes: strings.Fields(c.Scope)}, nil
}
