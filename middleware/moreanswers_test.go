package middleware_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// The answers of combinations that TestM07_AnswersAreTheseBytes leaves out.
func TestM07_MoreAnswers(t *testing.T) {
	t.Parallel()
	good := tokenFor(resourceURL)
	good.Claims = claimSet(t, `{"_claim_names":{"groups":"src1"}}`)
	dpop := func(answer middleware.ProofAnswer, err error) middleware.Bearer {
		answer.Scheme, answer.Algorithms = "DPoP", []string{"ES256"}
		return middleware.Bearer{Verifier: fakeVerifier{token: good}, Proof: proofs{err: err, answer: answer}, Realm: "reports", Resource: newResource(t, nil)}
	}
	invalid := &oidc.Error{Reason: oidc.ReasonProof}
	const metadata = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"`
	for name, tt := range map[string]struct {
		bearer        middleware.Bearer
		authorization string
		require       []middleware.Requirement
		status        int
		challenges    []string
	}{
		"RFC 9449 and 9470": {
			dpop(middleware.ProofAnswer{}, nil), "DPoP x", []middleware.Requirement{middleware.RequireACR("gold"), middleware.RequireMaxAge(0)}, 401,
			[]string{`DPoP realm="reports", error="insufficient_user_authentication", acr_values="gold", max_age="0", ` + metadata + `, algs="ES256"`},
		},
		"RFC 9449 and 9470, sent as Bearer": {
			dpop(middleware.ProofAnswer{}, nil), "Bearer x", []middleware.Requirement{middleware.RequireACR("gold")}, 401,
			[]string{`Bearer realm="reports", error="insufficient_user_authentication", acr_values="gold", ` + metadata, `DPoP realm="reports", ` + metadata + `, algs="ES256"`},
		},
		"RFC 9449 and 9728, nonce": {
			dpop(middleware.ProofAnswer{Error: "use_dpop_nonce", Nonce: "n"}, invalid), "DPoP x", nil, 401,
			[]string{`DPoP realm="reports", error="use_dpop_nonce", ` + metadata + `, algs="ES256"`},
		},
		"RFC 9449 and 9728, proof": {
			dpop(middleware.ProofAnswer{Error: "invalid_dpop_proof", Only: true}, invalid), "DPoP x", []middleware.Requirement{middleware.RequireScopes("a")}, 401,
			[]string{`DPoP realm="reports", error="invalid_dpop_proof", scope="a", ` + metadata + `, algs="ES256"`},
		},
		"groups left out": {
			middleware.Bearer{Verifier: fakeVerifier{token: good}}, "Bearer x", []middleware.Requirement{middleware.RequireRole(claims.P("groups"), "a")}, 403,
			[]string{`Bearer error="insufficient_scope"`},
		},
		"user wanted": {
			middleware.Bearer{Verifier: fakeVerifier{token: good}}, "Bearer x", []middleware.Requirement{middleware.RequireUser()}, 403,
			[]string{`Bearer error="insufficient_scope"`},
		},
	} {
		w := httptest.NewRecorder()
		tt.bearer.Handler(reached, tt.require...).ServeHTTP(w, request(t.Context(), tt.authorization))
		require.Equal(t, tt.status, w.Code, name)
		require.Equal(t, tt.challenges, w.Header()["Www-Authenticate"], name)
	}
	// A cookie that another site made the browser send.
	b := middleware.Bearer{Verifier: onlyGood{}, Sources: []middleware.Source{middleware.FromCookie("token")}, Body: middleware.ProblemBody}
	r := placed(t, "POST", map[string][]string{"cookie": {"good"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	b.Handler(reached).ServeHTTP(w, r)
	require.Equal(t, "403 Forbidden\nCache-Control: no-store\nContent-Type: application/problem+json\nWww-Authenticate: Bearer error=\"insufficient_scope\"\nX-Content-Type-Options: nosniff\n\n"+
		`{"type":"about:blank","title":"Forbidden","status":403,"error":"insufficient_scope"}`+"\n", onTheWire(w))
	// The nonce is the error of the body, too.
	n := dpop(middleware.ProofAnswer{Error: "use_dpop_nonce", Nonce: "n"}, invalid)
	n.Body = middleware.ProblemBody
	w = httptest.NewRecorder()
	n.Handler(reached).ServeHTTP(w, request(t.Context(), "DPoP x"))
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	require.Equal(t, "use_dpop_nonce", body["error"])
	require.Equal(t, []string{"n"}, w.Header()["Dpop-Nonce"])
}
