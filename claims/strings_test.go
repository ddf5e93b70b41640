package claims_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

func TestStringsOptions(t *testing.T) {
	t.Parallel()
	type options = []claims.StringsOption
	spaces, commas, inString := claims.SplitSpaces(), claims.SplitCommas(), claims.JSONInString()
	for _, tt := range []struct {
		value  string
		opts   options
		want   []string
		reason claims.Reason
		claim  string // where it is wrong
	}{
		{value: `"a b"`, want: []string{"a b"}},
		{value: `"a b"`, opts: options{{}}, want: []string{"a b"}},
		{value: `" a  b "`, opts: options{spaces}, want: []string{"a", "b"}},
		{value: `"a\tb c"`, opts: options{spaces}, want: []string{"a\tb", "c"}},
		{value: `""`, opts: options{spaces}, want: []string{}},
		{value: `["a b","c"]`, opts: options{spaces}, want: []string{"a b", "c"}},
		{value: `"a b, c,,"`, opts: options{commas}, want: []string{"a b", "c"}},
		{value: `"a, b c"`, opts: options{commas, spaces}, want: []string{"a", "b", "c"}},
		{value: `["a,b"]`, opts: options{commas}, want: []string{"a,b"}},
		{value: `1`, opts: options{spaces, commas, inString}, reason: claims.WrongType, claim: "c"},
		{value: `null`, opts: options{spaces, commas, inString}, reason: claims.Null, claim: "c"},

		{value: `[{"n":"a"},{"n":"b","x":1}]`, opts: options{claims.Field("n")}, want: []string{"a", "b"}},
		{value: `{"n":"a"}`, opts: options{claims.Field("n")}, want: []string{"a"}},
		{value: `[{"a.b":"x"}]`, opts: options{claims.Field("a.b")}, want: []string{"x"}},
		{value: `[]`, opts: options{claims.Field("n")}, want: []string{}},
		{value: `[{"n":"a"},{"N":"b"}]`, opts: options{claims.Field("n")}, reason: claims.Malformed, claim: "c.1.n"},
		{value: `[{"n":"a"},{"n":null}]`, opts: options{claims.Field("n")}, reason: claims.WrongType, claim: "c.1.n"},
		{value: `[{"n":1}]`, opts: options{claims.Field("n")}, reason: claims.WrongType, claim: "c.0.n"},
		{value: `["a"]`, opts: options{claims.Field("n")}, reason: claims.WrongType, claim: "c.0"},
		{value: `"a"`, opts: options{claims.Field("n")}, reason: claims.WrongType, claim: "c"},
		{value: `{"n":"a"}`, reason: claims.WrongType, claim: "c"},
		{value: `["a",{"n":"a"}]`, reason: claims.WrongType, claim: "c.1"},

		{value: `"[\"a\",\"b\"]"`, opts: options{inString}, want: []string{"a", "b"}},
		{value: `" [\"a\"]\n"`, opts: options{inString}, want: []string{"a"}},
		{value: `"\"a b\""`, opts: options{inString, spaces}, want: []string{"a", "b"}},
		{value: `["[\"a\"]"]`, opts: options{inString}, want: []string{`["a"]`}},
		{value: `"[{\"n\":\"a\"}]"`, opts: options{inString, claims.Field("n")}, want: []string{"a"}},
		{value: `"[1]"`, opts: options{inString}, reason: claims.WrongType, claim: "c.0"},
		{value: `"null"`, opts: options{inString}, reason: claims.WrongType, claim: "c"},
		{value: `"a"`, opts: options{inString}, reason: claims.Malformed, claim: "c"},
		{value: `""`, opts: options{inString}, reason: claims.Malformed, claim: "c"},
		{value: `"[\"a\"],\"x\":1"`, opts: options{inString}, reason: claims.Malformed, claim: "c"},
		{value: `"[\"a\"]}"`, opts: options{inString}, reason: claims.Malformed, claim: "c"},
		{value: `"[\"a\"] []"`, opts: options{inString}, reason: claims.Malformed, claim: "c"},
		{value: `"[{\"n\":\"a\",\"n\":\"b\"}]"`, opts: options{inString, claims.Field("n")}, reason: claims.Malformed, claim: "c"},

		{value: `["a","b"]`, opts: options{claims.Limit(3)}, want: []string{"a", "b"}},
		{value: `["a","b"]`, opts: options{claims.Limit(0)}, want: []string{"a", "b"}},
	} {
		got, err := parse(t, `{"c":`+tt.value+`}`).Strings(claims.P("c"), tt.opts...)
		check(t, err, tt.reason, tt)
		require.Equal(t, tt.want, got, tt)
		if tt.reason != ok {
			require.Equal(t, tt.claim, requireReason(t, err, tt.reason).Claim, tt)
		}
	}
	for _, value := range []string{`["a","b"]`, `"a b"`, `"[\"a\",\"b\",\"c\"]"`} {
		opts := options{claims.Limit(2), spaces}
		if value[1] == '[' {
			opts = append(opts, inString)
		}
		_, err := parse(t, `{"c":`+value+`}`).Strings(claims.P("c"), opts...)
		require.Equal(t, claims.OverageError{Claim: "c", Reason: claims.OverageCut}, *requireOverage(t, err))
	}
}

func TestWrongTypeNamesTheTypeThatIsThere(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{`{}`: "object", `[]`: "array", `"x"`: "string", `-1.5`: "number", `true`: "boolean", `false`: "boolean"} {
		set, p := parse(t, `{"c":`+value+`}`), claims.P("c")
		var found []string
		for _, err := range []error{second(set.String(p)), second(set.Bool(p)), second(set.Int64(p)), second(set.Time(p)), second(set.Strings(p))} {
			if err != nil && !isMalformed(err) {
				e := requireReason(t, err, claims.WrongType)
				require.Contains(t, err.Error(), want)
				found = append(found, e.Found)
			}
		}
		require.NotEmpty(t, found)
		for _, f := range found {
			require.Equal(t, want, f)
		}
	}
}

func isMalformed(err error) bool {
	var e *claims.Error
	return errors.As(err, &e) && e.Reason == claims.Malformed
}

// FuzzStringsLoseNothing: whatever the options, what is read has as many strings as the
// list has elements, or is an error; nothing becomes an empty list on the way.
func FuzzStringsLoseNothing(f *testing.F) {
	seeds := []string{`["a","b"]`, `[{"n":"a"},{"n":"b"}]`, `"[\"a\"]"`, `[]`, `[null]`, `[{"n":"a"},{}]`, `{"n":"a"}`, `"a b"`, `[["a"]]`, `5`}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s, true, true)
		f.Add(s, false, false)
	}
	f.Fuzz(func(t *testing.T, value string, field, inString bool) {
		set, err := claims.Parse([]byte(`{"c":` + value + `}`))
		if err != nil {
			return
		}
		var opts []claims.StringsOption
		if field {
			opts = append(opts, claims.Field("n"))
		}
		if inString {
			opts = append(opts, claims.JSONInString())
		}
		got, err := set.Strings(claims.P("c"), opts...)
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.Len(t, got, elementsOf(t, value, inString))
	})
}

// elementsOf counts the elements of a list, and 1 for anything else.
func elementsOf(t *testing.T, value string, inString bool) int {
	t.Helper()
	var wrapped struct {
		C any `json:"c"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"c":`+value+`}`), &wrapped))
	if text, isText := wrapped.C.(string); isText && inString {
		require.NoError(t, json.Unmarshal([]byte(text), &wrapped.C))
	}
	if list, isList := wrapped.C.([]any); isList {
		return len(list)
	}
	return 1
}
