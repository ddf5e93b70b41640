package oidc_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

type parameters = map[string]string

func TestP05_Challenges(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]oidc.Challenge{
		``:                                       nil,
		` , ,`:                                   nil,
		`Bearer`:                                 {{Scheme: "bearer"}},
		`DPOP error=use_dpop_nonce`:              {{"dpop", parameters{"error": "use_dpop_nonce"}}},
		`DPoP error="use_dpop_nonce"`:            {{"dpop", parameters{"error": "use_dpop_nonce"}}},
		`DPoP  ERROR = "a" , algs="ES256 PS256"`: {{"dpop", parameters{"error": "a", "algs": "ES256 PS256"}}},
		`Bearer realm="x", error="a", DPoP algs="ES256", error="b"`: {
			{"bearer", parameters{"realm": "x", "error": "a"}}, {"dpop", parameters{"algs": "ES256", "error": "b"}},
		},
		`Negotiate, Bearer,,DPoP error="a",`:      {{Scheme: "negotiate"}, {Scheme: "bearer"}, {"dpop", parameters{"error": "a"}}},
		`Negotiate abc/d+e==, DPoP error="a"`:     {{Scheme: "negotiate"}, {"dpop", parameters{"error": "a"}}},
		`Negotiate abc , Basic`:                   {{Scheme: "negotiate"}, {Scheme: "basic"}},
		`Bearer realm="a, DPoP error=\"b\"", c=d`: {{"bearer", parameters{"realm": `a, DPoP error="b"`, "c": "d"}}},
		`Bearer realm=""`:                         {{"bearer", parameters{"realm": ""}}},
		"Bearer\trealm=\"a\tb\"":                  {{"bearer", parameters{"realm": "a\tb"}}},
		// What does not keep to the grammar counts for nothing, all of it.
		`Bearer error="a" scope="b"`:           nil,
		`Bearer error="a`:                      nil,
		`Bearer error="a\`:                     nil,
		`Bearer error="a", error="b"`:          nil,
		`Bearer error="a", ERROR="b"`:          nil,
		`Bearer error="a", "b"`:                nil,
		`Bearer error="a", b=`:                 nil,
		`Bearer error=a@b`:                     nil,
		`Bearer ="a"`:                          nil,
		`Bearer="a"`:                           nil,
		`"Bearer" error="a"`:                   nil,
		`Bearer DPoP error="a"`:                nil,
		"Bearer error=\"a\nb\"":                nil,
		"Bearer error=\"a\x7f\"":               nil,
		`Bearer a=b=c`:                         nil,
		`Bearer a==b`:                          nil,
		strings.Repeat(`Bearer, `, 16):         slices.Repeat([]oidc.Challenge{{Scheme: "bearer"}}, 16),
		strings.Repeat(`Bearer, `, 17):         nil,
		`DPoP error="use_dpop_nonce", Bearer?`: nil,
	} {
		require.Equal(t, want, oidc.Challenges(http.Header{"Www-Authenticate": {line}}), line)
	}
}

// Each header is judged by itself, and there are only so many.
func TestP05_SeveralChallengeHeaders(t *testing.T) {
	t.Parallel()
	got := oidc.Challenges(http.Header{"Www-Authenticate": {`Bearer error="a`, `DPoP error="b"`, `Basic`}})
	require.Equal(t, []oidc.Challenge{{"dpop", parameters{"error": "b"}}, {Scheme: "basic"}}, got)
	require.Len(t, oidc.Challenges(http.Header{"Www-Authenticate": slices.Repeat([]string{"Basic"}, 100)}), 16)
}

// What is read is what is there: written down again, it reads the same.
func FuzzChallengesReadWhatTheyWrite(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="x", error="a", DPoP algs="ES256 PS256", error="use_dpop_nonce"`, `Negotiate abc==, Basic realm=a`, `Bearer a="\"\\", b = c`, `a b=c,,d`, `DPoP`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		all := oidc.Challenges(http.Header{"Www-Authenticate": {line}})
		again := oidc.Challenges(http.Header{"Www-Authenticate": {write(all)}})
		require.Equal(t, all, again)
		for _, c := range all {
			require.Contains(t, strings.ToLower(line), c.Scheme)
			for name := range c.Parameters {
				require.Contains(t, strings.ToLower(line), name)
			}
		}
	})
}

func write(all []oidc.Challenge) string {
	var lines []string
	for _, c := range all {
		var text []string
		for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
			text = append(text, name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.Parameters[name])+`"`)
		}
		lines = append(lines, strings.TrimSpace(c.Scheme+" "+strings.Join(text, ", ")))
	}
	return strings.Join(lines, ", ")
}
