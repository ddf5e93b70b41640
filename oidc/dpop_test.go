package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// remote is a key elsewhere: it can do nothing but what crypto.Signer says.
type remote struct{ crypto.Signer }

// public is the public half alone.
type public struct{ key crypto.PublicKey }

func (p public) Public() crypto.PublicKey { return p.key }

func (public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the HSM is away")
}

func newDPoP(t testing.TB, key crypto.Signer, configure ...func(*oidc.DPoPConfig)) *oidc.DPoP {
	t.Helper()
	cfg := oidc.DPoPConfig{Signer: key, Now: func() time.Time { return start }}
	for _, f := range configure {
		f(&cfg)
	}
	d, err := oidc.NewDPoP(cfg)
	require.NoError(t, err)
	return d
}

// A proof is what a server reads of one.
type proof struct {
	header map[string]json.RawMessage
	claims object
	jkt    string // of the key that signed it
}

var proofAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.RS256, jose.EdDSA}

// readProof checks the one proof of a request with the key that it brings.
func readProof(t testing.TB, h http.Header) (p proof) {
	t.Helper()
	require.Len(t, h.Values("DPoP"), 1)
	compact := h.Get("DPoP")
	jws, err := jose.ParseSignedCompact(compact, proofAlgorithms)
	require.NoError(t, err)
	key := jws.Signatures[0].Protected.JSONWebKey
	require.NotNil(t, key)
	require.True(t, key.Valid() && key.IsPublic())
	payload, err := jws.Verify(key)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(payload, &p.claims))
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(header, &p.header))
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	p.jkt = base64.RawURLEncoding.EncodeToString(thumbprint)
	return p
}

func prove(t testing.TB, d *oidc.DPoP, method, target, token string) proof {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	require.NoError(t, oidc.Prove(d, req, token))
	return readProof(t, req.Header)
}

func TestP08_ProofsOfEachKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key       crypto.Signer
		algorithm string
		want      string
		members   []string
	}{
		"P-256":             {ecKey(t, elliptic.P256()), "", "ES256", []string{"crv", "kty", "x", "y"}},
		"P-384":             {ecKey(t, elliptic.P384()), "", "ES384", []string{"crv", "kty", "x", "y"}},
		"P-521":             {ecKey(t, elliptic.P521()), "", "ES512", []string{"crv", "kty", "x", "y"}},
		"Ed25519":           {edKey(t), "", "EdDSA", []string{"crv", "kty", "x"}},
		"RSA is PS256":      {rsaKey(), "", "PS256", []string{"e", "kty", "n"}},
		"RSA, RS256 named":  {rsaKey(), "RS256", "RS256", []string{"e", "kty", "n"}},
		"P-256 in a KMS":    {remote{ecKey(t, elliptic.P256())}, "", "ES256", []string{"crv", "kty", "x", "y"}},
		"P-256, its own":    {ecKey(t, elliptic.P256()), "ES256", "ES256", []string{"crv", "kty", "x", "y"}},
		"Ed25519 in a KMS":  {remote{edKey(t)}, "", "EdDSA", []string{"crv", "kty", "x"}},
		"RSA in a KMS, PSS": {remote{rsaKey()}, "PS256", "PS256", []string{"e", "kty", "n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDPoP(t, tt.key, func(cfg *oidc.DPoPConfig) { cfg.Algorithm = tt.algorithm })
			p := prove(t, d, http.MethodPost, "https://id.example/token", "")
			require.Len(t, p.header, 3)
			require.JSONEq(t, `"dpop+jwt"`, string(p.header["typ"]))
			require.JSONEq(t, `"`+tt.want+`"`, string(p.header["alg"]))
			var jwk map[string]string
			require.NoError(t, json.Unmarshal(p.header["jwk"], &jwk))
			require.Len(t, jwk, len(tt.members))
			for _, member := range tt.members {
				require.NotEmpty(t, jwk[member], member)
			}
			require.Equal(t, d.Thumbprint(), p.jkt)
		})
	}
}

func TestNewDPoP_RefusesKeysThatDoNotFit(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		cfg   oidc.DPoPConfig
		field string
	}{
		"no key":                   {oidc.DPoPConfig{}, "DPoPConfig.Signer"},
		"RSA of 1024 bits":         {oidc.DPoPConfig{Signer: short}, "DPoPConfig.Signer"},
		"RSA of 1024 bits, named":  {oidc.DPoPConfig{Signer: short, Algorithm: "PS256"}, "DPoPConfig.Algorithm"},
		"P-224":                    {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P224())}, "DPoPConfig.Signer"},
		"a key of no kind":         {oidc.DPoPConfig{Signer: public{"key"}}, "DPoPConfig.Signer"},
		"ES384 with P-256":         {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P256()), Algorithm: "ES384"}, "DPoPConfig.Algorithm"},
		"RS256 with P-256":         {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P256()), Algorithm: "RS256"}, "DPoPConfig.Algorithm"},
		"none":                     {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P256()), Algorithm: "none"}, "DPoPConfig.Algorithm"},
		"HS256 with P-256":         {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P256()), Algorithm: "HS256"}, "DPoPConfig.Algorithm"},
		"HS256 with what fits it":  {oidc.DPoPConfig{Signer: public{make([]byte, 32)}, Algorithm: "HS256"}, "DPoPConfig.Algorithm"},
		"an algorithm in its case": {oidc.DPoPConfig{Signer: ecKey(t, elliptic.P256()), Algorithm: "es256"}, "DPoPConfig.Algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := oidc.NewDPoP(tt.cfg)
			require.ErrorContains(t, err, tt.field)
			require.Nil(t, d)
		})
	}
}

// Section 4.2, and the client list of FAPI 2.0: what is in a proof, and what is not.
func TestP10_ClaimsOfAProof(t *testing.T) {
	t.Parallel()
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	p := prove(t, d, http.MethodPost, "https://id.example/token", "")
	require.Len(t, p.claims, 4)
	require.Equal(t, "POST", p.claims["htm"])
	require.Equal(t, "https://id.example/token", p.claims["htu"])
	require.InDelta(t, start.Unix(), p.claims["iat"], 0)
	require.GreaterOrEqual(t, len(p.claims["jti"].(string)), 22, "128 bits")

	p = prove(t, d, http.MethodGet, "https://api.example/", "token")
	require.Len(t, p.claims, 5, `"ath" with an access token, and only then`)
	hash := sha256.Sum256([]byte("token"))
	require.Equal(t, base64.RawURLEncoding.EncodeToString(hash[:]), p.claims["ath"])
}

func TestP03_EachProofHasItsOwnJTI(t *testing.T) {
	t.Parallel()
	d := newDPoP(t, edKey(t))
	seen := map[any]bool{}
	for range 100 {
		seen[prove(t, d, http.MethodGet, "https://api.example/", "token").claims["jti"]] = true
	}
	require.Len(t, seen, 100)
}

// A proof takes the place of what is there: two headers are refused by servers.
func TestP09_OneProofPerRequest(t *testing.T) {
	t.Parallel()
	d := newDPoP(t, edKey(t))
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
	require.NoError(t, oidc.Prove(d, req, ""))
	first := readProof(t, req.Header)
	require.NoError(t, oidc.Prove(d, req, ""))
	require.NotEqual(t, first.claims["jti"], readProof(t, req.Header).claims["jti"])
}

func TestP06_TargetOfAProof(t *testing.T) {
	t.Parallel()
	d := newDPoP(t, edKey(t))
	for target, want := range map[string]string{
		"https://api.example/a?b=c":                "https://api.example/a",
		"https://api.example/a?":                   "https://api.example/a",
		"https://api.example/a#b":                  "https://api.example/a",
		"https://api.example":                      "https://api.example/",
		"HTTPS://API.Example/Path":                 "https://api.example/Path",
		"https://api.example:443/":                 "https://api.example/",
		"https://api.example:/":                    "https://api.example/",
		"https://api.example:80/":                  "https://api.example:80/",
		"https://api.example:8443/":                "https://api.example:8443/",
		"http://127.0.0.1:80/":                     "http://127.0.0.1/",
		"http://[::1]:443/":                        "http://[::1]:443/",
		"https://[2001:DB8::1]:443/":               "https://[2001:db8::1]/",
		"https://user:" + marker + "@api.example/": "https://api.example/",
		"https://api.example/%7euser/a%2Fb":        "https://api.example/%7euser/a%2Fb",
		"https://api.example/a//b/./c/":            "https://api.example/a//b/./c/",
		"https://api.example/ä/\"'":                "https://api.example/%C3%A4/%22%27",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "", target, nil)
		require.NoError(t, err, target)
		req.Method = "" // which is GET, too
		require.NoError(t, oidc.Prove(d, req, ""))
		p := readProof(t, req.Header)
		require.Equal(t, want, p.claims["htu"], target)
		require.Equal(t, "GET", p.claims["htm"])
	}
}

// The server compares with the name that it was called by.
func TestP06_TargetHasTheHostThatIsSent(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://10.0.0.1/a", nil)
	req.Host = "api.example"
	require.NoError(t, oidc.Prove(newDPoP(t, edKey(t)), req, ""))
	require.Equal(t, "https://api.example/a", readProof(t, req.Header).claims["htu"])
}

// What could not stand in a JSON string, or names no server, gets no proof.
func TestP06_NoProofWithoutTarget(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"opaque":         func(r *http.Request) { r.URL.Opaque = "//api.example/" },
		"no host":        func(r *http.Request) { r.Host, r.URL.Host = "", "" },
		"quote in host":  func(r *http.Request) { r.Host = `a","htm":"GET` },
		"slash in host":  func(r *http.Request) { r.Host = `a\` },
		"host not ASCII": func(r *http.Request) { r.Host = "bücher.example" },
		"quote in htm":   func(r *http.Request) { r.Method = `GET","nonce":"` },
		"relative path":  func(r *http.Request) { r.URL.Path = "a" },
		"star":           func(r *http.Request) { r.URL.Path = "*" },
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
		change(req)
		require.Error(t, oidc.Prove(newDPoP(t, edKey(t)), req, ""), name)
		require.Empty(t, req.Header, name)
	}
}

// RFC 9449 section 6.1 and RFC 7638 section 3.1.
func TestP12_ThumbprintsOfTheRFCs(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": `{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`,
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`,
	} {
		var key jose.JSONWebKey
		require.NoError(t, json.Unmarshal([]byte(text), &key))
		require.Equal(t, want, newDPoP(t, public{key.Key}).Thumbprint())
	}
}

// Coordinates that begin with zeros keep their length.
func TestP12_CoordinatesAreOfFullLength(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	for {
		point, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		if point[1] == 0 || point[33] == 0 {
			break
		}
		key = ecKey(t, elliptic.P256())
	}
	d := newDPoP(t, key)
	p := prove(t, d, http.MethodGet, "https://api.example/", "")
	require.Equal(t, d.Thumbprint(), p.jkt)
	var jwk map[string]string
	require.NoError(t, json.Unmarshal(p.header["jwk"], &jwk))
	require.Len(t, jwk["x"], 43)
	require.Len(t, jwk["y"], 43)
}

// A key that cannot be reached is an outage.
func TestP13_KeyOutOfReach(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
	requireUnavailable(t, oidc.Prove(newDPoP(t, public{&key.PublicKey}), req, ""))
	require.Empty(t, req.Header)
	require.Error(t, oidc.Prove(&oidc.DPoP{}, req, ""), "not made by NewDPoP")
}

func TestJ51_DPoPPrintsItsThumbprintAlone(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	d := newDPoP(t, key)
	type within struct{ d *oidc.DPoP }
	type copied struct{ D oidc.DPoP }
	values := []any{d, *d, within{d}, copied{*d}, oidc.ClientConfig{DPoP: d}}
	var all strings.Builder
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			_, _ = fmt.Fprintf(&all, verb, v)
		}
		if text, err := json.Marshal(v); err == nil {
			all.Write(text)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("d", d), slog.Any("v", *d))
	all.Write(log.Bytes())
	require.Contains(t, log.String(), d.Thumbprint())
	require.Equal(t, "oidc.DPoP("+d.Thumbprint()+")", fmt.Sprintf("%#v", *d))
	scalar, err := key.Bytes()
	require.NoError(t, err)
	for _, hidden := range []string{
		fmt.Sprintf("%x", scalar), new(big.Int).SetBytes(scalar).String(), base64.RawURLEncoding.EncodeToString(scalar), strings.Trim(fmt.Sprint(scalar), "[]"),
	} {
		require.NotContains(t, strings.ToLower(all.String()), strings.ToLower(hidden))
	}
}

// BenchmarkDPoPProof tells what a proof costs beside the bare signature of the same key: the
// goal is 1.2 times as much at most ("x"). The two take turns, so that what else the machine
// does falls on both.
func BenchmarkDPoPProof(b *testing.B) {
	for _, tt := range []struct {
		algorithm string
		key       crypto.Signer
		sign      crypto.SignerOpts
	}{
		{"RS256", rsaKey(), crypto.SHA256},
		{"PS256", rsaKey(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
		{"ES256", ecKey(b, elliptic.P256()), crypto.SHA256},
		{"EdDSA", edKey(b), crypto.Hash(0)},
	} {
		d := newDPoP(b, tt.key, func(cfg *oidc.DPoPConfig) { cfg.Algorithm = tt.algorithm })
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "https://api.example/v1/things?page=2", nil)
		require.NoError(b, oidc.Prove(d, req, "token"))
		signed := req.Header.Get("DPoP")
		signed = signed[:strings.LastIndexByte(signed, '.')]
		b.Run(tt.algorithm, func(b *testing.B) {
			var bare, whole []time.Duration
			for b.Loop() {
				bare = append(bare, timed(b, func() error {
					text := []byte(signed)
					if tt.sign.HashFunc() != 0 {
						sum := sha256.Sum256(text)
						text = sum[:]
					}
					_, err := tt.key.Sign(rand.Reader, text, tt.sign)
					return err
				}))
				whole = append(whole, timed(b, func() error { return oidc.Prove(d, req, "token") }))
			}
			b.ReportMetric(0, "ns/op") // of both together: of no interest
			b.ReportMetric(float64(median(bare)), "bare-ns")
			b.ReportMetric(float64(median(whole)), "proof-ns")
			b.ReportMetric(float64(median(whole))/float64(median(bare)), "x")
		})
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	err := do()
	took := time.Since(began)
	require.NoError(b, err)
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
