package bench

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
)

// auth0JWT is github.com/auth0/go-jwt-middleware, version 2.
type auth0JWT struct{ validator *validator.Validator }

type auth0Claims struct {
	Scope string `json:"scope"`
}

// Validate implements validator.CustomClaims.
func (*auth0Claims) Validate(context.Context) error { return nil }

func newAuth0(_ context.Context, o Options) (Verifier, error) {
	keys, err := auth0Keys(o)
	if err != nil {
		return nil, err
	}
	v, err := validator.New(keys, validator.SignatureAlgorithm(o.Algorithm), o.Issuer, []string{Audience},
		validator.WithCustomClaims(func() validator.CustomClaims { return &auth0Claims{} }),
	)
	return auth0JWT{v}, err
}

func auth0Keys(o Options) (func(context.Context) (any, error), error) {
	if o.Secret != nil {
		return func(context.Context) (any, error) { return o.Secret, nil }, nil
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, err
	}
	var options []any
	if o.HTTPClient != nil {
		options = append(options, jwks.WithCustomClient(o.HTTPClient))
	}
	// Five minutes are those of its documentation.
	return jwks.NewCachingProvider(issuer, cmp.Or(o.Refresh, 5*time.Minute), options...).KeyFunc, nil
}

func (v auth0JWT) Verify(ctx context.Context, token string) (Identity, error) {
	t, err := v.validator.ValidateToken(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	claims, ok := t.(*validator.ValidatedClaims)
	if !ok || claims.RegisteredClaims.Expiry == 0 {
		return Identity{}, errNoExpiry
	}
	own, ok := claims.CustomClaims.(*auth0Claims)
	if !ok {
		return Identity{}, errNoScope
	}
	return Identity{Subject: claims.RegisteredClaims.Subject, Scopes: strings.Fields(own.Scope)}, nil
}

// Wrap implements wrapper as its documentation shows: a token without "exp" passes.
func (v auth0JWT) Wrap(next http.Handler) http.Handler {
	return jwtmiddleware.New(v.validator.ValidateToken).CheckJWT(next)
}
