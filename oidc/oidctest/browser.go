package oidctest

import (
	"net/http"
	"strings"
)

// Browser returns a client that does what a person with a browser does: it asks for HTML, keeps
// cookies, follows redirects, and wherever the provider asks who it is, it logs in as that
// user, as [Provider.Login] does. So the page of an application that needs a login is one Get
// away. For the empty username it does not log in, and ends at the login page.
//
// What is the provider's is served in process, all else by [http.DefaultTransport]. Every call
// returns a new client, without cookies, which the caller may change: CheckRedirect sees each
// redirect but those between the provider's own pages. Requests fail where Login does.
func (p *Provider) Browser(username string) *http.Client {
	jar := NewCookieJar()
	return &http.Client{Jar: jar, Transport: &browser{p, username, jar}}
}

type browser struct {
	p        *Provider
	username string
	jar      http.CookieJar
}

func (b *browser) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Accept") == "" {
		req = req.Clone(req.Context()) // the caller's stays as it is
		req.Header.Set("Accept", "text/html")
	}
	own, ok := b.p.routes[req.URL.Path]
	switch {
	case !ok || req.URL.Scheme+"://"+req.URL.Host != b.p.origin:
		return http.DefaultTransport.RoundTrip(req)
	case own.endpoint == Authorization && req.Method == http.MethodGet && b.username != "":
		return b.logIn(req)
	}
	return inProcess{p: b.p}.RoundTrip(req)
}

// logIn answers a request for the login page with where the login ends.
func (b *browser) logIn(req *http.Request) (*http.Response, error) {
	end, err := b.p.logIn(req.Context(), req.URL.String(), b.username)
	switch {
	case err != nil:
		return nil, err
	case end.values != nil:
		return b.post(req, end)
	}
	rec := newRecorder()
	rec.Header().Set("Location", end.to.String())
	rec.WriteHeader(http.StatusSeeOther)
	return rec.response(req), nil
}

// post sends a form as the page of form_post does, and returns the answer as if it were that to
// req: http.Client cannot be told to post.
func (b *browser) post(req *http.Request, end loginEnd) (*http.Response, error) {
	posted, err := http.NewRequestWithContext(req.Context(), http.MethodPost, end.to.String(), strings.NewReader(end.values.Encode()))
	if err != nil {
		return nil, err
	}
	posted.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	posted.Header.Set("Accept", req.Header.Get("Accept"))
	posted.Header.Set("Origin", b.p.origin)
	for _, c := range b.jar.Cookies(end.to) {
		posted.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(posted)
	if err != nil {
		return nil, err
	}
	b.jar.SetCookies(end.to, resp.Cookies())
	resp.Header.Del("Set-Cookie") // the client would take them for the provider's
	if next, err := resp.Location(); err == nil {
		resp.Header.Set("Location", next.String()) // it may be relative, to where the form went
	}
	return resp, nil
}
