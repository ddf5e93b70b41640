package jwks

import (
	"errors"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
)

// Error is a token that was refused for what it is, or for its signature. Its
// Reason is one of those below; Detail, a fixed text, and Err say more and may be
// empty. It answers errors.Is for [oidckit.ErrInvalidToken], and its text holds
// nothing of the token.
type Error = jwt.Error

// Reason is why a token was refused, for programs to compare.
type Reason = jwt.Reason

// The reasons an [Error] can have.
const (
	ReasonMalformed  Reason = jwt.Malformed  // no compact JWS in canonical base64url
	ReasonTooLarge   Reason = jwt.TooLarge   // over 16 KiB, or a header over 2 KiB
	ReasonEncrypted  Reason = jwt.Encrypted  // a JWE
	ReasonDecryption Reason = jwt.Decryption // see Decrypt
	ReasonHeader     Reason = jwt.Header     // no JSON object as it must be, or with "crit" and the like
	ReasonPayload    Reason = jwt.Payload    // no JSON object, where one is needed
	ReasonAlgorithm  Reason = jwt.Algorithm  // not one of the allowed ones, "none" included
	ReasonKey        Reason = jwt.KeyMisfit  // the key is of another type than the algorithm
	ReasonSignature  Reason = jwt.BadSigning // the signature is not the key's
)

var errAlgorithm = &Error{Reason: ReasonAlgorithm, Detail: "not one of the allowed algorithms"}

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

// A KeyReason is why a key is not used, for programs to compare and count.
type KeyReason string

// The reasons.
const (
	KeyMalformed   KeyReason = "malformed"   // no JWK, or numbers that are no key
	KeyUnsupported KeyReason = "unsupported" // a kty, crv or alg that is not known here, or that does not fit the rest
	KeyWeak        KeyReason = "weak"        // a signature could be forged, or takes too long to check
	KeyPrivate     KeyReason = "private"     // it has private parts
	KeySymmetric   KeyReason = "symmetric"   // a secret where public keys belong
	KeyUse         KeyReason = "use"         // "use" or "key_ops" say that it is not for verifying
)

var reasons = [...]KeyReason{KeyMalformed, KeyUnsupported, KeyWeak, KeyPrivate, KeySymmetric, KeyUse}

// KeyError says why a key is not used. Its text holds nothing of the key.
type KeyError struct {
	Reason KeyReason
	Detail string // fixed text
}

func (e *KeyError) Error() string { return "jwks: " + e.Detail }

func reasonOf(err error) KeyReason {
	var e *KeyError
	if errors.As(err, &e) {
		return e.Reason
	}
	return KeyMalformed
}
