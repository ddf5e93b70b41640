package oidc

import (
	"net/url"
	"strings"
)

// maxTarget bounds "htu", in bytes.
const maxTarget = 4 << 10

// normalTarget returns a URL without query and fragment, in the form in which "htu" is
// compared: "after [...] syntax-based normalization (Section 6.2.2 of [RFC3986]) and
// scheme-based normalization (Section 6.2.3)" (RFC 9449 section 4.3). Segments of the path stay as
// they are: whoever sends dots gets no other URL than he signed.
func normalTarget(text string) (string, bool) {
	if text == "" || len(text) > maxTarget || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return "", false
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.User != nil || !hasHost(u) || !isWeb(u.Scheme) {
		return "", false
	}
	return origin(u) + normalPath(u.EscapedPath()), true
}

// hasHost: net/url takes colons in names, but they are for addresses in brackets, and ports;
// and it decodes what is percent-encoded, which no name of a host is.
func hasHost(u *url.URL) bool {
	name := u.Hostname()
	odd := func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-._:[]", r) }
	return name != "" && !strings.ContainsFunc(u.Host, odd) && (u.Host[0] == '[' || !strings.Contains(name, ":"))
}

// isWeb: url.Parse has written the scheme in lower case.
func isWeb(scheme string) bool { return scheme == "https" || scheme == "http" }

// normalPath writes percent-encoded octets in capitals, and those that need no encoding
// without (RFC 3986 sections 6.2.2.1 and 6.2.2.2). "An empty path should be normalized to a path
// of '/'" (section 6.2.3).
func normalPath(path string) string {
	if path == "" {
		return "/"
	}
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		if c, ok := octet(path[i+1], path[i+2]); ok && isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func octet(high, low byte) (byte, bool) {
	h := strings.IndexByte(hexDigits, lower(high))
	l := strings.IndexByte(hexDigits, lower(low))
	return byte(h<<4 | l), h >= 0 && l >= 0 //nolint:gosec // G115: eight bits, or not ok
}

const hexDigits = "0123456789abcdef"

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// isUnreserved: RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return isAlphanumeric(rune(c)) || c == '-' || c == '.' || c == '_' || c == '~'
}
