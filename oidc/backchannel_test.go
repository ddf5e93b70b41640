package oidc_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func backchannelAnswer(changes object) reply {
	return reply{body: with(object{"auth_req_id": marker + "-request", "expires_in": 120}, changes)}
}

var loginHint = oidc.BackchannelRequest{LoginHint: marker + "@example.com"}

func TestBackchannelAuthentication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tokens func() reply
		d := newDeviceTest(t, backchannelAnswer(object{"interval": 3}), laterTokens(&tokens, refusal("authorization_pending"), refusal("slow_down"), reply{status: 503}))
		tokens = tokenAnswer(d.op, nil)
		b, err := d.client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{
			LoginHint: marker + "@example.com", BindingMessage: "W4SCT", UserCode: marker + "-1234", ACRValues: []string{"gold", "silver"}, RequestedExpiry: 90 * time.Second,
		}, oidc.WithScopes("openid", "email"))
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, b.Interval)
		require.Equal(t, 120*time.Second, time.Until(b.Expires))
		_, bodies, _ := d.s.sent("/bc")
		form := formOf(t, bodies[0])
		for name, want := range map[string]string{
			"login_hint": marker + "@example.com", "binding_message": "W4SCT", "user_code": marker + "-1234", "acr_values": "gold silver",
			"requested_expiry": "90", "scope": "openid email", "client_notification_token": "", "id_token_hint": "",
		} {
			require.Equal(t, want, form.Get(name), name)
		}
		began := time.Now()
		got, err := d.client.BackchannelTokens(t.Context(), b)
		require.NoError(t, err)
		require.Equal(t, marker+"-alice", got.IDToken.Subject)
		require.Equal(t, []float64{3, 3, 8, 16}, d.pauses(began))
		_, bodies, _ = d.s.sent(tokenPath)
		form = formOf(t, bodies[0])
		require.Equal(t, "urn:openid:params:grant-type:ciba", form.Get("grant_type"))
		require.Equal(t, marker+"-request", form.Get("auth_req_id"))

		printsNothing(t, b, *b, struct {
			B oidc.BackchannelAuthentication
		}{*b})
		inside := struct {
			b oidc.BackchannelAuthentication
		}{*b}
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", inside, inside, inside, inside), marker)
		require.NotContains(t, fmt.Sprintf("%+v %#v", d.client, d.client), marker)
	})
}

func TestBackchannelAuthentication_WrongRequests(t *testing.T) {
	t.Parallel()
	d := newDeviceTest(t, backchannelAnswer(nil), nil)
	for name, tt := range map[string]struct {
		r oidc.BackchannelRequest
		o []oidc.Option
	}{
		"no hint":           {},
		"two hints":         {r: oidc.BackchannelRequest{LoginHint: "a", LoginHintToken: "b"}},
		"ID token unread":   {r: oidc.BackchannelRequest{IDTokenHint: &oidc.IDToken{}}},
		"hint and ID token": {r: oidc.BackchannelRequest{LoginHint: "a", IDTokenHint: &oidc.IDToken{}}, o: []oidc.Option{oidc.WithLoginHint("c")}},
		"hint as option":    {r: oidc.BackchannelRequest{LoginHintToken: "a"}, o: []oidc.Option{oidc.WithLoginHint("b")}},
		"token as option":   {r: loginHint, o: []oidc.Option{oidc.WithParameter("client_notification_token", "guess")}},
		"scope":             {r: loginHint, o: []oidc.Option{oidc.WithScopes("email")}},
		"expiry":            {r: oidc.BackchannelRequest{LoginHint: "a", RequestedExpiry: time.Millisecond}},
		"negative expiry":   {r: oidc.BackchannelRequest{LoginHint: "a", RequestedExpiry: -time.Second}},
	} {
		_, err := d.client.BackchannelAuthentication(t.Context(), tt.r, tt.o...)
		require.Error(t, err, name)
		tellsNothing(t, err)
	}
	requests, _, _ := d.s.sent("/bc")
	require.Empty(t, requests)
	_, err := d.client.BackchannelTokens(t.Context(), &oidc.BackchannelAuthentication{})
	require.Error(t, err)
}

func TestBackchannelAuthentication_AnswersAndOutages(t *testing.T) {
	t.Parallel()
	replies := outageReplies()
	replies["no id"] = backchannelAnswer(object{"auth_req_id": nil})
	replies["id is a number"] = backchannelAnswer(object{"auth_req_id": 1})
	replies["no end"] = backchannelAnswer(object{"expires_in": nil})
	for name, r := range replies {
		_, err := newDeviceTest(t, r, nil).client.BackchannelAuthentication(t.Context(), loginHint)
		require.Error(t, err, name)
		requireUnavailable(t, err)
	}
	for _, code := range []string{"unknown_user_id", "invalid_binding_message", "access_denied"} {
		_, err := newDeviceTest(t, refusal(code), nil).client.BackchannelAuthentication(t.Context(), loginHint)
		var re *oidc.ResponseError
		require.ErrorAs(t, err, &re)
		require.Equal(t, code, re.Code)
		require.Equal(t, code == "access_denied", re.Is(oidckit.ErrForbidden))
		tellsNothing(t, err)
	}
	op := newOP(t)
	_, err := newClient(t, newProvider(t, op, withMetadata(metadataOf(op)))).BackchannelAuthentication(t.Context(), loginHint)
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := newDeviceTest(t, reply{hang: true}, nil).client.BackchannelAuthentication(t.Context(), loginHint)
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

func TestBackchannelTokens_Ends(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{"expired_token": oidc.ErrRequestExpired, "access_denied": oidckit.ErrForbidden, "authorization_pending": oidc.ErrRequestExpired} {
		synctest.Test(t, func(t *testing.T) {
			d := newDeviceTest(t, backchannelAnswer(nil), always(refusal(code)))
			b, err := d.client.BackchannelAuthentication(t.Context(), loginHint)
			require.NoError(t, err)
			_, err = d.client.BackchannelTokens(t.Context(), b)
			require.ErrorIs(t, err, want)
			require.False(t, time.Now().After(b.Expires))
		})
	}
}

// Whoever was asked for by an ID token is who comes.
func TestBackchannelTokens_AreOfThePersonThatWasAsked(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{marker + "-alice", marker + "-bob"} {
		synctest.Test(t, func(t *testing.T) {
			var tokens func() reply
			d := newDeviceTest(t, backchannelAnswer(nil), laterTokens(&tokens))
			raw := d.op.Sign(nil, object{
				"iss": issuer, "sub": marker + "-alice", "aud": oidctest.ClientID, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60,
			})
			hint, err := d.client.VerifyIDToken(t.Context(), raw, "")
			require.NoError(t, err)
			tokens = tokenAnswer(d.op, object{"sub": subject})
			b, err := d.client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{IDTokenHint: hint})
			require.NoError(t, err)
			_, bodies, _ := d.s.sent("/bc")
			require.Equal(t, raw, formOf(t, bodies[0]).Get("id_token_hint"))
			_, err = d.client.BackchannelTokens(t.Context(), b)
			if subject == hint.Subject {
				require.NoError(t, err)
				return
			}
			requireRefused(t, err, oidc.ReasonSubject, "sub")
		})
	}
}

// A pingTest is a request that the provider tells about.
type pingTest struct {
	deviceTest
	b     *oidc.BackchannelAuthentication
	token string // that the provider was given
}

func newPingTest(t *testing.T, token func(*http.Request, string) reply) pingTest {
	t.Helper()
	d := newDeviceTest(t, backchannelAnswer(object{"interval": 50}), token)
	ping := loginHint
	ping.Ping = true
	b, err := d.client.BackchannelAuthentication(t.Context(), ping)
	require.NoError(t, err)
	_, bodies, _ := d.s.sent("/bc")
	given := formOf(t, bodies[0]).Get("client_notification_token")
	require.GreaterOrEqual(t, len(given), 43, "256 bits")
	return pingTest{d, b, given}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

const pingBody = `{"auth_req_id":"` + marker + `-request"}`

// A ping has the tokens fetched at once, whether it comes while they are waited for or
// before; and polling goes on without one.
func TestBackchannelPing(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Duration{"while waiting": 7 * time.Second, "before": 0, "never": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tokens func() reply
				p := newPingTest(t, laterTokens(&tokens))
				tokens = tokenAnswer(p.op, nil)
				began := time.Now()
				want := at
				switch {
				case at > 0:
					time.AfterFunc(at, func() { _ = p.client.BackchannelPing(bearer(p.token), []byte(pingBody)) })
				case at == 0:
					require.NoError(t, p.client.BackchannelPing(bearer(p.token), []byte(pingBody)))
					require.NoError(t, p.client.BackchannelPing(bearer(p.token), []byte(pingBody)), "twice")
				default:
					want = 50 * time.Second
				}
				_, err := p.client.BackchannelTokens(t.Context(), p.b)
				require.NoError(t, err)
				require.Equal(t, []float64{want.Seconds()}, p.pauses(began))
				// Nobody waits for it any more.
				require.ErrorIs(t, p.client.BackchannelPing(bearer(p.token), []byte(pingBody)), oidc.ErrUnknownPing)
			})
		})
	}
}

// A ping that does not prove to be of the provider does nothing.
// F45: a ping that is sent again and again does not set the pace of polling.
func TestF45_BackchannelPingCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPingTest(t, always(refusal("authorization_pending")))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(time.Second)
				_ = p.client.BackchannelPing(bearer(p.token), []byte(pingBody))
			}
		})
		_, err := p.client.BackchannelTokens(ctx, p.b)
		wg.Wait()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []float64{1, 50, 50}, p.pauses(began))
	})
}

func TestBackchannelPing_Refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPingTest(t, always(refusal("authorization_pending")))
		for name, tt := range map[string]struct {
			header http.Header
			body   string
		}{
			"no token":        {http.Header{}, pingBody},
			"empty token":     {bearer(""), pingBody},
			"another token":   {bearer(p.token[1:] + "A"), pingBody},
			"longer":          {bearer(p.token + "A"), pingBody},
			"another scheme":  {http.Header{"Authorization": {"Basic " + p.token}}, pingBody},
			"two headers":     {http.Header{"Authorization": {"Bearer " + p.token, "Bearer x"}}, pingBody},
			"another request": {bearer(p.token), `{"auth_req_id":"other"}`},
			"no request":      {bearer(p.token), `{}`},
			"two requests":    {bearer(p.token), `{"auth_req_id":"other","auth_req_id":"` + marker + `-request"}`},
			"no JSON":         {bearer(p.token), marker},
			"a form":          {bearer(p.token), "auth_req_id=" + marker + "-request"},
		} {
			err := p.client.BackchannelPing(tt.header, []byte(tt.body))
			require.ErrorIs(t, err, oidc.ErrUnknownPing, name)
			tellsNothing(t, err, p.token)
		}
		require.ErrorIs(t, newClient(t, p.client.Provider()).BackchannelPing(bearer(p.token), []byte(pingBody)), oidc.ErrUnknownPing, "another client")
		require.NotContains(t, fmt.Sprintf("%#v", p.client), p.token)
		time.Sleep(121 * time.Second) // of the bubble
		require.ErrorIs(t, p.client.BackchannelPing(bearer(p.token), []byte(pingBody)), oidc.ErrUnknownPing, "expired")
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPingTest(t, always(refusal("authorization_pending")))
		require.NoError(t, p.client.BackchannelPing(http.Header{"Authorization": {"bearer  " + p.token}}, []byte(pingBody)))
	})
}

func TestBackchannelPing_ModeMustBeOffered(t *testing.T) {
	t.Parallel()
	ping := loginHint
	ping.Ping = true
	for modes, good := range map[string]bool{"": true, "poll,ping": true, "poll": false, "push": false} {
		s := &standIn{replies: map[string]func(*http.Request, string) reply{"/bc": always(backchannelAnswer(nil))}}
		client := newClient(t, s.in(t, newOP(t), func(m *discovery.Metadata) {
			if modes != "" {
				m.BackchannelTokenDeliveryModesSupported = strings.Split(modes, ",")
			}
		}))
		_, err := client.BackchannelAuthentication(t.Context(), ping)
		require.Equal(t, good, err == nil, modes)
	}
}

// The whole of it against a provider: polled for, and pinged.
func TestBackchannel_WithAProvider(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]time.Duration{"poll": 10 * time.Second, "ping": 7 * time.Second} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var client *oidc.Client
				// What the client's notification endpoint would do.
				notified := func(req *http.Request, body string) reply {
					if client.BackchannelPing(req.Header, []byte(body)) != nil {
						return reply{status: 401}
					}
					return reply{status: 204}
				}
				op := newOP(t, ownClock, func(c *oidctest.Config) {
					c.Clients[0].BackchannelTokenDeliveryMode, c.Clients[0].BackchannelNotificationEndpoint = mode, "https://client.example/ping"
					c.HTTPClient = &http.Client{Transport: &standIn{replies: map[string]func(*http.Request, string) reply{"/ping": notified}}}
				})
				client = newClient(t, newProvider(t, op), resourceServer)
				b, err := client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{LoginHint: "alice", Ping: mode == "ping", BindingMessage: "W4SCT"})
				require.NoError(t, err)
				pending := op.PendingBackchannel()
				require.Len(t, pending, 1)
				approved := make(chan error, 1)
				time.AfterFunc(7*time.Second, func() { approved <- op.ApproveBackchannel(context.Background(), pending[0]) })
				began := time.Now()
				tokens, err := client.BackchannelTokens(t.Context(), b)
				require.NoError(t, err)
				require.NoError(t, <-approved)
				require.Equal(t, want, time.Since(began))
				require.Equal(t, marker+"-alice", tokens.IDToken.Subject)

				b, err = client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{IDTokenHint: tokens.IDToken, Ping: mode == "ping"})
				require.NoError(t, err)
				require.NoError(t, op.DenyBackchannel(t.Context(), op.PendingBackchannel()[0]))
				_, err = client.BackchannelTokens(t.Context(), b)
				require.ErrorIs(t, err, oidckit.ErrForbidden)
			})
		})
	}
}
