package middleware

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Requirement is a right that a principal must have. The zero Requirement is
// one that nobody fulfils.
type Requirement struct {
	check  func(*Principal) error
	scopes []string       // to ask for, if one is missing
	acr    []string       // to log in with
	maxAge *time.Duration // to log in for
	mapped bool           // it looks at the identity of a session
}

// Check reports which right p lacks. The error answers errors.Is for
// [oidckit.ErrForbidden], but for [RequireAudience]. A principal without token is
// [ErrNoCredentials].
func (r Requirement) Check(p *Principal) error {
	switch {
	case p == nil || p.AccessToken == nil:
		return ErrNoCredentials
	case r.check == nil:
		return &RequirementError{Err: errEmptyRequirement}
	}
	return r.check(p)
}

// Authorize checks all requirements. If a scope is missing, or another login is wanted,
// the error has what all of them need: a client that asked for one thing at a time would
// lose the last one. If both are, it is a *[StepUpError] with the scopes, in whatever order
// they are required.
func Authorize(p *Principal, require ...Requirement) error {
	for i := range require {
		if err := require[i].Check(p); err != nil {
			return complete(err, p, require)
		}
	}
	return nil
}

func complete(err error, p *Principal, require []Requirement) error {
	login, scope := wants(err)
	if !login && !scope {
		return err
	}
	for _, r := range require {
		if len(r.scopes)+len(r.acr) > 0 || r.maxAge != nil { // a program's own check is not asked for nothing
			l, s := wants(r.Check(p))
			login, scope = login || l, scope || s
		}
	}
	if !login {
		return &ScopeError{Scopes: scopesOf(require)}
	}
	e := stepUpOf(require)
	if scope {
		e.Scopes = scopesOf(require)
	}
	return e
}

// wants tells what a client must ask its provider for.
func wants(err error) (login, scope bool) {
	switch err.(type) { //nolint:errorlint // those of Requirements themselves: what a program's own check wraps stays its own
	case *StepUpError:
		return true, false
	case *ScopeError:
		return false, true
	}
	return false, false
}

func scopesOf(require []Requirement) (scopes []string) {
	for _, r := range require {
		for _, s := range r.scopes {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
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

// RoleError says that a token or session lacks a role. It answers errors.Is for
// [oidckit.ErrForbidden].
type RoleError struct {
	Path claims.Path // where roles are; empty for those that a Mapper finds
	Role string      // the one that is required; of several any of which will do, the first
	Err  error       // why there are no roles at all, if it is so
}

func (e *RoleError) Error() string {
	text := "middleware: the role " + e.Role + " is missing"
	if path := e.Path.String(); path != "" {
		text += " at " + path
	}
	// Why a claim could not be read is for people, and no verdict on the token.
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *RoleError) Is(target error) bool { return target == oidckit.ErrForbidden }

// RequireScopes requires all of the scopes, compared exactly: a scope that is a URL is
// one text like any other. Those of a session are what the provider granted, as it said so
// at the login. Without any it requires what nobody has.
func RequireScopes(scopes ...string) Requirement {
	scopes = slices.Clone(scopes)
	if len(scopes) == 0 {
		return Requirement{}
	}
	return Requirement{scopes: scopes, check: func(p *Principal) error {
		for _, s := range scopes {
			if !slices.Contains(p.Scopes, s) {
				return &ScopeError{Scopes: scopes}
			}
		}
		return nil
	}}
}

// RequireAnyScope requires one of the scopes, compared exactly. Clients that have none are
// told of the first: let it be the one with the fewest rights. Without any it requires
// what nobody has.
func RequireAnyScope(scopes ...string) Requirement {
	scopes = slices.Clone(scopes)
	if len(scopes) == 0 {
		return Requirement{}
	}
	first := slices.Clip(scopes[:1])
	return Requirement{scopes: first, check: func(p *Principal) error {
		for _, s := range scopes {
			if slices.Contains(p.Scopes, s) {
				return nil
			}
		}
		return &ScopeError{Scopes: first}
	}}
}

// RequireRole requires a role in the list that path leads to, such as
// claims.P("realm_access", "roles"). A claim that is missing or no list of strings
// holds no role. Of a session it is the claim of the ID token, that of the userinfo if the ID
// token does not have it, or else that of the access token, see LoginConfig.AccessTokens.
func RequireRole(path claims.Path, role string) Requirement { return RequireRoles(path, role) }

// RequireRoles requires all of the roles, read as [RequireRole] does. Without any it requires
// what nobody has.
func RequireRoles(path claims.Path, roles ...string) Requirement {
	roles = slices.Clone(roles)
	if len(roles) == 0 {
		return Requirement{}
	}
	return Requirement{check: func(p *Principal) error {
		for _, role := range roles {
			if has, err := p.contains(path, role); !has || role == "" {
				return &RoleError{Path: path, Role: role, Err: err}
			}
		}
		return nil
	}}
}

// RequireAnyRole requires one of the roles, read as [RequireRole] does. Without any it requires
// what nobody has.
func RequireAnyRole(path claims.Path, roles ...string) Requirement {
	roles = slices.Clone(roles)
	if len(roles) == 0 {
		return Requirement{}
	}
	return Requirement{check: func(p *Principal) error {
		var why error
		for _, role := range roles {
			has, err := p.contains(path, role)
			if has && role != "" {
				return nil
			}
			why = err
		}
		return &RoleError{Path: path, Role: roles[0], Err: why}
	}}
}

// RequireMappedRoles requires all of the roles in the [claims.Identity] that
// LoginConfig.Mapper makes. It is for sessions, behind [Login.RequireLogin] and [Either]: an
// access token fulfils it never. Without any role it requires what nobody has.
func RequireMappedRoles(roles ...string) Requirement {
	roles = slices.Clone(roles)
	if len(roles) == 0 {
		return Requirement{}
	}
	return Requirement{mapped: true, check: func(p *Principal) error {
		mapped, err := p.mappedRoles()
		if errors.Is(err, oidckit.ErrUnavailable) || errors.Is(err, errNoIdentity) {
			return err
		}
		for _, role := range roles {
			if role == "" || !slices.Contains(mapped, role) {
				return &RoleError{Role: role, Err: err}
			}
		}
		return nil
	}}
}

// A Policy judges the claims of a token.
type Policy interface {
	Check(claims.Set) error
}

// RequirePolicy requires that the claims satisfy a policy; those of a session are those of
// its ID token alone. Its errors mean what those of [RequireFunc] mean.
func RequirePolicy(policy Policy) Requirement {
	if policy == nil {
		return Requirement{}
	}
	return RequireFunc(func(p *Principal) error { return policy.Check(p.Claims) })
}

// RequireUser requires that a user is behind the token, as [Bearer.Kind] says. Read at
// [KindOf], which is the default, what it can tell of your provider's tokens: one of
// no known kind is refused. Sessions are those of users.
func RequireUser() Requirement { return requireKind(KindUser) }

// RequireMachine requires that a client acts for itself, as [Bearer.Kind] says. Read at
// [KindOf], which is the default, what it can tell of your provider's tokens: one of
// no known kind is refused.
func RequireMachine() Requirement { return requireKind(KindMachine) }

func requireKind(kind Kind) Requirement {
	return RequireFunc(func(p *Principal) error {
		if p.Kind() != kind {
			return errKind
		}
		return nil
	})
}

var errKind = errors.New("the token is of the other kind, user or machine, or of none")

// RequireAudience requires that the token names audience in "aud", for routes of an API
// that are a resource of their own. A token that does not is not for this resource: the
// error is an *[oidc.Error] with [oidc.ReasonAudience].
func RequireAudience(audience string) Requirement {
	return Requirement{check: func(p *Principal) error {
		if audience == "" || !slices.Contains(p.Audience, audience) {
			return &oidc.Error{Reason: oidc.ReasonAudience, Claim: "aud"}
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
