package claims_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

func TestM13_Overage(t *testing.T) {
	t.Parallel()
	elsewhere := func(source, endpoint string) *claims.OverageError {
		return &claims.OverageError{Claim: "groups", Reason: claims.OverageElsewhere, Source: source, Endpoint: endpoint}
	}
	hasGroups := &claims.OverageError{Claim: "groups", Reason: claims.OverageHasGroups}
	for document, want := range map[string]*claims.OverageError{
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example/g"}}}`: elsewhere("src1", "https://graph.example/g"),
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"JWT":"e30.e30."}}}`:                     elsewhere("src1", ""),
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{}}`:                                              elsewhere("src1", ""),
		`{"_claim_names":{"groups":"src1"},"_claim_sources":7}`:                                               elsewhere("src1", ""),
		`{"_claim_names":{"groups":"src1"}}`:                                                                  elsewhere("src1", ""),
		`{"_claim_names":{"groups":["src1"]}}`:                                                                elsewhere("", ""),
		`{"_claim_names":{"gr\u006fups":"src1"}}`:                                                             elsewhere("src1", ""),
		`{"groups":["a"],"_claim_names":{"groups":"src1"}}`:                                                   elsewhere("src1", ""),
		`{"groups":null,"_claim_names":{"groups":"src1"}}`:                                                    elsewhere("src1", ""),
		`{"groups":"src1","_claim_sources":{"src1":{"endpoint":"https://graph.example/g"}}}`:                  elsewhere("src1", "https://graph.example/g"),
		`{"groups:src1":"https://graph.example/g"}`:                                                           elsewhere("src1", "https://graph.example/g"),
		`{"groups:src1":5}`:  elsewhere("src1", ""),
		`{"hasgroups":true}`: hasGroups, `{"hasgroups":"true"}`: hasGroups, `{"hasgroups":1}`: hasGroups, `{"hasgroups":true,"groups":["a"]}`: hasGroups,
	} {
		set := parse(t, document)
		for _, err := range []error{second(set.Strings(claims.P("groups"))), second(set.Contains(claims.P("groups"), "a")), second(set.CollectStrings(claims.P("groups").Pattern()))} {
			require.Equal(t, want, requireOverage(t, err), document)
		}
		requireReason(t, second(set.Strings(claims.P("roles"))), claims.Missing, document)
	}
	for document, want := range map[string]claims.Reason{
		`{"hasgroups":false}`: claims.Missing, `{"hasgroups":"false"}`: claims.Missing, `{"hasgroups":null}`: claims.Missing,
		`{"_claim_names":{}}`: claims.Missing, `{"_claim_names":{"address":"src1"}}`: claims.Missing, `{"_claim_names":{"groups":null}}`: claims.Missing, `{"_claim_names":null}`: claims.Missing,
		`{"groups:x":"y"}`: claims.Missing, `{"groupsrc1":"y"}`: claims.Missing, `{"groups":null}`: claims.Null,
		// Odd ones hide nothing that is there, and what is not there is not "none".
		`{"_claim_names":"groups"}`: claims.WrongType, `{"_claim_names":["groups"]}`: claims.WrongType, `{"_claim_names":7}`: claims.WrongType,
		`{"groups":["a"],"_claim_names":7}`: ok, `{"groups":["a"],"_claim_names":{}}`: ok, `{"groups":"a","_claim_sources":{"src1":{}}}`: ok,
		`{"groups":["a"],"hasgroups":false}`: ok, `{"groups":["a"],"groups:src1":"x"}`: ok,
	} {
		for _, err := range []error{
			second(parse(t, document).Strings(claims.P("groups"))), second(parse(t, document).Contains(claims.P("groups"), "a")),
			second(parse(t, document).CollectStrings(claims.P("groups").Pattern())),
		} {
			check(t, err, want, document)
		}
	}
	// It is a matter of the outermost name.
	nested := parse(t, `{"_claim_names":{"realm_access":"src1","roles":"src2"},"hasgroups":true}`)
	require.Equal(t, "realm_access.roles", requireOverage(t, second(nested.Strings(claims.P("realm_access", "roles")))).Claim)
	requireReason(t, second(nested.Strings(claims.P("x", "roles"))), claims.Missing)
	requireReason(t, second(nested.Strings(claims.P("x", "groups"))), claims.Missing)
}

// The endpoint is of a token: its host is shown, and nothing that could be more.
func TestOverageErrorShowsTheHostAlone(t *testing.T) {
	t.Parallel()
	for endpoint, host := range map[string]string{
		"https://graph.microsoft.com/v1.0/users/" + marker + "?x=" + marker: "graph.microsoft.com",
		"https://" + marker + ":" + marker + "@graph.example:8443/":         "graph.example",
		"https://graph.example":      "graph.example",
		"ftp://" + marker + "/":      "",
		marker:                       "",
		"https://" + marker + "%0a/": "",
		"https://[" + marker + "]/":  "",
		"https://" + marker + "_x/":  "",
		"://":                        "",
		"https://" + strings.Repeat("a.", 150) + "example/": "",
		"": "",
	} {
		err := &claims.OverageError{Claim: "groups", Reason: claims.OverageElsewhere, Source: marker, Endpoint: endpoint}
		require.NotContains(t, err.Error(), marker, endpoint)
		require.Contains(t, err.Error(), "groups")
		if host != "" {
			require.Contains(t, err.Error(), host)
		} else {
			require.NotContains(t, err.Error(), " at ")
		}
	}
}
