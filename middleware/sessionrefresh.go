package middleware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/oidc"
)

const (
	// refreshTime bounds a refresh with its wait for the lock, which another process may hold.
	refreshTime = 2*lockHold + 2*storeTimeout
	// patience is how long a request waits for a refresh that it can do without.
	patience = 3 * time.Second
	// shortestRefresh is how often a session is refreshed at most, whatever the provider says of
	// its tokens. refreshPause is for how long nobody tries after a failure, unless the provider
	// asks for more, and longestPause how much of that it gets.
	shortestRefresh = time.Second
	refreshPause    = 5 * time.Second
	longestPause    = time.Minute
	// successorKept is for how long a store has what came of the refresh of a sealed session.
	successorKept = 10 * time.Minute
	// touchMargin is how long before a refresh the last write of the other kind may begin: one
	// that came after it would bring back the tokens of before.
	touchMargin = time.Minute
)

// refreshed is what came of a refresh.
type refreshed struct {
	rec *record // the newest; nil if the session has ended
}

// dueAt is when a session is to be refreshed, zero for never: nobody can be asked without a
// refresh token.
func (s *sessions) dueAt(rec *record) time.Time {
	if !rec.renewable {
		return time.Time{}
	}
	due := rec.checked.Add(s.login.cfg.RevalidateEvery)
	if !rec.tokenDue.IsZero() && rec.tokenDue.Before(due) {
		due = rec.tokenDue
	}
	if last := rec.stale.Add(s.login.cfg.OutageLimit); !rec.stale.IsZero() && last.Before(due) {
		due = last // either there are new ones, or these are dropped
	}
	if soonest := rec.checked.Add(shortestRefresh); due.Before(soonest) {
		return soonest
	}
	return due
}

func (s *sessions) isDue(rec *record) bool {
	due := s.dueAt(rec)
	return !due.IsZero() && !s.login.now().Before(due)
}

// renew refreshes a session if that is due, and returns the newest record of it, nil if it has
// ended. An error says that there was no answer for too long.
func (s *sessions) renew(ctx context.Context, rec *record) (*record, error) {
	for range 2 { // the refresh that one joins may be of a record that is older than one's own
		if !s.isDue(rec) {
			return rec, nil
		}
		if err := s.paused(ctx, rec.id); err != nil {
			return s.goOn(rec, err)
		}
		got, landed, err := s.await(ctx, rec)
		switch {
		case !landed:
			return s.goOn(rec, err)
		case got.rec == nil && err == nil:
			return nil, nil
		case got.rec != nil && got.rec.number >= rec.number:
			rec = got.rec
		}
		if err != nil {
			return s.goOn(rec, err)
		}
	}
	return rec, nil
}

// await joins the refresh of a session, or begins it. Who can go on without waits for a moment.
func (s *sessions) await(ctx context.Context, rec *record) (refreshed, bool, error) {
	f := s.flights.Join(ctx, rec.id, refreshTime, func(ctx context.Context) (refreshed, error) {
		return s.guardedRefresh(ctx, rec)
	})
	if s.mayGoOn(rec) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return f.Wait(ctx)
}

// mayGoOn reports whether the session is good for a while without a refresh.
func (s *sessions) mayGoOn(rec *record) bool {
	return s.login.now().Before(s.dueAt(rec).Add(s.login.cfg.OutageLimit))
}

// goOn is what becomes of a session whose refresh had no answer.
func (s *sessions) goOn(rec *record, err error) (*record, error) {
	if s.mayGoOn(rec) {
		if s.sealed { // in the store, whoever asks the provider writes it down
			rec = s.seenNow(rec)
		}
		return rec, nil
	}
	return nil, &oidckit.UnavailableError{What: "session", Err: err, RetryAfter: pauseAfter(err)}
}

// errPaused: who is asked again at once has no other answer, and more to do.
var errPaused = errors.New("middleware: the refresh of the session failed a moment ago")

func (s *sessions) paused(ctx context.Context, id string) error {
	plain, ok, _ := s.local.find(ctx, s.name("pause", id)) // of this process: it does not fail
	if !ok {
		return nil
	}
	until, _ := binary.Varint(plain)
	wait := instant(until).Sub(s.login.now())
	if wait <= 0 {
		return nil
	}
	return &oidckit.UnavailableError{What: "refresh", Err: errPaused, RetryAfter: wait}
}

func (s *sessions) pause(ctx context.Context, id string, err error) {
	until := s.login.now().Add(pauseAfter(err))
	_ = s.local.commit(ctx, s.name("pause", id), binary.AppendVarint(nil, nanos(until)), until) // as above
}

// pauseAfter is how long to wait after a failure.
func pauseAfter(err error) time.Duration {
	var u *oidckit.UnavailableError
	var re *oidc.ResponseError
	wish := time.Duration(0)
	switch {
	case errors.As(err, &re):
		wish = re.RetryAfter
	case errors.As(err, &u):
		wish = u.RetryAfter
	}
	return min(max(refreshPause, wish), longestPause)
}

// errRefreshPanicked is no outage of the provider, but no fault of the user either.
var errRefreshPanicked = errors.New("middleware: a function of the program has panicked in a refresh: LoginConfig.Logger was told where")

// guardedRefresh does not panic: it calls functions of the program, and runs in a goroutine of
// ours, where a panic would end the process.
func (s *sessions) guardedRefresh(ctx context.Context, rec *record) (got refreshed, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		got, err = refreshed{rec}, errRefreshPanicked
		defer func() { _ = recover() }() // the logger is of the program too
		if logger := s.login.cfg.Logger; logger != nil {
			// What it panicked with may hold a token: only its type is told.
			logger.ErrorContext(ctx, "a function of the program has panicked", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
		}
	}()
	return s.refresh(ctx, rec)
}

// refresh asks the provider, unless somebody else did: one process at a time, and who comes
// second takes what the first one got. A refresh token that is sent twice is taken for a
// thief's, and ends the login (RFC 9700 section 4.14.2): who does not get the lock asks nobody.
func (s *sessions) refresh(ctx context.Context, known *record) (refreshed, error) {
	if s.shared {
		unlock, err := s.lock(ctx, known.id)
		if err != nil {
			s.tell(ctx, known, SessionNotRefreshed, err, 0)
			return refreshed{known}, err
		}
		defer unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, lockHold)
	defer cancel()
	rec, err := s.newest(ctx, known)
	switch {
	case errors.Is(err, errRevoked):
		return refreshed{}, nil
	case err != nil:
		s.tell(ctx, known, SessionNotRefreshed, err, 0)
		return refreshed{known}, err
	case !s.isDue(rec):
		return refreshed{rec}, nil
	}
	return s.ask(ctx, rec)
}

func (s *sessions) lock(ctx context.Context, id string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTime-lockHold)
	release, err := s.kept.lock(ctx, s.name("lock", id))
	if err != nil {
		cancel()
		return nil, err
	}
	return func() { defer cancel(); release() }, nil
}

// newest returns the newest record of a session. The error is errRevoked if it was ended in the
// meantime; any other one means that nobody knows.
func (s *sessions) newest(ctx context.Context, known *record) (*record, error) {
	kept, err := s.find(ctx, known.id)
	switch {
	case err != nil:
		return nil, err
	case kept == nil && !s.sealed:
		return nil, errRevoked
	case kept == nil || kept.number < known.number:
		kept = known
	}
	if !s.shared {
		return kept, nil
	}
	own, err := s.findIn(ctx, s.local, known.id)
	if err != nil || own == nil || own.number <= kept.number {
		return kept, err
	}
	return own, s.keep(ctx, own) // the store did not take it when it came
}

// ask gets new tokens. The caller has the lock.
func (s *sessions) ask(ctx context.Context, rec *record) (refreshed, error) {
	old, ok := rec.readTokens() //nolint:contextcheck // it does no I/O
	if !ok {
		return s.endedBy(ctx, rec, errUnreadable, 0)
	}
	start := s.login.now()
	tokens, err := s.clientOf(rec).Refresh(ctx, old)
	took := s.login.now().Sub(start)
	switch {
	case err != nil && endsSession(err):
		// Somebody may have got there without a lock: one that was lost after its time.
		if newer, err := s.newest(ctx, rec); err == nil && newer.number > rec.number {
			return refreshed{newer}, nil
		}
		return s.endedBy(ctx, rec, err, took)
	case err != nil:
		return s.failed(ctx, rec, old, err, took)
	}
	next := rec.next()
	if err := next.setTokens(tokens, tokens.IDToken != old.IDToken, s.login.now()); err != nil {
		return s.failed(ctx, rec, old, err, took)
	}
	accessErr := s.setAccess(ctx, next, tokens)
	switch {
	case isRefusal(accessErr):
		return s.endedBy(ctx, rec, accessErr, took)
	case accessErr != nil: // nobody could tell: its claims are as old as they were
		next.access = accessClaims(rec.access, old)
	}
	// Before anybody uses them: the refresh token of before is spent.
	if err := s.keepNew(ctx, next); err != nil {
		return s.unkept(ctx, rec, err)
	}
	return s.askUserInfo(ctx, next, tokens, accessErr, took)
}

func (s *sessions) clientOf(rec *record) *oidc.Client { return s.login.provider(rec.provider).client }

// askUserInfo has the claims beside the ID token as new as that. accessErr is why those of the
// access token are not.
func (s *sessions) askUserInfo(ctx context.Context, rec *record, tokens *oidc.Tokens, accessErr error, took time.Duration) (refreshed, error) {
	start, next := s.login.now(), *rec
	err := s.setNewInfo(ctx, &next, tokens)
	took += s.login.now().Sub(start)
	if isRefusal(err) {
		return s.endedBy(ctx, rec, err, took)
	}
	next.age(accessErr, err, s.login.now(), s.login.cfg.OutageLimit)
	if err = errors.Join(accessErr, err); next != *rec {
		kept := s.keepNew(ctx, &next)
		if errors.Is(kept, errRevoked) {
			return refreshed{}, nil
		}
		err = errors.Join(err, kept)
	}
	s.tell(ctx, &next, SessionRefreshed, err, took)
	return refreshed{&next}, nil
}

// setNewInfo asks for the userinfo. Only an outage leaves that of before: whoever can make the
// answer unusable, by a long biography for example, must not keep rights that were taken away.
func (s *sessions) setNewInfo(ctx context.Context, rec *record, tokens *oidc.Tokens) error {
	before := rec.info
	rec.info = ""
	if s.login.cfg.WithoutUserInfo {
		return nil
	}
	info, err := s.clientOf(rec).UserInfo(ctx, tokens)
	switch {
	case errors.Is(err, oidc.ErrNoEndpoint):
		return nil
	case isOutage(err):
		rec.info = before
		return err
	case err != nil:
		return err
	}
	rec.setInfo(info)
	if err = rec.tooBig(); err != nil {
		rec.info = ""
	}
	return err
}

// isOutage reports whether nobody has answered. What has too many bytes, or is no good JSON, is an
// answer.
func isOutage(err error) bool {
	var unreadable *strictjson.Error
	return errors.Is(err, oidckit.ErrUnavailable) && !errors.Is(err, fetch.ErrTooLarge) && !errors.As(err, &unreadable)
}

// isRefusal reports whether an answer is about the user, and no outage.
func isRefusal(err error) bool {
	return errors.Is(err, oidckit.ErrInvalidToken) && !errors.Is(err, oidckit.ErrUnavailable)
}

// endsSession reports whether a refresh was refused, or answered for another login than that of
// the session. All other failures are of the provider or the configuration.
func endsSession(err error) bool {
	var e *oidc.Error
	if !isRefusal(err) || !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case oidc.ReasonRevoked, oidc.ReasonIssuer, oidc.ReasonSubject, oidc.ReasonAudience, oidc.ReasonAuthorizedParty, oidc.ReasonNonce:
		return true
	}
	return e.Claim == "auth_time"
}

// endedBy ends a session for good.
func (s *sessions) endedBy(ctx context.Context, rec *record, why error, took time.Duration) (refreshed, error) {
	if err := s.terminate(ctx, rec); err != nil {
		why = fmt.Errorf("%w (and the store was not told: %w)", why, err)
	}
	s.tell(ctx, rec, SessionEnded, why, took)
	return refreshed{}, nil
}

// failed leaves a session as it is, but for what the provider made of its refresh token.
func (s *sessions) failed(ctx context.Context, rec *record, old *oidc.Tokens, why error, took time.Duration) (refreshed, error) {
	s.pause(ctx, rec.id, why)
	s.tell(ctx, rec, SessionNotRefreshed, why, took)
	next := *rec
	next.seen = s.login.now() // an outage is no reason to idle
	var unusable *oidc.RefreshError
	if errors.As(why, &unusable) && unusable.RefreshToken() != old.OAuth2.RefreshToken {
		old.OAuth2.RefreshToken = unusable.RefreshToken()
		if kept, err := old.MarshalBinary(); err == nil {
			next.tokens = string(kept)
			next.number++
		}
	}
	if err := s.keepNew(ctx, &next); err != nil {
		return s.unkept(ctx, rec, err)
	}
	return refreshed{&next}, why
}

// unkept is the end of a refresh whose outcome the store did not take: because the session was
// ended meanwhile or has grown too big, or because it is down. Then this process tries again.
func (s *sessions) unkept(ctx context.Context, rec *record, err error) (refreshed, error) {
	var tooBig *SessionTooBigError
	switch {
	case errors.Is(err, errRevoked):
		return refreshed{}, nil
	case errors.As(err, &tooBig): // and the refresh token of before is spent
		return s.endedBy(ctx, rec, err, 0)
	}
	s.tell(ctx, rec, SessionNotRefreshed, err, 0)
	return refreshed{rec}, err
}

// keepNew keeps what came of a refresh: first here, for the store may not take it. Then this
// process gives it another try, see newest, and sealed sessions have it in their cookie.
func (s *sessions) keepNew(ctx context.Context, rec *record) error {
	if err := rec.tooBig(); err != nil {
		return err
	}
	ctx, name := context.WithoutCancel(ctx), s.name("session", rec.id)
	if s.shared {
		_ = s.local.commit(ctx, name, rec.encode(), s.login.now().Add(successorKept)) // of this process: it does not fail
	}
	err := s.keep(ctx, rec)
	switch {
	case !s.shared:
		return err
	case err == nil, errors.Is(err, errRevoked):
		_ = s.local.remove(ctx, name)
		return err
	case s.sealed:
		return nil
	}
	return err
}

// keep has a store keep a record. One of a session that was ended meanwhile must not bring it
// back: whoever ends one says so first, and then removes it.
func (s *sessions) keep(ctx context.Context, rec *record) error {
	if err := rec.tooBig(); err != nil {
		return err
	}
	until := s.endOf(rec)
	if s.sealed {
		until = s.login.now().Add(successorKept)
	}
	if err := s.kept.commit(ctx, s.name("session", rec.id), rec.encode(), until); err != nil || s.sealed {
		return err
	}
	_, ended, err := s.revoked.find(ctx, s.name("ended", rec.id))
	if err != nil || !ended {
		return err
	}
	return errors.Join(errRevoked, s.kept.remove(ctx, s.name("session", rec.id)))
}

// touch keeps a session from idling.
func (s *sessions) touch(ctx context.Context, rec *record) *record {
	if due := s.dueAt(rec); !due.IsZero() && !s.login.now().Before(due.Add(-touchMargin)) {
		return rec // the refresh is a touch as well
	}
	next := s.seenNow(rec)
	if next == rec || !s.sealed && s.keep(ctx, next) != nil {
		return rec
	}
	return next
}

// seenNow is the record of a session that there was a request for. It is written down now and
// then, so that a session may end a sixtieth of its idle lifetime early.
func (s *sessions) seenNow(rec *record) *record {
	now := s.login.now()
	if now.Sub(rec.seen) < s.login.cfg.IdleLifetime/60 {
		return rec
	}
	next := *rec
	next.seen = now
	return &next
}

func (s *sessions) tell(ctx context.Context, rec *record, kind LoginStepKind, err error, took time.Duration) {
	s.login.step(ctx, LoginStep{Kind: kind, Flow: rec.flow, Provider: rec.provider, Err: err, Took: took})
}
