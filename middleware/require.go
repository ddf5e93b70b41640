package middleware

import (
	"errors"
	"slices"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
)

// A Requirement is a right that a principal must have. The zero Requirement is
// one that nobody fulfils.
type Requirement struct {
	check func(*Principal) error
}

// Check reports which right p lacks. The error answers errors.Is for
// [oidckit.ErrForbidden].
func (r Requirement) Check(p *Principal) error {
	if r.check == nil {
		return &RequirementError{Err: errEmptyRequirement}
	}
	return r.check(p)
}

func checkAll(require []Requirement, p *Principal) error {
	for _, r := range require {
		if err := r.Check(p); err != nil {
			return err
		}
	}
	return nil
}

// ScopeError says that a token lacks a scope. It answers errors.Is for
// [oidckit.ErrForbidden].
type ScopeError struct {
	Scopes []string // all that are required
}

func (e *ScopeError) Error() string {
	return "middleware: a scope is missing of: " + strings.Join(e.Scopes, " ")
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *ScopeError) Is(target error) bool { return target == oidckit.ErrForbidden }

// RoleError says that a token lacks a role. It answers errors.Is for
// [oidckit.ErrForbidden].
type RoleError struct {
	Path claims.Path // where roles are
	Role string      // the one that is required
	Err  error       // why there are no roles at all, if it is so
}

func (e *RoleError) Error() string {
	text := "middleware: the role " + e.Role + " is missing at " + e.Path.String()
	// Why a claim could not be read is for people, and no verdict on the token.
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *RoleError) Is(target error) bool { return target == oidckit.ErrForbidden }

// RequireScopes requires all of the scopes, compared exactly. Without any it
// requires what nobody has.
func RequireScopes(scopes ...string) Requirement {
	scopes = slices.Clone(scopes)
	if len(scopes) == 0 {
		return Requirement{}
	}
	return Requirement{check: func(p *Principal) error {
		for _, s := range scopes {
			if !slices.Contains(p.Scopes, s) {
				return &ScopeError{Scopes: scopes}
			}
		}
		return nil
	}}
}

// RequireRole requires a role in the list that path leads to, such as
// claims.P("realm_access", "roles"). A claim that is missing or no list of strings
// holds no role.
func RequireRole(path claims.Path, role string) Requirement {
	return Requirement{check: func(p *Principal) error {
		has, err := p.Claims.Contains(path, role)
		if !has || role == "" {
			return &RoleError{Path: path, Role: role, Err: err}
		}
		return nil
	}}
}

// RequirementError says that a principal does not fulfil a requirement of the
// program's own. It answers errors.Is for [oidckit.ErrForbidden].
type RequirementError struct {
	Err error // why
}

func (e *RequirementError) Error() string { return "middleware: requirement not met: " + e.Err.Error() }

// Is reports whether target is [oidckit.ErrForbidden].
func (e *RequirementError) Is(target error) bool { return target == oidckit.ErrForbidden }

var errEmptyRequirement = errors.New("it requires nothing that anybody could have")

// RequireFunc requires that check returns nil. Any error means that the principal
// lacks a right, but one that answers errors.Is for [oidckit.ErrUnavailable]: that
// is handed on.
func RequireFunc(check func(*Principal) error) Requirement {
	if check == nil {
		return Requirement{}
	}
	return Requirement{check: func(p *Principal) error {
		err := check(p)
		if err == nil || errors.Is(err, oidckit.ErrUnavailable) {
			return err
		}
		return &RequirementError{Err: err}
	}}
}
