package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const formType = "application/x-www-form-urlencoded"

func TestHandler(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ, requested, issued, tokenType string
	}{
		"a JWT":                  {"", "", oidc.TokenTypeJWT, "N_A"},
		"a JWT, asked for":       {"", oidc.TokenTypeJWT, oidc.TokenTypeJWT, "N_A"},
		"an access token":        {exchange.TypeAccessToken, "", oidc.TokenTypeAccessToken, "Bearer"},
		"an access token, asked": {exchange.TypeAccessToken, oidc.TokenTypeAccessToken, oidc.TokenTypeAccessToken, "Bearer"},
		"as a JWT":               {exchange.TypeAccessToken, oidc.TokenTypeJWT, oidc.TokenTypeJWT, "N_A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *exchange.ExchangerConfig) { c.Rules[0].Type = test.typ })
			changes := url.Values{"client_id": {"anything"}, "alg": {"EdDSA"}, "audience": {ourAudience}, "subject_token_type": {oidc.TokenTypeIDToken}}
			if test.requested != "" {
				changes.Set("requested_token_type", test.requested)
			}
			w := form(r.x.Handler(), r.grant(changes))
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			var answer map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			token, _ := answer["access_token"].(string)
			delete(answer, "access_token")
			require.Equal(t, map[string]any{"issued_token_type": test.issued, "token_type": test.tokenType, "expires_in": 300.0}, answer)
			require.Equal(t, "repo:acme/app", r.claimsOf(t, token)["sub"])
		})
	}
}

// Our own client of RFC 8693 understands it.
func TestHandler_WithTheClientOfPackageOIDC(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	issuer := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: server.URL, Keys: r.keys, TokenEndpoint: server.URL + "/token"}))
	x := must(exchange.NewExchanger(exchange.ExchangerConfig{
		Issuer: issuer, Verifier: r.verifier, Rules: []exchange.Rule{{Name: "acme", Issuer: upstreamIssuer, Policy: ofAcme}},
	}))
	mux.Handle("/", issuer.Handler())
	mux.Handle("/token", x.Handler())
	provider := must(oidc.NewProvider(oidc.Config{Issuer: server.URL, Now: r.Now}))
	client := must(oidc.NewClient(provider, oidc.ClientConfig{ClientID: "job"}))
	issued, err := client.TokenExchange(t.Context(), oidc.TokenExchange{SubjectToken: r.token(nil), SubjectTokenType: oidc.TokenTypeJWT})
	require.NoError(t, err)
	require.Equal(t, oidc.TokenTypeJWT, issued.IssuedTokenType)
	_, err = client.TokenExchange(t.Context(), oidc.TokenExchange{SubjectToken: r.token(map[string]any{"owner_id": "1"}), SubjectTokenType: oidc.TokenTypeJWT})
	require.ErrorIs(t, err, oidckit.ErrInvalidToken)
	_, err = client.TokenExchange(t.Context(), oidc.TokenExchange{SubjectToken: r.token(nil), SubjectTokenType: oidc.TokenTypeAccessToken})
	var answer *oidc.ResponseError
	require.ErrorAs(t, err, &answer)
	require.Equal(t, "invalid_request", answer.Code)
}

func TestTokenHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.InsecureReuse = true })
	h, token := r.x.TokenHandler(), r.token(nil)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"json":               post(h, "application/json", `{"token":"`+token+`"}`),
		"json with charset":  post(h, "application/json; charset=UTF-8", `{"token":"`+token+`","alg":"ES256"}`),
		"form":               form(h, url.Values{"token": {token}}),
		"as the document":    post(h, "application/json", `{"token": `+token+`}`),
		"the document, wide": post(h, "application/json", ` { "token" : `+token+" }\n"),
	} {
		require.Equal(t, http.StatusOK, w.Code, name)
		require.Equal(t, "application/jwt", w.Header().Get("Content-Type"), name)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
		require.Equal(t, "repo:acme/app", r.claimsOf(t, w.Body.String())["sub"], name)
	}
	for _, w := range []*httptest.ResponseRecorder{
		post(h, "application/json", `{"token":"`+token+`","alg":"EdDSA"}`), form(h, url.Values{"token": {token}, "alg": {"EdDSA"}}),
	} {
		require.Equal(t, http.StatusOK, w.Code)
		header, _, _ := strings.Cut(w.Body.String(), ".")
		require.Equal(t, strings.Split(must(r.issuer.Mint(t.Context(), exchange.Token{Audience: []string{"a"}, Algorithm: "EdDSA"})).Compact, ".")[0], header)
	}
	// One URL for both.
	require.Contains(t, form(h, r.grant(nil)).Body.String(), "issued_token_type")
}

// What a caller chooses: an algorithm that the operator has a key for, and nothing else.
func TestT11_TheAlgorithmIsOneOfOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, alg := range []string{"none", "None", "HS256", "RS256", "es256", "ES512", "ES256\x00", " ES256"} {
		w := form(r.x.TokenHandler(), url.Values{"token": {r.token(nil)}, "alg": {alg}})
		require.Equal(t, http.StatusBadRequest, w.Code, alg)
		require.Equal(t, "invalid_request", failureOf(t, w).Error)
		w = form(r.x.Handler(), r.grant(url.Values{"alg": {alg}}))
		require.Equal(t, http.StatusBadRequest, w.Code, alg)
	}
	for _, name := range []string{"kid", "exp", "expires_in", "lifetime", "typ", "claims", "sub", "Token", "ALG"} {
		require.Equal(t, http.StatusBadRequest, form(r.x.TokenHandler(), url.Values{"token": {r.token(nil)}, name: {"x"}}).Code, name)
		require.Equal(t, http.StatusBadRequest, form(r.x.Handler(), r.grant(url.Values{name: {"x"}})).Code, name)
		require.Equal(t, http.StatusBadRequest, post(r.x.TokenHandler(), "application/json", fmt.Sprintf(`{"token":%q,%q:"x"}`, r.token(nil), name)).Code, name)
	}
}

// All refusals of a token are one answer.
func TestT18_RefusalsAreAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw := r.token(nil)
	require.Equal(t, http.StatusOK, form(r.x.TokenHandler(), url.Values{"token": {raw}}).Code)
	seen := map[string]string{}
	for name, token := range map[string]string{
		"no token":         "x",
		"another issuer":   r.token(map[string]any{"iss": "https://other.example"}),
		"ours":             r.token(map[string]any{"iss": ourIssuer}),
		"expired":          r.token(map[string]any{"exp": r.Now().Unix() - 3600, "iat": nil}),
		"nothing left":     r.token(map[string]any{"exp": r.Now().Unix(), "iat": nil}),
		"audience":         r.token(map[string]any{"aud": "x"}),
		"policy":           r.token(map[string]any{"owner_id": "a-stranger"}),
		"signature":        raw[:len(raw)-4] + "AAAA",
		"replayed":         raw,
		"too large":        r.token(map[string]any{"ref": strings.Repeat("x", 5000)}),
		"chain":            r.token(map[string]any{"act": map[string]any{"act": map[string]any{}}}),
		"no claim of ours": r.token(map[string]any{"owner_id": nil}),
	} {
		for kind, w := range map[string]*httptest.ResponseRecorder{
			"token": form(r.x.TokenHandler(), url.Values{"token": {token}}), "grant": form(r.x.Handler(), r.grant(url.Values{"subject_token": {token}})),
		} {
			require.Equal(t, http.StatusBadRequest, w.Code, name)
			number := w.Header().Get("Correlation-Id")
			require.Len(t, number, 26)
			f := failureOf(t, w)
			require.Equal(t, failure{"invalid_grant", "the token is not accepted", number}, f, name)
			require.NotContains(t, seen, number, "each request has its own")
			seen[number] = name + kind
			require.Contains(t, r.log.String(), "correlation_id="+number, "by which the reason is found")
		}
	}
	require.Contains(t, r.log.String(), "owner_id", "the log says which claim it was")
	require.NotContains(t, r.log.String(), "a-stranger")
}

func TestT20_OnlyOneWayToAsk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.token(nil)
	body := r.grant(nil).Encode()
	request := func(h http.Handler, change func(*http.Request), contentType, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, ourIssuer+"/token", strings.NewReader(body))
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		if change != nil {
			change(req)
		}
		return serve(h, req)
	}
	x, short := r.x.Handler(), r.x.TokenHandler()
	for name, w := range map[string]*httptest.ResponseRecorder{
		"JSON for a grant":    request(x, nil, "application/json", `{"grant_type":"x"}`),
		"no type":             request(x, nil, "", body),
		"a type that is none": request(x, nil, "/", body),
		"multipart":           request(x, nil, "multipart/form-data; boundary=x", body),
		"another charset":     request(x, nil, formType+"; charset=utf-16", body),
		"two types":           request(x, func(r *http.Request) { r.Header["Content-Type"] = []string{formType, formType} }, formType, body),
		"a query":             request(x, func(r *http.Request) { r.URL.RawQuery = "alg=ES256" }, formType, body),
		"an empty query":      request(x, func(r *http.Request) { r.URL.ForceQuery = true }, formType, body),
		"Authorization":       request(x, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, formType, body),
		"two of them":         request(x, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer x", "Basic y"} }, formType, body),
		"twice the token":     request(x, nil, formType, body+"&subject_token="+token),
		"twice the type":      request(x, nil, formType, body+"&subject_token_type="+oidc.TokenTypeJWT),
		"a semicolon":         request(x, nil, formType, body+";alg=ES256"),
		"a broken escape":     request(x, nil, formType, body+"&alg=%zz"),
		"too large":           request(x, nil, formType, body+"&alg="+strings.Repeat("x", 64<<10)),
		"twice, short":        request(short, nil, formType, "token="+token+"&token="+token),
		"twice in JSON":       request(short, nil, "application/json", `{"token":"`+token+`","token":"`+token+`"}`),
		"two spellings":       request(short, nil, "application/json", `{"token":"`+token+`","Token":"`+token+`"}`),
		"no string":           request(short, nil, "application/json", `{"token":["`+token+`"]}`),
		"a list":              request(short, nil, "application/json", `["`+token+`"]`),
		"null":                request(short, nil, "application/json", `{"token":"`+token+`","alg":null}`),
		"bare, and more":      request(short, nil, "application/json", `{"token": `+token+`, "alg": "ES256"}`),
		"no token":            request(short, nil, "application/json", `{}`),
		"an empty token":      request(short, nil, formType, "token="),
		"text":                request(short, nil, "text/plain", token),
		"a query, short":      request(short, func(r *http.Request) { r.URL.RawQuery = "token=" + token }, formType, ""),
		"semicolon, short":    request(short, nil, formType, "token="+token+";alg=ES256"),
	} {
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Equal(t, "invalid_request", failureOf(t, w).Error, name)
	}
	for _, h := range []http.Handler{x, short} {
		w := get(h, ourIssuer+"/token")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "POST", w.Header().Get("Allow"))
	}
	require.Equal(t, http.StatusOK, request(x, nil, formType+"; charset=UTF-8", body).Code, "and this is the one")
	require.NotContains(t, r.log.String(), token[len(token)-40:])
}

func TestT21_TypesAreExact(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, test := range map[string]struct {
		changes url.Values
		code    string
	}{
		"no subject_token_type":      {url.Values{"subject_token_type": nil}, "invalid_request"},
		"an access token":            {url.Values{"subject_token_type": {oidc.TokenTypeAccessToken}}, "invalid_request"},
		"SAML":                       {url.Values{"subject_token_type": {oidc.TokenTypeSAML2}}, "invalid_request"},
		"another case":               {url.Values{"subject_token_type": {strings.ToUpper(oidc.TokenTypeJWT)}}, "invalid_request"},
		"actor_token":                {url.Values{"actor_token": {r.token(nil)}, "actor_token_type": {oidc.TokenTypeJWT}}, "invalid_request"},
		"actor_token, empty":         {url.Values{"actor_token": {""}}, "invalid_request"},
		"actor_token_type":           {url.Values{"actor_token_type": {oidc.TokenTypeJWT}}, "invalid_request"},
		"no subject_token":           {url.Values{"subject_token": nil}, "invalid_request"},
		"requested: an access token": {url.Values{"requested_token_type": {oidc.TokenTypeAccessToken}}, "invalid_request"},
		"requested: a refresh token": {url.Values{"requested_token_type": {oidc.TokenTypeRefreshToken}}, "invalid_request"},
		"scope":                      {url.Values{"scope": {"all"}}, "invalid_scope"},
		"another grant":              {url.Values{"grant_type": {"client_credentials"}}, "unsupported_grant_type"},
		"no grant":                   {url.Values{"grant_type": nil}, "unsupported_grant_type"},
		"another audience":           {url.Values{"audience": {"https://other.example"}}, "invalid_target"},
		"another resource":           {url.Values{"resource": {"https://other.example"}, "audience": {ourAudience}}, "invalid_target"},
	} {
		w := form(r.x.Handler(), r.grant(test.changes))
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Equal(t, test.code, failureOf(t, w).Error, name)
	}
	own := newRig(t, func(c *exchange.ExchangerConfig) { c.SubjectTokenTypes = []string{oidc.TokenTypeAccessToken} })
	require.Equal(t, http.StatusOK, form(own.x.Handler(), own.grant(url.Values{"subject_token_type": {oidc.TokenTypeAccessToken}})).Code)
	require.Equal(t, http.StatusBadRequest, form(own.x.Handler(), own.grant(nil)).Code)
}

func TestHandler_Outage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.upstream.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	w := form(r.x.Handler(), r.grant(nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Equal(t, "temporarily_unavailable", failureOf(t, w).Error)

	later := newRig(t, func(c *exchange.ExchangerConfig) {
		c.Verifier = verifierFunc(func(context.Context, string) (*oidc.AccessToken, error) {
			return nil, &oidckit.UnavailableError{What: "x", Err: errors.New("x"), RetryAfter: 7 * time.Second}
		})
	})
	require.Equal(t, "7", form(later.x.Handler(), later.grant(nil)).Header().Get("Retry-After"))

	broken := newRig(t, func(c *exchange.ExchangerConfig) {
		c.Verifier = verifierFunc(func(context.Context, string) (*oidc.AccessToken, error) { return nil, errors.New("secret") })
	})
	w = form(broken.x.TokenHandler(), url.Values{"token": {r.token(nil)}})
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
}
