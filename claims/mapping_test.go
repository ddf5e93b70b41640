package claims_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert/yaml"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
)

func mapper(tb testing.TB, m claims.Mapping) *claims.Mapper {
	tb.Helper()
	made, err := claims.NewMapper(m)
	require.NoError(tb, err)
	return made
}

func identity(t *testing.T, m claims.Mapping, from claims.Sources) *claims.Identity {
	t.Helper()
	id, err := mapper(t, m).Identity(t.Context(), from)
	require.NoError(t, err)
	return id
}

// The rolesClaimName and userNameClaimName of the Deploy seed are claims of a Mapping.
type deployConfig struct {
	Roles    claims.ListClaim `json:"rolesClaimName" yaml:"rolesClaimName"`
	Username claims.TextClaim `json:"userNameClaimName" yaml:"userNameClaimName"`
}

func TestDeploySeed(t *testing.T) {
	t.Parallel()
	for document, roles := range map[string][]string{
		"rolesClaimName: realm_access.roles\nuserNameClaimName: preferred_username\n":                    {"default-roles-shop", "offline_access", "uma_authorization", "clerk"},
		"rolesClaimName: \"resource_access.my\\\\.app.roles\"\nuserNameClaimName: preferred_username\n":  {"reader"},
		"rolesClaimName: resource_access.my\\.app.roles\nuserNameClaimName: preferred_username\n":        {"reader"},
		"rolesClaimName: \"https://example\\\\.com/tenant.plan\"\nuserNameClaimName: preferred_username": {"business"},
	} {
		var c deployConfig
		require.NoError(t, yaml.Unmarshal([]byte(document), &c), document)
		id := identity(t, claims.Mapping{Username: c.Username, Roles: c.Roles}, claims.Sources{AccessToken: golden(t, "keycloak-access")})
		require.Equal(t, "ada", id.Username)
		require.Equal(t, roles, id.Roles, document)
	}
	// Both are required.
	m := claims.Mapping{Username: claims.TextClaim{Paths: []claims.Path{claims.P("preferred_username")}}, Roles: claims.ListClaim{Paths: []claims.Pattern{claims.P("roles").Pattern()}}}
	_, err := mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: golden(t, "keycloak-id")})
	require.Equal(t, "roles", requireReason(t, err, claims.Missing).Claim)
	_, err = mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: golden(t, "google-id")})
	require.Equal(t, "preferred_username", requireReason(t, err, claims.Missing).Claim)
}

func TestMappingIsConfiguration(t *testing.T) {
	t.Parallel()
	want := claims.Mapping{
		Username: claims.TextClaim{Paths: []claims.Path{claims.P("preferred_username")}},
		Email:    claims.TextClaim{Paths: []claims.Path{claims.P("email")}, Optional: true, From: []claims.Source{claims.FromUserInfo}},
		Roles: claims.ListClaim{
			Paths: []claims.Pattern{claims.P("realm_access", "roles").Pattern(), claims.P("resource_access").Every("roles")},
			From:  []claims.Source{claims.FromAccessToken}, Split: "commas", Field: "name", JSONInString: true, Limit: 100,
		},
		EmailVerified: claims.P("xms_edov"), EmailVerifiedInString: true,
		From: []claims.Source{claims.FromUserInfo, claims.FromIDToken},
	}
	inYAML := `
username: preferred_username
email: {paths: [email], optional: true, from: [userinfo]}
roles:
  paths: [realm_access.roles, "resource_access.*.roles"]
  from: [access_token]
  split: commas
  field: name
  json_in_string: true
  limit: 100
email_verified: xms_edov
email_verified_in_string: true
from: [userinfo, id_token]
`
	var got claims.Mapping
	require.NoError(t, yaml.Unmarshal([]byte(inYAML), &got))
	require.Equal(t, want, got)

	text, err := json.Marshal(want)
	require.NoError(t, err)
	var again claims.Mapping
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, want, again)
	text, err = json.Marshal(claims.Mapping{})
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(text))

	before := got
	for _, document := range []string{
		`{"username":"a..b"}`, `{"username":{"path":"a"}}`, `{"username":{"paths":["a."]}}`, `{"username":{"paths":["a"],"paths":["b"]}}`, `{"username":["a"]}`, `{"username":1}`,
		`{"roles":"a\\b"}`, `{"roles":{"paths":["a"],"splitt":"spaces"}}`, `{"roles":{"paths":"a"}}`, `{"email_verified":""}`,
	} {
		require.Error(t, json.Unmarshal([]byte(document), &got), document)
		require.Equal(t, before, got, document)
	}
	require.NoError(t, json.Unmarshal([]byte(`{"username":null,"roles":null}`), &got))
	require.Equal(t, before, got)
}

func TestNewMapperRefuses(t *testing.T) {
	t.Parallel()
	text := func(paths ...claims.Path) claims.TextClaim { return claims.TextClaim{Paths: paths} }
	list := func(l claims.ListClaim) claims.Mapping {
		if l.Paths == nil {
			l.Paths = []claims.Pattern{claims.P("groups").Pattern()}
		}
		return claims.Mapping{Groups: l}
	}
	for _, tt := range []struct {
		field   string
		mapping claims.Mapping
	}{
		{"Mapping.Username.Paths", claims.Mapping{Username: claims.TextClaim{Optional: true}}},
		{"Mapping.Name.Paths", claims.Mapping{Name: text(claims.Path{})}},
		{"Mapping.Email.Paths", claims.Mapping{Email: claims.TextClaim{From: []claims.Source{claims.FromIDToken}}}},
		{"Mapping.Roles.Paths", claims.Mapping{Roles: claims.ListClaim{Split: "spaces"}}},
		{"Mapping.Groups.Paths", claims.Mapping{Groups: claims.ListClaim{Paths: []claims.Pattern{{}}}}},
		{"Mapping.Groups.Split", list(claims.ListClaim{Split: " "})},
		{"Mapping.Groups.Limit", list(claims.ListClaim{Limit: -1})},
		{"Mapping.Groups.From", list(claims.ListClaim{From: []claims.Source{"token"}})},
		{"Mapping.From", claims.Mapping{From: []claims.Source{claims.FromUserInfo, claims.FromUserInfo}}},
		{"Mapping.Username.From", claims.Mapping{Username: claims.TextClaim{Paths: []claims.Path{claims.P("a")}, From: []claims.Source{""}}}},
		{"Mapping.EmailVerified", claims.Mapping{EmailVerified: claims.P("verified")}},
		{"Mapping.EmailVerified", claims.Mapping{EmailVerified: claims.P("verified"), Email: text(claims.P("mail"), claims.P("upn"))}},
	} {
		made, err := claims.NewMapper(tt.mapping)
		require.ErrorContains(t, err, "claims: "+tt.field+" ")
		require.Nil(t, made)
	}
	_, err := claims.NewMapper(claims.Mapping{})
	require.NoError(t, err)
}

func TestMapperKeepsACopy(t *testing.T) {
	t.Parallel()
	m := claims.Mapping{
		Username: claims.TextClaim{Paths: []claims.Path{claims.P("a")}}, Groups: claims.ListClaim{Paths: []claims.Pattern{claims.P("g").Pattern()}},
		From: []claims.Source{claims.FromIDToken},
	}
	made := mapper(t, m)
	m.Username.Paths[0], m.Groups.Paths[0], m.From[0] = claims.P("x"), claims.P("x").Pattern(), claims.FromUserInfo
	id, err := made.Identity(t.Context(), claims.Sources{IDToken: parse(t, `{"iss":"i","sub":"s","a":"ada","g":["g"]}`)})
	require.NoError(t, err)
	require.Equal(t, "ada", id.Username)
	require.Equal(t, []string{"g"}, id.Groups)
}

// A source that is named has to be there; one of the default order is taken if it is.
func TestMapperNamesSources(t *testing.T) {
	t.Parallel()
	from := []claims.Source{claims.FromAccessToken}
	text := claims.TextClaim{Paths: []claims.Path{claims.P("a")}, From: from}
	list := claims.ListClaim{Paths: []claims.Pattern{claims.P("a").Pattern()}, From: from}
	for name, m := range map[string]claims.Mapping{
		"From": {From: from}, "Username": {Username: text}, "Name": {Name: text}, "Email": {Email: text}, "Roles": {Roles: list}, "Groups": {Groups: list},
	} {
		made := mapper(t, m)
		require.True(t, made.Names(claims.FromAccessToken), name)
		require.False(t, made.Names(claims.FromUserInfo), name)
	}
	list.From = nil
	require.False(t, mapper(t, claims.Mapping{Roles: list}).Names(claims.FromAccessToken))
}

func TestNeeds32_VerifiedEmail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		id *claims.Identity
		ok bool
	}{
		{&claims.Identity{Email: "a@example.com", EmailVerified: true}, true},
		{&claims.Identity{Email: "a@example.com"}, false},
		{&claims.Identity{EmailVerified: true}, false},
		{&claims.Identity{}, false},
		{nil, false},
	} {
		address, ok := tt.id.VerifiedEmail()
		require.Equal(t, tt.ok, ok)
		require.Equal(t, map[bool]string{true: "a@example.com"}[tt.ok], address)
	}
}

// Identity is (iss, sub), of all sources the same.
func TestIdentityIsOfOnePerson(t *testing.T) {
	t.Parallel()
	const idToken = `{"iss":"https://op.example","sub":"1"}`
	for _, tt := range []struct {
		id, userinfo, access string
		reason               claims.Reason
		claim                string
		source               claims.Source
	}{
		{id: idToken},
		{id: idToken, userinfo: `{"sub":"1"}`, access: `{"iss":"https://op.example","sub":"1"}`},
		{access: idToken},
		{access: idToken, userinfo: `{"sub":"1","iss":"https://op.example"}`},
		{id: idToken, userinfo: `{"sub":"2"}`, reason: claims.Mismatch, claim: "sub", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{"sub":"1 "}`, reason: claims.Mismatch, claim: "sub", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{"sub":1}`, reason: claims.WrongType, claim: "sub", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{}`, reason: claims.Missing, claim: "sub", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{"sub":""}`, reason: claims.Empty, claim: "sub", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{"sub":"1","iss":"https://other.example"}`, reason: claims.Mismatch, claim: "iss", source: claims.FromUserInfo},
		{id: idToken, userinfo: `{"sub":"1","iss":7}`, reason: claims.WrongType, claim: "iss", source: claims.FromUserInfo},
		{id: idToken, access: `{"iss":"https://op.example","sub":"2"}`, reason: claims.Mismatch, claim: "sub", source: claims.FromAccessToken},
		{id: idToken, access: `{"iss":"https://other.example","sub":"1"}`, reason: claims.Mismatch, claim: "iss", source: claims.FromAccessToken},
		{userinfo: `{"sub":"1","iss":"https://op.example"}`, reason: claims.Missing, claim: "iss", source: claims.FromAccessToken},
		{id: `{"sub":"1"}`, reason: claims.Missing, claim: "iss", source: claims.FromIDToken},
		{id: `{"iss":"https://op.example"}`, access: idToken, reason: claims.Missing, claim: "sub", source: claims.FromIDToken},
		{id: `{"iss":"","sub":"1"}`, reason: claims.Empty, claim: "iss", source: claims.FromIDToken},
		{reason: claims.Missing, claim: "iss", source: claims.FromAccessToken},
	} {
		id, err := mapper(t, claims.Mapping{}).Identity(t.Context(), sources(t, tt.id, tt.userinfo, tt.access))
		if check(t, err, tt.reason, tt) {
			require.Equal(t, [2]string{"https://op.example", "1"}, [2]string{id.Issuer, id.Subject})
			continue
		}
		require.Nil(t, id)
		e := requireReason(t, err, tt.reason)
		require.Equal(t, [2]string{tt.claim, string(tt.source)}, [2]string{e.Claim, string(e.Source)}, tt)
	}
}

func sources(t *testing.T, id, userinfo, access string) (s claims.Sources) {
	t.Helper()
	for _, source := range []struct {
		set  *claims.Set
		text string
	}{{&s.IDToken, id}, {&s.UserInfo, userinfo}, {&s.AccessToken, access}} {
		if source.text != "" {
			*source.set = parse(t, source.text)
		}
	}
	return s
}

func TestTextClaims(t *testing.T) {
	t.Parallel()
	text := func(optional bool, from []claims.Source, paths ...string) claims.TextClaim {
		c := claims.TextClaim{Optional: optional, From: from}
		for _, p := range paths {
			c.Paths = append(c.Paths, claims.P(p))
		}
		return c
	}
	const head = `{"iss":"i","sub":"s"`
	userinfo := []claims.Source{claims.FromUserInfo, claims.FromIDToken}
	for _, tt := range []struct {
		claim        claims.TextClaim
		id, userinfo string
		want         string
		origin       claims.Origin
		reason       claims.Reason
	}{
		{claim: text(false, nil, "a", "b"), id: `,"a":"1","b":"2"`, want: "1", origin: claims.Origin{Source: claims.FromIDToken, Path: "a"}},
		{claim: text(false, nil, "a", "b"), id: `,"b":"2"`, userinfo: `,"a":"3"`, want: "2", origin: claims.Origin{Source: claims.FromIDToken, Path: "b"}},
		{claim: text(false, nil, "a"), userinfo: `,"a":"3"`, want: "3", origin: claims.Origin{Source: claims.FromUserInfo, Path: "a"}},
		{claim: text(false, userinfo, "a"), id: `,"a":"1"`, userinfo: `,"a":"3"`, want: "3", origin: claims.Origin{Source: claims.FromUserInfo, Path: "a"}},
		{claim: text(false, userinfo, "a"), id: `,"a":"1"`, want: "1", origin: claims.Origin{Source: claims.FromIDToken, Path: "a"}},
		{claim: text(false, nil, "a"), id: `,"a":null`, userinfo: `,"a":"3"`, want: "3", origin: claims.Origin{Source: claims.FromUserInfo, Path: "a"}},
		{claim: text(false, nil, "a"), id: `,"a":""`, userinfo: `,"a":"3"`, want: "3", origin: claims.Origin{Source: claims.FromUserInfo, Path: "a"}},
		{claim: text(false, nil, "a"), id: `,"a":1`, userinfo: `,"a":"3"`, reason: claims.WrongType},
		{claim: text(true, nil, "a"), id: `,"a":1`, reason: claims.WrongType},
		{claim: text(false, nil, "a", "b"), id: `,"b":""`, reason: claims.Empty},
		{claim: text(false, nil, "a"), id: `,"a":null`, reason: claims.Null},
		{claim: text(false, nil, "a"), reason: claims.Missing},
		{claim: text(false, []claims.Source{claims.FromAccessToken}, "a"), id: `,"a":"1"`, reason: claims.Missing},
		{claim: text(true, nil, "a"), id: `,"a":""`},
		{claim: text(true, nil, "a")},
		{claim: claims.TextClaim{}},
	} {
		id, err := mapper(t, claims.Mapping{Username: tt.claim, Name: tt.claim}).Identity(t.Context(), sources(t, head+tt.id+`}`, head+tt.userinfo+`}`, ""))
		if check(t, err, tt.reason, tt) {
			require.Equal(t, [2]string{tt.want, tt.want}, [2]string{id.Username, id.Name}, tt)
			require.Equal(t, [2]claims.Origin{tt.origin, tt.origin}, [2]claims.Origin{id.Origins.Username, id.Origins.Name}, tt)
		}
	}
}

func TestErrorsNameTheSource(t *testing.T) {
	t.Parallel()
	m := claims.Mapping{Name: claims.TextClaim{Paths: []claims.Path{claims.P("name")}, From: []claims.Source{claims.FromUserInfo}}}
	_, err := mapper(t, m).Identity(t.Context(), sources(t, `{"iss":"i","sub":"s","name":"Ada"}`, `{"sub":"s","name":7}`, ""))
	e := requireReason(t, err, claims.WrongType)
	require.Equal(t, claims.Error{Claim: "name", Reason: claims.WrongType, Found: "number", Source: claims.FromUserInfo, Hint: e.Hint}, *e)
	require.Contains(t, err.Error(), "userinfo")
	require.Contains(t, err.Error(), "number")

	_, err = mapper(t, m).Identity(t.Context(), sources(t, `{"iss":"i","sub":"s","name":"Ada"}`, "", ""))
	e = requireReason(t, err, claims.Missing)
	require.Empty(t, e.Source, "it was not looked for anywhere")
	require.NotEmpty(t, e.Hint)
}

// What one source says of an address says nothing of the address of another.
func TestEmailIsVerifiedWhereItIs(t *testing.T) {
	t.Parallel()
	email := func(paths ...string) claims.TextClaim {
		c := claims.TextClaim{}
		for _, p := range paths {
			c.Paths = append(c.Paths, path(t, p))
		}
		return c
	}
	const head = `{"iss":"i","sub":"s"`
	for _, tt := range []struct {
		mapping      claims.Mapping
		id, userinfo string
		verified     bool
	}{
		{mapping: claims.Mapping{Email: email("email")}, id: `,"email_verified":true`, userinfo: `,"email":"a@b.c"`},
		{mapping: claims.Mapping{Email: email("email")}, id: `,"email_verified":true,"email":"a@b.c"`, userinfo: `,"email":"d@b.c","email_verified":false`, verified: true},
		{mapping: claims.Mapping{Email: email("upn")}, id: `,"upn":"a@b.c","email_verified":true`},
		{mapping: claims.Mapping{Email: email("email", "upn")}, id: `,"upn":"a@b.c","email_verified":true`},
		{mapping: claims.Mapping{Email: email("upn"), EmailVerified: claims.P("email_verified")}, id: `,"upn":"a@b.c","email_verified":true`, verified: true},
		{mapping: claims.Mapping{Email: email("profile.email")}, id: `,"profile":{"email":"a@b.c"},"email_verified":true`},
		{mapping: claims.Mapping{Email: email("profile.email")}, id: `,"profile":{"email":"a@b.c","email_verified":true}`, verified: true},
	} {
		id := identity(t, tt.mapping, sources(t, head+tt.id+`}`, head+tt.userinfo+`}`, ""))
		require.NotEmpty(t, id.Email)
		require.Equal(t, tt.verified, id.EmailVerified, tt)
	}
	// Without an address nothing is verified, and nothing is read.
	m := claims.Mapping{Email: email("email")}
	m.Email.Optional = true
	id := identity(t, m, sources(t, head+`,"email_verified":"odd"}`, "", ""))
	require.False(t, id.EmailVerified)
}

func TestListClaims(t *testing.T) {
	t.Parallel()
	const head = `{"iss":"i","sub":"s"`
	for _, tt := range []struct {
		config       string
		id, userinfo string
		want         []string
		reason       claims.Reason
	}{
		{config: `"g"`, id: `,"g":["a","b","a"]`, want: []string{"a", "b"}},
		{config: `"g"`, id: `,"g":["a"]`, userinfo: `,"g":["b"]`, want: []string{"a"}},
		{config: `{"paths":["g"],"from":["userinfo"]}`, id: `,"g":["a"]`, userinfo: `,"g":["b"]`, want: []string{"b"}},
		{config: `{"paths":["g","r"]}`, id: `,"r":["b","a"],"g":"a"`, want: []string{"a", "b"}},
		{config: `{"paths":["g","r"]}`, id: `,"r":["b"]`, userinfo: `,"g":["c"]`, want: []string{"b"}},
		{config: `"g"`, id: `,"g":[]`, userinfo: `,"g":["b"]`, want: []string{}},
		{config: `"g"`, id: `,"g":null`, userinfo: `,"g":["b"]`, want: []string{"b"}},
		{config: `"g"`, id: `,"g":5`, userinfo: `,"g":["b"]`, reason: claims.WrongType},
		{config: `{"paths":["g"],"optional":true}`, id: `,"g":[5]`, reason: claims.WrongType},
		{config: `{"paths":["g"],"optional":true}`},
		{config: `"g"`, reason: claims.Missing},
		{config: `"g"`, id: `,"g":null`, reason: claims.Null},
		{config: `{"paths":["g"],"split":"spaces"}`, id: `,"g":"a b"`, want: []string{"a", "b"}},
		{config: `{"paths":["g"],"split":"commas"}`, id: `,"g":"a b, c"`, want: []string{"a b", "c"}},
		{config: `{"paths":["g"],"field":"id"}`, id: `,"g":[{"id":"a"},{"id":"b"}]`, want: []string{"a", "b"}},
		{config: `{"paths":["g"],"json_in_string":true}`, id: `,"g":"[\"a\"]"`, want: []string{"a"}},
		{config: `{"paths":["r.*.g"]}`, id: `,"r":{"x":{"g":["a"]},"y":{},"z":{"g":["a","b"]}}`, want: []string{"a", "b"}},
		{config: `null`},
	} {
		var c claims.ListClaim
		require.NoError(t, json.Unmarshal([]byte(tt.config), &c), tt.config)
		id, err := mapper(t, claims.Mapping{Groups: c, Roles: c}).Identity(t.Context(), sources(t, head+tt.id+`}`, head+tt.userinfo+`}`, ""))
		if check(t, err, tt.reason, tt) {
			require.Equal(t, tt.want, id.Groups, tt)
			require.Equal(t, tt.want, id.Roles, tt)
			require.Equal(t, id.Groups == nil, id.Origins.Groups == nil)
		}
	}
}

func TestOriginsAreThoseOfEachPart(t *testing.T) {
	t.Parallel()
	m := claims.Mapping{Groups: claims.ListClaim{Paths: []claims.Pattern{claims.P("a", "b", "c").Every()}}}
	id := identity(t, m, sources(t, `{"iss":"i","sub":"s","a":{"b":{"c":{"x":"1","y":[],"z":"2"}}}}`, "", ""))
	var paths []string
	for _, origin := range id.Origins.Groups {
		paths = append(paths, origin.Path)
	}
	require.Equal(t, []string{"a.b.c.x", "a.b.c.y", "a.b.c.z"}, paths)
}

type resolverFunc func(context.Context, claims.Set, *claims.OverageError) ([]string, error)

func (f resolverFunc) ResolveGroups(ctx context.Context, set claims.Set, e *claims.OverageError) ([]string, error) {
	return f(ctx, set, e)
}

func TestN26_GroupResolver(t *testing.T) {
	t.Parallel()
	token := golden(t, "entra-v2-id-overage")
	m := claims.Mapping{Groups: claims.ListClaim{Paths: []claims.Pattern{claims.P("groups").Pattern(), claims.P("more").Pattern()}, Optional: true}}
	_, err := mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: token})
	require.Equal(t, "src1", requireOverage(t, err).Source, "optional does not make it none")

	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "caller")
	m.GroupResolver = resolverFunc(func(ctx context.Context, set claims.Set, e *claims.OverageError) ([]string, error) {
		require.Equal(t, "caller", ctx.Value(key{}))
		require.Equal(t, token.Raw(), set.Raw())
		require.Equal(t, "groups", e.Claim)
		return []string{"g1", "g2", "g1"}, nil
	})
	id, err := mapper(t, m).Identity(ctx, claims.Sources{IDToken: token})
	require.NoError(t, err)
	require.Equal(t, []string{"g1", "g2"}, id.Groups)
	require.Equal(t, []claims.Origin{{Source: claims.FromIDToken, Path: "groups", Resolved: true}}, id.Origins.Groups)

	// None is what the source says, not what is missing.
	m.GroupResolver = resolverFunc(func(context.Context, claims.Set, *claims.OverageError) ([]string, error) { return nil, nil })
	require.Equal(t, []string{}, identity(t, m, claims.Sources{IDToken: token}).Groups)

	// An error is handed on, also one that looks like a missing claim.
	for _, want := range []error{&oidckit.UnavailableError{What: "groups", Err: errors.New("down")}, &claims.Error{Claim: "groups", Reason: claims.Missing}} {
		m.GroupResolver = resolverFunc(func(context.Context, claims.Set, *claims.OverageError) ([]string, error) { return nil, want })
		_, err := mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: token})
		require.ErrorIs(t, err, want)
	}

	// A later source that has them all is as good, and asked first.
	m.GroupResolver = resolverFunc(func(context.Context, claims.Set, *claims.OverageError) ([]string, error) {
		return nil, errors.New("not needed")
	})
	userinfo := parse(t, `{"sub":"AAAAAexample-v2","groups":["u"]}`)
	require.Equal(t, []string{"u"}, identity(t, m, claims.Sources{IDToken: token, UserInfo: userinfo}).Groups)
	_, err = mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: token, UserInfo: parse(t, `{"sub":"AAAAAexample-v2"}`)})
	require.ErrorContains(t, err, "not needed")

	// Of several that leave them out, the first is the one that counts.
	m.GroupResolver = nil
	_, err = mapper(t, m).Identity(t.Context(), claims.Sources{IDToken: token, UserInfo: parse(t, `{"sub":"AAAAAexample-v2","hasgroups":true}`)})
	require.Equal(t, claims.OverageElsewhere, requireOverage(t, err).Reason)
}

func TestJ51_IdentitiesRedactThemselves(t *testing.T) {
	t.Parallel()
	id := claims.Identity{Issuer: marker, Subject: marker, Username: marker, Email: marker, Roles: []string{marker}}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, id), fmt.Sprintf(verb, &id), fmt.Sprintf(verb, []claims.Identity{id}))
	}
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("m", "id", id, "pointer", &id)
	}
	for _, text := range append(texts, b.String()) {
		require.Contains(t, text, "redacted")
		require.NotContains(t, text, marker)
		require.NotContains(t, text, fmt.Sprintf("%x", marker))
	}
	// In JSON, where a session is kept, it is whole.
	whole, err := json.Marshal(id)
	require.NoError(t, err)
	var again claims.Identity
	require.NoError(t, json.Unmarshal(whole, &again))
	require.Equal(t, id, again)
}
