package deploy

import (
	"cmp"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
)

var (
	asymmetric = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}
	symmetric  = []string{"HS256", "HS384", "HS512"}
	methods    = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
)

// settings makes Settings of the values, with the defaults of the document.
func (r *reader) settings() *Settings {
	s := &Settings{file: r.file, lines: map[string]int{}}
	for name, v := range r.values {
		s.lines[name] = v.Line
	}
	s.LoginMethodDescription = r.text("loginMethodDescription", "OpenID Connect")
	s.ClientID = r.required("clientId")
	s.ClientSecret = clientauth.Secret(r.text("clientSecret", ""))
	s.Issuer = r.uri("issuer", r.required("issuer"))
	s.KeyRetrievalURI, s.AccessTokenURI = r.optionalURI("keyRetrievalUri"), r.optionalURI("accessTokenUri")
	s.UserAuthorizationURI, s.LogoutURI = r.optionalURI("userAuthorizationUri"), r.optionalURI("logoutUri")
	s.PostLogoutRedirectURI = r.optionalURI("postLogoutRedirectUri")
	s.RedirectURI = r.redirect(r.uri("redirectUri", r.required("redirectUri")))
	s.IDTokenJWSAlg = r.oneOf("idTokenJWSAlg", "RS256", slices.Concat(asymmetric, symmetric))
	s.RolesClaimName, s.UserNameClaimName = r.path("rolesClaimName"), r.path("userNameClaimName")
	s.Scopes, s.AdditionalParameters = r.scopes(), r.parameters()
	r.client(s)
	r.accessToken(s)
	return s
}

// client reads how the client proves itself.
func (r *reader) client(s *Settings) {
	s.ClientAuthMethod = r.oneOf("clientAuthMethod", "client_secret_post", methods)
	signing := map[string][]string{"client_secret_jwt": symmetric, "private_key_jwt": asymmetric}[s.ClientAuthMethod]
	member := func(name string) string { return r.text(clientAuthJWT+"."+name, "") }
	s.ClientAuthJWT = ClientAuthJWT{
		KeyStore: member("key-store"), KeyStoreType: member("key-store-type"), KeyAlias: member("keyAlias"),
		KeyStorePassword: clientauth.Secret(member("key-store-password")),
		KeyPassword:      clientauth.Secret(member("key-password")), TokenKeyID: member("tokenKeyId"),
	}
	if len(signing) > 0 {
		s.ClientAuthJWT.JWSAlg = r.oneOf(clientAuthJWT+".jwsAlg", signing[0], signing) // the first is the default
	}
	r.noEffect(s.ClientAuthMethod)
	switch store := &s.ClientAuthJWT.KeyStore; {
	case s.ClientAuthMethod != "private_key_jwt":
		if s.ClientSecret == "" {
			r.fail(r.line("clientSecret"), "clientSecret", "is missing: write the secret that the client has at the provider; %s sends it or signs with it", s.ClientAuthMethod)
		}
	case *store == "":
		r.fail(r.line(clientAuthJWT+".key-store"), clientAuthJWT+".key-store", "is missing: write the path of the key store that has the private key (JKS, PKCS#12, PEM or JWK)")
	case !filepath.IsAbs(*store):
		*store = filepath.Join(r.dir, *store)
	}
	if slices.Contains(symmetric, s.IDTokenJWSAlg) && s.ClientSecret == "" {
		r.fail(r.line("idTokenJWSAlg"), "idTokenJWSAlg", "%s is keyed by clientSecret, which is missing: write it", s.IDTokenJWSAlg)
	}
	r.longEnough("clientSecret", s.ClientSecret, s.IDTokenJWSAlg)
	r.longEnough("clientSecret", s.ClientSecret, s.ClientAuthJWT.JWSAlg)
}

// longEnough: "A key of the same size as the hash output [...] or larger MUST be used" (RFC
// 7518 section 3.2).
func (r *reader) longEnough(name string, secret clientauth.Secret, alg string) {
	if need := hashes[alg]; secret != "" && len(secret) < need {
		r.fail(r.line(name), name, "is shorter than the %d bytes that %s needs: write a longer one, which the provider must have too", need, alg)
	}
}

// hashes are the bytes of a MAC.
var hashes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// noEffect refuses what the method does not use: something else was meant.
func (r *reader) noEffect(method string) {
	for _, name := range known {
		member, ok := strings.CutPrefix(name, clientAuthJWT+".")
		if _, there := r.values[name]; !ok || !there || method == "private_key_jwt" || method == "client_secret_jwt" && member == "jwsAlg" {
			continue
		}
		r.fail(r.line(name), name, "has no effect with clientAuthMethod %s: leave it out, or write another clientAuthMethod", method)
	}
}

// accessToken reads which bearer tokens are taken; what is missing is as for logins, the keys
// too, whoever the issuer.
func (r *reader) accessToken(s *Settings) {
	setting := func(name string) string { return accessToken + "." + name }
	s.AccessToken = AccessToken{
		Issuer:          cmp.Or(r.optionalURI(setting("issuer")), s.Issuer),
		Audience:        r.text(setting("audience"), s.ClientID),
		KeyRetrievalURI: cmp.Or(r.optionalURI(setting("keyRetrievalUri")), s.KeyRetrievalURI),
		JWSAlg:          r.oneOf(setting("jwsAlg"), "RS256", slices.Concat(asymmetric, symmetric)),
		SecretKey:       clientauth.Secret(r.text(setting("secretKey"), "")),
	}
	a := &s.AccessToken
	r.longEnough(setting("secretKey"), a.SecretKey, a.JWSAlg)
	switch mac := slices.Contains(symmetric, a.JWSAlg); {
	case mac && a.SecretKey == "":
		r.fail(r.line(setting("secretKey")), setting("secretKey"), "is missing: write the secret that tokens are signed with, for %s", a.JWSAlg)
	case !mac && a.SecretKey != "":
		r.fail(r.line(setting("secretKey")), setting("secretKey"), "is no key of %s: leave it out, or write %s: HS256, HS384 or HS512", a.JWSAlg, setting("jwsAlg"))
	}
}

func (r *reader) line(name string) int {
	if v, ok := r.values[name]; ok {
		return v.Line
	}
	return 0
}

// text is a scalar of any kind as it is written, or what stands for it if it is missing.
func (r *reader) text(name, missing string) string {
	v, ok := r.values[name]
	if !ok || v.Tag == "!!null" {
		return missing
	}
	if v.Kind != yaml.ScalarNode {
		r.fail(v.Line, name, "must be one text: write it behind the colon")
		return missing
	}
	if strings.HasPrefix(v.Value, "<") && strings.HasSuffix(v.Value, ">") {
		r.fail(v.Line, name, "is still the placeholder of the document: write your own value")
	}
	return v.Value
}

func (r *reader) required(name string) string {
	text := r.text(name, "")
	if text == "" {
		r.fail(r.line(name), name, "is missing: write it")
	}
	return text
}

func (r *reader) oneOf(name, missing string, allowed []string) string {
	text := r.text(name, missing)
	if !slices.Contains(allowed, text) {
		r.fail(r.line(name), name, "is none of those that are supported: write one of %s", strings.Join(allowed, ", "))
	}
	return text
}

// uri checks an address; one of this machine may be plain http, for trials.
func (r *reader) uri(name, text string) string {
	u, err := url.Parse(text)
	if text == "" || err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return text
	}
	r.fail(r.line(name), name, "is no address: write one that begins with https://, or for a trial with http://127.0.0.1 or http://localhost")
	return text
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *reader) optionalURI(name string) string { return r.uri(name, r.text(name, "")) }

func (r *reader) redirect(text string) string {
	if u, err := url.Parse(text); text != "" && err == nil && (u.Path == "" || u.Path == "/" || u.RawQuery != "" || u.Fragment != "") {
		r.fail(r.line("redirectUri"), "redirectUri", "must have a path of its own and no query: write https://<this host>/login/external-login")
	}
	return text
}

// path is that of a claim. YAML keeps the two backslashes of the document's example unless the
// text stands in double quotes: they are one.
func (r *reader) path(name string) claims.Path {
	text := strings.ReplaceAll(r.required(name), `\\.`, `\.`)
	if text == "" {
		return claims.Path{}
	}
	head, rest, nested := strings.Cut(text, ".")
	if nested && plain(head) == plain(strings.TrimSuffix(name, "Name")) {
		r.fail(r.line(name), name, "begins with what the document calls this setting there: write %s", rest)
	}
	path, err := claims.ParsePath(text)
	if err != nil {
		r.fail(r.line(name), name, `is no path of a claim (%v): write one such as realm_access.roles, with \. for a dot in a name`, err)
	}
	return path
}

func (r *reader) scopes() (scopes []string) {
	v, ok := r.values["scopes"]
	if !ok || v.Tag == "!!null" {
		return []string{"openid", "profile", "email"}
	}
	if v.Kind != yaml.SequenceNode {
		return strings.Fields(strings.ReplaceAll(r.text("scopes", ""), ",", " "))
	}
	for _, item := range v.Content {
		if item.Kind != yaml.ScalarNode {
			r.fail(item.Line, "scopes", "must be a list of texts: write scopes: [openid, profile]")
		}
		scopes = append(scopes, item.Value)
	}
	return scopes
}

func (r *reader) parameters() map[string]string {
	v, ok := r.values["additionalParameters"]
	if !ok || v.Tag == "!!null" {
		return nil
	}
	if v.Kind != yaml.MappingNode {
		r.fail(v.Line, v.name, "must be a section: write a line for each parameter below it, such as param1: false")
		return nil
	}
	parameters := map[string]string{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		if v.Content[i+1].Kind != yaml.ScalarNode {
			r.fail(v.Content[i+1].Line, v.name+"."+v.Content[i].Value, "must be one text: write it behind the colon")
		}
		if _, twice := parameters[v.Content[i].Value]; twice {
			r.fail(v.Content[i].Line, v.name+"."+v.Content[i].Value, "is there twice: leave one")
		}
		parameters[v.Content[i].Value] = v.Content[i+1].Value
	}
	return parameters
}
