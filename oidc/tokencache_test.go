package oidc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A cacheRig is a verifier with a cache, and counts how often it looks for keys: that
// is what a token costs that is not found in the cache.
type cacheRig struct {
	op       *oidctest.Provider
	keys     *counting
	provider *oidc.Provider
	*oidc.AccessTokenVerifier
}

func cached(c *oidc.AccessTokenConfig) { c.Cache.MaxTokens = 1000 }

func newCacheRig(t testing.TB, configure ...func(*oidc.AccessTokenConfig)) *cacheRig {
	t.Helper()
	op := newOP(t)
	remote, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer + string(oidctest.JWKS), HTTPClient: op.HTTPClient(), Now: op.Now})
	require.NoError(t, err)
	keys := &counting{Versioned: remote}
	p := newProvider(t, op, func(c *oidc.Config) { c.Keys = keys })
	require.NoError(t, remote.Ready(t.Context()))
	return &cacheRig{op, keys, p, newVerifier(t, p, append([]func(*oidc.AccessTokenConfig){cached}, configure...)...)}
}

// sign makes an access token that lives long, if the changes say nothing else.
func (r *cacheRig) sign(changes object) string {
	return r.op.Sign(object{"typ": "at+jwt"}, with(with(accessClaims(r.op), object{"exp": r.op.Now().Unix() + 48*3600}), changes))
}

// verify tells whether the token was found in the cache.
func (r *cacheRig) verify(t testing.TB, raw string) (token *oidc.AccessToken, hit bool, err error) {
	t.Helper()
	before := r.keys.lookups.Load()
	token, err = verifyAccess(t.Context(), t, r, raw)
	return token, err == nil && r.keys.lookups.Load() == before, err
}

// miss verifies a token that must be judged anew, hit one that must not.
func (r *cacheRig) miss(t testing.TB, raw string) *oidc.AccessToken {
	t.Helper()
	token, hit, err := r.verify(t, raw)
	require.NoError(t, err)
	require.False(t, hit, "found in the cache")
	return token
}

func (r *cacheRig) hit(t testing.TB, raw string) *oidc.AccessToken {
	t.Helper()
	token, hit, err := r.verify(t, raw)
	require.NoError(t, err)
	require.True(t, hit, "not found in the cache")
	return token
}

func TestTokenCache_OneTokenIsVerifiedOnce(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	token := r.miss(t, raw)
	for range 10 {
		require.Same(t, token, r.hit(t, raw))
		require.Same(t, token, r.hit(t, strings.Clone(raw)), "found by its text")
	}
	require.EqualValues(t, 1, r.keys.lookups.Load())
	// The same claims in another token are another token.
	other := r.miss(t, r.sign(object{"x": 1}))
	require.NotSame(t, token, other)
	require.Same(t, token, r.hit(t, raw))

	none := newVerifier(t, r.provider)
	for range 2 {
		before := r.keys.lookups.Load()
		got, err := none.Verify(t.Context(), raw)
		require.NoError(t, err)
		require.NotSame(t, token, got)
		require.Equal(t, before+1, r.keys.lookups.Load(), "the zero value keeps nothing")
	}
}

// What is kept is the token's own: buffers in which other tokens were read since leave
// no trace in it.
func TestTokenCache_KeptTokensStayAsTheyWere(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(object{"sub": marker + "-first", "scope": "first", "groups": []string{"a", "b"}})
	token := r.miss(t, raw)
	payload := string(token.Claims.Raw())
	for i := range 50 {
		r.miss(t, r.sign(object{"sub": fmt.Sprint("other", i), "scope": "other", "groups": []string{"x", "y", "z"}}))
	}
	require.Same(t, token, r.hit(t, raw))
	require.Equal(t, marker+"-first", token.Subject)
	require.Equal(t, []string{"first"}, token.Scopes)
	require.Equal(t, payload, string(token.Claims.Raw()))
	groups, err := token.Claims.Strings(claims.P("groups"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, groups)
}

// The cache holds the token, not the request that it came with.
func TestTokenCache_HoldsNothingElseOfTheRequest(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	verify := func() weak.Pointer[[1 << 20]byte] {
		request := new([1 << 20]byte)
		copy(request[:], raw)
		r.miss(t, unsafe.String(&request[0], len(raw)))
		return weak.Make(request)
	}
	request := verify()
	runtime.GC()
	require.Nil(t, request.Value())
	r.hit(t, raw)
}

func TestJ33_CachedTokenExpires(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(object{"exp": start.Unix() + 100})
	token := r.miss(t, raw)
	r.op.Advance(100*time.Second - 1)
	require.Same(t, token, r.hit(t, raw), "1 ns before exp")
	r.op.Advance(1)
	// Within the leeway the token is good, but judged each time.
	for range 3 {
		require.NotSame(t, token, r.miss(t, raw))
	}
	r.op.Advance(time.Minute)
	_, _, err := r.verify(t, raw)
	requireRefused(t, err, oidc.ReasonExpired, "exp")
}

func TestJ31_CachedTokenBecomesTooOld(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t, func(c *oidc.AccessTokenConfig) { c.MaxAge = 30 * time.Second })
	raw, short := r.sign(nil), r.sign(object{"exp": start.Unix() + 10})
	token := r.miss(t, raw)
	r.miss(t, short)
	r.op.Advance(10*time.Second - 1)
	r.hit(t, short)
	r.op.Advance(1)
	r.miss(t, short) // which ends earlier than MaxAge
	r.op.Advance(20*time.Second - 1)
	require.Same(t, token, r.hit(t, raw), "1 ns before iat+MaxAge")
	r.op.Advance(1)
	for range 2 {
		require.NotSame(t, token, r.miss(t, raw))
	}
	r.op.Advance(time.Minute + 1)
	_, _, err := r.verify(t, raw)
	requireRefused(t, err, oidc.ReasonTooOld, "iat")
}

// serve makes the provider publish these keys and no others.
func serve(t testing.TB, op *oidctest.Provider, keys ...jose.JSONWebKey) {
	t.Helper()
	body, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	require.NoError(t, err)
	op.SetFault(oidctest.JWKS, oidctest.Fault{Body: string(body)})
}

// refetch lets so much time pass that the next reader, who is served still, starts a
// fetch in the background, and waits for its end.
func refetch(t *testing.T, r *cacheRig, raw string) {
	t.Helper()
	before := r.op.Requests(oidctest.JWKS)
	r.op.Advance(90 * time.Second) // a fault says no-store, which is a minute, and one more to serve
	r.hit(t, raw)
	synctest.Wait()
	require.Equal(t, before+1, r.op.Requests(oidctest.JWKS))
}

// A token goes with its key, at the latest when the keys are read again. It does not
// take a token that is new to find that out.
func TestK09_CachedTokenOfAWithdrawnKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		withdraw func(r *cacheRig, kid string)
		reason   oidc.Reason // empty: it stays
	}{
		"withdrawn": {func(r *cacheRig, _ string) {
			r.op.Rotate()
			serve(t, r.op, jose.JSONWebKey{Key: r.op.PublicKey("ES256"), KeyID: "new"})
		}, oidc.ReasonKey},
		"replaced under its kid": {func(r *cacheRig, kid string) {
			r.op.Rotate()
			serve(t, r.op, jose.JSONWebKey{Key: r.op.PublicKey("ES256"), KeyID: kid})
		}, oidc.ReasonSignature},
		"for another algorithm": {func(r *cacheRig, kid string) {
			serve(t, r.op, jose.JSONWebKey{Key: r.op.PublicKey("ES256"), KeyID: kid, Algorithm: "ES384"},
				jose.JSONWebKey{Key: r.op.PublicKey("RS256"), KeyID: "new"})
		}, oidc.ReasonKey},
		"joined by another": {func(r *cacheRig, kid string) {
			serve(t, r.op, jose.JSONWebKey{Key: r.op.PublicKey("ES256"), KeyID: kid},
				jose.JSONWebKey{Key: r.op.PublicKey("RS256"), KeyID: "new"})
		}, ""},
		"read again": {func(*cacheRig, string) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCacheRig(t)
				first := r.sign(nil)
				serve(t, r.op, jose.JSONWebKey{Key: r.op.PublicKey("ES256"), KeyID: keyIDOf(first)})
				r.op.Advance(time.Hour)
				raw := r.sign(nil)
				r.miss(t, raw) // so that these keys are what we have
				token := r.miss(t, raw)
				require.Same(t, token, r.hit(t, raw))
				tt.withdraw(r, keyIDOf(raw))
				refetch(t, r, raw)
				if tt.reason == "" {
					require.Same(t, token, r.hit(t, raw))
					return
				}
				for range 2 {
					_, _, err := r.verify(t, raw)
					requireRefused(t, err, tt.reason, "")
				}
			})
		})
	}
}

// Who comes after a long time waits for the keys that are good now.
func TestK09_CachedTokenThatLayUnused(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw, kept := r.sign(nil), r.sign(object{"x": 1})
	r.miss(t, raw)
	r.miss(t, kept)
	r.op.Rotate()
	r.op.Sign(nil, object{})
	r.op.Advance(time.Hour)
	r.miss(t, kept) // its key is published still
	r.op.Retire()
	r.op.Advance(time.Hour)
	_, _, err := r.verify(t, raw)
	requireRefused(t, err, oidc.ReasonKey, "")
	_, _, err = r.verify(t, kept)
	requireRefused(t, err, oidc.ReasonKey, "")
}

// A key that goes while a token is being verified takes the token with it.
func TestK09_KeysChangeDuringVerification(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	source := &shifting{}
	source.version.Store(1)
	source.keys = func() jwks.Static { source.version.Add(1); return jwks.Static{keyOf(t, op)} }
	v := newVerifier(t, newProvider(t, op, func(c *oidc.Config) { c.Keys = source }), cached)
	raw := op.Sign(object{"typ": "at+jwt"}, accessClaims(op))
	for i := range 3 {
		_, err := v.Verify(t.Context(), raw)
		require.NoError(t, err)
		require.EqualValues(t, i+1, source.lookups.Load())
	}
	source.keys = func() jwks.Static { return jwks.Static{keyOf(t, op)} }
	for range 3 {
		_, err := v.Verify(t.Context(), raw)
		require.NoError(t, err)
	}
	require.EqualValues(t, 4, source.lookups.Load())
	// A version that was is not the version that is.
	source.version.Add(1)
	_, err := v.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.EqualValues(t, 5, source.lookups.Load())
}

// While nobody can say which keys are good, nothing is taken from the cache, and
// nothing is kept.
func TestK09_UnknownVersion(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	source := &shifting{keys: func() jwks.Static { return jwks.Static{keyOf(t, op)} }}
	v := newVerifier(t, newProvider(t, op, func(c *oidc.Config) { c.Keys = source }), cached)
	raw := op.Sign(object{"typ": "at+jwt"}, accessClaims(op))
	want := int64(0)
	for _, step := range []struct {
		version uint64
		lookups int64 // more
	}{{0, 1}, {0, 1}, {7, 1}, {7, 0}, {0, 1}, {7, 0}} {
		source.version.Store(step.version)
		_, err := v.Verify(t.Context(), raw)
		require.NoError(t, err)
		want += step.lookups
		require.Equal(t, want, source.lookups.Load())
	}
}

// J21, J48: one token has one spelling, and no other is found.
func TestJ21_OtherBytesNeverHit(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	token := r.miss(t, raw)
	refused := func(mutant string) {
		got, err := r.Verify(t.Context(), mutant)
		require.Nil(t, got, mutant)
		require.ErrorIs(t, err, oidckit.ErrInvalidToken, mutant)
	}
	for i := range raw {
		for _, bit := range []byte{1, 2, 0x20} {
			mutant := []byte(raw)
			mutant[i] ^= bit
			refused(string(mutant))
		}
	}
	for i := range len(raw) {
		refused(raw[:i])
	}
	for _, around := range []string{" ", "\n", "\x00", "=", ".", "A"} {
		refused(raw + around)
		refused(around + raw)
	}
	require.Same(t, token, r.hit(t, raw))
}

func TestTokenCache_RefusedTokensAreNotKept(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t, func(c *oidc.AccessTokenConfig) { c.RequiredClaims = []claims.Path{claims.P("email")} })
	for name, raw := range map[string]string{
		"signature": forgeSignature(r.sign(nil)), "required": r.sign(object{"email": nil}), "scope": r.sign(object{"scope": 1}),
		"jti": r.sign(object{"jti": nil}),
	} {
		for range 3 {
			before := r.keys.lookups.Load()
			_, _, err := r.verify(t, raw)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
			require.Greater(t, r.keys.lookups.Load(), before, name)
		}
	}
	// A refusal does not stick either.
	early := r.sign(object{"nbf": start.Unix() + 90})
	_, _, err := r.verify(t, early)
	requireRefused(t, err, oidc.ReasonNotYetValid, "nbf")
	r.op.Advance(30 * time.Second)
	r.miss(t, early)
	r.hit(t, early)
}

// A cache belongs to one configuration.
func TestTokenCache_VerifiersDoNotShare(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	token := r.miss(t, raw)
	for name, tt := range map[string]struct {
		configure func(*oidc.AccessTokenConfig)
		reason    oidc.Reason
		claim     string
	}{
		"audience":  {func(c *oidc.AccessTokenConfig) { c.Audience = []string{"https://other.example"} }, oidc.ReasonAudience, "aud"},
		"algorithm": {func(c *oidc.AccessTokenConfig) { c.Algorithms = []string{"RS256"} }, oidc.ReasonAlgorithm, ""},
		"required":  {func(c *oidc.AccessTokenConfig) { c.RequiredClaims = []claims.Path{claims.P("tenant")} }, oidc.ReasonClaim, "tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifyAccess(t.Context(), t, newVerifier(t, r.provider, cached, tt.configure), raw)
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}
	twin := newVerifier(t, r.provider, cached)
	got, err := twin.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.NotSame(t, token, got)
}

// However many tokens come, no more than so many are kept. The cache drops them a
// little later than they come, so this looks until it has.
func TestTokenCache_IsBounded(t *testing.T) {
	t.Parallel()
	source, err := jwks.Symmetric([]byte(secret), "HS256")
	require.NoError(t, err)
	versioned, ok := source.(jwks.Versioned)
	require.True(t, ok)
	sign := func(op *oidctest.Provider, i int, changes object) string {
		return oidctest.SignHMAC(object{"alg": "HS256", "typ": "at+jwt"}, with(with(accessClaims(op), object{"jti": fmt.Sprint(i)}), changes), []byte(secret))
	}
	fat := object{"fat": strings.Repeat("x", 6000)} // with the token itself: 15 KiB
	for name, tt := range map[string]struct {
		cache   oidc.TokenCacheConfig
		changes object
		most    int
	}{
		"by MaxTokens":                {oidc.TokenCacheConfig{MaxTokens: 50}, nil, 50},
		"by MaxBytes":                 {oidc.TokenCacheConfig{MaxBytes: 1 << 20}, fat, 70},
		"by MaxTokens, bytes to come": {oidc.TokenCacheConfig{MaxTokens: 50, MaxBytes: 1 << 30}, fat, 50},
		"by MaxBytes, tokens to come": {oidc.TokenCacheConfig{MaxTokens: 1e6, MaxBytes: 1 << 20}, fat, 70},
		"one":                         {oidc.TokenCacheConfig{MaxTokens: 1}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			keys := &counting{Versioned: versioned}
			v := newVerifier(t, newProvider(t, op, func(c *oidc.Config) { c.Keys = keys }), func(c *oidc.AccessTokenConfig) {
				c.Algorithms, c.Cache = []string{"HS256"}, tt.cache
			})
			verifyAll := func(raws []string) (hits int) {
				before := keys.lookups.Load()
				for _, raw := range raws {
					_, err := v.Verify(t.Context(), raw)
					require.NoError(t, err)
					runtime.Gosched()
				}
				return len(raws) - int(keys.lookups.Load()-before)
			}
			var raws []string
			for i := range 10 * tt.most {
				raws = append(raws, sign(op, i, tt.changes))
			}
			// Half of what may be kept is kept.
			half := raws[:(tt.most+1)/2]
			verifyAll(half)
			require.Equal(t, len(half), verifyAll(half))
			verifyAll(raws)
			require.Eventually(t, func() bool { return verifyAll(raws) <= tt.most }, 10*time.Second, time.Millisecond)
		})
	}
}

func TestTokenCache_RefusesConfig(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	unversioned := newProvider(t, op, func(c *oidc.Config) { c.Keys = failing{errors.New("no keys")} })
	for name, tt := range map[string]struct {
		provider *oidc.Provider
		cache    oidc.TokenCacheConfig
	}{
		"negative tokens":      {p, oidc.TokenCacheConfig{MaxTokens: -1}},
		"negative bytes":       {p, oidc.TokenCacheConfig{MaxBytes: -1}},
		"one of them negative": {p, oidc.TokenCacheConfig{MaxTokens: 10, MaxBytes: math.MinInt64}},
		"keys without version": {unversioned, oidc.TokenCacheConfig{MaxTokens: 10}},
	} {
		v, err := oidc.NewAccessTokenVerifier(tt.provider, oidc.AccessTokenConfig{Audience: []string{api}, Cache: tt.cache})
		require.Nil(t, v, name)
		requireConfigError(t, err, "AccessTokenConfig.Cache")
	}
	newVerifier(t, unversioned) // without a cache they will do
	for _, cache := range []oidc.TokenCacheConfig{{MaxTokens: 1}, {MaxBytes: 1}, {MaxTokens: math.MaxInt}, {MaxBytes: math.MaxInt64}, {MaxTokens: math.MaxInt, MaxBytes: math.MaxInt64}} {
		v := newVerifier(t, p, func(c *oidc.AccessTokenConfig) { c.Cache = cache })
		for range 2 {
			_, err := v.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
			require.NoError(t, err)
		}
	}
}

// An outage is served through, and not for ever.
func TestK08_CachedTokenInAnOutage(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	token := r.miss(t, raw)
	r.op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	r.op.Advance(2 * time.Hour)
	again, _, err := r.verify(t, raw) // asks, and finds the provider down
	require.NoError(t, err)
	require.NotSame(t, token, again)
	// From then on the keys that we have are those that count.
	r.hit(t, raw)
	r.op.Advance(25 * time.Hour)
	for range 2 {
		_, _, err = r.verify(t, raw)
		requireUnavailable(t, err)
	}
	r.op.SetFault(oidctest.JWKS, oidctest.Fault{})
	r.op.Advance(time.Minute)
	r.miss(t, raw)
	r.hit(t, raw)
}

// A hit waits for nothing that a caller could give up.
func TestD10_CancelledCallerAndTheCache(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t)
	raw := r.sign(nil)
	token := r.miss(t, raw)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := verifyAccess(ctx, t, r, raw)
	require.NoError(t, err)
	require.Same(t, token, got)
	r.op.SetFault(oidctest.JWKS, oidctest.Fault{Hang: true})
	r.op.Advance(time.Hour)
	_, err = verifyAccess(ctx, t, r, raw)
	requireUnavailable(t, err)
	r.op.SetFault(oidctest.JWKS, oidctest.Fault{})
}

// G06: all of it at once, while keys come and go.
func TestG06_CacheIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	r := newCacheRig(t, func(c *oidc.AccessTokenConfig) { c.Cache.MaxTokens = 8 })
	var raws []string
	for i := range 16 {
		raws = append(raws, r.sign(object{"sub": fmt.Sprint("user", i)}))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				n := (i + g) % len(raws)
				token, err := r.Verify(context.Background(), raws[n])
				if err != nil || token.Subject != fmt.Sprint("user", n) {
					t.Errorf("token %d: %v", n, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			r.op.Rotate() // the earlier keys stay published
			r.op.Sign(nil, object{})
			r.op.Advance(4 * time.Minute)
		}
	})
	wg.Wait()
}
