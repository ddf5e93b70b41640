package oidc_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func TestLogin(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	tokens, err := finish(t, client, flow, callback)
	require.NoError(t, err)

	id := tokens.IDToken
	require.Equal(t, issuer, id.Issuer)
	require.Equal(t, marker+"-alice", id.Subject)
	require.Equal(t, []string{oidctest.ClientID}, id.Audience)
	require.True(t, id.Expiry.Equal(start.Add(5*time.Minute)))
	require.True(t, id.IssuedAt.Equal(start))
	require.Equal(t, id.Subject, id.GoOIDC.Subject)
	require.Equal(t, id.Raw(), tokens.OAuth2.Extra("id_token"))
	require.Equal(t, "Bearer", tokens.OAuth2.TokenType)
	require.True(t, tokens.OAuth2.Expiry.Equal(start.Add(5*time.Minute)))
	require.Equal(t, "openid profile email", tokens.OAuth2.Extra("scope"))
	require.Empty(t, tokens.OAuth2.RefreshToken)
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

func TestLogin_EveryAlgorithm(t *testing.T) {
	for _, alg := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, func(c *oidctest.Config) { c.Clients[0].IDTokenAlgorithm = alg })
			provider := newProvider(t, op)
			symmetric := strings.HasPrefix(alg, "HS")
			client := newClient(t, provider, func(c *oidc.ClientConfig) {
				if symmetric {
					c.IDTokenAlgorithms = []string{alg}
				}
			})
			tokens := mustLogin(t, op, client)
			header, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.IDToken.Raw(), ".")[0])
			require.NoError(t, err)
			require.Contains(t, string(header), `"alg":"`+alg+`"`)
			if !symmetric {
				_, err := newVerifier(t, provider).Verify(t.Context(), op.Sign(object{"alg": alg, "typ": "at+jwt"}, accessClaims(op)))
				require.NoError(t, err)
				return
			}
			// HS must be asked for.
			_, err = login(t, op, newClient(t, provider))
			requireRefused(t, err, oidc.ReasonAlgorithm, "")
			// The at_hash is one of the algorithm's own hash.
			_, _, err = loginForged(t, op, client, attack{forge: func(_ *oidctest.Provider, header, claims object) string {
				return oidctest.SignHMAC(header, with(claims, object{"at_hash": "AAAA"}), []byte(secret))
			}})
			requireRefused(t, err, oidc.ReasonAccessTokenHash, "at_hash")
		})
	}
}

func TestNewClient_RefusesConfig(t *testing.T) {
	provider := newProvider(t, newOP(t))
	for name, change := range map[string]func(*oidc.ClientConfig){
		"no client id":                   func(c *oidc.ClientConfig) { c.ClientID = "" },
		"control character in client id": func(c *oidc.ClientConfig) { c.ClientID = "a\n" },
		"relative redirect":              func(c *oidc.ClientConfig) { c.RedirectURL = "/callback" },
		"plain http":                     func(c *oidc.ClientConfig) { c.RedirectURL = "http://client.example/callback" },
		"fragment":                       func(c *oidc.ClientConfig) { c.RedirectURL += "#x" },
		"J01 none":                       func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"none"} },
		"unknown algorithm":              func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"ES256", "XX"} },
		"J02 HS beside RS":               func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"HS256", "RS256"} },
		"J02 RS beside HS":               func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"RS256", "HS256"} },
		"J04 HS256 without secret":       hs("HS256", 0),
		"J04 HS256 with 31 bytes":        hs("HS256", 31),
		"J04 HS384 with 47 bytes":        hs("HS384", 47),
		"J04 HS512 with 63 bytes":        hs("HS512", 63),
		"negative leeway":                func(c *oidc.ClientConfig) { c.Leeway = -1 },
		"J33 leeway over 5 min":          func(c *oidc.ClientConfig) { c.Leeway = 5*time.Minute + 1 },
		"nonce in AdditionalParameters":  func(c *oidc.ClientConfig) { c.AdditionalParameters = url.Values{"nonce": {"x"}} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clientConfig()
			change(&cfg)
			client, err := oidc.NewClient(provider, cfg)
			require.Error(t, err)
			require.Nil(t, client)
			tellsNothing(t, err)
		})
	}
	_, err := oidc.NewClient(nil, clientConfig())
	require.Error(t, err)
	cfg := clientConfig()
	cfg.RedirectURL = "" // for a client that logs nobody in
	client, err := oidc.NewClient(provider, cfg)
	require.NoError(t, err)
	_, err = client.Begin(t.Context())
	require.Error(t, err)
	for alg, length := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		newClient(t, provider, hs(alg, length))
	}
}

func hs(alg string, length int) func(*oidc.ClientConfig) {
	return func(c *oidc.ClientConfig) {
		c.IDTokenAlgorithms = []string{alg}
		c.ClientSecret = clientauth.Secret(strings.Repeat("s", length))
	}
}

func TestNewAccessTokenVerifier_RefusesConfig(t *testing.T) {
	provider := newProvider(t, newOP(t))
	for name, cfg := range map[string]oidc.AccessTokenConfig{
		"J34 no audience":     {},
		"J34 empty audience":  {Audience: []string{api, ""}},
		"J01 none":            {Audience: []string{api}, Algorithms: []string{"none"}},
		"J02 HS beside ES":    {Audience: []string{api}, Algorithms: []string{"ES256", "HS256"}},
		"J33 negative leeway": {Audience: []string{api}, Leeway: -1},
		"J33 leeway over 5 m": {Audience: []string{api}, Leeway: 5*time.Minute + 1},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := oidc.NewAccessTokenVerifier(provider, cfg)
			require.Error(t, err)
			require.Nil(t, v)
		})
	}
}

func TestM10_ZeroVerifierRefuses(t *testing.T) {
	op := newOP(t)
	raw := op.Sign(object{"typ": "at+jwt"}, accessClaims(op))
	_, err := oidc.NewAccessTokenVerifier(nil, oidc.AccessTokenConfig{Audience: []string{api}})
	require.Error(t, err)
	for name, v := range map[string]*oidc.AccessTokenVerifier{"nil": nil, "zero": {}} {
		token, err := v.Verify(t.Context(), raw)
		require.Error(t, err, name)
		require.Nil(t, token, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name) // it is our fault and not the token's
	}
	var zero oidc.Client
	_, err = zero.VerifyIDToken(t.Context(), raw, "")
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
}

func TestAccessToken(t *testing.T) {
	op := newOP(t)
	verifier := newVerifier(t, newProvider(t, op), func(c *oidc.AccessTokenConfig) { c.Audience = []string{"https://other.example", api} })
	token, err := verifier.Verify(t.Context(), op.AccessToken("alice", api, "read", "write"))
	require.NoError(t, err)
	require.Equal(t, issuer, token.Issuer)
	require.Equal(t, marker+"-alice", token.Subject)
	require.Equal(t, oidctest.ClientID, token.ClientID)
	require.Equal(t, []string{api}, token.Audience)
	require.Equal(t, []string{"read", "write"}, token.Scopes)
	require.True(t, token.Expiry.Equal(start.Add(5*time.Minute)))
	require.True(t, token.IssuedAt.Equal(start))

	lax := newVerifier(t, newProvider(t, op), untyped)
	for name, tt := range map[string]struct {
		claims   object
		clientID string
		scopes   []string
	}{
		"azp":    {object{"client_id": nil, "azp": "spa", "scope": nil, "scp": []string{"a", "b"}}, "spa", []string{"a", "b"}},
		"nobody": {object{"client_id": nil, "scope": "a  b a"}, "", []string{"a", "b"}},
		"both":   {object{"azp": "spa", "scope": nil}, oidctest.ClientID, nil},
	} {
		token, err := lax.Verify(t.Context(), op.Sign(object{"typ": "JWT"}, with(accessClaims(op), tt.claims)))
		require.NoError(t, err, name)
		require.Equal(t, tt.clientID, token.ClientID, name)
		require.Equal(t, tt.scopes, token.Scopes, name)
	}
}

func TestF01_ResponseIssuer(t *testing.T) {
	missing := func(q url.Values) { q.Del("iss") }
	for name, tt := range map[string]struct {
		change   func(url.Values)
		promised bool
		refused  bool
	}{
		"right":                      {func(url.Values) {}, true, false},
		"right though not promised":  {func(url.Values) {}, false, false},
		"missing and not promised":   {missing, false, false},
		"missing though promised":    {missing, true, true},
		"wrong":                      {func(q url.Values) { q.Set("iss", "https://evil.example") }, true, true},
		"wrong though not promised":  {func(q url.Values) { q.Set("iss", "https://evil.example") }, false, true},
		"with a slash":               {func(q url.Values) { q.Set("iss", issuer+"/") }, false, true},
		"empty":                      {func(q url.Values) { q.Set("iss", "") }, true, true},
		"empty and not promised":     {func(q url.Values) { q.Set("iss", "") }, false, true},
		"wrong in an error response": {func(q url.Values) { q.Set("iss", "https://evil.example"); q.Del("code"); q.Set("error", "x") }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			op := newOP(t)
			m := metadataOf(op)
			m.AuthorizationResponseIssParameterSupported = tt.promised
			client := newClient(t, newProvider(t, op, withMetadata(m)))
			flow, callback := authorize(t, op, client)
			tt.change(callback)
			_, err := finish(t, client, flow, callback)
			if !tt.refused {
				require.NoError(t, err)
				return
			}
			requireCallback(t, err, "iss")
			require.Zero(t, op.Requests(oidctest.Token))
			// A mixed-up answer does not end the login.
			callback = url.Values{"state": {flow.State()}, "iss": {issuer}, "error": {"access_denied"}}
			_, err = finish(t, client, flow, callback)
			require.ErrorIs(t, err, oidckit.ErrForbidden)
		})
	}
}

func TestF09_ErrorResponses(t *testing.T) {
	for code, sentinel := range map[string]error{
		"access_denied": oidckit.ErrForbidden, "server_error": oidckit.ErrUnavailable,
		"temporarily_unavailable": oidckit.ErrUnavailable, "login_required": oidckit.ErrInvalidCallback,
		"invalid_request": oidckit.ErrInvalidCallback, "of_tomorrow": oidckit.ErrInvalidCallback,
	} {
		t.Run(code, func(t *testing.T) {
			op, client := setup(t)
			flow, callback := authorize(t, op, client)
			callback.Del("code")
			callback.Set("error", code)
			callback.Set("error_description", marker+"<b>\r\n\"\\\x7fé"+strings.Repeat("x", 300))
			_, err := finish(t, client, flow, callback)
			var e *oidc.AuthorizationError
			require.ErrorAs(t, err, &e)
			require.Equal(t, code, e.Code)
			require.Len(t, e.Description, 256)
			require.Equal(t, marker+"<b>xxx", e.Description[:len(marker)+6])
			require.ErrorIs(t, err, sentinel)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
			require.Zero(t, op.Requests(oidctest.Token))
		})
	}
}

func TestF09_ErrorOfTheProviderItself(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client, oidc.WithPrompt("none"))
	_, err := finish(t, client, flow, callback)
	var e *oidc.AuthorizationError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "login_required", e.Code)
}

func TestF09_ErrorCodeIsText(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	callback.Del("code")
	callback.Set("error", "a\r\nSet-Cookie: x"+strings.Repeat("x", 1<<20))
	_, err := finish(t, client, flow, callback)
	var e *oidc.AuthorizationError
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Code, 256)
	require.NotContains(t, err.Error(), "\n")
}

func TestF09_ErrorAndCodeTogether(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	callback.Set("error", "access_denied")
	_, err := finish(t, client, flow, callback)
	requireCallback(t, err, "code")
	require.Zero(t, op.Requests(oidctest.Token))
}

func TestF09_NeitherErrorNorCode(t *testing.T) {
	for _, code := range [][]string{nil, {""}} {
		op, client := setup(t)
		flow, callback := authorize(t, op, client)
		callback["code"] = code
		_, err := finish(t, client, flow, callback)
		requireCallback(t, err, "code")
		require.Zero(t, op.Requests(oidctest.Token))
	}
}

func TestF06_CodeThatIsNotAccepted(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, op *oidctest.Provider, c *oidc.Client, f *oidc.Flow, q url.Values){
		"unknown": func(_ *testing.T, _ *oidctest.Provider, _ *oidc.Client, _ *oidc.Flow, q url.Values) {
			q.Set("code", "x")
		},
		"expired": func(_ *testing.T, op *oidctest.Provider, _ *oidc.Client, _ *oidc.Flow, _ url.Values) {
			op.Advance(2 * time.Minute)
		},
		// The code of another login: PKCE has the provider refuse it.
		"injected": func(t *testing.T, op *oidctest.Provider, c *oidc.Client, _ *oidc.Flow, q url.Values) {
			_, other := authorize(t, op, c)
			q.Set("code", other.Get("code"))
		},
		"used in another process": func(t *testing.T, op *oidctest.Provider, _ *oidc.Client, f *oidc.Flow, q url.Values) {
			_, err := newClient(t, newProvider(t, op)).Finish(t.Context(), f, q)
			require.NoError(t, err)
		},
		"wrong verifier": func(t *testing.T, _ *oidctest.Provider, _ *oidc.Client, f *oidc.Flow, _ url.Values) {
			data, err := f.MarshalBinary()
			require.NoError(t, err)
			var members object
			require.NoError(t, json.Unmarshal(data, &members))
			members["v"] = strings.Repeat("x", 43)
			data, err = json.Marshal(members)
			require.NoError(t, err)
			require.NoError(t, f.UnmarshalBinary(data))
		},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			flow, callback := authorize(t, op, client)
			change(t, op, client, flow, callback)
			before := op.Requests(oidctest.Token)
			_, err := finish(t, client, flow, callback)
			requireCallback(t, err, "code")
			var re *oidc.ResponseError
			require.ErrorAs(t, err, &re)
			require.Equal(t, "invalid_grant", re.Code)
			require.Equal(t, before+1, op.Requests(oidctest.Token))
		})
	}
}

func TestF07_PKCEAndTheRestOfTheRequest(t *testing.T) {
	op := newOP(t)
	r, via := record(op)
	client := newClient(t, newProvider(t, op, via), func(c *oidc.ClientConfig) {
		c.Scopes = []string{"email"}
		c.Resources = []string{api, "https://other.example"}
		c.AdditionalParameters = url.Values{"ui_locales": {"de"}}
	})
	flow, callback := authorize(t, op, client, oidc.WithLoginHint("alice"), oidc.WithPrompt("login"), oidc.WithParameter("x", "1"))
	u, err := url.Parse(flow.AuthorizationURL)
	require.NoError(t, err)
	q := u.Query()
	state, nonce, verifier := secretsOf(t, flow)[0], secretsOf(t, flow)[1], secretsOf(t, flow)[2]
	for _, s := range []string{state, nonce, verifier} {
		require.Len(t, s, 43)
	}
	require.NotEqual(t, state, nonce)
	require.NotContains(t, flow.AuthorizationURL, verifier)
	require.Equal(t, state, flow.State())
	require.Len(t, q.Get("code_challenge"), 43)
	q.Del("code_challenge")
	require.Equal(t, url.Values{
		"response_type": {"code"}, "client_id": {oidctest.ClientID}, "redirect_uri": {redirectURL}, "scope": {"openid email"},
		"state": {state}, "nonce": {nonce}, "code_challenge_method": {"S256"}, "resource": {api, "https://other.example"},
		"ui_locales": {"de"}, "login_hint": {"alice"}, "prompt": {"login"}, "x": {"1"},
	}, q)

	_, err = finish(t, client, flow, callback)
	require.NoError(t, err)
	requests, forms := r.sent(oidctest.Token)
	require.Len(t, requests, 1)
	require.Equal(t, http.MethodPost, requests[0].Method)
	require.Empty(t, requests[0].URL.RawQuery)
	require.Equal(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {callback.Get("code")}, "redirect_uri": {redirectURL},
		"code_verifier": {verifier}, "resource": {api, "https://other.example"},
	}, forms[0])

	second, err := client.Begin(t.Context())
	require.NoError(t, err)
	for i, s := range secretsOf(t, second) {
		require.NotEqual(t, secretsOf(t, flow)[i], s)
	}
}

func TestF07_ProtectedParameters(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	client := newClient(t, provider)
	for _, name := range []string{
		"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge",
		"code_challenge_method", "request", "request_uri", "client_secret", "",
	} {
		flow, err := client.Begin(t.Context(), oidc.WithParameter(name, "x"))
		require.Error(t, err, name)
		require.Nil(t, flow, name)
		cfg := clientConfig()
		cfg.AdditionalParameters = url.Values{name: {"x"}}
		_, err = oidc.NewClient(provider, cfg)
		require.Error(t, err, name)
	}
	require.Zero(t, op.Requests(oidctest.Discovery))
}

func TestBegin_ParametersRepeatAndBelongToOneCall(t *testing.T) {
	op := newOP(t)
	additional := url.Values{"audience": {"a"}}
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.AdditionalParameters = additional })
	additional.Add("nonce", "changed afterwards")
	query := func(options ...oidc.Option) url.Values {
		flow, err := client.Begin(t.Context(), options...)
		require.NoError(t, err)
		u, err := url.Parse(flow.AuthorizationURL)
		require.NoError(t, err)
		return u.Query()
	}
	q := query(oidc.WithParameter("audience", "b"), oidc.WithParameter("x", "1"), oidc.WithParameter("x", "2"))
	require.Equal(t, []string{"a", "b"}, q["audience"])
	require.Equal(t, []string{"1", "2"}, q["x"])
	require.Len(t, q["nonce"], 1)
	q = query()
	require.Equal(t, []string{"a"}, q["audience"])
	require.Empty(t, q["x"])
}

func TestBegin_KeepsTheQueryOfTheEndpoint(t *testing.T) {
	op := newOP(t)
	m := metadataOf(op)
	m.AuthorizationEndpoint += "?tenant=a&state=fixed"
	flow, err := newClient(t, newProvider(t, op, withMetadata(m))).Begin(t.Context())
	require.NoError(t, err)
	u, err := url.Parse(flow.AuthorizationURL)
	require.NoError(t, err)
	require.Equal(t, "a", u.Query().Get("tenant"))
	require.Equal(t, []string{flow.State()}, u.Query()["state"])

	m.AuthorizationEndpoint = op.Issuer() + "/?a;b"
	_, err = newClient(t, newProvider(t, op, withMetadata(m))).Begin(t.Context())
	require.Error(t, err)
	m.AuthorizationEndpoint = ""
	_, err = newClient(t, newProvider(t, op, withMetadata(m))).Begin(t.Context())
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
}

func TestF32_ClientAuthentication(t *testing.T) {
	for name, tt := range map[string]struct {
		registered string
		supported  []string
		secret     string
		method     clientauth.Method
	}{
		"basic, as nothing is said": {"client_secret_basic", nil, secret, nil},
		"basic, as both are there":  {"client_secret_basic", []string{"client_secret_post", "client_secret_basic"}, secret, nil},
		"post":                      {"client_secret_post", []string{"private_key_jwt", "client_secret_post"}, secret, nil},
		"post, chosen":              {"client_secret_post", []string{"client_secret_basic"}, "", clientauth.SecretPost(clientauth.Secret(secret))},
		"none":                      {"none", []string{"client_secret_basic"}, "", nil},
		"F33 basic is form-encoded": {"client_secret_basic", nil, `a:b%+ ü&"` + secret, nil},
	} {
		t.Run(name, func(t *testing.T) {
			op := newOP(t, func(c *oidctest.Config) {
				c.Clients[0].AuthMethod, c.Clients[0].Secret = tt.registered, tt.secret
				if tt.method != nil {
					c.Clients[0].Secret = secret
				}
			})
			r, via := record(op)
			m := metadataOf(op)
			m.TokenEndpointAuthMethodsSupported = tt.supported
			client := newClient(t, newProvider(t, op, via, withMetadata(m)), func(c *oidc.ClientConfig) {
				c.ClientSecret, c.ClientAuth = clientauth.Secret(tt.secret), tt.method
			})
			mustLogin(t, op, client)
			requests, forms := r.sent(oidctest.Token)
			require.Len(t, requests, 1)
			require.Equal(t, tt.registered == "client_secret_basic", requests[0].Header.Get("Authorization") != "")
			require.Equal(t, tt.registered == "client_secret_post", forms[0].Has("client_secret"))
			require.Equal(t, tt.registered != "client_secret_basic", forms[0].Has("client_id"))
		})
	}
}

func TestF32_NoMethodFits(t *testing.T) {
	op := newOP(t)
	m := metadataOf(op)
	m.TokenEndpointAuthMethodsSupported = []string{"private_key_jwt"}
	_, err := login(t, op, newClient(t, newProvider(t, op, withMetadata(m))))
	require.Error(t, err)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.Zero(t, op.Requests(oidctest.Token))
}

// noProof is a method that has no proof to give.
type noProof struct{}

var errNoProof = errors.New("the key is not at hand")

func (noProof) Name() string                                            { return "none_at_hand" }
func (noProof) Authenticate(context.Context, *clientauth.Request) error { return errNoProof }

// Without its proof the request stays here: it would spend the code for nothing.
func TestF32_NoProof(t *testing.T) {
	op := newOP(t)
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.ClientSecret, c.ClientAuth = "", noProof{} })
	_, err := login(t, op, client)
	require.ErrorIs(t, err, errNoProof)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.Zero(t, op.Requests(oidctest.Token))
}

func TestF32_OneRequestPerCode(t *testing.T) {
	for name, fault := range map[string]oidctest.Fault{
		"400":                 {Status: 400, Body: `{"error":"invalid_request"}`},
		"401":                 {Status: 401, Body: `{"error":"invalid_client","error_description":"` + marker + `"}`},
		"401 without body":    {Status: 401, Body: " ", ContentType: "text/plain"},
		"403":                 {Status: 403, Body: `{"error":"` + strings.Repeat("x", 1000) + `\r\n"}`},
		"429":                 {Status: 429},
		"500":                 {Status: 500},
		"503":                 {Status: 503},
		"F31 307":             {Status: 307},
		"server_error in 400": {Status: 400, Body: `{"error":"server_error"}`},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			flow, callback := authorize(t, op, client)
			op.SetFault(oidctest.Token, fault)
			_, err := finish(t, client, flow, callback)
			require.Error(t, err)
			require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
			require.NotErrorIs(t, err, oidckit.ErrInvalidCallback)
			outage := fault.Status >= 500 || fault.Status == 429 || fault.Status == 307 || strings.Contains(fault.Body, "server_error")
			require.Equal(t, outage, errors.Is(err, oidckit.ErrUnavailable))
			var re *oidc.ResponseError
			if errors.As(err, &re) {
				require.Equal(t, fault.Status, re.Status)
				require.LessOrEqual(t, len(re.Code), 256)
				require.NotContains(t, re.Code, "\r")
			} else {
				require.Equal(t, 307, fault.Status)
			}
			require.Equal(t, 1, op.Requests(oidctest.Token))
			_, err = finish(t, client, flow, callback)
			requireCallback(t, err, "state")
			require.Equal(t, 1, op.Requests(oidctest.Token))
		})
	}
}

// A provider that is in trouble says nothing about the code, whatever it writes.
func TestF32_InvalidGrantInAnOutage(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	op.SetFault(oidctest.Token, oidctest.Fault{Status: 503, Body: `{"error":"invalid_grant"}`})
	_, err := finish(t, client, flow, callback)
	requireUnavailable(t, err)
}

func TestF34_TokenResponse(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"no access token":        func(r map[string]any) { delete(r, "access_token") },
		"empty access token":     func(r map[string]any) { r["access_token"] = "" },
		"line break":             func(r map[string]any) { r["access_token"] = "a\r\nX: y" },
		"space":                  func(r map[string]any) { r["access_token"] = "a b" },
		"not ASCII":              func(r map[string]any) { r["access_token"] = "é" },
		"list":                   func(r map[string]any) { r["access_token"] = []string{"a"} },
		"line break in refresh":  func(r map[string]any) { r["refresh_token"] = "a\n" },
		"mac":                    func(r map[string]any) { r["token_type"] = "mac" },
		"DPoP":                   func(r map[string]any) { r["token_type"] = "DPoP" },
		"no token type":          func(r map[string]any) { delete(r, "token_type") },
		"expires_in is no time":  func(r map[string]any) { r["expires_in"] = "soon" },
		"expires_in NaN":         func(r map[string]any) { r["expires_in"] = "NaN" },
		"expires_in Infinity":    func(r map[string]any) { r["expires_in"] = "Infinity" },
		"refresh token a number": func(r map[string]any) { r["refresh_token"] = 5 },
		"scope a list":           func(r map[string]any) { r["scope"] = []string{"openid"} },
		"member in another case": func(r map[string]any) { r["ACCESS_TOKEN"] = r["access_token"]; delete(r, "access_token") },
		"no ID token":            func(r map[string]any) { delete(r, "id_token") },
		"empty ID token":         func(r map[string]any) { r["id_token"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			op.OnTokenResponse(change)
			_, err := login(t, op, client)
			require.Error(t, err)
			var e *oidc.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, oidc.ReasonMalformed, e.Reason)
			require.Equal(t, 1, op.Requests(oidctest.Token))
		})
	}
}

func TestF34_TokenResponsesThatAreRight(t *testing.T) {
	const unknown = -1
	for name, tt := range map[string]struct {
		change func(map[string]any)
		life   time.Duration
	}{
		"bearer in lower case": {func(r map[string]any) { r["token_type"] = "bearer" }, 5 * time.Minute},
		"expires_in as text":   {func(r map[string]any) { r["expires_in"] = "60" }, time.Minute},
		"expires_in absent":    {func(r map[string]any) { delete(r, "expires_in") }, unknown},
		"expires_in negative":  {func(r map[string]any) { r["expires_in"] = -5 }, 0},
		"expires_in huge":      {func(r map[string]any) { r["expires_in"] = json.Number("1e300") }, 3650 * 24 * time.Hour},
		"further members":      {func(r map[string]any) { r["x"] = object{"y": 1} }, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			op.OnTokenResponse(tt.change)
			token := mustLogin(t, op, client).OAuth2
			if tt.life == unknown {
				require.True(t, token.Expiry.IsZero())
				return
			}
			require.True(t, token.Expiry.Equal(start.Add(tt.life)), token.Expiry)
		})
	}
}

func TestF05_ExpiredFlow(t *testing.T) {
	op := newOP(t, func(c *oidctest.Config) { c.CodeTTL = time.Hour })
	client := newClient(t, newProvider(t, op))
	late, lateCallback := authorize(t, op, client)
	intime, callback := authorize(t, op, client)
	op.Advance(oidc.FlowLifetime - 1)
	_, err := finish(t, client, intime, callback)
	require.NoError(t, err)
	op.Advance(1)
	_, err = finish(t, client, late, lateCallback)
	requireCallback(t, err, "state")
	require.Equal(t, 1, op.Requests(oidctest.Token))
}

func TestF02_FlowOfAnotherClient(t *testing.T) {
	op := newOP(t, func(c *oidctest.Config) {
		other := c.Clients[0]
		other.ID = "other"
		c.Clients = append(c.Clients, other)
		c.Clients[0].RedirectURIs = append(c.Clients[0].RedirectURIs, redirectURL+"2")
	})
	elsewhere := newOP(t, func(c *oidctest.Config) { c.Issuer = "https://elsewhere.example" })
	provider := newProvider(t, op)
	flow, callback := authorize(t, op, newClient(t, provider))
	atElsewhere := url.Values{"state": callback["state"], "code": callback["code"], "iss": {elsewhere.Issuer()}}
	for name, tt := range map[string]struct {
		client   *oidc.Client
		callback url.Values
	}{
		"client":   {newClient(t, provider, func(c *oidc.ClientConfig) { c.ClientID = "other" }), callback},
		"redirect": {newClient(t, provider, func(c *oidc.ClientConfig) { c.RedirectURL += "2" }), callback},
		"provider": {newClient(t, newProvider(t, elsewhere)), atElsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := finish(t, tt.client, flow, tt.callback)
			requireCallback(t, err, "state")
		})
	}
	require.Zero(t, op.Requests(oidctest.Token)+elsewhere.Requests(oidctest.Token))
}

func TestFlow_Binary(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	data, err := flow.MarshalBinary()
	require.NoError(t, err)
	var read oidc.Flow
	require.NoError(t, read.UnmarshalBinary(data))
	require.Equal(t, flow.State(), read.State())
	require.Empty(t, read.AuthorizationURL)
	_, err = finish(t, client, &read, callback)
	require.NoError(t, err)

	for name, data := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "object": "{}", "no state": `{"n":"a","v":"b"}`, "no nonce": `{"s":"a","v":"b"}`,
		"no verifier": `{"s":"a","n":"b"}`, "cut": string(data[:len(data)-1]),
	} {
		var f oidc.Flow
		require.Error(t, f.UnmarshalBinary([]byte(data)), name)
		require.Empty(t, f.State(), name)
	}
	// One that never expires is not one of ours.
	var forever oidc.Flow
	require.NoError(t, forever.UnmarshalBinary(fmt.Appendf(nil, `{"s":"state","n":"n","v":"v","i":%q,"c":%q,"r":%q}`, issuer, oidctest.ClientID, redirectURL)))
	_, err = client.Finish(t.Context(), &forever, url.Values{"state": {"state"}, "code": {"x"}, "iss": {issuer}})
	requireCallback(t, err, "state")
}

func TestG10_NothingSecretIsPrinted(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op, func(c *oidc.Config) { c.Header = http.Header{"X-Api-Key": {marker}} })
	client := newClient(t, provider, offline)
	flow, callback := authorize(t, op, client)
	secrets := append(secretsOf(t, flow), marker)
	tokens, err := client.Finish(t.Context(), flow, callback)
	require.NoError(t, err)
	require.NotEmpty(t, tokens.OAuth2.RefreshToken)
	for _, raw := range []string{tokens.OAuth2.AccessToken, tokens.OAuth2.RefreshToken, tokens.IDToken.Raw()} {
		secrets = append(secrets, strings.Split(raw, ".")...)
	}
	cfg := clientConfig()
	for name, v := range map[string]any{
		"flow": flow, "flow by value": *flow, "tokens": tokens, "tokens by value": *tokens, "client": client,
		"client config": cfg, "provider": provider, "ID token": tokens.IDToken, "ID token by value": *tokens.IDToken,
		"in a struct": struct {
			F *oidc.Flow
			T *oidc.Tokens
			I *oidc.IDToken
			V oidc.Flow
		}{flow, tokens, tokens.IDToken, *flow},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			fmt.Fprintln(&out, v)
			slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
			if name != "in a struct" && !strings.HasPrefix(name, "ID token by") {
				slog.New(slog.NewJSONHandler(&out, nil)).Info("JSON", "v", v)
			}
			// Who marshals an ID token wants its claims.
			if name != "in a struct" && !strings.HasPrefix(name, "ID token") {
				data, err := json.Marshal(v)
				require.NoError(t, err)
				out.Write(data)
			}
			for _, s := range secrets {
				require.NotContains(t, out.String(), s, "%s is in %s", s, out.String())
			}
		})
	}
}

// "OPTIONAL, if identical to the scope requested by the client" (RFC 6749 section 5.1).
func TestScopeOfALogin(t *testing.T) {
	for name, tt := range map[string]struct {
		answer any
		want   string
	}{
		"left out": {nil, "openid profile email"},
		"narrowed": {"openid", "openid"},
	} {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			op.OnTokenResponse(func(r map[string]any) {
				if delete(r, "scope"); tt.answer != nil {
					r["scope"] = tt.answer
				}
			})
			require.Equal(t, tt.want, mustLogin(t, op, client).OAuth2.Extra("scope"))
		})
	}
}

func TestClientPolicy(t *testing.T) {
	policy, err := claims.RequiredClaims(map[string]any{"hd": "example.com"})
	require.NoError(t, err)
	op := newOP(t)
	client := newClient(t, newProvider(t, op), func(cfg *oidc.ClientConfig) { cfg.Policy = policy })
	for hd, reason := range map[string]oidc.Reason{"example.com": "", "evil.example": oidc.ReasonPolicy} {
		op.OnIDToken(func(_, c map[string]any) { c["hd"] = hd })
		_, err := login(t, op, client)
		if reason == "" {
			require.NoError(t, err)
			continue
		}
		requireRefused(t, err, reason, "hd")
	}
}
