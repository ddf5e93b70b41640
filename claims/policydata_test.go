package claims_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

func parsePolicy(t testing.TB, data string) claims.Policy {
	t.Helper()
	p, err := claims.ParsePolicy([]byte(data))
	require.NoError(t, err, data)
	return p
}

// everyOperator is a policy with each of them, in code and as data.
const everyOperator = `{"name":"all of them","all":[
	{"claim":"a.b","equals":"x"},{"claim":"a\\.b","equals":1},{"claim":"/c~1d","equals":false},
	{"claim":"e","one_of":["x",2,true]},{"claim":"f","contains":"x"},{"claim":"g","prefix":"x:"},{"claim":"h","glob":"x/*\\*"},
	{"claim":"i","present":true},{"claim":"j","present":false},{"claim":"k","min":-1},{"claim":"l","max":9223372036854775807},
	{"claim":"m","after":"2026-01-31T12:00:00Z"},{"claim":"n","before":"2026-01-31T12:00:00.5+01:00"},{"claim":"o","max_age":"1h30m0s"},
	{"any":[{"not":{"claim":"p","equals":""}},{"all":[{"claim":"q","present":true}]}]}]}`

func TestPolicyInCodeAndAsData(t *testing.T) {
	t.Parallel()
	p := claims.P
	want := policy(t,
		claims.Equals(p("a", "b"), "x"), claims.Equals(p("a.b"), 1), claims.Equals(p("c/d"), false),
		claims.OneOf(p("e"), "x", int64(2), true), claims.Contains(p("f"), "x"), claims.Prefix(p("g"), "x:"), claims.Glob(p("h"), `x/*\*`),
		claims.Present(p("i"), true), claims.Present(p("j"), false), claims.Min(p("k"), -1), claims.Max(p("l"), 9223372036854775807),
		claims.After(p("m"), time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)), claims.Before(p("n"), time.Date(2026, 1, 31, 11, 0, 0, 5e8, time.UTC)),
		claims.MaxAge(p("o"), 90*time.Minute),
		claims.Any(claims.Not(claims.Equals(p("p"), "")), claims.All(claims.Present(p("q"), true))),
	).Named("all of them")
	got := parsePolicy(t, everyOperator)
	require.Equal(t, want.String(), got.String())
	require.Equal(t, "all of them", got.Name())
	require.Equal(t, got.String(), parsePolicy(t, got.String()).String())
	require.JSONEq(t, strings.NewReplacer("2026-01-31T12:00:00.5+01:00", "2026-01-31T11:00:00.5Z", "/c~1d", "c/d").Replace(everyOperator), got.String())
}

func TestT24_PolicySyntaxErrorsPointAtThePlace(t *testing.T) {
	t.Parallel()
	const ok = `{"claim":"c","present":true}`
	for data, place := range map[string]string{
		``: "policy", `null`: "policy", `[]`: "policy", `"x"`: "policy", `{`: "policy", `{}`: "policy", `{"all":[]} x`: "policy", `{"claim":"c",`: "policy", `{"claim":`: "policy.claim", `{1:2}`: "policy",
		`{"all":[` + ok + `]}{}`:         "policy",
		`{"name":"x"}`:                   "policy",
		`{"name":1,"all":[` + ok + `]}`:  "policy.name",
		`{"name":"","all":[` + ok + `]}`: "policy.name",
		`{"all":[]}`:                     "policy.all",
		`{"any":[]}`:                     "policy.any",
		`{"all":{}}`:                     "policy.all",
		`{"all":[` + ok + `,[]]}`:        "policy.all[1]",
		`{"all":[` + ok + `,{}]}`:        "policy.all[1]",
		`{"all":[` + ok + `],"any":[]}`:  "policy.any",
		`{"al":[` + ok + `]}`:            "policy.al",
		`{"All":[` + ok + `]}`:           "policy.All",
		`{"a b":1}`:                      `policy["a b"]`,
		`{"not":` + `[]}`:                "policy.not",
		`{"not":{"claim":"c"}}`:          "policy.not",
		`{"all":[` + ok + `,{"name":"x","claim":"c","present":true}]}`: "policy.all[1].name",
		`{"all":[` + ok + `,` + ok + `,{"claim":"c","glob":"a**"}]}`:   "policy.all[2].glob",
		`{"all":[` + ok + `],"all":[` + ok + `]}`:                      "policy.all",
		`{"any":[` + ok + `,{"claim":"c","equals":"a","equals":"b"}]}`: "policy.any[1].equals",
		`{"claims":{"a.b":"x","a.b":"y"}}`:                             `policy.claims["a.b"]`,
		`{"claim":"c","equals":1,"glob":"a*"}`:                         "policy.glob",
		`{"claim":"c","equal":1}`:                                      "policy.equal",
		`{"claim":"c","equals":1,"EQUALS":1}`:                          "policy",
		`{"claim":"c","all":[]}`:                                       "policy.all",
		`{"claim":1,"equals":1}`:                                       "policy.claim",
		`{"claim":"a..b","equals":1}`:                                  "policy.claim",
		`{"claim":"","equals":1}`:                                      "policy.claim",
		`{"equals":1}`:                                                 "policy.equals",
		`{"claim":"c","equals":null}`:                                  "policy.equals",
		`{"claim":"c","equals":1.5}`:                                   "policy.equals",
		`{"claim":"c","equals":1e2}`:                                   "policy.equals",
		`{"claim":"c","equals":["x"]}`:                                 "policy.equals",
		`{"claim":"c","equals":9223372036854775808}`:                   "policy.equals",
		`{"claim":"c","equals":"\ud800"}`:                              "policy",
		"{\"claim\":\"c\",\"equals\":\"\xff\"}":                        "policy",
		`{"claim":"c","one_of":"x"}`:                                   "policy.one_of",
		`{"claim":"c","one_of":[]}`:                                    "policy.one_of",
		`{"claim":"c","one_of":["x",{}]}`:                              "policy.one_of",
		`{"claim":"c","contains":["x"]}`:                               "policy.contains",
		`{"claim":"c","prefix":"x"}`:                                   "policy.prefix",
		`{"claim":"c","prefix":1}`:                                     "policy.prefix",
		`{"claim":"c","glob":["x*"]}`:                                  "policy.glob",
		`{"claim":"c","present":"true"}`:                               "policy.present",
		`{"claim":"c","present":null}`:                                 "policy.present",
		`{"claim":"c","min":"1"}`:                                      "policy.min",
		`{"claim":"c","max":1.5}`:                                      "policy.max",
		`{"claim":"c","after":"yesterday"}`:                            "policy.after",
		`{"claim":"c","after":"2026-01-31"}`:                           "policy.after",
		`{"claim":"c","before":1700000000}`:                            "policy.before",
		`{"claim":"c","max_age":"1"}`:                                  "policy.max_age",
		`{"claim":"c","max_age":60}`:                                   "policy.max_age",
		`{"claim":"c","max_age":"-1s"}`:                                "policy.max_age",
		`{"claims":{}}`:                                                "policy.claims",
		`{"claims":[]}`:                                                "policy.claims",
		`{"claims":{"a":[]}}`:                                          "policy.claims.a",
		`{"claims":{"a":null}}`:                                        "policy.claims.a",
		`{"claims":{"a":{"equals":"x"}}}`:                              "policy.claims.a",
		`{"claims":{"a.b":["x","y**"]}}`:                               `policy.claims["a.b"][1]`,
		`{"claims":{"a":["x","x"]}}`:                                   "policy.claims.a",
		`{"all":[{"claims":{"a":["x",null]}}]}`:                        "policy.all[0].claims.a[1]",
		strings.Repeat(`{"not":`, 7) + ok + strings.Repeat(`}`, 7):     "policy" + strings.Repeat(".not", 7),
		strings.Repeat(`{"not":`, 500):                                 "policy" + strings.Repeat(".not", 25),
		strings.Repeat(`[`, 500):                                       "policy" + strings.Repeat("[0]", 25),
	} {
		p, err := claims.ParsePolicy([]byte(data))
		requireSyntax(t, err, place, data)
		require.True(t, p.IsZero())
	}
}

// What YAML libraries make of a document, with their own types.
func TestPolicyFromYAML(t *testing.T) {
	t.Parallel()
	document := map[string]any{"name": "x", "all": []any{
		map[any]any{"claim": "a", "equals": 1},
		map[string]any{"claim": "b", "one_of": []string{"x", "y"}},
		map[string]any{"claim": "c", "min": uint64(2)},
		map[string]any{"claim": "d", "max": float64(3)},
		map[string]any{"claim": "e", "after": time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)},
		map[string]any{"claims": map[any]any{"f": []any{"x", "y*"}, "g": true}},
	}}
	want := parsePolicy(t, `{"name":"x","all":[{"claim":"a","equals":1},{"claim":"b","one_of":["x","y"]},{"claim":"c","min":2},{"claim":"d","max":3},
		{"claim":"e","after":"2026-01-31T12:00:00Z"},{"claims":{"f":["x","y*"],"g":true}}]}`)
	var p claims.Policy
	require.NoError(t, p.UnmarshalYAML(func(v any) error {
		*v.(*any) = document
		return nil
	}))
	require.Equal(t, want.String(), p.String())
	require.Len(t, document, 2, "the document is not changed")
	require.Len(t, document["all"].([]any)[0], 2)

	data, err := p.MarshalYAML()
	require.NoError(t, err)
	again, err := claims.PolicyOf(data)
	require.NoError(t, err)
	require.Equal(t, p.String(), again.String())

	before := p.String()
	broken := errors.New("no such document")
	require.ErrorIs(t, p.UnmarshalYAML(func(any) error { return broken }), broken)
	requireSyntax(t, p.UnmarshalYAML(func(any) error { return nil }), "policy")
	require.Equal(t, before, p.String(), "an error changes nothing")

	for _, v := range []any{nil, []any{}, 1, map[any]any{1: "x"}, map[string]any{"claims": map[any]any{true: "x"}}} {
		_, err := claims.PolicyOf(v)
		require.Error(t, err)
	}
	_, err = claims.PolicyOf(map[string]any{"claim": "c", "min": float64(1 << 60)})
	requireSyntax(t, err, "policy.min")
	// An alias to itself, as some libraries build it.
	loop := map[string]any{}
	loop["not"] = loop
	_, err = claims.PolicyOf(loop)
	require.Error(t, err)
}

func TestPolicyInAConfiguration(t *testing.T) {
	t.Parallel()
	var config struct {
		Policy claims.Policy  `json:"policy"`
		Other  *claims.Policy `json:"other"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"policy":{"claim":"a","equals":"x"},"other":null}`), &config))
	require.NoError(t, config.Policy.Check(parse(t, `{"a":"x"}`)))
	require.Nil(t, config.Other)
	require.Error(t, json.Unmarshal([]byte(`{"policy":null}`), &config))
	require.NoError(t, config.Policy.Check(parse(t, `{"a":"x"}`)), "an error changes nothing")
}

func TestShortForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		required map[string]any
		want     string
	}{
		{map[string]any{"a": "x"}, `{"claim":"a","equals":"x"}`},
		{map[string]any{"a.b/c": true}, `{"claim":"a\\.b/c","equals":true}`},
		{map[string]any{"a": []any{"x"}}, `{"claim":"a","equals":"x"}`},
		{map[string]any{"a": []any{"x", 1}}, `{"claim":"a","one_of":["x",1]}`},
		{map[string]any{"a": "x*"}, `{"claim":"a","glob":"x*"}`},
		{map[string]any{"a": `x\*`}, `{"claim":"a","equals":"x*"}`},
		{map[string]any{"a": `x\y`}, `{"claim":"a","equals":"x\\y"}`},
		{map[string]any{"a": []string{"x*", "y", "z", "v*"}}, `{"any":[{"claim":"a","one_of":["y","z"]},{"claim":"a","glob":"x*"},{"claim":"a","glob":"v*"}]}`},
		{map[string]any{"b": 1, "a": "x"}, `{"all":[{"claim":"a","equals":"x"},{"claim":"b","equals":1}]}`},
	} {
		p, err := claims.RequiredClaims(tt.required)
		require.NoError(t, err, tt.want)
		require.JSONEq(t, tt.want, p.String())
	}
	for place, required := range map[string]map[string]any{
		"claims": nil, "claims.a": {"a": []any{}}, "claims.b": {"a": "x", "b": nil}, `claims["a.b"][0]`: {"a.b": []any{"**"}}, "claims.c": {"c": []any{"x", "x"}},
	} {
		_, err := claims.RequiredClaims(required)
		requireSyntax(t, err, place)
	}
}

// FuzzPolicyRoundTrip: what is a policy is the same one after it was written, whatever
// it was read from, and judges alike.
func FuzzPolicyRoundTrip(f *testing.F) {
	for _, s := range []string{
		everyOperator, `{"claims":{"a":["x*","y"],"b.c":1}}`, `{"not":{"claim":"c","equals":"x"}}`, `{"claim":"/a~1b","glob":"*:\\**"}`,
		`{"claim":"c","max_age":"1ns"}`, `{"claim":"c","after":"9999-12-31T23:59:59Z"}`, `{"claim":"c","equals":-0}`, `{"all":[{"all":[]}]}`, `[`, `{"name":"\u2028","claim":"c","min":0}`,
	} {
		f.Add([]byte(s), `{"a":"xy","c":1}`)
	}
	f.Fuzz(func(t *testing.T, data []byte, document string) {
		p, err := claims.ParsePolicy(data)
		if err != nil {
			var e *claims.PolicySyntaxError
			require.ErrorAs(t, err, &e)
			require.True(t, p.IsZero())
			return
		}
		text, err := json.Marshal(p)
		require.NoError(t, err)
		again, err := claims.ParsePolicy(text)
		require.NoError(t, err, string(text))
		require.Equal(t, p.String(), again.String())
		require.Equal(t, p.Name(), again.Name())
		_ = fmt.Sprint(claims.Lint(p, "https://token.actions.githubusercontent.com"))
		if set, err := claims.Parse([]byte(document)); err == nil {
			at := func() time.Time { return time.Unix(1e9, 0) }
			require.Equal(t, p.WithNow(at).Explain(set), again.WithNow(at).Explain(set))
			require.Equal(t, p.WithNow(at).Check(set), again.WithNow(at).Check(set))
		}
	})
}
