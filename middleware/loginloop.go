package middleware

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"
)

// guardCookie keeps what the guard against loops has seen of a browser.
const guardCookie = "guard"

// A loopGuard knows a login that leads nowhere: the browser comes back from the provider, is
// logged in, and is sent to log in again, because the session does not reach us or is not
// enough. With a provider that remembers the user that is a circle without an end.
type loopGuard struct {
	Finished  []finishedLogin `json:"f,omitempty"` // the latest last
	Restarted time.Time       `json:"r,omitzero"`  // when a callback without a login began one
}

type finishedLogin struct {
	To uint32    `json:"t"` // of the path where it ended
	At time.Time `json:"a"`
}

const (
	// loopWindow is how long a login that finished counts.
	loopWindow = time.Minute
	// maxRounds are the logins that may finish in that time for one path. A round is four
	// redirects or five, and browsers follow twenty.
	maxRounds = 3
	// restartWindow is how long there is no second restart.
	restartWindow = 5 * time.Minute
	// maxFinished bounds the cookie.
	maxFinished = 12
)

// restartParameter of LoginPath says that the callback has sent the browser there.
const restartParameter = "restart"

// tried is its value once the start has set a cookie itself.
const tried = "2"

func (l *Login) guard(r *http.Request) (g loopGuard, ok bool) {
	ok = l.getSmall(r, guardCookie, &g)
	return g, ok
}

func (l *Login) setGuard(w http.ResponseWriter, g loopGuard) {
	if c, err := l.newSmall(guardCookie, g, restartWindow); err == nil { // of bounded size: it fits
		replaceCookie(w, c)
	}
}

func pathHash(target string) uint32 {
	sum := sha256.Sum256([]byte(target))
	return binary.BigEndian.Uint32(sum[:])
}

// noteFinished remembers a login that ended at a path.
func (l *Login) noteFinished(w http.ResponseWriter, r *http.Request, returnTo string) {
	g, _ := l.guard(r)
	g.Restarted = time.Time{}
	g.Finished = append(g.Finished, finishedLogin{pathHash(returnTo), l.now().Truncate(time.Second)})
	g.Finished = g.Finished[max(0, len(g.Finished)-maxFinished):]
	l.setGuard(w, g)
}

// goesRound reports that logins for this path have finished time and again, and nothing came
// of them. Who has a session, and does not ask for more, is in no circle.
func (l *Login) goesRound(r *http.Request, wish loginWish) bool {
	g, _ := l.guard(r)
	rounds := 0
	for _, f := range g.Finished {
		if f.To == pathHash(wish.returnTo) && l.now().Sub(f.At) < loopWindow {
			rounds++
		}
	}
	if rounds < maxRounds {
		return false
	}
	s, err := l.sessions.peek(r)
	return s == nil && err == nil || wish.stepUp
}

// mayRestart reports whether a callback that belongs to no login may begin one: once in a
// while. The browser gets a cookie, by which the start will see whether it keeps cookies.
func (l *Login) mayRestart(w http.ResponseWriter, r *http.Request) bool {
	g, _ := l.guard(r)
	if since := l.now().Sub(g.Restarted); since >= 0 && since < restartWindow {
		return false
	}
	g.Restarted = l.now().Truncate(time.Second)
	l.setGuard(w, g)
	return true
}

// endRestart answers a start that a callback has sent the browser to, if there is something
// better to do than to log in.
func (l *Login) endRestart(w http.ResponseWriter, r *http.Request, wish loginWish) (done bool) {
	g, kept := l.guard(r)
	if !kept {
		l.tryCookie(w, r)
		return true
	}
	// The session did not come with the callback, if that was another site's form.
	if s, err := l.sessions.peek(r); err != nil || s == nil {
		return false
	}
	g.Restarted = time.Time{}
	l.setGuard(w, g)
	seeOther(w, wish.returnTo)
	return true
}

// tryCookie finds out whether the browser keeps a cookie of the kind that logins need: that of
// the callback has not come back, but may have expired, or not have been taken from a form of
// another site.
func (l *Login) tryCookie(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get(restartParameter) == tried {
		l.showCookiesOff(w, r)
		return
	}
	l.setGuard(w, loopGuard{Restarted: l.now().Truncate(time.Second)})
	query.Set(restartParameter, tried)
	seeOther(w, l.startURL(query))
}
