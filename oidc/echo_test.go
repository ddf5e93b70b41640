package oidc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// An echo answers every request with all that it was sent, in every place where an answer
// has text, and remembers what of that is secret.
type echo struct {
	status      int
	contentType string
	code        string // of the error; empty is what was sent

	mu      sync.Mutex
	secrets []string
	calls   int
}

// harmless parameters are no secrets, and neither are their values in an error.
var harmless = []string{
	"grant_type", "client_id", "client_assertion_type", "scope", "redirect_uri", "token_type_hint", "response_type",
	"code_challenge", "code_challenge_method", "resource", "audience", "subject_token_type", "actor_token_type",
	"requested_token_type", "dpop_jkt", "state", "requested_expiry",
}

func (e *echo) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	form, _ := url.ParseQuery(string(body))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	var sent []string
	for name, values := range form {
		if !slices.Contains(harmless, name) {
			sent = append(sent, values...)
		}
	}
	for _, name := range []string{"Authorization", "Dpop"} {
		for _, v := range req.Header[name] {
			sent = append(sent, v[strings.LastIndexByte(v, ' ')+1:])
		}
	}
	e.secrets = append(e.secrets, sent...)
	all := strings.Join(sent, " ")
	code := e.code
	if code == "" {
		code = all
	}
	answer, err := json.Marshal(object{
		"error": code, "error_description": all, "error_uri": all, "access_token": all, "refresh_token": all, "id_token": all,
		"token_type": all, "expires_in": all, "device_code": all, "user_code": all, "auth_req_id": all, "request_uri": all,
		"verification_uri": all, "active": all, "sub": all, "issued_token_type": all, "client_id": all, "client_secret": all,
		"registration_client_uri": all, "registration_access_token": all,
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: e.status, Request: req, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(answer)),
		Header: http.Header{"Content-Type": {e.contentType}, "Www-Authenticate": {`Bearer error="` + all + `"`}, "Dpop-Nonce": {"n"}},
	}, nil
}

// echoed are all calls, with secrets that are planted where they come from the caller.
func echoed(t *testing.T, c *oidc.Client, tokens *oidc.Tokens, op *oidctest.Provider) map[string]func(context.Context) (any, error) {
	planted := func(what string) string { return marker + "-" + what }
	exchange := oidc.TokenExchange{
		SubjectToken: planted("subject"), SubjectTokenType: "urn:ietf:params:oauth:token-type:access_token",
		ActorToken: planted("actor"), ActorTokenType: "urn:ietf:params:oauth:token-type:jwt",
	}
	registration := &oidc.Registration{
		ClientID: "x", ClientSecret: clientauth.Secret(planted("registered")), RegistrationClientURI: issuer + "/register/x",
		RegistrationAccessToken: clientauth.Secret(planted("registration")),
	}
	p := c.Provider()
	metadata := oidc.ClientMetadata{RedirectURIs: []string{redirectURL}}
	source := func(s oauth2.TokenSource) func(context.Context) (any, error) {
		return func(context.Context) (any, error) { return s.Token() }
	}
	return map[string]func(context.Context) (any, error){
		"Begin": func(ctx context.Context) (any, error) { return c.Begin(ctx) },
		"Finish": func(ctx context.Context) (any, error) {
			flow, callback := flowOf(t, op)
			return c.Finish(ctx, flow, callback)
		},
		"Refresh":           func(ctx context.Context) (any, error) { return c.Refresh(ctx, tokens) },
		"TokenSource":       source(c.TokenSource(expired(tokens))),
		"ClientCredentials": func(ctx context.Context) (any, error) { return c.ClientCredentials(ctx) },
		"credentials":       source(c.ClientCredentialsSource()),
		"JWTBearer":         func(ctx context.Context) (any, error) { return c.JWTBearer(ctx, planted("a.b.c")) },
		"TokenExchange":     func(ctx context.Context) (any, error) { return c.TokenExchange(ctx, exchange) },
		"device":            func(ctx context.Context) (any, error) { return c.DeviceAuthorization(ctx) },
		"backchannel": func(ctx context.Context) (any, error) {
			return c.BackchannelAuthentication(ctx, oidc.BackchannelRequest{
				LoginHint: planted("hint"), UserCode: clientauth.Secret(planted("code")), Ping: true,
			})
		},
		"UserInfo":   func(ctx context.Context) (any, error) { return c.UserInfo(ctx, tokens) },
		"Introspect": func(ctx context.Context) (any, error) { return c.Introspect(ctx, planted("token")) },
		"Revoke":     func(ctx context.Context) (any, error) { return nil, c.Revoke(ctx, planted("token"), "access_token") },
		"Register": func(ctx context.Context) (any, error) {
			return p.RegisterClient(ctx, metadata, clientauth.Secret(planted("initial")))
		},
		"ReadRegistration":   func(ctx context.Context) (any, error) { return p.ReadRegistration(ctx, registration) },
		"UpdateRegistration": func(ctx context.Context) (any, error) { return p.UpdateRegistration(ctx, registration, metadata) },
		"DeleteRegistration": func(ctx context.Context) (any, error) { return nil, p.DeleteRegistration(ctx, registration) },
	}
}

// flowOf begins a login at op itself, for a client that Finish has never seen.
func flowOf(t *testing.T, op *oidctest.Provider) (*oidc.Flow, url.Values) {
	t.Helper()
	return authorize(t, op, newClient(t, newProvider(t, op)))
}

func expired(tokens *oidc.Tokens) *oidc.Tokens {
	old := *tokens.OAuth2
	old.Expiry = start.Add(-time.Hour)
	return &oidc.Tokens{OAuth2: &old, IDToken: tokens.IDToken}
}

// F09, D09: whatever a provider sends back of what it was sent, no error, log line or printed
// value holds a secret, code, verifier, token, assertion or proof.
func TestD09_NothingThatWasSentIsTold(t *testing.T) {
	t.Parallel()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: signer, KeyID: "k"})
	require.NoError(t, err)
	for name, method := range map[string]clientauth.Method{
		"basic": nil, "post": clientauth.SecretPost(clientauth.Secret(secret)),
		"secret JWT": clientauth.SecretJWT(clientauth.Secret(secret)), "private key": clientauth.PrivateKeyJWT(key),
	} {
		for _, e := range []*echo{
			{status: 400, contentType: "application/json"}, {status: 400, contentType: "application/json", code: "invalid_grant"},
			{status: 401, contentType: "application/json", code: "invalid_client"}, {status: 400, contentType: "application/json", code: "use_dpop_nonce"},
			{status: 403, contentType: "text/html"}, {status: 503, contentType: "application/json"}, {status: 200, contentType: "application/json"},
			{status: 201, contentType: "application/json"}, {status: 200, contentType: "application/jwt"}, {status: 302, contentType: "text/html"},
		} {
			t.Run(fmt.Sprint(name, " ", e.status, " ", e.contentType, " ", e.code), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { tellNothing(t, method, e) })
			})
		}
	}
}

func tellNothing(t *testing.T, method clientauth.Method, e *echo) {
	op := newOP(t)
	tokens := mustLogin(t, op, newClient(t, newProvider(t, op), offline))
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	dpop, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: signer})
	require.NoError(t, err)
	var log bytes.Buffer
	provider := newProvider(t, op, func(cfg *oidc.Config) {
		m := discovery.Metadata{
			Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/jwks",
			UserInfoEndpoint: issuer + "/userinfo", IntrospectionEndpoint: issuer + "/introspect", RevocationEndpoint: issuer + "/revoke",
			DeviceAuthorizationEndpoint: issuer + "/device", PushedAuthorizationRequestEndpoint: issuer + "/par",
			BackchannelAuthenticationEndpoint: issuer + "/bc", RegistrationEndpoint: issuer + "/register",
		}
		cfg.Metadata, cfg.HTTPClient = &m, &http.Client{Transport: e}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	client := newClient(t, provider, func(cfg *oidc.ClientConfig) {
		cfg.ClientAuth, cfg.DPoP, cfg.PushedAuthorizationRequests = method, dpop, true
	})
	var told bytes.Buffer
	for name, call := range echoed(t, client, tokens, op) {
		before := e.calls
		value, err := call(t.Context())
		require.Greater(t, e.calls, before, "%s has sent nothing: %v", name, err)
		fmt.Fprintf(&told, "%s: ", name)
		if err != nil {
			printAll(&told, err)
		} else if value != nil {
			printAll(&told, value)
		}
	}
	printAll(&told, client)
	printAll(&told, dpop)
	for _, s := range append(e.secrets, marker) {
		if s != "" && s != "none" {
			for line := range strings.Lines(told.String() + log.String()) {
				require.NotContains(t, line, s)
			}
		}
	}
}

// printAll prints v in every form that a program might.
func printAll(b *bytes.Buffer, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(b, verb+"\n", v)
	}
	if err, ok := v.(error); ok {
		slog.New(slog.NewJSONHandler(b, nil)).Info("m", "err", err)
		for ; err != nil; err = errors.Unwrap(err) {
			text, jerr := json.Marshal(err)
			fmt.Fprintf(b, "%T %s %v\n", err, text, jerr)
		}
		return
	}
	slog.New(slog.NewTextHandler(b, nil)).Info("m", "v", v)
	if text, err := json.Marshal(v); err == nil {
		b.Write(text)
	}
}
