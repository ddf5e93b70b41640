package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

type members = map[string]any

const publicURL = "https://api.example.com"

// A dpopAPI is an API behind a proxy, and a client of it with a key and a token that is
// bound to the key.
type dpopAPI struct {
	*api
	bearer *middleware.Bearer
	key    *ecdsa.PrivateKey
	jkt    string
	token  string
	jti    int
}

func newDPoPAPI(t *testing.T, configure ...func(*oidc.ProofVerifierConfig, *middleware.DPoP)) *dpopAPI {
	t.Helper()
	a := &dpopAPI{api: newAPI(t)}
	cfg, d := oidc.ProofVerifierConfig{Now: a.provider.Now}, &middleware.DPoP{}
	for _, f := range configure {
		f(&cfg, d)
	}
	var err error
	d.Verifier, err = oidc.NewProofVerifier(cfg)
	require.NoError(t, err)
	a.bearer = a.api.bearer()
	a.bearer.Proof, a.bearer.PublicURL = d, publicURL
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a.jkt, err = jwks.Thumbprint(&a.key.PublicKey)
	require.NoError(t, err)
	a.token = a.tokenFor(members{"jkt": a.jkt})
	return a
}

func unbound(_ *oidc.ProofVerifierConfig, d *middleware.DPoP) { d.AllowUnbound = true }

// tokenFor is an access token with this "cnf"; nil is none.
func (a *dpopAPI) tokenFor(cnf any) string {
	now := a.provider.Now().Unix()
	claims := members{
		"iss": a.provider.Issuer(), "sub": aliceSubject, "aud": audience, "client_id": "client", "jti": "id", "iat": now, "exp": now + 300,
	}
	if cnf != nil {
		claims["cnf"] = cnf
	}
	return a.provider.Sign(members{"typ": "at+jwt"}, claims)
}

// serve is what a proxy hands on: to an inner address, by http.
func (a *dpopAPI) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.bearer.Handler(reached).ServeHTTP(w, r)
	return w
}

func (a *dpopAPI) request(t *testing.T, scheme, token string, proofs ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.0.0.7:8080/reports?from=2031", http.NoBody)
	r.Header["Authorization"] = []string{scheme + " " + token}
	if proofs != nil {
		r.Header["Dpop"] = proofs
	}
	return r
}

// proof is a proof that is good but for the changes; nil deletes.
func (a *dpopAPI) proof(t *testing.T, header, claims members) string {
	t.Helper()
	a.jti++
	h := a.header(t)
	c := a.claims()
	for _, changes := range []struct{ to, by members }{{h, header}, {c, claims}} {
		maps.Copy(changes.to, changes.by)
		maps.DeleteFunc(changes.to, func(_ string, v any) bool { return v == nil })
	}
	return sign(t, a.key, h, c)
}

func (a *dpopAPI) header(t *testing.T) members {
	t.Helper()
	return members{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwkOf(t, a.key)}
}

func (a *dpopAPI) claims() members {
	return members{
		"jti": fmt.Sprint("proof-", a.jti), "htm": http.MethodGet, "htu": publicURL + "/reports", "iat": a.provider.Now().Unix(), "ath": sum(a.token),
	}
}

func sum(text string) string {
	hash := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

func jwkOf(t *testing.T, key *ecdsa.PrivateKey) members {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	return members{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// sign signs whatever the header says, in ES256.
func sign(t *testing.T, key *ecdsa.PrivateKey, header, claims any) string {
	t.Helper()
	parts := make([]string, 0, 3)
	for _, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		require.NoError(t, err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, ".")))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	require.NoError(t, err)
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")
}

const (
	algs         = `algs="ES256 ES384 ES512 PS256 PS384 PS512 EdDSA"`
	badProof     = `DPoP error="invalid_dpop_proof", ` + algs
	badToken     = `DPoP error="invalid_token", ` + algs
	wantsNonce   = `DPoP error="use_dpop_nonce", ` + algs
	noCredential = `DPoP ` + algs
)

// The probes that the conformance suite of FAPI 2.0 sends to a resource (security.md 1.7),
// each followed by a request that is right.
func TestDPoPProbes(t *testing.T) {
	t.Parallel()
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	type send func(t *testing.T, a *dpopAPI) *http.Request
	header := func(changes members) send {
		return func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPoP", a.token, a.proof(t, changes, nil))
		}
	}
	claims := func(change func(a *dpopAPI) members) send {
		return func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPoP", a.token, a.proof(t, nil, change(a)))
		}
	}
	fixed := func(changes members) send { return claims(func(*dpopAPI) members { return changes }) }
	iat := func(d time.Duration) send {
		return claims(func(a *dpopAPI) members { return members{"iat": a.provider.Now().Add(d).Unix()} })
	}
	for name, tt := range map[string]struct {
		send      send
		challenge string // empty: accepted
	}{
		"right": {header(nil), ""},
		"header name DPOP in capitals": {func(t *testing.T, a *dpopAPI) *http.Request {
			r := a.request(t, "DPoP", a.token)
			r.Header.Set("DPOP", a.proof(t, nil, nil))
			return r
		}, ""},
		"two DPoP headers": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPoP", a.token, a.proof(t, nil, nil), a.proof(t, nil, nil))
		}, badProof},
		"two proofs in one header": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPoP", a.token, a.proof(t, nil, nil)+", "+a.proof(t, nil, nil))
		}, badProof},
		"no well-formed JWT": {func(t *testing.T, a *dpopAPI) *http.Request { return a.request(t, "DPoP", a.token, "no-jwt") }, badProof},
		"typ missing":        {header(members{"typ": nil}), badProof},
		"typ wrong":          {header(members{"typ": "dpop+jwt+wrongyousee"}), badProof},
		"alg missing":        {header(members{"alg": nil, "alg2": "ES256"}), badProof},
		"alg none":           {header(members{"alg": "none"}), badProof},
		"alg RS256":          {header(members{"alg": "RS256"}), badProof},
		"jwk missing":        {header(members{"jwk": nil}), badProof},
		"jwk private": {func(t *testing.T, a *dpopAPI) *http.Request {
			scalar, err := a.key.Bytes()
			require.NoError(t, err)
			jwk := jwkOf(t, a.key)
			jwk["d"] = base64.RawURLEncoding.EncodeToString(scalar)
			return a.request(t, "DPoP", a.token, a.proof(t, members{"jwk": jwk}, nil))
		}, badProof},
		"jti missing": {fixed(members{"jti": nil}), badProof},
		"htm missing": {fixed(members{"htm": nil}), badProof},
		"htu missing": {fixed(members{"htu": nil}), badProof},
		"iat missing": {fixed(members{"iat": nil}), badProof},
		"ath missing": {fixed(members{"ath": nil}), badProof},
		"signature wrong": {func(t *testing.T, a *dpopAPI) *http.Request {
			good, other := a.proof(t, nil, nil), a.proof(t, nil, nil)
			return a.request(t, "DPoP", a.token, good[:strings.LastIndexByte(good, '.')]+other[strings.LastIndexByte(other, '.'):])
		}, badProof},
		"htm PUT":                           {fixed(members{"htm": "PUT"}), badProof},
		"htu with query and fragment":       {fixed(members{"htu": publicURL + "/reports?from=2031#x"}), ""},
		"htu without, request with a query": {fixed(members{"htu": publicURL + "/reports"}), ""},
		"htu another URL":                   {fixed(members{"htu": publicURL + "/others"}), badProof},
		"htu of the inner address":          {fixed(members{"htu": "http://10.0.0.7:8080/reports"}), badProof},
		"htu with host in capitals":         {fixed(members{"htu": "HTTPS://API.EXAMPLE.COM/reports"}), ""},
		"htu with the default port":         {fixed(members{"htu": "https://api.example.com:443/reports"}), ""},
		"iat an hour ahead":                 {iat(time.Hour), badProof},
		"iat an hour behind":                {iat(-time.Hour), badProof},
		"iat 10 s ahead":                    {iat(10 * time.Second), ""},
		"iat 10 s behind":                   {iat(-10 * time.Second), ""},
		"nbf and exp": {claims(func(a *dpopAPI) members {
			return members{"nbf": a.provider.Now().Unix(), "exp": a.provider.Now().Add(5 * time.Minute).Unix()}
		}), ""},
		"jti twice": {func(t *testing.T, a *dpopAPI) *http.Request {
			proof := a.proof(t, nil, nil)
			require.Equal(t, http.StatusOK, a.serve(a.request(t, "DPoP", a.token, proof)).Code)
			return a.request(t, "DPoP", a.token, proof)
		}, badProof},
		"ath wrong": {fixed(members{"ath": sum("another token")}), badProof},
		"signed with another key": {func(t *testing.T, a *dpopAPI) *http.Request {
			h := a.header(t)
			h["jwk"] = jwkOf(t, another)
			return a.request(t, "DPoP", a.token, sign(t, another, h, a.claims()))
		}, badToken},
		"signed with another key than the one it names": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPoP", a.token, sign(t, another, a.header(t), a.claims()))
		}, badProof},
		"extra header parameters":       {header(members{"x": "y", "kid": "z"}), ""},
		"extra claims":                  {fixed(members{"x": "y", "z": members{"a": 1}}), ""},
		"no DPoP header, scheme DPoP":   {func(t *testing.T, a *dpopAPI) *http.Request { return a.request(t, "DPoP", a.token) }, badProof},
		"no DPoP header, scheme Bearer": {func(t *testing.T, a *dpopAPI) *http.Request { return a.request(t, "Bearer", a.token) }, badToken},
		"proof, but scheme Bearer": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "Bearer", a.token, a.proof(t, nil, nil))
		}, badToken},
		"scheme dpop": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "dpop", a.token, a.proof(t, nil, nil))
		}, ""},
		"scheme DPOP": {func(t *testing.T, a *dpopAPI) *http.Request {
			return a.request(t, "DPOP", a.token, a.proof(t, nil, nil))
		}, ""},
		"token in the query as well": {func(t *testing.T, a *dpopAPI) *http.Request {
			return inQuery(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)), a.token)
		}, `DPoP error="invalid_request", ` + algs},
		"token in the query alone": {func(t *testing.T, a *dpopAPI) *http.Request { return inQuery(a.without(t), a.token) }, noCredential},
		"P07: method override": {func(t *testing.T, a *dpopAPI) *http.Request {
			return override(a.request(t, "DPoP", a.token, a.proof(t, nil, members{"htm": "PUT"})))
		}, badProof},
		"P07: method override, ignored": {func(t *testing.T, a *dpopAPI) *http.Request {
			return override(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)))
		}, ""},
		"P06: Host that is spoofed": {func(t *testing.T, a *dpopAPI) *http.Request {
			return spoofed(a.request(t, "DPoP", a.token, a.proof(t, nil, members{"htu": "https://evil.example/reports"})))
		}, badProof},
		"P06: Host that is spoofed, right": {func(t *testing.T, a *dpopAPI) *http.Request {
			return spoofed(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for mode, configure := range map[string]func(*oidc.ProofVerifierConfig, *middleware.DPoP){
				"required": func(*oidc.ProofVerifierConfig, *middleware.DPoP) {}, "beside Bearer": unbound,
			} {
				a := newDPoPAPI(t, configure)
				w := a.serve(tt.send(t, a))
				if tt.challenge == "" {
					require.Equal(t, http.StatusOK, w.Code, "%s: %s", mode, a.log.String())
					require.Equal(t, "reached true "+aliceSubject, w.Body.String())
				} else {
					require.Contains(t, []int{http.StatusBadRequest, http.StatusUnauthorized}, w.Code, mode)
					require.NotContains(t, w.Body.String(), "reached")
					require.NotContains(t, a.log.String(), a.token)
				}
				if mode == "required" && tt.challenge != "" {
					require.Equal(t, []string{tt.challenge}, w.Header()["Www-Authenticate"])
				}
				require.Equal(t, http.StatusOK, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code, "%s: afterwards", mode)
			}
		})
	}
}

func (a *dpopAPI) without(t *testing.T) *http.Request {
	t.Helper()
	r := a.request(t, "DPoP", a.token, a.proof(t, nil, nil))
	r.Header.Del("Authorization")
	return r
}

func inQuery(r *http.Request, token string) *http.Request {
	r.URL.RawQuery = "access_token=" + token
	return r
}

func override(r *http.Request) *http.Request {
	r.Header.Set("X-HTTP-Method-Override", "PUT")
	return r
}

func spoofed(r *http.Request) *http.Request {
	r.Host, r.URL.Host, r.URL.Scheme = "evil.example", "evil.example", "https" // as of an absolute request line
	r.Header.Set("X-Forwarded-Host", "evil.example")
	return r
}

// P01: a bound token is no bearer token, whatever comes along; without a ProofVerifier it is
// none at all.
func TestP01_Downgrade(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t, unbound)
	w := a.serve(a.request(t, "Bearer", a.token))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, []string{`Bearer error="invalid_token"`, noCredential}, w.Header()["Www-Authenticate"])
	for _, cnf := range []any{members{"x5t#S256": sum("x")}, members{"jkt": a.jkt, "x5t#S256": sum("x")}, members{"jkt": a.jkt, "kid": "x"}, members{}, "", members{"x": "y"}} {
		a.token = a.tokenFor(cnf)
		for _, scheme := range []string{"Bearer", "DPoP"} {
			w := a.serve(a.request(t, scheme, a.token, a.proof(t, nil, nil)))
			require.Equal(t, http.StatusUnauthorized, w.Code, "%s %v", scheme, cnf)
		}
	}
	a.token = a.tokenFor(members{"jkt": a.jkt})
	a.bearer.Proof = nil
	for _, scheme := range []string{"Bearer", "DPoP"} {
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, scheme, a.token, a.proof(t, nil, nil))).Code)
	}
}

// P02: a token that is bound to nothing proves nothing, and is a bearer token where those
// are allowed.
func TestP02_UnboundToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		configure func(*oidc.ProofVerifierConfig, *middleware.DPoP)
		scheme    string
		code      int
	}{
		"as DPoP":          {unbound, "DPoP", http.StatusUnauthorized},
		"as Bearer":        {unbound, "Bearer", http.StatusOK},
		"required":         {func(*oidc.ProofVerifierConfig, *middleware.DPoP) {}, "DPoP", http.StatusUnauthorized},
		"required, Bearer": {func(*oidc.ProofVerifierConfig, *middleware.DPoP) {}, "Bearer", http.StatusUnauthorized},
	} {
		a := newDPoPAPI(t, tt.configure)
		a.token = a.tokenFor(nil)
		require.Equal(t, tt.code, a.serve(a.request(t, tt.scheme, a.token, a.proof(t, nil, nil))).Code, name)
	}
	// Nor where only certificates are looked at.
	a := newDPoPAPI(t)
	a.bearer.Proof = &middleware.MTLS{AllowUnbound: true}
	require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.tokenFor(nil), a.proof(t, nil, nil))).Code)
	require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code)
	require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "Bearer", a.token)).Code)
}

// P05: the client of this module is told the nonce, and gets through.
func TestP05_NonceOfTheServer(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t, func(c *oidc.ProofVerifierConfig, _ *middleware.DPoP) { c.RequireNonce = true })
	w := a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, []string{wantsNonce}, w.Header()["Www-Authenticate"])
	nonce := w.Header().Get("DPoP-Nonce")
	require.NotEmpty(t, nonce)
	w = a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, members{"nonce": nonce})))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, nonce, w.Header().Get("DPoP-Nonce"), "with good answers, too")

	a.provider.Advance(2 * time.Minute)
	w = a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, members{"nonce": nonce})))
	require.Equal(t, []string{wantsNonce}, w.Header()["Www-Authenticate"])
	require.NotEqual(t, nonce, w.Header().Get("DPoP-Nonce"))

	answer, sent := a.client(t, a.token)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, 2, sent, "once without the nonce, once with it")
}

// client sends a request with the client of this module.
func (a *dpopAPI) client(t *testing.T, token string) (answer *http.Response, sent int) {
	t.Helper()
	dpop, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: a.key, Now: a.provider.Now})
	require.NoError(t, err)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: a.provider.Issuer(), Now: a.provider.Now})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, DPoP: dpop})
	require.NoError(t, err)
	transport, err := client.APITransport(oidc.APITransportConfig{
		Source:  oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token, TokenType: "DPoP"}),
		Allowed: []string{publicURL},
		Base: roundTripper(func(r *http.Request) *http.Response {
			sent++
			inner := httptest.NewRequestWithContext(r.Context(), r.Method, "http://10.0.0.7"+r.URL.RequestURI(), http.NoBody)
			inner.Header = r.Header
			return a.serve(inner).Result()
		}),
	})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, publicURL+"/reports/%7Ealice?x=y", http.NoBody)
	require.NoError(t, err)
	answer, err = transport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer, sent
}

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func TestP06_ClientOfThisModuleGetsThrough(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t)
	answer, sent := a.client(t, a.token)
	require.Equal(t, http.StatusOK, answer.StatusCode, a.log.String())
	require.Equal(t, 1, sent)

	// The API is mounted below a path that its handler does not see.
	a.bearer.PublicURL = publicURL + "/v1/"
	w := a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, members{"htu": publicURL + "/v1/reports"})))
	require.Equal(t, http.StatusOK, w.Code, a.log.String())
}

// P03: a full memory is no fault of the client's.
func TestP03_MemoryIsFull(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t, func(c *oidc.ProofVerifierConfig, _ *middleware.DPoP) { c.MaxProofs = 8 })
	require.Equal(t, http.StatusOK, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code)
	w := a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
}

// P16: who has no good token leaves nothing in the memory.
func TestP16_OnlyGoodTokensFillTheMemory(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t, func(c *oidc.ProofVerifierConfig, _ *middleware.DPoP) { c.MaxProofs = 8 })
	good := a.token
	for range 20 {
		a.token = good[:len(good)-86] + strings.Repeat("A", 86)
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code)
	}
	a.token = good
	require.Equal(t, http.StatusOK, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code)
}

// A cached token needs its proof each time.
func TestM14_CachedTokenNeedsItsProof(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t)
	provider, err := oidc.NewProvider(oidc.Config{Issuer: a.provider.Issuer(), Now: a.provider.Now})
	require.NoError(t, err)
	a.bearer.Verifier, err = oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}, Cache: oidc.TokenCacheConfig{MaxTokens: 10}})
	require.NoError(t, err)
	for range 3 {
		proof := a.proof(t, nil, nil)
		require.Equal(t, http.StatusOK, a.serve(a.request(t, "DPoP", a.token, proof)).Code)
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.token, proof)).Code)
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "Bearer", a.token)).Code)
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.token)).Code)
	}
	a.bearer.Proof = nil
	require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "Bearer", a.token)).Code)
}

// M10: what is not configured lets nobody through, and is no fault of the client's.
func TestM10_ProofsThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*middleware.Bearer){
		"no verifier of proofs": func(b *middleware.Bearer) { b.Proof = &middleware.DPoP{} },
		"nil":                   func(b *middleware.Bearer) { b.Proof = (*middleware.DPoP)(nil) },
		"no public URL":         func(b *middleware.Bearer) { b.PublicURL = "" },
		"a bad one":             func(b *middleware.Bearer) { b.PublicURL = "api.example.com" },
		"a verifier that knows of no keys": func(b *middleware.Bearer) {
			b.Verifier = plainVerifier(func(context.Context, string) (*oidc.AccessToken, error) { return &oidc.AccessToken{}, nil })
		},
	} {
		a := newDPoPAPI(t)
		change(a.bearer)
		w := a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil)))
		require.Equal(t, http.StatusInternalServerError, w.Code, name)
	}
	a := newDPoPAPI(t)
	for _, proof := range []middleware.Proofs{nil, {}, {nil}, {a.bearer.Proof, nil}} {
		a.bearer.Proof = proof
		for _, token := range []string{a.token, a.tokenFor(nil)} {
			require.Equal(t, http.StatusInternalServerError, a.serve(a.request(t, "Bearer", token)).Code)
		}
	}
	for _, proof := range []middleware.ProofVerifier{(*middleware.MTLS)(nil), &middleware.MTLS{}} {
		a.bearer.Proof = proof
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "DPoP", a.token, a.proof(t, nil, nil))).Code)
		require.Equal(t, http.StatusUnauthorized, a.serve(a.request(t, "Bearer", a.token)).Code)
	}
}

type plainVerifier func(context.Context, string) (*oidc.AccessToken, error)

func (f plainVerifier) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	return f(ctx, raw)
}

func TestProofs_AnswersAreThoseOfDPoP(t *testing.T) {
	t.Parallel()
	a := newDPoPAPI(t, func(c *oidc.ProofVerifierConfig, _ *middleware.DPoP) { c.RequireNonce = true })
	d, ok := a.bearer.Proof.(*middleware.DPoP)
	require.True(t, ok)
	answer := middleware.Proofs{&middleware.MTLS{}, d}.AnswerProof(nil)
	require.Equal(t, d.AnswerProof(nil), answer)
	require.NotEmpty(t, answer.Nonce)
	require.Equal(t, middleware.ProofAnswer{}, middleware.Proofs{&middleware.MTLS{}}.AnswerProof(nil))
}
