package exchange

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/oidckit/oidckit/jwks"
)

// A rotation remembers which keys there were and since when. Keys.mu guards it.
type rotation struct {
	logger    *slog.Logger
	cacheAge  time.Duration
	keepAfter time.Duration // how long a key is published after it was last in use

	// What the source said last, to see that nothing has changed.
	lastSign, lastPublish []*jwks.SigningKey
	started               bool

	known   []*known          // all that are published, in the order of the source
	sign    []*known          // those that are to sign
	current map[string]*known // those that do, by algorithm; the default has an empty one
	dropped uint64            // how many were withdrawn
}

// A known key is published.
type known struct {
	key        *jwks.SigningKey // under the kid by which others know it
	thumbprint string
	ready      time.Time // when everybody has learnt of it; zero for the first keys
	listed     bool      // the source has it
	used       time.Time // when it was last listed, or might have signed
}

func newRotation(cfg KeysConfig) rotation {
	return rotation{
		logger: cfg.Logger, cacheAge: cfg.CacheAge, current: map[string]*known{},
		// Those who read the set late keep it for CacheAge; the last token is good for its
		// lifetime, by a clock that is late. CacheAge again, for other processes that let a
		// new key sign later than this one.
		keepAfter: cfg.CacheAge + cfg.Lifetime + cfg.Leeway,
	}
}

// update takes over what the source says. What cannot be used changes nothing, and is told
// once; it is an error only if there is nothing from before.
func (r *rotation) update(ctx context.Context, sign, publish []*jwks.SigningKey, now time.Time) error {
	if !r.started || !slices.Equal(sign, r.lastSign) || !slices.Equal(publish, r.lastPublish) {
		switch err := r.replace(ctx, sign, publish, now); {
		case err != nil && !r.started:
			return err
		case err != nil:
			r.logger.ErrorContext(ctx, "exchange: the new keys cannot be used; the ones from before serve", slog.Any("error", err))
		}
		r.lastSign, r.lastPublish, r.started = slices.Clone(sign), slices.Clone(publish), true
	}
	r.choose(ctx, now)
	r.drop(ctx, now)
	return nil
}

var errNothingSigns = errors.New("exchange: the source of keys has none that signs")

func (r *rotation) replace(ctx context.Context, sign, publish []*jwks.SigningKey, now time.Time) error {
	if len(sign) == 0 {
		return errNothingSigns
	}
	next := rotation{known: slices.Clone(r.known), started: r.started, cacheAge: r.cacheAge}
	var listed, signing []*known
	for i, key := range slices.Concat(sign, publish) {
		k, err := next.know(key, now)
		if err != nil {
			return err
		}
		if slices.Contains(listed, k) { // a source may name a key twice
			continue
		}
		if listed = append(listed, k); i < len(sign) {
			signing = append(signing, k)
		}
	}
	gone := slices.DeleteFunc(slices.Clone(r.known), func(k *known) bool { return slices.Contains(listed, k) })
	r.tell(ctx, listed, gone)
	for _, k := range listed {
		k.listed = true
	}
	for _, k := range gone {
		k.listed = false
	}
	r.known, r.sign = slices.Concat(listed, gone), signing
	return nil
}

// know finds a key, or makes it known. A key keeps the kid that it had first.
func (r *rotation) know(key *jwks.SigningKey, now time.Time) (*known, error) {
	if key == nil {
		return nil, errors.New("exchange: the source of keys has one that is nil")
	}
	thumbprint, err := jwks.Thumbprint(key.Public())
	if err != nil {
		return nil, err
	}
	for _, k := range r.known {
		switch {
		case k.thumbprint == thumbprint && k.key.Algorithm() == key.Algorithm():
			return k, nil
		// RFC 8725 section 3.8; and nobody could say which of the two a token names.
		case k.thumbprint == thumbprint:
			return nil, errors.New("exchange: one key is there with two algorithms: make another one")
		}
	}
	// What a kid names must not change as long as others may remember it.
	taken := func(k *known) bool { return k.key.ID() == key.ID() }
	if key.ID() == "" || slices.ContainsFunc(r.known, taken) {
		if key, err = key.Renamed(thumbprint); err != nil {
			return nil, err
		}
	}
	k := &known{key: key, thumbprint: thumbprint}
	if r.started { // nobody has heard of the first keys, but there is nothing else to sign with
		k.ready = now.Add(r.cacheAge)
	}
	r.known = append(r.known, k)
	return k, nil
}

func (r *rotation) tell(ctx context.Context, listed, gone []*known) {
	for _, k := range listed {
		if !slices.Contains(r.known, k) {
			r.logger.InfoContext(ctx, "exchange: a key is published", k.attrs()...)
		}
	}
	for _, k := range gone {
		if k.listed {
			r.logger.InfoContext(ctx, "exchange: a key is to go; it stays published while what it signed is good", k.attrs()...)
		}
	}
}

func (k *known) attrs() []any {
	return []any{slog.String("kid", k.key.ID()), slog.String("alg", k.key.Algorithm())}
}

// choose decides which keys sign, for each algorithm and by default.
func (r *rotation) choose(ctx context.Context, now time.Time) {
	wanted := map[string]*known{"": r.sign[0]}
	for _, k := range r.sign {
		if alg := k.key.Algorithm(); wanted[alg] == nil {
			wanted[alg] = k
		}
	}
	for alg := range r.current {
		if wanted[alg] == nil {
			delete(r.current, alg)
		}
	}
	for alg, key := range wanted {
		r.chooseOne(ctx, alg, key, now)
	}
}

// chooseOne: the key that is wanted signs once all have learnt of it; until then the one that
// signed before does, wherever that is now.
func (r *rotation) chooseOne(ctx context.Context, alg string, wanted *known, now time.Time) {
	next := r.current[alg]
	switch {
	case !now.Before(wanted.ready):
		next = wanted
	case next == nil: // a new algorithm: nobody has to have it yet
		return
	}
	if next != r.current[alg] {
		r.logger.InfoContext(ctx, "exchange: a key signs", append(next.attrs(), slog.Bool("default", alg == ""))...)
	}
	r.current[alg] = next
	next.used = now
}

// drop withdraws keys whose last token has expired.
func (r *rotation) drop(ctx context.Context, now time.Time) {
	r.known = slices.DeleteFunc(r.known, func(k *known) bool {
		if k.listed {
			k.used = now
		}
		old := now.After(k.used.Add(r.keepAfter))
		if old {
			r.dropped++
			r.logger.InfoContext(ctx, "exchange: a key is withdrawn", k.attrs()...)
		}
		return old
	})
}

func (r *rotation) signer(algorithm string) *jwks.SigningKey {
	if k := r.current[algorithm]; k != nil {
		return k.key
	}
	return nil
}

// algorithms returns those that something signs with, the default first.
func (r *rotation) algorithms() (list []string) {
	if k := r.current[""]; k != nil {
		list = append(list, k.key.Algorithm())
	}
	for _, k := range r.sign {
		if alg := k.key.Algorithm(); r.current[alg] != nil && !slices.Contains(list, alg) {
			list = append(list, alg)
		}
	}
	return list
}

func (r *rotation) published() []*jwks.SigningKey {
	list := make([]*jwks.SigningKey, len(r.known))
	for i, k := range r.known {
		list[i] = k.key
	}
	return list
}
