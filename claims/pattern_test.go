package claims_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

// An error points at the character that is wrong, counted from 1.
func TestPathErrorsPointAtTheColumn(t *testing.T) {
	t.Parallel()
	for text, column := range map[string]int{
		``: 1, `.`: 1, `.a`: 1, `a.`: 3, `a..b`: 3, `ab.cd..e`: 7, `ü.é..x`: 5,
		`\`: 1, `a\`: 2, `a\b`: 2, `ab.c\d`: 5, `a\\\`: 4, `é\x`: 2, `a.\`: 3, `a\*`: 2,
		`/~`: 2, `/~2`: 2, `/a~`: 3, `/ba~0/a~`: 8, `/a/b~x`: 5, `/ü/~x`: 4, `/a/~*`: 4,
	} {
		_, err := claims.ParsePath(text)
		var e *claims.PathError
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, column, e.Column, text)
		require.Equal(t, text, e.Text)
		require.NotEmpty(t, e.Problem)
		require.Contains(t, err.Error(), fmt.Sprintf("column %d", column))
	}
	for text, column := range map[string]int{`*.`: 3, `\*\`: 3, `a.\x`: 3, `/*/~`: 4, `/~x`: 2} {
		p, err := claims.ParsePattern(text)
		var e *claims.PathError
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, column, e.Column, text)
		require.True(t, p.IsZero())
	}
}

func TestParsePattern(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]claims.Pattern{
		`sub`:                      claims.P("sub").Pattern(),
		`resource_access.*.roles`:  claims.P("resource_access").Every("roles"),
		`/resource_access/*/roles`: claims.P("resource_access").Every("roles"),
		`*`:                        claims.Path{}.Every(),
		`/*`:                       claims.Path{}.Every(),
		`*.*`:                      claims.Path{}.Every().Every(),
		`a.*.b.*.c`:                claims.P("a").Every("b").Every("c"),
		`a.\*.b`:                   claims.P("a", "*", "b").Pattern(),
		`/a/~*/b`:                  claims.P("a", "*", "b").Pattern(),
		`a*.**`:                    claims.P("a*", "**").Pattern(),
		`a.\*b.c`:                  claims.P("a", "*b", "c").Pattern(),
		`//*`:                      claims.P("").Every(),
		`/~1a/*`:                   claims.P("/a").Every(),
	} {
		got, err := claims.ParsePattern(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := claims.ParsePattern(got.String())
		require.NoError(t, err, text)
		require.Equal(t, want, again, text)
	}
	// In a path the star is a name.
	star, err := claims.ParsePath("resource_access.*.roles")
	require.NoError(t, err)
	require.Equal(t, claims.P("resource_access", "*", "roles"), star)
	require.Equal(t, "resource_access.*.roles", star.String())
	require.Equal(t, `resource_access.\*.roles`, star.Pattern().String())

	// Building on a pattern changes it for nobody else.
	base := claims.P("a", "b", "c", "d").Every("e")
	one, two := base.Every("f"), base.Every("g")
	require.Equal(t, [3]string{"a.b.c.d.*.e", "a.b.c.d.*.e.*.f", "a.b.c.d.*.e.*.g"}, [3]string{base.String(), one.String(), two.String()})

	var c struct{ P claims.Pattern }
	require.NoError(t, json.Unmarshal([]byte(`{"P":"a.*"}`), &c))
	require.Error(t, json.Unmarshal([]byte(`{"P":"a..b"}`), &c))
	require.Equal(t, claims.P("a").Every(), c.P)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"P":"a.*"}`, string(text))
}

func TestPatternsFanOut(t *testing.T) {
	t.Parallel()
	set := parse(t, `{
		"z":{"b":{"r":["2","1"]},"a":{"r":["1","3"]},"none":{},"null":{"r":null},"scalar":7,"*":{"r":"star"}},
		"l":[{"n":"x"},{"n":"y"},{},{"n":"x"},null],
		"deep":{"a":{"x":{"v":"1"},"y":{"v":"2"}},"b":{"x":{"v":"3"}}},
		"nulls":{"a":null,"b":{"r":null}},"empty":{},"no":[],"s":"text","n":null,
		"bad":{"a":{"r":["ok"]},"b":{"r":[1]}},"badfan":{"a":{"x":["v"]},"b":{"x":"v"}},"d.k":["dotted"]}`)
	for text, tt := range map[string]struct {
		want   []string
		reason claims.Reason
		claim  string
	}{
		`z.*.r`:        {want: []string{"2", "1", "3", "star"}},
		`z.\*.r`:       {want: []string{"star"}},
		`l.*.n`:        {want: []string{"x", "y"}},
		`l.0.n`:        {want: []string{"x"}},
		`deep.*.*.v`:   {want: []string{"1", "2", "3"}},
		`deep.*.x.v`:   {want: []string{"1", "3"}},
		`d\.k`:         {want: []string{"dotted"}},
		`no`:           {want: []string{}},
		`nulls.*.r`:    {reason: claims.Null, claim: "nulls.*.r"},
		`nulls.*`:      {reason: claims.WrongType, claim: "nulls.b"},
		`empty.*.r`:    {reason: claims.Missing, claim: "empty.*.r"},
		`no.*`:         {reason: claims.Missing, claim: "no.*"},
		`x.*`:          {reason: claims.Missing, claim: "x.*"},
		`n.*`:          {reason: claims.Null, claim: "n.*"},
		`s.*`:          {reason: claims.WrongType, claim: "s"},
		`z.*.r.*.*`:    {reason: claims.WrongType, claim: "z.b.r.0"},
		`bad.*.r`:      {reason: claims.WrongType, claim: "bad.b.r.0"},
		`badfan.*.x.*`: {reason: claims.WrongType, claim: "badfan.b.x"},
		`*`:            {reason: claims.WrongType, claim: "z"},
	} {
		got, err := set.CollectStrings(pattern(t, text))
		check(t, err, tt.reason, text)
		require.Equal(t, tt.want, got, text)
		if tt.reason != ok {
			require.Equal(t, tt.claim, requireReason(t, err, tt.reason).Claim, text)
		}
	}
	texts, err := parse(t, " \r\n\t{ \"a\" :\n{ \"b\" : [ \"x\" , \"y\" ] , \"c\":[] } } ").CollectStrings(pattern(t, "a.*"))
	require.NoError(t, err)
	require.Equal(t, []string{"x", "y"}, texts)

	_, err = set.CollectStrings(claims.Pattern{})
	requireReason(t, err, claims.Missing)
	_, err = claims.Set{}.CollectStrings(claims.Path{}.Every())
	requireReason(t, err, claims.Missing)
}

// FuzzPatternRoundTrip: every pattern has a text that reads as the same pattern, and a
// path reads the same as the pattern that leads only there.
func FuzzPatternRoundTrip(f *testing.F) {
	seeds := [][2]string{{"a.*.b", "*"}, {`\*`, "a.b"}, {"/a/*", "/"}, {"/~*", ""}, {"*", `\`}, {"a*", "~*"}}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		patterns := []claims.Pattern{
			claims.P(name).Pattern(), claims.P(name).Every(), claims.P(name).Every(text), claims.Path{}.Every(name, text).Every(), claims.P(name, text).Pattern(),
		}
		if p, err := claims.ParsePattern(text); err == nil {
			patterns = append(patterns, p)
		}
		for _, p := range patterns {
			got, err := claims.ParsePattern(p.String())
			require.NoError(t, err, p.String())
			require.Equal(t, p, got)
		}
	})
}

// FuzzFanOutIsLookup: what a pattern finds below an object is what the paths to its
// members find, in order and each once.
func FuzzFanOutIsLookup(f *testing.F) {
	seeds := []string{`{"a":"x","b":["y","x"]}`, `{}`, `{"\u0061":"}","b":["{\""]}`, `{"a":null}`, `{"a":1}`, `{"":"","*":[]}`}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, object string) {
		set, err := claims.Parse([]byte(`{"o":` + object + `}`))
		if err != nil || !strings.HasPrefix(strings.TrimSpace(object), "{") || strings.Contains(object, "null") {
			return
		}
		names := memberNames(t, set)
		var want []string
		var failed error
		for _, name := range names {
			texts, err := set.Strings(claims.P("o", name))
			if err != nil && failed == nil {
				failed = err
			}
			for _, text := range texts {
				if !slices.Contains(want, text) {
					want = append(want, text)
				}
			}
		}
		got, err := set.CollectStrings(claims.P("o").Every())
		switch {
		case len(names) == 0:
			require.True(t, claims.IsMissing(err))
		case failed != nil:
			require.Equal(t, failed, err)
		default:
			require.NoError(t, err)
			require.ElementsMatch(t, want, got)
		}
	})
}

// memberNames reads the names of the object "o", in order, with encoding/json.
func memberNames(t *testing.T, set claims.Set) (names []string) {
	t.Helper()
	var outer struct {
		O json.RawMessage `json:"o"`
	}
	require.NoError(t, json.Unmarshal(set.Raw(), &outer))
	d := json.NewDecoder(strings.NewReader(string(outer.O)))
	_, err := d.Token()
	require.NoError(t, err)
	for d.More() {
		token, err := d.Token()
		require.NoError(t, err)
		name, isName := token.(string)
		require.True(t, isName)
		names = append(names, name)
		var skipped json.RawMessage
		require.NoError(t, d.Decode(&skipped))
	}
	return names
}
