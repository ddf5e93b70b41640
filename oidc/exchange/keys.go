package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/oidckit/oidckit/jwks"
)

// A KeySource says which keys an issuer is to have: [StaticKeys], a [KeyFile], or a
// database of the program. It is asked for each token and each reader of the JWK Set, so
// it should answer from memory; as long as nothing has changed it must answer with the same
// *[jwks.SigningKey]s. It must be safe for concurrent use.
type KeySource interface {
	// SigningKeys returns the keys that are to sign, one for each algorithm, the default
	// first, and others that are published only. A source that cannot tell at the
	// moment answers with what it said before; an error fails the request, and should
	// answer errors.Is for oidckit.ErrUnavailable.
	SigningKeys(ctx context.Context) (sign, publish []*jwks.SigningKey, err error)
}

// StaticKeys never change. The first key of each algorithm signs, the first of all is the
// default; the others are published only.
type StaticKeys []*jwks.SigningKey

// SigningKeys implements [KeySource].
func (s StaticKeys) SigningKeys(context.Context) (sign, publish []*jwks.SigningKey, err error) {
	sign, publish = firsts(s)
	return sign, publish, nil
}

// firsts takes the first key of each algorithm apart from the rest.
func firsts(keys []*jwks.SigningKey) (first, rest []*jwks.SigningKey) {
	for _, k := range keys {
		same := func(o *jwks.SigningKey) bool { return o.Algorithm() == k.Algorithm() }
		if slices.ContainsFunc(first, same) {
			rest = append(rest, k)
		} else {
			first = append(first, k)
		}
	}
	return first, rest
}

// The defaults and limits of [KeysConfig].
const (
	DefaultLifetime = 15 * time.Minute
	MaxLifetime     = 24 * time.Hour
	defaultLeeway   = time.Minute
	maxCacheAge     = 7 * 24 * time.Hour
)

// KeysConfig says which keys there are, and how slowly they may change.
//
// What is known of a change is in memory. A key that a source has from the start signs from
// the start, and one that it no longer has then is not published. So whoever restarts
// programs in the course of a rotation, or runs several, adds the new key as one that is
// published only, lets it sign after CacheAge, and leaves the old one there for Lifetime.
type KeysConfig struct {
	// Source is required.
	Source KeySource
	// Lifetime is the longest that a token lives; default [DefaultLifetime], at most
	// [MaxLifetime]. A key that the source no longer has stays published for that long
	// after it was last used.
	Lifetime time.Duration
	// CacheAge is how long others keep the JWK Set. A new key is published for that long
	// before it signs; until then the one before it does. Default and least is
	// [jwks.PublishedFor], which is what they are told.
	CacheAge time.Duration
	// Leeway is how far clocks may differ; default 1 min. It lengthens how long keys
	// stay published.
	Leeway time.Duration
	// Logger is told when keys come, sign, and go. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

func (cfg *KeysConfig) setDefaults() {
	if cfg.Lifetime == 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.CacheAge == 0 {
		cfg.CacheAge = jwks.PublishedFor
	}
	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

func (cfg *KeysConfig) check() error {
	switch {
	case cfg.Source == nil:
		return errors.New("exchange: KeysConfig.Source is required: use StaticKeys or ReadKeyFile")
	case cfg.Lifetime < time.Second || cfg.Lifetime > MaxLifetime:
		return fmt.Errorf("exchange: KeysConfig.Lifetime must be between a second and %v", MaxLifetime)
	case cfg.CacheAge < jwks.PublishedFor || cfg.CacheAge > maxCacheAge:
		return fmt.Errorf("exchange: KeysConfig.CacheAge must be between %v, which is what readers are told, and a week", jwks.PublishedFor)
	case cfg.Leeway < 0 || cfg.Leeway > 5*time.Minute:
		return errors.New("exchange: KeysConfig.Leeway must be between 0 and 5 min")
	}
	return nil
}

// Keys are the signing keys of an issuer while they change. Several issuers may share them.
// They print without private parts, cost nothing at rest, and are safe for concurrent use.
type Keys struct {
	cfg KeysConfig
	mu  sync.Mutex
	rotation
}

// NewKeys does no I/O. Errors are about cfg alone.
func NewKeys(cfg KeysConfig) (*Keys, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Keys{cfg: cfg, rotation: newRotation(cfg)}, nil
}

// Lifetime is the longest that a token lives.
func (k *Keys) Lifetime() time.Duration { return k.cfg.Lifetime }

var errNoKeys = errors.New("exchange: Keys was not made by NewKeys")

// look has the source asked, and f see what follows from its answer.
func (k *Keys) look(ctx context.Context, f func()) error {
	if k == nil || k.cfg.Source == nil {
		return errNoKeys
	}
	sign, publish, err := k.cfg.Source.SigningKeys(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.update(ctx, sign, publish, k.cfg.Now()); err != nil {
		return err
	}
	f()
	return nil
}

// SigningKey returns the key that signs at the moment with an algorithm, or by default if
// that is empty. It is nil if none does.
func (k *Keys) SigningKey(ctx context.Context, algorithm string) (key *jwks.SigningKey, err error) {
	err = k.look(ctx, func() { key = k.signer(algorithm) })
	return key, err
}

// Algorithms returns those that [Keys.SigningKey] has a key for, the default first.
func (k *Keys) Algorithms(ctx context.Context) (algorithms []string, err error) {
	err = k.look(ctx, func() { algorithms = k.algorithms() })
	return algorithms, err
}

// PublicJWKs implements [jwks.Publisher].
func (k *Keys) PublicJWKs(ctx context.Context) (list []jwks.PublicJWK, err error) {
	err = k.look(ctx, func() {
		for _, key := range k.published() {
			list = append(list, key.JWK())
		}
	})
	return list, err
}

// Keys implements [jwks.Source], for a verifier of our own tokens in the same program.
func (k *Keys) Keys(ctx context.Context, q jwks.Query) (keys []jwks.Key, err error) {
	var static jwks.Static
	if err := k.look(ctx, func() {
		for _, key := range k.published() {
			static = append(static, key.Key())
		}
	}); err != nil {
		return nil, err
	}
	return static.Keys(ctx, q)
}

// Version implements [jwks.Versioned].
func (k *Keys) Version(ctx context.Context, _ time.Time) (version uint64, ok bool) {
	err := k.look(ctx, func() { version = k.dropped + 1 })
	return version, err == nil
}

// Format prints that these are keys, with every verb.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("exchange.Keys")) }
