package oidctest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

// sendJSON sends metadata of a client; bearer "" sends no token.
func sendJSON(t *testing.T, p *oidctest.Provider, method, target, bearer string, metadata any) answer {
	t.Helper()
	body, err := json.Marshal(metadata)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return do(t, p, req)
}

// described is the metadata of a client, with changes: nil deletes.
func described(changes map[string]any) map[string]any {
	return with(map[string]any{
		"redirect_uris": []string{callback}, "client_name": "A client", "grant_types": []string{"authorization_code", "client_credentials"},
	}, changes)
}

func register(t *testing.T, p *oidctest.Provider, changes map[string]any) answer {
	t.Helper()
	a := sendJSON(t, p, http.MethodPost, issuer+"/register", "", described(changes))
	require.Equal(t, http.StatusCreated, a.status, a.body)
	return a
}

// askAs asks for a token with the secret of a client that registered.
func askAs(t *testing.T, p *oidctest.Provider, registered answer, f url.Values) answer {
	t.Helper()
	req := postRequest(t, issuer+"/token", f)
	req.SetBasicAuth(registered.str("client_id"), registered.str("client_secret"))
	return do(t, p, req)
}

func TestRegistration(t *testing.T) {
	p := start(t)
	a := register(t, p, nil)
	require.Equal(t, "A client", a.str("client_name"))
	require.Equal(t, "client_secret_basic", a.str("token_endpoint_auth_method"))
	require.EqualValues(t, 0, a.json["client_secret_expires_at"])
	require.InDelta(t, p.Now().Unix(), a.json["client_id_issued_at"], 2)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, http.StatusOK, askAs(t, p, a, own).status)
	require.Equal(t, "unauthorized_client", askAs(t, p, a, refreshForm("x")).str("error"), "not registered for it")
	c := code(t, p, "client_id", a.str("client_id"))
	require.Equal(t, http.StatusOK, askAs(t, p, a, codeForm(c)).status)

	a = register(t, p, map[string]any{"token_endpoint_auth_method": "none"})
	require.NotContains(t, a.json, "client_secret")
	a = register(t, p, map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "jwks": map[string]any{"keys": []any{publicJWK(t, rsaKey())}},
		"token_endpoint_auth_signing_alg": "PS256", "scope": "openid read",
	})
	id := a.str("client_id")
	require.NotContains(t, a.json, "client_secret")
	try := func(alg, scope string) answer {
		f := asserted(sign(t, alg, rsaKey(), nil, assertion(p, id)))
		return post(t, p, "/token", join(join(own, f), url.Values{"scope": {scope}}))
	}
	require.Equal(t, http.StatusOK, try("PS256", "read").status)
	require.Equal(t, "the algorithm of the assertion is not registered for the client", try("RS256", "read").str("error_description"))
	require.Equal(t, "invalid_scope", try("PS256", "write").str("error"))
}

func TestRegistrationIsRefused(t *testing.T) {
	p := start(t)
	for name, test := range map[string]struct {
		want    string
		changes map[string]any
	}{
		"no redirect_uris":   {"invalid_redirect_uri", map[string]any{"redirect_uris": nil}},
		"a script":           {"invalid_redirect_uri", map[string]any{"redirect_uris": []string{"javascript:x"}}},
		"a fragment":         {"invalid_redirect_uri", map[string]any{"redirect_uris": []string{callback + "#x"}}},
		"not a list":         {"invalid_client_metadata", map[string]any{"redirect_uris": callback}},
		"method":             {"invalid_client_metadata", map[string]any{"token_endpoint_auth_method": "tls_client_auth"}},
		"no keys":            {"invalid_client_metadata", map[string]any{"token_endpoint_auth_method": "private_key_jwt"}},
		"private keys":       {"invalid_client_metadata", map[string]any{"jwks": map[string]any{"keys": []any{jwkOf(t, ecKey())}}}},
		"jwks and jwks_uri":  {"invalid_client_metadata", map[string]any{"jwks": map[string]any{"keys": []any{}}, "jwks_uri": "https://x.example"}},
		"grant_type":         {"invalid_client_metadata", map[string]any{"grant_types": []string{"password"}}},
		"response_type":      {"invalid_client_metadata", map[string]any{"response_types": []string{"token"}}},
		"response_types":     {"invalid_client_metadata", map[string]any{"response_types": "code"}},
		"ID token algorithm": {"invalid_client_metadata", map[string]any{"id_token_signed_response_alg": "none"}},
		"not offered":        {"invalid_client_metadata", map[string]any{"id_token_signed_response_alg": "EdDSA"}},
		"userinfo algorithm": {"invalid_client_metadata", map[string]any{"userinfo_signed_response_alg": "none"}},
		"assertions":         {"invalid_client_metadata", map[string]any{"token_endpoint_auth_signing_alg": "none"}},
		"encryption":         {"invalid_client_metadata", map[string]any{"id_token_encrypted_response_alg": "RSA1_5"}},
		"mTLS":               {"invalid_client_metadata", map[string]any{"tls_client_certificate_bound_access_tokens": true}},
		"ping without URL":   {"invalid_client_metadata", map[string]any{"backchannel_token_delivery_mode": "ping"}},
		"software_statement": {"unapproved_software_statement", map[string]any{"software_statement": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := sendJSON(t, p, http.MethodPost, issuer+"/register", "", described(test.changes))
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, test.want, a.str("error"))
		})
	}
	require.Equal(t, "invalid_client_metadata", post(t, p, "/register", url.Values{"x": {"y"}}).str("error"), "a form")
	require.Equal(t, "invalid_client_metadata", sendJSON(t, p, http.MethodPost, issuer+"/register", "", []int{}).str("error"))
}

func TestInitialAccessToken(t *testing.T) {
	p := start(t, func(c *oidctest.Config) { c.InitialAccessToken = "initial" })
	for bearer, status := range map[string]int{"": 401, "other": 401, "initial": 201} {
		a := sendJSON(t, p, http.MethodPost, issuer+"/register", bearer, described(nil))
		require.Equal(t, status, a.status)
	}
}

func TestClientConfiguration(t *testing.T) {
	p := start(t)
	a := register(t, p, nil)
	uri, bearer := a.str("registration_client_uri"), a.str("registration_access_token")
	read := sendJSON(t, p, http.MethodGet, uri, bearer, nil)
	require.Equal(t, a.json, read.json)
	for _, wrong := range []string{"", "other"} {
		require.Equal(t, http.StatusUnauthorized, sendJSON(t, p, http.MethodGet, uri, wrong, nil).status)
	}
	other := register(t, p, nil)
	require.Equal(t, http.StatusUnauthorized, sendJSON(t, p, http.MethodGet, uri, other.str("registration_access_token"), nil).status)
	require.Equal(t, http.StatusUnauthorized, sendJSON(t, p, http.MethodGet, issuer+"/client?client_id=client", bearer, nil).status)

	id := map[string]any{"client_id": a.str("client_id")}
	for name, changes := range map[string]map[string]any{
		"no client_id":   nil,
		"another":        {"client_id": "client"},
		"token":          with(id, map[string]any{"registration_access_token": bearer}),
		"URI":            with(id, map[string]any{"registration_client_uri": uri}),
		"another secret": with(id, map[string]any{"client_secret": "mine"}),
		"redirect_uris":  with(id, map[string]any{"redirect_uris": []string{}}),
	} {
		require.Equal(t, http.StatusBadRequest, sendJSON(t, p, http.MethodPut, uri, bearer, described(changes)).status, name)
	}
	updated := sendJSON(t, p, http.MethodPut, uri, bearer, described(with(id, map[string]any{
		"client_name": "Another name", "client_secret": a.str("client_secret"), "grant_types": []string{"client_credentials"},
	})))
	require.Equal(t, http.StatusOK, updated.status, updated.body)
	require.Equal(t, "Another name", updated.str("client_name"))
	require.Equal(t, a.str("client_secret"), updated.str("client_secret"))
	require.Equal(t, "unauthorized_client", askAs(t, p, a, codeForm("x")).str("error"))

	require.Equal(t, http.StatusUnauthorized, sendJSON(t, p, http.MethodGet, uri, bearer, nil).status, "replaced")
	bearer = updated.str("registration_access_token")
	require.Equal(t, http.StatusNoContent, sendJSON(t, p, http.MethodDelete, uri, bearer, nil).status)
	require.Equal(t, http.StatusUnauthorized, sendJSON(t, p, http.MethodGet, uri, bearer, nil).status)
	require.Equal(t, "the client is not registered", askAs(t, p, a, own).str("error_description"))
}

// TestDeletedClientsLoseTheirTokens, as RFC 7592, section 2.3, asks.
func TestDeletedClientsLoseTheirTokens(t *testing.T) {
	p := start(t)
	a := register(t, p, nil)
	at := askAs(t, p, a, codeForm(code(t, p, "client_id", a.str("client_id")))).str("access_token")
	require.Equal(t, http.StatusOK, userinfo(t, p, "Bearer "+at).status)
	sendJSON(t, p, http.MethodDelete, a.str("registration_client_uri"), a.str("registration_access_token"), nil)
	require.Equal(t, http.StatusUnauthorized, userinfo(t, p, "Bearer "+at).status)
}

func TestWebFinger(t *testing.T) {
	p := start(t)
	const root = "https://op.example/.well-known/webfinger"
	const rel = "http://openid.net/specs/connect/1.0/issuer"
	for _, resource := range []string{"acct:alice@op.example", "acct:bob@example.com", "https://op.example/alice", "https://op.example"} {
		a := get(t, p, root+"?"+url.Values{"resource": {resource}, "rel": {rel}}.Encode())
		require.Equal(t, http.StatusOK, a.status, resource)
		require.Equal(t, "application/jrd+json", a.header.Get("Content-Type"))
		require.Equal(t, resource, a.str("subject"))
		require.Equal(t, []any{map[string]any{"rel": rel, "href": issuer}}, a.json["links"])
	}
	require.Equal(t, []any{}, get(t, p, root+"?resource=https://op.example/&rel=x").json["links"])
	for query, status := range map[string]int{
		"":                                        http.StatusBadRequest,
		"?resource=":                              http.StatusBadRequest,
		"?resource=a&resource=b":                  http.StatusBadRequest,
		"?resource=acct:nobody@op.example":        http.StatusNotFound,
		"?resource=acct:alice@other.example":      http.StatusNotFound,
		"?resource=https://other.example/alice":   http.StatusNotFound,
		"?resource=mailto:alice@op.example":       http.StatusNotFound,
		"?resource=https://op.example.evil/alice": http.StatusNotFound,
	} {
		require.Equal(t, status, get(t, p, root+query).status, query)
	}
	p.OnAnswer(oidctest.WebFinger, func(answer map[string]any) { answer["subject"] = "acct:mallory@op.example" })
	require.Equal(t, "acct:mallory@op.example", get(t, p, root+"?resource=acct:alice@op.example").str("subject"))
	require.Equal(t, 14, p.Requests(oidctest.WebFinger))
}
