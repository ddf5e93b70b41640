package middleware

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// returnTo is where a login ends: a path of this application as browsers see it, and none of
// the login's own, which would start over or log out again. A path that is not below that of
// PublicURL is taken for one that a proxy has cut off there.
func (l *Login) returnTo(target string) string {
	home := l.base + "/"
	target = localPath(target)
	u, err := url.Parse(target)
	if err != nil {
		return home
	}
	if u.Path != l.base && !strings.HasPrefix(u.Path, home) {
		target = l.base + target
	}
	if sizeInJSON(target) > maxReturnTo || l.leadsToUs(u.Path) {
		return home
	}
	return target
}

// sizeInJSON is how many bytes a cookie of a login has for v: some characters take six.
func sizeInJSON(v any) int {
	quoted, err := json.Marshal(v)
	if err != nil {
		return math.MaxInt
	}
	return len(quoted)
}

// leadsToUs reports whether path, decoded as it is routed by, is one of our own, however often
// the path of PublicURL stands before it: a proxy may take it away, and so do we.
func (l *Login) leadsToUs(path string) bool {
	for {
		if _, own := l.routes[path]; own {
			return true
		}
		rest, below := strings.CutPrefix(path, l.base+"/")
		if !below || l.base == "" {
			return false
		}
		path = "/" + rest
	}
}

// localPath returns target if every browser takes it for a path on the same host,
// else "/". Browsers read a backslash as a slash and drop control characters, so
// that "/\evil.example" and "/\t/evil.example" lead away; "//evil.example" does by
// itself (RFC 9700 section 4.11).
func localPath(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return "/"
	}
	for i := range len(target) {
		if c := target[i]; c <= 0x20 || c >= 0x7f || c == '\\' {
			return "/"
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	// What is decoded and cleaned must still be local: a proxy may do both.
	if strings.ContainsFunc(u.Path, isControl) || strings.Contains(u.Path, "\\") || strings.Contains(u.Path, "//") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/" {
		return "/"
	}
	u.Fragment = ""
	return u.String()
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// seeOther redirects to target as it is. http.Redirect would clean the path, and
// so make "/./\evil.example" into something else than was checked.
func seeOther(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a code
	w.WriteHeader(http.StatusSeeOther)
}
