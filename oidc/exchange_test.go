package oidc_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func TestTokenExchange_Request(t *testing.T) {
	e, client := scripted(t, func(form url.Values) object {
		return with(numbered()(form), object{"issued_token_type": form.Get("requested_token_type"), "token_type": "N_A"})
	})
	token, err := client.TokenExchange(t.Context(), oidc.TokenExchange{
		SubjectToken: "subject", SubjectTokenType: oidc.TokenTypeAccessToken, ActorToken: "actor", ActorTokenType: oidc.TokenTypeIDToken,
		RequestedTokenType: oidc.TokenTypeSAML2, Audiences: []string{"one", "two"},
	})
	require.NoError(t, err)
	const typ = "urn:ietf:params:oauth:token-type:"
	require.Equal(t, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {"subject"}, "subject_token_type": {typ + "access_token"}, "actor_token": {"actor"}, "actor_token_type": {typ + "id_token"},
		"requested_token_type": {typ + "saml2"}, "audience": {"one", "two"},
	}, e.last())
	require.Equal(t, typ+"saml2", token.IssuedTokenType)
	require.Equal(t, "token-1", token.Token.AccessToken)
	require.Equal(t, "N_A", token.Token.TokenType)

	// What the struct leaves out, an option can name; the answer is compared with it all
	// the same.
	exchange := oidc.TokenExchange{SubjectToken: "subject", SubjectTokenType: oidc.TokenTypeJWT}
	e.answer = func(form url.Values) object {
		return with(numbered()(form), object{"issued_token_type": oidc.TokenTypeJWT})
	}
	_, err = client.TokenExchange(t.Context(), exchange, oidc.WithParameter("requested_token_type", oidc.TokenTypeIDToken))
	requireRefused(t, err, oidc.ReasonType, "issued_token_type")
}

func TestTokenExchange_Misused(t *testing.T) {
	e, client := scripted(t, numbered())
	good := oidc.TokenExchange{SubjectToken: "a", SubjectTokenType: oidc.TokenTypeJWT, ActorToken: "b", ActorTokenType: oidc.TokenTypeJWT}
	for name, change := range map[string]func(*oidc.TokenExchange){
		"no subject":         func(e *oidc.TokenExchange) { e.SubjectToken = "" },
		"line break":         func(e *oidc.TokenExchange) { e.SubjectToken = marker + "\n" },
		"no subject type":    func(e *oidc.TokenExchange) { e.SubjectTokenType = "" },
		"no actor":           func(e *oidc.TokenExchange) { e.ActorToken = "" },
		"no actor type":      func(e *oidc.TokenExchange) { e.ActorTokenType = "" },
		"line break, actor":  func(e *oidc.TokenExchange) { e.ActorToken = marker + "\n" },
		"zero":               func(e *oidc.TokenExchange) { *e = oidc.TokenExchange{} },
		"subject has spaces": func(e *oidc.TokenExchange) { e.SubjectToken = "Bearer a" },
	} {
		bad := good
		change(&bad)
		_, err := client.TokenExchange(t.Context(), bad)
		require.Error(t, err, name)
		tellsNothing(t, err)
	}
	_, err := client.TokenExchange(t.Context(), good, oidc.WithParameter("subject_token", "other"))
	require.Error(t, err)
	require.Zero(t, e.requests())
}

func TestF34_TokenExchange_Answer(t *testing.T) {
	for name, tt := range map[string]struct {
		requested, issued, typ string
		reason                 oidc.Reason
		claim                  string
	}{
		"access token":              {oidc.TokenTypeAccessToken, oidc.TokenTypeAccessToken, "Bearer", "", ""},
		"nothing requested":         {"", oidc.TokenTypeAccessToken, "bearer", "", ""},
		"JWT for the header":        {oidc.TokenTypeJWT, oidc.TokenTypeJWT, "Bearer", "", ""},
		"JWT for nothing":           {oidc.TokenTypeJWT, oidc.TokenTypeJWT, "N_A", "", ""},
		"lower case":                {oidc.TokenTypeIDToken, oidc.TokenTypeIDToken, "n_a", "", ""},
		"type of its own":           {"urn:example:ticket", "urn:example:ticket", "N_A", "", ""},
		"not said":                  {oidc.TokenTypeAccessToken, "", "Bearer", oidc.ReasonType, "issued_token_type"},
		"not said, none requested":  {"", "", "Bearer", oidc.ReasonType, "issued_token_type"},
		"another one":               {oidc.TokenTypeAccessToken, oidc.TokenTypeJWT, "Bearer", oidc.ReasonType, "issued_token_type"},
		"another one of no use":     {oidc.TokenTypeIDToken, oidc.TokenTypeRefreshToken, "N_A", oidc.ReasonType, "issued_token_type"},
		"access token of no use":    {oidc.TokenTypeAccessToken, oidc.TokenTypeAccessToken, "N_A", oidc.ReasonMalformed, ""},
		"JWT of another token type": {oidc.TokenTypeJWT, oidc.TokenTypeJWT, "mac", oidc.ReasonMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := scripted(t, func(form url.Values) object {
				return with(numbered()(form), object{"issued_token_type": tt.issued, "token_type": tt.typ})
			})
			token, err := client.TokenExchange(t.Context(), oidc.TokenExchange{
				SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT, RequestedTokenType: tt.requested,
			})
			if tt.reason != "" {
				requireRefused(t, err, tt.reason, tt.claim)
				require.Nil(t, token)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.issued, token.IssuedTokenType)
		})
	}
}

// F34: an oauth2.TokenSource is for access tokens, whatever token_type says of others.
func TestF34_TokenExchangeSource_AccessTokensAlone(t *testing.T) {
	for name, tt := range map[string]struct{ issued, typ, claim string }{
		"access token":  {oidc.TokenTypeAccessToken, "Bearer", ""},
		"JWT":           {oidc.TokenTypeJWT, "Bearer", ""},
		"JWT of no use": {oidc.TokenTypeJWT, "N_A", "token_type"},
		"refresh token": {oidc.TokenTypeRefreshToken, "Bearer", "issued_token_type"},
		"ID token":      {oidc.TokenTypeIDToken, "Bearer", "issued_token_type"},
		"SAML":          {oidc.TokenTypeSAML2, "N_A", "issued_token_type"},
		"its own":       {"urn:example:ticket", "Bearer", "issued_token_type"},
	} {
		_, client := scripted(t, func(form url.Values) object {
			return with(numbered()(form), object{"issued_token_type": tt.issued, "token_type": tt.typ})
		})
		token, err := client.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) {
			return oidc.TokenExchange{SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT}, nil
		}).Token()
		if tt.claim == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Nil(t, token, name)
		requireRefused(t, err, oidc.ReasonType, tt.claim)
	}
}

// setupFriend makes a provider that trusts another one, whose tokens about alice come
// along.
func setupFriend(t testing.TB) (op *oidctest.Provider, client *oidc.Client, assertion string) {
	t.Helper()
	friend := newOP(t, func(c *oidctest.Config) { c.Issuer = "https://friend.example" })
	resp, err := friend.HTTPClient().Get(friend.Issuer() + string(oidctest.JWKS))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	keys, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	op = newOP(t, func(c *oidctest.Config) {
		c.TrustedIssuers = []oidctest.TrustedIssuer{{Issuer: friend.Issuer(), JWKS: keys}}
	})
	now := start.Unix()
	assertion = friend.Sign(object{"typ": "JWT"}, object{
		"iss": friend.Issuer(), "sub": marker + "-alice", "aud": issuer, "iat": now, "exp": now + 60, "jti": "one",
	})
	return op, newClient(t, newProvider(t, op)), assertion
}

func TestJWTBearer_Provider(t *testing.T) {
	_, client, assertion := setupFriend(t)
	token, err := client.JWTBearer(t.Context(), assertion, oidc.WithResource(api), oidc.WithScopes("read"))
	require.NoError(t, err)
	access, err := newVerifier(t, client.Provider()).Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, marker+"-alice", access.Subject)

	_, err = client.JWTBearer(t.Context(), forgeSignature(assertion), oidc.WithResource(api))
	requireRefused(t, err, oidc.ReasonRevoked, "")
	tellsNothing(t, err, assertion)
}

// Impersonation and delegation, at a provider that demands what RFC 8693 does.
func TestTokenExchange_Provider(t *testing.T) {
	op, client, assertion := setupFriend(t)
	actor, err := client.ClientCredentials(t.Context())
	require.NoError(t, err)
	for name, exchange := range map[string]oidc.TokenExchange{
		"impersonation": {SubjectToken: assertion, SubjectTokenType: oidc.TokenTypeJWT},
		"delegation": {
			SubjectToken: op.AccessToken("alice", issuer), SubjectTokenType: oidc.TokenTypeAccessToken,
			ActorToken: actor.AccessToken, ActorTokenType: oidc.TokenTypeAccessToken, RequestedTokenType: oidc.TokenTypeAccessToken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := client.TokenExchange(t.Context(), exchange, oidc.WithResource(api))
			require.NoError(t, err)
			require.Equal(t, oidc.TokenTypeAccessToken, token.IssuedTokenType)
			access, err := newVerifier(t, client.Provider()).Verify(t.Context(), token.Token.AccessToken)
			require.NoError(t, err)
			require.Equal(t, marker+"-alice", access.Subject)
			require.Equal(t, name == "delegation", access.Claims.Has(claims.P("act")))
		})
	}
	_, err = client.TokenExchange(t.Context(), oidc.TokenExchange{SubjectToken: marker, SubjectTokenType: oidc.TokenTypeJWT})
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	tellsNothing(t, err)
}
