package middleware

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/flight"
	"github.com/oidckit/oidckit/oidc"
)

// sessions are those of a Login, wherever they are kept: in a store, and then the cookie has
// the id alone, or in the cookie, and then the store has for minutes what came of a refresh,
// for those who come with the cookie of before.
type sessions struct {
	login *Login
	// sealed sessions are in cookies.
	sealed bool
	// shared reports that other processes have them as well.
	shared bool
	// kept has sessions, revoked has who was logged out. They are the Store if there is one.
	kept, revoked *sharedStore
	// local is of this process: sessions that kept would not take, and failures. noted is who was
	// logged out as far as this process knows.
	local, noted *sharedStore
	noting       sync.Mutex // whoever writes to noted
	owed         debts      // what revoked would not take
	flights      flight.Group[string, refreshed]
}

const (
	sessionCookie = "session"
	// Two purposes, so that a cookie of one kind is none of the other.
	sealedSession   = "session"
	sealedSessionID = "session id"

	// Of a process. A revocation is a few hundred bytes, a session some thousands.
	maxRevocations = 1 << 17
	maxKept        = 1 << 12
)

func newSessions(l *Login) *sessions {
	s := &sessions{login: l, sealed: l.cfg.Store == nil || l.cfg.SealedCookies, shared: l.cfg.Store != nil}
	s.local, s.noted = s.inMemory(maxKept), s.inMemory(maxRevocations)
	if s.shared {
		s.kept = newSharedStore(l.cfg.Store, l.keys, l.now)
		s.revoked = s.kept
		return s
	}
	s.kept, s.revoked = s.local, s.noted
	return s
}

func (s *sessions) inMemory(most int) *sharedStore {
	m := NewMemoryStore(most)
	m.Now = s.login.now
	return newSharedStore(m, s.login.keys, s.login.now)
}

// name is what something is kept under: 43 characters, for which each store of scs has room,
// and of this application alone.
func (s *sessions) name(kind string, of ...string) string {
	l := s.login
	h := sha256.New()
	for _, part := range append([]string{kind, l.origin, l.base, l.cfg.CookieName}, of...) {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Why a session is none any more.
var (
	errUnreadable   = errors.New("middleware: the session is of another version of the program")
	errSessionOver  = errors.New("middleware: the session has expired")
	errRevoked      = errors.New("middleware: the session was revoked")
	errFinished     = errors.New("middleware: the session has ended") // and whoever did it has told the log
	errRevokedLogin = fmt.Errorf("%w: %w", oidckit.ErrInvalidCallback, errors.New("middleware: the provider has logged the user out again"))
)

// A formerSession is the session that a browser had when a login began; empty for none. The
// attempt keeps it, for a form that the provider has the browser post comes without the
// session's cookie, which is SameSite=Lax. It is the secret id: it must be sealed.
type formerSession string

// former returns that of a request. It asks no store.
func (s *sessions) former(r *http.Request) formerSession {
	if s.sealed {
		c, _ := s.read(r) // the cookie has all of it
		if c.rec == nil {
			return ""
		}
		return formerSession(c.rec.id)
	}
	id, _, _ := s.login.getSealed(r, sessionCookie, sealedSessionID)
	return formerSession(id)
}

// create begins a session and gives the browser its cookies. A session of before ends: one that
// was there before the login may be known to somebody else (session fixation). flow names the
// login in logs.
func (s *sessions) create(ctx context.Context, w http.ResponseWriter, r *http.Request, p *loginProvider, tokens *oidc.Tokens, info *oidc.UserInfo, before formerSession, flow string) error {
	rec, err := newRecord(p, tokens, info, flow, s.login.now())
	if err != nil {
		return err
	}
	if err := s.setAccess(ctx, rec, tokens); err != nil {
		return err
	}
	s.beginAfter(ctx, rec)
	rec.ends = rec.began.Add(s.login.cfg.Lifetime)
	// The provider may have logged the user out before the login got here (Back-Channel Logout
	// 1.0 section 2.7).
	switch why, err := s.revocation(ctx, rec); {
	case why != nil:
		return errRevokedLogin
	case err != nil && !s.sealed:
		return err
	}
	for _, id := range slices.Compact([]formerSession{s.former(r), before}) {
		s.endFormer(ctx, id, rec)
	}
	if !s.sealed {
		if err := s.keep(ctx, rec); err != nil {
			return err
		}
	}
	return s.setCookie(w, r, rec)
}

// endFormer ends a session that rec takes the place of, whoever's it was. The log is told of one
// that may go on elsewhere until the store is back.
func (s *sessions) endFormer(ctx context.Context, former formerSession, rec *record) {
	if former == "" {
		return
	}
	if err := s.terminateID(ctx, string(former), s.login.now().Add(s.login.cfg.Lifetime)); err != nil {
		s.tell(ctx, rec, LoggedOut, err, 0)
	}
}

// load returns the session of a request, nil for nobody. It refreshes it if that is due, and
// keeps it from idling. An error means that it is not known who it is.
func (s *sessions) load(w http.ResponseWriter, r *http.Request) (*Session, error) {
	l, ctx := s.login, r.Context()
	c, err := s.look(r)
	if err != nil || c.rec == nil {
		return nil, err
	}
	if c.over != nil {
		s.dismiss(w, r, c)
		return nil, nil //nolint:nilerr // why it is none any more is no error of the request
	}
	if !l.chosen(r, c.rec) {
		return nil, nil
	}
	rec, err := s.renew(ctx, c.rec)
	if err != nil {
		return nil, err
	}
	if rec == nil { // the provider says so; whoever asked it has told the log
		l.dropSealed(w, r, sessionCookie)
		return nil, nil
	}
	rec = s.touch(ctx, rec)
	s.bringUpToDate(w, r, c, rec)
	return l.newSession(rec), nil
}

// peek is load that leaves everything as it is.
func (s *sessions) peek(r *http.Request) (*Session, error) {
	c, err := s.look(r)
	if err != nil || c.rec == nil || c.over != nil || !s.login.chosen(r, c.rec) {
		return nil, err
	}
	return s.login.newSession(c.rec), nil
}

// end ends the session of a request here, on all processes, and takes its cookies from the
// browser, whatever goes wrong. It returns the session that was, nil if there was none.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) (*Session, error) {
	c, err := s.look(r)
	s.login.dropSealed(w, r, sessionCookie)
	switch id := s.former(r); {
	case c.over != nil:
		return nil, nil //nolint:nilerr // as in load
	case c.rec != nil:
		return s.login.newSession(c.rec), errors.Join(err, s.terminate(r.Context(), c.rec))
	case err != nil && id != "": // whose it is, if it is there, can be found out by nobody
		return nil, errors.Join(err, s.terminateID(r.Context(), string(id), s.login.now().Add(s.login.cfg.Lifetime)))
	}
	return nil, err
}

// A carried session is what a request came with.
type carried struct {
	rec   *record // nil for nobody
	stale bool    // sealed by a key that is to go
	over  error   // why it is none any more
}

// look finds the session of a request, and judges it by what is known here. With an error the
// record is there all the same if it is known which it was.
func (s *sessions) look(r *http.Request) (c carried, err error) {
	if c, err = s.read(r); err != nil || c.rec == nil || c.over != nil {
		return c, err
	}
	if !s.login.now().Before(s.endOf(c.rec)) {
		c.over = errSessionOver
		return c, nil
	}
	c.over, err = s.revocation(r.Context(), c.rec)
	if s.sealed || c.over != nil { // whoever has a sealed session stays logged in while the store is down
		err = nil
	}
	return c, err
}

func (s *sessions) read(r *http.Request) (c carried, err error) {
	purpose := sealedSessionID
	if s.sealed {
		purpose = sealedSession
	}
	plain, stale, ok := s.login.getSealed(r, sessionCookie, purpose)
	if !ok {
		return carried{}, nil
	}
	if !s.sealed {
		rec, err := s.find(r.Context(), string(plain))
		return carried{rec: rec, stale: stale}, err
	}
	rec, ok := decodeRecord(plain)
	if !ok {
		return carried{rec: &record{}, over: errUnreadable}, nil
	}
	return carried{rec: rec, stale: stale}, nil
}

// find returns what is kept of a session, nil if there is nothing.
func (s *sessions) find(ctx context.Context, id string) (*record, error) {
	return s.findIn(ctx, s.kept, id)
}

func (s *sessions) findIn(ctx context.Context, store *sharedStore, id string) (*record, error) {
	plain, ok, err := store.find(ctx, s.name("session", id))
	if err != nil || !ok {
		return nil, err
	}
	rec, ok := decodeRecord(plain)
	if !ok || rec.id != id {
		return nil, nil
	}
	return rec, nil
}

// setCookie gives the browser what it comes back with: the session, or its id.
func (s *sessions) setCookie(w http.ResponseWriter, r *http.Request, rec *record) error {
	l := s.login
	purpose, plain := sealedSessionID, []byte(rec.id)
	if s.sealed {
		purpose, plain = sealedSession, rec.encode()
	}
	return l.setSealed(w, r, sessionCookie, purpose, plain, s.lastOf(rec).Sub(l.now()), l.sessionSameSite())
}

// bringUpToDate gives the browser a cookie for the one it came with, if that is not the same any
// more: after a refresh, for a while after requests, and after a change of keys.
func (s *sessions) bringUpToDate(w http.ResponseWriter, r *http.Request, c carried, rec *record) {
	if !c.stale && (!s.sealed || rec == c.rec) {
		return
	}
	if err := s.setCookie(w, r, rec); err != nil {
		s.tell(r.Context(), rec, SessionNotRefreshed, err, 0)
	}
}

// dismiss takes the cookies of a session that is none any more.
func (s *sessions) dismiss(w http.ResponseWriter, r *http.Request, c carried) {
	s.login.dropSealed(w, r, sessionCookie)
	if !s.sealed {
		_ = s.kept.remove(r.Context(), s.name("session", c.rec.id)) // else it expires
	}
	if c.over != errSessionOver && c.over != errFinished { //nolint:errorlint // they are ours, and nobody wraps them
		s.tell(r.Context(), c.rec, SessionEnded, c.over, 0)
	}
}

// endOf is when a session ends if nobody asks for it any more.
func (s *sessions) endOf(rec *record) time.Time {
	return firstOfTimes(s.lastOf(rec), rec.seen.Add(s.login.cfg.IdleLifetime))
}

// lastOf is when a session ends whatever happens.
func (s *sessions) lastOf(rec *record) time.Time {
	return firstOfTimes(rec.ends, rec.began.Add(s.login.cfg.Lifetime))
}

func firstOfTimes(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// chosen reports whether a session counts for this request: one of another tenant does not. Nor
// does one of a provider that is not in this configuration, and it is left alone: while a new
// version of the program is rolled out, other processes may have it.
func (l *Login) chosen(r *http.Request, rec *record) bool {
	p := l.provider(rec.provider)
	if p == nil || p.client.ClientID() != rec.client || !p.client.Provider().TrustsIssuer(rec.issuer) {
		return false
	}
	if l.cfg.Choose == nil {
		return true
	}
	id := l.cfg.Choose(r)
	return id == "" || id == rec.provider
}
