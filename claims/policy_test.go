package claims_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
)

func policy(t testing.TB, conditions ...claims.Condition) claims.Policy {
	t.Helper()
	p, err := claims.NewPolicy(conditions...)
	require.NoError(t, err)
	return p
}

// requireRefusal checks the contract of refusals.
func requireRefusal(t testing.TB, err error, about ...any) *claims.PolicyError {
	t.Helper()
	var e *claims.PolicyError
	require.ErrorAs(t, err, &e, about...)
	require.ErrorIs(t, err, oidckit.ErrForbidden, about...)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	return e
}

// judge returns the verdict, and the reason of a refusal. Check and Explain agree.
func judge(t testing.TB, p claims.Policy, document string) (claims.Verdict, claims.Reason) {
	t.Helper()
	set, err := claims.Parse([]byte(document))
	require.NoError(t, err, document)
	explained := p.Explain(set)
	err = p.Check(set)
	require.Equal(t, explained.Verdict == claims.Holds, err == nil, "%s\n%s", document, explained)
	if err == nil {
		return claims.Holds, ""
	}
	return explained.Verdict, requireRefusal(t, err, document).Reason
}

func TestPolicyFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/policy/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var c struct {
			Issuer string
			Policy claims.Policy
			Accept []json.RawMessage
			Refuse []struct {
				Place  string
				Claims json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal(data, &c), file)
		require.NoError(t, claims.Lint(c.Policy, c.Issuer).Err(), file)
		require.NotEmpty(t, c.Accept, file)
		require.NotEmpty(t, c.Refuse, file)
		for _, document := range c.Accept {
			require.NoError(t, c.Policy.Check(parse(t, string(document))), "%s %s", file, document)
		}
		for _, r := range c.Refuse {
			e := requireRefusal(t, c.Policy.Check(parse(t, string(r.Claims))), r)
			require.Equal(t, r.Place, e.Place, "%s %s", file, r.Claims)
			require.Equal(t, c.Policy.Name(), e.Policy)
		}
	}
}

func TestT07_ComparisonsAreTyped(t *testing.T) {
	t.Parallel()
	p := claims.P("c")
	for _, tt := range []struct {
		condition claims.Condition
		value     string // empty: no such claim
		want      claims.Verdict
		reason    claims.Reason
	}{
		{claims.Equals(p, "true"), `"true"`, claims.Holds, ""},
		{claims.Equals(p, "true"), `true`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, true), `true`, claims.Holds, ""},
		{claims.Equals(p, true), `false`, claims.Fails, claims.Mismatch},
		{claims.Equals(p, false), `false`, claims.Holds, ""},
		{claims.Equals(p, true), `"true"`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, true), `1`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, 1), `1`, claims.Holds, ""},
		{claims.Equals(p, 1), `2`, claims.Fails, claims.Mismatch},
		{claims.Equals(p, 1), `"1"`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, 1), `1.5`, claims.Unknown, claims.Malformed},
		{claims.Equals(p, int64(9007199254740993)), `9007199254740992`, claims.Fails, claims.Mismatch},
		{claims.Equals(p, "1"), `1`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, ""), `""`, claims.Holds, ""},
		{claims.Equals(p, ""), ``, claims.Unknown, claims.Missing},
		{claims.Equals(p, ""), `null`, claims.Unknown, claims.Null},
		{claims.Equals(p, "a"), `["a"]`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, "a"), `{"a":1}`, claims.Unknown, claims.WrongType},
		{claims.Equals(p, "a"), `"A"`, claims.Fails, claims.Mismatch},
		{claims.Equals(p, "a"), `"\u0061"`, claims.Holds, ""},
		{claims.Equals(p, "a"), `"a "`, claims.Fails, claims.Mismatch},
		{claims.OneOf(p, "a", 2, true), `2`, claims.Holds, ""},
		{claims.OneOf(p, "a", 2, true), `"a"`, claims.Holds, ""},
		{claims.OneOf(p, "a", 2, true), `"b"`, claims.Fails, claims.Mismatch},
		{claims.OneOf(p, "a", 2), `true`, claims.Unknown, claims.WrongType},
		{claims.OneOf(p, "a"), ``, claims.Unknown, claims.Missing},
		{claims.Contains(p, "a"), `["b","a"]`, claims.Holds, ""},
		{claims.Contains(p, "a"), `"a"`, claims.Holds, ""},
		{claims.Contains(p, "a"), `"a b"`, claims.Fails, claims.Mismatch},
		{claims.Contains(p, "a"), `[]`, claims.Fails, claims.Mismatch},
		{claims.Contains(p, "a"), `["aa"]`, claims.Fails, claims.Mismatch},
		{claims.Contains(p, "a"), `["a",1]`, claims.Unknown, claims.WrongType},
		{claims.Contains(p, "a"), `{"a":true}`, claims.Unknown, claims.WrongType},
		{claims.Prefix(p, "a/"), `["a/b"]`, claims.Unknown, claims.WrongType},
		{claims.Glob(p, "a*"), `["ab"]`, claims.Unknown, claims.WrongType},
		{claims.Glob(p, "a*"), ``, claims.Unknown, claims.Missing},
		{claims.Present(p, true), `""`, claims.Holds, ""},
		{claims.Present(p, true), `false`, claims.Holds, ""},
		{claims.Present(p, true), `[]`, claims.Holds, ""},
		{claims.Present(p, true), `null`, claims.Fails, claims.Mismatch},
		{claims.Present(p, true), ``, claims.Fails, claims.Mismatch},
		{claims.Present(p, false), ``, claims.Holds, ""},
		{claims.Present(p, false), `null`, claims.Holds, ""},
		{claims.Present(p, false), `""`, claims.Fails, claims.Mismatch},
		{claims.Min(p, 2), `2`, claims.Holds, ""},
		{claims.Min(p, 2), `3`, claims.Holds, ""},
		{claims.Min(p, 2), `1`, claims.Fails, claims.Mismatch},
		{claims.Min(p, -2), `-1`, claims.Holds, ""},
		{claims.Min(p, 2), `"3"`, claims.Unknown, claims.WrongType},
		{claims.Min(p, 2), `2.5`, claims.Unknown, claims.Malformed},
		{claims.Max(p, 2), `2`, claims.Holds, ""},
		{claims.Max(p, 2), `1`, claims.Holds, ""},
		{claims.Max(p, 2), `3`, claims.Fails, claims.Mismatch},
		{claims.Max(p, 2), ``, claims.Unknown, claims.Missing},
		{claims.After(p, time.Unix(100, 0)), `101`, claims.Holds, ""},
		{claims.After(p, time.Unix(100, 0)), `100.5`, claims.Holds, ""},
		{claims.After(p, time.Unix(100, 0)), `100`, claims.Fails, claims.Mismatch},
		{claims.Before(p, time.Unix(100, 0)), `99`, claims.Holds, ""},
		{claims.Before(p, time.Unix(100, 0)), `100`, claims.Fails, claims.Mismatch},
		{claims.Before(p, time.Unix(100, 0)), `-1`, claims.Unknown, claims.Malformed},
		{claims.Before(p, time.Unix(100, 0)), `"99"`, claims.Unknown, claims.WrongType},
		{claims.MaxAge(p, 10*time.Second), `1000`, claims.Holds, ""},
		{claims.MaxAge(p, 10*time.Second), `990`, claims.Holds, ""},
		{claims.MaxAge(p, 10*time.Second), `989`, claims.Fails, claims.Mismatch},
		{claims.MaxAge(p, 10*time.Second), `1060`, claims.Holds, ""},
		{claims.MaxAge(p, 10*time.Second), `1061`, claims.Fails, claims.Mismatch},
		{claims.MaxAge(p, 10*time.Second), ``, claims.Unknown, claims.Missing},
	} {
		document := `{"other":1}`
		if tt.value != "" {
			document = `{"c":` + tt.value + `}`
		}
		now := func() time.Time { return time.Unix(1000, 0) }
		got := policy(t, tt.condition).WithNow(now)
		verdict, reason := judge(t, got, document)
		require.Equal(t, tt.want, verdict, "%s %s", got, document)
		require.Equal(t, tt.reason, reason, "%s %s", got, document)

		// Not turns Holds and Fails around, and lets nobody in whom nobody could judge.
		verdict, _ = judge(t, policy(t, claims.Not(tt.condition)).WithNow(now), document)
		opposite := map[claims.Verdict]claims.Verdict{claims.Holds: claims.Fails, claims.Fails: claims.Holds, claims.Unknown: claims.Unknown}
		require.Equal(t, opposite[tt.want], verdict, "not %s %s", got, document)
	}
}

func TestPolicyClockIsTheSystemsByDefault(t *testing.T) {
	t.Parallel()
	p := policy(t, claims.MaxAge(claims.P("iat"), time.Hour))
	require.NoError(t, p.Check(parse(t, fmt.Sprintf(`{"iat":%d}`, time.Now().Unix()))))
	requireRefusal(t, p.Check(parse(t, `{"iat":1000}`)))
}

func TestT07_NegationsOfNothing(t *testing.T) {
	t.Parallel()
	holds, fails, unknown := claims.Present(claims.P("yes"), true), claims.Present(claims.P("no"), true), claims.Equals(claims.P("no"), "x")
	for _, tt := range []struct {
		condition claims.Condition
		want      claims.Verdict
	}{
		{claims.All(holds, holds), claims.Holds},
		{claims.All(holds, fails), claims.Fails},
		{claims.All(unknown, holds), claims.Unknown},
		{claims.All(unknown, fails), claims.Fails},
		{claims.Any(fails, holds), claims.Holds},
		{claims.Any(fails, fails), claims.Fails},
		{claims.Any(unknown, holds), claims.Holds},
		{claims.Any(unknown, fails), claims.Unknown},
		{claims.Any(fails, unknown), claims.Unknown},
		{claims.Not(claims.Any(fails, unknown)), claims.Unknown},
		{claims.Not(claims.All(fails, unknown)), claims.Holds},
		{claims.Not(claims.Not(unknown)), claims.Unknown},
		{claims.Not(claims.Not(holds)), claims.Holds},
		{claims.All(holds, claims.Not(unknown)), claims.Unknown},
	} {
		p := policy(t, tt.condition)
		got, _ := judge(t, p, `{"yes":1}`)
		require.Equal(t, tt.want, got, p)
	}
}

// A list that the provider left out says nothing, neither that somebody is in it nor
// that nobody is.
func TestM13_PoliciesOnListsThatWereLeftOut(t *testing.T) {
	t.Parallel()
	const overage = `{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`
	groups := claims.P("groups")
	for _, c := range []claims.Condition{
		claims.Contains(groups, "a"), claims.Equals(groups, "a"), claims.OneOf(groups, "a", "b"), claims.Glob(groups, "a*"), claims.Prefix(groups, "a:"),
		claims.Min(groups, 1), claims.Max(groups, 1), claims.After(groups, time.Unix(1, 0)), claims.Before(groups, time.Unix(1, 0)), claims.MaxAge(groups, time.Hour),
		claims.Present(groups, true), claims.Present(groups, false),
	} {
		for _, document := range []string{
			overage,
			`{"groups":"src1","_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`,
			`{"groups":"devs","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`,
			`{"groups":"devs","hasgroups":true}`, `{"groups":5,"hasgroups":true}`,
		} {
			for _, c := range []claims.Condition{c, claims.Not(c)} {
				verdict, reason := judge(t, policy(t, c), document)
				require.Equal(t, claims.Unknown, verdict, document)
				require.Equal(t, claims.LeftOut, reason, document)
			}
		}
	}
	blocked := policy(t, claims.Not(claims.Equals(groups, "blocked")))
	require.NoError(t, blocked.Check(parse(t, `{"groups":"devs","hasgroups":false}`)))
}

func TestPoliciesFailClosed(t *testing.T) {
	t.Parallel()
	var zero claims.Policy
	require.True(t, zero.IsZero())
	requireRefusal(t, zero.Check(parse(t, `{"sub":"x"}`)))
	requireRefusal(t, zero.Named("x").Check(claims.Set{}))
	require.Equal(t, claims.Fails, zero.Explain(claims.Set{}).Verdict)
	_, err := zero.MarshalJSON()
	requireSyntax(t, err, "policy")
	require.Equal(t, "{}", zero.String())

	p := policy(t, claims.Equals(claims.P("sub"), "x"))
	require.False(t, p.IsZero())
	e := requireRefusal(t, p.Check(claims.Set{}))
	require.Equal(t, claims.Missing, e.Reason)
}

func TestJ51_RefusalsHoldNoValues(t *testing.T) {
	t.Parallel()
	p := policy(t, claims.Equals(claims.P("sub"), "x"), claims.Any(claims.Equals(claims.P("n"), 1), claims.Glob(claims.P("groups"), "a*"))).Named("deploy")
	set := parse(t, `{"sub":"`+marker+`","n":{"`+marker+`":"`+marker+`"},"groups":["`+marker+`","b"]}`)
	err := p.Check(set)
	e := requireRefusal(t, err)
	require.Equal(t, claims.PolicyError{Policy: "deploy", Place: "policy.all[0].equals", Claim: "sub", Operator: claims.OpEquals, Reason: claims.Mismatch}, *e)
	require.Contains(t, err.Error(), "deploy")
	require.Contains(t, err.Error(), e.Place)
	explained := p.Explain(set)
	text, jsonErr := json.Marshal(explained)
	require.NoError(t, jsonErr)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("judged", "policy", explained)
	for _, shown := range []string{err.Error(), explained.String(), string(text), log.String()} {
		require.NotContains(t, shown, marker)
		require.Contains(t, shown, "deploy")
	}
	for _, shown := range []string{explained.String(), log.String()} {
		require.Contains(t, shown, "policy.all[1].any[1].glob")
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	p := policy(t,
		claims.Equals(claims.P("a"), "x"),
		claims.Not(claims.OneOf(claims.P("b"), 1, "y")),
		claims.Any(claims.Present(claims.P("c"), true), claims.Contains(claims.P("d"), "z"), claims.Min(claims.P("e"), 1), claims.Max(claims.P("f", "g"), 1)),
	)
	set := parse(t, `{"a":"süß","b":true,"d":["1","2","3"],"e":12,"f":{"g":null,"h":1}}`)
	got := p.Explain(set)
	want := []claims.Check{
		{"policy.all", claims.OpAll, "", "", "", claims.Fails, claims.Mismatch},
		{"policy.all[0].equals", claims.OpEquals, "a", `"x"`, "string of 3", claims.Fails, claims.Mismatch},
		{"policy.all[1].not", claims.OpNot, "", "", "", claims.Unknown, claims.WrongType},
		{"policy.all[1].not.one_of", claims.OpOneOf, "b", `[1,"y"]`, "boolean", claims.Unknown, claims.WrongType},
		{"policy.all[2].any", claims.OpAny, "", "", "", claims.Holds, ""},
		{"policy.all[2].any[0].present", claims.OpPresent, "c", `true`, "missing", claims.Fails, claims.Mismatch},
		{"policy.all[2].any[1].contains", claims.OpContains, "d", `"z"`, "array of 3", claims.Fails, claims.Mismatch},
		{"policy.all[2].any[2].min", claims.OpMin, "e", `1`, "number", claims.Holds, ""},
		{"policy.all[2].any[3].max", claims.OpMax, "f.g", `1`, "null", claims.Unknown, claims.Null},
	}
	require.Equal(t, want, got.Checks)
	require.Equal(t, claims.Fails, got.Verdict)

	shown := p.Explain(set, claims.InsecureShowValues())
	require.Equal(t, `"süß"`, shown.Checks[1].Found)
	long := p.Explain(parse(t, `{"a":"`+strings.Repeat("ü", 500)+`"}`), claims.InsecureShowValues())
	require.Less(t, len(long.Checks[1].Found), 210)
	require.NotContains(t, long.Checks[1].Found, "\uFFFD")
}

// Explain judges all conditions at one time.
func TestExplainReadsTheClockOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	p := policy(t, claims.MaxAge(claims.P("iat"), time.Second), claims.MaxAge(claims.P("nbf"), time.Second)).WithNow(func() time.Time {
		calls++
		return time.Unix(1000, 0)
	})
	require.Equal(t, claims.Holds, p.Explain(parse(t, `{"iat":1000,"nbf":1000}`)).Verdict)
	require.Equal(t, 1, calls)
}

func TestDryRunReportsAndRefusesNobody(t *testing.T) {
	t.Parallel()
	var got []claims.Explanation
	d := claims.InsecureDryRun{
		Policy: policy(t, claims.Equals(claims.P("sub"), "x")).Named("next"),
		Report: func(e claims.Explanation) { got = append(got, e) },
	}
	require.NoError(t, d.Check(parse(t, `{"sub":"y"}`)))
	require.NoError(t, d.Check(parse(t, `{"sub":"x"}`)))
	require.Len(t, got, 2)
	require.Equal(t, claims.Fails, got[0].Verdict)
	require.Equal(t, claims.Holds, got[1].Verdict)
	require.Equal(t, "next", got[0].Policy)

	requireRefusal(t, claims.InsecureDryRun{Policy: d.Policy}.Check(parse(t, `{"sub":"x"}`)))
	requireRefusal(t, claims.InsecureDryRun{Report: d.Report}.Check(parse(t, `{"sub":"x"}`)))
	require.Len(t, got, 2)
}

func TestT25_PoliciesAreAlternativesAndTellWhichOneHolds(t *testing.T) {
	t.Parallel()
	a, b := policy(t, claims.Equals(claims.P("sub"), "x")).Named("a"), policy(t, claims.Present(claims.P("sub"), true)).Named("b")
	set := parse(t, `{"sub":"x"}`)
	got, err := claims.Policies{b, a}.Match(set)
	require.NoError(t, err)
	require.Equal(t, "b", got.Name(), "the first one")
	got, err = claims.Policies{a, b}.Match(parse(t, `{"sub":"y"}`))
	require.NoError(t, err)
	require.Equal(t, "b", got.Name())

	_, err = claims.Policies{}.Match(set)
	requireRefusal(t, err)
	got, err = claims.Policies{a}.Match(parse(t, `{"sub":"y"}`))
	require.Equal(t, "sub", requireRefusal(t, err).Claim)
	require.True(t, got.IsZero())
	_, err = claims.Policies{a, {}}.Match(parse(t, `{"sub":"y"}`))
	require.Equal(t, "policies", requireRefusal(t, err).Place)
}

func TestT02_GlobsAndPrefixesStayInTheirSegment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"repo:org/*", "repo:org/x", true},
		{"repo:org/*", "repo:org-evil/x", false},
		{"repo:org/*", "repo:org/x:environment:prod", false},
		{"repo:org/*", "repo:org/x/y", false},
		{"repo:org/*", "repo:org/", false},
		{"repo:org/*:ref:refs/heads/main", "repo:org/x:ref:refs/heads/main", true},
		{"repo:org/*:ref:refs/heads/main", "repo:org/x:ref:refs/heads/y:ref:refs/heads/main", false},
		{"repo:org/*:ref:refs/heads/main", "repo:org/x:ref:refs/heads/main-2", false},
		{"*", "x", true},
		{"*", "", false},
		{"*", "x/y", false},
		{"*", "x:y", false},
		{"*a", "xa", true},
		{"*a", "a", false},
		{"*a", "aa", true},
		{"*a", "xab", false},
		{"a*", "ab", true},
		{"a*", "a", false},
		{"a*a", "aa", false},
		{"a*a", "aba", true},
		{"a*b*c", "aXbbYc", true},
		{"a*b*c", "abbc", false},
		{"a*b*c", "abbbc", true},
		{"v*.*", "v1.2", true},
		{"v*.*", "v1.2.3", true},
		{"v*.*", "v.2", false},
		{"*/*", "a/b", true},
		{"*/*", "a/b/c", false},
		{`a\*b*`, "a*bc", true},
		{`a\*b*`, "aXbc", false},
		{`a\\*`, `a\x`, true},
		{"a.*", "a.b", true},
		{"a.*", "aXb", false}, // T03: a dot is a dot
		{"a?*", "abc", false},
		{"[ab]*", "ac", false},
		{"(a|b)*", "a", false},
		{"a*", "a\nb", false},
		{"a*", "a\tb", false},
		{"a*", "a\x7fb", false},
		{"ü*", "üä", true},
		{"*ä", "ßä", true},
		{"a*", "A1", false},
		{"a*%3A*", "ab%3Ac", true},
	} {
		document, err := json.Marshal(map[string]string{"c": tt.text})
		require.NoError(t, err)
		p := policy(t, claims.Glob(claims.P("c"), tt.pattern))
		require.Equal(t, tt.want, p.Check(parse(t, string(document))) == nil, "%s %q", tt.pattern, tt.text)
	}
	for text, want := range map[string]bool{
		"repo:org/x": true, "repo:org/x/y:z": true, "repo:org/": false, "repo:org": false, "repo:org-evil/x": false, "Repo:org/x": false, " repo:org/x": false,
	} {
		require.Equal(t, want, policy(t, claims.Prefix(claims.P("c"), "repo:org/")).Check(parse(t, `{"c":"`+text+`"}`)) == nil, text)
	}
}

func TestT03_NothingIsARegularExpression(t *testing.T) {
	t.Parallel()
	for pattern, text := range map[string]string{
		"^a*$": "ab", "a|b*": "bc", "token.actions*": "tokenXactionsY", "(?m)a*": "ab", ".*": "ab", "a+*": "aab", `a{2}*`: "aab",
	} {
		p := policy(t, claims.Glob(claims.P("c"), pattern))
		requireRefusal(t, p.Check(parse(t, `{"c":"`+text+`"}`)), pattern)
		require.NoError(t, p.Check(parse(t, `{"c":"`+strings.ReplaceAll(pattern, "*", "x")+`"}`)), pattern)
	}
	requireRefusal(t, policy(t, claims.Equals(claims.P("c"), "a")).Check(parse(t, `{"c":"a\n"}`)))
	// Many stars and a long text cost no more than their product.
	hard := policy(t, claims.Glob(claims.P("c"), strings.Repeat("*a", 500)+"b"))
	requireRefusal(t, hard.Check(parse(t, `{"c":"`+strings.Repeat("a", 60000)+`"}`)))
}

// oracle is a glob as a regular expression.
func oracle(pattern string) *regexp.Regexp {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '*':
			b.WriteString(`[^/:\x00-\x1f\x7f]+`)
		case pattern[i] == '\\':
			i++
			fallthrough
		default:
			b.WriteString(regexp.QuoteMeta(string(pattern[i])))
		}
	}
	return regexp.MustCompile(`\A(?:` + b.String() + `)\z`)
}

// FuzzGlobNeverCrossesSeparators: a glob lets in what a regular expression lets in that
// was made of it, and so text and pattern have the same separators.
func FuzzGlobNeverCrossesSeparators(f *testing.F) {
	seeds := [][2]string{{"repo:org/*", "repo:org/x:y"}, {"a*a*", "aaaa"}, {"*a*/b:*", "xaa/b:c"}, {`\**\\`, `*x\`}, {"*/a*/*", "b/aa/c"}, {"*ab*b", "aababb"}, {"*", "\n"}}
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := claims.NewPolicy(claims.Glob(claims.P("c"), pattern))
		document, jsonErr := json.Marshal(map[string]string{"c": text})
		require.NoError(t, jsonErr)
		if err != nil || strings.IndexFunc(pattern+text, func(r rune) bool { return r > 126 }) >= 0 {
			return
		}
		set, err := claims.Parse(document)
		require.NoError(t, err)
		got := p.Check(set) == nil
		require.Equal(t, oracle(pattern).MatchString(text), got, "%q %q", pattern, text)
		if got {
			for _, separator := range []string{"/", ":"} {
				require.Equal(t, strings.Count(pattern, separator), strings.Count(text, separator))
			}
		}
	})
}

func requireSyntax(t testing.TB, err error, place string, about ...any) {
	t.Helper()
	var e *claims.PolicySyntaxError
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, place, e.Place, append([]any{err.Error()}, about...)...)
	require.True(t, strings.HasPrefix(err.Error(), place), about...)
	require.False(t, errors.Is(err, oidckit.ErrForbidden) || errors.Is(err, oidckit.ErrInvalidToken))
}

func TestConditionsInCodeAreChecked(t *testing.T) {
	t.Parallel()
	p, ok := claims.P("c"), claims.Present(claims.P("c"), true)
	deep := ok
	for range 20 {
		deep = claims.Not(deep)
	}
	for _, tt := range []struct {
		conditions []claims.Condition
		place      string
	}{
		{nil, "policy.all"},
		{[]claims.Condition{{}}, "policy"},
		{[]claims.Condition{ok, {}}, "policy.all[1]"},
		{[]claims.Condition{claims.All()}, "policy.all"},
		{[]claims.Condition{claims.Any()}, "policy.any"},
		{[]claims.Condition{ok, claims.Not(claims.Any(ok, claims.Glob(p, "**")))}, "policy.all[1].not.any[1].glob"},
		{[]claims.Condition{claims.Not(claims.Condition{})}, "policy.not"},
		{[]claims.Condition{claims.Equals(claims.Path{}, "x")}, "policy.equals"},
		{[]claims.Condition{claims.Equals(claims.P("a\nb"), "x")}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, nil)}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, 1.5)}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, []string{"x"})}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, uint64(1<<63))}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, "a\nb")}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, "\xff")}, "policy.equals"},
		{[]claims.Condition{claims.Equals(p, strings.Repeat("x", 1025))}, "policy.equals"},
		{[]claims.Condition{claims.OneOf(p)}, "policy.one_of"},
		{[]claims.Condition{claims.OneOf(p, "a", "a")}, "policy.one_of"},
		{[]claims.Condition{claims.Contains(p, "")}, "policy.contains"},
		{[]claims.Condition{claims.Prefix(p, "")}, "policy.prefix"},
		{[]claims.Condition{claims.Prefix(p, "repo:org")}, "policy.prefix"},
		{[]claims.Condition{claims.Glob(p, "")}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, "x")}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, `\*`)}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, `*\`)}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, `*\d`)}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, "a**b")}, "policy.glob"},
		{[]claims.Condition{claims.Glob(p, "*\xff")}, "policy.glob"},
		{[]claims.Condition{claims.After(p, time.Time{})}, "policy.after"},
		{[]claims.Condition{claims.Before(p, time.Unix(253402300800, 0))}, "policy.before"},
		{[]claims.Condition{claims.MaxAge(p, 0)}, "policy.max_age"},
		{[]claims.Condition{claims.MaxAge(p, -1)}, "policy.max_age"},
		{[]claims.Condition{deep}, "policy.not.not.not.not.not.not"},
		{[]claims.Condition{claims.All(make([]claims.Condition, 1001)...)}, "policy.all"},
	} {
		got, err := claims.NewPolicy(tt.conditions...)
		requireSyntax(t, err, tt.place)
		require.True(t, got.IsZero())
	}
}

// A policy does not change with the list it was made of.
func TestConditionsAreCopied(t *testing.T) {
	t.Parallel()
	list := []claims.Condition{claims.Equals(claims.P("a"), "x"), claims.Equals(claims.P("b"), "y")}
	p := policy(t, claims.All(list...))
	list[0] = claims.Equals(claims.P("c"), "z")
	require.NoError(t, p.Check(parse(t, `{"a":"x","b":"y"}`)))
}

func TestNumbersOfAllKindsOfGo(t *testing.T) {
	t.Parallel()
	for _, n := range []any{7, int32(7), int64(7), uint(7), uint64(7), 7.0, json.Number("7")} {
		require.NoError(t, policy(t, claims.Equals(claims.P("c"), n)).Check(parse(t, `{"c":7}`)), "%T", n)
	}
}

func ExamplePolicy_Check() {
	policy, err := claims.NewPolicy(
		claims.Equals(claims.P("repository_owner_id"), "123456"),
		claims.Any(
			claims.Equals(claims.P("environment"), "production"),
			claims.Glob(claims.P("ref"), "refs/tags/v*"),
		),
	)
	if err != nil {
		panic(err)
	}
	token, err := claims.Parse([]byte(`{"repository_owner_id":"123456","ref":"refs/heads/main"}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(errors.Is(policy.Check(token), oidckit.ErrForbidden))
	fmt.Println(policy)
	fmt.Println(policy.Explain(token))
	// Output:
	// true
	// {"all":[{"claim":"repository_owner_id","equals":"123456"},{"any":[{"claim":"environment","equals":"production"},{"claim":"ref","glob":"refs/tags/v*"}]}]}
	// policy unknown
	// unknown policy.all
	// holds   policy.all[0].equals: repository_owner_id is string of 6, want "123456"
	// unknown policy.all[1].any
	// unknown policy.all[1].any[0].equals: environment is missing, want "production"
	// fails   policy.all[1].any[1].glob: ref is string of 15, want "refs/tags/v*"
}

func BenchmarkPolicy(b *testing.B) {
	p := policy(b,
		claims.Equals(claims.P("repository_owner_id"), "123456"),
		claims.OneOf(claims.P("event_name"), "push", "release"),
		claims.Glob(claims.P("ref"), "refs/heads/release-*"),
		claims.Equals(claims.P("ref_protected"), "true"),
		claims.Not(claims.Equals(claims.P("runner_environment"), "self-hosted")),
	)
	set, err := claims.Parse([]byte(`{"iss":"https://token.actions.githubusercontent.com","sub":"repo:octo-org@123456/octo-repo@456789:ref:refs/heads/release-1",` +
		`"aud":"https://api.example","repository_owner_id":"123456","repository_id":"456789","event_name":"release","ref":"refs/heads/release-1.2",` +
		`"ref_protected":"true","runner_environment":"github-hosted","actor":"octocat","actor_id":"1","run_id":"99","sha":"0123456789abcdef"}`))
	require.NoError(b, err)
	require.NoError(b, p.Check(set))
	b.ReportAllocs()
	for b.Loop() {
		if p.Check(set) != nil {
			b.Fatal("refused")
		}
	}
}

func TestChecksAllocateNothing(t *testing.T) {
	p := policy(t,
		claims.Equals(claims.P("a"), "x"), claims.OneOf(claims.P("b"), 1, true), claims.Glob(claims.P("c"), "r/v*"),
		claims.Not(claims.Equals(claims.P("a"), "y")), claims.Contains(claims.P("d", "e"), "z"), claims.Min(claims.P("f"), 1),
	)
	set := parse(t, `{"a":"x","b":true,"c":"r/v1","d":{"e":["y","z"]},"f":3}`)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if p.Check(set) != nil {
			panic("refused")
		}
	}))
}
