package replicas_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

func TestReplicasShareSessions(t *testing.T) {
	t.Parallel()
	op := startOP(t)
	redis := []string{"-redis", interop.StartRedis(t).Addr}
	postgres := []string{"-postgres", interop.StartPostgres(t, schema)}
	for name, args := range map[string][]string{
		"Redis": redis, "Redis, sealed cookies": append(redis, "-sealed-cookies"),
		"PostgreSQL": postgres, "PostgreSQL, sealed cookies": append(postgres, "-sealed-cookies"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSite(t, op, args...)
			for _, tt := range []struct {
				name string
				test func(*testing.T, *site)
			}{
				{"whoever logged in at one is logged in at all", loggedInEverywhere},
				{"one refresh for all requests at the expiry", oneRefresh},
				{"back-channel logout at one", backChannelLogout},
				{"logout at one", logout},
			} {
				t.Run(tt.name, func(t *testing.T) {
					of := *s
					of.t = t
					tt.test(t, &of)
				})
			}
		})
	}
}

func loggedInEverywhere(t *testing.T, s *site) {
	b := s.logIn("alice")
	s.requireEverywhere(b, http.StatusOK)
	s.requireEverywhere(s.op.NewBrowser(), http.StatusUnauthorized)
	res := s.get(b.Client, "/admin", "text/html")
	require.Equal(t, http.StatusOK, res.StatusCode, "alice is an administrator")
	res = s.get(s.logIn("bob").Client, "/admin", "text/html")
	require.Equal(t, http.StatusForbidden, res.StatusCode, "bob is not")
}

// The provider would end the whole login if a refresh token came twice.
func oneRefresh(t *testing.T, s *site) {
	b := s.logIn("alice")
	const requests = 30
	for round := range 2 {
		before, _ := s.refreshes()
		time.Sleep(tokenLife + time.Second)
		require.Equal(t, map[int]int{http.StatusOK: requests}, s.together(b, requests), "round %d", round)
		after, refused := s.refreshes()
		require.Equal(t, 1, after-before, "round %d", round)
		require.Zero(t, refused)
	}
	s.requireEverywhere(b, http.StatusOK)
}

// The user logs out at the provider, which tells one replica.
func backChannelLogout(t *testing.T, s *site) {
	b, other := s.logIn("alice"), s.logIn("alice")
	stay := s.op.NewBrowser()
	stay.Client.Jar = b.Client.Jar // to be sure that no cookie was taken away
	s.requireEverywhere(b, http.StatusOK)
	page, err := b.Logout(t.Context(), s.op.Issuer+"/session/end")
	require.NoError(t, err)
	require.NoError(t, page.Body.Close())
	s.requireEverywhere(stay, http.StatusUnauthorized)
	s.requireEverywhere(other, http.StatusOK)
}

// Whoever has a copy of the cookies has nothing after a logout.
func logout(t *testing.T, s *site) {
	b := s.logIn("alice")
	thief := s.op.NewBrowser()
	copyCookies(t, thief, b, s.proxy.URL+"/")
	s.requireEverywhere(thief, http.StatusOK)
	copyCookies(t, thief, b, s.proxy.URL+"/")

	end, err := b.Logout(t.Context(), s.proxy.URL+"/logout")
	require.NoError(t, err)
	require.NoError(t, end.Body.Close())
	require.Equal(t, s.proxy.URL+"/", end.Request.URL.String())
	s.requireEverywhere(b, http.StatusUnauthorized)
	s.requireEverywhere(thief, http.StatusUnauthorized)
}
