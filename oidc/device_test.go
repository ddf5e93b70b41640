package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const tokenPath = string(oidctest.Token)

// ownClock is for tests with faked time.
func ownClock(c *oidctest.Config) { c.Now = nil }

func deviceAnswer(changes object) reply {
	return reply{body: with(object{
		"device_code": marker + "-device-code", "user_code": marker + "-WDJB-MJHT", "verification_uri": "https://id.example/device",
		"verification_uri_complete": "https://id.example/device?user_code=WDJB-MJHT", "expires_in": 600,
	}, changes)}
}

// tokenAnswer is the answer of the token endpoint when somebody has approved. The ID token is
// of now.
func tokenAnswer(op *oidctest.Provider, claims object) func() reply {
	return func() reply {
		sum := sha256.Sum256([]byte(marker + "-access"))
		now := op.Now().Unix()
		return reply{body: object{
			"access_token": marker + "-access", "token_type": "Bearer", "expires_in": 300, "scope": "openid",
			"id_token": op.Sign(nil, with(object{
				"iss": op.Issuer(), "sub": marker + "-alice", "aud": oidctest.ClientID, "iat": now, "exp": now + 300,
				"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
			}, claims)),
		}}
	}
}

// A deviceTest is a device that waits for what the replies of the token endpoint say.
type deviceTest struct {
	op     *oidctest.Provider
	s      *standIn
	client *oidc.Client
}

func newDeviceTest(t testing.TB, device reply, token func(*http.Request, string) reply, configure ...func(*oidc.ClientConfig)) deviceTest {
	t.Helper()
	op := newOP(t, ownClock)
	s := &standIn{replies: map[string]func(*http.Request, string) reply{"/device": always(device), "/bc": always(device), tokenPath: token}}
	return deviceTest{op, s, newClient(t, s.in(t, op), append(configure, resourceServer)...)}
}

// laterTokens gives the replies in turn, and then the tokens.
func laterTokens(tokens *func() reply, replies ...reply) func(*http.Request, string) reply {
	next := inTurn(append(replies, reply{status: 999})...)
	return func(req *http.Request, body string) reply {
		if r := next(req, body); r.status != 999 {
			return r
		}
		return (*tokens)()
	}
}

// pauses returns the seconds between the requests for tokens, from the beginning on.
func (d deviceTest) pauses(began time.Time) (seconds []float64) {
	_, _, times := d.s.sent(tokenPath)
	for _, at := range times {
		seconds, began = append(seconds, at.Sub(began).Seconds()), at
	}
	return seconds
}

func TestDeviceAuthorization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tokens func() reply
		d := newDeviceTest(t, deviceAnswer(nil), laterTokens(&tokens, refusal("authorization_pending"), refusal("authorization_pending")))
		tokens = tokenAnswer(d.op, nil)
		a, err := d.client.DeviceAuthorization(t.Context(), oidc.WithParameter("x", "y"))
		require.NoError(t, err)
		require.Equal(t, marker+"-WDJB-MJHT", a.UserCode)
		require.Equal(t, "https://id.example/device", a.VerificationURI)
		require.Equal(t, "https://id.example/device?user_code=WDJB-MJHT", a.VerificationURIComplete)
		require.Equal(t, 5*time.Second, a.Interval)
		require.Equal(t, 600*time.Second, time.Until(a.Expires))

		_, bodies, _ := d.s.sent("/device")
		form := formOf(t, bodies[0])
		require.Equal(t, "openid profile email", form.Get("scope"))
		require.Equal(t, "y", form.Get("x"))

		began := time.Now()
		got, err := d.client.DeviceTokens(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, marker+"-access", got.OAuth2.AccessToken)
		require.Equal(t, marker+"-alice", got.IDToken.Subject)
		require.Equal(t, []float64{5, 5, 5}, d.pauses(began))
		requests, bodies, _ := d.s.sent(tokenPath)
		form = formOf(t, bodies[2])
		require.Equal(t, "urn:ietf:params:oauth:grant-type:device_code", form.Get("grant_type"))
		require.Equal(t, marker+"-device-code", form.Get("device_code"))
		user, _, ok := requests[0].BasicAuth()
		require.True(t, ok)
		require.Equal(t, oidctest.ClientID, user)
	})
}

// F45: the interval of the provider is kept, and slow_down adds five seconds for good.
func TestF45_IntervalAndSlowDown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		interval any
		replies  []reply
		want     []float64
	}{
		"default":     {nil, []reply{refusal("authorization_pending")}, []float64{5, 5}},
		"named":       {7, []reply{refusal("authorization_pending")}, []float64{7, 7}},
		"as text":     {"7", nil, []float64{7}},
		"null":        {null, nil, []float64{5}},
		"zero":        {0, []reply{refusal("authorization_pending")}, []float64{1, 1}},
		"negative":    {-9, nil, []float64{5}},
		"no number":   {"soon", nil, []float64{5}},
		"slow_down":   {2, []reply{refusal("slow_down"), refusal("authorization_pending"), refusal("slow_down")}, []float64{2, 7, 7, 12}},
		"Retry-After": {5, []reply{{status: 429, header: http.Header{"Retry-After": {"100"}}}}, []float64{5, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tokens func() reply
				d := newDeviceTest(t, deviceAnswer(object{"interval": tt.interval}), laterTokens(&tokens, tt.replies...))
				tokens = tokenAnswer(d.op, nil)
				a, err := d.client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				began := time.Now()
				_, err = d.client.DeviceTokens(t.Context(), a)
				require.NoError(t, err)
				require.Equal(t, tt.want, d.pauses(began))
			})
		})
	}
}

// F45: an outage ends nothing, and slows down: RFC 8628 section 3.5.
func TestF45_OutagesSlowDown(t *testing.T) {
	t.Parallel()
	for name, outage := range outageReplies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tokens func() reply
				d := newDeviceTest(t, deviceAnswer(nil), laterTokens(&tokens, outage, outage, refusal("authorization_pending")))
				tokens = tokenAnswer(d.op, nil)
				a, err := d.client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				began := time.Now()
				_, err = d.client.DeviceTokens(t.Context(), a)
				require.NoError(t, err)
				require.Equal(t, []float64{5, 10, 15, 5}, d.pauses(began))
			})
		})
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := newDeviceTest(t, deviceAnswer(nil), always(reply{hang: true}))
			a, err := d.client.DeviceAuthorization(t.Context())
			require.NoError(t, err)
			began := time.Now()
			_, err = d.client.DeviceTokens(t.Context(), a)
			require.ErrorIs(t, err, oidc.ErrRequestExpired)
			requireUnavailable(t, err)
			require.LessOrEqual(t, time.Since(began), 600*time.Second)
			longest := 0.0
			for _, s := range d.pauses(began) {
				longest = max(longest, s)
			}
			require.Equal(t, 75.0, longest, "a minute, the interval, and the ten seconds of the request")
		})
	})
}

// F45: there is an end, whoever brings it.
func TestF45_Ends(t *testing.T) {
	t.Parallel()
	pending := refusal("authorization_pending")
	t.Run("expired here", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := newDeviceTest(t, deviceAnswer(object{"expires_in": 12}), always(pending))
			a, err := d.client.DeviceAuthorization(t.Context())
			require.NoError(t, err)
			began := time.Now()
			_, err = d.client.DeviceTokens(t.Context(), a)
			require.ErrorIs(t, err, oidc.ErrRequestExpired)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
			require.Equal(t, []float64{5, 5}, d.pauses(began))
			require.Equal(t, 10*time.Second, time.Since(began), "nothing to wait for")
			_, err = d.client.DeviceTokens(t.Context(), a)
			require.ErrorIs(t, err, oidc.ErrRequestExpired)
		})
	})
	for code, want := range map[string]error{"expired_token": oidc.ErrRequestExpired, "access_denied": oidckit.ErrForbidden} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDeviceTest(t, deviceAnswer(nil), inTurn(pending, refusal(code)))
				a, err := d.client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				_, err = d.client.DeviceTokens(t.Context(), a)
				require.ErrorIs(t, err, want)
				var re *oidc.ResponseError
				require.ErrorAs(t, err, &re)
				require.Equal(t, code, re.Code)
				tellsNothing(t, err)
				requests, _, _ := d.s.sent(tokenPath)
				require.Len(t, requests, 2)
			})
		})
	}
	for _, code := range []string{"invalid_grant", "invalid_client", "unauthorized_client", marker} {
		t.Run("refused "+code[:7], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDeviceTest(t, deviceAnswer(nil), always(refusal(code)))
				a, err := d.client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				_, err = d.client.DeviceTokens(t.Context(), a)
				var re *oidc.ResponseError
				require.ErrorAs(t, err, &re)
				require.NotErrorIs(t, err, oidckit.ErrForbidden)
				requests, _, _ := d.s.sent(tokenPath)
				require.Len(t, requests, 1)
			})
		})
	}
	for name, token := range map[string]reply{"while waiting": pending, "while asking": {hang: true}} {
		t.Run("cancelled "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDeviceTest(t, deviceAnswer(nil), always(token))
				a, err := d.client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				ctx, cancel := context.WithTimeoutCause(t.Context(), 7*time.Second, errors.New("went home"))
				defer cancel()
				began := time.Now()
				_, err = d.client.DeviceTokens(ctx, a)
				require.ErrorIs(t, err, context.Cause(ctx))
				require.NotErrorIs(t, err, oidckit.ErrUnavailable)
				require.Equal(t, 7*time.Second, time.Since(began))
			})
		})
	}
}

// F45: what people are shown is what they can read, and where they are sent is https.
func TestF45_WhatPeopleAreShown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		changes object
		good    bool
	}{
		"right":                 {nil, true},
		"no complete":           {object{"verification_uri_complete": nil}, true},
		"loopback":              {object{"verification_uri": "http://127.0.0.1:8080/device"}, true},
		"Google's name":         {object{"verification_uri": nil, "verification_url": "https://id.example/device"}, true},
		"http":                  {object{"verification_uri": "http://id.example/device"}, false},
		"complete is http":      {object{"verification_uri_complete": "http://id.example/device?a"}, false},
		"complete is a script":  {object{"verification_uri_complete": "javascript:alert(1)"}, false},
		"a script":              {object{"verification_uri": "javascript:alert(1)"}, false},
		"user info":             {object{"verification_uri": "https://id.example@evil.example/"}, false},
		"no URI":                {object{"verification_uri": nil}, false},
		"URI with escapes":      {object{"verification_uri": "https://id.example/\u202edevice"}, false},
		"URI is a list":         {object{"verification_uri": []string{"https://id.example/device"}}, false},
		"no code":               {object{"user_code": nil}, false},
		"code with escapes":     {object{"user_code": "\x1b[2J" + "A"}, false},
		"turned code":           {object{"user_code": "\u202eABC"}, false},
		"no device code":        {object{"device_code": nil}, false},
		"device code is a list": {object{"device_code": []string{"a"}}, false},
		"device code of spaces": {object{"device_code": "a b"}, false},
		"no end":                {object{"expires_in": nil}, false},
		"ended":                 {object{"expires_in": 0}, false},
		"ended before":          {object{"expires_in": -1}, false},
		"two cases":             {object{"USER_CODE": "a"}, false},
	} {
		d := newDeviceTest(t, deviceAnswer(tt.changes), always(refusal("authorization_pending")))
		a, err := d.client.DeviceAuthorization(t.Context())
		require.Equal(t, err == nil, a != nil, name)
		if tt.good {
			require.NoError(t, err, name)
			continue
		}
		require.Error(t, err, name)
		requireUnavailable(t, err)
		require.NotContains(t, fmt.Sprintf("%#v", err), marker)
	}
}

func TestDeviceAuthorization_RefusalsAndOutages(t *testing.T) {
	t.Parallel()
	for name, r := range outageReplies() {
		d := newDeviceTest(t, r, nil)
		_, err := d.client.DeviceAuthorization(t.Context())
		require.Error(t, err, name)
		requireUnavailable(t, err)
	}
	d := newDeviceTest(t, refusal("invalid_scope"), nil)
	_, err := d.client.DeviceAuthorization(t.Context(), oidc.WithScopes("openid", "nothing"))
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "invalid_scope", re.Code)
	require.NotErrorIs(t, err, oidckit.ErrUnavailable)
	tellsNothing(t, err)
	_, bodies, _ := d.s.sent("/device")
	require.Equal(t, "openid nothing", formOf(t, bodies[0]).Get("scope"))

	_, err = newClient(t, newProvider(t, d.op, withMetadata(metadataOf(d.op)))).DeviceAuthorization(t.Context())
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	synctest.Test(t, func(t *testing.T) {
		d := newDeviceTest(t, reply{hang: true}, nil)
		began := time.Now()
		_, err := d.client.DeviceAuthorization(t.Context())
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// The ID token of a device is verified like any other; there was no nonce.
func TestDeviceTokens_AreVerified(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		claims object
		answer object
		scopes []string
		reason oidc.Reason
		claim  string
	}{
		"at_hash":                {claims: object{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, reason: oidc.ReasonAccessTokenHash, claim: "at_hash"},
		"nonce":                  {claims: object{"nonce": "n"}, reason: oidc.ReasonNonce, claim: "nonce"},
		"audience":               {claims: object{"aud": "other"}, reason: oidc.ReasonAudience, claim: "aud"},
		"issuer":                 {claims: object{"iss": "https://evil.example"}, reason: oidc.ReasonIssuer, claim: "iss"},
		"expired":                {claims: object{"exp": 1}, reason: oidc.ReasonExpired, claim: "exp"},
		"no ID token":            {answer: object{"id_token": nil}, reason: oidc.ReasonMalformed},
		"another type":           {answer: object{"token_type": "mac"}, reason: oidc.ReasonMalformed},
		"no access token":        {answer: object{"access_token": nil}, reason: oidc.ReasonMalformed},
		"openid not asked for":   {scopes: []string{"read"}, answer: object{"id_token": nil}},
		"openid all the same":    {scopes: []string{"read"}},
		"bad ID token, unasked":  {scopes: []string{"read"}, claims: object{"aud": "other"}, reason: oidc.ReasonAudience, claim: "aud"},
		"openid among the asked": {scopes: []string{"read", "openid"}, answer: object{"id_token": nil}, reason: oidc.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tokens func() reply
				d := newDeviceTest(t, deviceAnswer(nil), laterTokens(&tokens))
				tokens = func() reply {
					r := tokenAnswer(d.op, tt.claims)()
					return reply{body: with(r.body.(object), tt.answer)}
				}
				var options []oidc.Option
				if tt.scopes != nil {
					options = append(options, oidc.WithScopes(tt.scopes...))
				}
				a, err := d.client.DeviceAuthorization(t.Context(), options...)
				require.NoError(t, err)
				got, err := d.client.DeviceTokens(t.Context(), a)
				require.Equal(t, err == nil, got != nil)
				if tt.reason == "" {
					require.NoError(t, err)
					require.Equal(t, tt.answer == nil, got.IDToken != nil)
					return
				}
				requireRefused(t, err, tt.reason, tt.claim)
				requests, _, _ := d.s.sent(tokenPath)
				require.Len(t, requests, 1)
			})
		})
	}
}

// A request belongs to the client that made it.
func TestDeviceTokens_OfAnotherClient(t *testing.T) {
	t.Parallel()
	d := newDeviceTest(t, deviceAnswer(nil), always(refusal("invalid_grant")))
	a, err := d.client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	other := newClient(t, d.client.Provider(), func(c *oidc.ClientConfig) { c.ClientID = "other" })
	for client, a := range map[*oidc.Client]*oidc.DeviceAuthorization{other: a, d.client: {UserCode: "x", Interval: 1}} {
		_, err = client.DeviceTokens(t.Context(), a)
		require.Error(t, err)
	}
	_, err = d.client.DeviceTokens(t.Context(), nil)
	require.Error(t, err)
	requests, _, _ := d.s.sent(tokenPath)
	require.Empty(t, requests)
}

// A device against a whole provider: it is let in, kept out, or forgotten; with a secret,
// without one, and with a key of its own.
func TestDevice_WithAProvider(t *testing.T) {
	t.Parallel()
	public := func(c *oidctest.Config) {
		c.Clients = []oidctest.Client{{ID: oidctest.ClientID, AuthMethod: "none", RedirectURIs: []string{redirectURL}}}
	}
	for name, tt := range map[string]struct {
		op     func(*oidctest.Config)
		client func(*oidc.ClientConfig)
	}{
		"confidential": {func(*oidctest.Config) {}, func(*oidc.ClientConfig) {}},
		"public":       {public, func(c *oidc.ClientConfig) { c.ClientSecret = "" }},
		"DPoP":         {func(c *oidctest.Config) { c.RequireDPoP, c.RequireDPoPNonce = true, true }, func(c *oidc.ClientConfig) { c.DPoP = newProofs(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				op := newOP(t, ownClock, tt.op)
				client := newClient(t, newProvider(t, op), resourceServer, tt.client)
				a, err := client.DeviceAuthorization(t.Context(), oidc.WithScopes("openid", "offline_access"))
				require.NoError(t, err)
				time.AfterFunc(12*time.Second, func() { _ = op.ApproveDevice(a.UserCode, "alice") })
				began := time.Now()
				tokens, err := client.DeviceTokens(t.Context(), a)
				require.NoError(t, err)
				require.Equal(t, 15*time.Second, time.Since(began))
				require.Equal(t, marker+"-alice", tokens.IDToken.Subject)
				_, err = client.Refresh(t.Context(), tokens)
				require.NoError(t, err)

				a, err = client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				require.NoError(t, op.DenyDevice(a.UserCode))
				_, err = client.DeviceTokens(t.Context(), a)
				require.ErrorIs(t, err, oidckit.ErrForbidden)

				a, err = client.DeviceAuthorization(t.Context())
				require.NoError(t, err)
				_, err = client.DeviceTokens(t.Context(), a)
				require.ErrorIs(t, err, oidc.ErrRequestExpired)
			})
		})
	}
}

// newProofs makes a key to prove possession of.
func newProofs(t testing.TB) *oidc.DPoP {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	d, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: key})
	require.NoError(t, err)
	return d
}

func TestDevice_PrintsNothing(t *testing.T) {
	t.Parallel()
	d := newDeviceTest(t, deviceAnswer(nil), nil)
	a, err := d.client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	printsNothing(t, *a, a, struct{ A oidc.DeviceAuthorization }{*a}, oidc.BackchannelRequest{LoginHint: marker, UserCode: marker})
	// Of what fmt cannot be kept from looking into, the device code at least stays away.
	inside := struct{ a oidc.DeviceAuthorization }{*a}
	require.NotContains(t, fmt.Sprintf("%+v %#v %s", inside, inside, inside), "device-code")
}

// printsNothing asserts that values show no secret, however they are printed.
func printsNothing(t testing.TB, values ...any) {
	t.Helper()
	for _, v := range values {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		text, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q %d %x", v, v, v, v, v, v, v)+log.String()+string(text), marker)
	}
}
