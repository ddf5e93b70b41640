package claims_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

// FuzzLookupFindsWhatIsThere: every value of a document is found by its path, as
// encoding/json decodes it, and nothing else is.
func FuzzLookupFindsWhatIsThere(f *testing.F) {
	seeds := []string{
		`{"a":{"b":{"c":1},"d":[1,"two",{"x":null}]}}`,
		`{"a":{"}":"{","[\"":["]","\\\"",{"k":"}"}],"e":"\\"}}`,
		`{"a" : { "b" : [ ] , "c" : { } , "d" : "" } }`,
		`{"a":{"\u0062":"}","b\\":[["]"]],"long name that is longer than eight":{"y":"a longer text with \" in it and } too"}}}`,
		`{"a":[[["x"],["}"]],{"b":{"c":[true,false,null,1.5e3]}}],"ü":{"é":"ß","日本":["語"]}}`,
		`{"a":{"x":{"s":"}"},"y":{"s":"{"},"z":{"s":"}{"},"w":1}}`,
	}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, document string) {
		set, err := claims.Parse([]byte(document))
		if err != nil {
			return
		}
		var v map[string]any
		d := json.NewDecoder(strings.NewReader(document))
		d.UseNumber()
		require.NoError(t, d.Decode(&v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lookUp(t, set, []string{name}, v[name])
		}
	})
}

// lookUp checks what is found at a path, and below it.
func lookUp(t *testing.T, set claims.Set, at []string, want any) {
	t.Helper()
	p := claims.P(at...)
	require.Equal(t, want != nil, set.Has(p), at)
	text, err := set.String(p)
	if s, isText := want.(string); isText {
		require.NoError(t, err, at)
		require.Equal(t, s, text)
	} else {
		require.Error(t, err, at)
	}
	require.False(t, set.Has(claims.P(append(slices.Clone(at), "no such member")...)))
	switch v := want.(type) {
	case map[string]any:
		for name, inner := range v {
			lookUp(t, set, append(slices.Clone(at), name), inner)
		}
	case []any:
		for i, inner := range v {
			lookUp(t, set, append(slices.Clone(at), strconv.Itoa(i)), inner)
		}
		require.False(t, set.Has(claims.P(append(slices.Clone(at), strconv.Itoa(len(v)))...)))
	}
}
