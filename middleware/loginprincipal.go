package middleware

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// sessionPart is what the Principal of a session has besides.
type sessionPart struct {
	session  *Session
	now      func() time.Time
	identity *claims.Identity // for RequireMappedRoles; nil if none was asked for
	err      error            // why there is none
}

// withSession is the context in which a handler finds a session and its Principal. Not all ask
// for that: its claims have to be read first.
func withSession(ctx context.Context, s *Session, principal func() *Principal) context.Context {
	return context.WithValue(context.WithValue(ctx, sessionKey{}, s), principalKey{}, principal)
}

// Session returns the session of a user who logged in, where [Login.RequireLogin] or [Either]
// let the request through by it. Its claims are those of the ID token, and its scopes what the
// provider granted at the login; Expiry is the end of the session.
func (p *Principal) Session() (s *Session, ok bool) {
	if p == nil || p.from == nil {
		return nil, false
	}
	return p.from.session, true
}

// newPrincipal is who a session is of.
func (l *Login) newPrincipal(s *Session) *Principal {
	tokens := s.Tokens()
	token := &oidc.AccessToken{
		Issuer: s.Issuer(), Subject: s.Subject(), ClientID: s.rec().client, Scopes: grantedScopes(tokens),
		Claims: s.Claims(), Expiry: s.Expires(),
	}
	if id := tokens.IDToken; id != nil {
		token.Audience, token.IssuedAt = id.Audience, id.IssuedAt
	}
	return &Principal{AccessToken: token, from: &sessionPart{session: s, now: l.now}}
}

// grantedScopes are those of the login, as the token response names them (RFC 6749 section 5.1).
func grantedScopes(t *oidc.Tokens) []string {
	if t.OAuth2 == nil {
		return nil
	}
	scope, _ := t.OAuth2.Extra("scope").(string)
	return strings.FieldsFunc(scope, func(c rune) bool { return c == ' ' })
}

// authorize is [Authorize] for a session, and returns what makes its Principal.
func (l *Login) authorize(ctx context.Context, s *Session, require []Requirement) (func() *Principal, error) {
	principal := sync.OnceValue(func() *Principal { return l.newPrincipal(s) })
	if len(require) == 0 {
		return principal, nil
	}
	p := principal()
	if slices.ContainsFunc(require, func(r Requirement) bool { return r.mapped }) {
		p.from.identity, p.from.err = s.Identity(ctx)
	}
	return principal, Authorize(p, require...)
}

var errNoIdentity = errors.New("middleware: RequireMappedRoles is for RequireLogin and Either, and for sessions: elsewhere ask Session.Identity")

// mappedRoles are those of the identity of a session.
func (p *Principal) mappedRoles() ([]string, error) {
	switch {
	case p.from == nil:
		return nil, errTokenRoles
	case p.from.err != nil:
		return nil, p.from.err
	case p.from.identity == nil:
		return nil, errNoIdentity
	}
	return p.from.identity.Roles, nil
}

var errTokenRoles = errors.New("middleware: an access token has no mapped roles: use RequireRoles")

// contains reports whether path leads to text, or to a list that has it; of a session in the
// first of its places that has it, see [Session.String].
func (p *Principal) contains(path claims.Path, text string) (bool, error) {
	read := func(set claims.Set) (bool, error) { return set.Contains(path, text) }
	if p.from == nil {
		return read(p.Claims)
	}
	return firstOf(p.from.session, read)
}
