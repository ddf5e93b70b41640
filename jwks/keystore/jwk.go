package keystore

import (
	"context"
	"errors"

	"github.com/oidckit/oidckit/jwks"
)

func readJWK(_ context.Context, cfg Config, content []byte) (*loaded, error) {
	key, err := jwks.ParseSigningKey(content)
	if err != nil {
		return nil, notParsed(err)
	}
	return cfg.loadJWKs([]*jwks.SigningKey{key})
}

func readJWKS(_ context.Context, cfg Config, content []byte) (*loaded, error) {
	keys, err := jwks.ParseSigningKeys(content)
	if err != nil {
		return nil, notParsed(err)
	}
	return cfg.loadJWKs(keys)
}

// notParsed: errors of package jwks hold nothing of a key.
func notParsed(err error) error {
	e := &Error{Reason: Malformed, Detail: "the private key cannot be read", Err: err}
	var key *jwks.KeyError
	switch {
	case errors.Is(err, jwks.ErrNoUsableKey):
		e.Reason = NoKey
	case !errors.As(err, &key) || key.Reason == jwks.KeyMalformed:
	case key.Reason == jwks.KeyWeak || key.Reason == jwks.KeyUse:
		e.Reason = Unusable
	default:
		e.Reason = Unsupported
	}
	return e
}

// loadJWKs has the chosen key sign, and all be published.
func (cfg Config) loadJWKs(keys []*jwks.SigningKey) (*loaded, error) {
	if cfg.Thumbprint {
		return nil, &Error{Reason: Unusable, Detail: "Config.Thumbprint needs a certificate, and a JWK has none"}
	}
	at, current, err := cfg.chooseJWK(keys)
	if err != nil {
		return nil, err
	}
	keys[at] = current
	var also []*jwks.SigningKey
	for i, k := range keys {
		if k, err = cfg.withKeyID(k); err != nil {
			return nil, unusable(err)
		}
		if keys[i] = k; i != at {
			also = append(also, k)
		}
	}
	set, err := jwks.NewSigningKeys(keys[at], also...)
	if err != nil {
		return nil, unusable(err)
	}
	return &loaded{keys: set}, nil
}

// chooseJWK returns the first key that has the name and the algorithm which the
// configuration asks for. The error is that of the last one that has the name.
func (cfg Config) chooseJWK(keys []*jwks.SigningKey) (at int, chosen *jwks.SigningKey, err error) {
	name := cfg.Alias
	if len(keys) > 1 && name == "" {
		name = cfg.KeyID
	}
	err = &Error{Reason: Alias, Detail: "no private key has the kid in Config.Alias or Config.KeyID", Aliases: kids(keys)}
	for i, k := range keys {
		if name != "" && k.ID() != name {
			continue
		}
		var misfit error
		if chosen, misfit = k.With(cfg.Algorithm, cfg.KeyID); misfit == nil {
			return i, chosen, nil
		}
		err = unusable(misfit)
	}
	return 0, nil, err
}

func kids(keys []*jwks.SigningKey) (list []string) {
	for _, k := range keys {
		list = append(list, k.ID())
	}
	return list
}

func (cfg Config) withKeyID(k *jwks.SigningKey) (*jwks.SigningKey, error) {
	if !cfg.ThumbprintKeyID || k.ID() != "" {
		return k, nil
	}
	kid, err := jwks.Thumbprint(k.Public())
	if err != nil {
		return nil, err
	}
	return k.With("", kid)
}
