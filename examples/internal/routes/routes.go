package routes

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
)

// RolesOf finds the roles of who asks.
type RolesOf func(*middleware.Principal) ([]string, error)

// HasRoles reports whether there is a roles_from.
func (t *Table) HasRoles() bool { return t.mapper != nil }

// RolesOf is that of roles_from, and nil without it.
func (t *Table) RolesOf() RolesOf {
	if t.mapper == nil {
		return nil
	}
	return func(p *middleware.Principal) ([]string, error) {
		// There is no GroupResolver that a context would be for.
		id, err := t.mapper.Identity(context.Background(), claims.Sources{AccessToken: p.Claims, UserInfo: p.UserInfo})
		if err != nil {
			return nil, err
		}
		return slices.Concat(id.Roles, id.Groups), nil
	}
}

// Scopes are all that routes require.
func (t *Table) Scopes() (scopes []string) {
	for _, r := range t.Routes {
		for _, scope := range slices.Concat(r.Scopes, r.ScopesAny) {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// Handle registers the routes, each with what makes its handler. A pattern that is none, or
// that is there already, is an error.
func (t *Table) Handle(mux *http.ServeMux, handler func(Route) http.Handler) error {
	for _, r := range t.Routes {
		if err := r.handle(mux, handler(r)); err != nil {
			return err
		}
	}
	return nil
}

func (r Route) handle(mux *http.ServeMux, h http.Handler) (err error) {
	defer func() { // ServeMux has no other way to say it
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%s.path: %v: write another pattern", r.at, problem)
		}
	}()
	mux.Handle(r.Pattern(), h)
	return nil
}

// Pattern is that of [http.ServeMux].
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// NeedsRoles reports whether roles decide.
func (r Route) NeedsRoles() bool { return len(r.Roles)+len(r.RolesAny) > 0 }

// Requirements of the route. Roles that cannot be read are none.
func (r Route) Requirements(roles RolesOf) (all []middleware.Requirement) {
	if len(r.Scopes) > 0 {
		all = append(all, middleware.RequireScopes(r.Scopes...))
	}
	if len(r.ScopesAny) > 0 {
		all = append(all, middleware.RequireAnyScope(r.ScopesAny...))
	}
	if !r.NeedsRoles() {
		return all
	}
	return append(all, middleware.RequireFunc(func(p *middleware.Principal) error {
		has, err := roles(p)
		for _, role := range r.Roles {
			if err != nil || !slices.Contains(has, role) {
				return &middleware.RoleError{Role: role, Err: err}
			}
		}
		if len(r.RolesAny) > 0 && (err != nil || !slices.ContainsFunc(r.RolesAny, func(role string) bool { return slices.Contains(has, role) })) {
			return &middleware.RoleError{Role: r.RolesAny[0], Err: err}
		}
		return nil
	}))
}
