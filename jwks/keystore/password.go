package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Password is asked for each time that the file is read, and not kept. It prints
// as an address. Its errors are those of [Load], and must not hold the password.
type Password func(ctx context.Context) (string, error)

// Text returns a password that is known.
func Text(password string) Password {
	return func(context.Context) (string, error) { return password, nil }
}

// maxPassword is how long a password in a file may be, in bytes.
const maxPassword = 4 << 10

// PasswordFile returns a password that stands in a file, as a Kubernetes secret does.
// One line break at its end is not part of it. An empty file is an error.
func PasswordFile(path string) Password {
	return func(context.Context) (string, error) {
		f, err := os.Open(path) //nolint:gosec // G304: of the configuration
		if err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
		if err != nil {
			return "", err
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		switch {
		case len(text) == 0:
			return "", fmt.Errorf("%s is empty", path)
		case len(text) > maxPassword:
			return "", fmt.Errorf("%s is larger than %d bytes", path, maxPassword)
		}
		return string(text), nil
	}
}

// store returns the password of the store, which must be there.
func (cfg Config) store(ctx context.Context) (string, error) {
	return ask(ctx, "StorePassword", cfg.StorePassword)
}

// key returns the password of the key, which is that of the store where it has no
// other.
func (cfg Config) key(ctx context.Context) (string, error) {
	if cfg.KeyPassword == nil {
		return ask(ctx, "KeyPassword", cfg.StorePassword)
	}
	return ask(ctx, "KeyPassword", cfg.KeyPassword)
}

var errEmpty = errors.New("it is empty")

func ask(ctx context.Context, field string, p Password) (string, error) {
	if p == nil {
		return "", &Error{Reason: NoPassword, Detail: "the file is encrypted: Config." + field + " is required"}
	}
	password, err := p(ctx)
	if err == nil && password == "" {
		err = errEmpty
	}
	if err != nil {
		return "", &Error{Reason: NoPassword, Detail: "Config." + field, Err: err}
	}
	return password, nil
}
