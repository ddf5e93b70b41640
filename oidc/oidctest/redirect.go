package oidctest

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// registered tells whether a redirect URI is one of those registered: the same
// string, or the same apart from the port of a loopback address.
func registered(uris []string, uri string) bool {
	if slices.Contains(uris, uri) {
		return true
	}
	portless, ok := withoutLoopbackPort(uri)
	return ok && slices.Contains(uris, portless)
}

// withoutLoopbackPort removes the port. RFC 8252, section 7.3: "The authorization
// server MUST allow any port to be specified at the time of the request for
// loopback IP redirect URIs". It works on the string: two parsers that read a URI
// differently are how a redirect goes astray.
func withoutLoopbackPort(uri string) (string, bool) {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, origin+":")
		if !ok {
			continue
		}
		port, path := rest, ""
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			port, path = rest[:i], rest[i:]
		}
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return origin + path, true
		}
	}
	return "", false
}

// appendQuery adds parameters to a URI that may have some of its own.
func appendQuery(uri string, added url.Values) string {
	if len(added) == 0 {
		return uri
	}
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + added.Encode()
}

// respond sends the browser back to the client with the parameters, the state
// and the issuer (RFC 9207).
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, a *authorization, v url.Values) {
	if a.state != "" {
		v.Set("state", a.state)
	}
	v.Set("iss", p.cfg.Issuer)
	w.Header().Set("Cache-Control", "no-store")
	if a.mode == modeFormPost {
		page(w, http.StatusOK, "form_post.html", formPostPage{
			Action: template.URL(a.redirectURI), //nolint:gosec // registered, and so not a script: see absoluteURI
			Values: v,
		})
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	// RFC 9700, section 4.12: 303, so that the browser does not post the password
	// of the login form to the client.
	http.Redirect(w, r, appendQuery(a.redirectURI, v), http.StatusSeeOther)
}

func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, a *authorization, perr *protocolError) {
	p.respond(w, r, a, url.Values{
		"error":             {perr.code},
		"error_description": {perr.description},
	})
}
