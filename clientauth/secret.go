package clientauth

import (
	"context"
	"fmt"
	"log/slog"
)

// A Secret is a client secret or another text that must not be seen. It prints
// as [redacted] with every verb, in JSON and in logs; only in an unexported field of
// a struct that is printed, package fmt does not ask it. It is a [SecretSource].
type Secret string

const redacted = "[redacted]"

// Format implements [fmt.Formatter].
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Secret implements [SecretSource].
func (s Secret) Secret(context.Context) (Secret, error) { return s, nil }

// A SecretSource has the secret of a client: [Secret], [SecretFunc], [SecretFile] or
// another. It is asked for each request, and must be safe for concurrent use. Its
// error must not hold the secret.
//
// A source that keeps what it has read has a method Renew besides, with the parameters
// and results of Secret, which reads it at once: it is called after the provider has
// refused the client.
type SecretSource interface {
	Secret(ctx context.Context) (Secret, error)
}

// A SecretFunc is a [SecretSource] that asks a function: a vault's, for example. A
// nil one is an error.
type SecretFunc func(ctx context.Context) (Secret, error)

// Secret implements [SecretSource].
func (f SecretFunc) Secret(ctx context.Context) (Secret, error) {
	if f == nil {
		return "", problem(ReasonConfiguration, "the SecretFunc is nil: give it a function")
	}
	return f(ctx)
}

// Format prints [redacted] with every verb.
func (SecretFunc) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText prints [redacted].
func (SecretFunc) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue prints [redacted].
func (SecretFunc) LogValue() slog.Value { return slog.StringValue(redacted) }
