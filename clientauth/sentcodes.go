package clientauth

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// sentCodes remembers the codes that were sent last, by their hashes: between
// rememberedCodes of them and twice as many. The second try of x/oauth2 comes right
// after the first.
type sentCodes struct {
	mu          sync.Mutex
	young, aged map[[sha256.Size]byte]int // the status of the answer, or 0
}

const rememberedCodes = 1024

// add remembers a code, or says that it was sent before and what came of that. Requests
// without one may be repeated.
func (s *sentCodes) add(code string) (status string, repeated bool) {
	if code == "" {
		return "", false
	}
	sum := sha256.Sum256([]byte(code))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range []map[[sha256.Size]byte]int{s.young, s.aged} {
		if status, ok := seen[sum]; ok {
			return statusText(status), true
		}
	}
	if s.young == nil || len(s.young) >= rememberedCodes {
		s.young, s.aged = map[[sha256.Size]byte]int{}, s.young
	}
	s.young[sum] = 0
	return "", false
}

func (s *sentCodes) answered(code string, status int) {
	sum := sha256.Sum256([]byte(code))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[sum]; ok {
		s.young[sum] = status
	}
}

func statusText(status int) string {
	if status == 0 {
		return " did not arrive"
	}
	return fmt.Sprintf(" had status %d", status)
}
