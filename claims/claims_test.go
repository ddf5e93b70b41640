package claims_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

func parse(t *testing.T, document string) claims.Set {
	t.Helper()
	set, err := claims.Parse([]byte(document))
	require.NoError(t, err, document)
	return set
}

// requireReason checks the contract of all errors about a claim.
func requireReason(t *testing.T, err error, want claims.Reason, about ...any) *claims.Error {
	t.Helper()
	var e *claims.Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Reason, about...)
	require.ErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	require.Equal(t, want == claims.Missing || want == claims.Null, claims.IsMissing(err), about...)
	return e
}

// ok is the reason of no error.
const ok claims.Reason = ""

func check(t *testing.T, err error, want claims.Reason, about ...any) bool {
	t.Helper()
	if want == ok {
		require.NoError(t, err, about...)
		return true
	}
	requireReason(t, err, want, about...)
	return false
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]strictjson.Reason{
		`null`: strictjson.NotObject, `[]`: strictjson.NotObject, ``: strictjson.NotObject,
		`{"a":1,"a":2}`: strictjson.DuplicateName, `{"x":{"a":1,"a":2}}`: strictjson.DuplicateName,
		`{"sub":1,"ſub":2}`: strictjson.FoldedName, `{"sub":"\ud800"}`: strictjson.InvalidUnicode, `{}x`: strictjson.Syntax,
	} {
		set, err := claims.Parse([]byte(document))
		var e *strictjson.Error
		require.ErrorAs(t, err, &e, document)
		require.Equal(t, want, e.Reason, document)
		require.Nil(t, set.Raw())
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]claims.Path{
		`sub`:                         claims.P("sub"),
		`realm_access.roles`:          claims.P("realm_access", "roles"),
		`https://example\.com/roles`:  claims.P("https://example.com/roles"),
		`a\\b.c`:                      claims.P(`a\b`, "c"),
		`a\\\.b`:                      claims.P(`a\.b`),
		`a b.ü./x`:                    claims.P("a b", "ü", "/x"),
		`/sub`:                        claims.P("sub"),
		`/a/b`:                        claims.P("a", "b"),
		`/`:                           claims.P(""),
		`//`:                          claims.P("", ""),
		`/a~1b/c~0d/~01`:              claims.P("a/b", "c~d", "~1"),
		`/https:~1~1example.com~1r/0`: claims.P("https://example.com/r", "0"),
		`/a.b\c`:                      claims.P(`a.b\c`),
		`~`:                           claims.P("~"),
	} {
		got, err := claims.ParsePath(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := claims.ParsePath(got.String())
		require.NoError(t, err, text)
		require.Equal(t, want, again, text)
	}
	for _, text := range []string{``, `.`, `a.`, `.a`, `a..b`, `a\`, `a\b`, `\`, `a.\`, `/~`, `/~2`, `/a~`, `/a/b~x`} {
		got, err := claims.ParsePath(text)
		require.Error(t, err, text)
		require.True(t, got.IsZero(), text)
	}
}

func TestPathText(t *testing.T) {
	t.Parallel()
	type config struct {
		Path claims.Path `json:"path"`
	}
	var c config
	require.NoError(t, json.Unmarshal([]byte(`{"path":"a\\.b.c"}`), &c))
	require.Equal(t, claims.P("a.b", "c"), c.Path)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"path":"a\\.b.c"}`, string(text))

	before := c
	require.Error(t, json.Unmarshal([]byte(`{"path":"a..b"}`), &c))
	require.Equal(t, before, c, "an error changes nothing")

	segments := []string{"a", "b"}
	path := claims.P(segments...)
	segments[0] = "x"
	require.Equal(t, "a.b", path.String())
	require.True(t, claims.Path{}.IsZero())
	require.True(t, claims.P().IsZero())
	require.False(t, claims.P("").IsZero())
}

// FuzzPathRoundTrip: every path has a text that reads as the same path, and every
// text that reads as a path reads the same after String.
func FuzzPathRoundTrip(f *testing.F) {
	seeds := [][2]string{{"a", "b"}, {"a.b", `\`}, {"/x", "~1"}, {"", ""}, {"https://example.com/roles", "0"}, {"/~2", "a..b"}}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, p := range []claims.Path{claims.P(a), claims.P(a, b)} {
			got, err := claims.ParsePath(p.String())
			require.NoError(t, err)
			require.Equal(t, p, got)
		}
		if a != "" && !strings.HasPrefix(a, "/") {
			got, err := claims.ParsePath(claims.Escape(a))
			require.NoError(t, err)
			require.Equal(t, claims.P(a), got)
		}
		if p, err := claims.ParsePath(a); err == nil {
			again, err := claims.ParsePath(p.String())
			require.NoError(t, err)
			require.Equal(t, p, again)
		} else {
			require.True(t, p.IsZero())
		}
	})
}

func TestPathsLead(t *testing.T) {
	t.Parallel()
	set := parse(t, `{"a":{"b":{"c":"nested"},"list":["zero",{"x":"in a list"}]},"a.b":"dots","":{"":"empty"},"n":null,"o":{"n":null},"0":"a name","s":"x"}`)
	for _, tt := range []struct {
		path   claims.Path
		want   string
		reason claims.Reason
	}{
		{claims.P("a", "b", "c"), "nested", ok},
		{claims.P("a.b"), "dots", ok},
		{claims.P("", ""), "empty", ok},
		{claims.P("a", "list", "0"), "zero", ok},
		{claims.P("a", "list", "1", "x"), "in a list", ok},
		{claims.P("0"), "a name", ok},
		{claims.P("a", "list", "2"), "", claims.Missing},
		{claims.P("a", "list", "-1"), "", claims.Missing},
		{claims.P("a", "list", "00"), "", claims.Missing},
		{claims.P("a", "list", "+0"), "", claims.Missing},
		{claims.P("a", "list", "x"), "", claims.Missing},
		{claims.P("a", "list", "99999999999999999999"), "", claims.Missing},
		{claims.P("a", "list", ""), "", claims.Missing},
		{claims.P("A", "b", "c"), "", claims.Missing},
		{claims.P("a", "B"), "", claims.Missing},
		{claims.P("x", "y", "z"), "", claims.Missing},
		{claims.P("s", "x"), "", claims.Missing},
		{claims.P("s", "0"), "", claims.Missing},
		{claims.P("n", "x"), "", claims.Missing},
		{claims.P("n"), "", claims.Null},
		{claims.P("o", "n"), "", claims.Null},
		{claims.P("a"), "", claims.WrongType},
		{claims.Path{}, "", claims.Missing},
	} {
		got, err := set.String(tt.path)
		check(t, err, tt.reason, tt.path)
		require.Equal(t, tt.want, got, tt.path)
		require.Equal(t, tt.reason == ok || tt.reason == claims.WrongType, set.Has(tt.path), tt.path)
		if tt.reason != ok && !tt.path.IsZero() {
			require.Equal(t, tt.path.String(), requireReason(t, err, tt.reason).Claim)
		}
	}
}

func TestHintForNamesWithDots(t *testing.T) {
	t.Parallel()
	set := parse(t, `{"https://example.com/roles":["admin"]}`)
	path, err := claims.ParsePath("https://example.com/roles")
	require.NoError(t, err)
	_, err = set.Strings(path)
	e := requireReason(t, err, claims.Missing)
	require.Contains(t, e.Hint, `https://example\.com/roles`)
	require.NotContains(t, err.Error(), "admin")

	path, err = claims.ParsePath(claims.Escape("https://example.com/roles"))
	require.NoError(t, err)
	roles, err := set.Strings(path)
	require.NoError(t, err)
	require.Equal(t, []string{"admin"}, roles)

	for _, p := range []claims.Path{claims.P("other"), claims.P("a", "b")} {
		_, err = set.Strings(p)
		require.Empty(t, requireReason(t, err, claims.Missing).Hint)
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	for value, tt := range map[string]struct {
		want   []string
		reason claims.Reason
	}{
		`"one"`: {[]string{"one"}, ok}, `["a","b"]`: {[]string{"a", "b"}, ok}, `[]`: {[]string{}, ok}, `""`: {[]string{""}, ok}, `["\u0061"]`: {[]string{"a"}, ok},
		`"a b"`: {[]string{"a b"}, ok},
		`null`:  {nil, claims.Null}, `1`: {nil, claims.WrongType}, `true`: {nil, claims.WrongType}, `{}`: {nil, claims.WrongType},
		`["a",1]`: {nil, claims.WrongType}, `["a",null]`: {nil, claims.WrongType}, `[["a"]]`: {nil, claims.WrongType}, `[{"a":"b"}]`: {nil, claims.WrongType},
	} {
		got, err := parse(t, `{"c":`+value+`}`).Strings(claims.P("c"))
		check(t, err, tt.reason, value)
		require.Equal(t, tt.want, got, value)
	}
	got, err := parse(t, `{}`).Strings(claims.P("c"))
	requireReason(t, err, claims.Missing)
	require.Nil(t, got)
	got, err = claims.Set{}.Strings(claims.P("c"))
	requireReason(t, err, claims.Missing)
	require.Nil(t, got)
}

func TestStringBoolInt64(t *testing.T) {
	t.Parallel()
	type want struct{ str, boolean, integer claims.Reason }
	w, m := claims.WrongType, claims.Malformed
	for value, tt := range map[string]want{
		`"x"`: {ok, w, w}, `""`: {ok, w, w}, `"true"`: {ok, w, w}, `"1"`: {ok, w, w},
		`true`: {w, ok, w}, `false`: {w, ok, w},
		`0`: {w, w, ok}, `-0`: {w, w, ok}, `1`: {w, w, ok}, `9223372036854775807`: {w, w, ok}, `-9223372036854775808`: {w, w, ok},
		`9223372036854775808`: {w, w, m}, `1.5`: {w, w, m}, `1e300`: {w, w, m}, `1.0`: {w, w, m},
		`null`: {claims.Null, claims.Null, claims.Null}, `[]`: {w, w, w}, `["x"]`: {w, w, w}, `{}`: {w, w, w},
	} {
		set, p := parse(t, `{"c":`+value+`}`), claims.P("c")
		s, err := set.String(p)
		if check(t, err, tt.str, value) {
			require.Equal(t, value, `"`+s+`"`)
		} else {
			require.Empty(t, s)
		}
		b, err := set.Bool(p)
		if check(t, err, tt.boolean, value) {
			require.Equal(t, value, fmt.Sprint(b))
		} else {
			require.False(t, b)
		}
		n, err := set.Int64(p)
		if check(t, err, tt.integer, value) {
			require.Equal(t, strings.TrimPrefix(value, "-0"), strings.TrimPrefix(fmt.Sprint(n), "0"+strings.TrimPrefix(value, "-0")))
		} else {
			require.Zero(t, n)
		}
	}
	for _, err := range []error{
		second(claims.Set{}.String(claims.P("c"))), second(claims.Set{}.Bool(claims.P("c"))),
		second(claims.Set{}.Int64(claims.P("c"))), second(claims.Set{}.Time(claims.P("c"))),
	} {
		requireReason(t, err, claims.Missing)
	}
}

func second[T any](_ T, err error) error { return err }

func TestJ29_Time(t *testing.T) {
	t.Parallel()
	at := func(s, ns int64) time.Time { return time.Unix(s, ns) }
	for value, want := range map[string]time.Time{
		`0`: at(0, 0), `-0`: at(0, 0), `1`: at(1, 0), `1.5`: at(1, 5e8), `1.7e9`: at(17e8, 0), `1700000000.25`: at(1700000000, 25e7),
		`253402300799`: at(253402300799, 0), `2.53402300799e11`: at(253402300799, 0), `1e-400`: at(0, 0),
	} {
		got, err := parse(t, `{"exp":`+value+`}`).Time(claims.P("exp"))
		require.NoError(t, err, value)
		require.True(t, want.Equal(got), "%s: %v", value, got)
	}
	for value, reason := range map[string]claims.Reason{
		`253402300800`: claims.Malformed, `253402300799.5`: claims.Malformed, `1e12`: claims.Malformed, `1e18`: claims.Malformed,
		`9223372036854775807`: claims.Malformed, `1e300`: claims.Malformed, `1e400`: claims.Malformed, `-1`: claims.Malformed, `-1e300`: claims.Malformed,
		`-0.5`: claims.Malformed, `"1700000000"`: claims.WrongType, `"x"`: claims.WrongType, `true`: claims.WrongType, `[1]`: claims.WrongType, `{}`: claims.WrongType, `null`: claims.Null,
	} {
		got, err := parse(t, `{"exp":`+value+`}`).Time(claims.P("exp"))
		requireReason(t, err, reason, value)
		require.True(t, got.IsZero(), value)
	}
}

// FuzzTimeNeverOverflows: a date that is accepted lies from 1970 to 9999.
func FuzzTimeNeverOverflows(f *testing.F) {
	seeds := []string{"0", "1e300", "253402300799", "253402300800", "1.5", "-1", "9223372036854775807", "null", `"1"`}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		set, err := claims.Parse([]byte(`{"exp":` + value + `}`))
		if err != nil {
			return
		}
		got, err := set.Time(claims.P("exp"))
		if err != nil {
			require.True(t, got.IsZero())
			require.ErrorIs(t, err, oidckit.ErrInvalidToken)
			return
		}
		require.GreaterOrEqual(t, got.UTC().Year(), 1970)
		require.LessOrEqual(t, got.UTC().Year(), 9999)
	})
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for document, want := range map[string][]string{
		`{}`: nil, `{"scope":null}`: nil, `{"scope":""}`: nil, `{"scope":[]}`: nil, `{"scope":"  "}`: nil,
		`{"scope":"a b"}`: {"a", "b"}, `{"scope":" a  b "}`: {"a", "b"}, `{"scp":"a b"}`: {"a", "b"}, `{"scp":["a","b c"]}`: {"a", "b", "c"},
		`{"scope":"a b","scp":["b","c"]}`: {"a", "b", "c"}, `{"scope":null,"scp":"a"}`: {"a"}, `{"Scope":"a"}`: nil, `{"scope":"a\tb"}`: {"a\tb"}, `{"scope":"A a"}`: {"A", "a"},
	} {
		got, err := parse(t, document).Scopes()
		require.NoError(t, err, document)
		require.Equal(t, want, got, document)
	}
	for _, document := range []string{`{"scope":1}`, `{"scope":{"a":true}}`, `{"scope":["a",1]}`, `{"scp":true}`, `{"scope":"a","scp":1}`} {
		got, err := parse(t, document).Scopes()
		requireReason(t, err, claims.WrongType, document)
		require.Nil(t, got, document)
	}
}

func TestJ25_DecodeMatchesExactly(t *testing.T) {
	t.Parallel()
	set := parse(t, `{"EMAIL":"evil@example.com","Email_Verified":true,"GROUPS":["admin"],"n":12345678901234567890}`)
	var v struct {
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Groups   []string `json:"groups"`
		N        any      `json:"n"`
	}
	require.NoError(t, set.Decode(&v))
	require.Empty(t, v.Email)
	require.False(t, v.Verified)
	require.Empty(t, v.Groups)
	require.Equal(t, josejson.Number("12345678901234567890"), v.N)

	var m map[string]any
	require.NoError(t, claims.Set{}.Decode(&m))
	require.Empty(t, m)
	var wrong struct {
		N string `json:"n"`
	}
	require.Error(t, set.Decode(&wrong))
}

func TestJ48_RawIsWhatWasSigned(t *testing.T) {
	t.Parallel()
	const document = ` { "b" : 1.0 ,"a":"\u0061" } `
	set := parse(t, document)
	require.Equal(t, document, string(set.Raw()))
	raw, err := set.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, document, string(raw))
	text, err := json.Marshal(map[string]any{"set": set, "zero": claims.Set{}})
	require.NoError(t, err)
	require.JSONEq(t, `{"set":`+document+`,"zero":{}}`, string(text))
	require.Nil(t, claims.Set{}.Raw())

	token, err := jwt.Parse("eyJhbGciOiJIUzI1NiJ9.eyJhIjoieHkifQ.c2ln")
	require.NoError(t, err)
	verified := claims.FromVerified(token.Payload, token.Claims)
	require.Equal(t, token.Payload, string(verified.Raw()))
	require.True(t, verified.Has(claims.P("a")))
}

const marker = "MARKER"

func TestJ51_SetsRedactThemselves(t *testing.T) {
	t.Parallel()
	set := parse(t, `{"`+marker+`":"`+marker+`"}`)
	type holder struct{ Claims claims.Set }
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, set), fmt.Sprintf(verb, &set), fmt.Sprintf(verb, holder{set}), fmt.Sprintf(verb, []claims.Set{set}), fmt.Sprintf(verb, map[string]any{"a": set}))
	}
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("m", "claims", set, slog.Group("g", "claims", set))
	}
	for _, text := range append(texts, b.String()) {
		require.NotEmpty(t, text)
		require.NotContains(t, text, marker)
		require.NotContains(t, strings.ToUpper(text), fmt.Sprintf("%X", marker))
	}
	require.Contains(t, b.String(), "claims[")
}

// No error shows the value of a claim.
func TestErrorTextHoldsNoValue(t *testing.T) {
	t.Parallel()
	set := parse(t, `{"s":"`+marker+`","l":["`+marker+`",1],"o":{"`+marker+`":1},"n":987654321e300,"i":1.987654321}`)
	for _, err := range []error{
		second(set.Bool(claims.P("s"))), second(set.Int64(claims.P("s"))), second(set.Time(claims.P("s"))), second(set.Strings(claims.P("l"))),
		second(set.String(claims.P("o"))), second(set.Time(claims.P("n"))), second(set.Int64(claims.P("i"))), second(set.String(claims.P("o", "x"))),
	} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), marker)
		require.NotContains(t, err.Error(), "987654321")
	}
}

func TestIsMissing(t *testing.T) {
	t.Parallel()
	require.False(t, claims.IsMissing(nil))
	require.False(t, claims.IsMissing(oidckit.ErrInvalidToken))
	require.True(t, claims.IsMissing(fmt.Errorf("wrapped: %w", &claims.Error{Reason: claims.Null})))
	require.False(t, claims.IsMissing(&claims.Error{Reason: claims.WrongType}))
}

func TestContains(t *testing.T) {
	t.Parallel()
	set, err := claims.Parse([]byte(`{"realm":{"roles":["a","\u0062","c d"]},"one":"a","none":[],"null":null,"number":5,"mixed":["a",5],"object":{}}`))
	require.NoError(t, err)
	for _, tt := range []struct {
		path, want string
		has        bool
	}{
		{"realm.roles", "a", true}, {"realm.roles", "b", true}, {"realm.roles", "c d", true}, {"realm.roles", "c", false}, {"realm.roles", "A", false}, {"realm.roles", "", false},
		{"one", "a", true}, {"one", "", false}, {"none", "a", false}, {"realm.roles.0", "a", true},
	} {
		path, err := claims.ParsePath(tt.path)
		require.NoError(t, err)
		has, err := set.Contains(path, tt.want)
		require.NoError(t, err)
		require.Equal(t, tt.has, has, tt)
	}
	for path, reason := range map[string]claims.Reason{
		"null": claims.Null, "number": claims.WrongType, "mixed": claims.WrongType, "object": claims.WrongType, "absent": claims.Missing,
	} {
		has, err := set.Contains(claims.P(path), "a")
		var e *claims.Error
		require.ErrorAs(t, err, &e, path)
		require.Equal(t, reason, e.Reason, path)
		require.False(t, has)
	}
}
