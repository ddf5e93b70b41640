package oidctest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const grantDevice = "urn:ietf:params:oauth:grant-type:device_code"

// device begins a device authorization.
func device(t *testing.T, p *oidctest.Provider) answer {
	t.Helper()
	a := as(t, p, "/device_authorization", url.Values{"scope": {"openid offline_access"}, "resource": {api}})
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a
}

func poll(t *testing.T, p *oidctest.Provider, begun answer) answer {
	t.Helper()
	return token(t, p, url.Values{"grant_type": {grantDevice}, "device_code": {begun.str("device_code")}})
}

func TestDeviceAuthorization(t *testing.T) {
	p := start(t)
	begun := device(t, p)
	require.EqualValues(t, 600, begun.json["expires_in"])
	require.EqualValues(t, 5, begun.json["interval"])
	require.Equal(t, issuer+"/device", begun.str("verification_uri"))
	require.Equal(t, issuer+"/device?user_code="+begun.str("user_code"), begun.str("verification_uri_complete"))
	require.Regexp(t, `^[B-Z]{4}-[B-Z]{4}$`, begun.str("user_code"))

	require.Equal(t, "authorization_pending", poll(t, p, begun).str("error"))
	p.Advance(5 * time.Second)
	require.Equal(t, "authorization_pending", poll(t, p, begun).str("error"))
	require.NoError(t, p.ApproveDevice(strings.ToLower(strings.ReplaceAll(begun.str("user_code"), "-", " ")), "alice"))
	require.Error(t, p.ApproveDevice(begun.str("user_code"), "bob"), "decided")
	p.Advance(5 * time.Second)
	a := poll(t, p, begun)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "248289761001", claimsOf(t, a, "id_token")["sub"])
	require.Equal(t, api, claimsOf(t, a, "access_token")["aud"])
	require.Equal(t, http.StatusOK, token(t, p, refreshForm(a.str("refresh_token"))).status)
	p.Advance(5 * time.Second)
	require.Equal(t, "invalid_grant", poll(t, p, begun).str("error"), "once")
}

// RFC 8707, section 2.2, and OpenID Connect Core 1.0, section 3.1.2.1.
func TestDeviceTokensAreForWhatWasAskedFor(t *testing.T) {
	p := start(t)
	begun := as(t, p, "/device_authorization", url.Values{
		"scope": {"openid offline_access"}, "resource": {api, "https://other.example"}, "acr_values": {"gold silver"},
	})
	require.NoError(t, p.ApproveDevice(begun.str("user_code"), "alice"))
	fetch := func(resource string) answer {
		return token(t, p, url.Values{"grant_type": {grantDevice}, "device_code": {begun.str("device_code")}, "resource": {resource}})
	}
	require.Equal(t, "invalid_target", fetch("https://third.example").str("error"))
	a := fetch(api)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, api, claimsOf(t, a, "access_token")["aud"])
	require.Equal(t, "gold", claimsOf(t, a, "id_token")["acr"])
	require.Len(t, claimsOf(t, token(t, p, refreshForm(a.str("refresh_token"))), "access_token")["aud"], 2, "a refresh may be for all")
}

func TestDeviceIsSlowedDown(t *testing.T) {
	p := start(t)
	begun := device(t, p)
	require.NoError(t, p.ApproveDevice(begun.str("user_code"), "alice"))
	require.Error(t, p.ApproveDevice("BBBB-BBBB", "alice"))
	require.Error(t, p.ApproveDevice(begun.str("user_code"), "nobody"))

	begun = device(t, p)
	poll(t, p, begun)
	p.Advance(4 * time.Second)
	require.Equal(t, "slow_down", poll(t, p, begun).str("error"))
	p.Advance(9 * time.Second)
	require.Equal(t, "slow_down", poll(t, p, begun).str("error"), "10 seconds from now on")
	p.Advance(15 * time.Second)
	require.Equal(t, "authorization_pending", poll(t, p, begun).str("error"), "15 seconds")
	require.NoError(t, p.ApproveDevice(begun.str("user_code"), "alice"))
	require.Equal(t, "slow_down", poll(t, p, begun).str("error"), "even now")
	p.Advance(20 * time.Second)
	require.Equal(t, http.StatusOK, poll(t, p, begun).status)
}

func TestDeviceIsRefused(t *testing.T) {
	p := start(t, func(c *oidctest.Config) {
		second := oidctest.DefaultClient()
		second.ID, second.GrantTypes = "second", []string{"authorization_code"}
		c.Clients = []oidctest.Client{oidctest.DefaultClient(), second}
	})
	begun := device(t, p)
	require.NoError(t, p.DenyDevice(begun.str("user_code")))
	require.Equal(t, "access_denied", poll(t, p, begun).str("error"))
	require.Error(t, p.DenyDevice(begun.str("user_code")))

	begun = device(t, p)
	p.Advance(10 * time.Minute)
	require.Error(t, p.ApproveDevice(begun.str("user_code"), "alice"))
	require.Equal(t, "expired_token", poll(t, p, begun).str("error"))

	begun = device(t, p)
	req := postRequest(t, issuer+"/token", url.Values{"grant_type": {grantDevice}, "device_code": {begun.str("device_code")}})
	req.SetBasicAuth("second", oidctest.ClientSecret)
	require.Equal(t, "unauthorized_client", do(t, p, req).str("error"))
	req = postRequest(t, issuer+"/device_authorization", nil)
	req.SetBasicAuth("second", oidctest.ClientSecret)
	require.Equal(t, "unauthorized_client", do(t, p, req).str("error"))

	require.Equal(t, "device_code is missing", token(t, p, url.Values{"grant_type": {grantDevice}}).str("error_description"))
	require.Equal(t, "invalid_grant", token(t, p, url.Values{"grant_type": {grantDevice}, "device_code": {"x"}}).str("error"))
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/device_authorization", nil).status)
	require.Equal(t, "invalid_target", as(t, p, "/device_authorization", url.Values{"resource": {"x"}}).str("error"))
	require.Equal(t, "invalid_scope", as(t, p, "/device_authorization", url.Values{"scope": {"a  b"}}).str("error"))
}

// TestDeviceCodeOfAnotherClient: its code is nobody else's.
func TestDeviceCodeOfAnotherClient(t *testing.T) {
	p := startPair(t)
	begun := device(t, p)
	req := postRequest(t, issuer+"/token", url.Values{"grant_type": {grantDevice}, "device_code": {begun.str("device_code")}})
	req.SetBasicAuth("second", oidctest.ClientSecret)
	require.Equal(t, "invalid_grant", do(t, p, req).str("error"))
}

func TestDevicePage(t *testing.T) {
	p := start(t)
	begun := device(t, p)
	a := get(t, p, begun.str("verification_uri_complete"))
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, `value="`+begun.str("user_code")+`"`)
	require.Contains(t, a.body, `action="/realms/demo/device"`)

	f := url.Values{"user_code": {begun.str("user_code")}, "username": {"alice"}, "password": {"x"}}
	require.Equal(t, http.StatusUnauthorized, post(t, p, "/device", f).status)
	f.Set("password", "wonderland")
	require.Equal(t, http.StatusBadRequest, post(t, p, "/device", change(url.Values{}, "user_code", "x", "username", "alice", "password", "wonderland")).status)
	require.Equal(t, "authorization_pending", poll(t, p, begun).str("error"), "nothing has been decided")
	require.Equal(t, http.StatusOK, post(t, p, "/device", f).status)
	p.Advance(time.Minute)
	require.Equal(t, http.StatusOK, poll(t, p, begun).status)

	begun = device(t, p)
	f.Set("user_code", begun.str("user_code"))
	f.Set("deny", "yes")
	require.Equal(t, http.StatusOK, post(t, p, "/device", f).status)
	require.Equal(t, "access_denied", poll(t, p, begun).str("error"))

	begun = device(t, p)
	get(t, p, begun.str("verification_uri_complete")+"&username=alice&password=wonderland")
	require.Equal(t, "authorization_pending", poll(t, p, begun).str("error"), "a link decides nothing")
}
