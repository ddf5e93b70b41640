package jwt

import "github.com/oidckit/oidckit"

// A Reason is why a token was refused before its claims were looked at.
type Reason string

// The reasons.
const (
	Malformed  Reason = "malformed"
	TooLarge   Reason = "too large"
	Encrypted  Reason = "encrypted"
	Decryption Reason = "decryption"
	Header     Reason = "header"
	Payload    Reason = "payload"
	Algorithm  Reason = "algorithm"
	KeyMisfit  Reason = "key does not fit the algorithm"
	BadSigning Reason = "signature"
)

// Error is a refusal. It answers errors.Is for oidckit.ErrInvalidToken, and its
// text holds nothing of the token.
type Error struct {
	Reason Reason
	Detail string // fixed text
	Err    error
}

func (e *Error) Error() string {
	text := "jwt: " + string(e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is oidckit.ErrInvalidToken.
func (e *Error) Is(target error) bool { return target == oidckit.ErrInvalidToken }
