package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
)

// A tenant by path is the same for a page and for the login that ends there, whether or not a
// proxy takes the path of PublicURL away.
func TestF43_Needs35_ChooseSeesThePathThatPagesHave(t *testing.T) {
	t.Parallel()
	for name, below := range map[string]string{"the proxy takes the path away": "", "it does not": "/app"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, serverSide, 0)
			f.add(serverSide, func(c *middleware.LoginConfig) {
				c.PublicURL = fleetURL + "/app"
				c.Providers = []middleware.LoginProvider{{ID: "a", Client: c.Client}, {ID: "b", Client: f.newClient()}}
				c.Client = nil
				c.Choose = func(r *http.Request) string {
					require.True(t, strings.HasSuffix(r.RequestURI, r.URL.RequestURI()), r.RequestURI)
					require.True(t, strings.HasPrefix(r.URL.Path, "/"), r.URL.Path)
					tenant, ok := strings.CutPrefix(r.URL.Path, below+"/t/")
					if !ok {
						return ""
					}
					return tenant[:1]
				}
			})
			v := f.visitor()
			require.Equal(t, http.StatusOK, v.get(0, below+"/login?return_to=%2Fapp%3Fx").Code, "of no tenant")
			for _, tenant := range []string{"a", "b"} {
				page := httptest.NewRequestWithContext(t.Context(), http.MethodGet, fleetURL+below+"/t/"+tenant+"/x?y=z", http.NoBody)
				page.Header.Set("Sec-Fetch-Mode", "navigate")
				_, query, _ := strings.Cut(v.send(0, page).Header().Get("Location"), "/app/login?")
				require.Equal(t, "return_to=%2Fapp%2Ft%2F"+tenant+"%2Fx%3Fy%3Dz", query)
				start := v.get(0, below+"/login?"+query)
				require.Equal(t, http.StatusSeeOther, start.Code, "a choice among tenants")
				require.Equal(t, fleetURL+"/app/callback/"+tenant, queryOf(t, start.Header().Get("Location")).Get("redirect_uri"))
			}
		})
	}
}

// F19: what is in a link never makes a cookie larger than there can be. Some characters take six
// bytes, and short values more than they have.
func TestF19_LinkThatNoCookieHasRoomFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	longest := "/" + strings.Repeat("x", 1000)
	for name, tt := range map[string]struct {
		acr    string
		status int
	}{
		"wide":          {strings.Repeat("<", 512), http.StatusBadRequest},
		"many":          {strings.Repeat("a ", 256), http.StatusBadRequest},
		"one too many":  {strings.Repeat("<", 85), http.StatusBadRequest},
		"the widest":    {strings.Repeat("<", 84), http.StatusSeeOther},
		"the most":      {strings.Repeat("a ", 127), http.StatusSeeOther},
		"the longest":   {strings.Repeat("x", 508), http.StatusSeeOther},
		"one too long":  {strings.Repeat("x", 509), http.StatusBadRequest},
		"wide path too": {strings.Repeat("x", 508), http.StatusSeeOther},
	} {
		returnTo := longest
		if name == "wide path too" {
			returnTo = "/" + strings.Repeat("<", 1000) // is dropped
		}
		res := s.browser(t).get("/login?" + url.Values{"acr_values": {tt.acr}, "return_to": {returnTo}}.Encode())
		require.Equal(t, tt.status, res.StatusCode, name)
	}
}
