package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	callback = "https://client.example/callback"
	verifier = "a-verifier-of-43-characters-or-more-0123456789"
	issuer   = "https://op.example/realms/demo"
)

// start returns a provider without sockets and with a fast algorithm.
func start(t *testing.T, configure ...func(*oidctest.Config)) *oidctest.Provider {
	t.Helper()
	cfg := oidctest.Config{Issuer: issuer, Algorithm: "ES256"}
	for _, f := range configure {
		f(&cfg)
	}
	p, err := oidctest.New(cfg)
	require.NoError(t, err)
	return p
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is a valid authorization request, with changes: name, value pairs,
// where an empty value deletes.
func request(changes ...string) url.Values {
	v := url.Values{
		"response_type":         {"code"},
		"client_id":             {oidctest.ClientID},
		"redirect_uri":          {callback},
		"scope":                 {"openid profile email offline_access"},
		"state":                 {"a state & more"},
		"nonce":                 {"a-nonce"},
		"code_challenge":        {challengeOf(verifier)},
		"code_challenge_method": {"S256"},
	}
	return change(v, changes...)
}

func change(v url.Values, changes ...string) url.Values {
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

func login(t *testing.T, p *oidctest.Provider, v url.Values, username string) url.Values {
	t.Helper()
	u, err := p.Login(t.Context(), p.Issuer()+"/authorize?"+v.Encode(), username)
	require.NoError(t, err)
	return u.Query()
}

// code logs alice in and returns the code.
func code(t *testing.T, p *oidctest.Provider, changes ...string) string {
	t.Helper()
	q := login(t, p, request(changes...), "alice")
	require.NotEmpty(t, q.Get("code"), "%v", q)
	return q.Get("code")
}

func codeForm(code string, changes ...string) url.Values {
	return change(url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {callback},
		"code_verifier": {verifier},
	}, changes...)
}

func refreshForm(token string, changes ...string) url.Values {
	return change(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, changes...)
}

type answer struct {
	status int
	header http.Header
	json   map[string]any
	body   string
}

func (a answer) str(name string) string { s, _ := a.json[name].(string); return s }

func do(t *testing.T, p *oidctest.Provider, req *http.Request) answer {
	t.Helper()
	client := p.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.json)
	return a
}

func get(t *testing.T, p *oidctest.Provider, target string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	return do(t, p, req)
}

func postRequest(t *testing.T, target string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func post(t *testing.T, p *oidctest.Provider, path string, form url.Values) answer {
	t.Helper()
	return do(t, p, postRequest(t, p.Issuer()+path, form))
}

// token calls the token endpoint as the default client.
func token(t *testing.T, p *oidctest.Provider, form url.Values) answer {
	t.Helper()
	req := postRequest(t, p.Issuer()+"/token", form)
	req.SetBasicAuth(oidctest.ClientID, oidctest.ClientSecret)
	return do(t, p, req)
}

func tokens(t *testing.T, p *oidctest.Provider, changes ...string) answer {
	t.Helper()
	a := token(t, p, codeForm(code(t, p, changes...)))
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a
}

func userinfo(t *testing.T, p *oidctest.Provider, authorization ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer()+"/userinfo", nil)
	require.NoError(t, err)
	req.Header["Authorization"] = authorization
	return do(t, p, req)
}

// decode returns the parts of a JWS without checking it.
func decode(t *testing.T, jws string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jws, ".")
	require.Len(t, parts, 3)
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, into))
	}
	return header, claims
}
