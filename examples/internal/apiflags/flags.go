// Package apiflags has the flags of examples/api.
package apiflags

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/examples/internal/routes"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
)

// A Config is what the flags say.
type Config struct {
	Listen, PublicURL         string
	Issuers, Audiences        []string
	JWKSURI, JWSAlg           string
	SecretKey                 Secret
	UsernameClaim, RolesClaim claims.Path
	IntrospectionURL          string
	UserInfoURL               string
	ClientID, ClientAuth      string
	ClientSecret              Secret
	RequireDPoP               bool

	Check  bool
	Deploy *deploy.Settings // of -config; nil without it
	Routes *routes.Table    // of -routes; nil without it

	Now func() time.Time // of tests; nil is time.Now

	configPath, routesPath string
}

// Flags are those of c.
func (cfg *Config) Flags() *flag.FlagSet {
	f := flag.NewFlagSet("api", flag.ContinueOnError)
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8081", "address to listen on")
	f.Func("public-url", "what clients see before the paths of this API (default http://<listen>)", urlTo(&cfg.PublicURL))
	f.StringVar(&cfg.configPath, "config", "", "a `deploy-oidc.yaml` that decides what tokens are taken, in place of the flags for that")
	f.BoolVar(&cfg.Check, "check", false, "look whether all that -config names is there, say what is wrong, and end")
	f.StringVar(&cfg.routesPath, "routes", "", "a `routes.yaml` with the routes, and what each requires")
	f.Func("issuer", "a real provider's issuer; write it once for each (default: an embedded provider)", func(text string) error {
		cfg.Issuers = append(cfg.Issuers, text)
		return urlTo(new(string))(text)
	})
	f.Func("audience", "the name of this API in access tokens; write it once for each (default: -client-id)", func(text string) error {
		cfg.Audiences = append(cfg.Audiences, text)
		return nil
	})
	f.Func("jwks-uri", "where the keys are, if the provider's metadata are not to be asked", urlTo(&cfg.JWKSURI))
	f.StringVar(&cfg.JWSAlg, "jws-alg", "RS256", "the algorithm that access tokens are signed with")
	f.Var(&cfg.SecretKey, "secret-key", "the secret of HS256, HS384 or HS512, as `env:NAME or file:PATH`")
	f.TextVar(&cfg.UsernameClaim, "username-claim", claims.P("sub"), `path to the user's name, which every token must have; see -roles-claim`)
	f.TextVar(&cfg.RolesClaim, "roles-claim", claims.P("realm_access", "roles"), `path to the roles, which every token must have; "." between names and "\." for a dot in one`)
	f.Func("introspection-url", "where to ask about opaque tokens (RFC 7662); JWTs are judged by their signature still", urlTo(&cfg.IntrospectionURL))
	f.Func("userinfo-url", "where to ask for userinfo, if the routes have roles there and the metadata are not right", urlTo(&cfg.UserInfoURL))
	f.StringVar(&cfg.ClientID, "client-id", "", "who asks at -introspection-url and for userinfo")
	f.Var(&cfg.ClientSecret, "client-secret", "the secret of -client-id, as `env:NAME or file:PATH`")
	f.StringVar(&cfg.ClientAuth, "client-auth-method", "client_secret_basic", "how the secret is sent: client_secret_basic or client_secret_post")
	f.BoolVar(&cfg.RequireDPoP, "require-dpop", false, "take tokens only with the proof of a key that they are bound to (RFC 9449)")
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

// Parse parses the flags, reads the files that they name, and says what is wrong and what to
// write.
func Parse(args []string) (cfg Config, err error) {
	f := cfg.Flags()
	if err := f.Parse(args); err != nil {
		return cfg, err
	}
	if f.NArg() > 0 {
		return cfg, fmt.Errorf("%q is no flag: write -name value", f.Arg(0))
	}
	if len(cfg.Audiences) == 0 && cfg.ClientID != "" {
		cfg.Audiences = []string{cfg.ClientID}
	}
	var about, decided string // flags that say something of a provider alone, or what -config says
	f.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "listen", "public-url", "routes", "config", "check":
		case "audience", "username-claim", "roles-claim":
			decided = f.Name
		default:
			if about = f.Name; about != "require-dpop" {
				decided = f.Name
			}
		}
	})
	if cfg.routesPath != "" {
		if cfg.Routes, err = routes.Read(cfg.routesPath); err != nil {
			return cfg, err
		}
	}
	if cfg.configPath != "" {
		return cfg, cfg.readDeploy(decided)
	}
	return cfg, cfg.judge(about)
}

// readDeploy has a file decide, and refuses flags that would.
func (cfg *Config) readDeploy(decided string) (err error) {
	switch {
	case decided != "":
		return fmt.Errorf("-%s is what -config decides: leave the flag out, and write it into the file", decided)
	case cfg.Routes != nil && cfg.Routes.HasRoles():
		return errors.New("-routes has roles_from, and -config has rolesClaimName: leave roles_from out")
	}
	if cfg.Deploy, err = deploy.Read(cfg.configPath); err != nil {
		return err
	}
	token := cfg.Deploy.AccessToken
	cfg.Issuers, cfg.Audiences = []string{token.Issuer}, []string{token.Audience}
	cfg.UsernameClaim, cfg.RolesClaim = cfg.Deploy.UserNameClaimName, cfg.Deploy.RolesClaimName
	return nil
}

// RequiredClaims are those that every token must have. Where roles_from says where roles are,
// whoever has none has no rights.
func (cfg *Config) RequiredClaims() []claims.Path {
	if cfg.Routes != nil && cfg.Routes.HasRoles() {
		return []claims.Path{cfg.UsernameClaim}
	}
	return []claims.Path{cfg.UsernameClaim, cfg.RolesClaim}
}

// RolesOf finds roles as the routes say, or at -roles-claim.
func (cfg *Config) RolesOf() routes.RolesOf {
	if cfg.Routes != nil && cfg.Routes.HasRoles() {
		return cfg.Routes.RolesOf()
	}
	return func(p *middleware.Principal) ([]string, error) { return p.Claims.Strings(cfg.RolesClaim) }
}

// AsksUserInfo reports whether roles are in userinfo.
func (cfg *Config) AsksUserInfo() bool { return cfg.Routes != nil && cfg.Routes.UserInfo }

// judge says what is wrong, and what to write.
func (cfg *Config) judge(about string) error {
	issuers, asks, info := len(cfg.Issuers), cfg.IntrospectionURL != "", cfg.AsksUserInfo()
	symmetric, secret, clientSecret := strings.HasPrefix(cfg.JWSAlg, "HS"), cfg.SecretKey.Source != nil, cfg.ClientSecret.Source != nil
	for _, rule := range []struct {
		broken bool
		say    string
	}{
		{cfg.Check, "-check looks at a file: add -config"},
		{issuers == 0 && about != "", "-" + about + " is about a real provider, and there is none: add -issuer"},
		{issuers > 0 && len(cfg.Audiences) == 0, "-audience is missing, and without it tokens for any API would be taken: add it, with what tokens have in aud"},
		{issuers > 1 && (cfg.JWKSURI != "" || secret || asks || info), "-jwks-uri, -secret-key, -introspection-url and userinfo belong to one provider: leave one -issuer"},
		{jwks.CheckAlgorithms([]string{cfg.JWSAlg}) != nil, "-jws-alg is no algorithm: write one, such as RS256, PS256, ES256, EdDSA or HS256"},
		// A secret and public keys never verify together (RFC 8725 section 3.1).
		{symmetric && !secret, "-jws-alg " + cfg.JWSAlg + " needs a secret: add -secret-key env:NAME or file:PATH"},
		{secret && !symmetric, "-secret-key is no key of " + cfg.JWSAlg + ": add -jws-alg HS256, HS384 or HS512"},
		{secret && cfg.JWKSURI != "", "-jwks-uri has public keys, and -secret-key is none: leave one of them out"},
		{asks && (cfg.ClientID == "" || !clientSecret), "-introspection-url asks as a client: add -client-id and -client-secret"},
		{info && issuers > 0 && cfg.ClientID == "", "-routes has roles in userinfo, which is asked for by a client: add -client-id"},
		{clientSecret && !asks, "-client-secret is for -introspection-url: add that, or leave it out"},
		{cfg.UserInfoURL != "" && !info, "-userinfo-url is for roles in userinfo: add -routes with roles_from: [userinfo.groups], or leave it out"},
		{cfg.ClientAuth != "client_secret_basic" && cfg.ClientAuth != "client_secret_post", "-client-auth-method is not known: write client_secret_basic or client_secret_post"},
	} {
		if rule.broken {
			return errors.New(rule.say)
		}
	}
	return nil
}
