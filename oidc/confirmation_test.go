package oidc_test

import (
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// thumbprints of nothing in particular.
var (
	jkt1, jkt2 = thumbprintOf("key 1"), thumbprintOf("key 2")
	x5t1, x5t2 = thumbprintOf("certificate 1"), thumbprintOf("certificate 2")
)

func thumbprintOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return encode(sum[:])
}

// proven is a prover that was shown these keys, and counts how often it is asked.
func proven(c oidc.Confirmation, asked *int) oidc.Prover {
	return func(_ context.Context, token *oidc.AccessToken) (oidc.Confirmation, error) {
		if *asked++; token == nil {
			return oidc.Confirmation{}, errors.New("no token")
		}
		return c, nil
	}
}

// boundVerifiers are all that take bound tokens, and a token with "cnf" for each.
func boundVerifiers(t *testing.T) map[string]func(cnf any) (oidc.BoundVerifier, string) {
	op := newOP(t)
	p := newProvider(t, op)
	sign := func(cnf any) string {
		return op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"cnf": cnf}))
	}
	plain, cache := newVerifier(t, p), newCacheRig(t)
	issuers, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{plain}})
	require.NoError(t, err)
	return map[string]func(cnf any) (oidc.BoundVerifier, string){
		"JWT":     func(cnf any) (oidc.BoundVerifier, string) { return plain, sign(cnf) },
		"issuers": func(cnf any) (oidc.BoundVerifier, string) { return issuers, sign(cnf) },
		"cached": func(cnf any) (oidc.BoundVerifier, string) {
			raw := cache.sign(object{"cnf": cnf})
			var asked int
			_, _ = cache.VerifyBound(t.Context(), raw, proven(oidc.Confirmation{}, &asked))
			return cache, raw
		},
		"opaque": func(cnf any) (oidc.BoundVerifier, string) {
			op, v := opaqueRig(t)
			op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { change(answer, "cnf", cnf) })
			return v, op.AccessToken("alice", api)
		},
		"opaque, cached": func(cnf any) (oidc.BoundVerifier, string) {
			op, v := opaqueRig(t, keeping)
			op.OnAnswer(oidctest.Introspection, func(answer map[string]any) { change(answer, "cnf", cnf) })
			raw := op.AccessToken("alice", api)
			var asked int
			_, _ = v.VerifyBound(t.Context(), raw, proven(oidc.Confirmation{}, &asked))
			return v, raw
		},
	}
}

// P01: every key that a token names must be proved, whichever verifier is asked, and without
// a prover none is.
func TestP01_EveryKeyMustBeProved(t *testing.T) {
	t.Parallel()
	both := oidc.Confirmation{JWKThumbprint: jkt1, CertificateThumbprint: x5t1}
	for name, verifier := range boundVerifiers(t) {
		for _, tt := range []struct {
			cnf    any
			proven oidc.Confirmation
			good   bool
		}{
			{nil, oidc.Confirmation{}, true},
			{nil, both, true},
			{object{"jkt": jkt1}, oidc.Confirmation{JWKThumbprint: jkt1}, true},
			{object{"jkt": jkt1}, both, true},
			{object{"x5t#S256": x5t1}, oidc.Confirmation{CertificateThumbprint: x5t1}, true},
			{object{"jkt": jkt1, "x5t#S256": x5t1}, both, true},
			{object{"jkt": jkt1}, oidc.Confirmation{}, false},
			{object{"jkt": jkt1}, oidc.Confirmation{JWKThumbprint: jkt2}, false},
			{object{"jkt": jkt1}, oidc.Confirmation{CertificateThumbprint: jkt1}, false},
			{object{"x5t#S256": x5t1}, oidc.Confirmation{}, false},
			{object{"x5t#S256": x5t1}, oidc.Confirmation{CertificateThumbprint: x5t2}, false},
			{object{"jkt": jkt1, "x5t#S256": x5t1}, oidc.Confirmation{JWKThumbprint: jkt1}, false},
			{object{"jkt": jkt1, "x5t#S256": x5t1}, oidc.Confirmation{CertificateThumbprint: x5t1}, false},
		} {
			v, raw := verifier(tt.cnf)
			asked := 0
			token, err := v.VerifyBound(t.Context(), raw, proven(tt.proven, &asked))
			require.Equal(t, 1, asked, "%s %v", name, tt)
			if !tt.good {
				require.Nil(t, token)
				requireRefused(t, err, oidc.ReasonBinding, "cnf")
				continue
			}
			require.NoError(t, err, "%s %v", name, tt)
			want := oidc.Confirmation{}
			if cnf, ok := tt.cnf.(object); ok {
				want.JWKThumbprint, _ = cnf["jkt"].(string)
				want.CertificateThumbprint, _ = cnf["x5t#S256"].(string)
			}
			require.Equal(t, want, token.Confirmation)
			require.Equal(t, tt.cnf == nil, token.Confirmation.IsZero())

			token, err = v.VerifyBound(t.Context(), raw, nil)
			require.Equal(t, tt.cnf == nil, err == nil, "%s: nobody proves anything", name)
			require.Equal(t, tt.cnf == nil, token != nil)
		}
	}
}

// P01: what names no key that is known here binds to one that nobody checks.
func TestP01_UnknownConfirmation(t *testing.T) {
	t.Parallel()
	everything := oidc.Confirmation{JWKThumbprint: jkt1, CertificateThumbprint: x5t1}
	for name, verifier := range boundVerifiers(t) {
		for _, cnf := range []any{
			object{}, "", "x", []string{jkt1}, 1, true, object{"jkt": ""}, object{"jkt": null}, object{"jkt": 1}, object{"jkt": jkt1 + "="},
			object{"jkt": jkt1[:42]}, object{"jkt": jkt1 + "A"}, object{"jkt": jkt1[:42] + "\n"}, object{"jkt": "A" + jkt1[:42] + "\r\n"},
			object{"jkt": jkt1[:42] + "-"}, object{"jkt": strings.Repeat("+", 43)}, object{"JKT": jkt1}, object{"jkt": jkt1, "kid": "x"}, object{"jkt": jkt1, "x": jkt1},
			object{"jwk": object{"kty": "EC"}}, object{"x5t": x5t1}, object{"x5t#S256": x5t1, "x5t#s256": x5t1}, object{"jkt": jkt1, "jku": jkt1}, object{"kid": jkt1},
		} {
			v, raw := verifier(cnf)
			var asked int
			token, err := v.VerifyBound(t.Context(), raw, proven(everything, &asked))
			require.Nil(t, token)
			require.Error(t, err, "%s %v", name, cnf)
			if c, ok := cnf.(object); ok && len(c) == 2 && c["x5t#s256"] != nil {
				continue // names in two cases are not JSON to us at all
			}
			requireRefused(t, err, oidc.ReasonBinding, "cnf")
			require.Zero(t, asked, "nothing is to be proved")
		}
	}
}

// What the prover says of a token that is good otherwise is what counts.
func TestP02_ProverRefuses(t *testing.T) {
	t.Parallel()
	refusal := &oidc.Error{Reason: oidc.ReasonProof}
	for name, verifier := range boundVerifiers(t) {
		for _, want := range []error{refusal, &oidckit.UnavailableError{What: "x", Err: errors.New("y")}} {
			v, raw := verifier(object{"jkt": jkt1})
			token, err := v.VerifyBound(t.Context(), raw, func(context.Context, *oidc.AccessToken) (oidc.Confirmation, error) {
				return oidc.Confirmation{JWKThumbprint: jkt1}, want
			})
			require.Nil(t, token, name)
			require.ErrorIs(t, err, want, name)
		}
	}
}

// A token that is no good costs nobody the check of a proof.
func TestP16_ProofOfABadTokenIsNotLookedAt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op))
	for _, claims := range []object{{"aud": "other"}, {"exp": start.Unix() - 100}, {"iss": "https://evil.example"}} {
		raw := op.Sign(object{"typ": "at+jwt"}, with(with(accessClaims(op), object{"cnf": object{"jkt": jkt1}}), claims))
		var asked int
		_, err := v.VerifyBound(t.Context(), raw, proven(oidc.Confirmation{JWKThumbprint: jkt1}, &asked))
		require.ErrorIs(t, err, oidckit.ErrInvalidToken)
		require.Zero(t, asked)
	}
	raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"cnf": object{"jkt": jkt1}}))
	var asked int
	_, err := v.VerifyBound(t.Context(), forgeSignature(raw), proven(oidc.Confirmation{JWKThumbprint: jkt1}, &asked))
	requireRefused(t, err, oidc.ReasonSignature, "")
	require.Zero(t, asked)
}

// Keycloak calls the type of a bound token by its name in the token, too.
func TestP02_TypeOfATokenNamedDPoP(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op), untyped)
	raw := op.Sign(object{"typ": "JWT"}, with(accessClaims(op), object{"typ": "DPoP", "cnf": object{"jkt": jkt1}}))
	var asked int
	_, err := v.VerifyBound(t.Context(), raw, proven(oidc.Confirmation{JWKThumbprint: jkt1}, &asked))
	require.NoError(t, err)
}

// P15: SHA-256 of the certificate as it is, in DER.
func TestP15_CertificateThumbprint(t *testing.T) {
	t.Parallel()
	pair := oidctest.SelfSignedCertificate("client")
	certificate, err := x509.ParseCertificate(pair.Certificate[0])
	require.NoError(t, err)
	sum := sha256.Sum256(pair.Certificate[0])
	require.Equal(t, encode(sum[:]), oidc.CertificateThumbprint(certificate))
}

// The life of a bound token, with the client of this module and the verifiers of it.
func TestP01_ClientAndAPI(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op))
	p := newProver(t, ecKey(t, elliptic.P256()))
	raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"cnf": object{"jkt": p.jkt}}))
	proofs := newProofVerifier(t)
	verify := func(proof string) (*oidc.AccessToken, error) {
		return v.VerifyBound(t.Context(), raw, func(ctx context.Context, token *oidc.AccessToken) (c oidc.Confirmation, err error) {
			r := p.request(proof)
			r.AccessToken, r.JWKThumbprint = raw, token.Confirmation.JWKThumbprint
			c.JWKThumbprint, err = proofs.Verify(ctx, r)
			return c, err
		})
	}
	proof := p.made(nil, object{"ath": thumbprintOf(raw)})
	token, err := verify(proof)
	require.NoError(t, err)
	require.Equal(t, p.jkt, token.Confirmation.JWKThumbprint)
	require.NotContains(t, fmt.Sprintf("%+v", token), marker)
	_, err = verify(proof)
	requireRefused(t, err, oidc.ReasonReplayed, "jti")
	_, err = verify(p.proof())
	requireRefused(t, err, oidc.ReasonProof, "ath")
}
