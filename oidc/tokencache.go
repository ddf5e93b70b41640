package oidc

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/oidckit/oidckit/jwks"
)

// TokenCacheConfig bounds a cache of verified tokens. The zero value is no cache.
//
// A token that is found there costs no cryptography: it is the same, byte for byte, as
// one that was verified by this verifier, with keys that the provider still publishes,
// and has not expired. What changes from request to request is not kept: Bearer checks
// scopes and roles each time. A token that the provider revoked is good until it
// expires, with a cache as without one. Tokens that are refused are never kept. A
// verifier with DecryptionKeys keeps none.
//
// The cache holds the tokens themselves, in memory.
type TokenCacheConfig struct {
	// MaxTokens is how many tokens are kept; default 10,000 if MaxBytes is set.
	MaxTokens int
	// MaxBytes is how much memory they may take, roughly; default 64 MiB if MaxTokens
	// is set.
	MaxBytes int64
}

const (
	defaultMaxTokens = 10_000
	defaultMaxBytes  = 64 << 20
	entryOverhead    = 768 // bytes of an AccessToken and its place in the cache
)

// tokenCache keeps what a verifier found out. It belongs to one verifier, hence to one
// configuration.
type tokenCache struct {
	tokens *otter.Cache[string, *cachedToken]
	keys   jwks.Versioned
}

// A cachedToken is good for as long as the keys have the version they had.
type cachedToken struct {
	raw     string // all of it: what is looked for is compared with this
	token   *AccessToken
	version uint64
	until   time.Time
}

func newTokenCache(cfg TokenCacheConfig, keys jwks.Source) (*tokenCache, error) {
	if cfg == (TokenCacheConfig{}) {
		return nil, nil //nolint:nilnil // no cache is no error
	}
	if cfg.MaxTokens < 0 || cfg.MaxBytes < 0 {
		return nil, errors.New("oidc: AccessTokenConfig.Cache: MaxTokens and MaxBytes must not be negative")
	}
	source, ok := keys.(jwks.Versioned)
	if !ok {
		return nil, errors.New("oidc: AccessTokenConfig.Cache needs keys that implement jwks.Versioned: a token must not outlive its key")
	}
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = defaultMaxTokens
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.share() > math.MaxUint32 { // more than one token can weigh
		cfg.MaxBytes = int64(cfg.MaxTokens) * math.MaxUint32
	}
	tokens, err := otter.New(&otter.Options[string, *cachedToken]{
		MaximumWeight: uint64(cfg.MaxBytes),
		Weigher:       cfg.weigh,
	})
	if err != nil {
		return nil, errors.New("oidc: AccessTokenConfig.Cache cannot be made")
	}
	return &tokenCache{tokens: tokens, keys: source}, nil
}

// tail is the key of a token: the end of its signature, which hashes faster than the
// whole. If two met there, they would displace each other and no more. A token has one
// spelling, hence one entry; with ECDSA, whose signatures have a twin, it may have two.
func tail(raw string) string { return raw[max(0, len(raw)-tailLength):] }

const tailLength = 43 // characters: 256 bits

// share is the part of MaxBytes that each of MaxTokens may take.
func (cfg TokenCacheConfig) share() int64 { return (cfg.MaxBytes-1)/int64(cfg.MaxTokens) + 1 }

// weigh counts bytes, and no token for less than its share: so the one bound of the
// cache is both of ours.
func (cfg TokenCacheConfig) weigh(_ string, t *cachedToken) uint32 {
	size := int64(2*len(t.raw) + entryOverhead) // the token, and its claims
	return uint32(min(max(cfg.share(), size), math.MaxUint32))
}

// A receipt says with which keys a token is about to be verified. It is made before
// that: a key that goes in the meantime takes the token with it.
type receipt struct {
	version uint64
	ok      bool
}

// get returns what is known of a token, or nil. A nil cache knows nothing.
func (c *tokenCache) get(ctx context.Context, raw string, now time.Time) (*AccessToken, receipt) {
	if c == nil {
		return nil, receipt{}
	}
	version, ok := c.keys.Version(ctx, now)
	if !ok {
		return nil, receipt{}
	}
	t, hit := c.tokens.GetIfPresent(tail(raw))
	if hit && t.raw == raw && t.version == version && now.Before(t.until) {
		return t.token, receipt{}
	}
	return nil, receipt{version: version, ok: true}
}

func (c *tokenCache) put(raw string, token *AccessToken, r receipt, now, until time.Time) {
	if r.ok && now.Before(until) {
		raw = strings.Clone(raw) // not a part of a whole header
		c.tokens.Set(tail(raw), &cachedToken{raw: raw, token: token, version: r.version, until: until})
	}
}

// goodUntil is when a token has to be judged again: at "exp", or when it is too old.
// There is no leeway here.
func (v *AccessTokenVerifier) goodUntil(t *AccessToken) time.Time {
	if v.maxAge > 0 {
		return earlier(t.Expiry, t.IssuedAt.Add(v.maxAge))
	}
	return t.Expiry
}
