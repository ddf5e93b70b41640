package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/presets"
)

const (
	john, johnsPassword = "JohnDoe", "john's password"
	jane, janesPassword = "janeroe", "jane's password"
)

// TestKeycloak is docs/keycloak.md, tried. One Keycloak serves all of it, for it takes long to start.
func TestKeycloak(t *testing.T) {
	k := interop.StartKeycloak(t)
	t.Run("login", func(t *testing.T) { keycloakLogin(t, k) })
	t.Run("client authentication", func(t *testing.T) { keycloakClientAuth(t, k) })
	t.Run("REST", func(t *testing.T) { keycloakREST(t, k) })
	t.Run("examples/api", func(t *testing.T) { keycloakAPI(t, k) })
	t.Run("examples/webapp", func(t *testing.T) { keycloakWebapp(t, k) })
	t.Run("refresh", func(t *testing.T) { keycloakRefresh(t, k) })
	t.Run("back-channel logout", func(t *testing.T) { keycloakLogout(t, k) })
	t.Run("key rotation", func(t *testing.T) { keycloakRotation(t, k) }) // last: it takes keys away
}

func keycloakClient(t *testing.T, k *interop.Keycloak, change func(*oidc.ClientConfig)) *oidc.Client {
	t.Helper()
	provider := newProvider(t, presets.Keycloak(k.Issuer).Config)
	cfg := oidc.ClientConfig{
		ClientID: interop.KeycloakClientID, ClientSecret: interop.KeycloakClientSecret, RedirectURL: callbackURL,
	}
	if change != nil {
		change(&cfg)
	}
	client, err := oidc.NewClient(provider, cfg)
	require.NoError(t, err)
	return client
}

func keycloakLogIn(t *testing.T, client *oidc.Client, browser *interop.KeycloakBrowser, user, password string) *oidc.Tokens {
	t.Helper()
	flow, err := client.Begin(t.Context())
	require.NoError(t, err)
	back, err := browser.Authorize(t.Context(), flow.AuthorizationURL, callbackURL, user, password)
	require.NoError(t, err)
	require.Equal(t, client.Provider().Issuer(), back.Query().Get("iss"), "RFC 9207")
	tokens, err := client.Finish(t.Context(), flow, back.Query())
	require.NoError(t, err)
	return tokens
}

func keycloakVerifier(t *testing.T, k *interop.Keycloak) *oidc.AccessTokenVerifier {
	t.Helper()
	preset := presets.Keycloak(k.Issuer)
	preset.AccessToken.Audience = []string{interop.KeycloakClientID}
	verifier, err := oidc.NewAccessTokenVerifier(newProvider(t, preset.Config), preset.AccessToken)
	require.NoError(t, err)
	return verifier
}

func keycloakLogin(t *testing.T, k *interop.Keycloak) {
	client := keycloakClient(t, k, nil)
	tokens := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword)
	info, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	access, err := keycloakVerifier(t, k).Verify(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)
	require.Equal(t, tokens.IDToken.Subject, access.Subject)
	require.Equal(t, interop.KeycloakClientID, access.ClientID)

	mapper, err := claims.NewMapper(presets.Keycloak(k.Issuer, interop.KeycloakClientID).Mapping)
	require.NoError(t, err)
	id, err := mapper.Identity(t.Context(), claims.Sources{AccessToken: access.Claims})
	require.NoError(t, err)
	require.Equal(t, "johndoe", id.Username, "Keycloak writes it in small letters")
	require.Equal(t, "john.doe@example.com", id.Email)
	require.True(t, id.EmailVerified)
	require.Subset(t, id.Roles, []string{"admins", "deployer"})
	require.NotContains(t, id.Roles, "view-profile", "a role of the client account")
	require.Equal(t, []string{"/operations/night shift"}, id.Groups)

	// The guide's mappers put roles and groups into the ID token, and userinfo, too.
	for source, set := range map[string]claims.Set{"ID token": tokens.IDToken.Claims, "userinfo": info.Claims} {
		roles, err := set.Strings(presets.KeycloakRealmRoles())
		require.NoError(t, err, source)
		require.Contains(t, roles, "admins", source)
		groups, err := set.Strings(claims.P("groups"))
		require.NoError(t, err, source)
		require.Equal(t, []string{"/operations/night shift"}, groups, source)
	}

	// An ID token is no access token, nor the other way round.
	_, err = keycloakVerifier(t, k).Verify(t.Context(), tokens.IDToken.Raw())
	requireReason(t, oidc.ReasonType, err)
	require.Contains(t, presets.Keycloak(k.Issuer).Hint(err, tokens.IDToken.Raw()), "ID token")
	_, err = client.VerifyIDToken(t.Context(), tokens.OAuth2.AccessToken, "")
	require.Error(t, err)
}

// Keycloak takes every proof of a client that the guide names, and a name with a space.
func keycloakClientAuth(t *testing.T, k *interop.Keycloak) {
	secret, longSecret := clientauth.Secret(interop.KeycloakClientSecret), clientauth.Secret(interop.KeycloakSecretJWTSecret)
	key := keycloakSigningKey(t, k)
	for name, tt := range map[string]struct {
		client string
		method clientauth.Method
	}{
		"basic":       {interop.KeycloakClientID, clientauth.SecretBasic(secret)},
		"post":        {interop.KeycloakClientID, clientauth.SecretPost(secret)},
		"secret JWT":  {interop.KeycloakSecretJWTClientID, clientauth.SecretJWT(longSecret)},
		"private key": {interop.KeycloakKeyJWTClientID, clientauth.PrivateKeyJWT(key)},
	} {
		client := keycloakClient(t, k, func(cfg *oidc.ClientConfig) {
			cfg.ClientID, cfg.ClientSecret, cfg.ClientAuth = tt.client, "", tt.method
		})
		tokens := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword)
		// Keycloak tells a client about those tokens alone that name it in aud.
		answer, err := client.Introspect(t.Context(), tokens.OAuth2.AccessToken)
		if tt.client != interop.KeycloakClientID {
			requireReason(t, oidc.ReasonRevoked, err)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tokens.IDToken.Subject, answer.Subject, name)
	}

	client := keycloakClient(t, k, func(cfg *oidc.ClientConfig) { cfg.ClientSecret = "another" })
	flow, err := client.Begin(t.Context())
	require.NoError(t, err)
	back, err := interop.NewKeycloakBrowser().Authorize(t.Context(), flow.AuthorizationURL, callbackURL, john, johnsPassword)
	require.NoError(t, err)
	_, err = client.Finish(t.Context(), flow, back.Query())
	var refused *oidc.ResponseError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, []string{"invalid_client", "unauthorized_client"}, refused.Code)
}

// keycloakSigningKey is a key that Keycloak finds at an address of ours.
func keycloakSigningKey(t *testing.T, k *interop.Keycloak) *jwks.SigningKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: private, KeyID: "trial"})
	require.NoError(t, err)
	server := httptest.NewServer(jwks.Handler(key))
	t.Cleanup(server.Close)
	require.NoError(t, k.SetClientAttribute(t.Context(), interop.KeycloakKeyJWTClientID, "jwks.url", server.URL))
	return key
}

// keycloakREST is an API whose routes want a role of the realm.
func keycloakREST(t *testing.T, k *interop.Keycloak) {
	preset := presets.Keycloak(k.Issuer)
	var hint string
	bearer := &middleware.Bearer{Verifier: keycloakVerifier(t, k), OnError: func(r *http.Request, f *middleware.Refusal) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		hint = preset.Hint(f.Err, token)
	}}
	server := httptest.NewServer(bearer.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}), middleware.RequireRole(presets.KeycloakRealmRoles(), "admins")))
	defer server.Close()
	api := &api{base: server.URL}

	client := keycloakClient(t, k, nil)
	johns := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword)
	janes := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), jane, janesPassword)
	require.Equal(t, http.StatusNoContent, api.get(t, "/", johns.OAuth2.AccessToken).status)
	require.Equal(t, http.StatusForbidden, api.get(t, "/", janes.OAuth2.AccessToken).status)
	requireRefused(t, api.get(t, "/", johns.IDToken.Raw()))
	requireRefused(t, api.get(t, "/", johns.OAuth2.RefreshToken))

	// A client as Keycloak makes it: nothing in its tokens is for this API. (John's would be, for he has a role of this
	// API's client, which Keycloak's scope "roles" resolves to an audience.)
	plain := keycloakClient(t, k, func(cfg *oidc.ClientConfig) {
		cfg.ClientID, cfg.ClientSecret = interop.KeycloakPlainClientID, interop.KeycloakPlainSecret
	})
	hint = ""
	requireRefused(t, api.get(t, "/", keycloakLogIn(t, plain, interop.NewKeycloakBrowser(), jane, janesPassword).OAuth2.AccessToken))
	require.Contains(t, hint, "audience mapper")
}

// TestSettingsOfTheGuides: there is no Okta and no Entra ID to log in at here, but a program that reads what their guides
// say, and starts with it.
func TestSettingsOfTheGuides(t *testing.T) {
	bin := interop.BuildExample(t, "api")
	for _, name := range []string{"okta", "entra-id", "keycloak"} {
		p := interop.Run(t, bin, "-listen", "127.0.0.1:0", "-config", settingsOf(t, name))
		api := &api{base: p.Wait(apiReady)[1], process: p}
		require.Equal(t, http.StatusOK, api.get(t, "/healthz", "").status, name)
	}
}

// guide is the YAML of docs/keycloak.md in a file, for this Keycloak and an application there.
func guide(t *testing.T, k *interop.Keycloak, application string) string {
	t.Helper()
	return settingsOf(t, "keycloak", "http://127.0.0.1:8081", k.Base, "http://127.0.0.1:8080", application)
}

// settingsOf is the YAML of a page of docs in a file, with texts replaced.
func settingsOf(t *testing.T, name string, replace ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + name + ".md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, block, "the guide has settings")
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, string(block[1]), replace[i])
	}
	settings := strings.NewReplacer(replace...).Replace(string(block[1]))
	file := filepath.Join(t.TempDir(), "deploy-oidc.yaml")
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o600))
	return file
}

// keycloakAPI is examples/api with the settings of the guide.
func keycloakAPI(t *testing.T, k *interop.Keycloak) {
	bin := interop.BuildExample(t, "api")
	file := guide(t, k, "http://127.0.0.1:1")
	check, err := exec.CommandContext(t.Context(), bin, "-config", file, "-check").CombinedOutput()
	require.NoError(t, err, "%s", check)

	routes := filepath.Join(t.TempDir(), "routes.yaml")
	require.NoError(t, os.WriteFile(routes, []byte("routes:\n  - {method: POST, path: /deployments, roles: [admins]}\n"), 0o600))
	p := interop.Run(t, bin, "-listen", "127.0.0.1:0", "-config", file, "-routes", routes)
	api := &api{base: p.Wait(apiReady)[1], process: p}
	client := keycloakClient(t, k, nil)
	johns := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword)
	janes := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), jane, janesPassword)
	who := api.get(t, "/whoami", johns.OAuth2.AccessToken)
	require.Equal(t, http.StatusOK, who.status, "%s", who.body)
	require.Equal(t, "johndoe", who.json(t)["username"])
	require.Contains(t, who.json(t)["roles"], "admins")
	require.Equal(t, http.StatusOK, api.call(t, http.MethodPost, "/deployments", johns.OAuth2.AccessToken).status)
	require.Equal(t, http.StatusForbidden, api.call(t, http.MethodPost, "/deployments", janes.OAuth2.AccessToken).status)
	requireRefused(t, api.call(t, http.MethodPost, "/deployments", johns.IDToken.Raw()))
}

// keycloakWebapp is a person at examples/webapp with the settings of the guide.
func keycloakWebapp(t *testing.T, k *interop.Keycloak) {
	address := interop.FreeAddress(t)
	base := "http://" + address
	bin, file := interop.BuildExample(t, "webapp"), guide(t, k, base)
	check, err := exec.CommandContext(t.Context(), bin, "-config", file, "-check").CombinedOutput()
	require.NoError(t, err, "%s", check)
	p := interop.Run(t, bin, "-listen", address, "-config", file)
	require.Equal(t, base, p.Wait(webappReady)[1])
	browser := interop.NewKeycloakBrowser()
	me := func() answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/me", nil)
		require.NoError(t, err)
		return send(t, browser.Client, req)
	}
	require.Equal(t, http.StatusUnauthorized, me().status)
	home, err := browser.Visit(t.Context(), base+"/login", john, johnsPassword)
	require.NoError(t, err)
	defer home.Body.Close()
	require.Equal(t, http.StatusOK, home.StatusCode)
	require.Equal(t, address, home.Request.URL.Host)

	got := me()
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	require.Equal(t, k.Issuer, got.json(t)["iss"])
	require.Contains(t, got.json(t)["roles"], "admins")
	require.Contains(t, got.body, "johndoe")

	end, err := browser.Visit(t.Context(), base+"/logout", "", "")
	require.NoError(t, err)
	defer end.Body.Close()
	require.Equal(t, address, end.Request.URL.Host, "Keycloak sent the browser back")
	require.Equal(t, http.StatusUnauthorized, me().status)
}

// keycloakRefresh: the realm revokes refresh tokens once they are used.
func keycloakRefresh(t *testing.T, k *interop.Keycloak) {
	client := keycloakClient(t, k, nil)
	first := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword)
	time.Sleep(1100 * time.Millisecond) // Keycloak takes tokens of one second for one and the same
	second, err := client.Refresh(t.Context(), first)
	require.NoError(t, err)
	third, err := client.Refresh(t.Context(), second)
	require.NoError(t, err)
	require.NotEqual(t, first.OAuth2.RefreshToken, second.OAuth2.RefreshToken)
	require.NotEqual(t, second.OAuth2.RefreshToken, third.OAuth2.RefreshToken)
	require.Equal(t, first.IDToken.Subject, third.IDToken.Subject)
	_, err = keycloakVerifier(t, k).Verify(t.Context(), third.OAuth2.AccessToken)
	require.NoError(t, err)

	thief := keycloakClient(t, k, nil) // another process, which knows nothing of the rotation
	_, err = thief.Refresh(t.Context(), first)
	requireReason(t, oidc.ReasonRevoked, err)
}

// keycloakLogout: Keycloak tells the application of a logout that the person asked for in the browser.
func keycloakLogout(t *testing.T, k *interop.Keycloak) {
	told := make(chan string, 4)
	application := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- r.PostFormValue("logout_token")
	}))
	defer application.Close()
	require.NoError(t, k.SetClientAttribute(t.Context(), interop.KeycloakClientID, "backchannel.logout.url", application.URL+"/logout/backchannel"))

	client, browser := keycloakClient(t, k, nil), interop.NewKeycloakBrowser()
	tokens := keycloakLogIn(t, client, browser, john, johnsPassword)
	end, err := client.LogoutURL(t.Context(), oidc.Logout{IDToken: tokens.IDToken, PostLogoutRedirectURL: callbackURL, State: "s"})
	require.NoError(t, err)
	back, err := browser.Authorize(t.Context(), end, callbackURL, "", "")
	require.NoError(t, err)
	require.Equal(t, url.Values{"state": {"s"}}, back.Query())

	var raw string
	select {
	case raw = <-told:
	case <-time.After(30 * time.Second):
		t.Fatal("Keycloak told nobody")
	}
	verifier, err := oidc.NewLogoutTokenVerifier(client.Provider(), oidc.LogoutTokenConfig{ClientID: interop.KeycloakClientID})
	require.NoError(t, err)
	logout, err := verifier.Verify(t.Context(), raw)
	require.NoError(t, err)
	sid, err := tokens.IDToken.Claims.String(claims.P("sid"))
	require.NoError(t, err)
	require.Equal(t, tokens.IDToken.Subject, logout.Subject)
	require.Equal(t, sid, logout.SessionID)
	_, err = verifier.Verify(t.Context(), raw)
	requireReason(t, oidc.ReasonReplayed, err)
	_, err = client.Refresh(t.Context(), tokens)
	requireReason(t, oidc.ReasonRevoked, err)
}

// keycloakRotation: keys that came after the verifier read them are found, and those that were taken away count no more.
func keycloakRotation(t *testing.T, k *interop.Keycloak) {
	verifier, client := keycloakVerifier(t, k), keycloakClient(t, k, nil)
	old := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword).OAuth2.AccessToken
	_, err := verifier.Verify(t.Context(), old)
	require.NoError(t, err)

	require.NoError(t, k.Rotate(t.Context(), false))
	renewed := keycloakLogIn(t, client, interop.NewKeycloakBrowser(), john, johnsPassword).OAuth2.AccessToken
	before, _ := decode(t, old)
	after, _ := decode(t, renewed)
	require.NotEqual(t, before["kid"], after["kid"])
	for _, raw := range []string{renewed, old} {
		_, err = verifier.Verify(t.Context(), raw)
		require.NoError(t, err)
	}

	require.NoError(t, k.Rotate(t.Context(), true))
	_, err = keycloakVerifier(t, k).Verify(t.Context(), old)
	requireReason(t, oidc.ReasonKey, err)
}
