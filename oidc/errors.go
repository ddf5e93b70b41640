package oidc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// A Reason is why a token was refused, for programs to compare.
type Reason string

// The reasons an [Error] can have.
const (
	ReasonMalformed       Reason = "malformed"        // not a strict compact JWS of a JSON object
	ReasonAlgorithm       Reason = "algorithm"        // not on the allow list, "none" included
	ReasonType            Reason = "type"             // another kind of token
	ReasonIssuer          Reason = "issuer"           // "iss" is not the provider
	ReasonAudience        Reason = "audience"         // "aud" is not us, or not us alone
	ReasonAuthorizedParty Reason = "authorized party" // "azp" is somebody else
	ReasonSubject         Reason = "subject"          // "sub" is missing, unusable or not the expected one
	ReasonExpired         Reason = "expired"          // "exp" has passed
	ReasonNotYetValid     Reason = "not yet valid"    // "nbf" or "iat" is in the future
	ReasonTooOld          Reason = "too old"          // "iat" is longer ago than MaxAge
	ReasonEncryption      Reason = "encryption"       // encrypted and cannot be opened, or not encrypted and should be
	ReasonClaim           Reason = "claim"            // another required claim is missing or unusable
	ReasonPolicy          Reason = "policy"           // the policy for the issuer's tokens is not satisfied
	ReasonBinding         Reason = "binding"          // bound to a key ("cnf") that was not proved, or to none where one is required
	ReasonProof           Reason = "proof"            // the proof of a key (DPoP) is missing, malformed, too old or of another request
	ReasonProofNonce      Reason = "proof nonce"      // the proof of a key lacks the server's nonce, or has an old one
	ReasonNonce           Reason = "nonce"            // "nonce" is not the one of the login
	ReasonAccessTokenHash Reason = "at_hash"          // the access token is not the one of the ID token
	ReasonKey             Reason = "key"              // no key of the issuer fits
	ReasonSignature       Reason = "signature"        // the signature is not the key's
	ReasonAuthentication  Reason = "authentication"   // who logged in did so too long ago, or otherwise than was asked for
	ReasonReplayed        Reason = "replayed"         // a token that is good once came again
	ReasonRevoked         Reason = "revoked"          // the provider itself refuses the token
)

// Error says why a token was refused. It answers errors.Is for
// [oidckit.ErrInvalidToken]. Its text holds no part of the token.
type Error struct {
	Reason Reason
	Claim  string // the claim at fault, if it is one
	Err    error  // more about it; may be nil
}

func (e *Error) Error() string {
	text := "oidc: token refused: " + string(e.Reason)
	if e.Claim != "" && e.Claim != string(e.Reason) {
		text += " (" + e.Claim + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [oidckit.ErrInvalidToken].
func (e *Error) Is(target error) bool { return target == oidckit.ErrInvalidToken }

// refused gives an error of parsing or of checking a signature its reason. What
// is no refusal stays as it is.
func refused(err error) error {
	var je *jwt.Error
	var nf *jwks.KeyNotFoundError
	switch {
	case errors.As(err, &je):
		return &Error{Reason: reasonOf(je.Reason), Err: err}
	case errors.As(err, &nf):
		return &Error{Reason: ReasonKey, Err: err}
	}
	return err
}

func reasonOf(r jwt.Reason) Reason {
	switch r {
	case jwt.Algorithm:
		return ReasonAlgorithm
	case jwt.BadSigning:
		return ReasonSignature
	case jwt.KeyMisfit:
		return ReasonKey
	case jwt.Encrypted, jwt.Decryption:
		return ReasonEncryption
	}
	return ReasonMalformed
}

// algorithmRefused names the algorithm only if it is one: the rest is whatever the
// token's maker wrote.
func algorithmRefused(alg string) error {
	e := &Error{Reason: ReasonAlgorithm}
	if slices.Contains(jwt.Symmetric, alg) || slices.Contains(jwt.Asymmetric, alg) {
		e.Err = fmt.Errorf("%s is not among the allowed algorithms of the configuration", alg)
	}
	return e
}

// AuthorizationError is what the provider answered instead of a code (RFC 6749
// section 4.1.2.1, OpenID Connect Core section 3.1.2.6). It answers errors.Is for
// [oidckit.ErrForbidden] if access was denied, for [oidckit.ErrUnavailable] if the
// provider is in trouble, else for [oidckit.ErrInvalidCallback]. The fields are
// what the provider, or whoever made the browser come, wrote: show them as text.
type AuthorizationError struct {
	Code        string // "access_denied", "login_required", …
	Description string // at most 256 characters, printable ASCII
}

func (e *AuthorizationError) Error() string {
	return "oidc: the provider did not authorize: " + knownCode(e.Code)
}

// Format prints the text alone, with every verb: the fields are whatever somebody wrote.
func (e AuthorizationError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalText is the text alone, as Format has it.
func (e AuthorizationError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// knownCode returns a code that may stand in a log. Any other text is of the provider, or
// of whoever made the browser come: it might be what we sent.
func knownCode(code string) string {
	if slices.Contains(knownCodes, code) {
		return code
	}
	return "another error"
}

var knownCodes = []string{
	// RFC 6749, of both endpoints, and RFC 7009
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "invalid_client", "invalid_grant", "unsupported_grant_type",
	"unsupported_token_type",
	// OpenID Connect Core section 3.1.2.6, and Unmet Authentication Requirements
	"interaction_required", "login_required", "account_selection_required", "consent_required",
	"invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported",
	"registration_not_supported", "unmet_authentication_requirements",
	// RFC 8628 and CIBA
	"authorization_pending", "slow_down", "expired_token", "unknown_user_id", "missing_user_code",
	"invalid_user_code", "invalid_binding_message", "expired_login_hint_token", "transaction_failed",
	// RFC 8707, RFC 9449, RFC 6750, RFC 7591, RFC 9470
	"invalid_target", "invalid_dpop_proof", "use_dpop_nonce", "invalid_token", "insufficient_scope",
	"invalid_redirect_uri", "invalid_client_metadata", "insufficient_user_authentication",
}

// Is maps the code to a sentinel of the module.
func (e *AuthorizationError) Is(target error) bool {
	switch e.Code {
	case "access_denied":
		return target == oidckit.ErrForbidden
	case "server_error", "temporarily_unavailable":
		return target == oidckit.ErrUnavailable
	}
	return target == oidckit.ErrInvalidCallback
}

// CallbackError says why a callback cannot finish a login. It answers errors.Is
// for [oidckit.ErrInvalidCallback].
type CallbackError struct {
	Parameter string // the parameter at fault: "state", "iss", "code"
	Problem   string // fixed text
	Err       error  // may be nil
}

func (e *CallbackError) Error() string {
	text := fmt.Sprintf("oidc: callback refused: %s %s", e.Parameter, e.Problem)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *CallbackError) Unwrap() error { return e.Err }

// Is reports whether target is [oidckit.ErrInvalidCallback].
func (e *CallbackError) Is(target error) bool { return target == oidckit.ErrInvalidCallback }

// ResponseError is an error answer of an endpoint (RFC 6749 section 5.2). It
// answers errors.Is for [oidckit.ErrUnavailable] if the endpoint is in trouble, and for
// [oidckit.ErrForbidden] if the person who was asked said no; otherwise the request was
// wrong, which the configuration must have caused.
type ResponseError struct {
	Status      int    // of HTTP
	Code        string // "invalid_client", …; empty if the answer had none; in the text only if an RFC defines it
	Description string // at most 256 characters, printable ASCII; not in the text
	URI         string // error_uri, of the same characters; not in the text
	// RetryAfter is what an answer with status 429 or 503 asks for, at most an hour; 0 if it
	// does not.
	RetryAfter time.Duration
}

func (e *ResponseError) Error() string {
	text := fmt.Sprintf("oidc: the provider answered %d", e.Status)
	if e.Code != "" {
		text += " " + knownCode(e.Code)
	}
	return text
}

// Format prints the text alone, with every verb: the fields may hold what was sent.
func (e ResponseError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalText is the text alone, as Format has it.
func (e ResponseError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is maps the answer to a sentinel of the module.
func (e *ResponseError) Is(target error) bool {
	switch {
	case e.inTrouble():
		return target == oidckit.ErrUnavailable
	case e.Code == "access_denied": // RFC 8628 section 3.5
		return target == oidckit.ErrForbidden
	}
	return false
}

func (e *ResponseError) inTrouble() bool {
	return e.Status >= 500 || e.Status == 429 || e.Code == "server_error" || e.Code == "temporarily_unavailable"
}

// refusesGrant reports whether the code or refresh token is at fault. An endpoint
// in trouble says nothing about it, whatever it writes.
func (e *ResponseError) refusesGrant() bool { return e.Code == "invalid_grant" && !e.inTrouble() }

func unavailable(what string, err error) error {
	return &oidckit.UnavailableError{What: what, Err: err}
}

// ErrNoEndpoint says that the provider's metadata do not have the endpoint that
// a call needs.
var ErrNoEndpoint = errors.New("oidc: the provider has no such endpoint")

// printable cuts a text of the provider down to what RFC 6749 allows in one.
func printable(s string) string {
	const longest = 256
	b := make([]byte, 0, min(len(s), longest))
	for i := 0; i < len(s) && len(b) < longest; i++ {
		if c := s[i]; c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			b = append(b, c)
		}
	}
	return string(b)
}
