package replicas_test

import (
	"testing"
	"time"

	"github.com/oidckit/oidckit/internal/interop"
)

func (s *site) scene() interop.Scene {
	return interop.Scene{App: s.proxy.URL, Issuer: s.op.Issuer, ClientID: s.client.ID, TokenLife: tokenLife.Milliseconds()}
}

// A real browser: it has rules about cookies of its own.
func TestBrowser(t *testing.T) {
	t.Parallel()
	op := startOP(t)
	redis := []string{"-redis", interop.StartRedis(t).Addr}
	play := func(name string, scripts []string, args ...string) {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, op, args...)
			for _, script := range scripts {
				t.Run(script, func(t *testing.T) { interop.Play(t, script, s.scene()) })
			}
		})
	}
	play("server-side", []string{
		"plain", "logoutByLink", "otherSite", "twoTabs", "backButton", "cancelled", "cookiesOff", "backChannel", "parallelFetches",
	}, redis...)
	play("sealed cookies", []string{"plain", "twoTabs", "backChannel", "parallelFetches"}, append(redis, "-sealed-cookies")...)
	play("form_post", []string{"formPostAtOnce"}, append(redis, "-form-post")...)
	t.Run("a session expires", func(t *testing.T) {
		const life = 8 * time.Second
		s := startSite(t, op, append(redis, "-lifetime", life.String())...)
		scene := s.scene()
		scene.SessionLife = life.Milliseconds()
		interop.Play(t, "expired", scene)
	})
}

// The three minutes are real: it is the browser's clock that counts.
func TestFormPostAfterThreeMinutes(t *testing.T) {
	t.Parallel()
	op := startOP(t)
	interop.Play(t, "formPost", startSite(t, op, "-form-post", "-redis", interop.StartRedis(t).Addr).scene())
}
