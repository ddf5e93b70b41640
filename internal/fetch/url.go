package fetch

import (
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL reports why target is no URL to send a request to: it must be
// absolute, https (http on loopback), without user info and fragment.
func CheckURL(target string, insecureHTTP bool) error {
	return Config{InsecureHTTP: insecureHTTP}.CheckURL(target)
}

// CheckURL is [CheckURL] by the rules of cfg: with PublicOnly there is no
// exception for loopback, and a host that is not public by its spelling is
// refused.
func (cfg Config) CheckURL(target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return problem("not a URL")
	}
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return problem("not an absolute URL")
	case u.User != nil:
		return problem("user info in the URL")
	case strings.Contains(target, "#"): // an empty fragment is one too
		return problem("fragment in the URL")
	case cfg.PublicOnly && !maybePublic(u.Hostname()):
		return ErrNotPublic
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (cfg.InsecureHTTP || IsLoopback(u.Hostname())):
		return nil
	}
	return problem("not https; plain http is for loopback, and for other hosts only where InsecureHTTP can be set and is")
}

// IsLoopback reports whether host, a name or an address without port, is this
// machine by its spelling.
func IsLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
