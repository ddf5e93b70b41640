package bench

import (
	"context"
	"net/http"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// ours is this library through its public API, at its strict zero value.
type ours struct{ verifier *oidc.AccessTokenVerifier }

func newOurs(_ context.Context, o Options) (Verifier, error) {
	return ourVerifier(o, oidc.TokenCacheConfig{})
}

// newCached remembers the tokens it has verified.
func newCached(_ context.Context, o Options) (Verifier, error) {
	return ourVerifier(o, oidc.TokenCacheConfig{MaxTokens: 10 * hotTokens})
}

func ourVerifier(o Options, cache oidc.TokenCacheConfig) (Verifier, error) {
	p, err := ourProvider(o)
	if err != nil {
		return nil, err
	}
	v, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{
		Audience: []string{Audience}, Algorithms: []string{o.Algorithm}, Cache: cache,
	})
	return ours{v}, err
}

// ourProvider has discovery and a remote key set, but where a secret or times
// other than the defaults ask for keys of their own.
func ourProvider(o Options) (*oidc.Provider, error) {
	cfg := oidc.Config{Issuer: o.Issuer, HTTPClient: o.HTTPClient, Now: o.Now}
	var err error
	switch {
	case o.Secret != nil:
		cfg.Keys, err = jwks.Symmetric(o.Secret, o.Algorithm)
	case o.Refresh != 0 || o.Cooldown != 0:
		cfg.Keys, err = jwks.NewRemote(jwks.RemoteConfig{
			URL: o.KeysURL, HTTPClient: o.HTTPClient, RefreshAfter: o.Refresh, Cooldown: o.Cooldown, Now: o.Now,
		})
	}
	if err != nil {
		return nil, err
	}
	return oidc.NewProvider(cfg)
}

func (v ours) Verify(ctx context.Context, token string) (Identity, error) {
	t, err := v.verifier.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Subject: t.Subject, Scopes: t.Scopes}, nil
}

// Protect implements protector with the library's own middleware.
func (v ours) Protect() http.Handler { return v.Wrap(http.HandlerFunc(ourHandler)) }

// Wrap implements wrapper.
func (v ours) Wrap(next http.Handler) http.Handler {
	return (&middleware.Bearer{Verifier: v.verifier}).Handler(next)
}

func ourHandler(w http.ResponseWriter, r *http.Request) {
	p, ok := middleware.PrincipalFrom(r.Context())
	if !ok {
		answer(w, Identity{})
		return
	}
	answer(w, Identity{Subject: p.Subject, Scopes: p.Scopes})
}
