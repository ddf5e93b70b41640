package oidc_test

import (
	"net/http"
	urlpath "path"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

// F29: whatever a provider writes, requests go below the allowed places and nowhere else.
func FuzzDistributedClaimsStayWhereAllowed(f *testing.F) {
	for _, seed := range []string{
		bankEndpoint, "https://bank.example/claims/below/x?y", "https://bank.example/claims/below/../x", "https://a@bank.example/claims", "HTTPS://BANK.EXAMPLE:443/claims",
		"https://bank.example/claims/below/%2e%2e/x", "//bank.example/claims", "https:bank.example/claims", "https://bank.example\\@evil.example/claims",
	} {
		f.Add(seed)
	}
	rig := newSourcesRig(f)
	client := rig.client(f, func(s *oidc.ClaimSource) { s.Endpoints = append(s.Endpoints, "https://bank.example/claims/below/") })
	answer := rig.signed(nil, nil)
	rig.answer = func() *http.Response { return answerJWT(answer) }
	f.Fuzz(func(t *testing.T, endpoint string) {
		rig.requests = nil
		_, err := client.DistributedClaims(t.Context(), set(t, object{"endpoint": endpoint}))
		require.NoError(t, err)
		for _, r := range rig.requests {
			require.Equal(t, "https", r.URL.Scheme)
			require.Equal(t, "bank.example", strings.ToLower(r.URL.Hostname()))
			require.Contains(t, []string{"", "443"}, r.URL.Port())
			require.Equal(t, r.URL.Path, r.URL.EscapedPath())
			resolved := urlpath.Clean(r.URL.Path)
			require.True(t, resolved == "/claims" || resolved == "/claims/below" || strings.HasPrefix(resolved, "/claims/below/"), resolved)
		}
	})
}
