package middleware

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Session is a logged-in user. It must not be changed.
type Session struct {
	Tokens *oidc.Tokens
	// UserInfo is nil if the provider has no userinfo endpoint, or Login does not ask it.
	UserInfo *oidc.UserInfo
	Expires  time.Time
}

// Issuer and Subject together identify the user.
func (s *Session) Issuer() string { return s.Tokens.IDToken.Issuer }

// Subject identifies the user within Issuer, and there only.
func (s *Session) Subject() string { return s.Tokens.IDToken.Subject }

// String returns the string that path leads to in the ID token, or in the userinfo
// if the ID token does not have it.
func (s *Session) String(path claims.Path) (string, error) {
	return firstOf(s, func(set claims.Set) (string, error) { return set.String(path) })
}

// Strings returns the strings that path leads to in the ID token, or in the
// userinfo if the ID token does not have them.
func (s *Session) Strings(path claims.Path) ([]string, error) {
	return firstOf(s, func(set claims.Set) ([]string, error) { return set.Strings(path) })
}

func firstOf[T any](s *Session, read func(claims.Set) (T, error)) (T, error) {
	value, err := read(s.Tokens.IDToken.Claims)
	if claims.IsMissing(err) && s.UserInfo != nil {
		return read(s.UserInfo.Claims)
	}
	return value, err
}

// sessionKey leads to the session of the innermost Login, ownKey to that of one.
type (
	sessionKey struct{}
	ownKey     struct{ login *Login }
)

// SessionFrom returns the session of the request that ctx belongs to. There is
// none unless a [Login] stands in front and the user is logged in.
func SessionFrom(ctx context.Context) (s *Session, ok bool) {
	s, _ = ctx.Value(sessionKey{}).(*Session)
	return s, s != nil
}

// sessions are kept in memory under the hash of their identifier, so that a dump
// of the memory is no bunch of keys. Only a finished login adds one.
type sessions struct {
	mu   sync.Mutex
	all  map[[sha256.Size]byte]*Session
	next time.Time // of a look for sessions that have expired
}

// sweepEvery is how often expired sessions are looked for.
const sweepEvery = time.Minute

func (s *sessions) add(session *Session, now time.Time) (id string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	id = base64.RawURLEncoding.EncodeToString(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[[sha256.Size]byte]*Session)
	}
	if !now.Before(s.next) {
		for key, old := range s.all {
			if !now.Before(old.Expires) {
				delete(s.all, key)
			}
		}
		s.next = now.Add(sweepEvery)
	}
	s.all[sha256.Sum256([]byte(id))] = session
	return id
}

func (s *sessions) get(id string, now time.Time) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.all[sha256.Sum256([]byte(id))]
	if !ok || !now.Before(session.Expires) {
		return nil, false
	}
	return session, true
}

func (s *sessions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(id)))
}

func (l *Login) session(r *http.Request) (*Session, bool) {
	id := l.sessionID(r)
	if id == "" {
		return nil, false
	}
	return l.sessions.get(id, l.now())
}

func (l *Login) sessionID(r *http.Request) string {
	value, _ := l.cookie(r, sessionCookie)
	return value
}

// setSession gives the browser a new identifier: one that was there before the
// login may be known to somebody else (session fixation).
func (l *Login) setSession(w http.ResponseWriter, s *Session) {
	l.setCookie(w, sessionCookie, l.sessions.add(s, l.now()), l.lifetime())
}
