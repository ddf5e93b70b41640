package oidc_test

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func pushing(c *oidc.ClientConfig) { c.PushedAuthorizationRequests = true }

func queryOf(t testing.TB, raw string) url.Values {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	q, err := url.ParseQuery(u.RawQuery)
	require.NoError(t, err)
	return q
}

// F38: the browser carries nothing but the name of the request, whoever demands that it is
// pushed; what is pushed is the whole request, once, with the client's authentication.
func TestF38_OnlyTheRequestURIGoesThroughTheBrowser(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		op     func(*oidctest.Config)
		client func(*oidc.ClientConfig)
		pushed bool
	}{
		"asked for":   {func(*oidctest.Config) {}, pushing, true},
		"by metadata": {func(c *oidctest.Config) { c.RequirePushedAuthorizationRequests = true }, func(*oidc.ClientConfig) {}, true},
		"not":         {func(*oidctest.Config) {}, func(*oidc.ClientConfig) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, tt.op)
			r, via := record(op)
			client := newClient(t, newProvider(t, op, via), tt.client, func(c *oidc.ClientConfig) {
				c.AdditionalParameters = url.Values{"ui_locales": {"de"}}
			})
			flow, callback := authorize(t, op, client, oidc.WithLoginHint("alice"), oidc.WithResource(api), oidc.WithResource("https://other.example"))
			requests, forms := r.sent(oidctest.PushedAuthorization)
			if !tt.pushed {
				require.Empty(t, requests)
				require.True(t, flow.AuthorizationURLExpires.IsZero())
				require.Equal(t, "code", queryOf(t, flow.AuthorizationURL).Get("response_type"))
				return
			}
			q := queryOf(t, flow.AuthorizationURL)
			require.Len(t, q, 2)
			require.Equal(t, []string{oidctest.ClientID}, q["client_id"])
			require.True(t, strings.HasPrefix(q.Get("request_uri"), "urn:ietf:params:oauth:request_uri:"))
			require.True(t, flow.AuthorizationURLExpires.Equal(start.Add(time.Minute)))

			require.Len(t, requests, 1)
			require.Equal(t, http.MethodPost, requests[0].Method)
			_, password, _ := requests[0].BasicAuth()
			require.Equal(t, secret, password)
			form := forms[0]
			require.Len(t, form.Get("code_challenge"), 43)
			form.Del("code_challenge")
			require.Equal(t, url.Values{
				"response_type": {"code"}, "client_id": {oidctest.ClientID}, "redirect_uri": {redirectURL}, "scope": {"openid profile email"},
				"state": {flow.State()}, "nonce": {secretsOf(t, flow)[1]}, "code_challenge_method": {"S256"}, "ui_locales": {"de"},
				"login_hint": {"alice"}, "resource": {api, "https://other.example"},
			}, form)
			_, err := finish(t, client, flow, callback)
			require.NoError(t, err)
		})
	}
}

// F38: what cannot be pushed goes no other way.
func TestF38_NeverDowngraded(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, fault oidctest.Fault, change func(*oidctest.Provider)) (*oidctest.Provider, error) {
		t.Helper()
		op := newOP(t)
		client := newClient(t, newProvider(t, op), pushing)
		op.SetFault(oidctest.PushedAuthorization, fault)
		change(op)
		flow, err := client.Begin(t.Context())
		require.Nil(t, flow)
		require.Error(t, err)
		tellsNothing(t, err)
		return op, err
	}
	none := func(*oidctest.Provider) {}
	for name, fault := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, err := begin(t, fault, none)
			requireUnavailable(t, err)
			require.Equal(t, 1, op.Requests(oidctest.PushedAuthorization))
		})
	}
	for name, status := range map[string]int{"refused": 400, "the client is refused": 401} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, err := begin(t, oidctest.Fault{Status: status, Body: `{"error":"invalid_request","error_description":"` + marker + `"}`}, none)
			var re *oidc.ResponseError
			require.ErrorAs(t, err, &re)
			require.Equal(t, "invalid_request", re.Code)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
			require.Equal(t, 1, op.Requests(oidctest.PushedAuthorization))
		})
	}
	change := func(name string, value any) func(*oidctest.Provider) {
		return func(op *oidctest.Provider) {
			op.OnAnswer(oidctest.PushedAuthorization, func(answer map[string]any) {
				if answer[name] = value; value == nil {
					delete(answer, name)
				}
			})
		}
	}
	for name, spoil := range map[string]func(*oidctest.Provider){
		"no request_uri": change("request_uri", nil), "empty": change("request_uri", ""), "a list": change("request_uri", []string{"urn:a"}),
		"no URI": change("request_uri", "a-name"), "with a space": change("request_uri", "urn:a b"), "with a line break": change("request_uri", "urn:a\r\nb"),
		"not ASCII": change("request_uri", "urn:é"), "too long": change("request_uri", "urn:"+strings.Repeat("x", 2045)),
		"no expires_in": change("expires_in", nil), "zero": change("expires_in", 0), "negative": change("expires_in", -1),
		"a word": change("expires_in", "soon"), "null": change("expires_in", null),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := begin(t, oidctest.Fault{}, spoil)
			requireUnavailable(t, err)
		})
	}
	for _, name := range []string{"asked for", "by metadata"} {
		t.Run("no endpoint, "+name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			m := metadataOf(op)
			m.RequirePushedAuthorizationRequests = name == "by metadata"
			client := newClient(t, newProvider(t, op, withMetadata(m)), func(c *oidc.ClientConfig) {
				c.PushedAuthorizationRequests = !m.RequirePushedAuthorizationRequests
			})
			flow, err := client.Begin(t.Context())
			require.Nil(t, flow)
			require.ErrorIs(t, err, oidc.ErrNoEndpoint)
		})
	}
}

// F38: what the provider says of the request's life is what the flow says, counted from
// before it was asked; a longest one overflows nothing.
func TestF38_ExpiresIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expiresIn any
		life      time.Duration
	}{
		"short": {5, 5 * time.Second}, "a text": {"90", 90 * time.Second}, "a fraction": {1.5, 1500 * time.Millisecond},
		"for ever": {json.Number("1e300"), 10 * 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			client := newClient(t, newProvider(t, op), pushing)
			op.OnAnswer(oidctest.PushedAuthorization, func(answer map[string]any) {
				answer["expires_in"] = tt.expiresIn
				op.Advance(time.Second)
			})
			flow, err := client.Begin(t.Context())
			require.NoError(t, err)
			require.True(t, flow.AuthorizationURLExpires.Equal(start.Add(tt.life)))
			// The login may last longer than the URL.
			data, err := flow.MarshalBinary()
			require.NoError(t, err)
			var members struct {
				E time.Time `json:"e"`
			}
			require.NoError(t, json.Unmarshal(data, &members))
			require.True(t, members.E.Equal(start.Add(oidc.FlowLifetime)))
		})
	}
}

// A 200 in place of 201 is no refusal.
func TestPushedAuthorization_Status(t *testing.T) {
	t.Parallel()
	for status, good := range map[int]bool{200: true, 201: true, 202: false, 204: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			op.SetFault(oidctest.PushedAuthorization, oidctest.Fault{Status: status, Body: `{"request_uri":"urn:a:b","expires_in":60}`, ContentType: "application/json"})
			flow, err := newClient(t, newProvider(t, op), pushing).Begin(t.Context())
			require.Equal(t, good, err == nil, "%v", err)
			if good {
				require.Equal(t, url.Values{"client_id": {oidctest.ClientID}, "request_uri": {"urn:a:b"}}, queryOf(t, flow.AuthorizationURL))
			}
		})
	}
}

func TestPushedAuthorization_Hangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOP(t)
		client := newClient(t, newProvider(t, op), pushing)
		op.SetFault(oidctest.PushedAuthorization, oidctest.Fault{Hang: true})
		began := time.Now()
		_, err := client.Begin(t.Context())
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// P14: the code is bound to the key of DPoP, pushed or not, and the token to it.
func TestP14_CodeIsBoundToTheKey(t *testing.T) {
	t.Parallel()
	for name, push := range map[string]func(*oidc.ClientConfig){"pushed": pushing, "not pushed": func(*oidc.ClientConfig) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, func(c *oidctest.Config) { c.RequireDPoP, c.RequireDPoPNonce = true, true })
			r, via := record(op)
			provider := newProvider(t, op, via)
			clock := func(c *oidc.DPoPConfig) { c.Now = op.Now }
			key, another := newDPoP(t, ecKey(t, elliptic.P256()), clock), newDPoP(t, ecKey(t, elliptic.P256()), clock)
			with := func(d *oidc.DPoP) *oidc.Client {
				return newClient(t, provider, push, func(c *oidc.ClientConfig) { c.DPoP = d })
			}
			client := with(key)
			flow, callback := authorize(t, op, client)
			sent := queryOf(t, flow.AuthorizationURL)
			if _, forms := r.sent(oidctest.PushedAuthorization); name == "pushed" {
				require.Len(t, forms, 2, "once more with the nonce")
				sent = forms[1]
			}
			require.Equal(t, []string{key.Thumbprint()}, sent["dpop_jkt"])
			tokens, err := finish(t, client, flow, callback)
			require.NoError(t, err)
			require.Equal(t, "DPoP", tokens.OAuth2.TokenType)

			flow, callback = authorize(t, op, client)
			_, err = finish(t, with(another), flow, callback)
			require.Error(t, err)
			_, err = client.Begin(t.Context(), oidc.WithParameter("dpop_jkt", another.Thumbprint()))
			require.Error(t, err)
		})
	}
	// A client that proves nothing says nothing.
	op, client := setup(t)
	flow, _ := authorize(t, op, client)
	require.False(t, queryOf(t, flow.AuthorizationURL).Has("dpop_jkt"))
}
