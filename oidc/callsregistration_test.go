package oidc_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc"
)

// F49: the registration access token goes to no URL that says more than where.
func TestF49_RegistrationURIsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://user:password@id.example/register/abc", "https://user@id.example/register/abc", registrationURI + "#fragment", "HTTP://id.example/register/abc",
		"https://evil.example/register/abc", "http://id.example/register/abc", "https://id.example:8443/register/abc", "/register/abc",
	} {
		s, p := registration(t, map[string]reply{"/register": {status: 201, body: registered(object{"registration_client_uri": uri})}, "/register/abc": {body: registered(nil)}})
		_, err := p.RegisterClient(t.Context(), wantedClient(), "")
		var e *oidc.RegistrationError
		require.ErrorAs(t, err, &e, uri)
		require.Equal(t, "registration_client_uri", e.Member)
		require.Equal(t, "abc", e.Registration.ClientID)
		_, err = p.ReadRegistration(t.Context(), &oidc.Registration{ClientID: "abc", RegistrationAccessToken: marker, RegistrationClientURI: uri})
		require.Error(t, err, uri)
		tellsNothing(t, err)
		requests, _, _ := s.sent("/register/abc")
		require.Empty(t, requests)
	}
}

// F49: a page is no registration, whatever it has in it, and a provider in trouble says
// nothing about a token.
func TestF49_RegistrationInAnOutage(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(registered(nil))
	require.NoError(t, err)
	_, p := registration(t, map[string]reply{"/register": {status: 201, kind: "text/html", body: string(text)}})
	_, err = p.RegisterClient(t.Context(), wantedClient(), "")
	requireUnavailable(t, err)
	_, p = registration(t, map[string]reply{"/register/abc": {status: 401, body: object{"error": "temporarily_unavailable"}}})
	_, err = p.ReadRegistration(t.Context(), &oidc.Registration{ClientID: "abc", RegistrationAccessToken: marker, RegistrationClientURI: registrationURI})
	requireUnavailable(t, err)
}

// A time that no clock gets to is never.
func TestRegisterClient_TimesDoNotOverflow(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[json.Number]time.Time{
		"0": {}, "-1": {}, "1e300": {}, "9223372036854775808": {}, "1936789200": time.Unix(1936789200, 0), "4294967296": time.Unix(4294967296, 0),
	} {
		_, p := registration(t, map[string]reply{"/register": {status: 201, body: registered(object{"client_secret_expires_at": seconds, "client_id_issued_at": seconds})}})
		r, err := p.RegisterClient(t.Context(), wantedClient(), "")
		require.NoError(t, err, seconds)
		require.True(t, r.ClientSecretExpires.Equal(want), "%s: %v", seconds, r.ClientSecretExpires)
		require.True(t, r.IssuedAt.Equal(want), seconds)
	}
}
