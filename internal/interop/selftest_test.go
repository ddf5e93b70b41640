package interop_test

// This is the harness's own self-test: it logs in at the provider by hand, with net/http and encoding/json and no
// line of oidckit. When it fails, the provider or the harness is broken; look here before you look at oidckit.

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

const (
	selfTestCallback = "http://127.0.0.1:1/callback" // nobody is there: the browser stops before it
	selfTestGoodbye  = "http://127.0.0.1:1/goodbye"

	unusedVerifier = "of a login whose code is never spent, so that it need not be secret"
)

func TestHarnessCodeFlowRefreshAndAccessToken(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback})
	client := op.Client(t, "app-basic")

	verifier := rand.Text() + rand.Text() // RFC 7636 wants 43 characters or more
	code := authorize(t, op, client, verifier, url.Values{
		"scope":    {"openid profile offline_access reports:read"},
		"resource": {"https://api.test"},
	})
	first := post(t, op, client, http.StatusOK, url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {selfTestCallback}, "code_verifier": {verifier},
	})
	checkAPIToken(t, op, first["access_token"])

	header, idToken := decode(t, first["id_token"])
	require.Equal(t, "RS256", header["alg"])
	require.Equal(t, "alice", idToken["sub"])
	require.Equal(t, "n-1", idToken["nonce"])
	require.Equal(t, roles("admin", "user"), idToken["realm_access"])

	refresh := func(token any, status int, more url.Values) map[string]any {
		t.Helper()
		more.Set("grant_type", "refresh_token")
		more.Set("refresh_token", token.(string))
		return post(t, op, client, status, more)
	}
	second := refresh(first["refresh_token"], http.StatusOK, url.Values{"resource": {"https://api.test"}})
	checkAPIToken(t, op, second["access_token"])
	require.NotEqual(t, first["refresh_token"], second["refresh_token"], "refresh tokens rotate")

	reused := refresh(first["refresh_token"], http.StatusBadRequest, url.Values{})
	require.Equal(t, "invalid_grant", reused["error"])
	revoked := refresh(second["refresh_token"], http.StatusBadRequest, url.Values{})
	require.Equal(t, "invalid_grant", revoked["error"], "the whole family is revoked")
}

func TestHarnessEveryClientLogsIn(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback}, interop.WithIDTokenClaims())
	for _, id := range []string{"app-basic", "app-post", "app-public", "app-ps", "app-hs"} {
		t.Run(id, func(t *testing.T) {
			client := op.Client(t, id)
			verifier := rand.Text() + rand.Text() // RFC 7636 wants 43 characters or more
			code := authorize(t, op, client, verifier, url.Values{"scope": {"openid profile email"}})
			answer := post(t, op, client, http.StatusOK, url.Values{
				"grant_type": {"authorization_code"}, "code": {code},
				"redirect_uri": {selfTestCallback}, "code_verifier": {verifier},
			})
			header, idToken := decode(t, answer["id_token"])
			require.Equal(t, client.IDTokenAlg, header["alg"])
			require.Equal(t, "Alice Adams", idToken["name"])
			require.NotContains(t, answer, "refresh_token", "nobody asked for offline_access")

			userinfo := getJSON(t, op.Issuer+"/me", answer["access_token"].(string))
			require.Equal(t, roles("admin", "user"), userinfo["realm_access"])
			require.Equal(t, "alice@example.test", userinfo["email"])
		})
	}
}

func TestHarnessMachineTokenAndTTL(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback})
	client := op.Client(t, "app-machine")
	for resource, ttl := range map[string]float64{"https://api.test": 300, "https://short.test": 2} {
		answer := post(t, op, client, http.StatusOK, url.Values{
			"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"reports:write"},
		})
		_, token := decode(t, answer["access_token"])
		require.Equal(t, resource, token["aud"])
		require.Equal(t, "reports:write", token["scope"])
		require.InDelta(t, ttl, token["exp"].(float64)-token["iat"].(float64), 0)
	}
	refused := post(t, op, client, http.StatusBadRequest, url.Values{
		"grant_type": {"client_credentials"}, "resource": {"https://unknown.test"},
	})
	require.Equal(t, "invalid_target", refused["error"])
}

func TestHarnessFormSilentLoginAndLogout(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback}, interop.WithPostLogoutRedirectURIs(selfTestGoodbye))
	client := op.Client(t, "app-basic")
	browser := op.NewBrowser()
	silent := authorizationURL(op, client, unusedVerifier, url.Values{"prompt": {"none"}, "login_hint": nil})

	back, err := browser.Authorize(t.Context(), silent)
	require.NoError(t, err)
	require.Equal(t, "login_required", back.Query().Get("error"))

	// The form leads to the redirect URI, where nobody listens.
	form := authorizationURL(op, client, unusedVerifier, url.Values{"login_hint": nil})
	_, err = browser.Authorize(t.Context(), form)
	require.ErrorContains(t, err, "Sign in")
	_, err = browser.Visit(t.Context(), form, "bob")
	require.ErrorContains(t, err, "refused")
	back, err = browser.Authorize(t.Context(), silent)
	require.NoError(t, err)
	require.NotEmpty(t, back.Query().Get("code"), "the session is there")

	_, err = browser.Logout(t.Context(), op.Issuer+"/session/end?"+url.Values{
		"client_id": {client.ID}, "post_logout_redirect_uri": {selfTestGoodbye}, "state": {"s-2"},
	}.Encode())
	require.ErrorContains(t, err, selfTestGoodbye+"?state=s-2")
	back, err = browser.Authorize(t.Context(), silent)
	require.NoError(t, err)
	require.Equal(t, "login_required", back.Query().Get("error"), "the session is gone")

	denied, err := op.Login(t.Context(), authorizationURL(op, client, unusedVerifier, url.Values{"login_hint": {"deny"}}))
	require.NoError(t, err)
	require.Equal(t, "access_denied", denied.Query().Get("error"))
}

func TestHarnessRotation(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback})
	keys := func() []any { return getJSON(t, op.Issuer+"/jwks", "")["keys"].([]any) }
	before := keys()
	require.Len(t, before, 4)

	require.NoError(t, op.Rotate(t.Context(), false))
	both := keys()
	require.Len(t, both, 8)
	require.Subset(t, both, before, "the old keys stay")

	require.NoError(t, op.Rotate(t.Context(), true))
	after := keys()
	require.Len(t, after, 4)
	for _, key := range both {
		require.NotContains(t, after, key)
	}
}

func TestHarnessProcess(t *testing.T) {
	p := interop.Run(t, "/bin/sh", "-c", `echo "port=42"; echo "said on stderr" >&2; read -r line; echo "ended"`)
	require.Equal(t, []string{"port=42", "42"}, p.Wait(regexp.MustCompile(`port=(\d+)`)))
	require.NotNil(t, p.Wait(regexp.MustCompile(`^said on stderr$`)))
	p.Stop()
}

func authorizationURL(op *interop.OP, client interop.Client, verifier string, more url.Values) string {
	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {client.ID}, "response_type": {"code"}, "redirect_uri": {selfTestCallback},
		"scope": {"openid"}, "state": {"s-1"}, "nonce": {"n-1"}, "login_hint": {"alice"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	maps.Copy(q, more)
	return op.Issuer + "/auth?" + q.Encode()
}

// authorize logs alice in and returns the code.
func authorize(t *testing.T, op *interop.OP, client interop.Client, verifier string, more url.Values) string {
	t.Helper()
	back, err := op.Login(t.Context(), authorizationURL(op, client, verifier, more))
	require.NoError(t, err)
	answer := back.Query()
	require.Equal(t, "s-1", answer.Get("state"))
	require.Equal(t, op.Issuer, answer.Get("iss"))
	require.NotEmpty(t, answer.Get("code"), "got %s", back)
	return answer.Get("code")
}

// post asks the token endpoint as the client.
func post(t *testing.T, op *interop.OP, client interop.Client, status int, form url.Values) map[string]any {
	t.Helper()
	basic := client.AuthMethod == "client_secret_basic"
	if !basic {
		form.Set("client_id", client.ID)
	}
	if client.AuthMethod == "client_secret_post" {
		form.Set("client_secret", client.Secret)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, op.Issuer+"/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(client.Secret))
	}
	return do(t, req, status)
}

func getJSON(t *testing.T, target, bearer string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return do(t, req, http.StatusOK)
}

func do(t *testing.T, req *http.Request, status int) map[string]any {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode, "%s", body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
	return answer
}

// checkAPIToken looks at an access token for https://api.test without checking its signature.
func checkAPIToken(t *testing.T, op *interop.OP, token any) {
	t.Helper()
	header, payload := decode(t, token)
	require.Equal(t, "at+jwt", header["typ"])
	require.Equal(t, "RS256", header["alg"])
	require.Equal(t, op.Issuer, payload["iss"])
	require.Equal(t, "https://api.test", payload["aud"])
	require.Equal(t, "alice", payload["sub"])
	require.Equal(t, "app-basic", payload["client_id"])
	require.Equal(t, "reports:read", payload["scope"])
	require.Equal(t, roles("admin", "user"), payload["realm_access"])
}

func decode(t *testing.T, token any) (header, payload map[string]any) {
	t.Helper()
	require.IsType(t, "", token)
	parts := strings.Split(token.(string), ".")
	require.Len(t, parts, 3)
	for i, into := range []*map[string]any{&header, &payload} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	return header, payload
}

func roles(names ...any) map[string]any { return map[string]any{"roles": names} }
