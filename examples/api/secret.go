package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/oidckit/oidckit/clientauth"
)

// A secretFlag is "env:NAME", "file:PATH", or the secret itself, which everybody on this
// machine can then read in the list of processes.
type secretFlag struct {
	source clientauth.SecretSource // nil if there is none
	value  clientauth.Secret       // what source has at the start
}

// String does not show the secret.
func (*secretFlag) String() string { return "" }

// Set must not fail for a bare secret: package flag prints what it could not set.
func (s *secretFlag) Set(text string) error {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case "env":
		s.source = clientauth.Secret(os.Getenv(name))
	case "file":
		s.source = clientauth.SecretFile(name)
	default:
		fmt.Fprintln(os.Stderr, "warning: a secret in the list of processes: write env:NAME or file:PATH in its place")
		s.value = clientauth.Secret(text)
		s.source = s.value
		return nil
	}
	var err error
	if s.value, err = s.source.Secret(context.Background()); err != nil || s.value == "" {
		return errors.New("no secret is there: write env: and a variable, or file: and a path")
	}
	return nil
}
