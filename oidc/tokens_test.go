package oidc_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func TestUserInfo(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	info, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	require.Equal(t, tokens.IDToken.Subject, info.Subject)
	require.NotEmpty(t, info.Claims.Raw())
	require.Equal(t, 1, op.Requests(oidctest.UserInfo))
}

func TestF27_UserInfoOfAnotherSubject(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another":       func(c map[string]any) { c["sub"] = "bob" },
		"missing":       func(c map[string]any) { delete(c, "sub") },
		"empty":         func(c map[string]any) { c["sub"] = "" },
		"null":          func(c map[string]any) { c["sub"] = nil },
		"list":          func(c map[string]any) { c["sub"] = []any{c["sub"]} },
		"prolonged":     func(c map[string]any) { c["sub"] = c["sub"].(string) + "x" },
		"in upper case": func(c map[string]any) { c["SUB"] = c["sub"]; delete(c, "sub") },
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			tokens := mustLogin(t, op, client)
			op.OnUserInfo(change)
			info, err := client.UserInfo(t.Context(), tokens)
			require.Nil(t, info)
			requireRefused(t, err, oidc.ReasonSubject, "sub")
		})
	}
}

// A login of nobody is none: an answer with an empty "sub" must not be of the same person.
func TestF27_UserInfoOfNobody(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	op.OnUserInfo(func(c map[string]any) { c["sub"] = "" })
	info, err := client.UserInfo(t.Context(), &oidc.Tokens{OAuth2: tokens.OAuth2, IDToken: &oidc.IDToken{}})
	require.Error(t, err)
	require.Nil(t, info)
	require.Zero(t, op.Requests(oidctest.UserInfo))
}

// An access token of somebody else, slipped in beside the right ID token.
func TestF27_UserInfoBySlippedInToken(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	tokens.OAuth2.AccessToken = op.AccessToken("bob", "", "openid")
	_, err := client.UserInfo(t.Context(), tokens)
	requireRefused(t, err, oidc.ReasonSubject, "sub")
}

func TestF27_UserInfoAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  oidctest.Fault
		reason oidc.Reason // empty: unavailable
	}{
		"401":                  {oidctest.Fault{Status: 401, Body: `{"error":"invalid_token"}`}, oidc.ReasonRevoked},
		"401 of an outage":     {oidctest.Fault{Status: 401}, ""}, // its code is temporarily_unavailable
		"401 in plain text":    {oidctest.Fault{Status: 401, Body: marker, ContentType: "text/plain"}, oidc.ReasonRevoked},
		"500":                  {oidctest.Fault{Status: 500}, ""},
		"503":                  {oidctest.Fault{Status: 503, Body: marker}, ""},
		"429":                  {oidctest.Fault{Status: 429}, ""},
		"oversized":            {oidctest.Fault{Oversized: true}, ""},
		"F31 redirect":         {oidctest.Fault{Status: 307}, ""},
		"a JWT":                {oidctest.Fault{Body: "e30.e30.", ContentType: "application/jwt"}, oidc.ReasonMalformed},
		"list":                 {oidctest.Fault{Body: `[{"sub":"` + marker + `-alice"}]`}, ""},
		"J22 duplicate":        {oidctest.Fault{Body: `{"sub":"` + marker + `-alice","sub":"` + marker + `-alice"}`}, ""},
		"J23 two cases":        {oidctest.Fault{Body: `{"sub":"` + marker + `-alice","email":"a","EMAIL":"b"}`}, ""},
		"JSON of another type": {oidctest.Fault{Body: `{"sub":"` + marker + `-alice"}`, ContentType: "text/plain"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			tokens := mustLogin(t, op, client)
			op.SetFault(oidctest.UserInfo, tt.fault)
			info, err := client.UserInfo(t.Context(), tokens)
			require.Nil(t, info)
			if tt.reason == "" {
				requireUnavailable(t, err)
			} else {
				requireRefused(t, err, tt.reason, "")
			}
			require.Equal(t, 1, op.Requests(oidctest.UserInfo))
		})
	}
}

// The token is good and may not do this: that is no reason to end a session.
func TestF27_UserInfoForbidden(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	op.SetFault(oidctest.UserInfo, oidctest.Fault{Status: 403, Body: `{"error":"insufficient_scope"}`})
	_, err := client.UserInfo(t.Context(), tokens)
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "insufficient_scope", re.Code)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable)
}

func TestF27_UserInfoRevoked(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	op.Advance(time.Hour)
	_, err := client.UserInfo(t.Context(), tokens)
	requireRefused(t, err, oidc.ReasonRevoked, "")
}

func TestUserInfo_NeedsALogin(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	for name, tt := range map[string]*oidc.Tokens{
		"nil": nil, "zero": {}, "no ID token": {OAuth2: tokens.OAuth2}, "no access token": {IDToken: tokens.IDToken},
	} {
		_, err := client.UserInfo(t.Context(), tt)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	require.Zero(t, op.Requests(oidctest.UserInfo))
}

// setupOffline logs in with a refresh token.
func setupOffline(t testing.TB, configure ...func(*oidc.ClientConfig)) (*oidctest.Provider, *oidc.Client, *oidc.Tokens) {
	t.Helper()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), append([]func(*oidc.ClientConfig){offline}, configure...)...)
	tokens := mustLogin(t, op, client)
	require.NotEmpty(t, tokens.OAuth2.RefreshToken)
	return op, client, tokens
}

// refresh is Client.Refresh, and holds that there are tokens exactly if there is
// no error.
func refresh(t testing.TB, c *oidc.Client, old *oidc.Tokens) (*oidc.Tokens, error) {
	t.Helper()
	tokens, err := c.Refresh(t.Context(), old)
	require.Equal(t, err == nil, tokens != nil)
	if err != nil && old != nil && old.OAuth2 != nil {
		tellsNothing(t, err, old.OAuth2.RefreshToken, old.OAuth2.AccessToken)
	}
	return tokens, err
}

func TestF30_RefreshRotates(t *testing.T) {
	op, client, first := setupOffline(t)
	op.Advance(time.Minute)
	second, err := refresh(t, client, first)
	require.NoError(t, err)
	require.NotEqual(t, first.OAuth2.RefreshToken, second.OAuth2.RefreshToken)
	require.NotEqual(t, first.OAuth2.AccessToken, second.OAuth2.AccessToken)
	require.NotEqual(t, first.IDToken.Raw(), second.IDToken.Raw())
	require.Equal(t, first.IDToken.Subject, second.IDToken.Subject)
	require.Equal(t, second.IDToken.Raw(), second.OAuth2.Extra("id_token"))
	require.True(t, second.OAuth2.Expiry.Equal(start.Add(6*time.Minute)))
	third, err := refresh(t, client, second)
	require.NoError(t, err)
	require.Equal(t, 3, op.Requests(oidctest.Token))

	// The first one is spent, and who uses it may be a thief.
	op.Advance(time.Minute)
	_, err = refresh(t, client, first)
	requireRefused(t, err, oidc.ReasonRevoked, "")
	_, err = refresh(t, client, third)
	requireRefused(t, err, oidc.ReasonRevoked, "")
}

func TestF30_RefreshKeepsWhatIsLeftOut(t *testing.T) {
	op, client, old := setupOffline(t)
	op.OnTokenResponse(func(r map[string]any) {
		delete(r, "refresh_token")
		delete(r, "id_token")
		delete(r, "scope")
	})
	tokens, err := refresh(t, client, old)
	require.NoError(t, err)
	require.Equal(t, old.OAuth2.RefreshToken, tokens.OAuth2.RefreshToken)
	require.Same(t, old.IDToken, tokens.IDToken)
	require.Equal(t, old.IDToken.Raw(), tokens.OAuth2.Extra("id_token"))
	require.Equal(t, old.OAuth2.Extra("scope"), tokens.OAuth2.Extra("scope"))
	require.NotEqual(t, old.OAuth2.AccessToken, tokens.OAuth2.AccessToken)
}

func TestF30_RefreshWithoutIDToken(t *testing.T) {
	op, client, old := setupOffline(t)
	op.OnTokenResponse(func(r map[string]any) { delete(r, "id_token") })
	tokens, err := refresh(t, client, &oidc.Tokens{OAuth2: old.OAuth2})
	require.NoError(t, err)
	require.Nil(t, tokens.IDToken)
}

// An ID token that there is no old one to compare with is left out, whoever it is of.
func TestF30_RefreshedIDTokenWithoutAnOldOne(t *testing.T) {
	_, client, old := setupOffline(t)
	tokens, err := refresh(t, client, &oidc.Tokens{OAuth2: old.OAuth2})
	require.NoError(t, err)
	require.Nil(t, tokens.IDToken)
	require.Empty(t, tokens.OAuth2.Extra("id_token"))
	require.NotEqual(t, old.OAuth2.RefreshToken, tokens.OAuth2.RefreshToken)
}

func TestF30_RefreshedIDTokenOfAnotherLogin(t *testing.T) {
	for name, tt := range map[string]struct {
		claims object
		reason oidc.Reason
		claim  string
	}{
		"sub":             {object{"sub": "bob"}, oidc.ReasonSubject, "sub"},
		"iss":             {object{"iss": "https://evil.example"}, oidc.ReasonIssuer, "iss"},
		"aud":             {object{"aud": "other"}, oidc.ReasonAudience, "aud"},
		"aud, more":       {object{"aud": []string{oidctest.ClientID, api}}, oidc.ReasonAudience, "aud"},
		"azp":             {object{"azp": "other"}, oidc.ReasonAuthorizedParty, "azp"},
		"nonce":           {object{"nonce": "other"}, oidc.ReasonNonce, "nonce"},
		"auth_time":       {object{"auth_time": start.Unix() + 1}, oidc.ReasonClaim, "auth_time"},
		"at_hash":         {object{"at_hash": "AAAA"}, oidc.ReasonAccessTokenHash, "at_hash"},
		"expired":         {object{"exp": start.Unix() - 60, "iat": start.Unix() - 90}, oidc.ReasonExpired, "exp"},
		"access token":    {nil, oidc.ReasonType, "typ"},
		"J37 no sub":      {object{"sub": nil}, oidc.ReasonSubject, "sub"},
		"nonce no text":   {object{"nonce": 1}, oidc.ReasonMalformed, ""},
		"nonce null":      {object{"nonce": null}, oidc.ReasonNonce, "nonce"},
		"auth_time text":  {object{"auth_time": "1936785600"}, oidc.ReasonClaim, "auth_time"},
		"auth_time null":  {object{"auth_time": null}, oidc.ReasonClaim, "auth_time"},
		"auth_time later": {object{"auth_time": start.Unix() + 600}, oidc.ReasonClaim, "auth_time"},
	} {
		t.Run(name, func(t *testing.T) {
			op, client, old := setupOffline(t, func(c *oidc.ClientConfig) { c.TrustedAudiences = []string{api} })
			op.OnIDToken(func(header, claims map[string]any) {
				if tt.claims == nil {
					header["typ"] = "at+jwt"
				}
				for claim, v := range tt.claims {
					if claims[claim] = v; v == nil {
						delete(claims, claim)
					}
				}
			})
			_, err := refresh(t, client, old)
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}
}

func TestF30_RefreshedIDTokenMayBe(t *testing.T) {
	op, client, old := setupOffline(t, func(c *oidc.ClientConfig) { c.TrustedAudiences = []string{api} })
	nonce, err := nonceOf(old)
	require.NoError(t, err)
	for name, changes := range map[string]object{
		"with the old nonce": {"nonce": nonce}, "without auth_time": {"auth_time": nil}, "without at_hash": {"at_hash": nil},
	} {
		op.OnIDToken(func(_, claims map[string]any) {
			for claim, v := range changes {
				if claims[claim] = v; v == nil {
					delete(claims, claim)
				}
			}
		})
		tokens, err := refresh(t, client, old)
		require.NoError(t, err, name)
		old.OAuth2 = tokens.OAuth2
	}

	// The audience is a set.
	op.OnIDToken(func(_, claims map[string]any) { claims["aud"] = []string{oidctest.ClientID, api} })
	old = mustLogin(t, op, client)
	op.OnIDToken(func(_, claims map[string]any) { claims["aud"] = []string{api, oidctest.ClientID} })
	old, err = refresh(t, client, old)
	require.NoError(t, err)
	op.OnIDToken(nil)
	_, err = refresh(t, client, old)
	requireRefused(t, err, oidc.ReasonAudience, "aud")
}

func nonceOf(t *oidc.Tokens) (string, error) {
	var c struct {
		Nonce string `json:"nonce"`
	}
	err := t.IDToken.Claims.Decode(&c)
	return c.Nonce, err
}

func TestF30_RefreshTokenIsNoLongerGood(t *testing.T) {
	op, client, old := setupOffline(t)
	op.Advance(25 * time.Hour)
	_, err := refresh(t, client, old)
	requireRefused(t, err, oidc.ReasonRevoked, "")
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "invalid_grant", re.Code)
}

func TestF30_OutageWhileRefreshing(t *testing.T) {
	faults := outages()
	faults["invalid_grant in an outage"] = oidctest.Fault{Status: 503, Body: `{"error":"invalid_grant"}`}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			op, client, old := setupOffline(t)
			op.SetFault(oidctest.Token, fault)
			_, err := refresh(t, client, old)
			requireUnavailable(t, err)
			require.Equal(t, 2, op.Requests(oidctest.Token))
			if !fault.Oversized { // that one was a right answer, and rotated
				op.SetFault(oidctest.Token, oidctest.Fault{})
				_, err = refresh(t, client, old)
				require.NoError(t, err)
			}
		})
	}
}

func TestF30_RefusedClientIsNoRefusedToken(t *testing.T) {
	op, client, old := setupOffline(t)
	op.SetFault(oidctest.Token, oidctest.Fault{Status: 401, Body: `{"error":"invalid_client"}`})
	_, err := refresh(t, client, old)
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable)
}

func TestF30_RefreshWithoutRefreshToken(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	for name, old := range map[string]*oidc.Tokens{"nil": nil, "zero": {}, "no refresh token": tokens} {
		_, err := refresh(t, client, old)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

func TestRefresh_SendsResources(t *testing.T) {
	op := newOP(t)
	r, via := record(op)
	client := newClient(t, newProvider(t, op, via), offline, func(c *oidc.ClientConfig) { c.Resources = []string{api} })
	old := mustLogin(t, op, client)
	tokens, err := refresh(t, client, old)
	require.NoError(t, err)
	_, forms := r.sent(oidctest.Token)
	require.Equal(t, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {old.OAuth2.RefreshToken}, "resource": {api},
	}, forms[1])
	_, err = newVerifier(t, client.Provider()).Verify(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)
}

func TestF30_TokenSourceRefreshesOnce(t *testing.T) {
	op, client, old := setupOffline(t)
	before := op.Requests(oidctest.Token)
	source := client.TokenSource(old)
	op.Advance(5 * time.Minute)
	var wg sync.WaitGroup
	got := make([]*oauth2.Token, 50)
	errs := make([]error, 50)
	for i := range got {
		wg.Go(func() { got[i], errs[i] = source.Token() })
	}
	wg.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0].AccessToken, got[i].AccessToken)
	}
	require.NotEqual(t, old.OAuth2.AccessToken, got[0].AccessToken)
	require.Equal(t, before+1, op.Requests(oidctest.Token))
	require.Equal(t, got[0].RefreshToken, source.Tokens().OAuth2.RefreshToken)
}

func TestTokenSource_RefreshesTenSecondsBeforeTheEnd(t *testing.T) {
	op, client, old := setupOffline(t)
	source := client.TokenSource(old)
	op.Advance(5*time.Minute - 10*time.Second - 1)
	token, err := source.Token()
	require.NoError(t, err)
	require.Same(t, old.OAuth2, token)
	require.Same(t, old, source.Tokens())
	require.Equal(t, 1, op.Requests(oidctest.Token))
	op.Advance(1)
	token, err = source.Token()
	require.NoError(t, err)
	require.NotEqual(t, old.OAuth2.AccessToken, token.AccessToken)
	require.Equal(t, 2, op.Requests(oidctest.Token))
}

func TestTokenSource_TokenWithoutExpiry(t *testing.T) {
	op := newOP(t)
	client := newClient(t, newProvider(t, op), offline)
	op.OnTokenResponse(func(r map[string]any) { delete(r, "expires_in") })
	source := client.TokenSource(mustLogin(t, op, client))
	op.Advance(time.Hour)
	_, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

func TestTokenSource_WithoutTokens(t *testing.T) {
	_, client := setup(t)
	for name, tokens := range map[string]*oidc.Tokens{"nil": nil, "zero": {}} {
		token, err := client.TokenSource(tokens).Token()
		require.Error(t, err, name)
		require.Nil(t, token, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
}

// Each refresh uses the refresh token of the one before, and a failure spends none.
func TestF30_TokenSourceFollowsTheRotation(t *testing.T) {
	op, client, old := setupOffline(t)
	source := client.TokenSource(old)
	op.Advance(time.Hour)
	op.SetFault(oidctest.Token, oidctest.Fault{Status: 503})
	token, err := source.Token()
	requireUnavailable(t, err)
	require.Nil(t, token)
	require.Same(t, old, source.Tokens())
	op.SetFault(oidctest.Token, oidctest.Fault{})
	op.Advance(time.Second)
	seen := map[string]bool{old.OAuth2.RefreshToken: true}
	for range 3 {
		token, err := source.Token()
		require.NoError(t, err)
		require.False(t, seen[token.RefreshToken])
		seen[token.RefreshToken] = true
		op.Advance(time.Hour)
	}
	require.Equal(t, 5, op.Requests(oidctest.Token))
}

func TestF21_LogoutURL(t *testing.T) {
	op, client := setup(t)
	tokens := mustLogin(t, op, client)
	for name, tt := range map[string]struct {
		logout oidc.Logout
		want   url.Values
	}{
		"nothing": {oidc.Logout{}, url.Values{"client_id": {oidctest.ClientID}}},
		"all": {
			oidc.Logout{IDToken: tokens.IDToken, PostLogoutRedirectURL: "https://client.example/", State: "s"},
			url.Values{
				"client_id": {oidctest.ClientID}, "id_token_hint": {tokens.IDToken.Raw()},
				"post_logout_redirect_uri": {"https://client.example/"}, "state": {"s"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := client.LogoutURL(t.Context(), tt.logout)
			require.NoError(t, err)
			u, err := url.Parse(target)
			require.NoError(t, err)
			require.Equal(t, issuer+string(oidctest.EndSession), u.Scheme+"://"+u.Host+u.Path)
			require.Equal(t, tt.want, u.Query())
		})
	}
}

// A refused ID token does not lose the refresh token that came with it.
// An answer that is malformed has spent the old refresh token all the same.
func TestF30_TokenSourceGoesOnAfterAMalformedAnswer(t *testing.T) {
	for name, spoil := range map[string]func(map[string]any){
		"no token type":    func(r map[string]any) { delete(r, "token_type") },
		"another type":     func(r map[string]any) { r["token_type"] = "DPoP" },
		"expires_in":       func(r map[string]any) { r["expires_in"] = "soon" },
		"scope of a list":  func(r map[string]any) { r["scope"] = []string{"openid"} },
		"no access token":  func(r map[string]any) { delete(r, "access_token") },
		"odd access token": func(r map[string]any) { r["access_token"] = "a b" },
	} {
		t.Run(name, func(t *testing.T) {
			op, client, old := setupOffline(t)
			source := client.TokenSource(old)
			op.Advance(time.Hour)
			op.OnTokenResponse(spoil)
			_, err := source.Token()
			requireRefused(t, err, oidc.ReasonMalformed, "")
			var unusable *oidc.RefreshError
			require.ErrorAs(t, err, &unusable)
			require.NotEqual(t, old.OAuth2.RefreshToken, unusable.RefreshToken())
			require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, unusable.Err), unusable.RefreshToken())
			op.OnTokenResponse(nil)
			op.Advance(time.Second)
			_, err = source.Token()
			require.NoError(t, err)
		})
	}
}

func TestF30_TokenSourceGoesOnAfterARefusedIDToken(t *testing.T) {
	op, client, old := setupOffline(t)
	source := client.TokenSource(old)
	op.Advance(time.Hour)
	op.OnIDToken(func(_, claims map[string]any) { claims["sub"] = "bob" })
	_, err := source.Token()
	requireRefused(t, err, oidc.ReasonSubject, "sub")
	op.OnIDToken(nil)
	op.Advance(time.Second)
	_, err = source.Token()
	require.NoError(t, err)
}

// What is optional in untyped tokens has to be right all the same.
func TestUntypedTokens_OptionalMembersAreJudged(t *testing.T) {
	op := newOP(t)
	lax := newVerifier(t, newProvider(t, op), untyped)
	for name, claims := range map[string]object{
		"jti": {"jti": 1}, "client_id": {"client_id": []string{"a"}}, "iat": {"iat": "now"},
	} {
		_, err := lax.Verify(t.Context(), op.Sign(object{"typ": "JWT"}, with(accessClaims(op), claims)))
		requireRefused(t, err, oidc.ReasonClaim, name)
	}
}

// Requests with one token share what was found out; a list that is appended to does not
// change for the others.
func TestAccessToken_ListsAreClipped(t *testing.T) {
	op := newOP(t)
	token, err := newVerifier(t, newProvider(t, op)).Verify(t.Context(), op.AccessToken("alice", api, "read", "read", "write"))
	require.NoError(t, err)
	require.Equal(t, len(token.Scopes), cap(token.Scopes))
	require.Equal(t, len(token.Audience), cap(token.Audience))
}
