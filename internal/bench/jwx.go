package bench

import (
	"context"
	"errors"
	"strings"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// jwxJWT is github.com/lestrrat-go/jwx with its jwk.Cache.
type jwxJWT struct{ options []jwt.ParseOption }

func newJWX(ctx context.Context, o Options) (Verifier, error) {
	if o.Secret != nil {
		set, err := jwk.Parse(secretDocument(o))
		if err != nil {
			return nil, err
		}
		return jwxWith(set, o)
	}
	var client []httprc.NewClientOption
	if o.HTTPClient != nil {
		client = append(client, httprc.WithHTTPClient(o.HTTPClient))
	}
	cache, err := jwk.NewCache(ctx, httprc.NewClient(client...))
	if err != nil {
		return nil, err
	}
	return jwxOf(ctx, cache, o)
}

func jwxOf(ctx context.Context, cache *jwk.Cache, o Options) (Verifier, error) {
	var register []jwk.RegisterOption
	if o.Refresh != 0 {
		register = append(register, jwk.WithConstantInterval(o.Refresh))
	}
	if err := cache.Register(ctx, o.KeysURL, register...); err != nil {
		return nil, err
	}
	set, err := cache.CachedSet(o.KeysURL)
	if err != nil {
		return nil, err
	}
	return jwxWith(set, o)
}

func jwxWith(set jwk.Set, o Options) (Verifier, error) {
	algorithm, ok := jwa.LookupSignatureAlgorithm(o.Algorithm)
	if !ok {
		return nil, errAlgorithm
	}
	return jwxJWT{[]jwt.ParseOption{
		jwt.WithKeyProvider(jwxAllowed{algorithm, set}),
		jwt.WithIssuer(o.Issuer), jwt.WithAudience(Audience), jwt.WithRequiredClaim(jwt.ExpirationKey),
	}}, nil
}

// jwxAllowed does what jwt.WithKeySet does, for one algorithm alone: WithKeySet
// takes any that a key of the set names.
type jwxAllowed struct {
	algorithm jwa.SignatureAlgorithm
	set       jwk.Set
}

// FetchKeys implements jws.KeyProvider.
func (a jwxAllowed) FetchKeys(_ context.Context, sink jws.KeySink, sig *jws.Signature, _ *jws.Message) error {
	kid, _ := sig.ProtectedHeaders().KeyID()
	key, ok := a.set.LookupKeyID(kid)
	if !ok {
		return errors.New("bench: unknown kid")
	}
	sink.Key(a.algorithm, key) // a token of another algorithm is refused
	return nil
}

func (v jwxJWT) Verify(_ context.Context, token string) (Identity, error) {
	t, err := jwt.ParseString(token, v.options...)
	if err != nil {
		return Identity{}, err
	}
	subject, _ := t.Subject()
	var scope string
	if err := t.Get("scope", &scope); err != nil {
		return Identity{}, err
	}
	return Identity{Subject: subject, Scopes: strings.Fields(scope)}, nil
}
