package oidc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const otherRedirectURL = "http://127.0.0.1:8080/callback"

// F02: a connection may have a redirect URL of its own. The provider gets the same bytes with
// the code, whatever the client is configured with when the browser comes back.
func TestF02_RedirectURLOfOneLogin(t *testing.T) {
	t.Parallel()
	for name, configured := range map[string]string{"none configured": "", "another one configured": redirectURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r, recorded := record(op)
			client := newClient(t, newProvider(t, op, recorded), func(c *oidc.ClientConfig) { c.RedirectURL = configured })
			flow, callback := authorize(t, op, client, oidc.WithRedirectURL(otherRedirectURL))
			require.Equal(t, []string{otherRedirectURL}, queryOf(t, flow.AuthorizationURL)["redirect_uri"])

			kept, err := flow.MarshalBinary()
			require.NoError(t, err)
			restored := new(oidc.Flow)
			require.NoError(t, restored.UnmarshalBinary(kept))
			_, err = finish(t, client, restored, callback)
			require.NoError(t, err)
			_, forms := r.sent(oidctest.Token)
			require.Len(t, forms, 1)
			require.Equal(t, []string{otherRedirectURL}, forms[0]["redirect_uri"])
		})
	}
}

// A flow with the configured redirect URL belongs to a client that has it.
func TestF02_RedirectURLOfTheConfigurationMustNotChange(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	for _, other := range []string{"", otherRedirectURL} {
		_, err := finish(t, newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.RedirectURL = other }), flow, callback)
		requireCallback(t, err, "state")
	}
	require.Zero(t, op.Requests(oidctest.Token))
	_, err := finish(t, client, flow, callback)
	require.NoError(t, err)
}

// F41: the mode that is asked for is one of two, in a pushed request too.
func TestF41_ResponseModeOfOneLogin(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"form_post", "query"} {
		op, client := setup(t)
		flow, callback := authorize(t, op, client, oidc.WithResponseMode(mode))
		require.Equal(t, []string{mode}, queryOf(t, flow.AuthorizationURL)["response_mode"])
		_, err := finish(t, client, flow, callback)
		require.NoError(t, err)

		op = newOP(t)
		r, recorded := record(op)
		client = newClient(t, newProvider(t, op, recorded), func(c *oidc.ClientConfig) { c.PushedAuthorizationRequests = true })
		flow, err = client.Begin(t.Context(), oidc.WithResponseMode(mode), oidc.WithRedirectURL(otherRedirectURL))
		require.NoError(t, err)
		require.False(t, queryOf(t, flow.AuthorizationURL).Has("response_mode"))
		_, forms := r.sent(oidctest.PushedAuthorization)
		require.Len(t, forms, 1)
		require.Equal(t, []string{mode}, forms[0]["response_mode"])
		require.Equal(t, []string{otherRedirectURL}, forms[0]["redirect_uri"])
	}
}

func TestBegin_OptionsOfTheWayBack(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	for name, options := range map[string][]oidc.Option{
		"plain http":         {oidc.WithRedirectURL("http://client.example/callback")},
		"fragment":           {oidc.WithRedirectURL(otherRedirectURL + "#")},
		"user":               {oidc.WithRedirectURL("https://user@client.example/callback")},
		"relative":           {oidc.WithRedirectURL("/callback")},
		"empty":              {oidc.WithRedirectURL("")},
		"redirect URL twice": {oidc.WithRedirectURL(otherRedirectURL), oidc.WithRedirectURL(otherRedirectURL)},
		"fragment mode":      {oidc.WithResponseMode("fragment")},
		"web_message":        {oidc.WithResponseMode("web_message")},
		"no mode":            {oidc.WithResponseMode("")},
		"mode twice":         {oidc.WithResponseMode("query"), oidc.WithResponseMode("query")},
		"as a parameter too": {oidc.WithResponseMode("query"), oidc.WithParameter("response_mode", "query")},
	} {
		_, err := client.Begin(t.Context(), options...)
		require.Error(t, err, name)
	}
	require.Zero(t, op.Requests(oidctest.Discovery))
	_, err := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.RedirectURL = "" }).Begin(t.Context())
	require.Error(t, err, "no redirect URL at all")
}

// How the browser comes back is of calls that send one away.
func TestOptionsOfTheWayBackBelongToBegin(t *testing.T) {
	t.Parallel()
	op, client, tokens := setupOffline(t)
	sent := op.Requests(oidctest.Token)
	for _, o := range []oidc.Option{oidc.WithRedirectURL(otherRedirectURL), oidc.WithResponseMode("query")} {
		_, err := client.DeviceAuthorization(t.Context(), o)
		require.Error(t, err)
		_, err = client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{LoginHint: "alice"}, o)
		require.Error(t, err)
		_, err = client.Refresh(t.Context(), tokens, o)
		require.Error(t, err)
		_, err = client.ClientCredentials(t.Context(), o)
		require.Error(t, err)
		require.Error(t, client.Revoke(t.Context(), "a", "", o))
	}
	require.Equal(t, sent, op.Requests(oidctest.Token))
	require.Zero(t, op.Requests(oidctest.DeviceAuthorization)+op.Requests(oidctest.BackchannelAuthentication)+op.Requests(oidctest.Revocation))
}
