package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// KeycloakVersion is the one that the tests are for: org.keycloak:keycloak-quarkus-dist of Maven, as a zip.
const KeycloakVersion = "26.7.3"

// Keycloak is a Keycloak that runs until the test ends, with the realm of keycloak/xldeploy-realm.json: the one that
// docs/keycloak.md makes.
type Keycloak struct {
	// Base is where it is, without a slash at the end. Issuer is that of the realm.
	Base, Issuer string

	process *Process
	admin   *http.Client
}

// What the realm's file has.
const (
	KeycloakClientID      = "Deploy Server"
	KeycloakClientSecret  = "a secret for trials alone"
	KeycloakPlainClientID = "without audience" // a client as Keycloak makes it, without our mappers
	KeycloakPlainSecret   = "another secret for trials alone"

	KeycloakSecretJWTClientID = "by client_secret_jwt"
	KeycloakSecretJWTSecret   = "a secret for trials, of 32 bytes or more"
	KeycloakKeyJWTClientID    = "by private_key_jwt" // its attribute jwks.url is to be set

	keycloakRealm = "XLDeploy"
)

var keycloakReady = regexp.MustCompile(`Keycloak .* started in .* Listening on: http://`)

// StartKeycloak starts Keycloak, from where $OIDCKIT_KEYCLOAK says that it is unpacked, or else from
// oidckit-ci/keycloak-VERSION in the user's cache folder. Where it is not, the test is skipped, unless
// $OIDCKIT_KEYCLOAK_REQUIRED is set. Java is needed, 17 or later. The first start of an unpacked Keycloak takes longer
// than others, for it compiles its configuration.
func StartKeycloak(t testing.TB) *Keycloak {
	t.Helper()
	home := keycloakHome(t, findKeycloak(t))
	address := FreeAddress(t)
	host, port, _ := strings.Cut(address, ":")
	_, management, _ := strings.Cut(FreeAddress(t), ":")
	env := []string{"KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=admin", "JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1"}
	process := start(t, home, env, filepath.Join(home, "bin", "kc.sh"), "start-dev", "--db=dev-mem", "--import-realm",
		"--http-host="+host, "--http-port="+port, "--http-management-port="+management)
	k := &Keycloak{Base: "http://" + address, process: process, admin: &http.Client{Timeout: waitTimeout}}
	k.Issuer = k.Base + "/realms/" + keycloakRealm
	k.await(t)
	return k
}

// await gives Keycloak longer than other programs: the first start compiles.
func (k *Keycloak) await(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for firstMatch(keycloakReady, k.process.Output(), false) == nil {
		if k.process.ended() || time.Now().After(deadline) {
			t.Fatalf("interop: Keycloak did not start:\n%s", k.process.Output())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func findKeycloak(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("OIDCKIT_KEYCLOAK")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("interop: %v", err)
		}
		dir = filepath.Join(cache, "oidckit-ci", "keycloak-"+KeycloakVersion)
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "kc.sh")); err != nil {
		const what = "interop: KEYCLOAK IS NOT TESTED: %s is not there: unpack keycloak-quarkus-dist-%s.zip of Maven Central, and set OIDCKIT_KEYCLOAK"
		if os.Getenv("OIDCKIT_KEYCLOAK_REQUIRED") != "" {
			t.Fatalf(what, dir, KeycloakVersion)
		}
		t.Skipf(what, dir, KeycloakVersion)
	}
	return dir
}

// keycloakHome is a home of our own for the program in dir: the realm to import is there, and nothing is left behind.
func keycloakHome(t testing.TB, dir string) string {
	t.Helper()
	home := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("interop: %v", err)
		}
	}
	for _, name := range []string{"lib", "conf", "themes", "version.txt"} {
		must(os.Symlink(filepath.Join(dir, name), filepath.Join(home, name)))
	}
	for _, name := range []string{"bin", "providers", "data/import"} {
		must(os.MkdirAll(filepath.Join(home, name), 0o700))
	}
	// The script finds its home by where it is itself.
	copyFile(t, filepath.Join(dir, "bin", "kc.sh"), filepath.Join(home, "bin", "kc.sh"), 0o700)
	// Keycloak wants the name of the realm in that of the file.
	copyFile(t, filepath.Join(moduleDir(t), "keycloak", "xldeploy-realm.json"), filepath.Join(home, "data", "import", keycloakRealm+"-realm.json"), 0o600)
	return home
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, mode)
	}
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
}

// A KeycloakBrowser stands for a person at Keycloak's login form.
type KeycloakBrowser struct {
	Client *http.Client
	stopAt string
}

// NewKeycloakBrowser returns a browser without a cookie.
func NewKeycloakBrowser() *KeycloakBrowser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // never: it has no options to object to
	}
	b := &KeycloakBrowser{}
	b.Client = &http.Client{Jar: loopbackJar{jar}, Timeout: waitTimeout, CheckRedirect: b.checkRedirect}
	return b
}

// loopbackJar sends Secure cookies to loopback without TLS too, as browsers do.
type loopbackJar struct{ http.CookieJar }

func (j loopbackJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secure(u), cookies)
}

func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(secure(u)) }

func secure(u *url.URL) *url.URL {
	copied := *u
	copied.Scheme = "https"
	return &copied
}

func (b *KeycloakBrowser) checkRedirect(req *http.Request, via []*http.Request) error {
	if b.stopAt != "" && strings.HasPrefix(req.URL.String(), b.stopAt) {
		return http.ErrUseLastResponse
	}
	if len(via) >= 20 {
		return errors.New("interop: 20 redirects")
	}
	return nil
}

// Authorize visits an authorization URL, fills in the form if there is one, and returns the redirect URI, which begins
// with redirectURI, with what Keycloak said to it, without visiting it.
func (b *KeycloakBrowser) Authorize(ctx context.Context, authorizationURL, redirectURI, username, password string) (*url.URL, error) {
	b.stopAt = redirectURI
	defer func() { b.stopAt = "" }()
	res, err := b.Visit(ctx, authorizationURL, username, password)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	location, err := res.Location()
	if err != nil {
		page, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // what there is of it
		return nil, fmt.Errorf("interop: Keycloak did not redirect: %s: %.4096s", res.Status, page)
	}
	return location, nil
}

var keycloakForm = regexp.MustCompile(`<form id="kc-form-login"[^>]*action="([^"]*)"`)

// Visit opens a URL, logs in if that ends at Keycloak's login form, and returns the page where this ends; the caller
// closes its body.
func (b *KeycloakBrowser) Visit(ctx context.Context, target, username, password string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Sec-Fetch-Site", "none") // as browsers do for an address that was typed
	res, err := b.Client.Do(req)
	if err != nil {
		return nil, err
	}
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	form := keycloakForm.FindSubmatch(page)
	if form == nil {
		res.Body = io.NopCloser(bytes.NewReader(page))
		return res, nil
	}
	fields := url.Values{"username": {username}, "password": {password}, "credentialId": {""}}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, html.UnescapeString(string(form[1])), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Client.Do(req)
}

// SetClientAttribute changes an attribute of a client of the realm, such as backchannel.logout.url.
func (k *Keycloak) SetClientAttribute(ctx context.Context, clientID, name, value string) error {
	var clients []map[string]any
	if err := k.control(ctx, http.MethodGet, "/clients?"+url.Values{"clientId": {clientID}}.Encode(), nil, &clients); err != nil {
		return err
	}
	if len(clients) != 1 {
		return fmt.Errorf("interop: Keycloak has %d clients %q", len(clients), clientID)
	}
	attributes, ok := clients[0]["attributes"].(map[string]any)
	if !ok {
		return errors.New("interop: a client of Keycloak without attributes")
	}
	attributes[name] = value
	return k.control(ctx, http.MethodPut, fmt.Sprintf("/clients/%s", clients[0]["id"]), clients[0], nil)
}

// Rotate makes the realm sign with a new key by RS256. The old ones stay published, unless dropOld.
func (k *Keycloak) Rotate(ctx context.Context, dropOld bool) error {
	var old []map[string]any
	if err := k.control(ctx, http.MethodGet, "/components?type=org.keycloak.keys.KeyProvider", nil, &old); err != nil {
		return err
	}
	// The priority decides which key signs.
	priority := fmt.Sprint(1000 + len(old))
	err := k.control(ctx, http.MethodPost, "/components", map[string]any{
		"name": "rotated " + priority, "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
		"config": map[string]any{"priority": []string{priority}, "algorithm": []string{"RS256"}, "enabled": []string{"true"}, "active": []string{"true"}},
	}, nil)
	if err != nil || !dropOld {
		return err
	}
	for _, key := range old {
		if key["providerId"] != "rsa-generated" {
			continue
		}
		if err := k.control(ctx, http.MethodDelete, fmt.Sprintf("/components/%s", key["id"]), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// control asks the admin API about the realm.
func (k *Keycloak) control(ctx context.Context, method, path string, body, answer any) error {
	token, err := k.adminToken(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, k.Base+"/admin/realms/"+keycloakRealm+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	return k.ask(req, answer)
}

func (k *Keycloak) adminToken(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {"admin"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.Base+"/realms/master/protocol/openid-connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	err = k.ask(req, &tokens)
	return tokens.AccessToken, err
}

func (k *Keycloak) ask(req *http.Request, answer any) error {
	res, err := k.admin.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case res.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("interop: Keycloak: %s %s: %s: %s", req.Method, req.URL.Path, res.Status, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
