package discovery

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit/internal/fetch"
)

// origins maps origins, in the form that origin gives them, to origins.
type origins map[string]string

func newOrigins(rewrite map[string]string, policy fetch.Config) (origins, error) {
	o := make(origins, len(rewrite))
	for from, to := range rewrite {
		key, rest, ok := cutOrigin(from)
		if !ok || rest != "" {
			return nil, fmt.Errorf("discovery: Config.Rewrite: %q is not an origin: write scheme, host and port, and nothing after them", from)
		}
		if _, rest, ok := cutOrigin(to); !ok || rest != "" {
			return nil, fmt.Errorf("discovery: Config.Rewrite[%q]: %q is not an origin: write scheme, host and port, and nothing after them", from, to)
		}
		if err := policy.CheckURL(to); err != nil {
			return nil, fmt.Errorf("discovery: Config.Rewrite[%q]: %q: %w", from, to, err)
		}
		if _, twice := o[key]; twice {
			return nil, fmt.Errorf("discovery: Config.Rewrite: %q is there in two spellings", from)
		}
		o[key] = to
	}
	return o, nil
}

// rewrite replaces the origin of target. All that follows stays byte for byte.
func (o origins) rewrite(target string) (rewritten string, ok bool) {
	from, rest, ok := cutOrigin(target)
	if !ok {
		return target, false
	}
	to, ok := o[from]
	if !ok {
		return target, false
	}
	return to + rest, true
}

// cutOrigin splits a URL behind its origin, which it writes in lower case and
// with the port. A URL with user info has none to speak of.
func cutOrigin(target string) (origin, rest string, ok bool) {
	u, err := url.Parse(target)
	if err != nil || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", "", false
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	}
	_, rest, _ = strings.Cut(target, "//")
	rest = rest[len(authority(rest)):]
	return u.Scheme + "://" + strings.ToLower(net.JoinHostPort(u.Hostname(), port)), rest, true
}

// authority returns what stands before path, query and fragment.
func authority(s string) string {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		return s[:i]
	}
	return s
}
