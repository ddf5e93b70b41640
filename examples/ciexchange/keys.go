package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// keySource reads the private keys of a file, which is made if it is not there, and read
// again when it changes. Without a name the key ends with the process.
func keySource(name string, logger *slog.Logger) (exchange.KeySource, error) {
	made, err := newKeys()
	if err != nil {
		return nil, err
	}
	if name == "" {
		logger.Warn("token.keys is not set: tokens end with this process, and no other one knows them")
		keys, err := jwks.ParseSigningKeys(made)
		return exchange.StaticKeys(keys), err
	}
	// Not over what is there, and for nobody else to read.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: the name is the operator's
	if err == nil {
		logger.Info("token.keys: the file is made", slog.String("file", name))
		_, err = f.Write(made)
		err = errors.Join(err, f.Close())
	}
	var source *exchange.KeyFile
	if err == nil || errors.Is(err, fs.ErrExist) {
		source, err = exchange.ReadKeyFile(exchange.KeyFileConfig{Path: name, Logger: logger})
	}
	if err != nil {
		return nil, fmt.Errorf("token.keys: %w: write the name of a JWK Set with private keys, or of a file to be made", err)
	}
	return source, nil
}

// newKeys makes a JWK Set with one private key.
func newKeys() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	kid, err := jwks.Thumbprint(key.Public())
	if err != nil {
		return nil, err
	}
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: kid, Algorithm: "ES256", Use: "sig"}}})
}
