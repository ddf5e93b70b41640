package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// bearer is a right token of alice, with changes.
func bearer(p *oidctest.Provider, alg string, changes ...any) string {
	now := p.Now().Unix()
	set := map[string]any{
		"iss": p.Issuer(), "aud": oidctest.ClientID, "sub": "1", "iat": now, "exp": now + 60,
		"preferred_username": "alice", "realm_access": map[string]any{"roles": []string{"admin"}},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if set[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(set, changes[i].(string))
		}
	}
	if alg[0] == 'H' {
		return oidctest.SignHMAC(map[string]any{"alg": alg}, set, []byte(macKey))
	}
	return p.Sign(map[string]any{"alg": alg}, set)
}

const macKey = "a secret of the REST API that is long enough for HS512, which wants 64 bytes of it"

// The table of defaults: issuer and keys are those of logins, the audience is clientId, the
// algorithm RS256. And the note below it: the token must contain both claims.
func TestAccessToken_Defaults(t *testing.T) {
	t.Parallel()
	p := start(t)
	require.NoError(t, verify(t, p, bearer(p, "RS256")))
	for name, tt := range map[string]struct {
		token  string
		reason oidc.Reason
	}{
		"issuer":   {bearer(p, "RS256", "iss", "https://other.example"), oidc.ReasonIssuer},
		"audience": {bearer(p, "RS256", "aud", "other"), oidc.ReasonAudience},
		"ES256":    {bearer(p, "ES256"), oidc.ReasonAlgorithm},
		"HS256":    {bearer(p, "HS256"), oidc.ReasonAlgorithm},
		"username": {bearer(p, "RS256", "preferred_username", nil), oidc.ReasonClaim},
		"roles":    {bearer(p, "RS256", "realm_access", nil), oidc.ReasonClaim},
	} {
		t.Run(name, func(t *testing.T) { refused(t, verify(t, p, tt.token), tt.reason) })
	}
}

func TestAccessToken_Overrides(t *testing.T) {
	t.Parallel()
	p, other := start(t), start(t)
	const issuer = "https://tokens.example"
	foreign, ours := bearer(other, "RS256", "iss", issuer), bearer(p, "RS256", "iss", issuer)
	theirKeys := "keyRetrievalUri: " + other.Issuer() + "/jwks"

	require.NoError(t, verify(t, p, ours, "access-token: {issuer: "+issuer+"}"), "keys of the provider that people log in at")
	require.Error(t, verify(t, p, foreign, "access-token: {issuer: "+issuer+"}"))
	require.NoError(t, verify(t, p, foreign, "access-token: {issuer: "+issuer+", "+theirKeys+"}"))
	require.NoError(t, verify(t, p, foreign, "access-token: {issuer: "+issuer+"}", theirKeys), "those of the override for logins")
	refused(t, verify(t, p, bearer(p, "RS256"), "access-token: {issuer: "+issuer+"}"), oidc.ReasonIssuer)

	require.NoError(t, verify(t, p, bearer(p, "RS256", "aud", "api://deploy"), "access-token: {audience: api://deploy}"))
	refused(t, verify(t, p, bearer(p, "RS256"), "access-token: {audience: api://deploy}"), oidc.ReasonAudience)
}

func TestAccessToken_JWSAlg(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, alg := range algorithms {
		change := "access-token: {jwsAlg: " + alg + "}"
		if alg[0] == 'H' {
			change = "access-token:\n  jwsAlg: " + alg + "\n  secretKey: \"" + macKey + "\""
		}
		require.NoError(t, verify(t, p, bearer(p, alg), change), alg)
		for _, another := range []string{"RS256", "HS256"} {
			if alg != another {
				refused(t, verify(t, p, bearer(p, another), change), oidc.ReasonAlgorithm)
			}
		}
	}
	another := "access-token: {jwsAlg: HS256, secretKey: another secret that is long enough for HS256}"
	refused(t, verify(t, p, bearer(p, "HS256"), another), oidc.ReasonSignature)
}

// A provider that is down is no bad token.
func TestAccessToken_Outage(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500})
	for _, change := range []string{"scopes: openid", "access-token: {issuer: https://tokens.example}"} {
		token := bearer(p, "RS256")
		if change != "scopes: openid" {
			token = bearer(p, "RS256", "iss", "https://tokens.example")
		}
		require.ErrorIs(t, verify(t, p, token, change), oidckit.ErrUnavailable)
	}
	require.NoError(t, verify(t, p, bearer(p, "RS256"), "access-token: {keyRetrievalUri: "+p.Issuer()+"/jwks}"))
}
