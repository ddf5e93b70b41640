package middleware

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

const (
	// maxAttempts is how many logins one browser has under way, of which the oldest give way: a
	// browser that sends more cookies than a server or proxy takes is locked out.
	maxAttempts = 5
	// maxAttemptBytes is how many bytes their cookies have, names and all. Of the 8 KiB that
	// some proxies take, that leaves some for the session.
	maxAttemptBytes = 6 << 10
	// attemptLife is longer than the flow is good: who comes a bit late is still sent where he
	// wanted to go.
	attemptLife = oidc.FlowLifetime + 5*time.Minute
)

// maxReturnTo is how many bytes of JSON a path may have to be kept with an attempt: a
// cookie of more than 4096 bytes is dropped by browsers, and the login with it.
const maxReturnTo = 1024

// attemptPrefix begins the names of cookies of attempts. What follows is of the state, so that
// two tabs do not disturb each other.
const attemptPrefix = "login_"

// An attempt is a login under way, in a sealed cookie of its own. Once its callback has come,
// Flow is empty, and the rest tells where somebody wanted to go who comes to it again.
type attempt struct {
	Flow     []byte    `json:"f,omitempty"`
	Provider string    `json:"p,omitempty"`
	ReturnTo string    `json:"r"`
	Begun    time.Time `json:"b"`
	// Former ends when the login does: see sessions.create.
	Former formerSession `json:"s,omitempty"`
}

// flowName names a login in logs and cookies. It is no secret, and leads back to none.
func flowName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// flowNameSize is how long every flowName is.
const flowNameSize = 16

// newSmall seals what fits into one cookie.
func (l *Login) newSmall(name string, v any, life time.Duration) (*http.Cookie, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	c := l.newCookie(name, l.seal(name, smallPurpose, plain), life, l.flowSameSite())
	if size := len(c.String()); size > maxCookieLine {
		return nil, fmt.Errorf("middleware: a cookie of a login has %d bytes, and may have %d: the client asks for fewer resources or acr_values, or CookieName is shorter", size, maxCookieLine)
	}
	return c, nil
}

// getSmall reports whether there is one cookie of the name, and one that was sealed here
// under this name.
func (l *Login) getSmall(r *http.Request, name string, into any) bool {
	value, ok := l.cookie(r, name)
	if !ok {
		return false
	}
	return l.openSmall(name, value, into)
}

func (l *Login) openSmall(name, value string, into any) bool {
	plain, _, ok := l.open(name, smallPurpose, []byte(value))
	return ok && json.Unmarshal(plain, into) == nil
}

func (l *Login) dropSmall(w http.ResponseWriter, name string) {
	replaceCookie(w, l.newCookie(name, "", 0, l.flowSameSite()))
}

const smallPurpose = "login"

// keepAttempt gives the browser the cookie of a new login.
func (l *Login) keepAttempt(w http.ResponseWriter, r *http.Request, p *loginProvider, flow *oidc.Flow, returnTo string) error {
	binary, err := flow.MarshalBinary()
	if err != nil {
		return err
	}
	a := attempt{Flow: binary, Provider: p.id, ReturnTo: returnTo, Begun: l.now()}
	if l.cfg.FormPost { // else the session comes with the callback
		a.Former = l.sessions.former(r)
	}
	return l.setAttempt(w, r, attemptPrefix+flowName(flow.State()), a, attemptLife)
}

// setAttempt gives the browser the cookie of an attempt, and makes room for it.
func (l *Login) setAttempt(w http.ResponseWriter, r *http.Request, name string, a attempt, life time.Duration) error {
	c, err := l.newSmall(name, a, life)
	if err != nil {
		return err
	}
	l.limitAttempts(w, r, name, cookieBytes(c))
	replaceCookie(w, c)
	return nil
}

// trimAttempts is limitAttempts where no login begins or ends: tabs that a browser opens
// together do not know of each other's cookies, and leave too many. It costs little where there
// is nothing to do.
func (l *Login) trimAttempts(w http.ResponseWriter, r *http.Request) {
	prefix, found := l.cookieName(attemptPrefix), 0
	for _, line := range r.Header["Cookie"] {
		found += strings.Count(line, prefix)
	}
	if found > 1 {
		l.limitAttempts(w, r, "", 0)
	}
}

// limitAttempts drops the oldest attempts until there is room for the one called own, which has
// size bytes; "" is none.
func (l *Login) limitAttempts(w http.ResponseWriter, r *http.Request, own string, size int) {
	others := slices.DeleteFunc(l.attempts(r), func(a namedAttempt) bool { return a.name == own })
	slices.SortFunc(others, namedAttempt.compare)
	room, dropped := maxAttempts-min(1, size), 0
	for i, a := range slices.Backward(others) {
		size += a.size
		if len(others)-i <= room && size <= maxAttemptBytes {
			continue
		}
		if dropped++; dropped > 4*maxAttempts { // the rest another time
			return
		}
		l.dropSmall(w, a.name)
	}
}

type namedAttempt struct {
	name string
	size int // of the cookie, in bytes
	attempt
}

// compare has what is unreadable first, then those that are over, and of each the oldest. The
// name decides among those that began together: whatever requests come at the same time, all
// drop the same ones.
func (a namedAttempt) compare(b namedAttempt) int {
	return cmp.Or(
		cmp.Compare(min(1, len(a.Flow)), min(1, len(b.Flow))),
		a.Begun.Compare(b.Begun),
		cmp.Compare(a.name, b.name),
	)
}

// cookieBytes is what a cookie adds to a request.
func cookieBytes(c *http.Cookie) int { return len(c.Name) + len("=") + len(c.Value) + len("; ") }

// attempts are those of a browser, readable or not.
func (l *Login) attempts(r *http.Request) []namedAttempt {
	var found []namedAttempt
	prefix, all := l.cookieName(attemptPrefix), l.cookieName("")
	for _, c := range r.Cookies() {
		// Of another Login of this host, whose CookieName goes on as ours does, the size differs.
		if strings.HasPrefix(c.Name, prefix) && len(c.Name) == len(prefix)+flowNameSize {
			a := namedAttempt{name: strings.TrimPrefix(c.Name, all), size: cookieBytes(c)}
			l.openSmall(a.name, c.Value, &a.attempt) // else it is the zero attempt
			found = append(found, a)
		}
	}
	return found
}

// takeAttempt returns the login that a callback belongs to, one that is over if there is none,
// and sees to it that it is not taken twice, whatever comes of it.
func (l *Login) takeAttempt(w http.ResponseWriter, r *http.Request, state string) (a attempt, err error) {
	name := attemptPrefix + flowName(state)
	if !l.getSmall(r, name, &a) {
		return attempt{ReturnTo: l.base + "/"}, nil
	}
	a.ReturnTo = l.returnTo(a.ReturnTo) // checked when it was kept, and again now that it is used
	over := a
	over.Flow, over.Former = nil, ""
	return a, l.setAttempt(w, r, name, over, oidc.FlowLifetime)
}

// flow returns nil if the login is over.
func (a attempt) flow() *oidc.Flow {
	f := new(oidc.Flow)
	if len(a.Flow) == 0 || f.UnmarshalBinary(a.Flow) != nil {
		return nil
	}
	return f
}
