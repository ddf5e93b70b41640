package interop_test

import (
	"io"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func cibaClient(t *testing.T, op *interop.OP, more interop.Metadata) (*oidc.Client, *observed) {
	t.Helper()
	metadata := interop.Metadata{"grant_types": []string{"authorization_code", cibaGrant}, "backchannel_token_delivery_mode": "poll"}
	maps.Copy(metadata, more)
	return observedClient(t, op, op.Register(t, metadata), oidc.ClientConfig{})
}

// authReqID takes the request's id from the wire: it is for the provider and the client, and the test's person is neither.
func authReqID(t *testing.T, op *interop.OP, answers *observed) string {
	t.Helper()
	id, ok := answers.next(t, op.Issuer+"/backchannel")["auth_req_id"].(string)
	require.True(t, ok)
	return id
}

func TestOPCIBAPoll(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, answers := cibaClient(t, op, nil)
	hint := logIn(t, op, client, "bob").IDToken
	answers.next(t, op.Issuer+"/token")
	for _, row := range []struct {
		name     string
		request  oidc.BackchannelRequest
		approved bool
	}{
		{"login_hint", oidc.BackchannelRequest{LoginHint: "bob", BindingMessage: "W4SCT", RequestedExpiry: time.Minute}, true},
		{"id_token_hint", oidc.BackchannelRequest{IDTokenHint: hint}, true},
		{"no", oidc.BackchannelRequest{LoginHint: "bob"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			authentication, err := client.BackchannelAuthentication(t.Context(), row.request)
			require.NoError(t, err)
			require.Equal(t, time.Second, authentication.Interval)
			if row.request.RequestedExpiry != 0 {
				require.WithinDuration(t, time.Now().Add(time.Minute), authentication.Expires, 20*time.Second)
			}
			done := await(t, func() (*oidc.Tokens, error) { return client.BackchannelTokens(t.Context(), authentication) })
			require.Equal(t, "authorization_pending", answers.next(t, op.Issuer+"/token")["error"])
			require.NoError(t, op.FinishCIBA(t.Context(), authReqID(t, op, answers), row.approved))
			tokens, err := done()
			answers.next(t, op.Issuer+"/token")
			if !row.approved {
				require.ErrorIs(t, err, oidckit.ErrForbidden)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "bob", tokens.IDToken.Subject)
			info, err := client.UserInfo(t.Context(), tokens)
			require.NoError(t, err)
			require.Equal(t, "bob", info.Subject)
		})
	}
}

func TestOPCIBARefusals(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	client, _ := cibaClient(t, op, nil)
	for code, request := range map[string]oidc.BackchannelRequest{
		"unknown_user_id":         {LoginHint: "nobody"},
		"invalid_binding_message": {LoginHint: "bob", BindingMessage: "more than what fits on the other device"},
	} {
		_, err := client.BackchannelAuthentication(t.Context(), request)
		requireCode(t, code, err)
	}
}

func TestOPCIBAPing(t *testing.T) {
	t.Parallel()
	// Nobody polls within a test: if tokens come, the ping is why.
	op := interop.StartOP(t, []string{callbackURL}, interop.WithPollInterval(5*time.Minute))
	type ping struct {
		header http.Header
		body   []byte
	}
	pings := make(chan ping, 1)
	endpoint := op.PKI.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
		pings <- ping{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	client, answers := cibaClient(t, op, interop.Metadata{
		"backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": endpoint.URL + "/ping",
	})
	authentication, err := client.BackchannelAuthentication(t.Context(), oidc.BackchannelRequest{LoginHint: "alice", Ping: true})
	require.NoError(t, err)
	done := await(t, func() (*oidc.Tokens, error) { return client.BackchannelTokens(t.Context(), authentication) })
	require.NoError(t, op.FinishCIBA(t.Context(), authReqID(t, op, answers), true))
	got := <-pings

	forged := got.header.Clone()
	forged.Set("Authorization", "Bearer made-up")
	require.ErrorIs(t, client.BackchannelPing(forged, got.body), oidc.ErrUnknownPing)
	require.NoError(t, client.BackchannelPing(got.header, got.body))
	tokens, err := done()
	require.NoError(t, err)
	require.Equal(t, "alice", tokens.IDToken.Subject)
	require.ErrorIs(t, client.BackchannelPing(got.header, got.body), oidc.ErrUnknownPing, "nobody waits for it any more")
}
