package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/apiflags"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// tried are the "ok" lines of try.sh: one that ended early must not pass.
const tried = 104

// Every flag, tried with curl against providers of oidctest.
func TestTry(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TRIED: try.sh needs %s, which is not installed", program)
		}
	}
	dir := t.TempDir()
	api := filepath.Join(dir, "api")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", api, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	script := exec.CommandContext(t.Context(), "bash", "try.sh")
	script.Env = append(os.Environ(), "API="+api, "WORK="+dir, "AUDIENCE="+audience, "no_proxy=127.0.0.1")
	for name, value := range tryEnvironment(t, dir) {
		script.Env = append(script.Env, name+"="+value)
	}
	out, err = script.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Len(t, regexp.MustCompile(`(?m)^ok `).FindAll(out, -1), tried, "%s", out)
}

func TestTry_KnowsEveryFlag(t *testing.T) {
	script, err := os.ReadFile("try.sh")
	require.NoError(t, err)
	new(apiflags.Config).Flags().VisitAll(func(f *flag.Flag) {
		require.Regexp(t, `(?m)^(start|refused|  "\$API"| +-client-id|readonly real).* -`+f.Name+"\\b", string(script), "try.sh does not try -%s", f.Name)
	})
}

// tryEnvironment starts the providers, and returns the variables of try.sh.
func tryEnvironment(t *testing.T, dir string) map[string]string {
	t.Helper()
	p, other, opaque := oidctest.Start(t), oidctest.Start(t), oidctest.Start(t, func(c *oidctest.Config) { c.OpaqueAccessTokens = true })
	silent := oidctest.Start(t)
	silent.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500})
	ipsilon := oidctest.Start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.AuthMethod = "client_secret_post"
		c.Clients, c.OpaqueAccessTokens = []oidctest.Client{client}, true
	})
	likeIpsilon(new(apiflags.Config), ipsilon)
	fedora, err := os.ReadFile("fedora.yaml")
	require.NoError(t, err)
	key := newKey(t)
	bound := claimsOf(p, "cnf", map[string]any{"jkt": thumbprint(t, key)})
	rs256, es256 := map[string]any{"alg": "RS256", "typ": "at+jwt"}, map[string]any{"alg": "ES256", "typ": "at+jwt"}
	secret := strings.Repeat("secret-", 10)
	hmac := func(alg, secret string) string {
		return oidctest.SignHMAC(map[string]any{"alg": alg, "typ": "at+jwt"}, claimsOf(p), []byte(secret))
	}
	token := p.Sign(rs256, bound)
	revoked := opaque.AccessToken("bob", audience)
	revoke(t, opaque, revoked)
	return map[string]string{
		"ISSUER": p.Issuer(), "OTHER_ISSUER": other.Issuer(), "OPAQUE_ISSUER": opaque.Issuer(), "SILENT_ISSUER": silent.Issuer(),
		"ALICE": p.AccessToken("alice", audience), "BOB": p.AccessToken("bob", audience, "reports:read"),
		"OTHER_BOB":      other.AccessToken("bob", audience),
		"SILENT_BOB":     silent.AccessToken("bob", audience),
		"OTHER_AUDIENCE": p.AccessToken("bob", "https://other.example"),
		"OTHER_ES256":    other.Sign(es256, claimsOf(other)),
		"CROSSED":        other.Sign(rs256, claimsOf(p)), // one issuer's name, the other one's key
		"STRANGER":       oidctest.Start(t).AccessToken("bob", audience),
		"NAMELESS":       p.Sign(rs256, claimsOf(p)),

		"SECRET": secret, "SECRET_FILE": write(t, dir, secret+"\n"),
		"HS256": hmac("HS256", secret), "HS384": hmac("HS384", secret), "HS512": hmac("HS512", secret),
		"HS256_OTHER_SECRET": hmac("HS256", "other-"+secret),

		"CLIENT_ID": oidctest.ClientID, "CLIENT_SECRET": oidctest.ClientSecret, "CLIENT_SECRET_FILE": write(t, dir, oidctest.ClientSecret),
		"OPAQUE": opaque.AccessToken("bob", audience, "reports:read"), "REVOKED": revoked,
		"OPAQUE_OTHER_AUDIENCE": opaque.AccessToken("bob", "https://other.example"),
		"OPAQUE_ISSUER_JWT":     opaque.Sign(rs256, claimsOf(opaque)),
		"NOWHERE":               nowhere(t),

		"IPSILON_ISSUER": ipsilon.Issuer(),
		"PACKAGER":       ipsilon.AccessToken("alice", "", "openid", "https://id.fedoraproject.org/scope/groups", "https://id.fedoraproject.org/scope/cla"),
		"ROUTES_WRONG":   write(t, dir, strings.Replace(string(fedora), "[pagure:issue_create]", "[pagur:issue_create]", 1)),

		"DEPLOY_CONFIG": deployFile(t, p), "DEPLOY_CONFIG_SILENT": deployFile(t, silent), "DEPLOY_CONFIG_WRONG": deployFile(t, p, "clientSecrte: x"),
		"DEPLOY_ALICE": p.AccessToken("alice", deployAudience),

		"BOUND": token, "PROOF": proof(t, key, token, "/whoami"),
		"PROOF_OTHER_PATH": proof(t, key, token, "/admin"), "PROOF_OTHER_KEY": proof(t, newKey(t), token, "/whoami"),
	}
}

// claimsOf are those of a good token of p, with one changed.
func claimsOf(p *oidctest.Provider, change ...any) map[string]any {
	now := p.Now().Unix()
	m := map[string]any{
		"iss": p.Issuer(), "aud": audience, "sub": "x", "iat": now, "exp": now + 600, "client_id": "c", "jti": rand.Text(),
		"realm_access": map[string]any{"roles": []string{"admin"}},
	}
	for i := 0; i+1 < len(change); i += 2 {
		m[change[i].(string)] = change[i+1]
	}
	return m
}

func revoke(t *testing.T, p *oidctest.Provider, token string) {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: p.Issuer()})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret})
	require.NoError(t, err)
	require.NoError(t, client.Revoke(t.Context(), token, ""))
}

func write(t *testing.T, dir, content string) (path string) {
	t.Helper()
	path = filepath.Join(dir, rand.Text())
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// nowhere is where nobody listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func thumbprint(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	jkt, err := jwks.Thumbprint(key.Public())
	require.NoError(t, err)
	return jkt
}

// proof is a DPoP proof (RFC 9449 section 4.2).
func proof(t *testing.T, key *ecdsa.PrivateKey, token, path string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	require.NoError(t, err)
	hash := sha256.Sum256([]byte(token))
	raw, err := jwt.Signed(signer).Claims(map[string]any{
		"jti": rand.Text(), "htm": "GET", "htu": "https://api.example.com" + path,
		"iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:]),
	}).Serialize()
	require.NoError(t, err)
	return raw
}
