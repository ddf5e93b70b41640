package deploy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// rows are those of a table, by setting: value and verdict.
func rows(t *testing.T, table string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(table) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), "  ")
		require.True(t, ok, table)
		all[name] = strings.Join(strings.Fields(rest), " ")
	}
	return all
}

func TestCheck(t *testing.T) {
	t.Parallel()
	p := start(t)
	table, err := check(t.Context(), p, parse(t, needed(p).file("postLogoutRedirectUri: "+redirectURI)))
	require.NoError(t, err, table)
	require.Equal(t, map[string]string{
		"SETTING":  "VALUE VERDICT",
		"clientId": "client ok", "clientAuthMethod": "client_secret_post ok", "redirectUri": redirectURI + " ok",
		"postLogoutRedirectUri": redirectURI + " ok", "scopes": "openid profile email ok",
		"rolesClaimName": "realm_access.roles ok", "userNameClaimName": "preferred_username ok",
		"issuer":               p.Issuer() + " (discovered) ok",
		"userAuthorizationUri": p.Issuer() + "/authorize ok", "accessTokenUri": p.Issuer() + "/token ok",
		"logoutUri": p.Issuer() + "/end-session ok", "keyRetrievalUri": p.Issuer() + "/jwks ok", "keys": "1 usable ok",
		"idTokenJWSAlg": "RS256 ok", "clientAuthMethod at the provider": "client_secret_post ok",
		"access-token.issuer": p.Issuer() + " ok", "access-token.audience": "client ok", "access-token.jwsAlg": "RS256 ok",
		"access-token keys": "1 usable, of " + p.Issuer() + " ok",
	}, rows(t, table))
	require.NotContains(t, table, oidctest.ClientSecret)
}

// What is wrong is in the table, and counted in the error.
func TestCheck_Findings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil   func(p *oidctest.Provider)
		changes []string
		row     string
		want    string
	}{
		"no discovery": {
			func(p *oidctest.Provider) { p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500}) }, nil, "issuer", "no metadata: ",
		},
		"another issuer": {
			func(p *oidctest.Provider) {
				p.OnAnswer(oidctest.Discovery, func(m map[string]any) { m["issuer"] = "https://other.example" })
			}, nil, "issuer", "no metadata: ",
		},
		"no keys": {
			func(p *oidctest.Provider) { p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500}) }, nil, "keys", "unavailable",
		},
		"no logout": {
			func(p *oidctest.Provider) {
				p.OnAnswer(oidctest.Discovery, func(m map[string]any) { delete(m, "end_session_endpoint") })
			}, nil, "logoutUri", "is neither in the metadata nor in the file: write it",
		},
		"method": {
			func(p *oidctest.Provider) {
				p.OnAnswer(oidctest.Discovery, func(m map[string]any) { delete(m, "token_endpoint_auth_methods_supported") })
			}, nil, "clientAuthMethod at the provider", "the provider lists client_secret_basic",
		},
		"algorithm": {
			func(p *oidctest.Provider) {
				p.OnAnswer(oidctest.Discovery, func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} })
			}, []string{"idTokenJWSAlg: PS512"}, "idTokenJWSAlg", "the provider lists RS256",
		},
		"keys of the API": {
			func(*oidctest.Provider) {}, []string{"access-token: {keyRetrievalUri: 'http://127.0.0.1:1/'}"}, "access-token keys", "unavailable",
		},
		"key store": {
			func(*oidctest.Provider) {}, []string{"clientAuthMethod: private_key_jwt", "clientAuthJwt: {key-store: nowhere}"}, "clientAuthMethod", "clientAuthJwt.key-store: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			tt.spoil(p)
			table, err := check(t.Context(), p, parse(t, needed(p).file(tt.changes...)))
			require.ErrorContains(t, err, "are wrong, see the table")
			require.Contains(t, rows(t, table)[tt.row], tt.want, table)
		})
	}
}

// Keys that are secrets are not fetched.
func TestCheck_Secrets(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *oidctest.Client) { c.IDTokenAlgorithm = "HS256" })
	p.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	table, err := check(t.Context(), p, parse(t, needed(p).file("idTokenJWSAlg: HS256", "access-token:\n  jwsAlg: HS512\n  secretKey: \""+macKey+"\"")))
	require.NoError(t, err, table)
	require.Equal(t, "clientSecret ok", rows(t, table)["keys"])
	require.Equal(t, "access-token.secretKey ok", rows(t, table)["access-token keys"])
	require.NotContains(t, table, macKey)
}
