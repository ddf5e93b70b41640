package middleware

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// A Revocation says whose sessions end. Issuer is required, and Subject or SessionID or both.
type Revocation struct {
	Issuer string
	// Subject, alone: all sessions of this user that began so far. The provider's logout
	// tokens tell the time in whole seconds: a login in the same second as a logout is ended
	// by it as well, and a test turns its clock between the two.
	Subject string
	// SessionID is "sid" of ID and logout tokens: the sessions of that login at the provider,
	// also those that have not begun yet. With Subject, it ends those of this user alone, and
	// those of this user that began so far and whose ID token had no "sid".
	SessionID string
}

// Revoke ends sessions, on all processes that share the Store. An error answers errors.Is for
// oidckit.ErrUnavailable if the Store did not take it: sessions may go on elsewhere until it does,
// so that it must be called again.
func (l *Login) Revoke(ctx context.Context, v Revocation) error {
	return l.sessions.revoke(ctx, v, time.Time{})
}

var errRevocation = errors.New("middleware: Revocation needs the Issuer, and Subject or SessionID")

// clockSlack is what the clocks of processes may differ by. A session that began elsewhere a
// moment ago must not outlive a revocation because the clock there is ahead.
const clockSlack = 5 * time.Second

// revoke ends sessions; by Subject alone those whose ID token was issued no later than issued,
// which is by the provider's clock, or that began until now if it is zero.
func (s *sessions) revoke(ctx context.Context, v Revocation, issued time.Time) error {
	m := subjectMark{issued: issued}
	if issued.IsZero() {
		m.began = s.login.now().Add(clockSlack)
	}
	switch {
	case v.Issuer == "" || v.Subject == "" && v.SessionID == "":
		return errRevocation
	case v.SessionID == "":
		return s.note(ctx, s.subjectNote(everySession, v, m))
	case v.Subject == "":
		return s.note(ctx, s.sidNote(v))
	}
	return errors.Join(s.note(ctx, s.sidNote(v)), s.note(ctx, s.subjectNote(withoutSID, v, m)))
}

// A revocation is remembered for as long as there can be a session that it ends: of a login that
// is under way now, at the latest.
func (s *sessions) rememberUntil() time.Time {
	return s.login.now().Add(oidc.FlowLifetime + s.login.cfg.Lifetime)
}

// The kinds of names under which it is noted which sessions of a user end.
const (
	everySession = "subject"
	withoutSID   = "subject without sid"
)

// A subjectMark ends the sessions of a user that began no later, or whose ID token was issued no
// later. The two are of different clocks, and are not compared with each other: a logout is not
// to be missed because the provider's clock is behind.
type subjectMark struct{ began, issued time.Time }

func (m subjectMark) encode() []byte {
	return binary.AppendVarint(binary.AppendVarint(nil, nanos(m.began)), nanos(m.issued))
}

func readSubjectMark(plain []byte) subjectMark {
	in := recordReader{rest: string(plain), ok: true}
	return subjectMark{instant(in.varint()), instant(in.varint())}
}

func (m subjectMark) ends(rec *record) bool {
	return !rec.began.After(m.began) || !rec.issued.After(m.issued)
}

// mergeSubjects has both count.
func mergeSubjects(a, b []byte) []byte {
	m, n := readSubjectMark(a), readSubjectMark(b)
	return subjectMark{lastOfTimes(m.began, n.began), lastOfTimes(m.issued, n.issued)}.encode()
}

func lastOfTimes(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (s *sessions) subjectNote(kind string, v Revocation, m subjectMark) note {
	return note{s.name(kind, v.Issuer, v.Subject), m.encode(), s.rememberUntil(), mergeSubjects}
}

// sidNote keeps the subject that it is limited to, empty for none.
func (s *sessions) sidNote(v Revocation) note {
	return note{s.name("sid", v.Issuer, v.SessionID), []byte(v.Subject), s.rememberUntil(), mergeSIDs}
}

func mergeSIDs(a, b []byte) []byte {
	if string(a) == string(b) {
		return a
	}
	return nil // of more than one is of all: whose session it is, the provider knows best
}

// terminate ends one session, whoever has its cookie. First it says so, see keep.
func (s *sessions) terminate(ctx context.Context, rec *record) error {
	return s.terminateID(ctx, rec.id, rec.ends)
}

// terminateID ends a session that lasts until ends at most.
func (s *sessions) terminateID(ctx context.Context, id string, ends time.Time) error {
	ctx = context.WithoutCancel(ctx) // who hangs up has logged out all the same
	err := s.note(ctx, note{name: s.name("ended", id), plain: endedMark, until: ends})
	if s.shared {
		_ = s.local.remove(ctx, s.name("session", id)) // of this process: it does not fail
	}
	return errors.Join(err, s.kept.remove(ctx, s.name("session", id)))
}

// endedMark says no more than that it is there.
var endedMark = []byte{1}

// A mark is where a note is that a session may be one of.
type mark struct {
	name string
	why  func(plain []byte) error // nil if it is of others
}

// marksOf are those of a session, that of its end first, which is looked for although the store
// has no session then: a write that came late may have brought it back.
func (s *sessions) marksOf(rec *record) []mark {
	bySubject := func(plain []byte) error { return revokedIf(readSubjectMark(plain).ends(rec)) }
	bySID := func(plain []byte) error { return revokedIf(len(plain) == 0 || string(plain) == rec.subject) }
	marks := []mark{
		{s.name("ended", rec.id), func([]byte) error { return errFinished }},
		{s.name(everySession, rec.issuer, rec.subject), bySubject},
	}
	if rec.firstSID == "" {
		marks = append(marks, mark{s.name(withoutSID, rec.issuer, rec.subject), bySubject})
	} else {
		marks = append(marks, mark{s.name("sid", rec.issuer, rec.firstSID), bySID})
	}
	if rec.sid != rec.firstSID {
		marks = append(marks, mark{s.name("sid", rec.issuer, rec.sid), bySID})
	}
	return marks
}

func revokedIf(ends bool) error {
	if ends {
		return errRevoked
	}
	return nil
}

// revocation returns why a session has ended, nil if it has not. An error means that nobody
// knows.
func (s *sessions) revocation(ctx context.Context, rec *record) (why, err error) {
	marks := s.marksOf(rec)
	for _, m := range marks {
		if plain, ok, _ := s.noted.find(ctx, m.name); ok && m.why(plain) != nil { // of this process: it does not fail
			return m.why(plain), nil
		}
	}
	if !s.shared {
		return nil, nil
	}
	return s.sharedRevocation(ctx, marks)
}

// sharedRevocation asks the store.
func (s *sessions) sharedRevocation(ctx context.Context, marks []mark) (why, err error) {
	whys, errs := make([]error, len(marks)), make([]error, len(marks))
	atOnce(len(marks), func(i int) {
		plain, ok, err := s.revoked.find(ctx, marks[i].name)
		if errs[i] = err; ok {
			whys[i] = marks[i].why(plain)
		}
	})
	for _, why := range whys {
		if why != nil {
			// It stays so here while the store is down.
			s.noteHere(ctx, note{name: marks[0].name, plain: endedMark, until: s.rememberUntil()})
			return why, nil
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.settle(ctx)
	return nil, nil
}

// beginAfter has a session begin after the revocations of its user that are known by now: it
// does, whatever the clocks of processes say.
func (s *sessions) beginAfter(ctx context.Context, rec *record) {
	for _, kind := range []string{everySession, withoutSID} {
		for _, from := range []*sharedStore{s.noted, s.revoked} {
			plain, _, _ := from.find(ctx, s.name(kind, rec.issuer, rec.subject)) // an error comes again, in revocation
			if m := readSubjectMark(plain); !rec.began.After(m.began) {
				rec.began = m.began.Add(time.Nanosecond)
			}
		}
	}
}
