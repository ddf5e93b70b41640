package oidctest

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
)

// NewCookieJar returns a jar that keeps Secure cookies of this machine also without https, as
// browsers do: a login with form_post has such. That of net/http does so from Go 1.26 on.
func NewCookieJar() http.CookieJar {
	jar, err := cookiejar.New(nil)
	if err != nil { // unreachable: it has no other answer
		panic(err)
	}
	return browserJar{jar}
}

type browserJar struct{ kept http.CookieJar }

func (j browserJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.kept.SetCookies(trustworthy(u), cookies)
}

func (j browserJar) Cookies(u *url.URL) []*http.Cookie { return j.kept.Cookies(trustworthy(u)) }

// trustworthy has https in place of http for loopback.
func trustworthy(u *url.URL) *url.URL {
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && !ip.IsLoopback() {
		return u
	}
	secure := *u
	secure.Scheme = "https"
	return &secure
}
