package oidctest

import (
	"sync"
	"time"
)

// replays remembers what may be used once, for as long as it could be used.
type replays struct {
	mu    sync.Mutex
	seen  map[string]time.Time
	swept time.Time
}

// first tells whether key is new. It is remembered until then.
func (s *replays) first(key string, until, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if t, ok := s.seen[key]; ok && !now.After(t) {
		return false
	}
	if s.seen == nil {
		s.seen = map[string]time.Time{}
	}
	s.seen[key] = until
	return true
}

func (s *replays) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for k, until := range s.seen {
		if now.After(until) {
			delete(s.seen, k)
		}
	}
}
