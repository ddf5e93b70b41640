package oidc_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// ipsilonRig is a provider like that of Fedora: opaque tokens whose "aud" is their client,
// and userinfo with members of its own.
func ipsilonRig(t testing.TB, cache oidc.IntrospectionCacheConfig) (*oidctest.Provider, *oidc.UserInfoVerifier) {
	t.Helper()
	op := newOP(t, func(c *oidctest.Config) { c.OpaqueAccessTokens = true })
	op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { answer["aud"] = oidctest.ClientID })
	op.OnUserInfo(func(info map[string]any) { info["cla"] = []string{"packager"} })
	client := newClient(t, newProvider(t, op), resourceServer)
	opaque := newIntrospectionVerifier(t, client, func(c *oidc.IntrospectionVerifierConfig) { c.Audience = []string{oidctest.ClientID} })
	return op, newUserInfoVerifier(t, client, opaque, cache)
}

func newUserInfoVerifier(t testing.TB, c *oidc.Client, tokens oidc.BoundVerifier, cache oidc.IntrospectionCacheConfig) *oidc.UserInfoVerifier {
	t.Helper()
	v, err := oidc.NewUserInfoVerifier(c, oidc.UserInfoVerifierConfig{Verifier: tokens, Cache: cache})
	require.NoError(t, err)
	return v
}

func TestUserInfoVerifier(t *testing.T) {
	t.Parallel()
	op, v := ipsilonRig(t, oidc.IntrospectionCacheConfig{})
	raw := op.AccessToken("alice", "", "openid", "pagure")
	for range 2 {
		token, err := verifyAccess(t.Context(), t, v, raw)
		require.NoError(t, err)
		require.Equal(t, marker+"-alice", token.Subject)
		require.Equal(t, []string{"openid", "pagure"}, token.Scopes)
		signed, err := token.UserInfo.Strings(claims.P("cla"))
		require.NoError(t, err)
		require.Equal(t, []string{"packager"}, signed)
		require.False(t, token.Claims.Has(claims.P("cla")), "the two stand side by side")
	}
	require.Equal(t, 2, op.Requests(oidctest.UserInfo), "no cache")
}

// What the provider answers in place of userinfo.
func TestUserInfoVerifier_Refusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  oidctest.Fault
		reason oidc.Reason
		claim  string
		class  error // if it is no fault of the token
	}{
		"of somebody else":        {oidctest.Fault{Body: `{"sub":"bob"}`, ContentType: "application/json"}, oidc.ReasonSubject, "sub", nil},
		"of nobody":               {oidctest.Fault{Body: `{"groups":["packager"]}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"token unknown":           {oidctest.Fault{Status: 401, Body: "unknown", ContentType: "text/plain"}, oidc.ReasonRevoked, "", nil},
		"token unknown, Ipsilon":  {oidctest.Fault{Status: 400, Body: `{"error":"invalid_token"}`, ContentType: "application/json"}, oidc.ReasonRevoked, "", nil},
		"without openid":          {oidctest.Fault{Status: 403, Body: `{"error":"insufficient_scope"}`, ContentType: "application/json"}, "", "", oidckit.ErrForbidden},
		"outage":                  {oidctest.Fault{Status: 503}, "", "", oidckit.ErrUnavailable},
		"outage with a 403 in it": {oidctest.Fault{Status: 403, Body: `{"error":"server_error"}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"sub is a number":         {oidctest.Fault{Body: `{"sub":7}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"sub twice":               {oidctest.Fault{Body: `{"sub":"a","sub":"a"}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"no JWT":                  {oidctest.Fault{Body: "x", ContentType: "application/jwt"}, "", "", oidckit.ErrUnavailable},
		"not signed":              {oidctest.Fault{Body: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzIn0.AA", ContentType: "application/jwt"}, "", "", oidckit.ErrUnavailable},
		"not found":               {oidctest.Fault{Status: 404}, "", "", oidckit.ErrUnavailable},
		"no content":              {oidctest.Fault{Status: 204}, "", "", oidckit.ErrUnavailable},
		"created":                 {oidctest.Fault{Status: 201, Body: `{"sub":"bob"}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"another 400":             {oidctest.Fault{Status: 400, Body: `{"error":"invalid_request"}`, ContentType: "application/json"}, "", "", oidckit.ErrUnavailable},
		"something in front":      {oidctest.Fault{Body: "<html>", ContentType: "text/html"}, "", "", oidckit.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, v := ipsilonRig(t, oidc.IntrospectionCacheConfig{MaxAge: time.Minute})
			op.SetFault(oidctest.UserInfo, tt.fault)
			_, err := verifyAccess(t.Context(), t, v, op.AccessToken("alice", "", "openid"))
			if tt.class == nil {
				requireRefused(t, err, tt.reason, tt.claim)
				return
			}
			require.ErrorIs(t, err, tt.class)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
		})
	}
	// Without a fault: oidctest gives no userinfo without the scope.
	op, v := ipsilonRig(t, oidc.IntrospectionCacheConfig{})
	_, err := verifyAccess(t.Context(), t, v, op.AccessToken("alice", "", "pagure"))
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	var refusal *oidc.ResponseError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusForbidden, refusal.Status)
}

// Answers are kept for MaxAge, outages not at all, and the token is judged each time.
func TestUserInfoVerifier_Cache(t *testing.T) {
	t.Parallel()
	op, v := ipsilonRig(t, oidc.IntrospectionCacheConfig{MaxAge: 10 * time.Second})
	raw := op.AccessToken("alice", "", "openid")
	has := func(group string) bool {
		token, err := verifyAccess(t.Context(), t, v, raw)
		require.NoError(t, err)
		has, err := token.UserInfo.Contains(claims.P("cla"), group)
		require.NoError(t, err)
		return has
	}
	op.SetFault(oidctest.UserInfo, oidctest.Fault{Status: 503})
	_, err := v.Verify(t.Context(), raw)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	op.SetFault(oidctest.UserInfo, oidctest.Fault{})
	asked := op.Requests(oidctest.UserInfo)
	require.True(t, has("packager"), "an outage is not kept")
	op.OnUserInfo(func(info map[string]any) { info["cla"] = []string{"sysadmin"} })
	op.Advance(9 * time.Second)
	require.True(t, has("packager"))
	require.Equal(t, asked+1, op.Requests(oidctest.UserInfo))
	op.Advance(2 * time.Second)
	require.True(t, has("sysadmin"))
	require.Equal(t, asked+2, op.Requests(oidctest.UserInfo))

	op.SetFault(oidctest.Introspection, oidctest.Fault{Body: `{"active":false}`, ContentType: "application/json"})
	_, err = verifyAccess(t.Context(), t, v, raw)
	requireRefused(t, err, oidc.ReasonRevoked, "")
	require.Equal(t, asked+2, op.Requests(oidctest.UserInfo))
}

func TestUserInfoVerifier_AsksOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, v := ipsilonRig(t, oidc.IntrospectionCacheConfig{})
		op.SetFault(oidctest.UserInfo, oidctest.Fault{Delay: time.Second})
		raw := op.AccessToken("alice", "", "openid")
		var wg sync.WaitGroup
		var good atomic.Int32
		for range 50 {
			wg.Go(func() {
				if token, err := v.Verify(t.Context(), raw); err == nil && token.UserInfo.Has(claims.P("cla")) {
					good.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 50, good.Load())
		require.Equal(t, 1, op.Requests(oidctest.UserInfo))
	})
}

// No token leaves but those that the provider itself issued, to whoever holds them.
func TestUserInfoVerifier_KeepsTokensOfOthers(t *testing.T) {
	t.Parallel()
	op, other := newOP(t), newOP(t, func(c *oidctest.Config) { c.Issuer = "https://other.example" })
	client := newClient(t, newProvider(t, op), resourceServer)
	foreign := newUserInfoVerifier(t, client, newVerifier(t, newProvider(t, other)), oidc.IntrospectionCacheConfig{})
	_, err := foreign.Verify(t.Context(), other.AccessToken("alice", api, "openid"))
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, "a mistake of the program")

	own := newUserInfoVerifier(t, client, newVerifier(t, newProvider(t, op)), oidc.IntrospectionCacheConfig{})
	_, err = verifyAccess(t.Context(), t, own, op.AccessToken("alice", "https://elsewhere.example", "openid"))
	requireRefused(t, err, oidc.ReasonAudience, "aud")
	raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"cnf": object{"jkt": jkt1}}))
	var asked int
	_, err = own.VerifyBound(t.Context(), raw, proven(oidc.Confirmation{JWKThumbprint: jkt1}, &asked))
	requireRefused(t, err, oidc.ReasonBinding, "cnf")
	require.Equal(t, 1, asked)
	require.Zero(t, op.Requests(oidctest.UserInfo)+other.Requests(oidctest.UserInfo))
}

func TestUserInfoVerifier_Configuration(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	tokens := newVerifier(t, newProvider(t, op))
	for name, tt := range map[string]struct {
		client *oidc.Client
		cfg    oidc.UserInfoVerifierConfig
	}{
		"no client":   {nil, oidc.UserInfoVerifierConfig{Verifier: tokens}},
		"zero client": {new(oidc.Client), oidc.UserInfoVerifierConfig{Verifier: tokens}},
		"no verifier": {client, oidc.UserInfoVerifierConfig{}},
		"cache":       {client, oidc.UserInfoVerifierConfig{Verifier: tokens, Cache: oidc.IntrospectionCacheConfig{MaxAge: time.Hour}}},
	} {
		v, err := oidc.NewUserInfoVerifier(tt.client, tt.cfg)
		require.Error(t, err, name)
		require.Nil(t, v)
	}
	var none *oidc.UserInfoVerifier
	for _, v := range []*oidc.UserInfoVerifier{none, {}} {
		_, err := v.Verify(t.Context(), op.AccessToken("alice", api))
		require.Error(t, err)
	}
}
