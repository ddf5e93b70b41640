package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// example is the file of the issue.
const example = `
organizations:
  acme:
    service_accounts: [github-service, deploy-bot]
    providers:
      - name: GitHub Actions
        url: https://token.actions.githubusercontent.com   # loopback http is allowed for trials
        audience: https://github.com/acme                    # optional, checked against aud
        claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}
        service_accounts: [github-service]
token: {ttl: 90m}
`

func TestSettings_Example(t *testing.T) {
	t.Parallel()
	s, err := readSettings("exchange.yaml", []byte(example), false)
	require.NoError(t, err)
	require.Equal(t, 90*time.Minute, s.ttl)
	require.Equal(t, organization{ServiceAccounts: []string{"github-service", "deploy-bot"}, Providers: []provider{{
		Name: "GitHub Actions", URL: "https://token.actions.githubusercontent.com", Audience: "https://github.com/acme",
		Claims:          map[string]any{"repository_owner": "acme", "ref": []any{"refs/heads/main", "refs/tags/v*"}},
		ServiceAccounts: []string{"github-service"},
	}}}, s.Organizations["acme"])
}

// Each bad setting has a message with the file, the key, what is wrong and what to write.
func TestSettings_Problems(t *testing.T) {
	t.Parallel()
	const place = "exchange.yaml: organizations.acme.providers[0]."
	long := strings.Repeat("a", 256)
	for _, tt := range []struct{ name, from, to, want string }{
		{"nothing", example, "# nothing\n", "exchange.yaml: is empty: write organizations"},
		{"no YAML", "token:", "token: {", "exchange.yaml: yaml: "},
		{"T24 a key twice", "token: {ttl: 90m}", "token: {ttl: 90m, ttl: 2h}", `mapping key "ttl" already defined`},
		{"T24 an unknown key", "token:", "tokens:", "exchange.yaml: tokens: is not known: did you mean token?"},
		{"T24 an unknown key of a provider", "audience:", "audiance:", place + "audiance: is not known: did you mean audience?"},
		{"T24 an unknown key of an organization", "service_accounts: [github-service, d", "service_acounts: [github-service, d", "exchange.yaml: organizations.acme.service_acounts: is not known: did you mean service_accounts?"},
		{"another type", "service_accounts: [github-service, deploy-bot]", "service_accounts: github-service", "exchange.yaml: organizations.acme.service_accounts: is a string: write a list, [one, another]"},
		{"another type of claims", "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", "claims: acme", place + "claims: is a string: write a mapping, {key: value}"},
		{"a number for a string", "audience: https://github.com/acme", "audience: 7", place + "audience: is a number: write a string, in quotes"},
		{"a string for a boolean", "audience: https://github.com/acme", "force: 'yes'", place + "force: is a string: write a boolean, true or false"},
		{"T24 another case", "url:", "URL:", place + "URL: is not known: did you mean"},
		{"T24 in two cases", "url:", "Url: https://ci.example\n        url:", place + "Url: is not known"},
		{"T24 a second document", "token:", "---\ntoken:", "exchange.yaml: has a second document: take out the line ---"},
		{"T24 an empty second document", "token: {ttl: 90m}", "---", "exchange.yaml: has a second document"},
		{"a list for claims", "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", "claims: [a]", place + "claims: is a list: write a mapping, {key: value}"},
		{"a list for a provider", "- name: GitHub Actions\n", "- [a]\n      - name: GitHub Actions\n", place[:len(place)-1] + ": is a list: write a mapping"},
		{"a number in a list", "[github-service, deploy-bot]", "[github-service, 7]", "exchange.yaml: organizations.acme.service_accounts[1]: is a number: write a string, in quotes"},
		{"numeric organization", "acme:\n", "7:\n", `exchange.yaml: organizations: has a key that is no string: write it in quotes`},
		{"a key in a claim that is no string", "repository_owner: acme", "repository_owner: {7: a}", place + "claims.repository_owner: has a key that is no string"},
		{"port", "githubusercontent.com  ", "githubusercontent.com:99999  ", place + "url: has a port that there is none of: write one from 1 to 65535"},
		{"port 0", "githubusercontent.com  ", "githubusercontent.com:0  ", place + "url: has a port that there is none of"},
		{"name of controls", "name: GitHub Actions", `name: "a\x1b[2J"`, place + "name: has a control character"},
		{"ttl without unit, as a number", "ttl: 90m", "ttl: 90", "exchange.yaml: token.ttl: is a number: write a string, in quotes, with its unit"},
		{"ttl too long", "ttl: 90m", "ttl: 121m", "exchange.yaml: token.ttl: is out of range: write a duration from 1m to 2h"},
		{"ttl too short", "ttl: 90m", "ttl: 59s", "exchange.yaml: token.ttl: is out of range"},
		{"ttl without unit", "ttl: 90m", "ttl: '90'", "with its unit, such as 90m"},
		{"organization", "acme:\n", "Acme Inc:\n", `organizations.Acme Inc.service_accounts: "Acme Inc" is no name: write up to 63 of a-z, 0-9, - and _`},
		{"service account", "deploy-bot]", "Deploy Bot]", `exchange.yaml: organizations.acme.service_accounts: "Deploy Bot" is no name`},
		{"service account twice", "deploy-bot]", "github-service]", `exchange.yaml: organizations.acme.service_accounts: "github-service" is there twice: leave one`},
		{"null for a claim", "repository_owner: acme", "repository_owner: acme, aud: null", place + "claims.aud: "},
		{"no service accounts", "    service_accounts: [github-service, deploy-bot]\n", "", place + "service_accounts: OIDC provider settings can only be configured if there is at least one service account: create one first"},
		{"unknown service account", "service_accounts: [github-service]", "service_accounts: [git-service]", place + `service_accounts: "git-service" is none of the organization: create it first, or write one of github-service, deploy-bot`},
		{"provider without service accounts", "service_accounts: [github-service]", "service_accounts: []", place + "service_accounts: is empty: name those that tokens of the provider are for"},
		{"no name", "name: GitHub Actions", "name: ''", place + "name: write one of 1 to 100 bytes"},
		{"long name", "name: GitHub Actions", "name: " + long, place + "name: write one of 1 to 100 bytes"},
		{"url of the document", "githubusercontent.com  ", "githubusercontent.com/.well-known/openid-configuration  ", place + "url: write the part before /.well-known/openid-configuration"},
		{"empty claims", "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", "claims: {repository_owner: []}", place + "claims.repository_owner: is empty: write at least one value"},
		{"claim of another kind", "repository_owner: acme", "repository_owner: {a: b}", place + "claims.repository_owner: "},
		{"double star", "refs/tags/v*", "refs/tags/**", place + `claims.ref[1]: "**" is no pattern`},
		{"claim that url says", "repository_owner: acme", "iss: acme", place + "claims.iss: is what url says: leave it out"},
		{"preset", "audience: https://github.com/acme", "preset: github", place + "preset: write github-actions, gitlab or circleci, or leave with out"},
		{"with alone", "audience: https://github.com/acme", "with: {owner_id: '1'}", place + "preset: write github-actions, gitlab or circleci, or leave with out"},
		{"preset without its settings", "audience: https://github.com/acme", "preset: github-actions", place + "with.repository_id: is required, or OwnerID"},
		{"setting of a preset", "audience: https://github.com/acme", "preset: github-actions\n        with: {owner: acme}", place + "with.owner: is not known: did you mean owner_id?"},
		{"value of a preset", "audience: https://github.com/acme", "preset: github-actions\n        with: {owner_id: acme}", place + "with.owner_id: must be the number that the service shows as the id, not a name"},
		{"type of a preset", "audience: https://github.com/acme", "preset: github-actions\n        with: {owner_id: 7}", place + "with.owner_id: is a number: write a string, in quotes"},
		{"url beside a preset", "audience: https://github.com/acme", "preset: circleci\n        with: {organization_id: 3fa85f64-5717-4562-b3fc-2c963f66afa6, project_id: 9b2d8f0e-1c4a-4c4e-8f2b-0a1b2c3d4e5f, insecure_any_origin: true, insecure_any_ref: true}",
			place + "url: is not https://oidc.circleci.com/org/3fa85f64-5717-4562-b3fc-2c963f66afa6, which the preset has: leave it out"},
		{"admin.roles without place", "token:", "admin: {issuer: https://id.example, roles: roles}\ntoken:", "exchange.yaml: admin.roles: must lead to the roles in one organization: write a path with {ACCOUNT}"},
		{"admin.roles that is no path", "token:", "admin: {issuer: https://id.example, roles: 'a..{ACCOUNT}'}\ntoken:", "exchange.yaml: admin.roles: "},
		{"admin.roles as a pointer", "token:", "admin: {issuer: https://id.example, roles: '/a/{ACCOUNT}'}\ntoken:", "exchange.yaml: admin.roles: "},

		{"T01 no claims", "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}\n", "\n", place + "claims: "},
		{"T01 no claims and no audience", "audience: https://github.com/acme                    # optional, checked against aud\n        claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}\n", "\n", "or write force: true"},
		{"T01 the audience alone, as the document has it", "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", "claims: {aud: https://github.com/acme}", place + "claims: there is none besides the audience, which jobs choose"},
		{"T01 what others can have too", "repository_owner: acme, ref", "ref", "every customer of GitHub Actions satisfies the policy"},
		{"T02 a star in the name of an owner", "repository_owner: acme", "repository: acme*/widgets", `claims.repository: the "*" stands in the name of the owner`},
		{"T02 any value", "refs/tags/v*]", `"*"]`, `"*" is any value`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := strings.Replace(example, tt.from, tt.to, 1)
			require.NotEqual(t, example, file)
			_, err := readSettings("exchange.yaml", []byte(file), false)
			require.ErrorContains(t, err, tt.want)
		})
	}
	twice := strings.Replace(example, "token:", `      - {name: GitHub Actions, url: "https://ci.example", claims: {a: b}, service_accounts: [deploy-bot]}`+"\ntoken:", 1)
	_, err := readSettings("exchange.yaml", []byte(twice), false)
	require.ErrorContains(t, err, "exchange.yaml: organizations.acme.providers[1].name: is there twice: write another one")
}

// Each token has all providers of the account looked at.
func TestT19_ManyProviders(t *testing.T) {
	t.Parallel()
	o := organization{ServiceAccounts: []string{"a"}}
	for i := range 101 {
		_, err := o.check("acme")
		require.NoError(t, err)
		o.Providers = append(o.Providers, provider{Name: fmt.Sprint(i), URL: "https://ci.example", Claims: map[string]any{"a": "b"}, ServiceAccounts: []string{"a"}})
	}
	_, err := o.check("acme")
	require.ErrorContains(t, err, "providers: an organization has 100 at most")
	o = organization{}
	for i := range 1001 {
		o.ServiceAccounts = append(o.ServiceAccounts, fmt.Sprint("a", i))
	}
	_, err = o.check("acme")
	require.ErrorContains(t, err, "1000 service accounts")
}

func TestT17_URLsThatTwoReadersTakeForTwo(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://oidc.circleci.com/org/3fa85f64-5717-4562-b3fc-2c963f66afa6": true,
		"https://ci.example:8443/a/b.c/_d~e-f/":                              true,
		"http://127.0.0.1:8080":                                              true,
		"https://ci.example/org/../evil":                                     false,
		"https://ci.example/org/%2e%2e/evil":                                 false,
		"https://ci.example//org":                                            false,
		"https://ci.example/./org":                                           false,
		"https://ci.example/?x":                                              false,
		"https://ci.example/#x":                                              false,
		"https://user@ci.example":                                            false,
		"https://ci.example@evil.example":                                    false,
		"https://ci.exämple":                                                 false,
		"https://CI.example":                                                 false,
		"HTTPS://ci.example":                                                 false,
		`https://ci.example\@evil.example`:                                   false,
		"https://ci.example/a b":                                             false,
		"https://ci.example/\n":                                              false,
		"ftp://ci.example":                                                   false,
		"ci.example":                                                         false,
		"":                                                                   false,
		"https://ci.example/" + strings.Repeat("a", 236):                     true,
		"https://ci.example/" + strings.Repeat("a", 237):                     false,
	} {
		p := provider{Name: "p", URL: url, Claims: map[string]any{"a": "b"}, ServiceAccounts: []string{"x"}}
		_, err := p.check([]string{"x"})
		if good {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, "url: is not the URL of an issuer", url)
		}
	}
}

// Issuers in networks of one's own are for trials, and for who says so.
func TestT16_PrivateIssuers(t *testing.T) {
	t.Parallel()
	public := func(o *options) { o.publicURL = "https://exchange.example" }
	for _, tt := range []struct {
		name, url, setting string
		configure          func(*options)
		good               bool
	}{
		{"trial", "http://127.0.0.1:1", "", nil, true},
		{"trial, turned off", "http://127.0.0.1:1", "private_issuers: false", nil, false},
		{"public", "http://127.0.0.1:1", "", public, false},
		{"by name", "http://127.0.0.1:1", "", func(o *options) { o.publicURL = "http://localhost:8083" }, true},
		{"public, metadata of a cloud", "https://169.254.169.254", "", public, false},
		{"public, by name", "https://localhost", "", public, false},
		{"public, turned on", "http://127.0.0.1:1", "private_issuers: true", public, true},
		{"public, http", "http://ci.example", "private_issuers: true", public, false},
		{"public issuer", "https://ci.example", "", public, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := readSettings("exchange.yaml", []byte(withProvider("url: "+tt.url, "claims: {a: b}")+tt.setting), false)
			require.NoError(t, err)
			o := options{publicURL: "http://127.0.0.1:8083", database: ":memory:", logger: discard}
			if tt.configure != nil {
				tt.configure(&o)
			}
			s, err := newServer(t.Context(), cfg, o)
			if !tt.good {
				require.ErrorContains(t, err, "exchange.yaml: organizations.acme.providers[0].url: ")
				if tt.name == "public, http" {
					require.NotContains(t, err.Error(), "private_issuers", "it is set already")
					return
				}
				require.ErrorContains(t, err, "private_issuers: true in the file")
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}

func TestT01_Force(t *testing.T) {
	t.Parallel()
	open := strings.Replace(example, "claims: {repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", "", 1)
	for _, file := range []string{open, strings.Replace(open, "audience:", "force: true\n        audience:", 1)} {
		s, err := readSettings("exchange.yaml", []byte(file), file == open) // -force
		require.NoError(t, err)
		p := s.Organizations["acme"].Providers[0]
		require.True(t, p.Force)
		warnings, err := p.check([]string{"github-service"})
		require.NoError(t, err)
		require.Contains(t, warnings[0], "strangers can satisfy them")
	}
	s, err := readSettings("exchange.yaml", []byte(example), true)
	require.NoError(t, err)
	require.False(t, s.Organizations["acme"].Providers[0].Force, "it needs none")
	_, err = readSettings("exchange.yaml", []byte(strings.Replace(example, "url:", "url: ftp://x #", 1)), true)
	require.ErrorContains(t, err, "url: is not the URL of an issuer")
}

func TestNamesOfProvidersAreText(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"GitHub Actions": true, "déploiement": true, "a\xff": false, "a\nb": false, "a\u0085": false, "a\x00": false} {
		p := provider{Name: name, URL: "https://ci.example", Claims: map[string]any{"a": "b"}, ServiceAccounts: []string{"x"}}
		_, err := p.check([]string{"x"})
		if good {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "name: has a control character, or is not UTF-8")
	}
}

// What the linter finds is said, and what is right is not found.
func TestT02_T05_Warnings(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]string{
		"{repository_owner_id: '1', ref: refs/tags/v*}":                           "everything that begins like this matches",
		"{repository_owner: acme, ref: refs/heads/main}":                          "knows its owner by a name",
		"{repository_owner_id: '1'}":                                              "any branch satisfies the policy",
		"{repository_owner_id: 1, repository_id: '2', ref: refs/heads/main}":      "writes this claim as a string",
		"{repository_id: '2', ref: refs/heads/main}":                              "events that can run for strangers",
		"{repository_id: '2', ref: main}":                                         "this claim is a full ref",
		"{repository_id: '2', ref: refs/heads/mäin}":                              "a character other than ASCII",
		"{repository_id: '2', ref: refs/heads/main, event_name: push}":            "",
		"{repository_id: '2', environment: production, sub: 'repo:acme/x:ref:*'}": "what sub is made of can be configured",
	} {
		file := strings.Replace(example, "{repository_owner: acme, ref: [refs/heads/main, refs/tags/v*]}", claims, 1)
		s, err := readSettings("exchange.yaml", []byte(file), false)
		require.NoError(t, err, claims)
		warnings, err := s.Organizations["acme"].check("acme")
		require.NoError(t, err)
		if want == "" {
			require.Empty(t, warnings)
			continue
		}
		require.Contains(t, strings.Join(warnings, "\n"), want)
	}
}
