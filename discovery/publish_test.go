package discovery_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
)

func ask(h http.Handler, method string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, issuer+openID, nil)
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	m := discovery.Metadata{
		Issuer: issuer, JWKSURI: issuer + "/jwks", ScopesSupported: []string{"openid"},
		Extra: map[string]any{"request_uri_parameter_supported": false, "x_own": []int{1}},
	}
	h := discovery.Handler(m)
	m.ScopesSupported[0], m.Extra["x_own"] = "changed", "changed" // it is a copy
	want := `{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `/jwks","scopes_supported":["openid"],"request_uri_parameter_supported":false,"x_own":[1]}`

	resp := ask(h, http.MethodGet, nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.JSONEq(t, want, bodyOf(t, resp))
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	require.Equal(t, "public, max-age=300", resp.Header.Get("Cache-Control"))
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	etag := resp.Header.Get("ETag")
	require.Regexp(t, `^"[\w-]+"$`, etag)

	resp = ask(h, http.MethodHead, nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Empty(t, bodyOf(t, resp))
	require.Equal(t, etag, resp.Header.Get("ETag"))

	for _, value := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		resp = ask(h, http.MethodGet, http.Header{"If-None-Match": {value}})
		require.Equal(t, http.StatusNotModified, resp.StatusCode, value)
		require.Empty(t, bodyOf(t, resp))
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	}
	resp = ask(h, http.MethodGet, http.Header{"If-None-Match": {`"x"`}})
	require.Equal(t, http.StatusOK, resp.StatusCode)
	m.ScopesSupported[0] = "email"
	require.NotEqual(t, etag, ask(discovery.Handler(m), http.MethodGet, nil).Header.Get("ETag"))

	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		resp = ask(h, method, nil)
		require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, method)
		require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	}
}

// What was read from a document is published as far as the fields go: nobody
// else's signature, and nothing that we do not know.
func TestHandlerPublishesFieldsOnly(t *testing.T) {
	t.Parallel()
	m, err := discovery.Parse([]byte(document(map[string]any{"signed_metadata": "e30.e30.x", "x_private": "y"})))
	require.NoError(t, err)
	require.JSONEq(t, document(nil), bodyOf(t, ask(discovery.Handler(*m), http.MethodGet, nil)))
}

func TestHandlerRefusesWhatCannotBePublished(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]discovery.Metadata{
		"no issuer":     {JWKSURI: issuer},
		"no JSON":       {Issuer: issuer, Extra: map[string]any{"x": func() {}}},
		"twice":         {Issuer: issuer, Extra: map[string]any{"jwks_uri": issuer}},
		"issuer twice":  {Issuer: issuer, Extra: map[string]any{"issuer": "https://evil.example"}},
		"in other case": {Issuer: issuer, Extra: map[string]any{"JWKS_URI": issuer}},
	} {
		require.Equal(t, http.StatusInternalServerError, ask(discovery.Handler(m), http.MethodGet, nil).StatusCode, name)
	}
	_, err := json.Marshal(discovery.Metadata{Issuer: issuer, Extra: map[string]any{"issuer": issuer}})
	require.Error(t, err)
}

// What is published is what a Remote reads.
func TestHandlerAndRemoteAgree(t *testing.T) {
	t.Parallel()
	m := at(issuer, issuer, issuer)
	s := newSite(map[string]page{issuer + openID: {body: bodyOf(t, ask(discovery.Handler(*m), http.MethodGet, nil))}})
	requireSame(t, m, read(t, s, discovery.Config{Issuer: issuer}))
}
