package oidctest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const grantCIBA = "urn:openid:params:grant-type:ciba"

// asked is a right backchannel authentication request, with changes.
func asked(changes ...string) url.Values {
	return change(url.Values{"scope": {"openid"}, "login_hint": {"alice"}}, changes...)
}

func backchannel(t *testing.T, p *oidctest.Provider, form url.Values) answer {
	t.Helper()
	a := as(t, p, "/bc-authorize", form)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a
}

func fetch(t *testing.T, p *oidctest.Provider, begun answer) answer {
	t.Helper()
	return token(t, p, url.Values{"grant_type": {grantCIBA}, "auth_req_id": {begun.str("auth_req_id")}})
}

func TestBackchannelPoll(t *testing.T) {
	p := start(t)
	begun := backchannel(t, p, asked("acr_values", "gold silver", "binding_message", "W4SCT"))
	require.EqualValues(t, 600, begun.json["expires_in"])
	require.EqualValues(t, 5, begun.json["interval"])
	require.Equal(t, []string{begun.str("auth_req_id")}, p.PendingBackchannel())
	require.Equal(t, "authorization_pending", fetch(t, p, begun).str("error"))
	require.Equal(t, "slow_down", fetch(t, p, begun).str("error"))
	require.NoError(t, p.ApproveBackchannel(t.Context(), begun.str("auth_req_id")))
	require.Empty(t, p.PendingBackchannel())
	p.Advance(10 * time.Second)
	a := fetch(t, p, begun)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "248289761001", claimsOf(t, a, "id_token")["sub"])
	require.Equal(t, "gold", claimsOf(t, a, "id_token")["acr"])
	require.Equal(t, "gold", claimsOf(t, a, "access_token")["acr"])
	p.Advance(10 * time.Second)
	require.Equal(t, "invalid_grant", fetch(t, p, begun).str("error"), "once")

	p.Advance(time.Hour) // an expired hint is fine
	begun = backchannel(t, p, change(url.Values{}, "scope", "openid", "id_token_hint", a.str("id_token"), "requested_expiry", "60"))
	require.EqualValues(t, 60, begun.json["expires_in"])
	require.NoError(t, p.DenyBackchannel(t.Context(), begun.str("auth_req_id")))
	require.Error(t, p.DenyBackchannel(t.Context(), begun.str("auth_req_id")))
	require.Equal(t, "access_denied", fetch(t, p, begun).str("error"))

	begun = backchannel(t, p, asked())
	p.Advance(10 * time.Minute)
	require.Empty(t, p.PendingBackchannel())
	require.Error(t, p.ApproveBackchannel(t.Context(), begun.str("auth_req_id")))
	require.Equal(t, "expired_token", fetch(t, p, begun).str("error"))
}

func TestBackchannelIsRefused(t *testing.T) {
	p := startPair(t)
	for name, test := range map[string]struct {
		want    string
		changes []string
	}{
		"no hint":          {"invalid_request", []string{"login_hint", ""}},
		"two hints":        {"invalid_request", []string{"id_token_hint", "x"}},
		"login_hint_token": {"invalid_request", []string{"login_hint", "", "login_hint_token", "x"}},
		"hint no token":    {"invalid_request", []string{"login_hint", "", "id_token_hint", "x"}},
		"another's token": {"invalid_request", []string{"login_hint", "", "id_token_hint",
			p.Sign(map[string]any{"typ": "JWT"}, map[string]any{"iss": issuer, "aud": "second", "sub": "248289761001"})}},
		"unknown user":      {"unknown_user_id", []string{"login_hint", "nobody"}},
		"no openid":         {"invalid_scope", []string{"scope", "email"}},
		"no scope":          {"invalid_scope", []string{"scope", ""}},
		"resource":          {"invalid_target", []string{"resource", "x"}},
		"long message":      {"invalid_binding_message", []string{"binding_message", strings.Repeat("x", 65)}},
		"expiry a word":     {"invalid_request", []string{"requested_expiry", "soon"}},
		"expiry of nothing": {"invalid_request", []string{"requested_expiry", "0"}},
		"signed request":    {"invalid_request", []string{"request", "x.y.z"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := as(t, p, "/bc-authorize", asked(test.changes...))
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, test.want, a.str("error"))
		})
	}
	a := post(t, p, "/bc-authorize", asked("client_id", "public"))
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, "invalid_request", token(t, p, url.Values{"grant_type": {grantCIBA}}).str("error"))

	begun := backchannel(t, p, asked())
	req := postRequest(t, issuer+"/token", url.Values{"grant_type": {grantCIBA}, "auth_req_id": {begun.str("auth_req_id")}})
	req.SetBasicAuth("second", oidctest.ClientSecret)
	require.Equal(t, "invalid_grant", do(t, p, req).str("error"))
	mixed := token(t, p, url.Values{"grant_type": {grantDevice}, "device_code": {begun.str("auth_req_id")}})
	require.Equal(t, "invalid_grant", mixed.str("error"), "of the other grant")
}

func TestBackchannelPing(t *testing.T) {
	type call struct{ authorization, contentType, id string }
	calls := make(chan call, 1)
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		_ = json.NewDecoder(r.Body).Decode(&body)
		calls <- call{r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body["auth_req_id"]}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	p := start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.BackchannelTokenDeliveryMode, client.BackchannelNotificationEndpoint = "ping", server.URL
		c.Clients = []oidctest.Client{client}
	})
	require.Equal(t, "client_notification_token is missing", as(t, p, "/bc-authorize", asked()).str("error_description"))
	for _, odd := range []string{"a b", strings.Repeat("x", 1025)} {
		require.Equal(t, "client_notification_token is malformed",
			as(t, p, "/bc-authorize", asked("client_notification_token", odd)).str("error_description"))
	}
	begun := backchannel(t, p, asked("client_notification_token", "8d67dc78-7faa-4d41-aabd-67707b374255"))
	require.Equal(t, "authorization_pending", fetch(t, p, begun).str("error"))
	require.NoError(t, p.ApproveBackchannel(t.Context(), begun.str("auth_req_id")))
	require.Equal(t, call{"Bearer 8d67dc78-7faa-4d41-aabd-67707b374255", "application/json", begun.str("auth_req_id")}, <-calls)
	require.Equal(t, http.StatusOK, fetch(t, p, begun).status, "at once")

	for _, status = range []int{http.StatusFound, http.StatusUnauthorized} {
		begun = backchannel(t, p, asked("client_notification_token", "token"))
		require.Error(t, p.DenyBackchannel(t.Context(), begun.str("auth_req_id")))
		<-calls
		require.Equal(t, "access_denied", fetch(t, p, begun).str("error"), "the decision stands")
	}
}
