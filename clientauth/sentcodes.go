package clientauth

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"sync"
	"time"
)

// sentGrants remembers the codes and refresh tokens that were sent last, by their hashes:
// between rememberedGrants of them and twice as many. The second try of x/oauth2 comes
// right after the first.
type sentGrants struct {
	mu          sync.Mutex
	young, aged map[[sha256.Size]byte]sentGrant
}

type sentGrant struct {
	status int       // of the answer, or 0
	until  time.Time // when it may be sent again; zero if never
}

const (
	rememberedGrants = 1024
	// refreshPause is how long a refresh token stays unsent after it failed: longer than
	// x/oauth2 takes for its second try. For ever would be wrong, for the answer may have been
	// an outage in front of the provider.
	refreshPause = 5 * time.Second
)

// add remembers the code of a form, or says that it or the refresh token was sent before
// and what came of that. Requests with neither may be repeated.
func (s *sentGrants) add(form url.Values) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := form.Get("code"); code != "" {
		if sent, ok := s.find(code); ok {
			return repeated("code", "a code is sent once", sent)
		}
		s.put(code, sentGrant{})
	}
	sent, ok := s.find(form.Get("refresh_token"))
	if ok && time.Now().Before(sent.until) {
		return repeated("refresh token", "it is sent again after 5 s at the earliest", sent)
	}
	return nil
}

// answered notes the status of the answer, or 0 if there was none. A refresh token that
// did not lead to tokens may be used up all the same.
func (s *sentGrants) answered(form url.Values, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := form.Get("code"); code != "" {
		s.put(code, sentGrant{status: status})
	}
	if token := form.Get("refresh_token"); token != "" && status/100 != 2 {
		s.put(token, sentGrant{status, time.Now().Add(refreshPause)})
	}
}

func (s *sentGrants) find(grant string) (sentGrant, bool) {
	sum := sha256.Sum256([]byte(grant))
	sent, ok := s.young[sum]
	if !ok {
		sent, ok = s.aged[sum]
	}
	return sent, ok
}

func (s *sentGrants) put(grant string, sent sentGrant) {
	sum := sha256.Sum256([]byte(grant))
	if _, ok := s.young[sum]; !ok && (s.young == nil || len(s.young) >= rememberedGrants) {
		s.young, s.aged = map[[sha256.Size]byte]sentGrant{}, s.young
	}
	s.young[sum] = sent
}

func repeated(what, rule string, sent sentGrant) error {
	answer := "did not arrive"
	if sent.status != 0 {
		answer = fmt.Sprintf("had status %d", sent.status)
	}
	return problem(ReasonRepeated, fmt.Sprintf("the %s was sent before, and the answer %s: %s; set AuthStyle to oauth2.AuthStyleInParams to see the answer itself", what, answer, rule))
}
