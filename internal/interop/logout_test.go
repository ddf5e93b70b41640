package interop_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

func TestOPLogout(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	goodbyes := make(chan url.Values, 1)
	goodbye := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { goodbyes <- r.URL.Query() }))
	t.Cleanup(goodbye.Close)
	logoutTokens := make(chan string, 1)
	backchannel := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { logoutTokens <- r.FormValue("logout_token") }))
	t.Cleanup(backchannel.Close)
	registered := op.Register(t, interop.Metadata{
		"post_logout_redirect_uris": []string{goodbye.URL + "/goodbye"}, "id_token_signed_response_alg": "PS256",
		"backchannel_logout_uri": backchannel.URL, "backchannel_logout_session_required": true,
	})
	client := clientOf(t, op, registered, oidc.ClientConfig{})

	browser := op.NewBrowser()
	flow, err := client.Begin(t.Context(), oidc.WithLoginHint("alice"))
	require.NoError(t, err)
	back, err := browser.Authorize(t.Context(), flow.AuthorizationURL)
	require.NoError(t, err)
	tokens, err := client.Finish(t.Context(), flow, back.Query())
	require.NoError(t, err)

	target, err := client.LogoutURL(t.Context(), oidc.Logout{
		IDToken: tokens.IDToken, PostLogoutRedirectURL: goodbye.URL + "/goodbye", State: "s-1", UILocales: []string{"de", "en"},
	})
	require.NoError(t, err)
	page, err := browser.Logout(t.Context(), target)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, page.Body)
	require.NoError(t, err)
	require.NoError(t, page.Body.Close())
	require.Equal(t, url.Values{"state": {"s-1"}}, <-goodbyes)

	verifier, err := oidc.NewLogoutTokenVerifier(client.Provider(), oidc.LogoutTokenConfig{ClientID: registered.ID})
	require.NoError(t, err)
	raw := <-logoutTokens
	ended, err := verifier.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.Equal(t, "alice", ended.Subject)
	require.NotEmpty(t, ended.SessionID)
	_, err = verifier.Verify(t.Context(), raw)
	requireReason(t, oidc.ReasonReplayed, err)
	_, err = client.VerifyIDToken(t.Context(), raw, "")
	requireReason(t, oidc.ReasonType, err)

	silent, err := client.Begin(t.Context(), oidc.WithPrompt("none"))
	require.NoError(t, err)
	back, err = browser.Authorize(t.Context(), silent.AuthorizationURL)
	require.NoError(t, err)
	require.Equal(t, "login_required", back.Query().Get("error"), "the session is gone")
}
