package oidc_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// F45: a device code goes to nobody but the provider that gave it, also if another one knows
// the client by the same name.
func TestF45_CodeOfAnotherProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDeviceTest(t, deviceAnswer(nil), nil)
		a, err := d.client.DeviceAuthorization(t.Context())
		require.NoError(t, err)
		op := newOP(t, ownClock, func(c *oidctest.Config) { c.Issuer = "https://other.example" })
		s := &standIn{replies: map[string]func(*http.Request, string) reply{tokenPath: always(refusal("invalid_grant"))}}
		other := newClient(t, s.in(t, op))
		require.Equal(t, d.client.ClientID(), other.ClientID())
		_, err = other.DeviceTokens(t.Context(), a)
		require.Error(t, err)
		require.NotErrorIs(t, err, oidc.ErrRequestExpired)
		requests, _, _ := s.sent(tokenPath)
		require.Empty(t, requests)
	})
}

// F45: no life of a request overflows.
func TestF45_LongLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tenYears = 10 * 365 * 24 * time.Hour
		for _, seconds := range []string{"1e300", "9223372036854775807", "1e10"} {
			a, err := newDeviceTest(t, deviceAnswer(object{"expires_in": json.Number(seconds)}), nil).client.DeviceAuthorization(t.Context())
			require.NoError(t, err)
			require.Equal(t, tenYears, time.Until(a.Expires), seconds)
			a, err = newDeviceTest(t, deviceAnswer(object{"interval": json.Number(seconds)}), nil).client.DeviceAuthorization(t.Context())
			require.NoError(t, err)
			require.Equal(t, tenYears, a.Interval, seconds)
		}
	})
}

// A hint says whom of which issuer: the same "sub" of another one is somebody else.
func TestBackchannelTokens_AreOfTheIssuerThatWasAskedAbout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOP(t, ownClock)
		s := &standIn{replies: map[string]func(*http.Request, string) reply{
			"/bc": always(backchannelAnswer(nil)), tokenPath: func(*http.Request, string) reply { return tokenAnswer(op, nil)() },
		}}
		s.next = op.HTTPClient().Transport
		client := newClient(t, newProvider(t, op, withMetadata(backchannelMetadata(op)), func(c *oidc.Config) {
			c.HTTPClient, c.IssuerAliases = &http.Client{Transport: s}, []string{"https://id2.example"}
		}), resourceServer)
		for iss, ok := range map[string]bool{issuer: true, "https://id2.example": false} {
			now := time.Now().Unix()
			hint, err := client.VerifyIDToken(t.Context(), op.Sign(nil, object{
				"iss": iss, "sub": marker + "-alice", "aud": oidctest.ClientID, "iat": now, "exp": now + 60,
			}), "")
			require.NoError(t, err)
			b, err := client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{IDTokenHint: hint})
			require.NoError(t, err)
			_, err = client.BackchannelTokens(t.Context(), b)
			if ok {
				require.NoError(t, err)
				continue
			}
			requireRefused(t, err, oidc.ReasonSubject, "sub")
		}
	})
}

func backchannelMetadata(op *oidctest.Provider) discovery.Metadata {
	m := metadataOf(op)
	m.BackchannelAuthenticationEndpoint = issuer + "/bc"
	return m
}

// The memory for pings is bounded; what has expired makes room.
func TestBackchannelPing_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	_, client := setup(t)
	require.Equal(t, oidc.MaxPings, oidc.ExpectPings(client, oidc.MaxPings+10, "a", start.Add(time.Minute), start))
	require.Equal(t, 5, oidc.ExpectPings(client, 5, "b", start.Add(time.Hour), start.Add(time.Minute)))
}
