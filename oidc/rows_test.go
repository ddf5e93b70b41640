package oidc_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// The twin (r, n-s) of an ECDSA signature is good too. It is another token for the
// cache, and "jti" is what tells that it is the same one.
func TestJ08_TwinOfASignature(t *testing.T) {
	r := newCacheRig(t, func(*oidc.AccessTokenConfig) {})
	raw := r.sign(nil)
	first := r.miss(t, raw)
	dot := strings.LastIndexByte(raw, '.')
	sig, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
	require.NoError(t, err)
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sig[32:]))
	s.FillBytes(sig[32:])
	twin := raw[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
	require.NotEqual(t, raw, twin)
	second := r.miss(t, twin)
	require.NotSame(t, first, second)
	require.Equal(t, first.Claims, second.Claims)
}

func TestJ11_TokenBringsItsKey(t *testing.T) {
	op := newOP(t)
	run(t, attack{name: "jwk", header: object{"jwk": jwkOf(t, op)}, reason: oidc.ReasonMalformed})
}

func jwkOf(t *testing.T, op *oidctest.Provider) (key object) {
	t.Helper()
	resp, err := op.HTTPClient().Get(issuer + "/jwks")
	require.NoError(t, err)
	defer resp.Body.Close()
	var set struct{ Keys []object }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&set))
	require.NotEmpty(t, set.Keys)
	return set.Keys[0]
}

// Where a header says that keys are is never looked at, and does no harm: Entra ID and
// ADFS send such headers with good tokens.
func TestJ12_PlacesInHeadersAreNotVisited(t *testing.T) {
	var visits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer server.Close()
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op, func(c *oidc.Config) {
		next := c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "id.example" {
				visits.Add(1)
			}
			return next.RoundTrip(r)
		})}
	}))
	_, err := v.Verify(t.Context(), op.Sign(object{
		"typ": "at+jwt", "jku": server.URL + "/jwks", "x5u": server.URL + "/cert", "x5t": "x", "x5c": []string{"AAAA"},
	}, accessClaims(op)))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), op.Sign(object{"typ": "at+jwt", "kid": "unknown", "jku": server.URL}, accessClaims(op)))
	requireRefused(t, err, oidc.ReasonKey, "")
	require.Zero(t, visits.Load())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A kid is the name of a key and nothing else.
func TestJ13_KeyIDs(t *testing.T) {
	for _, kid := range []string{"../../dev/null", "'; DROP TABLE keys", "https://evil.example/jwks", "k\u00efd", strings.Repeat("k", 256)} {
		run(t, attack{name: "another", header: object{"kid": kid}, reason: oidc.ReasonKey})
	}
	for name, kid := range map[string]any{
		"NUL": "a\x00", "line": "a\nb", "long": strings.Repeat("k", 257), "100 KB": strings.Repeat("k", 100<<10), "number": 1, "list": []string{"a"},
	} {
		run(t, attack{name: name, header: object{"kid": kid}, paths: anyAccess, reason: oidc.ReasonMalformed})
	}
}

func TestJ15_CriticalExtensions(t *testing.T) {
	for name, crit := range map[string]any{"unknown": []string{"x"}, "empty": []string{}, "registered": []string{"alg"}, "b64": []string{"b64"}, "text": "exp"} {
		run(t, attack{name: name, header: object{"crit": crit, "x": 1}, reason: oidc.ReasonMalformed})
	}
}

func TestJ17_CompressedToken(t *testing.T) {
	run(t, attack{name: "zip", header: object{"zip": "DEF"}, reason: oidc.ReasonMalformed})
}

// Names are compared byte by byte: no case, no accents, no spelling is forgiven.
func TestJ27_NamesAreBytes(t *testing.T) {
	op := newOP(t)
	const name = "https://api.example/caf\u00e9-stra\u00dfe"
	v := newVerifier(t, newProvider(t, op), audience(name))
	token, err := v.Verify(t.Context(), signAccess(op, object{"aud": name, "sub": "Ad\u00e9le"}))
	require.NoError(t, err)
	require.Equal(t, "Ad\u00e9le", token.Subject)
	for _, other := range []string{
		"https://api.example/cafe\u0301-stra\u00dfe", "https://api.example/caf\u00e9-strasse", "https://api.example/CAF\u00c9-STRASSE", "https://API.example/caf\u00e9-stra\u00dfe", name + "/",
	} {
		_, err := v.Verify(t.Context(), signAccess(op, object{"aud": other}))
		requireRefused(t, err, oidc.ReasonAudience, "aud")
	}
	_, err = v.Verify(t.Context(), signAccess(op, object{"aud": name, "iss": "https://ID.example"}))
	requireRefused(t, err, oidc.ReasonIssuer, "iss")
}

func TestJ30_NotBeforeOverflows(t *testing.T) {
	for name, nbf := range map[string]any{
		"int64": json.Number("9223372036854775807"), "more": json.Number("18446744073709551616"), "1e300": json.Number("1e300"), "year 10000": int64(253402300800),
	} {
		run(t, attack{name: name, claims: object{"nbf": nbf}, reason: oidc.ReasonClaim, claim: "nbf"})
	}
	run(t, attack{name: "year 9999", claims: object{"nbf": int64(253402300799)}, reason: oidc.ReasonNotYetValid, claim: "nbf"})
}

func TestJ46_MoreThanOneDocument(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"two":  func(s string) string { return s + s },
		"text": func(s string) string { return s + "x" },
		"NUL":  func(s string) string { return s + "\x00" },
		"BOM":  func(s string) string { return "\ufeff" + s },
	} {
		run(t, attack{name: name, reason: oidc.ReasonMalformed, forge: func(op *oidctest.Provider, header, claims object) string {
			payload, _ := json.Marshal(claims)
			return op.SignBytes(header, []byte(change(string(payload))))
		}})
	}
}

// An error comes without a result, from every verifier.
func TestJ49_ErrorsComeAlone(t *testing.T) {
	op := newOP(t)
	p := newProvider(t, op)
	access, ids, logouts := newVerifier(t, p), newIDVerifier(t, p), newLogoutVerifier(t, p)
	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{access}})
	late := object{"exp": 1, "iat": 0}
	for _, raw := range []string{"", "a.b.c", signAccess(op, late), op.Sign(nil, with(idClaims(op), late)), op.Sign(nil, with(logoutClaims(op), late)), op.Sign(object{"kid": "x"}, accessClaims(op))} {
		a, err := access.Verify(t.Context(), raw)
		require.Error(t, err)
		require.Nil(t, a)
		b, err := i.Verify(t.Context(), raw)
		require.Error(t, err)
		require.Nil(t, b)
		c, err := ids.Verify(t.Context(), raw, "")
		require.Error(t, err)
		require.Nil(t, c)
		d, err := logouts.Verify(t.Context(), raw)
		require.Error(t, err)
		require.Nil(t, d)
	}
}

// Times that overflow somewhere are no times, and the last second that is one is.
func TestG05_TimesDoNotOverflow(t *testing.T) {
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op))
	for _, exp := range []any{json.Number("1e18"), json.Number("9223372036854775808"), int64(253402300800), json.Number("-1")} {
		_, err := v.Verify(t.Context(), signAccess(op, object{"exp": exp}))
		requireRefused(t, err, oidc.ReasonClaim, "exp")
	}
	token, err := v.Verify(t.Context(), signAccess(op, object{"exp": int64(253402300799)}))
	require.NoError(t, err)
	require.Equal(t, 9999, token.Expiry.UTC().Year())
}

// Each reason answers for the sentinel, however it is wrapped.
func TestG07_ReasonsAnswerForTheSentinel(t *testing.T) {
	for _, reason := range []oidc.Reason{
		oidc.ReasonMalformed, oidc.ReasonAlgorithm, oidc.ReasonType, oidc.ReasonIssuer, oidc.ReasonAudience, oidc.ReasonAuthorizedParty,
		oidc.ReasonSubject, oidc.ReasonExpired, oidc.ReasonNotYetValid, oidc.ReasonTooOld, oidc.ReasonEncryption, oidc.ReasonClaim,
		oidc.ReasonBinding, oidc.ReasonNonce, oidc.ReasonAccessTokenHash, oidc.ReasonKey, oidc.ReasonSignature, oidc.ReasonRevoked,
	} {
		err := errors.Join(errors.New("x"), fmt.Errorf("y: %w", &oidc.Error{Reason: reason, Err: errors.New("z")}))
		require.ErrorIs(t, err, oidckit.ErrInvalidToken)
		require.NotErrorIs(t, err, oidckit.ErrUnavailable)
		var e *oidc.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, reason, e.Reason)
	}
}

// Addresses are refused for whatever the provider's metadata name: the document, the
// keys, and what is called with secrets.
func TestD03_PublicOnlyHoldsEverywhere(t *testing.T) {
	m := discovery.Metadata{Issuer: issuer, JWKSURI: "https://127.0.0.1/jwks", TokenEndpoint: "https://127.0.0.1/token", UserInfoEndpoint: "https://127.0.0.1/userinfo"}
	for _, cfg := range []oidc.Config{
		{Issuer: "https://op.example", DiscoveryURL: "https://192.168.0.1/x", PublicOnly: true},
		{Issuer: "https://op.example", Override: discovery.Metadata{JWKSURI: m.JWKSURI}, PublicOnly: true},
	} {
		_, err := oidc.NewProvider(cfg)
		require.ErrorIs(t, err, fetch.ErrNotPublic)
	}
	// Static metadata are the operator's own; the dialler holds all the same.
	p, err := oidc.NewProvider(oidc.Config{Metadata: &m, PublicOnly: true})
	require.NoError(t, err)
	require.ErrorIs(t, p.Ready(t.Context()), fetch.ErrNotPublic)
	client, err := oidc.NewClient(p, clientConfig())
	require.NoError(t, err)
	_, err = client.Refresh(t.Context(), &oidc.Tokens{OAuth2: &oauth2.Token{RefreshToken: "r"}})
	require.ErrorIs(t, err, fetch.ErrNotPublic)
}

// The operator hears of metadata that cannot be renewed while the old ones serve.
func TestD08_LoggerReachesTheMetadata(t *testing.T) {
	op := newOP(t)
	now := start
	var log bytes.Buffer
	p := newProvider(t, op, func(c *oidc.Config) {
		c.Now = func() time.Time { return now }
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	_, err := p.Metadata(t.Context())
	require.NoError(t, err)
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: http.StatusInternalServerError, Body: marker})
	now = now.Add(30 * time.Hour)
	_, err = p.Metadata(t.Context())
	require.NoError(t, err)
	require.Contains(t, log.String(), issuer)
	require.NotContains(t, log.String(), marker)
}
