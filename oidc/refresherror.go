package oidc

import (
	"fmt"

	"github.com/oidckit/oidckit"
)

// RefreshError says that the provider answered a refresh, and that the answer
// cannot be used: it is malformed, its scope is wider than what was asked for, or its ID
// token is refused or could not be judged. The refresh token that was sent may be spent
// by now.
type RefreshError struct {
	// Err is why; the error answers errors.Is and errors.As for it.
	Err error

	refreshToken string
}

func (e *RefreshError) Error() string {
	return "oidc: the answer to a refresh cannot be used: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *RefreshError) Unwrap() error { return e.Err }

// RefreshToken returns the refresh token to go on with.
func (e *RefreshError) RefreshToken() string { return e.refreshToken }

// Format prints the text alone, with every verb.
func (e RefreshError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// PersistError says that a refresh gave new tokens, and that
// [TokenSourceConfig.Persist] has not taken them. It answers errors.Is for
// [oidckit.ErrUnavailable]: the tokens are good, and come with the next call of the
// source that can keep them.
type PersistError struct {
	// Err is what Persist returned.
	Err error

	tokens func() *Tokens // where no printing reaches them
}

func (e *PersistError) Error() string {
	return "oidc: the new tokens could not be kept: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *PersistError) Unwrap() error { return e.Err }

// Is reports whether target is [oidckit.ErrUnavailable].
func (e *PersistError) Is(target error) bool { return target == oidckit.ErrUnavailable }

// Tokens returns the new tokens, for who wants to keep them elsewhere: those of before
// have lost their refresh token if the provider rotates it. Who calls it has kept them:
// the source uses them from then on, and calls Persist for them no more, which could
// overwrite what came after them.
func (e *PersistError) Tokens() *Tokens { return e.tokens() }

// Format prints the text alone, with every verb.
func (e PersistError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }
