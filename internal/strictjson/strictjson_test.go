package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// reasonOf returns why a document was refused, and "" if it was not.
func reasonOf(t *testing.T, document string) strictjson.Reason {
	t.Helper()
	object, err := strictjson.Parse([]byte(document))
	if err == nil {
		return ""
	}
	require.Equal(t, strictjson.Object{}, object, "an error comes without an object")
	var e *strictjson.Error
	require.ErrorAs(t, err, &e)
	require.GreaterOrEqual(t, e.Offset, 0)
	require.LessOrEqual(t, e.Offset, len(document))
	return e.Reason
}

func nested(opening, closing string, depth int) string {
	return `{"a":` + strings.Repeat(opening, depth) + strings.Repeat(closing, depth) + `}`
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

var accepted = []string{
	`{}`, ` { } `, "\t\r\n{\"a\" : 1 , \"b\":2}\n",
	`{"":""}`,
	`{"a":"","b":[],"c":{},"d":null,"e":true,"f":false}`,
	`{"a":[1,"two",[3],{"four":4},null,true,false]}`,
	`{"a":0,"b":-0,"c":10,"d":-1.5,"e":0.5,"f":1e3,"g":1E+3,"h":1.25e-3}`,
	`{"a":"\"\\\/\b\f\n\r\t"}`,
	`{"a":"\u00fc\u00FC \ud83d\ude00 ü 😀 \u0000"}`,
	`{"a":"\ufffd","b":"` + "\uFFFD" + `"}`,
	`{"\u0069ss":"x"}`,
	`{"a":{"iss":1},"b":{"iss":2},"iss":3}`,
	`{"a":[{"x":1},{"x":2}]}`,
	`{"ISS":1}`,
	`{"a":{"ISS":1},"iss":2}`,
	nested("[", "]", 15), `{"a":` + nested("[", "]", 14) + `}`, members(512), `{"a":` + members(512) + `}`,
	`{"a":12345678901234567890123456789012}`,
	`{"a":-1234567890123456789012345678901}`,
	`{"a":1.2345678901234567890123456789e9}`,
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, accepted)
	for _, document := range accepted {
		require.Empty(t, reasonOf(t, document), document)
		require.True(t, json.Valid([]byte(document)), document)
	}
}

type refusal struct {
	document string
	reason   strictjson.Reason
}

var refused = []refusal{
	// J45: not an object
	{``, strictjson.NotObject}, {` `, strictjson.NotObject}, {`null`, strictjson.NotObject},
	{`[]`, strictjson.NotObject}, {`[{}]`, strictjson.NotObject}, {`"x"`, strictjson.NotObject},
	{`1`, strictjson.NotObject}, {`true`, strictjson.NotObject}, {"\uFEFF{}", strictjson.NotObject},
	{"\x00{}", strictjson.NotObject}, {"\v{}", strictjson.NotObject},

	// J46: something behind it
	{`{}{}`, strictjson.Syntax}, {`{}x`, strictjson.Syntax}, {`{} null`, strictjson.Syntax},
	{`{}}`, strictjson.Syntax}, {"{}\x00", strictjson.Syntax}, {`{},`, strictjson.Syntax},

	// Punctuation
	{`{`, strictjson.Syntax}, {`{"a"`, strictjson.Syntax}, {`{"a":`, strictjson.Syntax}, {`{"a":1`, strictjson.Syntax},
	{`{"a" 1}`, strictjson.Syntax}, {`{"a":1,}`, strictjson.Syntax}, {`{,"a":1}`, strictjson.Syntax},
	{`{"a":1 "b":2}`, strictjson.Syntax}, {`{"a":1]`, strictjson.Syntax}, {`{"a":[1}`, strictjson.Syntax},
	{`{"a":[1,]}`, strictjson.Syntax}, {`{"a":[,1]}`, strictjson.Syntax}, {`{"a":[1 2]}`, strictjson.Syntax},
	{`{"a":[`, strictjson.Syntax}, {`{a:1}`, strictjson.Syntax}, {`{'a':1}`, strictjson.Syntax},
	{`{1:1}`, strictjson.Syntax}, {`{"a":1/**/}`, strictjson.Syntax}, {`{null:1}`, strictjson.Syntax},
	{"{\"a\":\u00a01}", strictjson.Syntax},

	// Literals
	{`{"a":tru}`, strictjson.Syntax}, {`{"a":True}`, strictjson.Syntax}, {`{"a":fals}`, strictjson.Syntax},
	{`{"a":nul}`, strictjson.Syntax}, {`{"a":truee}`, strictjson.Syntax}, {`{"a":nu`, strictjson.Syntax},
	{`{"a":NaN}`, strictjson.Syntax}, {`{"a":Infinity}`, strictjson.Syntax}, {`{"a":undefined}`, strictjson.Syntax},

	// Numbers
	{`{"a":01}`, strictjson.Syntax}, {`{"a":-}`, strictjson.Syntax}, {`{"a":+1}`, strictjson.Syntax},
	{`{"a":.5}`, strictjson.Syntax}, {`{"a":1.}`, strictjson.Syntax}, {`{"a":1e}`, strictjson.Syntax},
	{`{"a":1e+}`, strictjson.Syntax}, {`{"a":0x1}`, strictjson.Syntax}, {`{"a":-01}`, strictjson.Syntax},
	{`{"a":--1}`, strictjson.Syntax}, {`{"a":1.e5}`, strictjson.Syntax},
	{`{"a":123456789012345678901234567890123}`, strictjson.LongNumber},
	{`{"a":[-12345678901234567890123456789012]}`, strictjson.LongNumber},
	{`{"a":1e` + strings.Repeat("0", 31) + `}`, strictjson.LongNumber},
	{`{"a":` + strings.Repeat("9", 1e6) + `}`, strictjson.LongNumber},

	// Strings
	{`{"a":"`, strictjson.Syntax}, {`{"a":"x`, strictjson.Syntax}, {`{"a":"\`, strictjson.Syntax},
	{`{"a":"\x"}`, strictjson.Syntax}, {`{"a":"\u12"}`, strictjson.Syntax}, {`{"a":"\u12g4"}`, strictjson.Syntax},
	{`{"a":"\u`, strictjson.Syntax}, {`{"a":"\U0041"}`, strictjson.Syntax}, {`{"a":"\'"}`, strictjson.Syntax},
	{"{\"a\":\"\n\"}", strictjson.Syntax}, {"{\"a\":\"\x00\"}", strictjson.Syntax}, {"{\"a\":\"\x1f\"}", strictjson.Syntax},

	// J26: broken Unicode
	{"{\"a\":\"\xff\"}", strictjson.InvalidUnicode}, {"{\"\xff\":1}", strictjson.InvalidUnicode},
	{"{\"a\":\"\xc3\"}", strictjson.InvalidUnicode}, {"{\"a\":\"\xc0\xaf\"}", strictjson.InvalidUnicode},
	{"{\"a\":\"\xed\xa0\x80\"}", strictjson.InvalidUnicode}, {"{\"a\":\"\xf4\x90\x80\x80\"}", strictjson.InvalidUnicode},
	{`{"a":"\ud800"}`, strictjson.InvalidUnicode}, {`{"a":"\udc00"}`, strictjson.InvalidUnicode},
	{`{"a":"\ud800x"}`, strictjson.InvalidUnicode}, {`{"a":"\ud800\u0041"}`, strictjson.InvalidUnicode},
	{`{"a":"\ud800\ud800"}`, strictjson.InvalidUnicode}, {`{"a":"\udc00\ud800"}`, strictjson.InvalidUnicode},
	{`{"a":"\ud800\n"}`, strictjson.InvalidUnicode}, {`{"\uDBFF":1}`, strictjson.InvalidUnicode},
	{`{"a":["\ud800"]}`, strictjson.InvalidUnicode},
	// What looks like the second half, but for one character.
	{`{"a":"\ud83dxude00"}`, strictjson.InvalidUnicode}, {`{"a":"\ud83d\nde00"}`, strictjson.InvalidUnicode},

	// J22: the same name twice
	{`{"a":1,"a":1}`, strictjson.DuplicateName}, {`{"a":1,"b":2,"a":3}`, strictjson.DuplicateName},
	{`{"iss":1,"i\u0073s":2}`, strictjson.DuplicateName}, {`{"\u0069\u0073\u0073":1,"iss":2}`, strictjson.DuplicateName},
	{`{"":1,"":2}`, strictjson.DuplicateName}, {`{"/":1,"\/":2}`, strictjson.DuplicateName},
	{`{"😀":1,"\ud83d\ude00":2}`, strictjson.DuplicateName},
	{`{"x":{"a":1,"a":2}}`, strictjson.DuplicateName}, {`{"x":[{"a":1,"a":2}]}`, strictjson.DuplicateName},
	{`{"x":[[{"y":{"a":1,"\u0061":2}}]]}`, strictjson.DuplicateName},
	{`{"x":{"y":1},"x":2}`, strictjson.DuplicateName},

	// J23, J24: the same name in another case
	{`{"iss":1,"ISS":2}`, strictjson.FoldedName}, {`{"ISS":1,"iss":2}`, strictjson.FoldedName},
	{`{"iss":1,"iſs":2}`, strictjson.FoldedName}, {`{"sub":1,"ſub":2}`, strictjson.FoldedName},
	{`{"sub":1,"\u017fub":2}`, strictjson.FoldedName}, {"{\"kid\":1,\"\u212aid\":2}", strictjson.FoldedName},
	{`{"KID":1,"\u212aid":2}`, strictjson.FoldedName}, {`{"ä":1,"Ä":2}`, strictjson.FoldedName},
	{`{"σ":1,"ς":2}`, strictjson.FoldedName}, {`{"x":[{"a":1,"A":2}]}`, strictjson.FoldedName},

	// J44: made to cost something
	{nested("[", "]", 16), strictjson.TooDeep}, {nested("[", "]", 1e5), strictjson.TooDeep},
	{`{"a":` + nested(`{"a":[`, "]}", 8) + `}`, strictjson.TooDeep},
	{strings.Repeat(`{"a":`, 17), strictjson.TooDeep},
	{members(513), strictjson.TooManyMembers},
	{`{"a":` + members(513) + `}`, strictjson.TooManyMembers},
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, refused)
	for _, tt := range refused {
		require.Equal(t, tt.reason, reasonOf(t, tt.document), "%.80q", tt.document)
	}
}

func only(t *testing.T, reasons ...strictjson.Reason) {
	t.Helper()
	n := 0
	for _, tt := range refused {
		for _, reason := range reasons {
			if tt.reason == reason {
				n++
				require.Equal(t, reason, reasonOf(t, tt.document), "%.80q", tt.document)
			}
		}
	}
	require.NotZero(t, n, "no case")
}

func TestJ22_DuplicateNames(t *testing.T) { t.Parallel(); only(t, strictjson.DuplicateName) }
func TestJ24_FoldedNames(t *testing.T)    { t.Parallel(); only(t, strictjson.FoldedName) }
func TestJ26_BrokenUnicode(t *testing.T)  { t.Parallel(); only(t, strictjson.InvalidUnicode) }
func TestJ45_NotAnObject(t *testing.T)    { t.Parallel(); only(t, strictjson.NotObject) }
func TestJ44_CostlyDocuments(t *testing.T) {
	t.Parallel()
	only(t, strictjson.TooDeep, strictjson.TooManyMembers, strictjson.LongNumber)
}

// Names of siblings and of objects that are closed are no duplicates, whatever
// came between them.
func TestNamesBelongToTheirObject(t *testing.T) {
	t.Parallel()
	require.Empty(t, reasonOf(t, `{"a":{"b":{"a":1},"a":2},"b":{"a":[{"a":1},{"a":2}]},"c":{"a":1}}`))
	require.Equal(t, strictjson.DuplicateName, reasonOf(t, `{"a":{"b":{"c":1}},"b":{"b":1,"c":2},"a":1}`))
}

func TestErrorTextHoldsNothingOfTheDocument(t *testing.T) {
	t.Parallel()
	_, err := strictjson.Parse([]byte(`{"marker":"marker","marker":"marker"}`))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "marker")
}

func TestObject(t *testing.T) {
	t.Parallel()
	object, err := strictjson.Parse([]byte(` {"a": 1 , "\u0062":{"c":[2]},"n":null} `))
	require.NoError(t, err)

	value, ok := object.Get("a")
	require.True(t, ok)
	require.Equal(t, "1", value)
	value, ok = object.Get("b")
	require.True(t, ok)
	require.Equal(t, `{"c":[2]}`, value)
	for _, name := range []string{"A", "c", "", `\u0062`} {
		value, ok = object.Get(name)
		require.False(t, ok, name)
		require.Empty(t, value)
	}

	var names []string
	for name, value := range object.All() {
		names = append(names, name)
		require.NotEmpty(t, value)
	}
	require.Equal(t, []string{"a", "b", "n"}, names)
	for range object.All() {
		break
	}

	var zero strictjson.Object
	_, ok = zero.Get("a")
	require.False(t, ok)
	require.False(t, zero.HasFolded([]string{"a"}))
}

func TestHasFolded(t *testing.T) {
	t.Parallel()
	names := []string{"iss", "sub", "kid", "at_hash"}
	for document, want := range map[string]bool{
		`{"iss":1,"sub":2,"kid":3}`: false, `{"other":1,"ISSUER":2}`: false, `{"ıss":1}`: false,
		`{"ISS":1}`: true, `{"Iss":1}`: true, `{"x":1,"ſub":2}`: true, `{"\u017fub":1}`: true,
		"{\"\u212aid\":1}": true, `{"At_Hash":1}`: true, `{"x":{"ISS":1}}`: false,
	} {
		object, err := strictjson.Parse([]byte(document))
		require.NoError(t, err, document)
		require.Equal(t, want, object.HasFolded(names), document)
	}
}

func TestKindAndString(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]byte{
		``: 0, `{}`: '{', `[]`: '[', `"x"`: '"', `0`: '0', `-1`: '0', `9`: '0', `true`: 't', `false`: 't', `null`: 'n',
	} {
		require.Equal(t, string(want), string(strictjson.Kind(value)), value)
		_, ok := strictjson.String(value)
		require.Equal(t, want == '"', ok, value)
	}
}

func TestStringDecodes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`""`: "", `"a"`: "a", `"ü\u00fc"`: "üü", `"\ud83d\uDE00"`: "😀", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t",
		`"\u0000"`: "\x00", `"a\u0062c"`: "abc", `"\uabCD"`: "\uabcd",
	} {
		got, ok := strictjson.String(value)
		require.True(t, ok)
		require.Equal(t, want, got, value)
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		`[]`: nil, `[ ]`: nil, `[1]`: {"1"}, `[ 1 , "a,b" ,[2,3], {"x":[4]} ,null]`: {"1", `"a,b"`, "[2,3]", `{"x":[4]}`, "null"},
		`{}`: nil, `"[]"`: nil, `null`: nil, ``: nil,
	} {
		require.Equal(t, want, slices.Collect(strictjson.Elements(value)), value)
	}
	for e := range strictjson.Elements(`[1,2]`) {
		require.Equal(t, "1", e)
		break
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	const value = `{ "a" : 1 ,"b":{"a":2,"}":"]"}, "\u0063": [ {"a":3} ] ,"d":"x" }`
	for name, want := range map[string]string{"a": "1", "b": `{"a":2,"}":"]"}`, "c": `[ {"a":3} ]`, "d": `"x"`} {
		got, ok := strictjson.Member(value, name)
		require.True(t, ok, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", "A", "}", "x", `\u0063`} {
		_, ok := strictjson.Member(value, name)
		require.False(t, ok, name)
	}
	for _, other := range []string{``, `{}`, `[{"a":1}]`, `"a"`, `null`} {
		_, ok := strictjson.Member(other, "a")
		require.False(t, ok, other)
	}
}

// What was not checked yields nonsense, but neither panics nor hangs.
func TestUncheckedValuesEnd(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`[`, `[1`, `[1 2]`, `[x]`, `["`, `[{`, `[{"`, `[[["a`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":{`, `{"a":"`, `{"a" 1}`, `{1:2}`} {
		for range strictjson.Elements(value) {
			continue
		}
		_, ok := strictjson.Member(value, "b")
		require.False(t, ok, value)
	}
}

func TestJ23_UnmarshalMatchesExactly(t *testing.T) {
	t.Parallel()
	var v struct {
		Issuer string         `json:"iss"`
		Sub    string         `json:"sub"`
		Rest   map[string]any `json:"rest"`
	}
	require.NoError(t, strictjson.Unmarshal([]byte(`{"ISS":"evil","ſub":"evil","rest":{"n":12345678901234567890}}`), &v))
	require.Empty(t, v.Issuer)
	require.Empty(t, v.Sub)
	require.Equal(t, josejson.Number("12345678901234567890"), v.Rest["n"])

	var e *strictjson.Error
	err := strictjson.Unmarshal([]byte(`{"iss":"a","iss":"b"}`), &v)
	require.ErrorAs(t, err, &e)
	require.Equal(t, strictjson.DuplicateName, e.Reason)
	require.Empty(t, v.Issuer)
	require.Error(t, strictjson.Unmarshal([]byte(`{"iss":1}`), &v))
}

// FuzzParseIsStricterThanOthers: what Parse accepts means the same to
// encoding/json and to go-jose, name by name and string by string.
func FuzzParseIsStricterThanOthers(f *testing.F) {
	require.NotEmpty(f, accepted)
	require.NotEmpty(f, refused)
	for _, document := range accepted {
		f.Add([]byte(document))
	}
	for _, tt := range refused {
		if len(tt.document) < 4096 {
			f.Add([]byte(tt.document))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := strictjson.Parse(data)
		if err != nil {
			var e *strictjson.Error
			require.ErrorAs(t, err, &e)
			return
		}
		var std map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &std))
		var jose map[string]josejson.RawMessage
		require.NoError(t, josejson.Unmarshal(data, &jose))
		var decoded map[string]any
		require.NoError(t, strictjson.Decode(string(data), &decoded))

		n := 0
		for name, value := range object.All() {
			n++
			got, ok := object.Get(name)
			require.True(t, ok)
			require.Equal(t, got, value)
			require.Equal(t, string(std[name]), value, name)
			require.Equal(t, string(jose[name]), value, name)
			require.Contains(t, decoded, name)
			sameText(t, value)
		}
		require.Len(t, std, n)
		require.Len(t, jose, n)
	})
}

// sameText: strings, elements and members of a checked value are those that
// encoding/json finds.
func sameText(t *testing.T, value string) {
	t.Helper()
	switch strictjson.Kind(value) {
	case '"':
		got, ok := strictjson.String(value)
		require.True(t, ok)
		require.Equal(t, decode(t, []byte(value)), got)
	case '[':
		var raw []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(value), &raw))
		elements := slices.Collect(strictjson.Elements(value))
		require.Len(t, elements, len(raw))
		for i := range raw {
			require.Equal(t, string(raw[i]), elements[i])
			sameText(t, elements[i])
		}
	case '{':
		var raw map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(value), &raw))
		for name, want := range raw {
			got, ok := strictjson.Member(value, name)
			require.True(t, ok)
			require.Equal(t, string(want), got)
			sameText(t, got)
		}
	}
}

// FuzzFoldedNamesNeverMeet: two names in one object that encoding/json would
// take for one field are refused.
func FuzzFoldedNamesNeverMeet(f *testing.F) {
	for _, pair := range [][2]string{{"iss", "ISS"}, {"iss", "iſs"}, {"kid", "\u212aid"}, {"ä", "Ä"}, {"σ", "ς"}, {"a", "b"}, {"", ""}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		quotedA, errA := json.Marshal(a)
		quotedB, errB := json.Marshal(b)
		require.NoError(t, errors.Join(errA, errB))
		a, b = decode(t, quotedA), decode(t, quotedB) // broken UTF-8 is U+FFFD now
		_, err := strictjson.Parse(fmt.Appendf(nil, `{%s:1,%s:2}`, quotedA, quotedB))
		require.Equal(t, strings.EqualFold(a, b), err != nil, "%q %q", a, b)
	})
}

func decode(t *testing.T, quoted []byte) (s string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(quoted, &s))
	return s
}

// What encoding/json lets pass is refused: each of these it decodes without an error.
func TestG01_WhatEncodingJSONForgives(t *testing.T) {
	t.Parallel()
	for document, reason := range map[string]strictjson.Reason{
		`{"iss":"a","iss":"b"}`: strictjson.DuplicateName, `{"iss":"a","ISS":"b"}`: strictjson.FoldedName,
		"{\"iss\":\"\xff\"}": strictjson.InvalidUnicode, `{"iss":"\ud800"}`: strictjson.InvalidUnicode,
		nested("[", "]", 100): strictjson.TooDeep, `{"n":` + strings.Repeat("1", 100) + `}`: strictjson.LongNumber,
	} {
		var v map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(document), &v), document)
		require.Equal(t, reason, reasonOf(t, document))
	}
}
