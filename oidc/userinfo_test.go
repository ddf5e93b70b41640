package oidc_test

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// userInfoClaims are those of a right signed answer (OpenID Connect Core section 5.3.2).
func userInfoClaims(op *oidctest.Provider) object {
	return object{"iss": op.Issuer(), "aud": oidctest.ClientID, "sub": marker + "-alice", "email": marker + "@example.com"}
}

// signed has the userinfo endpoint answer a JWT.
func signedUserInfo(op *oidctest.Provider, raw string) {
	op.SetFault(oidctest.UserInfo, oidctest.Fault{Body: raw, ContentType: "application/jwt; charset=utf-8"})
}

func askUserInfo(t testing.TB, c *oidc.Client, tokens *oidc.Tokens) (*oidc.UserInfo, error) {
	t.Helper()
	info, err := c.UserInfo(t.Context(), tokens)
	require.Equal(t, err == nil, info != nil)
	if err != nil {
		tellsNothing(t, err, tokens.OAuth2.AccessToken)
	}
	return info, err
}

// F27: a signed answer is verified wholly, whoever sent it.
func TestF27_SignedUserInfo(t *testing.T) {
	t.Parallel()
	op, foreign := newOP(t), newOP(t)
	provider := newProvider(t, op)
	ours, stranger := newRecipient(t), newRecipient(t)
	tokens := mustLogin(t, op, newClient(t, provider))
	sign := func(header, changes object) string { return op.Sign(header, with(userInfoClaims(op), changes)) }
	right := sign(nil, nil)
	parts := strings.Split(right, ".")
	decrypting := func(c *oidc.ClientConfig) {
		c.DecryptionKeys, c.InsecureAllowUnencrypted = []jwks.DecryptionKey{ours.key}, true
	}
	hmac := func(c *oidc.ClientConfig) { c.UserInfoAlgorithms = []string{"HS256"} }
	demanded := func(c *oidc.ClientConfig) { c.UserInfoAlgorithms = []string{"ES256"} }
	plain := func(*oidc.ClientConfig) {}
	for name, tt := range map[string]struct {
		change func(*oidc.ClientConfig)
		raw    string
		reason oidc.Reason
		claim  string
	}{
		"right":                     {plain, right, "", ""},
		"right, and demanded":       {demanded, right, "", ""},
		"typ JWT":                   {plain, sign(object{"typ": "JWT"}, nil), "", ""},
		"among audiences":           {plain, sign(nil, object{"aud": []string{"other", oidctest.ClientID}}), "", ""},
		"not expired":               {plain, sign(nil, object{"exp": start.Unix() + 60, "iat": start.Unix()}), "", ""},
		"expired":                   {plain, sign(nil, object{"exp": start.Unix() - 60}), oidc.ReasonExpired, "exp"},
		"exp is a text":             {plain, sign(nil, object{"exp": "never"}), oidc.ReasonClaim, "exp"},
		"not yet":                   {plain, sign(nil, object{"nbf": start.Unix() + 61}), oidc.ReasonNotYetValid, "nbf"},
		"of tomorrow":               {plain, sign(nil, object{"iat": start.Unix() + 61}), oidc.ReasonNotYetValid, "iat"},
		"another issuer":            {plain, sign(nil, object{"iss": "https://evil.example"}), oidc.ReasonIssuer, "iss"},
		"no issuer":                 {plain, sign(nil, object{"iss": nil}), oidc.ReasonIssuer, "iss"},
		"another audience":          {plain, sign(nil, object{"aud": "other"}), oidc.ReasonAudience, "aud"},
		"no audience":               {plain, sign(nil, object{"aud": nil}), oidc.ReasonAudience, "aud"},
		"another subject":           {plain, sign(nil, object{"sub": "bob"}), oidc.ReasonSubject, "sub"},
		"no subject":                {plain, sign(nil, object{"sub": nil}), oidc.ReasonSubject, "sub"},
		"another kind":              {plain, sign(object{"typ": "at+jwt"}, nil), oidc.ReasonType, "typ"},
		"a logout token":            {plain, sign(nil, object{"events": object{logoutEvent: object{}}}), oidc.ReasonType, "events"},
		"a Bearer token":            {plain, sign(nil, object{"typ": "Bearer"}), oidc.ReasonType, "typ"},
		"an ID token of Keycloak":   {plain, sign(nil, object{"typ": "ID"}), oidc.ReasonType, "typ"},
		"an ID token":               {plain, sign(nil, object{"nonce": "n"}), oidc.ReasonType, "nonce"},
		"a token bound to a key":    {plain, sign(nil, object{"cnf": object{"jkt": "x"}}), oidc.ReasonType, "cnf"},
		"J48 signature":             {plain, forgeSignature(right), oidc.ReasonSignature, ""},
		"another key":               {plain, foreign.Sign(nil, userInfoClaims(op)), oidc.ReasonKey, ""},
		"J01 alg none":              {plain, encodeJSON(object{"alg": "none"}) + "." + parts[1] + ".AA", oidc.ReasonAlgorithm, ""},
		"J01 unsigned":              {plain, encodeJSON(object{"alg": "none"}) + "." + parts[1] + ".", oidc.ReasonMalformed, ""},
		"J05 not on the list":       {demanded, sign(object{"alg": "RS256"}, nil), oidc.ReasonAlgorithm, ""},
		"J02 HS with the secret":    {hmac, oidctest.SignHMAC(nil, userInfoClaims(op), []byte(secret)), "", ""},
		"J02 HS not asked for":      {plain, oidctest.SignHMAC(nil, userInfoClaims(op), []byte(secret)), oidc.ReasonAlgorithm, ""},
		"J02 HS with another":       {hmac, oidctest.SignHMAC(nil, userInfoClaims(op), []byte(strings.Repeat("x", 64))), oidc.ReasonSignature, ""},
		"J02 public key, HS wanted": {hmac, right, oidc.ReasonAlgorithm, ""},
		"encrypted":                 {decrypting, ours.encrypt(t, right), "", ""},
		"encrypted, need not be":    {decrypting, right, "", ""},
		"encrypted for another":     {decrypting, stranger.encrypt(t, right), oidc.ReasonEncryption, ""},
		"encrypted without keys":    {plain, ours.encrypt(t, right), oidc.ReasonEncryption, ""},
		"encrypted and not signed":  {decrypting, ours.encrypt(t, `{"sub":"`+marker+`-alice","email":"`+marker+`@example.com"}`), "", ""},
		"signature is demanded":     {both(demanded, decrypting), ours.encrypt(t, `{"sub":"`+marker+`-alice"}`), oidc.ReasonEncryption, ""},
		"demanded, and is inside":   {both(demanded, decrypting), ours.encrypt(t, right), "", ""},
		"another person inside":     {decrypting, ours.encrypt(t, `{"sub":"bob"}`), oidc.ReasonSubject, "sub"},
		"J22 duplicate inside":      {decrypting, ours.encrypt(t, `{"sub":"a","sub":"a"}`), oidc.ReasonMalformed, ""},
		"nothing inside":            {decrypting, ours.encrypt(t, ""), oidc.ReasonEncryption, ""},
		"J20 encrypted twice":       {decrypting, ours.encrypt(t, ours.encrypt(t, right)), oidc.ReasonEncryption, ""},
		"wrong inside":              {decrypting, ours.encrypt(t, sign(nil, object{"aud": "other"})), oidc.ReasonAudience, "aud"},
		"no JWT":                    {plain, `{"sub":"` + marker + `-alice"}`, oidc.ReasonMalformed, ""},
		"with a line break":         {plain, right + "\n", oidc.ReasonMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			signedUserInfo(op, tt.raw)
			info, err := askUserInfo(t, newClient(t, provider, tt.change), tokens)
			requireVerdict(t, err, tt.reason, tt.claim)
			if err == nil {
				require.Equal(t, marker+"-alice", info.Subject)
				email, err := info.Claims.String(claims.P("email"))
				require.NoError(t, err)
				require.Equal(t, marker+"@example.com", email)
			}
		})
	}
	// Who registered for signatures takes nothing without.
	op.SetFault(oidctest.UserInfo, oidctest.Fault{})
	_, err := askUserInfo(t, newClient(t, provider, demanded), tokens)
	requireRefused(t, err, oidc.ReasonAlgorithm, "")
	// Keys that cannot be had are no fault of the answer.
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	signedUserInfo(op, right)
	_, err = askUserInfo(t, newClient(t, newProvider(t, op)), tokens)
	requireUnavailable(t, err)
}

func both(f, g func(*oidc.ClientConfig)) func(*oidc.ClientConfig) {
	return func(c *oidc.ClientConfig) { f(c); g(c) }
}

// F27: it is asked for in one place of one request, and never in the query.
func TestF27_WhereTheAccessTokenStands(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r, via := record(op)
	provider := newProvider(t, op, via)
	tokens := mustLogin(t, op, newClient(t, provider))
	for _, byForm := range []bool{false, true} {
		_, err := askUserInfo(t, newClient(t, provider, func(c *oidc.ClientConfig) { c.UserInfoByForm = byForm }), tokens)
		require.NoError(t, err)
	}
	_, err := askUserInfo(t, newClient(t, provider, func(c *oidc.ClientConfig) { c.UserInfoAlgorithms = []string{"ES256"} }), tokens)
	require.Error(t, err)
	requests, forms := r.sent(oidctest.UserInfo)
	require.Len(t, requests, 3)
	for _, req := range requests {
		require.Empty(t, req.URL.RawQuery)
	}
	require.Equal(t, http.MethodGet, requests[0].Method)
	require.Equal(t, []string{"Bearer " + tokens.OAuth2.AccessToken}, requests[0].Header["Authorization"])
	require.Empty(t, forms[0])
	require.Equal(t, "application/json, application/jwt", requests[0].Header.Get("Accept"))
	require.Equal(t, http.MethodPost, requests[1].Method)
	require.Empty(t, requests[1].Header.Values("Authorization"))
	require.Equal(t, url.Values{"access_token": {tokens.OAuth2.AccessToken}}, forms[1])
	require.Equal(t, "application/jwt", requests[2].Header.Get("Accept"))
}

// P01: a token that is bound to a key never goes without its proof.
func TestP01_UserInfoWithDPoP(t *testing.T) {
	t.Parallel()
	op := newOP(t, func(c *oidctest.Config) { c.RequireDPoP, c.RequireDPoPNonce = true, true })
	r, via := record(op)
	provider := newProvider(t, op, via)
	key := newDPoP(t, ecKey(t, elliptic.P256()), func(c *oidc.DPoPConfig) { c.Now = op.Now })
	client := newClient(t, provider, func(c *oidc.ClientConfig) { c.DPoP = key })
	tokens := mustLogin(t, op, client)
	require.Equal(t, "DPoP", tokens.OAuth2.TokenType)
	_, err := askUserInfo(t, client, tokens)
	require.NoError(t, err)
	op.RotateDPoPNonce()
	_, err = askUserInfo(t, client, tokens)
	require.NoError(t, err)
	requests, _ := r.sent(oidctest.UserInfo)
	require.Len(t, requests, 3, "once more with the new nonce")
	for _, req := range requests {
		require.Equal(t, []string{"DPoP " + tokens.OAuth2.AccessToken}, req.Header["Authorization"])
		require.Len(t, req.Header.Values("DPoP"), 1)
	}

	for name, config := range map[string]func(*oidc.ClientConfig){
		"without a key": func(*oidc.ClientConfig) {}, "in a form": func(c *oidc.ClientConfig) { c.UserInfoByForm = true },
	} {
		_, err = askUserInfo(t, newClient(t, provider, config), tokens)
		require.Error(t, err, name)
	}
	requests, _ = r.sent(oidctest.UserInfo)
	require.Len(t, requests, 3, "nothing was sent")
}

// F27: a 401 that is about the proof or about how the person logged in says nothing about
// the token.
func TestF27_UnauthorizedForOtherReasons(t *testing.T) {
	t.Parallel()
	for code, revoked := range map[string]bool{
		"invalid_token": true, "": true, "of_tomorrow": true, "use_dpop_nonce": false, "invalid_dpop_proof": false,
		"insufficient_user_authentication": false,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r, via := record(op)
			client := newClient(t, newProvider(t, op, via))
			tokens := mustLogin(t, op, client)
			r.next = answering(r.next, oidctest.UserInfo, func() *http.Response {
				return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Header: http.Header{
					"Www-Authenticate": {`Basic realm="x", DPoP error="` + code + `", error_description="` + marker + `"`},
				}}
			})
			_, err := askUserInfo(t, client, tokens)
			if revoked {
				requireRefused(t, err, oidc.ReasonRevoked, "")
			}
			var re *oidc.ResponseError
			require.ErrorAs(t, err, &re)
			require.Equal(t, code, re.Code)
			require.Equal(t, !revoked, !isRefusal(err))
		})
	}
}

func TestUserInfo_Hangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		tokens := mustLogin(t, op, client)
		op.SetFault(oidctest.UserInfo, oidctest.Fault{Hang: true})
		began := time.Now()
		_, err := askUserInfo(t, client, tokens)
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// A type of token that nobody here knows how to use is not used.
func TestF34_UserInfoWithOtherTypes(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	for _, typ := range []string{"mac", "Basic", "N_A", "Bearer DPoP"} {
		tokens.OAuth2.TokenType = typ
		_, err := askUserInfo(t, client, tokens)
		require.Error(t, err, typ)
	}
	tokens.OAuth2.TokenType = "Bearer"
	for _, text := range []string{"", "a\r\nX-Header: b", "a b"} {
		tokens.OAuth2.AccessToken = text
		_, err := client.UserInfo(t.Context(), tokens)
		require.Error(t, err, text)
	}
	require.Zero(t, op.Requests(oidctest.UserInfo))
}

// F28: the answer stands beside the ID token and replaces nothing in it.
func TestF28_UserInfoReplacesNothing(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	before := string(tokens.IDToken.Claims.Raw())
	op.OnUserInfo(func(c map[string]any) {
		c["iss"], c["aud"], c["exp"], c["email"] = "https://evil.example", "other", 1, "other@example.com"
	})
	info, err := askUserInfo(t, client, tokens)
	require.NoError(t, err)
	require.Equal(t, before, string(tokens.IDToken.Claims.Raw()))
	require.Equal(t, issuer, tokens.IDToken.Issuer)
	require.Equal(t, []string{oidctest.ClientID}, tokens.IDToken.Audience)
	email, err := info.Claims.String(claims.P("email"))
	require.NoError(t, err)
	require.Equal(t, "other@example.com", email)
}

func TestG10_UserInfoIsRedacted(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	info, err := askUserInfo(t, client, mustLogin(t, op, client))
	require.NoError(t, err)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, verb+verb, info, *info)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", info, "w", *info)
	require.NotContains(t, out.String(), marker)
	require.NotContains(t, out.String(), fmt.Sprintf("%x", marker))
	require.True(t, json.Valid(info.Claims.Raw()), "who asks gets them")
}
