package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
)

// A config is what the flags say.
type config struct {
	listen, publicURL          string
	issuers                    []string
	audience, jwksURI, jwsAlg  string
	secretKey, clientSecret    secretFlag
	usernameClaim, rolesClaim  claims.Path
	introspectionURL, clientID string
	requireDPoP                bool

	now func() time.Time // of tests; nil is time.Now
}

func (cfg *config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("api", flag.ContinueOnError)
	f.StringVar(&cfg.listen, "listen", "127.0.0.1:8081", "address to listen on")
	f.Func("public-url", "what clients see before the paths of this API (default http://<listen>)", urlTo(&cfg.publicURL))
	f.Func("issuer", "a real provider's issuer; write it once for each (default: an embedded provider)", func(text string) error {
		cfg.issuers = append(cfg.issuers, text)
		return urlTo(new(string))(text)
	})
	f.StringVar(&cfg.audience, "audience", "", "the name of this API in access tokens (default: -client-id)")
	f.Func("jwks-uri", "where the keys are, if the provider's metadata are not to be asked", urlTo(&cfg.jwksURI))
	f.StringVar(&cfg.jwsAlg, "jws-alg", "RS256", "the algorithm that access tokens are signed with")
	f.Var(&cfg.secretKey, "secret-key", "the secret of HS256, HS384 or HS512, as `env:NAME or file:PATH`")
	f.TextVar(&cfg.usernameClaim, "username-claim", claims.P("sub"), `path to the user's name, which every token must have; see -roles-claim`)
	f.TextVar(&cfg.rolesClaim, "roles-claim", claims.P("realm_access", "roles"), `path to the roles, which every token must have; "." between names and "\." for a dot in one`)
	f.Func("introspection-url", "where to ask about opaque tokens (RFC 7662); JWTs are judged by their signature still", urlTo(&cfg.introspectionURL))
	f.StringVar(&cfg.clientID, "client-id", "", "who asks at -introspection-url")
	f.Var(&cfg.clientSecret, "client-secret", "the secret of -client-id, as `env:NAME or file:PATH`")
	f.BoolVar(&cfg.requireDPoP, "require-dpop", false, "take tokens only with the proof of a key that they are bound to (RFC 9449)")
	return f
}

func urlTo(target *string) func(string) error {
	return func(text string) error {
		*target = text
		if u, err := url.Parse(text); err != nil || u.Host == "" {
			return errors.New("write a URL with https://")
		}
		return nil
	}
}

func parseFlags(args []string) (cfg config, err error) {
	f := cfg.flags()
	if err := f.Parse(args); err != nil {
		return cfg, err
	}
	cfg.audience = cmp.Or(cfg.audience, cfg.clientID)
	if f.NArg() > 0 {
		return cfg, fmt.Errorf("%q is no flag: write -name value", f.Arg(0))
	}
	var about string // a flag that says something of a provider alone
	f.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"listen", "public-url", "audience", "username-claim", "roles-claim"}, f.Name) {
			about = f.Name
		}
	})
	return cfg, cfg.check(about)
}

// check says what is wrong, and what to write.
func (cfg *config) check(about string) error {
	issuers, asks := len(cfg.issuers), cfg.introspectionURL != ""
	symmetric, secret, clientSecret := strings.HasPrefix(cfg.jwsAlg, "HS"), cfg.secretKey.source != nil, cfg.clientSecret.source != nil
	for _, rule := range []struct {
		broken bool
		say    string
	}{
		{issuers == 0 && about != "", "-" + about + " is about a real provider, and there is none: add -issuer"},
		{issuers > 0 && cfg.audience == "", "-audience is missing, and without it tokens for any API would be taken: add it, with what tokens have in aud"},
		{issuers > 1 && (cfg.jwksURI != "" || secret || asks), "-jwks-uri, -secret-key and -introspection-url belong to one provider: leave one -issuer"},
		{jwks.CheckAlgorithms([]string{cfg.jwsAlg}) != nil, "-jws-alg is no algorithm: write one, such as RS256, PS256, ES256, EdDSA or HS256"},
		// A secret and public keys never verify together (RFC 8725 section 3.1).
		{symmetric && !secret, "-jws-alg " + cfg.jwsAlg + " needs a secret: add -secret-key env:NAME or file:PATH"},
		{secret && !symmetric, "-secret-key is no key of " + cfg.jwsAlg + ": add -jws-alg HS256, HS384 or HS512"},
		{secret && cfg.jwksURI != "", "-jwks-uri has public keys, and -secret-key is none: leave one of them out"},
		{asks && (cfg.clientID == "" || !clientSecret), "-introspection-url asks as a client: add -client-id and -client-secret"},
		{clientSecret && !asks, "-client-secret is for -introspection-url: add that, or leave it out"},
	} {
		if rule.broken {
			return errors.New(rule.say)
		}
	}
	return nil
}
