package oidc

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
)

// Limits of Leeway: how far the clocks of provider and reader may differ.
const (
	defaultLeeway = time.Minute
	maxLeeway     = 5 * time.Minute
)

func leewayOf(d time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return defaultLeeway, nil
	case d < 0 || d > maxLeeway:
		return 0, errors.New("oidc: Leeway of ClientConfig or AccessTokenConfig must be between 0 and 5 min")
	}
	return d, nil
}

// registered are the claims that every token is judged by (RFC 7519 section
// 4.1).
type registered struct {
	issuer   string
	subject  string
	audience []string
	expiry   time.Time
	issuedAt time.Time // zero if there is none
}

// readRegistered reads them and judges those that mean the same in all tokens:
// issuer, subject and time. It runs before a key is looked for, so that a token
// that is not for us costs the provider nothing.
func readRegistered(set claims.Set, issuer string, now time.Time, leeway time.Duration) (registered, error) {
	var r registered
	var err error
	if r.issuer, err = identifier(set, "iss", ReasonIssuer); err != nil {
		return r, err
	}
	if r.issuer != issuer {
		return r, &Error{Reason: ReasonIssuer, Claim: "iss", Err: slashHint(r.issuer, issuer)}
	}
	if r.subject, err = identifier(set, "sub", ReasonSubject); err != nil {
		return r, err
	}
	if r.audience, err = audience(set); err != nil {
		return r, err
	}
	// Not in one line: whether r is read before the call that fills it in is left
	// open by the language.
	err = r.readTimes(set, now, leeway)
	return r, err
}

// slashHint tells the one mistake of configuration that nobody sees.
func slashHint(got, configured string) error {
	if strings.TrimSuffix(got, "/") == strings.TrimSuffix(configured, "/") {
		return errors.New("it differs from Config.Issuer in the final slash only")
	}
	return nil
}

func (r *registered) readTimes(set claims.Set, now time.Time, leeway time.Duration) (err error) {
	if r.expiry, err = set.Time(claims.P("exp")); err != nil {
		return &Error{Reason: ReasonClaim, Claim: "exp", Err: err}
	}
	// RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
	if !now.Before(r.expiry.Add(leeway)) {
		return &Error{Reason: ReasonExpired, Claim: "exp"}
	}
	if _, err = notInFuture(set, "nbf", now.Add(leeway)); err != nil {
		return err
	}
	if r.issuedAt, err = notInFuture(set, "iat", now.Add(leeway)); err != nil {
		return err
	}
	if !r.issuedAt.IsZero() && !r.expiry.After(r.issuedAt) {
		return &Error{Reason: ReasonClaim, Claim: "exp", Err: errors.New("not after iat")}
	}
	return nil
}

// notInFuture reads a time that may be missing and must not be after now.
func notInFuture(set claims.Set, name string, now time.Time) (time.Time, error) {
	t, err := set.Time(claims.P(name))
	switch {
	case missing(err):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, &Error{Reason: ReasonClaim, Claim: name, Err: err}
	case t.After(now):
		return time.Time{}, &Error{Reason: ReasonNotYetValid, Claim: name}
	}
	return t, nil
}

// missing reports whether a claim is not there. One that is null is there, and
// is no time and no text.
func missing(err error) bool {
	var e *claims.Error
	return errors.As(err, &e) && e.Reason == claims.Missing
}

// longest identifier. OpenID Connect Core section 2 gives sub 255 characters;
// issuers and audiences are URLs.
const maxIdentifier = 1024

// identifier reads a text that names somebody. Control characters have no place
// in one: what shows alike would not be equal.
func identifier(set claims.Set, name string, reason Reason) (string, error) {
	s, err := set.String(claims.P(name))
	if err != nil {
		return "", &Error{Reason: reason, Claim: name, Err: err}
	}
	if !isIdentifier(s) {
		return "", &Error{Reason: reason, Claim: name, Err: errors.New("empty, too long or with control characters")}
	}
	return s, nil
}

func isIdentifier(s string) bool {
	return s != "" && len(s) <= maxIdentifier && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r == 0x7f
	})
}

const maxAudiences = 32

func audience(set claims.Set) ([]string, error) {
	aud, err := set.Strings(claims.P("aud"))
	if err != nil {
		return nil, &Error{Reason: ReasonAudience, Claim: "aud", Err: err}
	}
	if len(aud) == 0 || len(aud) > maxAudiences || !allIdentifiers(aud) {
		return nil, &Error{Reason: ReasonAudience, Claim: "aud", Err: errors.New("empty, too long or too many")}
	}
	return aud, nil
}

func allIdentifiers(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !isIdentifier(s) })
}
