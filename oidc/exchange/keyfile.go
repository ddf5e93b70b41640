package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/oidckit/oidckit/internal/file"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// A KeyChoice says which key signs with an algorithm.
type KeyChoice struct{ Algorithm, KeyID string }

// KeyFileConfig says where our private keys are.
type KeyFileConfig struct {
	// Path is of a JWK Set with private keys (RFC 7517 section 5), as
	// [jwks.ParseSigningKeys] reads it. Required. It may be a link that is moved, as in a
	// volume of Kubernetes.
	Path string
	// Signing are the keys that sign, one for each algorithm, the default first. The others
	// of the file are published only. Empty is the first key of each algorithm.
	//
	// If two keys of the file have one kid and algorithm, it is the first of them that
	// signs. The other one is published under its thumbprint (RFC 7638), for a kid has to
	// lead to one key.
	Signing []KeyChoice
	// Default is the algorithm of Signing that is the default; empty is the first.
	Default string
	// Logger is told about the beginning (an error) and the end of the time in which the
	// file cannot be used, and about keys of one kid. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A KeyFile is a [KeySource] that reads a file again when it has changed: whoever asks looks
// after it, at most once a second. A file that is broken, gone, or lacks a key that is to
// sign changes nothing: the keys from before stay, and [KeyFile.Err] tells. It is safe for
// concurrent use.
type KeyFile struct {
	cfg   KeyFileConfig
	value *file.Value[*keyFile]
}

type keyFile struct{ sign, publish []*jwks.SigningKey }

// maxKeyFile is as much as is read of a file, in bytes.
const maxKeyFile = 1 << 20

// ReadKeyFile reads a file. An error is about cfg, the file system, or of type
// *jwks.KeyError, and holds nothing of the keys.
func ReadKeyFile(cfg KeyFileConfig) (*KeyFile, error) {
	if cfg.Path == "" {
		return nil, errors.New("exchange: KeyFileConfig.Path is required: write the path of a JWK Set with private keys")
	}
	cfg.Signing = slices.Clone(cfg.Signing)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &KeyFile{cfg: cfg}
	f.value = file.New(file.Config[*keyFile]{
		For: "exchange", Paths: []string{cfg.Path}, MaxSize: maxKeyFile, Parse: f.parse, Told: f.told, Now: cfg.Now,
	})
	if err := f.value.Get(context.Background()).Err; err != nil {
		return nil, err
	}
	return f, nil
}

// check puts the default first.
func (cfg *KeyFileConfig) check() error {
	for i, c := range cfg.Signing {
		is := func(o KeyChoice) bool { return o.Algorithm == c.Algorithm }
		switch {
		case !slices.Contains(jwt.Asymmetric, c.Algorithm):
			return fmt.Errorf("exchange: KeyFileConfig.Signing: %.20q is no algorithm for keys that are published: write RS256, ES256 or the like", c.Algorithm)
		case slices.ContainsFunc(cfg.Signing[:i], is):
			return fmt.Errorf("exchange: KeyFileConfig.Signing: %s is there twice: leave one", c.Algorithm)
		case c.Algorithm == cfg.Default:
			cfg.Signing = slices.Concat(cfg.Signing[i:i+1], cfg.Signing[:i], cfg.Signing[i+1:])
			cfg.Default = ""
		}
	}
	if cfg.Default != "" {
		return fmt.Errorf("exchange: KeyFileConfig.Default: %.20q is not in Signing: write one that is", cfg.Default)
	}
	return nil
}

func (f *KeyFile) parse(ctx context.Context, _ *keyFile, contents [][]byte) (*keyFile, error) {
	keys, err := jwks.ParseSigningKeys(contents[0])
	if err != nil {
		return nil, err
	}
	next, err := f.cfg.choose(keys)
	if err != nil {
		return nil, err
	}
	try := newRotation(KeysConfig{Logger: slog.New(slog.DiscardHandler)})
	if err := try.replace(ctx, next.sign, next.publish, time.Time{}); err != nil {
		return nil, err
	}
	f.warn(ctx, keys)
	return next, nil
}

// choose takes the first key of each choice: kids need not be unique.
func (cfg *KeyFileConfig) choose(keys []*jwks.SigningKey) (*keyFile, error) {
	if len(cfg.Signing) == 0 {
		sign, publish := firsts(keys)
		return &keyFile{sign, publish}, nil
	}
	next := &keyFile{}
	for _, c := range cfg.Signing {
		fits := func(k *jwks.SigningKey) bool { return k.ID() == c.KeyID && k.Algorithm() == c.Algorithm }
		i := slices.IndexFunc(keys, fits)
		if i < 0 {
			return nil, fmt.Errorf("there is no key with the kid %.60q for %.20q: add it, or name another one", c.KeyID, c.Algorithm)
		}
		next.sign = append(next.sign, keys[i])
	}
	for _, k := range keys {
		if !slices.Contains(next.sign, k) {
			next.publish = append(next.publish, k)
		}
	}
	return next, nil
}

// warn tells about keys that cannot be told apart by their kid.
func (f *KeyFile) warn(ctx context.Context, keys []*jwks.SigningKey) {
	for i, k := range keys {
		same := func(o *jwks.SigningKey) bool { return o.ID() == k.ID() }
		if k.ID() != "" && slices.ContainsFunc(keys[:i], same) {
			f.cfg.Logger.WarnContext(ctx, "exchange: two keys of the file have one kid; the first keeps it, the other is published under its thumbprint: give each its own",
				slog.String("kid", k.ID()), slog.String("alg", k.Algorithm()))
		}
	}
}

func (f *KeyFile) told(ctx context.Context, failed bool, err error) {
	switch {
	case err != nil && !failed:
		f.cfg.Logger.ErrorContext(ctx, "exchange: the key file cannot be used; the keys from before serve", slog.Any("error", err))
	case err == nil && failed:
		f.cfg.Logger.InfoContext(ctx, "exchange: the key file can be used again")
	}
}

// SigningKeys implements [KeySource]. It has an answer always.
func (f *KeyFile) SigningKeys(ctx context.Context) (sign, publish []*jwks.SigningKey, err error) {
	if f == nil || f.value == nil {
		return nil, nil, errors.New("exchange: KeyFile was not made by ReadKeyFile")
	}
	keys := f.value.Get(ctx).Value
	return keys.sign, keys.publish, nil
}

// Err is why the file could not be used when it was last looked at; nil if it could. It does
// not look.
func (f *KeyFile) Err() error { return f.value.Last().Err }
