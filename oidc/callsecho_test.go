package oidc_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit/oidc"
)

// D09: the calls that need another one before them, go elsewhere, or are made by a source
// tell nothing either.
func TestD09_NothingIsToldByOtherCalls(t *testing.T) {
	t.Parallel()
	for _, e := range []*echo{
		{status: 400, contentType: "application/json"}, {status: 400, contentType: "application/json", code: "expired_token"},
		{status: 401, contentType: "application/json", code: "use_dpop_nonce"}, {status: 403, contentType: "text/html"},
		{status: 503, contentType: "application/json"}, {status: 200, contentType: "application/json"}, {status: 200, contentType: "application/jwt"},
		{status: 302, contentType: "text/html"},
	} {
		t.Run(fmt.Sprint(e.status, " ", e.contentType, " ", e.code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tellNothingElse(t, e) })
		})
	}
}

func tellNothingElse(t *testing.T, e *echo) {
	var log bytes.Buffer
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	via := roundTripper(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/device":
			return deviceAnswer(object{"expires_in": 60}).response(r)
		case "/bc":
			return backchannelAnswer(object{"expires_in": 60}).response(r)
		}
		return e.RoundTrip(r)
	})
	s := &standIn{}
	provider := s.in(t, newOP(t, ownClock))
	s.next = via
	source, err := oidc.NewProvider(oidc.Config{Issuer: bank, HTTPClient: &http.Client{Transport: via}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	client := newClient(t, provider, func(c *oidc.ClientConfig) {
		c.DPoP, c.ClaimSources = d, []oidc.ClaimSource{{Provider: source, Endpoints: []string{bankEndpoint}}}
	})
	transport, err := client.APITransport(oidc.APITransportConfig{
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: marker + "-access", TokenType: "DPoP"}), Allowed: []string{api}, Base: via,
	})
	require.NoError(t, err)
	var told bytes.Buffer
	for name, call := range map[string]func(context.Context) (any, error){
		"device": func(ctx context.Context) (any, error) {
			a, err := client.DeviceAuthorization(ctx)
			require.NoError(t, err)
			return client.DeviceTokens(ctx, a)
		},
		"backchannel": func(ctx context.Context) (any, error) {
			b, err := client.BackchannelAuthentication(ctx, loginHint)
			require.NoError(t, err)
			return client.BackchannelTokens(ctx, b)
		},
		"exchange": func(ctx context.Context) (any, error) {
			return client.TokenExchangeSource(func(context.Context) (oidc.TokenExchange, error) {
				return oidc.TokenExchange{SubjectToken: marker + "-subject", SubjectTokenType: oidc.TokenTypeJWT}, nil
			}).TokenContext(ctx)
		},
		"assertion": func(ctx context.Context) (any, error) {
			return client.JWTBearerSource(func(context.Context) (string, error) { return marker + ".b.c", nil }).TokenContext(ctx)
		},
		"distributed": func(ctx context.Context) (any, error) {
			return client.DistributedClaims(ctx, set(t, object{"endpoint": bankEndpoint + "?q=" + marker, "access_token": sourceToken}))
		},
		"API": func(ctx context.Context) (any, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/things", nil)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			return nil, err
		},
		"WebFinger": func(ctx context.Context) (any, error) {
			return oidc.WebFinger(ctx, oidc.WebFingerConfig{
				AllowedIssuers: []string{issuer}, InsecurePrivateHosts: true, HTTPClient: &http.Client{Transport: via},
			}, marker+"@id.example")
		},
	} {
		before := e.calls
		value, err := call(t.Context())
		require.Greater(t, e.calls, before, "%s has sent nothing: %v", name, err)
		if list, ok := value.([]oidc.SourcedClaims); ok {
			for _, s := range list {
				fmt.Fprintf(&told, "%v %+v %#v\n", s, s, &s)
				printAll(&told, s.Err)
			}
			continue
		}
		if err != nil {
			printAll(&told, err)
		}
	}
	printAll(&told, transport)
	for _, s := range append(e.secrets, marker) {
		if s != "" && s != "none" {
			for line := range strings.Lines(told.String() + log.String()) {
				require.NotContains(t, line, s)
			}
		}
	}
}
