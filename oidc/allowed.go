package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oidckit/oidckit/internal/fetch"
)

// ErrNotAllowed says that a request would have carried an access token to a URL that is not
// among APITransportConfig.Allowed: after a redirect, perhaps. Nothing was sent.
var ErrNotAllowed = errors.New("oidc: APITransportConfig.Allowed does not have the URL")

// A place is an origin, or a path of it with all that is below.
type place struct{ origin, path string }

// allowed parses what an access token may be sent to.
func allowed(urls []string) (places []place, err error) {
	if len(urls) == 0 {
		return nil, errors.New("oidc: APITransportConfig.Allowed is required: the URLs of the API, for the access token goes to no others")
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err == nil {
			err = fetch.CheckURL(text, false)
		}
		if err == nil && (strings.Contains(text, "?") || !isPlain(u.Path)) {
			err = errors.New("query, dot segments, control characters or double encoding in the URL")
		}
		if err != nil {
			return nil, fmt.Errorf("oidc: APITransportConfig.Allowed %q: %w", text, withoutQuote(err))
		}
		places = append(places, place{origin(u), strings.TrimRight(u.EscapedPath(), "/")})
	}
	return places, nil
}

// withoutQuote drops the URL that net/url repeats.
func withoutQuote(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// has reports whether a request stays within the place.
func (p place) has(req *http.Request) bool {
	path := req.URL.EscapedPath()
	switch {
	case p.origin != origin(req.URL):
		return false
	case p.path == "":
		return true
	}
	below, ok := strings.CutPrefix(path, p.path)
	return ok && (below == "" || below[0] == '/') && isPlain(req.URL.Path)
}

// isPlain reports whether there is no other way to read a path, after its percent-encoding,
// by which it would lead elsewhere.
func isPlain(path string) bool {
	return !hasDots(path) && utf8.ValidString(path) && !strings.ContainsFunc(path, unicode.IsControl) && !encodedTwice.MatchString(path)
}

// encodedTwice finds what a server that decodes a path twice would take for something else.
var encodedTwice = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// hasDots reports whether a server could read a path as another one: with segments that
// lead up (RFC 3986 section 5.2.4), also in the spelling of servers that take "\" for "/",
// cut off what follows ";", "?", "#" or a space, or take another character for one of these.
func hasDots(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		name := segment
		if i := strings.IndexFunc(segment, endsName); i >= 0 {
			name = segment[:i]
		}
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

func endsName(r rune) bool { return r >= utf8.RuneSelf || strings.ContainsRune(";?# ", r) }
