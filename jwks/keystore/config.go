package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// The types of files.
const (
	PEM    = "PEM"
	JWK    = "JWK"
	JWKS   = "JWKS"
	PKCS12 = "PKCS12"
	JKS    = "JKS"
)

var types = []string{PEM, JWK, JWKS, PKCS12, JKS}

// Config says where a key is, and how it signs.
type Config struct {
	// Path is of the file; required. It may be a symbolic link that is moved. At most
	// 1 MiB is read.
	Path string
	// Type is one of [PEM], [JWK], [JWKS], [PKCS12] and [JKS], in any case. Empty means
	// what the content looks like.
	Type string
	// StorePassword opens a store of type PKCS12 or JKS.
	StorePassword Password
	// KeyPassword opens the key: in a JKS, and an encrypted key in PEM. Nil means
	// StorePassword. PKCS12 has one password, and it is an error if there is another here.
	KeyPassword Password
	// Alias names the key in a store, without regard to case, as Java does; in a JWK or
	// a JWK Set it is the "kid" of the key that signs. It may be empty if there is only
	// one key. In a JWK Set, empty means the first key that has Algorithm.
	Alias string
	// Algorithm is as in [jwks.SigningKeyConfig]. A JWK that has another "alg" is an
	// error.
	Algorithm string
	// KeyID is the "kid" that is sent and published, as in [jwks.SigningKeyConfig]. A JWK
	// has its own: leave this empty, or let it be the same.
	KeyID string
	// ThumbprintKeyID makes the "kid" of the key ([jwks.Thumbprint]), so that it changes
	// with the key. KeyID must be empty. A JWK that has a "kid" keeps it.
	ThumbprintKeyID bool
	// Thumbprint sends "x5t#S256" of the key's certificate, as in [jwks.SigningKeyConfig].
	Thumbprint bool
	// Logger is told about the beginning (a warning) and the end of the time in which
	// the file cannot be used. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

func (cfg Config) check() error {
	switch {
	case cfg.Path == "":
		return errors.New("keystore: Config.Path is required")
	case cfg.Type != "" && !slices.Contains(types, strings.ToUpper(cfg.Type)):
		return fmt.Errorf("keystore: Config.Type: %.40q is unknown, use one of %v", cfg.Type, types)
	case cfg.KeyID != "" && cfg.ThumbprintKeyID:
		return errors.New("keystore: Config.ThumbprintKeyID: leave KeyID empty")
	}
	return nil
}

// A reader finds the keys in a file of one type.
type reader func(ctx context.Context, cfg Config, content []byte) (*loaded, error)

func (cfg Config) reader(content []byte) (reader, error) {
	kind := strings.ToUpper(cfg.Type)
	if kind == "" {
		kind = looksLike(content)
	}
	switch kind {
	case PEM:
		return readPEM, nil
	case JWK:
		return readJWK, nil
	case JWKS:
		return readJWKS, nil
	case PKCS12:
		return readPKCS12, nil
	case JKS:
		return readJKS, nil
	}
	return nil, unsupported(fmt.Sprintf("the content is of no type that is known, use one of %v", types))
}
