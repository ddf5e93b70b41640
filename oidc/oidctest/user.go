package oidctest

import (
	"fmt"
	"maps"
	"slices"
)

// User is somebody who can log in.
type User struct {
	Username string // required and unique
	Password string // as typed; empty means that an empty password is the right one
	Subject  string // the "sub" claim, unique; default Username

	Name          string // the "name" claim, for the scope "profile"
	Email         string // the "email" claim, for the scope "email"
	EmailVerified bool   // the "email_verified" claim, beside Email

	// Claims are further claims. They go, nested as they are and whatever the
	// scope, into ID tokens, access tokens and userinfo. They do not replace a
	// claim the provider makes itself; [Provider.OnIDToken] and its sisters do.
	Claims map[string]any
}

// DefaultUsers returns the users a provider has when Config names none: alice
// (password "wonderland"), who has the roles admin and user, and bob (password
// "builder"), who is only a user and whose email is not verified. Their roles
// stand at realm_access.roles and at resource_access.client.roles and
// resource_access.api.roles, as Keycloak writes them, and in a claim with the name
// https://example.com/roles; groups and preferred_username are there too.
func DefaultUsers() []User {
	return []User{
		{
			Username: "alice", Password: "wonderland", Subject: "248289761001",
			Name: "Alice Adams", Email: "alice@example.com", EmailVerified: true,
			Claims: roleClaims("alice", []string{"engineering", "admins"}, "admin", "user"),
		},
		{
			Username: "bob", Password: "builder", Subject: "248289761002",
			Name: "Bob Baker", Email: "bob@example.com",
			Claims: roleClaims("bob", []string{"engineering"}, "user"),
		},
	}
}

// roleClaims spells the same roles the way Keycloak does (realm_access,
// resource_access) and the way of namespaced claims.
func roleClaims(username string, groups []string, roles ...string) map[string]any {
	in := func() map[string]any { return map[string]any{"roles": slices.Clone(roles)} }
	return map[string]any{
		"preferred_username":        username,
		"groups":                    groups,
		"realm_access":              in(),
		"resource_access":           map[string]any{"client": in(), "api": in()},
		"https://example.com/roles": slices.Clone(roles),
	}
}

func (u User) withDefaults() User {
	if u.Subject == "" {
		u.Subject = u.Username
	}
	u.Claims = cloneClaims(u.Claims)
	return u
}

// cloneClaims copies the containers JSON knows, so that a hook which changes a
// token does not change the user. Values of other types are shared.
func cloneClaims(m map[string]any) map[string]any {
	c := maps.Clone(m)
	for name, v := range c {
		c[name] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneClaims(v)
	case []string:
		return slices.Clone(v)
	case []any:
		c := slices.Clone(v)
		for i := range c {
			c[i] = cloneValue(c[i])
		}
		return c
	}
	return v
}

func (u User) check(at string, names, subjects map[string]bool) error {
	if u.Username == "" || names[u.Username] {
		return fmt.Errorf("%s.Username: %q is empty or taken", at, u.Username)
	}
	if subjects[u.Subject] {
		return fmt.Errorf("%s.Subject: %q is taken", at, u.Subject)
	}
	names[u.Username], subjects[u.Subject] = true, true
	return nil
}
