package middleware

import (
	"encoding/base64"
	"net/http"
	"time"
)

// maxCookieLine is how many bytes one Set-Cookie line may have, name and attributes and
// all: browsers drop one of more than 4096, some by the line and some by name and value.
const maxCookieLine = 3800

// cookieName adds the prefix that keeps other hosts and plain http from setting
// the cookie (RFC 6265bis section 4.1.3.2), where https makes it possible.
func (l *Login) cookieName(name string) string {
	name = l.cfg.CookieName + "_" + name
	if l.secure {
		return "__Host-" + name
	}
	return name
}

// cookie returns the value of a cookie. If there are two of one name, one of them
// was planted, and neither counts.
func (l *Login) cookie(r *http.Request, name string) (string, bool) {
	found := r.CookiesNamed(l.cookieName(name))
	if len(found) != 1 {
		return "", false
	}
	return found[0].Value, true
}

// newCookie makes a cookie for the given time; none deletes it.
func (l *Login) newCookie(name, value string, life time.Duration, sameSite http.SameSite) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // G124: on loopback without TLS a Secure cookie would not come back
		Name: l.cookieName(name), Value: value, Path: "/",
		Secure: l.secure || sameSite == http.SameSiteNoneMode, HttpOnly: true, SameSite: sameSite,
		MaxAge: int(life.Seconds()),
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// flowSameSite is that of logins under way: a form that the provider has the browser post is
// another site's, and comes with cookies of SameSite=None alone.
func (l *Login) flowSameSite() http.SameSite { return noneIf(l.cfg.FormPost) }

// sessionSameSite is that of sessions: Lax comes along when the provider sends the browser
// back, and not into a frame of the provider's.
func (l *Login) sessionSameSite() http.SameSite { return noneIf(l.cfg.FrontChannelLogout) }

// dropSameSite is that of what takes the cookie of a session away: in a frame or a form of
// another site browsers take no other Set-Cookie, not even one that deletes (RFC 6265bis
// section 5.7).
func (l *Login) dropSameSite() http.SameSite {
	return noneIf(l.cfg.FormPost || l.cfg.FrontChannelLogout)
}

func noneIf(elsewhere bool) http.SameSite {
	if elsewhere {
		return http.SameSiteNoneMode
	}
	return http.SameSiteLaxMode
}

// strictBase64 has one text for each value.
var strictBase64 = base64.RawURLEncoding.Strict()

// seal makes the value of a cookie.
func (l *Login) seal(name, purpose string, plain []byte) string {
	return strictBase64.EncodeToString(l.keys.Seal(purpose, l.sealContext(name), plain))
}

// open returns what seal was given for the same name and purpose; it overwrites text. stale
// reports that it ought to be sealed again, for its key is not the first one any more.
func (l *Login) open(name, purpose string, text []byte) (plain []byte, stale, ok bool) {
	size, err := strictBase64.Decode(text, text)
	if err != nil {
		return nil, false, false
	}
	plain, stale, err = l.keys.Open(purpose, l.sealContext(name), text[:size])
	return plain, stale, err == nil
}

// sealContext binds a cookie to its name and the host that it is for. One that another cookie
// or another application with the same keys was given is none.
func (l *Login) sealContext(name string) string {
	return l.origin + l.base + " " + l.cookieName(name)
}
