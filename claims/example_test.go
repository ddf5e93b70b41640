package claims_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/oidckit/oidckit/claims"
)

func Example() {
	set, err := claims.Parse([]byte(`{
		"realm_access": {"roles": ["clerk"]},
		"https://example.com/roles": "editor",
		"resource_access": {"web": {"roles": ["view"]}, "api": {"roles": ["view", "refund"]}}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"realm_access.roles", `https://example\.com/roles`, "https://example.com/roles"} {
		path, err := claims.ParsePath(text)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(set.Strings(path))
	}
	fmt.Println(set.CollectStrings(claims.P("resource_access").Every("roles")))
	// Output:
	// [clerk] <nil>
	// [editor] <nil>
	// [] claims: https://example.com/roles is missing (a member has that whole name: write it as https://example\.com/roles)
	// [view refund] <nil>
}

func ExampleSet_Strings() {
	set, err := claims.Parse([]byte(`{"dept": "[\"returns\"]", "memberOf": [{"cn": "clerks"}, {"cn": "refunds"}], "level": 3}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Strings(claims.P("dept"), claims.JSONInString()))
	fmt.Println(set.Strings(claims.P("memberOf"), claims.Field("cn")))
	fmt.Println(set.Strings(claims.P("level")))
	// Output:
	// [returns] <nil>
	// [clerks refunds] <nil>
	// [] claims: level is of another type (got JSON number, want a string or a list of strings)
}

func ExampleMapper_Identity() {
	var mapping claims.Mapping
	err := json.Unmarshal([]byte(`{
		"username": "preferred_username",
		"email": {"paths": ["email"], "optional": true},
		"roles": {"paths": ["realm_access.roles"], "from": ["access_token"]}
	}`), &mapping)
	if err != nil {
		log.Fatal(err)
	}
	mapper, err := claims.NewMapper(mapping)
	if err != nil {
		log.Fatal(err)
	}
	idToken, err1 := claims.Parse([]byte(`{"iss": "https://op.example", "sub": "1", "preferred_username": "ada"}`))
	accessToken, err2 := claims.Parse([]byte(`{"iss": "https://op.example", "sub": "1", "realm_access": {"roles": ["clerk"]}}`))
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	id, err := mapper.Identity(context.Background(), claims.Sources{IDToken: idToken, AccessToken: accessToken})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id.Username, id.Roles, id.Origins.Roles[0].Source)
	// Output: ada [clerk] access_token
}
