package discovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const issuer = "https://op.example"

// aliasNames are the endpoints that mtls_endpoint_aliases may have.
var aliasNames = []string{
	"token_endpoint", "userinfo_endpoint", "introspection_endpoint", "revocation_endpoint", "device_authorization_endpoint",
	"pushed_authorization_request_endpoint", "backchannel_authentication_endpoint", "registration_endpoint",
}

func start(t *testing.T, iss string) *oidctest.Provider {
	t.Helper()
	p, err := oidctest.New(oidctest.Config{Issuer: iss, Algorithm: "ES256"})
	require.NoError(t, err)
	return p
}

func remote(t *testing.T, cfg discovery.Config) *discovery.Remote {
	t.Helper()
	r, err := discovery.New(cfg)
	require.NoError(t, err)
	return r
}

func requireUnavailable(t *testing.T, err error, about ...any) *oidckit.UnavailableError {
	t.Helper()
	var e *oidckit.UnavailableError
	require.ErrorAs(t, err, &e, about...)
	require.ErrorIs(t, err, oidckit.ErrUnavailable, about...)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken, about...)
	require.Equal(t, "provider metadata", e.What)
	return e
}

// document writes metadata with members added, or left out where they are nil.
func document(more map[string]any) string {
	m := map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/jwks"}
	for name, v := range more {
		m[name] = v
		if v == nil {
			delete(m, name)
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestNewChecksTheIssuer(t *testing.T) {
	t.Parallel()
	for _, iss := range []string{"", "op.example", "/op", "http://op.example", "https://a@op.example", "https://op.example#", "https://op.example/#f", "https://op.example?", "https://op.example/?a=b", "file:///x", "https://"} {
		r, err := discovery.New(discovery.Config{Issuer: iss})
		require.Error(t, err, iss)
		require.Nil(t, r, iss)
	}
	for _, iss := range []string{issuer, issuer + "/", issuer + "/realms/a", "http://127.0.0.1:9000", "http://localhost"} {
		_, err := discovery.New(discovery.Config{Issuer: iss})
		require.NoError(t, err, iss)
	}
	_, err := discovery.New(discovery.Config{Issuer: "http://op.example", InsecureHTTP: true})
	require.NoError(t, err)
}

func TestRemote(t *testing.T) {
	t.Parallel()
	for _, iss := range []string{issuer, issuer + "/realms/a"} {
		p := start(t, iss)
		r := remote(t, discovery.Config{Issuer: iss, HTTPClient: p.HTTPClient()})
		require.Zero(t, p.Requests(oidctest.Discovery), "a constructor does no I/O")
		m, err := r.Metadata(t.Context())
		require.NoError(t, err)
		require.Equal(t, iss, m.Issuer)
		require.Equal(t, iss+"/authorize", m.AuthorizationEndpoint)
		require.Equal(t, iss+"/token", m.TokenEndpoint)
		require.Equal(t, iss+"/userinfo", m.UserInfoEndpoint)
		require.Equal(t, iss+"/jwks", m.JWKSURI)
		require.Equal(t, iss+"/end-session", m.EndSessionEndpoint)
		require.Contains(t, m.IDTokenSigningAlgValuesSupported, "ES256")
		require.Contains(t, m.CodeChallengeMethodsSupported, "S256")
		require.Contains(t, m.TokenEndpointAuthMethodsSupported, "client_secret_basic")
		require.Contains(t, m.ScopesSupported, "openid")
		require.True(t, m.AuthorizationResponseIssParameterSupported)

		// go-oidc sees the same.
		ctx := goidc.ClientContext(t.Context(), p.HTTPClient())
		theirs, err := goidc.NewProvider(ctx, iss)
		require.NoError(t, err)
		config := m.ProviderConfig()
		require.Equal(t, theirs.Endpoint(), config.NewProvider(ctx).Endpoint())
		require.Equal(t, goidc.ProviderConfig{
			IssuerURL: iss, AuthURL: m.AuthorizationEndpoint, TokenURL: m.TokenEndpoint, UserInfoURL: m.UserInfoEndpoint,
			DeviceAuthURL: m.DeviceAuthorizationEndpoint,
			JWKSURL:       m.JWKSURI, Algorithms: m.IDTokenSigningAlgValuesSupported,
		}, config)

		again, err := r.Metadata(t.Context())
		require.NoError(t, err)
		require.Same(t, m, again)
	}
}

func TestD01_IssuerMustBeTheSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		configured, found string
		slash             bool
	}{
		{issuer, issuer + "/", true}, {issuer + "/", issuer, true}, {issuer + "/a", issuer + "/a/", true},
		{issuer, "https://OP.example", false}, {issuer, issuer + ":443", false}, {issuer, "http://op.example", false},
		{issuer, "https://evil.example", false}, {issuer, issuer + ".evil.example", false}, {issuer, issuer + "/a", false},
		{issuer, " " + issuer, false}, {issuer, "https://op.example/%2e", false}, {issuer, issuer + "/{tenantid}/v2.0", false},
	} {
		p := start(t, tt.configured)
		p.SetFault(oidctest.Discovery, oidctest.Fault{Body: document(map[string]any{"issuer": tt.found})})
		m, err := remote(t, discovery.Config{Issuer: tt.configured, HTTPClient: p.HTTPClient()}).Metadata(t.Context())
		require.Nil(t, m)
		requireUnavailable(t, err, tt.found)
		var e *discovery.IssuerError
		require.ErrorAs(t, err, &e, tt.found)
		require.Equal(t, discovery.IssuerError{Configured: tt.configured, Found: tt.found}, *e)
		// What to configure is told if only the slash is wrong, and else nothing
		// that the other side wrote.
		require.Equal(t, tt.slash, strings.Contains(e.Error(), fmt.Sprintf("configure %q", tt.found)), e.Error())
		if !tt.slash && !strings.HasPrefix(tt.configured, tt.found) {
			require.NotContains(t, e.Error(), tt.found)
		}
	}
}

func TestD02_BrokenEndpointsAreRefused(t *testing.T) {
	t.Parallel()
	names := []string{
		"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint", "check_session_iframe", "introspection_endpoint",
		"revocation_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint", "backchannel_authentication_endpoint", "registration_endpoint",
	}
	for _, name := range names {
		for _, bad := range []string{
			"http://op.example/x", "http://169.254.169.254/latest", "javascript:alert(1)", "file:///etc/passwd", "https://a@op.example", "https://a:b@op.example",
			"/relative", "//op.example", "op.example/x", "https://op.example/#f", "https://op.example/#", "https://", "https://:443", "data:,x", "https://[::1", " https://op.example",
		} {
			m, err := discovery.Parse([]byte(document(map[string]any{name: bad})))
			require.Error(t, err, "%s %s", name, bad)
			require.Nil(t, m, "an error comes without metadata")
			if slices.Contains(aliasNames, name) {
				_, err := discovery.Parse([]byte(document(map[string]any{"mtls_endpoint_aliases": map[string]any{name: bad}})))
				require.Error(t, err, "alias %s %s", name, bad)
			}
		}
		for _, good := range []any{"https://other.example/x?tenant=a", "http://127.0.0.1:1/x", "http://localhost/x", nil, ""} {
			_, err := discovery.Parse([]byte(document(map[string]any{name: good})))
			require.NoError(t, err, "%s %v", name, good)
		}
	}

	// The same for Static, member by member.
	for _, m := range []discovery.Metadata{
		{Issuer: issuer, AuthorizationEndpoint: "http://op.example"}, {Issuer: issuer, TokenEndpoint: "http://op.example"}, {Issuer: issuer, UserInfoEndpoint: "/x"},
		{Issuer: issuer, JWKSURI: "file:///x"}, {Issuer: issuer, MTLSEndpointAliases: &discovery.MTLSEndpointAliases{TokenEndpoint: "http://op.example"}}, {Issuer: issuer, EndSessionEndpoint: "javascript:alert(1)"}, {}, {JWKSURI: issuer},
	} {
		s, err := discovery.Static(m)
		require.Error(t, err, m)
		require.Nil(t, s)
	}

	// And for what a provider answers; InsecureHTTP lets http pass and nothing else.
	for _, tt := range []struct {
		endpoint string
		insecure bool
		ok       bool
	}{
		{"http://op.example/token", false, false}, {"http://op.example/token", true, true}, {"file:///x", true, false}, {"https://a@b", true, false},
	} {
		p := start(t, issuer)
		p.SetFault(oidctest.Discovery, oidctest.Fault{Body: document(map[string]any{"token_endpoint": tt.endpoint})})
		_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: p.HTTPClient(), InsecureHTTP: tt.insecure}).Metadata(t.Context())
		if tt.ok {
			require.NoError(t, err)
			continue
		}
		requireUnavailable(t, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]strictjson.Reason{
		``: strictjson.NotObject, `null`: strictjson.NotObject, `[]`: strictjson.NotObject, `<html>`: strictjson.NotObject, document(nil) + "x": strictjson.Syntax,
		`{"issuer":"a","issuer":"b"}`: strictjson.DuplicateName, `{"issuer":"a","ISSUER":"b"}`: strictjson.FoldedName, `{"issuer":"\ud800"}`: strictjson.InvalidUnicode,
	} {
		m, err := discovery.Parse([]byte(text))
		var e *strictjson.Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, want, e.Reason, text)
		require.Nil(t, m)
	}
	for name, more := range map[string]map[string]any{
		"no issuer": {"issuer": nil}, "empty issuer": {"issuer": ""}, "issuer in another case": {"issuer": nil, "Issuer": issuer},
		"issuer is a list": {"issuer": []string{issuer}}, "endpoint is a number": {"token_endpoint": 1}, "endpoint is a list": {"jwks_uri": []string{issuer + "/jwks"}},
		"aliases are a string": {"mtls_endpoint_aliases": issuer}, "alias is a number": {"mtls_endpoint_aliases": map[string]any{"token_endpoint": 1}},
		"a demand is a string": {"require_pushed_authorization_requests": "true"}, "a demand is a number": {"require_signed_request_object": 1},
		"a promise is a string": {"authorization_response_iss_parameter_supported": "true"}, "access token issuer is a number": {"access_token_issuer": 1},
	} {
		m, err := discovery.Parse([]byte(document(more)))
		require.Error(t, err, name)
		require.Nil(t, m, name)
	}
}

func TestJ23_MembersMatchExactly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"JWKS_URI", "jwks_urI", "jwk\u017f_uri"} {
		m, err := discovery.Parse([]byte(document(map[string]any{"jwks_uri": nil, name: "https://evil.example"})))
		require.Error(t, err, name)
		require.Nil(t, m)
	}
	m, err := discovery.Parse([]byte(document(map[string]any{"scopes_supported": nil, "SCOPES_SUPPORTED": []string{"x"}})))
	require.NoError(t, err)
	require.Empty(t, m.ScopesSupported)
}

func TestRaw(t *testing.T) {
	t.Parallel()
	m, err := discovery.Parse([]byte(document(map[string]any{"x_unknown": map[string]any{"a": []int{1}}, "x_null": nil})))
	require.NoError(t, err)
	raw, ok := m.Raw("x_unknown")
	require.True(t, ok)
	require.JSONEq(t, `{"a":[1]}`, string(raw))
	raw, ok = m.Raw("issuer")
	require.True(t, ok)
	require.JSONEq(t, `"`+issuer+`"`, string(raw))
	_, ok = m.Raw("X_UNKNOWN")
	require.False(t, ok)
	_, ok = (&discovery.Metadata{}).Raw("issuer")
	require.False(t, ok)
}

func TestStatic(t *testing.T) {
	t.Parallel()
	given := discovery.Metadata{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	s, err := discovery.Static(given)
	require.NoError(t, err)
	given.Issuer = "changed later"
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no I/O, so nothing to cancel
	m, err := s.Metadata(ctx)
	require.NoError(t, err)
	require.Equal(t, issuer, m.Issuer)
	require.Equal(t, issuer+"/token", m.TokenEndpoint)
	_, ok := m.Raw("issuer")
	require.False(t, ok)
}

func inBubble(t *testing.T, f func(t *testing.T, p *oidctest.Provider, r *discovery.Remote)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := start(t, issuer)
		f(t, p, remote(t, discovery.Config{Issuer: issuer, HTTPClient: p.HTTPClient()}))
		synctest.Wait()
	})
}

func TestStampedeIsOneRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		p.SetFault(oidctest.Discovery, oidctest.Fault{Delay: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := r.Metadata(ctx) // the leader gives up
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var wg sync.WaitGroup
		var failed atomic.Int32
		for range 200 {
			wg.Go(func() {
				if _, err := r.Metadata(context.Background()); err != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		require.Zero(t, failed.Load())
		require.Equal(t, 1, p.Requests(oidctest.Discovery))
	})
}

func TestItHealsAfterAnOutage(t *testing.T) {
	for name, fault := range map[string]oidctest.Fault{
		"status": {Status: 503, Body: "MARKER"}, "hang": {Hang: true}, "empty": {Empty: true}, "too large": {Oversized: true}, "no JSON": {Body: "MARKER"},
		"HTML": {Body: "<html>MARKER", ContentType: "text/html"}, "other issuer": {Body: `{"issuer":"https://evil.example"}`}, "redirect": {Status: 302}, "no content": {Status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
				p.SetFault(oidctest.Discovery, fault)
				begin := time.Now()
				_, err := r.Metadata(t.Context())
				requireUnavailable(t, err)
				require.NotContains(t, err.Error(), "MARKER")
				require.NotContains(t, err.Error(), "evil")
				require.LessOrEqual(t, time.Since(begin), fetch.Timeout)
				p.SetFault(oidctest.Discovery, oidctest.Fault{})
				if fault.Hang {
					// The attempt took longer than the pause after it.
					_, err = r.Metadata(t.Context())
					require.NoError(t, err)
					return
				}
				_, err = r.Metadata(t.Context())
				e := requireUnavailable(t, err)
				require.LessOrEqual(t, e.RetryAfter, time.Second)
				require.Greater(t, e.RetryAfter, time.Second/2)
				require.Equal(t, 1, p.Requests(oidctest.Discovery), "a source that failed is left alone")
				time.Sleep(e.RetryAfter)
				_, err = r.Metadata(t.Context())
				require.NoError(t, err)
				require.Equal(t, 2, p.Requests(oidctest.Discovery))
			})
		})
	}
}

func TestD08_PausesGrowAndAreJittered(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 500})
		whole := 0
		for i, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			_, err := r.Metadata(t.Context())
			e := requireUnavailable(t, err)
			pause := time.Duration(seconds) * time.Second
			require.LessOrEqual(t, e.RetryAfter, pause)
			require.Greater(t, e.RetryAfter, pause/2)
			require.Equal(t, i+1, p.Requests(oidctest.Discovery))
			if e.RetryAfter == pause {
				whole++
			}
			time.Sleep(e.RetryAfter)
		}
		require.Less(t, whole, 8, "a thousand programs must not come back in the same instant")
	})
}

func TestD07_OldMetadataServeUntilBetterOnesAreThere(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		first, err := r.Metadata(t.Context())
		require.NoError(t, err)
		p.SetFault(oidctest.Discovery, oidctest.Fault{Body: document(map[string]any{"jwks_uri": "http://evil.example"})})
		time.Sleep(24 * time.Hour / 2)
		_, err = r.Metadata(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, p.Requests(oidctest.Discovery))
		for range 400 {
			time.Sleep(24 * time.Hour)
			m, err := r.Metadata(t.Context())
			require.NoError(t, err)
			require.Same(t, first, m)
			synctest.Wait()
		}
		require.Equal(t, 401, p.Requests(oidctest.Discovery))
		p.SetFault(oidctest.Discovery, oidctest.Fault{Body: document(map[string]any{"jwks_uri": issuer + "/new"})})
		time.Sleep(time.Minute)
		_, err = r.Metadata(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		m, err := r.Metadata(t.Context())
		require.NoError(t, err)
		require.Equal(t, issuer+"/new", m.JWKSURI)
	})
}

func TestStaticWithoutTLS(t *testing.T) {
	t.Parallel()
	m := discovery.Metadata{Issuer: "http://op.internal", TokenEndpoint: "http://op.internal/token"}
	_, err := discovery.Static(m)
	require.Error(t, err)
	source, err := discovery.InsecureStatic(m)
	require.NoError(t, err)
	got, err := source.Metadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, m.TokenEndpoint, got.TokenEndpoint)
	m.TokenEndpoint = "ftp://op.internal/token"
	_, err = discovery.InsecureStatic(m)
	require.Error(t, err)
}
