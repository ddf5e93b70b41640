package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const registrationURI = issuer + "/register/abc"

func wantedClient() oidc.ClientMetadata {
	return oidc.ClientMetadata{
		RedirectURIs: []string{redirectURL, "https://client.example/other"}, TokenEndpointAuthMethod: "client_secret_basic",
		IDTokenSignedResponseAlg: "ES256", ClientName: "Café", DPoPBoundAccessTokens: true,
		Additional: map[string]any{"client_name#de": "Kaffeehaus", "require_auth_time": false},
	}
}

// registered is what a provider answers to wantedClient.
func registered(changes object) object {
	return with(object{
		"client_id": "abc", "client_secret": secret, "client_secret_expires_at": start.Unix() + 3600, "client_id_issued_at": start.Unix(),
		"registration_access_token": marker + "-rat", "registration_client_uri": registrationURI,
		"redirect_uris": []string{"https://client.example/other", redirectURL}, "token_endpoint_auth_method": "client_secret_basic",
		"id_token_signed_response_alg": "ES256", "client_name": "Café", "client_name#de": "Kaffeehaus", "dpop_bound_access_tokens": true,
		"grant_types": []string{"authorization_code"},
	}, changes)
}

// registration makes a provider that registers clients with these replies.
func registration(t testing.TB, at map[string]reply, change ...func(*discovery.Metadata)) (*standIn, *oidc.Provider) {
	t.Helper()
	s := &standIn{replies: map[string]func(*http.Request, string) reply{}}
	for path, r := range at {
		s.replies[path] = always(r)
	}
	return s, s.in(t, newOP(t), change...)
}

func TestRegisterClient(t *testing.T) {
	t.Parallel()
	s, p := registration(t, map[string]reply{"/register": {status: 201, body: registered(nil)}})
	r, err := p.RegisterClient(t.Context(), wantedClient(), marker+"-initial")
	require.NoError(t, err)
	require.Equal(t, "abc", r.ClientID)
	require.Equal(t, clientauth.Secret(secret), r.ClientSecret)
	require.True(t, r.ClientSecretExpires.Equal(start.Add(time.Hour)))
	require.True(t, r.IssuedAt.Equal(start))
	require.Equal(t, clientauth.Secret(marker+"-rat"), r.RegistrationAccessToken)
	require.Equal(t, registrationURI, r.RegistrationClientURI)
	require.Equal(t, []string{"authorization_code"}, r.Metadata.GrantTypes)
	require.Equal(t, map[string]any{"client_name#de": json.RawMessage(`"Kaffeehaus"`)}, r.Metadata.Additional)
	require.Contains(t, string(r.Raw()), marker+"-rat")

	requests, bodies, _ := s.sent("/register")
	require.Len(t, requests, 1)
	require.Equal(t, http.MethodPost, requests[0].Method)
	require.Equal(t, "Bearer "+marker+"-initial", requests[0].Header.Get("Authorization"))
	require.Equal(t, "application/json", requests[0].Header.Get("Content-Type"))
	require.JSONEq(t, `{"redirect_uris":["https://client.example/callback","https://client.example/other"],"token_endpoint_auth_method":"client_secret_basic",
		"id_token_signed_response_alg":"ES256","client_name":"Café","dpop_bound_access_tokens":true,"client_name#de":"Kaffeehaus","require_auth_time":false}`, bodies[0])

	printsNothing(t, r, *r, struct{ R oidc.Registration }{*r})
	inside := struct{ r oidc.Registration }{*r}
	require.NotContains(t, fmt.Sprintf("%p", inside.r.Raw), marker)

	// Kept and read again, it is the same.
	data, err := r.MarshalBinary()
	require.NoError(t, err)
	var again oidc.Registration
	require.NoError(t, again.UnmarshalBinary(data))
	second, err := again.MarshalBinary()
	require.NoError(t, err)
	require.JSONEq(t, string(data), string(second))
	require.Equal(t, r.ClientSecret, again.ClientSecret)
	require.True(t, r.ClientSecretExpires.Equal(again.ClientSecretExpires))
	for _, bad := range []string{"", "{}", `{"client_id":1}`, `{"client_id":""}`} {
		require.Error(t, new(oidc.Registration).UnmarshalBinary([]byte(bad)))
	}
}

// Without an initial access token none is sent; a secret that never expires says so.
func TestRegisterClient_Open(t *testing.T) {
	t.Parallel()
	s, p := registration(t, map[string]reply{"/register": {status: 200, body: object{
		"client_id": "abc", "client_secret_expires_at": 0, "redirect_uris": nil, "default_max_age": "soon", "contacts": []any{"somebody", 1},
	}}})
	r, err := p.RegisterClient(t.Context(), oidc.ClientMetadata{}, "")
	require.NoError(t, err)
	require.True(t, r.ClientSecretExpires.IsZero())
	require.Empty(t, r.RegistrationAccessToken)
	require.Equal(t, map[string]any{"default_max_age": json.RawMessage(`"soon"`), "contacts": json.RawMessage(`["somebody",1]`)}, r.Metadata.Additional)
	require.Empty(t, r.Metadata.Contacts, "not half of them")
	requests, bodies, _ := s.sent("/register")
	require.NotContains(t, requests[0].Header, "Authorization")
	require.Equal(t, "{}", bodies[0])
	_, err = p.ReadRegistration(t.Context(), r)
	require.Error(t, err)
	_, err = r.MarshalBinary()
	require.NoError(t, err)
}

// Some providers write null where there is nothing to say.
func TestRegisterClient_NullTimes(t *testing.T) {
	t.Parallel()
	_, p := registration(t, map[string]reply{"/register": {status: 201, body: object{
		"client_id": "abc", "client_secret": secret, "client_secret_expires_at": nil, "client_id_issued_at": nil,
	}}})
	r, err := p.RegisterClient(t.Context(), oidc.ClientMetadata{}, "")
	require.NoError(t, err)
	require.True(t, r.ClientSecretExpires.IsZero())
	require.True(t, r.IssuedAt.IsZero())
}

// F49: what the safety of the client rests on came out as it was wanted, or an error says
// what did not. The client is there all the same, and not lost.
func TestF49_WhatWasRegisteredIsCompared(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		changes object
		member  string // empty: good
	}{
		"same":                {nil, ""},
		"name":                {object{"client_name": "Cafe"}, ""},
		"unwanted":            {object{"userinfo_signed_response_alg": "ES256"}, ""},
		"one more redirect":   {object{"redirect_uris": []string{redirectURL, "https://client.example/other", "https://evil.example/"}}, "redirect_uris"},
		"one less":            {object{"redirect_uris": []string{redirectURL}}, "redirect_uris"},
		"no redirects":        {object{"redirect_uris": nil}, "redirect_uris"},
		"redirects as text":   {object{"redirect_uris": redirectURL}, "redirect_uris"},
		"auth method":         {object{"token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"},
		"auth method unsaid":  {object{"token_endpoint_auth_method": nil}, "token_endpoint_auth_method"},
		"algorithm":           {object{"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"},
		"not bound":           {object{"dpop_bound_access_tokens": false}, "dpop_bound_access_tokens"},
		"bound as text":       {object{"dpop_bound_access_tokens": "true"}, "dpop_bound_access_tokens"},
		"auth_time is needed": {object{"require_auth_time": true}, "require_auth_time"},
		"URI elsewhere":       {object{"registration_client_uri": "https://evil.example/register/abc"}, "registration_client_uri"},
		"URI by http":         {object{"registration_client_uri": "http://id.example/register/abc"}, "registration_client_uri"},
		"URI at another port": {object{"registration_client_uri": "https://id.example:8443/register/abc"}, "registration_client_uri"},
		"URI with user info":  {object{"registration_client_uri": "https://id.example@evil.example/register/abc"}, "registration_client_uri"},
		"URI with the port":   {object{"registration_client_uri": "https://ID.example:443/register/abc"}, ""},
	} {
		s, p := registration(t, map[string]reply{"/register": {status: 201, body: registered(tt.changes)}})
		r, err := p.RegisterClient(t.Context(), wantedClient(), "")
		require.Equal(t, err == nil, r != nil, name)
		if tt.member == "" {
			require.NoError(t, err, name)
			continue
		}
		var e *oidc.RegistrationError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, tt.member, e.Member, name)
		require.Equal(t, "abc", e.Registration.ClientID)
		require.Equal(t, clientauth.Secret(secret), e.Registration.ClientSecret)
		tellsNothing(t, err)
		require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), marker)
		if tt.member == "registration_client_uri" {
			_, err = p.ReadRegistration(t.Context(), e.Registration)
			require.Error(t, err, name)
			require.Error(t, p.DeleteRegistration(t.Context(), e.Registration), name)
			require.Len(t, s.seen, 1, "the token went nowhere")
		}
	}
}

// F49: the registration access token may also go where the metadata say that clients are
// registered.
func TestF49_TokenGoesToTheRegistrationEndpointsOrigin(t *testing.T) {
	t.Parallel()
	const uri = "https://registry.example/clients/abc"
	s, p := registration(t, map[string]reply{"/clients/abc": {body: registered(object{"registration_client_uri": uri})}}, func(m *discovery.Metadata) {
		m.RegistrationEndpoint = "https://registry.example/clients"
	})
	_, err := p.ReadRegistration(t.Context(), &oidc.Registration{ClientID: "abc", RegistrationAccessToken: marker, RegistrationClientURI: uri})
	require.NoError(t, err)
	requests, _, _ := s.sent("/clients/abc")
	require.Equal(t, "registry.example", requests[0].URL.Host)
}

func TestRegistration_ReadUpdateDelete(t *testing.T) {
	t.Parallel()
	s, p := registration(t, map[string]reply{"/register/abc": {body: registered(object{
		"client_secret": nil, "client_secret_expires_at": nil, "registration_access_token": marker + "-new", "registration_client_uri": nil, "client_id_issued_at": nil,
	})}})
	old := &oidc.Registration{
		ClientID: "abc", ClientSecret: secret, ClientSecretExpires: start, IssuedAt: start, RegistrationAccessToken: marker + "-rat", RegistrationClientURI: registrationURI,
	}
	for _, call := range []func() (*oidc.Registration, error){
		func() (*oidc.Registration, error) { return p.ReadRegistration(t.Context(), old) },
		func() (*oidc.Registration, error) { return p.UpdateRegistration(t.Context(), old, wantedClient()) },
	} {
		r, err := call()
		require.NoError(t, err)
		require.Equal(t, clientauth.Secret(secret), r.ClientSecret, "kept")
		require.True(t, r.ClientSecretExpires.Equal(start))
		require.True(t, r.IssuedAt.Equal(start))
		require.Equal(t, clientauth.Secret(marker+"-new"), r.RegistrationAccessToken, "rotated")
		require.Equal(t, registrationURI, r.RegistrationClientURI)
		require.Equal(t, clientauth.Secret(marker+"-rat"), old.RegistrationAccessToken, "untouched")
	}
	requests, bodies, _ := s.sent("/register/abc")
	require.Equal(t, "Bearer "+marker+"-rat", requests[0].Header.Get("Authorization"))
	require.Equal(t, http.MethodGet, requests[0].Method)
	require.Empty(t, bodies[0])
	require.Equal(t, http.MethodPut, requests[1].Method)
	var sent object
	require.NoError(t, json.Unmarshal([]byte(bodies[1]), &sent))
	require.Equal(t, "abc", sent["client_id"])
	require.Equal(t, secret, sent["client_secret"])
	require.Equal(t, "Café", sent["client_name"])
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		require.NotContains(t, sent, name)
	}

	// What is changed is compared too.
	changed := wantedClient()
	changed.RedirectURIs = []string{redirectURL}
	_, err := p.UpdateRegistration(t.Context(), old, changed)
	var e *oidc.RegistrationError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "redirect_uris", e.Member)
	require.Equal(t, clientauth.Secret(marker+"-new"), e.Registration.RegistrationAccessToken)

	// Another secret replaces the old one; another client's answer is none.
	s.replies["/register/abc"] = always(reply{body: registered(object{"client_secret": "new", "client_secret_expires_at": 0})})
	r, err := p.ReadRegistration(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, clientauth.Secret("new"), r.ClientSecret)
	require.True(t, r.ClientSecretExpires.IsZero())
	s.replies["/register/abc"] = always(reply{body: registered(object{"client_id": "other"})})
	_, err = p.ReadRegistration(t.Context(), old)
	requireUnavailable(t, err)

	s.replies["/register/abc"] = always(reply{status: 204, kind: "text/plain", body: ""})
	require.NoError(t, p.DeleteRegistration(t.Context(), old))
	requests, _, _ = s.sent("/register/abc")
	require.Equal(t, http.MethodDelete, requests[len(requests)-1].Method)
	s.replies["/register/abc"] = always(reply{status: 200, kind: "text/html", body: "<h1>maintenance"})
	require.Error(t, p.DeleteRegistration(t.Context(), old))
}

func TestRegistration_RefusalsAndOutages(t *testing.T) {
	t.Parallel()
	old := &oidc.Registration{ClientID: "abc", RegistrationAccessToken: marker + "-rat", RegistrationClientURI: registrationURI}
	calls := func(p *oidc.Provider) map[string]error {
		_, register := p.RegisterClient(t.Context(), wantedClient(), marker)
		_, read := p.ReadRegistration(t.Context(), old)
		_, update := p.UpdateRegistration(t.Context(), old, wantedClient())
		return map[string]error{"register": register, "read": read, "update": update, "delete": p.DeleteRegistration(t.Context(), old)}
	}
	for name, r := range outageReplies() {
		_, p := registration(t, map[string]reply{"/register": r, "/register/abc": r})
		for call, err := range calls(p) {
			require.Error(t, err, name+call)
			tellsNothing(t, err)
			if call != "delete" || name != "HTML" && name != "no JSON" { // of which the status says enough
				requireUnavailable(t, err)
			}
		}
	}
	for name, body := range map[string]any{"no client_id": registered(object{"client_id": nil}), "odd client_id": registered(object{"client_id": "a\nb"}), "odd token": registered(object{"registration_access_token": "a b"}), "odd secret": registered(object{"client_secret": "a\nb"}), "secret is a number": registered(object{"client_secret": 1})} {
		_, p := registration(t, map[string]reply{"/register": {status: 201, body: body}})
		_, err := p.RegisterClient(t.Context(), wantedClient(), "")
		require.Error(t, err, name)
		requireUnavailable(t, err)
	}
	refused := reply{status: 401, body: object{"error": "invalid_token", "error_description": marker}}
	_, p := registration(t, map[string]reply{"/register": refused, "/register/abc": refused})
	for call, err := range calls(p) {
		var re *oidc.ResponseError
		require.ErrorAs(t, err, &re)
		require.Equal(t, 401, re.Status)
		tellsNothing(t, err)
		if call != "register" {
			requireRefused(t, err, oidc.ReasonRevoked, "")
		}
	}
	_, p = registration(t, map[string]reply{"/register": refusal("invalid_redirect_uri")})
	_, err := p.RegisterClient(t.Context(), wantedClient(), "")
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "invalid_redirect_uri", re.Code)

	_, p = registration(t, nil, func(m *discovery.Metadata) { m.RegistrationEndpoint = "" })
	_, err = p.RegisterClient(t.Context(), wantedClient(), "")
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	_, err = p.ReadRegistration(t.Context(), nil)
	require.Error(t, err)
	synctest.Test(t, func(t *testing.T) {
		_, p := registration(t, map[string]reply{"/register": {hang: true}})
		began := time.Now()
		_, err := p.RegisterClient(t.Context(), wantedClient(), "")
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// F49: what we name to a provider is fetched by it, shown, or gets codes and tokens.
func TestF49_WhatMayBeRegistered(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	keySet := func(key any) []byte {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k"}}})
		require.NoError(t, err)
		return text
	}
	for name, tt := range map[string]struct {
		m    oidc.ClientMetadata
		good bool
	}{
		"https":                {oidc.ClientMetadata{RedirectURIs: []string{redirectURL}}, true},
		"loopback":             {oidc.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}}, true},
		"app":                  {oidc.ClientMetadata{RedirectURIs: []string{"com.example.app:/cb"}}, true},
		"http":                 {oidc.ClientMetadata{RedirectURIs: []string{"http://client.example/cb"}}, false},
		"script":               {oidc.ClientMetadata{RedirectURIs: []string{"javascript:alert(1)"}}, false},
		"data":                 {oidc.ClientMetadata{PostLogoutRedirectURIs: []string{"data:text/html,x"}}, false},
		"fragment":             {oidc.ClientMetadata{RedirectURIs: []string{redirectURL + "#"}}, false},
		"app with fragment":    {oidc.ClientMetadata{RedirectURIs: []string{"com.example.app:/cb#a"}}, false},
		"relative":             {oidc.ClientMetadata{RedirectURIs: []string{"/cb"}}, false},
		"keys by http":         {oidc.ClientMetadata{JWKSURI: "http://client.example/jwks"}, false},
		"notification by http": {oidc.ClientMetadata{BackchannelClientNotificationEndpoint: "http://client.example/ping"}, false},
		"logout by http":       {oidc.ClientMetadata{BackchannelLogoutURI: "http://client.example/logout"}, false},
		"public keys":          {oidc.ClientMetadata{JWKS: keySet(&private.PublicKey)}, true},
		"private keys":         {oidc.ClientMetadata{JWKS: keySet(private)}, false},
		"secret keys":          {oidc.ClientMetadata{JWKS: keySet([]byte(secret))}, false},
		"no keys":              {oidc.ClientMetadata{JWKS: []byte("{" + marker)}, false},
		"no set":               {oidc.ClientMetadata{JWKS: []byte(`{}`)}, false},
		"null":                 {oidc.ClientMetadata{JWKS: []byte(`null`)}, false},
		"empty set":            {oidc.ClientMetadata{JWKS: []byte(`{"keys":[]}`)}, true},
		"private key alone":    {oidc.ClientMetadata{JWKS: []byte(`{"kty":"EC","d":"` + marker + `"}`)}, false},
		"private beside keys":  {oidc.ClientMetadata{JWKS: []byte(`{"keys":[],"d":"` + marker + `"}`)}, false},
		"keys are a key":       {oidc.ClientMetadata{JWKS: []byte(`{"keys":{"kty":"EC","d":"` + marker + `"}}`)}, false},
		"keys in a list":       {oidc.ClientMetadata{JWKS: []byte(`{"keys":[[{"kty":"EC","d":"` + marker + `"}]]}`)}, false},
		"keys twice":           {oidc.ClientMetadata{JWKS: []byte(`{"keys":[{"d":"` + marker + `"}],"keys":[]}`)}, false},
		"in capitals":          {oidc.ClientMetadata{JWKS: []byte(`{"keys":[{"kty":"EC","D":"` + marker + `"}]}`)}, false},
		"private, Additional":  {oidc.ClientMetadata{Additional: map[string]any{"jwks": json.RawMessage(`{"keys":[{"kty":"EC","d":"` + marker + `"}]}`)}}, false},
		"public, Additional":   {oidc.ClientMetadata{Additional: map[string]any{"jwks": json.RawMessage(keySet(&private.PublicKey))}}, true},
		"script, Additional":   {oidc.ClientMetadata{Additional: map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}}, false},
		"both, Additional":     {oidc.ClientMetadata{JWKS: keySet(&private.PublicKey), Additional: map[string]any{"jwks_uri": "https://client.example/jwks"}}, false},
		"both":                 {oidc.ClientMetadata{JWKS: keySet(&private.PublicKey), JWKSURI: "https://client.example/jwks"}, false},
		"field twice":          {oidc.ClientMetadata{ClientName: "a", Additional: map[string]any{"client_name": "b"}}, false},
		"client_id":            {oidc.ClientMetadata{Additional: map[string]any{"client_id": "abc"}}, false},
		"no JSON":              {oidc.ClientMetadata{Additional: map[string]any{"x": func() {}}}, false},
	} {
		s, p := registration(t, map[string]reply{"/register": {status: 201, body: object{
			"client_id": "abc", "redirect_uris": tt.m.RedirectURIs, "jwks_uri": tt.m.JWKSURI,
		}}})
		_, err := p.RegisterClient(t.Context(), tt.m, "")
		require.Equal(t, tt.good, err == nil, "%s: %v", name, err)
		if err != nil {
			require.ErrorContains(t, err, "oidc: ClientMetadata", name)
			tellsNothing(t, err)
			require.Empty(t, s.seen, name)
		}
	}
	_, p := registration(t, map[string]reply{"/register": {status: 201, body: registered(nil)}})
	_, err = p.RegisterClient(t.Context(), wantedClient(), "a\r\nX: y")
	require.Error(t, err)
}

// F49: no member of a JWK that is secret is registered.
func TestF49_PrivateMembersOfKeysAreNotSent(t *testing.T) {
	t.Parallel()
	s, p := registration(t, nil)
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		set := `{"keys":[{"kty":"EC"},{"kty":"RSA","` + name + `":"` + marker + `"}]}`
		_, err := p.RegisterClient(t.Context(), oidc.ClientMetadata{JWKS: json.RawMessage(set)}, "")
		require.ErrorContains(t, err, "oidc: ClientMetadata.JWKS", name)
		tellsNothing(t, err)
	}
	require.Empty(t, s.seen)
}

// F49: what is registered is demanded: a provider, or who can answer for it, does not get
// round it.
func TestF49_ClientConfigDemandsWhatIsRegistered(t *testing.T) {
	t.Parallel()
	all := oidc.Registration{ClientID: "abc", ClientSecret: secret, Metadata: oidc.ClientMetadata{
		UserInfoSignedResponseAlg: "HS256", IntrospectionSignedResponseAlg: "ES256", RequirePushedAuthorizationRequests: true, TokenEndpointAuthMethod: "private_key_jwt",
	}}
	cfg := all.ClientConfig()
	require.Equal(t, []string{"HS256"}, cfg.UserInfoAlgorithms)
	require.Equal(t, clientauth.Secret(secret), cfg.ClientSecret, "which keys userinfo")
	require.Equal(t, &oidc.SignedIntrospection{Algorithms: []string{"ES256"}}, cfg.SignedIntrospection)
	require.True(t, cfg.PushedAuthorizationRequests)
	_, err := oidc.NewClient(newProvider(t, newOP(t)), cfg)
	require.NoError(t, err)

	none := oidc.Registration{ClientID: "abc", Metadata: oidc.ClientMetadata{UserInfoSignedResponseAlg: "none", IntrospectionSignedResponseAlg: "none"}}
	cfg = none.ClientConfig()
	require.Empty(t, cfg.UserInfoAlgorithms)
	require.Nil(t, cfg.SignedIntrospection)
	require.False(t, cfg.PushedAuthorizationRequests)
	none.Metadata.IDTokenSignedResponseAlg = "none"
	_, err = oidc.NewClient(newProvider(t, newOP(t)), none.ClientConfig())
	require.ErrorContains(t, err, "IDTokenAlgorithms")

	// As a whole: userinfo that is not signed is not taken.
	op := newOP(t)
	r := oidc.Registration{ClientID: oidctest.ClientID, ClientSecret: secret, Metadata: oidc.ClientMetadata{RedirectURIs: []string{redirectURL}, UserInfoSignedResponseAlg: "ES256"}}
	client, err := oidc.NewClient(newProvider(t, op), r.ClientConfig())
	require.NoError(t, err)
	_, err = client.UserInfo(t.Context(), mustLogin(t, op, client))
	requireRefused(t, err, oidc.ReasonAlgorithm, "")
}

func TestRegistration_ClientConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, alg, name string
		secret            clientauth.Secret
		kept              bool
	}{
		{"client_secret_basic", "ES256", "client_secret_basic", secret, true},
		{"", "", "client_secret_basic", secret, true},
		{"client_secret_post", "", "client_secret_post", secret, true},
		{"client_secret_jwt", "", "client_secret_jwt", secret, true},
		{"none", "", "none", secret, false},
		{"none", "HS256", "none", secret, true},
		{"private_key_jwt", "", "", secret, false},
		{"private_key_jwt", "HS256", "", secret, true},
	} {
		r := oidc.Registration{ClientID: "abc", ClientSecret: tt.secret, Metadata: oidc.ClientMetadata{
			RedirectURIs: []string{redirectURL}, TokenEndpointAuthMethod: tt.method, IDTokenSignedResponseAlg: tt.alg,
		}}
		cfg := r.ClientConfig()
		require.Equal(t, "abc", cfg.ClientID)
		require.Equal(t, redirectURL, cfg.RedirectURL)
		require.Equal(t, tt.kept, cfg.ClientSecret != "", "%v", tt.method)
		if tt.name == "" {
			require.Nil(t, cfg.ClientAuth)
		} else {
			require.Equal(t, tt.name, cfg.ClientAuth.Name())
		}
		if tt.alg != "" {
			require.Equal(t, []string{tt.alg}, cfg.IDTokenAlgorithms)
		}
		_, err := oidc.NewClient(newProvider(t, newOP(t)), cfg)
		require.NoError(t, err)
	}
	two := oidc.Registration{ClientID: "abc", Metadata: oidc.ClientMetadata{RedirectURIs: []string{"https://a.example", "https://b.example"}}}
	require.Empty(t, two.ClientConfig().RedirectURL)
}

// A client registers itself, logs somebody in, changes, and ends.
func TestRegistration_WithAProvider(t *testing.T) {
	t.Parallel()
	op := newOP(t, func(c *oidctest.Config) { c.InitialAccessToken = marker + "-initial" })
	p := newProvider(t, op)
	wanted := oidc.ClientMetadata{
		RedirectURIs: []string{redirectURL}, TokenEndpointAuthMethod: "client_secret_post", IDTokenSignedResponseAlg: "ES256",
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, ClientName: "Shop",
	}
	_, err := p.RegisterClient(t.Context(), wanted, "")
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, 401, re.Status)

	r, err := p.RegisterClient(t.Context(), wanted, marker+"-initial")
	require.NoError(t, err)
	client, err := oidc.NewClient(p, r.ClientConfig())
	require.NoError(t, err)
	require.Equal(t, marker+"-alice", mustLogin(t, op, client).IDToken.Subject)

	wanted.TokenEndpointAuthMethod = "client_secret_basic"
	changed, err := p.UpdateRegistration(t.Context(), r, wanted)
	require.NoError(t, err)
	require.NotEqual(t, r.RegistrationAccessToken, changed.RegistrationAccessToken)
	require.Equal(t, r.ClientSecret, changed.ClientSecret)
	client, err = oidc.NewClient(p, changed.ClientConfig())
	require.NoError(t, err)
	mustLogin(t, op, client)

	_, err = p.ReadRegistration(t.Context(), r)
	requireRefused(t, err, oidc.ReasonRevoked, "") // by the token of before
	read, err := p.ReadRegistration(t.Context(), changed)
	require.NoError(t, err)
	require.Equal(t, "client_secret_basic", read.Metadata.TokenEndpointAuthMethod)
	require.NoError(t, p.DeleteRegistration(t.Context(), read))
	requireRefused(t, p.DeleteRegistration(t.Context(), read), oidc.ReasonRevoked, "")
}
