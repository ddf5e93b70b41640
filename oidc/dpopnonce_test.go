package oidc_test

import (
	"crypto/elliptic"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

// nonces returns the nonce of each proof.
func noncesOf(proofs []proof) (all []any) {
	for _, p := range proofs {
		all = append(all, p.claims["nonce"])
	}
	return all
}

// A public client's refresh token is bound to the key (RFC 9449 section 5): the proof
// goes with it, and with the answer the next nonce comes.
func TestP13_NonceOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	op := &demander{t: t, nonce: "first", offer: "first"}
	d := newDPoP(t, ecKey(t, elliptic.P256()))
	c := proving(t, d, hosts{"id.example": op})
	tokens, err := c.Refresh(t.Context(), stored())
	require.NoError(t, err)
	require.Equal(t, "DPoP", tokens.OAuth2.TokenType)
	require.Equal(t, []any{nil, "first"}, noncesOf(op.proofs))
	require.Equal(t, d.Thumbprint(), op.proofs[1].jkt)
	require.Equal(t, op.bodies[0], op.bodies[1])
	require.Contains(t, op.bodies[1], "refresh_token=refresh")

	op.offer = "second" // with an answer that is no error
	tokens, err = c.Refresh(t.Context(), tokens)
	require.NoError(t, err)
	op.nonce, tokens.OAuth2.RefreshToken = "second", "another" // one that is spent is not sent again
	_, err = c.Refresh(t.Context(), tokens)
	require.NoError(t, err)
	require.Equal(t, []any{nil, "first", "first", "second"}, noncesOf(op.proofs))
}

func TestP13_TokenEndpointThatAlwaysWantsAnotherNonce(t *testing.T) {
	t.Parallel()
	op := &demander{t: t, offer: "nonce", never: true}
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": op})
	_, err := c.Refresh(t.Context(), stored())
	var re *oidc.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "use_dpop_nonce", re.Code)
	require.Len(t, op.proofs, 2)
}

// Asked for without one, or with one that is none, there is nothing to send again.
func TestP13_NoNonceNoRetry(t *testing.T) {
	t.Parallel()
	for name, offer := range map[string]string{
		"none": "", "space": "a b", "quote": `a"b`, "backslash": `a\b`, "not ASCII": "ä", "too long": strings.Repeat("a", 1025),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &demander{t: t, offer: offer, never: true}
			h := hosts{"id.example": server, "api.example": server}
			c := proving(t, newDPoP(t, edKey(t)), h)
			_, err := c.Refresh(t.Context(), stored())
			require.Error(t, err)
			require.Len(t, server.proofs, 1)
			resp, err := get(t, apiClient(t, c, h), api)
			require.NoError(t, err)
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			require.Equal(t, []any{nil, nil}, noncesOf(server.proofs), "nor is it kept")
		})
	}
}

// A server that is in trouble says nothing about the proof.
func TestP13_OutageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	n := 0
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("DPoP-Nonce", "nonce")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
	})})
	_, err := c.Refresh(t.Context(), stored())
	requireUnavailable(t, err)
	require.Equal(t, 1, n)
}

// Two nonces in one answer are none.
func TestP13_TwoNoncesAreNone(t *testing.T) {
	t.Parallel()
	n := 0
	c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header()["Dpop-Nonce"] = []string{"a", "b"}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
	})})
	_, err := c.Refresh(t.Context(), stored())
	require.Error(t, err)
	require.Equal(t, 1, n)
}

// F34: asked for with a proof, a Bearer token is a downgrade.
func TestP01_BearerInPlaceOfDPoPIsRefused(t *testing.T) {
	t.Parallel()
	for _, tokenType := range []string{"Bearer", "", "N_A", "DPoP2"} {
		c := proving(t, newDPoP(t, edKey(t)), hosts{"id.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"`+marker+`","token_type":"`+tokenType+`"}`)
		})})
		_, err := c.Refresh(t.Context(), stored())
		requireRefused(t, err, oidc.ReasonMalformed, "")
	}
}

// P13: nonces of the token endpoint stay there, and so do those of each API.
func TestP13_NoncesStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	op, one, two := &demander{t: t, nonce: "op", offer: "op"}, &demander{t: t, nonce: "one", offer: "one"}, &demander{t: t}
	h := hosts{"id.example": op, "api.example": one, "api.example:8443": two}
	c := proving(t, newDPoP(t, edKey(t)), h)
	client := apiClient(t, c, h, func(cfg *oidc.APITransportConfig) { cfg.Allowed = []string{api, api + ":8443"} })
	tokens, err := c.Refresh(t.Context(), stored())
	require.NoError(t, err)
	for range 2 {
		for _, target := range []string{api + "/a", "https://API.example:443/b", api + ":8443/"} {
			resp, err := get(t, client, target)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
	}
	_, err = c.Refresh(t.Context(), tokens)
	require.NoError(t, err)
	require.Equal(t, []any{nil, "op", "op"}, noncesOf(op.proofs))
	require.Equal(t, []any{nil, "one", "one", "one", "one"}, noncesOf(one.proofs), "one origin, however it is written")
	require.Equal(t, []any{nil, nil}, noncesOf(two.proofs))
}

func TestP13_NoncesAreBounded(t *testing.T) {
	t.Parallel()
	server := &demander{t: t, offer: "nonce"}
	h, urls := hosts{}, []string{}
	for i := range 129 {
		host := fmt.Sprintf("api%d.example", i)
		h[host], urls = server, append(urls, "https://"+host)
	}
	c := proving(t, newDPoP(t, edKey(t)), h)
	client := apiClient(t, c, h, func(cfg *oidc.APITransportConfig) { cfg.Allowed = urls })
	for _, target := range urls {
		_, err := get(t, client, target)
		require.NoError(t, err)
	}
	server.proofs, server.nonce = nil, "nonce"
	for _, target := range []string{urls[1], urls[128]} {
		_, err := get(t, client, target)
		require.NoError(t, err)
	}
	require.Equal(t, []any{"nonce", "nonce"}, noncesOf(server.proofs))
	server.proofs = nil
	_, err := get(t, client, urls[0])
	require.NoError(t, err)
	require.Equal(t, []any{nil, "nonce"}, noncesOf(server.proofs), "the oldest was dropped, and is asked for again")
}
