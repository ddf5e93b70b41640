package replicas_test

import (
	"net/http"
	"testing"

	"github.com/oidckit/oidckit/internal/interop"
)

func TestKeysAreReplacedWithoutALogout(t *testing.T) {
	t.Parallel()
	op := startOP(t)
	addr := interop.StartRedis(t).Addr
	for name, args := range map[string][]string{
		"server-side": {"-redis", addr}, "sealed cookies": {"-redis", addr, "-sealed-cookies"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSite(t, op, args...)

			// All at once, as where there is an hour for maintenance.
			b := s.logIn("alice")
			for i := range s.replicas {
				s.proxy.SetService(i, false)
				s.replicas[i].Stop()
			}
			s.setKeys(secondKey, firstKey)
			for i := range s.replicas {
				s.start(i)
			}
			s.requireEverywhere(b, http.StatusOK)

			// One after the other: first all must know the new key, then it may seal.
			users := []*interop.Browser{b, s.logIn("bob")}
			for _, keys := range [][]string{{secondKey, firstKey, thirdKey}, {thirdKey, secondKey, firstKey}} {
				s.setKeys(keys...)
				for i := range s.replicas {
					s.restart(i)
					users = append(users, s.logIn("alice"))
					for _, user := range users {
						s.requireEverywhere(user, http.StatusOK)
					}
				}
			}

			// The old ones go when their sessions have ended; this one never needed them.
			last := s.logIn("alice")
			s.setKeys(thirdKey)
			for i := range s.replicas {
				s.restart(i)
				s.requireEverywhere(last, http.StatusOK)
			}
		})
	}
}
