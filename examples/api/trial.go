package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// tokenLife lets a printed token be tried at leisure.
const tokenLife = time.Hour

// embeddedProvider starts a provider in this process, points cfg to it and prints
// tokens to try.
func embeddedProvider(cfg *apiflags.Config, base string) (*oidctest.Provider, error) {
	p, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{AccessTokenTTL: tokenLife, OpaqueAccessTokens: cfg.Routes != nil})
	if err != nil {
		return nil, err
	}
	cfg.Issuers = []string{p.Issuer()}
	fmt.Printf("The embedded provider is at %s\n\nTry (the tokens last %v):\n\n", p.Issuer(), tokenLife)
	if cfg.Routes != nil {
		likeIpsilon(cfg, p)
		printRoutes(cfg, p, base)
		return p, nil
	}
	if len(cfg.Audiences) == 0 {
		cfg.Audiences = []string{"https://api.example.com"}
	}
	reader, admin := p.AccessToken("bob", cfg.Audiences[0], "reports:read"), p.AccessToken("alice", cfg.Audiences[0])
	fmt.Printf("curl -i %s/public\n\n# without a token: 401\ncurl -i %s/whoami\n\n", base, base)
	fmt.Printf("# bob, with the scope reports:read\ncurl -i -H 'Authorization: Bearer %s' %s/whoami\n\n", reader, base)
	fmt.Printf("curl -i -H 'Authorization: Bearer %s' %s/reports\n\n", reader, base)
	fmt.Printf("# bob is no admin: 403\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n\n", reader, base)
	fmt.Printf("# alice, with the role admin\ncurl -i -X POST -H 'Authorization: Bearer %s' %s/admin\n", admin, base)
	return p, nil
}

// likeIpsilon makes the provider like that of Fedora: tokens are opaque, introspection has
// their client in "aud", and userinfo has groups and agreements.
func likeIpsilon(cfg *apiflags.Config, p *oidctest.Provider) {
	p.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = oidctest.ClientID })
	p.OnUserInfo(func(info map[string]any) {
		info["groups"] = []string{"packager"}
		info["cla"] = []string{"http://admin.fedoraproject.org/accounts/cla/done"}
	})
	cfg.IntrospectionURL, cfg.ClientID = p.Issuer()+"/introspect", oidctest.ClientID
	cfg.ClientSecret.Source = clientauth.Secret(oidctest.ClientSecret)
	cfg.Audiences = []string{oidctest.ClientID}
}

// printRoutes prints a line for each of the first routes, by somebody who has its scopes.
func printRoutes(cfg *apiflags.Config, p *oidctest.Provider, base string) {
	none := p.AccessToken("bob", "", "openid")
	for i, r := range cfg.Routes.Routes[:min(len(cfg.Routes.Routes), 5)] {
		if i == 0 {
			fmt.Printf("# without its scopes: 403\ncurl -i -X %s -H 'Authorization: Bearer %s' %s%s\n\n", r.Method, none, base, example(r.Path))
		}
		token := p.AccessToken("alice", "", slices.Concat([]string{"openid"}, r.Scopes, r.ScopesAny)...)
		fmt.Printf("curl -i -X %s -H 'Authorization: Bearer %s' %s%s\n\n", r.Method, token, base, example(r.Path))
	}
}

// example is a path that fits a pattern.
func example(pattern string) string {
	return strings.NewReplacer("{", "", "}", "", "...", "", "$", "").Replace(pattern)
}
