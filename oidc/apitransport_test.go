package oidc_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// plain makes a client without DPoP, and a client of the API with tokens of the source.
func plain(t testing.TB, h http.RoundTripper, configure ...func(*oidc.APITransportConfig)) *http.Client {
	t.Helper()
	cfg := oidc.APITransportConfig{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: marker}), Allowed: []string{api}, Base: h,
	}
	for _, f := range configure {
		f(&cfg)
	}
	rt, err := proving(t, nil, nil).APITransport(cfg)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

// seen keeps what was sent, and answers 200.
type seen struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (s *seen) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, req)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
}

func TestAPITransport_Bearer(t *testing.T) {
	t.Parallel()
	s := &seen{}
	_, err := get(t, plain(t, s), api+"/things?page=2")
	require.NoError(t, err)
	require.Len(t, s.requests, 1)
	require.Equal(t, http.Header{"Authorization": {"Bearer " + marker}}, s.requests[0].Header)
}

func TestAPITransport_Configuration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg   oidc.APITransportConfig
		field string
	}{
		"no source":     {oidc.APITransportConfig{Allowed: []string{api}}, "APITransportConfig.Source"},
		"nothing":       {oidc.APITransportConfig{Source: bound}, "APITransportConfig.Allowed"},
		"http":          {oidc.APITransportConfig{Source: bound, Allowed: []string{"http://api.example"}}, "APITransportConfig.Allowed"},
		"a host":        {oidc.APITransportConfig{Source: bound, Allowed: []string{"api.example"}}, "APITransportConfig.Allowed"},
		"no host":       {oidc.APITransportConfig{Source: bound, Allowed: []string{api, "https:///v1"}}, "APITransportConfig.Allowed"},
		"query":         {oidc.APITransportConfig{Source: bound, Allowed: []string{api + "?a=b"}}, "APITransportConfig.Allowed"},
		"empty query":   {oidc.APITransportConfig{Source: bound, Allowed: []string{api + "?"}}, "APITransportConfig.Allowed"},
		"fragment":      {oidc.APITransportConfig{Source: bound, Allowed: []string{api + "#"}}, "APITransportConfig.Allowed"},
		"user info":     {oidc.APITransportConfig{Source: bound, Allowed: []string{"https://a@api.example"}}, "APITransportConfig.Allowed"},
		"encoded twice": {oidc.APITransportConfig{Source: bound, Allowed: []string{api + "/%252e%252e/b"}}, "APITransportConfig.Allowed"},
		"dot segments":  {oidc.APITransportConfig{Source: bound, Allowed: []string{api + "/a/../b"}}, "APITransportConfig.Allowed"},
		"no URL at all": {oidc.APITransportConfig{Source: bound, Allowed: []string{"https://a%zz/"}}, "APITransportConfig.Allowed"},
	} {
		rt, err := proving(t, nil, nil).APITransport(tt.cfg)
		require.ErrorContains(t, err, tt.field, name)
		require.Nil(t, rt, name)
	}
}

func TestD05_TokensGoToTheAllowedURLsAlone(t *testing.T) {
	t.Parallel()
	places := []string{api, "https://two.example/v1", "https://three.example/v1/", "http://127.0.0.1:8080", "https://four.example/%7ea"}
	for target, ok := range map[string]bool{
		api:                                 true,
		api + "/a/../b":                     true, // the origin is allowed as a whole
		"HTTPS://API.example:443/":          true,
		"https://api.example:/":             true,
		"http://api.example/":               false,
		"https://api.example:8443/":         false,
		"https://api.example./":             false,
		"https://api.example.evil.example/": false,
		"https://evil.example/api.example":  false,
		"https://evil.example?" + api:       false,
		"https://two.example/v1":            true,
		"https://two.example/v1?a=b":        true,
		"https://two.example/v1/a":          true,
		"https://two.example/v1/a.b/..c":    true,
		"https://two.example/":              false,
		"https://two.example/v10":           false,
		"https://two.example/V1/":           false,
		"https://two.example/v2/v1/":        false,
		"https://two.example/v1/../v2":      false,
		"https://two.example/v1/%2e%2E/v2":  false,
		"https://two.example/v1/..%2fv2":    false,
		"https://two.example/v1/..%5cv2":    false,
		"https://two.example/v1/..;a=b/v2":  false,
		"https://two.example/v1/./a":        false,
		// D05: spellings that a server may read as a path above.
		"https://two.example/v1/..%00/v2":         false,
		"https://two.example/v1/..%20/v2":         false,
		"https://two.example/v1/..%23/v2":         false,
		"https://two.example/v1/..%3f/v2":         false,
		"https://two.example/v1/..%ef%bc%8fv2":    false,
		"https://two.example/v1/.%09./v2":         false,
		"https://two.example/v1/%c0%ae%c0%ae/v2":  false,
		"https://two.example/v1/%252e%252e/v2":    false,
		"https://two.example/v1/..%252fv2":        false,
		"https://two.example/v1/%252E%252E%5Cv2":  false,
		"https://two.example/v1/group%2Fproject":  true,
		"https://two.example/v1/100%25":           true,
		"https://two.example/v1/caf%C3%A9%20%231": true,
		"https://two.example//v1":                 false,
		"https://three.example/v1":                true,
		"https://three.example/v1/a":              true,
		"https://three.example/v12":               false,
		"http://127.0.0.1:8080/":                  true,
		"http://127.0.0.1:8081/":                  false,
		"http://localhost:8080/":                  false,
		"https://four.example/%7ea/b":             true,
		"https://four.example/~a/b":               false,
		"https://user:secret@api.example/":        false,
		"ftp://api.example/":                      false,
	} {
		s := &seen{}
		_, err := get(t, plain(t, s, func(cfg *oidc.APITransportConfig) { cfg.Allowed = places }), target)
		if ok {
			require.NoError(t, err, target)
			require.Len(t, s.requests, 1, target)
			continue
		}
		require.Error(t, err, target)
		if !strings.Contains(target, "@") {
			require.ErrorIs(t, err, oidc.ErrNotAllowed, target)
		}
		require.Empty(t, s.requests, target)
	}
}

// What http.Client follows gets no token, and is not even asked without one.
func TestD05_NoTokenFollowsARedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		evil, home := 0, 0
		h := hosts{
			"api.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				home++
				if r.URL.Path == "/home" {
					require.Equal(t, "Bearer "+marker, r.Header.Get("Authorization"))
					return
				}
				w.Header().Set("Location", r.URL.Query().Get("to"))
				w.WriteHeader(status)
			}),
			"evil.example": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { evil++ }),
		}
		_, err := get(t, plain(t, h), api+"/?to=https://evil.example/")
		require.ErrorIs(t, err, oidc.ErrNotAllowed)
		require.Zero(t, evil)
		_, err = get(t, plain(t, h), api+"/?to=/home")
		require.NoError(t, err)
		require.Equal(t, 3, home)
	}
}

// A closer tells whether the body was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// The contract of http.RoundTripper: the request stays as it is, its body is closed.
func TestAPITransport_RefusesAndCloses(t *testing.T) {
	t.Parallel()
	source := func(token *oauth2.Token) func(*oidc.APITransportConfig) {
		return func(cfg *oidc.APITransportConfig) { cfg.Source = oauth2.StaticTokenSource(token) }
	}
	same := func(*http.Request) {}
	keep := func(*oidc.APITransportConfig) {}
	for name, tt := range map[string]struct {
		change    func(*http.Request)
		configure func(*oidc.APITransportConfig)
	}{
		"Authorization there":    {func(r *http.Request) { r.Header.Set("Authorization", "Basic abc") }, keep},
		"Authorization empty":    {func(r *http.Request) { r.Header.Set("Authorization", "") }, keep},
		"authorization there":    {func(r *http.Request) { r.Header["authorization"] = []string{"Basic abc"} }, keep},
		"DPoP there":             {func(r *http.Request) { r.Header["DPoP"] = []string{"e30.e30."} }, keep},
		"user info":              {func(r *http.Request) { r.URL.User = url.UserPassword("a", marker) }, keep},
		"opaque":                 {func(r *http.Request) { r.URL.Opaque = "//api.example/" }, keep},
		"another Host":           {func(r *http.Request) { r.Host = "evil.example" }, keep},
		"another port in Host":   {func(r *http.Request) { r.Host = "api.example:8443" }, keep},
		"no URL":                 {func(r *http.Request) { r.URL = nil }, keep},
		"not allowed":            {func(r *http.Request) { r.URL.Host = "evil.example" }, keep},
		"no token":               {same, source(nil)},
		"empty token":            {same, source(&oauth2.Token{})},
		"token with line breaks": {same, source(&oauth2.Token{AccessToken: marker + "\r\nX: y"})},
		"DPoP without a key":     {same, source(&oauth2.Token{AccessToken: marker, TokenType: "DPoP"})},
		"MAC":                    {same, source(&oauth2.Token{AccessToken: marker, TokenType: "mac"})},
		"no token from source":   {same, func(cfg *oidc.APITransportConfig) { cfg.Source = failingSource{errors.New("away")} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &seen{}
			body := &closer{Reader: strings.NewReader("body")}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, api, body)
			tt.change(req)
			before := req.Header.Clone()
			resp, err := plain(t, s, tt.configure).Transport.RoundTrip(req)
			require.Error(t, err)
			tellsNothing(t, err)
			require.Nil(t, resp)
			require.True(t, body.closed)
			require.Empty(t, s.requests)
			require.Equal(t, before, req.Header)
		})
	}
}

type failingSource struct{ err error }

func (f failingSource) Token() (*oauth2.Token, error) { return nil, f.err }

func TestAPITransport_ErrorsOfTheSource(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]error{
		"outage":   &oidckit.UnavailableError{What: "token", Err: errors.New("503")},
		"refused":  &oidc.Error{Reason: oidc.ReasonRevoked},
		"x/oauth2": &oauth2.RetrieveError{Response: &http.Response{Status: "400"}, Body: []byte(marker)},
	} {
		_, err := get(t, plain(t, &seen{}, func(cfg *oidc.APITransportConfig) { cfg.Source = failingSource{tt} }), api)
		require.ErrorIs(t, err, tt, name)
		tellsNothing(t, err)
	}
}

// A patient source waits for the context.
type patient struct{ failingSource }

func (patient) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAPITransport_WaitEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, api, nil)
	_, err := plain(t, &seen{}, func(cfg *oidc.APITransportConfig) { cfg.Source = patient{} }).Transport.RoundTrip(req)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPITransport_LeavesTheRequestAsItIs(t *testing.T) {
	t.Parallel()
	server := &demander{t: t, nonce: "n", offer: "n"}
	h := hosts{"api.example": server}
	client := apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
	req.Header = nil
	for range 2 {
		resp, err := client.Transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.Nil(t, req.Header)
	require.Len(t, server.proofs, 3)
}

func TestP13_APIThatWantsANonce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  io.Reader
		tries int
	}{
		"no body":               {nil, 2},
		"one that can be reset": {strings.NewReader("things"), 2},
		"bytes":                 {bytes.NewReader([]byte("things")), 2},
		"a stream":              {io.LimitReader(strings.NewReader("things"), 6), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &demander{t: t, nonce: "n", offer: "n", code: http.StatusNoContent}
			h := hosts{"api.example": server}
			client := apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/things", tt.body)
			require.NoError(t, err)
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Len(t, server.proofs, tt.tries)
			for _, body := range server.bodies {
				require.Equal(t, server.bodies[0], body)
			}
			if tt.tries == 1 { // the answer is the API's; the next request has the nonce
				require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
				_, err = get(t, client, api)
				require.NoError(t, err)
			} else {
				require.Equal(t, http.StatusNoContent, resp.StatusCode)
			}
			require.Equal(t, []any{nil, "n"}, noncesOf(server.proofs))
		})
	}
}

func TestP13_APIThatAlwaysWantsAnotherNonce(t *testing.T) {
	t.Parallel()
	server := &demander{t: t, offer: "n", never: true}
	h := hosts{"api.example": server}
	resp, err := get(t, apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h), api)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Len(t, server.proofs, 2)
}

// Only the one error of the one scheme is a reason to send a request again.
func TestP13_OtherChallengesAreNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, form := range []string{
		`DPoP error="invalid_dpop_proof"`, `DPoP error="invalid_token"`, `Bearer error="use_dpop_nonce"`, `DPoP`, `DPoP error="use_dpop_nonce`,
		`Bearer realm="DPoP error=use_dpop_nonce"`, `DPoP error_description="use_dpop_nonce"`,
	} {
		server := &demander{t: t, offer: "n", never: true, form: form}
		h := hosts{"api.example": server, "id.example": server}
		c := proving(t, newDPoP(t, edKey(t)), h)
		resp, err := get(t, apiClient(t, c, h), api)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		require.Equal(t, form, resp.Header.Get("WWW-Authenticate"), "the answer comes through")
		require.Len(t, server.proofs, 1, form)
	}
}

// The one status of section 9.
func TestP13_OtherStatusesAreNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 400, 403, 503} {
		n := 0
		h := hosts{"api.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("DPoP-Nonce", "n")
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.WriteHeader(status)
		})}
		resp, err := get(t, apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h), api)
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, 1, n)
	}
}

// A token endpoint that answers like an API, too, gets each proof of the client once.
func TestP13_TokenEndpointThatAnswersLikeAnAPI(t *testing.T) {
	t.Parallel()
	n := 0
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("DPoP-Nonce", "n")
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
	})})
	_, err := c.Refresh(t.Context(), stored())
	require.Error(t, err)
	require.Equal(t, 2, n)
}

// What is sent again leaves no answer open, and a proof that cannot be made no request.
func TestP13_NothingStaysOpen(t *testing.T) {
	t.Parallel()
	refusal := &closer{Reader: strings.NewReader("")}
	n := 0
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		if n++; n > 1 {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
		}
		h := http.Header{"Www-Authenticate": {`DPoP error="use_dpop_nonce"`}, "Dpop-Nonce": {"n"}}
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: refusal, Header: h, Request: req}, nil
	})
	rt, err := proving(t, newDPoP(t, edKey(t)), nil).APITransport(oidc.APITransportConfig{Source: bound, Allowed: []string{api}, Base: base})
	require.NoError(t, err)
	_, err = get(t, &http.Client{Transport: rt}, api)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.True(t, refusal.closed)

	key := ecKey(t, elliptic.P256())
	rt, err = proving(t, newDPoP(t, public{&key.PublicKey}), nil).APITransport(oidc.APITransportConfig{Source: bound, Allowed: []string{api}, Base: base})
	require.NoError(t, err)
	body := &closer{Reader: strings.NewReader("body")}
	_, err = rt.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodPost, api, body))
	requireUnavailable(t, err)
	require.True(t, body.closed)
	require.Equal(t, 2, n)
}

// Userinfo is a resource: it says 401, and is asked once more (RFC 9449 section 9).
func TestP13_NonceOfUserinfo(t *testing.T) {
	t.Parallel()
	tokens := &oidc.Tokens{OAuth2: &oauth2.Token{AccessToken: "access", TokenType: "DPoP"}}
	tokens.IDToken = &oidc.IDToken{Issuer: issuer, Audience: []string{"public"}, Subject: "alice"}
	server := &demander{t: t, nonce: "n", offer: "n", code: http.StatusForbidden}
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": server})
	_, err := c.UserInfo(t.Context(), tokens)
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, http.StatusForbidden, re.Status)
	require.Equal(t, []any{nil, "n"}, noncesOf(server.proofs))

	server.never, server.offer = true, "another"
	_, err = c.UserInfo(t.Context(), tokens)
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, "the proof is at fault, not the token")
	require.Equal(t, []any{nil, "n", "n", "another"}, noncesOf(server.proofs))
}

// A provider that is called by another name than its own compares "htu" with that one.
func TestP06_TargetHasTheHostOfTheConfiguration(t *testing.T) {
	t.Parallel()
	server := &demander{t: t} // it compares with Host
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": server}, func(cfg *oidc.Config) {
		cfg.Header = http.Header{"host": {"public.example"}}
	})
	_, err := c.Refresh(t.Context(), stored())
	require.NoError(t, err)
	require.Equal(t, "https://public.example/token", server.proofs[0].claims["htu"])
}

// A token that the client's key could have been bound to is not sent without a proof.
func TestP01_NoBearerTokenFromAClientWithDPoP(t *testing.T) {
	t.Parallel()
	h := hosts{}
	for _, tokenType := range []string{"Bearer", "", "bearer"} {
		client := apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h, func(cfg *oidc.APITransportConfig) {
			cfg.Source = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "access", TokenType: tokenType})
		})
		_, err := get(t, client, api)
		require.Error(t, err, tokenType)
	}
}

func TestJ51_APITransportPrintsNoToken(t *testing.T) {
	t.Parallel()
	rt := plain(t, &seen{}).Transport
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text := fmt.Sprintf(verb+verb, rt, struct{ rt http.RoundTripper }{rt})
		require.NotContains(t, text, marker)
		require.NotContains(t, text, fmt.Sprintf("%x", marker))
	}
}

// Many requests at a time, and a nonce that changes all the while. (For the race detector.)
func TestAPITransport_Concurrently(t *testing.T) {
	t.Parallel()
	server := &demander{t: t, offer: "n", nonce: "n"}
	h := hosts{"api.example": server}
	client := apiClient(t, proving(t, newDPoP(t, edKey(t)), h), h)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
			resp, err := client.Transport.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, len(server.proofs), 64)
}

// P15: an access token that is bound to the client's certificate is of use with it alone.
func TestP15_CertificateGoesToTheAPI(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Len(t, r.TLS.PeerCertificates, 1)
		require.Equal(t, "Bearer access", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	p, err := oidc.NewProvider(oidc.Config{Metadata: &discovery.Metadata{
		Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/jwks",
	}})
	require.NoError(t, err)
	c, err := oidc.NewClient(p, oidc.ClientConfig{ClientID: "client", ClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &server.TLS.Certificates[0], nil
	}})
	require.NoError(t, err)
	rt, err := c.APITransport(oidc.APITransportConfig{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "access"}), Allowed: []string{server.URL},
	})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	base, ok := oidc.Base(rt).(*http.Transport)
	require.True(t, ok)
	require.NotSame(t, http.DefaultTransport, base)
	base.TLSClientConfig.RootCAs = roots
	t.Cleanup(base.CloseIdleConnections)
	resp, err := get(t, &http.Client{Transport: rt}, server.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)

	without, err := proving(t, nil, nil).APITransport(oidc.APITransportConfig{Source: bound, Allowed: []string{api}})
	require.NoError(t, err)
	require.Same(t, http.DefaultTransport, oidc.Base(without))
}

// With the provider of oidctest as the second opinion: a public client's whole life.
func TestP14_LifeOfABoundToken(t *testing.T) {
	t.Parallel()
	op := newOP(t, func(cfg *oidctest.Config) {
		cfg.RequireDPoP, cfg.RequireDPoPNonce = true, true
		cfg.Clients[0].Secret, cfg.Clients[0].AuthMethod = "", "none"
	})
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	c := newClient(t, newProvider(t, op), func(cfg *oidc.ClientConfig) {
		cfg.ClientSecret, cfg.DPoP = "", d
		cfg.Scopes = []string{"openid", "email", "offline_access"}
	})
	flow, err := c.Begin(t.Context())
	require.NoError(t, err)
	require.Contains(t, flow.AuthorizationURL, "dpop_jkt="+d.Thumbprint())
	callback, err := op.Login(t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(t, err)
	tokens, err := c.Finish(t.Context(), flow, callback.Query())
	require.NoError(t, err)
	require.Equal(t, "DPoP", tokens.OAuth2.TokenType)
	_, err = c.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	op.RotateDPoPNonce()
	tokens, err = c.Refresh(t.Context(), tokens)
	require.NoError(t, err)

	served := 0
	resource := op.Protect(oidctest.ResourceConfig{Audience: issuer + string(oidctest.UserInfo)}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	server := httptest.NewServer(resource)
	t.Cleanup(server.Close)
	rt, err := c.APITransport(oidc.APITransportConfig{Source: oauth2.StaticTokenSource(tokens.OAuth2), Allowed: []string{server.URL}})
	require.NoError(t, err)
	client := &http.Client{Transport: rt}
	for range 2 {
		op.RotateDPoPNonce()
		resp, err := get(t, client, server.URL+"/things?page=2")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.Equal(t, 2, served)

	// Somebody who stole the tokens has not got the key.
	thief := newClient(t, newProvider(t, op), func(cfg *oidc.ClientConfig) { cfg.ClientSecret, cfg.DPoP = "", newDPoP(t, edKey(t)) })
	_, err = thief.Refresh(t.Context(), tokens)
	require.Error(t, err)
	rt, err = thief.APITransport(oidc.APITransportConfig{Source: oauth2.StaticTokenSource(tokens.OAuth2), Allowed: []string{server.URL}})
	require.NoError(t, err)
	resp, err := get(t, &http.Client{Transport: rt}, server.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Equal(t, 2, served)
}
