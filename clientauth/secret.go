package clientauth

import (
	"fmt"
	"log/slog"
)

// A Secret is a client secret or another text that must not be seen. It prints
// as [redacted] with every verb, in JSON and in logs; only in an unexported field of
// a struct that is printed, package fmt does not ask it.
type Secret string

const redacted = "[redacted]"

// Format implements [fmt.Formatter].
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

func (s Secret) hide() func() string { return func() string { return string(s) } }
