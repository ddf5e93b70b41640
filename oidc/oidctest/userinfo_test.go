package oidctest_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestUserInfo(t *testing.T) {
	p := start(t)
	a := userinfo(t, p, "Bearer "+p.AccessToken("alice", "", "openid", "profile", "email"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "248289761001", a.json["sub"])
	require.Equal(t, "Alice Adams", a.json["name"])
	require.Equal(t, "alice@example.com", a.json["email"])
	require.Equal(t, true, a.json["email_verified"])
	require.Equal(t, []any{"engineering", "admins"}, a.json["groups"])

	a = userinfo(t, p, "bearer "+p.AccessToken("bob", "", "openid"))
	require.Equal(t, http.StatusOK, a.status)
	require.NotContains(t, a.json, "name")
	require.NotContains(t, a.json, "email")
}

func TestUserInfoRefuses(t *testing.T) {
	p := start(t)
	right := p.AccessToken("alice", "", "openid")
	_, claims := decode(t, right)
	signed := func(typ any, changes map[string]any) string {
		c := maps.Clone(claims)
		maps.Copy(c, changes)
		return "Bearer " + p.Sign(map[string]any{"typ": typ}, c)
	}
	require.Equal(t, http.StatusOK, userinfo(t, p, signed("at+jwt", nil)).status, "what the cases below vary")
	require.Equal(t, http.StatusOK,
		userinfo(t, p, signed("at+jwt", map[string]any{"aud": []string{"x", issuer + "/userinfo"}})).status)

	for name, test := range map[string]struct {
		status int
		error  string
		header []string
	}{
		"no header":         {http.StatusUnauthorized, "", nil},
		"two headers":       {http.StatusBadRequest, "invalid_request", []string{"Bearer " + right, "Bearer " + right}},
		"Basic":             {http.StatusUnauthorized, "", []string{"Basic eDp5"}},
		"empty":             {http.StatusUnauthorized, "invalid_token", []string{"Bearer"}},
		"not a JWT":         {http.StatusUnauthorized, "invalid_token", []string{"Bearer x"}},
		"ID token":          {http.StatusUnauthorized, "invalid_token", []string{"Bearer " + tokens(t, p).str("id_token")}},
		"changed signature": {http.StatusUnauthorized, "invalid_token", []string{"Bearer " + right[:len(right)-8] + "AAAAAAAA"}},
		"unsigned":          {http.StatusUnauthorized, "invalid_token", []string{"Bearer " + p.Sign(map[string]any{"alg": "none", "typ": "at+jwt"}, claims)}},
		"typ":               {http.StatusUnauthorized, "invalid_token", []string{signed("JWT", nil)}},
		"no typ":            {http.StatusUnauthorized, "invalid_token", []string{signed(nil, nil)}},
		"issuer":            {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"iss": "https://other.example"})}},
		"another resource":  {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"aud": api})}},
		"no audience":       {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"aud": nil})}},
		"expired":           {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"exp": p.Now().Unix()})}},
		"no expiry":         {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"exp": nil})}},
		"unknown subject":   {http.StatusUnauthorized, "invalid_token", []string{signed("at+jwt", map[string]any{"sub": "client"})}},
		"no openid scope":   {http.StatusForbidden, "insufficient_scope", []string{"Bearer " + p.AccessToken("alice", "", "email")}},
	} {
		t.Run(name, func(t *testing.T) {
			a := userinfo(t, p, test.header...)
			require.Equal(t, test.status, a.status)
			challenge := a.header.Get("WWW-Authenticate")
			require.True(t, strings.HasPrefix(challenge, "Bearer "))
			if test.error == "" {
				require.NotContains(t, challenge, "error")
			} else {
				require.Contains(t, challenge, `error="`+test.error+`"`)
			}
		})
	}
	a := post(t, p, "/userinfo", url.Values{"access_token": {right}})
	require.Equal(t, http.StatusOK, a.status, "in the body")
	p.Advance(5 * time.Minute)
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+right).status, "the clock")
}

func TestEndSession(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		hs := oidctest.DefaultClient()
		hs.ID, hs.IDTokenAlgorithm = "hs", "HS256"
		c.Clients = []oidctest.Client{oidctest.DefaultClient(), hs}
	})
	hint := tokens(t, p).str("id_token")
	p.Advance(48 * time.Hour) // an expired hint is fine
	hmac := oidctest.SignHMAC(nil, map[string]any{"iss": issuer, "aud": "hs"}, []byte(oidctest.ClientSecret))
	foreign := oidctest.SignHMAC(nil, map[string]any{"iss": issuer, "aud": "hs"}, []byte("a guess"))
	confused := oidctest.SignHMAC(nil, map[string]any{"iss": issuer, "aud": "client"}, []byte(oidctest.ClientSecret))
	const home = "https://client.example/"

	for name, test := range map[string]struct {
		status   int
		location string
		changes  []string
	}{
		"hint":                       {200, "", []string{"id_token_hint", hint}},
		"hint and address":           {303, home, []string{"id_token_hint", hint, "post_logout_redirect_uri", home}},
		"and state":                  {303, home + "?state=a+b", []string{"id_token_hint", hint, "post_logout_redirect_uri", home, "state", "a b"}},
		"loopback port":              {303, "http://127.0.0.1:99/", []string{"id_token_hint", hint, "post_logout_redirect_uri", "http://127.0.0.1:99/"}},
		"client_id of the hint":      {303, home, []string{"id_token_hint", hint, "client_id", "client", "post_logout_redirect_uri", home}},
		"HS256 hint":                 {303, home, []string{"id_token_hint", hmac, "post_logout_redirect_uri", home}},
		"another client_id":          {400, "", []string{"id_token_hint", hint, "client_id", "hs"}},
		"unknown client_id":          {400, "", []string{"client_id", "nobody"}},
		"address without client":     {400, "", []string{"post_logout_redirect_uri", home}},
		"unregistered address":       {400, "", []string{"id_token_hint", hint, "post_logout_redirect_uri", home + "x"}},
		"unregistered, by client_id": {400, "", []string{"client_id", "client", "post_logout_redirect_uri", home + "x"}},
		"hint is no token":           {400, "", []string{"id_token_hint", "x"}},
		"hint of another key":        {400, "", []string{"id_token_hint", start(t).Sign(nil, map[string]any{"iss": issuer, "aud": "client"})}},
		"hint of another issuer":     {400, "", []string{"id_token_hint", p.Sign(nil, map[string]any{"iss": "https://other.example", "aud": "client"})}},
		"HS256 by a guess":           {400, "", []string{"id_token_hint", foreign}},
		"HS256, not the client's":    {400, "", []string{"id_token_hint", confused}},
		"access token as hint":       {400, "", []string{"id_token_hint", p.AccessToken("alice", "", "openid")}},
	} {
		t.Run(name, func(t *testing.T) {
			v := change(url.Values{}, test.changes...)
			for _, a := range []answer{get(t, p, issuer+"/end-session?"+v.Encode()), post(t, p, "/end-session", v)} {
				require.Equal(t, test.status, a.status, a.body)
				require.Equal(t, test.location, a.header.Get("Location"))
			}
		})
	}
	a := get(t, p, issuer+"/end-session?client_id=client&client_id=client")
	require.Equal(t, http.StatusBadRequest, a.status, "duplicate")
}

func TestEndSessionAsksWithoutHint(t *testing.T) {
	p := start(t)
	v := url.Values{"client_id": {"client"}, "post_logout_redirect_uri": {"https://client.example/"}, "state": {"s"}}
	// A link cannot confirm: only the page's own form does.
	for _, query := range []string{v.Encode(), v.Encode() + "&confirm=yes"} {
		a := get(t, p, issuer+"/end-session?"+query)
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, a.body, `<button class="main" name="confirm"`)
		require.NotContains(t, a.body, `type="hidden" name="confirm"`)
	}
	v.Set("confirm", "yes")
	a := post(t, p, "/end-session", v)
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Equal(t, "https://client.example/?state=s", a.header.Get("Location"))
}
