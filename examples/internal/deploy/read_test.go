package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// written puts values into the document's snippets, where they have placeholders.
var written = strings.NewReplacer(
	"<Your client ID>", "deploy-server", "<Your client secret>", "a secret of 32 bytes or more, for MACs", "<Enter the Open ID Provider Issuer>", "https://id.example.com",
	"<Your roles claim>", "realm_access.roles", "<Your username claim>", "preferred_username",
	"<Your client authentication method here>", "client_secret_basic", "<Expected client authentication method>", "client_secret_basic",
	"<The redirect URI to use for returning the access token>", "https://oidc.example.com/token",
	"<The authorize endpoint to request tokens or authorization codes via the browser>", "https://oidc.example.com/authorize",
	"<The logout endpoint to revoke token via the browser>", "https://oidc.example.com/logout",
	"<The ID token signature verification algorithm>", "ES384",
)

// The snippets of the document as they are there, their indentation lost.
const (
	first = `    deploy.security:
    auth:
    providers:
    oidc:
    loginMethodDescription:
    clientId: "<Your client ID>"
    clientSecret: "<Your client secret>"
    issuer: "<Enter the Open ID Provider Issuer>"
    redirectUri: "https://xl-deploy.example.com/login/external-login"
    postLogoutRedirectUri: "https://xl-deploy.example.com/login/external-login"
    rolesClaimName: "<Your roles claim>"
    userNameClaimName: "<Your username claim>"
`
	overrides = `deploy.security:
auth:
providers:
oidc:
clientId: "<Your client ID>"
clientSecret: "<Your client secret>"
clientAuthMethod: "<Your client authentication method here>"
issuer: "<Enter the Open ID Provider Issuer>"
keyRetrievalUri: "https://oidc.example.com/endpoint/keys"
accessTokenUri: "<The redirect URI to use for returning the access token>"
userAuthorizationUri: "<The authorize endpoint to request tokens or authorization codes via the browser>"
logoutUri: "<The logout endpoint to revoke token via the browser>"
redirectUri: "https://xl-deploy.example.com/login/external-login"
postLogoutRedirectUri: "https://xl-deploy.example.com/login/external-login"
idTokenJWSAlg: "<The ID token signature verification algorithm>"
rolesClaimName: "<Your roles claim>"
userNameClaimName: "<Your username claim>"
`
	additional = overrides + `additionalParameters:
param1: false
param2: "str"
`
	// In these three the document leaves out the rest, by dots.
	method = `deploy.security:
auth:
providers:
oidc:
clientAuthMethod: <Expected client authentication method>
...
`
	secretJWT = `deploy:
security:
auth:
providers:
oidc:
clientAuthJwt:
jwsAlg: HS256
clientAuthMethod: client_secret_jwt
...
`
	privateKeyJWT = `deploy:
security:
auth:
providers:
oidc:
clientAuthMethod: private_key_jwt
clientAuthJwt:
jwsAlg: RS256 # Expected JSON Web Algorithm
key-password: mykeyAliasPassword # Private key password
key-store-password: password # The key store password
keyAlias: mykeyAlias # Private key alias inside the key store
tokenKeyId: mykey # This is a token key identifier 'kid' header - set it if your OpenID Connect provider requires it

...
`
	restAPI = `deploy:
security:
auth:
providers:
oidc:
...
access-token: "<Expected issuer 'iss' claim value>"
issuer: "<Expected audience 'aud' claim value>"
audience: "<The jwks_uri to retrieve keys for the token>"
keyRetrievalUri: "<The jwks_uri to retrieve keys for the token>"
jwsAlg: "<The token signature verification algorithm>"
secretKey: "<The secret key if MAC based algorithms is used for the token>"
...
`
)

func TestSnippets_First(t *testing.T) {
	t.Parallel()
	s := parse(t, written.Replace(first))
	require.Equal(t, "OpenID Connect", s.LoginMethodDescription, "it has no value there")
	require.Equal(t, "deploy-server", s.ClientID)
	require.Equal(t, "a secret of 32 bytes or more, for MACs", string(s.ClientSecret))
	require.Equal(t, "https://id.example.com", s.Issuer)
	require.Equal(t, redirectURI, s.RedirectURI)
	require.Equal(t, redirectURI, s.PostLogoutRedirectURI)
	require.Equal(t, "realm_access.roles", s.RolesClaimName.String())
	require.Equal(t, "preferred_username", s.UserNameClaimName.String())
	require.Equal(t, "client_secret_post", s.ClientAuthMethod)
	require.Equal(t, "RS256", s.IDTokenJWSAlg)
	require.Equal(t, deploy.AccessToken{Issuer: "https://id.example.com", Audience: "deploy-server", JWSAlg: "RS256"}, s.AccessToken)
}

func TestSnippets_Overrides(t *testing.T) {
	t.Parallel()
	for _, text := range []string{overrides, additional} {
		s := parse(t, written.Replace(text))
		require.Equal(t, "client_secret_basic", s.ClientAuthMethod)
		require.Equal(t, "https://oidc.example.com/endpoint/keys", s.KeyRetrievalURI)
		require.Equal(t, "https://oidc.example.com/endpoint/keys", s.AccessToken.KeyRetrievalURI)
		require.Equal(t, "https://oidc.example.com/token", s.AccessTokenURI)
		require.Equal(t, "https://oidc.example.com/authorize", s.UserAuthorizationURI)
		require.Equal(t, "https://oidc.example.com/logout", s.LogoutURI)
		require.Equal(t, "ES384", s.IDTokenJWSAlg)
		if text == additional {
			require.Equal(t, map[string]string{"param1": "false", "param2": "str"}, s.AdditionalParameters)
		}
	}
}

// The rest stands before the snippet's dots.
func TestSnippets_ClientAuthentication(t *testing.T) {
	t.Parallel()
	rest := written.Replace(strings.SplitN(strings.ReplaceAll(first, "    ", ""), "oidc:\n", 2)[1])
	require.Equal(t, "client_secret_basic", parse(t, strings.Replace(written.Replace(method), "...", rest, 1)).ClientAuthMethod)

	s := parse(t, strings.Replace(secretJWT, "...", rest, 1))
	require.Equal(t, "client_secret_jwt", s.ClientAuthMethod)
	require.Equal(t, "HS256", s.ClientAuthJWT.JWSAlg)

	s = parse(t, strings.Replace(privateKeyJWT, "...", "key-store: keys.jks\n"+rest, 1))
	require.Equal(t, "private_key_jwt", s.ClientAuthMethod)
	j := s.ClientAuthJWT
	require.Equal(t, []string{"RS256", "mykeyAlias", "mykey", filepath.Join(stores, "keys.jks")}, []string{j.JWSAlg, j.KeyAlias, j.TokenKeyID, j.KeyStore})
	require.Equal(t, "password", string(j.KeyStorePassword))
	require.Equal(t, "mykeyAliasPassword", string(j.KeyPassword))

	// Or behind them, or in another YAML document.
	require.Equal(t, "client_secret_jwt", parse(t, secretJWT+rest).ClientAuthMethod)
	require.Equal(t, "client_secret_jwt", parse(t, secretJWT+"---\n"+rest).ClientAuthMethod)
}

// What the document leaves out is what is missing; and nothing else is wrong.
func TestSnippets_AsTheyAre(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		first: "clientId clientSecret issuer rolesClaimName userNameClaimName",
		overrides: "clientId clientSecret clientAuthMethod issuer accessTokenUri userAuthorizationUri logoutUri " +
			"idTokenJWSAlg rolesClaimName userNameClaimName",
		written.Replace(method): "clientId clientSecret issuer redirectUri rolesClaimName userNameClaimName",
		secretJWT:               "clientId clientSecret issuer redirectUri rolesClaimName userNameClaimName",
		privateKeyJWT:           "clientId clientAuthJwt.key-store issuer redirectUri rolesClaimName userNameClaimName",
	} {
		_, err := deploy.Parse("deploy-oidc.yaml", ".", []byte(text))
		require.ElementsMatch(t, strings.Fields(want), wrong(t, err), text)
	}
}

// wrong are the settings that an error is about.
func wrong(t *testing.T, err error) (names []string) {
	t.Helper()
	require.Error(t, err)
	all, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	for _, err := range all.Unwrap() {
		var e *deploy.SettingError
		require.ErrorAs(t, err, &e)
		names = append(names, e.Setting)
	}
	return names
}

// In the snippet for REST APIs the texts stand one line too high. Which is meant is not
// guessed: the error says what to write.
func TestSnippets_RESTAPI(t *testing.T) {
	t.Parallel()
	rest := written.Replace(strings.SplitN(strings.ReplaceAll(first, "    ", ""), "oidc:\n", 2)[1])
	values := strings.NewReplacer("<Expected issuer 'iss' claim value>", "https://tokens.example.com",
		"<Expected audience 'aud' claim value>", "api", "<The jwks_uri to retrieve keys for the token>", "https://tokens.example.com/jwks",
		"<The token signature verification algorithm>", "RS256", "secretKey", "# secretKey")
	text := strings.Replace(restAPI, "...", rest, 1)
	_, err := deploy.Parse("deploy-oidc.yaml", ".", []byte(values.Replace(text)))
	require.ErrorContains(t, err, "access-token: must be a section: leave nothing behind the colon")

	right := strings.NewReplacer(`access-token: "<Expected issuer 'iss' claim value>"`, "access-token:",
		`issuer: "<Expected audience 'aud' claim value>"`, "issuer: https://tokens.example.com",
		`audience: "<The jwks_uri to retrieve keys for the token>"`, "audience: api").Replace(text)
	s := parse(t, values.Replace(right))
	require.Equal(t, deploy.AccessToken{
		Issuer: "https://tokens.example.com", Audience: "api", KeyRetrievalURI: "https://tokens.example.com/jwks", JWSAlg: "RS256",
	}, s.AccessToken)
	require.Equal(t, "https://id.example.com", s.Issuer)
}

// All ways to write the same.
func TestSpellings(t *testing.T) {
	t.Parallel()
	const rest = `clientId: a, clientSecret: b, redirectUri: 'https://a.example/cb', rolesClaimName: r, userNameClaimName: u`
	want := parse(t, "deploy.security: {auth: {providers: {oidc: {issuer: 'https://id.example', "+rest+", access-token: {audience: api}}}}}")
	for _, text := range []string{
		"deploy: {security: {auth: {providers: {oidc: {issuer: 'https://id.example', " + rest + ", accessToken: {audience: api}}}}}}",
		"xl: {security: {auth: {providers: {oidc: {issuer: 'https://id.example', " + rest + ", access_token: {audience: api}}}}}}",
		"deploy.security.auth.providers.oidc: {issuer: 'https://id.example', " + rest + ", access-token.audience: api}",
		"{xl.security.auth.providers.oidc.access-token.audience: api, xl.security.auth.providers.oidc.issuer: 'https://id.example', " +
			"xl.security.auth.providers.oidc: {" + rest + "}}",
		"xl.security.auth.providers: {oidc: {issuer: 'https://id.example', " + rest + "}, oidc.accessToken: {audience: api}}",
		"{issuer: 'https://id.example', " + rest + ", access-token: {audience: api}}",
		"oidc: {client-id: a, client_secret: b, Issuer: 'https://id.example', redirect-uri: 'https://a.example/cb', roles-claim-name: r, " +
			"user-name-claim-name: u, access-token: {Audience: api}}",
	} {
		got := parse(t, text)
		require.Equal(t, want.AccessToken, got.AccessToken, text)
		require.Equal(t, want.ClientID, got.ClientID)
		require.Equal(t, want.Issuer, got.Issuer)
		require.Equal(t, want.RolesClaimName, got.RolesClaimName)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "deploy-oidc.yaml")
	_, err := deploy.Read(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	p := start(t)
	text := needed(p).file("clientAuthMethod: private_key_jwt", "clientAuthJwt: {key-store: keys/client.p12}")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	s, err := deploy.Read(path)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "keys", "client.p12"), s.ClientAuthJWT.KeyStore)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", s, *s, *s), oidctest.ClientSecret)
}

// Each bad setting: where it is, what is wrong, and what to write. The first line that the
// tests write is line 5 of the file.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	p := start(t)
	for line, want := range map[string]string{
		"clientId:":                              "deploy-oidc.yaml:5: clientId: is missing: write it",
		"clientId: <Your client ID>":             "deploy-oidc.yaml:5: clientId: is still the placeholder of the document: write your own value",
		"clientId: [a]":                          "deploy-oidc.yaml:5: clientId: must be one text: write it behind the colon",
		"clientSecret:":                          "deploy-oidc.yaml:5: clientSecret: is missing: write the secret that the client has at the provider; client_secret_post sends it",
		"issuer:":                                "deploy-oidc.yaml:5: issuer: is missing: write it",
		"issuer: id.example.com":                 "deploy-oidc.yaml:5: issuer: is no address: write one that begins with https://",
		"issuer: http://id.example":              "deploy-oidc.yaml:5: issuer: is no address: write one that begins with https://",
		"issuer: https://a:b@id.test":            "deploy-oidc.yaml:5: issuer: is no address",
		"keyRetrievalUri: /keys":                 "deploy-oidc.yaml:5: keyRetrievalUri: is no address: write one that begins with https://",
		"accessTokenUri: ftp://x/y":              "deploy-oidc.yaml:5: accessTokenUri: is no address: write one",
		"userAuthorizationUri: x":                "deploy-oidc.yaml:5: userAuthorizationUri: is no address: write one",
		"logoutUri: '%'":                         "deploy-oidc.yaml:5: logoutUri: is no address: write one",
		"postLogoutRedirectUri: x":               "deploy-oidc.yaml:5: postLogoutRedirectUri: is no address: write one",
		"redirectUri:":                           "deploy-oidc.yaml:5: redirectUri: is missing: write it",
		"redirectUri: x":                         "deploy-oidc.yaml:5: redirectUri: is no address: write one",
		"redirectUri: https://a.test":            "deploy-oidc.yaml:5: redirectUri: must have a path of its own and no query: write https://<this host>/login/external-login",
		"redirectUri: https://a/b?c":             "deploy-oidc.yaml:5: redirectUri: must have a path of its own and no query",
		"redirectUri: https://a/b#c":             "deploy-oidc.yaml:5: redirectUri: must have a path of its own and no query",
		"clientAuthMethod: none":                 "deploy-oidc.yaml:5: clientAuthMethod: is none of those that are supported: write one of client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt",
		"idTokenJWSAlg: none":                    "deploy-oidc.yaml:5: idTokenJWSAlg: is none of those that are supported: write one of RS256, RS384,",
		"idTokenJWSAlg: EdDSA":                   "deploy-oidc.yaml:5: idTokenJWSAlg: is none of those",
		"rolesClaimName:":                        "deploy-oidc.yaml:5: rolesClaimName: is missing: write it",
		"rolesClaimName: a..b":                   "deploy-oidc.yaml:5: rolesClaimName: is no path of a claim",
		"rolesClaimName: rolesClaim.a":           "deploy-oidc.yaml:5: rolesClaimName: begins with what the document calls this setting there: write a",
		"userNameClaimName: a.":                  "deploy-oidc.yaml:5: userNameClaimName: is no path of a claim",
		"userNameClaimName: user_name_claim.a.b": "deploy-oidc.yaml:5: userNameClaimName: begins with what the document calls this setting there: write a.b",
		"scopes: {a: b}":                         "deploy-oidc.yaml:5: scopes: must be one text",
		"scopes: [[a]]":                          "deploy-oidc.yaml:5: scopes: must be a list of texts: write scopes: [openid, profile]",
		"additionalParameters: a=b":              "deploy-oidc.yaml:5: additionalParameters: must be a section: write a line for each parameter below it, such as param1: false",
		"additionalParameters:\n  a: [b]":        "deploy-oidc.yaml:6: additionalParameters.a: must be one text: write it behind the colon",
		"additionalParameters:\n  a: b\n  a: c":  "deploy-oidc.yaml:7: additionalParameters.a: is there twice: leave one",
		"loginMethodDescription: [a]":            "deploy-oidc.yaml:5: loginMethodDescription: must be one text",
		"scopes: b\nSCOPES: a":                   "deploy-oidc.yaml:6: scopes: is there twice: leave one",
		"keyRetrievalUrl: x":                     "deploy-oidc.yaml:5: keyRetrievalUrl: is not known: did you mean keyRetrievalUri?",
		"rolesClaim: x":                          "deploy-oidc.yaml:5: rolesClaim: is not known: did you mean rolesClaimName?",
		"userNameClaim: x":                       "deploy-oidc.yaml:5: userNameClaim: is not known: did you mean userNameClaimName?",
		"logoutUrl: x":                           "deploy-oidc.yaml:5: logoutUrl: is not known: did you mean logoutUri?",

		"clientAuthJwt: {jwsAlg: HS256}":     "deploy-oidc.yaml:5: clientAuthJwt.jwsAlg: has no effect with clientAuthMethod client_secret_post: leave it out, or write another clientAuthMethod",
		"clientAuthJwt: RS256":               "deploy-oidc.yaml:5: clientAuthJwt: must be a section: leave nothing behind the colon, and write its settings below it, indented",
		"clientAuthJwt:\n  keystore-x: a":    "deploy-oidc.yaml:6: clientAuthJwt.keystore-x: is not known: did you mean clientAuthJwt.key-store?",
		"clientAuthJwt:\n  issuer: a":        "deploy-oidc.yaml:6: clientAuthJwt.issuer: is not known",
		"access-token: {issuer: x}":          "deploy-oidc.yaml:5: access-token.issuer: is no address",
		"access-token: {audience: [a]}":      "deploy-oidc.yaml:5: access-token.audience: must be one text",
		"access-token: {jwsAlg: none}":       "deploy-oidc.yaml:5: access-token.jwsAlg: is none of those",
		"access-token: {jwsAlg: HS256}":      "deploy-oidc.yaml: access-token.secretKey: is missing: write the secret that tokens are signed with, for HS256",
		"access-token: {secretKey: x}":       "deploy-oidc.yaml:5: access-token.secretKey: is no key of RS256: leave it out, or write access-token.jwsAlg: HS256, HS384 or HS512",
		"access-token: {jwks: x}":            "deploy-oidc.yaml:5: access-token.jwks: is not known: did you mean access-token.jwsAlg?",
		"access-token: {keyRetrievalUri: x}": "deploy-oidc.yaml:5: access-token.keyRetrievalUri: is no address",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, err := deploy.Parse("deploy-oidc.yaml", ".", []byte(needed(p).file(line)))
			require.ErrorContains(t, err, want)
			require.Len(t, wrong(t, err), 1, "%v", err)
		})
	}
}

// What takes two settings to be wrong.
func TestBadSettings_Together(t *testing.T) {
	t.Parallel()
	p := start(t)
	for want, lines := range map[string][]string{
		"deploy-oidc.yaml: clientAuthJwt.key-store: is missing: write the path of the key store": {"clientAuthMethod: private_key_jwt"},
		"deploy-oidc.yaml:6: clientAuthJwt.jwsAlg: is none of those that are supported: write one of RS256": {
			"clientAuthMethod: private_key_jwt", "clientAuthJwt: {jwsAlg: HS256, key-store: x}",
		},
		"deploy-oidc.yaml:6: clientAuthJwt.jwsAlg: is none of those that are supported: write one of HS256": {
			"clientAuthMethod: client_secret_jwt", "clientAuthJwt: {jwsAlg: RS256}",
		},
		"deploy-oidc.yaml:6: clientAuthJwt.key-store: has no effect with clientAuthMethod client_secret_jwt": {
			"clientAuthMethod: client_secret_jwt", "clientAuthJwt: {key-store: x}",
		},
		"deploy-oidc.yaml:8: idTokenJWSAlg: HS256 is keyed by clientSecret, which is missing: write it": {
			"clientAuthMethod: private_key_jwt", "clientAuthJwt: {key-store: x}", "clientSecret:", "idTokenJWSAlg: HS256",
		},
		"deploy-oidc.yaml:6: clientSecret: is shorter than the 48 bytes that HS384 needs: write a longer one": {
			"idTokenJWSAlg: HS384", "clientSecret: " + strings.Repeat("x", 47),
		},
		"deploy-oidc.yaml:6: clientSecret: is shorter than the 32 bytes that HS256 needs": {
			"clientAuthMethod: client_secret_jwt", "clientSecret: short",
		},
		"deploy-oidc.yaml:5: access-token.secretKey: is shorter than the 64 bytes that HS512 needs": {
			"access-token: {jwsAlg: HS512, secretKey: short}",
		},
	} {
		_, err := deploy.Parse("deploy-oidc.yaml", ".", []byte(needed(p).file(lines...)))
		require.ErrorContains(t, err, want)
		require.Len(t, wrong(t, err), 1, "%v", err)
	}
	for text, want := range map[string]string{
		"\t- a: b": "deploy-oidc.yaml: this is no YAML, write lines of name: value: ",
		"[a]":      "deploy-oidc.yaml:1: oidc: must be a section",
		"":         "deploy-oidc.yaml: clientId: is missing: write it",
		"# empty":  "deploy-oidc.yaml: issuer: is missing: write it",
		"spring: ": "deploy-oidc.yaml:1: spring: is not known",
	} {
		_, err := deploy.Parse("deploy-oidc.yaml", ".", []byte(text))
		require.ErrorContains(t, err, want)
	}
}

// What only the library finds out, with the file's words.
func TestBadSettings_OfTheLibrary(t *testing.T) {
	t.Parallel()
	p := start(t)
	private := func(section string) []string {
		return []string{"clientAuthMethod: private_key_jwt", "clientAuthJwt: {" + section + "}"}
	}
	for want, lines := range map[string][]string{
		"deploy-oidc.yaml:5: additionalParameters: the parameter \"state\" is set by": {"additionalParameters: {state: x}"},
		"deploy-oidc.yaml:6: clientAuthJwt.key-store: ":                               private("key-store: nowhere.jks"),
		"deploy-oidc.yaml:6: clientAuthJwt.key-store-type: ":                          private("key-store: rsa-pkcs8.pem, key-store-type: BKS"),
		"deploy-oidc.yaml: clientAuthJwt.key-store-password: ":                        private("key-store: keytool.jks, keyAlias: rsa"),
		"deploy-oidc.yaml:6: clientAuthJwt.key-store-password: ":                      private("key-store: keytool.jks, keyAlias: rsa, key-store-password: x"),
		"deploy-oidc.yaml:6: clientAuthJwt.key-password: ":                            private("key-store: keytool.jks, keyAlias: rsa, key-store-password: store-password, key-password: x"),
		"deploy-oidc.yaml: clientAuthJwt.key-password: ":                              private("key-store: enc-default.pem"),
		"there is ec, ed, rsa":                                                        private("key-store: keytool.jks, key-store-password: store-password, keyAlias: x"),
		"deploy-oidc.yaml: clientAuthJwt.keyAlias: ":                                  private("key-store: keytool.jks, key-store-password: store-password"),
		"deploy-oidc.yaml:6: clientAuthJwt.jwsAlg: ":                                  private("key-store: rsa-pkcs8.pem, jwsAlg: ES256"),
	} {
		s := parse(t, needed(p).file(lines...))
		provider, err := s.NewProvider(deploy.Environment{})
		require.NoError(t, err)
		_, err = s.NewClient(provider)
		require.ErrorContains(t, err, want, "%v", lines)
		var e *deploy.SettingError
		require.ErrorAs(t, err, &e)
		require.Error(t, errors.Unwrap(e))
		require.NotContains(t, err.Error(), "Config.")
	}
	_, err := parse(t, needed(p).file("issuer: https://id.example?x")).NewProvider(deploy.Environment{})
	require.ErrorContains(t, err, "deploy-oidc.yaml:5: issuer: ")
}
