package seeds_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	proxyURL = "https://oidc-proxy.example.com" // as the document calls it
	gitlab   = "https://gitlab.internal"
	forAWS   = "https://sts.amazonaws.com"
)

var proxyReady = regexp.MustCompile(`^The proxy is at (http://\S+)$`)

// setting writes a block of the document as the value of a setting, in lines of its own.
func setting(name, block string) string {
	return name + " =\n  " + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n  ") + "\n"
}

// documented is a site.ini of the document's own snippets.
func documented(t *testing.T, more ...string) string {
	t.Helper()
	return "[app:main]\njwks_file = %(here)s/keys.json\nissuer = " + proxyURL + "\n" +
		setting("signing_key_ids", fenced(t, tokenProxy, "### signing_key_ids")) +
		setting("extra_request_headers", fenced(t, tokenProxy, "### extra_request_headers")) +
		strings.Join(more, "")
}

// startProxy starts examples/tokenproxy with a site.ini and keys, under a name at the edge.
func startProxy(t *testing.T, e *edge, bin, name, ini, keys string) *interop.Process {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "keys.json", keys)
	base, process := e.run(proxyReady, bin, "-listen", "127.0.0.1:0", "-config", write(t, dir, "site.ini", ini))
	e.forward(strings.TrimPrefix(name, "https://"), base)
	return process
}

// mint has the proxy at an address exchange a token, as the document's curl line does it.
func (e *edge) mint(at, token, alg string) string {
	e.t.Helper()
	return e.bash(`curl -sS --fail-with-body "$AT/token" -X POST -H 'Content-Type: application/json' -H 'Accept: application/jwt' `+
		`--data "{\"token\": \"$TOKEN\", \"alg\": \"$ALG\"}"`, "AT="+at, "TOKEN="+token, "ALG="+alg)
}

// The settings of the document as they stand there, its key set with two keys of one kid among them.
func TestTokenProxy_Document(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	upstream := e.provider(gitlab)
	var asked atomic.Pointer[http.Header]
	upstream.OnRequest(func(_ oidctest.Endpoint, r *http.Request) { h := r.Header.Clone(); asked.Store(&h) })
	keys := fenced(t, tokenProxy, "### jwks_file")
	process := startProxy(t, e, interop.BuildExample(t, "tokenproxy"), proxyURL,
		documented(t, "upstream_issuer = "+gitlab+"\n", setting("clone_upstream_claims", fenced(t, tokenProxy, "### clone_upstream_claims"))), keys)

	private := map[string]any{"sub": "project_path:acme/app:ref_type:branch:ref:main", "aud": forAWS, "ref": "main", "ref_protected": "true", "user_email": "ada@example.com"}
	minted := payload(t, e.mint(proxyURL, job(upstream, private), "ES256"))
	for _, name := range []string{"sub", "aud", "ref", "ref_protected"} {
		require.Equal(t, private[name], minted[name], name)
	}
	require.Equal(t, proxyURL, minted["iss"])
	require.NotContains(t, minted, "user_email")
	require.Equal(t, "my-oidc-token-proxy", asked.Load().Get("User-Agent"))
	require.Equal(t, "foo", asked.Load().Get("X-Custom"))

	var metadata struct{ Issuer, JWKSURI string }
	_, body := e.get(t.Context(), e.client(), proxyURL+"/.well-known/openid-configuration")
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(string(body), "jwks_uri", "jwksuri")), &metadata))
	require.Equal(t, proxyURL, metadata.Issuer)
	require.Equal(t, proxyURL+"/.well-known/jwks.json", metadata.JWKSURI)

	// Both keys of the one kid are published, and can be told apart.
	var set, private3 jose.JSONWebKeySet
	_, body = e.get(t.Context(), e.client(), metadata.JWKSURI)
	require.NoError(t, json.Unmarshal(body, &set))
	require.NoError(t, json.Unmarshal([]byte(keys), &private3))
	require.Len(t, set.Keys, len(private3.Keys))
	kids := map[string]bool{}
	for _, key := range set.Keys {
		require.True(t, key.IsPublic())
		kids[key.KeyID] = true
	}
	require.Len(t, kids, 3)
	require.Equal(t, private3.Keys[1].Public().Key, set.Key("7695e425-1109-4ee2-ac1f-dc3d6ed9fe94")[0].Key, "the first of them keeps it")
	require.Contains(t, process.Output(), "two keys of the file have one kid")
}

// consumers are verifiers of other languages. They find the keys by the issuer's name alone.
var consumers = []struct {
	name    string
	command func(*testing.T, *edge) []string
	eddsa   bool   // whether it has EdDSA without further packages
	list    string // what is wrong with several audiences, if something is
}{
	{"npm jose", node("jose.mjs"), true, ""},
	// OpenID Connect Core 1.0 section 3.1.3.7: an ID token of several audiences should have azp. It calls that "aud".
	{"npm openid-client", node("openid-client.mjs"), true, "audience"},
	{"PyJWT", python("consume_pyjwt.py"), true, ""},
	{"Authlib", python("consume_authlib.py"), true, ""},
	{"Nimbus", nimbus, false, ""},
}

func node(script string) func(*testing.T, *edge) []string {
	return func(t *testing.T, _ *edge) []string {
		t.Helper()
		needs(t, "node")
		require.FileExists(t, "consumers/js/node_modules/.package-lock.json", "run: bash internal/interop/seeds/install.sh")
		return []string{"node", "consumers/js/" + script}
	}
}

func python(script string) func(*testing.T, *edge) []string {
	return func(t *testing.T, _ *edge) []string {
		t.Helper()
		return []string{installed(t, "venv/bin/python"), "-B", "consumers/python/" + script}
	}
}

// nimbus is told of the edge by properties: the JVM does not look at its environment.
func nimbus(t *testing.T, e *edge) []string {
	t.Helper()
	needs(t, "java", "keytool")
	store := t.TempDir() + "/trust.p12"
	_, errs, code := e.finish(t.Context(), nil, "keytool", "-importcert", "-noprompt", "-alias", "edge", "-file", e.caFile,
		"-keystore", store, "-storetype", "PKCS12", "-storepass", "changeit")
	require.Zero(t, code, errs)
	host, port, _ := strings.Cut(strings.TrimPrefix(e.proxy.URL, "http://"), ":")
	return []string{
		"java", "-XX:TieredStopAtLevel=1", "-Dhttps.proxyHost=" + host, "-Dhttps.proxyPort=" + port,
		"-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStorePassword=changeit",
		"-cp", installed(t, "nimbus-jose-jwt-10.10.jar"), "consumers/java/Nimbus.java",
	}
}

const severalAudiences = "a list of audiences"

// A verdict is what a consumer should say of a token.
type verdict struct {
	Name, Issuer, Audience, Algorithm, Token string

	want string // "accepted SUB", or what is wrong
}

// MarshalJSON has the members as the consumers read them.
func (v verdict) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"name": v.Name, "issuer": v.Issuer, "audience": v.Audience, "algorithm": v.Algorithm, "token": v.Token})
}

// Everybody else's libraries take what the proxy mints, and refuse what is not quite that, for the right reason.
func TestTokenProxy_Consumers(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	upstream := e.provider(gitlab)
	bin := interop.BuildExample(t, "tokenproxy")
	const own, other = "https://own-keys.example.com", "https://other-issuer.example.com"
	keys := fenced(t, tokenProxy, "### jwks_file")
	ini := documented(t, "upstream_issuer = "+gitlab+"\nclone_upstream_claims = sub\n")
	startProxy(t, e, bin, proxyURL, ini, keys)
	// The same keys under another name: its tokens differ in iss alone.
	startProxy(t, e, bin, other, strings.ReplaceAll(ini, proxyURL, other), keys)
	ownKeys, ids := generateKeys(t, "RS256", "ES256", "EdDSA")
	startProxy(t, e, bin, own, "[app:main]\njwks_file = keys.json\nissuer = "+own+"\nupstream_issuer = "+gitlab+
		"\nclone_upstream_claims = sub\n"+setting("signing_key_ids", ids), ownKeys)

	var verdicts []verdict
	var last time.Time
	for issuer, algorithms := range map[string][]string{proxyURL: {"RS256", "ES256"}, own: {"RS256", "ES256", "EdDSA"}} {
		for _, alg := range algorithms {
			sub := alg + " of " + issuer
			token := func(at string, claims ...any) string {
				c := map[string]any{"sub": sub, "aud": forAWS}
				for i := 0; i < len(claims); i += 2 {
					c[claims[i].(string)] = claims[i+1] // names are strings
				}
				return e.mint(at, job(upstream, c), alg)
			}
			add := func(name, token, want string) {
				verdicts = append(verdicts, verdict{Name: sub + ": " + name, Issuer: issuer, Audience: forAWS, Algorithm: alg, Token: token, want: want})
			}
			good := token(issuer)
			add("good", good, "accepted "+sub)
			add(severalAudiences, token(issuer, "aud", []string{"https://other.example", forAWS}), "accepted "+sub)
			add("changed signature", changed(good), "signature")
			add("other audience", token(issuer, "aud", "https://sts.amazonaws.com.evil.example"), "audience")
			if issuer == proxyURL {
				add("other issuer", token(other), "issuer")
			} else {
				add("signature of another token", swapped(good, token(issuer, "sub", "somebody else")), "signature")
			}
			last = time.Now().Truncate(time.Second).Add(2 * time.Second)
			add("expired", token(issuer, "exp", last.Unix()), "expired")
		}
	}
	if wait := time.Until(last.Add(time.Second)); wait > 0 {
		time.Sleep(wait) // what they say of time is about the time that it is
	}
	for _, c := range consumers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := map[string]string{}
			var given []verdict
			for _, v := range verdicts {
				if strings.HasSuffix(v.Name, severalAudiences) {
					v.want = cmp.Or(c.list, v.want)
				}
				if c.eddsa || v.Algorithm != "EdDSA" {
					given, want[v.Name] = append(given, v), v.want
				}
			}
			text, err := json.Marshal(given)
			require.NoError(t, err)
			command := append(c.command(t, e), write(t, t.TempDir(), "cases.json", string(text)))
			out, errs, code := e.finish(t.Context(), nil, command[0], command[1:]...)
			require.Zero(t, code, errs)
			var got map[string]string
			require.NoError(t, json.Unmarshal([]byte(out), &got), "%s\n%s", out, errs)
			require.Equal(t, want, got)
		})
	}
}

// changed is a token with another signature of the same length.
func changed(token string) string {
	at := strings.LastIndex(token, ".") + 5 // not at the end, where bits may be of no account
	c := byte('A')
	if token[at] == c {
		c = 'B'
	}
	return token[:at] + string(c) + token[at+1:]
}

// swapped is a token with the signature of another one.
func swapped(token, of string) string {
	return token[:strings.LastIndex(token, ".")] + of[strings.LastIndex(of, "."):]
}
