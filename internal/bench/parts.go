package bench

import (
	"context"
	"sync"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/oidckit/oidckit/jwks"
)

// OursRemote is jwks.Remote alone, without a Provider and a verifier of claims. It
// hands no identity out.
func OursRemote() Peer {
	return Peer{Name: Ours + " jwks.Remote alone", New: func(_ context.Context, o Options) (Verifier, error) {
		remote, err := jwks.NewRemote(jwks.RemoteConfig{URL: o.KeysURL, HTTPClient: o.HTTPClient})
		return remoteAlone{remote, []string{o.Algorithm}}, err
	}}
}

type remoteAlone struct {
	remote     *jwks.Remote
	algorithms []string
}

func (r remoteAlone) Verify(ctx context.Context, token string) (Identity, error) {
	_, err := jwks.Verify(ctx, r.remote, r.algorithms, token)
	return Identity{}, err
}

// SharedJWX is jwx with one jwk.Cache for all issuers, as its documentation has it
// for several. It is for one context.
func SharedJWX() Peer {
	var mu sync.Mutex
	var cache *jwk.Cache
	return Peer{Name: "jwx, one jwk.Cache for all", New: func(ctx context.Context, o Options) (Verifier, error) {
		mu.Lock()
		defer mu.Unlock()
		if cache == nil {
			var err error
			if cache, err = jwk.NewCache(ctx, httprc.NewClient(httprc.WithHTTPClient(o.HTTPClient))); err != nil {
				return nil, err
			}
		}
		return jwxOf(ctx, cache, o)
	}}
}
