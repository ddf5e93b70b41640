package oidc

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A payload is the claims of a token: as members to read fast, and as the Set that
// users get.
type payload struct {
	members strictjson.Object
	set     claims.Set
}

func (p payload) has(name string) bool {
	_, ok := p.members.Get(name)
	return ok
}

// present reports whether a claim is there and not null.
func (p payload) present(name string) bool {
	value, ok := p.members.Get(name)
	return ok && value != "null"
}

// text reads a string. Its errors are those of the Set.
func (p payload) text(name string) (string, error) {
	if value, ok := p.members.Get(name); ok {
		if s, ok := strictjson.String(value); ok {
			return s, nil
		}
	}
	return p.set.String(claims.P(name))
}

// time reads a NumericDate. Whole seconds, as nearly all are, are read here.
func (p payload) time(name string) (time.Time, error) {
	value, ok := p.members.Get(name)
	if !ok || len(value) > 11 {
		return p.set.Time(claims.P(name))
	}
	var seconds int64
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return p.set.Time(claims.P(name))
		}
		seconds = 10*seconds + int64(value[i]-'0')
	}
	return time.Unix(seconds, 0), nil
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
// issuer and time. It runs before a key is looked for, so that a token that is not
// for us costs the provider nothing. Only some tokens may come without "aud".
func (t *trust) readRegistered(p payload, now time.Time, needsAudience bool) (registered, error) {
	var r registered
	var err error
	if r.issuer, err = t.provider.issuerOf(p); err != nil {
		return r, err
	}
	if needsAudience || p.has("aud") {
		if r.audience, err = audience(p); err != nil {
			return r, err
		}
	}
	// Not in one line: whether r is read before the call that fills it in is left
	// open by the language.
	err = t.readTimes(&r, p, now)
	return r, err
}

func (t *trust) readTimes(r *registered, p payload, now time.Time) (err error) {
	if r.expiry, err = p.time("exp"); err != nil {
		return &Error{Reason: ReasonClaim, Claim: "exp", Err: err}
	}
	// RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
	if !now.Before(r.expiry.Add(t.leeway)) {
		return &Error{Reason: ReasonExpired, Claim: "exp"}
	}
	if _, err = notInFuture(p, "nbf", now.Add(t.leeway)); err != nil {
		return err
	}
	if r.issuedAt, err = notInFuture(p, "iat", now.Add(t.leeway)); err != nil {
		return err
	}
	if !r.issuedAt.IsZero() && !r.expiry.After(r.issuedAt) {
		return &Error{Reason: ReasonClaim, Claim: "exp", Err: errors.New("not after iat")}
	}
	return t.checkAge(r.issuedAt, now)
}

// notInFuture reads a time that may be missing and must not be after now.
func notInFuture(p payload, name string, now time.Time) (time.Time, error) {
	if !p.has(name) {
		return time.Time{}, nil
	}
	t, err := p.time(name)
	switch {
	case err != nil:
		return time.Time{}, &Error{Reason: ReasonClaim, Claim: name, Err: err}
	case t.After(now):
		return time.Time{}, &Error{Reason: ReasonNotYetValid, Claim: name}
	}
	return t, nil
}

// longest identifier. OpenID Connect Core section 2 gives sub 255 characters;
// issuers and audiences are URLs.
const maxIdentifier = 1024

// subject reads "sub": "It MUST NOT exceed 255 ASCII characters in length" (OpenID
// Connect Core section 2).
func subject(p payload) (string, error) {
	s, err := identifier(p, "sub", ReasonSubject)
	if err == nil && len(s) > maxSubject {
		return "", &Error{Reason: ReasonSubject, Claim: "sub", Err: errNoIdentifier}
	}
	return s, err
}

const maxSubject = 255

// identifier reads a text that names somebody. Characters that nobody sees have no
// place in one: what shows alike would not be equal.
func identifier(p payload, name string, reason Reason) (string, error) {
	s, err := p.text(name)
	if err != nil {
		return "", &Error{Reason: reason, Claim: name, Err: err}
	}
	if !isIdentifier(s) {
		return "", &Error{Reason: reason, Claim: name, Err: errNoIdentifier}
	}
	return s, nil
}

var errNoIdentifier = errors.New("empty, too long or with invisible characters")

func isIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifier {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			return !strings.ContainsFunc(s[i:], isInvisible)
		}
	}
	return true
}

// isInvisible: control and format characters, such as those that turn the direction of
// text.
func isInvisible(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }

const maxAudiences = 32

// audience reads "aud", a string or a list of them (RFC 7519 section 4.1.3).
func audience(p payload) ([]string, error) {
	value, _ := p.members.Get("aud")
	if s, ok := strictjson.String(value); ok && isIdentifier(s) {
		return []string{s}, nil
	}
	// No more room than there are quotes for; a list may still be refused.
	aud := make([]string, 0, min(strings.Count(value, `"`)/2, maxAudiences))
	for e := range strictjson.Elements(value) {
		s, ok := strictjson.String(e)
		if !ok || !isIdentifier(s) || len(aud) == maxAudiences {
			return nil, &Error{Reason: ReasonAudience, Claim: "aud", Err: errNoAudience}
		}
		aud = append(aud, s)
	}
	if len(aud) == 0 {
		return nil, &Error{Reason: ReasonAudience, Claim: "aud", Err: errNoAudience}
	}
	return aud, nil
}

var errNoAudience = errors.New("missing, or not one to 32 names, or one of them is empty, too long or has invisible characters")

func allIdentifiers(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !isIdentifier(s) })
}

// missing reports whether a claim is not there. One that is null is there, and
// is no time and no text.
func missing(err error) bool {
	var e *claims.Error
	return errors.As(err, &e) && e.Reason == claims.Missing
}
