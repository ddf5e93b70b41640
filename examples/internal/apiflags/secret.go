package apiflags

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/oidckit/oidckit/clientauth"
)

// A Secret is "env:NAME", "file:PATH", or the secret itself, which everybody on this
// machine can then read in the list of processes.
type Secret struct {
	Source clientauth.SecretSource // nil if there is none
	Value  clientauth.Secret       // what Source has at the start
}

// String does not show the secret.
func (*Secret) String() string { return "" }

// Set must not fail for a bare secret: package flag prints what it could not set.
func (s *Secret) Set(text string) error {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case "env":
		s.Source = clientauth.Secret(os.Getenv(name))
	case "file":
		s.Source = clientauth.SecretFile(name)
	default:
		fmt.Fprintln(os.Stderr, "warning: a secret in the list of processes: write env:NAME or file:PATH in its place")
		s.Value = clientauth.Secret(text)
		s.Source = s.Value
		return nil
	}
	var err error
	if s.Value, err = s.Source.Secret(context.Background()); err != nil || s.Value == "" {
		return errors.New("no secret is there: write env: and a variable, or file: and a path")
	}
	return nil
}
