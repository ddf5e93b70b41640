package oidc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// An askedVerifier tells which tokens it was asked about, and refuses them all.
type askedVerifier struct{ asked []string }

func (v *askedVerifier) VerifyBound(_ context.Context, raw string, _ oidc.Prover) (*oidc.AccessToken, error) {
	v.asked = append(v.asked, raw)
	return nil, &oidc.Error{Reason: oidc.ReasonRevoked}
}

// The form decides, and nobody gets a second opinion.
func TestJ40_FormOfATokenDecidesWhoJudges(t *testing.T) {
	t.Parallel()
	header := encode([]byte(`{"alg":"ES256"}`))
	for raw, isJWT := range map[string]bool{
		header + ".e30.c2ln":                               true,
		encode([]byte(` {"alg":"none"}`)) + ".e30.c2ln":    true,
		encode([]byte(`{"alg":"a","alg":"b"}`)) + ".e30.x": true, // bad ones are refused as JWTs
		encode([]byte(`{`)) + ".e30.c2ln":                  true,
		"opaque":                                           false,
		"a.b.c":                                            false,
		"2.YotnFZFEjr1zCsicMWpAA.x":                        false,
		encode([]byte(`"text"`)) + ".e30.c2ln":             false,
		encode([]byte(`[]`)) + ".e30.c2ln":                 false,
		header + ".e30":                                    false,
		header + ".e30.":                                   true,
		header + "..c2ln":                                  true,
		"." + header + ".c2ln":                             false,
		header + ".e30.c2ln.":                              true,
		header + ".e30.c2ln.x.y":                           true, // no JWE
		header + ".e30.c2ln..":                             true,
		header + "==.e30.c2ln":                             true,
		encode([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM"}`)) + ".e30.c2ln.x.y": false, // a JWE
		header + ".e30.c2ln=":                 true,
		header + ".e3+.c2ln":                  true,
		header + ".e30.c2ln~":                 true,
		strings.ToUpper(header) + ".e30.c2ln": false,
	} {
		var jwt, opaque askedVerifier
		d, err := oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: &jwt, Opaque: &opaque})
		require.NoError(t, err)
		_, err = d.Verify(t.Context(), raw)
		requireRefused(t, err, oidc.ReasonRevoked, "")
		asked, other := jwt.asked, opaque.asked
		if !isJWT {
			asked, other = other, asked
		}
		require.Equal(t, []string{raw}, asked)
		require.Empty(t, other, raw)
	}
}

// What no token looks like is not sent to anybody.
func TestM02_DispatcherRefusesWhatIsNoToken(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "a b", "a\nb", "ä", strings.Repeat("a", 16<<10+1)} {
		var jwt, opaque askedVerifier
		d, err := oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: &jwt, Opaque: &opaque})
		require.NoError(t, err)
		_, err = d.Verify(t.Context(), raw)
		requireRefused(t, err, oidc.ReasonMalformed, "")
		require.Empty(t, jwt.asked)
		require.Empty(t, opaque.asked)
	}
}

// One provider, both kinds: a JWT that was tampered with makes nobody ask about it, and a
// JWT that the other verifier would take is not given to it.
func TestJ40_JWTAndOpaqueTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	p := newProvider(t, op)
	opaque := newIntrospectionVerifier(t, newClient(t, p, resourceServer))
	d, err := oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: newVerifier(t, p), Opaque: opaque})
	require.NoError(t, err)
	jwt := op.AccessToken("alice", api)
	token, err := verifyAccess(t.Context(), t, d, jwt)
	require.NoError(t, err)
	require.Equal(t, marker+"-alice", token.Subject)
	_, err = verifyAccess(t.Context(), t, d, forgeSignature(jwt))
	requireRefused(t, err, oidc.ReasonSignature, "")
	require.Zero(t, op.Requests(oidctest.Introspection))
	_, err = verifyAccess(t.Context(), t, d, jwt+"=")
	requireRefused(t, err, oidc.ReasonMalformed, "")
	require.Zero(t, op.Requests(oidctest.Introspection))
	_, err = verifyAccess(t.Context(), t, d, "opaque")
	requireRefused(t, err, oidc.ReasonRevoked, "")
	require.Equal(t, 1, op.Requests(oidctest.Introspection))

	// The proof is asked for behind it, too.
	asked := 0
	_, err = d.VerifyBound(t.Context(), op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"cnf": object{"jkt": jkt1}})), proven(oidc.Confirmation{JWKThumbprint: jkt1}, &asked))
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}

func TestJ19_EncryptedTokensAndTheDispatcher(t *testing.T) {
	t.Parallel()
	jwe := strings.Repeat("a.", 4) + "a"
	op := newOP(t)
	p := newProvider(t, op)
	var opaque askedVerifier
	for want, configure := range map[oidc.Reason]func(*oidc.AccessTokenConfig){
		oidc.ReasonRevoked:   func(*oidc.AccessTokenConfig) {},
		oidc.ReasonMalformed: func(c *oidc.AccessTokenConfig) { c.DecryptionKeys = []jwks.DecryptionKey{newRecipient(t).key} },
	} {
		d, err := oidc.NewTokenDispatcher(oidc.TokenDispatcherConfig{JWT: newVerifier(t, p, configure), Opaque: &opaque})
		require.NoError(t, err)
		_, err = d.Verify(t.Context(), jwe)
		requireRefused(t, err, want, "")
	}
}

func TestTokenDispatcher_NeedsBoth(t *testing.T) {
	t.Parallel()
	for _, cfg := range []oidc.TokenDispatcherConfig{{}, {JWT: &askedVerifier{}}, {Opaque: &askedVerifier{}}} {
		_, err := oidc.NewTokenDispatcher(cfg)
		require.ErrorContains(t, err, "TokenDispatcherConfig")
	}
}
