package replicas_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

func TestRedisCrashes(t *testing.T) {
	t.Parallel()
	op := startOP(t)
	t.Run("server-side", func(t *testing.T) {
		t.Parallel()
		redis := interop.StartRedis(t)
		s := startSite(t, op, "-redis", redis.Addr)
		b := s.logIn("alice")
		s.requireEverywhere(b, http.StatusOK)

		redis.Kill()
		for range 2 * len(s.replicas) {
			for _, accept := range []string{"application/json", "text/html"} {
				res := s.get(b.Client, "/me", accept)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "never a login: who it is is not known")
				require.NotEmpty(t, res.Header.Get("Retry-After"))
				require.Empty(t, res.Cookies())
			}
		}
		res := s.get(b.Client, "/readyz", "*/*")
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Equal(t, http.StatusOK, s.get(b.Client, "/healthz", "*/*").StatusCode)

		redis.Start()
		s.heals(b)
	})
	t.Run("sealed cookies", func(t *testing.T) {
		t.Parallel()
		redis := interop.StartRedis(t)
		s := startSite(t, op, "-redis", redis.Addr, "-sealed-cookies")
		b := s.logIn("alice")
		s.requireEverywhere(b, http.StatusOK)

		redis.Kill()
		s.requireEverywhere(b, http.StatusOK)
		time.Sleep(tokenLife + time.Second) // a refresh is due, and nobody to keep others from it
		s.requireEverywhere(b, http.StatusOK)

		redis.Start()
		s.heals(b)
		_, refused := s.refreshes()
		require.Zero(t, refused)
	})
}

// heals waits until every replica has found the store again, and its session.
func (s *site) heals(b *interop.Browser) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for range 2 * len(s.replicas) {
			if s.me(b).StatusCode != http.StatusOK || s.get(b.Client, "/readyz", "*/*").StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	}, 30*time.Second, 100*time.Millisecond)
	before, _ := s.refreshes()
	time.Sleep(tokenLife + time.Second)
	require.Equal(s.t, map[int]int{http.StatusOK: 30}, s.together(b, 30))
	after, refused := s.refreshes()
	require.Equal(s.t, 1, after-before)
	require.Zero(s.t, refused)
}
