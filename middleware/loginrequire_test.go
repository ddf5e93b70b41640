package middleware_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

const loginTime = 1_800_000_000

// sessionOf is a session by the claims of its ID token and userinfo, the latter empty for none.
func sessionOf(t *testing.T, idToken, userInfo, scope string) *middleware.Principal {
	t.Helper()
	tokens := &oidc.Tokens{
		OAuth2:  (&oauth2.Token{}).WithExtra(map[string]any{"scope": scope}),
		IDToken: &oidc.IDToken{Audience: []string{"client"}, Claims: claimSet(t, idToken)},
	}
	var info *oidc.UserInfo
	if userInfo != "" {
		info = &oidc.UserInfo{Claims: claimSet(t, userInfo)}
	}
	return middleware.SessionPrincipal(tokens, info, func() time.Time { return time.Unix(loginTime+100, 0) })
}

// Roles of a session are in the ID token, and in the userinfo where it has none.
func TestRolesOfSessions(t *testing.T) {
	t.Parallel()
	path := claims.P("roles")
	for _, tt := range []struct {
		name              string
		idToken, userInfo string
		all, some, one    bool // of a and b; a or b; a
	}{
		{"in the ID token", `{"roles":["a","b"]}`, "", true, true, true},
		{"in the userinfo", `{}`, `{"roles":["a","b"]}`, true, true, true},
		{"a text", `{"roles":"b"}`, "", false, true, false},
		{"nowhere", `{}`, `{}`, false, false, false},
		{"no userinfo", `{}`, "", false, false, false},
		{"the ID token decides", `{"roles":["b"]}`, `{"roles":["a","b"]}`, false, true, false},
		{"an empty list decides", `{"roles":[]}`, `{"roles":["a","b"]}`, false, false, false},
		{"what is wrong in the ID token is not looked for elsewhere", `{"roles":7}`, `{"roles":["a","b"]}`, false, false, false},
		{"a role without a name", `{"roles":["","b"]}`, "", false, true, false},
		{"other letters", `{"roles":["A","b "]}`, "", false, false, false},
	} {
		p := sessionOf(t, tt.idToken, tt.userInfo, "")
		for _, r := range []struct {
			requirement middleware.Requirement
			good        bool
		}{
			{middleware.RequireRoles(path, "a", "b"), tt.all},
			{middleware.RequireRoles(path, "b", "a"), tt.all},
			{middleware.RequireAnyRole(path, "a", "b"), tt.some},
			{middleware.RequireRole(path, "a"), tt.one},
			{middleware.RequireRoles(path), false},
			{middleware.RequireAnyRole(path), false},
			{middleware.RequireRoles(path, ""), false},
			{middleware.RequireAnyRole(path, ""), false},
		} {
			err := r.requirement.Check(p)
			if r.good {
				require.NoError(t, err, tt.name)
				continue
			}
			require.ErrorIs(t, err, oidckit.ErrForbidden, tt.name)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken, tt.name)
		}
	}
}

func TestRoleErrorNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	path := claims.P("roles")
	p := sessionOf(t, `{"roles":["a"]}`, "", "")
	var missing *middleware.RoleError
	require.ErrorAs(t, middleware.RequireRoles(path, "a", "b", "c").Check(p), &missing)
	require.Equal(t, "b", missing.Role)
	require.Equal(t, "roles", missing.Path.String())
	require.NoError(t, missing.Err)
	require.ErrorAs(t, middleware.RequireAnyRole(path, "c", "b").Check(p), &missing)
	require.Equal(t, "c", missing.Role)
	require.ErrorAs(t, middleware.RequireAnyRole(claims.P("groups"), "c", "b").Check(p), &missing)
	require.True(t, claims.IsMissing(missing.Err))

	roles := []string{"a"}
	both := []middleware.Requirement{middleware.RequireRoles(path, roles...), middleware.RequireAnyRole(path, roles...)}
	roles[0] = "z"
	for _, r := range both {
		require.NoError(t, r.Check(p), "it has a copy of its own")
	}
}

// Those of a token read the token alone.
func TestRolesOfTokens(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{}, `{"roles":["a","b"]}`)
	path := claims.P("roles")
	require.NoError(t, middleware.RequireRoles(path, "a", "b").Check(p))
	require.NoError(t, middleware.RequireAnyRole(path, "x", "b").Check(p))
	require.ErrorIs(t, middleware.RequireRoles(path, "a", "x").Check(p), oidckit.ErrForbidden)
	require.ErrorIs(t, middleware.RequireAnyRole(path, "x", "y").Check(p), oidckit.ErrForbidden)
	_, ok := p.Session()
	require.False(t, ok)
	_, ok = (*middleware.Principal)(nil).Session()
	require.False(t, ok)
}

func TestMappedRoles(t *testing.T) {
	t.Parallel()
	down := &oidckit.UnavailableError{What: "groups"}
	for _, tt := range []struct {
		name  string
		id    *claims.Identity
		err   error
		roles []string
		want  error // nil if it is fulfilled
	}{
		{"there", &claims.Identity{Roles: []string{"a", "b"}}, nil, []string{"b", "a"}, nil},
		{"one is missing", &claims.Identity{Roles: []string{"a"}}, nil, []string{"a", "b"}, oidckit.ErrForbidden},
		{"a group is no role", &claims.Identity{Groups: []string{"a"}}, nil, []string{"a"}, oidckit.ErrForbidden},
		{"empty", &claims.Identity{Roles: []string{""}}, nil, []string{""}, oidckit.ErrForbidden},
		{"none asked for", &claims.Identity{Roles: []string{"a"}}, nil, nil, oidckit.ErrForbidden},
		{"unmapped", nil, &claims.Error{Claim: "roles"}, []string{"a"}, oidckit.ErrForbidden},
		{"too many to be in the token", nil, &claims.OverageError{}, []string{"a"}, oidckit.ErrForbidden},
		{"an outage", nil, down, []string{"a"}, oidckit.ErrUnavailable},
	} {
		p := middleware.WithIdentity(sessionOf(t, `{"roles":["a","b"]}`, "", ""), tt.id, tt.err)
		err := middleware.RequireMappedRoles(tt.roles...).Check(p)
		if tt.want == nil {
			require.NoError(t, err, tt.name)
			continue
		}
		require.ErrorIs(t, err, tt.want, tt.name)
	}

	// Where nobody has made an identity, that is a mistake of the program and no verdict.
	err := middleware.RequireMappedRoles("a").Check(sessionOf(t, `{"roles":["a"]}`, "", ""))
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrForbidden)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	// A token has none.
	require.ErrorIs(t, middleware.RequireMappedRoles("a").Check(principal(t, oidc.AccessToken{}, `{"roles":["a"]}`)), oidckit.ErrForbidden)
}

// Scopes of a session are those that the provider says it granted, and no other claim.
func TestScopesOfSessions(t *testing.T) {
	t.Parallel()
	p := sessionOf(t, `{"scope":"write"}`, `{"scope":"write"}`, "openid read")
	require.Equal(t, []string{"openid", "read"}, p.Scopes)
	require.NoError(t, middleware.RequireScopes("read", "openid").Check(p))
	require.NoError(t, middleware.RequireAnyScope("write", "read").Check(p))
	require.ErrorIs(t, middleware.RequireScopes("write").Check(p), oidckit.ErrForbidden)
	require.ErrorIs(t, middleware.RequireScopes("openid read").Check(p), oidckit.ErrForbidden)
	require.Empty(t, sessionOf(t, `{}`, "", "").Scopes)
	require.Empty(t, sessionOf(t, `{}`, "", "a\tb c").Scopes[1:][1:], "one space and nothing else is between two")
	require.Equal(t, "a\tb", sessionOf(t, `{}`, "", "a\tb  c").Scopes[0])
}

func TestSessionsAreOfUsers(t *testing.T) {
	t.Parallel()
	// Whatever its claims look like.
	p := sessionOf(t, `{"sub":"client","client_id":"client","idtyp":"app"}`, "", "")
	require.Equal(t, middleware.KindUser, p.Kind())
	require.NoError(t, middleware.RequireUser().Check(p))
	require.ErrorIs(t, middleware.RequireMachine().Check(p), oidckit.ErrForbidden)
	s, ok := p.Session()
	require.True(t, ok)
	require.NotNil(t, s)
	_, ok = p.Token()
	require.False(t, ok)
}

// How and when somebody logged in is in the ID token alone, which is signed, and by the clock of
// the Login.
func TestStepUpOfSessions(t *testing.T) {
	t.Parallel()
	at := func(seconds int) string { return `{"acr":"gold","auth_time":` + strconv.Itoa(loginTime+seconds) + `}` }
	for _, tt := range []struct {
		idToken, userInfo string
		require           middleware.Requirement
		good              bool
	}{
		{at(0), "", middleware.RequireACR("gold"), true},
		{at(0), "", middleware.RequireACR("silver", "gold"), true},
		{at(0), "", middleware.RequireACR("silver"), false},
		{`{}`, at(0), middleware.RequireACR("gold"), false},
		{at(0), "", middleware.RequireMaxAge(100 * time.Second), true},
		{at(0), "", middleware.RequireMaxAge(40 * time.Second), true}, // a minute for the clocks
		{at(0), "", middleware.RequireMaxAge(39 * time.Second), false},
		{at(161), "", middleware.RequireMaxAge(time.Hour), false}, // in the future
		{`{}`, at(0), middleware.RequireMaxAge(time.Hour), false},
	} {
		err := tt.require.Check(sessionOf(t, tt.idToken, tt.userInfo, ""))
		if tt.good {
			require.NoError(t, err, tt.idToken)
			continue
		}
		var stepUp *middleware.StepUpError
		require.ErrorAs(t, err, &stepUp, tt.idToken)
	}
}

// A policy judges the ID token, and never a mixture.
func TestPolicyOfSessions(t *testing.T) {
	t.Parallel()
	r := middleware.RequirePolicy(policyFunc(func(set claims.Set) error {
		if !set.Has(claims.P("vip")) {
			return errors.New("no vip")
		}
		return nil
	}))
	require.NoError(t, r.Check(sessionOf(t, `{"vip":true}`, "", "")))
	require.ErrorIs(t, r.Check(sessionOf(t, `{}`, `{"vip":true}`, "")), oidckit.ErrForbidden)
}
