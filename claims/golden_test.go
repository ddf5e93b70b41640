package claims_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
)

// The payloads of testdata/tokens: its README says from where the shapes are. Tests
// named N.. belong to the row of needs.md with that number.
func golden(tb testing.TB, name string) claims.Set {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "tokens", name+".json"))
	require.NoError(tb, err)
	set, err := claims.Parse(text)
	require.NoError(tb, err, name)
	return set
}

func path(tb testing.TB, text string) claims.Path {
	tb.Helper()
	p, err := claims.ParsePath(text)
	require.NoError(tb, err, text)
	return p
}

func pattern(tb testing.TB, text string) claims.Pattern {
	tb.Helper()
	p, err := claims.ParsePattern(text)
	require.NoError(tb, err, text)
	return p
}

// stringsCase is a list in a golden file.
type stringsCase struct {
	file, path string
	opts       []claims.StringsOption
	want       []string
	reason     claims.Reason
}

func checkStrings(t *testing.T, cases []stringsCase) {
	t.Helper()
	for _, tt := range cases {
		got, err := golden(t, tt.file).Strings(path(t, tt.path), tt.opts...)
		check(t, err, tt.reason, tt)
		require.Equal(t, tt.want, got, tt)
	}
}

func TestGoldenFilesAreAllReadable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/tokens/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 22)
	readme, err := os.ReadFile("testdata/tokens/README.md")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		require.Contains(t, string(readme), "`"+name+"`", "the README says from where it is")
		set := golden(t, name)
		sub, err := set.String(claims.P("sub"))
		require.NoError(t, err, name)
		require.NotEmpty(t, sub)
		if strings.HasSuffix(name, "-userinfo") {
			continue
		}
		for _, date := range []string{"iat", "exp"} {
			_, err := set.Time(claims.P(date))
			require.NoError(t, err, name)
		}
	}
}

func TestN08_NestedRoles(t *testing.T) {
	t.Parallel()
	checkStrings(t, []stringsCase{
		{file: "keycloak-access", path: "realm_access.roles", want: []string{"default-roles-shop", "offline_access", "uma_authorization", "clerk"}},
		{file: "keycloak-access", path: "resource_access.orders-api.roles", want: []string{"view", "refund"}},
		{file: "keycloak-access", path: `resource_access.my\.app.roles`, want: []string{"reader"}},
		{file: "keycloak-access", path: "/resource_access/my.app/roles", want: []string{"reader"}},
		{file: "keycloak-access", path: "resource_access.account.roles.1", want: []string{"manage-account-links"}},
		{file: "keycloak-access", path: "resource_access.my.app.roles", reason: claims.Missing},
		{file: "keycloak-access", path: "resource_access.*.roles", reason: claims.Missing},
		{file: "keycloak-access", path: "realm_access", reason: claims.WrongType},
	})
	set := golden(t, "keycloak-access")
	roles, err := set.CollectStrings(pattern(t, "resource_access.*.roles"))
	require.NoError(t, err)
	require.Equal(t, []string{"manage", "view", "manage-account", "manage-account-links", "view-profile", "refund", "reader"}, roles,
		"in the order of the document, and view once")
	has, err := set.Contains(claims.P("resource_access", "my.app", "roles"), "reader")
	require.NoError(t, err)
	require.True(t, has)
}

func TestN09_NamesWithDots(t *testing.T) {
	t.Parallel()
	checkStrings(t, []stringsCase{
		{file: "auth0-id", path: `https://example\.com/roles`, want: []string{"editor", "admin"}},
		{file: "auth0-id", path: `https://example\.com/app_metadata.role\.name`, want: []string{"editor"}},
		{file: "auth0-id", path: "/https:~1~1example.com~1app_metadata/plan", want: []string{"gold"}},
		{file: "keycloak-access", path: `https://example\.com/tenant.plan`, want: []string{"business"}},
		{file: "keycloak-access", path: "realm_access.roles.3", want: []string{"clerk"}}, // both shapes in one token
		{file: "cognito-id", path: "cognito:groups", want: []string{"clerks", "refunds"}},
		{file: "adfs-access", path: `http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/emailaddress`, want: []string{"ada@example.com"}},
	})
	_, err := golden(t, "auth0-id").Strings(path(t, "https://example.com/roles"))
	require.Contains(t, requireReason(t, err, claims.Missing).Hint, `https://example\.com/roles`)
	_, err = golden(t, "auth0-id").CollectStrings(pattern(t, "https://example.com/roles"))
	require.Contains(t, requireReason(t, err, claims.Missing).Hint, `https://example\.com/roles`)
}

func TestN10_RolesInAnyShape(t *testing.T) {
	t.Parallel()
	checkStrings(t, []stringsCase{
		{file: "adfs-access", path: "role", want: []string{"Domain Users"}},
		{file: "adfs-access", path: "group", want: []string{`CORP\Domain Users`, `CORP\Order Desk`}},
		{file: "okta-org-id", path: "groups", want: []string{"Everyone", "Domain Users", "Order Desk"}},
		{file: "okta-org-id", path: "groups", opts: []claims.StringsOption{claims.SplitSpaces()}, want: []string{"Everyone", "Domain Users", "Order Desk"}},
		{file: "authentik-id", path: "groups", want: []string{"authentik Admins", "Order Desk"}},
		{file: "cognito-id", path: "custom:departments", want: []string{`["returns","refunds"]`}},
		{file: "cognito-id", path: "custom:departments", opts: []claims.StringsOption{claims.JSONInString()}, want: []string{"returns", "refunds"}},
		{file: "gitlab-ci", path: "user_identities", opts: []claims.StringsOption{claims.Field("extern_uid")}, want: []string{"4200000000001", "ada@corp.example.com"}},
		{file: "gitlab-ci", path: "user_identities", reason: claims.WrongType},
		{file: "gitlab-ci", path: "runner_id", reason: claims.WrongType},
		{file: "cognito-id", path: "identities.0.issuer", reason: claims.Null},
		{file: "google-id", path: "groups", reason: claims.Missing},
		{file: "entra-v2-id", path: "roles", want: []string{"Orders.Approve"}},
		{file: "entra-v1-access", path: "wids", want: []string{"0e129f4d-0000-4000-8000-0000000000f1"}},
		{file: "gitlab-ci", path: "groups_direct", want: []string{"my-group", "other-group/sub"}},
	})
	_, err := golden(t, "gitlab-ci").Strings(claims.P("runner_id"))
	e := requireReason(t, err, claims.WrongType)
	require.Equal(t, "number", e.Found)
	require.Equal(t, "runner_id", e.Claim)
	_, err = golden(t, "gitlab-ci").String(claims.P("ref"))
	require.NoError(t, err, "one bad claim spoils no other")
}

func TestN26_OverageIsNeverNoGroups(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]claims.OverageError{
		"entra-v1-id-overage": {
			Claim: "groups", Reason: claims.OverageElsewhere, Source: "src1",
			Endpoint: "https://graph.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/users/00aa00aa-bb11-cc22-dd33-44ee44ee44ee/getMemberObjects",
		},
		"entra-v2-id-overage": {
			Claim: "groups", Reason: claims.OverageElsewhere, Source: "src1",
			Endpoint: "https://graph.microsoft.com/v1.0/users/00aa00aa-bb11-cc22-dd33-44ee44ee44ee/getMemberObjects",
		},
		"entra-v1-id-implicit": {Claim: "groups", Reason: claims.OverageHasGroups},
	} {
		set := golden(t, file)
		got, err := set.Strings(claims.P("groups"))
		require.Nil(t, got)
		require.Equal(t, want, *requireOverage(t, err))
		got, err = set.CollectStrings(claims.P("groups").Pattern())
		require.Nil(t, got)
		require.Equal(t, want, *requireOverage(t, err))
		has, err := set.Contains(claims.P("groups"), "0e129f4d-0000-4000-8000-000000000001")
		require.False(t, has)
		require.Equal(t, want, *requireOverage(t, err))
		// The other claims are as readable as ever.
		name, err := set.String(claims.P("name"))
		require.NoError(t, err)
		require.Equal(t, "Ada Example", name)
	}
	// Okta does not say that it cut the list: the configuration knows its limit.
	set := golden(t, "okta-custom-access")
	_, err := set.Strings(claims.P("groups"), claims.Limit(2))
	require.Equal(t, claims.OverageCut, requireOverage(t, err).Reason)
	groups, err := set.Strings(claims.P("groups"), claims.Limit(3))
	require.NoError(t, err)
	require.Len(t, groups, 2)
}

func requireOverage(t *testing.T, err error) *claims.OverageError {
	t.Helper()
	var e *claims.OverageError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.False(t, claims.IsMissing(err))
	return e
}

func TestN45_ClaimsFromSeveralSources(t *testing.T) {
	t.Parallel()
	var m claims.Mapping
	require.NoError(t, json.Unmarshal([]byte(`{
		"username": "preferred_username",
		"email": "email",
		"roles": {"paths": ["realm_access.roles", "resource_access.*.roles"], "from": ["id_token", "access_token"]},
		"groups": {"paths": ["groups"], "from": ["id_token", "userinfo"]}
	}`), &m))
	id := identity(t, m, claims.Sources{IDToken: golden(t, "keycloak-id"), UserInfo: golden(t, "keycloak-userinfo"), AccessToken: golden(t, "keycloak-access")})
	from := func(source claims.Source, path string) claims.Origin {
		return claims.Origin{Source: source, Path: path}
	}
	require.Equal(t, claims.Identity{
		Issuer: "https://sso.example.com/realms/shop", Subject: "f3b0c2a4-5d6e-4f70-8a91-b2c3d4e5f607",
		Username: "ada", Email: "ada@example.com", EmailVerified: true,
		Roles: []string{
			"default-roles-shop", "offline_access", "uma_authorization", "clerk",
			"manage", "view", "manage-account", "manage-account-links", "view-profile", "refund", "reader",
		},
		Groups: []string{"/staff", "/staff/emea"},
		Origins: claims.Origins{
			Subject: from(claims.FromIDToken, "sub"), Username: from(claims.FromIDToken, "preferred_username"),
			Email: from(claims.FromIDToken, "email"), EmailVerified: from(claims.FromIDToken, "email_verified"),
			Roles: []claims.Origin{
				from(claims.FromAccessToken, "realm_access.roles"), from(claims.FromAccessToken, "resource_access.webshop.roles"),
				from(claims.FromAccessToken, "resource_access.account.roles"), from(claims.FromAccessToken, "resource_access.orders-api.roles"),
				from(claims.FromAccessToken, `resource_access.my\.app.roles`),
			},
			Groups: []claims.Origin{from(claims.FromUserInfo, "groups")},
		},
	}, *id)
}

// One mapping for each provider, with what it makes of that provider's tokens.
func TestN45_EveryProvider(t *testing.T) {
	t.Parallel()
	text := func(paths ...string) claims.TextClaim {
		var c claims.TextClaim
		for _, p := range paths {
			c.Paths = append(c.Paths, path(t, p))
		}
		return c
	}
	list := func(paths ...string) claims.ListClaim {
		var c claims.ListClaim
		for _, p := range paths {
			c.Paths = append(c.Paths, pattern(t, p))
		}
		return c
	}
	for name, tt := range map[string]struct {
		mapping              claims.Mapping
		id, userinfo, access string
		username, email      string
		verified             bool
		roles, groups        []string
	}{
		"entra v1": {
			mapping: claims.Mapping{Username: text("upn"), Roles: list("roles"), Groups: list("groups")}, access: "entra-v1-access",
			username: "ada@contoso.example", roles: []string{"Orders.Approve"},
			groups: []string{"0e129f4d-0000-4000-8000-000000000001", "0e129f4d-0000-4000-8000-000000000002"},
		},
		"entra v2": {
			mapping: claims.Mapping{Username: text("preferred_username"), Email: text("email"), EmailVerified: path(t, "xms_edov"), Roles: list("roles")}, id: "entra-v2-id",
			username: "ada@contoso.example", email: "ada@contoso.example", verified: true, roles: []string{"Orders.Approve"},
		},
		"entra v2 without xms_edov": {
			mapping: claims.Mapping{Username: text("preferred_username"), Email: text("email")}, id: "entra-v2-id",
			username: "ada@contoso.example", email: "ada@contoso.example",
		},
		"okta org": {
			mapping: claims.Mapping{Username: text("preferred_username"), Email: claims.TextClaim{Paths: text("email").Paths, From: []claims.Source{claims.FromUserInfo}}, Groups: list("groups")},
			id:      "okta-org-id", userinfo: "okta-org-userinfo",
			username: "ada@example.com", email: "ada@example.com", verified: true, groups: []string{"Everyone", "Domain Users", "Order Desk"},
		},
		"okta custom": {
			mapping: claims.Mapping{Username: text("sub"), Groups: list("groups")}, access: "okta-custom-access",
			username: "ada@example.com", groups: []string{"Everyone", "Order Desk"},
		},
		"auth0": {
			mapping: claims.Mapping{Username: text("nickname"), Email: text("email"), Roles: list(`https://example\.com/roles`)}, id: "auth0-id", access: "auth0-access",
			username: "ada", email: "ada@example.com", roles: []string{"editor", "admin"},
		},
		"cognito": {
			mapping: claims.Mapping{Username: text("cognito:username", "username"), Email: text("email"), Groups: list("cognito:groups")}, id: "cognito-id", access: "cognito-access",
			username: "ada", email: "ada@example.com", verified: true, groups: []string{"clerks", "refunds"},
		},
		"cognito at an API": {
			mapping: claims.Mapping{Username: text("cognito:username", "username"), Groups: list("cognito:groups")}, access: "cognito-access",
			username: "ada", groups: []string{"clerks", "refunds"},
		},
		"google": {
			mapping: claims.Mapping{Username: text("email"), Email: text("email")}, id: "google-id",
			username: "ada@example.com", email: "ada@example.com", verified: true,
		},
		"adfs": {
			mapping: claims.Mapping{
				Username: text("upn"), Email: text(`http://schemas\.xmlsoap\.org/ws/2005/05/identity/claims/emailaddress`), Roles: list("role"), Groups: list("group"),
			}, access: "adfs-access",
			username: "ada@corp.example.com", email: "ada@example.com", roles: []string{"Domain Users"}, groups: []string{`CORP\Domain Users`, `CORP\Order Desk`},
		},
		"authentik": {
			mapping: claims.Mapping{Username: text("preferred_username"), Email: text("email"), Groups: list("groups")}, id: "authentik-id",
			username: "ada", email: "ada@example.com", groups: []string{"authentik Admins", "Order Desk"},
		},
		"github": {mapping: claims.Mapping{Username: text("repository")}, id: "github-actions", username: "acme-org/orders"},
		"gitlab": {
			mapping: claims.Mapping{Username: text("user_login"), Email: text("user_email"), Groups: list("groups_direct")}, id: "gitlab-ci",
			username: "ada", email: "ada@example.com", groups: []string{"my-group", "other-group/sub"},
		},
	} {
		var from claims.Sources
		for file, set := range map[string]*claims.Set{tt.id: &from.IDToken, tt.userinfo: &from.UserInfo, tt.access: &from.AccessToken} {
			if file != "" {
				*set = golden(t, file)
			}
		}
		id := identity(t, tt.mapping, from)
		require.Equal(t, tt.username, id.Username, name)
		require.Equal(t, tt.email, id.Email, name)
		require.Equal(t, tt.verified, id.EmailVerified, name)
		require.Equal(t, tt.roles, id.Roles, name)
		require.Equal(t, tt.groups, id.Groups, name)
	}
}

func TestN46_EmailIsVerifiedIfTheProviderSaysSo(t *testing.T) {
	t.Parallel()
	email := claims.Mapping{Email: claims.TextClaim{Paths: []claims.Path{claims.P("email")}}}
	inString := email
	inString.EmailVerifiedInString = true
	const none = claims.Source("")
	for document, tt := range map[string]struct {
		strict, lenient claims.Reason
		verified        bool
		said            claims.Source
	}{
		`,"email_verified":true`:    {ok, ok, true, claims.FromIDToken},
		`,"email_verified":false`:   {ok, ok, false, claims.FromIDToken},
		`,"email_verified":"true"`:  {claims.WrongType, ok, true, claims.FromIDToken},
		`,"email_verified":"false"`: {claims.WrongType, ok, false, claims.FromIDToken},
		`,"email_verified":"True"`:  {claims.WrongType, claims.Malformed, false, none},
		`,"email_verified":"1"`:     {claims.WrongType, claims.Malformed, false, none},
		`,"email_verified":""`:      {claims.WrongType, claims.Malformed, false, none},
		`,"email_verified":1`:       {claims.WrongType, claims.WrongType, false, none},
		`,"email_verified":[true]`:  {claims.WrongType, claims.WrongType, false, none},
		`,"email_verified":null`:    {ok, ok, false, none},
		`,"Email_Verified":true`:    {ok, ok, false, none},
		``:                          {ok, ok, false, none},
	} {
		set := parse(t, `{"iss":"https://op.example","sub":"1","email":"a@example.com"`+document+`}`)
		for m, reason := range map[*claims.Mapping]claims.Reason{&email: tt.strict, &inString: tt.lenient} {
			id, err := mapper(t, *m).Identity(t.Context(), claims.Sources{IDToken: set})
			if check(t, err, reason, document) {
				require.Equal(t, tt.verified, id.EmailVerified, document)
				require.Equal(t, tt.said, id.Origins.EmailVerified.Source, document)
			}
		}
	}
	// Cognito's userinfo has the string.
	from := claims.Sources{IDToken: golden(t, "cognito-id"), UserInfo: golden(t, "cognito-userinfo")}
	email.From, inString.From = []claims.Source{claims.FromUserInfo}, []claims.Source{claims.FromUserInfo}
	_, err := mapper(t, email).Identity(t.Context(), from)
	e := requireReason(t, err, claims.WrongType)
	require.Equal(t, [3]string{"email_verified", "string", "userinfo"}, [3]string{e.Claim, e.Found, string(e.Source)})
	require.True(t, identity(t, inString, from).EmailVerified)
}

func TestN47_Scopes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"keycloak-access":    {"openid", "profile", "email", "orders:read", "orders:write"},
		"entra-v1-access":    {"orders.read", "orders.write"},
		"entra-v2-access":    {"orders.read", "orders.write"},
		"okta-custom-access": {"openid", "email", "orders.read"},
		"auth0-access":       {"openid", "profile", "email", "read:orders"},
		"cognito-access":     {"openid", "orders/read"},
		"adfs-access":        {"openid", "orders"},
		"google-id":          nil,
	} {
		got, err := golden(t, file).Scopes()
		require.NoError(t, err, file)
		require.Equal(t, want, got, file)
	}
	// Auth0's permissions are a list of their own, and no scopes.
	checkStrings(t, []stringsCase{{file: "auth0-access", path: "permissions", want: []string{"read:orders", "write:orders"}}})
}

func TestN65_NumbersKeepTheirForm(t *testing.T) {
	t.Parallel()
	const document = `{"n":9007199254740993,"max":9223372036854775807,"over":9223372036854775808,"f":1.0,"e":1.68e+09,"id":117000000000000000000000000042}`
	set := parse(t, document)
	for name, want := range map[string]int64{"n": 9007199254740993, "max": 9223372036854775807} {
		got, err := set.Int64(claims.P(name))
		require.NoError(t, err, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"over", "f", "e", "id"} {
		_, err := set.Int64(claims.P(name))
		requireReason(t, err, claims.Malformed, name)
	}
	require.Equal(t, document, string(set.Raw()))
	sub, err := golden(t, "google-id").String(claims.P("sub"))
	require.NoError(t, err)
	require.Equal(t, "117000000000000000000000000042", sub)
	id, err := golden(t, "gitlab-ci").Int64(claims.P("runner_id"))
	require.NoError(t, err)
	require.EqualValues(t, 1, id)
}

func TestM12_ScopesAreWords(t *testing.T) {
	t.Parallel()
	for document, want := range map[string][]string{
		`{"scope":"read:all"}`:             {"read:all"},
		`{"scope":["read","write all"]}`:   {"read", "write", "all"},
		`{"scp":["read"]}`:                 {"read"},
		`{"scope":"a\tb\nc"}`:              {"a\tb\nc"},
		`{"scope":"a\u0000b a"}`:           {"a\u0000b", "a"},
		`{"scope":"a\u00a0b\u2003c"}`:      {"a\u00a0b\u2003c"},
		`{"scope":"read read","scp":"re"}`: {"read", "re"},
	} {
		got, err := parse(t, document).Scopes()
		require.NoError(t, err, document)
		require.Equal(t, want, got, document)
	}
}

func TestM13_GroupsOfAnotherTypeAreErrors(t *testing.T) {
	t.Parallel()
	for document, reason := range map[string]claims.Reason{
		`{"groups":"admin"}`: ok, `{"groups":["admin"]}`: ok, `{"groups":[]}`: ok,
		`{"groups":{"admin":true}}`: claims.WrongType, `{"groups":true}`: claims.WrongType, `{"groups":1}`: claims.WrongType,
		`{"groups":["a",null]}`: claims.WrongType, `{"groups":[["admin"]]}`: claims.WrongType, `{"groups":null}`: claims.Null, `{}`: claims.Missing,
	} {
		set := parse(t, document)
		for _, read := range []func() ([]string, error){
			func() ([]string, error) { return set.Strings(claims.P("groups")) },
			func() ([]string, error) { return set.CollectStrings(claims.P("groups").Pattern()) },
			func() ([]string, error) { return set.CollectStrings(claims.Path{}.Every()) },
		} {
			got, err := read()
			if document == `{}` && err != nil {
				requireReason(t, err, claims.Missing)
				continue
			}
			check(t, err, reason, document)
			require.Equal(t, reason == ok, got != nil, document)
		}
	}
}

func TestT07_TypesAreNotMixed(t *testing.T) {
	t.Parallel()
	github := golden(t, "github-actions")
	_, err := github.Bool(claims.P("ref_protected"))
	require.Equal(t, "string", requireReason(t, err, claims.WrongType).Found)
	protected, err := github.Bool(claims.P("ref_protected"), claims.BoolInString())
	require.NoError(t, err)
	require.True(t, protected)
	_, err = github.Int64(claims.P("run_attempt"))
	require.Equal(t, "string", requireReason(t, err, claims.WrongType).Found)
	base, err := github.String(claims.P("base_ref"))
	require.NoError(t, err)
	require.Empty(t, base, "empty is not missing")
	_, err = golden(t, "gitlab-ci").String(claims.P("base_ref"))
	requireReason(t, err, claims.Missing)
	_, err = golden(t, "gitlab-ci").Bool(claims.P("sha"), claims.BoolInString())
	requireReason(t, err, claims.Malformed)
}
