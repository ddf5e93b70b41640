package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/tokenproxy/proxy"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	rsaKID = "23c017d1-dc52-4ec2-99f7-8cd109efdc81"
	ecKID  = "7695e425-1109-4ee2-ac1f-dc3d6ed9fe94"
	// The settings of the document, where it says what they are.
	documented = `
jwks_file = keys.json
signing_key_ids =
  RS256 = ` + rsaKID + `
  ES256 = ` + ecKID + `
upstream_issuer = {upstream}
`
	public = "https://oidc-proxy.example.com"
)

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A rig is a proxy before an upstream.
type rig struct {
	t        *testing.T
	upstream *oidctest.Provider
	dir      string
	log      *logBuffer
	now      func() time.Time
	*proxy.Proxy
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, upstream: oidctest.Start(t), dir: t.TempDir(), log: &logBuffer{}}
	keys, err := os.ReadFile("../example/keys.json")
	require.NoError(t, err)
	r.write("keys.json", string(keys))
	return r
}

func (r *rig) write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(r.t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "{upstream}", r.upstream.Issuer())), 0o600))
	return path
}

// open reads a file and makes the proxy of it.
func (r *rig) open(name, text string) error {
	r.t.Helper()
	s, err := proxy.ReadFile(r.write(name, text))
	if err != nil {
		return err
	}
	s.Logger, s.Now = slog.New(slog.NewTextHandler(r.log, nil)), r.now
	r.Proxy, err = proxy.New(s)
	return err
}

// ini opens the documented settings, and more lines.
func (r *rig) ini(more string) {
	r.t.Helper()
	require.NoError(r.t, r.open("site.ini", "[app:main]\n"+documented+more))
}

func (r *rig) claims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	if r.now != nil {
		now = r.now().Unix()
	}
	c := map[string]any{
		"iss": r.upstream.Issuer(), "sub": "project_path:acme/app", "aud": "https://sts.amazonaws.com", "iat": now, "exp": now + 300,
		"ref": "main", "ref_protected": "true", "namespace_id": "7",
	}
	maps.Copy(c, changes)
	return c
}

func (r *rig) token(changes map[string]any) string {
	return r.upstream.Sign(map[string]any{"alg": "RS256", "typ": "JWT"}, r.claims(changes))
}

func (r *rig) serve(method, target, contentType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func (r *rig) get(target string) *httptest.ResponseRecorder {
	return r.serve(http.MethodGet, target, "", "")
}

// post asks for a token at the public address.
func (r *rig) post(token string, more ...string) *httptest.ResponseRecorder {
	v := url.Values{"token": {token}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return r.serve(http.MethodPost, public+"/token", "application/x-www-form-urlencoded", v.Encode())
}

// minted is what the answer says, verified by what the proxy publishes.
func (r *rig) minted(w *httptest.ResponseRecorder) (header, claims map[string]any) {
	r.t.Helper()
	require.Equal(r.t, http.StatusOK, w.Code, w.Body)
	require.Equal(r.t, "application/jwt", w.Header().Get("Content-Type"))
	token := w.Body.String()
	set := r.get(public + "/.well-known/jwks.json")
	payload, err := jwks.VerifyCompact(set.Body.Bytes(), token, "RS256", "ES256")
	require.NoError(r.t, err)
	require.NoError(r.t, json.Unmarshal(payload, &claims))
	require.NoError(r.t, json.Unmarshal(decode(r.t, strings.Split(token, ".")[0]), &header))
	return header, claims
}

const fixed = "issuer = " + public + "\n"

func TestProxy_Defaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ini(fixed)
	require.NoError(t, r.Ready(t.Context()))
	header, c := r.minted(r.post(r.token(nil)))
	require.Equal(t, map[string]any{"alg": "RS256", "kid": rsaKID, "typ": "JWT"}, header)
	require.NotEmpty(t, c["jti"])
	delete(c, "jti")
	now := c["iat"]
	require.Equal(t, map[string]any{"iss": public, "aud": "https://sts.amazonaws.com", "iat": now, "nbf": now, "exp": c["exp"]}, c, "the claims that the document names")
	require.InDelta(t, float64(time.Now().Unix()+300), c["exp"], 5, "copied from the upstream")
	require.Contains(t, r.log.String(), "write required_claims")
	require.Contains(t, r.log.String(), "write audiences")
	require.Contains(t, r.log.String(), "two keys of the file have one kid")

	var m map[string]any
	require.NoError(t, json.Unmarshal(r.get(public+"/.well-known/openid-configuration").Body.Bytes(), &m))
	require.Equal(t, public+"/.well-known/jwks.json", m["jwks_uri"])
	require.Equal(t, []any{"RS256", "ES256"}, m["id_token_signing_alg_values_supported"])
}

// Each setting, changed, and what comes of it.
func TestProxy_Settings(t *testing.T) {
	t.Parallel()
	algOf := func(r *rig, alg string, more ...string) any {
		header, _ := r.minted(r.post(r.upstream.Sign(map[string]any{"alg": alg, "typ": "JWT"}, r.claims(nil)), more...))
		return header["alg"]
	}
	for name, test := range map[string]func(t *testing.T, r *rig){
		"jwks_file": func(t *testing.T, r *rig) {
			keys, err := os.ReadFile(filepath.Join(r.dir, "keys.json"))
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(r.dir, "keys.json")))
			r.write("others.json", strings.ReplaceAll(string(keys), rsaKID, "other"))
			require.NoError(t, r.open("site.ini", "[app:main]\njwks_file = %(here)s/others.json\nsigning_key_ids = RS256 = other\nupstream_issuer = {upstream}\n"+fixed))
			header, _ := r.minted(r.post(r.token(nil)))
			require.Equal(t, "other", header["kid"])
		},
		"signing_key_ids": func(t *testing.T, r *rig) {
			require.NoError(t, r.open("site.ini", "[app:main]\njwks_file = keys.json\nsigning_key_ids = ES256 = "+ecKID+"\nupstream_issuer = {upstream}\n"+fixed))
			require.Equal(t, "ES256", algOf(r, "RS256"))
			require.Equal(t, http.StatusBadRequest, r.post(r.token(nil), "alg", "RS256").Code, "the key is published, and signs nothing")
		},
		"default_signing_alg": func(t *testing.T, r *rig) {
			r.ini(fixed)
			require.Equal(t, "RS256", algOf(r, "PS256"), "the first of signing_key_ids")
			r.ini(fixed + "default_signing_alg = ES256\n")
			require.Equal(t, "ES256", algOf(r, "PS256"))
			require.Equal(t, "RS256", algOf(r, "RS256"), "that of the upstream goes before")
			require.Equal(t, "ES256", algOf(r, "RS256", "alg", "ES256"), "and that which was asked for before both")
		},
		"issuer": func(t *testing.T, r *rig) {
			r.ini("issuer = https://other.example/path\n")
			for _, target := range []string{"https://other.example/path/token", "https://other.example/token", "http://10.0.0.1/token"} {
				w := r.serve(http.MethodPost, target, "application/json", fmt.Sprintf(`{"token":%q}`, r.token(nil)))
				_, c := r.minted(w)
				require.Equal(t, "https://other.example/path", c["iss"], "whatever the host of the request is")
			}
			require.Contains(t, r.get("https://other.example/path/.well-known/openid-configuration").Body.String(), `"issuer":"https://other.example/path"`)
		},
		"allowed_hosts": func(t *testing.T, r *rig) {
			r.ini("allowed_hosts =\n  oidc-proxy.example.com\n  oidc-proxy.internal:8443\n  http://oidc-proxy.example.org\ninsecure_http = true\n")
			for base, host := range map[string]string{
				"https://oidc-proxy.example.com": "oidc-proxy.example.com", "https://oidc-proxy.internal:8443": "OIDC-proxy.internal:8443", "http://oidc-proxy.example.org": "oidc-proxy.example.org",
			} {
				w := r.serve(http.MethodPost, "http://"+host+"/token", "application/json", fmt.Sprintf(`{"token":%q}`, r.token(nil)))
				_, c := r.minted(w)
				require.Equal(t, base, c["iss"])
				require.Contains(t, r.get("http://"+host+"/.well-known/openid-configuration").Body.String(), `"issuer":"`+base+`"`)
			}
			for _, host := range []string{"evil.example", "oidc-proxy.internal", "oidc-proxy.example.com.evil.example", "localhost"} {
				require.Equal(t, http.StatusMisdirectedRequest, r.get("http://"+host+"/.well-known/openid-configuration").Code, host)
			}
		},
		"no issuer": func(t *testing.T, r *rig) {
			r.ini("")
			from := func(local, host string) *httptest.ResponseRecorder {
				req := httptest.NewRequest(http.MethodGet, "/.well-known/openid-configuration", nil)
				req.Host = host
				if local != "" {
					req = req.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local))))
				}
				w := httptest.NewRecorder()
				r.ServeHTTP(w, req)
				return w
			}
			for host, local := range map[string]string{"127.0.0.1:8082": "127.0.0.1:8082", "localhost:6543": "[::ffff:127.0.0.1]:6543", "[::1]:80": "[::1]:80", "localhost": "127.0.0.1:80"} {
				require.Contains(t, from(local, host).Body.String(), `"issuer":"http://`+host+`"`)
			}
			for _, host := range []string{"oidc-proxy.example.com", "127.0.0.2", "localhost.evil.example", "localhost:1@evil.example", "localhost:81", "localhost:8080"} {
				require.Equal(t, http.StatusMisdirectedRequest, from("127.0.0.1:80", host).Code, host)
			}
			for _, local := range []string{"192.0.2.1:80", "[2001:db8::1]:80", ""} {
				require.Equal(t, http.StatusMisdirectedRequest, from(local, "localhost").Code, "a stranger writes Host: localhost to %s", local)
			}
		},
		"upstream_issuer": func(t *testing.T, r *rig) {
			require.NoError(t, r.open("site.ini", strings.Replace("[app:main]\n"+documented+fixed, "{upstream}", "https://other.example", 1)+"upstream_jwks_uri = {upstream}/jwks\n"))
			require.Equal(t, http.StatusBadRequest, r.post(r.token(nil)).Code)
		},
		"upstream_jwks_uri": func(t *testing.T, r *rig) {
			seen := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				seen++
				w.Header().Set("Content-Type", "application/json")
				set, _ := jwks.PublicSet(t.Context(), signingKey(t, r.upstream))
				_, _ = w.Write(set)
			}))
			t.Cleanup(server.Close)
			r.ini(fixed + "upstream_jwks_uri = " + server.URL + "\n")
			require.Equal(t, http.StatusBadRequest, r.post(r.token(nil)).Code, "the keys there are others")
			require.Positive(t, seen)
			require.Zero(t, r.upstream.Requests(oidctest.Discovery), "no metadata are asked for")
		},
		"upstream_jwks_cache_max_age": func(t *testing.T, r *rig) {
			var mu sync.Mutex
			now := time.Now()
			r.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			fetches := func(more string, after time.Duration) int {
				r.upstream.OnRequest(nil)
				r.ini(fixed + more)
				r.minted(r.post(r.token(nil)))
				before := r.upstream.Requests(oidctest.JWKS)
				mu.Lock()
				now = now.Add(after)
				mu.Unlock()
				r.post(r.token(nil))
				require.Eventually(t, func() bool { return r.upstream.Requests(oidctest.JWKS) > before || after < 100*time.Second }, 5*time.Second, time.Millisecond)
				return r.upstream.Requests(oidctest.JWKS) - before
			}
			require.Zero(t, fetches("upstream_jwks_cache_max_age = 1000\n", 90*time.Second))
			require.Equal(t, 1, fetches("upstream_jwks_cache_max_age = 100\n", 99*time.Second+time.Second))
		},
		"upstream_timeout": func(t *testing.T, r *rig) {
			r.upstream.SetFault(oidctest.JWKS, oidctest.Fault{Hang: true})
			r.ini(fixed + "upstream_timeout = 1\n")
			began := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, r.post(r.token(nil)).Code)
			require.Less(t, time.Since(began), 8*time.Second)
		},
		"upstream_jwks_file": func(t *testing.T, r *rig) {
			res, err := http.Get(r.upstream.Issuer() + "/jwks")
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			r.token(nil)
			r.write("upstream.json", string(text))
			r.ini(fixed + "upstream_jwks_uri = https://unreachable.example\nupstream_jwks_file = upstream.json\n")
			before := r.upstream.Requests(oidctest.JWKS) + r.upstream.Requests(oidctest.Discovery)
			r.minted(r.post(r.token(nil)))
			require.NoError(t, r.Ready(t.Context()))
			require.Equal(t, before, r.upstream.Requests(oidctest.JWKS)+r.upstream.Requests(oidctest.Discovery), "nothing is fetched")
		},
		"clone_upstream_claims": func(t *testing.T, r *rig) {
			r.ini(fixed + "clone_upstream_claims =\n  sub\n  ref\n  ref_protected\n")
			_, c := r.minted(r.post(r.token(nil)))
			require.Equal(t, []any{"project_path:acme/app", "main", "true", nil}, []any{c["sub"], c["ref"], c["ref_protected"], c["namespace_id"]})
		},
		"extra_request_headers": func(t *testing.T, r *rig) {
			var mu sync.Mutex
			seen := map[oidctest.Endpoint][]string{}
			r.upstream.OnRequest(func(e oidctest.Endpoint, req *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				seen[e] = []string{req.UserAgent(), req.Header.Get("X-Custom")}
			})
			r.ini(fixed + "extra_request_headers =\n  user-agent = my-oidc-token-proxy\n  x-custom = foo\n")
			r.minted(r.post(r.token(nil)))
			want := []string{"my-oidc-token-proxy", "foo"}
			require.Equal(t, map[oidctest.Endpoint][]string{oidctest.Discovery: want, oidctest.JWKS: want}, seen)
		},
		"required_claims": func(t *testing.T, r *rig) {
			r.ini(fixed + "required_claims =\n  namespace_id = 7\n  ref = main\n  ref = release-*\n")
			for ref, code := range map[string]int{"main": 200, "release-1": 200, "release-1/x": 400, "other": 400} {
				require.Equal(t, code, r.post(r.token(map[string]any{"ref": ref})).Code, ref)
			}
			require.Equal(t, 400, r.post(r.token(map[string]any{"namespace_id": 7})).Code, "of another type")
			require.NotContains(t, r.log.String(), "write required_claims")
		},
		"audiences": func(t *testing.T, r *rig) {
			r.ini(fixed + "audiences = https://sts.amazonaws.com other\n")
			require.Equal(t, 200, r.post(r.token(nil)).Code)
			require.Equal(t, 400, r.post(r.token(map[string]any{"aud": "https://vault.example"})).Code)
		},
		"max_lifetime": func(t *testing.T, r *rig) {
			r.ini(fixed)
			life := func() float64 {
				_, c := r.minted(r.post(r.token(map[string]any{"exp": time.Now().Unix() + 7200})))
				return c["exp"].(float64) - c["iat"].(float64)
			}
			require.InDelta(t, 900, life(), 0)
			r.ini(fixed + "max_lifetime = 60\n")
			require.InDelta(t, 60, life(), 0)
			r.ini(fixed + "max_lifetime = 3600\n")
			require.InDelta(t, 3600, life(), 0)
		},
		"single_use": func(t *testing.T, r *rig) {
			r.ini(fixed)
			token := r.token(nil)
			require.Equal(t, []int{200, 200}, []int{r.post(token).Code, r.post(token).Code})
			r.ini(fixed + "single_use = true\n")
			require.Equal(t, []int{200, 400}, []int{r.post(token).Code, r.post(token).Code})
		},
		"rate_limit": func(t *testing.T, r *rig) {
			now := time.Now()
			r.now = func() time.Time { return now }
			limited := func() (n int) {
				for range 40 {
					if r.post("x").Code == http.StatusTooManyRequests {
						n++
					}
				}
				return n
			}
			r.ini(fixed)
			require.Equal(t, 20, limited())
			now = now.Add(time.Second)
			require.Equal(t, 35, limited())
			r.ini(fixed + "rate_limit = 0.5\n")
			limited()
			now = now.Add(4 * time.Second)
			require.Equal(t, 38, limited())
		},
		"client_header": func(t *testing.T, r *rig) {
			r.ini(fixed + "client_header = X-Real-IP\n")
			req := httptest.NewRequest(http.MethodPost, public+"/token", strings.NewReader("token=x"))
			req.Header.Set("X-Real-IP", "203.0.113.9")
			r.ServeHTTP(httptest.NewRecorder(), req)
			require.Contains(t, r.log.String(), "client=203.0.113.9")
		},
		"jwks_cache_max_age": func(t *testing.T, r *rig) {
			now := time.Now()
			r.now = func() time.Time { return now }
			rotate := func(more string, after time.Duration) any {
				s, err := proxy.ReadFile(r.write("site.ini", "[app:main]\njwks_file = keys.json\nsigning_key_ids = RS256 = "+rsaKID+"\nupstream_issuer = {upstream}\n"+fixed+more))
				require.NoError(t, err)
				all := generate(t, "RS256", "RS256")
				source := &switchable{keys: all[:1]}
				s.Now, s.Keys = r.now, source
				r.Proxy, err = proxy.New(s)
				require.NoError(t, err)
				first, _ := r.minted(r.post(r.token(nil)))
				source.keys = all[1:]
				r.minted(r.post(r.token(nil)))
				now = now.Add(after)
				second, _ := r.minted(r.post(r.token(map[string]any{"iat": now.Unix(), "exp": now.Unix() + 300})))
				return first["kid"] == second["kid"]
			}
			require.Equal(t, false, rotate("", 301*time.Second))
			require.Equal(t, true, rotate("jwks_cache_max_age = 600\n", 301*time.Second))
			require.Equal(t, false, rotate("jwks_cache_max_age = 600\n", 601*time.Second))
		},
		"insecure_http": func(t *testing.T, r *rig) {
			r.ini("issuer = http://oidc-proxy.internal\ninsecure_http = true\n")
			require.Contains(t, r.get("http://oidc-proxy.internal/.well-known/openid-configuration").Body.String(), `"issuer":"http://oidc-proxy.internal"`)
		},
		"insecure_any_customer": func(t *testing.T, r *rig) {
			require.NoError(t, r.open("site.ini", strings.Replace("[app:main]\n"+documented+fixed, "{upstream}", "https://gitlab.com", 1)+"insecure_any_customer = true\n"))
			require.Contains(t, r.log.String(), "write required_claims")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRig(t))
		})
	}
}

// YAML says the same.
func TestProxy_YAML(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.open("site.yaml", `
jwks_file: keys.json
signing_key_ids: {ES256: `+ecKID+`, RS256: `+rsaKID+`}
issuer: `+public+`
upstream_issuer: {upstream}
upstream_jwks_cache_max_age: 100
clone_upstream_claims: [sub, a.b]
extra_request_headers: {user-agent: x}
required_claims:
  namespace_id: "7"
  ref: [main, "release-*"]
single_use: true
rate_limit: 1.5
`))
	header, c := r.minted(r.post(r.upstream.Sign(map[string]any{"alg": "PS256"}, r.claims(map[string]any{"a.b": true}))))
	require.Equal(t, "ES256", header["alg"], "the first one")
	require.Equal(t, true, c["a.b"])
	require.Equal(t, 400, r.post(r.token(map[string]any{"ref": "x"})).Code)
	require.Equal(t, "RS256", func() any { h, _ := r.minted(r.post(r.token(map[string]any{"ref": "release-2"}))); return h["alg"] }())
}

// The message says file, setting, what is wrong, and what to write.
func TestProxy_BadSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	replaced := func(from, to string) string { return strings.Replace(documented, from, to, 1) }
	for name, test := range map[string]struct{ text, want string }{
		"unknown":                   {documented + "upstream_isuer = x", `upstream_isuer: it is not known: write upstream_issuer`},
		"unknown, with dashes":      {documented + "jwks-file = x", `jwks-file: it is not known: write jwks_file`},
		"twice":                     {documented + "upstream_issuer = x", `upstream_issuer: it is there twice: leave one`},
		"no setting":                {documented + "hello", `line 7: it is no setting: write name = value`},
		"indented":                  {"  x = y\n", `line 2: it is indented`},
		"empty":                     {replaced("keys.json", ""), `jwks_file: it has no value, or more than one: write one`},
		"no jwks_file":              {replaced("jwks_file = keys.json\n", ""), `jwks_file: exchange: KeyFileConfig.Path is required: write the path`},
		"no such jwks_file":         {replaced("keys.json", "nothing.json"), `jwks_file: `},
		"jwks_file without keys":    {replaced("keys.json", "site.ini"), `jwks_file: `},
		"no signing_key_ids":        {"jwks_file = keys.json\nupstream_issuer = x\n", `signing_key_ids: it is missing: write algorithm = kid`},
		"signing_key_ids":           {replaced("RS256 = "+rsaKID, "RS256"), `signing_key_ids: it has a line that is no pair: write name = value`},
		"signing_key_ids, no key":   {replaced("RS256 = "+rsaKID, "RS256 = x"), `there is no key with the kid "x" for "RS256": add it, or name another one`},
		"signing_key_ids, HS256":    {replaced("RS256 = ", "HS256 = "), `signing_key_ids: `},
		"signing_key_ids, twice":    {replaced("ES256 = "+ecKID, "RS256 = "+ecKID), `signing_key_ids: `},
		"default_signing_alg":       {documented + "default_signing_alg = PS256", `default_signing_alg: `},
		"issuer":                    {documented + "issuer = http://oidc-proxy.example.com", `issuer: `},
		"issuer with slash":         {documented + "issuer = https://oidc-proxy.example.com/", `issuer: exchange: IssuerConfig.Issuer: leave out the slash at its end`},
		"issuer and hosts":          {documented + "issuer = https://a.example\nallowed_hosts = a.example", `allowed_hosts: no host decides`},
		"allowed_hosts":             {documented + "allowed_hosts = a.example/path", `allowed_hosts: there is one that is no host: write names like`},
		"allowed_hosts, http":       {documented + "allowed_hosts = http://a.example", `allowed_hosts: `},
		"allowed_hosts, *":          {documented + "allowed_hosts = *", `allowed_hosts: there is one that is no host`},
		"allowed_hosts, *.":         {documented + "allowed_hosts = *.example.com", `allowed_hosts: there is one that is no host`},
		"allowed_hosts, query":      {documented + "allowed_hosts = a.example?x", `allowed_hosts: there is one that is no host`},
		"allowed_hosts, no name":    {documented + "allowed_hosts = :8443", `allowed_hosts: there is one that is no host`},
		"allowed_hosts, 443":        {documented + "allowed_hosts = a.example:443", `allowed_hosts: "a.example:443" has the port that clients leave out`},
		"allowed_hosts, 80":         {documented + "allowed_hosts = http://a.example:80\ninsecure_http = true", `allowed_hosts: "a.example:80" has the port`},
		"allowed_hosts, 99999":      {documented + "allowed_hosts = a.example:99999", `allowed_hosts: "a.example:99999" has a port that is none`},
		"allowed_hosts, twice":      {documented + "allowed_hosts = a.example A.example", `allowed_hosts: "a.example" is there twice`},
		"allowed_hosts, both":       {documented + "allowed_hosts = a.example http://a.example\ninsecure_http = true", `allowed_hosts: "a.example" is there twice`},
		"client_header":             {documented + "client_header = X-Real-IP:", `client_header: exchange: GuardConfig.ClientHeader is no name of a header`},
		"client_header, Forwarded":  {documented + "client_header = Forwarded", `client_header: `},
		"a comma":                   {documented + "clone_upstream_claims = sub, ref", `clone_upstream_claims: it has a comma`},
		"extra_request_headers, 3":  {documented + "extra_request_headers = host = x", `extra_request_headers: Host is not sent from here`},
		"rate_limit, tiny":          {documented + "rate_limit = 0.0000000001", `rate_limit: exchange: GuardConfig.Rate must be`},
		"debug":                     {documented + "debug = true", `debug: it is not known: leave it out`},
		"no upstream_issuer":        {replaced("upstream_issuer = {upstream}\n", ""), `upstream_issuer: it is missing: write the issuer`},
		"upstream_issuer":           {replaced("{upstream}", "gitlab.example.com"), `upstream_issuer: `},
		"upstream_issuer, http":     {replaced("{upstream}", "http://gitlab.example.com"), `upstream_issuer: `},
		"upstream_issuer is ours":   {documented + "issuer = {upstream}", `upstream_issuer: `},
		"upstream_jwks_uri":         {documented + "upstream_jwks_uri = /keys", `upstream_jwks_uri: `},
		"upstream_jwks_file":        {documented + "upstream_jwks_file = nothing.json", `upstream_jwks_file: `},
		"cache_max_age 0":           {documented + "upstream_jwks_cache_max_age = 0", `upstream_jwks_cache_max_age: "0" is not possible: write a number of seconds greater than 0`},
		"cache_max_age -1":          {documented + "upstream_jwks_cache_max_age = -1", `upstream_jwks_cache_max_age: "-1" is not possible`},
		"cache_max_age 5m":          {documented + "upstream_jwks_cache_max_age = 5m", `upstream_jwks_cache_max_age: "5m" is not possible`},
		"upstream_timeout":          {documented + "upstream_timeout = 61", `upstream_timeout: `},
		"upstream_timeout 0":        {documented + "upstream_timeout = 0", `upstream_timeout: "0" is not possible`},
		"clone_upstream_claims":     {documented + "clone_upstream_claims = sub cnf", `clone_upstream_claims: exchange: Rule "upstream": Clone: "cnf" cannot be copied from another token: leave it out`},
		"clone_upstream_claims, no": {documented + "clone_upstream_claims =", `clone_upstream_claims: it is no list: write one value in a line`},
		"extra_request_headers":     {documented + "extra_request_headers = a b = c", `extra_request_headers: `},
		"extra_request_headers, 2":  {documented + "extra_request_headers = Transfer-Encoding = x", `extra_request_headers: `},
		"required_claims":           {documented + "required_claims = ref", `required_claims: it has a line that is no pair: write name = value in each line, indented`},
		"required_claims, missing":  {replaced("{upstream}", "https://gitlab.com"), `required_claims: `},
		"required_claims, wide":     {replaced("{upstream}", "https://gitlab.com") + "required_claims = ref = main", `insecure_any_customer`},
		"audiences":                 {documented + "audiences =", `audiences: it is no list`},
		"max_lifetime":              {documented + "max_lifetime = 86401", `max_lifetime: `},
		"single_use":                {documented + "single_use = maybe", `single_use: "maybe" is not possible: write true or false`},
		"rate_limit":                {documented + "rate_limit = -1", `rate_limit: "-1" is not possible: write a number greater than 0`},
		"rate_limit NaN":            {documented + "rate_limit = NaN", `rate_limit: `},
		"jwks_cache_max_age":        {documented + "jwks_cache_max_age = 60", `jwks_cache_max_age: `},
		"insecure_http":             {documented + "insecure_http = perhaps", `insecure_http: `},
		"insecure_any_customer":     {documented + "insecure_any_customer = x", `insecure_any_customer: `},
	} {
		err := r.open("site.ini", "[app:main]\n"+strings.TrimPrefix(test.text, "\n"))
		require.ErrorContains(t, err, test.want, name)
	}
	for name, test := range map[string]struct{ text, want string }{
		"twice":           {"issuer: a\nissuer: b\n", `site.yaml: `},
		"no mapping":      {"- a\n", `site.yaml: `},
		"nothing":         {"", `site.yaml: it has no settings: write lines of name: value`},
		"unknown":         {"isuer: a\n", `site.yaml: isuer: it is not known: write issuer`},
		"a list":          {"issuer: [a]\n", `site.yaml: issuer: it has no value, or more than one: write one`},
		"no list":         {"clone_upstream_claims: {a: b}\n", `site.yaml: clone_upstream_claims: it is no list`},
		"an empty value":  {"audiences: ['']\n", `site.yaml: audiences: it has an empty value`},
		"no pairs":        {"signing_key_ids: {RS256: [a]}\n", `site.yaml: signing_key_ids: RS256 has no single value: write one`},
		"required_claims": {"required_claims: {a: {b: c}}\n", `site.yaml: required_claims: `},
	} {
		require.ErrorContains(t, r.open("site.yaml", test.text), test.want, name)
	}
	require.Error(t, func() error { _, err := proxy.ReadFile("nothing.ini"); return err }())
	// What pserve needs besides is none of ours.
	require.NoError(t, r.open("site.ini", "[server:main]\nuse = egg:waitress#main\nlisten = *:6543\n[app:main]\nuse = egg:oidc-token-proxy\n# a comment\n; another\n"+documented))
}

// The key file changes while the proxy runs.
func TestProxy_HotReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := time.Now()
	r.now = func() time.Time { return now }
	r.ini(fixed)
	kids := func() string { return r.get(public + "/.well-known/jwks.json").Body.String() }
	require.Equal(t, 3, strings.Count(kids(), `"kid"`))
	keys, err := os.ReadFile(filepath.Join(r.dir, "keys.json"))
	require.NoError(t, err)
	path := r.write("keys.json", "broken")
	require.NoError(t, os.Chtimes(path, now.Add(-time.Hour), now.Add(-time.Hour)))
	now = now.Add(2 * time.Second)
	require.Equal(t, 3, strings.Count(kids(), `"kid"`))
	require.Contains(t, r.log.String(), "level=ERROR")
	r.minted(r.post(r.token(nil)))
	r.write("keys.json", string(keys))
	now = now.Add(2 * time.Second)
	kids()
	require.Contains(t, r.log.String(), "can be used again")
}

// 200 clients at one time: for a moment, or as long as TOKENPROXY_LOAD says ("1m").
func TestProxy_Load(t *testing.T) {
	if testing.Short() {
		t.Skip("200 clients for a while")
	}
	r := newRig(t)
	r.ini(fixed + "clone_upstream_claims = sub\nsingle_use = true\nclient_header = X-Client\nrate_limit = 100000\n")
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	set := r.get(public + "/.well-known/jwks.json").Body.Bytes()
	lasts, err := time.ParseDuration(os.Getenv("TOKENPROXY_LOAD"))
	if err != nil {
		lasts = time.Second
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 200}
	t.Cleanup(transport.CloseIdleConnections)
	client, end := &http.Client{Transport: transport}, time.Now().Add(lasts)
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	errs := make(chan error, 200)
	for worker := range 200 {
		all.Go(func() {
			for n := 0; n == 0 || time.Now().Before(end); n++ {
				sub := fmt.Sprintf("%d-%d", worker, n)
				id, err := r.once(client, server.URL, set, sub)
				mu.Lock()
				twice := ids[id]
				ids[id] = true
				mu.Unlock()
				if err != nil || twice {
					errs <- fmt.Errorf("%s: %w, twice %t", sub, err, twice)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.Len(t, ids, strings.Count(r.log.String(), "exchange: issued"), "each has a line in the log")
	require.GreaterOrEqual(t, len(ids), 200)
	t.Logf("%d tokens in %v", len(ids), lasts)
}

func (r *rig) once(client *http.Client, base string, set []byte, sub string) (id string, err error) {
	req, err := http.NewRequest(http.MethodPost, base+"/token", strings.NewReader(url.Values{"token": {r.token(map[string]any{"sub": sub})}, "alg": {"ES256"}}.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Client", sub)
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d: %s (%w)", res.StatusCode, text, err)
	}
	payload, err := jwks.VerifyCompact(set, string(text), "ES256")
	if err != nil {
		return "", err
	}
	var c struct{ Sub, Jti string }
	if err := json.Unmarshal(payload, &c); err != nil || c.Sub != sub {
		return "", fmt.Errorf("a token of %s (%w)", c.Sub, err)
	}
	return c.Jti, nil
}
