package jwks

import (
	"errors"

	"github.com/oidckit/oidckit"
)

// KeyNotFoundError says that no current key fits a token. It answers errors.Is
// for [oidckit.ErrInvalidToken].
type KeyNotFoundError struct {
	KeyID     string // the token's "kid", not in the text: whoever made the token chose it
	Algorithm string
}

func (e *KeyNotFoundError) Error() string {
	return "jwks: no key of the issuer fits the token's kid and the algorithm " + e.Algorithm
}

// Is reports whether target is [oidckit.ErrInvalidToken].
func (e *KeyNotFoundError) Is(target error) bool { return target == oidckit.ErrInvalidToken }

// ErrNoUsableKey says that a document holds no key that could verify anything.
var ErrNoUsableKey = errors.New("jwks: no usable signature key in the set")
