package bench

import (
	"context"
	"strings"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	capjwt "github.com/hashicorp/cap/jwt"
)

// capJWT is github.com/hashicorp/cap/jwt.
type capJWT struct {
	validator *capjwt.Validator
	expected  capjwt.Expected
}

func newCap(ctx context.Context, o Options) (Verifier, error) {
	if o.Secret != nil {
		return nil, ErrNoSymmetric
	}
	if o.HTTPClient != nil { // its key set is go-oidc's, which finds the client here
		ctx = goidc.ClientContext(ctx, o.HTTPClient)
	}
	keys, err := capjwt.NewJSONWebKeySet(ctx, o.KeysURL, "")
	if err != nil {
		return nil, err
	}
	validator, err := capjwt.NewValidator(keys)
	return capJWT{validator, capjwt.Expected{
		Issuer: o.Issuer, Audiences: []string{Audience}, SigningAlgorithms: []capjwt.Alg{capjwt.Alg(o.Algorithm)},
	}}, err
}

func (v capJWT) Verify(ctx context.Context, token string) (Identity, error) {
	claims, err := v.validator.Validate(ctx, token, v.expected)
	if err != nil {
		return Identity{}, err
	}
	// cap makes an exp of iat or nbf for a token without one.
	if _, ok := claims["exp"]; !ok {
		return Identity{}, errNoExpiry
	}
	subject, _ := claims["sub"].(string)
	scope, _ := claims["scope"].(string)
	return Identity{Subject: subject, Scopes: strings.Fields(scope)}, nil
}
