package keystore

import (
	"strings"
)

// A Reason is why a key cannot be had, for programs to compare.
type Reason string

// The reasons.
const (
	NoPassword    Reason = "no password"    // the file, or the key in it, is encrypted, and there is no password
	StorePassword Reason = "store password" // it is not the one of the store, or the store is damaged
	KeyPassword   Reason = "key password"   // it is not the one of the key
	Alias         Reason = "alias"          // there is no such key, or several and none is named
	NoKey         Reason = "no key"         // the file has no private key
	Unusable      Reason = "unusable"       // the key or its certificates do not fit the configuration; see Err
	Malformed     Reason = "malformed"      // the file is not what its type says
	Unsupported   Reason = "unsupported"    // a type, an encryption or a key that is not known here
)

// Error says why a key cannot be had. Its text holds nothing of a key or a password.
type Error struct {
	Reason Reason
	Detail string // says what to do
	// Aliases are those of the private keys that are there, if Reason is Alias.
	Aliases []string
	Err     error // more about it, or nil
}

func (e *Error) Error() string {
	text := e.Detail
	if e.Reason == Alias {
		text += "; there is " + strings.Join(e.Aliases, ", ")
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func malformed(detail string) error   { return &Error{Reason: Malformed, Detail: detail} }
func unsupported(detail string) error { return &Error{Reason: Unsupported, Detail: detail} }
